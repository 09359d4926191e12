"""Small images made large without learning."""

import math

import numpy as np
from PIL import Image


def bicubic(x: np.ndarray, factor: int) -> np.ndarray:
    """Images (N, D) whose blocks of `factor` × `factor` pixels are equal, enlarged from one pixel a block."""
    side = math.isqrt(x.shape[1])
    small = x.reshape(-1, side, side)[:, ::factor, ::factor]  # (N, side/factor, side/factor)
    columns = Image.fromarray(np.eye(small.shape[1], dtype=np.float32))
    U = np.asarray(columns.resize((small.shape[1], side), Image.Resampling.BICUBIC))  # a column's pixels, of each one
    return np.clip(U @ small @ U.T, 0, 1).reshape(x.shape).astype(x.dtype)
