"""Chapter 09, The denoising autoencoder: docs/09-denoising.md."""

import numpy as np


def mask(x, share, rng):
    """x̃ᵢ = 0 with probability q, and xᵢ otherwise, for each pixel by itself.

    x (N, D), share is q; rng is a numpy.random.Generator; returns a new array (N, D).

    ★ · 10 minutes · docs/09-denoising.md#masking-is-a-penalty-too
    """
    raise NotImplementedError("TODO: return a corrupted copy of x")


def best_answer(seen, points, tau):
    """E[x | x̃] = Σₖ p(xₖ | x̃) xₖ, with p(xₖ | x̃) proportional to e^(−‖x̃ − xₖ‖² / 2τ²).

    seen (D,) is x̃; points (K, D) are all clean images, equally likely; returns (D,).

    ★★ · 15 minutes · docs/09-denoising.md#the-answer-is-a-step-uphill
    """
    raise NotImplementedError("TODO: the mean of the points, weighted by the posterior")


def score(seen, answer, tau):
    """∇ log p_τ(x̃), from the best denoiser's answer E[x | x̃] = x̃ + τ² ∇ log p_τ(x̃).

    seen (D,) is x̃, answer (D,) is E[x | x̃]; returns (D,).

    ★ · 5 minutes · docs/09-denoising.md#the-answer-is-a-step-uphill
    """
    raise NotImplementedError("TODO: solve for the score")


def linear_denoiser(x, tau):
    """W = (Σ + τ² I)⁻¹ Σ, with the covariance Σ = xᵀ x / N.

    x (N, D), each column of which has mean 0; returns W (D, D).

    ★★ · 15 minutes · docs/09-denoising.md#the-linear-denoiser
    """
    raise NotImplementedError("TODO: return W")
