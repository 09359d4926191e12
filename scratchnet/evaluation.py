"""Is my number good? The bound that a VAE reaches, with its error, and what its latent dimensions carry.

Derivations, and what such numbers do and do not mean: docs/11-vae.md, docs/13-is-my-number-good.md.
"""

from collections.abc import Iterator

import numpy as np

from scratchnet import kernels
from scratchnet.checks import (
    check_batch,
    check_count,
    check_floats,
    check_number,
    check_pixels,
    check_points,
    check_rng,
    check_rows,
    check_same,
)
from scratchnet.gaussian import noise_like, sample_gaussian
from scratchnet.models.vae import VAE
from scratchnet.types import Array

_ROWS = 1000  # images or samples in flight at once, so that memory does not grow with the data


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
    Derivation: docs/11-vae.md; what it is worth: docs/13-is-my-number-good.md. Kingma & Welling, Auto-Encoding
    Variational Bayes, 2013, equation 8.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> vae = sn.VAE(sn.Dense(4, 2, rng=rng), sn.Dense(1, 4, rng=rng))
    >>> found = sn.elbo(vae, np.ones((3, 4), np.float32), rng)
    >>> abs(found["elbo"] + found["reconstruction"] + found["kl"]) < 1e-6
    True
    """
    _check_arguments("elbo", vae, x, rng)
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


def log_likelihood(vae: VAE, x: Array, k: int, rng: np.random.Generator) -> float:
    """The importance-weighted bound L_k on log p(x), in nats per image, by k samples z from each image's own q(z|x).

    L_k = (1/N) Σₙ log (1/k) Σᵢ p(xₙ|zᵢ) p(zᵢ) / q(zᵢ|xₙ),  i = 1 … k. At k = 1 it is the ELBO, with
    log p(z) − log q(z|x) at the sample in place of the KL. Its expectation never falls as k grows, and tends to
    log p(x); if q(z|x) is the true posterior, every k gives log p(x).

    Parameters
    ----------
    vae : VAE
        Its β plays no part.
    x : (N, D)
        Black or white for "bernoulli": with grey pixels L_k is a bound on a cost, not on a likelihood.
    k : int
        Samples per image, at least 1; Burda et al. take 5000. Time grows with N·k, memory does not grow with k.
    rng : numpy.random.Generator
        Draws ε, image by image: (N, k, L).

    Returns
    -------
    float
        L_k, the mean over images.

    Raises
    ------
    DataError
        If x is not finite, or not in [0, 1] where pixels are Bernoulli.
    ShapeError
        If x does not fit the encoder or is empty.
    ValueError
        If k is less than 1.

    Notes
    -----
    Derivation: docs/15-beta-and-importance-weighting.md; its gap: docs/13-is-my-number-good.md. Burda, Grosse &
    Salakhutdinov, Importance Weighted Autoencoders, 2015, section 3.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> vae = sn.VAE(sn.Dense(4, 2, rng=rng), sn.Dense(1, 4, rng=rng))
    >>> vae.parameters.theta[...] = 0               # each pixel is a fair coin whatever z is, and q(z|x) is the prior
    >>> round(sn.log_likelihood(vae, np.ones((3, 4), np.float32), 10, rng), 4)      # 4 log ½
    -2.7726
    """
    _check_arguments("log_likelihood", vae, x, rng)
    check_count("log_likelihood", "k", k)
    mu, logvar = (np.concatenate(part) for part in zip(*map(vae.encode, _chunks(x)), strict=True))  # (N, L) each
    log_sum = np.full(len(x), -np.inf)  # log Σᵢ wᵢ over the samples so far, (N,)
    k = int(k)  # a NumPy int8 would overflow
    samples = len(x) * k  # all k of the first image, then all k of the second, …
    for start in range(0, samples, _ROWS):
        n = np.arange(start, min(start + _ROWS, samples)) // k  # the image that each sample belongs to
        eps = noise_like(mu[n], rng)
        z, _ = sample_gaussian(mu[n], logvar[n], eps)
        y, _ = vae.decoder.forward(z)
        vae.check_decoded(y, x[n])
        # log p(z) = −½ Σ (z² + log 2π) and log q(z|x) = −½ Σ (ε² + logvar + log 2π), as ε = (z − μ)/σ:
        # log p(z) − log q(z|x) = ½ Σ (ε² + logvar − z²)
        log_p_over_q = 0.5 * (eps**2 + logvar[n] - z**2).sum(axis=1, dtype=np.float64)
        log_w = log_p_over_q - vae.likelihood.nll_per_image(y, x[n])
        np.logaddexp.at(log_sum, n, log_w)
    return (log_sum - np.log(k)).mean().item()


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
    docs/13-is-my-number-good.md.

    Examples
    --------
    >>> import numpy as np
    >>> from scratchnet.evaluation import bce_scale
    >>> scale = bce_scale(np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]]))     # log 2 both times
    >>> round(scale["mean_image"], 4), round(scale["floor"], 4)
    (0.6931, 0.6931)
    """
    check_floats("bce_scale", "train", train)
    for name, x in (("train", train), ("test", test)):
        check_rows("bce_scale", name, x, train.shape[-1] if train.ndim else None, train.dtype)
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

    Notes
    -----
    docs/13-is-my-number-good.md.

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
    docs/13-is-my-number-good.md. Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2015, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> from scratchnet.evaluation import active_units
    >>> active_units(np.array([[1.0, 0.01], [-1.0, -0.01]]))
    array([ True, False])
    """
    check_points("active_units", "mu", mu)
    check_batch("active_units", mu)
    check_number("active_units", "threshold", threshold, 0)
    return mu.var(axis=0) > threshold


def _check_arguments(where: str, vae: VAE, x: Array, rng: np.random.Generator) -> None:
    if not isinstance(vae, VAE):
        raise TypeError(f"{where} expects a VAE, got {type(vae).__name__}.")
    check_rng(where, rng)
    check_rows(where, "x", x, vae.encoder.n_in, vae.dtype)
    check_batch(where, x)
    vae.check_range(where, x)


def _cross_entropy(x: Array, p: Array) -> float:
    """(1/N) Σₙ Σᵢ −x log p − (1 − x) log(1 − p), where 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = -np.where(x > 0, x * np.log(p), 0) - np.where(x < 1, (1 - x) * np.log1p(-p), 0)
    return nats.sum().item() / len(x)


def _chunks(x: Array) -> Iterator[Array]:
    for start in range(0, len(x), _ROWS):
        yield x[start : start + _ROWS]
