"""Chapter 03, The dense layer: docs/03-dense.md."""

import numpy as np

import scratchnet as sn


def initial_weights(n_in, n_out, rng):
    """W is uniform in ±1/√n_in, so that a sum of n_in terms does not grow with their number.

    rng is a numpy.random.Generator; returns W (n_in, n_out).

    ★ · 5 minutes · docs/03-dense.md#the-starting-scale
    """
    bound = 1 / np.sqrt(n_in)
    return rng.uniform(-bound, bound, (n_in, n_out))


class Dense(sn.Layer):
    """y = x W + b, with ∂L/∂W = Σₙ xₙᵀ dyₙ, ∂L/∂b = Σₙ dyₙ and ∂L/∂x = dy Wᵀ.

    x, dx (N, D); W, dW (D, M); b, db (M,); y, dy (N, M). The backward pass adds to self.dW and self.db, and returns dx.

    ★★ · 20 minutes · docs/03-dense.md#in-matrices
    """

    parameter_names = ("W", "b")

    def __init__(self, n_in, n_out, rng):
        self.W = rng.standard_normal((n_in, n_out))
        self.b = rng.standard_normal(n_out)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    def forward(self, x):  # x (N, D)
        y = x @ self.W + self.b  # (N, M)

        def backward(dy):  # dy (N, M)
            self.dW += x.T @ dy
            self.db += dy.sum(axis=0)
            return dy @ self.W.T

        return y, backward


class Sequential(sn.Layer):
    """y = f_K(… f₂(f₁(x))), and dx = back₁(back₂(… back_K(dy))).

    Each layer has forward(x) → y, backward. A layer's y is the next one's x; its dx is the dy of the one before.

    ★★ · 15 minutes · docs/03-dense.md#the-chain-rule-for-a-stack-of-layers
    """

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):  # x (N, D)
        backwards = []
        for layer in self.layers:
            x, backward = layer.forward(x)
            backwards.append(backward)

        def backward_of_all(dy):
            for backward in reversed(backwards):
                dy = backward(dy)
            return dy

        return x, backward_of_all

    def children(self):
        return {str(i): layer for i, layer in enumerate(self.layers)}
