"""The bundled tables: complete, plausible, and traceable to what was published."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from sloth_jax.data.bundled_tables import bundled_mixtures, load_observational, observational_frame
from sloth_jax.data.reading import load_leaderboard
from sloth_jax.data.schema import COLUMNS
from sloth_jax.files import csv_text, write_text

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "sloth_jax" / "data" / "bundled"
PUBLISHED = ROOT.parent / "shared" / "data" / "sloth_leaderboard.csv"

needs_published = pytest.mark.skipif(
    not PUBLISHED.exists(),
    reason=f"NOT CHECKED against the published table: {PUBLISHED} is not there",
)

BENCHMARKS = (
    "MMLU", "ARC", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K",
    "IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO",
)  # fmt: skip

# A size in a name differs from the parameter count by at most this fraction of the count.
NAME_TOLERANCE = 0.40


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def size_in_name(model: str) -> tuple[float, bool] | None:
    """Returns the size in billions that a name states, and whether it is an upper bound."""
    start, end = r"(?:^|[-_])", r"(?=[-_]|$)"
    if match := re.search(start + r"(\d+)x(\d+)b" + end, model):
        return float(match[1]) * float(match[2]), True  # experts share layers: 8x7b is less than 56
    if match := re.search(start + r"(\d+)(?:[._](\d+))?b" + end, model):  # 70b, 1.5b, 1_6b
        return float(f"{match[1]}.{match[2] or 0}"), False
    if match := re.search(start + r"(\d+)b(\d+)" + end, model):  # 7b1
        return float(f"{match[1]}.{match[2]}"), False
    if match := re.search(start + r"(\d+)m" + end, model):  # 560m
        return float(match[1]) / 1000, False
    return None


@pytest.fixture(scope="module")
def script():
    """The build script as a module."""
    sys.path.insert(0, str(ROOT / "scripts"))  # where a script finds its own parts
    spec = importlib.util.spec_from_file_location(
        "build_dataset", ROOT / "scripts" / "build_dataset.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("llama-2-70b-chat", 70.0),
        ("qwen1.5-1.8b", 1.8),
        ("qwen1.5-0.5b-chat", 0.5),
        ("stablelm-2-1_6b", 1.6),
        ("bloom-7b1", 7.1),
        ("rwkv-4-1b5-pile", 1.5),
        ("bloom-560m", 0.56),
        ("mixtral-8x7b-v0.1", 56.0),
        ("orca_mini_v3_13b", 13.0),
        ("phi-1_5", None),
        ("gpt2", None),
    ],
)
def test_the_name_parser_reads_names(name, size):
    found = size_in_name(name)
    assert (found[0] if found else None) == size


def test_every_published_model_is_there():
    table = rows(DATA / "leaderboard.csv")
    assert len(table) == 188
    models = [row["model"] for row in table]
    assert models == sorted(set(models))
    assert tuple(table[0])[8:] == BENCHMARKS
    assert models == [row["model"] for row in rows(ROOT / "scripts" / "model_cards.csv")]


def test_bundled_table_loads():
    board = load_leaderboard()
    assert board.benchmarks == BENCHMARKS
    assert len(board.models) == 178
    assert load_leaderboard(benchmarks=["GSM8K"]).benchmarks == ("GSM8K",)
    # The one thing to warn about: models whose developers keep the token count to themselves.
    assert len(board.warnings) == 1
    left_out = set(board.warnings[0].split(": ")[-1].split(", "))
    empty = {row["model"] for row in rows(DATA / "leaderboard.csv") if not row["tokens_t"]}
    assert left_out == empty
    assert len(empty) == 10


def test_floors_are_in_range_and_add_up():
    table = rows(DATA / "benchmarks.csv")
    assert tuple(row["benchmark"] for row in table) == BENCHMARKS
    floors = {row["benchmark"]: float(row["floor"]) for row in table}
    assert all(0 <= floor < 1 for floor in floors.values())
    items = {row["benchmark"]: int(row["items"]) for row in table}
    assert items["BBH"] == 21 * 250 + 187 + 146 + 178
    assert items["MUSR"] == 756
    assert floors["MUSR"] == pytest.approx((125 + 256 / 5 + 250 / 3) / 756, abs=1e-6)
    # A mean of 1/choices lies between that of 19 choices and that of 2.
    assert 1 / 19 < floors["BBH"] < 1 / 2


def test_sizes_agree_with_names():
    checked = 0
    for row in rows(DATA / "leaderboard.csv"):
        stated = size_in_name(row["model"])
        if stated is None:
            continue
        checked += 1
        size, is_bound = stated
        count = float(row["params_b"])
        if is_bound:
            assert size / 2 < count <= size, row["model"]
            assert 0 < float(row["active_params_b"]) < count, row["model"]
        else:
            assert abs(size - count) <= NAME_TOLERANCE * count, row["model"]
    assert checked > 170


def test_each_family_has_one_lineage_and_one_kind():
    for columns in (("family", "lineage"), ("family", "post_trained")):
        pairs = {tuple(row[column] for column in columns) for row in rows(DATA / "leaderboard.csv")}
        assert len(pairs) == len({family for family, _ in pairs})


def test_every_correction_reproduces():
    table = {row["model"]: row for row in rows(DATA / "leaderboard.csv")}
    corrections = rows(DATA / "corrections.csv")
    assert len({(row["model"], row["column"]) for row in corrections}) == len(corrections)
    for row in corrections:
        assert table[row["model"]][row["column"]] == row["corrected"]
        assert row["published"] != row["corrected"]
        assert row["reason"]
        assert row["source"]


def test_known_faults_are_mended():
    board = load_leaderboard()
    size = dict(zip(board.models, board.params_b, strict=True))
    tokens = dict(zip(board.models, board.tokens_t, strict=True))
    family = {m: board.families[f] for m, f in zip(board.models, board.family, strict=True)}
    assert size["stablelm-2-1_6b"] == size["stablelm-2-1_6b-chat"] == 1.64
    assert size["bloom-1b1"] == 1.07
    assert size["rwkv-4-1b5-pile"] == 1.52
    assert (tokens["gemma-2-9b"], tokens["gemma-2-2b"]) == (8.0, 2.0)
    assert family["stablelm-2-1_6b"] == "stablelm-2"
    published = load_leaderboard(corrected=False)
    assert published.params_b[published.models.index("stablelm-2-1_6b")] == 6.0


def test_no_hosts_in_the_files():
    for path in (*DATA.glob("*.csv"), ROOT / "scripts" / "model_cards.csv"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        assert "www." not in text
        assert "\r" not in text
        assert text.endswith("\n")


@needs_published
def test_uncorrected_values_are_those_published():
    published = {row["Model"]: row for row in rows(PUBLISHED)}
    with_tokens = {m for m, row in published.items() if row["Pretraining Data Size (T)"]}
    board = load_leaderboard(corrected=False)
    assert set(board.models) == with_tokens
    assert len(with_tokens) == 175
    assert np.isnan(board.active_params_b).all()
    for m, model in enumerate(board.models):
        row = published[model]
        f = board.family[m]
        assert board.families[f] == row["Family2"]
        assert board.lineages[board.lineage_of_family[f]] == row["Family"]
        assert board.post_trained_of_family[f] == (row["Instruct"] == "True")
        assert board.params_b[m] == float(row["#Params (B)"])
        assert board.tokens_t[m] == float(row["Pretraining Data Size (T)"])


@needs_published
def test_scores_are_those_published():
    published = {row["Model"]: row for row in rows(PUBLISHED)}
    for row in rows(DATA / "leaderboard.csv"):
        for name in BENCHMARKS:
            theirs = published[row["model"]][name]
            assert bool(row[name]) == bool(theirs)
            if theirs:
                assert float(row[name]) == round(float(theirs), 6)


@needs_published
def test_rebuilding_gives_the_same_bytes(script, tmp_path, capsys):
    assert script.main(["--source", str(PUBLISHED), "--out", str(tmp_path)]) == 0
    names = ["benchmarks.csv", "corrections.csv", "leaderboard.csv", "pretraining.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()
    assert "188 rows" in capsys.readouterr().out


@needs_published
def test_rebuilding_with_folds_and_errors_gives_the_same_bytes(script, shared, tmp_path):
    folds = shared / "data" / "cv_folds.csv"
    errors = shared / "data" / "reference_cv_summary.csv"
    out = ["--source", str(PUBLISHED), "--out", str(tmp_path)]
    assert script.main([*out, "--folds", str(folds), "--errors", str(errors)]) == 0
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
def test_mixtures_are_those_of_the_exports(script, shared, tmp_path):
    exports = (
        shared / "data" / "open_llm_leaderboard_v1_dump_2024-06.csv",
        shared / "data" / "open_llm_leaderboard_v2_dump_2024-08.csv",
    )
    rows = script.build_mixtures(*exports)
    assert script.csv_text(rows).encode() == (DATA / "mixtures.csv").read_bytes()
    cards = tmp_path / "cards.csv"
    cards.write_text(script.MIXTURE_CARDS.read_text().replace("databricks/dbrx-base", "nobody"))
    with pytest.raises(script.BuildError, match="in neither export"):
        script.build_mixtures(*exports, cards)


@needs_published
def test_tasks_are_those_published(script, shared, tmp_path, capsys):
    source = ["--source", str(PUBLISHED), "--out", str(tmp_path)]
    assert script.main([*source, "--observational", str(shared / "data")]) == 0
    for name in ("observational.csv", "tasks.csv", "task_scores.csv"):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()
    assert script.main([*source, "--observational", str(tmp_path)]) == 2
    assert "obs_base_benchmarks.csv: cannot be read" in capsys.readouterr().err


def test_bundled_mixtures_are_a_table():
    frame = bundled_mixtures()
    assert list(frame.columns) == [*COLUMNS, *load_leaderboard().benchmarks]
    assert (frame["active_params_b"] < frame["params_b"]).all()
    assert frame["tokens_t"].notna().all()
    scores = frame[list(load_leaderboard().benchmarks)].to_numpy()
    given = np.isfinite(scores)
    assert ((scores[given] > 0) & (scores[given] < 1)).all()
    assert given.any(axis=1).all()


def test_published_errors_are_those_published(shared):
    with (shared / "data" / "reference_cv_summary.csv").open(encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file))
    table = rows(DATA / "published_errors.csv")
    assert len(table) == 28 * 6
    assert list(dict.fromkeys(row["method"] for row in table)) == [p["method"] for p in published]
    ours = {(r["method"], r["leaderboard"], r["n_train"]): r["mean_abs_error"] for r in table}
    assert len(ours) == len(table)
    for row in published:
        for name in ("v1", "v2", "both"):
            for n_train in "12":
                error = float(row[f"{name}_n{n_train}"])
                assert float(ours[row["method"], name, n_train]) == error


def test_published_errors_are_plausible():
    table = rows(DATA / "published_errors.csv")
    error = {
        (row["method"], row["leaderboard"], row["n_train"]): float(row["mean_abs_error"])
        for row in table
    }
    assert error["logF_sigmoid_faminter", "v1", "1"] == 0.049  # the paper's plain baseline
    assert all(0.02 < value < 0.3 for value in error.values())


def test_tested_families_are_in_the_table():
    published = load_leaderboard(corrected=False)
    table = rows(DATA / "folds.csv")
    assert {row["family"] for row in table} <= set(published.families)
    folds = {(row["leaderboard"], row["n_train"], row["fold"]) for row in table}
    assert len(folds) == 73
    tested = {(row["leaderboard"], row["n_train"], row["family"]) for row in table}
    assert len(tested) == len(table) == 109


def published_again(script, folder: Path) -> Path:
    """Writes the columns of the published table that the script reads, from the bundled ones."""
    table = {row["model"]: dict(row) for row in rows(DATA / "leaderboard.csv")}
    for row in rows(DATA / "corrections.csv"):
        table[row["model"]][row["column"]] = row["published"]
    names = dict(script.PUBLISHED)
    path = folder / "published.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names.values(), *BENCHMARKS])
        for row in table.values():
            writer.writerow([row[column] for column in (*names, *BENCHMARKS)])
    return path


def test_corrections_undone_and_done_again_change_nothing(script, tmp_path):
    tables = script.build(published_again(script, tmp_path))
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
def test_the_script_refuses_inputs_that_do_not_fit(script, tmp_path, capsys, old, new, part):
    source = published_again(script, tmp_path)
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    source.write_text(text.replace(old, new), encoding="utf-8")
    out = tmp_path / "out"
    assert script.main(["--source", str(source), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_script_refuses_a_missing_model_and_a_missing_file(script, tmp_path, capsys):
    source = published_again(script, tmp_path)
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    source.write_text("".join(lines[:-1]), encoding="utf-8")
    assert script.main(["--source", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "published.csv lacks 1 models: yi-9b" in capsys.readouterr().err
    assert script.main(["--source", str(tmp_path / "no.csv"), "--out", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.fixture
def folds_again(script, tmp_path) -> Path:
    """Writes the roles of models that the bundled folds and published sizes imply."""
    published = load_leaderboard(corrected=False)
    board_of = {row["benchmark"]: row["leaderboard"] for row in rows(DATA / "benchmarks.csv")}
    cells = [script.FOLD_COLUMNS]
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


def test_folds_taken_apart_and_built_again(script, folds_again, tmp_path):
    cells = script.build_folds(folds_again, published_again(script, tmp_path))
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
def test_the_script_refuses_folds_that_do_not_fit(
    script, folds_again, tmp_path, capsys, old, new, part
):
    text = folds_again.read_text(encoding="utf-8")
    assert old in text
    folds_again.write_text(text.replace(old, new), encoding="utf-8")
    out = tmp_path / "out"
    source = published_again(script, tmp_path)
    arguments = ["--source", str(source), "--folds", str(folds_again), "--out", str(out)]
    assert script.main(arguments) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_script_refuses_a_family_in_two_folds(script, folds_again, tmp_path):
    text = folds_again.read_text(encoding="utf-8")
    again = [line for line in text.splitlines(keepends=True) if line.startswith("v1,1,0,")]
    text += "".join(again).replace("v1,1,0,", "v1,1,1,")
    folds_again.write_text(text, encoding="utf-8")
    with pytest.raises(script.BuildError, match="a family is in two folds"):
        script.build_folds(folds_again, published_again(script, tmp_path))


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("a,0.1,0.1,0.1,0.1,0.1,", "method 'a': both_n2 is ''"),
        ("a,0.1,0.1,0.1,0.1,0.1", "method 'a': both_n2 is None"),
        ("a,0.1,4.9,0.1,0.1,0.1,0.1", "method 'a': v1_n2 is '4.9'"),
        ("b,0,0,0,0,0,0", "method 'b' stands there twice"),
    ],
)
def test_the_script_refuses_errors_that_are_none(script, tmp_path, line, part):
    path = tmp_path / "errors.csv"
    header = "method,v1_n1,v1_n2,v2_n1,v2_n2,both_n1,both_n2"
    path.write_text(f"{header}\nb,0.1,0.1,0.1,0.1,0.1,0.1\n{line}\n", encoding="utf-8")
    with pytest.raises(script.BuildError, match=re.escape(part)):
        script.build_errors(path)


def test_the_observational_table_leaves_out_what_nobody_published():
    board = load_observational()
    assert "gpt-4-0613" in board.warnings[0]
    assert "gpt-4-0613" not in board.models
    assert "gpt-4-0613" in observational_frame().index
    assert np.isfinite(board.tokens_t).all()
    assert dict(zip(board.benchmarks, board.floors, strict=True))["XWinograd"] == 0.5
    # The same model has the same sizes and family in both bundled tables.
    other = load_leaderboard()
    for model in set(board.models) & set(other.models):
        m, n = board.models.index(model), other.models.index(model)
        assert board.params_b[m] == other.params_b[n]
        assert board.tokens_t[m] == other.tokens_t[n]
        assert board.families[board.family[m]] == other.families[other.family[n]]
