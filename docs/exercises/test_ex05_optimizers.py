import numpy as np


def test_largest_rate(ex, check, rng):
    curvatures = rng.uniform(0.5, 20, 4)
    largest = curvatures.max()
    mistakes = {
        "It is the limit without momentum, 2 / a.": 2 / largest,
        "The largest curvature decides, and not the smallest.": 3.8 / curvatures.min(),
        "The largest curvature decides, and not their mean.": 3.8 / curvatures.mean(),
        "Momentum widens the range: the factor is 1 + μ, and not 1 − μ.": 2 * (1 - 0.9) / largest,
    }
    check.same(ex.largest_rate(curvatures, 0.9), 3.8 / largest, mistakes)


def in_place(check, before, after, name):
    told = f"{name} did not change: change the array itself, with {name} -= … or {name}[...] = …, and not its name."
    check.that(not np.array_equal(before, after), told)


def test_momentum_step(ex, check, rng):
    start, g, h = rng.normal(size=(3, 4))
    theta, velocity = start.copy(), np.zeros(4)
    ex.momentum_step(theta, g, velocity, 0.1, 0.9)
    in_place(check, start, theta, "theta")
    first = {
        "The sign is flipped: θ must move against the gradient.": start + 0.1 * g,
        "The learning rate is left out.": start - g,
        "The gradient has the factor 1 − μ, which momentum does not have.": start - 0.1 * 0.1 * g,
        "θ moves before the velocity has changed.": start,
    }
    check.same(theta, start - 0.1 * g, first, "theta after the first step")
    in_place(check, np.zeros(4), velocity, "velocity")
    ex.momentum_step(theta, h, velocity, 0.1, 0.9)
    second = {
        "The velocity of the first step is forgotten: u ← μ u + dθ.": start - 0.1 * g - 0.1 * h,
        "The whole velocity is kept: the factor μ is missing.": start - 0.1 * g - 0.1 * (g + h),
        "The velocity has the factor 1 − μ in the place of μ.": start - 0.1 * g - 0.1 * (0.1 * g + h),
    }
    check.same(theta, start - 0.1 * g - 0.1 * (0.9 * g + h), second, "theta after the second step")


def adam(start, gradients, square=True, first=1, inside=False, correct=True, correct_v=True, epsilon=0.01):
    """θ after some steps of Adam, right or with one mistake."""
    theta, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for t, g in enumerate(gradients, first):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * (g**2 if square else np.abs(g))
        m_hat = m / (1 - 0.9**t) if correct else m
        v_hat = v / (1 - 0.99**t) if correct and correct_v else v
        theta -= 0.1 * m_hat / (np.sqrt(v_hat + epsilon) if inside else np.sqrt(v_hat) + epsilon)
    return theta


def test_adam_step(ex, check, rng):
    start, *gradients = rng.normal(size=(3, 4))
    theta, m, v = start.copy(), np.zeros(4), np.zeros(4)
    for t, g in enumerate(gradients, 1):
        ex.adam_step(theta, g, m, v, t, 0.1, 0.9, 0.99, 0.01)
        for name, before, after in (("theta", start, theta), ("m", np.zeros(4), m), ("v", np.zeros(4), v)):
            in_place(check, before, after, name)
    right = adam(start, gradients)
    mistakes = {
        "The bias is not corrected: m and v begin at 0, and are too small by 1 − βᵗ.": adam(
            start, gradients, correct=False
        ),
        "The bias of v is not corrected: v̂ = v / (1 − β₂ᵗ).": adam(start, gradients, correct_v=False),
        "ε is inside the root: it belongs outside.": adam(start, gradients, inside=True),
        "The bias is corrected for t + 1 steps: t is 1 at the first.": adam(start, gradients, first=2),
        "v is the mean of |dθ|, where that of dθ² is meant.": adam(start, gradients, square=False),
        "The sign is flipped: θ must move against the gradient.": 2 * start - right,
        "ε is left out.": adam(start, gradients, epsilon=0),
    }
    told = "v is negative, because dθ is not squared."
    check.same(theta, right, mistakes, "theta after the second step", not_finite=told)


def test_cosine(ex, check, rng):
    peak, steps = rng.uniform(0.1, 1), int(rng.integers(50, 100))
    rate = ex.cosine(peak, steps)
    check.that(callable(rate), "cosine returns a function of the step: write lambda t: … or def.")
    check.same(
        rate(0), peak, {"The ½ is missing.": 2 * peak, "It is the sine, which begins at 0.": 0}, "the first rate"
    )
    third = np.cos(np.pi / 3)
    mistakes = {
        "It falls along a straight line.": peak * 2 / 3,
        "The 1 + is missing: the cosine itself goes down to −1.": peak * third,
        "The angle goes only to π/2: it is a quarter of a wave.": peak * np.cos(np.pi / 6),
        "The angle goes to 2π: it is a whole wave.": 0.5 * peak * (1 + np.cos(2 * np.pi / 3)),
    }
    check.same(rate(steps / 3), 0.5 * peak * (1 + third), mistakes, "the rate after a third of the steps")
    again = {"It rises again: hold it at 0 from the last step on.": 0.5 * peak * (1 + np.cos(1.5 * np.pi))}
    check.same(rate(1.5 * steps), 0.0, again, "the rate after the last step")
