"""What a bank determines: blocks, models with few answers, items that tell nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from banks import simulated

from sloth_jax.cli.main import main
from sloth_jax.errors import InputError
from sloth_jax.items.bank import ItemBank
from sloth_jax.items.check import check_bank


@pytest.fixture(scope="module")
def bank() -> ItemBank:
    return simulated(models=24, items=60)[0]


def with_gaps(bank: ItemBank, seen: np.ndarray) -> ItemBank:
    return replace(bank, tries=bank.tries * seen, successes=bank.successes * seen)


def causes(report) -> set[tuple[str, str]]:
    return {(finding.kind, finding.cause) for finding in report.findings}


def test_a_full_bank_determines_one_skill_and_not_four(bank):
    report = check_bank(bank)
    assert report.holds
    assert report.local_rank == report.local_rank_expected == 60 * 2 + 24 - 2
    assert (report.blocks, report.supported_skills) == (1, 1)
    assert report.models_per_item is not None
    assert 10 < report.models_per_item < 200
    more = check_bank(bank, skills=2)
    assert ("weak", "too_many_skills") in causes(more)
    assert more.to_text().startswith("The assumptions hold: up to a rotation and a shift")


def test_models_that_share_no_item_are_named(bank):
    seen = np.zeros(bank.tries.shape, int)
    seen[:20, :40] = seen[20:, 40:] = 1
    report = check_bank(with_gaps(bank, seen))
    assert causes(report) & {("fails", "separate_blocks"), ("fails", "local_rank")} == {
        ("fails", "separate_blocks")
    }
    assert report.findings[0].subjects == ("m20", "m21", "m22", "m23")
    assert report.to_text().splitlines()[0] == "NOT identified: see what fails below."


def test_a_model_with_one_answer_and_items_with_two(bank):
    seen = np.ones(bank.tries.shape, int)
    seen[5, 1:] = 0
    seen[2:, 50:] = 0
    report = check_bank(with_gaps(bank, seen), skills=2)
    (rank,) = (one for one in report.findings if one.cause == "local_rank")
    assert rank.subjects == ("m5",)
    (few,) = (one for one in report.findings if one.cause == "few_answers")
    assert few.text.startswith("10 of 60 items have at most 3 answers")


def test_two_models_and_no_skill(bank):
    report = check_bank(bank.select_models(np.arange(2)))
    assert not report.holds
    assert report.models_per_item is report.supported_skills is None
    with pytest.raises(InputError, match="0 skills: ask for 1 or more"):
        check_bank(bank, skills=0)


def test_the_command_says_it_and_exits_with_1_where_it_fails(bank, tmp_path, capsys):
    wide = pd.DataFrame(bank.successes, columns=list(bank.items), index=list(bank.models))
    wide.rename_axis("model").to_csv(tmp_path / "bank.csv")
    apart = wide.astype(float)
    apart.iloc[:20, 40:] = apart.iloc[20:, :40] = np.nan
    apart.rename_axis("model").to_csv(tmp_path / "apart.csv")
    for name, code in (("bank.csv", 0), ("apart.csv", 1)):
        with pytest.raises(SystemExit) as ended:
            main(["items", "check", "--bank", str(tmp_path / name), "--json"])
        assert ended.value.code == code
        record = json.loads(capsys.readouterr().out)
        assert record["holds"] == (code == 0)
        assert record["settings"]["skills"] == 1
        assert record["local_rank_expected"] == 142
