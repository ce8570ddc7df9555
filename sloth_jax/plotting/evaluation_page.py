"""The page of ``sloth-jax evaluate``: numbers of a record in a template, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template
from textwrap import fill
from typing import Any

_WIDTH = 100  # letters of a line of the page

_PAGE = Template("""# Does the law work on this table?

$verdict

$how

$scores scores of $models models, $families families, $lineages lineages:

| | this law | FLOPs law |
| --- | ---: | ---: |
| mean absolute error | $mae | $flops_mae |
| CRPS (less is better) | $crps | $flops_mae |
| 50 % intervals hold, of scores | $coverage_50 | none |
| 50 % intervals hold, mean over families | $coverage_50_families | none |
| 90 % intervals hold, of scores | $coverage_90 | none |
| 90 % intervals hold, mean over families | $coverage_90_families | none |
| mean width of 90 % intervals | $width_90 | none |

$flops_law

![Predicted and measured scores](predicted.png)

## By benchmark

![Mean absolute errors by benchmark](errors.png)

| benchmark | scores | lineages | error | FLOPs law | CRPS | 90 % intervals hold |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
$benchmarks
$notes
`predictions.csv` holds every prediction, `benchmarks.csv` these numbers, `summary.json` the
settings: $inference, $skills skills, $surface surface, $draws draws, seed $seed.
""")


def verdict(record: Mapping[str, Any]) -> str:
    """What was found, in plain sentences.

    Args:
        record: ``summary.json``.
    """
    seen = "of which they had seen the smallest model" if record["n_train"] else "left out whole"
    found = (
        f"On {record['scores']:,} scores of {record['lineages']} lineages {seen}, {_errors(record)}"
        f" (standard errors over lineages in brackets). {_comparison(record)}"
    )
    if not record["added"]:
        return found
    own = record["added"]
    names = ", ".join(own["names"])
    return f"{found} On the {own['scores']:,} scores of {names}, added by --add, {_errors(own)}."


def page_of(record: Mapping[str, Any], warnings: Sequence[str]) -> str:
    """The page in Markdown.

    Args:
        record: ``summary.json``.
        warnings: of the table.
    """
    kept = "all but its smallest model" if record["n_train"] else "whole"
    how = (
        f"Each lineage was left out {kept} and predicted by a fit to the others: "
        f"{record['folds']} refits, each without a group of lineages. Errors of the scores of a "
        "lineage go together, so standard errors, in brackets, are over lineages. A score is one "
        "model on one benchmark; in tables errors are fractions, 0.01 is one percentage point."
    )
    intercept = "an intercept for each lineage" if record["n_train"] else "one intercept for all"
    flops_law = (
        "The FLOPs law is a sigmoid of log training FLOPs (6 x active parameters x tokens) for "
        f"each benchmark, with {intercept}. It is a single prediction without intervals, whose "
        "CRPS is its absolute error."
    )
    shares = [name for name in record if name.startswith("coverage") and not name.endswith("_se")]
    numbers = {name: _with_error(record, name) for name in ("mae", "flops_mae", "crps", "width_90")}
    rows = [
        (
            _cell(one["benchmark"]),
            f"{one['scores']:,}",
            str(one["lineages"]),
            *(_with_error(one, name) for name in ("mae", "flops_mae", "crps")),
            _share(one, "coverage_90"),
        )
        for one in record["benchmarks"]
    ]
    notes = list(warnings)
    if record["not_predicted"]:
        notes.append(
            f"{record['not_predicted']:,} scores were not predicted: they stayed in every fit, or "
            "fewer than three scores of their benchmark were outside the left-out lineages"
        )
    if record["flops_scores"] < record["scores"]:
        notes.append(
            f"{record['scores'] - record['flops_scores']:,} scores are of models whose size or "
            "tokens are not known: the FLOPs law does not predict them, and its errors are of the "
            "others"
        )
    settings = {
        name: record["settings"][name] for name in ("inference", "skills", "surface", "draws")
    }
    return _PAGE.substitute(
        numbers | {name: _share(record, name) for name in shares} | settings,
        verdict=fill(verdict(record), _WIDTH),
        how=fill(how, _WIDTH),
        flops_law=fill(flops_law, _WIDTH),
        benchmarks="".join(f"| {' | '.join(row)} |\n" for row in rows),
        notes="".join(f"- {_cell(note)}\n" for note in notes),
        seed=record["seed"],
        **{name: f"{record[name]:,}" for name in ("scores", "models", "families", "lineages")},
    )


def _errors(record: Mapping[str, Any]) -> str:
    """Both errors and the share inside 90 % intervals."""
    compared = record["flops_scores"]
    of = "" if compared == record["scores"] else f" on the {compared:,} of models of known FLOPs"
    flops = (
        f"a law of training FLOPs alone by {_points(record, 'flops_mae')}{of}, " if compared else ""
    )
    return (
        f"this law is wrong by {_points(record, 'mae')} percentage points on average, {flops}and "
        f"{_share(record, 'coverage_90')} of the {record['scores']:,} scores lie inside 90 % "
        "intervals"
    )


def _comparison(record: Mapping[str, Any]) -> str:
    """Which law is better on the same scores, where the difference is above two standard errors."""
    change, error = record["mae_less_flops"], record["mae_less_flops_se"]
    if change is None:
        return "No training FLOPs are known, so a law of them cannot be compared."
    how_much = f"{_points({'change': abs(change), 'change_se': error}, 'change')} points"
    if error is None or abs(change) <= 2.0 * error:
        found = f"The two errors differ by {how_much}: they cannot be told apart"
    else:
        side = "less" if change < 0 else "more"
        found = f"Its error is {how_much} {side} than that of the FLOPs law"
    return f"{found}{_of_both(record)}."


def _of_both(record: Mapping[str, Any]) -> str:
    """Over which scores the laws are compared, where that is not all."""
    return "" if record["flops_scores"] == record["scores"] else " on the scores that both predict"


def _with_error(record: Mapping[str, Any], name: str) -> str:
    if record[name] is None:
        return "none"
    return _value(f"{record[name]:.4f}", record[f"{name}_se"], "{:.4f}")


def _points(record: Mapping[str, Any], name: str) -> str:
    """An error in percentage points, where it stands in a sentence."""
    error = record[f"{name}_se"]
    return _value(f"{100 * record[name]:.2f}", None if error is None else 100 * error, "{:.2f}")


def _share(record: Mapping[str, Any], name: str) -> str:
    error = record[f"{name}_se"]
    return _value(f"{100 * record[name]:.0f} %", None if error is None else 100 * error, "{:.0f} %")


def _value(text: str, error: float | None, form: str) -> str:
    """A number with its standard error; a single lineage has none."""
    return f"{text} ({'no error: one lineage' if error is None else form.format(error)})"


def _cell(text: str) -> str:
    """A text that does not end a cell of a table."""
    return text.replace("|", "\\|")
