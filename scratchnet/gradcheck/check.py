"""The gradient check and its report, or the error that says what is wrong and why."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_count, check_finite, check_number, check_rng
from scratchnet.core.layer import Layer
from scratchnet.core.parameters import Parameters
from scratchnet.errors import GradientError, LawError
from scratchnet.gradcheck import laws
from scratchnet.gradcheck.causes import likeliest
from scratchnet.gradcheck.numerical import LADDER, STEP, Evidence, Scene, random_direction
from scratchnet.gradcheck.subject import Outcome, Point, Subject, d

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ArrayReport:
    """How well the gradient of the array `name` agrees."""

    name: str
    shape: tuple[int, ...]
    checked: str  # along how many coordinates or random directions
    error: float  # the largest one of a central difference, relative to the array's largest slope
    step: float  # the step of that difference
    exact_error: float | None  # the largest one of a complex step; None if f as it is written is not analytic
    kinks: int  # how many of these directions have a kink at the point itself, and were checked nearby
    unmeasured: int  # how many of their slopes are too small beside the noise of f to be compared
    steps: Array  # of the V-curve, (S,): the error of either method by its step, along one random direction
    errors: Array
    exact_errors: Array  # NaN where f is not defined, or not analytic


@dataclass(frozen=True, repr=False)
class GradientReport:
    """Every gradient of `name` agrees, and how well. Prints as a table.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> report = sn.check_gradients(sn.Dense(3, 2, rng=rng), rng.standard_normal((4, 3)), rng=rng)
    >>> [(one.name, one.checked, one.error < 1e-9) for one in report.arrays]
    [('x', '12 coordinates', True), ('W', '6 coordinates', True), ('b', '2 coordinates', True)]
    """

    name: str
    arrays: list[ArrayReport]  # one for each gradient
    notes: list[str]  # what was not checked, or not to the usual number of digits

    def plot(self) -> "Figure":
        """The V-curve: the error of each gradient by the step h it was measured with."""
        from scratchnet.plots import INK, SOFT, lines  # here, so that a check does not load matplotlib

        analytic = any(one.exact_error is not None for one in self.arrays)
        exact = "; a complex step does not round" if analytic else ""
        title = f"{self.name}: a step too long errs by curvature, one too short by rounding{exact}"
        half = np.finfo(np.float64).eps / 2  # an error of 0 is drawn at half the last digit
        curves = {d(one.name): (one.steps, np.maximum(one.errors, half)) for one in self.arrays}
        figure = lines(curves, title, x_label="step h", y_label="error relative to the slope", log=True)
        (axes,) = figure.axes
        for line, one in zip(list(axes.lines), self.arrays, strict=True):
            line.set(marker="o", markersize=3, linewidth=1.4)
            axes.plot(one.steps, np.maximum(one.exact_errors, half), "--", linewidth=1, color=line.get_color())
        if analytic:
            axes.plot([], "--", linewidth=1, color=INK, label="complex step")
        axes.axvline(STEP, color=SOFT, linewidth=0.8, linestyle=":", label="the step used")
        axes.legend(frameon=False, fontsize=8)
        return figure

    def __repr__(self) -> str:
        rows = [("gradient", "shape", "checked along", "central difference", "complex step")]
        for one in self.arrays:
            exact = "not analytic" if one.exact_error is None else f"{one.exact_error:.0e}"
            central = f"{one.error:.0e} (h = {one.step:.0e})"
            rows.append((d(one.name), str(one.shape), one.checked, central, exact))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.name}: every gradient agrees with the slope of forward."]
        lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        told = "meet a kink, or a curvature too large to measure; these were checked at a point nearby."
        lines += [f"{d(one.name)}: {one.kinks} of {one.checked} {told}" for one in self.arrays if one.kinks]
        told = "have slopes too small beside the noise of f to be checked."
        lines += [f"{d(one.name)}: {one.unmeasured} of {one.checked} {told}" for one in self.arrays if one.unmeasured]
        return "\n".join(lines + self.notes)


def check_gradients(
    f: Any,
    *inputs: Any,
    rng: np.random.Generator,
    parameters: Parameters | None = None,
    tolerance: float = 1e-7,
    coordinates: int = 256,
    directions: int = 10,
) -> GradientReport:
    """Compare every gradient of f with the slopes of L = Σ dy ⊙ y, measured for a random dy.

    Every input and parameter that has a gradient is moved, one coordinate at a time, and forward alone says how L
    changes: by central differences (f(x + h) − f(x − h)) / 2h in double precision and, wherever the formulas are
    analytic, by the complex step Im f(x + ih) / h, which has all digits. At a kink (ReLU at 0) there is no slope, so a
    point nearby is checked instead. One more point nearby is tried, because a scale of 1 or a bias of 0 hides mistakes.
    Laws 1, 3 and 4 are tried as well: no call may alter another. A GradientError names the array, the worst index, both
    values, and the likeliest cause. The check proves that backward belongs to forward, not that forward is what was
    meant: docs/14-checking-gradients.md.

    Parameters
    ----------
    f : Layer or function
        A layer; a loss, (y, target) → value, dy; the `loss` of anything that `fit` trains; or any `forward(*inputs)` →
        y, backward, with backward(dy) → the gradients of the first inputs, a tuple if there are several. The layer, or
        the object with `parameters` that f is a method of, is copied into float64. If f takes an `rng` after the
        inputs, it gets an equal one at each call.
    *inputs : arrays
        The arguments of f. Arrays of floats are converted to float64, also within a tuple such as (x, labels).
    rng : Generator
        Draws dy, the random directions, and the points nearby.
    parameters : Parameters, optional
        What f trains, where f is a plain function. In float64; its gradients are zero afterwards.
    tolerance : float
        Of the central difference beside its noise, relative to each slope; that of the complex step is 1e-12 of the
        array's largest slope.
    coordinates, directions : int
        The size up to which an array is checked in all coordinates, and along how many random directions of length 1 a
        larger one is.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> class Square(sn.Layer):
    ...     def forward(self, x):
    ...         return x**2, lambda dy: x * dy                      # the 2 is missing
    >>> try:
    ...     sn.check_gradients(Square(), np.array([[3.0, 1.0, 5.0]]), rng=rng)
    ... except sn.GradientError as error:
    ...     print(error.cause)
    dx differs by one factor: it is half what it should be, so a factor of 2, as from a square, is wrong
    """
    check_rng("check_gradients", rng)
    tolerance = check_number("check_gradients", "tolerance", tolerance, 0, open_low=True)
    coordinates = check_count("check_gradients", "coordinates", coordinates)
    directions = check_count("check_gradients", "directions", directions)
    subject = Subject(f, inputs, int(rng.integers(2**32)), parameters)
    try:
        outcome = subject.run({name: x.copy() for name, x in subject.start.items()})
        check_finite("check_gradients", f"the y of {subject.name}", outcome.y)
        dy = outcome.random_dy(rng)
        names = _names(f, subject, outcome, dy)
        _check_calls(f, subject, dy)
        shapes = {name: subject.start[name].shape for name in names}
        K = {name: directions if subject.start[name].size > coordinates else 0 for name in names}
        random = {name: [random_direction(shapes[name], rng) for _ in range(K[name])] for name in names}
        points, unknown = [], names
        while unknown and len(points) < 4:
            point = nearby(subject, names, rng) if points else subject.start
            points.append(Scene(subject, point, dy, random, tolerance).evidence)
            unknown = [name for name in names if np.all([one[name].lost for one in points], axis=0).any()]
        for here in points:
            _judge(here, rng)
        for name in unknown:
            told = f"{subject.name} has no slope in {name} that can be measured, as at a kink: check other inputs."
            cause, digits = "there is no slope", points[0][name].scene.digits
            if 2 < digits < 5:  # a comb has fewer
                told = f"{subject.name} rounds to {digits:.0f} digits, too few to measure its slope in {name}: "
                told, cause = f"{told}check it in a longer type.", "it rounds too coarsely"
            raise GradientError(told, array=name, cause=cause)
        arrays = [_array_report([one[name] for one in points], rng) for name in names]
        few = {name: [random_direction(shape, rng) for _ in range(3)] for name, shape in shapes.items()}
        there: dict[str, Evidence] = {}
        with contextlib.suppress(ValueError, ArithmeticError):  # f may not be defined around it
            there = Scene(subject, nearby(subject, names, rng), dy, few, tolerance).evidence
        _judge(there, rng)
        return GradientReport(subject.name, arrays, _notes(subject, points[0][names[0]].scene))
    finally:
        subject.rewind()
        for name, value in subject.held().items():
            value[...] = subject.start[name]
        subject.zero_grad()


def _names(f: Any, subject: Subject, outcome: Outcome, dy: Array) -> list[str]:
    """The arrays that have a gradient."""
    names = list(subject.gradients(outcome, dy))
    x = next((name for name in subject.start if name in subject.inputs), None)
    if x is not None and (isinstance(f, Layer) or not names) and x not in names:
        told = f"The backward pass of {subject.name} gives no gradient for {x}: let it return {d(x)}."
        raise GradientError(told, array=x, cause=f"{d(x)} is not returned")
    if not names:
        came = ", ".join(f"{name} of {getattr(x, 'dtype', type(x).__name__)}" for name, x in subject.inputs.items())
        told = f"got none for {subject.name}, but {came}: x.astype(float) makes floats" if came else "got no input"
        raise ValueError(f"check_gradients expects inputs or parameters of floats, {told}.")
    return names


def _notes(subject: Subject, scene: Scene) -> list[str]:
    """What a report says that its table does not show."""
    notes = [
        f"Not checked: {name}, {'of which backward returns no gradient' if name in subject.start else 'no floats'}."
        for name in subject.inputs
        if name not in scene.evidence
    ]
    if not subject.held() and not isinstance(subject.owner, Layer):
        notes.append(f"Not checked: parameters. None of {subject.name} are known; pass parameters=… if it trains any.")
    if scene.digits < 11:
        known = f"its slopes are known to about {scene.digits * 2 / 3:.0f}"
        notes.append(f"{subject.name} rounds to {scene.digits:.0f} digits, so that {known}.")
    return notes


def _check_calls(f: Any, subject: Subject, dy: Array) -> None:
    """Refuse f if one call affects another: laws 1, 3 and 4, at the point and on another batch; or if need_dx does."""
    points = [{name: x.copy() for name, x in subject.start.items()}]
    other = {name: 0.5 * (x[::-1] if x.ndim else x) if name in subject.inputs else x for name, x in points[0].items()}

    def dys(_: Outcome) -> Array:
        return dy.copy()

    try:
        laws.mutates_only_what_it_made(subject, points, dys, may_share=True)
        with contextlib.suppress(ValueError, ArithmeticError):  # f may not be defined there
            subject.gradients(subject.run(other), dy)
            points.append(other)
        laws.is_re_entrant(subject, points, dys)
        laws.accumulates(subject, 2 * points[:1], dys)
        if isinstance(f, Layer) and f.skips_dx:
            laws.leaves_out_dx_alone(subject, points[0], dys)
    except LawError as error:
        raise GradientError(str(error), **error.found) from error


def nearby(subject: Subject, names: list[str], rng: np.random.Generator) -> Point:
    """Another point where f is defined, at a distance of a tenth of the numbers' size, or less if need be."""
    sizes = {name: np.linalg.norm(x) / np.sqrt(max(1, x.size)) for name, x in subject.start.items()}
    away = {name: max(0.1, sizes[name]) * rng.standard_normal(subject.start[name].shape) for name in names}
    for reach in 10.0 ** -np.arange(1, 10):
        point = subject.start | {name: subject.start[name] + reach * away[name] for name in names}
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # such as a probability of 1.2
            if np.isfinite(subject.run(point).y).all():
                return point
    return subject.start


def _judge(here: dict[str, Evidence], rng: np.random.Generator) -> None:
    """Raise an error about the worst array whose cause is found, or else about the worst, if any is wrong."""
    worst = {name: e.excess.max(initial=0) for name, e in here.items()}
    names = sorted((name for name in worst if worst[name] > 1), key=worst.__getitem__, reverse=True)
    if not names:
        return
    scene, causes = here[names[0]].scene, dict.fromkeys(names, "")
    point, dy = nearby(scene.subject, list(here), rng), scene.outcome.random_dy(rng)
    with contextlib.suppress(ValueError, ArithmeticError):
        elsewhere = Scene(scene.subject, point, dy, scene.random, scene.tolerance).evidence
        causes = {name: likeliest(here[name], elsewhere[name]) for name in names}
    name = next((name for name in names if causes[name]), names[0])
    e, found, rest = here[name], {}, "None of the usual mistakes explains it"
    if e.gradient.shape != e.x.shape:
        told = f"it has the shape {e.gradient.shape}, and {name} is {e.x.shape}"
    else:
        index = _worst_index(e, rng)
        unit = np.zeros(e.x.shape)
        unit[index] = 1
        claimed, measured, digits = float(e.gradient[index]), e.slope(unit, steadiest=True).value, 6
        found = {"index": index, "claimed": claimed, "measured": measured}
        if not e.wrong.any():
            digits, rest = 12, "The first six digits agree: a constant may be cut short"
        at = f"at {list(index)} " if index else ""
        told = f"{at}backward gives {claimed:.{digits}g}, but the slope is {measured:.{digits}g}; "
        told += f"{(e.excess > 1).sum()} of {e.checked} differ"
    because = f"Likeliest cause: {causes[name]}" if causes[name] else rest
    also = f" Wrong too: {', '.join(d(other) for other in names if other != name)}." if len(names) > 1 else ""
    at = "" if e.scene.point is e.scene.subject.start else " near the given point"
    told = f"{d(name)} of {e.scene.subject.name} is wrong{at}: {told}. {because}.{also}"
    raise GradientError(told, array=name, cause=causes[name], **found)


def _worst_index(e: Evidence, rng: np.random.Generator) -> tuple[int, ...]:
    """Where the gradient is wrong by most; in a large array found by halving, along random directions."""

    def difference_within(part: Array) -> float:
        direction = np.zeros(e.x.shape)
        direction.flat[part] = random_direction(part.shape, rng)
        slope = e.slope(direction, steadiest=True).value
        return abs((e.gradient * direction).sum().item() - slope) * np.sqrt(part.size)

    part = np.arange(e.x.size)
    if not np.isfinite(e.gradient).all():
        part = part[[np.argmin(np.isfinite(e.gradient))]]
    elif not e.random:
        part = part[[np.argmax(e.excess)]]
    while len(part) > 1:
        part = max(np.array_split(part, 2), key=difference_within)
    return tuple(int(i) for i in np.unravel_index(part.item(), e.x.shape))


def _array_report(evidence: list[Evidence], rng: np.random.Generator) -> ArrayReport:
    """What was found about one array at all points."""
    errors, steps = np.concatenate([[e.errors, e.slopes["step"]] for e in evidence], axis=1)
    first, last, is_analytic = evidence[0], evidence[-1], all(e.exact is not None for e in evidence)
    way = random_direction(last.x.shape, rng)
    return ArrayReport(
        name=first.name,
        shape=first.x.shape,
        checked=first.checked,
        error=errors.max(initial=0).item(),
        step=steps[np.argmax(errors)].item() if errors.size else 0.0,
        exact_error=max(e.exact_errors.max(initial=0).item() for e in evidence) if is_analytic else None,
        kinks=int(first.lost.sum()),
        unmeasured=int(np.all([e.lost | e.unmeasured for e in evidence], axis=0).sum()),
        steps=LADDER,
        errors=last.v_curve(way, in_complex=False),
        exact_errors=last.v_curve(way, in_complex=True),
    )
