"""Chapter 13, Is my number good?: docs/13-is-my-number-good.md."""

import numpy as np


def bits_per_pixel(nats_per_image, D):
    """bits per pixel = nats per image / (D log 2).

    D is the number of pixels of an image; returns a number.

    ★ · 5 minutes · docs/13-is-my-number-good.md#which-unit
    """
    raise NotImplementedError("TODO: convert the unit")


def active_units(mu):
    """Unit j is active if Var[μₙⱼ] > 0.01, where the variance is taken over the images n.

    mu (N, L); returns (L,), True or False for each unit.

    ★ · 5 minutes · docs/13-is-my-number-good.md#what-the-code-carries
    """
    raise NotImplementedError("TODO: return an array of booleans")


def log_mean_exp(log_w):
    """log (1/k) Σᵢ wᵢ, from the logarithms of the weights.

    log_w (N, k); returns (N,). A logarithm may be −1000, where the weight itself is 0 in the computer.

    ★★ · 15 minutes · docs/13-is-my-number-good.md#the-gap-shrinks-with-k
    """
    raise NotImplementedError("TODO: subtract the largest of each row before np.exp, and add it again after np.log")


def difference(bounds, other_bounds):
    """d̄ = (1/N) Σₙ dₙ with dₙ = bₙ − b′ₙ, and its standard error √(Σₙ (dₙ − d̄)² / (N (N − 1))).

    bounds and other_bounds (N,) are the bounds of two models on the same images; returns the two numbers.

    ★★ · 15 minutes · docs/13-is-my-number-good.md#how-sure-is-the-number
    """
    raise NotImplementedError("TODO: compare image by image")
