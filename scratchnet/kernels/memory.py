"""Large arrays in memory that is used again.

A system hands out large memory as pages that don't exist yet, and creating each of them at its first write costs more
than filling it. So the memory of a large array that is gone is kept for the next array of about that size. There is no
lock: each step is one operation of Python's, and the worst that two threads can do is to keep less than they could.
"""

import collections
import math
import weakref
from typing import Any

import numpy as np

from scratchnet.arrays import Array

LEAST = 2**20
"""Bytes from which on memory is kept. What is smaller comes from NumPy, which is fast with it."""

MOST = 2**27
"""Bytes that are kept at most, in all."""

LINE = 64
"""Bytes of a cache line. A large array begins at one."""

_kept: dict[int, collections.deque[Array]] = {}
"""Blocks of memory that no array lies in, by their size. The size that was given back last stands last."""


class _Owner:
    """Owns a block of memory for one array. The array and all its views refer to it, through their `base`."""

    __slots__ = ("__array_interface__", "__weakref__")

    def __init__(self, block: Array, shape: tuple[int, ...], dtype: np.dtype):
        address = block.__array_interface__["data"][0]
        place = (address + -address % LINE, False)
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": place, "version": 3}


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array like that of np.empty."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if not LEAST <= size <= MOST or dtype.kind not in "fc":
        return np.empty(shape, dtype)
    step = 2 ** (size.bit_length() - 4)  # sizes are rounded up by an eighth at most, so that there are few
    size = -(-size // step) * step
    try:
        block = _kept[size].pop()  # the one that was used last: it may still be in the cache
    except LookupError:
        block = np.empty(size + LINE, np.uint8)
    owner = _Owner(block, shape, dtype)
    weakref.finalize(owner, _keep, size, block).atexit = False
    return np.asarray(owner)


def _keep(size: int, block: Array) -> None:
    """Keep the memory of an array that is gone, and let go of what has waited longest if it becomes too much."""
    blocks = _kept.pop(size, None) or collections.deque()
    blocks.append(block)
    _kept[size] = blocks
    for oldest in list(_kept):
        if sum(each * len(blocks) for each, blocks in list(_kept.items())) <= MOST:
            break
        _kept.pop(oldest, None)


def release() -> None:
    """Give all memory that is kept back to the system."""
    _kept.clear()
