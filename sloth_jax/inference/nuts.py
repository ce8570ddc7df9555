"""The No-U-Turn sampler over the raw parameters of the law, chains spread over devices.

Chains move in the axes of the curvature at the mode
(:func:`sloth_jax.inference.approximations.laplace_normal`), in which the posterior is nearly a
standard normal: no mass matrix has to be learnt from draws, and trajectories are short. Source:
Hoffman and Gelman 2014; NumPyro's kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sloth_jax.inference.approximations import Normal
from sloth_jax.inference.checkpoint import Checkpoint
from sloth_jax.inference.settings import NutsSettings
from sloth_jax.law.target import Target

_CHUNK = 25  # transitions per compiled call; after each the progress bar moves
_FIRST_STEP = 0.1


class Trace(NamedTuple):
    """Draws of chains and how they were made, with leading axes ``(chain, draw)``.

    Attributes:
        position: ``(chain, draw, parameter)``.
        energy: Hamiltonian.
        diverging: whether the transition diverged.
        steps: leapfrog steps.
    """

    position: Array
    energy: Array
    diverging: Array
    steps: Array


def begin_chains(target: Target, normal: Normal, key: Array, settings: NutsSettings) -> Any:
    """States of chains before their first transition: a pure function.

    Chains begin apart, as draws of the normal at half its width, or R-hat could not tell that they
    never moved.
    """
    from numpyro.infer.hmc import hmc  # takes half a second, and only NUTS needs it

    begin, _ = hmc(potential_fn=_whitened(target, normal), algo="NUTS")
    jitter_key, chain_key = jax.random.split(key)
    shape = (settings.chains, normal.mean.size)
    starts = 0.5 * jax.random.normal(jitter_key, shape, normal.mean.dtype)
    keys = jax.random.split(chain_key, settings.chains)

    def begin_here(position: Array, key: Array) -> Any:
        return begin(position, rng_key=key, **_kernel(settings))

    state = jax.vmap(begin_here)(starts, keys)
    # A type as weak as Python's numbers would change in the first transition, and with it the
    # program.
    return jax.tree.map(
        lambda a: a if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else jnp.asarray(a, a.dtype),
        state,
    )


def transitions(
    target: Target, normal: Normal, state: Any, settings: NutsSettings, count: int
) -> tuple[Any, Trace]:
    """Move chains ``count`` transitions: a pure function; the new state, and the draws."""
    from numpyro.infer.hmc import hmc

    # Compiled on its own it is traced once, not at each of the places where NUTS asks for it.
    begin, step = hmc(potential_fn=jax.jit(_whitened(target, normal)), algo="NUTS")
    # NumPyro's step takes its settings from the last call of begin; what this one computes is not
    # used, and so is not compiled.
    begin(jnp.zeros_like(normal.mean), rng_key=jax.random.key(0), **_kernel(settings))

    def move(state: Any, _: None) -> tuple[Any, Trace]:
        state = jax.vmap(step)(state)
        where = normal.position(state.z)
        return state, Trace(where, state.energy, state.diverging, state.num_steps)

    state, trace = jax.lax.scan(move, state, length=count)
    return state, jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), trace)


def _whitened(target: Target, normal: Normal) -> Callable[[Array], Array]:
    return lambda unit: target.potential(normal.position(unit))


def _kernel(settings: NutsSettings) -> dict[str, Any]:
    return {
        "num_warmup": settings.warmup,
        "max_tree_depth": settings.max_tree_depth,
        "target_accept_prob": settings.target_accept,
        "step_size": _FIRST_STEP,
        "adapt_mass_matrix": True,
    }


def run_chains(
    target_of: Callable[[Any], Target],
    facts: Any,
    normal: Normal,
    key: Array,
    settings: NutsSettings,
    *,
    on_progress: Callable[[int], Any] = lambda count: None,
    checkpoint: Checkpoint | None = None,
) -> Trace:
    """Sample with chains spread over devices, in parts, so that progress can be shown.

    Args:
        target_of: makes the density of ``facts``; hashable, and equal to an earlier one where that
            one's program may be used again.
        facts: arrays that the density needs.
        normal: axes in which chains move.
        key: random key.
        settings: how chains move.
        on_progress: called with the number of transitions after each part.
        checkpoint: in which what is done is kept, and from which it goes on; the draws are the
            same as without an interruption. Its file is left there.

    Raises:
        InputError: if the checkpoint is of another run.
    """
    devices = jax.local_devices()
    share = next(n for n in range(len(devices), 0, -1) if settings.chains % n == 0)
    mesh = Mesh(np.asarray(devices[:share]), ("chain",))
    by_chain = NamedSharding(mesh, PartitionSpec("chain"))
    # Placed where they will be after each part, or the second would be compiled anew.
    state = jax.device_put(_begin(facts, normal, key, target_of, settings), by_chain)
    total = settings.warmup + settings.draws
    # The same number in every call, or there would be a second program to compile; draws beyond
    # the last one wanted are dropped.
    count = min(_CHUNK, total)
    done, whole = 0, None
    if checkpoint and (kept := checkpoint.load(state)):
        done, restored, arrays = kept
        whole = Trace(*(jnp.asarray(array) for array in arrays))
        state = jax.device_put(restored, by_chain)
        on_progress(done)
    while done < total:
        state, trace = jax.block_until_ready(
            _advance(facts, normal, state, target_of, settings, count, mesh)
        )
        trace = jax.device_get(trace)
        whole = trace if whole is None else jax.tree.map(_joined, whole, trace)
        done += count
        if checkpoint:
            checkpoint.save(done, state, whole)
        on_progress(count)
    return jax.tree.map(lambda a: jnp.asarray(a[:, settings.warmup : total]), whole)


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.concatenate([one, other], axis=1)


@partial(jax.jit, static_argnames=("target_of", "settings"))
def _begin(facts: Any, normal: Normal, key: Array, target_of: Any, settings: NutsSettings) -> Any:
    return begin_chains(target_of(facts), normal, key, settings)


@partial(jax.jit, static_argnames=("target_of", "settings", "count", "mesh"))
def _advance(
    facts: Any,
    normal: Normal,
    state: Any,
    target_of: Any,
    settings: NutsSettings,
    count: int,
    mesh: Mesh,
) -> tuple[Any, Trace]:
    def on_one_device(facts: Any, normal: Normal, state: Any) -> tuple[Any, Trace]:
        return transitions(target_of(facts), normal, state, settings, count)

    by_chain, everywhere = PartitionSpec("chain"), PartitionSpec()
    # Not jit's own partitioning: at every leapfrog step it would stop a device to ask the others.
    return jax.shard_map(
        on_one_device,
        mesh=mesh,
        in_specs=(everywhere, everywhere, by_chain),
        out_specs=(by_chain, by_chain),
        check_vma=False,
    )(facts, normal, state)
