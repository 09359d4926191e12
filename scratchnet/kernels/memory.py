"""Reuses the memory of large arrays.

The system creates the pages of a large allocation at their first write, and that costs more than filling them. So the
memory of a large array that has been freed is kept for the next array of about that size. No lock is needed: each step
is a single atomic operation of Python, and the worst that two threads can do is to keep less than they could.
"""

import collections
import math
import weakref
from typing import Any

import numpy as np

from scratchnet.arrays import Array

LEAST = 2**20
"""Bytes from which memory is kept. NumPy allocates smaller arrays fast."""

MOST = 2**27
"""Bytes that are kept at most, in total."""

LINE = 64
"""Bytes of a cache line. Large arrays are aligned to it."""

_kept: dict[int, collections.deque[Array]] = {}
"""Blocks of free memory, by size; the size that was freed last comes last."""


class _Owner:
    """Owns a block of memory for one array. The array and all its views keep it alive through their `base`."""

    __slots__ = ("__array_interface__", "__weakref__")

    def __init__(self, block: Array, shape: tuple[int, ...], dtype: np.dtype):
        address = block.__array_interface__["data"][0]
        place = (address + -address % LINE, False)
        self.__array_interface__ = {"shape": shape, "typestr": dtype.str, "data": place, "version": 3}


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Like np.empty, aligned to cache lines if large."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if not LEAST <= size <= MOST or dtype.kind not in "fc":
        return np.empty(shape, dtype)
    step = 2 ** (size.bit_length() - 4)  # rounds up by an eighth at most, so that there are few sizes
    size = -(-size // step) * step
    try:
        block = _kept[size].pop()  # used last, so it may still be in the cache
    except LookupError:
        block = np.empty(size + LINE, np.uint8)
    owner = _Owner(block, shape, dtype)
    weakref.finalize(owner, _keep, size, block).atexit = False
    return np.asarray(owner)


def _keep(size: int, block: Array) -> None:
    """Keep the memory of a freed array, and drop the blocks that waited longest if that is too much."""
    blocks = _kept.pop(size, None) or collections.deque()
    blocks.append(block)
    _kept[size] = blocks
    for oldest in list(_kept):
        if sum(each * len(blocks) for each, blocks in list(_kept.items())) <= MOST:
            break
        _kept.pop(oldest, None)


def release() -> None:
    """Return all kept memory to the system."""
    _kept.clear()
