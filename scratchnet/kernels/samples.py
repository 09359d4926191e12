"""Small inputs for every kernel, and the comparison of a kernel with its formula on them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.kernels import formulas

TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-11}
"""How far a number may be from that of the formula in double precision, as a share of the largest."""


def arguments(N: int, D: int, M: int, rng: np.random.Generator) -> dict[str, tuple[Any, ...]]:
    """Arguments for each kernel, in float32."""

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, np.float32)

    x, other, dy, share = normal(N, D), normal(N, D), normal(N, M), rng.random((N, D), np.float32)
    row, theta, dtheta, memory = normal(M), normal(D), normal(D), normal(D)
    C, channels, how = 1 + D % 5, 1 + M % 6, ((2, 1 + M % 3), (D % 3, 1))  # stride and padding
    images, W = normal(N, C, 3 + D % 7, 2 + M % 8), normal(channels, C, 3, 1 + D % 4)
    of_y = tuple((L + 2 * p - k) // s + 1 for L, k, s, p in zip(images.shape[2:], W.shape[2:], *how, strict=True))
    dy_images, pixels = normal(N, channels, *of_y), np.round(images)  # some pixels are equal
    windows = (1 + D % 3, 1 + M % 2), (1 + M % 3, 1 + D % 2)  # size and stride
    pooled = [(L - k) // s + 1 for L, k, s in zip(images.shape[2:], *windows, strict=True)]
    return {
        "affine": (x, normal(D, M), row),
        "matmul_nt": (dy, normal(D, M)),
        "add_matmul_tn": (normal(D, M), x, dy),
        "add_column_sums": (row, dy),
        **dict.fromkeys(("relu", "sigmoid", "tanh", "all_finite"), (3 * x,)),
        **{name: (other, np.maximum(x, 0)) for name in ("relu_backward", "sigmoid_backward", "tanh_backward")},
        "squared_error": (x, share),
        "bce": (0.05 + 0.9 * rng.random((N, D), np.float32), share),
        "bce_with_logits": (10 * x, share),
        "softmax_cross_entropy": (10 * x, rng.integers(D, size=N)),
        "kl_standard_normal": (x, other),
        "sample_gaussian": (x, other, normal(N, D)),
        "sample_gaussian_backward": (x, np.exp(other), normal(N, D)),
        "clear": (theta,),
        "sgd_step": (theta, dtheta, memory, 0.1, 0.9),
        "adam_step": (theta, dtheta, memory, memory**2, 3, 0.1, 0.9, 0.999, 1e-8, 0.01),
        "conv2d": (images, W, normal(channels), *how),
        "conv2d_transpose": (dy_images, W, normal(C), *how, images.shape[2:]),
        "add_conv2d_weights": (normal(*W.shape), images, dy_images, *how),
        "add_channel_sums": (normal(channels), dy_images),
        "max_pool": (pixels, *windows),
        "max_pool_backward": (normal(N, C, *pooled), pixels, *windows),
        "divide": (x, M),
        "gather": (x, rng.integers(N, size=M)),
    }


def run(kernel: Callable[..., Any], arguments: tuple[Any, ...], dtype: Any) -> list[Array]:
    """What the kernel returns for these arguments in that type, and what they hold afterwards."""
    own = [a.astype(dtype if a.dtype.kind == "f" else a.dtype) if isinstance(a, np.ndarray) else a for a in arguments]
    result = kernel(*own)
    returned = result if isinstance(result, tuple) else () if result is None else (result,)
    return [*returned, *(a for a in own if isinstance(a, np.ndarray))]


@functools.cache
def _samples() -> dict[str, list[tuple[tuple[Any, ...], list[Array]]]]:
    """For each kernel some arguments, and what its formula returns for them in double precision."""
    rng = np.random.default_rng(0)
    inputs = [arguments(19, 37, 70, rng), arguments(35, 33, 75, rng)]  # sizes that fill no whole number of vectors
    images, dy, W = (rng.standard_normal(shape, np.float32) for shape in ((64, 784), (64, 84), (784, 84)))
    images[rng.random(images.shape) < 0.8] = 0  # like digits, whose zeros the engine "vector" skips
    inputs.append({"affine": (images, W, W[0]), "add_matmul_tn": (W, images, dy)})
    return {
        name: [(each[name], run(getattr(formulas, name), each[name], np.float64)) for each in inputs if name in each]
        for name in formulas.__all__
    }


def what_is_wrong(name: str, kernel: Callable[..., Any], dtype: np.dtype) -> str | None:
    """Why the kernel can't be used for this type; None if it computes what its formula does."""
    try:
        with np.errstate(all="ignore"):
            for given, exact in _samples()[name]:
                for found, expected in zip(run(kernel, given, dtype), exact, strict=True):
                    error = np.abs(np.subtract(found, expected, dtype=np.float64)).max()
                    allowed = TOLERANCE[dtype] * max(1, np.abs(expected).max())
                    if np.shape(found) != np.shape(expected) or not error <= allowed:
                        return f"it differs from its formula by {error:.3g}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
