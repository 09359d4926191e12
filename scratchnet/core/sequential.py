"""Layers one after the other; the backward pass runs through them last to first. That is the chain rule."""

from scratchnet.arrays import Array, Backward
from scratchnet.checks import check_type
from scratchnet.core.layer import Layer, without_dx


class Sequential(Layer):
    """y = fₖ(… f₂(f₁(x))), of at least one layer, f₁ first.

    Derivation: docs/03-dense.md, the chain rule. `backward(dy, need_dx=False)` stops at the first layer that has
    parameters: below it, only the data's gradient is left to compute.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> net = sn.Sequential(sn.Dense(3, 4, rng=np.random.default_rng(0)), sn.ReLU())
    >>> y, backward = net.forward(np.zeros((2, 3), np.float32))
    >>> y.shape, backward(y).shape
    ((2, 4), (2, 3))
    >>> net
    Sequential(Dense(3, 4), ReLU())
    """

    skips_dx = True

    def __init__(self, *layers: Layer):
        if not layers:
            raise ValueError("Sequential expects at least one layer, got none.")
        for i, layer in enumerate(layers):
            hint = ": put a * before a list of layers" if isinstance(layer, list | tuple) else ""
            check_type("Sequential", f"argument {i}", layer, Layer, "a layer", hint)
        self.layers = layers
        self.n_in = layers[0].n_in
        trained = [any(part.parameter_names for _, part in layer.walk("")) for layer in layers]
        self._first_trained = trained.index(True) if any(trained) else 0

    def forward(self, x: Array) -> tuple[Array, Backward]:
        ways_back: list[Backward] = []
        y = x
        for layer in self.layers:
            y, layer_backward = layer.forward(y)
            ways_back.append(layer_backward)

        def backward(dy: Array, need_dx: bool = True) -> Array | None:
            first = 0 if need_dx else self._first_trained
            for layer_backward in reversed(ways_back[first + 1 :]):  # each dx is the dy of the layer below
                dy = layer_backward(dy)
            # the lowest layer, whose dx is computed only if the caller needs it
            layer_backward = ways_back[first] if need_dx else without_dx(self.layers[first], ways_back[first])
            return layer_backward(dy)

        return y, backward

    def children(self) -> dict[str, Layer]:
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"
