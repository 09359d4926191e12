import numpy as np


def values(check, forward, x, right, mistakes):
    """What forward returns, at ordinary numbers."""
    found = forward(x)
    check.that(isinstance(found, tuple) and len(found) == 2, "forward returns two things, y and backward.")
    check.same(found[0], right, mistakes, "y")


def test_relu(ex, check, rng):
    x = rng.normal(size=(3, 4))
    mistakes = {
        "It is |x|.": np.abs(x),
        "It is [x > 0], the slope.": 1.0 * (x > 0),
        "It is min(x, 0).": np.minimum(x, 0),
    }
    values(check, ex.ReLU().forward, x, np.maximum(x, 0), mistakes)
    check.layer(ex.ReLU, (5, 3))


def test_sigmoid(ex, check, rng):
    x = rng.normal(size=(3, 4))
    mistakes = {"It is σ(−x): the sign of the exponent is flipped.": 1 / (1 + np.exp(x)), "It is tanh x.": np.tanh(x)}
    values(check, ex.Sigmoid().forward, x, 1 / (1 + np.exp(-x)), mistakes)
    far = np.array([[-1000.0, 1000.0]])
    told = "e^1000 overflows: for x > 0 use 1 / (1 + e^−x), and else e^x / (1 + e^x)."
    check.same(ex.Sigmoid().forward(far)[0], [[0.0, 1.0]], {}, "at x = ±1000, y", not_finite=told)
    y, backward = ex.Sigmoid().forward(x)
    dy = rng.normal(size=x.shape)
    mistakes = {
        "The factor y is missing: y′ = y (1 − y).": dy * (1 - y),
        "The factor 1 − y is missing: y′ = y (1 − y).": dy * y,
        "The square does not belong there: y′ = y (1 − y).": dy * (1 - y**2),
    }
    check.none_of(backward(dy), mistakes, "dx")
    check.layer(ex.Sigmoid, (5, 3))


def test_tanh(ex, check, rng):
    x = rng.normal(size=(3, 4))
    mistakes = {"It is the sigmoid.": 1 / (1 + np.exp(-x)), "It is tanh 2x.": np.tanh(2 * x)}
    values(check, ex.Tanh().forward, x, np.tanh(x), mistakes)
    check.layer(ex.Tanh, (5, 3))
