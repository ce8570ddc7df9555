"""What a target means: benchmarks before skills, skills by name and by number."""

from __future__ import annotations

import pytest

from sloth_jax.errors import InputError
from sloth_jax.planning.targets import could_name_skill, find_target

NAMES = ("MMLU", "MATH Lvl 5", "GSM8K")
LABELS = ("MATH Lvl 5 + GSM8K", "MMLU + not GSM8K")


@pytest.mark.parametrize(
    ("wanted", "skill"),
    [
        ("MATH Lvl 5 + GSM8K", 0),
        ("math lvl 5 + gsm8k", 0),
        ("MMLU + not GSM8K", 1),
        ("skill 2", 1),
        ("Skill 1", 0),
    ],
)
def test_skills_are_found_by_name_and_by_number(wanted, skill):
    found = find_target(wanted, NAMES, LABELS)
    assert (found.skill, found.label, found.benchmarks) == (skill, LABELS[skill], ())


def test_a_benchmark_comes_before_a_skill_of_its_name():
    assert find_target("MMLU", NAMES, ("MMLU",)).skill is None
    with pytest.raises(InputError, match=r"did you mean 'MATH Lvl 5 \+ GSM8K'"):
        find_target("MATH + GSM8K", NAMES, LABELS)
    with pytest.raises(InputError, match="no target 'skill 3'"):
        find_target("skill 3", NAMES, LABELS)


def test_only_benchmarks_joined_by_plus_could_name_a_skill():
    assert all(could_name_skill(label, NAMES) for label in LABELS)
    assert could_name_skill("gsm8k + mmlu", NAMES)
    for text in ("MMLU", "MMLU + ARC", "skill 1", "mean", "+", "A + B"):
        assert not could_name_skill(text, NAMES)
    assert not could_name_skill("A + B", (*NAMES, "A + B", "A", "B"))  # a benchmark of this name
