"""Every table, figure and page of docs/ from scratch, in order, and what changed.

Each step is a script with its arguments, in a process and a folder of results of its own; a step
whose arguments, inputs and code are those of a finished one is not done again. One that fails does
not stop those that do not need it. The last lines say which files of docs/ changed, and which
numbers; exit code 1 if a step failed.

Run: python experiments/run_all.py --out out/all
and with --only NAME for one step, --smoke to see that all of them run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from _runner import execute

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, tell
from sloth_jax.files import write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Step:
    """One script.

    Attributes:
        name: of the step, and of its folder.
        script: file in ``experiments/``.
        arguments: of its command line, beside ``--out``.
        figures: file of the results -> file in ``docs/``.
        page: file in ``docs/`` that it writes from the results of ``needs``.
        needs: steps whose results it reads.
        file: option of this script whose file the step reads; without it, the step is left out.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    page: str = ""
    needs: tuple[str, ...] = ()
    file: str = ""


def of_setting(script: str, name: str, leaderboard: str, n_train: int, *more: str) -> Step:
    """A step of the published folds."""
    figures = {
        ("calibration", "v1", 1): (("calibration.png", "calibration_v1_1.png"),),
        ("strict", "v1", 1): (("calibration.png", "calibration_strict_v1_1.png"),),
        ("comparison", "v1", 1): (("heatmap.png", "heatmap_v1_1.png"),),
        ("comparison", "v2", 1): (("ablation_surface.png", "ablation_surface_v2_1.png"),),
    }.get((name, leaderboard, n_train), ())
    setting = ("--leaderboard", leaderboard, "--n-train", str(n_train))
    return Step(f"{name}_{leaderboard}_{n_train}", script, (*setting, *more), figures)


def steps() -> list[Step]:
    """All steps in their order."""
    places = [(leaderboard, n_train) for n_train in (1, 2) for leaderboard in ("v1", "v2", "both")]
    calibrations = [of_setting("calibration.py", "calibration", *place) for place in places]
    protocol = ("--protocol", "strict")
    strict = [of_setting("calibration.py", "strict", *place, *protocol) for place in places]
    methods = ("--methods", "published", "ours", "surface")
    comparisons = [of_setting("cross_validation.py", "comparison", *p, *methods) for p in places]
    calibrated = tuple(step.name for step in calibrations)
    compared = tuple(step.name for step in comparisons)
    kinds = ("loadings", "growth", "level_curves", "base_to_chat")
    of_skills = tuple((f"d3/{kind}.png", f"skills_{kind}.png") for kind in kinds)
    of_skills = (*of_skills, ("stability.png", "skills_stability.png"))
    plans = (("frontier.png", "planning_frontier.png"), ("backtest.png", "planning_backtest.png"))
    return [
        Step("held_out_llama3", "held_out_llama3.py"),
        Step(
            "curves",
            "curves.py",
            (),
            (*same("curves_qwen2.png", "curves_pythia.png"), ("slide.png", "curves_slide.png")),
        ),
        Step("own_models", "own_models.py", (), same("own_models.png")),
        Step("mixtures", "mixtures.py", (), same("mixtures.png")),
        Step("unknown_tokens", "unknown_tokens.py", (), same("unknown_tokens.png")),
        Step("compute_optimal", "compute_optimal.py", (), plans),
        Step("skills", "skills.py", (), of_skills),
        Step("progress", "progress.py", (), same("progress.png")),
        Step("progress_page", "progress_table.py", (), (), "progress.md", ("progress",)),
        Step("devices", "devices.py"),
        Step("devices_page", "devices_table.py", (), (), "devices.md", ("devices",)),
        Step("development", "development.py"),
        Step(
            "development_page", "development_table.py", (), (), "development.md", ("development",)
        ),
        Step("more_data", "more_data.py", (), same("more_data.png")),
        Step("more_data_page", "more_data_table.py", (), (), "more_data.md", ("more_data",)),
        Step(
            "next_benchmark_0",
            "next_benchmark.py",
            ("--kept", "0"),
            (("next_benchmark.png", "next_benchmark_0.png"),),
        ),
        Step("next_benchmark_2", "next_benchmark.py", (), same("next_benchmark.png")),
        Step(
            "next_benchmark_page",
            "next_benchmark_table.py",
            page="next_benchmark.md",
            needs=("next_benchmark_0", "next_benchmark_2"),
        ),
        Step("completion", "completion.py"),
        Step("completion_page", "completion_table.py", (), (), "completion.md", ("completion",)),
        Step("runs", "runs.py"),
        Step("runs_page", "runs_table.py", (), (), "runs.md", ("runs",)),
        *calibrations,
        Step("calibration_page", "calibration_table.py", (), (), "calibration.md", calibrated),
        Step(
            "forecast_and_calibration",
            "forecast_and_calibration.py",
            page="forecast_and_calibration.png",
            needs=("held_out_llama3", "calibration_v1_1", "calibration_v2_1"),
        ),
        *strict,
        Step(
            "strict_page",
            "calibration_table.py",
            page="calibration_strict.md",
            needs=tuple(step.name for step in strict),
        ),
        *comparisons,
        Step(
            "comparison_page", "comparison_table.py", (), (), "comparison.md", compared + calibrated
        ),
        *(
            Step(f"few_models_{board}", "few_models.py", ("--leaderboard", board))
            for board in ("v1",)
        ),
        Step("number_of_skills", "number_of_skills.py"),
        Step("downstream", "downstream.py"),
        Step("identifiability", "identifiability.py"),
        Step("simulation_based", "simulation_based.py"),
        Step("test_time_compute", "test_time_compute.py"),
        Step("few_items", "few_items.py", (), same("few_items.png"), file="banks"),
        Step(
            "items_to_forecast",
            "items_to_forecast.py",
            (),
            same("items_to_forecast.png"),
            file="banks",
        ),
        Step(
            "few_items_page",
            "few_items_table.py",
            (),
            (),
            "items.md",
            ("few_items", "items_to_forecast"),
        ),
        Step("groups", "groups.py", file="subscores"),
        Step("groups_page", "groups_table.py", (), (), "groups.md", ("groups",)),
        Step("few_prompts", "few_prompts.py"),
        Step(
            "few_prompts_page", "few_prompts_table.py", (), (), "few_prompts.md", ("few_prompts",)
        ),
        Step(
            "held_out_attempts",
            "test_time_compute.py",
            (),
            (("held_out.png", "test_time_compute.png"),),
            file="attempts",
        ),
        Step(
            "test_time_compute_page",
            "test_time_compute_table.py",
            page="test_time_compute.md",
            needs=("test_time_compute", "held_out_attempts"),
        ),
        Step("kill_and_resume", "kill_and_resume.py"),
        Step("generated_tables", "generated_tables.py"),
    ]


def same(*names: str) -> tuple[tuple[str, str], ...]:
    """Figures of the same name in the results and in ``docs/``."""
    return tuple((name, name) for name in names)


class Work:
    """Folders of results, and the steps that are done in them.

    Args:
        out: folder of all results.
        docs: where pages and figures go.
        common: arguments of every step that is no page.
    """

    def __init__(self, out: Path, docs: Path, common: Sequence[str]) -> None:
        self.out, self.docs, self.common = out, docs, tuple(common)
        code = [*HERE.glob("*.py"), *HERE.glob("templates/*.md"), *ROOT.glob("sloth_jax/**/*")]
        self.code = digest(*(path for path in code if path.suffix in (".py", ".csv", ".md")))

    def folder(self, name: str) -> Path:
        """Results of a step."""
        return self.out / name

    def mark(self, name: str) -> Path:
        """What a step was begun with, and whether it is finished; beside its folder."""
        return self.out / f"{name}.json"

    def marked(self, name: str) -> dict[str, object]:
        """What is known of a step; nothing before it is begun."""
        path = self.mark(name)
        return json.loads(path.read_text()) if path.exists() else {}

    def inputs(self, step: Step) -> dict[str, object]:
        """What decides the results of a step."""
        marks = [self.mark(name) for name in step.needs]
        arguments: list[str] = [*step.arguments, *(() if step.page else self.common)]
        given = Path(step.arguments[-1]) if step.file else None
        files = sorted(given.iterdir()) if given and given.is_dir() else [given] if given else []
        return {"arguments": arguments, "code": self.code, "needs": digest(*marks, *files)}

    def is_done(self, step: Step) -> bool:
        """Whether results of the same inputs are there."""
        return self.marked(step.name) == {"inputs": self.inputs(step), "finished": True}

    def do(self, step: Step) -> str:
        """Run a step and copy what belongs in ``docs/``; what went wrong, or nothing."""
        missing = [name for name in step.needs if not self.marked(name).get("finished")]
        if missing:
            return f"needs {', '.join(missing)}"
        folder, record = self.folder(step.name), {"inputs": self.inputs(step), "finished": False}
        if folder.exists() and self.marked(step.name).get("inputs") != record["inputs"]:
            shutil.rmtree(folder)  # results of other inputs
        folder.mkdir(parents=True, exist_ok=True)
        write_text(self.mark(step.name), json.dumps(record, indent=2) + "\n")
        with (self.out / f"{step.name}.log").open("w") as log:
            done = subprocess.run(
                self.command(step), stdout=log, stderr=log, env=self.environment()
            )
        if done.returncode:
            return f"exit code {done.returncode}: {self.out / f'{step.name}.log'}"
        for source, target in step.figures:
            drawn = sorted(folder.glob(source))
            if drawn:
                shutil.copyfile(drawn[0], self.docs / target)
            elif "--smoke" not in self.common:  # which has few folds and numbers of skills
                return f"no figure {source}"
        write_text(self.mark(step.name), json.dumps(record | {"finished": True}, indent=2) + "\n")
        return ""

    def command(self, step: Step) -> list[str]:
        """The process of a step."""
        script = [sys.executable, str(HERE / step.script)]
        if not step.page:
            return [*script, *step.arguments, *self.common, "--out", str(self.folder(step.name))]
        runs = [str(self.folder(name)) for name in step.needs]
        return [*script, *step.arguments, "--out", str(self.docs / step.page), *runs]

    def environment(self) -> dict[str, str]:
        """Steps share what they compile."""
        return {"JAX_COMPILATION_CACHE_DIR": str(self.out / "compiled"), **os.environ}


def digest(*paths: Path) -> str:
    """A short hash of files that exist."""
    found = hashlib.sha256()
    for path in sorted(paths):
        if path.exists():
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


def contents(folder: Path) -> dict[str, bytes]:
    """Files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Lines that say which files differ, and which numbers in their text."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            found.append(f"{name}: {'new' if name in after else 'gone'}")
        elif before[name] == after[name]:
            continue
        elif name.endswith(".md"):
            found += [f"{name}:", *changed_numbers(before[name].decode(), after[name].decode())]
        else:
            found.append(f"{name}: another figure")
    return found


def changed_numbers(before: str, after: str) -> list[str]:
    """Numbers that changed in lines whose words did not, and how many lines have other words."""
    found, other = [], 0
    words = [{NUMBER.sub("#", line): [] for line in text.splitlines()} for text in (before, after)]
    for text, lines in zip((before, after), words, strict=True):
        for line in text.splitlines():
            lines[NUMBER.sub("#", line)].append(NUMBER.findall(line))
    for pattern in words[0].keys() | words[1].keys():
        pairs = (words[0].get(pattern, []), words[1].get(pattern, []))
        if len(pairs[0]) != len(pairs[1]):
            other += 1
            continue
        for old, new in zip(*pairs, strict=True):
            moved = [f"{a} -> {b}" for a, b in zip(old, new, strict=True) if a != b]
            if moved:
                found.append(f"  {pattern.strip('| ')[:60]}: {', '.join(moved)}")
    return [*sorted(found), *([f"  {other} other lines differ"] if other else [])]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of all results")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these steps")
    parser.add_argument("--seed", type=number(0), default=0)
    parser.add_argument("--docs", type=Path, metavar="DIR", help="default: docs/ of the repository")
    parser.add_argument(
        "--attempts", type=Path, metavar="FILE", help="counted attempts, for docs/test_time_compute"
    )
    parser.add_argument(
        "--subscores", type=Path, metavar="FILE", help="table of sub-scores, for docs/groups"
    )
    parser.add_argument("--banks", type=Path, metavar="DIR", help="of item banks, for docs/items")
    parser.add_argument(
        "--smoke", action="store_true", help="no pages; figures go to DIR/docs; means nothing"
    )
    return parser.parse_args(arguments)


def with_files(chosen: Sequence[Step], options: argparse.Namespace) -> list[Step]:
    """Steps with the files they read, without those whose file is not given, and their pages."""
    kept: list[Step] = []
    left: set[str] = set()
    for step in chosen:
        path = getattr(options, step.file) if step.file else None
        lacks = [f"--{step.file} FILE"] if step.file and path is None else []
        lacks += [name for name in step.needs if name in left]
        if lacks:
            left.add(step.name)
            tell(f"{step.name}: left out; needs {', '.join(lacks)}")
        elif path is not None:
            given = (f"--{step.file}", str(path.resolve()))
            kept.append(replace(step, arguments=(*step.arguments, *given)))
        else:
            kept.append(step)
    return kept


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what is missing, then say what changed."""
    options = parse(arguments)
    chosen = steps()
    known = {step.name for step in chosen}
    for name in options.only or ():
        if name not in known:
            raise sj.InputError(f"no step {name!r} (steps: {', '.join(sorted(known))})")
    chosen = [step for step in chosen if not options.only or step.name in options.only]
    chosen = with_files(chosen, options)
    if options.smoke:
        chosen = [step for step in chosen if not step.page]  # pages refuse smoke runs
    docs = options.docs or (options.out / "docs" if options.smoke else ROOT / "docs")
    docs.mkdir(parents=True, exist_ok=True)
    before = contents(docs)
    common = ["--seed", str(options.seed), *(["--smoke"] if options.smoke else [])]
    work, failed = Work(options.out, docs, common), []
    for at, step in enumerate(chosen, 1):
        if work.is_done(step):
            tell(f"[{at}/{len(chosen)}] {step.name}: done before")
            continue
        tell(f"[{at}/{len(chosen)}] {step.name} ...")
        problem = work.do(step)
        if problem:
            failed.append(f"{step.name}: {problem}")
            tell(failed[-1])
    lines = changes(before, contents(docs))
    print("\n".join(["changed in docs:", *lines] if lines else ["nothing changed in docs"]))
    if failed:
        print("\n".join(["failed:", *failed]))
        sys.exit(1)


if __name__ == "__main__":
    execute(main, interrupted="finished steps are kept; the same command goes on")
