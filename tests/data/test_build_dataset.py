"""The build script: the bundled files come out byte for byte, and faulty inputs are refused."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import build_dataset
import numpy as np
import pytest
from bundled_files import BENCHMARKS, DATA, PUBLISHED, needs_published, rows
from bundled_tables.crossval import FOLD_COLUMNS, build_errors, build_folds
from bundled_tables.leaderboard import PUBLISHED as COLUMNS, build_leaderboard
from bundled_tables.mixtures import MIXTURE_CARDS, build_mixtures
from bundled_tables.records import BuildError

from sloth_jax.data.reading import load_leaderboard
from sloth_jax.files import csv_text, write_text


@needs_published
def test_rebuilding_gives_the_same_bytes(tmp_path, capsys):
    assert build_dataset.main(["--source", str(PUBLISHED), "--out", str(tmp_path)]) == 0
    names = ["benchmarks.csv", "corrections.csv", "leaderboard.csv", "pretraining.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()
    assert "188 rows" in capsys.readouterr().out


@needs_published
def test_rebuilding_with_folds_and_errors_gives_the_same_bytes(shared, tmp_path):
    folds = shared / "data" / "cv_folds.csv"
    errors = shared / "data" / "reference_cv_summary.csv"
    out = ["--source", str(PUBLISHED), "--out", str(tmp_path)]
    assert build_dataset.main([*out, "--folds", str(folds), "--errors", str(errors)]) == 0
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(built) == sorted(
        [
            "leaderboard.csv",
            "benchmarks.csv",
            "corrections.csv",
            "folds.csv",
            "pretraining.csv",
            "published_errors.csv",
        ]
    )
    assert built == {name: (DATA / name).read_bytes() for name in built}


@needs_published
def test_mixtures_are_those_of_the_exports(shared, tmp_path):
    exports = (
        shared / "data" / "open_llm_leaderboard_v1_dump_2024-06.csv",
        shared / "data" / "open_llm_leaderboard_v2_dump_2024-08.csv",
    )
    rows = build_mixtures(*exports)
    assert csv_text(rows).encode() == (DATA / "mixtures.csv").read_bytes()
    cards = tmp_path / "cards.csv"
    cards.write_text(MIXTURE_CARDS.read_text().replace("databricks/dbrx-base", "nobody"))
    with pytest.raises(BuildError, match="in neither export"):
        build_mixtures(*exports, cards)


@needs_published
def test_tasks_are_those_published(shared, tmp_path, capsys):
    source = ["--source", str(PUBLISHED), "--out", str(tmp_path)]
    assert build_dataset.main([*source, "--observational", str(shared / "data")]) == 0
    for name in ("observational.csv", "tasks.csv", "task_scores.csv"):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()
    assert build_dataset.main([*source, "--observational", str(tmp_path)]) == 2
    assert "obs_base_benchmarks.csv: cannot be read" in capsys.readouterr().err


def published_again(folder: Path) -> Path:
    """Writes the columns of the published table that the script reads, from the bundled ones."""
    table = {row["model"]: dict(row) for row in rows(DATA / "leaderboard.csv")}
    for row in rows(DATA / "corrections.csv"):
        table[row["model"]][row["column"]] = row["published"]
    names = dict(COLUMNS)
    path = folder / "published.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names.values(), *BENCHMARKS])
        for row in table.values():
            writer.writerow([row[column] for column in (*names, *BENCHMARKS)])
    return path


def test_corrections_undone_and_done_again_change_nothing(tmp_path):
    tables = build_leaderboard(published_again(tmp_path))
    for name, cells in tables.items():
        write_text(tmp_path / name, csv_text(cells))
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("\nolmo-1b,", "\nolmo-9b,", "model_cards.csv lacks 1 models: olmo-9b"),
        ("\nolmo-1b,olmo,olmo,False,1.0", "\nolmo-1b,olmo,olmo,False,1.18", "'olmo-1b'"),
        ("Pretraining Data Size (T)", "Tokens", "lacks the columns"),
        ("\nolmo-7b,", "\nolmo-1b,", "twice"),
    ],
)
def test_the_script_refuses_inputs_that_do_not_fit(tmp_path, capsys, old, new, part):
    source = published_again(tmp_path)
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    source.write_text(text.replace(old, new), encoding="utf-8")
    out = tmp_path / "out"
    assert build_dataset.main(["--source", str(source), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_script_refuses_a_missing_model_and_a_missing_file(tmp_path, capsys):
    source = published_again(tmp_path)
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    source.write_text("".join(lines[:-1]), encoding="utf-8")
    assert build_dataset.main(["--source", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "published.csv lacks 1 models: yi-9b" in capsys.readouterr().err
    assert build_dataset.main(["--source", str(tmp_path / "no.csv"), "--out", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.fixture
def folds_again(tmp_path) -> Path:
    """Writes the roles of models that the bundled folds and published sizes imply."""
    published = load_leaderboard(corrected=False)
    published = published.subset(published.known)
    board_of = {row["benchmark"]: row["leaderboard"] for row in rows(DATA / "benchmarks.csv")}
    cells = [FOLD_COLUMNS]
    for row in rows(DATA / "folds.csv"):
        wanted = [
            j
            for j, name in enumerate(published.benchmarks)
            if row["leaderboard"] in (board_of[name], "both")
        ]
        family = published.family == published.families.index(row["family"])
        complete = published.observed[:, wanted].all(axis=1)
        models = sorted(np.flatnonzero(family & complete), key=lambda m: published.params_b[m])
        for rank, m in enumerate(models):
            role = "train" if rank < int(row["n_train"]) else "test"
            cells.append((*row.values(), published.models[m], role))
    path = tmp_path / "folds_again.csv"
    write_text(path, csv_text(cells))
    return path


def test_folds_taken_apart_and_built_again(folds_again, tmp_path):
    cells = build_folds(folds_again, published_again(tmp_path))
    assert csv_text(cells) == (DATA / "folds.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("v1,1,0,bloom,bloom-560m,train", "v1,1,0,bloom,bloom-560m,test", "roles of family"),
        ("v1,1,0,bloom,bloom-560m,train\n", "", "v1, n_train 1, fold 0: the roles of"),
        ("v1,1,0,bloom,bloom-560m,", "v1,1,0,bloom,bloom-1b1,", "stands in one fold twice"),
        ("v1,1,0,bloom,bloom-560m,", "v3,1,0,bloom,bloom-560m,", "not a published setting"),
        ("v1,1,0,bloom,bloom-560m,", "v1,one,0,bloom,bloom-560m,", "not a published setting"),
        ("v1,1,0,bloom,", "v1,1,77,bloom,", "not numbered"),
        ("v1,1,11,olmo,", "v1,1,12,olmo,", "not numbered"),
        ("v2,1,11,yi-1.5,", "v2,1,0,bloom,", "the roles of family 'bloom'"),
        ("family,model,role", "family,model,part", "lacks the columns role"),
    ],
)
def test_the_script_refuses_folds_that_do_not_fit(folds_again, tmp_path, capsys, old, new, part):
    text = folds_again.read_text(encoding="utf-8")
    assert old in text
    folds_again.write_text(text.replace(old, new), encoding="utf-8")
    out = tmp_path / "out"
    source = published_again(tmp_path)
    arguments = ["--source", str(source), "--folds", str(folds_again), "--out", str(out)]
    assert build_dataset.main(arguments) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_script_refuses_a_family_in_two_folds(folds_again, tmp_path):
    text = folds_again.read_text(encoding="utf-8")
    again = [line for line in text.splitlines(keepends=True) if line.startswith("v1,1,0,")]
    text += "".join(again).replace("v1,1,0,", "v1,1,1,")
    folds_again.write_text(text, encoding="utf-8")
    with pytest.raises(BuildError, match="a family is in two folds"):
        build_folds(folds_again, published_again(tmp_path))


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("a,0.1,0.1,0.1,0.1,0.1,", "method 'a': both_n2 is ''"),
        ("a,0.1,0.1,0.1,0.1,0.1", "method 'a': both_n2 is None"),
        ("a,0.1,4.9,0.1,0.1,0.1,0.1", "method 'a': v1_n2 is '4.9'"),
        ("b,0,0,0,0,0,0", "method 'b' stands there twice"),
    ],
)
def test_the_script_refuses_errors_that_are_none(tmp_path, line, part):
    path = tmp_path / "errors.csv"
    header = "method,v1_n1,v1_n2,v2_n1,v2_n2,both_n1,both_n2"
    path.write_text(f"{header}\nb,0.1,0.1,0.1,0.1,0.1,0.1\n{line}\n", encoding="utf-8")
    with pytest.raises(BuildError, match=re.escape(part)):
        build_errors(path)
