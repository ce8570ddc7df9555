"""Anyone's numbers in: exports of leaderboards, result files of lm-evaluation-harness, tables.

Every reader gives one canonical table and a report: which rows were kept, which were not and why,
and what was read off names instead of being given. Rows in are rows kept plus rows rejected. A
value that was given is never replaced by one from a name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sloth_jax.data.columns import (
    ABOUT,
    COLUMNS,
    match_benchmark,
    number_of,
    sort_columns,
    with_facts,
)
from sloth_jax.data.leaderboard import bundled_floors
from sloth_jax.data.model_names import (
    family_in_name,
    plain_name,
    post_training_in_name,
    size_in_name,
)
from sloth_jax.data.pretraining_runs import pretraining_of
from sloth_jax.data.tables import RawTable, TableError, read_table
from sloth_jax.errors import InputError
from sloth_jax.wording import did_you_mean, quoted, spelling

V1, V2, LM_EVAL, TABLE = (
    "open-llm-leaderboard-v1", "open-llm-leaderboard-v2", "lm-eval", "table",
)  # fmt: skip
FORMATS = (LM_EVAL, V1, V2, TABLE)
KINDS = ("merged", "moe", "flagged", "adapters")
"""Kinds of rows in exports of leaderboards that may be left out on request."""

_EXPORTS = {
    V1: ("ARC", "HellaSwag", "MMLU", "TruthfulQA", "Winogrande", "GSM8K"),
    V2: ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"),
}
_QUANTISED = re.compile(r"4bit|8bit|gptq|awq|gguf", re.IGNORECASE)
_PRECISIONS = ("bfloat16", "float16", "float32")  # of repeated submissions, the first is kept
# A size column holds whole billions, rounded down. A name that agrees with it is more precise.
_SIZE_SLACK = 0.15


@dataclass(eq=False)
class Imported:
    """What a reader made of a source.

    Attributes:
        source: file or folder.
        format: one of :data:`FORMATS`.
        rows: canonical rows: the columns of a table, then benchmarks, fractions, and what is said
            of scores (``MMLU se``, ``MMLU items``, ``MMLU source``).
        rejected: what was not kept: ``source, row, model, reason``.
        guessed: what was not given but read off a name: ``model, column, value, because``.
        notes: what was mapped, assumed or ignored, a sentence each.
        rows_in: rows, or runs, that the source holds.
    """

    source: str
    format: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    guessed: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows_in: int = 0

    @property
    def frame(self) -> pd.DataFrame:
        """The canonical table, sorted by model; benchmarks in the order of the bundled table.

        What is said of scores stands behind all of them.
        """
        found = dict.fromkeys(name for row in self.rows for name in row if name not in COLUMNS)
        known = [name for name in bundled_floors() if name in found]
        benchmarks = [*known, *(name for name in found if name not in known)]
        said = {f"{name} {kind}" for name in found for kind in ABOUT}
        benchmarks.sort(key=lambda name: name in said)
        frame = pd.DataFrame(self.rows, columns=[*COLUMNS, *benchmarks])
        return frame.sort_values("model", kind="stable", ignore_index=True)

    def reasons(self) -> dict[str, int]:
        """Reason -> how many rows were rejected for it, the commonest first."""
        # what is in quotes or brackets differs from row to row
        kinds = [re.sub(r"[:(].*", "", row["reason"]).strip() for row in self.rejected]
        return {str(kind): int(count) for kind, count in pd.Series(kinds).value_counts().items()}

    def reject(self, row: int | str, model: str, reason: str) -> None:
        """Note that a row was not kept."""
        self.rejected.append({"source": self.source, "row": row, "model": model, "reason": reason})

    def guess(self, model: str, column: str, value: Any, because: str) -> None:
        """Note that a value comes from a name."""
        self.guessed.append({"model": model, "column": column, "value": value, "because": because})


def import_scores(
    source: str | Path, *, kind: str | None = None, without: Sequence[str] = ()
) -> Imported:
    """Read scores in any of the known formats.

    Args:
        source: file, or folder of result files.
        kind: one of :data:`FORMATS`; None guesses it from what the source holds.
        without: kinds of rows to leave out, of :data:`KINDS`; of exports of leaderboards only.

    Returns:
        :class:`Imported`.

    Raises:
        InputError: if the source cannot be read, or nothing of it could be kept.
    """
    path = Path(source)
    if kind is not None and kind not in FORMATS:
        raise InputError(
            f"no format {quoted(kind)}{did_you_mean(kind, FORMATS)} (there are "
            f"{', '.join(FORMATS)})"
        )
    for name in without:
        if name not in KINDS:
            raise InputError(
                f"no kind of rows {quoted(name)}{did_you_mean(name, KINDS)} (there are "
                f"{', '.join(KINDS)})"
            )
    if kind == LM_EVAL or (kind is None and (path.is_dir() or path.suffix == ".json")):
        found = _read_runs(path)
    else:
        table = read_table(path)
        kind = kind or _guess(table)
        found = _read_export(table, kind, without) if kind in _EXPORTS else _read_plain(table)
    if not found.rows:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in found.reasons().items())
        raise InputError(f"{source}: none of {found.rows_in} rows could be kept: {reasons}")
    _tell_families_apart(found)
    return found


def _tell_families_apart(found: Imported) -> None:
    """Give families whose guessed members differ in lineage or post-training names of their own.

    ``dolphin-2.9`` of Llama 3 and of Qwen 2 are two families, whatever their names say.
    """
    guessed = {(row["model"], row["column"]) for row in found.guessed}
    kinds: dict[str, set[tuple[str, bool]]] = {}
    for row in found.rows:
        kinds.setdefault(row["family"], set()).add((row["lineage"], row["post_trained"]))
    for row in found.rows:
        family, model = row["family"], row["model"]
        if len(kinds[family]) == 1 or (model, "family") not in guessed:
            continue
        chat = "chat" if row["post_trained"] else "base"
        lineages = {lineage for lineage, _ in kinds[family]}
        name = f"{family} ({row['lineage'] + ', ' if len(lineages) > 1 else ''}{chat})"
        row["family"] = name
        found.guess(model, "family", name, f"models named {family} differ in what they come from")


def _guess(table: RawTable) -> str:
    header = set(table.header)
    if any(name.startswith("Average") for name in header):
        for kind, names in _EXPORTS.items():
            if header.issuperset(names):
                return kind
    return TABLE


def _read_export(table: RawTable, kind: str, without: Sequence[str]) -> Imported:
    """An export of a leaderboard: percent in the first, raw fractions in the second."""
    found = Imported(table.source, kind, rows_in=len(table.rows))
    at = {name: position for position, name in enumerate(table.header)}
    needed = ["Model", "Precision", "#Params (B)", *_EXPORTS[kind]]
    for name in needed:
        if name not in at:
            raise table.error(f"column {name!r} is missing: an export of {kind} has it")
    raw = {name: at.get(f"{name} Raw") for name in _EXPORTS[kind]} if kind == V2 else {}
    if kind == V2 and None in raw.values():
        raise table.error("columns that end in Raw are missing: the others are relative to chance")
    found.notes.append(
        "scores were percent"
        if kind == V1
        else "scores are the Raw columns, fractions with the "
        "decimals that the export has; the others are relative to chance"
    )
    marks = {name: _mark(table, at, columns) for name, columns in (
        ("merged", ("Merged", "Not_Merged")), ("moe", ("MoE",)), ("flagged", ("Flagged",)),
    )}  # fmt: skip
    for name, (column, value) in marks.items():
        if column:
            found.notes.append(
                f"column {column}: {value or 'no row'} is taken to mean {name}"
                + (", since it is the rarer value" if value else "")
            )

    def cell(row: int, name: str) -> str:
        return table.rows[row][at[name]] if name in at else ""

    def is_kind(row: int, name: str) -> bool:
        if name == "adapters":
            return cell(row, "Weight type") not in ("", "Original")
        column, value = marks[name]
        return bool(column) and cell(row, column) == value

    best: dict[str, int] = {}
    for row in range(len(table.rows)):
        model = cell(row, "Model")
        if not model:
            found.reject(table.numbers[row], "", "no name of a model")
            continue
        quantised = _QUANTISED.search(cell(row, "Precision")) or _QUANTISED.search(
            plain_name(model)
        )
        if quantised:
            found.reject(table.numbers[row], model, f"quantised: {quantised[0]}")
            continue
        unwanted = [name for name in without if is_kind(row, name)]
        if unwanted:
            found.reject(table.numbers[row], model, f"{unwanted[0]}, left out on request")
            continue
        if model.lower() not in best:
            best[model.lower()] = row
            continue
        first, other = sorted((best[model.lower()], row), key=lambda r: _rank(cell, r))
        best[model.lower()] = first
        found.reject(
            table.numbers[other], model,
            f"submitted more than once: row {table.numbers[first]} is kept "
            f"({cell(first, 'Precision')}, {_date(cell, first) or 'no date'})",
        )  # fmt: skip
    names = _short_names(list(best))
    for key, row in best.items():
        model = cell(row, "Model")
        try:
            scores = {
                name: _fraction(table, row, at[name], 100.0) if kind == V1
                else _fraction(table, row, _position(raw[name]), 1.0)
                for name in _EXPORTS[kind]
            }  # fmt: skip
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a score: {error}")
            continue
        try:
            size = number_of(table, row, at["#Params (B)"])
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a size: {error}")
            continue
        _add(
            found, table.numbers[row], names[key], model, scores,
            given={"params_b": size, "released": _date(cell, row)}, rounded_down=True,
            post_trained=_post_trained(cell(row, "Type")),
        )  # fmt: skip
    return found


def _position(position: int | None) -> int:
    assert position is not None
    return position


def _mark(table: RawTable, at: dict[str, int], columns: tuple[str, ...]) -> tuple[str, str]:
    """A column of True and False, and which of the two marks the exception.

    Exports call the same column by a name and by its opposite, and some hold the opposite of their
    name: what most models are is not what a column is there to mark.
    """
    column = next((name for name in columns if name in at), "")
    if not column:
        return "", ""
    values = pd.Series([cells[at[column]] for cells in table.rows]).value_counts()
    return column, str(values.index[-1]) if len(values) > 1 else ""


def _date(cell: Callable[[int, str], str], row: int) -> str:
    return (cell(row, "date") or cell(row, "Submission Date"))[:10]


def _rank(cell: Callable[[int, str], str], row: int) -> tuple[int, tuple[int, ...], int]:
    """Order of repeated submissions: precision, then the latest, then the first row."""
    precision = cell(row, "Precision")
    place = _PRECISIONS.index(precision) if precision in _PRECISIONS else len(_PRECISIONS)
    latest = tuple(-ord(letter) for letter in _date(cell, row).ljust(10, "\0"))
    return place, latest, row


def _post_trained(kind: str) -> bool | None:
    text = kind.lower()
    if "pretrained" in text:
        return False
    return True if "chat" in text or "fine-tuned" in text or "instruct" in text else None


def _fraction(table: RawTable, row: int, position: int, unit: float) -> float:
    score = number_of(table, row, position) / unit
    if score < 0.0 or score > 1.0:
        raise table.error(f"not between 0 and {unit:g}", row=row, column=position)
    return score


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without their owners, where that leaves no two alike."""
    plain = pd.Series([plain_name(name) for name in names], index=list(names))
    alike = plain.duplicated(keep=False)
    return {name: name.lower() if alike[name] else plain[name] for name in names}


def _add(
    found: Imported,
    row: int | str,
    model: str,
    published: str,
    scores: dict[str, float],
    *,
    given: dict[str, Any],
    about: dict[str, Any] | None = None,
    rounded_down: bool = False,
    post_trained: bool | None = None,
) -> None:
    """Keep a row with what it lacks read off its name, or reject it for what is nowhere.

    ``about`` is what is said of its scores, by the names of columns.
    """
    scores = {name: score for name, score in scores.items() if not math.isnan(score)}
    if not scores:
        found.reject(row, published, "no score")
        return
    facts: dict[str, Any] = {column: given.get(column) for column in COLUMNS}
    facts["model"] = model
    size = _size(found, model, published, _known(given.get("params_b")), rounded_down)
    if size is None:
        found.reject(row, published, "size not known: neither given nor in the name")
        return
    facts["params_b"] = size
    run = pretraining_of(published, size)
    if _known(given.get("tokens_t")) is None:
        if run is None or run.tokens_t is None:
            why = (
                "no registered lineage in the name"
                if run is None
                else f"{run.lineage}: {run.source}"
            )
            found.reject(row, published, f"training tokens not known: {why}")
            return
        facts["tokens_t"] = run.tokens_t
        found.guess(model, "tokens_t", run.tokens_t, f"{run.lineage}: {run.source}")
    if not facts["family"]:
        facts["family"] = family_in_name(published)
        found.guess(model, "family", facts["family"], "the name without its size")
    if not facts["lineage"]:
        facts["lineage"] = run.lineage if run else facts["family"]
        found.guess(model, "lineage", facts["lineage"], "the name")
    if facts["post_trained"] is None:
        facts["post_trained"] = post_trained
        if post_trained is None:
            said = post_training_in_name(published)
            facts["post_trained"] = bool(said)
            because = "a word in the name" if said else "nothing in the name says otherwise"
            found.guess(model, "post_trained", bool(said), because)
    said = {name: value for name, value in (about or {}).items() if value not in (None, "")}
    found.rows.append({**facts, **scores, **said})


def _known(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) or value <= 0.0 else float(value)


def _size(
    found: Imported, model: str, published: str, column: float | None, rounded_down: bool
) -> float | None:
    """Billions of parameters: as given, made more precise by a name that agrees with it."""
    said = size_in_name(published)
    if column is None:
        if said is None or not said.experts:
            return None
        found.guess(model, "params_b", round(said.params_b, 3), "the name")
        return said.params_b
    if said is None or not rounded_down:
        return column
    low, high = (1.0 - _SIZE_SLACK) * column, (1.0 + _SIZE_SLACK) * (column + 1.0)
    if low <= said.params_b <= high:
        return said.params_b
    found.guess(
        model, "params_b", column,
        f"given, rounded down; the name says {said.params_b:.3g}, which does not agree",
    )  # fmt: skip
    return column


def _read_plain(table: RawTable) -> Imported:
    """A wide table, a column per benchmark; or a long one with the columns benchmark and score."""
    found = Imported(table.source, TABLE, rows_in=len(table.rows))
    keys = {spelling(name): position for position, name in enumerate(table.header)}
    long = "benchmark" in keys and "score" in keys
    columns, benchmarks, about, notes = sort_columns(with_facts(table))
    found.notes += notes
    if long:
        about = {kind: {"": keys[kind]} if kind in keys else {} for kind in ABOUT}
        benchmarks = {name: at for name, at in benchmarks.items() if spelling(name) not in ABOUT}
    units = {}
    for name, position in benchmarks.items():
        if not (long and position in (keys["benchmark"], keys["score"])):
            units[name] = _unit(table, position)
            if units[name] != 1.0:
                found.notes.append(f"column {table.header[position]}: percent, divided by 100")
    rows: dict[str, dict[str, Any]] = {}
    unit = _unit(table, keys["score"]) if long else 1.0
    width = len(table.header)
    for row in range(len(table.rows)):
        position = columns["model"]
        model = table.rows[row][position] if position < width else ""
        if not model:
            found.reject(table.numbers[row], "", "no name of a model")
            continue
        try:
            name = ""
            if long:
                name = table.rows[row][keys["benchmark"]]
                name = match_benchmark(name, list(bundled_floors())) or name
                scores = {name: _fraction(table, row, keys["score"], unit)}
            else:
                scores = {
                    name: _fraction(table, row, benchmarks[name], units[name]) for name in units
                }
            given = {
                name: _given(table, row, position, name)
                for name, position in columns.items()
                if position < width and name != "model"
            }
            said = {
                f"{of or name} {kind}": _said(table, row, at, kind, unit if long else units[of])
                for kind, ats in about.items()
                for of, at in ats.items()
            }
        except TableError as error:
            found.reject(table.numbers[row], model, f"not a number: {error}")
            continue
        if long and model in rows:
            kept = rows[model]
            again = next(iter(scores))
            if again in kept["scores"]:
                found.reject(table.numbers[row], model, f"a second score on it: {again}")
            else:
                kept["scores"] |= scores
                kept["about"] |= said
                kept["count"] += 1
        elif model in rows:
            found.reject(
                table.numbers[row], model, f"stands there twice: row {rows[model]['row']} is kept"
            )
        else:
            rows[model] = {
                "row": table.numbers[row], "scores": scores, "about": said, "given": given,
                "count": 1,
            }  # fmt: skip
    for model, kept in rows.items():
        _add(
            found, kept["row"], model, model, kept["scores"],
            given=kept["given"], about=kept["about"],
        )  # fmt: skip
        if long:
            # a model's rows become one: the others are in it, kept or rejected
            found.rows_in -= kept["count"] - 1
    return found


def _unit(table: RawTable, position: int) -> float:
    """100 for a column in percent, most of whose numbers are above 1; else 1."""
    found = []
    for row in range(len(table.rows)):
        try:
            found.append(number_of(table, row, position))
        except TableError:
            continue
    known = [value for value in found if not math.isnan(value)]
    return 100.0 if sum(value > 1.0 for value in known) > len(known) / 2 else 1.0


def _said(table: RawTable, row: int, position: int, kind: str, unit: float) -> Any:
    """A standard error in the unit of its score, a number of items, or a source's name."""
    if kind == "source":
        return table.rows[row][position]
    value = number_of(table, row, position)
    return None if math.isnan(value) else value / unit if kind == "se" else value


def _given(table: RawTable, row: int, position: int, name: str) -> Any:
    text = table.rows[row][position]
    if not text:
        return None
    if name in ("params_b", "active_params_b", "tokens_t"):
        return number_of(table, row, position)
    if name == "post_trained":
        return text.lower() in ("true", "1", "1.0", "yes")
    return text


@dataclass(frozen=True)
class _Setting:
    """How a benchmark of the leaderboards is run: task, metric, examples in the prompt."""

    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    shots: int


_SETTINGS = {
    "ARC": _Setting(("arc_challenge", "arc:challenge"), ("acc_norm",), 25),
    "HellaSwag": _Setting(("hellaswag",), ("acc_norm",), 10),
    "MMLU": _Setting(("mmlu", "hendrycksTest"), ("acc",), 5),
    "TruthfulQA": _Setting(("truthfulqa_mc2", "truthfulqa_mc"), ("acc", "mc2"), 0),
    "Winogrande": _Setting(("winogrande",), ("acc",), 5),
    "GSM8K": _Setting(("gsm8k",), ("exact_match,strict-match", "exact_match", "acc"), 5),
    "IFEval": _Setting(
        ("leaderboard_ifeval", "ifeval"), ("prompt_level_strict_acc", "inst_level_strict_acc"), 0
    ),
    "BBH": _Setting(("leaderboard_bbh",), ("acc_norm",), 3),
    "MATH Lvl 5": _Setting(("leaderboard_math_hard",), ("exact_match",), 4),
    "GPQA": _Setting(("leaderboard_gpqa",), ("acc_norm",), 0),
    "MUSR": _Setting(("leaderboard_musr",), ("acc_norm",), 0),
    "MMLU-PRO": _Setting(("leaderboard_mmlu_pro",), ("acc",), 5),
}
_OF_TASK = {task: name for name, setting in _SETTINGS.items() for task in setting.tasks}
_USUAL_METRICS = ("acc_norm", "exact_match", "acc", "f1", "bleu")


def _read_runs(path: Path) -> Imported:
    """Result files of lm-evaluation-harness; runs of one model become one row."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    found = Imported(str(path), LM_EVAL)
    runs: dict[str, dict[str, Any]] = {}
    for file in files:
        # samples of single items stand beside results
        if file.name.startswith("samples"):
            continue
        found.rows_in += 1
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
            results = run["results"]
            assert isinstance(results, dict)
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AssertionError):
            found.reject(file.name, "", "no result file: JSON with an object 'results'")
            continue
        model = _model_of(run)
        if not model:
            found.reject(file.name, "", "no name of a model in 'config' or 'model_name'")
            continue
        scores, errors, notes = _scores_of(run, results)
        if not scores:
            found.reject(file.name, model, "no score")
            continue
        found.notes += [f"{file.name}: {note}" for note in notes]
        if model not in runs:
            runs[model] = {"scores": {}, "errors": {}, "files": []}
        kept = runs[model]
        again = sorted(scores.keys() & kept["scores"].keys())
        if again:
            found.notes.append(
                f"{file.name}: {model} was run before on {', '.join(again)}: the later file counts"
            )
        kept["scores"] |= scores
        kept["errors"] |= errors
        kept["files"].append(file.name)
    names = _short_names(list(runs))
    for model, kept in runs.items():
        about = {f"{name} se": error for name, error in kept["errors"].items()}
        files = ", ".join(kept["files"])
        _add(found, files, names[model], model, kept["scores"], given={}, about=about)
        # several files make one row
        found.rows_in -= len(kept["files"]) - 1
    return found


def _model_of(run: dict[str, Any]) -> str:
    """Name of a run's model, in any version's place."""
    for key in ("model_name", "model_id"):
        if isinstance(run.get(key), str) and run[key]:
            return run[key]
    for key in ("config", "config_general"):
        config = run.get(key)
        if not isinstance(config, dict):
            continue
        arguments = config.get("model_args") or config.get("model_name") or ""
        if isinstance(arguments, dict):
            arguments = str(arguments.get("pretrained") or arguments.get("model") or "")
        named = re.search(r"(?:pretrained|model|path)=([^,]+)", str(arguments))
        name = named[1] if named else str(arguments)
        if name:
            return name
    return ""


def _scores_of(
    run: dict[str, Any], results: dict[str, Any]
) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """Scores and standard errors by benchmark, and what does not match the leaderboards."""
    scores: dict[str, float] = {}
    errors: dict[str, float] = {}
    notes: list[str] = []
    old_mmlu = []
    parts = _parts(run, results)
    for task, measured in results.items():
        if not isinstance(measured, dict):
            continue
        short = task.split("|")[1] if task.count("|") >= 2 else task
        short = short.removeprefix("harness:")
        if short.startswith("hendrycksTest"):
            old_mmlu.append((task, measured))
            continue
        name = _OF_TASK.get(short)
        if name is None and short in parts:
            continue
        metrics = _SETTINGS[name].metrics if name else _USUAL_METRICS
        value, error = _measured(measured, metrics, both=name == "IFEval")
        if value is None:
            continue
        if not 0.0 <= value <= 1.0:
            notes.append(f"task {task}: {value:g} is no fraction, left out")
            continue
        shots = _shots(run, task)
        if name and shots is not None and shots != _SETTINGS[name].shots:
            own = f"{short}, {shots} examples"
            notes.append(
                f"task {task} was run with {shots} examples, {name} has {_SETTINGS[name].shots}: "
                f"kept as {own}"
            )
            name = own
        scores[name or short] = value
        if error is not None:
            errors[name or short] = error
    subjects = [_measured(measured, ("acc",))[0] for _, measured in old_mmlu]
    known = [subject for subject in subjects if subject is not None]
    if known:
        # The first leaderboard's MMLU: the plain mean over 57 subjects.
        shots = _shots(run, old_mmlu[0][0])
        if len(known) == 57 and shots in (None, 5):
            scores["MMLU"] = sum(known) / len(known)
        else:
            own = f"hendrycksTest, {len(known)} subjects, {shots} examples"
            scores[own] = sum(known) / len(known)
            notes.append(f"MMLU has 57 subjects and 5 examples: kept as {own}")
    return scores, errors, notes


# Groups whose parts are named after them; others are named in the file.
_GROUPS = ("mmlu", "leaderboard_bbh", "leaderboard_gpqa", "leaderboard_musr")


def _parts(run: dict[str, Any], results: dict[str, Any]) -> set[str]:
    """Tasks that stand beside the group that they are parts of."""
    groups = run.get("group_subtasks")
    lists = groups.items() if isinstance(groups, dict) else ()
    named = {
        part for group, of_group in lists if group in results for part in of_group or () if part
    }
    after = {
        task for task in results for group in _GROUPS
        if group in results and task.startswith(f"{group}_")
    }  # fmt: skip
    return (named | after) - _OF_TASK.keys()


def _measured(
    measured: dict[str, Any], metrics: Sequence[str], *, both: bool = False
) -> tuple[float | None, float | None]:
    """The first metric that is there, with its standard error; or the mean of all of them."""
    values = []
    for metric in metrics:
        # a filter's name follows a comma; one asked for by name stands in the metric itself
        filtered_too = sorted(key for key in measured if key.startswith(f"{metric},"))
        for key in (metric, f"{metric},none", *filtered_too):
            value = measured.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                name, _, filtered = key.partition(",")
                error = measured.get(f"{name}_stderr" + (f",{filtered}" if filtered else ""))
                values.append((float(value), _number(error)))
                break
    if not values:
        return None, None
    if both:
        return (sum(value for value, _ in values) / len(values), None)
    return values[0]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _shots(run: dict[str, Any], task: str) -> int | None:
    """Examples in the prompt, where a file says."""
    for key in ("n-shot", "n_shot"):
        stated = run.get(key)
        if isinstance(stated, dict) and isinstance(stated.get(task), int):
            return stated[task]
    configs = run.get("configs")
    if isinstance(configs, dict) and isinstance(configs.get(task), dict):
        shots = configs[task].get("num_fewshot")
        if isinstance(shots, int):
            return shots
    if task.count("|") >= 2 and task.rsplit("|", 1)[1].isdigit():
        return int(task.rsplit("|", 1)[1])
    config = run.get("config")
    if isinstance(config, dict) and isinstance(config.get("num_fewshot"), int):
        return config["num_fewshot"]
    return None
