"""The compiled twin of every reference kernel: the same name, the same arguments, the same numbers to rounding.

Each is the loop that its line of NumPy stands for, compiled by numba for float32 and float64 and kept on disk, so that
a machine compiles it once. One pool of threads, numba's, owns the whole step: nothing here calls BLAS. A number is
computed by one thread, in one order, so the result is the same to the last bit for any number of threads. Arrays of
other types, complex ones among them, go to the reference.

A loop is fast if LLVM can turn it into vector instructions. It sees through + − × ÷ and √, and through the functions of
`elementary`, which are made of these.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

import functools
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numba import config, float32, float64, get_num_threads, int64, njit, prange, types

from scratchnet.kernels import elementary, gemm, lanes, reference, sparse
from scratchnet.kernels.reference import __all__ as __all__
from scratchnet.kernels.vectors import address, aligned_vector, fetch, fetch_to_write, in_full_vectors
from scratchnet.memory import LINE, aligned
from scratchnet.types import Array

# ---- compiling, once

_SOURCES = tuple(
    (file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(Path(__file__).parent.glob("*.py"))
)
"""Every source of kernels. Machine code on disk is good as long as they are what they were; numba by itself looks at
one file alone, that of the function, and not at those of the functions that it calls."""


class Compiled:
    """A function that is compiled for float32 and for float64, whatever the layout of the arrays that it is given.

    Parameters
    ----------
    function : function
        Takes and fills arrays, and returns nothing.
    kinds : str
        A letter for each argument: v or m, a vector or a matrix in C order; a, a matrix of any strides; d, a vector of
        float64; i, one of int64; s, a number; n, a whole number. The arrays are all of one type but for d and i.
    family : str
        The functions of a family are compiled together, when one of them is called that is not on disk.
    """

    every: ClassVar[list["Compiled"]] = []

    def __init__(self, function: Callable[..., None], kinds: str, family: str = "", **options: Any):
        self._dispatcher: Any = njit(cache=True, error_model="numpy", **options)(function)
        self._dispatcher._cache._cache_file._source_stamp = _SOURCES
        self._kinds, self.family = kinds, family
        self._entries: dict[str, Callable[..., None]] = {}
        Compiled.every.append(self)

    def __call__(self, *arguments: Any) -> None:
        """Run it on arrays of float32 or float64; the type of the first decides."""
        char = arguments[0].dtype.char
        with _LOCK:
            if char not in self._entries:
                _load(self, char)
            self._entries[char](*arguments)

    def compile(self, char: str) -> bool:
        """Load the machine code for this type, or make it; whether it had to be made."""
        number = float32 if char == "f" else float64
        kinds = {
            "v": types.Array(number, 1, "C"),
            "m": types.Array(number, 2, "C"),
            "a": types.Array(number, 2, "A"),
            "d": types.Array(float64, 1, "C"),
            "i": types.Array(int64, 1, "C"),
            "s": number,
            "n": int64,
        }
        signature = tuple(kinds[kind] for kind in self._kinds)
        self._dispatcher.compile(signature)
        # Called by its entry, a function takes any array as of the kind that was compiled; by its dispatcher, it would
        # be compiled again for each combination of layouts.
        self._entries[char] = self._dispatcher.overloads[signature].entry_point
        return signature in self._dispatcher.stats.cache_misses


_LOCK = threading.Lock()
"""numba's pool of threads serves one caller at a time."""

_SUMS = {"reassoc", "contract"}
"""What LLVM may do with a sum: add it up in vectors. In which order is then fixed by the machine code."""


_SPINS = "10000"
"""How often a thread of GNU's OpenMP looks, in a hundred microseconds or so, whether there is work, and then sleeps.

To wake it takes as long again. Left to itself it looks for milliseconds. That is as fast on an idle machine, and many
times as slow on a busy one: it holds the core for which the others wait.
"""


def _start_threads() -> None:
    """Start numba's pool. Its OpenMP reads the environment once, at this moment; afterwards that is as it was."""
    settings = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    if settings & os.environ.keys():  # the user knows better
        return
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        get_num_threads()
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _load(one: Compiled, char: str) -> None:
    """Load this function's machine code for the type; if there is none, make that of its whole family, and say so."""
    _start_threads()
    started = time.perf_counter()
    if one.compile(char):
        name = f"{np.dtype(char).name}{one.family and f' {one.family}'}"
        print(f"scratchnet compiles its kernels for {name}, once on this machine …", file=sys.stderr, flush=True)
        for other in Compiled.every:
            if other.family == one.family:
                other.compile(char)
        print(f"… compiled in {time.perf_counter() - started:.0f} s.", file=sys.stderr, flush=True)


def compiled(kinds: str, family: str = "", **options: Any) -> Callable[[Callable[..., None]], Compiled]:
    """`Compiled`, as a decorator."""
    return lambda function: Compiled(function, kinds, family, **options)


_TYPES = (np.dtype(np.float32), np.dtype(np.float64))


def twin(function: Callable[..., Any], in_place: bool = False) -> Callable[..., Any]:
    """The kernel where all its arrays are of float32, or all of float64; elsewhere the reference of that name."""
    formula = getattr(reference, function.__name__)

    @functools.wraps(function)
    def kernel(*arguments):
        dtype = arguments[0].dtype
        suits = dtype in _TYPES
        for a in arguments:
            if isinstance(a, np.ndarray) and (a.dtype != dtype or (in_place and not a.flags.c_contiguous)):
                suits = False
        return function(*arguments) if suits else formula(*arguments)

    return kernel


twin_in_place = functools.partial(twin, in_place=True)
"""The same for a kernel whose arrays, some of which it writes into, have to lie in order."""


def _vector(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1)


def _rows(x: Array) -> Array:
    x = np.ascontiguousarray(x)
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:1]), math.prod(x.shape[1:]))


# ---- matrix products, and sums over the batch


@njit(error_model="numpy")
def _share(size, part, parts):
    """From where to where a part of so many numbers goes: whole lines of the cache, as far as they last."""
    first, last = size * part // parts // _LINE * _LINE, size * (part + 1) // parts // _LINE * _LINE
    return first, size if part == parts - 1 else last


@compiled("vmn", parallel=True, fastmath={"contract"})
def _add_column_sums(db, dy, threads):
    for part in prange(threads):
        first, last = _share(dy.shape[1], part, threads)
        sums = db[first:last]
        for n in range(dy.shape[0]):
            of_dy = dy[n, first:last]
            for j in range(sums.size):
                sums[j] += of_dy[j]


@twin
def add_column_sums(db, dy):
    if db.flags.c_contiguous:
        _add_column_sums(db, _rows(dy), _THREADS)
    else:
        reference.add_column_sums(db, dy)


_product = Compiled(gemm.product, "aaaan", parallel=True)
_sparse_product = Compiled(sparse.product, "mnmaadn", parallel=True)


def _multiply(A: Array, B: Array, start: Array, C: Array) -> None:
    """C = start + A B."""
    _product(A, B, start, C, _THREADS)


def _multiply_images(x: Array, transposed: bool, B: Array, start: Array, C: Array) -> None:
    """C = start + A B, where A is x or xᵀ, and x perhaps a batch of images, most of whose pixels are zero."""
    if x.flags.c_contiguous and B.flags.c_contiguous and x.size * C.shape[1] >= _MANY:
        done = np.zeros(1)
        _sparse_product(x, transposed, B, start, C, done, _THREADS)
        if done[0]:
            return
    _multiply(x.T if transposed else x, B, start, C)


_LINE = LINE // 4
"""Numbers of float32 in a line of the cache."""

_THREADS: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  (numba sets its names while it runs)
"""Into how many shares work is cut: as many as there are threads at most. Fewer threads take several each."""

_MANY = 2**22
"""Multiplications from which on it is worth while to look whether they are needed."""


@twin
def affine(x, W, b):
    y = aligned((len(x), W.shape[1]), W.dtype)
    _multiply_images(x, False, W, _vector(b)[None], y)
    return y


@twin
def matmul_nt(dy, W):
    dx = aligned((len(dy), len(W)), W.dtype)
    _multiply(dy, W.T, np.zeros((1, len(W)), W.dtype), dx)
    return dx


@twin
def add_matmul_tn(dW, x, dy):
    if dW.strides[1] == dW.itemsize:
        _multiply_images(x, True, dy, dW, dW)
    else:  # its rows have gaps, and a tile is written by vectors
        dW += matmul_nt(x.T, dy.T)


# ---- activations


@compiled("mm", parallel=True)
def _relu(x, y):
    zero = x.dtype.type(0)
    for n in prange(x.shape[0]):
        of_x, of_y = x[n], y[n]
        for j in range(of_x.size):
            of_y[j] = zero if of_x[j] <= zero else of_x[j]  # a NaN stays


@twin
def relu(x):
    y = aligned(x.shape, x.dtype)
    _relu(_rows(x), _rows(y))
    return y


@compiled("mmm", parallel=True)
def _relu_backward(dy, y, dx):
    zero = dy.dtype.type(0)
    for n in prange(y.shape[0]):
        of_dy, of_y, of_dx = dy[n], y[n], dx[n]
        for j in range(of_y.size):
            of_dx[j] = of_dy[j] if of_y[j] > zero else zero * of_dy[j]


@twin
def relu_backward(dy, y):
    dx = aligned(dy.shape, dy.dtype)
    _relu_backward(_rows(dy), _rows(y), _rows(dx))
    return dx


@compiled("vv", parallel=True)
def _sigmoid(x, y):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in prange(x.size):
        in_full_vectors()
        e = elementary.exp(-abs(x[i]))
        y[i] = (one if x[i] > zero else e) / (one + e)


@twin
def sigmoid(x):
    return _map(_sigmoid, x)


@compiled("vvv", parallel=True, fastmath={"contract"})
def _sigmoid_backward(dy, y, dx):
    one = y.dtype.type(1)
    for i in prange(dy.size):
        dx[i] = dy[i] * y[i] * (one - y[i])


@twin
def sigmoid_backward(dy, y):
    return _map(_sigmoid_backward, dy, y)


@compiled("vv", parallel=True)
def _tanh(x, y):
    for i in prange(x.size):
        in_full_vectors()
        y[i] = elementary.tanh(x[i])


@twin
def tanh(x):
    return _map(_tanh, x)


@compiled("vvv", parallel=True, fastmath={"contract"})
def _tanh_backward(dy, y, dx):
    one = y.dtype.type(1)
    for i in prange(dy.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@twin
def tanh_backward(dy, y):
    return _map(_tanh_backward, dy, y)


def _map(kernel: Compiled, *arguments: Array) -> Array:
    result = aligned(arguments[0].shape, arguments[0].dtype)
    kernel(*(_vector(x) for x in arguments), result.reshape(-1))
    return result


# ---- losses


@njit(error_model="numpy", fastmath=_SUMS)
def _total(terms):
    """Their sum, in double precision; a loop of its own, since a vector holds half as many doubles."""
    total = 0.0
    for i in range(terms.size):
        total += terms[i]
    return total


@compiled("mmdm", parallel=True, fastmath=_SUMS)
def _squared_error(y, target, value, dy):
    for n in prange(y.shape[0]):
        terms = aligned_vector(y.shape[1], y)
        for i in range(y.shape[1]):
            difference = y[n, i] - target[n, i]
            terms[i] = difference * difference
            dy[n, i] = difference + difference
        value[n] = _total(terms)


@twin
def squared_error(y, target):
    return _loss(_squared_error, y, target)


@compiled("mmdm", parallel=True, fastmath=_SUMS)
def _bce(p, target, value, dp):
    one = p.dtype.type(1)
    for n in prange(p.shape[0]):
        in_full_vectors()
        terms = aligned_vector(p.shape[1], p)
        for i in range(p.shape[1]):
            q, t = p[n, i], target[n, i]
            terms[i] = -t * elementary.log(q) - (one - t) * elementary.log1m(q)
            dp[n, i] = (q - t) / (q * (one - q))
        value[n] = _total(terms)


@twin
def bce(p, target):
    return _loss(_bce, p, target)


@compiled("mmdm", parallel=True, fastmath=_SUMS)
def _bce_with_logits(logits, target, value, dlogits):
    zero, one, nan = logits.dtype.type(0), logits.dtype.type(1), logits.dtype.type(np.nan)
    for n in prange(logits.shape[0]):
        in_full_vectors()
        terms = aligned_vector(logits.shape[1], logits)
        for i in range(logits.shape[1]):
            x, t = logits[n, i], target[n, i]
            t = t if (t >= zero) & (t <= one) else nan
            e = elementary.exp(-abs(x))
            terms[i] = (x if x > zero else zero * x) - x * t + elementary.log1p(e)
            dlogits[n, i] = (one if x > zero else e) / (one + e) - t
        value[n] = _total(terms)


@twin
def bce_with_logits(logits, target):
    return _loss(_bce_with_logits, logits, target)


@compiled("ms", parallel=True)
def _divide(x, divisor):
    for n in prange(x.shape[0]):
        row = x[n]
        for i in range(row.size):
            row[i] /= divisor


@twin_in_place
def divide(x, divisor):
    _divide(_rows(x), divisor)


def _loss(kernel: Compiled, y: Array, target: Array) -> tuple[Array, Array]:
    value, dy = np.empty(len(y)), aligned(y.shape, y.dtype)
    kernel(_rows(y), _rows(target), value, dy.reshape(len(y), -1))
    return value, dy


# ---- Gaussians


@compiled("mmdmm", fastmath=_SUMS)
def _kl_standard_normal(mu, logvar, value, dmu, dlogvar):
    half = mu.dtype.type(0.5)
    in_full_vectors()
    for n in range(mu.shape[0]):
        total = 0.0
        for i in range(mu.shape[1]):
            variance_less_one = elementary.expm1(logvar[n, i])
            total += mu[n, i] * mu[n, i] + variance_less_one - logvar[n, i]
            dmu[n, i] = mu[n, i]
            dlogvar[n, i] = half * variance_less_one
        value[n] = total / 2


@twin
def kl_standard_normal(mu, logvar):
    value, dmu, dlogvar = np.empty(len(mu)), np.empty(mu.shape, mu.dtype), np.empty(mu.shape, mu.dtype)
    N = len(mu)
    _kl_standard_normal(_rows(mu), _rows(logvar), value, dmu.reshape(N, -1), dlogvar.reshape(N, -1))
    return value, dmu, dlogvar


@compiled("vvvvv", fastmath={"contract"})
def _sample_gaussian(mu, logvar, eps, z, sigma):
    half = mu.dtype.type(0.5)
    in_full_vectors()
    for i in range(mu.size):
        sigma[i] = elementary.exp(half * logvar[i])
        z[i] = mu[i] + sigma[i] * eps[i]


@twin
def sample_gaussian(mu, logvar, eps):
    z, sigma = np.empty(mu.shape, mu.dtype), np.empty(mu.shape, mu.dtype)
    _sample_gaussian(_vector(mu), _vector(logvar), _vector(eps), z.reshape(-1), sigma.reshape(-1))
    return z, sigma


@compiled("vvvvv", fastmath={"contract"})
def _sample_gaussian_backward(dz, sigma, eps, dmu, dlogvar):
    half = dz.dtype.type(0.5)
    for i in range(dz.size):
        dmu[i] = dz[i]
        dlogvar[i] = half * dz[i] * sigma[i] * eps[i]


@twin
def sample_gaussian_backward(dz, sigma, eps):
    dmu, dlogvar = np.empty(dz.shape, dz.dtype), np.empty(dz.shape, dz.dtype)
    _sample_gaussian_backward(_vector(dz), _vector(sigma), _vector(eps), dmu.reshape(-1), dlogvar.reshape(-1))
    return dmu, dlogvar


# ---- optimizers


_TURNS = 2
"""How often the threads take turns along θ: once in an encoder and once in a decoder of about that size, so that each
finds in its cache what it computed of their gradients."""


@njit(error_model="numpy", fastmath=_SUMS)
def _sum_of_zeros(x):
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += zero * x[i]  # NaN, if x is not finite
    return total


@compiled("vvn", parallel=True, fastmath=_SUMS)
def _times_zero(x, products, threads):
    total = x.dtype.type(0)
    for part in prange(threads):
        for turn in range(_TURNS):
            first, last = _share(x.size, turn * threads + part, _TURNS * threads)
            total += _sum_of_zeros(x[first:last])
    products[0] = total


@twin
def all_finite(x):
    products = np.empty(1, x.dtype)
    _times_zero(_vector(x), products, _THREADS)
    return products[0] == 0


@compiled("vn", parallel=True)
def _clear(dtheta, threads):
    for part in prange(threads):
        for turn in range(_TURNS):
            first, last = _share(dtheta.size, turn * threads + part, _TURNS * threads)
            dtheta[first:last] = 0


@twin_in_place
def clear(dtheta):
    _clear(dtheta, _THREADS)


@compiled("vvvss", fastmath={"contract"})
def _sgd_step(theta, dtheta, velocity, learning_rate, momentum):
    for i in range(theta.size):
        velocity[i] = momentum * velocity[i] + dtheta[i]
        theta[i] -= learning_rate * velocity[i]


@twin_in_place
def sgd_step(theta, dtheta, velocity, learning_rate, momentum):
    _sgd_step(theta, dtheta, velocity, learning_rate, momentum)


@njit(error_model="numpy", fastmath={"contract"})
def _adam(theta, dtheta, m, v, rate, beta1, beta2, root, epsilon, weight_decay, tiny):
    zero, one = theta.dtype.type(0), theta.dtype.type(1)
    for i in range(theta.size):
        g = dtheta[i] + weight_decay * theta[i]
        mean = m[i] + (one - beta1) * (g - m[i])
        mean = zero if abs(mean) < tiny else mean  # a CPU is slow with subnormal numbers, and fading it would make some
        square = v[i] + (one - beta2) * (g * g - v[i])
        m[i], v[i] = mean, square
        theta[i] -= rate * mean / (np.sqrt(square * root) + epsilon)


_STRETCH = 512
"""Numbers of θ whose lines are fetched ahead: the way forward left copies of them with every thread."""


@compiled("vvvvsssssssn", parallel=True)
def _adam_step(theta, dtheta, m, v, rate, beta1, beta2, root, epsilon, weight_decay, tiny, threads):
    for part in prange(threads):
        for turn in range(_TURNS):
            first, last = _share(theta.size, turn * threads + part, _TURNS * threads)
            for i in range(first, last, _STRETCH):
                j = min(i + _STRETCH, last)
                fetch_to_write(address(theta) + j * theta.itemsize, min(_STRETCH, last - j) * theta.itemsize)
                _adam(theta[i:j], dtheta[i:j], m[i:j], v[i:j], rate, beta1, beta2, root, epsilon, weight_decay, tiny)


_LIMITS = {dtype.char: (float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)) for dtype in _TYPES}
"""The smallest normal number, and the distance from 1 to the next."""


@twin_in_place
def adam_step(theta, dtheta, m, v, t, learning_rate, beta1, beta2, epsilon, weight_decay):
    rate, root = learning_rate / (1 - beta1**t), 1 / (1 - beta2**t)
    smallest, precision = _LIMITS[theta.dtype.char]
    tiny = smallest / max(min(rate, 1 - beta1), precision)  # by these a mean is multiplied
    _adam_step(theta, dtheta, m, v, rate, beta1, beta2, root, epsilon, weight_decay, tiny, _THREADS)


# ---- data


@compiled("mimin", parallel=True)
def _gather(x, rows, y, outside, threads):
    size = x.shape[1] * x.itemsize
    for part in prange(threads):
        first, last = part * rows.size // threads, (part + 1) * rows.size // threads
        for n in range(first, last):
            if n + 1 < last:
                fetch(address(x) + rows[n + 1] * size, size)
            if 0 <= rows[n] < len(x):
                source, target = x[rows[n]], y[n]
                for j in range(source.size):
                    target[j] = source[j]
            else:
                outside[0] = 1


def gather(x, rows):
    if rows.dtype == np.int64 and x.ndim == 2 and x.dtype in _TYPES and x.flags.c_contiguous:
        y, outside = aligned((len(rows), x.shape[1]), x.dtype), np.zeros(1, np.int64)
        _gather(x, np.ascontiguousarray(rows), y, outside, _THREADS)
        if not outside[0]:
            return y
    return reference.gather(x, rows)


softmax_cross_entropy = reference.softmax_cross_entropy


# ---- images


_weigh = Compiled(lanes.weigh, "mvvminiiiiiiinin", "images", parallel=True)
_correlate = Compiled(lanes.correlate, "mmvnnininiiiiinn", "images", parallel=True)


def _weighed(x: Array, W: Array, b: Any, shape: tuple[int, ...], tables: lanes.Tables) -> Array:
    y = aligned((len(x), *shape), W.dtype)
    b = np.ascontiguousarray(np.broadcast_to(np.asarray(b, W.dtype), shape[0]))
    _weigh(_rows(x), _vector(W), b, _rows(y), *tables, _THREADS)
    return y


@twin
def conv2d(x, W, b, stride, padding):
    (M, C, *kernel), shape = W.shape, x.shape[2:]
    tables = lanes.forward(shape, C, M, tuple(kernel), stride, padding, lanes.count(W))
    size = [(length + 2 * p - k) // s + 1 for length, k, s, p in zip(shape, kernel, stride, padding, strict=True)]
    return _weighed(x, W, b, (M, *size), tables)


@twin
def conv2d_transpose(y, W, b, stride, padding, size):
    M, C, *kernel = W.shape
    tables = lanes.adjoint(size, C, M, tuple(kernel), stride, padding, lanes.count(W))
    return _weighed(y, W, b, (C, *size), tables)


@twin
def add_conv2d_weights(dW, x, dy, stride, padding):
    M, C, *kernel = dW.shape
    pairs = lanes.pairs(x.shape[2:], C, M, tuple(kernel), stride, padding, lanes.count(dW))
    a, b = (dy, x) if M >= C else (x, dy)
    sums = np.empty(dW.size, dW.dtype)
    a = np.ascontiguousarray(a).reshape(-1, math.prod(a.shape[2:]))
    _correlate(a, _rows(b), sums, *pairs, _THREADS)
    dW += sums.reshape(dW.shape)


@compiled("mvnn", "images", parallel=True, fastmath=_SUMS)
def _add_channel_sums(dy, db, pixels, threads):
    channels = db.size
    for share in prange(threads):
        first, last = share * channels // threads, (share + 1) * channels // threads
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


@twin
def add_channel_sums(db, dy):
    sums = np.zeros(len(db), db.dtype)
    _add_channel_sums(_rows(dy), sums, math.prod(dy.shape[2:]), _THREADS)
    db += sums


@compiled("mmnnnnnn", "images", parallel=True)
def _max_pool(x, y, B, Q, kh, kw, sh, sw):
    for image in prange(x.shape[0]):
        for p in range(y.shape[1] // Q):
            largest = y[image, p * Q : (p + 1) * Q]
            for i in range(kh):
                for j in range(kw):
                    row = x[image, (p * sh + i) * B + j : (p * sh + i + 1) * B : sw]
                    for q in range(Q):
                        stays = i + j > 0 and (row[q] <= largest[q] or largest[q] != largest[q])
                        largest[q] = largest[q] if stays else row[q]  # a NaN is larger than any number


@twin
def max_pool(x, size, stride):
    N, C, H, B = x.shape
    P, Q = ((length - k) // s + 1 for length, k, s in zip((H, B), size, stride, strict=True))
    y = aligned((N, C, P, Q), x.dtype)
    _max_pool(_rows(x).reshape(N * C, H * B), y.reshape(N * C, P * Q), B, Q, *size, *stride)
    return y


@compiled("mmmnnnnnn", "images", parallel=True)
def _max_pool_backward(dy, x, dx, B, Q, kh, kw, sh, sw):
    for image in prange(x.shape[0]):
        pixels, slopes = x[image], dx[image]
        slopes[:] = 0
        for p in range(dy.shape[1] // Q):
            for q in range(Q):
                corner = p * sh * B + q * sw
                first, largest = corner, pixels[corner]
                for i in range(kh):
                    for j in range(kw):
                        place = corner + i * B + j
                        v = pixels[place]
                        stays = (v <= largest) | (largest != largest)
                        largest = largest if stays else v
                        first = first if stays else place
                slopes[first] += dy[image, p * Q + q]


@twin
def max_pool_backward(dy, x, size, stride):
    N, C, H, B = x.shape
    dx = aligned((N * C, H * B), x.dtype)
    dy = _rows(dy).reshape(N * C, math.prod(dy.shape[2:]))
    Q = (B - size[1]) // stride[1] + 1
    _max_pool_backward(dy, _rows(x).reshape(N * C, H * B), dx, B, Q, *size, *stride)
    return dx.reshape(x.shape)
