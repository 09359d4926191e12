"""Chapter 05, Optimizers: docs/05-optimizers.md."""

import numpy as np


def largest_rate(curvatures, momentum):
    """Descent on L = ½ Σᵢ aᵢ θᵢ² converges for 0 < η < 2 (1 + μ) / max aᵢ.

    curvatures (P,) are the aᵢ > 0, momentum is μ in [0, 1); returns the limit, a number.

    ★ · 5 minutes · docs/05-optimizers.md#momentum
    """
    return 2 * (1 + momentum) / curvatures.max()


def momentum_step(theta, dtheta, velocity, learning_rate, momentum):
    """u ← μ u + dθ, then θ ← θ − η u.

    theta, dtheta and velocity (P,). Change theta and velocity in place; return nothing.

    ★ · 10 minutes · docs/05-optimizers.md#momentum
    """
    velocity *= momentum
    velocity += dtheta
    theta -= learning_rate * velocity


def adam_step(theta, dtheta, m, v, t, learning_rate, beta1, beta2, epsilon):
    """m ← β₁ m + (1 − β₁) dθ, v ← β₂ v + (1 − β₂) dθ², θ ← θ − η m̂ / (√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    theta, dtheta, m and v (P,); t = 1 at the first step. Change theta, m and v in place; return nothing.

    ★★ · 20 minutes · docs/05-optimizers.md#adam
    """
    m += (1 - beta1) * (dtheta - m)
    v += (1 - beta2) * (dtheta**2 - v)
    theta -= learning_rate * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + epsilon)


def cosine(peak, steps):
    """η(t) = ½ η₀ (1 + cos(π t / T)) for t < T, and 0 from there on.

    peak is η₀ and steps is T; returns a function of t.

    ★ · 10 minutes · docs/05-optimizers.md#schedules-and-epochs
    """
    return lambda t: 0.5 * peak * (1 + np.cos(np.pi * min(t, steps) / steps))
