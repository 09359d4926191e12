"""Every kernel as plain loops, compiled by numba: the same name, arguments and numbers, to rounding, as its formula.

A loop runs over a range, `first` to `last`, of rows, numbers or images, so that threads can share it. One thread
computes each number, in a fixed order: the result has the same bits for any number of threads. The arrays of a call are
all float32 or all float64; any other type goes to the formula.

A loop is fast if LLVM can turn it into vector instructions. LLVM can do so with + − × ÷ and √, and therefore with the
functions of `elementary`, which consist of these. It reorders a sum only where that is allowed (`reassoc`), and gives
up on an index that might be negative: so slices are taken first, and loops count from zero.
"""

import functools
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit

from scratchnet.arrays import Array
from scratchnet.kernels import elementary, formulas
from scratchnet.kernels.formulas import __all__ as __all__
from scratchnet.kernels.memory import empty
from scratchnet.kernels.threads import Kernel, kernel

_SUMS = {"reassoc", "contract"}
"""What LLVM may do with a sum: add it up in vectors, and fuse it with a product. The machine code fixes the order."""


def vector(x: Array) -> Array:
    """x in C order, as a vector."""
    return np.asarray(x).ravel()


def rows(x: Array) -> Array:
    """x in C order, as a matrix with one row for each example."""
    x = np.ascontiguousarray(x)
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:1]), math.prod(x.shape[1:]))


_READY: dict[str, Callable[[Any], Any]] = {"v": vector, "m": rows, "d": vector, "s": float}
_READY["i"] = functools.partial(np.ascontiguousarray, dtype=np.int64)
"""How an argument is prepared for a loop, by its letter in the `kinds` of threads.Kernel."""


def loop(kinds: str, nanoseconds: float, **options: Any) -> Callable[[Callable[..., None]], Callable[..., Any]]:
    """Decorator: the kernel that runs this loop over the numbers, or else the rows, of its first array.

    Arguments that a caller does not give are results, allocated here: "D" is a float64 for each example, the others are
    shaped like the first array. If an array that a caller gives to be written to has gaps, the formula computes
    instead. `nanoseconds` is the work for each number of the first array, or, in place, of the last.
    """
    ready = [_READY[kind.lower()] for kind in kinds]
    written = [i for i, kind in enumerate(kinds) if kind.isupper() and kinds[0].isupper()]
    measured = max(i for i, kind in enumerate(kinds) if kind != "s") if written else 0

    def decorate(function: Callable[..., None]) -> Callable[..., Any]:
        run = Kernel(function, kinds, **options)
        formula: Any = getattr(formulas, function.__name__, None)

        def call(*given):
            for i in written:
                if not given[i].flags.c_contiguous:
                    return formula(*given)
            x, work = given[0], nanoseconds * given[measured].size
            results = [np.empty(len(x)) if kind == "D" else empty(x.shape, x.dtype) for kind in kinds[len(given) :]]
            arguments = [prepare(argument) for prepare, argument in zip(ready, (*given, *results), strict=True)]
            run(len(arguments[0]), work, *arguments)
            return tuple(results) if len(results) > 1 else results[0] if results else None

        return call

    return decorate


# ---- matrix products: docs/16-fast-matmul.md
@njit(error_model="numpy", fastmath=_SUMS)
def _add_dots(A, B, C):
    """C += A Bᵀ, for A (M, K) and B (N, K) with contiguous rows: sixteen dot products at a time.

    Four rows of A and four of B are read together, so that each number that is loaded is used four times. At an edge
    the last row stands in for missing ones.
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


@kernel("maA")
def _add_product(A, B, C, first, last):
    """C += A B, for A (M, K) and B (K, N); the range counts groups of four columns."""
    columns = np.empty((4, len(B)), C.dtype)  # of B, each in contiguous memory
    for group in range(first, last):
        j = 4 * group
        width = min(4, C.shape[1] - j)
        for k in range(len(B)):
            for v in range(width):
                columns[v, k] = B[k, j + v]
        _add_dots(A, columns[:width], C[:, j : j + width])


def add_matmul_tn(dW, x, dy):
    _add_product(-(-dy.shape[1] // 4), x.size * dy.shape[1] / 40, np.ascontiguousarray(x.T), dy, dW)


def affine(x, W, b):
    y = empty((len(x), W.shape[1]), W.dtype)
    y[...] = b
    add_matmul_tn(y, x.T, W)
    return y


def matmul_nt(dy, W):
    return affine(dy, W.T, 0)


@loop("Vm", 1 / 8)
def add_column_sums(db, dy, first, last):
    sums = db[first:last]
    for n in range(len(dy)):
        of_dy = dy[n, first:last]
        for j in range(sums.size):
            sums[j] += of_dy[j]


# ---- number by number: one of four loops applies a formula of numbers to all numbers of its arrays

formula: Any = None
"""Each kernel has its own copy of a loop, in which this name means the kernel's formula."""


def _of_one(x, y, first, last):  # pragma: no cover  (runs as machine code)
    x, y = x[first:last], y[first:last]
    for i in range(x.size):
        y[i] = formula(x[i])


def _of_two(a, b, y, first, last):  # pragma: no cover  (runs as machine code)
    a, b, y = a[first:last], b[first:last], y[first:last]
    for i in range(y.size):
        y[i] = formula(a[i], b[i])


def _of_three(a, b, c, y, z, first, last):  # pragma: no cover  (runs as machine code)
    a, b, c, y, z = a[first:last], b[first:last], c[first:last], y[first:last], z[first:last]
    for i in range(y.size):
        y[i], z[i] = formula(a[i], b[i], c[i])


def _summed(y, target, value, dy, first, last):  # pragma: no cover  (runs as machine code)
    terms = np.empty(y.shape[1], y.dtype)
    for n in range(first, last):
        of_y, of_target, of_dy = y[n], target[n], dy[n]
        for i in range(terms.size):
            terms[i], of_dy[i] = formula(of_y[i], of_target[i])
        total = 0.0  # in a loop without writes: how it is vectorized must not depend on where the arrays lie
        for i in range(terms.size):
            total += terms[i]
        value[n] = total


_LOOPS = {"vV": _of_one, "vvV": _of_two, "vvvVV": _of_three, "mmDM": _summed}


def elementwise(kinds: str, nanoseconds: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the kernel that applies this formula of numbers; "mmDM" is a loss, which is summed over each example.

    The loop is copied, since numba caches no function that takes a function.
    """

    def decorate(of_numbers: Callable[..., Any]) -> Callable[..., Any]:
        shared, fastmath = _LOOPS[kinds], _SUMS if "D" in kinds else {"contract"}
        names = {"__name__": __name__, "np": np, "formula": njit(error_model="numpy", fastmath=fastmath)(of_numbers)}
        own = FunctionType(shared.__code__, names, of_numbers.__name__)
        return loop(kinds, nanoseconds, fastmath=fastmath)(own)

    return decorate


@elementwise("vV", 0.1)
def relu(x):
    zero = type(x)(0)
    return zero if x <= zero else x  # a NaN stays


@elementwise("vvV", 0.1)
def relu_backward(dy, y):
    zero = type(y)(0)
    return dy if y > zero else zero * dy


@elementwise("vV", 0.5)
def sigmoid(x):
    zero, one = type(x)(0), type(x)(1)
    e = elementary.exp(-abs(x))
    return (one if x > zero else e) / (one + e)


@elementwise("vvV", 0.1)
def sigmoid_backward(dy, y):
    return dy * y * (type(y)(1) - y)


@elementwise("vV", 0.7)
def tanh(x):
    return elementary.tanh(x)


@elementwise("vvV", 0.1)
def tanh_backward(dy, y):
    return dy * (type(y)(1) - y * y)


# ---- losses: the term of one number of y, and its derivative
@elementwise("mmDM", 0.2)
def squared_error(y, target):
    difference = y - target
    return difference * difference, difference + difference


@elementwise("mmDM", 1)
def bce(p, target):
    one = type(p)(1)
    nll = -target * elementary.log(p) - (one - target) * elementary.log1m(p)
    return nll, (p - target) / (p * (one - p))


@elementwise("mmDM", 1)
def bce_with_logits(logits, target):
    zero, one, nan = type(logits)(0), type(logits)(1), type(logits)(np.nan)
    target = target if (target >= zero) & (target <= one) else nan
    positive = logits > zero
    e = elementary.exp(-abs(logits))
    side = (one if positive else zero) - target  # max(l, 0) − l t = (1[l > 0] − t) l
    linear = zero if side == zero else side * logits  # 0 · ∞ = 0 here
    return linear + elementary.log1p(e), (one if positive else e) / (one + e) - target


@loop("miDM", 1, fastmath={"contract"})
def softmax_cross_entropy(logits, labels, value, dlogits, first, last):
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


@loop("Vs", 1 / 8)
def divide(x, divisor, first, last):
    x, by = x[first:last], x.dtype.type(divisor)
    for i in range(x.size):
        x[i] /= by


# ---- Gaussians: docs/12-vae-gradients.md
@elementwise("mmDM", 1)
def _kl(mu, logvar):
    half, variance_less_one = type(mu)(0.5), elementary.expm1(logvar)
    return half * (mu * mu + variance_less_one - logvar), half * variance_less_one


def kl_standard_normal(mu, logvar):
    value, dlogvar = _kl(mu, logvar)
    return value, mu.copy(), dlogvar


@elementwise("vvvVV", 0.5)
def sample_gaussian(mu, logvar, eps):
    sigma = elementary.exp(type(mu)(0.5) * logvar)
    return mu + sigma * eps, sigma


@elementwise("vvvVV", 0.25)
def sample_gaussian_backward(dz, sigma, eps):
    return dz, type(dz)(0.5) * dz * sigma * eps


# ---- optimizers: docs/05-optimizers.md
@kernel("vI", fastmath=_SUMS)
def _look_for_bad(x, bad, first, last):
    zero = x.dtype.type(0)
    total = zero
    x = x[first:last]
    for i in range(x.size):
        total += zero * x[i]  # NaN, if x is not finite
    if total != 0:
        bad[0] = 1


def all_finite(x):
    bad = np.zeros(1, np.int64)
    _look_for_bad(x.size, x.size / 10, vector(x), bad)
    return bad[0] == 0


@loop("V", 1 / 8)
def clear(dtheta, first, last):
    dtheta[first:last] = 0


@loop("VvVss", 1 / 4, fastmath={"contract"})
def sgd_step(theta, dtheta, velocity, learning_rate, momentum, first, last):
    rate, kept = theta.dtype.type(learning_rate), theta.dtype.type(momentum)
    theta, dtheta, velocity = theta[first:last], dtheta[first:last], velocity[first:last]
    for i in range(theta.size):
        velocity[i] = kept * velocity[i] + dtheta[i]
        theta[i] -= rate * velocity[i]


@loop("VvVVssssss", 1 / 2, fastmath={"contract"})
def adam_step(theta, dtheta, m, v, t, learning_rate, beta1, beta2, epsilon, weight_decay, first, last):
    F, limits = theta.dtype.type, np.finfo(theta.dtype)
    rate, to_mean, to_square = learning_rate / (1 - beta1**t), F(1 - beta1), F(1 - beta2)
    tiny = F(limits.tiny / max(min(rate, 1 - beta1), limits.eps))  # a mean is multiplied by rate and 1 − β₁
    zero, rate_, root, epsilon_, decay = F(0), F(rate), F(1 / np.sqrt(1 - beta2**t)), F(epsilon), F(weight_decay)
    theta, dtheta, m, v = theta[first:last], dtheta[first:last], m[first:last], v[first:last]
    for i in range(theta.size):
        g = dtheta[i] + decay * theta[i]
        mean = m[i] + to_mean * (g - m[i])
        mean = zero if abs(mean) < tiny else mean  # a CPU is slow with subnormal numbers, to which means decay
        square = v[i] + (to_square * g * g - to_square * v[i])
        m[i], v[i] = mean, square
        theta[i] -= rate_ * mean / (np.sqrt(square) * root + epsilon_)


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
#      A convolution is a product with the patches of an image x̃, which is padded; its adjoint adds patches up; the
#      gradient of the weights is a product with patches again. Number k of patch r lies at x̃[at[r] + looks[k]].
def _padded(x, padding):
    """x̃: the images with `padding` zeros above and below, and left and right."""
    (N, C, H, B), (top, left) = x.shape, padding
    padded = np.zeros((N, C, H + 2 * top, B + 2 * left), x.dtype)
    padded[:, :, top : top + H, left : left + B] = x
    return padded


@functools.lru_cache(maxsize=256)
def _places(shape, size, stride):
    """(P, Q), `at` and `looks`, for images (C, H, B) and patches of this size."""
    (_, H, B), (kh, kw), (down, across) = shape, size, stride
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    at = places[0, : H - kh + 1 : down, : B - kw + 1 : across]
    return at.shape, vector(at), vector(places[:, :kh, :kw])


@njit(error_model="numpy")
def _cut_patches(image, at, looks, patches):
    """Exchange `at` and `looks` for the transpose."""
    for r in range(at.size):
        for k in range(looks.size):
            patches[r, k] = image[at[r] + looks[k]]


@njit(error_model="numpy")
def _add_patches(patches, at, looks, image):
    """The adjoint of cutting patches: adds to each pixel what was cut from it."""
    for r in range(at.size):
        for k in range(looks.size):
            image[at[r] + looks[k]] += patches[r, k]


@kernel("mmMii")
def _conv2d(x, W, y, at, looks, first, last):
    patches = np.empty((at.size, looks.size), x.dtype)
    for n in range(first, last):
        _cut_patches(x[n], at, looks, patches)
        _add_dots(W, patches, y[n].reshape(len(W), at.size))


@kernel("mmMii")
def _conv2d_transpose(y, W, x, at, looks, first, last):
    by_look, patches = np.ascontiguousarray(W.T), np.empty((at.size, looks.size), y.dtype)
    for n in range(first, last):
        patches[:, :] = 0
        _add_dots(np.ascontiguousarray(y[n].reshape(len(W), at.size).T), by_look, patches)
        _add_patches(patches, at, looks, x[n])


@kernel("Mmmii")
def _add_conv2d_weights(dW, x, dy, at, looks, first, last):
    patches = np.empty((looks.size, at.size), x.dtype)
    for n in range(len(x)):
        _cut_patches(x[n], looks, at, patches)
        of_dy = dy[n, first * at.size : last * at.size].reshape(last - first, at.size)
        _add_dots(of_dy, patches, dW[first:last])


def per_channel(b, channels: int, dtype: np.dtype) -> Array:
    """A number for each channel, or one for all, as a vector."""
    return np.array(np.broadcast_to(np.asarray(b, dtype), channels))


def conv2d(x, W, b, stride, padding):
    x = _padded(x, padding)
    size, at, looks = _places(x.shape[1:], W.shape[2:], stride)
    y = empty((len(x), len(W), *size), W.dtype)
    y[...] = per_channel(b, len(W), W.dtype)[:, None, None]
    _conv2d(len(x), y.size * looks.size / 10, rows(x), rows(W), rows(y), at, looks)
    return y


def conv2d_transpose(y, W, b, stride, padding, size):
    (H, B), (top, left), C = size, padding, W.shape[1]
    x = empty((len(y), C, H + 2 * top, B + 2 * left), W.dtype)
    x[...] = per_channel(b, C, W.dtype)[:, None, None]
    _, at, looks = _places(x.shape[1:], W.shape[2:], stride)
    _conv2d_transpose(len(y), y.size * looks.size / 10, rows(y), rows(W), rows(x), at, looks)
    return np.ascontiguousarray(x[:, :, top : top + H, left : left + B])


def add_conv2d_weights(dW, x, dy, stride, padding):
    x, sums = _padded(x, padding), np.zeros_like(rows(dW))
    _, at, looks = _places(x.shape[1:], dW.shape[2:], stride)
    _add_conv2d_weights(len(dW), dy.size * looks.size / 10, sums, rows(x), rows(dy), at, looks)
    dW += sums.reshape(dW.shape)


@loop("Vm", 1 / 8, fastmath=_SUMS)
def add_channel_sums(db, dy, first, last):
    pixels = dy.shape[1] // db.size
    sums = np.zeros((last - first) * pixels, dy.dtype)
    for n in range(len(dy)):
        image = dy[n, first * pixels : last * pixels]
        for i in range(sums.size):
            sums[i] += image[i]
    for m in range(first, last):
        total = 0.0
        for i in range((m - first) * pixels, (m - first + 1) * pixels):
            total += sums[i]
        db[m] += db.dtype.type(total)


@kernel("mMiinn")
def _max_pool(x, y, at, looks, Q, across, first, last):
    for n in range(first, last):
        for r in range(0, at.size, Q):
            largest = y[n, r : r + Q]  # a row of the result, for which each look is a row of the image
            for look in looks:
                row = x[n, at[r] + look :: across]
                for q in range(Q):
                    stays = look > 0 and (row[q] <= largest[q] or largest[q] != largest[q])
                    largest[q] = largest[q] if stays else row[q]  # a NaN is larger than any number


@kernel("mmMii")
def _max_pool_backward(dy, x, dx, at, looks, first, last):
    for n in range(first, last):
        pixels, slopes, of_dy = x[n], dx[n], dy[n]
        slopes[:] = 0
        for r in range(at.size):
            first_place, largest = at[r], pixels[at[r]]
            for k in range(1, looks.size):
                place = at[r] + looks[k]
                pixel = pixels[place]
                stays = (pixel <= largest) | (largest != largest)
                largest = largest if stays else pixel
                first_place = first_place if stays else place
            slopes[first_place] += of_dy[r]


def _planes(x: Array) -> Array:
    """Images as a matrix with one row for each channel of each."""
    return np.ascontiguousarray(x).reshape(-1, math.prod(x.shape[2:]))


def max_pool(x, size, stride):
    (P, Q), at, looks = _places((1, *x.shape[2:]), size, stride)
    y = empty((*x.shape[:2], P, Q), x.dtype)
    _max_pool(math.prod(x.shape[:2]), x.size / 4, _planes(x), _planes(y), at, looks, Q, stride[1])
    return y


def max_pool_backward(dy, x, size, stride):
    _, at, looks = _places((1, *x.shape[2:]), size, stride)
    dx = empty(x.shape, x.dtype)
    _max_pool_backward(math.prod(x.shape[:2]), x.size, _planes(dy), _planes(x), _planes(dx), at, looks)
    return dx
