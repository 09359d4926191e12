"""Chapter 09, The denoising autoencoder: docs/09-denoising.md."""

import numpy as np


def mask(x, share, rng):
    """x̃ᵢ = 0 with probability q, and xᵢ otherwise, for each pixel by itself.

    x (N, D), share is q; rng is a numpy.random.Generator; returns a new array (N, D).

    ★ · 10 minutes · docs/09-denoising.md#masking-is-a-penalty-too
    """
    return np.where(rng.random(x.shape) < share, 0, x)


def best_answer(seen, points, tau):
    """E[x | x̃] = Σₖ p(xₖ | x̃) xₖ, with p(xₖ | x̃) proportional to e^(−‖x̃ − xₖ‖² / 2τ²).

    seen (D,) is x̃; points (K, D) are all clean images, equally likely; returns (D,).

    ★★ · 15 minutes · docs/09-denoising.md#the-answer-is-a-step-uphill
    """
    weights = np.exp(-((seen - points) ** 2).sum(axis=1) / (2 * tau**2))
    return weights @ points / weights.sum()


def score(seen, answer, tau):
    """∇ log p_τ(x̃), from the best denoiser's answer E[x | x̃] = x̃ + τ² ∇ log p_τ(x̃).

    seen (D,) is x̃, answer (D,) is E[x | x̃]; returns (D,).

    ★ · 5 minutes · docs/09-denoising.md#the-answer-is-a-step-uphill
    """
    return (answer - seen) / tau**2


def linear_denoiser(x, tau):
    """W = (Σ + τ² I)⁻¹ Σ, with the covariance Σ = xᵀ x / N.

    x (N, D), each column of which has mean 0; returns W (D, D).

    ★★ · 15 minutes · docs/09-denoising.md#the-linear-denoiser
    """
    covariance = x.T @ x / len(x)
    return np.linalg.solve(covariance + tau**2 * np.eye(len(covariance)), covariance)
