"""Posteriors as arviz objects and as files.

A file is netCDF 4 with the groups that arviz gives a name to, so that other tools can read it:
``posterior``, ``sample_stats``, ``log_likelihood``, ``observed_data`` and ``constant_data`` (the
table it was conditioned on). It holds numbers and names, never code, and a digest of both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from sloth_jax.covariates import KINDS, Scaling
from sloth_jax.diagnostics import Diagnostics, arviz_object
from sloth_jax.errors import InputError
from sloth_jax.files import check_writable, write_bytes
from sloth_jax.identifiability import Report
from sloth_jax.law import Params
from sloth_jax.leaderboard import Leaderboard
from sloth_jax.links import QuantileMixture
from sloth_jax.posterior import Posterior, log_likelihood
from sloth_jax.prior import Population, Scales
from sloth_jax.provenance import versions
from sloth_jax.sampler import SamplerSettings, Trace

FORMAT = "sloth-jax posterior 3"

_PARAMS = {
    "intercept": ("family", "skill"),
    "slope": ("covariate", "skill"),
    "loading": ("benchmark", "skill"),
    "bias": ("benchmark",),
    "specific": ("family", "benchmark"),
    "growth": ("family", "skill"),
    "specific_growth": ("family", "benchmark"),
    "growth_from": ("family",),
    "floor": ("benchmark",),
    "own": ("model", "skill"),
}
_LINK = {
    "tilt": ("piece", "benchmark"),
    "slack": ("benchmark",),
    "centre": ("benchmark",),
    "spread": ("benchmark",),
}
_POPULATION = {
    "lineage": ("lineage", "skill"),
    "lineage_scale": (),
    "post_training": ("skill",),
    "specific_scale": ("benchmark",),
    "growth_scale": (),
    "specific_growth_scale": ("benchmark",),
    "model_scale": (),
    "noise": ("benchmark",),
    "noise_df": (),
    "offset": ("source", "benchmark"),
}
_STATISTICS = {"energy": "energy", "diverging": "diverging", "n_steps": "steps"}
_TABLE = {
    "family_of_model": ("family", ("model",)),
    "lineage_of_family": ("lineage_of_family", ("family",)),
    "post_trained_of_family": ("post_trained_of_family", ("family",)),
    "params_b": ("params_b", ("model",)),
    "active_params_b": ("active_params_b", ("model",)),
    "tokens_t": ("tokens_t", ("model",)),
    "released": ("released", ("model",)),
    "table_floor": ("floors", ("benchmark",)),
    "standard_error": ("standard_errors", ("model", "benchmark")),
    "items": ("items", ("benchmark",)),
    "source_of_score": ("source", ("model", "benchmark")),
}
# A site and the dimension of families' lineages share their name; netCDF gives it to the dimension.
_RENAMED = {"lineage": "lineage_effect"}


def posterior_groups(posterior: Posterior) -> dict[str, xr.Dataset]:
    """A posterior as datasets with named dimensions, by arviz' names of groups.

    Args:
        posterior: draws from the posterior.

    Returns:
        ``posterior`` holds all parameters with dimensions ``chain``, ``draw``, ``family``,
        ``lineage``, ``benchmark``, ``source``, ``skill``, ``covariate`` and ``piece`` (of the
        link);
        ``log_likelihood`` has ``score``, one entry per observed score, with all effects given.
    """
    table = posterior.table
    chains, draws, skills = posterior.population.post_training.shape
    names: dict[str, Any] = {
        "chain": np.arange(chains),
        "draw": np.arange(draws),
        "model": list(table.models),
        "family": list(table.families),
        "lineage": list(table.lineages),
        "benchmark": list(table.benchmarks),
        "source": list(table.sources),
        "skill": np.arange(skills),
        "covariate": list(KINDS[posterior.covariates]),
    }

    def dataset(variables: Mapping[str, tuple[tuple[str, ...], Any]]) -> xr.Dataset:
        used = {d for dims, _ in variables.values() for d in dims}
        coords = {name: value for name, value in names.items() if name in used}
        arrays = {name: (dims, np.asarray(value)) for name, (dims, value) in variables.items()}
        return xr.Dataset(arrays, coords=coords)

    leading = ("chain", "draw")
    sites = {name: (leading + dims, getattr(posterior.params, name))
             for name, dims in _PARAMS.items()}  # fmt: skip
    sites |= {f"link_{name}": (leading + dims, getattr(posterior.params.link, name))
              for name, dims in _LINK.items()}  # fmt: skip
    sites |= {_RENAMED.get(name, name): (leading + dims, getattr(posterior.population, name))
              for name, dims in _POPULATION.items()}  # fmt: skip
    model, benchmark = np.nonzero(table.observed)
    likelihood = dataset({"score": (("chain", "draw", "entry"), log_likelihood(posterior))})
    likelihood = likelihood.assign_coords(
        entry_model=("entry", np.asarray(table.models)[model]),
        entry_benchmark=("entry", np.asarray(table.benchmarks)[benchmark]),
    )
    return {
        "posterior": dataset(sites),
        "sample_stats": dataset(
            {
                name: (leading, getattr(posterior.trace, site))
                for name, site in _STATISTICS.items()
            }
        ),
        "log_likelihood": likelihood,
        "observed_data": dataset({"score": (("model", "benchmark"), table.scores)}),
        "constant_data": dataset(
            {
                name: (dims, getattr(table, attribute))
                for name, (attribute, dims) in _TABLE.items()
            }
            | {"position": (("chain", "draw", "number"), posterior.trace.position)}
        ),
    }  # fmt: skip


def to_arviz(posterior: Posterior) -> Any:
    """A posterior as arviz' own object, for ``az.loo``, ``az.summary`` and ``az.plot_*``.

    ``az.loo`` on it leaves single scores out, whose families have others; for families nobody has
    seen, leave whole lineages out with :func:`sloth_jax.selection.leave_lineages_out`.

    Args:
        posterior: draws from the posterior.

    Returns:
        ``arviz.InferenceData``, or the ``xarray.DataTree`` that arviz 1 works on.
    """
    groups = posterior_groups(posterior)
    del groups["constant_data"]["position"]
    return arviz_object(groups)


def save_posterior(posterior: Posterior, path: str | Path) -> None:
    """Write a posterior to a netCDF file, all of it or nothing.

    Args:
        posterior: draws from the posterior.
        path: file to write or replace.

    Raises:
        OutputError: if it cannot be written; what was there before is still there.
    """
    check_writable(path)
    groups = posterior_groups(posterior)
    facts = {
        "scaling": posterior.scaling._asdict(),
        "covariates": posterior.covariates,
        "pivots": posterior.pivots,
        "diagnostics": asdict(posterior.diagnostics),
        "settings": asdict(posterior.settings),
        "report": posterior.report.to_dict(),
        "warnings": posterior.table.warnings,
        "versions": versions(),
    }
    about = json.dumps(facts, sort_keys=True)
    attributes = {"format": FORMAT, "about": about, "digest": _digest(groups, about)}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = attributes
    # Made in memory: HDF5 takes the whole process down when a disk is full.
    content = tree.to_netcdf(engine="h5netcdf")
    assert content is not None  # without a path it is the file's bytes
    write_bytes(path, bytes(content))  # pyright: ignore[reportArgumentType]


def load_posterior(path: str | Path, table: Leaderboard | None = None) -> Posterior:
    """Read a posterior that :func:`save_posterior` wrote.

    Args:
        path: the file.
        table: what it must have been conditioned on; None takes the table in the file.

    Returns:
        The same :class:`Posterior`, to the last bit.

    Raises:
        InputError: if the file cannot be read, is not such a file, was changed or cut off since
            it was written, or is of another table.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            attributes = dict(tree.attrs)
            groups = {name: tree[name].to_dataset().load() for name in tree.children}
    except Exception as error:  # whatever a reader of netCDF makes of arbitrary bytes
        raise InputError(
            f"{path}: not a file of save_posterior, or cut off ({type(error).__name__}); "
            "sample and save again"
        ) from None
    if attributes.get("format") != FORMAT:
        found = attributes.get("format", "none")
        raise InputError(f"{path}: its format is {found!r}, not {FORMAT!r}; sample and save again")
    about = attributes.get("about", "")
    if attributes.get("digest") != _digest(groups, about):
        raise InputError(f"{path}: changed since it was written; sample and save again")
    facts = json.loads(about)
    found = _table(groups, facts["warnings"])
    if table is not None:
        differing = _difference(found, table)
        if differing:
            raise InputError(
                f"{path}: sampled from another table ({differing}); sample again, or load it "
                "without a table"
            )
    sites, statistics = groups["posterior"], groups["sample_stats"]
    diverging = jnp.asarray(statistics["diverging"].values).astype(bool)

    def site(name: str) -> Any:
        return jnp.asarray(sites[name].values)

    link = QuantileMixture(**{name: site(f"link_{name}") for name in _LINK})
    settings = facts["settings"]
    return Posterior(
        params=Params(**{name: site(name) for name in _PARAMS}, link=link),
        population=Population(**{name: site(_RENAMED.get(name, name)) for name in _POPULATION}),
        trace=Trace(
            position=jnp.asarray(groups["constant_data"]["position"].values),
            energy=jnp.asarray(statistics["energy"].values),
            diverging=diverging,
            steps=jnp.asarray(statistics["n_steps"].values),
        ),
        table=found,
        scaling=Scaling(**facts["scaling"]),
        covariates=facts["covariates"],
        pivots=tuple(facts["pivots"]),
        diagnostics=Diagnostics(**facts["diagnostics"]),
        settings=SamplerSettings(**(settings | {"scales": Scales(**settings["scales"])})),
        report=Report.from_dict(facts["report"]),
    )


def _table(groups: Mapping[str, xr.Dataset], warnings: list[str]) -> Leaderboard:
    constant, observed = groups["constant_data"], groups["observed_data"]

    def names(dimension: str) -> tuple[str, ...]:
        return tuple(str(name) for name in groups_with[dimension][dimension].values)

    groups_with = {
        "model": observed, "benchmark": observed, "family": groups["posterior"],
        "lineage": groups["posterior"], "source": groups["posterior"],
    }  # fmt: skip
    columns = {
        attribute: constant[name].values
        for name, (attribute, _) in _TABLE.items()
        if attribute != "released"
    }
    return Leaderboard(
        models=names("model"),
        families=names("family"),
        lineages=names("lineage"),
        benchmarks=names("benchmark"),
        sources=names("source"),
        released=tuple(str(day) for day in constant["released"].values),
        scores=observed["score"].values,
        warnings=tuple(warnings),
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


def _digest(groups: Mapping[str, xr.Dataset], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for group, dataset in sorted(groups.items()):
        for name, variable in sorted(dataset.variables.items(), key=lambda pair: str(pair[0])):
            values = variable.values
            if values.dtype.kind in "OUT":
                content = json.dumps([str(value) for value in values.ravel()]).encode()
            elif values.dtype.kind == "b":
                content = values.astype(np.int8).tobytes()
            else:
                content = np.ascontiguousarray(values).tobytes()
            digest.update(f"{group}/{name}{variable.dims}{values.shape}".encode() + content)
    return digest.hexdigest()
