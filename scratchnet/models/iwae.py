"""The importance-weighted autoencoder: a VAE whose bound is tightened by several codes per image."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_count, check_dy, check_returned, check_rng
from scratchnet.core.gaussian import log_p_over_q, noise_like, sample_gaussian
from scratchnet.core.layer import Layer, without_dx
from scratchnet.core.likelihood import Likelihood, nll_per_image
from scratchnet.core.model import Loss
from scratchnet.core.vae import VAE


class IWAE(VAE):
    """Minimises −(1/N) Σₙ log (1/k) Σᵢ wₙᵢ with weights wₙᵢ = p(xₙ|zₙᵢ) p(zₙᵢ) / q(zₙᵢ|xₙ), in nats per image.

    The k codes zₙᵢ of image n are drawn from q(z|xₙ). At k = 1 this is the VAE's bound, with its KL sampled; the bound
    rises with k towards log p(x). Derivation: docs/15-beta-and-importance-weighting.md. Burda, Grosse & Salakhutdinov,
    Importance Weighted Autoencoders, 2015.

    Parameters
    ----------
    encoder, decoder, likelihood, sigma
        As for `VAE`. There is no β: the weights need the true p(z).
    k : int
        Codes drawn per image, at least 1. A step costs the decoder k times as much.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> iwae = sn.IWAE(sn.Dense(4, 2 * 3, rng=rng), sn.Dense(3, 4, rng=rng), k=5)
    >>> loss = iwae.loss(np.ones((2, 4), np.float32), rng)
    >>> loss.value == loss.terms["bound"]
    True
    """

    term = "bound"

    def __init__(
        self, encoder: Layer, decoder: Layer, *, k: int, likelihood: str | Likelihood = "bernoulli", sigma: float = 1.0
    ):
        super().__init__(encoder, decoder, likelihood=likelihood, sigma=sigma)
        del self.beta  # so that nothing can set or anneal it
        self.k = check_count("IWAE", "k", k)

    def loss(self, x: Array, rng: np.random.Generator | None = None, *, eps: Array | None = None) -> Loss:
        """The loss on a batch x (N, D); the noise ε (N·k, L), k rows per image, is `eps` or drawn from `rng`."""
        mu, logvar, encoder_backward = self._posterior(x)  # (N, L) each
        N, k = len(x), self.k
        mu, logvar, x = (np.repeat(each, k, axis=0) for each in (mu, logvar, x))  # N·k rows each, from here on
        if eps is None:
            eps = noise_like(mu.reshape(N, k, -1), check_rng("IWAE.loss without eps", rng)).reshape(mu.shape)
        z, sample_backward = sample_gaussian(mu, logvar, eps)
        y, decoder_backward = self.decoder.forward(z)
        self.check_decoded(y, x)
        _, dy = check_returned("IWAE", "the likelihood's nll", self.likelihood.nll(y, x))
        check_dy("IWAE's likelihood", dy, y)  # dy is the slope of the mean over N·k rows; one row would be broadcast
        log_w = (log_p_over_q(z, logvar, eps) - nll_per_image("IWAE", self.likelihood, y, x)).reshape(N, k)
        highest = log_w.max(axis=1, keepdims=True)  # log Σ w = highest + log Σ w/exp(highest) can't overflow
        w = np.exp(log_w - highest)
        value = -(highest[:, 0] + np.log(w.mean(axis=1))).mean().item()
        share = (w / w.sum(axis=1, keepdims=True)).reshape(N * k, 1).astype(self.dtype)  # w̃, sums to 1 for each image

        def backward() -> None:
            # ∂value/∂log w = −w̃/N, and log w = −nll + ½ Σ (ε² + log σ² − z²)
            dz = decoder_backward(dy * (k * share)) + share / N * z
            dmu, dlogvar = sample_backward(dz)
            dlogvar = dlogvar - share / (2 * N)
            dstats = np.concatenate([dmu, dlogvar], axis=1)  # (N·k, 2L)
            without_dx(self.encoder, encoder_backward)(dstats.reshape(N, k, -1).sum(axis=1))

        return Loss(value, {"bound": value}, backward)

    def __repr__(self) -> str:
        parts = f"{self.encoder!r}, {self.decoder!r}, {self.parameters!r}"
        return f"IWAE({parts}, likelihood {self.likelihood!r}, k {self.k})"
