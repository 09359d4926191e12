"""The kernels that gain by inner loops written for the CPU's vector registers: products and convolutions."""

import numpy as np

from scratchnet.kernels import loops
from scratchnet.kernels.memory import empty
from scratchnet.kernels.vector.convolution import add_conv2d_weights, conv2d, conv2d_transpose
from scratchnet.kernels.vector.product import multiply
from scratchnet.kernels.vector.sparse import multiply_skipping

__all__ = ["add_conv2d_weights", "add_matmul_tn", "affine", "conv2d", "conv2d_transpose", "matmul_nt"]

MANY = 2**22
"""Multiplications from which on it pays to check how many of them are by zero."""


def _multiply_images(x, transposed, B, start, C):
    """C = start + A B, where A is x or xᵀ; x may be a batch of images, most of whose pixels are zero."""
    in_order = x.flags.c_contiguous and B.flags.c_contiguous and C.flags.c_contiguous
    if in_order and x.size * C.shape[1] >= MANY and multiply_skipping(x, transposed, B, start, C):
        return
    multiply(x.T if transposed else x, B, start, C)


def affine(x, W, b):
    y = empty((len(x), W.shape[1]), W.dtype)
    _multiply_images(x, False, W, loops.vector(b)[None], y)
    return y


def matmul_nt(dy, W):
    dx = empty((len(dy), len(W)), W.dtype)
    multiply(dy, W.T, np.zeros((1, len(W)), W.dtype), dx)
    return dx


def add_matmul_tn(dW, x, dy):
    if dW.strides[1] == dW.itemsize:
        _multiply_images(x, True, dy, dW, dW)
    else:  # its rows have gaps, but tiles are written by vectors
        dW += matmul_nt(x.T, dy.T)
