"""Fits as files.

A file is netCDF 4 and holds numbers and names, never code, and a digest of both. The draws are in
it as raw parameters (:class:`sloth_jax.law.hierarchical.RawParams`); the law of each
draw is computed from them again, to the last bit where the versions and the device are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.errors import InputError
from sloth_jax.files import check_writable, write_bytes
from sloth_jax.identifiability.report import Report
from sloth_jax.inference.diagnostics import Diagnostics
from sloth_jax.inference.draws import unweighted
from sloth_jax.inference.fit import Fit
from sloth_jax.inference.mode import Mode
from sloth_jax.inference.observe import observe
from sloth_jax.inference.settings import FitSettings, NutsSettings
from sloth_jax.law.options import Prior
from sloth_jax.law.pivots import Pivots
from sloth_jax.law.surface import Surface
from sloth_jax.netcdf import Stored, read_groups
from sloth_jax.provenance import versions

if TYPE_CHECKING:  # reading a fit needs none
    import xarray as xr

FORMAT = "sloth-jax fit 1"
_BEFORE = "sloth-jax posterior"  # formats of version 0.1

_TABLE = {
    "family_of_model": ("family", ("model",)),
    "lineage_of_family": ("lineage_of_family", ("family",)),
    "post_trained_of_family": ("post_trained_of_family", ("family",)),
    "params_b": ("params_b", ("model",)),
    "active_params_b": ("active_params_b", ("model",)),
    "tokens_t": ("tokens_t", ("model",)),
    "released": ("released", ("model",)),
    "floors": ("floors", ("benchmark",)),
    "standard_error": ("standard_errors", ("model", "benchmark")),
    "items": ("items", ("benchmark",)),
    "source_of_score": ("source", ("model", "benchmark")),
}


def dataset(
    variables: Mapping[str, tuple[tuple[str, ...], Any]], names: Mapping[str, Any]
) -> xr.Dataset:
    """Arrays with the names of their dimensions, and the names along them."""
    import xarray as xr

    used = {dimension for dimensions, _ in variables.values() for dimension in dimensions}
    arrays = {name: (dims, np.asarray(value)) for name, (dims, value) in variables.items()}
    return xr.Dataset(arrays, coords={name: value for name, value in names.items() if name in used})


def table_groups(table: Leaderboard) -> dict[str, xr.Dataset]:
    """A table by arviz' names of groups: scores apart from what else is known of models."""
    names = {
        "model": list(table.models),
        "family": list(table.families),
        "lineage": list(table.lineages),
        "benchmark": list(table.benchmarks),
        "source": list(table.sources),
    }
    known = {name: (dims, getattr(table, field)) for name, (field, dims) in _TABLE.items()}
    if table.run:
        known["run"] = (("model",), list(table.run))
    constant = dataset(known, names)
    return {
        "observed_data": dataset({"score": (("model", "benchmark"), table.scores)}, names),
        "constant_data": constant.assign_coords({k: names[k] for k in ("lineage", "source")}),
    }


def save_fit(fit: Fit, path: str | Path) -> None:
    """Write a fit to a netCDF file, all of it or nothing.

    Args:
        fit: from :func:`sloth_jax.fit`.
        path: file to write or replace.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    check_writable(path)
    of_loading = ("benchmark", "skill")
    learnt = {
        "position": (("draw", "parameter"), fit.position),
        "diagonal": (of_loading, fit.pivots.diagonal),
        "above": (of_loading, fit.pivots.above),
    }
    if fit.covariates is not None:
        learnt["covariates"] = (("unit", "model"), fit.covariates)
    for place, value in jax.tree_util.tree_leaves_with_path(fit.law):
        name = _law_name(place)
        learnt[name] = (("draw", *(f"{name}_{axis}" for axis in range(1, value.ndim))), value)
    groups = table_groups(fit.table) | {"posterior": dataset(learnt, {})}
    facts = {
        "chains": fit.chains,
        "seed": fit.seed,
        "surface": asdict(fit.surface),
        "settings": asdict(fit.settings),
        "diagnostics": asdict(fit.diagnostics),
        "report": fit.report.to_dict(),
        "warnings": fit.table.warnings,
        "versions": versions(),
    }
    if fit.table.group_of_benchmark:
        facts["groups"] = fit.table.group_of_benchmark
    about = json.dumps(facts, sort_keys=True)
    variables = {name: group.variables for name, group in groups.items()}
    import xarray as xr

    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"format": FORMAT, "about": about, "digest": _digest(variables, about)}
    # Made in memory: HDF5 takes the whole process down when a disk is full.
    content = tree.to_netcdf(engine="h5netcdf")
    assert content is not None  # without a path it is the file's bytes
    write_bytes(path, bytes(content))  # pyright: ignore[reportArgumentType]


def load_fit(path: str | Path, table: Leaderboard | None = None) -> Fit:
    """Read a fit that :func:`save_fit` wrote.

    Args:
        path: the file.
        table: what it must have been fitted to; None takes the table in the file.

    Returns:
        The same :class:`sloth_jax.inference.fit.Fit`, with the same forecasts to the last bit.

    Raises:
        InputError: if the file cannot be read, is not such a file or of an older version, was
            changed or cut off since it was written, or is of another table.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder, not a file of save_fit; name the file")
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        attributes, groups = read_groups(path)
    except Exception as error:  # whatever a reader of netCDF makes of arbitrary bytes
        raise InputError(
            f"{path}: not a file of save_fit, or cut off ({type(error).__name__}); "
            "fit and save again"
        ) from None
    written = str(attributes.get("format", "none"))
    if written.startswith(_BEFORE):
        raise InputError(
            f"{path}: written by version 0.1, whose law was another one: fit the table anew"
        )
    if written != FORMAT:
        raise InputError(f"{path}: its format is {written!r}, not {FORMAT!r}; fit and save again")
    about = attributes.get("about", "")
    if attributes.get("digest") != _digest(groups, about):
        raise InputError(f"{path}: changed since it was written; fit and save again")
    facts = json.loads(about)
    found = _table(groups, facts["warnings"], facts.get("groups", ()))
    if table is not None:
        differing = _difference(found, table)
        if differing:
            raise InputError(
                f"{path}: fitted to another table ({differing}); fit again, or load it "
                "without a table"
            )
    # All at once: jnp.asarray compiles a program for every array.
    learnt = jax.device_put({name: kept.values for name, kept in groups["posterior"].items()})
    position, pivots = learnt["position"], Pivots(learnt["diagonal"], learnt["above"])
    kept = facts["settings"]
    parts = {"nuts": NutsSettings(**kept["nuts"]), "prior": Prior(**kept["prior"])}
    settings = FitSettings(**(kept | parts))
    axes = {name: tuple(facts["surface"][name]) for name in ("centre", "spread", "low", "high")}
    surface = Surface(**(facts["surface"] | axes))
    # Of a mode nothing but its pivots decides the law.
    number = jax.ShapeDtypeStruct((), position.dtype)
    at_mode = jax.ShapeDtypeStruct(position.shape[1:], position.dtype)
    mode = Mode(at_mode, pivots, number, number)  # pyright: ignore[reportArgumentType]
    shapes = jax.eval_shape(
        partial(unweighted, settings=settings), observe(found, surface), position, mode
    ).law
    law = jax.tree_util.tree_map_with_path(lambda path, _: learnt[_law_name(path)], shapes)
    return Fit(
        law=law,
        position=position,
        chains=facts["chains"],
        table=found,
        surface=surface,
        pivots=pivots,
        settings=settings,
        diagnostics=Diagnostics(**facts["diagnostics"]),
        report=Report.from_dict(facts["report"]),
        seed=tuple(facts["seed"]),
        covariates=learnt.get("covariates"),
    )


def _law_name(path: tuple[Any, ...]) -> str:
    """Name in the file of one array of the law."""
    return "law" + jax.tree_util.keystr(path).replace(".", "_")


def _table(
    groups: Mapping[str, Mapping[str, Stored]], warnings: list[str], suites: Sequence[str]
) -> Leaderboard:
    constant = groups["constant_data"]

    def names(dimension: str) -> tuple[str, ...]:
        return tuple(str(name) for name in constant[dimension].values)

    columns: dict[str, Any] = {
        field: constant[name].values for name, (field, _) in _TABLE.items() if field != "released"
    }
    return Leaderboard(
        models=names("model"),
        families=names("family"),
        lineages=names("lineage"),
        benchmarks=names("benchmark"),
        sources=names("source"),
        released=names("released"),
        run=names("run") if "run" in constant else (),
        scores=groups["observed_data"]["score"].values,
        warnings=tuple(warnings),
        group_of_benchmark=tuple(suites),
        **columns,
    )


def _difference(one: Leaderboard, other: Leaderboard) -> str:
    """The first thing in which two tables differ, in words; empty if there is none."""
    for field in fields(Leaderboard):
        if field.name in ("warnings", "released"):
            continue
        mine, theirs = (np.asarray(getattr(table, field.name)) for table in (one, other))
        numbers = mine.dtype.kind == "f"
        if mine.shape != theirs.shape or not np.array_equal(mine, theirs, equal_nan=numbers):
            return f"{field.name} differ" if field.name.endswith("s") else f"{field.name} differs"
    return ""


def _digest(groups: Mapping[str, Mapping[Any, Any]], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for group, variables in sorted(groups.items()):
        for name, variable in sorted(variables.items(), key=lambda pair: str(pair[0])):
            values = variable.values
            if values.dtype.kind in "OUT":
                content = json.dumps([str(value) for value in values.ravel()]).encode()
            elif values.dtype.kind == "b":
                content = values.astype(np.int8).tobytes()
            else:
                content = np.ascontiguousarray(values).tobytes()
            digest.update(f"{group}/{name}{variable.dims}{values.shape}".encode() + content)
    return digest.hexdigest()
