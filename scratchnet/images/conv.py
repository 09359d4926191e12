"""Convolution and its adjoint: one small set of weights, used at every place of the image.

Both layers are made of the same three sums: y from x and W, x from y and W, W from x and y. What is the forward pass
of one is the backward pass of the other.
"""

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import DTypeLike

from scratchnet import kernels
from scratchnet.arrays import Array, Backward
from scratchnet.checks import as_written, check_dy, check_float_type, check_images, check_length, check_pair, check_rng
from scratchnet.core.layer import Layer

Pair = tuple[int, int]


class _Convolution(Layer):
    """What the two have in common: their arguments and parameters."""

    parameter_names = ("W", "b")
    skips_dx = True

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel_size: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ):
        where = type(self).__name__
        self.c_in = check_length(where, "c_in", c_in)
        self.c_out = check_length(where, "c_out", c_out)
        self.kernel_size = check_pair(where, "kernel_size", kernel_size)
        self.stride = check_pair(where, "stride", stride)
        self.padding = check_pair(where, "padding", padding, least=0)
        check_rng(where, rng)
        dtype = check_float_type(where, dtype)
        channels, self.fan_in, self._least = self._sizes()
        bound = 1 / np.sqrt(self.fan_in)
        self.W = rng.uniform(-bound, bound, (*channels, *self.kernel_size)).astype(dtype)
        self.b = np.zeros(self.c_out, dtype)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    @abstractmethod
    def _sizes(self) -> tuple[Pair, int, Pair]:
        """W's first two axes, the number of products summed in one number of y, and the smallest image taken."""

    def __repr__(self) -> str:
        stride = "" if self.stride == (1, 1) else f", stride={as_written(self.stride)}"
        padding = "" if self.padding == (0, 0) else f", padding={as_written(self.padding)}"
        size = as_written(self.kernel_size)
        return f"{type(self).__name__}({self.c_in}, {self.c_out}, {size}{stride}{padding})"


class Conv2D(_Convolution):
    """y[n, m, p, q] = b[m] + Σ_cij W[m, c, i, j] x̃[n, c, s p + i, s q + j], where x̃ is x with zeros around it.

    The kernel is not flipped: this is the correlation, as is usual for networks. An image of H rows becomes one of
    ⌊(H + 2 padding − kh) / stride⌋ + 1. W (c_out, c_in, kh, kw) starts uniform in ±1/√(c_in kh kw), so that a sum of
    that many terms does not grow with their number; b (c_out,) starts at zero.

    Derivation: docs/06-convolution.md. LeCun et al., Backpropagation Applied to Handwritten Zip Code Recognition, 1989;
    Dumoulin & Visin, A guide to convolution arithmetic for deep learning, 2016.

    Parameters
    ----------
    c_in, c_out : int
        C and M, the channels of x and y.
    kernel_size : int or pair of int
        kh and kw, the height and width of the kernel.
    stride : int or pair of int
        s, how many pixels the kernel moves from one output to the next, down and across.
    padding : int or pair of int
        Rows of zeros above and below the image, and columns left and right of it.
    rng : numpy.random.Generator
        Draws W.
    dtype : float type
        Of W and b, and so of x and y.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> layer = sn.Conv2D(1, 1, (1, 2), rng=np.random.default_rng(0), dtype=np.float64)
    >>> layer.W[...], layer.b[...] = [-1.0, 1.0], 5.0       # each pixel's right neighbour less itself, plus 5
    >>> y, backward = layer.forward(np.array([[[[1.0, 4.0, 9.0]]]]))
    >>> y                                                   # 4 − 1 + 5,  9 − 4 + 5
    array([[[[ 8., 10.]]]])
    >>> backward(np.array([[[[1.0, 10.0]]]]))               # the middle pixel acts on both: 1 − 10
    array([[[[-1., -9., 10.]]]])
    >>> layer.dW                                            # 1·1 + 10·4,  1·4 + 10·9
    array([[[[41., 94.]]]])
    """

    def _sizes(self) -> tuple[Pair, int, Pair]:
        height, width = (max(1, k - 2 * p) for k, p in zip(self.kernel_size, self.padding, strict=True))
        return (self.c_out, self.c_in), self.c_in * math.prod(self.kernel_size), (height, width)

    def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, C, H, W)
        check_images(self, "x", x, self.c_in, self.W.dtype, self._least)
        how = self.stride, self.padding
        y = kernels.conv2d(x, self.W, self.b, *how)  # y = W ∗ x + b        (N, M, P, Q)

        def backward(dy: Array, need_dx: bool = True) -> Array | None:  # dy (N, M, P, Q)
            check_dy(self, dy, y)
            kernels.add_conv2d_weights(self.dW, x, dy, *how)  # dW += Σₙₚ dy x       (M, C, kh, kw)
            kernels.add_channel_sums(self.db, dy)  # db += Σₙₚ dy         (M,)
            return kernels.conv2d_transpose(dy, self.W, 0, *how, x.shape[2:]) if need_dx else None  # dx = Wᵀ ∗ dy

        return y, backward


class ConvTranspose2D(_Convolution):
    """The adjoint of a convolution: y[n, m, s p + i − padding, …] = b[m] + Σ W[c, m, i, j] x[n, c, p, q].

    Each pixel of x lays down a copy of the kernel, `stride` apart from the next; where copies overlap they add up. An
    image of H rows becomes one of (H − 1) stride + kh − 2 padding. This is the backward pass of `Conv2D` with the same
    W, and `Conv2D` is the backward pass of this; it is also called a fractionally strided convolution and, wrongly, a
    deconvolution. W (c_in, c_out, kh, kw) starts uniform in ±1/√n, where n is c_in times the most kernels that overlap
    in a pixel; b (c_out,) starts at zero.

    Derivation: docs/06-convolution.md. Zeiler et al., Deconvolutional Networks, 2010; Dumoulin & Visin, 2016.

    Parameters
    ----------
    c_in, c_out, kernel_size, rng, dtype
        As for `Conv2D`.
    stride : int or pair of int
        s, how many pixels lie between one kernel and the next, down and across.
    padding : int or pair of int
        Rows that are cut off above and below, and columns left and right.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> layer = sn.ConvTranspose2D(1, 1, (1, 2), rng=np.random.default_rng(0), dtype=np.float64)
    >>> layer.W[...] = [3.0, 1.0]
    >>> y, backward = layer.forward(np.array([[[[10.0, 100.0]]]]))
    >>> y                                                   # 3·10,  1·10 + 3·100,  1·100
    array([[[[ 30., 310., 100.]]]])
    >>> backward(np.array([[[[1.0, 2.0, 4.0]]]]))           # 3·1 + 1·2,  3·2 + 1·4
    array([[[[ 5., 10.]]]])
    """

    def _sizes(self) -> tuple[Pair, int, Pair]:
        sizes = list(zip(self.kernel_size, self.stride, self.padding, strict=True))
        overlaps = math.prod(-(-k // s) for k, s, _ in sizes)
        height, width = (max(1, 1 - (k - 2 * p - 1) // s) for k, s, p in sizes)  # so that something is left of y
        return (self.c_in, self.c_out), self.c_in * overlaps, (height, width)

    def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, C, H, W)
        check_images(self, "x", x, self.c_in, self.W.dtype, self._least)
        sizes = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, strict=True)
        size = tuple((length - 1) * s + k - 2 * p for length, k, s, p in sizes)
        how = self.stride, self.padding
        y = kernels.conv2d_transpose(x, self.W, self.b, *how, size)  # y = Wᵀ ∗ x + b       (N, M, P, Q)

        def backward(dy: Array, need_dx: bool = True) -> Array | None:  # dy (N, M, P, Q)
            check_dy(self, dy, y)
            kernels.add_conv2d_weights(self.dW, dy, x, *how)  # dW += Σₙₚ x dy       (C, M, kh, kw)
            kernels.add_channel_sums(self.db, dy)  # db += Σₙₚ dy         (M,)
            return kernels.conv2d(dy, self.W, 0, *how) if need_dx else None  # dx = W ∗ dy          (N, C, H, W)

        return y, backward
