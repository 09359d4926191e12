"""Chapter 06, Convolution: docs/06-convolution.md."""

import numpy as np

import scratchnet as sn


def conv2d(x, W, b, stride):
    """y[n, m, p, q] = b[m] + Σ_cij W[m, c, i, j] x[n, c, s p + i, s q + j].

    x (N, C, H, W), W (M, C, kh, kw), b (M,); returns y (N, M, P, Q) with P = ⌊(H − kh) / s⌋ + 1, and likewise Q.

    ★★ · 30 minutes · docs/06-convolution.md#convolution
    """
    (N, _, height, width), (M, _, kh, kw) = x.shape, W.shape
    P, Q = (height - kh) // stride + 1, (width - kw) // stride + 1
    y = np.zeros((N, M, P, Q)) + b[:, None, None]
    for i in range(kh):
        for j in range(kw):
            pixels = x[:, :, i : i + stride * P : stride, j : j + stride * Q : stride][:, :, :P, :Q]
            y += np.einsum("ncpq,mc->nmpq", pixels, W[:, :, i, j])
    return y


def conv2d_weights(dy, x, stride, kh, kw):
    """dW[m, c, i, j] = Σₙₚq dy[n, m, p, q] x[n, c, s p + i, s q + j].

    dy (N, M, P, Q), x (N, C, H, W); returns dW (M, C, kh, kw).

    ★★ · 20 minutes · docs/06-convolution.md#convolution
    """
    (_, M, P, Q), C = dy.shape, x.shape[1]
    dW = np.zeros((M, C, kh, kw))
    for i in range(kh):
        for j in range(kw):
            pixels = x[:, :, i : i + stride * P : stride, j : j + stride * Q : stride][:, :, :P, :Q]
            dW[:, :, i, j] = np.einsum("nmpq,ncpq->mc", dy, pixels)
    return dW


def conv2d_adjoint(dy, W, stride, height, width):
    """dx[n, c, u, v] = Σ dy[n, m, p, q] W[m, c, i, j] over all m, p, q, i, j with s p + i = u and s q + j = v.

    dy (N, M, P, Q), W (M, C, kh, kw); returns dx (N, C, H, W). Each number of dy lays down a copy of the kernel; where
    copies overlap they add up.

    ★★★ · 30 minutes · docs/06-convolution.md#transposed-convolution
    """
    (N, _, P, Q), (_, C, kh, kw) = dy.shape, W.shape
    dx = np.zeros((N, C, height, width))
    for p in range(P):
        for q in range(Q):
            u, v = stride * p, stride * q
            dx[:, :, u : u + kh, v : v + kw] += np.einsum("nm,mcij->ncij", dy[:, :, p, q], W)
    return dx


class MaxPool(sn.Layer):
    """y[n, c, p, q] = the largest of the 2 × 2 pixels x[n, c, 2p + i, 2q + j]; only the first of these gets dy.

    x, dx (N, C, H, W) with even H and W; y, dy (N, C, H/2, W/2). If several pixels are largest, the first one, row by
    row, gets all of dy.

    ★★ · 25 minutes · docs/06-convolution.md#max-pooling
    """

    def forward(self, x):
        N, C, height, width = x.shape
        P, Q = height // 2, width // 2
        windows = x.reshape(N, C, P, 2, Q, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, P, Q, 4)
        first = windows.argmax(axis=-1)[..., None]
        y = np.take_along_axis(windows, first, axis=-1)[..., 0]

        def backward(dy):
            dwindows = np.zeros_like(windows)
            np.put_along_axis(dwindows, first, dy[..., None], axis=-1)
            dwindows = dwindows.reshape(N, C, P, Q, 2, 2)
            return dwindows.transpose(0, 1, 2, 4, 3, 5).reshape(x.shape)

        return y, backward
