"""Is my number good? The bound that a VAE reaches, with its error, and what its latent dimensions carry.

Derivations, and what such numbers do and do not mean: docs/11-vae.md.
"""

from collections.abc import Iterator

import numpy as np

from scratchnet import kernels
from scratchnet.checks import (
    check_batch,
    check_finite,
    check_floats,
    check_number,
    check_pixels,
    check_rng,
    check_rows,
    check_same,
)
from scratchnet.gaussian import noise_like, sample_gaussian
from scratchnet.models.likelihood import Bernoulli
from scratchnet.models.vae import VAE
from scratchnet.types import Array

_ROWS = 1000  # images in flight at once, so that memory does not grow with the data


def elbo(vae: VAE, x: Array, rng: np.random.Generator) -> dict[str, float]:
    """The evidence lower bound of images x, in nats per image, by one sample z from each image's own q(z|x).

    ELBO = E_q[log p(x|z)] − KL(q(z|x) ‖ N(0, I)), with β = 1 whatever the model was trained with. Evaluated at z = μ
    instead, the first term would be flattered by several nats, and the number no bound.

    Parameters
    ----------
    vae : VAE
    x : (N, D)
    rng : numpy.random.Generator
        Draws ε.

    Returns
    -------
    dict
        "elbo"; "reconstruction", the mean of −log p(x|z); "kl"; and "stderr", the standard error of "elbo" as a mean
        over images, NaN for a single one. elbo = −(reconstruction + kl).

    Raises
    ------
    DataError
        If x is not finite, or not in [0, 1] where pixels are Bernoulli.
    ShapeError
        If x does not fit the encoder or is empty.

    Notes
    -----
    Derivation: docs/11-vae.md. Kingma & Welling, Auto-Encoding Variational Bayes, 2013, equation 8.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> vae = sn.VAE(sn.Dense(4, 2, rng=rng), sn.Dense(1, 4, rng=rng))
    >>> found = sn.elbo(vae, np.ones((3, 4), np.float32), rng)
    >>> abs(found["elbo"] + found["reconstruction"] + found["kl"]) < 1e-6
    True
    """
    if not isinstance(vae, VAE):
        raise TypeError(f"elbo expects a VAE, got {type(vae).__name__}.")
    check_rng("elbo", rng)
    check_rows("elbo", "x", x, vae.encoder.n_in, vae.dtype)
    check_batch("elbo", x)
    if isinstance(vae.likelihood, Bernoulli):
        check_pixels("elbo", "x", x)
    else:
        check_finite("elbo", "x", x)
    nll, kl = [], []
    for rows in _chunks(x):
        mu, logvar = vae.encode(rows)
        z, _ = sample_gaussian(mu, logvar, noise_like(mu, rng))
        y, _ = vae.decoder.forward(z)
        vae.check_decoded(y, rows)
        nll.append(vae.likelihood.nll_per_image(y, rows))
        kl.append(kernels.kl_standard_normal(mu, logvar)[0])
    reconstruction, divergence = np.concatenate(nll), np.concatenate(kl)  # (N,) each
    bound = -(reconstruction + divergence)
    return {
        "elbo": bound.mean().item(),
        "reconstruction": reconstruction.mean().item(),
        "kl": divergence.mean().item(),
        "stderr": bound.std(ddof=1).item() / len(x) ** 0.5 if len(x) > 1 else float("nan"),
    }


def bce_scale(train: Array, test: Array) -> dict[str, float]:
    """What a cross-entropy on these images stands between, in nats per image.

    Parameters
    ----------
    train, test : (N, D)
        In [0, 1].

    Returns
    -------
    dict
        On the test images: "mean_image", the cost of predicting the mean training image every time, which any model
        must beat (clipped to [10⁻⁶, 1 − 10⁻⁶], as a test pixel may be white that never was in training); "floor",
        Σᵢ H(xᵢ), the cost of predicting each image perfectly, which no model can beat. The floor is 0 where pixels are
        black or white, and well above where they are grey.

    Raises
    ------
    DataError
        If pixels are not in [0, 1].
    ShapeError
        If the images differ in size, or there are none.

    Notes
    -----
    docs/11-vae.md.

    Examples
    --------
    >>> import numpy as np
    >>> from scratchnet.evaluation import bce_scale
    >>> scale = bce_scale(np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]]))     # log 2 both times
    >>> round(scale["mean_image"], 4), round(scale["floor"], 4)
    (0.6931, 0.6931)
    """
    for name, x in (("train", train), ("test", test)):
        check_floats("bce_scale", name, x)
        check_rows("bce_scale", name, x, train.shape[-1], train.dtype)
        check_batch("bce_scale", x)
        check_pixels("bce_scale", name, x)
    mean_image = train.mean(axis=0, dtype=np.float64).clip(1e-6, 1 - 1e-6)
    return {"mean_image": _cross_entropy(test, mean_image), "floor": _cross_entropy(test, test.astype(np.float64))}


def kl_per_latent(mu: Array, logvar: Array) -> Array:
    """The mean KL of each latent dimension, (L,), in nats per image; their sum is the KL of the ELBO.

    Parameters
    ----------
    mu, logvar : (N, L)
        As `VAE.encode` returns them.

    Raises
    ------
    ShapeError
        If the shapes differ, or N is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from scratchnet.evaluation import kl_per_latent
    >>> kl_per_latent(np.array([[2.0, 0.0], [2.0, 0.0]]), np.zeros((2, 2)))
    array([2., 0.])
    """
    check_floats("kl_per_latent", "mu", mu)
    check_same("kl_per_latent", "logvar", logvar, "mu", mu)
    check_batch("kl_per_latent", mu)
    return kernels.kl_standard_normal(mu.T, logvar.T)[0] / len(mu)  # a row of the transpose is a latent dimension


def active_units(mu: Array, threshold: float = 0.01) -> Array:
    """Which latent dimensions carry anything, (L,) of bool: true where μ varies over images by more than `threshold`.

    Parameters
    ----------
    mu : (N, L)
        As `VAE.encode` returns it.
    threshold : float
        Of the variance of μ.

    Raises
    ------
    ShapeError
        If N is 0.

    Notes
    -----
    Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2015, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> from scratchnet.evaluation import active_units
    >>> active_units(np.array([[1.0, 0.01], [-1.0, -0.01]]))
    array([ True, False])
    """
    check_floats("active_units", "mu", mu)
    check_batch("active_units", mu)
    check_number("active_units", "threshold", threshold, 0)
    return mu.var(axis=0) > threshold


def _cross_entropy(x: Array, p: Array) -> float:
    """(1/N) Σₙ Σᵢ −x log p − (1 − x) log(1 − p), where 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = -np.where(x > 0, x * np.log(p), 0) - np.where(x < 1, (1 - x) * np.log1p(-p), 0)
    return nats.sum().item() / len(x)


def _chunks(x: Array) -> Iterator[Array]:
    for start in range(0, len(x), _ROWS):
        yield x[start : start + _ROWS]
