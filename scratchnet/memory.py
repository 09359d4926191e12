"""Where an array begins, and whose memory it has: at a line of the cache, and that of an array which is gone.

A line of the cache, since vectors of it are then loaded in one go and not in two. Used again, since a system hands out
large memory anew in pages, and each of them, when it is first written to, costs more than to fill it.
"""

import collections
import math

import numpy as np
from numpy.typing import DTypeLike

from scratchnet.types import Array

LINE = 64
"""Bytes of a line of the cache, and of the longest vector register."""

LEAST, MOST = 2**16, 2**24
"""Bytes from which on memory is kept for the next array, and up to which: what is smaller is used again by NumPy, and
what is larger goes back to the system."""

_kept: dict[int, collections.deque[Array]] = collections.defaultdict(lambda: collections.deque(maxlen=16))
"""Memory that nobody uses, by its bytes."""


class _Loan:
    """Memory that goes back to where it is kept when the last array in it is gone."""

    def __init__(self, memory: Array, home: collections.deque[Array]):
        self.memory, self.home = memory, home
        self.__array_interface__ = memory.__array_interface__

    def __del__(self):
        self.home.append(self.memory)


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """An array like that of np.empty, but beginning at a line of the cache; np.empty promises 16 bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize + LINE
    if LEAST <= size <= MOST:
        step = 2 ** (size.bit_length() - 4)  # sizes are rounded up by an eighth at most, so that few are kept
        home = _kept[-(-size // step) * step]
        try:
            memory = home.pop()
        except IndexError:
            memory = np.empty(-(-size // step) * step, np.uint8)
        memory = np.asarray(_Loan(memory, home))
    else:
        memory = np.empty(size, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.__array_interface__["data"][0] % LINE)
