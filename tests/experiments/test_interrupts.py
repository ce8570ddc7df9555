"""The script that interrupts commands."""

import interrupts
from running import run


def test_interrupts(tmp_path):
    done = run(interrupts.main, tmp_path / "out", "--smoke")
    rows, record = done.csv("interrupts"), done.summary
    assert rows["command"].tolist() == ["fit", "import"]
    assert record["clean"] == record["interrupted"]
    assert record["broken"] == 0
    # An interrupt that comes after the file was written finds a whole one, and leaves it.
    assert set(rows["left"].dropna()) <= {"out.nc", "out.csv"}
