"""Where an array begins: at a line of the cache, if vectors of it are to be loaded in one go and not in two."""

import math

import numpy as np
from numpy.typing import DTypeLike

from scratchnet.types import Array

LINE = 64
"""Bytes of a line of the cache, and of the longest vector register."""


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """An array like that of np.empty, but beginning at a line of the cache; np.empty promises 16 bytes."""
    memory = np.empty(math.prod(shape) * np.dtype(dtype).itemsize + LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.__array_interface__["data"][0] % LINE)
