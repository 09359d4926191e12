"""All seven laws on one layer or one loss, at random points."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_length, check_rng, check_type, named
from scratchnet.core.layer import Layer
from scratchnet.core.parameters import Parameters
from scratchnet.errors import GradientError, LawError
from scratchnet.gradcheck import check_gradients
from scratchnet.testing import laws
from scratchnet.testing.laws import Subject


def check_layer(
    make: Callable[[], Layer],
    x_shape: tuple[int, ...],
    *,
    rng: np.random.Generator,
    dtype: Any = np.float64,
    independent_rows: bool = True,
) -> None:
    """Check the seven laws on a layer; raise a LawError that names the lowest one that is broken.

    Parameters
    ----------
    make : function
        () → a new layer.
    x_shape : tuple of int
        The shape of a batch, (N, …), with N of at least 2.
    rng : Generator
    dtype : float type
        Of x and of the layer's parameters.
    independent_rows : bool
        False for a layer that mixes the rows of a batch on purpose, as batch normalisation does: law 5 is left out.

    Notes
    -----
    docs/18-your-own.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> sn.testing.check_layer(lambda: sn.Dense(3, 2, rng=rng, dtype=np.float64), (5, 3), rng=rng)
    """
    check_type("check_layer", "make", make, Callable, "a function")
    check_rng("check_layer", rng)
    shape = _batch_shape("check_layer", "x_shape", x_shape)
    layer = make()
    if not isinstance(layer, Layer):
        raise TypeError(f"check_layer expects make() to return a layer, got {named(layer)}.")
    trained = any(part.parameter_names for _, part in layer.walk(""))

    def forward(x: Array):
        y, backward = layer.forward(x)
        return y, lambda dy: (backward(dy),)

    subject = Subject(repr(layer), forward, Parameters(layer=layer) if trained else None)

    def draw(*size: int) -> Array:
        return _read_only(rng.uniform(-2, 2, size).astype(dtype))

    batches = [[draw(*shape)], [draw(shape[0] + 1, *shape[1:])]]
    writable = [np.array(x) for x in batches[1]]
    laws.mutates_only_what_it_made(subject, [batches[0], writable], lambda y: draw(*y.shape))
    y, _ = layer.forward(batches[0][0])
    laws.is_linear_in_dy(subject, batches[0], draw(*y.shape), draw(*y.shape), 2.0, -0.5)
    for last_first in (False, True):
        laws.is_re_entrant(subject, batches, lambda y: draw(*y.shape), last_first=last_first)
    if trained:
        laws.accumulates(subject, batches, lambda y: draw(*y.shape))
    if independent_rows:
        laws.has_independent_rows(subject, batches[0], lambda y: draw(*y.shape))
    _true(subject, layer, batches[0][0], rng)
    laws.is_the_same_under_every_engine(subject, batches[0], lambda y: draw(*y.shape))


def check_loss(
    f: Callable[[Array, Array], tuple[float, Array]],
    y_shape: tuple[int, ...],
    *,
    target: Array | Callable[[np.random.Generator, tuple[int, ...]], Array],
    rng: np.random.Generator,
) -> None:
    """Check the laws on a loss f(y, target) → (value, dy); raise a LawError that names the lowest one that is broken.

    Parameters
    ----------
    f : function
    y_shape : tuple of int
        The shape of a batch, (N, …), with N of at least 2.
    target : array or function
        What y is compared with, or (rng, shape) → such an array.
    rng : Generator

    Notes
    -----
    docs/18-your-own.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> sn.testing.check_loss(sn.bce_with_logits, (4, 3), target=lambda rng, shape: rng.random(shape), rng=rng)
    """
    check_type("check_loss", "f", f, Callable, "a function")
    check_rng("check_loss", rng)
    shape = _batch_shape("check_loss", "y_shape", y_shape)
    wanted = np.asarray(target(rng, shape) if callable(target) else target)

    def forward(y: Array, target: Array):
        value, dy = f(y, target)
        return np.asarray(value), lambda _: (dy,)

    subject = Subject(getattr(f, "__name__", repr(f)), forward, names=("y", "the target"))
    inputs = [_read_only(rng.uniform(-2, 2, shape)), _read_only(wanted)]
    writable = [np.array(x) for x in inputs]
    laws.mutates_only_what_it_made(subject, [inputs, writable], lambda y: np.ones(()))
    laws.averages_over_the_batch(subject, inputs)
    _true(subject, lambda y: f(y, wanted), inputs[0], rng)
    laws.is_the_same_under_every_engine(subject, inputs, lambda y: np.ones(()))


def _true(subject: Subject, f: Any, x: Array, rng: np.random.Generator) -> None:
    """Law 6: the backward pass is the derivative of the forward pass, in every input and every parameter."""
    try:
        check_gradients(f, x, rng=rng)
    except GradientError as error:
        raise LawError(6, subject.name, str(error)) from None


def _read_only(x: Array) -> Array:
    """A view of x that can't be written to."""
    x = x.view()
    x.flags.writeable = False
    return x


def _batch_shape(where: str, name: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not shape:
        raise TypeError(f"{where} expects {name} to be the shape of a batch, such as (5, 3), got {named(shape)}.")
    shape = tuple(check_length(where, name, length) for length in shape)
    if shape[0] < 2:
        raise ValueError(f"{where} expects {name} to have at least 2 rows, to see whether they mix, got {shape}.")
    return shape
