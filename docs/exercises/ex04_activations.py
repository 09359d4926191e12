"""Chapter 04, Activations: docs/04-activations-and-losses.md."""

import numpy as np

import scratchnet as sn


class ReLU(sn.Layer):
    """y = max(x, 0), and dx = dy ⊙ [x > 0].

    x, y, dy and dx have one shape (N, …).

    ★ · 10 minutes · docs/04-activations-and-losses.md#activations-from-their-outputs
    """

    def forward(self, x):
        raise NotImplementedError("TODO: return y and backward")


class Sigmoid(sn.Layer):
    """y = 1 / (1 + e^−x), and dx = dy ⊙ y′, with the slope y′ written in terms of y.

    x, y, dy and dx have one shape (N, …). At x = ±1000, too, y must be a number.

    ★★ · 15 minutes · docs/04-activations-and-losses.md#activations-from-their-outputs
    """

    def forward(self, x):
        raise NotImplementedError("TODO: return y and backward")


class Tanh(sn.Layer):
    """y = tanh x = (e^x − e^−x) / (e^x + e^−x), and dx = dy ⊙ y′, with the slope y′ written in terms of y.

    x, y, dy and dx have one shape (N, …). NumPy has np.tanh, which does not overflow.

    ★ · 10 minutes · docs/04-activations-and-losses.md#activations-from-their-outputs
    """

    def forward(self, x):
        raise NotImplementedError("TODO: return y and backward")
