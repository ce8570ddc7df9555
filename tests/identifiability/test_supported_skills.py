"""How many skills a table supports."""

from __future__ import annotations

from good_tables import made

from sloth_jax.identifiability.supported_skills import supported_skills


def test_supported_skills_counts_those_of_a_known_law():
    for skills in (1, 2, 3):
        found = supported_skills(made(3, families=12, skills=skills))
        assert found is not None
        assert found[0] == skills
        assert found[1] <= skills + 1
