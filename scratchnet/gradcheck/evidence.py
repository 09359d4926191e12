"""What backward claims at one point, and the slopes that are measured there.

Both are slopes of L = Σ dy ⊙ y along the same directions. A difference is judged relative to the largest slope of its
array, and never more strictly than rounding allows a slope to be measured.
"""

import contextlib
import warnings
from collections.abc import Callable

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.gradcheck.numerical import (
    LADDER,
    STEP,
    Line,
    Probes,
    Slope,
    central_difference,
    complex_slope,
    slope,
    steadiest_slope,
)
from scratchnet.gradcheck.subject import Point, Subject, d

EXACT = 1e-12
"""How well a gradient must agree with the complex step, relative to the array's largest slope."""

UNDERFLOW = 1e-290
"""Products of numbers near this size lose digits or vanish, so that it counts as zero."""


class Scene:
    """f at one point: its outcome, and the evidence about each gradient that backward gives for dy."""

    def __init__(
        self,
        subject: Subject,
        in_complex: Subject | None,
        point: Point,
        dy: Array,
        probes: dict[str, Probes],
        tolerance,
    ):
        self.subject, self.in_complex, self.point, self.dy = subject, in_complex, point, dy
        self.outcome = subject.run(point)
        self.gradients = self.outcome.gradients(dy)
        self.batch_size = next((len(x) for x in subject.inputs.values() if np.ndim(x)), 1)
        self.evidence = {name: Evidence(self, name, probes[name], tolerance) for name in self.gradients}

    def line(self, name: str, direction: Array) -> Line:
        """y, as an array moves along a direction."""
        return lambda t: self.subject.run(self.moved(name, t * direction)).y

    def complex_line(self, name: str, direction: Array) -> Line:
        """y, as an array moves off the real line along a direction."""
        subject = self.in_complex
        assert subject is not None

        def at(t: complex) -> Array:
            with kernels.use("numpy"), np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                return subject.run(self.moved(name, t * direction)).y

        return at

    def moved(self, name: str, change: Array) -> Point:
        """The point after a change of one array."""
        return self.point | {name: self.point[name] + change}


class Evidence:
    """One array at one point: the slopes (K,) that its gradient claims along the probes, and those measured.

    Attributes
    ----------
    slopes : (K,)
        Central differences, with the fields of `Slope`.
    exact : (K,) or None
        Complex steps; None where f is not analytic as it is written.
    measured : (K,)
        The better of the two.
    vague, lost : (K,) of bool
        Where no step gave three digits; where no slope is known, so that the numbers mean nothing.
    errors, exact_errors : (K,)
        |claimed − slopes| and |claimed − exact| relative to the array's largest slope, 0 where it is lost.
    excess : (K,)
        These errors divided by what is allowed; the gradient is wrong above 1.
    wrong, where : (K,) of bool, str
        Where the first six digits are wrong, and how to say that it is not everywhere.
    """

    def __init__(self, scene: Scene, name: str, probes: Probes, tolerance: float):
        self.scene, self.name, self.probes, self.along, self.dx = scene, name, probes, probes.along, d(name)
        self.x, self.gradient, self.dy, self.y = scene.point[name], scene.gradients[name], scene.dy, scene.outcome.y
        self.claimed, self.exact = probes.along(self.gradient), None
        fields = np.dtype(list(Slope.__annotations__.items()))
        self.slopes = np.array([self._measure(slope, direction) for direction in probes], fields)
        self._judge(tolerance)
        still_wrong = 0
        for k in np.flatnonzero(self.vague | ~(self.errors <= tolerance)).tolist():
            if still_wrong < 8 or self.vague[k]:  # after eight it is the gradient that is wrong, not the step
                self.slopes[k] = self._measure(steadiest_slope, probes[k])
                self._judge(tolerance)
                still_wrong += self.excess[k] > 1
        if scene.in_complex is not None:
            with contextlib.suppress(Exception):  # a formula may do anything with numbers that it was not made for
                lines = [scene.complex_line(name, direction) for direction in probes]
                exact = np.array([(self.dy * complex_slope(line)).sum() for line in lines])
                if self.agrees(exact):
                    self.exact = exact
                    self._judge(tolerance)

    def _judge(self, tolerance: float) -> None:
        """Compare what is claimed with what is measured."""
        central, doubt, claimed = self.slopes["value"], self.slopes["doubt"], self.claimed
        self.measured = central if self.exact is None else self.exact
        self.vague = doubt > 1e-3 * np.abs(central).max(initial=0) + UNDERFLOW
        self.lost = self.slopes["kinked"] | (self.vague & (self.exact is None))
        self.errors = self._relative(central, 1e-2)
        self.exact_errors = self._relative(self.measured, 1e-4)
        excess = np.where(np.abs(claimed - central) > doubt, self.errors / tolerance, 0)
        if self.exact is not None:
            excess = np.maximum(excess, self.exact_errors / EXACT)
        self.excess = np.where(np.isfinite(claimed), excess, np.inf)
        self.wrong = ~self.lost & (np.abs(claimed - self.measured) > 1e-6 * np.abs(self.measured).max(initial=0))
        is_zero = np.abs(claimed) <= 1e-6 * np.abs(claimed).max(initial=0)
        self.where = "" if np.all(self.wrong | self.lost | is_zero) else ", where it is wrong"

    def agrees(self, slopes: Array) -> bool:
        """Whether these slopes (K,) are the measured ones, to six digits."""
        noise = self.slopes["doubt"] + 1e-8 * self.slopes["floor"] if self.exact is None else 0
        bound = 1e-6 * np.abs(self.measured[~self.lost]).max(initial=0) + noise + UNDERFLOW
        return bool(np.all((np.abs(slopes - self.measured) <= bound) | self.lost))

    def claims(self, dy: Array) -> Array:
        """The slopes (K,) that backward claims for another dy."""
        return self.along(self.scene.subject.run(self.scene.point).gradients(dy)[self.name])

    def slope_along(self, direction: Array) -> float:
        """The slope of L along any direction."""
        return self._measure(steadiest_slope, direction).value

    def slopes_of(self, function: Callable[[Point], float]) -> Array:
        """The slopes (K,) of another function of the point, by central differences."""

        def line(direction: Array) -> Line:
            return lambda t: np.asarray(function(self.scene.moved(self.name, t * direction)))

        return np.array([central_difference(line(one), self._scale(one) * STEP) for one in self.probes])

    def v_curves(self, direction: Array) -> tuple[Array, Array]:
        """The errors (S,) of central differences and of complex steps on LADDER; NaN where there is no value."""
        claimed = (self.gradient * direction).sum()

        def errors(measure: Callable[[Line, float], Array], line: Line) -> Array:
            found = np.full(LADDER.shape, np.nan)
            for i, h in enumerate(LADDER):
                with contextlib.suppress(ValueError, ArithmeticError), np.errstate(all="ignore"):
                    found[i] = abs((self.dy * measure(line, h)).sum() - claimed) / (abs(claimed) or 1)
            return found

        central = errors(central_difference, self.scene.line(self.name, direction))
        if self.exact is None:
            return central, np.full(LADDER.shape, np.nan)
        return central, errors(complex_slope, self.scene.complex_line(self.name, direction))

    def _measure(self, method: Callable[[Line, Array, Array, float], Slope], direction: Array) -> Slope:
        line = self.scene.line(self.name, direction)
        return method(line, self.y, self.dy, self._scale(direction))

    def _scale(self, direction: Array) -> float:
        """The size of the numbers that move, at least 1; a step is proportional to it."""
        return max(1.0, np.abs(self.x[direction != 0]).max(initial=0).item())

    def _relative(self, slopes: Array, share: float) -> Array:
        largest = np.fmax(np.abs(slopes), np.abs(self.claimed))[~self.lost].max(initial=0)  # fmax ignores a NaN
        scale = np.maximum(largest, np.maximum(share * self.slopes["floor"], UNDERFLOW))
        return np.where(self.lost, 0, np.abs(self.claimed - slopes) / scale)
