import numpy as np

import scratchnet as sn


def test_softplus(ex, check, rng):
    x = rng.normal(size=(3, 4))
    found = ex.Softplus().forward(x)
    check.that(isinstance(found, tuple) and len(found) == 2, "forward returns two things, y and backward.")
    mistakes = {"It is log(1 + e^−x).": np.log1p(np.exp(-x)), "It is the sigmoid, the slope.": 1 / (1 + np.exp(-x))}
    check.same(found[0], np.log1p(np.exp(x)), mistakes, "y")
    dy, slope = rng.normal(size=x.shape), 1 / (1 + np.exp(-x))
    mistakes = {
        "It is dy itself: multiply it by the slope.": dy,
        "It is the slope at −x: that of softplus is e^x / (1 + e^x), the sigmoid.": dy * (1 - slope),
        "It has the slope of the ReLU: that of softplus is the sigmoid.": dy * (x > 0),
        "The derivative of the logarithm is 1 / (1 + e^x); the inner one, e^x, is missing.": dy / (1 + np.exp(x)),
    }
    check.none_of(found[1](dy), mistakes, "dx")
    check.layer(ex.Softplus, (5, 3))
    far = np.array([[-1000.0, 1000.0]])
    told = "e^1000 overflows: log(1 + e^x) = max(x, 0) + log(1 + e^−|x|)."
    y, backward = ex.Softplus().forward(far)
    check.same(y, [[0.0, 1000.0]], {}, "at x = ±1000, y", not_finite=told)
    told = "e^1000 overflows in the slope, which is the sigmoid of x: let no exponent be positive."
    check.same(backward(np.ones((1, 2))), [[0.0, 1.0]], {}, "at x = ±1000, dx", not_finite=told)


def test_huber(ex, check, rng):
    y, target = 2 * rng.normal(size=(2, 5, 3))
    y[0] = target[0] + [0.5, 2, -3]  # some near, some far, on both sides
    d = y - target
    right = np.where(np.abs(d) > 1, np.abs(d) - 0.5, 0.5 * d**2).sum() / 5
    found = ex.huber(y, target)
    check.that(isinstance(found, tuple) and len(found) == 2, "return two things, the loss and dy.")
    mistakes = {
        "It is ½ d² everywhere.": 0.5 * (d**2).sum() / 5,
        "Beyond 1 it is |d|: the −½, which makes c continuous, is left out.": right + 0.5 * (np.abs(d) > 1).sum() / 5,
        "It is the mean over all numbers.": right / 3,
        "It is the sum over the batch: divide by N = 5.": 5 * right,
        "The two branches are exchanged.": np.where(np.abs(d) > 1, 0.5 * d**2, np.abs(d) - 0.5).sum() / 5,
    }
    check.same(found[0], right, mistakes, "the loss")
    mistakes = {
        "Beyond 1 the slope is ±1: hold it there.": d / 5,
        "Beyond 1 the slope is the sign of d, and not 1.": np.minimum(d, 1) / 5,
        "It is the sign of d everywhere.": np.sign(d) / 5,
    }
    check.none_of(found[1], mistakes, "dy")
    check.loss(ex.huber, (5, 3), target)


def test_adagrad(ex, check, rng):
    start, g, h = rng.normal(size=(3, 4))
    theta, optimizer = start.copy(), ex.AdaGrad(0.1)
    optimizer.step(theta, g)
    told = "theta did not change: change the array itself, with theta -= …, and not its name."
    check.that(not np.array_equal(theta, start), told)
    optimizer.step(theta, h)
    first = start - 0.1 * np.sign(g)

    def after(second):
        return first - 0.1 * h / second

    mistakes = {
        "The squares of the first step are forgotten: G ← G + dθ².": after(np.abs(h)),
        "The root is missing.": start - 0.1 / g - after(-(g**2 + h**2)) + first,
        "The sign is flipped: θ must move against the gradient.": 2 * start - after(np.sqrt(g**2 + h**2)),
        "G is the mean of the squares, as in RMSprop, where their sum is meant.": after(np.sqrt((g**2 + h**2) / 2)),
        "dθ is not squared.": start - 0.1 * g / np.sqrt(g) - 0.1 * h / np.sqrt(g + h),
    }
    right = after(np.sqrt(g**2 + h**2))
    off = np.abs(theta - right).max()
    told = [sentence for sentence, one in mistakes.items() if np.allclose(theta, one, rtol=1e-5, atol=1e-6)]
    check.that(off < 1e-6, " ".join(["theta is wrong after the second step.", *told]))

    tiny, theta = np.full(4, 1e-8), start.copy()  # a gradient as small as ε
    ex.AdaGrad(0.1).step(theta, tiny)
    mistakes = {
        "ε is inside the root: it is added to √G.": start - 0.1 * tiny / np.sqrt(tiny**2 + 1e-8),
        "ε is left out.": start - 0.1,
    }
    check.same(theta, start - 0.05, mistakes, "after a step with dθ = ε, theta")


class Run:
    def __init__(self, value):
        self.loss = sn.Loss(value, {}, lambda: None)


def test_smoothed(ex, check, rng):
    losses = rng.uniform(1, 2, 5)

    def smoothed(start, losses):
        s = start
        for loss in losses:
            s = loss if s is None else 0.9 * s + 0.1 * loss
        return s

    def follow(callback, losses):
        for loss in losses:
            callback.after_loss(Run(loss))
        return callback

    callback = ex.Smoothed()
    callback.before_training(Run(0.0))
    follow(callback, losses[:1])
    mistakes = {"It begins at 0: the first loss is the first s.": 0.1 * losses[0]}
    check.same(callback.smoothed, losses[0], mistakes, "after one step, smoothed")
    follow(callback, losses[1:3])
    mistakes = {
        "It is the last loss.": losses[2],
        "The two factors are exchanged: 0.9 s + 0.1 loss.": 0.1 * (0.1 * losses[0] + 0.9 * losses[1]) + 0.9 * losses[2],
        "It is the mean of all losses.": losses[:3].mean(),
    }
    check.same(callback.smoothed, smoothed(None, losses[:3]), mistakes, "after three steps, smoothed")

    resumed = ex.Smoothed()
    resumed.before_training(Run(0.0))
    state = callback.state_dict()
    check.that(isinstance(state, dict), f"state_dict() returns a dict, and not {state!r}.")
    resumed.load_state_dict(state)
    told = {"It begins anew: state_dict must return s, and load_state_dict take it back.": smoothed(None, losses[3:])}
    right = smoothed(None, losses)
    check.same(follow(resumed, losses[3:]).smoothed, right, told, "after a training that was resumed, smoothed")
