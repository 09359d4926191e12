"""Calls that spoil other calls: how a way back can be right once, and wrong in use.

Slopes do not show these. What was handed out stays as it is, each way back belongs to its own forward, and the
gradients of parameters add up.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.errors import GradientError
from scratchnet.gradcheck.subject import Outcome, Point, Subject, d


def check_conduct(subject: Subject, dy: Array) -> None:
    """Run forward and backward in the orders that training may; raise `GradientError` if one call spoils another."""
    point, own_dy = {name: x.copy() for name, x in subject.start.items()}, dy.copy()
    outcome = subject.run(point)
    y = outcome.y.copy()
    _compare(
        {"y": subject.run(point).y},
        {"y": y},
        f"{subject.name} gives another y when it is called again on the same inputs",
        "pass its noise in as an argument, or let it take rng after its inputs",
        "forward is not repeatable",
    )
    outcome = subject.run(point)
    first, second = outcome.gradients(own_dy), outcome.gradients(own_dy)
    _compare(
        subject.now(point) | {"dy": own_dy, "y": outcome.y},
        subject.start | {"dy": dy, "y": y},
        f"{subject.name} changes an array that is not its own",
        "compute into a new array, since others may still need this one",
        "an array is changed in place",
    )
    _compare(
        _as_gradients(second),
        _as_gradients(first),
        f"The way back through {subject.name} gives another gradient when it is taken again",
        "it draws random numbers, or changes what it needs",
        "the way back is not repeatable",
    )
    if _runs_on_another_batch(subject, point):
        _compare(
            _as_gradients(outcome.gradients(own_dy)),
            _as_gradients(first),
            f"The way back through {subject.name} gives another gradient once forward has run on another batch",
            "keep what it needs in local variables of forward, which backward encloses, not on the layer",
            "a stale cache: the way back belongs to the last forward, not to its own",
        )
    _check_accumulation(subject, outcome, own_dy)


def _check_accumulation(subject: Subject, outcome: Outcome, dy: Array) -> None:
    once = outcome.gradients(dy)
    both = outcome.gradients(dy, from_zero=False)
    for name in set(once) - set(subject.inputs):
        _compare(
            {d(name): both[name]},
            {d(name): 2 * once[name]},
            f"Two ways back through {subject.name} do not add up to twice one",
            "write dW += …, and never dW = …, since a layer may be used twice before a step",
            f"accumulation is {'overwritten' if np.array_equal(both[name], once[name]) else 'wrong'}",
        )


def _runs_on_another_batch(subject: Subject, point: Point) -> bool:
    inputs = {name: 0.5 * x[::-1] if x.ndim else 0.5 * x for name, x in point.items() if name in subject.inputs}
    try:
        subject.run(point | inputs)
    except (ValueError, ArithmeticError):  # not a batch that it takes
        return False
    return True


def _as_gradients(gradients: Point) -> Point:
    return {d(name): gradient for name, gradient in gradients.items()}


def _compare(found: Point, expected: Point, what: str, remedy: str, cause: str) -> None:
    """Raise `GradientError` if an array is not as expected, to nine digits of its largest number."""
    for name, one in found.items():
        other = expected[name]
        difference = np.where((one == other) | np.isnan(one) & np.isnan(other), 0, np.abs(one - other))
        if np.all(difference <= 1e-9 * np.abs(other[np.isfinite(other)]).max(initial=0)):
            continue
        at = np.unravel_index(np.argmax(difference), difference.shape)
        index = tuple(int(i) for i in at)
        here = f"{name}{list(index)}" if index else name
        raise GradientError(
            f"{what}: {here} is {one[at]:.6g}, where {other[at]:.6g} is expected; {remedy}.",
            array=name,
            index=index,
            claimed=float(one[at]),
            measured=float(other[at]),
            cause=cause,
        )
