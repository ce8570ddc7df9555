"""Cross-validation: any method, on folds that are masks on the same arrays.

A **method** is a function ``method(table, train, key)`` of a table, masks of the scores it may
use, ``(fold, model, benchmark)``, and a random key, that returns expected scores of all rows,
``(fold, model, benchmark)``. Folds come from :mod:`sloth_jax.evaluation.folds`, errors are
summarised by :mod:`sloth_jax.evaluation.scoring`.

Methods of this package fit all folds in one compiled program, :func:`map_folds`: one ``vmap`` over
folds, block by block so that memory stays bounded, on all devices where there are several.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import pandas as pd
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from sloth_jax.data.leaderboard import Leaderboard
from sloth_jax.evaluation.folds import Folds
from sloth_jax.evaluation.scoring import COLUMNS

# Folds computed at a time on a device. Few: a block takes as long as its slowest fold, so that
# larger ones were slower, by a fifth to a factor of two, on two CPU cores.
BLOCK = 2
PREDICTION_COLUMNS = ("fold", "family", "model", "benchmark", "held_out", "score", "prediction")


class Method(Protocol):
    """What :func:`cross_validate` asks of a method."""

    def __call__(self, table: Leaderboard, train: np.ndarray, key: Array) -> np.ndarray:
        """Fit every fold and predict every row.

        Args:
            table: models and scores.
            train: scores that may be used, ``(fold, model, benchmark)``, bool.
            key: random key.

        Returns:
            Expected scores, fractions, ``(fold, model, benchmark)``. Rows of families without a
            training score in a fold are ignored there.
        """
        ...


def map_folds(
    fit: Callable[[Any, Any], Any], folds: Any, shared: Any, *, block: int = BLOCK
) -> Any:
    """Apply a function to every fold, in one compiled program on all devices.

    Folds are computed in blocks of a fixed size, one block after the other on each device. That
    bounds the memory, and it makes a fold's arithmetic, to the last bit, the same whatever other
    folds there are: fits that run for thousands of steps enlarge a difference in rounding to one
    in the third digit.

    Args:
        fit: pure function ``fit(fold, shared)`` of one fold's arrays and of what all folds share;
            hashable, and equal to an earlier one wherever that one's program may be used again.
        folds: tree of arrays with a leading axis ``fold``.
        shared: tree of arrays.
        block: folds computed at a time on each device.

    Returns:
        What ``fit`` returns, with a leading axis ``fold``, as NumPy arrays.
    """
    mesh = Mesh(np.asarray(jax.local_devices()), ("fold",))
    mapped = _map_folds(fit, mesh, block, folds, shared)
    count = jax.tree.leaves(folds)[0].shape[0]
    # Put together here. To do it in the program devices would meet at its end, and XLA gives up on
    # one that is 40 seconds late, as it may be after minutes beside other work.
    return jax.tree.map(lambda a: a[:count], jax.device_get(mapped))


@partial(jax.jit, static_argnames=("fit", "mesh", "block"))
def _map_folds(
    fit: Callable[[Any, Any], Any], mesh: Mesh, block: int, folds: Any, shared: Any
) -> Any:
    count = jax.tree.leaves(folds)[0].shape[0]
    # Every device gets as many whole blocks; the last fold stands in for those that are missing.
    each = -(-count // (mesh.size * block)) * block
    places = np.minimum(np.arange(mesh.size * each), count - 1)
    by_fold, everywhere = PartitionSpec("fold"), PartitionSpec()

    def on_one_device(folds: Any, shared: Any) -> Any:
        blocks = jax.tree.map(lambda a: a.reshape(-1, block, *a.shape[1:]), folds)
        done = jax.lax.map(lambda some: jax.vmap(fit, in_axes=(0, None))(some, shared), blocks)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), done)

    # Not jit's own partitioning: it would stop every device at every step of every loop to ask the
    # others whether they are done.
    return jax.shard_map(
        on_one_device,
        mesh=mesh,
        in_specs=(by_fold, everywhere),
        out_specs=by_fold,
        check_vma=False,
    )(jax.tree.map(lambda a: a[places], folds), shared)


class Validation(NamedTuple):
    """What cross-validation of one method gives.

    Attributes:
        predictions: one row per fold, model of a tested family and benchmark, with the columns
            :data:`PREDICTION_COLUMNS`: training models of tested families too, which curves need;
            ``score`` is NaN where not measured.
        training_error: mean absolute error over the training scores of a fold, then over folds, a
            fraction.
    """

    predictions: pd.DataFrame
    training_error: float


def cross_validate(method: Method, folds: Folds, *, key: Array) -> Validation:
    """Fit every fold and predict its held-out models.

    Args:
        method: see :class:`Method`.
        folds: from :func:`sloth_jax.evaluation.folds.make_folds`.
        key: random key.

    Returns:
        A :class:`Validation`.
    """
    table = folds.table
    predicted = np.asarray(method(table, folds.train, key), dtype=np.float64)
    error = np.abs(predicted - table.scores[None])
    training = [float(np.mean(error[fold][folds.train[fold]])) for fold in range(len(predicted))]
    of_model = np.asarray(table.families, dtype=object)[table.family]
    in_tested = np.array([np.isin(of_model, families) for families in folds.tested])
    fold, model = np.nonzero(in_tested)  # (row,)
    width = len(table.benchmarks)
    predictions = pd.DataFrame(
        {
            "fold": np.repeat(fold, width),
            "family": np.repeat(of_model[model], width),
            "model": np.repeat(np.asarray(table.models, dtype=object)[model], width),
            "benchmark": np.tile(np.asarray(table.benchmarks, dtype=object), len(model)),
            "held_out": np.repeat(folds.test[fold, model], width),
            "score": table.scores[model].ravel(),
            "prediction": predicted[fold, model].ravel(),
        }
    )
    return Validation(predictions, float(np.mean(training)))


def held_out_errors(predictions: pd.DataFrame, method: str) -> pd.DataFrame:
    """Absolute errors on held-out models, as :mod:`sloth_jax.evaluation.scoring` wants them.

    Args:
        predictions: of a :class:`Validation`.
        method: name of the method.

    Returns:
        Columns :data:`sloth_jax.evaluation.scoring.COLUMNS`; one row per held-out score.
    """
    rows = predictions.loc[predictions["held_out"] & predictions["score"].notna()]
    error = (rows["prediction"] - rows["score"]).abs()
    return rows.assign(method=method, abs_error=error)[list(COLUMNS)].reset_index(drop=True)
