"""What a model's name says of it: size, mixture of experts, post-training, family.

Names follow conventions, with exceptions: what is read from one is a suggestion, is listed as such
by the readers of :mod:`sloth_jax.data.importing`, and never replaces a value that was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

# Of a dense model's parameters, the share that a mixture has once per expert: the feed-forward
# layers. With it 8x7B comes out at 45 and 8x22B at 142 billion; their developers count 47 and 141.
_EXPERT_SHARE = 0.78

_END = r"(?=$|[^a-z0-9])"
_NUMBER = r"((?<![\d.])\d+(?:\.\d+)?)"
_APART = r"(?:^|(?<=[-_ ]))"  # llama2_7b is no 2.7b, and m7b2 no 7.2b
_NOT_SIZES = re.compile(r"\d+(?:[._]\d+)?[-_ ]?bits?\b|\d+k\b|v\d+(?:\.\d+)*b\b")

_POST_TRAINED = re.compile(
    r"(?:^|[^a-z])(?:chat|instruct|it|sft|dpo|rlhf|orpo|kto|ppo|simpo|aligned|assistant|tuned|"
    r"finetuned?|alpaca|vicuna|orca|hermes|zephyr|dolphin|wizardlm|guanaco|tulu|airoboros|"
    r"platypus|samantha|openchat|capybara)(?=$|[^a-z])"
)


class Size(NamedTuple):
    """Parameters by a name, billions.

    Attributes:
        params_b: all of them.
        active_params_b: those active for a token, where the name says; else None.
        experts: of a mixture, how many; 1 for a dense model, 0 for a mixture that only says what
            is active.
    """

    params_b: float
    active_params_b: float | None = None
    experts: int = 1


def _mixture(experts: str, size: str) -> Size:
    # what all share once, the feed-forward layers once per expert
    total = float(size) * (1.0 - _EXPERT_SHARE + _EXPERT_SHARE * int(experts))
    return Size(total, None, int(experts))


# Pattern -> the size that it states. The first that is found anywhere in the name counts.
_STATED: tuple[tuple[str, Callable[..., Size]], ...] = (
    (rf"{_NUMBER}b[-_]?a{_NUMBER}b", lambda b, a: Size(float(b), float(a), 0)),  # 57b-a14b
    (rf"(\d+)x{_NUMBER}b", lambda experts, b: _mixture(experts, b)),  # 8x7b
    (rf"{_NUMBER}bx(\d+)", lambda b, experts: _mixture(experts, b)),  # 34bx2
    (r"(?:^|(?<=-))(\d)_(\d{1,2})b", lambda b, tenths: Size(float(f"{b}.{tenths}"))),  # 1_6b
    (rf"{_APART}(\d)b(\d)", lambda b, tenths: Size(float(f"{b}.{tenths}"))),  # 7b1
    (rf"{_NUMBER}b", lambda b: Size(float(b))),  # 7b, 1.5b
    (rf"{_NUMBER}m", lambda millions: Size(float(millions) / 1000.0)),  # 560m
)
_SIZES = [(re.compile(pattern + _END), size_of) for pattern, size_of in _STATED]


def plain_name(name: str) -> str:
    """A name without its owner, in small letters."""
    return name.rsplit("/", 1)[-1].strip().lower()


def size_in_name(name: str) -> Size | None:
    """The size that a name states; None where it states none.

    Args:
        name: ``owner/model`` or ``model``, in any case: ``7b``, ``1.5B``, ``560m``, ``1_6b``,
            ``7b1``, ``8x7B``, ``34Bx2``, ``57b-a14b``.
    """
    text = _NOT_SIZES.sub(" ", plain_name(name))
    for pattern, size_of in _SIZES:
        if found := pattern.search(text):
            return size_of(*found.groups())
    return None


def post_training_in_name(name: str) -> bool | None:
    """True where a name says that the model was post-trained; None where it does not say."""
    return True if _POST_TRAINED.search(plain_name(name)) else None


def without_size(name: str, mark: str = "") -> str:
    """A name without its owner, in small letters, with a mark for every size in it."""
    text = plain_name(name)
    for pattern, _ in _SIZES:
        text = pattern.sub(mark, text)
    return text


def family_in_name(name: str) -> str:
    """A family's name: that of the model without its size.

    ``Llama-2-7b-chat-hf`` and ``llama-2-70b-chat`` are both ``llama-2-chat``.
    """
    text = re.sub(r"(?<=[-_])(?:hf|gptq|awq|gguf|fp16|bf16)$", "", without_size(name).split("@")[0])
    return re.sub(r"[-_. ]{2,}", "-", text).strip("-_. ") or plain_name(name)
