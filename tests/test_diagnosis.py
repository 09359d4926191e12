"""The cause that a failed gradient check names is the mistake that was planted, at any scale; or it names none.

And what is right is never accused.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.arrays import Array
from tests.test_gradcheck import Affine, Faulty, normal, with_db, with_dx, with_weight_gradient

SCALES = (1.0, *(pytest.param(scale, marks=pytest.mark.slow) for scale in (1e-6, 1e6)))


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


def of(y_of: Callable[[Array], Any], dx_of: Callable[[Array, Array, Array], Array]) -> Callable:
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


def relu_under_weights(x):
    W = normal(4, 3, seed=5)
    return relu(x @ W), lambda dy: dy @ W.T


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
    "twice, in float32": (
        Affine(4, 3, with_weight_gradient(lambda x, y, dy: np.float32(2 * x.T @ dy))),
        (x,),
        "it is twice what it should be",
    ),
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
    "first example of two": (Affine(4, 3, with_db(lambda dy: dy[0])), (x[:2],), "the first example's share"),
    "last example": (Affine(4, 3, with_db(lambda dy: dy[-1])), (x,), "the last example's share"),
    "flipped": (Affine(4, 3, with_weight_gradient(lambda x, y, dy: (x.T @ dy)[::-1])), (x,), "back to front"),
    "turned": (of(lambda W: W**3, lambda W, y, dy: (3 * W**2 * dy)[::-1, ::-1]), (x,), "turned by 180°"),
    "off by one": (
        Affine(4, 3, with_weight_gradient(lambda x, y, dy: np.roll(x.T @ dy, 1, axis=1))),
        (x,),
        "off by one along axis 1",
    ),
    "off by one the other way": (
        Affine(4, 3, with_weight_gradient(lambda x, y, dy: np.roll(x.T @ dy, -1, axis=0))),
        (x,),
        "off by one along axis 0",
    ),
    "no ReLU′ under weights": (relu_under_weights, (x,), "the derivative of the ReLU is missing"),
    "no σ′": (of(sigmoid, lambda x, y, dy: dy.copy()), (x,), "derivative of the sigmoid is missing"),
    "tanh′ for σ′": (of(sigmoid, lambda x, y, dy: dy * (1 - y**2)), (x,), "that of the tanh is used instead"),
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
    "softmax in float32": (
        of(lambda x: softmax(x.astype(np.float32)), lambda x, y, dy: dy * y * (1 - y)),
        (x,),
        "the diagonal of the Jacobian alone",
    ),
    "layer norm": (normalization(1), (x,), "treats the mean and the variance of x over axis 1 as constant"),
    "variance": (
        normalization(1, through_mean=True),
        (x,),
        "the backward pass treats the variance of x over axis 1 as constant",
    ),
    "batch norm": (normalization(0, 1), (x,), "averages over axis 1, the forward pass over 0"),
    "batch norm of images": (
        normalization((0, 2, 3)),
        (normal(3, 2, 2, 2),),
        "treats the mean and the variance of x over axis 0, 2, 3 as constant",
    ),
    "layer norm of images": (
        normalization((1, 2, 3)),
        (normal(3, 2, 2, 2),),
        "treats the mean and the variance of x over axis 1, 2, 3 as constant",
    ),
    "KL": (kl_without_its_one, (x, target), "too large everywhere: a constant term, such as a 1"),
    "repeated index": (pick, (x, np.array([0, 2, 2, 1, 2])), "np.add.at(dx, i, dy)"),
    "repeated index, a tenth": (scaled(pick, 0.1), (x, np.array([0, 2, 2, 1, 2])), "np.add.at(dx, i, dy)"),
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


# ---- what is right


def batch_norm(x, gamma, beta):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    z = normalized(x, 0)

    def backward(dy):
        dz = dy * gamma
        return (dz - dz.mean(axis=0) - z * (dz * z).mean(axis=0)) / std, (dy * z).sum(axis=0), dy.sum(axis=0)

    return gamma * z + beta, backward


def bias_before_batch_norm(x, b):
    y, backward = batch_norm(np.abs(x) + b, 1.0, 0.0)

    def both(dy):
        dz, *_ = backward(dy)
        return dz * np.sign(x), dz.sum(axis=0)

    return y, both


def bias_before_softmax(x, b):
    y = softmax(x + b)

    def backward(dy):
        dz = y * (dy - (dy * y).sum(axis=1, keepdims=True))
        return dz, dz.sum(axis=1, keepdims=True)

    return y, backward


def layer_norm(x):
    std, z = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5), normalized(x, 1)

    def backward(dy):
        return (dy - dy.mean(axis=1, keepdims=True) - z * (dy * z).mean(axis=1, keepdims=True)) / std

    return z, backward


class SinglePrecision(sn.Layer):
    parameter_names = ("W",)

    def __init__(self):
        self.W, self.dW = normal(4, 3, seed=5), np.zeros((4, 3))

    def forward(self, x):
        x32, W32 = x.astype(np.float32), self.W.astype(np.float32)

        def backward(dy):
            self.dW += x32.T @ dy
            return dy @ W32.T

        return x32 @ W32, backward


def tanh_in_float32(x):
    y = np.tanh(x.astype(np.float32))
    return y.astype(np.float64), lambda dy: dy * (1 - y**2)


def beside_float32(x):
    y = np.tanh(x.astype(np.float32))
    return x + y, lambda dy: dy + dy * (1 - y**2)


def maximum(x):
    of_row = x.argmax(axis=1)

    def backward(dy):
        dx = np.zeros_like(x)
        dx[np.arange(len(x)), of_row] = dy
        return dx

    return x.max(axis=1), backward


def dropout(x, rng):
    kept = rng.random(x.shape) < 0.5
    return 2 * x * kept, lambda dy: 2 * dy * kept


def cross_entropy(logits):
    return sn.softmax_cross_entropy(logits, np.array([0, 1, 2, 0]))


COLUMNS, MAGNITUDES = np.array([1, 1e-7, 1e-9, 1e-13]), np.array([1e12, 1, 1e-6, 1e-12])

RIGHT: dict[str, tuple] = {
    "ReLU at its kink": (of(relu, lambda x, y, dy: dy * (x > 0)), np.zeros((2, 3))),
    "maximum": (maximum, x),
    "maximum of ties": (maximum, np.round(x)),
    "hinge at its kink": (lambda x: (np.maximum(0, 1 - x).sum(), -1.0 * (x < 1)), np.array([[1.0, 0.5], [2.0, 1.0]])),
    "norm": (of(lambda x: np.linalg.norm(x), lambda x, y, dy: dy * x / y), x),
    "float32 in a layer": (SinglePrecision(), x),
    "float32 in a layer, far away": (SinglePrecision(), 100 * x),
    "float32 in a function": (tanh_in_float32, x),
    "float32 along random directions": (tanh_in_float32, normal(30, 40)),
    "float32 beside float64": (beside_float32, x),
    "a sum of 1e6 squares": (lambda x: ((x**2).sum(), 2 * x), normal(1000, 1000)),
    "a mean of 1e6 moduli": (lambda x: (np.abs(x).mean(), np.sign(x) / x.size), normal(1000, 1000)),
    "a variance that cancels": (lambda x: ((x**2).mean() - x.mean() ** 2, 2 * (x - x.mean()) / x.size), 1e4 + x),
    "huge": (of(lambda x: 1e30 * x**2, lambda x, y, dy: 2e30 * x * dy), x),
    "tiny": (of(lambda x: 1e-30 * np.abs(x) ** 1.5, lambda x, y, dy: 1.5e-30 * np.sign(x) * np.abs(x) ** 0.5 * dy), x),
    "a fine scale": (of(lambda x: np.tanh(1e8 * x), lambda x, y, dy: 1e8 * dy * (1 - y**2)), 1e-8 * x),
    "columns of other sizes": (of(lambda x: np.abs(x) * COLUMNS, lambda x, y, dy: dy * np.sign(x) * COLUMNS), x),
    "sizes in one sum": (lambda x: (np.abs(x * MAGNITUDES).sum(), np.sign(x) * MAGNITUDES), x),
    "saturated sigmoid": (of(sigmoid, lambda x, y, dy: dy * y * (1 - y)), 30 * x),
    "saturated softmax": (cross_entropy, 40 * normal(4, 3)),
    "an unused parameter": (lambda x, w: (x**2 + 0 * w.sum(), lambda dy: (2 * x * dy, 0 * w)), x, normal(3)),
    "a bias before batch norm": (bias_before_batch_norm, x, normal(4)),
    "a bias before softmax": (bias_before_softmax, x, normal(5, 1)),
    "batch norm": (batch_norm, x, normal(4), normal(4)),
    "batch norm of a batch of two": (batch_norm, x[:2], normal(4), normal(4)),
    "layer norm": (layer_norm, x),
    "layer norm, far away": (layer_norm, 1e4 + x),
    "dropout": (dropout, x),
    "a dead layer": (of(lambda x: relu(x - 100), lambda x, y, dy: dy * (x > 100)), x),
    "cross entropy near the ends": (sn.bce, np.array([[1e-9, 0.5, 1 - 1e-9]]), np.array([[0.0, 0.3, 1.0]])),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_never_accused(name, seed):
    f, *inputs = RIGHT[name]
    sn.check_gradients(f, *inputs, rng=np.random.default_rng(seed))


# ---- what a report says that it did not check


def test_a_small_column_that_is_doubled_is_found_where_nothing_is_analytic():
    wrong = of(lambda x: np.abs(x) * COLUMNS, lambda x, y, dy: dy * np.sign(x) * COLUMNS * [1, 2, 1, 1])
    assert "where it is wrong: it is twice" in told(wrong, (x,), 1.0)


def test_a_slope_below_the_noise_is_not_passed_but_reported():
    def f(x):
        return np.abs(x * MAGNITUDES).sum(), np.sign(x) * MAGNITUDES * [1, 1, 2, 2]

    report = sn.check_gradients(f, x, rng=np.random.default_rng(1))
    assert report.arrays[0].unmeasured == 15
    assert "dx: 15 of 20 coordinates have slopes too small beside the noise of f to be checked." in repr(report)


def test_a_precision_of_float32_is_reported():
    report = repr(sn.check_gradients(SinglePrecision(), x, rng=np.random.default_rng(1)))
    assert "digits, so that its slopes are known to about 5." in report


def test_a_wrong_layer_in_float32_is_still_found():
    def wrong(x):
        y = np.tanh(x.astype(np.float32))
        return y, lambda dy: 1.01 * dy * (1 - y**2)

    assert "it is 1.01 times" in told(wrong, (x,), 1.0) or not told(wrong, (x,), 1.0)


def tanh_in_float16(factor=1.0):
    def forward(x):
        y = np.tanh(x.astype(np.float16)).astype(np.float64)
        return y, lambda dy: factor * dy * (1 - y**2)

    return forward


def sum_in_float16(x):
    y = np.tanh(x.astype(np.float16)).astype(np.float64)
    return (y**2).sum(), 2 * y * (1 - y**2)


def relu_in_float16(x):
    return relu(x.astype(np.float16)).astype(np.float64), lambda dy: dy * (x > 0)


def verdict(f, seed, x=x):
    try:
        return repr(sn.check_gradients(f, x, rng=np.random.default_rng(seed)))
    except sn.GradientError as error:
        return str(error)


@pytest.mark.parametrize("f", [tanh_in_float16(), sum_in_float16, relu_in_float16], ids=["tanh", "sum", "ReLU"])
def test_a_right_function_in_float16_passes_or_is_said_to_round_too_coarsely(f):
    for seed in (1, 2, 3):
        assert re.search("so that its slopes are known to about|too few to measure its slope", verdict(f, seed))


def test_how_coarsely_float16_rounds_is_said():
    with pytest.raises(sn.GradientError, match=r"rounds to [34] digits, too few to measure its slope in x: check it"):
        sn.check_gradients(tanh_in_float16(), x, rng=np.random.default_rng(1))


def test_a_wrong_function_in_float16_is_still_found():
    with pytest.raises(sn.GradientError, match=r"^dx of .* is wrong: "):
        sn.check_gradients(tanh_in_float16(2.0), x, rng=np.random.default_rng(1))


@pytest.mark.parametrize("amplitude", [1e-3, 2e-3])
def test_slopes_of_which_noise_leaves_no_digit_are_refused(amplitude):
    noisy = of(lambda x: np.tanh(x) + amplitude * np.sin(1e9 * x), lambda x, y, dy: dy * (1 - np.tanh(x) ** 2))
    for seed in (1, 2):
        assert "too few to measure its slope in x" in verdict(noisy, seed, np.linspace(-0.5, 0.5, 6))


class Own:
    """A model of one's own, neither a Layer nor a Model, on a batch of images and labels."""

    unit = "nats"

    def __init__(self, factor: float):
        self.net = sn.Dense(4, 3, rng=np.random.default_rng(0))
        self.parameters = sn.Parameters(net=self.net)
        self.dtype, self.factor = self.parameters.theta.dtype, factor

    def loss(self, batch, rng=None):
        x, labels = batch
        logits, backward = self.net.forward(x)
        value, dlogits = sn.softmax_cross_entropy(logits, labels)

        def backward_from_loss():
            backward(self.factor * dlogits)

        return sn.Loss(value, {"nll": value}, backward_from_loss)


def test_the_loss_of_ones_own_model_is_checked_in_its_parameters():
    x, labels = normal(5, 4).astype(np.float32), np.array([0, 1, 2, 0, 1])
    report = sn.check_gradients(Own(1).loss, (x, labels), rng=np.random.default_rng(1))
    assert [one.name for one in report.arrays] == ["net.W", "net.b"]
    assert report.notes[0] == "Not checked: batch[0], of which backward returns no gradient."
    assert report.notes[1] == "Not checked: batch[1], no floats."
    with pytest.raises(sn.GradientError, match=r"net\.db of Own\.loss|net\.dW of Own\.loss"):
        sn.check_gradients(Own(2).loss, (x, labels), rng=np.random.default_rng(1))


def test_a_function_that_may_train_something_is_not_passed_as_if_that_were_checked():
    report = sn.check_gradients(of(np.tanh, lambda x, y, dy: dy * (1 - y**2)), x, rng=np.random.default_rng(1))
    assert "Not checked: parameters." in repr(report)


def test_a_tuple_is_checked_in_its_parts():
    def product(pair):
        u, v, _ = pair
        return u * v, lambda dy: ((dy * v, dy * u),)

    report = sn.check_gradients(product, (x, target, np.arange(3)), rng=np.random.default_rng(1))
    assert [one.name for one in report.arrays] == ["pair[0]", "pair[1]"]


# ---- what is not told falsely


def in_place(x):
    x += np.ones(4)
    return x.copy(), lambda dy: dy.copy()


def two_lengths():
    calls = iter(range(1000))
    return lambda x: (x[: 2 + next(calls) % 2], lambda dy: dy)


def test_outputs_of_another_shape_at_each_call_are_told():
    with pytest.raises(sn.GradientError, match=r"y has the shape \(\d, 4\), not \(\d, 4\): forward gives another y"):
        sn.check_gradients(two_lengths(), x, rng=np.random.default_rng(1))


def test_where_outputs_have_another_shape_there_is_no_slope():
    def positive(x):
        return x[x > 0], lambda dy: dy.copy()

    with pytest.raises(FloatingPointError, match="too small a neighbourhood"):
        sn.check_gradients(positive, np.full(2, 1e-300), rng=np.random.default_rng(1))


def test_a_backward_pass_in_half_precision_is_told():
    f = of(np.tanh, lambda x, y, dy: (dy * (1 - y**2)).astype(np.float16))
    assert told(f, (x,), 1.0) == "dx is right only to the digits of float16: part of the backward pass is in this type"


def test_a_mask_of_booleans_in_the_place_of_a_gradient_is_told():
    assert "does not depend on dy" in told(of(relu, lambda x, y, dy: y > 0), (x,), 1.0)


def test_an_input_that_forward_changes_is_not_told_as_noise():
    with pytest.raises(sn.GradientError) as raised:
        sn.check_gradients(in_place, x, rng=np.random.default_rng(1))
    assert raised.value.cause == "an array is changed in place"


NO_CAUSE = {
    "zeros": of(lambda x: 0 * x, lambda x, y, dy: dy.copy()),
    "NaN": of(np.square, lambda x, y, dy: np.where(dy > 0, np.nan, 2 * x * dy)),
    "softmax without its sum": of(softmax, lambda x, y, dy: dy * y),
    "std": of(lambda x: x.std(axis=1), lambda x, y, dy: dy[:, None] * (x - x.mean(axis=1, keepdims=True)) / 4),
    "product": of(lambda x: x.prod(axis=1), lambda x, y, dy: dy[:, None] / x),
    "W after tanh": of(lambda x: np.tanh(x), lambda x, y, dy: (dy * (1 - y**2)) @ normal(4, 4)),
    "softplus": of(lambda x: np.log1p(np.exp(x)), lambda x, y, dy: dy * np.exp(x)),
    "elu": of(lambda x: np.where(x > 0, x, np.exp(x) - 1), lambda x, y, dy: dy * (x > 0)),
    "swish": of(lambda x: x * sigmoid(x), lambda x, y, dy: dy * sigmoid(x)),
    "sort": of(lambda x: np.sort(x, axis=1), lambda x, y, dy: dy.copy()),
    "one wrong number": of(np.tanh, lambda x, y, dy: dy * (1 - y**2) + dy * np.eye(5, 4)),
    "a column forgotten": of(np.tanh, lambda x, y, dy: dy * (1 - y**2) * [0, 1, 1, 1]),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NO_CAUSE)
def test_a_mistake_that_cannot_be_known_is_given_no_cause(name, scale):
    assert told(NO_CAUSE[name], (x,), scale) == ""


@pytest.mark.parametrize(
    ("f", "given", "sentence"),
    [
        (sn.ReLU, x, "got the class ReLU: pass one of its instances"),
        (sn.ReLU(), np.arange(4), "int64: convert it with"),
        (lambda x: (x, lambda dy: dy), np.arange(4), "but x of int64: x.astype"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_sentence(f, given, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        sn.check_gradients(f, given, rng=np.random.default_rng(1))
