"""Chapter 12, The gradients of the VAE: docs/12-vae-gradients.md."""

import numpy as np

import scratchnet as sn


def kl_standard_normal(mu, logvar):
    """KL = (1/N) Σₙ Σₖ ½ (μ² + σ² − log σ² − 1), in nats per image, with its slopes in μ and in log σ².

    mu and logvar (N, L), where logvar is log σ²; returns the number KL, dmu (N, L) and dlogvar (N, L).

    ★★ · 20 minutes · docs/12-vae-gradients.md#the-kl-between-nμ-σ²-and-n0-1
    """
    raise NotImplementedError("TODO: return the KL, dmu and dlogvar")


def sample_gaussian(mu, logvar, eps):
    """z = μ + σ ⊙ ε, with dμ = ∂L/∂μ and dlogvar = ∂L/∂log σ² from dz.

    mu, logvar and eps (N, L), where logvar is log σ²; returns z (N, L) and backward, with backward(dz) → dmu, dlogvar.

    ★★ · 20 minutes · docs/12-vae-gradients.md#a-derivative-through-chance
    """
    raise NotImplementedError("TODO: return z and backward")


class VAE(sn.VAE):
    """L = R + β KL, where μ and log σ² act on L along two paths: through the sample z, and through the KL.

    x, y (N, D); mu, logvar, eps, z (N, L). The backward pass takes nothing and returns nothing: it calls
    decoder_backward(dy) → dz, sample_backward(dz) → dmu, dlogvar and, with [dmu | dlogvar] (N, 2L), encoder_backward.

    ★★★ · 30 minutes · docs/12-vae-gradients.md#the-whole-backward-pass
    """

    def loss(self, x, rng=None, *, eps=None):
        stats, encoder_backward = self.encoder.forward(x)  # [mu | logvar], (N, 2L)
        mu, logvar = np.split(stats, 2, axis=1)
        eps = rng.standard_normal(mu.shape) if eps is None else eps
        kl, dmu_of_kl, dlogvar_of_kl = sn.kl_standard_normal(mu, logvar)
        z, sample_backward = sn.sample_gaussian(mu, logvar, eps)
        y, decoder_backward = self.decoder.forward(z)
        reconstruction, dy = sn.bce_with_logits(y, x)

        def backward():
            raise NotImplementedError("TODO: from dy to the encoder")

        return sn.Loss(reconstruction + self.beta * kl, {"reconstruction": reconstruction, "kl": kl}, backward)
