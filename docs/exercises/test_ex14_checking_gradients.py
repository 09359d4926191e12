import numpy as np

import scratchnet as sn


def test_central_difference(ex, check, rng):
    a, x, h = rng.uniform(0.5, 2), rng.uniform(0.5, 1.5), 0.1

    def f(t):
        return np.exp(a * t)

    right = (f(x + h) - f(x - h)) / (2 * h)
    mistakes = {
        "It is divided by h, where 2h is meant.": 2 * right,
        "It is the one-sided difference, (f(x + h) − f(x)) / h.": (f(x + h) - f(x)) / h,
        "It is the one-sided difference, (f(x) − f(x − h)) / h.": (f(x) - f(x - h)) / h,
        "The sign is flipped.": -right,
        "It is not divided by 2h.": right * 2 * h,
    }
    check.same(ex.central_difference(f, x, h), right, mistakes)


def test_complex_step(ex, check, rng):
    a, x = rng.uniform(0.5, 2), rng.uniform(0.5, 1.5)
    right = a * np.cos(a * x)
    mistakes = {
        "It is not divided by h.": 1e-20 * right,
        "It is the real part over h: take the imaginary part.": np.sin(a * x) / 1e-20,
        "f(x) is subtracted at a real step, which leaves no digits: the step is ih.": 0.0,
        "It is divided by 2h: one step is enough, and there is nothing to subtract.": right / 2,
    }
    check.same(ex.complex_step(lambda t: np.sin(a * t), x), right, mistakes)


def test_numerical_dx(ex, check, rng):
    W, x, dy = rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    before, h = x.copy(), 1e-5

    def f(x):
        return np.tanh(x @ W)

    right = ((1 - f(x) ** 2) * dy) @ W.T
    found = ex.numerical_dx(f, x, dy)
    check.that(np.array_equal(x, before), "x itself has changed: put each number back, or move a copy.")
    mistakes = {
        "dy is left out: L = Σ dy ⊙ f(x), and not Σ f(x).": (1 - f(x) ** 2) @ W.T,
        "It is divided by h, where 2h is meant.": 2 * right,
        "The sign is flipped.": -right,
        "It is not divided by 2h.": 2 * h * right,
    }
    if np.shape(found) == x.shape:  # a difference knows about ten digits
        wrong = {told: one for told, one in mistakes.items() if np.allclose(found, one, rtol=1e-6, atol=1e-14)}
        check.that(not wrong, " ".join(["dx is wrong.", *wrong]))
        off = np.abs(found - right).max()
        told = f"dx is off by {off:.1g}: move one number at a time, by h up and down, and take the central difference."
        check.that(off < 1e-7, told)
    else:
        check.same(found, right, {}, "dx")


class Layer(sn.Layer):
    """A layer made of a function."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_gradient_error(ex, check, rng):
    x = rng.normal(size=(5, 3))
    before = x.copy()

    def right(x):
        return (y := np.tanh(x)), lambda dy: dy * (1 - y**2)

    def one_wrong(x):
        def backward(dy):
            dx = right(x)[1](dy)
            dx[3, 1] *= 1.01
            return dx

        return np.tanh(x), backward

    def softmax(x):
        y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return x + y, lambda dy: 2 * dy - dy.mean(axis=1, keepdims=True)  # wrong, but right for a dy of ones

    found = ex.gradient_error(Layer(right), x, rng)
    check.that(np.ndim(found) == 0, "return one number, the largest of the errors.")
    check.that(np.array_equal(x, before), "x itself has changed: move a copy.")
    told = f"a right backward pass has the error {found:.2g}, where one below 1e-6 is meant: compare dx with slopes of "
    check.that(found < 1e-6, told + "L = Σ dy ⊙ y, for the same dy.")
    found = ex.gradient_error(Layer(softmax), x, rng)
    told = f"a wrong backward pass has the error {found:.2g}: it is right for a dy of ones, so draw dy at random."
    check.that(found > 1e-3, told)
    for _ in range(3):
        found = ex.gradient_error(Layer(one_wrong), x, rng)
        told = (
            f"one number of dx is wrong by 1 %, and the error is {found:.2g}: take the largest error of all numbers, "
        )
        check.that(found > 1e-7, told + "and not their mean or the first one.")
    scaled = ex.gradient_error(Layer(lambda x: (1e6 * right(x)[0], lambda dy: 1e6 * right(x)[1](dy))), x, rng)
    told = f"a right layer whose y is 10⁶ times as large has the error {scaled:.2g}: divide by the largest slope."
    check.that(scaled < 1e-6, told)
