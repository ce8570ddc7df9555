"""Many fits from one file: methods x settings x seeds x tables x splits, on many workers.

The file is TOML::

    methods = ["fit", "logF_sigmoid"]       # names that cross_validation.py knows
    splits = ["by lineage, n = 1"]          # by date; by lineage, n = 0 to 3; by corner
    seeds = [0, 1]

    [tables]                                # name -> edition of the bundled table, or a file
    bundled = "2024"

    [grid]                                  # every combination, for methods that fit the law
    skills = [2, 3]
    surface = ["smooth", "translog"]

Each combination is one task of dask.distributed, which runs them on ``--workers`` processes of
this machine, or on a cluster whose scheduler listens at ``--scheduler``. A task whose worker dies
is given to another. Finished tasks are kept in ``tasks/``, by what they are of: the same command
goes on after an interrupt, and a longer file computes only what is new. Writes results.csv, a row
per task with errors over lineages beside the means, in an order that the file alone decides;
times.csv; summary.json.

Run: python experiments/sweep.py SWEEP.toml --out out/sweep --workers 2
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from _runner import execute, predict_held_out, save

import sloth_jax as sj
from sloth_jax.cli.console import Parser, number, tell
from sloth_jax.devices import use_cores
from sloth_jax.evaluation.held_out import mean_and_error, names_at, summarise
from sloth_jax.evaluation.methods import SMOKE_SETTINGS, FitMethod, choose_methods
from sloth_jax.evaluation.splits import Split, split_by_corner, split_by_date, split_by_lineage
from sloth_jax.files import check_folder, frame_csv, write_text
from sloth_jax.inference.settings import FitSettings, changed
from sloth_jax.wording import did_you_mean, quoted

SPLITS: dict[str, Callable[[sj.Leaderboard], Split]] = {
    "by date": split_by_date,
    "by corner": split_by_corner,
    **{f"by lineage, n = {n}": partial(split_by_lineage, count=n) for n in range(4)},
}
GRID = ("inference", "skills", "surface", "size", "draws", "starts", "steps")
EDITIONS = ("2024", "2025")
N_TRAIN = 1  # published methods on FLOPs have one slope for all families, as with one model of each
MOST_DEATHS = 100  # of workers during one task
Task = dict[str, Any]


def read_sweep(path: Path, *, smoke: bool = False) -> list[Task]:
    """Tasks of a file: table, file, split, method, seed, grid.

    Raises:
        InputError: if the file is no sweep, in one line that says where.
    """
    try:
        asked = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise sj.InputError(f"{path}: cannot be read as TOML ({error})") from None
    known = ("methods", "splits", "seeds", "tables", "grid")
    _check_names(path, "entry", asked, known)
    for name, kind in zip(known, (list, list, list, dict, dict), strict=True):
        if (name != "grid" and not asked.get(name)) or not isinstance(asked.get(name, {}), kind):
            raise sj.InputError(f"{path}: {name} is missing, empty or no {kind.__name__}")
    _check_names(path, "split", asked["splits"], SPLITS)
    grid = asked.get("grid", {})
    _check_names(path, "setting", grid, GRID)
    seeds = asked["seeds"]
    if any(isinstance(seed, bool) or not isinstance(seed, int) or seed < 0 for seed in seeds):
        raise sj.InputError(f"{path}: seeds {seeds} are not all whole numbers from 0")
    if not all(isinstance(values, list) and values for values in grid.values()):
        raise sj.InputError(f"{path}: each setting of the grid is a list of values")
    tables = {
        name: str(file) if str(file) in EDITIONS else str((path.parent / str(file)).resolve())
        for name, file in asked["tables"].items()
    }
    tasks = []
    for name, split in product(tables, asked["splits"]):
        facts = {"table": name, "file": tables[name], "digest": _load(tables[name])[1]}
        for method in choose_methods([str(one) for one in asked["methods"]], N_TRAIN):
            for values in product(*grid.values()) if _fits(method) else [()]:
                chosen = dict(zip(grid, values, strict=True)) if values else {}
                _settings(method, chosen, smoke)  # refuses now what a worker would refuse
                for seed in seeds:
                    task = {"split": split, "method": method, "seed": seed, "grid": chosen}
                    tasks.append(facts | task | {"smoke": smoke})
    return tasks


def _check_names(path: Path, what: str, names: Any, known: Any) -> None:
    for name in names:
        if name not in known:
            hint = did_you_mean(str(name), tuple(known))
            raise sj.InputError(f"{path}: no {what} {quoted(str(name))}{hint}")


def _fits(method: str) -> bool:
    return isinstance(choose_methods([method], N_TRAIN)[method], FitMethod)


def _settings(method: str, chosen: Mapping[str, Any], smoke: bool) -> FitSettings | None:
    """Settings of a method that fits the law; None of another."""
    found = choose_methods([method], N_TRAIN)[method]
    if not isinstance(found, FitMethod):
        return None
    if smoke:
        few = {name: getattr(SMOKE_SETTINGS, name) for name in ("draws", "steps", "nuts")}
        return replace(changed(found.settings, chosen), **few)
    return changed(found.settings, chosen)


def _load(file: str) -> tuple[sj.Leaderboard, str]:
    """A table without models that no method can use, and a digest of what is in it."""
    table = sj.load_leaderboard(edition=file) if file in EDITIONS else sj.load_leaderboard(file)
    table = table.subset(table.known & np.asarray(table.observed.any(axis=1)))
    text = frame_csv(table.to_frame(), "%.9g")
    return table, hashlib.sha256(text.encode()).hexdigest()


def identity(task: Task) -> str:
    """Name of a task's file: of what it computes, and by which version."""
    facts = {name: value for name, value in task.items() if name not in ("table", "file")}
    text = json.dumps(facts | {"version": sj.__version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@lru_cache(maxsize=4)
def _kept(file: str, digest: str) -> sj.Leaderboard:
    """A table, read once by a worker.

    Raises:
        InputError: if it is not what the sweep began with.
    """
    table, found = _load(file)
    if found != digest:
        raise sj.InputError(f"{file}: changed during the sweep")
    return table


@lru_cache(maxsize=1)
def _prepare_worker() -> None:
    """One device, and the compiled programs that all workers share."""
    use_cores(1)
    sj.use_compilation_cache()


def run_task(task: Task) -> dict[str, Any]:
    """Numbers of one task, on a worker; a fit that fails says why in ``problem``."""
    _prepare_worker()
    began = time.perf_counter()
    key = jax.random.key(task["seed"])
    try:
        table = _kept(task["file"], task["digest"])
        split = SPLITS[task["split"]](table)
        settings = _settings(task["method"], task["grid"], task["smoke"])
        found: dict[str, Any]
        if settings is None:
            found = _errors(split, task["method"], key)
        else:
            found = summarise(predict_held_out(table, split.train, split.test, settings, key))
        found["problem"] = ""
    except sj.InputError as error:
        found = {"problem": str(error)}
    return found | {"seconds": round(time.perf_counter() - began, 2)}


def _errors(split: Split, method: str, key: jax.Array) -> dict[str, Any]:
    """Mean absolute error of a method that gives no intervals, and its error over lineages."""
    table = split.table
    predicted = choose_methods([method], N_TRAIN)[method](table, split.train, key)
    fold, model, benchmark = np.nonzero(split.test[:, :, None] & table.observed[None])
    error = np.abs(predicted[fold, model, benchmark] - table.scores[model, benchmark])
    lineage = names_at(table.lineages, table.lineage_of_family[table.family[model]])
    mean, spread = mean_and_error(error, lineage)
    lineages = len(np.unique(lineage))
    return {"mae": mean, "mae_se": spread, "scores": len(error), "lineages": lineages}


@contextmanager
def engine(options: argparse.Namespace) -> Iterator[Executor]:
    """What runs tasks: workers of a scheduler, by its address, or of this machine."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise sj.InputError("dask.distributed is missing: pip install 'sloth-jax[sweep]'") from None
    # Else every worker of this machine would have threads of XLA for all its cores.
    threads = {"NPROC": str(max(1, (os.cpu_count() or 1) // options.workers))}
    deaths = {"distributed.scheduler.allowed-failures": MOST_DEATHS}
    with dask.config.set(deaths):  # pyright: ignore[reportPrivateImportUsage]
        if options.scheduler:
            try:
                client = Client(options.scheduler, timeout=10)
            except (OSError, ValueError) as error:
                raise sj.InputError(f"--scheduler {options.scheduler}: {error}") from None
            with client:
                yield client.get_executor(pure=False)
            return
        with (
            LocalCluster(
                n_workers=options.workers,
                threads_per_worker=1,
                env=threads,
                dashboard_address=None,  # pyright: ignore[reportArgumentType] - None: no dashboard
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client.get_executor(pure=False)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep a second sweep out of a folder.

    Raises:
        InputError: if one is at work there.
    """
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".at_work").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise sj.InputError(f"{out}: another sweep is at work there: name another") from None
        yield


def run_missing(tasks: Sequence[Task], folder: Path, options: argparse.Namespace) -> None:
    """Compute the tasks that are not there yet, and keep each as soon as it is done."""
    folder.mkdir(exist_ok=True)
    waiting = {
        name: task
        for name, task in ((identity(task), task) for task in tasks)
        if not (folder / f"{name}.json").exists()
    }
    tell(f"{len(tasks)} tasks, {len(tasks) - len(waiting)} done before")
    if not waiting:
        return
    with engine(options) as workers:
        futures = {workers.submit(run_task, task): name for name, task in waiting.items()}
        for done, future in enumerate(as_completed(futures), 1):
            found = future.result()
            write_text(folder / f"{futures[future]}.json", json.dumps(found) + "\n")
            tell(f"{done} of {len(waiting)}: {found['problem'] or found['mae']}")


def collect(tasks: Sequence[Task], folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results and times of tasks, in their order."""
    rows, times = [], []
    for task in tasks:
        found = json.loads((folder / f"{identity(task)}.json").read_text())
        facts = {name: task[name] for name in ("table", "split", "method", "seed")}
        times.append(facts | task["grid"] | {"seconds": found.pop("seconds", None)})
        rows.append(facts | task["grid"] | found)
    results = pd.DataFrame(rows)
    last = [name for name in ("problem",) if name in results]
    return results[[*results.columns.drop(last), *last]], pd.DataFrame(times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the file, compute what is missing, collect."""
    parser = Parser(prog=Path(__file__).name, description=(__doc__ or "").split("\n\n")[0])
    parser.set_defaults(experiment=Path(__file__).stem, began=time.perf_counter())
    parser.add_argument("sweep", type=Path, metavar="SWEEP.toml")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--workers", type=number(1), default=2, help="processes (default: 2)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a cluster: tcp://host:8786")
    parser.add_argument("--smoke", action="store_true", help="hardly any draws; means nothing")
    options = parser.parse_args(arguments)
    tasks = read_sweep(options.sweep, smoke=options.smoke)
    with alone(options.out):
        folder = options.out / "tasks"
        run_missing(tasks, folder, options)
        results, times = collect(tasks, folder)
        save(options, {"results": results, "times": times}, tasks=len(tasks))
    failed = int((results["problem"] != "").sum())
    print(f"{len(results)} tasks, {failed} failed: {options.out / 'results.csv'}")


if __name__ == "__main__":
    execute(main, interrupted="stopped; the same command goes on")
