"""Is my number good? The bound that a VAE reaches, with its error, and what its latent dimensions carry.

Derivations, and what such numbers do and do not mean: docs/11-vae.md, docs/13-is-my-number-good.md.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import (
    check_batch,
    check_count,
    check_finite,
    check_flag,
    check_floats,
    check_number,
    check_pixels,
    check_points,
    check_rng,
    check_rows,
    check_same,
    describe,
    listed,
    named,
)
from scratchnet.core.gaussian import noise_like, sample_gaussian
from scratchnet.core.vae import VAE
from scratchnet.errors import DataError, ShapeError

_ROWS = 1000  # images or samples in flight at once, so that memory does not grow with the data


def elbo(vae: Any, x: Array, rng: np.random.Generator, *, per_image: bool = False) -> dict[str, Any]:
    """The evidence lower bound of images x, in nats per image, by one sample z from each image's own q(z|x).

    ELBO = E_q[log p(x|z)] − KL(q(z|x) ‖ N(0, I)), with β = 1 whatever the model was trained with. Evaluated at z = μ
    instead, the first term would be flattered by several nats, and the number no bound.

    Parameters
    ----------
    vae : VAE
        Or any model with `encode(x)` → (mu, logvar), a layer `decoder` and a `likelihood`.
    x : (N, D)
    rng : numpy.random.Generator
        Draws ε.
    per_image : bool
        Whether to return the numbers of each image too.

    Returns
    -------
    dict
        "elbo"; "reconstruction", the mean of −log p(x|z); "kl"; and "stderr", the standard error of "elbo" as a mean
        over images, NaN for a single one. elbo = −(reconstruction + kl). With `per_image` also "per_image": of each of
        the first three an array (N,) in float64, of which it is the mean.

    Raises
    ------
    DataError
        If x is not finite, or not in [0, 1] where pixels are Bernoulli; or if the model gives NaN.
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
    _check_arguments("elbo", vae, x, rng, per_image)
    nll, kl = [], []
    for rows in _chunks(x):
        mu, logvar = _encoded("elbo", vae, rows)
        z, _ = sample_gaussian(mu, logvar, noise_like(mu, rng))
        nll.append(_nll_per_image("elbo", vae, z, rows))
        kl.append(kernels.kl_standard_normal(mu, logvar)[0].astype(np.float64))
    reconstruction, divergence = np.concatenate(nll), np.concatenate(kl)  # (N,) each
    each = {"elbo": -(reconstruction + divergence), "reconstruction": reconstruction, "kl": divergence}
    return _summary(each, per_image)


def log_likelihood(vae: Any, x: Array, k: int, rng: np.random.Generator, *, per_image: bool = False) -> dict[str, Any]:
    """The importance-weighted bound L_k on log p(x), in nats per image, by k samples z from each image's own q(z|x).

    L_k = (1/N) Σₙ log (1/k) Σᵢ p(xₙ|zᵢ) p(zᵢ) / q(zᵢ|xₙ),  i = 1 … k. At k = 1 it is the ELBO, with
    log p(z) − log q(z|x) at the sample in place of the KL. Its expectation never falls as k grows, and tends to
    log p(x); if q(z|x) is the true posterior, every k gives log p(x).

    Parameters
    ----------
    vae : VAE
        Or any model with `encode(x)` → (mu, logvar), a layer `decoder` and a `likelihood`. Its β plays no part.
    x : (N, D)
        Black or white for "bernoulli": with grey pixels L_k is a bound on a cost, not on a likelihood.
    k : int
        Samples per image, at least 1; Burda et al. take 5000. Time grows with N·k, memory does not grow with k.
    rng : numpy.random.Generator
        Draws ε, image by image: (N, k, L).
    per_image : bool
        Whether to return the numbers of each image too.

    Returns
    -------
    dict
        "log_likelihood", L_k, the mean over images; and "stderr", its standard error as such a mean, NaN for a single
        image. With `per_image` also "per_image": {"log_likelihood": an array (N,) in float64}.

    Raises
    ------
    DataError
        If x is not finite, or not in [0, 1] where pixels are Bernoulli; or if the model gives NaN.
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
    >>> found = sn.log_likelihood(vae, np.ones((3, 4), np.float32), 10, rng)
    >>> round(found["log_likelihood"], 4)                                           # 4 log ½
    -2.7726
    """
    where = "log_likelihood"
    _check_arguments(where, vae, x, rng, per_image)
    k = check_count(where, "k", k)
    codes = [_encoded(where, vae, rows) for rows in _chunks(x)]
    mu, logvar = (np.concatenate(part) for part in zip(*codes, strict=True))  # (N, L) each
    log_sum = np.full(len(x), -np.inf)  # log Σᵢ wᵢ over the samples so far, (N,)
    samples = len(x) * k  # all k of the first image, then all k of the second, …
    for start in range(0, samples, _ROWS):
        n = np.arange(start, min(start + _ROWS, samples)) // k  # the image that each sample belongs to
        eps = noise_like(mu[n], rng)
        z, _ = sample_gaussian(mu[n], logvar[n], eps)
        # log p(z) = −½ Σ (z² + log 2π) and log q(z|x) = −½ Σ (ε² + logvar + log 2π), as ε = (z − μ)/σ:
        # log p(z) − log q(z|x) = ½ Σ (ε² + logvar − z²)
        log_p_over_q = 0.5 * (eps**2 + logvar[n] - z**2).sum(axis=1, dtype=np.float64)
        log_w = log_p_over_q - _nll_per_image(where, vae, z, x[n])
        np.logaddexp.at(log_sum, n, log_w)
    return _summary({"log_likelihood": log_sum - np.log(k)}, per_image)


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
    costs = [(_cross_entropy(x, mean_image), _cross_entropy(x, x.astype(np.float64))) for x in _chunks(test)]
    mean, floor = np.sum(costs, axis=0) / len(test)
    return {"mean_image": mean.item(), "floor": floor.item()}


def kl_per_latent(mu: Array, logvar: Array) -> Array:
    """The mean KL of each latent dimension, (L,), in nats per image; their sum is the KL of the ELBO.

    Parameters
    ----------
    mu, logvar : (N, L)
        As `VAE.encode` returns them.

    Raises
    ------
    DataError
        If a number is not finite.
    ShapeError
        If the shapes differ or are not (N, L), or N is 0.

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
    where = "kl_per_latent"
    check_points(where, "mu", mu)
    check_same(where, "logvar", logvar, "mu", mu)
    check_batch(where, mu)
    check_finite(where, "mu", mu)
    check_finite(where, "logvar", logvar)
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
    DataError
        If a number is not finite.
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
    check_finite("active_units", "mu", mu)
    threshold = check_number("active_units", "threshold", threshold, 0)
    return mu.var(axis=0) > threshold


def _check_arguments(where: str, vae: Any, x: Array, rng: np.random.Generator, per_image: bool) -> None:
    lacks = [name for name in ("encode", "decoder", "likelihood") if not hasattr(vae, name)]
    if lacks or isinstance(vae, type):
        raise TypeError(
            f"{where} expects a VAE, got {named(vae)}{f', which lacks {listed(lacks)}' if lacks else ''}: any object "
            "with encode, decoder and likelihood will do."
        )
    check_rng(where, rng)
    check_flag(where, "per_image", per_image)
    check_floats(where, "x", x)
    check_rows(where, "x", x, getattr(getattr(vae, "encoder", None), "n_in", None), getattr(vae, "dtype", x.dtype))
    check_batch(where, x)
    probabilities = getattr(vae.likelihood, "pixels_are_probabilities", False)
    (check_pixels if probabilities else check_finite)(where, "x", x)


def _encoded(where: str, vae: Any, x: Array) -> tuple[Array, Array]:
    """μ and log σ² of q(z|x), (N, L) each, none of them NaN or infinite."""
    mu, logvar = vae.encode(x)
    for name, found in (("mu", mu), ("logvar", logvar)):
        if not np.isfinite(found).all():
            raise DataError(
                f"{where} expects the model to encode x in finite numbers, got {name} with {describe(found)}: look for "
                "NaN in its parameters."
            )
    return mu, logvar


def _nll_per_image(where: str, vae: Any, z: Array, x: Array) -> Array:
    """−log p(x|z) of each image, (N,), in float64 and not NaN."""
    y, _ = vae.decoder.forward(z)
    if y.shape != x.shape and isinstance(vae, VAE):
        vae.check_decoded(y, x)
    nll = np.asarray(vae.likelihood.nll_per_image(y, x), np.float64)
    if nll.shape != (len(x),):
        raise ShapeError(f"{where} expects nll_per_image to return a number for each image, (N,), got {nll.shape}.")
    if np.isnan(nll).any():
        raise DataError(
            f"{where} expects the model to give each image a likelihood, got {describe(nll)}: look for NaN in its "
            "parameters."
        )
    return nll


def _summary(each: dict[str, Array], per_image: bool) -> dict[str, Any]:
    """The mean of each, the standard error of the first, and if asked for what they are means of."""
    first = next(iter(each.values()))
    found: dict[str, Any] = {name: numbers.mean().item() for name, numbers in each.items()}
    found["stderr"] = first.std(ddof=1).item() / len(first) ** 0.5 if len(first) > 1 else float("nan")
    return found | ({"per_image": each} if per_image else {})


def _cross_entropy(x: Array, p: Array) -> float:
    """Σₙ Σᵢ −x log p − (1 − x) log(1 − p), where 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = -np.where(x > 0, x * np.log(p), 0) - np.where(x < 1, (1 - x) * np.log1p(-p), 0)
    return nats.sum().item()


def _chunks(x: Array) -> Iterator[Array]:
    for start in range(0, len(x), _ROWS):
        yield x[start : start + _ROWS]
