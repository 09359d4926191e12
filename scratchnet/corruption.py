"""Ways to spoil images, for autoencoders that are to learn how to mend them.

Each is made with its strength and then called as corrupt(x, rng), which returns a spoilt copy. A denoising autoencoder
takes one as `Autoencoder(…, corrupt=GaussianNoise(0.5))`. What it learns by it: docs/09-denoising.md.
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
    """x̃ = clip(x + sigma·ε, 0, 1) with ε from N(0, 1), a new one for each pixel.

    Parameters
    ----------
    sigma : float
        At least 0; 0 spoils nothing.

    Raises
    ------
    ValueError
        If sigma is negative.
    DataError
        When called with an x that is not in [0, 1].

    Notes
    -----
    docs/09-denoising.md, also for what clipping does to the noise. Vincent et al., Stacked Denoising Autoencoders,
    2010, section 3.3.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> corrupt = sn.corruption.GaussianNoise(0.5)
    >>> corrupt
    GaussianNoise(sigma=0.5)
    >>> corrupt(np.full((1, 3), 0.5), np.random.default_rng(0)).round(2)
    array([[0.56, 0.43, 0.82]])
    """

    sigma: float

    def __post_init__(self):
        _set(self, sigma=check_number("GaussianNoise", "sigma", self.sigma, 0))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A spoilt copy of x, of any shape."""
        _check_image(self, x, rng)
        check_pixels("GaussianNoise", "x", x)
        return np.clip(x + self.sigma * noise_like(x, rng), 0, 1)


@dataclass(frozen=True)
class Masking:
    """Each pixel becomes 0 with probability `share`, and else stays.

    Parameters
    ----------
    share : float
        In [0, 1); 0 spoils nothing.

    Raises
    ------
    ValueError
        If share is out of its range.

    Notes
    -----
    Pixels are drawn one by one, so the number of those lost differs from image to image; in the paper it is the same.
    docs/09-denoising.md. Vincent et al., Stacked Denoising Autoencoders, 2010, section 3.3.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> sn.corruption.Masking(0.5)(np.ones((1, 6)), np.random.default_rng(0))
    array([[1., 0., 0., 0., 1., 1.]])
    """

    share: float

    def __post_init__(self):
        _set(self, share=check_number("Masking", "share", self.share, 0, 1))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A spoilt copy of x, of any shape."""
        _check_image(self, x, rng)
        return np.where(rng.random(x.shape) < self.share, x.dtype.type(0), x)


@dataclass(frozen=True)
class SaltAndPepper:
    """Each pixel becomes 0 with probability share/2, 1 with probability share/2, and else stays.

    Parameters
    ----------
    share : float
        In [0, 1); 0 spoils nothing.

    Raises
    ------
    ValueError
        If share is out of its range.
    DataError
        When called with an x that is not in [0, 1].

    Notes
    -----
    docs/09-denoising.md. Vincent et al., Stacked Denoising Autoencoders, 2010, section 3.3.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> sn.corruption.SaltAndPepper(0.5)(np.full((1, 6), 0.5), np.random.default_rng(0))
    array([[0.5, 1. , 0. , 0. , 0.5, 0.5]])
    """

    share: float

    def __post_init__(self):
        _set(self, share=check_number("SaltAndPepper", "share", self.share, 0, 1))

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A spoilt copy of x, of any shape."""
        _check_image(self, x, rng)
        check_pixels("SaltAndPepper", "x", x)
        u = rng.random(x.shape)  # below share/2 pepper, from there to share salt
        return np.where(u < self.share, u >= self.share / 2, x)


@dataclass(frozen=True)
class Downsample:
    """Each block of `factor` × `factor` pixels becomes its mean: a smaller image, blown up again.

    To mend it is to guess detail that is not there: super-resolution.

    Parameters
    ----------
    factor : int
        The side of a block; 1 spoils nothing.
    shape : (int, int)
        An image's height and width, multiples of `factor`.

    Raises
    ------
    TypeError, ValueError
        If shape is no pair, or factor, height or width is not a whole number of at least 1.
    ShapeError
        If the blocks do not tile the image, or when called with an x whose rows are not such images.

    Notes
    -----
    docs/09-denoising.md. No randomness: `rng` is not used, and may be None.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> corrupt = sn.corruption.Downsample(2, shape=(2, 4))
    >>> corrupt(np.array([[1.0, 0.0, 0.5, 0.5,
    ...                    1.0, 0.0, 0.0, 0.0]]), None)
    array([[0.5 , 0.5 , 0.25, 0.25, 0.5 , 0.5 , 0.25, 0.25]])
    """

    factor: int
    shape: tuple[int, int]

    def __post_init__(self):
        if not isinstance(self.shape, tuple) or len(self.shape) != 2:
            raise TypeError(f"Downsample expects shape to be a tuple (height, width), got {named(self.shape)}.")
        factor = check_length("Downsample", "factor", self.factor)
        height = check_length("Downsample", "the height", self.shape[0])
        width = check_length("Downsample", "the width", self.shape[1])
        _set(self, factor=factor, shape=(height, width))
        if height % factor or width % factor:
            raise ShapeError(
                f"Downsample expects a height and width that are multiples of {factor}, got {height} and {width}."
            )

    def __call__(self, x: Array, rng: np.random.Generator | None) -> Array:
        """A spoilt copy of x (N, height·width)."""
        (height, width), f = self.shape, self.factor
        check_rows("Downsample", "x", x, height * width, np.asarray(x).dtype)
        blocks = x.reshape(-1, height // f, f, width // f, f)
        means = blocks.mean(axis=(2, 4), keepdims=True)
        return means.repeat(f, axis=2).repeat(f, axis=4).reshape(x.shape)


def _set(corruption: object, **values: Any) -> None:
    """Set fields while the object is made; later it is frozen."""
    for name, value in values.items():
        object.__setattr__(corruption, name, value)


def _check_image(corruption: object, x: Array, rng: np.random.Generator) -> None:
    name = type(corruption).__name__
    check_floats(name, "x", x)
    check_rng(name, rng)
