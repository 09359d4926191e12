"""Layers that move no number, only the axes: rows become images and images rows."""

import math

from scratchnet.arrays import Array, Backward
from scratchnet.checks import check_dy, check_floats, check_length
from scratchnet.core.layer import Layer
from scratchnet.errors import ShapeError


class Reshape(Layer):
    """y = x with each example in another shape: (N, …) → (N, *shape), in row-major order.

    Parameters
    ----------
    shape : int or tuple of int
        The shape of one example, without the batch axis.

    Raises
    ------
    ShapeError
        From `forward`, if an example does not hold as many numbers as `shape`.

    Notes
    -----
    The derivative moves back what was moved: docs/04-activations-and-losses.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> y, backward = sn.Reshape((1, 2, 2)).forward(np.zeros((5, 4)))
    >>> y.shape, backward(y).shape
    ((5, 1, 2, 2), (5, 4))
    """

    def __init__(self, shape: int | tuple[int, ...]):
        lengths = shape if isinstance(shape, tuple | list) else (shape,)
        self.shape = tuple(check_length("Reshape", f"shape[{axis}]", length) for axis, length in enumerate(lengths))
        self.n_in = math.prod(self.shape)

    def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, …)
        check_floats(self, "x", x)
        if x.ndim == 0 or math.prod(x.shape[1:]) != self.n_in:
            raise ShapeError(
                f"{self!r} expects {self.n_in} numbers an example, got x of shape {x.shape}, "
                f"{math.prod(x.shape[1:])} an example."
            )
        y = _reshaped(x, (len(x), *self.shape))  # (N, *shape)

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return _reshaped(dy, x.shape)

        return y, backward

    def __repr__(self) -> str:
        return f"Reshape({self.shape})"


class Flatten(Layer):
    """y = x with each example as one row: (N, C, H, W) → (N, C·H·W), in row-major order.

    Raises `ShapeError` if x has no batch axis, or dy is not in the shape of y. The derivative moves back what was
    moved: docs/04-activations-and-losses.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> y, backward = sn.Flatten().forward(np.zeros((5, 1, 2, 2)))
    >>> y.shape, backward(y).shape
    ((5, 4), (5, 1, 2, 2))
    """

    def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, …)
        check_floats(self, "x", x)
        if x.ndim == 0:
            raise ShapeError("Flatten() expects x of shape (N, …), got a single number.")
        y = _reshaped(x, (len(x), math.prod(x.shape[1:])))  # (N, D)

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return _reshaped(dy, x.shape)

        return y, backward


def _reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    return x.copy(order="C").reshape(shape)  # a copy: y is new, so writing into it leaves x alone
