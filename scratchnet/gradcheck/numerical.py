"""How a slope is measured without calculus: by difference quotients and by the complex step.

A central difference needs only the values of f, so it tests the very code that trains:

    (f(x + h d) − f(x − h d)) / 2h = f′(x)·d + O(h²).

It subtracts two nearly equal numbers. If h is too large, curvature spoils the result; if h is too small, rounding does;
the best h leaves about ten digits. The complex step moves x off the real line, and subtracts nothing [1]_:

    Im f(x + ih d) / h = f′(x)·d + O(h²).

So h can be 1e-20 and all digits survive, but every formula in f must be analytic. At a kink there is no slope: the
slopes from the left and from the right differ, and their difference does not shrink with h as it does where f is
smooth. Derivation: docs/14-checking-gradients.md.

References
----------
.. [1] Squire & Trapp, Using complex variables to estimate derivatives of real functions, 1998.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array

STEP = np.finfo(np.float64).eps ** (1 / 3)
"""Where curvature, h², and rounding, eps / h, cost a central difference about the same: 6.1e-6."""

COARSE = 8.0
"""The ratio of two neighbouring steps."""

COMPLEX_STEP = 1e-20

LADDER = 10.0 ** -np.arange(1.0, 13.5, 0.5)
"""The steps of a V-curve."""

Line = Callable[[complex], Array]
"""t → y at x + t d."""


class Slope(NamedTuple):
    """The slope of L = Σ dy ⊙ y along a line, by central difference.

    `kinked` says whether some output has a kink there. Another step may give a value that is off by `doubt`, and
    rounding may change it by `rounding`. `floor` is Σ |dy ⊙ y| over the outputs that change.
    """

    value: float
    step: float
    kinked: bool
    doubt: float
    rounding: float
    floor: float


@dataclass(frozen=True)
class Probes:
    """The directions in which an array is moved: each coordinate, or some random directions of length 1."""

    shape: tuple[int, ...]
    random: list[Array]
    """The random directions; none if each coordinate is moved."""

    @classmethod
    def of(cls, x: Array, coordinates: int, directions: int, rng: np.random.Generator) -> "Probes":
        """Each coordinate of x, or random directions if there are more coordinates than that."""
        count = 0 if x.size <= coordinates else directions
        return cls(x.shape, [random_direction(x.shape, rng) for _ in range(count)])

    def __len__(self) -> int:
        return len(self.random) or int(np.prod(self.shape))

    def __getitem__(self, k: int) -> Array:
        if k >= len(self):
            raise IndexError(k)
        return self.random[k] if self.random else np.eye(1, len(self), k).reshape(self.shape)

    def along(self, gradient: Array) -> Array:
        """The slope along each direction, (K,), according to a gradient; NaN if it has another shape."""
        if gradient.shape != self.shape:
            return np.full(len(self), np.nan)
        if not self.random:
            return np.ravel(gradient)
        return np.array([(gradient * direction).sum() for direction in self.random])

    def __str__(self) -> str:
        return f"{len(self)} {'random directions' if self.random else 'coordinates'}"


def random_direction(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """A random array of length 1."""
    d = rng.standard_normal(shape)
    return d / np.linalg.norm(d)


def complex_slope(line: Line, h: float = COMPLEX_STEP) -> Array:
    """Im f(x + ih d) / h of each output."""
    return np.imag(line(1j * h)) / h


def central_difference(line: Line, h: float) -> Array:
    """(f(x + h d) − f(x − h d)) / 2h of each output."""
    return (line(h) - line(-h)) / (2 * h)


def slope(line: Line, y: Array, dy: Array, scale: float) -> Slope:
    """The slope at t = 0, by the standard step, or by the first shorter one within which f is defined.

    `scale` is the size of the numbers moved; the step is proportional to it.
    """
    *longer, shortest = scale * STEP / COARSE ** np.arange(9)
    for h in longer:
        with contextlib.suppress(ValueError, ArithmeticError):  # such as a probability of 1.00001
            return _central(line, y, dy, h, scale)
    return _central(line, y, dy, shortest, scale)


def steadiest_slope(line: Line, y: Array, dy: Array, scale: float) -> Slope:
    """The slope by the step with the least doubt, at which curvature and rounding together change it least."""
    found: list[Slope] = []
    for h in scale * STEP / COARSE ** np.arange(-2.0, 9.0):
        with contextlib.suppress(ValueError, ArithmeticError):
            found.append(_central(line, y, dy, h, scale))
    if len(found) < 2:
        raise FloatingPointError("f is defined in too small a neighbourhood of the point to measure a slope")
    judged = [one._replace(doubt=abs(one.value - shorter.value) + shorter.rounding) for one, shorter in pairwise(found)]
    best = int(np.argmin([one.doubt for one in judged]))
    return judged[best]._replace(kinked=any(one.kinked for one in judged[best:]))


def _central(line: Line, y: Array, dy: Array, h: float, scale: float) -> Slope:
    before, after, far_before, far_after = (line(t) for t in (-h, h, -COARSE * h, COARSE * h))
    slopes, far_slopes = (after - before) / (2 * h), (far_after - far_before) / (2 * COARSE * h)
    jump = np.abs(after - 2 * y + before) / h  # the slope on the right minus the slope on the left
    far_jump = np.abs(far_after - 2 * y + far_before) / (COARSE * h)
    # At a step 8 times shorter, an eighth of the jump remains if it comes from curvature, and all of it at a kink.
    rounding = 4 * np.finfo(np.float64).eps * (np.abs(y).max(initial=0) + scale * np.abs(slopes).max(initial=0)) / h
    return Slope(
        value=(dy * slopes).sum().item(),
        step=h,
        kinked=bool(np.any((jump > 25 * rounding) & (jump > far_jump / 4))),
        doubt=(np.abs(dy) * np.abs(far_slopes - slopes)).sum().item() / COARSE,
        rounding=rounding.item() * np.abs(dy).sum().item(),
        floor=np.abs(dy * y)[slopes != 0].sum().item(),
    )
