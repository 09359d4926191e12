"""Chapter 06, Convolution: docs/06-convolution.md."""

import numpy as np

import scratchnet as sn


def conv2d(x, W, b, stride):
    """y[n, m, p, q] = b[m] + Σ_cij W[m, c, i, j] x[n, c, s p + i, s q + j].

    x (N, C, H, W), W (M, C, kh, kw), b (M,); returns y (N, M, P, Q) with P = ⌊(H − kh) / s⌋ + 1, and likewise Q.

    ★★ · 30 minutes · docs/06-convolution.md#convolution
    """
    raise NotImplementedError("TODO: return y")


def conv2d_weights(dy, x, stride, kh, kw):
    """dW[m, c, i, j] = Σₙₚq dy[n, m, p, q] x[n, c, s p + i, s q + j].

    dy (N, M, P, Q), x (N, C, H, W); returns dW (M, C, kh, kw).

    ★★ · 20 minutes · docs/06-convolution.md#convolution
    """
    raise NotImplementedError("TODO: return dW")


def conv2d_adjoint(dy, W, stride, height, width):
    """dx[n, c, u, v] = Σ dy[n, m, p, q] W[m, c, i, j] over all m, p, q, i, j with s p + i = u and s q + j = v.

    dy (N, M, P, Q), W (M, C, kh, kw); returns dx (N, C, H, W). Each number of dy lays down a copy of the kernel; where
    copies overlap they add up.

    ★★★ · 30 minutes · docs/06-convolution.md#transposed-convolution
    """
    raise NotImplementedError("TODO: return dx")


class MaxPool(sn.Layer):
    """y[n, c, p, q] = the largest of the 2 × 2 pixels x[n, c, 2p + i, 2q + j]; only the first of these gets dy.

    x, dx (N, C, H, W) with even H and W; y, dy (N, C, H/2, W/2). If several pixels are largest, the first one, row by
    row, gets all of dy.

    ★★ · 25 minutes · docs/06-convolution.md#max-pooling
    """

    def forward(self, x):
        raise NotImplementedError("TODO: return y and backward")
