"""The variational autoencoder: its codes are distributions near N(0, I), so that draws from it decode to images."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_count, check_number, check_returned, check_rng, check_shape
from scratchnet.core.gaussian import kl_standard_normal, noise_like, sample_gaussian
from scratchnet.core.layer import Layer, without_dx
from scratchnet.core.likelihood import Likelihood, check_likelihood
from scratchnet.core.model import Loss, Model, trace_layers
from scratchnet.errors import ShapeError


class VAE(Model):
    """Minimises E_q[−log p(x|z)] + β KL(q(z|x) ‖ N(0, I)), the negative ELBO where β is 1, in nats per image.

    q(z|x) = N(μ, σ²) has its μ and log σ² from the encoder; p(x|z) has its parameters from the decoder; the
    expectation is estimated from one sample z = μ + σ ⊙ ε per image.

    Derivation: docs/11-vae.md (the ELBO), docs/12-vae-gradients.md (the backward pass),
    docs/15-beta-and-importance-weighting.md (β). Kingma & Welling, Auto-Encoding Variational Bayes, 2013; Higgins et
    al., beta-VAE, 2017.

    Parameters
    ----------
    encoder : Layer
        Rows (N, D) to [mu | logvar], (N, 2L): the first half is μ, the second log σ².
    decoder : Layer
        Codes (N, L) to rows (N, D): logits for "bernoulli", means for "gaussian".
    likelihood : {"bernoulli", "gaussian"} or object
        What a pixel is, given z. "gaussian" is the full negative log-likelihood, constants and all. An object has
        `nll(y, x)` → (mean, dy), `nll_per_image(y, x)` → (N,) and `images(y)` → (N, D), such as `sn.Gaussian(0.1)`.
    sigma : float
        The fixed standard deviation of a "gaussian" pixel, in units of pixel brightness.
    beta : float
        The weight of the KL, at least 0. Both terms are summed over their dimensions and averaged over images, so this
        is the effective β: no reduction hides another factor.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> vae = sn.VAE(sn.Dense(4, 2 * 3, rng=rng), sn.Dense(3, 4, rng=rng))
    >>> x = np.ones((5, 4), np.float32)
    >>> loss = vae.loss(x, rng)
    >>> sorted(loss.terms), loss.value == loss.terms["reconstruction"] + loss.terms["kl"]
    (['kl', 'reconstruction'], True)
    >>> mu, logvar = vae.encode(x)
    >>> mu.shape, vae.sample(2, rng).shape
    ((5, 3), (2, 4))
    """

    unit = "nats/image"

    def __init__(
        self,
        encoder: Layer,
        decoder: Layer,
        *,
        likelihood: str | Likelihood = "bernoulli",
        sigma: float = 1.0,
        beta: float = 1.0,
    ):
        sigma = check_number("VAE", "sigma", sigma, 0, open_low=True)
        self.likelihood = check_likelihood("VAE", likelihood, sigma)
        self.pixels_are_probabilities = bool(getattr(self.likelihood, "pixels_are_probabilities", False))
        self.beta = check_number("VAE", "beta", beta, 0)
        super().__init__(encoder, decoder)  # last, so that refused arguments leave the layers as they were
        self.latent = decoder.n_in  # L, where the decoder's first layer fixes it

    def loss(self, x: Array, rng: np.random.Generator | None = None, *, eps: Array | None = None) -> Loss:
        """The loss on a batch x (N, D), with the noise ε (N, L) given as `eps` or drawn from `rng`."""
        mu, logvar, encoder_backward = self._posterior(x)  # (N, L) each
        if eps is None:
            eps = noise_like(mu, check_rng("VAE.loss without eps", rng))
        kl, dmu_of_kl, dlogvar_of_kl = kl_standard_normal(mu, logvar)
        z, sample_backward = sample_gaussian(mu, logvar, eps)  # z (N, L)
        y, decoder_backward = self.decoder.forward(z)  # y (N, D)
        self.check_decoded(y, x)
        reconstruction, dy = check_returned("VAE", "the likelihood's nll", self.likelihood.nll(y, x))
        value = reconstruction + self.beta * kl

        def backward() -> None:
            dz = decoder_backward(dy)
            dmu, dlogvar = sample_backward(dz)
            dmu += self.beta * dmu_of_kl
            dlogvar += self.beta * dlogvar_of_kl
            without_dx(self.encoder, encoder_backward)(np.concatenate([dmu, dlogvar], axis=1))

        return Loss(value, {"reconstruction": reconstruction, "kl": kl}, backward)

    def encode(self, x: Array) -> tuple[Array, Array]:
        """μ and log σ² of q(z|x), (N, L) each, of images x (N, D)."""
        self._check_images(x)
        self.check_range("VAE.encode", x)
        mu, logvar, _ = self._posterior(x)
        return mu, logvar

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """`n` images decoded from draws of the prior N(0, I): (n, D) in [0, 1]."""
        n = check_count("VAE.sample", "n", n)
        check_rng("VAE.sample", rng)
        if self.latent is None:
            hint = "begin it with Dense or Reshape, or call decode(z) with a z of your own"
            raise ShapeError(f"VAE.sample cannot tell the latent width from this decoder: {hint}.")
        return self.decode(rng.standard_normal((n, self.latent)).astype(self.dtype))

    def codes(self, x: Array) -> Array:
        return self.encode(x)[0]  # μ, the mean of q(z|x)

    def images(self, y: Array) -> Array:
        return self.likelihood.images(y)

    def trace(self, x: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
        yield from trace_layers("encoder", self.encoder, x)
        mu, logvar = self.encode(x)
        yield "the log-variance", logvar
        z, _ = sample_gaussian(mu, logvar, noise_like(mu, rng))
        yield "the sample z = μ + σ ⊙ ε", z
        yield from trace_layers("decoder", self.decoder, z, ", the logits" if self.pixels_are_probabilities else "")

    def _posterior(self, x: Array):
        """μ and log σ² of q(z|x), the encoder's guess at the posterior, and the encoder's backward function."""
        self._check_images(x)
        stats, encoder_backward = self.encoder.forward(x)  # (N, 2L)
        L = stats.shape[-1] // 2 if self.latent is None else self.latent
        check_shape("VAE", "the encoder's output", stats, len(x), 2 * L, hint=": [mu | logvar] is twice as wide as z")
        return stats[:, :L], stats[:, L:], encoder_backward

    def __repr__(self) -> str:
        parts = f"{self.encoder!r}, {self.decoder!r}, {self.parameters!r}"
        return f"VAE({parts}, likelihood {self.likelihood!r}, effective β {self.beta:g})"
