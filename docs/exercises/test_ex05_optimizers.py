import numpy as np


def test_largest_rate(ex, check, rng):
    curvatures = np.sort(rng.uniform(0.5, 20, 4))[[1, 3, 0, 2]]
    largest = curvatures.max()
    mistakes = {
        "It is the limit without momentum, 2 / a.": 2 / largest,
        "The largest curvature decides, and not the smallest.": 3.8 / curvatures.min(),
        "The largest curvature decides, and not their mean.": 3.8 / curvatures.mean(),
        "The largest curvature decides, and not their sum.": 3.8 / curvatures.sum(),
        "The largest curvature decides, and not the first one.": 3.8 / curvatures[0],
        "Momentum widens the range: the factor is 1 + μ, and not 1 − μ.": 2 * (1 - 0.9) / largest,
        "The brackets around 1 + μ are missing.": 2 + 0.9 / largest,
    }
    check.same(ex.largest_rate(curvatures, 0.9), 3.8 / largest, mistakes)


def in_place(check, before, after, name):
    told = f"{name} did not change: change the array itself, with {name} -= … or {name}[...] = …, and not its name."
    check.that(not np.array_equal(before, after), told)


def test_momentum_step(ex, check, rng):
    start, u, g, h = rng.normal(size=(4, 4))
    theta, velocity = start.copy(), u.copy()
    ex.momentum_step(theta, g, velocity, 0.2, 0.9)
    in_place(check, start, theta, "theta")
    in_place(check, u, velocity, "velocity")
    right = 0.9 * u + g
    mistakes = {
        "The gradient has the factor 1 − μ, which momentum does not have.": 0.9 * u + 0.1 * g,
        "The velocity has the factor 1 − μ in the place of μ.": 0.1 * u + g,
        "The velocity so far is forgotten: u ← μ u + dθ.": g,
        "The whole velocity is kept: the factor μ is missing.": u + g,
        "The gradient is multiplied by μ too: u ← μ u + dθ.": 0.9 * (u + g),
        "The learning rate is in u: it belongs into the step of θ alone.": 0.9 * u + 0.2 * g,
        "The learning rate is in u, with the sign of the step: both belong into the step of θ.": 0.9 * u - 0.2 * g,
        "The gradient is subtracted: u ← μ u + dθ, and the minus is in the step of θ.": 0.9 * u - g,
    }
    check.same(velocity, right, mistakes, "velocity after the first step")
    mistakes = {
        "The sign is flipped: θ must move against the gradient.": start + 0.2 * right,
        "The learning rate is left out.": start - right,
        "θ moves before the velocity has changed.": start - 0.2 * u,
        "The gradient moves θ, where the velocity should.": start - 0.2 * g,
        "It is Nesterov's step, with dθ + μ u in the place of u.": start - 0.2 * (g + 0.9 * right),
    }
    check.same(theta, start - 0.2 * right, mistakes, "theta after the first step")
    ex.momentum_step(theta, h, velocity, 0.2, 0.9)
    check.same(theta, start - 0.2 * right - 0.2 * (0.9 * right + h), {}, "theta after the second step")


def adam(start, gradients, beta1=0.9, beta2=0.99, **mistake):
    """θ after some steps of Adam, and m and v after each of them; right, or with one mistake."""
    theta, ms, vs = start.copy(), [np.zeros_like(start)], [np.zeros_like(start)]
    for t, g in enumerate(gradients, mistake.get("first", 1)):
        shares = (1, 1) if "no_share" in mistake else (1 - beta1, 1 - beta2)
        m = beta1 * ms[-1] + shares[0] * g
        v = beta2 * vs[-1] + shares[1] * np.abs(g) ** mistake.get("power", 2)
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        ms.append(m_hat if "kept" in mistake else m)
        vs.append(v_hat if "kept" in mistake else v)
        m_hat, v_hat = (m if "m_as_it_is" in mistake else m_hat), (v if "v_as_it_is" in mistake else v_hat)
        epsilon = mistake.get("epsilon", 0.01)
        root = np.sqrt(v_hat + epsilon) if "inside" in mistake else v_hat ** mistake.get("root", 0.5) + epsilon
        theta -= 0.1 * m_hat / root
    return theta, np.array(ms[1:]), np.array(vs[1:])


def test_adam_step(ex, check, rng):
    start, *gradients = rng.normal(size=(3, 4))
    theta, m, v = start.copy(), np.zeros(4), np.zeros(4)
    ms, vs = [], []
    for t, g in enumerate(gradients, 1):
        ex.adam_step(theta, g, m, v, t, 0.1, 0.9, 0.99, 0.01)
        for name, before, after in (("theta", start, theta), ("m", np.zeros(4), m), ("v", np.zeros(4), v)):
            in_place(check, before, after, name)
        ms.append(m.copy())
        vs.append(v.copy())

    def after(which, **mistake):
        return adam(start, gradients, **mistake)[which]

    mistakes = {
        "m itself is divided by 1 − β₁ᵗ: m̂ is a new array, and m stays as it is.": after(1, kept=True),
        "The factor 1 − β₁ is missing.": after(1, no_share=True),
        "The factors β₁ and 1 − β₁ are exchanged.": after(1, beta1=1 - 0.9),
        "β₂ stands in the place of β₁.": after(1, beta1=0.99),
    }
    check.same(ms, after(1), mistakes, "m after the two steps")
    mistakes = {
        "v itself is divided by 1 − β₂ᵗ: v̂ is a new array, and v stays as it is.": after(2, kept=True),
        "The factor 1 − β₂ is missing.": after(2, no_share=True),
        "The factors β₂ and 1 − β₂ are exchanged.": after(2, beta2=1 - 0.99),
        "β₁ stands in the place of β₂.": after(2, beta2=0.9),
        "v is the mean of |dθ|, where that of dθ² is meant.": after(2, power=1),
    }
    if np.min(vs) < 0:
        mistakes["v is negative, because dθ is not squared."] = vs
    check.same(vs, after(2), mistakes, "v after the two steps")
    right = after(0)
    mistakes = {
        "The bias is not corrected: m and v begin at 0, and are too small by 1 − βᵗ.": after(
            0, m_as_it_is=True, v_as_it_is=True
        ),
        "The bias of v is not corrected: v̂ = v / (1 − β₂ᵗ).": after(0, v_as_it_is=True),
        "The bias of m is not corrected: m̂ = m / (1 − β₁ᵗ).": after(0, m_as_it_is=True),
        "ε is inside the root: it belongs outside.": after(0, inside=True),
        "The bias is corrected for t + 1 steps: t is 1 at the first.": after(0, first=2),
        "The root is missing.": after(0, root=1),
        "The sign is flipped: θ must move against the gradient.": 2 * start - right,
        "ε is left out.": after(0, epsilon=0),
    }
    check.same(theta, right, mistakes, "theta after the second step")


def test_cosine(ex, check, rng):
    peak, steps = rng.uniform(0.1, 1), int(rng.integers(50, 100))
    rate = ex.cosine(peak, steps)
    check.that(callable(rate), "cosine returns a function of the step: write lambda t: … or def.")
    check.same(
        rate(0),
        peak,
        {
            "The ½ is missing.": 2 * peak,
            "It is the sine, which begins at 0.": 0,
            "The sine stands in the place of the cosine.": peak / 2,
        },
        "the first rate",
    )
    third = np.cos(np.pi / 3)
    mistakes = {
        "It falls along a straight line.": peak * 2 / 3,
        "The 1 + is missing: the cosine itself goes down to −1.": peak * third,
        "The angle goes only to π/2: it is a quarter of a wave.": peak * np.cos(np.pi / 6),
        "np.cos takes an angle in radians: half a turn is π, and not 180.": 0.5 * peak * (1 + np.cos(60)),
        "The quotient t / T is rounded down: write / and not //.": peak,
        "The angle goes to 2π: it is a whole wave.": 0.5 * peak * (1 + np.cos(2 * np.pi / 3)),
    }
    check.same(rate(steps / 3), 0.5 * peak * (1 + third), mistakes, "the rate after a third of the steps")
    again = {
        "It rises again: hold it at 0 from the last step on.": 0.5 * peak * (1 + np.cos(1.5 * np.pi)),
        "It is back at the first rate: it is 0 from step T on.": peak,
    }
    check.same(rate(1.5 * steps), 0.0, again, "the rate after the last step")
