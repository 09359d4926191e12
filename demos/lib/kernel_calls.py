"""The calls of kernels that `benchmark.py` times: their arguments, how long one takes, how exact it is.

Timed again and again on the same arrays, so that these are in the cache, as far as they fit.
"""

import runpy
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.peers import HIDDEN as M
from lib.peers import LATENT as L
from lib.peers import shapes


def seconds_of(call: Callable[[], Any], samples: int) -> float:
    """Of one call, as the median of samples of 4 ms; the first call, which is not counted, says how many make one."""
    seconds, calls = [], 1
    for _ in range(samples + 1):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        seconds.append((time.perf_counter() - start) / calls)
        if len(seconds) == 1:
            calls = 1 + int(0.004 / seconds[0])
    return statistics.median(seconds[1:])


def kernel_arguments(x: np.ndarray, rng: np.random.Generator) -> dict[str, tuple[Any, ...]]:
    """Arguments for each kernel in the shapes of the VAE, on a batch x (N, D) of images.

    What stands after a comma in a name says which call of the kernel is meant.
    """
    N, D = x.shape

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    P = sum((d + 1) * m for d, m in shapes(D))
    mu, logvar, eps, logits = normal(N, L), normal(N, L), normal(N, L), normal(N, D)
    p, hidden = rng.uniform(0.05, 0.95, (N, D)).astype(np.float32), np.maximum(normal(N, M), 0)
    return {
        "affine": (normal(N, M), normal(M, D), normal(D)),
        "matmul_nt": (normal(N, D), normal(M, D)),
        "add_matmul_tn": (normal(M, D), normal(N, M), normal(N, D)),
        "affine, images": (x, normal(D, M), normal(M)),
        "add_matmul_tn, images": (normal(D, M), x, normal(N, M)),
        "add_column_sums": (normal(D), logits),
        "relu": (normal(N, M),),
        "relu_backward": (normal(N, M), hidden),
        "sigmoid": (logits,),
        "sigmoid_backward": (logits, p),
        "tanh": (logits,),
        "tanh_backward": (logits, 2 * p - 1),
        "squared_error": (p, x),
        "bce": (p, x),
        "bce_with_logits": (logits, x),
        "divide": (normal(N, D), 1),  # by 1, since it is called again and again on the same numbers
        "kl_standard_normal": (mu, logvar),
        "sample_gaussian": (mu, logvar, eps),
        "sample_gaussian_backward": (mu, np.exp(logvar), eps),
        "sgd_step": (normal(P), normal(P), normal(P), 1e-3, 0.9),
        "adam_step": (normal(P), normal(P), normal(P), normal(P) ** 2, 3, 1e-3, 0.9, 0.999, 1e-8, 0.0),
        "all_finite": (normal(P),),
        "clear": (normal(P),),
        "gather": (rng.random((6_000, D), np.float32), rng.integers(6_000, size=N)),
    }


def product_arguments(x: np.ndarray, rng: np.random.Generator) -> dict[str, tuple[str, int, tuple[np.ndarray, ...]]]:
    """The three forms of a product at the VAE's largest shape, and a large one: kernel, multiplications, arguments."""
    N, D = x.shape

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    return {
        "x W": ("affine", N * D * M, (normal(N, D), normal(D, M), normal(M))),
        "dy Wᵀ": ("matmul_nt", N * D * M, (normal(N, D), normal(M, D))),
        "xᵀ dy": ("add_matmul_tn", N * D * M, (normal(M, D), normal(N, M), normal(N, D))),
        "1024³": ("affine", 1024**3, (normal(1024, 1024), normal(1024, 1024), normal(1024))),
    }


def outcome(kernel: Callable[..., Any], arguments: tuple[Any, ...], dtype: Any) -> list[np.ndarray]:
    """What a kernel returns, and what its arguments hold after it."""
    own = [a.astype(dtype if a.dtype.kind == "f" else a.dtype) if isinstance(a, np.ndarray) else a for a in arguments]
    result = kernel(*own)
    returned = result if isinstance(result, tuple) else () if result is None else (result,)
    return [*returned, *(a for a in own if isinstance(a, np.ndarray))]


def largest_error(kernel: Callable[..., Any], formula: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    """How far float32 is from the formula in float64, as a part of the largest number."""
    pairs = zip(outcome(kernel, arguments, np.float32), outcome(formula, arguments, np.float64), strict=True)
    return max(float(np.abs(1.0 * found - exact).max() / (np.abs(exact).max() or 1)) for found, exact in pairs)


def kernel_requests(given: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """What a worker answers of the kernels that SCRATCHNET_KERNELS names: errors, seconds a call, GFLOP/s."""
    from scratchnet import kernels
    from scratchnet.kernels import formulas

    rng = np.random.default_rng(int(given["seed"]))
    samples = int(given["samples"])
    each, products = kernel_arguments(given["x"], rng), product_arguments(given["x"], rng)
    called = {name: name.partition(",")[0] for name in each}
    calls = {name: partial(getattr(kernels, called[name]), *arguments) for name, arguments in each.items()}
    pairs = {name: (getattr(kernels, kernel), getattr(formulas, kernel)) for name, kernel in called.items()}
    chapter = Path(__file__).parents[2] / "docs" / "figures" / "fast_matmul.py"

    def limit() -> float:
        import numba

        return runpy.run_path(str(chapter))["limit"](numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]

    return {
        "errors": lambda: {name: largest_error(*pairs[name], each[name]) for name in each},
        "kernels": lambda: {name: seconds_of(call, samples) for name, call in calls.items()},
        "products": lambda: {
            name: 2e-9 * count / seconds_of(partial(getattr(kernels, kernel), *arguments), samples)
            for name, (kernel, count, arguments) in products.items()
        },
        "limit": limit,
    }
