"""The laws of layers and losses, each a function that raises a LawError where it is broken.

A subject is what a law looks at: a layer, a loss, or a whole model, each as a function of some inputs that returns y
and a backward pass. Faults show best on read-only arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.core.parameters import Parameters
from scratchnet.errors import LawError

DrawDy = Callable[[Array], Array]
"""y → an array of its shape, to begin the backward pass with."""

KEEP = "keep what backward needs in its closure, not on self"


@dataclass
class Subject:
    """A function of some inputs with its backward pass.

    Attributes
    ----------
    name : str
        As the error calls it.
    forward : function
        (*inputs) → y, backward, where backward(dy) → a tuple of ∂L/∂input, for all inputs or the first few.
    parameters : Parameters or None
    names : tuple of str
        Of the inputs.
    """

    name: str
    forward: Callable[..., tuple[Array, Callable[[Array], tuple[Array, ...]]]]
    parameters: Parameters | None = None
    names: tuple[str, ...] = ("x",)

    def gradients(self, backward: Callable[[Array], tuple[Array, ...]], dy: Array) -> dict[str, Array]:
        """Copies of ∂L/∂input and, last, ∂L/∂θ, of this backward pass alone, by name: dx, dtheta."""
        if self.parameters is not None:
            self.parameters.zero_grad()
        found = {f"d{name}": np.array(gradient) for name, gradient in zip(self.names, backward(dy), strict=False)}
        return found if self.parameters is None else found | {"dtheta": self.parameters.dtheta.copy()}

    def broken(self, law: int, what: str) -> LawError:
        """The error that says so."""
        return LawError(law, self.name, what)

    def compare(self, law: int, found: dict[str, Array], expected: dict[str, Array], why: str) -> None:
        """Raise where gradients differ from the expected ones by more than rounding."""
        for name, one in expected.items():
            if place := _difference(found[name], one):
                raise self.broken(law, f"{name}{place} {why}")


def _difference(found: Array, expected: Array) -> str:
    """Where two arrays differ by more than rounding, as words; "" if nowhere."""
    if found.shape != expected.shape:
        return f" has the shape {found.shape}, not {expected.shape},"
    digits = 1e-9 if found.dtype.itemsize >= 8 else 1e-4
    with np.errstate(all="ignore"):
        differ = ~(np.abs(1.0 * found - expected) <= digits * (1 + np.abs(expected)))
    differ &= ~(np.isnan(found) & np.isnan(expected)) & (found != expected)
    if not differ.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(differ)[0])
    return f"{list(at) if at else ''} is {found[at]:.6g}, not {expected[at]:.6g}:"


def mutates_only_what_it_made(subject: Subject, batches: Sequence[Sequence[Array]], dys: DrawDy) -> None:
    """Law 1: no array is changed but dθ, and what is handed out is new."""
    seen: list[tuple[str, Array, bytes]] = []

    def see(name: str, *arrays: Array) -> None:
        seen.extend((name, array, array.tobytes()) for array in arrays)

    if subject.parameters is not None:
        see("a parameter", subject.parameters.theta)
    for inputs in batches:  # the second round must leave alone what the first one handed out
        for name, x in zip(subject.names, inputs, strict=False):
            see(name, x)
        y, backward = _called(subject, "forward", subject.forward, *inputs)
        dy = dys(y)
        see("y", y)
        see("dy", dy)
        handed = [*inputs, y, dy]
        gradients = _called(subject, "backward", backward, dy)
        see("a gradient that backward returned", *gradients, *backward(dy))
        handed += gradients
        if subject.parameters is not None:
            handed += [subject.parameters.theta, subject.parameters.dtheta]
        for i, one in enumerate(handed):
            if any(np.shares_memory(one, other) for other in handed[:i]):
                raise subject.broken(1, "an array that it returns shares memory with another: return a new one.")
    for name, array, before in seen:
        if array.tobytes() != before:
            raise subject.broken(1, f"it changes {name}: compute a new array instead of writing in place.")


def _called(subject: Subject, what: str, function: Callable[..., Any], *arrays: Array) -> Any:
    """The function's result; if it fails on read-only arrays but works on others, which it changes, law 1 is broken."""
    try:
        return function(*arrays)
    except Exception:
        copies = [np.array(x) for x in arrays]
        try:
            function(*copies)
        except Exception:
            copies = []
        names = subject.names if what == "forward" else ("dy",)
        for name, copy, x in zip(names, copies, arrays, strict=False):
            if copy.tobytes() != x.tobytes():
                raise subject.broken(1, f"its {what} pass writes into {name}: compute a new array.") from None
        raise


def is_linear_in_dy(subject: Subject, inputs: Sequence[Array], u: Array, v: Array, a: float, b: float) -> None:
    """Law 2: backward(a·u + b·v) = a·backward(u) + b·backward(v)."""
    _, backward = subject.forward(*inputs)
    whole = subject.gradients(backward, a * u + b * v)
    of_u, of_v = subject.gradients(backward, u), subject.gradients(backward, v)
    expected = {name: a * of_u[name] + b * of_v[name] for name in whole}
    subject.compare(2, whole, expected, "backward(a·u + b·v) differs from a·backward(u) + b·backward(v).")


def is_re_entrant(
    subject: Subject, batches: Sequence[Sequence[Array]], dys: DrawDy, *, last_first: bool = False
) -> None:
    """Law 3: two forward passes, then both backward passes, in any order: each uses its own inputs."""
    alone, given = [], []
    for inputs in batches:
        y, backward = subject.forward(*inputs)
        given.append(dys(y))
        alone.append(subject.gradients(backward, given[-1]))
    backwards = [subject.forward(*inputs)[1] for inputs in batches]
    for i in reversed(range(len(batches))) if last_first else range(len(batches)):
        try:
            found = subject.gradients(backwards[i], given[i])
        except Exception as error:
            raise subject.broken(3, f"backward fails after a second forward pass: {KEEP}.") from error
        subject.compare(3, found, alone[i], f"after a second forward pass: {KEEP}.")


def accumulates(subject: Subject, batches: Sequence[Sequence[Array]], dys: DrawDy) -> None:
    """Law 4: two backward passes add up in dθ, and `zero_grad` starts over."""
    parameters = subject.parameters
    assert parameters is not None
    passes = []
    total = np.zeros_like(parameters.theta)
    for inputs in batches:
        y, backward = subject.forward(*inputs)
        passes.append((backward, dys(y)))
        total += subject.gradients(*passes[-1])["dtheta"]
    parameters.zero_grad()
    for backward, dy in passes:
        backward(dy)
    if place := _difference(parameters.dtheta, total):
        raise subject.broken(4, f"after two backward passes dtheta{place} add to dW and db with +=.")


def has_independent_rows(subject: Subject, inputs: Sequence[Array], dys: DrawDy) -> None:
    """Law 5: each row comes out as it would alone, and the batch's dθ is the sum over its rows."""
    y, backward = subject.forward(*inputs)
    dy = dys(y)
    together = subject.gradients(backward, dy)
    dtheta = together.pop("dtheta", None)
    total = 0.0
    for n in range(len(dy)):
        y_alone, backward_alone = subject.forward(*(x[n : n + 1] for x in inputs))
        if place := _difference(y_alone, y[n : n + 1]):
            raise subject.broken(5, f"row {n} by itself: y{place} it depends on the other rows of its batch.")
        alone = subject.gradients(backward_alone, dy[n : n + 1])
        total = total + alone.pop("dtheta", 0.0)
        rows = {name: gradient[n : n + 1] for name, gradient in together.items()}
        subject.compare(5, alone, rows, f"row {n} by itself: only losses divide by the batch size.")
    if dtheta is not None and (place := _difference(dtheta, np.asarray(total))):
        raise subject.broken(5, f"dtheta{place} it is not the sum over the rows; only losses divide by the batch size.")


def averages_over_the_batch(subject: Subject, inputs: Sequence[Array], k: int = 2) -> None:
    """Law 5 for a loss: it doesn't change when every example comes k times, and each dy is divided by k."""
    one = np.ones(())
    value, backward = subject.forward(*inputs)
    value_of_k, backward_of_k = subject.forward(*(np.concatenate([x] * k) for x in inputs))
    if place := _difference(np.asarray(value_of_k), np.asarray(value)):
        raise subject.broken(5, f"with every example {k} times, the value{place} divide by the batch size.")
    expected, of_k = subject.gradients(backward, one), subject.gradients(backward_of_k, one)
    for name in expected.keys() - {"dtheta"}:
        expected[name] = np.concatenate([expected[name] / k] * k)
    subject.compare(5, of_k, expected, f"with every example {k} times: divide the derivative by the batch size.")


def is_the_same_under_every_engine(subject: Subject, inputs: Sequence[Array], dys: DrawDy) -> None:
    """Law 7: the formulas in NumPy and the kernels in use agree to rounding."""
    results = []
    dy: Array | None = None
    for engine in ("numpy", kernels.active()):
        with kernels.use(engine):
            y, backward = subject.forward(*inputs)
            dy = dys(y) if dy is None else dy
            results.append((y, subject.gradients(backward, dy)))
    (y_numpy, expected), (y, found) = results
    if place := _difference(np.asarray(y), np.asarray(y_numpy)):
        raise subject.broken(7, f"y{place} that is what the formulas in NumPy give.")
    subject.compare(7, found, expected, "that is what the formulas in NumPy give.")
