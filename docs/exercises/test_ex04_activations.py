import numpy as np


def values(check, forward, x, right, mistakes):
    """What forward returns, at ordinary numbers; and its backward pass."""
    y, backward = check.several(forward(x), "y", "backward")
    check.same(y, right, mistakes, "y")
    return backward


def test_relu(ex, check, rng):
    x = rng.normal(size=(3, 4, 2))
    mistakes = {
        "It is |x|.": np.abs(x),
        "It is [x > 0], the slope.": 1.0 * (x > 0),
        "It is min(x, 0).": np.minimum(x, 0),
    }
    values(check, ex.ReLU().forward, x, np.maximum(x, 0), mistakes)
    check.layer(ex.ReLU, (5, 3))
    at_zero = ex.ReLU().forward(np.zeros((1, 1)))[1](np.ones((1, 1)))
    check.same(at_zero, [[0.0]], {"The mask is x > 0, and not x ≥ 0.": [[1.0]]}, "at x = 0, dx")


def test_sigmoid(ex, check, rng):
    x = rng.normal(size=(3, 4, 2))
    mistakes = {
        "It is σ(−x): the sign of the exponent is flipped.": 1 / (1 + np.exp(x)),
        "It is tanh x.": np.tanh(x),
        "It is σ(|x|): only the exponent has −|x|, and for x < 0 the numerator is e^x.": 1 / (1 + np.exp(-np.abs(x))),
        "It is σ(2x).": 1 / (1 + np.exp(-2 * x)),
    }
    backward = values(check, ex.Sigmoid().forward, x, 1 / (1 + np.exp(-x)), mistakes)
    far = np.array([[-1000.0, 1000.0]])
    told = "e^1000 overflows: for x > 0 use 1 / (1 + e^−x), and else e^x / (1 + e^x)."
    check.same(ex.Sigmoid().forward(far)[0], [[0.0, 1.0]], {}, "at x = ±1000, y", not_finite=told)
    small = np.max(ex.Sigmoid().forward(np.full((1, 1), -30.0))[0])
    told = f"at x = −30, y is {small:.3g}, where 9.36e-14 is meant: do not clip x, and add no small number."
    check.that(abs(small - np.exp(-30)) < 1e-12, told)
    y, dy = 1 / (1 + np.exp(-x)), rng.normal(size=x.shape)
    mistakes = {
        "The factor y is missing: y′ = y (1 − y).": dy * (1 - y),
        "The factor 1 − y is missing: y′ = y (1 − y).": dy * y,
        "The square does not belong there: y′ = y (1 − y).": dy * (1 - y**2),
    }
    check.none_of(backward(dy), mistakes, "dx")
    check.layer(ex.Sigmoid, (5, 3))


def test_tanh(ex, check, rng):
    x = rng.normal(size=(3, 4, 2))
    y, dy = np.tanh(x), rng.normal(size=x.shape)
    mistakes = {"It is the sigmoid.": 1 / (1 + np.exp(-x)), "It is tanh 2x.": np.tanh(2 * x)}
    backward = values(check, ex.Tanh().forward, x, y, mistakes)
    told = "e^1000 overflows: use np.tanh."
    far = ex.Tanh().forward(np.array([[-1000.0, 1000.0]]))[0]
    check.same(far, [[-1.0, 1.0]], {}, "at x = ±1000, y", not_finite=told)
    mistakes = {
        "The square is missing: y′ = 1 − y².": dy * (1 - y),
        "The square is of y alone: y′ = 1 − y².": dy * (1 - y) ** 2,
        "dy is squared in the place of y: y′ = 1 − y².": dy * (1 - dy**2),
    }
    check.none_of(backward(dy), mistakes, "dx")
    check.layer(ex.Tanh, (5, 3))
