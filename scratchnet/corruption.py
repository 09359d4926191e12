"""Noise models for denoising autoencoders: `Autoencoder(…, corrupt=GaussianNoise(0.5))`.

Each is made with its strength, and corrupt(x, rng) then returns a corrupted copy of x. See docs/09-denoising.md; the
first three are those of Vincent et al., Stacked Denoising Autoencoders, 2010, section 3.3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_floats, check_length, check_number, check_pixels, check_rng, check_rows, named
from scratchnet.core.gaussian import noise_like
from scratchnet.errors import ShapeError

__all__ = ["Downsample", "GaussianNoise", "Masking", "SaltAndPepper"]


@dataclass(frozen=True)
class GaussianNoise:
    """x̃ = clip(x + sigma·ε, 0, 1), where ε is drawn from N(0, 1) for each pixel; sigma ≥ 0, and x in [0, 1].

    >>> GaussianNoise(0.5)(np.full((1, 3), 0.5), np.random.default_rng(0)).round(2)
    array([[0.56, 0.43, 0.82]])
    """

    sigma: float

    def __post_init__(self):
        _set(self, sigma=check_number("GaussianNoise", "sigma", self.sigma, 0))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A corrupted copy of x, of any shape."""
        _check(self, x, rng, pixels=True)
        return np.clip(x + self.sigma * noise_like(x, rng), 0, 1)


@dataclass(frozen=True)
class Masking:
    """Each pixel becomes 0 with probability `share`, in [0, 1), and stays as it is otherwise.

    Pixels are drawn independently, so images lose different numbers of them; in the paper all lose the same number.

    >>> Masking(0.5)(np.ones((1, 6)), np.random.default_rng(0))
    array([[1., 0., 0., 0., 1., 1.]])
    """

    share: float

    def __post_init__(self):
        _set(self, share=check_number("Masking", "share", self.share, 0, 1))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A corrupted copy of x, of any shape."""
        _check(self, x, rng)
        return np.where(rng.random(x.shape) < self.share, x.dtype.type(0), x)


@dataclass(frozen=True)
class SaltAndPepper:
    """Each pixel becomes 0 or 1, with probability share/2 each, and stays otherwise; share in [0, 1), x in [0, 1].

    >>> SaltAndPepper(0.5)(np.full((1, 6), 0.5), np.random.default_rng(0))
    array([[0.5, 1. , 0. , 0. , 0.5, 0.5]])
    """

    share: float

    def __post_init__(self):
        _set(self, share=check_number("SaltAndPepper", "share", self.share, 0, 1))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A corrupted copy of x, of any shape."""
        _check(self, x, rng, pixels=True)
        u = rng.random(x.shape)  # below share/2 pepper, from there to share salt
        return np.where(u < self.share, u >= self.share / 2, x)


@dataclass(frozen=True)
class Downsample:
    """Each block of `factor` × `factor` pixels becomes its mean: an image of lower resolution, in its former size.

    `shape` is an image's height and width, multiples of `factor`. Undoing it means guessing lost detail:
    super-resolution. Nothing is random here, so `rng` may be None.

    >>> Downsample(2, shape=(2, 4))(np.array([[1.0, 0.0, 0.5, 0.5,
    ...                                        1.0, 0.0, 0.0, 0.0]]), None)
    array([[0.5 , 0.5 , 0.25, 0.25, 0.5 , 0.5 , 0.25, 0.25]])
    """

    factor: int
    shape: tuple[int, int]

    def __post_init__(self):
        if not isinstance(self.shape, tuple) or len(self.shape) != 2:
            raise TypeError(f"Downsample expects shape to be a tuple (height, width), got {named(self.shape)}.")
        sizes = zip(("factor", "the height", "the width"), (self.factor, *self.shape), strict=True)
        factor, height, width = (check_length("Downsample", name, size) for name, size in sizes)
        _set(self, factor=factor, shape=(height, width))
        if height % factor or width % factor:
            raise ShapeError(
                f"Downsample expects a height and width that are multiples of {factor}, got {height} and {width}."
            )

    def __call__(self, x: Array, rng: np.random.Generator | None) -> Array:
        """A corrupted copy of x (N, height·width)."""
        (height, width), f = self.shape, self.factor
        check_rows("Downsample", "x", x, height * width, np.asarray(x).dtype)
        blocks = x.reshape(-1, height // f, f, width // f, f)
        means = blocks.mean(axis=(2, 4), keepdims=True)
        return means.repeat(f, axis=2).repeat(f, axis=4).reshape(x.shape)


def _set(corruption: object, **values: Any) -> None:
    """Set fields of a frozen dataclass while it is made."""
    for name, value in values.items():
        object.__setattr__(corruption, name, value)


def _check(corruption: object, x: Array, rng: np.random.Generator, pixels: bool = False) -> None:
    where = type(corruption).__name__
    check_floats(where, "x", x)
    check_rng(where, rng)
    if pixels:
        check_pixels(where, "x", x)
