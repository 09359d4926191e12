"""The compiled kernels with the matrix products of NumPy, for a machine whose BLAS is faster than this library's own.

BLAS brings threads of its own, and two pools of threads in one process fight for the cores: numba's rests here, and
what is no product runs on one thread.
"""

import functools
from collections.abc import Callable
from typing import Any

import numba

from scratchnet.kernels import compiled, reference
from scratchnet.kernels.reference import *  # noqa: F403  (states the names; those that are no products follow)
from scratchnet.kernels.reference import __all__ as __all__

PRODUCTS = ("affine", "matmul_nt", "add_matmul_tn")


def _on_one_thread(kernel: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(kernel)
    def alone(*arguments):
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            return kernel(*arguments)
        finally:
            numba.set_num_threads(threads)

    return alone


globals().update({name: _on_one_thread(getattr(compiled, name)) for name in __all__ if name not in PRODUCTS})
globals().update({name: getattr(reference, name) for name in PRODUCTS})
