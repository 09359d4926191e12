"""Is my number good? The bounds of a VAE with their standard errors, and what its latent dimensions carry.

Derivations, and what such numbers do and do not mean: docs/11-vae.md, docs/13-is-my-number-good.md.
"""

from typing import Any

import numpy as np

from scratchnet import checks, kernels
from scratchnet.arrays import Array
from scratchnet.core.gaussian import log_p_over_q, noise_like, sample_gaussian
from scratchnet.core.likelihood import nll_per_image
from scratchnet.core.vae import VAE
from scratchnet.errors import DataError

_ROWS = 1000  # images or samples evaluated at once, so that memory does not grow with the data


def elbo(vae: Any, x: Array, rng: np.random.Generator, *, per_image: bool = False) -> dict[str, Any]:
    """ELBO = E_q[log p(x|z)] − KL(q(z|x) ‖ N(0, I)), in nats per image, with one sample z from each image's q(z|x).

    β is 1, whatever the model was trained with. `vae` may be any model with `encode(x)` → (mu, logvar), a layer
    `decoder` and a `likelihood`; x is (N, D). The result has "elbo" = −("reconstruction" + "kl"), where
    "reconstruction" is the mean of −log p(x|z), and "stderr", the standard error of "elbo" as a mean over images, NaN
    for one image. With `per_image` it also has "per_image": the first three for each image, by name, (N,) in float64.
    docs/11-vae.md, docs/13-is-my-number-good.md. Kingma & Welling, Auto-Encoding Variational Bayes, 2013, equation 8.

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
    """L_k = (1/N) Σₙ log (1/k) Σᵢ p(xₙ|zᵢ) p(zᵢ) / q(zᵢ|xₙ),  i = 1 … k, a bound on log p(x) in nats per image.

    Each image has k samples z from its own q(z|x). At k = 1 this is the ELBO, with log q(z|x) − log p(z) at the sample
    instead of the KL; its expectation never falls as k grows, and tends to log p(x). For "bernoulli", pixels should be
    black or white: with grey ones L_k is a bound on a cost, not on a likelihood. Arguments and result are those of
    `elbo`, with "log_likelihood" in place of the three numbers there. ε is drawn image by image, (N, k, L); memory does
    not grow with k. docs/15-beta-and-importance-weighting.md, docs/13-is-my-number-good.md. Burda, Grosse &
    Salakhutdinov, Importance Weighted Autoencoders, 2015, section 3; they take k = 5000.

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
    k = checks.check_count(where, "k", k)
    codes = [_encoded(where, vae, rows) for rows in _chunks(x)]
    mu, logvar = (np.concatenate(part) for part in zip(*codes, strict=True))  # (N, L) each
    log_sum = np.full(len(x), -np.inf)  # log Σᵢ wᵢ over the samples so far, (N,)
    samples = len(x) * k  # all k of the first image, then all k of the second, …
    for start in range(0, samples, _ROWS):
        n = np.arange(start, min(start + _ROWS, samples)) // k  # the image that each sample belongs to
        eps = noise_like(mu[n], rng)
        z, _ = sample_gaussian(mu[n], logvar[n], eps)
        log_w = log_p_over_q(z, logvar[n], eps) - _nll_per_image(where, vae, z, x[n])
        np.logaddexp.at(log_sum, n, log_w)
    return _summary({"log_likelihood": log_sum - np.log(k)}, per_image)


def bce_scale(train: Array, test: Array) -> dict[str, float]:
    """Two ends of a scale for a cross-entropy on the images `test` (N, D), in [0, 1], in nats per image.

    "mean_image" is the cost of always predicting the mean of `train`, which a model should beat. Its pixels are clipped
    to [10⁻⁶, 1 − 10⁻⁶], since one that is black in all of `train` may be white in `test`. "floor" is Σᵢ H(xᵢ), the cost
    of a perfect prediction: 0 for black and white pixels, well above for grey ones. docs/13-is-my-number-good.md.

    >>> scale = bce_scale(np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]]))     # log 2 both times
    >>> round(scale["mean_image"], 4), round(scale["floor"], 4)
    (0.6931, 0.6931)
    """
    checks.check_rows("bce_scale", "train", train, None, None)
    checks.check_rows("bce_scale", "test", test, train.shape[1], train.dtype)
    for name, x in {"train": train, "test": test}.items():
        checks.check_batch("bce_scale", x)
        checks.check_pixels("bce_scale", name, x)
    mean_image = train.mean(axis=0, dtype=np.float64).clip(1e-6, 1 - 1e-6)
    costs = [(_cross_entropy(x, mean_image), _cross_entropy(x, x.astype(np.float64))) for x in _chunks(test)]
    mean, floor = np.sum(costs, axis=0) / len(test)
    return {"mean_image": mean.item(), "floor": floor.item()}


def kl_per_latent(mu: Array, logvar: Array) -> Array:
    """The mean KL of each latent dimension, (L,), in nats per image; their sum is the KL of the ELBO.

    Takes what `VAE.encode` returns, (N, L) each. See docs/13-is-my-number-good.md.

    >>> kl_per_latent(np.array([[2.0, 0.0], [2.0, 0.0]]), np.zeros((2, 2)))
    array([2., 0.])
    """
    for name, numbers in {"mu": mu, "logvar": logvar}.items():
        checks.check_points("kl_per_latent", name, numbers)
    checks.check_alike("kl_per_latent", mu=mu, logvar=logvar)
    return kernels.kl_standard_normal(mu.T, logvar.T)[0] / len(mu)  # a row of the transpose is a latent dimension


def active_units(mu: Array, threshold: float = 0.01) -> Array:
    """Which latent dimensions are in use, (L,) of bool: those whose μ, (N, L), has a variance above `threshold`.

    See docs/13-is-my-number-good.md; Burda et al., Importance Weighted Autoencoders, 2015, section 5.2.

    >>> active_units(np.array([[1.0, 0.01], [-1.0, -0.01]]))
    array([ True, False])
    """
    checks.check_points("active_units", "mu", mu)
    checks.check_batch("active_units", mu)
    threshold = checks.check_number("active_units", "threshold", threshold, 0)
    return mu.var(axis=0, dtype=np.float64) > threshold


def _check_arguments(where: str, vae: Any, x: Array, rng: np.random.Generator, per_image: bool) -> None:
    if lacks := [name for name in ("encode", "decoder", "likelihood") if not hasattr(vae, name)]:
        raise TypeError(f"{where} expects a VAE, got {checks.named(vae)}, which lacks {checks.listed(lacks)}.")
    checks.check_rng(where, rng)
    checks.check_type(where, "per_image", per_image, bool | np.bool, "True or False")
    width = getattr(getattr(vae, "encoder", None), "n_in", None)
    checks.check_rows(where, "x", x, width, getattr(vae, "dtype", None))
    checks.check_batch(where, x)
    probabilities = getattr(vae.likelihood, "pixels_are_probabilities", False)
    (checks.check_pixels if probabilities else checks.check_finite)(where, "x", x)


def _encoded(where: str, vae: Any, x: Array) -> tuple[Array, Array]:
    """μ and log σ² of q(z|x), (N, L) each, all of them finite."""
    mu, logvar = vae.encode(x)
    for name, numbers in {"mu": mu, "logvar": logvar}.items():
        _check_sound(where, name, numbers, np.isfinite(numbers))
    return mu, logvar


def _nll_per_image(where: str, vae: Any, z: Array, x: Array) -> Array:
    """−log p(x|z) of each image, (N,), in float64; it may be infinite but not NaN."""
    y, _ = vae.decoder.forward(z)
    if y.shape != x.shape and isinstance(vae, VAE):
        vae.check_decoded(y, x)
    nll = nll_per_image(where, vae.likelihood, y, x).astype(np.float64)
    _check_sound(where, "−log p(x|z)", nll, ~np.isnan(nll))
    return nll


def _check_sound(where: str, name: str, numbers: Array, sound: Array) -> None:
    if not sound.all():
        came = f"{checks.describe(numbers)} for {name}"
        raise DataError(f"{where} expects numbers from the model, got {came}: look for NaN in its parameters.")


def _summary(each: dict[str, Array], per_image: bool) -> dict[str, Any]:
    """The means over images, the standard error of the first, and the numbers per image if wanted."""
    first = next(iter(each.values()))
    found: dict[str, Any] = {name: numbers.mean().item() for name, numbers in each.items()}
    found["stderr"] = first.std(ddof=1).item() / len(first) ** 0.5 if len(first) > 1 else float("nan")
    return found | ({"per_image": each} if per_image else {})


def _cross_entropy(x: Array, p: Array) -> float:
    """Σₙ Σᵢ −x log p − (1 − x) log(1 − p), where 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        nats = -np.where(x > 0, x * np.log(p), 0) - np.where(x < 1, (1 - x) * np.log1p(-p), 0)
    return nats.sum().item()


def _chunks(x: Array) -> list[Array]:
    return np.split(x, range(_ROWS, len(x), _ROWS))
