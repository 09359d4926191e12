"""Every kernel as the line or two of NumPy that the docs derive.

A kernel is a formula on whole arrays: it checks nothing and keeps nothing. It works for any float type, and for complex
numbers wherever the formula is analytic, so that the gradient checker can take a derivative by a complex step.
Functions named `add_…`, `clear` and `divide` write into their first argument, and the optimizers' steps into θ and
their memory; all others return new arrays. In names `t` marks a transposed factor: nt is A Bᵀ, tn is Aᵀ B.

Shapes: N batch, D in, M out, L latent, P parameters, … any further axes.
"""

import numpy as np


# ---- matrix products: docs/03-dense.md
def affine(x, W, b):
    return x @ W + b  # (N, D) (D, M) (M,) → (N, M)


def matmul_nt(dy, W):
    return dy @ W.T  # (N, M) (D, M) → (N, D)


def add_matmul_tn(dW, x, dy):
    dW += x.T @ dy  # (D, M) += (N, D)ᵀ (N, M)


def add_column_sums(db, dy):
    db += dy.sum(axis=0)  # (M,) += (N, M)


# ---- activations, and their derivatives from their outputs: docs/04-activations-and-losses.md
def relu(x):
    return np.maximum(x, 0)


def relu_backward(dy, y):
    return dy * (y > 0)


def sigmoid(x):
    e = np.exp(-_magnitude(x))  # in (0, 1]: nothing overflows
    return np.where(x > 0, 1, e) / (1 + e)


def sigmoid_backward(dy, y):
    return dy * y * (1 - y)


def tanh(x):
    return np.tanh(x)


def tanh_backward(dy, y):
    return dy * (1 - y * y)


# ---- losses: one number per example, (N,), and the derivative of their sum: docs/04-activations-and-losses.md
def squared_error(y, target):
    return _sum_per_example((y - target) ** 2), 2 * (y - target)


def bce(p, target):
    nll = -target * np.log(p) - (1 - target) * np.log1p(-p)
    return _sum_per_example(nll), (p - target) / (p * (1 - p))


def bce_with_logits(logits, target):
    target = np.where((target >= 0) & (target <= 1), target, np.nan)  # the cost of a target outside [0, 1] is NaN
    side = (logits > 0) - target  # max(l, 0) − l t = (1[l > 0] − t) l
    linear = side * np.where(side == 0, 0, logits)  # an infinite logit costs nothing where the target agrees
    softplus_less_relu = np.log1p(np.exp(-_magnitude(logits)))  # log(1 + e^−|l|): nothing overflows
    return _sum_per_example(linear + softplus_less_relu), sigmoid(logits) - target


def softmax_cross_entropy(logits, labels):
    is_label = np.arange(logits.shape[1]) == labels[:, None]  # (N, C), one True in each row
    below = logits - logits.real.max(axis=1, keepdims=True)  # l − max l, at most 0: nothing overflows
    e = np.exp(below)
    others = _sum_per_example(np.where(is_label, 0, e))  # (N,), the label's own e left out: what is small stays exact
    total = others + _sum_per_example(np.where(is_label, e, 0))
    below = _sum_per_example(np.where(is_label, below, 0))  # (N,), of the label alone; 0 where it has the largest logit
    p_less_target = np.where(is_label, -others[:, None], e) / total[:, None]
    return (
        np.where(below == 0, np.log1p(others), np.log(total) - below),
        np.where(logits == -np.inf, 0, p_less_target).astype(logits.dtype),
    )


# ---- Gaussians: docs/12-vae-gradients.md
def kl_standard_normal(mu, logvar):
    variance_less_one = np.expm1(logvar)  # σ² − 1, exact near σ = 1
    return 0.5 * _sum_per_example(mu**2 + variance_less_one - logvar), mu.copy(), 0.5 * variance_less_one


def sample_gaussian(mu, logvar, eps):
    sigma = np.exp(0.5 * logvar)
    return mu + sigma * eps, sigma


def sample_gaussian_backward(dz, sigma, eps):
    return dz.copy(), 0.5 * dz * sigma * eps


# ---- optimizers, in place on a flat θ of P numbers: docs/05-optimizers.md
def clear(dtheta):
    dtheta[...] = 0


def sgd_step(theta, dtheta, velocity, learning_rate, momentum):
    velocity *= momentum
    velocity += dtheta
    theta -= learning_rate * velocity


def adam_step(theta, dtheta, m, v, t, learning_rate, beta1, beta2, epsilon, weight_decay):
    for i in _blocks(theta):
        g = dtheta[i] + weight_decay * theta[i]
        m[i] += (1 - beta1) * (g - m[i])
        v[i] += (1 - beta2) * g * g - (1 - beta2) * v[i]  # where g² would overflow, (1 − β₂) g² need not
        theta[i] -= learning_rate / (1 - beta1**t) * m[i] / (np.sqrt(v[i]) / np.sqrt(1 - beta2**t) + epsilon)


# ---- images (N, C, H, W), by weights W (M, C, kh, kw): docs/06-convolution.md
#      patches[n, c, i, j, p, q] = x̃[n, c, s p + i, s q + j]; stride, padding and the sizes are pairs
def conv2d(x, W, b, stride, padding):
    patches = _patches(_padded(x, padding), W.shape[2:], stride)
    y = np.einsum("ncijpq,mcij->nmpq", patches, W, optimize=True)
    return y + _per_channel(b)  # (N, C, H, W) (M, C, kh, kw) (M,) → (N, M, P, Q)


def conv2d_transpose(y, W, b, stride, padding, size):
    (height, width), (top, left) = size, padding
    x = np.zeros((len(y), W.shape[1], height + 2 * top, width + 2 * left), np.result_type(y, W))
    patches = _patches(x, W.shape[2:], stride)
    for i, j in np.ndindex(W.shape[2:]):  # patches overlap, but no two begin at the same pixel
        patches[:, :, i, j] += np.einsum("nmpq,mc->ncpq", y, W[:, :, i, j], optimize=True)
    return x[:, :, top : top + height, left : left + width] + _per_channel(b)  # → (N, C, *size)


def add_conv2d_weights(dW, x, dy, stride, padding):
    patches = _patches(_padded(x, padding), dW.shape[2:], stride)
    dW += np.einsum("nmpq,ncijpq->mcij", dy, patches, optimize=True)


def add_channel_sums(db, dy):
    db += dy.sum(axis=(0, 2, 3))  # (M,) += (N, M, P, Q)


def max_pool(x, size, stride):
    return _patches(x, size, stride).max(axis=(2, 3))  # (N, C, H, W) → (N, C, P, Q)


def max_pool_backward(dy, x, size, stride):
    dx = np.zeros(x.shape, x.dtype)
    of_x, of_dx = _patches(x, size, stride), _patches(dx, size, stride)
    N, C, kh, kw, P, Q = of_x.shape
    first = of_x.reshape(N, C, kh * kw, P, Q).argmax(axis=2)  # the largest of each window, (N, C, P, Q)
    for i, j in np.ndindex(kh, kw):
        of_dx[:, :, i, j] += np.where(first == i * kw + j, dy, 0)
    return dx


def gather(x, rows):
    return x[rows]  # (N_all, D), (N,) → (N, D)


def all_finite(x):
    return np.isfinite(x).all()


def divide(x, divisor):
    x /= divisor


__all__ = [name for name in dir() if name[0] != "_" and name != "np"]  # pyright: ignore[reportUnsupportedDunderAll]


# ---- parts
def _blocks(theta):
    """Slices of θ that fit into the cache: NumPy's temporaries of all of θ would cost more time than the arithmetic."""
    return (slice(start, start + 65_536) for start in range(0, theta.size, 65_536))


def _padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), *zip(padding, padding, strict=True)))  # x̃: zeros on all sides of the images


def _per_channel(b):
    return b if np.ndim(b) == 0 else np.reshape(b, (-1, 1, 1))  # (M,) → (M, 1, 1); a number serves all channels


def _patches(x, size, stride):
    """A view (N, C, kh, kw, P, Q) of the image, whose [:, :, i, j, p, q] is pixel (s p + i, s q + j)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3), writeable=True)
    return windows[:, :, :: stride[0], :: stride[1]].transpose(0, 1, 4, 5, 2, 3)


def _magnitude(x):
    return np.where(x > 0, x, -x)  # |x|, right for complex x too, for the complex step


def _sum_per_example(x):
    return x.sum(axis=tuple(range(1, x.ndim)), dtype=np.result_type(x, np.float64))  # (N, …) → (N,)
