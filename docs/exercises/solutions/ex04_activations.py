"""Chapter 04, Activations: docs/04-activations-and-losses.md."""

import numpy as np

import scratchnet as sn


class ReLU(sn.Layer):
    """y = max(x, 0), and dx = dy ⊙ [x > 0].

    x, y, dy and dx have one shape (N, …).

    ★ · 10 minutes · docs/04-activations-and-losses.md#activations-from-their-outputs
    """

    def forward(self, x):
        y = np.maximum(x, 0)

        def backward(dy):
            return dy * (y > 0)

        return y, backward


class Sigmoid(sn.Layer):
    """y = 1 / (1 + e^−x), and dx = dy ⊙ y′, with the slope y′ written in terms of y.

    x, y, dy and dx have one shape (N, …). At x = ±1000, too, y must be a number.

    ★★ · 15 minutes · docs/04-activations-and-losses.md#activations-from-their-outputs
    """

    def forward(self, x):
        e = np.exp(-np.where(x > 0, x, -x))
        y = np.where(x > 0, 1, e) / (1 + e)

        def backward(dy):
            return dy * y * (1 - y)

        return y, backward


class Tanh(sn.Layer):
    """y = tanh x = (e^x − e^−x) / (e^x + e^−x), and dx = dy ⊙ y′, with the slope y′ written in terms of y.

    x, y, dy and dx have one shape (N, …). NumPy has np.tanh, which does not overflow.

    ★ · 10 minutes · docs/04-activations-and-losses.md#activations-from-their-outputs
    """

    def forward(self, x):
        y = np.tanh(x)

        def backward(dy):
            return dy * (1 - y**2)

        return y, backward
