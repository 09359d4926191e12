"""Small images made large without learning."""

import math

import numpy as np


def bicubic(x: np.ndarray, factor: int) -> np.ndarray:
    """Images (N, D) whose blocks of `factor` × `factor` pixels are equal, enlarged from one pixel a block."""
    side = math.isqrt(x.shape[1])
    small = x.reshape(-1, side, side)[:, ::factor, ::factor]  # (N, side/factor, side/factor)
    U = cubic(side // factor, factor)
    return np.clip(U @ small @ U.T, 0, 1).reshape(x.shape).astype(x.dtype)


def cubic(n: int, factor: int) -> np.ndarray:
    """U (n · factor, n): a row of n pixels f becomes the row U f, `factor` times as long.

    Pixel j is at j + ½. The new pixel at x is Σⱼ k(x − j − ½) fⱼ with the even kernel (Keys 1981)

        k(t) = (a + 2)|t|³ − (a + 3)t² + 1          for |t| ≤ 1
        k(t) = a|t|³ − 5a t² + 8a|t| − 4a           for 1 ≤ |t| ≤ 2, and 0 beyond.

    k is 1 at 0, and 0 at ±1 and ±2: at pixel j the result is fⱼ. Its slope k′ is 0 at 0 and ±2, a at 1 and −a at −1: at
    pixel j the result has the slope −a (fⱼ₊₁ − fⱼ₋₁). A parabola has the slope (fⱼ₊₁ − fⱼ₋₁)/2 there, so we choose
    a = −½. Between two pixels the result is a cubic, and two values and two slopes determine a cubic, so parabolas are
    reproduced exactly. So are constants: the rows of U sum to 1. Near the border some pixels are missing, and each row
    is divided by its sum.
    """
    new, old = (np.arange(n * factor) + 0.5) / factor, np.arange(n) + 0.5
    t = np.abs(new[:, None] - old)  # (n · factor, n)
    near = 1.5 * t**3 - 2.5 * t**2 + 1  # with a = −½
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    U = np.where(t <= 1, near, np.where(t <= 2, far, 0))
    return U / U.sum(axis=1, keepdims=True)
