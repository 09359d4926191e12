"""Slopes without calculus: difference quotients from either side, and the complex step.

A central difference asks nothing of f but its values, so it measures the very code that trains:

    (f(x + h d) − f(x − h d)) / 2h = f′(x)·d + O(h²).

It subtracts two nearly equal numbers: h too large drowns in curvature, h too small in rounding, and the best h leaves
about ten digits. The complex step goes sideways instead, off the real line, where nothing is subtracted [1]_:

    Im f(x + ih d) / h = f′(x)·d + O(h²),

so h can be 1e-20 and all digits survive; but every formula on the way must be analytic. At a kink neither means
anything. There the slopes from the left and from the right differ, and go on differing as h shrinks; where f is
smooth their difference shrinks with h. Derivation: docs/14-checking-gradients.md.

References
----------
.. [1] Squire & Trapp, Using complex variables to estimate derivatives of real functions, 1998.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from scratchnet.arrays import Array

STEP = np.finfo(np.float64).eps ** (1 / 3)
"""Where curvature, h², and rounding, eps / h, cost a central difference about the same: 6.1e-6."""

COARSE = 8.0
"""How many times longer the step is that a kink is looked for with."""

COMPLEX_STEP = 1e-20

LADDER = 10.0 ** -np.arange(1.0, 13.5, 0.5)
"""The steps of a V-curve."""

Line = Callable[[complex], Array]
"""t → y, as the point moves by t along one direction."""


@dataclass(frozen=True)
class Slope:
    """The slope of each output along a line.

    Attributes
    ----------
    dy : like y
    step : float
        It was measured with.
    kinked : bool
        Whether some output has a kink there.
    doubt : like y
        How far it may be off, by what another step gave.
    """

    dy: Array
    step: float
    kinked: bool
    doubt: Array


class Probes:
    """The directions in which an array is moved: each coordinate, or so many random directions of length 1.

    Parameters
    ----------
    x : array
    coordinates : int
        The most that are tried one by one.
    directions : int
        How many random directions stand for a larger array.
    rng : numpy.random.Generator
    """

    def __init__(self, x: Array, coordinates: int, directions: int, rng: np.random.Generator):
        self.each = x.size <= coordinates
        self._shape = x.shape
        self._random = [] if self.each else [random_direction(x.shape, rng) for _ in range(directions)]
        self._count = x.size if self.each else directions

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> Array:
        if not 0 <= k < len(self):
            raise IndexError(k)
        if not self.each:
            return self._random[k]
        return coordinate_direction(self._shape, np.unravel_index(k, self._shape))

    def along(self, gradient: Array) -> Array:
        """The slope (K,) that a gradient claims along each direction."""
        if self.each:
            return np.ravel(gradient)
        return np.array([(gradient * direction).sum() for direction in self._random])

    def __str__(self) -> str:
        return f"{len(self)} {'coordinates' if self.each else 'random directions'}"


def coordinate_direction(shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    """An array that is 1 at the index, and 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def random_direction(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """An array of length 1, pointing anywhere."""
    d = rng.standard_normal(shape)
    return d / np.linalg.norm(d)


def slope(line: Line, y: Array, scale: float) -> Slope:
    """The slope at t = 0, by the standard step, or by the first shorter one that stays where f exists.

    `scale` is that of the numbers moved: the step is in proportion.
    """
    *longer, shortest = scale * STEP / COARSE ** np.arange(9)
    for step in longer:
        with contextlib.suppress(ValueError, ArithmeticError):  # a probability of 1.00001
            return _central(line, y, step, scale)
    return _central(line, y, shortest, scale)


def steadiest_slope(line: Line, y: Array, scale: float) -> Slope:
    """The slope by the step that leaves least doubt: curvature and rounding together change it least."""
    found: list[Slope] = []
    for step in scale * STEP / COARSE ** np.arange(-2.0, 9.0):
        with contextlib.suppress(ValueError, ArithmeticError):
            found.append(_central(line, y, step, scale))
    if len(found) < 2:
        raise FloatingPointError("f exists too near to the point alone for a slope to be measured")
    judged = [
        Slope(one.dy, one.step, one.kinked, np.abs(one.dy - shorter.dy) + _rounding(y, shorter.dy, scale, shorter.step))
        for one, shorter in pairwise(found)
    ]
    best = int(np.argmin([one.doubt.sum() for one in judged]))
    return replace(judged[best], kinked=any(one.kinked for one in judged[best:]))


def complex_slope(line: Line, h: float = COMPLEX_STEP) -> Array:
    """Im f(x + ih d) / h of each output."""
    return np.imag(line(1j * h)) / h


def central_difference(line: Line, h: float) -> Array:
    """(f(x + h d) − f(x − h d)) / 2h of each output."""
    return (line(h) - line(-h)) / (2 * h)


def _central(line: Line, y: Array, h: float, scale: float) -> Slope:
    before, after, further_before, further_after = line(-h), line(h), line(-COARSE * h), line(COARSE * h)
    dy = (after - before) / (2 * h)
    bend = np.abs(after - 2 * y + before) / h  # the slope on the right less that on the left
    bend_before = np.abs(further_after - 2 * y + further_before) / (COARSE * h)
    noise = 25 * _rounding(y, dy, scale, h)
    # Curvature bends in proportion to h: an eighth is left of it. A kink bends as before.
    doubt = np.abs((further_after - further_before) / (2 * COARSE * h) - dy) / COARSE
    return Slope(dy, h, bool(np.any((bend > noise) & (bend > bend_before / 4))), doubt)


def _rounding(y: Array, dy: Array, scale: float, h: float) -> float:
    """By how much rounding may change a difference quotient, from the size of y and of the products in it."""
    return 4 * np.finfo(np.float64).eps * (np.abs(y).max(initial=0) + scale * np.abs(dy).max(initial=0)) / h
