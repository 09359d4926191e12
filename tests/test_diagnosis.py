"""The cause that a failed gradient check names is the mistake that was planted, at any scale; or it names none.

And what is right is never accused.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.arrays import Array
from tests.test_gradcheck import Affine, Faulty, normal, with_db, with_dx, with_weight_gradient

SCALES = (1e-6, 1.0, 1e6)


def scaled(f: Any, scale: float) -> Any:
    """f with y, or its value, and all its gradients times scale."""
    if isinstance(f, Affine):
        return ScaledLayer(f, scale)

    @functools.wraps(f)  # which keeps the names of its arguments
    def forward(*inputs):
        y, *rest = f(*inputs)
        if callable(rest[0]):
            return scale * y, lambda dy: rest[0](scale * dy)
        return scale * y, *(scale * one for one in rest)

    return forward


class ScaledLayer(sn.Layer):
    def __init__(self, layer: sn.Layer, scale: float):
        self.layer, self.scale = layer, scale

    def children(self):
        return {"layer": self.layer}

    def forward(self, x):
        y, backward = self.layer.forward(x)
        return self.scale * y, lambda dy: backward(self.scale * dy)


def told(f: Any, inputs: tuple, scale: float, seed: int = 1) -> str:
    with pytest.raises(sn.GradientError) as raised:
        sn.check_gradients(scaled(f, scale), *inputs, rng=np.random.default_rng(seed))
    return raised.value.cause


# ---- the mistakes


def of(y_of: Callable[[Array], Array], dx_of: Callable[[Array, Array, Array], Array]) -> Callable:
    def forward(x):
        y = y_of(x)
        return y, lambda dy: dx_of(x, y, dy)

    return forward


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def normalized(x, axis):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)


def normalization(forward_axis, backward_axis=None, through_mean=False):
    """A normalization whose backward pass averages over another axis, or over none."""

    def forward(x):
        std = np.sqrt(x.var(axis=forward_axis, keepdims=True) + 1e-5)
        z = normalized(x, forward_axis)

        def backward(dy):
            if backward_axis is None:
                return (dy - through_mean * dy.mean(axis=forward_axis, keepdims=True)) / std
            means = (one.mean(axis=backward_axis, keepdims=True) for one in (dy, dy * z))
            return (dy - next(means) - z * next(means)) / std

        return z, backward

    return forward


def squares(y, target):
    return ((y - target) ** 2).sum() / len(y), 2 * (y - target)


def squares_divided_twice(y, target):
    return ((y - target) ** 2).sum() / len(y), 2 * (y - target) / len(y) ** 2


def kl_without_its_one(mu, logvar):
    value, dmu, _ = sn.kl_standard_normal(mu, logvar)
    return value, dmu, np.exp(logvar) / (2 * len(mu))


def pick(x, rows):
    def backward(dy):
        dx = np.zeros_like(x)
        dx[rows] += dy
        return dx

    return x[rows], backward


def closed_over(x):
    W = normal(3, 3, seed=5)
    return x @ W, lambda dy: dy @ W


def channel_bias(x, b):
    return x + b[:, None, None], lambda dy: (dy.copy(), dy.mean(axis=(0, 2, 3)))


def term(mix):
    return lambda scale: ScaledFaulty(mix, scale).loss


class ScaledFaulty(Faulty):
    def __init__(self, mix, scale: float):
        super().__init__(mix)
        self.scale = scale

    def loss(self, x, rng=None, *, eps=None):
        loss = super().loss(x, rng, eps=eps)

        def backward():
            dtheta = self.parameters.dtheta
            before = dtheta.copy()
            loss.backward()
            dtheta[...] = before + self.scale * (dtheta - before)

        return sn.Loss(self.scale * loss.value, loss.terms, backward)


x, square = normal(5, 4), normal(5, 3)
W, target = normal(4, 3, seed=3), normal(5, 4, seed=4)
twice = 0.01 + np.abs(normal(2, 3))

MISTAKES: dict[str, tuple[Any, tuple, str]] = {
    "sign": (Affine(4, 3, with_weight_gradient(lambda x, y, dy: -x.T @ dy)), (x,), "the sign is flipped"),
    "twice": (of(np.tanh, lambda x, y, dy: 2 * dy * (1 - y**2)), (x,), "twice what it should be"),
    "half": (of(np.square, lambda x, y, dy: x * dy), (x,), "half what it should be"),
    "factor": (of(np.tanh, lambda x, y, dy: 0.3 * dy * (1 - y**2)), (x,), "0.3 times what it should be"),
    "one column twice": (
        of(lambda x: np.abs(x) * [1, 1, 1e-6, 1], lambda x, y, dy: dy * np.sign(x) * [1, 1, 2e-6, 1]),
        (x,),
        ", where it is wrong: it is twice what",
    ),
    "no 1/N": (squares, (x, target), "N = 5 times too large"),
    "1/N twice": (squares_divided_twice, (x, target), "N = 5 times too small"),
    "mean for sum": (Affine(4, 3, with_db(lambda dy: dy.mean(axis=0))), (x,), "N = 5 times too small"),
    "mean over pixels for sum": (channel_bias, (normal(5, 2, 3, 3), normal(2)), "average over 45 outputs"),
    "transposed": (Affine(3, 3, with_weight_gradient(lambda x, y, dy: dy.T @ x)), (square,), "dW is transposed"),
    "W for Wᵀ": (Affine(3, 3, with_dx(lambda W, dy: dy @ W)), (square,), "W, where dy "),
    "W for Wᵀ in a closure": (closed_over, (square,), "W stands in the place of Wᵀ"),
    "W reshaped": (Affine(4, 3, with_dx(lambda W, dy: dy @ W.reshape(W.shape[::-1]))), (x,), "W is reshaped"),
    "yᵀ dy": (Affine(3, 3, with_weight_gradient(lambda x, y, dy: y.T @ dy)), (square,), "dW is yᵀ dy"),
    "nothing": (Affine(4, 3, with_weight_gradient(lambda x, y, dy: 0)), (x,), "is zero everywhere"),
    "swapped": (lambda u, v: (u * v, lambda dy: (dy * u, dy * v)), (x, target), "are swapped"),
    "the other input's": (
        lambda u, v: (u * v, lambda dy: (dy * v, dy * v)),
        (x, target),
        "dv is what du should be: it is the gradient of the other input",
    ),
    "not summed": (lambda x, b: (x + b, lambda dy: (dy, dy)), (x, normal(4)), "its sum over axis 0"),
    "not summed over a 1": (lambda x, b: (x + b, lambda dy: (dy, dy)), (x, normal(5, 1)), "not summed over axes (1,)"),
    "first example": (Affine(4, 3, with_db(lambda dy: dy[0])), (x,), "the first example's share"),
    "last example": (Affine(4, 3, with_db(lambda dy: dy[-1])), (x,), "the last example's share"),
    "flipped": (Affine(4, 3, with_weight_gradient(lambda x, y, dy: (x.T @ dy)[::-1])), (x,), "back to front"),
    "turned": (of(lambda W: W**3, lambda W, y, dy: (3 * W**2 * dy)[::-1, ::-1]), (x,), "turned by 180°"),
    "off by one": (
        Affine(4, 3, with_weight_gradient(lambda x, y, dy: np.roll(x.T @ dy, 1, axis=1))),
        (x,),
        "off by one along axis 1",
    ),
    "no σ′": (of(sigmoid, lambda x, y, dy: dy.copy()), (x,), "derivative of the sigmoid is missing"),
    "tanh′ for σ′": (of(sigmoid, lambda x, y, dy: dy * (1 - y**2)), (x,), "that of the tanh stands in its place"),
    "σ′ twice": (of(sigmoid, lambda x, y, dy: dy * (y * (1 - y)) ** 2), (x,), "applied twice"),
    "1 − x²": (of(np.tanh, lambda x, y, dy: dy * (1 - x**2)), (x,), "but is taken at its input x"),
    "σ′(y)": (
        of(sigmoid, lambda x, y, dy: dy * sigmoid(y) * (1 - sigmoid(y))),
        (x,),
        "sigmoid is taken at its output y",
    ),
    "mask of dy": (of(relu, lambda x, y, dy: dy * (dy > 0)), (x,), "the mask is taken from dy"),
    "inverted mask": (of(relu, lambda x, y, dy: dy * (x <= 0)), (x,), "the mask is inverted"),
    "leak": (
        of(lambda x: np.where(x > 0, x, 0.1 * x), lambda x, y, dy: dy * (x > 0)),
        (x,),
        "the slope 0.1 where x < 0",
    ),
    "clip": (of(lambda x: np.clip(x, -0.5, 0.5), lambda x, y, dy: dy.copy()), (x,), "the mask of the clip is missing"),
    "dy": (of(np.square, lambda x, y, dy: 2 * x), (x,), "does not depend on dy"),
    "mask too much": (of(np.tanh, lambda x, y, dy: dy * (1 - y**2) * (dy > 0)), (x,), "not linear in dy"),
    "a constant": (of(np.tanh, lambda x, y, dy: dy * (1 - y**2) + 1), (x,), "not linear in dy"),
    "residual": (of(lambda x: x + np.tanh(x), lambda x, y, dy: dy * (1 - np.tanh(x) ** 2)), (x,), "unchanged"),
    "residual too much": (of(np.tanh, lambda x, y, dy: dy * (1 - y**2) + dy), (x,), "is added once too often"),
    "softmax": (of(softmax, lambda x, y, dy: dy * y * (1 - y)), (x,), "the diagonal of the Jacobian alone"),
    "layer norm": (normalization(1), (x,), "the mean and the variance of x over axis 1 change with x, but are held"),
    "variance": (
        normalization(1, through_mean=True),
        (x,),
        "the variance of x over axis 1 changes with x, but is held",
    ),
    "batch norm": (normalization(0, 1), (x,), "averages over axis 1, the forward pass over 0"),
    "KL": (kl_without_its_one, (x, target), "too large everywhere: a constant term, such as a 1"),
    "repeated index": (pick, (x, np.array([0, 2, 2, 1, 2])), "np.add.at(dx, i, dy)"),
    "kl missing": (term(lambda a, b, c, d: (a, b)), (np.random.default_rng(1).random((5, 6)),), "of the kl is missing"),
    "kl's sign": (
        term(lambda a, b, c, d: (a - c, b - d)),
        (np.random.default_rng(1).random((5, 6)),),
        "kl has the wrong sign",
    ),
    "noise": (
        term(lambda a, b, c, d: (a + c, d)),
        (np.random.default_rng(1).random((5, 6)),),
        "path through the noise",
    ),
}


def cause_of(name: str, scale: float, seed: int = 1) -> str:
    f, inputs, _ = MISTAKES[name]
    if isinstance(inputs[0], np.ndarray) and inputs[0].shape == (5, 6):
        with pytest.raises(sn.GradientError) as raised:
            sn.check_gradients(f(scale), *inputs, rng=np.random.default_rng(seed))
        return raised.value.cause
    return told(f, inputs, scale, seed)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", MISTAKES)
def test_the_cause_that_is_named_is_the_one_that_was_planted(name, scale):
    for seed in (1, 2):
        assert MISTAKES[name][2] in cause_of(name, scale, seed)


def test_at_least_25_mistakes_are_told_at_every_scale():
    assert len(MISTAKES) >= 25
