"""NumPy's matrix products among the compiled kernels, for a machine whose BLAS is faster than this library's own.

BLAS brings threads of its own, and two pools of threads in one process fight for the cores: what is no product runs on
one thread.
"""

from types import SimpleNamespace

from scratchnet.kernels import formulas, threads

PRODUCTS = ("affine", "matmul_nt", "add_matmul_tn")


def with_numpys_products(kernels: SimpleNamespace) -> SimpleNamespace:
    """These kernels on one thread, but for the products, which are the formulas."""
    alone = {name: threads.on_one_thread(kernel) for name, kernel in vars(kernels).items()}
    return SimpleNamespace(**alone | {name: getattr(formulas, name) for name in PRODUCTS})
