"""Chapter 15, β and importance weighting: docs/15-beta-and-importance-weighting.md."""

import numpy as np


def normalized_weights(log_w):
    """w̃ᵢ = wᵢ / Σⱼ wⱼ, for each image.

    log_w (N, k) are the logarithms of the weights, and may be −1000; returns (N, k).

    ★ · 10 minutes · docs/15-beta-and-importance-weighting.md#the-gradient-is-a-weighted-mean
    """
    raise NotImplementedError("TODO: return the weights, each row of which has the sum 1")


def importance_bound(log_w):
    """L = (1/N) Σₙ log (1/k) Σᵢ wₙᵢ, in nats per image, and dlog_w = ∂L/∂log w.

    log_w (N, k); returns the number L and dlog_w (N, k).

    ★★★ · 25 minutes · docs/15-beta-and-importance-weighting.md#the-gradient-is-a-weighted-mean
    """
    raise NotImplementedError("TODO: return the bound and its gradient")


def gaussian_rate(eigenvalues, level):
    """E‖x − y‖² = Σᵢ min(λᵢ, τ), at the rate Σ ½ log(λᵢ / τ) over those i with λᵢ > τ.

    eigenvalues (D,) are the λᵢ of the covariance, and may be 0; level is τ; returns the error, in squared units per
    image, and the rate, in nats per image.

    ★★ · 15 minutes · docs/15-beta-and-importance-weighting.md#the-curve-of-the-linear-vae-is-shannons
    """
    raise NotImplementedError("TODO: return the error and the rate")
