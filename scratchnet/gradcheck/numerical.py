"""How a slope is measured without calculus: by difference quotients and by the complex step.

    central difference   (f(x + h d) − f(x − h d)) / 2h = f′(x)·d + O(h²)
    complex step                     Im f(x + ih d) / h = f′(x)·d + O(h²)

The first needs only the values of f, so it tests the very code that trains, but rounding leaves about ten digits. The
second (Squire & Trapp, Using complex variables to estimate derivatives of real functions, 1998) subtracts nothing, so h
can be tiny and all digits survive, but every formula in f must be analytic. Derivation:
docs/14-checking-gradients.md.
"""

import contextlib
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_finite, check_shape
from scratchnet.gradcheck.subject import Point, Subject, d

STEP = np.finfo(np.float64).eps ** (1 / 3)
"""Where curvature, h², and rounding, eps / h, cost a central difference about the same: 6.1e-6."""

COARSE = 8.0  # the ratio of two neighbouring steps
COMPLEX_STEP = 1e-20
LADDER = 10.0 ** -np.arange(1.0, 13.5, 0.5)  # the steps of a V-curve
EXACT = 1e-12  # how well a gradient must agree with the complex step, relative to the array's largest slope
UNDERFLOW = 1e-290  # products of numbers near this size lose digits or vanish, so that it counts as zero

Line = Callable[[complex], Array]
"""t → y at x + t d."""


class Slope(NamedTuple):
    """The slope of L = Σ dy ⊙ y along a line, by central difference.

    `kinked` says whether some output has a kink there. The value may be off by `doubt`, of which `rounding` is due to
    noise in y.
    """

    value: float
    step: float
    kinked: bool
    doubt: float
    rounding: float


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


def _values(line: Line, h: float) -> tuple[Array, int]:
    """The outputs at 25 points, h and h / 8 apart (2, 25, …), and how many of those h apart differ from the last."""
    values = np.array([[line(distance * i) for i in range(25)] for distance in (h, h / 8)])
    return values, int(np.count_nonzero(values[0, 1:] != values[0, :-1]))


def noise_of(line: Line) -> tuple[Array, float]:
    """The noise of each output, and how large a part of them it is: what no smooth function explains of 25 values.

    Sixth differences of a smooth function vanish with the sixth power of the distance, those of independent errors of
    size 1 are of size √924 at any. The median ignores a kink. After Moré & Wild, Estimating computational noise, 2011.
    """
    for h in (3e-7, -3e-7, 3e-9, -3e-9, 3e-11, -3e-11):
        with contextlib.suppress(ValueError, ArithmeticError), np.errstate(all="ignore"):
            values, moves = _values(line, h)
            if moves < 0.2 * values[0].size:  # as in float16, where 3e-7 is far below the rounding of x
                further, moves_further = _values(line, 4096 * h)
                values = further if moves_further > 2 * moves else values
            wide, narrow = np.median(np.abs(np.diff(values, 6, axis=1)), axis=1) / np.sqrt(924)
            noise = np.minimum(wide, 8 * narrow)
            return noise, (noise.sum() / max(np.abs(values).max(axis=(0, 1)).sum(), UNDERFLOW)).item()
    return 0 * line(0), 0.0


def _scale(moved: Array) -> float:
    """The size of the numbers that move, at least 1; a step is proportional to it."""
    return max(1.0, np.abs(moved).max(initial=0).item())


class Scene:
    """f at one point: its outcome, and the evidence about each gradient that backward gives for dy.

    `random` are the directions in which each array is moved; none, if it is moved in each coordinate.
    """

    def __init__(self, subject: Subject, point: Point, dy: Array, random: dict[str, list[Array]], tolerance: float):
        self.subject, self.point, self.dy, self.random, self.tolerance = subject, point, dy, random, tolerance
        rng = np.random.default_rng(subject.seed)
        self.outcome = subject.run(point)
        self.gradients = subject.gradients(self.outcome, dy)
        away = {name: _scale(point[name]) * rng.standard_normal(point[name].shape) for name in self.gradients}
        noise, self.relative_noise = noise_of(
            lambda t: self.y(point | {name: point[name] + t * away[name] for name in away})
        )
        self.noise = 8 * noise + (8 * self.relative_noise + 4 * np.finfo(np.float64).eps) * np.abs(self.outcome.y)
        self.digits = -np.log10(max(self.relative_noise, UNDERFLOW))
        self.step = max(STEP, min(self.relative_noise, 1e-3) ** (1 / 3))
        self.evidence = {name: Evidence(self, name) for name in self.gradients}

    def y(self, point: Point) -> Array:
        """The outputs at a point where f is defined."""
        with np.errstate(all="ignore"):
            y, where = self.subject.run(point).y, f"check_gradients of {self.subject.name}"
        check_shape(where, "y", y, *self.outcome.y.shape)
        check_finite(where, "y", y)
        return y


class Evidence:
    """One array at one point: the slopes (K,) that its gradient claims along K directions, and those measured.

    `slopes` are central differences, with the fields of `Slope`. `exact` are complex steps, or None where f is not
    analytic as it is written. `measured` are the better of the two.
    """

    def __init__(self, scene: Scene, name: str):
        self.scene, self.name, self.dx, self.random = scene, name, d(name), scene.random[name]
        self.x, self.gradient, self.dy, self.y = scene.point[name], scene.gradients[name], scene.dy, scene.outcome.y
        self.checked = f"{len(self.random)} random directions" if self.random else f"{self.x.size} coordinates"
        self.claimed, self.exact, self.floor = self.along(self.gradient), None, np.abs(self.dy * self.y).sum()
        K = range(len(self.claimed))
        fields = np.dtype(list(Slope.__annotations__.items()))
        self.slopes = np.array([self.slope(self.direction(k)) for k in K], fields)
        self._judge()
        still_wrong = 0
        unsure = self.vague | self.unmeasured | ~(self.errors <= scene.tolerance) | (self.excess > 1)
        for k in np.flatnonzero(unsure).tolist():
            if still_wrong < 8 or self.vague[k]:  # after eight it is the gradient that is wrong, not the step
                self.slopes[k] = self.slope(self.direction(k), steadiest=True)
                self._judge()
                still_wrong += self.excess[k] > 1 or self.unmeasured[k]
        with contextlib.suppress(Exception):  # a formula may do anything with numbers that it was not made for
            lines = [self.line(scene.subject.complex_y, self.direction(k)) for k in K]
            exact = np.array([(self.dy * complex_slope(line)).sum() for line in lines])
            if scene.relative_noise < 1e-3 and self.agrees(exact):
                self.exact = exact
                self._judge()

    def direction(self, k: int) -> Array:
        """The direction number k: a random one of length 1, or coordinate k."""
        return self.random[k] if self.random else np.eye(1, self.x.size, k).reshape(self.x.shape)

    def along(self, gradient: Array) -> Array:
        """The slopes (K,) that a gradient claims; NaN if it does not have the shape of x."""
        if gradient.shape != self.x.shape:
            return np.full(len(self.random) or self.x.size, np.nan)
        return np.array([(gradient * one).sum() for one in self.random]) if self.random else np.ravel(gradient)

    def line(self, function: Callable[[Point], Array], direction: Array) -> Line:
        """A function of the point, as the array moves along a direction."""
        return lambda t: function(self.scene.point | {self.name: self.x + t * direction})

    def slope(self, direction: Array, steadiest: bool = False) -> Slope:
        """The slope of L along a direction, by the usual step, or by the first shorter one within which f is defined.

        The `steadiest` slope is the one with the least doubt: curvature and rounding together change it least from one
        step to the next.
        """
        line, scale, found = self.line(self.scene.y, direction), _scale(self.x[direction != 0]), []
        for h in scale * self.scene.step / COARSE ** np.arange(-2.0 if steadiest else 0.0, 9.0):
            with contextlib.suppress(ValueError, ArithmeticError):  # such as a probability of 1.00001
                found.append(self._central(line, h, scale))
                if not steadiest:
                    return found[0]
        if len(found) < 2:
            raise FloatingPointError("f is defined in too small a neighbourhood of the point to measure a slope")
        judged = [one._replace(doubt=abs(one.value - next.value) + next.rounding) for one, next in pairwise(found)]
        best = int(np.argmin([one.doubt for one in judged]))
        return judged[best]._replace(kinked=any(one.kinked for one in judged[best:]))

    def _central(self, line: Line, h: float, scale: float) -> Slope:
        y, dy = self.y, self.dy
        before, after, far_before, far_after = (line(t) for t in (-h, h, -COARSE * h, COARSE * h))
        slopes, far_slopes = (after - before) / (2 * h), (far_after - far_before) / (2 * COARSE * h)
        jump = np.abs(after - 2 * y + before) / h  # the slope on the right minus the slope on the left
        far_jump = np.abs(far_after - 2 * y + far_before) / (COARSE * h)
        # At a step 8 times shorter, an eighth of the jump remains if it comes from curvature, and all of it at a kink.
        moves = (slopes != 0) | (far_slopes != 0)
        noise = self.scene.noise * (1 + COARSE * h / scale)  # the numbers grow as they move
        rounding = np.where(moves, noise, noise / COARSE) / h  # what does not move, moves by less than a rounding error
        doubt = (np.abs(dy) * rounding).sum().item()
        return Slope(
            value=(dy * slopes).sum().item(),
            step=h,
            kinked=bool(np.any((jump > 25 * rounding) & (jump > far_jump / 4))),
            doubt=(np.abs(dy) * np.abs(far_slopes - slopes)).sum().item() / COARSE + doubt,
            rounding=doubt,
        )

    def slopes_of(self, function: Callable[[Point], Array]) -> Array:
        """The slopes (K, …) of another function of the point, by central differences."""
        directions = [self.direction(k) for k in range(len(self.claimed))]
        steps = [_scale(self.x[d != 0]) * self.scene.step for d in directions]
        return np.array([central_difference(self.line(function, d), h) for d, h in zip(directions, steps, strict=True)])

    def with_another_row(self) -> "Evidence":
        """The same array, once the batch has its first example twice."""
        subject, N = self.scene.subject, self.scene.subject.batch_size
        inputs = {name: self.scene.point.get(name, x) for name, x in subject.inputs.items()}
        rows = {name: x for name, x in inputs.items() if isinstance(x, np.ndarray) and x.ndim and len(x) == N}
        point = self.scene.point | {name: np.concatenate([x, x[:1]]) for name, x in rows.items()}
        rng = np.random.default_rng(subject.seed)
        dy = subject.run(point).random_dy(rng)
        random = {name: [random_direction(x.shape, rng) for _ in range(3)] for name, x in point.items()}
        return Scene(subject, point, dy, random, 1e-7).evidence[self.name]

    def claims(self, dy: Array) -> Array:
        """The slopes (K,) that backward claims for another dy."""
        subject = self.scene.subject
        return self.along(subject.gradients(subject.run(self.scene.point), dy)[self.name])

    def agrees(self, slopes: Array) -> bool:
        """Whether these slopes (K,) are the measured ones, to six digits."""
        largest = np.abs(self.measured[~self.lost]).max(initial=0)
        noise = self.slopes["doubt"] if self.exact is None else EXACT * largest
        close = np.abs(slopes - self.measured) <= 1e-6 * np.abs(self.measured) + noise + UNDERFLOW
        return bool(np.all(close | self.lost))

    def v_curve(self, direction: Array, *, in_complex: bool) -> Array:
        """The errors (S,) of central differences or complex steps by their step on LADDER; NaN where there are none."""
        claimed, curve = (self.gradient * direction).sum(), np.full(len(LADDER), np.nan)
        measure, f = (complex_slope, self.scene.subject.complex_y) if in_complex else (central_difference, self.scene.y)
        for i, h in enumerate(LADDER if self.exact is not None or not in_complex else ()):
            with contextlib.suppress(ValueError, ArithmeticError), np.errstate(all="ignore"):
                slope = (self.dy * measure(self.line(f, direction), h)).sum()
                curve[i] = abs(slope - claimed) / (abs(claimed) or 1)
        return curve

    def _judge(self) -> None:
        """Compare what is claimed with what is measured.

        No step gave three digits where it is `vague`, and no slope is known where it is `lost`; `errors` are relative
        to the array's largest slope. But each slope is judged by its own size and its own noise: `excess` are errors
        divided by what is allowed, and where it is `unmeasured` the noise may hide that all digits are wrong. The first
        six digits differ where it is `wrong`; `where` says so in a sentence, if that is not everywhere.
        """
        central, doubt, claimed = self.slopes["value"], self.slopes["doubt"], self.claimed
        self.measured = central if self.exact is None else self.exact
        digits = min(0.1, max(1e-3, 1e3 * self.scene.relative_noise ** (2 / 3)))
        self.vague = doubt > digits * np.fmax(np.abs(central).max(initial=0), 1e-2 * self.floor) + UNDERFLOW
        self.lost = self.slopes["kinked"] | (self.vague & (self.exact is None))
        self.errors = self._relative(central, 1e-2)
        self.exact_errors = self._relative(self.measured, 1e-3)
        error, own = np.abs(claimed - self.measured), np.fmax(np.abs(claimed), np.abs(self.measured)) + UNDERFLOW
        excess = np.where(self.lost, 0, np.abs(claimed - central) / (self.scene.tolerance * own + doubt))
        if self.exact is not None:
            excess = np.maximum(excess, self.exact_errors / (EXACT + 10 * self.scene.relative_noise))
        self.excess = np.where(np.isfinite(claimed), excess, np.inf)
        hidden = (doubt > own) & (claimed != 0) & (self.exact is None)
        self.unmeasured = ~self.lost & ((error > 1e-2 * own) | hidden)
        self.wrong = ~self.lost & ~(error <= 1e-6 * own) & (self.excess > 1)
        is_zero = np.abs(claimed) <= 1e-6 * np.abs(claimed).max(initial=0)
        self.where = "" if np.all(self.wrong | self.lost | is_zero) else ", where it is wrong"

    def _relative(self, slopes: Array, share: float) -> Array:
        largest = np.fmax(np.abs(slopes), np.abs(self.claimed))[~self.lost].max(initial=0)  # fmax ignores a NaN
        scale = np.maximum(largest, np.maximum(share * self.floor, UNDERFLOW))
        return np.where(self.lost, 0, np.abs(self.claimed - slopes) / scale)
