"""What is known at one point: the gradients that the way back claims, and the slopes measured there.

Both speak of L = Σ dy ⊙ y, along the same directions. A difference is judged against the largest slope of its array,
and never more finely than rounding allows a slope to be measured.
"""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.gradcheck.numerical import (
    STEP,
    Line,
    Probes,
    Slope,
    central_difference,
    complex_slope,
    slope,
    steadiest_slope,
)
from scratchnet.gradcheck.subject import Point, Subject

EXACT = 1e-12
"""How well a gradient must agree with the complex step, as a part of the array's largest slope."""

UNDERFLOW = 1e-290
"""Products of numbers near this size lose digits, or vanish; it counts as zero."""


@dataclass(frozen=True)
class Measurement:
    """One array's slopes along K directions: claimed by the way back, and measured.

    Attributes
    ----------
    probes : Probes
    claimed, central : (K,)
    exact : (K,) or None
        By the complex step; None where f is not analytic as it is written.
    parts : (K, P)
        What `central` is made of: the examples' shares, or a loss and its terms.
    kinked : (K,) of bool
        Where f has a kink.
    steps, doubts : (K,)
        Of the central differences: how long they are, and how far off the slope may be.
    floor : (K,)
        What the outputs that move are worth; a slope is known to some 1e-9 of it by central difference.
    """

    probes: Probes
    claimed: Array
    central: Array
    exact: Array | None
    parts: Array
    kinked: Array
    steps: Array
    doubts: Array
    floor: Array

    @property
    def measured(self) -> Array:
        """The best that is known, (K,)."""
        return self.central if self.exact is None else self.exact

    @property
    def vague(self) -> Array:
        """Where no step gave three digits, (K,) of bool."""
        return self.doubts > 1e-3 * np.abs(self.central).max(initial=0) + UNDERFLOW

    @property
    def lost(self) -> Array:
        """Where no slope is known, so that no number here means anything, (K,) of bool."""
        return self.kinked | self.vague if self.exact is None else self.kinked

    @property
    def central_errors(self) -> Array:
        """|claimed − central| as a part of the array's largest slope, (K,), 0 where it is lost."""
        return self._errors(self.central, 1e-2)

    @property
    def exact_errors(self) -> Array | None:
        """|claimed − exact| as a part of the array's largest slope, (K,), 0 where it is lost."""
        return None if self.exact is None else self._errors(self.exact, 1e-4)

    def excess(self, tolerance: float) -> Array:
        """The errors (K,) in units of what is allowed: `tolerance` for central differences, EXACT for complex steps."""
        beyond_doubt = np.abs(self.claimed - self.central) > self.doubts
        excess, exact_errors = np.where(beyond_doubt, self.central_errors / tolerance, 0), self.exact_errors
        if exact_errors is not None:
            excess = np.maximum(excess, exact_errors / EXACT)
        return np.where(np.isfinite(self.claimed), excess, np.inf)

    def agrees(self, slopes: Array) -> bool:
        """Whether these slopes (K,) are the measured ones, to six digits."""
        known = ~self.lost
        noise = self.doubts + 1e-8 * self.floor if self.exact is None else np.zeros_like(self.floor)
        bound = 1e-6 * np.abs(self.measured[known]).max(initial=0) + noise[known] + UNDERFLOW
        return bool(np.all(np.abs(slopes - self.measured)[known] <= bound))

    def _errors(self, slopes: Array, floor: float) -> Array:
        largest = np.fmax(np.abs(slopes), np.abs(self.claimed))[~self.lost].max(initial=0)  # fmax: a NaN is none
        scale = np.maximum(np.maximum(largest, floor * self.floor), UNDERFLOW)
        return np.where(self.lost, 0, np.abs(self.claimed - slopes) / scale)


class Evidence:
    """Claims and measurements of every gradient at a point.

    Attributes
    ----------
    subject : Subject
    point : Point
    outcome : Outcome
        Of forward, with the way back.
    dy : like outcome.y
    gradients : Point
        As the way back gives them.
    of : dict
        A `Measurement` for each gradient.
    """

    def __init__(
        self,
        subject: Subject,
        in_complex: Subject | None,
        point: Point,
        dy: Array,
        probes: dict[str, Probes],
        tolerance: float,
    ):
        self.subject, self.point, self.dy = subject, point, dy
        self.outcome = subject.run(point)
        self.gradients = self.outcome.gradients(dy)
        self._in_complex = in_complex
        self._complex_point = {name: x.astype(complex) for name, x in point.items()}
        self.of = {name: self._measure(name, probes[name], tolerance) for name in self.gradients}

    def line(self, name: str, direction: Array) -> Line:
        """y, as the array moves along a direction."""

        def at(t: complex) -> Array:
            return self.subject.run(self._moved(name, t, direction)).y

        return at

    def complex_line(self, in_complex: Subject, name: str, direction: Array) -> Line:
        """y, as the array moves off the real line along a direction."""

        def at(t: complex) -> Array:
            point = self._complex_point | {name: self._complex_point[name] + t * direction}
            with kernels.use("numpy"), np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                return in_complex.run(point).y

        return at

    def curves(self, name: str, direction: Array, steps: Array) -> tuple[Array, Array]:
        """The error (S,) of the central difference, and of the complex step, by the step; NaN where there is none."""
        claimed = (self.gradients[name] * direction).sum()
        line, size = self.line(name, direction), abs(claimed) or 1.0
        central, exact = np.full(steps.shape, np.nan), np.full(steps.shape, np.nan)
        for i, h in enumerate(steps):
            with contextlib.suppress(ValueError, ArithmeticError), np.errstate(all="ignore"):  # f may not exist there
                central[i] = abs(self._total(central_difference(line, h)) - claimed) / size
        if self._in_complex is not None and self.of[name].exact is not None:
            complex_line = self.complex_line(self._in_complex, name, direction)
            for i, h in enumerate(steps):
                with contextlib.suppress(ValueError, ArithmeticError):
                    exact[i] = abs(self._total(complex_slope(complex_line, h)) - claimed) / size
        return central, exact

    def claims(self, name: str, dy: Array) -> Array:
        """The slopes (K,) that the way back claims for another dy."""
        return self.of[name].probes.along(self.subject.run(self.point).gradients(dy)[name])

    def slope_along(self, name: str, direction: Array) -> float:
        """The slope of L along any direction."""
        found = steadiest_slope(self.line(name, direction), self.outcome.y, self.scale(name, direction))
        return self._total(found.dy)

    def slopes_of(self, function: Callable[[Point], float], name: str) -> Array:
        """The slopes (K,) of another function of the point."""
        return np.array(
            [
                central_difference(
                    lambda t, direction=direction: np.asarray(function(self._moved(name, t, direction))),
                    self.scale(name, direction) * STEP,
                )
                for direction in self.of[name].probes
            ]
        )

    def scale(self, name: str, direction: Array) -> float:
        """How large the numbers are that move, at least 1: a step is in proportion."""
        return max(1.0, np.abs(self.point[name][direction != 0]).max(initial=0).item())

    def _moved(self, name: str, t: complex, direction: Array) -> Point:
        return self.point | {name: self.point[name] + t * direction}

    def _measure(self, name: str, probes: Probes, tolerance: float) -> Measurement:
        y, gradient = self.outcome.y, self.gradients[name]
        fits = gradient.shape == self.point[name].shape
        claimed = probes.along(gradient) if fits else np.full(len(probes), np.nan)

        def joined(slopes: list[Slope], exact: Array | None = None) -> Measurement:
            parts = np.array([self.outcome.parts(self.dy, one.dy) for one in slopes])
            floor = np.array([np.abs(self.dy * y)[one.dy != 0].sum() for one in slopes])
            doubts = np.array([self._total(one.doubt, np.abs(self.dy)) for one in slopes])
            kinked, steps = np.array([one.kinked for one in slopes]), np.array([one.step for one in slopes])
            central = self.outcome.total(parts)
            return Measurement(probes, claimed, central, exact, parts, kinked, steps, doubts, floor)

        slopes = [slope(self.line(name, d), y, self.scale(name, d)) for d in probes]
        measurement, settled = joined(slopes), 0
        for k in np.flatnonzero(measurement.vague | ~(measurement.central_errors <= tolerance)).tolist():
            if settled == 8 and not measurement.vague[k]:
                continue  # it is the way back that is wrong; the usual step will do
            slopes[k] = steadiest_slope(self.line(name, probes[k]), y, self.scale(name, probes[k]))
            measurement = joined(slopes)
            settled += not measurement.excess(tolerance)[k] <= 1
        exact = self._complex_slopes(name, probes)
        return joined(slopes, exact) if exact is not None and measurement.agrees(exact) else measurement

    def _complex_slopes(self, name: str, probes: Probes) -> Array | None:
        """By the complex step, (K,), if f can be computed with complex numbers at all."""
        if self._in_complex is None:
            return None
        try:
            slopes = [complex_slope(self.complex_line(self._in_complex, name, direction)) for direction in probes]
        except Exception:  # whatever a formula does with numbers that it was not written for
            return None
        return np.array([self._total(one) for one in slopes])

    def _total(self, change: Array, dy: Array | None = None) -> float:
        return self.outcome.total(self.outcome.parts(self.dy if dy is None else dy, change)).item()
