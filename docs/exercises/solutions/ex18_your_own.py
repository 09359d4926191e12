"""Chapter 18, Your own: docs/18-your-own.md."""

import numpy as np

import scratchnet as sn


class Softplus(sn.Layer):
    """y = log(1 + e^x), which must not overflow; derive its slope.

    x, y, dy and dx have one shape (N, …).

    ★★ · 20 minutes · docs/18-your-own.md#the-test-to-copy
    """

    def forward(self, x):
        e = np.exp(-np.where(x > 0, x, -x))
        y = np.maximum(x, 0) + np.log1p(e)

        def backward(dy):
            return dy * np.where(x > 0, 1, e) / (1 + e)

        return y, backward


def huber(y, target):
    """L = (1/N) Σₙ Σᵢ c(yₙᵢ − tₙᵢ) with c(d) = ½ d² for |d| ≤ 1 and |d| − ½ beyond, and dy = ∂L/∂y.

    y and target (N, D); returns the number L and dy (N, D).

    ★★ · 15 minutes · docs/18-your-own.md#the-test-to-copy
    """
    d = y - target
    far = np.abs(d) > 1
    return np.where(far, np.abs(d) - 0.5, 0.5 * d**2).sum() / len(y), np.clip(d, -1, 1) / len(y)


class AdaGrad(sn.Optimizer):
    """G ← G + dθ², then θ ← θ − η dθ / (√G + ε).

    theta, dtheta and self.G (P,); self.G is zero before the first step. Change theta and self.G in place; return
    nothing.

    ★★ · 15 minutes · docs/18-your-own.md#rmsprop
    """

    memory_names = ("G",)
    epsilon = 1e-8

    def move(self, theta, dtheta, learning_rate):
        self.G += dtheta**2
        theta -= learning_rate * dtheta / (np.sqrt(self.G) + self.epsilon)


class Smoothed(sn.Callback):
    """s ← loss after the first step, then s ← 0.9 s + 0.1 loss, where loss is run.loss.value.

    The callback keeps s in self.smoothed, which is None before training. A training that is resumed goes on with the s
    that it had: state_dict() returns all that must be kept, and load_state_dict(state) takes it back.

    ★★★ · 25 minutes · docs/18-your-own.md#the-experiment
    """

    def before_training(self, run):
        self.smoothed = None

    def after_loss(self, run):
        new = run.loss.value
        self.smoothed = new if self.smoothed is None else 0.9 * self.smoothed + 0.1 * new

    def state_dict(self):
        return {"smoothed": self.smoothed}

    def load_state_dict(self, state):
        self.smoothed = state["smoothed"]
