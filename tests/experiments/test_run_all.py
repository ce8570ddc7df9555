"""All steps in order: what is skipped, what a failure costs, what changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import run_all
from run_all import HERE, Step

WRITES = """
import sys
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
(out / "figure.png").write_bytes(b"drawn")
with (Path(__file__).parent / "calls.txt").open("a") as calls:
    calls.write(out.name + "\\n")
"""
PAGE = """
import sys
from pathlib import Path
Path(sys.argv[2]).write_text("Error 0.125 of 12.\\n\\nNew.\\n")
"""


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """Steps that take no time: one that draws, one that fails, two that need them."""
    scripts = {"good.py": WRITES, "bad.py": "raise SystemExit(3)", "page.py": PAGE}
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    good, bad, page = (str(tmp_path / name) for name in scripts)
    figures = (("figure.png", "shown.png"),)
    steps = [
        Step("bad", bad),
        Step("of_bad", page, page="other.md", needs=("bad",)),
        Step("good", good, ("--leaderboard", "v1"), figures),
        Step("of_good", page, page="page.md", needs=("good",)),
    ]
    monkeypatch.setattr(run_all, "steps", lambda: steps)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "page.md").write_text("Error 0.130 of 12.\n\nOld.\n")
    return tmp_path


def call(folder: Path, *more: str) -> None:
    where = ("--out", str(folder / "out"), "--docs", str(folder / "docs"))
    run_all.main([*where, *more])


def test_a_failure_does_not_lose_the_others(fake, capsys):
    with pytest.raises(SystemExit) as ended:
        call(fake)
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "Error # of #.: 0.130 -> 0.125" in printed
    assert "shown.png: new" in printed
    assert "2 other lines differ" in printed
    assert "bad: exit code 3" in printed
    assert "of_bad: needs bad" in printed
    assert not (fake / "docs" / "other.md").exists()


def test_what_is_finished_is_not_done_again(fake, capsys):
    call(fake, "--only", "good", "of_good")
    call(fake, "--only", "good", "of_good")
    assert (fake / "calls.txt").read_text() == "good\n"
    assert "nothing changed in docs" in capsys.readouterr().out
    call(fake, "--only", "good", "--seed", "1")  # another setting
    assert (fake / "calls.txt").read_text() == "good\ngood\n"


def test_steps_that_are_not_there_are_refused(fake):
    with pytest.raises(run_all.sj.InputError, match=r"no step 'best' \(steps: bad, good"):
        call(fake, "--only", "best")


def test_a_step_without_its_file_and_its_page_are_left_out(fake, capsys, monkeypatch):
    good = str(fake / "good.py")
    read = Step("read", good, (), (("figure.png", "shown.png"),), file="attempts")
    page = Step("of_read", str(fake / "page.py"), page="page.md", needs=("read",))
    monkeypatch.setattr(run_all, "steps", lambda: [read, page])
    call(fake)
    said = capsys.readouterr()
    assert "nothing changed in docs" in said.out
    assert "read: left out; needs --attempts FILE" in said.err
    assert "of_read: left out; needs read" in said.err
    file = fake / "counts.csv"
    for text in ("a", "a", "b"):  # done anew once the file has changed
        file.write_text(text)
        call(fake, "--attempts", str(file))
    assert (fake / "calls.txt").read_text() == "read\nread\n"
    assert (fake / "docs" / "page.md").read_text().startswith("Error 0.125")


def test_every_step_is_a_script_and_every_generated_page_has_one():
    steps = run_all.steps()
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    for at, step in enumerate(steps):
        assert (HERE / step.script).is_file()
        assert set(step.needs) <= set(names[:at])  # in order
    docs = run_all.ROOT / "docs"
    made = {step.page for step in steps if step.page}
    made |= {target for step in steps for _, target in step.figures}
    by_browser = {"report.png"}  # scripts/picture_of_report.py
    assert {path.name for path in docs.glob("*.png")} <= made | by_browser
    generated = {
        path.name
        for path in docs.glob("*.md")
        if "Written by\n`exp" in path.read_text() or "Written by `exp" in path.read_text()
    }
    assert generated <= made


def test_numbers_that_changed_are_named():
    before = "| law | 0.031 | 5 |\nSame 1.\nGone.\n"
    after = "| law | 0.030 | 5 |\nSame 1.\n"
    lines = run_all.changed_numbers(before, after)
    assert lines == ["  law | # | #: 0.031 -> 0.030", "  1 other lines differ"]
