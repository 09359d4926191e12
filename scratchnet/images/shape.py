"""Layers that leave the numbers alone and change only the axes: rows become images and images rows."""

import math

from scratchnet.arrays import Array, Backward
from scratchnet.checks import check_dy, check_floats, check_length
from scratchnet.core.layer import Layer
from scratchnet.errors import ShapeError


class Reshape(Layer):
    """y = x with each example in another shape, an int or a tuple: `(N, …)` → `(N, *shape)`, in row-major order.

    Derivation: docs/04-activations-and-losses.md.

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
        D = math.prod(x.shape[1:])
        if x.ndim == 0 or self.n_in != D:
            raise ShapeError(f"{self!r} expects {self.n_in} numbers per example, got {D} in x of shape {x.shape}.")
        return _reshape(self, x, self.shape)

    def __repr__(self) -> str:
        return f"Reshape({self.shape})"


class Flatten(Layer):
    """y = x with each example as one row: (N, C, H, W) → (N, C·H·W), in row-major order.

    Derivation: docs/04-activations-and-losses.md.

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
        return _reshape(self, x, (math.prod(x.shape[1:]),))


def _reshape(layer: Layer, x: Array, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    y = x.copy(order="C").reshape(len(x), *shape)  # a copy: y is new, so writing into it leaves x alone

    def backward(dy: Array) -> Array:
        check_dy(layer, dy, y)
        return dy.copy(order="C").reshape(x.shape)

    return y, backward
