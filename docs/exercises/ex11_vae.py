"""Chapter 11, The variational autoencoder: docs/11-vae.md."""

import numpy as np

import scratchnet as sn


def gaussian_nll(y, x, s):
    """R = (1/N) Σₙ −log p(xₙ | z) = (1/N) Σₙ [‖xₙ − yₙ‖² / 2s² + ½ D log 2πs²], in nats per image, and dy = ∂R/∂y.

    y and x (N, D), s is the standard deviation of a pixel; returns the number R and dy (N, D).

    ★★ · 15 minutes · docs/11-vae.md#what-a-pixel-is
    """
    raise NotImplementedError("TODO: return R, with its constant, and dy")


def elbo(encoder, decoder, x, eps):
    """ELBO = E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)), in nats per image, with z = μ + σ ⊙ ε and Bernoulli pixels.

    encoder(x) → mu, logvar (N, L) each; decoder(z) → logits (N, D); eps (N, L) is drawn from N(0, I); returns a number.
    sn.bce_with_logits, sn.kl_standard_normal and sn.sample_gaussian are there to be used.

    ★★ · 20 minutes · docs/11-vae.md#the-bound-by-jensens-inequality
    """
    raise NotImplementedError("TODO: the mean over the images, with one draw of z for each")


def effective_beta(D, mean_over_pixels, written_beta):
    """R / D + b KL = (1/D) (R + β KL): the β that a loss has in truth.

    D is the number of pixels; mean_over_pixels says whether R is divided by it, and written_beta is b; returns the
    number β. The KL is summed over the code.

    ★ · 5 minutes · docs/11-vae.md#the-effective-β
    """
    raise NotImplementedError("TODO: compare with R + β KL")
