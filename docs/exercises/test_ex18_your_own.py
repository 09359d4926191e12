import numpy as np

import scratchnet as sn


def test_softplus(ex, check, rng):
    x = rng.normal(size=(3, 4))
    found, backward = check.several(ex.Softplus().forward(x), "y", "backward")
    mistakes = {"It is log(1 + e^−x).": np.log1p(np.exp(-x)), "It is the sigmoid, the slope.": 1 / (1 + np.exp(-x))}
    check.same(found, np.log1p(np.exp(x)), mistakes, "y")
    dy, slope = rng.normal(size=x.shape), 1 / (1 + np.exp(-x))
    mistakes = {
        "It is dy itself: multiply it by the slope.": dy,
        "It is the slope at −x: that of softplus is e^x / (1 + e^x), the sigmoid.": dy * (1 - slope),
        "It is the slope of the sigmoid: that of softplus is the sigmoid itself.": dy * slope * (1 - slope),
        "It is the sigmoid of y: the slope is that of x.": dy / (1 + np.exp(-np.log1p(np.exp(x)))),
        "It has the slope of the ReLU: that of softplus is the sigmoid.": dy * (x > 0),
        "The derivative of the logarithm is 1 / (1 + e^x); the inner one, e^x, is missing.": dy / (1 + np.exp(x)),
    }
    check.none_of(backward(dy), mistakes, "dx")
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
    found, dy = check.several(ex.huber(y, target), "the loss", "dy")
    mistakes = {
        "It is ½ d² everywhere.": 0.5 * (d**2).sum() / 5,
        "Beyond 1 it is |d|: the −½, which makes c continuous, is left out.": right + 0.5 * (np.abs(d) > 1).sum() / 5,
        "Near 0 the ½ is missing.": np.where(np.abs(d) > 1, np.abs(d) - 0.5, d**2).sum() / 5,
        "d is compared with 1, where |d| is meant.": np.where(d > 1, d - 0.5, 0.5 * d**2).sum() / 5,
        "The ½ is added beyond 1, where it is subtracted.": right + (np.abs(d) > 1).sum() / 5,
        "It is the squared error.": (d**2).sum() / 5,
        "It is the smaller of the two branches, which is |d| − ½ near ±1 too.": (
            np.minimum(0.5 * d**2, np.abs(d) - 0.5).sum() / 5
        ),
        "It is the mean over all numbers.": right / 3,
        "It is the sum over the batch: divide by N = 5.": 5 * right,
        "The two branches are exchanged.": np.where(np.abs(d) > 1, 0.5 * d**2, np.abs(d) - 0.5).sum() / 5,
    }
    check.same(found, right, mistakes, "the loss")
    mistakes = {
        "Beyond 1 the slope is ±1: hold it there.": d / 5,
        "Beyond 1 the slope is the sign of d, and not 1.": np.minimum(d, 1) / 5,
        "It is the sign of d everywhere.": np.sign(d) / 5,
        "Below 0 the slope is negative: clip d to ±1, and not to 0 and 1.": np.clip(d, 0, 1) / 5,
        "Beyond 1 the slope is ±1, and not 0.": np.where(np.abs(d) > 1, 0, d) / 5,
    }
    check.none_of(dy, mistakes, "dy")
    check.loss(ex.huber, (5, 3), target)


def adagrad(start, gradients, **mistake):
    """θ after some steps of AdaGrad, right or with one mistake."""
    theta, G, epsilon = start.copy(), np.zeros_like(start), 1e-8
    for g in gradients:
        before = G
        G = mistake.get("keep", 1) * G + mistake.get("share", 1) * np.abs(g) ** mistake.get("power", 2)
        G = G + (g**2).sum() - g**2 if "sum" in mistake else G
        root = (before if "late" in mistake else G) ** mistake.get("root", 0.5) + epsilon
        theta -= mistake.get("rate", 0.1) * g / root
    return theta


def test_adagrad(ex, check, rng):
    start, *gradients = rng.normal(size=(3, 4))
    theta, optimizer = start.copy(), ex.AdaGrad(0.1)
    for g in gradients:
        given = g.copy()
        optimizer.step(theta, g)
        check.that(np.array_equal(g, given), "it changes dtheta: make a new array.")
    told = "theta did not change: change the array itself, with theta -= …, and not its name."
    check.that(not np.array_equal(theta, start), told)
    right = adagrad(start, gradients)
    mistakes = {
        "The squares of the first step are forgotten: G ← G + dθ².": adagrad(start, gradients, keep=0),
        "The root is missing.": adagrad(start, gradients, root=1),
        "The sign is flipped: θ must move against the gradient.": 2 * start - right,
        "G is a running mean, as in RMSprop, where the sum is meant.": adagrad(start, gradients, keep=0.9, share=0.1),
        "G is the mean of the squares, where their sum is meant.": start
        - 0.1 * np.sign(gradients[0])
        - 0.1 * gradients[1] / (np.sqrt((gradients[0] ** 2 + gradients[1] ** 2) / 2) + 1e-8),
        "dθ is not squared: G is the sum of |dθ|.": adagrad(start, gradients, power=1),
        "θ moves before G has changed.": adagrad(start, gradients, late=True),
        "G is one number for all of θ: each number of θ has its own.": adagrad(start, gradients, sum=True),
        "The learning rate is left out.": adagrad(start, gradients, rate=1),
        "The learning rate is squared: it enters once.": adagrad(start, gradients, rate=0.01),
    }
    check.same(theta, right, mistakes, "theta after the second step")

    tiny, theta = np.full(4, 1e-8), start.copy()  # a gradient as small as ε
    ex.AdaGrad(lambda step: 0.1).step(
        theta, tiny
    )  # move gets the rate of the step; self.learning_rate may be a function
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

    again = ex.Smoothed()
    again.before_training(Run(0.0))
    told = {"A loss of 0 counts as no loss: ask whether self.smoothed is None.": losses[0]}
    check.same(follow(again, [0.0, losses[0]]).smoothed, 0.1 * losses[0], told, "after a first loss of 0, smoothed")

    resumed = ex.Smoothed()
    resumed.before_training(Run(0.0))
    state = callback.state_dict()
    check.that(isinstance(state, dict), f"state_dict() returns a dict, and not {state!r}.")
    resumed.load_state_dict(state)
    told = {"It begins anew: state_dict must return s, and load_state_dict take it back.": smoothed(None, losses[3:])}
    right = smoothed(None, losses)
    check.same(follow(resumed, losses[3:]).smoothed, right, told, "after a training that was resumed, smoothed")
