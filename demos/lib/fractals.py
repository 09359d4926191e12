"""Pictures that are known to be made of two numbers: Julia sets of z² + c.

Nobody knows how many numbers a photograph is made of. Here the answer is two, and each picture comes with its two
numbers, so that what a bottleneck has found can be compared with the truth.
"""

import numpy as np

REAL, IMAGINARY = (-1.2, 0.4), (-0.8, 0.8)
"""Where c is drawn from."""

_HALF_WIDTH = 1.5  # a picture shows the square of this half width around 0
_STEPS = 16  # K: the potential is known to 2⁻ᴷ log(1 + |c|), a pixel to 2e-4
_ESCAPED = 1e4  # R: beyond it z² drowns c, and its square still fits into float32
_SHARPNESS = 10.0
_POINTS = 25_000  # computed at once: they fit into a core's cache, and memory does not grow with n


def julia(n: int, rng: np.random.Generator, size: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """n pictures of Julia sets of z² + c, and the c of each: `size`² pixels made from two numbers.

    c is uniform in −1.2 ≤ Re c < 0.4, −0.8 ≤ Im c < 0.8. That is most of the Mandelbrot set, where a picture is one
    blot (a disc at c = 0, a "rabbit" at −0.12 + 0.74i), and some of its surroundings, where it falls into dust.

    Returns
    -------
    images : (n, size²) float32
        In [0, 1]; see `julia_images`.
    c : (n, 2) float32
        Re c and Im c.
    """
    low, high = np.transpose([REAL, IMAGINARY])
    c = rng.uniform(low, high, (n, 2)).astype(np.float32)
    return julia_images(c, size), c


def julia_images(c: np.ndarray, size: int = 28) -> np.ndarray:
    """The Julia set of z² + c for each c (N, 2), as a picture (N, size²) that changes continuously with c.

    A picture shows |Re z|, |Im z| ≤ 1.5, the top row first. A pixel is e^(−10 G) at its middle z: 1 in the filled Julia
    set, falling towards 0 away from it. G is the potential,

        G(z) = lim 2⁻ᵏ log⁺|z_k|,    z₀ = z,  z_{k+1} = z_k² + c,    log⁺ = max(log, 0).

    Counting the steps until |z_k| passes a radius R would give each pixel a whole number, which jumps as c moves. G
    does not: 2⁻ᵏ log⁺|z_k| is a continuous function of z and c, and converges uniformly for |c| ≤ 2, since log⁺|w² + c|
    differs from 2 log⁺|w| by at most log(1 + |c|). So the steps after K change G by 2⁻ᴷ log(1 + |c|) at most. Where
    |z_k| > R, fewer steps are enough. One more step,

        2⁻ᵏ⁻¹ log|z_k² + c| = 2⁻ᵏ log|z_k| + 2⁻ᵏ⁻¹ log|1 + c/z_k²|,

    and all steps after it change the value by less than 2⁻ᵏ|c|/R². At R = 10⁴ that is below rounding, so the value is
    final. (The escape time that colour pictures show is −log₂ G.) Douady & Hubbard, Itération des polynômes
    quadratiques complexes, 1982, prove that G is continuous in z and c together.
    """
    axis = (np.arange(size) - (size - 1) / 2) * (2 * _HALF_WIDTH / size)
    z = (axis - 1j * axis[:, None]).ravel().astype(np.complex64)  # (D,), from the top left
    z = z[: (z.size + 1) // 2]  # z and −z have the same square, so the other half is this one in reverse
    points = (c[:, 0] + 1j * c[:, 1]).astype(np.complex64)  # (N,)
    images = np.empty((len(c), size * size), np.float32)
    rows = max(1, _POINTS // z.size)
    for start in range(0, len(c), rows):
        half = np.exp(-_SHARPNESS * _potential(z, points[start : start + rows]))
        images[start : start + rows, : z.size] = half
        images[start : start + rows, z.size :] = half[:, : size * size // 2][:, ::-1]
    return images


def _potential(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """G (N, P) at the points z (P,) for each c (N,)."""
    z = np.tile(z, (len(c), 1))
    G = np.zeros(z.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # points that have escaped overflow, and are not read again
        for k in range(1, _STEPS + 1):
            z *= z
            z += c[:, None]  # z ← z² + c
            square = np.real(z) ** 2 + np.imag(z) ** 2
            done = (G == 0) & ((square > _ESCAPED**2) | (k == _STEPS))
            G[done] = 2.0**-k / 2 * np.log(np.maximum(square[done], 1))
    return G
