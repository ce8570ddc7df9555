"""What every test runs under: 64-bit floats, no silent rank promotion, no windows."""

import gc
import os
from pathlib import Path
from runpy import run_path

import jax
import matplotlib
import pytest

# Workers side by side get a core each: JAX would otherwise start as many threads in each of them as
# there are cores, and they would wait for one another. Before JAX looks at the machine.
worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if worker and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

# The suite and the scripts that it starts spend their time compiling, and little of it running.
TESTS = Path(__file__).resolve().parent
quick = run_path(str(TESTS.parent / "scripts" / "quick_compilation.py"))
os.environ["XLA_FLAGS"] = quick["quick_flags"]()

# Tracing makes many small objects, few of them in circles: look for those less often.
gc.set_threshold(50_000, 20, 20)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
matplotlib.use("Agg")

# Begun last, a slow file would leave the other worker idle. Folders, or the first part of a path.
SLOWEST_FIRST = (
    "experiments/",
    "inference/test_fit",
    "test_notebooks.py",
    "planning/",
    "cli/test_planning_commands.py",
    "cli/test_predict_command.py",
    "evaluation/test_baselines.py",
)
for start in SLOWEST_FIRST:
    assert any(TESTS.glob(f"{start}*")), f"tests/{start} is not there"


# Files that share fits or programs, which each worker makes once.
SHARED = {
    "fits": tuple(f"inference/test_{name}" for name in ("arviz", "checkpoint", "fit", "storage")),
    "planning": ("planning/", "cli/test_planning"),
}


def group(nodeid: str) -> str:
    """What one worker runs: a file, or files that share fits."""
    path = nodeid.split("::")[0].removeprefix(f"{TESTS.name}/")
    if path == "test_notebooks.py":
        return nodeid  # in processes of their own
    return next((name for name, starts in SHARED.items() if path.startswith(starts)), path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Workers are given groups. (From pytest 9 on xdist no longer sees the mark of a group.)"""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS).as_posix()
        starts = (n for n, start in enumerate(SLOWEST_FIRST) if path.startswith(start))
        return next(starts, len(SLOWEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory) -> None:
    """Workers, and scripts that tests start, share what they compile: most of what they do."""
    folder = tmp_path_factory.getbasetemp()
    if worker:
        folder = folder.parent  # of all workers
    os.environ.update(quick["shared_programs"](folder / "compiled"))
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="module", autouse=True)
def _one_worker(request, tmp_path_factory) -> None:
    """No other worker has run tests of this file: what it fits and compiles is made once."""
    path = request.path.relative_to(TESTS).as_posix()
    if worker and group(path) != group(f"{path}::one"):
        return  # its tests are groups of their own
    if worker:
        mark = tmp_path_factory.getbasetemp().parent / "begun" / path.replace("/", " ")
        mark.parent.mkdir(exist_ok=True)
        try:
            with mark.open("x") as first:
                first.write(worker)
        except FileExistsError:
            assert mark.read_text() == worker, "xdist does not keep to the groups above"


MAPS = Path("/proc/self/maps")
MANY = 20_000  # of the 65,530 mappings that Linux allows a process by default


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Every compiled program holds mappings of memory; where they run out, compiling crashes."""
    yield
    if MAPS.exists() and len(MAPS.read_text().splitlines()) > MANY:
        jax.clear_caches()
        gc.collect()


PUBLISHED = TESTS.parents[1] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the published files that some tests compare with."""
    if not PUBLISHED.is_dir():
        pytest.skip("shared/ is not beside the repository: comparison with published files skipped")
    return PUBLISHED


@pytest.fixture
def write(tmp_path):
    """Writes a table and returns its path."""

    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def board(write):
    """The small table of ``table_texts``, read; imported late, after the settings above."""
    from table_texts import GOOD

    from sloth_jax.data.reading import load_leaderboard

    return load_leaderboard(write(GOOD, "good.csv"))
