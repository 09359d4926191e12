"""What a decoder's output means: the parameters of a distribution over images, p(x|z).

A likelihood turns that output y into a cost, −log p(x|z), and into the image that one would show.
"""

from typing import Protocol

import numpy as np

from scratchnet import kernels
from scratchnet.checks import check_number
from scratchnet.losses import bce_with_logits, mse
from scratchnet.types import Array


class Likelihood(Protocol):
    """−log p(x|z), its derivative, and the expected image."""

    def nll(self, y: Array, x: Array) -> tuple[float, Array]:
        """The mean over the batch of −log p(x|z), in nats per image, and its derivative with respect to y."""
        ...

    def nll_per_image(self, y: Array, x: Array) -> Array:
        """−log p(x|z) of each image, (N,), in nats."""
        ...

    def images(self, y: Array) -> Array:
        """The image that y says to expect, in [0, 1]."""
        ...


class Bernoulli:
    """Each pixel is a coin toss, and y holds the logit of its probability: −log p = Σᵢ softplus(yᵢ) − xᵢ yᵢ.

    For grey pixels in (0, 1) this is a useful cost but no likelihood: it cannot fall below Σᵢ H(xᵢ).
    """

    def nll(self, y: Array, x: Array) -> tuple[float, Array]:
        return bce_with_logits(y, x)

    def nll_per_image(self, y: Array, x: Array) -> Array:
        return kernels.bce_with_logits(y, x)[0]

    def images(self, y: Array) -> Array:
        return kernels.sigmoid(y)

    def __repr__(self) -> str:
        return "bernoulli"


class Gaussian:
    """Each pixel is normal around its mean yᵢ with one fixed σ: −log p = Σᵢ ½ (xᵢ − yᵢ)²/σ² + ½ log 2πσ²."""

    def __init__(self, sigma: float):
        check_number("VAE", "sigma", sigma, 0, open_low=True)
        self.sigma = sigma

    def nll(self, y: Array, x: Array) -> tuple[float, Array]:
        squared, dy = mse(y, x)
        return 0.5 * squared / self.sigma**2 + self._constant(x), 0.5 * dy / self.sigma**2

    def nll_per_image(self, y: Array, x: Array) -> Array:
        return 0.5 * kernels.squared_error(y, x)[0] / self.sigma**2 + self._constant(x)

    def images(self, y: Array) -> Array:
        return np.clip(y, 0, 1)

    def _constant(self, x: Array) -> float:
        return 0.5 * x.shape[1] * np.log(2 * np.pi * self.sigma**2).item()  # ½ D log 2πσ²

    def __repr__(self) -> str:
        return f"gaussian with sigma {self.sigma:g}"
