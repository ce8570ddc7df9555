"""Public token counts of pretraining runs, found by a model's name, size and date.

Built by ``scripts/build_dataset.py`` from model cards and papers, each with its source. Names
follow conventions only, so what is found here is a suggestion and is listed as one. A name that
fits several runs is not decided: the answer names them.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import NamedTuple

from sloth_jax.data.tables import read_bundled
from sloth_jax.model_names import without_size

_SIZE_TOLERANCE = 0.025  # relative: 6.9 and 7 are one model, 33 and 34 are not
# The next number after a key is another generation: "yi" is not in "yi-1.5", nor in "yi-2".
_KEY_END = r"(?![a-z0-9]|\.\d|[-_ .]\d{1,2}(?![a-z0-9]))"
# Words of models that are not the finished run that they are named after.
_UNFINISHED = (
    r"intermediate preview step-?\d+ checkpoint ckpt scratch random prun\w* sheared dus extended"
    r" frankenmerge passthrough moe x\d"
)


class Pretraining(NamedTuple):
    """A pretraining run, or why none can be named.

    Attributes:
        lineage: its name; None where the name fits no run, or several.
        params_b: the registered size that agrees, billions; None where none is registered.
        tokens_t: training tokens, trillions; None where they are not known.
        source: where they stand; or why they are not known.
    """

    lineage: str | None
    params_b: float | None
    tokens_t: float | None
    source: str


class _Entry(NamedTuple):
    """A row of the registry. ``shared`` keys count only where no name of a lineage stands."""

    keys: list[re.Pattern[str]]
    shared: list[re.Pattern[str]]
    without: re.Pattern[str]
    sizes: list[float]
    released: str
    run: Pretraining

    def misfit(self, rest: str, params_b: float, released: str, rounded_down: bool) -> str:
        """Why a model of this name is not of the run, ``rest`` being the name without the key."""
        if word := self.without.search(rest):
            return f"{word[0]!r} in the name"
        if self.sizes and not self.size(params_b, rounded_down):
            return "no run of this size is registered"
        dated = re.match(r"\d{4}-\d\d", released)
        if dated and dated[0] < self.released[:7]:
            return f"first released in {self.released[:7]}, after {dated[0]}"
        return ""

    def size(self, params_b: float, rounded_down: bool) -> float | None:
        if rounded_down:
            return next((size for size in self.sizes if math.floor(size) == params_b), None)
        nearest = min(self.sizes, key=lambda size: abs(size / params_b - 1.0), default=math.inf)
        return nearest if abs(nearest / params_b - 1.0) <= _SIZE_TOLERANCE else None


def _key_pattern(key: str) -> re.Pattern[str]:
    """What a key means in names whose sizes are marks.

    ``=qwen`` is the whole name; ``yi`` is in ``yi-chat`` and not in ``tiny``. Sizes may stand
    between words, and before the end, but not before a generation: ``llama-13b-2`` is no Llama 2.
    ``vicuna~1.1`` and ``llama~`` have one there.
    """
    text = re.escape(key.removeprefix("="))
    text = re.sub(r"\\-(?=\d(?:\\\.\d+)?(?![a-z0-9]))", "[-_ .]?", text)
    text = text.replace(r"\-", "[-_ .]?(?:~[-_ .]?)?").replace(r"\.", "[._-]")
    text = text.replace(r"\~", "[-_ .]?~[-_ .]?")
    whole = rf"^{text}(?:[-_ .]?~)?(?:[-_ .]hf)?$"
    return re.compile(whole if key[0] == "=" else f"(?<![a-z0-9]){text}{_KEY_END}")


@cache
def _entries() -> tuple[_Entry, ...]:
    found = []
    for row in read_bundled("pretraining.csv").records():
        words = "|".join(f"{_UNFINISHED} {row['without']}".split())
        tokens = float(row["tokens_t"]) if row["tokens_t"] else None
        keys, shared = ([_key_pattern(key) for key in row[k].split()] for k in ("keys", "shared"))
        without = re.compile(f"(?<![a-z])(?:{words})(?![a-z])")
        sizes = [float(size) for size in row["sizes_b"].split()]
        run = Pretraining(row["lineage"], None, tokens, row["source"])
        found.append(_Entry(keys, shared, without, sizes, row["released"], run))
    return tuple(found)


def _named(text: str) -> tuple[str, list[tuple[_Entry, re.Match[str]]]]:
    """Rows whose keys are in a name, not inside longer ones, or else shared keys; and which."""
    for kind in ("keys", "shared"):
        found = [(entry, key.search(text)) for entry in _entries() for key in getattr(entry, kind)]
        named = [(entry, match) for entry, match in found if match]
        spans = {match.span() for _, match in named}
        inside = {s for s in spans if any(a <= s[0] and s[1] <= b for a, b in spans - {s})}
        if named:
            return kind, [pair for pair in named if pair[1].span() not in inside]
    return "shared", []


def pretraining_of(
    name: str, params_b: float, released: str = "", lineage: str = "", *, rounded_down: bool = False
) -> Pretraining | None:
    """The pretraining run that a model descends from, by its name.

    A run of another size, or one that was released after the model, is not it.

    Args:
        name: ``owner/model`` or ``model``.
        params_b: its size, billions.
        released: when it was released or submitted, ``2024-07-23`` or ``2024-07``; else ignored.
        lineage: its lineage, where it is known: other runs are not it.
        rounded_down: whether the size is whole billions, rounded down.

    Returns:
        The run. Where none fits, or several, one without lineage and tokens that says why; None
        where the name holds no key of a registered run.
    """
    text = without_size(name, "~")
    kind, named = _named(text)
    named = [pair for pair in named if lineage in ("", pair[0].run.lineage)]
    fitting: dict[tuple[str | None, float | None], Pretraining] = {}
    misfits: dict[str, None] = {}
    for entry, match in named:
        rest = text[: match.start()] + " " + text[match.end() :]
        if why := entry.misfit(rest, params_b, released, rounded_down):
            misfits[f"{entry.run.lineage}: {why}"] = None
        else:
            run = entry.run._replace(params_b=entry.size(params_b, rounded_down))
            fitting.setdefault((run.lineage, run.tokens_t), run)
    candidates = sorted({str(entry.run.lineage) for entry, _ in named if kind == "keys"})
    if len(candidates) < 2:
        candidates = [f"{run.lineage} ({run.tokens_t or '?'} T)" for run in fitting.values()]
    if len(candidates) > 1:
        return Pretraining(None, None, None, f"ambiguous, {' or '.join(candidates)}")
    if not fitting:
        return Pretraining(None, None, None, ", ".join(misfits)) if named else None
    return next(iter(fitting.values()))
