"""All seven laws on one layer or one loss, at random points: docs/18-your-own.md."""

import contextlib
import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_float_type, check_length, check_rng, check_type
from scratchnet.core.layer import Layer
from scratchnet.core.parameters import parts_of
from scratchnet.errors import GradientError, LawError
from scratchnet.gradcheck import check_gradients, laws
from scratchnet.gradcheck.check import nearby
from scratchnet.gradcheck.subject import Outcome, Subject


def check_layer(
    make: Callable[[], Layer],
    x_shape: tuple[int, ...],
    *,
    rng: np.random.Generator,
    dtype: Any = np.float64,
    independent_rows: bool = True,
) -> None:
    """Check the seven laws on a layer; raise a LawError that names the lowest one that is broken.

    All of them are tried outside training, then in training, where only state may change; parameters are moved first.

    Parameters
    ----------
    make : function
        () → a new layer.
    x_shape : tuple of int
        The shape of a batch, (N, …), with N of at least 2.
    rng : Generator
    dtype : float type
        In which a copy of the layer computes.
    independent_rows : bool
        False for a layer that mixes the rows of a batch on purpose, as batch normalisation does: law 5 is left out.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> sn.testing.check_layer(lambda: sn.Dense(3, 2, rng=rng, dtype=np.float64), (5, 3), rng=rng)
    """
    check_type("check_layer", "make", make, Callable, "a function")
    check_rng("check_layer", rng)
    N, *shape = _batch_shape("check_layer", "x_shape", x_shape)
    dtype = check_float_type("check_layer", dtype)

    def draw(*size: int) -> Array:
        numbers = rng.uniform(-2, 2, size) * rng.choice([1, 4], size)  # some are beyond the bounds of most functions
        return np.broadcast_to(numbers.astype(dtype), size)  # a read-only view

    def dys(outcome: Outcome) -> Array:
        return draw(*outcome.y.shape)

    layer, x, large = copy.deepcopy(make()), draw(N, *shape), np.finfo(dtype).eps.item() ** -0.5
    check_type("check_layer", "make()", layer, Layer, "a layer")
    for training in (False, True):
        for _, part in parts_of({"": layer}):
            part.training = training
        subject = Subject(layer, (x,), 0, dtype=dtype)
        subject.name += " while training" if training else ""
        subject.run(nearby(subject, list(subject.held()), rng))  # a weight that starts at 0 or 1 hides mistakes
        (name,) = subject.inputs
        points, writable = [{name: x}, {name: draw(N + 1, *shape)}], {name: np.array(x)}
        laws.mutates_only_what_it_made(subject, [*points, writable], dys)
        u, v = dys(subject.run(points[0])), dys(subject.run(points[0]))
        laws.is_linear_in_dy(subject, points[0], u, v, large, -0.5)
        for last_first in (False, True):
            laws.is_re_entrant(subject, points, dys, last_first=last_first)
        if not training:
            laws.learns_in_its_states(subject, writable)
        laws.accumulates(subject, points, dys)
        if independent_rows:
            laws.has_independent_rows(subject, points[0], dys)
        _laws_6_and_7(subject, dys, rng, layer, x)


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

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> sn.testing.check_loss(sn.bce_with_logits, (4, 3), target=lambda rng, shape: rng.random(shape), rng=rng)
    """
    check_type("check_loss", "f", f, Callable, "a function")
    check_rng("check_loss", rng)
    shape = _batch_shape("check_loss", "y_shape", y_shape)
    y = rng.uniform(-2, 2, shape) * rng.choice([1, 4], shape)
    inputs = y, np.asarray(target(rng, shape) if callable(target) else target)
    subject = Subject(f, inputs, 0)
    names = subject.inputs
    point = {name: np.broadcast_to(x, x.shape) for name, x in zip(names, inputs, strict=True)}  # read-only views
    dys = partial(Outcome.random_dy, rng=rng)
    laws.mutates_only_what_it_made(subject, [point, dict(zip(names, map(np.array, inputs), strict=True))], dys)
    laws.averages_over_the_batch(subject, point, dys)
    _laws_6_and_7(subject, dys, rng, f, *inputs)


def _laws_6_and_7(subject: Subject, dys: laws.DrawDy, rng: np.random.Generator, f: Any, *inputs: Array) -> None:
    try:
        check_gradients(f, *inputs, rng=rng)
    except GradientError as error:
        if isinstance(error.__cause__, LawError):
            raise error.__cause__ from None
        raise LawError(6, subject.name, str(error), **vars(error)) from None
    for dtype in (np.float64, np.float32):
        with contextlib.suppress(TypeError, ValueError):  # f may refuse a type
            in_type = Subject(f, inputs, 0, dtype=dtype)
            in_type.name = subject.name
            laws.is_the_same_under_every_engine(in_type, in_type.start, dys)


def _batch_shape(where: str, name: str, shape: Any) -> tuple[int, ...]:
    check_type(where, name, shape, tuple, "the shape of a batch, such as (5, 3)")
    shape = tuple(check_length(where, name, length) for length in shape)
    if not shape or shape[0] < 2:
        raise ValueError(f"{where} expects {name} to have at least 2 rows, to see whether they mix, got {shape}.")
    return shape
