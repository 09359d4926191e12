"""The one protocol: forward hands you the way back.

    y, backward = layer.forward(x)      # x is untouched, y is new
    dx = backward(dy)                   # dy = ∂L/∂y → dx = ∂L/∂x; adds ∂L/∂W to layer.dW

`backward` is defined inside `forward`, so it sees forward's x and y (a closure), and the layer itself stores nothing.
So a layer can run forward twice before the first backward pass, and a layer of your own is one class with one method.
Gradients are added, because a layer may be used twice in one pass; `Parameters.zero_grad` starts from 0. The names are
those of docs/00-notation.md, and arrays.py has the types `Array` and `Backward`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial

from scratchnet.arrays import Array, Backward


class Layer(ABC):
    """A function and its derivative, and its parameters with their gradients.

    A layer with parameters names them in `parameter_names` and holds each under its name, with its gradient under
    `d` and that name: `W` and `dW`. A layer made of layers returns them from `children`.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> class Square(sn.Layer):
    ...     def forward(self, x):
    ...         y = x * x
    ...         def backward(dy):
    ...             return 2 * x * dy                               # dx = 2x dy
    ...         return y, backward
    >>> y, backward = Square().forward(np.array([3.0]))
    >>> y, backward(np.array([1.0]))
    (array([9.]), array([6.]))
    """

    parameter_names: tuple[str, ...] = ()  # the attributes that are trained
    state_names: tuple[str, ...] = ()  # saved, not trained, such as running means; changed only while `training`
    training: bool = False  # True during a step of `fit`, which sets it; False while validating, encoding or evaluating
    skips_dx: bool = False  # whether `backward` takes `need_dx=False`, and then computes no ∂L/∂x
    n_in: int | None = None  # the width of the rows that the layer takes, where it is fixed

    @abstractmethod
    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Compute y from x, and return it with its backward function."""

    def children(self) -> dict[str, "Layer"]:
        """The layers that this one is made of, by name."""
        return {}

    def walk(self, name: str) -> Iterator[tuple[str, "Layer"]]:
        """This layer under `name`, then all layers below it under dotted names, in the order of forward."""
        yield name, self
        for child_name, child in self.children().items():
            yield from child.walk(f"{name}.{child_name}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def without_dx(layer: Layer, backward: Backward) -> Backward:
    """The backward pass of a first layer, without the gradient of the data, which training does not use."""
    return partial(backward, need_dx=False) if layer.skips_dx else backward
