"""The laws of layers and losses, each a function that raises a LawError where it is broken; law 6 is the check itself.

Each runs a subject at points, which may be batches of different lengths. Faults show best on read-only arrays.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.core.layer import without_dx
from scratchnet.core.parameters import parts_of
from scratchnet.errors import LawError
from scratchnet.gradcheck.subject import Outcome, Point, Subject, d

DrawDy = Callable[[Outcome], Array]
"""An outcome → an array of the shape of its y, to begin the backward pass with."""


def gradients(subject: Subject, outcome: Outcome, dy: Array, from_zero: bool = True) -> Point:
    """Copies of the gradients under their own names, such as dx."""
    return {d(name): gradient for name, gradient in subject.gradients(outcome, dy, from_zero).items()}


def compare(
    subject: Subject, law: int, found: Point, expected: Point, why: str, sizes: Point | None = None, cause: str = ""
) -> None:
    """Raise where arrays differ from the expected ones by more than rounding.

    Rounding is a part of 1 + |expected|, or of the largest of the array's `sizes`, which a repeated computation keeps;
    where all cancels, of a hundredth of the largest of all arrays.
    """
    largest = {name: np.abs(size[np.isfinite(size)]).max(initial=0) for name, size in (sizes or {}).items()}
    for name, one in expected.items():
        came = found[name]
        if came.shape != one.shape:
            told = f"{name} has the shape {came.shape}, not {one.shape}: {why}."
            raise LawError(law, subject.name, told, array=name, cause=cause)
        eps = np.finfo(np.result_type(came.dtype, np.float16)).eps.item()
        rtol = atol = 1e-9 if eps < 1e-9 else max(1e-4, 128 * eps)  # a long sum in float16 is off by dozens of eps
        if sizes is not None:
            rtol, atol = 0, atol * max(largest[name], 1e-2 * max(largest.values()))
        differ = ~np.isclose(came, one, rtol, atol, equal_nan=True)
        if differ.any():
            at = tuple(np.argwhere(differ)[0].tolist())
            told = f"{name}{list(at) or ''} is {came[at]:.6g}, not {one[at]:.6g}: {why}."
            where = {"array": name, "index": at, "claimed": float(came[at]), "measured": float(one[at])}
            raise LawError(law, subject.name, told, **where, cause=cause)


def mutates_only_what_it_made(
    subject: Subject, points: Sequence[Point], dys: DrawDy, *, may_share: bool = False
) -> None:
    """Law 1: no array is changed but dθ, nor a state outside training, and what is handed out is new."""
    in_place = "an array is changed in place"
    seen: list[tuple[str, Array, bytes]] = []

    def see(name: str, *arrays: Array) -> None:
        seen.extend((name, array, array.tobytes()) for array in arrays)

    def called(what: str, function: Callable[[Point], Any], arrays: Point) -> Any:
        try:
            return function(arrays)
        except Exception:  # perhaps because it writes into read-only arrays: then it works with copies
            copies = {name: np.array(x) for name, x in arrays.items()}
            for name, x in arrays.items() if _works(function, copies) else ():
                if not _works(function, copies | {name: x}):
                    told = f"its {what} pass writes into {name}: compute a new array."
                    raise LawError(1, subject.name, told, array=name, cause=in_place) from None
            raise

    held, states = {name: value.tobytes() for name, value in subject.held().items()}, subject.states()
    for point in points:  # the second round must leave alone what the first one handed out
        for name, x in point.items():
            see(name, x)
        outcome = called("forward", subject.run, point)
        see("y", outcome.y)
        given = dys(outcome)
        for dy in (given, np.array(given)):  # the second can be written to, whether or not the first can
            see("dy", dy)
            back = called("backward", lambda of, outcome=outcome: subject.returned(outcome, of["dy"]), {"dy": dy})
            returned = [one for one in back if one is not None]
            see("a gradient that backward returned", *returned)
            handed = [*point.values(), outcome.y, dy, *returned, *subject.held().values(), *subject.held("d").values()]
            for i, one in enumerate(handed):
                if not may_share and any(np.shares_memory(one, other) for other in handed[:i]):
                    told = "an array that it returns shares memory with another: return a new one."
                    raise LawError(1, subject.name, told)
    now = [(name, value, held[name]) for name, value in subject.held().items()]  # a new array may stand there now
    for name, array, before in now + seen:
        if array.tobytes() != before:
            told = f"it changes {name}: compute a new array instead of writing in place."
            raise LawError(1, subject.name, told, array=name, cause=in_place)
    after = subject.states()
    for name, before in states.items():
        if name not in after or after[name].tobytes() != before.tobytes():
            told = f"it changes its state {name} while it is not training: change it only if self.training."
            raise LawError(1, subject.name, told, array=name, cause="a state changes outside training")


def _works(function: Callable[[Point], Any], arrays: Point) -> bool:
    """Whether the function raises nothing."""
    with contextlib.suppress(Exception):
        function(arrays)
        return True
    return False


def is_linear_in_dy(subject: Subject, point: Point, u: Array, v: Array, a: float, b: float) -> None:
    """Law 2: backward(a·u + b·v) = a·backward(u) + b·backward(v)."""
    outcome = subject.run(point)
    whole, of_u, of_v = (gradients(subject, outcome, dy) for dy in (a * u + b * v, u, v))
    expected = {name: a * of_u[name] + b * of_v[name] for name in whole}
    sizes = {name: np.maximum(np.abs(one), max(1, abs(a), abs(b))) for name, one in expected.items()}
    compare(subject, 2, whole, expected, "backward(a·u + b·v) differs from a·backward(u) + b·backward(v)", sizes)


def is_re_entrant(subject: Subject, points: Sequence[Point], dys: DrawDy, *, last_first: bool = False) -> None:
    """Law 3: some forward passes, then all their backward passes, in any order: each uses its own inputs."""
    another_y = "forward gives another y when called again: it remembers something, or draws noise, which should come "
    another_y += "from an argument, or from an rng after the inputs"
    another_dx = "backward gives another gradient when called again: it draws noise, or changes what it needs"
    alone, given = [], []
    for point in points:
        y, outcome = subject.run(point).y, subject.run(point)
        compare(subject, 3, {"y": outcome.y}, {"y": y}, another_y, {"y": y}, "forward is not repeatable")
        given.append(dys(outcome))
        alone.append(gradients(subject, outcome, given[-1]))
        found = gradients(subject, outcome, given[-1])
        compare(subject, 3, found, alone[-1], another_dx, alone[-1], "backward is not repeatable")
    outcomes = [subject.run(point) for point in points]
    cause = "a stale cache: backward uses what the last forward left, not its own"
    stale = "after a second forward pass: keep what backward needs in its closure, not on self"
    for i in reversed(range(len(points))) if last_first else range(len(points)):
        try:
            found = gradients(subject, outcomes[i], given[i])
        except Exception as error:
            raise LawError(3, subject.name, f"backward fails {stale}.", cause=cause) from error
        compare(subject, 3, found, alone[i], stale, alone[i], cause)


def learns_in_its_states(subject: Subject, point: Point) -> None:
    """Law 3: outside training a layer is as before once its states are, or they do not hold all that it learns."""
    ys = []
    for training in (False, True, False):
        subject.rewind()
        for _, part in parts_of({"": subject.owner}):
            part.training = training
        ys.append(subject.run(point).y)
    why = "it is not as it was before it was training: name all that it learns in state_names, or it is not saved"
    compare(subject, 3, {"y": ys[2]}, {"y": ys[0]}, why)


def accumulates(subject: Subject, points: Sequence[Point], dys: DrawDy) -> None:
    """Law 4: backward passes add up in dθ, and those from zero start over."""
    passes = [(outcome, dys(outcome)) for outcome in map(subject.run, points)]
    alone = [subject.gradients(*one) for one in passes]
    found = {d(name): gradient for name, gradient in subject.held("d").items()}  # which must be the arrays added to
    for i, one in enumerate(passes):
        subject.gradients(*one, from_zero=i == 0)
    total = {d(name): np.add.reduce([one[name] for one in alone]) for name in subject.held()}
    sizes = {d(name): np.abs([one[name] for one in alone]) for name in subject.held()}
    why = f"after {len(points)} backward passes: write dW += … in place of dW = …"
    compare(subject, 4, found, total, why, sizes, "gradients are overwritten, not accumulated")


def has_independent_rows(subject: Subject, point: Point, dys: DrawDy) -> None:
    """Law 5: each row comes out as it would alone, and the batch's dθ is the sum over its rows."""
    outcome = subject.run(point)
    dy = dys(outcome)
    together, total = gradients(subject, outcome, dy), {d(name): np.zeros(()) for name in subject.held()}
    for n in range(len(dy)):
        by_itself = subject.run({name: x[n : n + 1] for name, x in point.items()})
        why = f"row {n} by itself: it depends on the other rows of its batch"
        compare(subject, 5, {"y": by_itself.y}, {"y": outcome.y[n : n + 1]}, why)
        alone = gradients(subject, by_itself, dy[n : n + 1])
        total = {name: total[name] + alone.pop(name) for name in total}
        rows = {name: together[name][n : n + 1] for name in alone}
        compare(subject, 5, alone, rows, f"row {n} by itself: only losses divide by the batch size")
    compare(subject, 5, together, total, "it is not the sum over the rows; only losses divide by the batch size")


def averages_over_the_batch(subject: Subject, point: Point, dys: DrawDy, k: int = 2) -> None:
    """Law 5 for a loss: it doesn't change when every example comes k times, and each dy is divided by k."""
    one, many = subject.run(point), subject.run({name: np.concatenate([x] * k) for name, x in point.items()})
    why = f"with every example {k} times: divide {{}} by the batch size"
    compare(subject, 5, {"the value": many.y}, {"the value": one.y}, why.format("it"))
    expected, found = gradients(subject, one, dys(one)), gradients(subject, many, dys(many))
    for name in map(d, subject.inputs.keys() & subject.start):
        if name in expected:
            expected[name] = np.concatenate([expected[name] / k] * k)
    compare(subject, 5, found, expected, why.format("the derivative"))


def leaves_out_dx_alone(subject: Subject, point: Point, dys: DrawDy) -> None:
    """Law 6 for a layer with `skips_dx`: `backward(dy, need_dx=False)` adds to dθ what `backward(dy)` adds."""
    outcome = subject.run(point)
    dy, short = dys(outcome), outcome._replace(backward=without_dx(subject.owner, outcome.backward))
    whole = gradients(subject, outcome, dy)
    arrays = point | subject.held() | {"dy": dy}
    before = {name: np.array(x) for name, x in arrays.items()}
    try:
        found = gradients(subject, short, dy, from_zero=False)
    except Exception as error:
        told = "backward(dy, need_dx=False) fails: take need_dx, as skips_dx says, and leave out dx alone."
        raise LawError(6, subject.name, told) from error
    why = "backward(dy, need_dx=False) changes it: compute a new array"
    compare(subject, 1, arrays | subject.held(), before, why, before)
    expected = {d(name): 2 * whole[d(name)] for name in subject.held()}
    why = "after backward(dy) and backward(dy, need_dx=False), which should leave out dx alone"
    compare(subject, 6, found, expected, why, expected, "need_dx=False leaves out more than dx")


def is_the_same_under_every_engine(subject: Subject, point: Point, dys: DrawDy) -> None:
    """Law 7: the formulas in NumPy and the kernels in use agree to rounding, and keep the type of the inputs."""
    results, dy = [], None
    for engine in ("numpy", kernels.active()):
        with kernels.use(engine):
            outcome = subject.run(point)
            dy = dys(outcome).astype(subject.dtype) if dy is None else dy
            results.append({"y": outcome.y} | gradients(subject, outcome, dy))
    compare(subject, 7, results[1], results[0], "that is what the formulas in NumPy give")
    for name, one in results[1].items():
        if one.dtype != subject.dtype:
            hint = "make arrays in x.dtype, and write constants as Python numbers"
            told = f"{name} is {one.dtype} where the inputs are {subject.dtype}: {hint}."
            raise LawError(7, subject.name, told, array=name, cause="another type")
