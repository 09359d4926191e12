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
        "It is multiplied by h: in Python a / 2 * h is (a / 2) h, so 2h needs brackets.": right * h * h,
        "Brackets are missing: only f(x − h) is divided by 2h.": f(x + h) - f(x - h) / (2 * h),
        "It is the sum of the two, where their difference is meant.": (f(x + h) + f(x - h)) / (2 * h),
        "The steps are of h / 2.": (f(x + h / 2) - f(x - h / 2)) / h,
    }
    check.same(ex.central_difference(f, x, h), right, mistakes)


def test_complex_step(ex, check, rng):
    a, x = rng.uniform(0.5, 2), rng.uniform(0.5, 1.5)
    right = a * np.cos(a * x)
    found = ex.complex_step(lambda t: np.sin(a * t), x)
    real_step = "f(x) is subtracted at a real step, which leaves no digits: the step is ih."
    mistakes = {
        real_step if np.ndim(found) == 0 and found == 0 else "It is not divided by h.": 1e-20 * right,
        "It is the real part over h, or |f(x + ih)| over h: take the imaginary part.": np.sin(a * x) / 1e-20,
        "It is divided by 2h: one step is enough, and there is nothing to subtract.": right / 2,
    }
    check.same(found, right, mistakes)
    told = f"the error is {abs(found - right):.1g}, where the step ih, with h = 1e-20, gives all digits."
    check.that(abs(found - right) < 1e-13, told)


def test_numerical_dx(ex, check, rng):
    U, W, x, dy = (rng.normal(size=size) for size in ((5, 5), (4, 3), (5, 4), (5, 3)))
    h = 1e-5

    def f(x):
        return np.tanh(U @ x @ W)  # a number of x acts on all rows of y

    right = U.T @ ((1 - f(x) ** 2) * dy) @ W.T
    found = ex.numerical_dx(f, x, dy)
    mistakes = {
        "dy is left out: L = Σ dy ⊙ f(x), and not Σ f(x).": U.T @ (1 - f(x) ** 2) @ W.T,
        "It is divided by h, where 2h is meant.": 2 * right,
        "The sign is flipped.": -right,
        "It is not divided by 2h.": 2 * h * right,
        "L is the sum of dy ⊙ f(x), and not its mean.": right / 15,
    }
    if found is not None and np.shape(found) == x.shape:  # a difference knows about ten digits
        wrong = {told: one for told, one in mistakes.items() if np.allclose(found, one, rtol=1e-6, atol=1e-14)}
        check.that(not wrong, " ".join(["dx is wrong.", *wrong]))
        off = np.abs(np.asarray(found) - right).max()
        told = f"dx is off by {off:.1g}: move one number at a time, by h up and down, and take the central difference."
        check.that(off < 1e-7, told)
    else:
        check.same(found, right, {}, "dx")


class Spy(sn.Layer):
    """A layer made of a function, which notes the dy that backward gets."""

    def __init__(self, function):
        self.function, self.dys = function, []

    def forward(self, x):
        y, function_backward = self.function(x)

        def backward(dy):
            self.dys.append(np.array(dy))
            return function_backward(dy)

        return y, backward


def test_gradient_error(ex, check, rng):
    x, W = rng.normal(size=(5, 3)), rng.normal(size=(3, 2))

    def error_of(function, rng=rng):
        """The error that is found, and the dy that it was found for."""
        layer = Spy(function)
        found = ex.gradient_error(layer, x, rng)
        check.that(found is not None, "the result is None: return it.")
        check.that(np.ndim(found) == 0, "return one number, the largest of the errors.")
        check.that(layer.dys, "the layer's backward pass is not called: it is what is checked.")
        return found, layer.dys[-1]

    def right(x):
        y = np.tanh(x @ W)
        return y, lambda dy: (dy * (1 - y**2)) @ W.T

    def wrong(x):
        def backward(dy):
            dx = right(x)[1](dy)
            dx[3, 1] -= 2 * np.abs(dx).max()
            return dx

        return right(x)[0], backward

    found, dy = error_of(right)
    check.that(
        dy.shape == (5, 2), f"dy has the shape {dy.shape}, where y has (5, 2): dy is the slope of the loss in y."
    )
    told = f"a right backward pass has the error {found:.2g}, where one below 1e-6 is meant: compare dx with slopes of "
    check.that(found < 1e-6, told + "L = Σ dy ⊙ y, for the same dy.")
    told = "dy has equal rows or equal columns, as a dy of ones has: draw each of its numbers by itself."
    check.that(all(np.ptp(dy, axis=axis).any() for axis in (0, 1)), told)
    check.that(not np.allclose(dy, right(x)[0]), "dy is y: draw it at random.")
    check.drawn_from(lambda rng: error_of(right, rng)[1])
    found, dy = error_of(wrong)
    slopes = right(x)[1](dy)
    off, sizes = np.abs(wrong(x)[1](dy) - slopes), np.abs(slopes)
    mistakes = {
        "It is the mean of the errors over the mean of the slopes: take the largest of each.": off.mean()
        / sizes.mean(),
        "It is the ratio of two norms: take the largest of each.": np.linalg.norm(off) / np.linalg.norm(slopes),
        "Each error is divided by its own slope, which may be near 0: divide by the largest.": (off / sizes).max(),
        "It is divided by the largest of dx: divide by that of the slopes.": off.max() / np.abs(wrong(x)[1](dy)).max(),
        "It is not divided by the largest slope.": off.max(),
        "A number is added to the largest slope.": off.max() / (sizes.max() + 1),
        "Nothing of it is seen: take the largest error of all numbers, whatever its sign.": 0.0,
    }
    told = [sentence for sentence, one in mistakes.items() if abs(found - one) < 1e-7]
    error = off.max() / sizes.max()
    told.insert(0, f"where one number of dx is wrong, the error is {found:.6g}, and {error:.6g} is meant.")
    check.that(abs(found - error) < 1e-7, " ".join(told[:2]))
