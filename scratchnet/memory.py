"""Where an array begins, and whose memory it has: at a line of the cache, and that of an array which is gone.

A line of the cache, since vectors of it are then loaded in one go and not in two. Used again, since a system hands out
large memory anew in pages, and each of them, when it is first written to, costs more than to fill it.
"""

import collections
import functools
import math
from sys import getrefcount
from typing import Any

import numpy as np

from scratchnet.types import Array

LINE = 64
"""Bytes of a line of the cache, and of the longest vector register."""

MOST = 2**24
"""Bytes up to which memory is kept for the next array; what is larger goes back to the system."""

_LARGE, _IN_LARGE_PAGES = 2**20, 2**22
"""Bytes from which on an array is worth large pages, and for which NumPy asks the system for them."""

_Type = np.dtype[Any] | type[np.generic]

_Kept = collections.deque[tuple[Array, int]]
"""Memory of one size, and where its first line begins. Who takes a piece out of here has it alone."""

_kept: dict[int, _Kept] = collections.defaultdict(lambda: collections.deque(maxlen=16))
"""All memory that is kept, by its bytes, whether an array lies in it or not."""


@functools.lru_cache(maxsize=4096)
def _place(shape: tuple[int, ...], dtype: _Type) -> tuple[int, _Kept]:
    """The bytes to ask for, and where such memory is kept: sizes are rounded up by an eighth at most, to be few."""
    size = math.prod(shape) * np.dtype(dtype).itemsize + LINE
    step = max(LINE, 2 ** (size.bit_length() - 4))
    size = -(-size // step) * step
    return size, _kept[size] if size <= MOST else collections.deque(maxlen=0)


def aligned(shape: tuple[int, ...], dtype: _Type) -> Array:
    """An array like that of np.empty, but beginning at a line of the cache; np.empty promises 16 bytes."""
    size, kept = _place(shape, dtype)
    for _ in range(len(kept)):
        try:
            memory, line = kept.pop()  # first what was used last, since it is still in the cache
        except IndexError:  # another thread has it
            break
        if getrefcount(memory) == _UNUSED:
            array = np.ndarray(shape, dtype, memory, line)
            kept.append((memory, line))
            return array
        kept.appendleft((memory, line))
    memory = np.empty(max(size, _IN_LARGE_PAGES) if size >= _LARGE else size, np.uint8)
    line = -memory.__array_interface__["data"][0] % LINE
    kept.append((memory, line))
    return np.ndarray(shape, dtype, memory, line)


def _count_unused() -> int:
    """How many references `aligned` counts, on this Python, to memory in which no array lies."""
    kept: _Kept = collections.deque([(np.empty(0, np.uint8), 0)])
    memory, _ = kept.pop()
    return getrefcount(memory)


_UNUSED = _count_unused()
