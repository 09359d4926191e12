"""Chapter 11, The variational autoencoder: docs/11-vae.md."""

import numpy as np

import scratchnet as sn


def gaussian_nll(y, x, s):
    """R = (1/N) Σₙ −log p(xₙ | z) = (1/N) Σₙ [‖xₙ − yₙ‖² / 2s² + ½ D log 2πs²], in nats per image, and dy = ∂R/∂y.

    y and x (N, D), s is the standard deviation of a pixel; returns the number R and dy (N, D).

    ★★ · 15 minutes · docs/11-vae.md#what-a-pixel-is
    """
    N, D = x.shape
    value = ((x - y) ** 2).sum() / (2 * s**2) / N + 0.5 * D * np.log(2 * np.pi * s**2)
    return value, (y - x) / s**2 / N


def elbo(encoder, decoder, x, eps):
    """ELBO = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)), in nats per image, with z = μ + σ ⊙ ε and Bernoulli pixels.

    encoder(x) → mu, logvar (N, L) each; decoder(z) → logits (N, D); eps (N, L) is drawn from N(0, I); returns a number.
    sn.bce_with_logits, sn.kl_standard_normal and sn.sample_gaussian are there to be used.

    ★★ · 20 minutes · docs/11-vae.md#the-bound-by-jensens-inequality
    """
    mu, logvar = encoder(x)
    z, _ = sn.sample_gaussian(mu, logvar, eps)
    nll, _ = sn.bce_with_logits(decoder(z), x)
    kl, _, _ = sn.kl_standard_normal(mu, logvar)
    return -nll - kl


def effective_beta(D, mean_over_pixels, written_beta):
    """R / D + b KL = (1/D) (R + β KL): the β that a loss has in truth.

    D is the number of pixels; mean_over_pixels says whether R is divided by it, and written_beta is b; returns the
    number β. The KL is summed over the code.

    ★ · 5 minutes · docs/11-vae.md#the-effective-β
    """
    return written_beta * D if mean_over_pixels else written_beta
