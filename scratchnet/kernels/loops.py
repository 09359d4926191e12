"""Every kernel as plain loops, compiled by numba: the same name, arguments and numbers, to rounding, as its formula.

A loop runs over a range, `first` to `last`, of rows, numbers or images, so that threads can share it out. Each number
is computed by one thread in one order: the result is the same to the last bit for any number of threads. The arrays of
a call are all of float32 or all of float64; any other type goes to the formula.

A loop is fast if LLVM can turn it into vector instructions. It sees through + − × ÷ and √, and through the functions of
`elementary`, which are made of these. It reorders a sum only if it is allowed to (`reassoc`), and gives up on an index
that might be negative: so rows are cut out first, and loops count from zero.
"""

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit

from scratchnet.arrays import Array
from scratchnet.kernels import elementary, formulas
from scratchnet.kernels.compile import FLOATS
from scratchnet.kernels.formulas import __all__ as __all__
from scratchnet.kernels.memory import empty
from scratchnet.kernels.threads import Kernel, kernel

_SUMS = {"reassoc", "contract"}
"""What LLVM may do with a sum: add it up in vectors, and fuse a product with it. The machine code fixes the order."""


def vector(x: Array) -> Array:
    """x in C order, as a vector."""
    return np.ascontiguousarray(x).reshape(-1)


def rows(x: Array) -> Array:
    """x in C order, as a row for each example."""
    x = np.ascontiguousarray(x)
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:1]), math.prod(x.shape[1:]))


# ---- matrix products: docs/16-fast-matmul.md


@njit(error_model="numpy", fastmath=_SUMS)
def _add_dots(A, B, C):
    """C += A Bᵀ, for A (M, K) and B (N, K) with contiguous rows: sixteen dot products at a time.

    Four rows of A and four of B are read together, so that each number that is loaded is used four times. At an edge
    the last row stands in for those that are missing.
    """
    M, K = A.shape
    N = len(B)
    zero = C.dtype.type(0)
    for j in range(0, N, 4):
        b0, b1, b2, b3 = B[j], B[min(j + 1, N - 1)], B[min(j + 2, N - 1)], B[min(j + 3, N - 1)]
        for i in range(0, M, 4):
            a0, a1, a2, a3 = A[i], A[min(i + 1, M - 1)], A[min(i + 2, M - 1)], A[min(i + 3, M - 1)]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
            for k in range(K):
                p, q, r, s = a0[k], a1[k], a2[k], a3[k]
                t, u, v, w = b0[k], b1[k], b2[k], b3[k]
                s00, s01, s02, s03 = s00 + p * t, s01 + p * u, s02 + p * v, s03 + p * w
                s10, s11, s12, s13 = s10 + q * t, s11 + q * u, s12 + q * v, s13 + q * w
                s20, s21, s22, s23 = s20 + r * t, s21 + r * u, s22 + r * v, s23 + r * w
                s30, s31, s32, s33 = s30 + s * t, s31 + s * u, s32 + s * v, s33 + s * w
            sums = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
            for y in range(min(4, M - i)):
                for x in range(min(4, N - j)):
                    C[i + y, j + x] += sums[y][x]


@kernel("maaA")
def _product(A, B, start, C, first, last):
    """C = start + A B, for A (M, K), B (K, N) and start (M, N) or (1, N); the range counts four columns of C."""
    M, K = A.shape
    columns = np.empty((4, K), C.dtype)  # of B, each in contiguous memory
    for group in range(first, last):
        j = 4 * group
        width = min(4, C.shape[1] - j)
        for k in range(K):
            for v in range(width):
                columns[v, k] = B[k, j + v]
        for i in range(M):
            for v in range(width):
                C[i, j + v] = start[i % len(start), j + v]
        _add_dots(A, columns[:width], C[:, j : j + width])


def _multiply(A: Array, B: Array, start: Array, C: Array) -> None:
    """C = start + A B."""
    _product(-(-C.shape[1] // 4), A.size * C.shape[1] / 40, np.ascontiguousarray(A), B, start, C)


def affine(x, W, b):
    y = empty((len(x), W.shape[1]), W.dtype)
    _multiply(x, W, vector(b)[None], y)
    return y


def matmul_nt(dy, W):
    dx = empty((len(dy), len(W)), W.dtype)
    _multiply(dy, W.T, np.zeros((1, len(W)), W.dtype), dx)
    return dx


def add_matmul_tn(dW, x, dy):
    _multiply(x.T, dy, dW, dW)


@kernel("Vm")
def _add_column_sums(db, dy, first, last):
    sums = db[first:last]
    for n in range(dy.shape[0]):
        of_dy = dy[n, first:last]
        for j in range(sums.size):
            sums[j] += of_dy[j]


def add_column_sums(db, dy):
    if db.flags.c_contiguous:
        _add_column_sums(db.size, dy.size / 8, db, rows(dy))
    else:
        formulas.add_column_sums(db, dy)


# ---- number by number


def _apply_to_one(x, y, first, last):  # pragma: no cover  (runs as machine code)
    x, y = x[first:last], y[first:last]
    for i in range(x.size):
        y[i] = formula(x[i])  # type: ignore[name-defined]  # noqa: F821


def _apply_to_two(a, b, y, first, last):  # pragma: no cover  (runs as machine code)
    a, b, y = a[first:last], b[first:last], y[first:last]
    for i in range(y.size):
        y[i] = formula(a[i], b[i])  # type: ignore[name-defined]  # noqa: F821


def elementwise(nanoseconds: float) -> Callable[[Callable[..., Any]], Callable[..., Array]]:
    """The kernel that applies a formula of one or two numbers to all numbers of its arrays."""

    def decorate(formula: Callable[..., Any]) -> Callable[..., Array]:
        loop = _apply_to_one if formula.__code__.co_argcount == 1 else _apply_to_two
        compiled_formula = njit(error_model="numpy", fastmath={"contract"})(formula)
        # A copy of the loop in which the name `formula` means this one: numba keeps no function of functions on disk.
        own = FunctionType(loop.__code__, {"__name__": __name__, "formula": compiled_formula}, formula.__name__)
        run = Kernel(own, "vV" if loop is _apply_to_one else "vvV")

        def apply(*arrays):
            y = empty(arrays[0].shape, arrays[0].dtype)
            run(y.size, y.size * nanoseconds, *map(vector, arrays), y.reshape(-1))
            return y

        return apply

    return decorate


@elementwise(0.1)
def relu(x):
    zero = type(x)(0)
    return zero if x <= zero else x  # a NaN stays


@elementwise(0.1)
def relu_backward(dy, y):
    zero = type(y)(0)
    return dy if y > zero else zero * dy


@elementwise(0.5)
def sigmoid(x):
    zero, one = type(x)(0), type(x)(1)
    e = elementary.exp(-abs(x))
    return (one if x > zero else e) / (one + e)


@elementwise(0.1)
def sigmoid_backward(dy, y):
    one = type(y)(1)
    return dy * y * (one - y)


@elementwise(0.7)
def tanh(x):
    return elementary.tanh(x)


@elementwise(0.1)
def tanh_backward(dy, y):
    one = type(y)(1)
    return dy * (one - y * y)


# ---- losses: the term of one number of y and its derivative


def _add_terms(y, target, value, dy, first, last):  # pragma: no cover  (runs as machine code)
    terms = np.empty(y.shape[1], y.dtype)
    for n in range(first, last):
        of_y, of_target, of_dy = y[n], target[n], dy[n]
        for i in range(terms.size):
            terms[i], of_dy[i] = term_and_slope(of_y[i], of_target[i])  # type: ignore[name-defined]  # noqa: F821
        total = 0.0  # in a loop of its own: a vector holds half as many doubles
        for i in range(terms.size):
            total += terms[i]
        value[n] = total


def _loss(nanoseconds: float) -> Callable[[Callable[..., Any]], Callable[..., tuple[Array, Array]]]:
    """The kernel of a loss, from a formula of two numbers."""

    def decorate(formula: Callable[..., Any]) -> Callable[..., tuple[Array, Array]]:
        compiled_formula = njit(error_model="numpy", fastmath=_SUMS)(formula)
        names = {"__name__": __name__, "np": np, "term_and_slope": compiled_formula}
        run = Kernel(FunctionType(_add_terms.__code__, names, formula.__name__), "mmDM", fastmath=_SUMS)

        def loss(y, target):
            value, dy = np.empty(len(y)), empty(y.shape, y.dtype)
            run(len(y), y.size * nanoseconds, rows(y), rows(target), value, dy.reshape(len(y), -1))
            return value, dy

        return loss

    return decorate


@_loss(0.2)
def squared_error(y, target):
    difference = y - target
    return difference * difference, difference + difference


@_loss(1)
def bce(p, target):
    one = type(p)(1)
    return (
        -target * elementary.log(p) - (one - target) * elementary.log1m(p),
        (p - target) / (p * (one - p)),
    )


@_loss(1)
def bce_with_logits(logits, target):
    zero, one, nan = type(logits)(0), type(logits)(1), type(logits)(np.nan)
    target = target if (target >= zero) & (target <= one) else nan
    positive = logits > zero
    e = elementary.exp(-abs(logits))
    # (1[l > 0] − t) l, which is 0 · ∞ = 0 where the target agrees with an infinite logit
    side = (one if positive else zero) - target
    linear = zero if side == zero else side * logits
    return linear + elementary.log1p(e), (one if positive else e) / (one + e) - target


@kernel("miDM", fastmath={"contract"})
def _softmax_cross_entropy(logits, labels, value, dlogits, first, last):
    zero = logits.dtype.type(0)
    for n in range(first, last):
        row, slopes, label = logits[n], dlogits[n], labels[n]
        largest = row[0]
        for c in range(row.size):
            largest = row[c] if row[c] > largest else largest
        for c in range(row.size):
            slopes[c] = elementary.exp(row[c] - largest)
        own, slopes[label] = slopes[label], zero
        others = 0.0  # without the label's own, so that what is small stays exact
        for c in range(row.size):
            others += slopes[c]
        total = others + own
        for c in range(row.size):
            slopes[c] /= total
        below = float(row[label] - largest)
        slopes[label] = -others / total if below > -np.inf else 0.0
        value[n] = np.log1p(others) if below == 0 else np.log(total) - below


def softmax_cross_entropy(logits, labels):
    value, dlogits = np.empty(len(logits)), empty(logits.shape, logits.dtype)
    labels = np.ascontiguousarray(labels, np.int64)
    _softmax_cross_entropy(len(logits), logits.size, rows(logits), labels, value, dlogits)
    return value, dlogits


@kernel("Ms")
def _divide(x, divisor, first, last):
    by = x.dtype.type(divisor)
    for n in range(first, last):
        row = x[n]
        for i in range(row.size):
            row[i] /= by


def divide(x, divisor):
    if x.flags.c_contiguous:
        _divide(len(x), x.size / 8, rows(x), divisor)
    else:
        formulas.divide(x, divisor)


# ---- Gaussians: docs/12-vae-gradients.md


@kernel("mmDMM", fastmath=_SUMS)
def _kl_standard_normal(mu, logvar, value, dmu, dlogvar, first, last):
    half = mu.dtype.type(0.5)
    for n in range(first, last):
        total = 0.0
        of_mu, of_logvar, of_dmu, of_dlogvar = mu[n], logvar[n], dmu[n], dlogvar[n]
        for i in range(of_mu.size):
            variance_less_one = elementary.expm1(of_logvar[i])
            total += of_mu[i] * of_mu[i] + variance_less_one - of_logvar[i]
            of_dmu[i] = of_mu[i]
            of_dlogvar[i] = half * variance_less_one
        value[n] = total / 2


def kl_standard_normal(mu, logvar):
    N = len(mu)
    value, dmu, dlogvar = np.empty(N), empty(mu.shape, mu.dtype), empty(mu.shape, mu.dtype)
    _kl_standard_normal(N, mu.size, rows(mu), rows(logvar), value, dmu.reshape(N, -1), dlogvar.reshape(N, -1))
    return value, dmu, dlogvar


@kernel("vvvVV", fastmath={"contract"})
def _sample_gaussian(mu, logvar, eps, z, sigma, first, last):
    half = mu.dtype.type(0.5)
    mu, logvar, eps, z, sigma = mu[first:last], logvar[first:last], eps[first:last], z[first:last], sigma[first:last]
    for i in range(z.size):
        sigma[i] = elementary.exp(half * logvar[i])
        z[i] = mu[i] + sigma[i] * eps[i]


def sample_gaussian(mu, logvar, eps):
    z, sigma = empty(mu.shape, mu.dtype), empty(mu.shape, mu.dtype)
    _sample_gaussian(mu.size, mu.size / 2, vector(mu), vector(logvar), vector(eps), z.reshape(-1), sigma.reshape(-1))
    return z, sigma


@kernel("vvvVV", fastmath={"contract"})
def _sample_gaussian_backward(dz, sigma, eps, dmu, dlogvar, first, last):
    half = dz.dtype.type(0.5)
    dz, sigma, eps = dz[first:last], sigma[first:last], eps[first:last]
    dmu, dlogvar = dmu[first:last], dlogvar[first:last]
    for i in range(dz.size):
        dmu[i] = dz[i]
        dlogvar[i] = half * dz[i] * sigma[i] * eps[i]


def sample_gaussian_backward(dz, sigma, eps):
    dmu, dlogvar = empty(dz.shape, dz.dtype), empty(dz.shape, dz.dtype)
    arrays = vector(dz), vector(sigma), vector(eps), dmu.reshape(-1), dlogvar.reshape(-1)
    _sample_gaussian_backward(dz.size, dz.size / 4, *arrays)
    return dmu, dlogvar


# ---- optimizers: docs/05-optimizers.md


@kernel("vI", fastmath=_SUMS)
def _all_finite(x, bad, first, last):
    zero = x.dtype.type(0)
    total = zero
    x = x[first:last]
    for i in range(x.size):
        total += zero * x[i]  # NaN, if x is not finite
    if total != 0:
        bad[0] = 1


def all_finite(x):
    bad = np.zeros(1, np.int64)
    _all_finite(x.size, x.size / 10, vector(x), bad)
    return bad[0] == 0


@kernel("V")
def _clear(dtheta, first, last):
    dtheta[first:last] = 0


def clear(dtheta):
    if dtheta.flags.c_contiguous:
        _clear(dtheta.size, dtheta.size / 8, dtheta.reshape(-1))
    else:
        formulas.clear(dtheta)


_LIMITS = {dtype: (float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)) for dtype in FLOATS}
"""The smallest normal number, and the distance from 1 to the next."""


def _in_order(*arrays: Array) -> bool:
    return all(array.ndim == 1 and array.flags.c_contiguous for array in arrays)


@kernel("VvVss", fastmath={"contract"})
def _sgd_step(theta, dtheta, velocity, learning_rate, momentum, first, last):
    rate, kept = theta.dtype.type(learning_rate), theta.dtype.type(momentum)
    theta, dtheta, velocity = theta[first:last], dtheta[first:last], velocity[first:last]
    for i in range(theta.size):
        velocity[i] = kept * velocity[i] + dtheta[i]
        theta[i] -= rate * velocity[i]


def sgd_step(theta, dtheta, velocity, learning_rate, momentum):
    if _in_order(theta, dtheta, velocity):
        _sgd_step(theta.size, theta.size / 4, theta, dtheta, velocity, learning_rate, momentum)
    else:
        formulas.sgd_step(theta, dtheta, velocity, learning_rate, momentum)


@kernel("VvVVsssssss", fastmath={"contract"})
def _adam_step(theta, dtheta, m, v, rate, to_mean, to_square, root, epsilon, weight_decay, tiny, first, last):
    F = theta.dtype.type
    zero, rate, to_mean, to_square, root = F(0), F(rate), F(to_mean), F(to_square), F(root)
    epsilon, weight_decay, tiny = F(epsilon), F(weight_decay), F(tiny)
    theta, dtheta, m, v = theta[first:last], dtheta[first:last], m[first:last], v[first:last]
    for i in range(theta.size):
        g = dtheta[i] + weight_decay * theta[i]
        mean = m[i] + to_mean * (g - m[i])
        mean = zero if abs(mean) < tiny else mean  # a CPU is slow with subnormal numbers, which fading would make
        square = v[i] + (to_square * g * g - to_square * v[i])
        m[i], v[i] = mean, square
        theta[i] -= rate * mean / (np.sqrt(square) * root + epsilon)


def adam_step(theta, dtheta, m, v, t, learning_rate, beta1, beta2, epsilon, weight_decay):
    if not _in_order(theta, dtheta, m, v):
        formulas.adam_step(theta, dtheta, m, v, t, learning_rate, beta1, beta2, epsilon, weight_decay)
        return
    rate, root = learning_rate / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)  # combined in double precision
    smallest, precision = _LIMITS[theta.dtype]
    tiny = smallest / max(min(rate, 1 - beta1), precision)  # by these a mean is multiplied
    numbers = rate, 1 - beta1, 1 - beta2, root, epsilon, weight_decay, tiny
    _adam_step(theta.size, theta.size / 2, theta, dtheta, m, v, *numbers)


# ---- data


@kernel("miMI")
def _gather(x, chosen, y, outside, first, last):
    for n in range(first, last):
        if 0 <= chosen[n] < len(x):
            source, target = x[chosen[n]], y[n]
            for j in range(source.size):
                target[j] = source[j]
        else:
            outside[0] = 1


def gather(x, rows):
    if rows.dtype == np.int64 and x.ndim == 2 and x.flags.c_contiguous and x.flags.writeable:
        y, outside = empty((len(rows), x.shape[1]), x.dtype), np.zeros(1, np.int64)
        _gather(len(rows), y.size / 4, x, np.ascontiguousarray(rows), y, outside)
        if not outside[0]:
            return y
    return formulas.gather(x, rows)


# ---- images: docs/06-convolution.md
#      A convolution is a product with the patches of an image, its adjoint adds patches up, and the gradient of the
#      weights is a product with patches again. `plan` is C H W kh kw sh sw top left P Q.


@njit(error_model="numpy")
def _cut_patches(image, plan, patches, transposed):
    """patches[p Q + q, (c, i, j)] = x̃[c, sh p + i, sw q + j] of an image (C H W); or transposed."""
    C, H, W, kh, kw, sh, sw, top, left, P, Q = plan
    for p in range(P):
        for q in range(Q):
            k = 0
            for c in range(C):
                for i in range(kh):
                    u = sh * p + i - top
                    for j in range(kw):
                        v = sw * q + j - left
                        inside = 0 <= u < H and 0 <= v < W
                        pixel = image[(c * H + u) * W + v] if inside else image.dtype.type(0)
                        if transposed:
                            patches[k, p * Q + q] = pixel
                        else:
                            patches[p * Q + q, k] = pixel
                        k += 1


@njit(error_model="numpy")
def _add_patches(patches, plan, image):
    """The adjoint of cutting patches: what was cut from a pixel is added to it."""
    C, H, W, kh, kw, sh, sw, top, left, P, Q = plan
    for p in range(P):
        for q in range(Q):
            k = 0
            for c in range(C):
                for i in range(kh):
                    u = sh * p + i - top
                    for j in range(kw):
                        v = sw * q + j - left
                        if 0 <= u < H and 0 <= v < W:
                            image[(c * H + u) * W + v] += patches[p * Q + q, k]
                        k += 1


@njit(error_model="numpy")
def _plan(plan):
    """The numbers of a plan."""
    return (plan[0], plan[1], plan[2], plan[3], plan[4], plan[5], plan[6], plan[7], plan[8], plan[9], plan[10])


@kernel("mmvMi")
def _conv2d(x, W, b, y, plan, first, last):
    numbers = _plan(plan)
    M, K = W.shape
    pixels = y.shape[1] // M
    patches = np.empty((pixels, K), x.dtype)
    for n in range(first, last):
        _cut_patches(x[n], numbers, patches, False)
        of_y = y[n].reshape(M, pixels)
        for m in range(M):
            of_y[m, :] = b[m]
        _add_dots(W, patches, of_y)


@kernel("mmvMi")
def _conv2d_transpose(y, W, b, x, plan, first, last):
    numbers = _plan(plan)
    M, K = W.shape
    pixels, plane = y.shape[1] // M, x.shape[1] // len(b)
    W, patches = np.ascontiguousarray(W.T), np.empty((pixels, K), y.dtype)
    for n in range(first, last):
        patches[:, :] = 0
        _add_dots(np.ascontiguousarray(y[n].reshape(M, pixels).T), W, patches)
        for c in range(len(b)):
            x[n, c * plane : (c + 1) * plane] = b[c]
        _add_patches(patches, numbers, x[n])


@kernel("Mmmi")
def _add_conv2d_weights(dW, x, dy, plan, first, last):
    numbers = _plan(plan)
    pixels = dy.shape[1] // dW.shape[0]
    patches = np.empty((dW.shape[1], pixels), x.dtype)
    for n in range(x.shape[0]):
        _cut_patches(x[n], numbers, patches, True)
        _add_dots(dy[n, first * pixels : last * pixels].reshape(last - first, pixels), patches, dW[first:last])


def plan(shape, kernel, stride, padding):
    """C H W kh kw sh sw top left P Q: all sizes of a convolution."""
    size = [(length + 2 * p - k) // s + 1 for length, k, s, p in zip(shape[1:], kernel, stride, padding, strict=True)]
    return np.array([*shape, *kernel, *stride, *padding, *size], np.int64)


def per_channel(b, channels: int, dtype: np.dtype) -> Array:
    """A number for each channel, or one for all, as a vector."""
    return np.array(np.broadcast_to(np.asarray(b, dtype), channels))


def conv2d(x, W, b, stride, padding):
    M, C, kh, kw = W.shape
    sizes = plan(x.shape[1:], (kh, kw), stride, padding)
    y = empty((len(x), M, *sizes[-2:].tolist()), W.dtype)
    _conv2d(len(x), y.size * C * kh * kw / 10, rows(x), rows(W), per_channel(b, M, W.dtype), rows(y), sizes)
    return y


def conv2d_transpose(y, W, b, stride, padding, size):
    _, C, kh, kw = W.shape
    sizes = plan((C, *size), (kh, kw), stride, padding)
    x = empty((len(y), C, *size), W.dtype)
    work = y.size * C * kh * kw / 10
    _conv2d_transpose(len(y), work, rows(y), rows(W), per_channel(b, C, W.dtype), rows(x), sizes)
    return x


def add_conv2d_weights(dW, x, dy, stride, padding):
    M, C, kh, kw = dW.shape
    sums = np.zeros((M, C * kh * kw), dW.dtype)
    sizes = plan(x.shape[1:], (kh, kw), stride, padding)
    _add_conv2d_weights(M, dy.size * C * kh * kw / 10, sums, rows(x), rows(dy), sizes)
    dW += sums.reshape(dW.shape)


@kernel("mVn", fastmath=_SUMS)
def _add_channel_sums(dy, db, pixels, first, last):
    sums = np.zeros((last - first) * pixels, dy.dtype)
    for n in range(dy.shape[0]):
        image = dy[n, first * pixels : last * pixels]
        for i in range(sums.size):
            sums[i] += image[i]
    for m in range(first, last):
        total = 0.0
        for i in range((m - first) * pixels, (m - first + 1) * pixels):
            total += sums[i]
        db[m] += total


def add_channel_sums(db, dy):
    sums = np.zeros(len(db), db.dtype)
    _add_channel_sums(len(db), dy.size / 8, rows(dy), sums, math.prod(dy.shape[2:]))
    db += sums


@kernel("mMi")
def _max_pool(x, y, plan, first, last):
    _, _, W, kh, kw, sh, sw, _, _, P, Q = _plan(plan)
    for image in range(first, last):
        for p in range(P):
            largest = y[image, p * Q : (p + 1) * Q]
            for i in range(kh):
                for j in range(kw):
                    row = x[image, (p * sh + i) * W + j : (p * sh + i + 1) * W : sw]
                    for q in range(Q):
                        stays = i + j > 0 and (row[q] <= largest[q] or largest[q] != largest[q])
                        largest[q] = largest[q] if stays else row[q]  # a NaN is larger than any number


def max_pool(x, size, stride):
    N, C, H, W = x.shape
    sizes = plan((C, H, W), size, stride, (0, 0))
    P, Q = sizes[-2:].tolist()
    y = empty((N, C, P, Q), x.dtype)
    _max_pool(N * C, x.size / 4, rows(x).reshape(N * C, H * W), y.reshape(N * C, P * Q), sizes)
    return y


@kernel("mmMi")
def _max_pool_backward(dy, x, dx, plan, first, last):
    _, _, W, kh, kw, sh, sw, _, _, P, Q = _plan(plan)
    for image in range(first, last):
        pixels, slopes = x[image], dx[image]
        slopes[:] = 0
        for p in range(P):
            for q in range(Q):
                corner = p * sh * W + q * sw
                first_place, largest = corner, pixels[corner]
                for i in range(kh):
                    for j in range(kw):
                        place = corner + i * W + j
                        v = pixels[place]
                        stays = (v <= largest) | (largest != largest)
                        largest = largest if stays else v
                        first_place = first_place if stays else place
                slopes[first_place] += dy[image, p * Q + q]


def max_pool_backward(dy, x, size, stride):
    N, C, H, W = x.shape
    dx = empty(x.shape, x.dtype)
    pixels = math.prod(dy.shape[2:])
    images = rows(dy).reshape(N * C, pixels), rows(x).reshape(N * C, H * W), dx.reshape(N * C, H * W)
    _max_pool_backward(N * C, x.size, *images, plan((C, H, W), size, stride, (0, 0)))
    return dx
