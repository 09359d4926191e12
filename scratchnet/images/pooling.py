"""Pooling: one number for each window of an image."""

from scratchnet import kernels
from scratchnet.arrays import Array, Backward
from scratchnet.checks import as_written, check_dy, check_images, check_pair
from scratchnet.core.layer import Layer


class MaxPool2D(Layer):
    """y[n, c, p, q] = the largest of x[n, c, s p + i, s q + j] over the window, i < kh and j < kw.

    The gradient goes to that pixel alone; if several are largest, to the first, row by row. NaN counts as larger than
    any number. An image of H rows becomes one of ⌊(H − kh) / stride⌋ + 1: rows that fill no window are left out.

    Derivation: docs/06-convolution.md. Ranzato, Huang, Boureau & LeCun, Unsupervised Learning of Invariant Feature
    Hierarchies with Applications to Object Recognition, 2007.

    Parameters
    ----------
    kernel_size : int or pair of int
        kh and kw, the height and width of the window.
    stride : int or pair of int, optional
        s, how many pixels lie between one window and the next; by default the window's size. If it is smaller, windows
        overlap.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> y, backward = sn.MaxPool2D(2).forward(np.array([[[[1.0, 7.0, 4.0, 4.0], [3.0, 2.0, 0.0, 4.0]]]]))
    >>> y
    array([[[[7., 4.]]]])
    >>> backward(np.array([[[[10.0, 20.0]]]]))
    array([[[[ 0., 10., 20.,  0.],
             [ 0.,  0.,  0.,  0.]]]])
    """

    def __init__(self, kernel_size: int | tuple[int, int], *, stride: int | tuple[int, int] | None = None):
        self.kernel_size = check_pair("MaxPool2D", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else check_pair("MaxPool2D", "stride", stride)

    def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, C, H, W)
        check_images(self, "x", x, "C", None, self.kernel_size)
        how = self.kernel_size, self.stride
        y = kernels.max_pool(x, *how)  # y = max over the window   (N, C, P, Q)

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return kernels.max_pool_backward(dy, x, *how)  # dx = dy, at the first maximum

        return y, backward

    def __repr__(self) -> str:
        stride = "" if self.stride == self.kernel_size else f", stride={as_written(self.stride)}"
        return f"MaxPool2D({as_written(self.kernel_size)}{stride})"
