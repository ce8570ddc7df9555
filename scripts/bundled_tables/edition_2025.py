"""Write the edition 2025 of the bundled leaderboard.

It has every model of the edition 2024, and models of official providers from an export of the
second leaderboard in February 2025 that ``scripts/model_cards_2025.csv``, kept by hand, describes.
A card without facts is about a model of the edition 2024 and says only which row of the export is
this model. Rules:

- Sizes: the number that the weights or the developers' card have, also for models of the edition
  2024, which keeps nominal sizes within 10 % of it.
- Tokens: the developers' count. Where that is of a last stage only, which went on from another
  model as it was, grown or pruned, the other's is added. Llama 3.2 and Qwen2-57B-A14B are the
  exceptions: they saw so much after it that their developers count that alone.
- Lineage: what descends from one pretraining run, or from runs of several sizes by one recipe.
  Fine-tuned, distilled, pruned and grown models are of the lineage that their weights are from, but
  for Llama 3.2.
- Models: pretrained by their maker, or made from another's by a maker who also pretrains.
- Scores: models of the edition 2024 keep theirs; where they have none of the second leaderboard,
  all six are from the export. New models have the export's six.
- Sources: the answers to MATH were parsed anew between the two, so those scores are of two sources.
  The other five agree but for the models that ``remeasured_2025.csv`` lists.
- Unread answers: a score of MATH is left out where it is below .02 though MMLU-PRO is above .35, or
  below .002 though MMLU-PRO is above .2, twice its floor. Such models solve problems, but end in
  another format than the leaderboard read: 0 of 1,324 is no measure of them.
- Submissions: of several in the export, first with the chat template where the model is
  post-trained and without where it is not, then bfloat16, then the latest.

``corrections_2025.csv`` lists unread answers, and where the export's size (beyond 5 %) or type is
not ours; reasons of the latter stand in the cards as in ``model_cards.csv``. ``left_out_2025.csv``
counts all other rows of the export by reason; ``scripts/left_out_2025.csv`` has the reasons about
makers and models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .benchmarks import BENCHMARKS
from .leaderboard import CARD_COLUMNS as CARD_COLUMNS_2024, CARDS, TABLE_COLUMNS, parse_reasons
from .mixtures import RAW
from .records import DECIMALS, SCRIPTS, BuildError, number, read_records, read_rows

CARDS_2025 = SCRIPTS / "model_cards_2025.csv"
LEFT_OUT = SCRIPTS / "left_out_2025.csv"
CARD_COLUMNS = (
    "model", "published_name", *TABLE_COLUMNS[1:], "params_source", "tokens_source", "reason",
)  # fmt: skip
SIZE_TOLERANCE = 0.05
ROUNDING = 0.005  # scores of the edition 2024 have two decimals
UNREAD = ((0.02, 0.35), (0.002, 0.2))  # MATH below the first, MMLU-PRO above the second
UPLOAD_LEAD = 3  # months; weights are uploaded before they are released, rarely longer

V2 = tuple(b.name for b in BENCHMARKS if b.leaderboard == "v2")
MATH = "MATH Lvl 5"
SOURCES = {"2024": "Open LLM Leaderboard v2, 2024-08", "2025": "Open LLM Leaderboard v2, 2025-02"}
NAME, SIZE, TYPE = "fullname", "#Params (B)", "Type"
OFFICIAL, TEMPLATE, UPLOADED = "Official Providers", "Chat Template", "Upload To Hub Date"
EXPORT_COLUMNS = (
    NAME, "Precision", TYPE, SIZE, TEMPLATE, OFFICIAL, UPLOADED, *(name + RAW for name in V2),
)  # fmt: skip
TYPES = {  # of the export -> whether post-trained; other types say nothing of it
    "pretrained": "False",
    "continuously pretrained": "False",
    "chat models (RLHF, DPO, IFT, ...)": "True",
    "fine-tuned on domain-specific datasets": "True",
}
OTHER_SUBMISSION = "another submission of a model that is in the table"
NOT_OFFICIAL = "not by an official provider, nor by a maker of pretrained models that we know"

Row = dict[str, str]


def build_edition_2025(
    export: Path,
    leaderboard: list[list[str]],
    cards_path: Path = CARDS_2025,
    left_out_path: Path = LEFT_OUT,
) -> dict[str, list[list[str]]]:
    """Builds the table, its corrections, what was measured anew and what was left out.

    Args:
        export: the second leaderboard in February 2025 (CSV).
        leaderboard: the corrected table of the edition 2024, the header first.
        cards_path: what developers state of the models, and which rows of the export they are.
        left_out_path: makers and models that are left out, each with its reason.

    Returns:
        file name -> rows of cells, the header first.

    Raises:
        BuildError: the files do not fit together.
    """
    submissions: dict[str, list[Row]] = {}
    for row in read_records(export, EXPORT_COLUMNS):
        submissions.setdefault(row[NAME], []).append(row)
    cards = read_rows(cards_path, CARD_COLUMNS)
    models = _models(leaderboard, cards)
    _refuse_twins(cards_path, models)
    _refuse_twins(cards_path, (card["published_name"] for card in cards.values()))
    table = [[*leaderboard[0], f"{MATH} source"]]
    corrections = [["model", "column", "published", "corrected", "reason", "source"]]
    remeasured = [["model", "benchmark", "score_2024", "score_2025"]]
    chosen: dict[str, Row] = {}
    for model, row in sorted(models.items()):
        source = SOURCES["2024"]
        card = cards.get(model)
        if card is not None:
            submission = _submission(submissions, card["published_name"], row["post_trained"])
            chosen[card["published_name"]] = submission
            corrections += _corrections(card | row, submission)
            scores = _scores(submission)
            if any(row[name] for name in V2):
                remeasured += _remeasured(row, scores)
            else:
                row |= scores
                source = SOURCES["2025"]
        corrections += _unread(row, source)
        table.append([*(row[name] for name in leaderboard[0]), source if row[MATH] else ""])
    return {
        "leaderboard_2025.csv": table,
        "corrections_2025.csv": corrections,
        "remeasured_2025.csv": remeasured,
        "left_out_2025.csv": _left_out(submissions, chosen, read_reasons(left_out_path)),
    }


def _models(leaderboard: list[list[str]], cards: Mapping[str, Row]) -> dict[str, Row]:
    """Rows of both editions by model, the new ones without scores; sizes are those of cards."""
    header = leaderboard[0]
    models = {cells[0]: dict(zip(header, cells, strict=True)) for cells in leaderboard[1:]}
    for model, card in read_rows(CARDS, CARD_COLUMNS_2024).items():
        models[model]["params_b"] = number(card["params_b"])
    for model, card in cards.items():
        if model in models:
            if facts := [column for column in TABLE_COLUMNS[1:] if card[column]]:
                raise BuildError(
                    f"{CARDS_2025.name}: model {model!r}: {', '.join(facts)} stand in {CARDS.name}"
                )
            continue
        for value, source in (("params_b", "params_source"), ("tokens_t", "tokens_source")):
            if bool(card[value]) != bool(card[source]):
                raise BuildError(
                    f"{CARDS_2025.name}: model {model!r}: {value} and its source go together"
                )
        if not all(card[c] for c in ("family", "lineage", "post_trained", "params_b", "released")):
            raise BuildError(f"{CARDS_2025.name}: model {model!r}: a fact is missing")
        facts = {column: card[column] for column in TABLE_COLUMNS}
        facts |= {c: number(card[c]) for c in ("params_b", "active_params_b", "tokens_t")}
        models[model] = dict.fromkeys(header, "") | facts
    return models


def _refuse_twins(path: Path, names: Iterable[str]) -> None:
    """Raises where a name stands twice, by whatever case and dashes."""
    counts = Counter(re.sub("[-_ ]", "-", name.lower()) for name in names)
    if twins := sorted(name for name, count in counts.items() if count > 1):
        raise BuildError(f"{path.name}: two models have the name {', '.join(twins)}")


def _submission(submissions: Mapping[str, Sequence[Row]], name: str, post_trained: str) -> Row:
    """The submission of a model that counts; see the rules above."""
    if name not in submissions:
        raise BuildError(f"{CARDS_2025.name}: {name!r} is not in the export")
    return max(
        submissions[name],
        key=lambda row: (
            row[TEMPLATE] == post_trained,
            row["Precision"] == "bfloat16",
            row[UPLOADED],
        ),
    )


def _scores(submission: Row) -> Row:
    scores = {}
    for name in V2:
        score = float(submission[name + RAW])
        if not 0.0 <= score <= 1.0:
            raise BuildError(f"{submission[NAME]}: {name} is {score:g}, not a fraction")
        scores[name] = repr(round(score, DECIMALS))
    return scores


def _corrections(card: Row, submission: Row) -> Iterator[list[str]]:
    """Rows of ``corrections_2025.csv`` for one model, whose facts and reasons ``card`` has."""
    model = card["model"]
    reasons = parse_reasons(model, card["reason"], ("params_b", "post_trained"))
    measured, ours = float(submission[SIZE]), float(card["params_b"])
    changed = {}
    if abs(ours - measured) > SIZE_TOLERANCE * measured:
        changed["params_b"] = number(submission[SIZE])
    if TYPES.get(submission[TYPE], card["post_trained"]) != card["post_trained"]:
        changed["post_trained"] = TYPES[submission[TYPE]]
    if changed.keys() != reasons.keys():
        raise BuildError(
            f"{CARDS_2025.name}: model {model!r}: the export differs in {sorted(changed)} but there"
            f" are reasons for {sorted(reasons)}"
        )
    if _month(card["released"]) > _month(submission[UPLOADED]) + UPLOAD_LEAD:
        raise BuildError(
            f"{CARDS_2025.name}: model {model!r}: released in {card['released']}, long after its"
            f" upload on {submission[UPLOADED]}"
        )
    size_source = (
        card["params_source"] or read_rows(CARDS, CARD_COLUMNS_2024)[model]["params_source"]
    )
    for column, published in changed.items():
        source = size_source if column == "params_b" else "name of the model"
        yield [model, column, published, card[column], reasons[column], source]


def _unread(row: Row, source: str) -> Iterator[list[str]]:
    """Takes a score of MATH out of a model's row where its answers were not read, and says so."""
    if not row[MATH]:
        return
    math, knowledge = float(row[MATH]), float(row["MMLU-PRO"])
    if any(math < low and knowledge > high for low, high in UNREAD):
        reason = f"answers were not read: MMLU-PRO is {row['MMLU-PRO']}"
        yield [row["model"], MATH, row[MATH], "", reason, source]
        row[MATH] = ""


def _month(date: str) -> int:
    """Months since the year 0; dates that are not known are before all others."""
    return 12 * int(date[:4]) + int(date[5:7]) if date else 0


def _remeasured(row: Row, scores: Row) -> Iterator[list[str]]:
    for name in V2:
        if row[name] and abs(float(row[name]) - float(scores[name])) > ROUNDING:
            yield [row["model"], name, row[name], scores[name]]


def read_reasons(path: Path) -> dict[str, str]:
    """Maker, or maker and model, -> why it is left out."""
    return {name: row["reason"] for name, row in read_rows(path, ("name", "reason")).items()}


def _left_out(
    submissions: Mapping[str, Sequence[Row]], chosen: Mapping[str, Row], reasons: Mapping[str, str]
) -> list[list[str]]:
    """Rows of the export that are not in the table, counted by reason."""
    found: dict[str, list[str]] = {}
    used = set()
    for name, rows in submissions.items():
        for row in rows:
            if row is chosen.get(name):
                continue
            key = name if name in reasons else name.split("/")[0]
            if name in chosen:
                reason = OTHER_SUBMISSION
            elif key in reasons:
                reason = reasons[key]
                used.add(key)
            elif row[OFFICIAL] == "True":
                raise BuildError(f"{LEFT_OUT.name}: no reason for {name!r}, nor a card")
            else:
                reason = NOT_OFFICIAL
            found.setdefault(reason, []).append(name)
    if idle := sorted(reasons.keys() - used):
        raise BuildError(f"{LEFT_OUT.name}: nothing is left out by {', '.join(idle)}")
    cells = [["reason", "rows", "models", "names"]]
    for reason, names in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        distinct = sorted(set(names))
        listed = "" if reason == NOT_OFFICIAL else " ".join(distinct)
        cells.append([reason, str(len(names)), str(len(distinct)), listed])
    return cells
