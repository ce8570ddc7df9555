"""Where the published fits started: the random numbers of their framework.

The published baselines are single fits from one random start (seed 42, PyTorch's generator on a
CPU), and several have many local minima: another start moves the mean error of some of them by a
hundredth. Reproducing a published number therefore means starting where it started. This module
draws the same numbers; nothing else in the package uses it.

PyTorch's generator is the Mersenne Twister (Matsumoto and Nishimura 1998), which NumPy has too.
How PyTorch turns its integers into floats: a uniform float takes the lowest 24 bits of one
integer; 16 or more normals come in blocks of 16 by the transform of Box and Muller (1958) between
the halves of a block; fewer than 16 are made one pair at a time in double precision from 53 bits.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 16


class PublishedGenerator:
    """The random numbers that PyTorch draws on a CPU.

    Args:
        seed: seed as given to ``torch.manual_seed``.
    """

    def __init__(self, seed: int) -> None:
        self._integers = np.random.RandomState(seed)  # the same integers are meant
        self._second: float | None = None

    def _words(self, count: int) -> np.ndarray:
        return self._integers.randint(0, 2**32, size=count, dtype=np.uint32)

    def _unit(self, count: int) -> np.ndarray:
        return ((self._words(count) & (2**24 - 1)) * 2.0**-24).astype(np.float32)

    def uniform(self, shape: tuple[int, ...], bound: float) -> np.ndarray:
        """Uniform floats between ``-bound`` and ``bound``."""
        bound32 = np.float32(bound)
        unit = self._unit(int(np.prod(shape))).reshape(shape)
        return unit * (bound32 + bound32) - bound32

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Standard normal floats."""
        count = int(np.prod(shape))
        if count < _BLOCK:
            drawn = np.array([self._one_normal() for _ in range(count)], np.float32)
            return drawn.reshape(shape)
        drawn = self._unit(count)
        whole = count - count % _BLOCK
        for begin in range(0, whole, _BLOCK):
            drawn[begin : begin + _BLOCK] = self._box_muller(drawn[begin : begin + _BLOCK])
        if whole < count:
            # The rest is drawn anew as a whole block that overlaps the one before.
            drawn[-_BLOCK:] = self._box_muller(self._unit(_BLOCK))
        return drawn.reshape(shape)

    @staticmethod
    def _box_muller(unit: np.ndarray) -> np.ndarray:
        half = _BLOCK // 2
        radius = np.sqrt(-2.0 * np.log(1.0 - unit[:half]))
        angle = np.float32(2.0 * np.pi) * unit[half:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])

    def _one_normal(self) -> float:
        if self._second is not None:
            first, self._second = self._second, None
            return first
        words = self._words(4).astype(np.uint64)
        bits = ((words[::2] << np.uint64(32)) | words[1::2]) & np.uint64(2**53 - 1)
        angle, unit = bits.astype(np.float64) * 2.0**-53
        radius = np.sqrt(-2.0 * np.log1p(-unit))
        self._second = float(radius * np.sin(2.0 * np.pi * angle))
        return float(radius * np.cos(2.0 * np.pi * angle))
