"""Chapter 10, The gaps between codes: docs/10-latent-gaps.md."""

import numpy as np


def stretched(A, encoder_W, encoder_b, decoder_W):
    """z → z A and W → A⁻¹ W: the codes change, the images do not.

    A (L, L) is invertible. The encoder ends with z = h encoder_W + encoder_b, where encoder_W is (H, L) and encoder_b
    (L,); the decoder begins with z decoder_W, (L, M). Returns the three new arrays.

    ★★ · 15 minutes · docs/10-latent-gaps.md#without-noise-any-plane-will-do
    """
    return encoder_W @ A, encoder_b @ A, np.linalg.inv(A) @ decoder_W


def balanced_sigma(beta, curvature):
    """½ σ² h + ½ β (σ² − 1) = 0: where the reconstruction and the KL are in balance.

    beta is β, curvature is h, at least 0; returns σ, a number.

    ★ · 10 minutes · docs/10-latent-gaps.md#both-the-balance
    """
    return np.sqrt(beta / (beta + curvature))


def cost_of_a_hole(m):
    """KL(q(z) ‖ p(z)) for q = p / (1 − m) outside of a region that has the probability m, and q = 0 inside.

    m is in [0, 1); returns a number of nats.

    ★ · 10 minutes · docs/10-latent-gaps.md#what-a-hole-costs
    """
    return -np.log(1 - m)


def information(z, mu, logvar):
    """I(x; z) ≈ (1/N) Σₙ [log q(zₙ | xₙ) − log (1/N) Σₘ q(zₙ | xₘ)], in nats, with q(z | xₘ) = N(μₘ, σₘ²).

    z, mu and logvar (N, L): zₙ is a draw from q(z | xₙ), and logvar is log σ²; returns a number. The densities may be
    as small as e^−5000.

    ★★★ · 30 minutes · docs/10-latent-gaps.md#what-the-kl-pays-for
    """
    log_q = -0.5 * ((z[:, None] - mu) ** 2 / np.exp(logvar) + logvar).sum(axis=2)  # (N, N), less a constant
    top = log_q.max(axis=1)
    log_mean = top + np.log(np.exp(log_q - top[:, None]).mean(axis=1))
    return (np.diag(log_q) - log_mean).mean()
