"""Chapter 18, Your own: docs/18-your-own.md."""

import numpy as np

import scratchnet as sn


class Softplus(sn.Layer):
    """y = log(1 + e^x), which must not overflow; derive its slope.

    x, y, dy and dx have one shape (N, …).

    ★★ · 20 minutes · docs/18-your-own.md#the-test-to-copy
    """

    def forward(self, x):
        raise NotImplementedError("TODO: return y and backward")


def huber(y, target):
    """L = (1/N) Σₙ Σᵢ c(yₙᵢ − tₙᵢ) with c(d) = ½ d² for |d| ≤ 1 and |d| − ½ beyond, and dy = ∂L/∂y.

    y and target (N, D); returns the number L and dy (N, D).

    ★★ · 15 minutes · docs/18-your-own.md#the-test-to-copy
    """
    raise NotImplementedError("TODO: return the loss and dy")


class AdaGrad(sn.Optimizer):
    """G ← G + dθ², then θ ← θ − η dθ / (√G + ε).

    theta, dtheta and self.G (P,); self.G is zero before the first step. Change theta and self.G in place; return
    nothing.

    ★★ · 15 minutes · docs/18-your-own.md#rmsprop
    """

    memory_names = ("G",)
    epsilon = 1e-8

    def move(self, theta, dtheta, learning_rate):
        raise NotImplementedError("TODO: one step")


class Smoothed(sn.Callback):
    """s ← loss after the first step, then s ← 0.9 s + 0.1 loss, where loss is run.loss.value.

    The callback keeps s in self.smoothed, which is None before training. A training that is resumed goes on with the s
    that it had: state_dict() returns all that must be kept, and load_state_dict(state) takes it back.

    ★★★ · 25 minutes · docs/18-your-own.md#the-experiment
    """

    def before_training(self, run):
        self.smoothed = None

    def after_loss(self, run):
        raise NotImplementedError("TODO: follow the loss")

    def state_dict(self):
        raise NotImplementedError("TODO: what a checkpoint must keep")

    def load_state_dict(self, state):
        raise NotImplementedError("TODO: go on from a checkpoint")
