"""Noise models for denoising autoencoders: `Autoencoder(…, corrupt=GaussianNoise(0.5))`.

Each is made with its strength, and corrupt(x, rng) then returns a corrupted copy of x. See docs/09-denoising.md; the
first three are those of Vincent et al., Stacked Denoising Autoencoders, 2010, section 3.3, and take x of any shape.
"""

import math
from dataclasses import dataclass

import numpy as np

from scratchnet import checks
from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like
from scratchnet.errors import ShapeError

__all__ = ["Downsample", "GaussianNoise", "Masking", "SaltAndPepper"]


class _Noise:
    most = 1.0  # each strength is in [0, most)

    def __post_init__(self):
        for name, strength in vars(self).items():
            vars(self)[name] = checks.check_number(type(self).__name__, name, strength, 0, self.most)  # it is frozen

    def _check(self, x: Array, rng: np.random.Generator, in_0_1: bool = True) -> None:
        where = type(self).__name__
        checks.check_floats(where, "x", x)
        checks.check_rng(where, rng)
        if in_0_1:
            checks.check_pixels(where, "x", x)


@dataclass(frozen=True)
class GaussianNoise(_Noise):
    """x̃ = clip(x + sigma·ε, 0, 1), where ε is drawn from N(0, 1) for each pixel; sigma ≥ 0, and x in [0, 1].

    >>> GaussianNoise(0.5)(np.full((1, 3), 0.5), np.random.default_rng(0)).round(2)
    array([[0.56, 0.43, 0.82]])
    """

    sigma: float
    most = math.inf

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A corrupted copy of x."""
        self._check(x, rng)
        return np.clip(x + self.sigma * noise_like(x, rng), 0, 1)


@dataclass(frozen=True)
class Masking(_Noise):
    """Each pixel becomes 0 with probability `share`, in [0, 1), and stays as it is otherwise.

    Pixels are drawn independently, so images lose different numbers of them; in the paper all lose the same number.

    >>> Masking(0.5)(np.ones((1, 6)), np.random.default_rng(0))
    array([[1., 0., 0., 0., 1., 1.]])
    """

    share: float

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A corrupted copy of x."""
        self._check(x, rng, in_0_1=False)
        return np.where(rng.random(x.shape) < self.share, x.dtype.type(0), x)


@dataclass(frozen=True)
class SaltAndPepper(_Noise):
    """Each pixel becomes 0 or 1, with probability share/2 each, and stays otherwise; share in [0, 1), x in [0, 1].

    >>> SaltAndPepper(0.5)(np.full((1, 6), 0.5), np.random.default_rng(0))
    array([[0.5, 1. , 0. , 0. , 0.5, 0.5]])
    """

    share: float

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A corrupted copy of x."""
        self._check(x, rng)
        u = rng.random(x.shape)  # below share/2 pepper, from there to share salt
        return np.where(u < self.share, u >= self.share / 2, x)


@dataclass(frozen=True)
class Downsample:
    """Each block of `factor` × `factor` pixels becomes its mean: an image of lower resolution, at its former size.

    x is (N, height·width), and `shape` is (height, width), multiples of `factor`. Undoing it means guessing lost
    detail: super-resolution. Nothing is random here, so `rng` may be None.

    >>> Downsample(2, shape=(2, 4))(np.array([[1.0, 0.0, 0.5, 0.5,
    ...                                        1.0, 0.0, 0.0, 0.0]]), None)
    array([[0.5 , 0.5 , 0.25, 0.25, 0.5 , 0.5 , 0.25, 0.25]])
    """

    factor: int
    shape: tuple[int, int]

    def __post_init__(self):
        checks.check_type("Downsample", "shape", self.shape, tuple, "a tuple (height, width)")
        height, width = checks.check_pair("Downsample", "shape", self.shape)
        factor = checks.check_length("Downsample", "factor", self.factor)
        vars(self).update(factor=factor, shape=(height, width))  # the dataclass is frozen
        if height % factor or width % factor:
            expected = f"a height and width that are multiples of {factor}"
            raise ShapeError(f"Downsample expects {expected}, got {height} and {width}.")

    def __call__(self, x: Array, rng: np.random.Generator | None) -> Array:
        """A corrupted copy of x."""
        (height, width), f = self.shape, self.factor
        checks.check_rows("Downsample", "x", x, height * width, None)
        blocks = x.reshape(-1, height // f, f, width // f, f)
        means = blocks.mean(axis=(2, 4), keepdims=True)
        return means.repeat(f, axis=2).repeat(f, axis=4).reshape(x.shape)
