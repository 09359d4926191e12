"""Pictures that are known to be made of two numbers: Julia sets of z² + c.

How many numbers a real image is made of, nobody knows. Here the answer is two, and which two comes with each picture,
so what a bottleneck has found can be held against the truth.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_length, check_rng, check_rows, describe
from scratchnet.errors import DataError

REAL, IMAGINARY = (-1.2, 0.4), (-0.8, 0.8)
"""Where c is drawn from."""

_HALF_WIDTH = 1.5  # a picture shows the square of this half width around 0
_STEPS = 16  # K: the potential is known to 2⁻ᴷ log(1 + |c|), a pixel to 2e-4
_ESCAPED = 1e4  # R: beyond it z² drowns c, and its square still fits into float32
_SHARPNESS = 10.0
_POINTS = 25_000  # in flight at once: they fit into a core's cache, and memory does not grow with n


def julia(n: int, rng: np.random.Generator, size: int = 28) -> tuple[Array, Array]:
    """Pictures of Julia sets of z² + c, and the c of each: `size`² pixels made from two numbers.

    c is uniform in −1.2 ≤ Re c < 0.4, −0.8 ≤ Im c < 0.8. That is most of the Mandelbrot set, where a picture is one
    blot (a disc at c = 0, a "rabbit" at −0.12 + 0.74i), and some of its surroundings, where it falls into dust.

    Parameters
    ----------
    n : int
        How many pictures.
    rng : numpy.random.Generator
        Draws c.
    size : int
        Pixels to a side.

    Returns
    -------
    images : (n, size²) float32
        In [0, 1]; see `julia_images`.
    c : (n, 2) float32
        Re c and Im c.

    Raises
    ------
    TypeError, ValueError
        If n or size is not a whole number of at least 1, or rng is no generator.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> images, c = sn.data.julia(100, np.random.default_rng(0))
    >>> images.shape, images.dtype.name, c.shape
    ((100, 784), 'float32', (100, 2))
    """
    n = check_length("data.julia", "n", n)
    check_rng("data.julia", rng)
    low, high = np.transpose([REAL, IMAGINARY])
    c = rng.uniform(low, high, (n, 2)).astype(np.float32)
    return julia_images(c, size), c


def julia_images(c: Array, size: int = 28) -> Array:
    """The Julia set of z² + c for each c, as a picture that changes continuously with c.

    A picture shows |Re z|, |Im z| ≤ 1.5. A pixel is e^(−10 G) at its middle z: 1 in the filled Julia set, falling
    towards 0 away from it. G is the potential,

        G(z) = lim 2⁻ᵏ log⁺|z_k|,    z₀ = z,  z_{k+1} = z_k² + c,    log⁺ = max(log, 0).

    Counting the steps until |z_k| passes a radius R would give each pixel a whole number, which jumps as c moves. G
    does not: 2⁻ᵏ log⁺|z_k| is made of continuous functions of z and c, and converges evenly, since log⁺|w² + c| is
    never further than log(1 + |c|) from 2 log⁺|w|. So the steps after K change G by 2⁻ᴷ log(1 + |c|) at most. Where
    |z_k| > R there is a shorter way. One more step,

        2⁻ᵏ⁻¹ log|z_k² + c| = 2⁻ᵏ log|z_k| + 2⁻ᵏ⁻¹ log|1 + c/z_k²|,

    and all steps after it change the value by less than 2⁻ᵏ|c|/R². At R = 10⁴ that is rounding, so there the value
    stays. (The escape time of the colour pictures is −log₂ G.)

    Parameters
    ----------
    c : (N, 2)
        Re c and Im c, each in [−2, 2].
    size : int
        Pixels to a side.

    Returns
    -------
    (N, size²) float32
        In [0, 1]; the top row first.

    Raises
    ------
    DataError
        If a number of c is beyond ±2 or not finite.
    ShapeError, TypeError, ValueError
        If an argument is not what it should be.

    Notes
    -----
    Douady & Hubbard, Itération des polynômes quadratiques complexes, 1982, where G is continuous in z and c together.

    Examples
    --------
    At c = 0 the filled Julia set is the unit disc, and G = log⁺|z|.

    >>> import numpy as np, scratchnet as sn
    >>> row = sn.data.julia_images(np.zeros((1, 2)), size=3)[0, 3:6]  # at z = −1, 0, 1
    >>> row.tolist()
    [1.0, 1.0, 1.0]
    """
    check_rows("data.julia_images", "c", c, 2, np.asarray(c).dtype)
    size = check_length("data.julia_images", "size", size)
    if c.size and not np.abs(c).max() <= 2:  # a NaN makes the comparison false
        raise DataError(f"data.julia_images expects c in [-2, 2], got {describe(c)}.")
    axis = (np.arange(size) - (size - 1) / 2) * (2 * _HALF_WIDTH / size)
    z = (axis - 1j * axis[:, None]).ravel().astype(np.complex64)  # (D,), from the top left
    z = z[: (z.size + 1) // 2]  # z and −z have one square, so the other half is this one backwards
    points = (c[:, 0] + 1j * c[:, 1]).astype(np.complex64)  # (N,)
    images = np.empty((len(c), size * size), np.float32)
    rows = max(1, _POINTS // z.size)
    for start in range(0, len(c), rows):
        half = np.exp(-_SHARPNESS * _potential(z, points[start : start + rows]))
        images[start : start + rows, : z.size] = half
        images[start : start + rows, z.size :] = half[:, : size * size // 2][:, ::-1]
    return images


def _potential(z: Array, c: Array) -> Array:
    """G (N, P) at the points z (P,) for each c (N,)."""
    z = np.tile(z, (len(c), 1))
    G = np.zeros(z.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what has escaped runs on to infinity, and is not looked at
        for k in range(1, _STEPS + 1):
            z *= z
            z += c[:, None]  # z ← z² + c
            square = np.real(z) ** 2 + np.imag(z) ** 2
            done = (G == 0) & ((square > _ESCAPED**2) | (k == _STEPS))
            G[done] = 2.0**-k / 2 * np.log(np.maximum(square[done], 1))
    return G
