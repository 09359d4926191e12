"""Is this derivative right? What a learner asks of a way back, and the answer.

The way back is run, and every gradient is held against slopes measured from forward alone. One that differs raises
`GradientError`, which names the place, both values, and the cause where one was found.
"""

from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_count, check_finite, check_number, check_rng
from scratchnet.core.layer import Layer
from scratchnet.core.parameters import Parameters
from scratchnet.errors import GradientError
from scratchnet.gradcheck.causes import likeliest
from scratchnet.gradcheck.conduct import check_conduct
from scratchnet.gradcheck.evidence import Evidence
from scratchnet.gradcheck.numerical import LADDER, Probes, coordinate_direction, random_direction
from scratchnet.gradcheck.report import ArrayReport, GradientReport
from scratchnet.gradcheck.subject import Outcome, Point, Subject, d


def check_gradients(
    f: Any,
    *inputs: Any,
    rng: np.random.Generator,
    parameters: Parameters | None = None,
    tolerance: float = 1e-7,
    coordinates: int = 256,
    directions: int = 10,
) -> GradientReport:
    """Hold every gradient of f against the slopes of L = Σ dy ⊙ y, measured for a random dy.

    Every input and parameter that has a gradient is moved, one coordinate at a time, and forward alone says how L
    changes: by central differences (f(x + h) − f(x − h)) / 2h in double precision, and, wherever the formulas are
    analytic, by the complex step Im f(x + ih) / h, which has all digits. At a kink (ReLU at 0) there is no slope;
    that is noticed, and a point nearby is checked instead.

    Parameters
    ----------
    f : Layer or function
        A layer; a loss, (y, target) → value, dy; a model's `loss`; or any forward(*inputs) → y, backward, with
        backward(dy) → the gradients of the first inputs, a tuple if there are several. A layer or a model is copied
        into float64, and stays as it is. If f takes an `rng` after the inputs, it gets an equal one at each call.
    *inputs : arrays
        What f is given. Arrays of floats are taken into float64, all else reaches f as it is.
    rng : numpy.random.Generator
        Draws dy, the random directions, and the points nearby.
    parameters : Parameters, optional
        What f trains, where f is neither a layer nor a model's loss. In float64; its gradients are zero afterwards.
    tolerance : float
        For the central difference, as a part of the array's largest slope. The complex step must agree to 1e-12.
    coordinates : int
        The size up to which an array is checked in all coordinates.
    directions : int
        How many random directions, of length 1, stand for an array that is larger.

    Returns
    -------
    GradientReport
        The errors, methods and steps for each array. Prints as a table; `.plot()` draws the V-curve.

    Raises
    ------
    GradientError
        If a gradient is not the slope, or one call spoils another: a way back that overwrites gradients, that belongs
        to the last forward and not to its own, that draws random numbers, or that changes what it did not make. The
        message names the array, the worst index, both values, and the likeliest cause of those that were tried.
    DataError
        If y is not finite.
    TypeError
        If f is none of these, or `rng` not a Generator.
    ValueError
        If there is nothing to differentiate by, or an option is out of range.

    Notes
    -----
    It proves that the way back belongs to the forward, not that the forward is what was meant: docs/bug-museum.md.
    Derivation: docs/14-checking-gradients.md. Squire & Trapp, Using complex variables to estimate derivatives of real
    functions, 1998.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> report = sn.check_gradients(sn.Dense(3, 2, rng=rng), rng.standard_normal((4, 3)), rng=rng)
    >>> [(one.name, one.checked) for one in report.arrays]
    [('x', '12 coordinates'), ('W', '6 coordinates'), ('b', '2 coordinates')]
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
    seed = int(rng.integers(2**32))
    subject = Subject(f, inputs, seed, parameters, np.float64)
    in_complex = None if parameters is not None else Subject(f, inputs, seed, None, np.complex128)
    try:
        outcome = subject.run({name: x.copy() for name, x in subject.start.items()})
        check_finite("check_gradients", f"the y of {subject.name}", outcome.y)
        dy = outcome.some_dy(rng)
        names = _names(f, subject, outcome, dy)
        check_conduct(subject, dy)
        probes = {name: Probes(subject.start[name], coordinates, directions, rng) for name in names}

        def at(point: Point, dy: Array) -> Evidence:
            return Evidence(subject, in_complex, point, dy, probes, tolerance)

        points = [at(subject.start, dy)]
        while len(points) < 4 and any(_never_known(points, name) for name in names):
            points.append(at(_nearby(subject, names, rng), dy))
        for here in points:
            excess = {name: here.of[name].excess(tolerance) for name in names}
            wrong = {name: one for name, one in excess.items() if one.max(initial=0) > 1}
            if wrong:
                raise _mismatch(here, at(_nearby(subject, names, rng), outcome.some_dy(rng)), wrong, rng)
        for name in names:
            if _never_known(points, name):
                raise GradientError(
                    f"{subject.name} has no slope in {name} that can be measured, here or nearby, as at a kink: check "
                    "it at other inputs.",
                    array=name,
                    cause="there is no slope",
                )
        return GradientReport(subject.name, [_array_report(points, name, rng) for name in names])
    finally:
        subject.restore()


def _names(f: Any, subject: Subject, outcome: Outcome, dy: Array) -> list[str]:
    """The arrays that the way back has gradients of."""
    names = list(outcome.gradients(dy))
    inputs = [name for name in subject.start if name in subject.inputs]
    if inputs and (isinstance(f, Layer) or not names) and inputs[0] not in names:
        raise GradientError(
            f"The way back through {subject.name} gives no gradient for {inputs[0]}: let it return {d(inputs[0])}.",
            array=inputs[0],
            cause=f"{d(inputs[0])} is not returned",
        )
    if not names:
        raise ValueError(f"check_gradients expects inputs or parameters of floats, got none for {subject.name}.")
    return names


def _nearby(subject: Subject, names: list[str], rng: np.random.Generator) -> Point:
    """Another point where f exists, off by a tenth of the numbers' size or as much as it allows."""
    start = {name: subject.start[name] for name in names}
    sizes = {name: max(0.1, np.sqrt(np.mean(x**2))) for name, x in start.items()}
    away = {name: rng.standard_normal(x.shape) for name, x in start.items()}
    for reach in 10.0 ** -np.arange(1, 6):
        for moved in (
            {name: x + reach * sizes[name] * away[name] for name, x in start.items()},
            {name: x * (1 + reach * away[name]) for name, x in start.items()},
        ):
            try:
                if np.isfinite(subject.run(subject.start | moved).y).all():
                    return subject.start | moved
            except (ValueError, ArithmeticError):  # a probability of 1.2
                continue
    return subject.start


def _never_known(points: list[Evidence], name: str) -> bool:
    return bool(np.logical_and.reduce([evidence.of[name].lost for evidence in points]).any())


def _mismatch(here: Evidence, elsewhere: Evidence, wrong: Point, rng: np.random.Generator) -> GradientError:
    """The error to raise about arrays with these excesses: the worst whose cause is found, or else the worst."""
    names = sorted(wrong, key=lambda name: -wrong[name].max())
    causes = {name: likeliest(here, elsewhere, name) for name in names}
    name = next((name for name in names if causes[name]), names[0])
    gradient, x, m = here.gradients[name], here.point[name], here.of[name]
    index, claimed, measured, rest = (), float("nan"), float("nan"), "None of the usual mistakes explains it"
    if gradient.shape != x.shape:
        told = f"it has the shape {gradient.shape}, and {name} is {x.shape}"
    else:
        index = _worst_index(here, name, wrong[name], rng)
        claimed, measured = float(gradient[index]), here.slope_along(name, coordinate_direction(x.shape, index))
        digits = 6
        if m.agrees(m.claimed):
            digits, rest = 12, "The first six digits agree: a constant may be cut short"
        told = (
            f"{f'at {list(index)} ' if index else ''}the way back gives {claimed:.{digits}g}, but the slope is "
            f"{measured:.{digits}g}; {(wrong[name] > 1).sum()} of {m.probes} differ"
        )
    because = f"Likeliest cause: {causes[name]}" if causes[name] else rest
    others = [d(other) for other in names if other != name]
    also = f" Wrong too: {', '.join(others)}." if others else ""
    return GradientError(
        f"{d(name)} of {here.subject.name} is wrong: {told}. {because}.{also}",
        array=name,
        index=index,
        claimed=claimed,
        measured=measured,
        cause=causes[name],
    )


def _worst_index(here: Evidence, name: str, excess: Array, rng: np.random.Generator) -> tuple[int, ...]:
    """Where the gradient is wrong by most; in a large array found by halving, along random directions."""
    gradient = here.gradients[name]
    if not np.isfinite(gradient).all():
        worst = np.argmin(np.isfinite(gradient))
    elif here.of[name].probes.each:
        worst = np.argmax(excess)
    else:
        part = np.arange(gradient.size)
        while len(part) > 1:
            halves = np.array_split(part, 2)
            part = max(halves, key=lambda half: _difference_within(here, name, half, rng))
        worst = part[0]
    return tuple(int(i) for i in np.unravel_index(worst, gradient.shape))


def _difference_within(here: Evidence, name: str, part: Array, rng: np.random.Generator) -> float:
    gradient = here.gradients[name]
    direction = np.zeros(gradient.size)
    direction[part] = random_direction(part.shape, rng)
    direction = direction.reshape(gradient.shape)
    return abs((gradient * direction).sum().item() - here.slope_along(name, direction)) * np.sqrt(part.size)


def _array_report(points: list[Evidence], name: str, rng: np.random.Generator) -> ArrayReport:
    measurements = [evidence.of[name] for evidence in points]
    errors = np.concatenate([m.central_errors for m in measurements])
    steps = np.concatenate([m.steps for m in measurements])
    exact = [m.exact_errors for m in measurements if m.exact_errors is not None]
    central_curve, exact_curve = points[-1].curves(name, random_direction(points[-1].point[name].shape, rng), LADDER)
    return ArrayReport(
        name=name,
        shape=points[0].point[name].shape,
        checked=str(measurements[0].probes),
        error=errors.max(initial=0).item(),
        step=steps[np.argmax(errors)].item() if errors.size else 0.0,
        exact_error=max(float(one.max(initial=0)) for one in exact) if len(exact) == len(points) else None,
        kinks=int(measurements[0].lost.sum()),
        steps=LADDER,
        errors=central_curve,
        exact_errors=exact_curve,
    )
