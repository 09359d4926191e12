"""What a decoder's output means: the parameters of a distribution over images, p(x|z).

A likelihood turns that output y into a cost, −log p(x|z), and into the image that y stands for.
"""

from typing import Any, Protocol

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_choice, check_number, named
from scratchnet.core.losses import bce_with_logits, mse
from scratchnet.errors import ShapeError


class Likelihood(Protocol):
    """−log p(x|z), its derivative, and the expected image: an object with these three methods.

    `pixels_are_probabilities = True` on it asks for images in [0, 1]. docs/18-your-own.md.
    """

    def nll(self, y: Array, x: Array) -> tuple[float, Array]: ...  # the mean of −log p(x|z), nats per image, and its dy

    def nll_per_image(self, y: Array, x: Array) -> Array: ...  # −log p(x|z) of each image, (N,), in nats

    def images(self, y: Array) -> Array: ...  # the images that y stands for, in [0, 1]


class Bernoulli:
    """Each pixel is a coin toss, and yᵢ is the logit of its probability: −log p = Σᵢ log(1 + e^yᵢ) − xᵢ yᵢ.

    For grey pixels in (0, 1) this is a useful cost but no likelihood: it cannot fall below Σᵢ H(xᵢ), the entropies of
    such coins. docs/11-vae.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> mean, dy = sn.Bernoulli().nll(np.zeros((2, 3)), np.ones((2, 3)))    # three fair coins an image: 3 log 2
    >>> round(mean, 4), dy[0]
    (2.0794, array([-0.25, -0.25, -0.25]))
    """

    pixels_are_probabilities = True

    def nll(self, y: Array, x: Array) -> tuple[float, Array]:
        return bce_with_logits(y, x)

    def nll_per_image(self, y: Array, x: Array) -> Array:
        return kernels.bce_with_logits(y, x)[0]

    def images(self, y: Array) -> Array:
        return kernels.sigmoid(y)

    def __repr__(self) -> str:
        return "bernoulli"


class Gaussian:
    """Each pixel is normal around its mean yᵢ with one fixed σ: −log p = Σᵢ ½ (xᵢ − yᵢ)²/σ² + ½ log 2πσ².

    `sigma` is above 0, in units of pixel brightness. docs/11-vae.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> mean, dy = sn.Gaussian(0.5).nll(np.zeros((1, 1)), np.ones((1, 1)))  # ½ · 1²/¼ + ½ log(2π · ¼)
    >>> round(mean, 4), dy
    (2.2258, array([[-4.]]))
    """

    def __init__(self, sigma: float):
        self.sigma = check_number("Gaussian", "sigma", sigma, 1e-150, 1e150)  # σ² neither vanishes nor overflows

    def nll(self, y: Array, x: Array) -> tuple[float, Array]:
        squared, dy = mse(y, x)
        return 0.5 * squared / self.sigma**2 + self._constant(x), 0.5 / self.sigma * dy / self.sigma  # σ² could be 0

    def nll_per_image(self, y: Array, x: Array) -> Array:
        return 0.5 * kernels.squared_error(y, x)[0] / self.sigma**2 + self._constant(x)

    def images(self, y: Array) -> Array:
        return np.clip(y, 0, 1)

    def _constant(self, x: Array) -> float:
        return 0.5 * x.shape[1] * np.log(2 * np.pi * self.sigma**2).item()  # ½ D log 2πσ²

    def __repr__(self) -> str:
        return f"gaussian with sigma {self.sigma:g}"


def nll_per_image(where: str, likelihood: Likelihood, y: Array, x: Array) -> Array:
    """−log p(x|z) of each image, (N,); its shape is checked, since a scalar or (N, 1) would be broadcast silently."""
    nll = np.asarray(likelihood.nll_per_image(y, x))
    if nll.shape != (len(x),) or nll.dtype.kind not in "fciu":
        came = f"{nll.dtype.name} of shape {nll.shape}"
        raise ShapeError(f"{where} expects nll_per_image to return a number for each image, {(len(x),)}, got {came}.")
    return nll


def check_likelihood(where: str, likelihood: Any, sigma: float) -> Likelihood:
    """`likelihood` is the name of one of the two above, or an object with the three methods; returned as an object."""
    if isinstance(likelihood, str):
        check_choice(where, "likelihood", likelihood, ("bernoulli", "gaussian"))
        return Gaussian(sigma) if likelihood == "gaussian" else Bernoulli()
    if isinstance(likelihood, type):
        came = f"{named(likelihood)}: write {likelihood.__name__}(…)"
        raise TypeError(f"{where} expects likelihood to be an object, got {came}.")
    if lacks := [one for one in ("nll", "nll_per_image", "images") if not callable(getattr(likelihood, one, None))]:
        came = f"{named(likelihood)}: an object of your own also needs {', '.join(lacks)}"
        raise ValueError(f"{where} expects likelihood to be 'bernoulli' or 'gaussian', got {came}.")
    return likelihood
