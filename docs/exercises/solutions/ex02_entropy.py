"""Chapter 02, Entropy and KL: docs/02-entropy-and-kl.md."""

import numpy as np


def entropy(p):
    """H(p) = −Σₓ p(x) log p(x), in nats, where 0 log 0 = 0.

    p (X,) is a distribution, which may contain zeros; returns a number.

    ★ · 10 minutes · docs/02-entropy-and-kl.md#entropy
    """
    p = p[p > 0]
    return -(p * np.log(p)).sum()


def kl(p, q):
    """D(p‖q) = Σₓ p(x) log (p(x) / q(x)), in nats; a term with p(x) = 0 is 0, whatever q(x) is.

    p (X,) and q (X,) are distributions over the same values; returns a number, which may be infinite.

    ★★ · 15 minutes · docs/02-entropy-and-kl.md#cross-entropy-and-kl
    """
    happens = p > 0
    return (p[happens] * (np.log(p[happens]) - np.log(q[happens]))).sum()


def kl_of_normals(mu, sigma, m, s):
    """D(p‖q) = ∫ p(z) log (p(z) / q(z)) dz of p = N(μ, σ²) and q = N(m, s²), in nats.

    mu, sigma, m and s are numbers, with sigma and s above 0; returns a number. Begin with the logarithms of the two
    densities, and use E[(z − m)²] = σ² + (μ − m)².

    ★★★ · 30 minutes · docs/02-entropy-and-kl.md#densities
    """
    return np.log(s / sigma) + (sigma**2 + (mu - m) ** 2) / (2 * s**2) - 0.5
