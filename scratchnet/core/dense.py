"""The dense layer: every output is a weighted sum of all inputs."""

import numpy as np
from numpy.typing import DTypeLike

from scratchnet import kernels
from scratchnet.arrays import Array, Backward
from scratchnet.checks import check_dy, check_float_type, check_length, check_rng, check_rows
from scratchnet.core.layer import Layer


class Dense(Layer):
    """y = x W + b.

    W (n_in, n_out) starts uniform in ±1/√n_in, so that a sum of n_in terms does not grow with their number; b (n_out,)
    starts at zero. Derivation: docs/03-dense.md. LeCun, Bottou, Orr & Müller, Efficient BackProp, 1998.

    Parameters
    ----------
    n_in, n_out : int
        D and M, the widths of x and y.
    rng : numpy.random.Generator
        Draws W.
    dtype : float type
        Of W and b, and so of x and y.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> layer = sn.Dense(2, 1, rng=np.random.default_rng(0), dtype=np.float64)
    >>> layer.W[...], layer.b[...] = [[2.0], [3.0]], 1.0
    >>> y, backward = layer.forward(np.array([[10.0, 100.0]]))
    >>> y                                          # 10·2 + 100·3 + 1
    array([[321.]])
    >>> backward(np.array([[1.0]]))                # dx = dy Wᵀ
    array([[2., 3.]])
    >>> layer.dW                                   # dW = xᵀ dy
    array([[ 10.],
           [100.]])
    """

    parameter_names = ("W", "b")
    skips_dx = True

    def __init__(self, n_in: int, n_out: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32):
        n_in = check_length("Dense", "n_in", n_in)
        n_out = check_length("Dense", "n_out", n_out)
        check_rng("Dense", rng)
        dtype = check_float_type("Dense", dtype)
        bound = 1 / np.sqrt(n_in)
        self.n_in, self.n_out = n_in, n_out
        self.W = rng.uniform(-bound, bound, (n_in, n_out)).astype(dtype)
        self.b = np.zeros(n_out, dtype)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, D)
        check_rows(self, "x", x, self.n_in, self.W.dtype)
        y = kernels.affine(x, self.W, self.b)  # y = x W + b        (N, M)

        def backward(dy: Array, need_dx: bool = True) -> Array | None:  # dy (N, M)
            check_dy(self, dy, y)
            kernels.add_matmul_tn(self.dW, x, dy)  # dW += xᵀ dy        (D, M)
            kernels.add_column_sums(self.db, dy)  # db += Σₙ dyₙ       (M,)
            return kernels.matmul_nt(dy, self.W) if need_dx else None  # dx = dy Wᵀ        (N, D)

        return y, backward

    def __repr__(self) -> str:
        return f"Dense({self.n_in}, {self.n_out})"
