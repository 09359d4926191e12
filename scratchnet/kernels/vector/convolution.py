"""Convolution with an image in each lane of a vector register.

A vector of floats holds the same pixel of as many images. Then every step of a convolution, whatever its kernel, its
stride or its channels, is a vector of pixels times a number that all images share, a weight, and no step reaches from
one lane into another. Three ideas carry it.

- The block. As many images as there are lanes are turned into that layout, (H, W, C, lanes), and their result is
  turned back. Padding is written there as zeros, once, and so are the lanes that a short batch leaves over.
- The table. A convolution, its adjoint and its strides differ in where they look, and in nothing else. So the places
  are computed beforehand: output t reads from `at[t]`, step k of every output looks `offsets[k]` further on.
- The tile. A few pixels by a few channels of the output stand in registers while k runs, so that each number that is
  loaded is used several times. `_weigh` and `_correlate` emit that loop.

A weight gradient is a sum over the images, and would leave the lanes to be added up. So there it is channels that stand
in the lanes, those of x or of dy, whichever has more; the other is read number by number, each for all lanes.

A number is computed by one thread, in an order that the shapes fix, so the result is the same to the last bit for any
number of threads. The sums are those of docs/06-convolution.md.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from scratchnet.arrays import Array
from scratchnet.kernels import loops
from scratchnet.kernels.compile import VECTOR
from scratchnet.kernels.loops import per_channel, rows, vector
from scratchnet.kernels.memory import empty
from scratchnet.kernels.threads import kernel
from scratchnet.kernels.vector.registers import (
    I64,
    SUMS,
    aligned_vector,
    choose,
    constant,
    load,
    multiply_add,
    scalar,
    spread,
    store,
    summed,
    transposed,
)

HEIGHTS = (8, 4, 1) if SUMS == 24 else (4, 1)
"""Outputs of a tile. It is SUMS // outputs wide, or, at an edge, half of that, or half of the half."""

STEPS, COLUMNS = 160, 96
"""Pixels and columns at a time in a weight gradient, so that what its tiles share stays in the first-level cache."""

MOST_PHASES = 64
"""Remainders of a pixel's place by the stride, each with tables of its own, up to which an adjoint is worth them."""

FEW, PARTS = 16, 4
"""With so few shares of a weight gradient the batch is cut too, and the sums over its parts are added up."""


class _Memory:
    """Loads and stores of numbers of one type, at an address and so many numbers further; tables hold int64."""

    def __init__(self, builder, dtype):
        self.builder, self.size, self.kind = builder, dtype.bitwidth // 8, scalar(dtype)
        self.lanes = VECTOR // self.size
        self.vector = ir.VectorType(self.kind, self.lanes)

    def _at(self, address, index, size):
        index = index if isinstance(index, ir.Value) else constant(index)
        return self.builder.add(address, self.builder.mul(index, constant(size)))

    def entry(self, table, index):
        return load(self.builder, self._at(table, index, 8), I64, 8)

    def number(self, address, index):
        alone = load(self.builder, self._at(address, index, self.size), self.kind, self.size)
        return spread(self.builder, self.vector, alone)

    def numbers(self, address, index):
        return load(self.builder, self._at(address, index, self.size), self.vector, self.size)

    def store(self, value, address, index):
        store(self.builder, value, self._at(address, index, self.size), self.size)


def _widths(part):
    """The widths of tiles, each half of the one before."""
    return [SUMS // part, *_widths(2 * part)] if part <= SUMS else []


def _for_each_tile(builder, width, height, sizes, emit):
    """Emits the code of every size of tile, and the choice between them."""
    emits = {SUMS * R + T: functools.partial(emit, T, R) for T, R in sizes}
    choose(builder, builder.add(builder.mul(height, constant(SUMS)), width), emits)


@njit(error_model="numpy")
def _width(left, part):
    """The first of the `_widths` that is no more than what is left."""
    width = SUMS // part
    while width > left:
        width //= 2
    return width


@intrinsic
def _weigh(typingctx, like, pixels, outputs, x, at, offsets, steps, w, b, y, to, row):
    """y[to[t] + r row] = b[r] + Σₖ w[k, r] x[at[t] + offsets[k]], for a tile of pixels t by outputs r.

    Arrays are given by their addresses and hold numbers of that array's type, the tables `at`, `offsets` and `to`
    int64. Everything in y and x is a vector; w is (steps, outputs).
    """

    def codegen(context, builder, signature, arguments):
        m = _Memory(builder, like.dtype)
        pixels, outputs, x, at, offsets, steps, w, b, y, to, row = arguments[1:]

        def emit(T, R):
            places = [m.entry(at, t) for t in range(T)]
            biases = [m.number(b, r) for r in range(R)]

            def add(k, sums):
                offset, step = m.entry(offsets, k), builder.mul(k, constant(R))
                seen = [m.numbers(x, builder.add(place, offset)) for place in places]
                after = []
                for r in range(R):
                    weight = m.number(w, builder.add(step, constant(r)))
                    after += [multiply_add(builder, weight, seen[t], sums[r * T + t]) for t in range(T)]
                return after

            sums = summed(builder, steps, [bias for bias in biases for _ in range(T)], add)
            for t in range(T):
                place = m.entry(to, t)
                for r in range(R):
                    m.store(sums[r * T + t], y, builder.add(place, builder.mul(row, constant(r))))

        _for_each_tile(builder, pixels, outputs, [(T, R) for R in HEIGHTS for T in _widths(R)], emit)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 11), codegen


@intrinsic
def _correlate(typingctx, like, columns, vectors, a, a_looks, b, at, b_looks, steps, sums):
    """sums[t, v] += Σₖ b[at[t] + b_looks[k]] a[a_looks[k], v], for a tile of columns t by vectors v of a.

    Arrays are given by their addresses and hold numbers of that array's type, the tables `at` and looks int64.
    """

    def codegen(context, builder, signature, arguments):
        m = _Memory(builder, like.dtype)
        columns, vectors, a, a_looks, b, at, b_looks, steps, sums = arguments[1:]

        def emit(T, V):
            places = [m.entry(at, t) for t in range(T)]

            def add(k, totals):
                start, offset = m.entry(a_looks, k), m.entry(b_looks, k)
                seen = [m.numbers(a, builder.add(start, constant(v * m.lanes))) for v in range(V)]
                after = []
                for t in range(T):
                    number = m.number(b, builder.add(places[t], offset))
                    after += [multiply_add(builder, number, seen[v], totals[t * V + v]) for v in range(V)]
                return after

            before = [m.numbers(sums, i * m.lanes) for i in range(T * V)]
            for i, total in enumerate(summed(builder, steps, before, add)):
                m.store(total, sums, i * m.lanes)

        _for_each_tile(builder, columns, vectors, [(T, V) for V in (2, 1) for T in _widths(3)], emit)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 9), codegen


@intrinsic
def _join(typingctx, like, y, parts, count, z):
    """z = Σ ± y[part] over `count` of the parts, at y + part or, with a minus, at y − 1 − part; all are addresses."""

    def codegen(context, builder, signature, arguments):
        m = _Memory(builder, like.dtype)
        y, parts, count, z = arguments[1:]

        def add(k, sums):
            part = m.entry(parts, k)
            minus = builder.icmp_signed("<", part, constant(0))
            seen = m.numbers(y, builder.select(minus, builder.sub(constant(-1), part), part))
            return [builder.select(minus, builder.fsub(sums[0], seen), builder.fadd(sums[0], seen))]

        m.store(summed(builder, count, [ir.Constant(m.vector, None)], add)[0], z, 0)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 4), codegen


@intrinsic
def _transpose(typingctx, like, source, row, target, places):
    """A square block, as many rows as a vector has lanes, written with rows and columns exchanged.

    The rows of the source are `row` numbers apart; column k of it goes to target + places[k]. All are addresses.
    """

    def codegen(context, builder, signature, arguments):
        m = _Memory(builder, like.dtype)
        source, row, target, places = arguments[1:]
        block = [m.numbers(source, builder.mul(row, constant(j))) for j in range(m.lanes)]
        for k, column in enumerate(transposed(builder, block)):
            m.store(column, target, m.entry(places, k))
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 4), codegen


@njit(error_model="numpy")
def _copy(source, target):
    """What target[: len(source)] = source does; numba takes seconds to compile that."""
    for n in range(len(source)):
        for i in range(source.shape[1]):
            target[n, i] = source[n, i]


@njit(error_model="numpy")
def _to_lanes(x, n, places, X, first):
    """Images n, n + 1, … of x (N, D), a lane each, into X: number i of an image goes to first + places[i]."""
    lanes = VECTOR // x.itemsize
    N, D = x.shape
    if lanes > D:
        for lane in range(lanes):
            for i in range(D):
                X[first + places[i] + lane] = x[n + lane, i] if n + lane < N else 0
        return
    images = x[n : n + lanes]
    if n + lanes > N:  # the lanes that are left over are zero
        images = np.zeros((lanes, D), x.dtype)
        _copy(x[n:N], images)
    for i in range(0, D, lanes):
        i = min(i, D - lanes)  # the last square may overlap the one before
        source, target = images.ctypes.data + i * x.itemsize, X.ctypes.data + first * x.itemsize
        _transpose(images, source, D, target, places.ctypes.data + 8 * i)


@njit(error_model="numpy")
def _from_lanes(Y, y, n, across):
    """The numbers of Y (D, lanes) back into images n, n + 1, … of y (N, D); `across` is 0, D, 2 D, …."""
    lanes = VECTOR // y.itemsize
    N, D = y.shape
    if lanes > D:
        for lane in range(min(lanes, N - n)):
            for i in range(D):
                y[n + lane, i] = Y[i * lanes + lane]
        return
    images = np.empty((lanes, D), y.dtype) if n + lanes > N else y[n : n + lanes]
    for i in range(0, D, lanes):
        i = min(i, D - lanes)
        target = images.ctypes.data + i * y.itemsize
        _transpose(images, Y.ctypes.data + i * lanes * y.itemsize, lanes, target, across.ctypes.data)
    if n + lanes > N:
        _copy(images[: N - n], y[n:])


@njit(error_model="numpy")
def _followed_by_differences(X, size, steps):
    """Whatever stands in X is followed by its differences, once along each axis that saves products."""
    for step in steps:
        first, second, difference = X[: size - step], X[step:size], X[size : 2 * size - step]
        for i in range(size - step):
            difference[i] = first[i] - second[i]
        size *= 2


@kernel("vVniii")
def _arrange(W, w, across, order, phases, heights, first, last):
    """The weights in the order in which tiles use them, for groups of outputs from first to last."""
    channels = heights[-1]
    for phase in range(0, len(phases) - 4, 4):
        look, taken = phases[phase + 1], phases[phase + 2]
        K = phases[phase + 5] - look
        added = (phases[phase + 6] - taken) // max(1, K)
        for group in range(first, last):
            m, outputs = heights[group], heights[group + 1] - heights[group]
            for k in range(K):
                step = channels * look + m * K + k * outputs
                for r in range(outputs):
                    w[step + r] = 0
                for i in order[taken + k * added : taken + (k + 1) * added]:
                    for r in range(outputs):
                        w[step + r] += W[(m + r) * across + i]


@kernel("mvvMiniiiiiii")
def _weigh_blocks(x, w, b, y, places, size, at, to, offsets, phases, steps, parts, heights, first, last):
    """y = b + Σ W x, for images x (N, D) and y (N, …) by their `Tables`: blocks of images from first to last."""
    channels, lanes, number = len(b), VECTOR // x.itemsize, x.itemsize
    row, pixels, groups = len(to) * lanes, y.shape[1] // channels, len(heights) - 1
    zeros, across = np.zeros_like(b), np.arange(lanes) * y.shape[1]
    wide = SUMS // heights[1]  # pixels at a time, which the outputs below each other find in the cache
    X, Y = aligned_vector((size << len(steps)) * lanes, x), aligned_vector(channels * row, x)
    Z = aligned_vector(y.shape[1] * lanes, x) if len(parts) else Y
    at_x, at_y, at_w = X.ctypes.data, Y.ctypes.data, w.ctypes.data
    if size > len(places):  # there is padding
        X[: size * lanes] = 0
    for block in range(first, last):
        _to_lanes(x, block * lanes, places, X, 0)
        _followed_by_differences(X, size * lanes, steps)
        for phase in range(0, len(phases) - 4, 4):
            end_of_phase, look = phases[phase + 4], phases[phase + 1]
            looks = phases[phase + 5] - look
            biases = b.ctypes.data if phases[phase + 3] else zeros.ctypes.data
            for begin in range(phases[phase], end_of_phase, wide):
                for group in range(groups):
                    m, outputs = heights[group], heights[group + 1] - heights[group]
                    weights = at_w + (channels * look + m * looks) * number
                    pixel, end = begin, min(begin + wide, end_of_phase)
                    while pixel < end:
                        width = _width(end - pixel, outputs)
                        _weigh(
                            x, width, outputs, at_x, at.ctypes.data + 8 * pixel, offsets.ctypes.data + 8 * look, looks,
                            weights, biases + m * number, at_y + m * row * number, to.ctypes.data + 8 * pixel, row,
                        )  # fmt: skip
                        pixel += width
        if len(parts):
            count = len(parts) // pixels
            for m in range(channels):
                for pixel in range(pixels):
                    z = Z.ctypes.data + (m * pixels + pixel) * lanes * number
                    _join(x, at_y + m * row * number, parts.ctypes.data + 8 * pixel * count, count, z)
        _from_lanes(Z, y, block * lanes, across)
    X[0] = Y[0] = zeros[0]  # alive until here: an address alone does not keep an array


@njit(error_model="numpy")
def _of_pairs(sizes):
    """What all three kernels of a weight gradient need to know: N, width, wide, of_a, of_b, parts, strips, taps."""
    return sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7]


@kernel("mmVViii")
def _spread_pairs(a, b, A, B, sizes, a_places, b_places, first, last):
    """Images from first to last: the channels of a into lanes, strip by strip, the numbers of b into their places."""
    N, width, wide, of_a, of_b, _, strips, _ = _of_pairs(sizes)
    for n in range(first, last):
        for strip in range(strips):
            begin = (strip * N + n) * of_a
            if of_a > len(a_places) * wide:  # there is padding
                A[begin : begin + of_a] = 0
            for m in range(0, wide, VECTOR // a.itemsize):  # beyond the last channel comes what nobody looks at
                _to_lanes(a, n * width + strip * wide + m, a_places, A, begin + m)
        if of_b > len(b_places):
            B[n * of_b : (n + 1) * of_b] = 0
        for i in range(len(b_places)):
            B[n * of_b + b_places[i]] = b[n, i]


@kernel("vvViiiii")
def _correlate_pairs(A, B, sums, sizes, a_offsets, a_looks, b_looks, at, first, last):
    """Items from first to last: the sum over a part of the batch, for a strip of channels of a and some columns."""
    N, _, wide, of_a, of_b, parts, strips, taps = _of_pairs(sizes)
    number, pixels = A.itemsize, len(a_looks)
    run = max(1, STEPS // pixels)  # images at a time
    a_run, b_run = np.empty(run * pixels, np.int64), np.empty(run * pixels, np.int64)
    for n in range(run):
        for k in range(pixels):
            a_run[n * pixels + k], b_run[n * pixels + k] = n * of_a + a_looks[k], n * of_b + b_looks[k]
    of_part = strips * taps * len(at) * wide
    for item in range(first, last):
        part, strip, left = item % parts, item // parts % strips, item // parts // strips * COLUMNS
        right, after = min(left + COLUMNS, len(at)), (part + 1) * N // parts
        begin = part * of_part + strip * taps * len(at) * wide
        for tap in range(taps):
            sums[begin + (tap * len(at) + left) * wide : begin + (tap * len(at) + right) * wide] = 0
        for n in range(part * N // parts, after, run):
            of_image = B.ctypes.data + n * of_b * number
            image, steps = A.ctypes.data + (strip * N + n) * of_a * number, min(run, after - n) * pixels
            pieces = (steps + STEPS - 1) // STEPS
            for piece in range(pieces):
                k, end = piece * steps // pieces, (piece + 1) * steps // pieces
                for tap in range(taps):
                    column = left
                    while column < right:
                        columns = _width(right - column, 3)
                        _correlate(
                            A, columns, wide * number // VECTOR,
                            image + a_offsets[tap] * number, a_run.ctypes.data + 8 * k,
                            of_image, at.ctypes.data + 8 * column, b_run.ctypes.data + 8 * k, end - k,
                            sums.ctypes.data + (begin + (tap * len(at) + column) * wide) * number,
                        )  # fmt: skip
                        column += columns
    a_run[0] = b_run[0] = 0  # alive until here: an address alone does not keep an array


@kernel("vViin")
def _collect_pairs(sums, dw, sizes, to, across, first, last):
    """The weights' gradient for channels of a from first to last: the sums over the parts of the batch."""
    _, _, wide, _, _, parts, strips, taps = _of_pairs(sizes)
    of_part = strips * taps * len(to) * wide
    for channel in range(first, last):
        begin = channel // wide * taps * len(to) * wide + channel % wide
        for tap in range(taps):
            for column in range(len(to)):
                total = sums[begin + (tap * len(to) + column) * wide]
                for part in range(1, parts):
                    total += sums[part * of_part + begin + (tap * len(to) + column) * wide]
                dw[channel * across + to[column] + tap] = total


# ---- the kernels


def _weighed(x: Array, W: Array, b: Any, shape: tuple[int, ...], tables: "Tables") -> Array:
    y, channels = empty((len(x), *shape), W.dtype), shape[0]
    places, size, at, to, offsets, phases, steps, parts, order, across, heights = tables
    w = np.empty(channels * len(offsets), W.dtype)
    _arrange(len(heights) - 1, len(order) * channels, vector(W), w, across, order, phases, heights)
    work = len(x) * len(at) * len(offsets) * channels / 80 / max(1, len(phases) // 4 - 1)
    lanes = VECTOR // W.itemsize
    _weigh_blocks(
        -(-len(x) // lanes), work, rows(x), w, per_channel(b, channels, W.dtype), rows(y),
        places, size, at, to, offsets, phases, steps, parts, heights,
    )  # fmt: skip
    return y


def conv2d(x, W, b, stride, padding):
    (M, C, *kernel), shape = W.shape, x.shape[2:]
    tables = forward(shape, C, M, tuple(kernel), stride, padding, VECTOR // W.itemsize)
    size = [(length + 2 * p - k) // s + 1 for length, k, s, p in zip(shape, kernel, stride, padding, strict=True)]
    return _weighed(x, W, b, (M, *size), tables)


def conv2d_transpose(y, W, b, stride, padding, size):
    if math.prod(stride) > MOST_PHASES:
        return loops.conv2d_transpose(y, W, b, stride, padding, size)
    M, C, *kernel = W.shape
    tables = adjoint(size, C, M, tuple(kernel), stride, padding, VECTOR // W.itemsize)
    return _weighed(y, W, b, (C, *size), tables)


def add_conv2d_weights(dW, x, dy, stride, padding):
    M, C, *kernel = dW.shape
    found = pairs(x.shape[2:], C, M, tuple(kernel), stride, padding, VECTOR // dW.itemsize)
    a, b = (dy, x) if M >= C else (x, dy)
    a, b, N, wide = np.ascontiguousarray(a).reshape(-1, math.prod(a.shape[2:])), rows(b), len(x), found.wide
    strips, taps, chunks = -(-found.width // wide), len(found.a_offsets), -(-len(found.at) // COLUMNS)
    parts = PARTS if strips * chunks < FEW else 1
    sizes = np.array([N, found.width, wide, found.of_a, found.of_b, parts, strips, taps], np.int64)
    A, B = empty((strips * N * found.of_a,), dW.dtype), empty((N * found.of_b,), dW.dtype)
    sums, dw = empty((parts * strips * taps * len(found.at) * wide,), dW.dtype), np.empty(dW.size, dW.dtype)
    _spread_pairs(N, (A.size + B.size) / 4, a, b, A, B, sizes, found.a_places, found.b_places)
    work = dW.size * N * len(found.a_looks) / 80
    _correlate_pairs(
        parts * strips * chunks, work, A, B, sums, sizes, found.a_offsets, found.a_looks, found.b_looks, found.at
    )
    _collect_pairs(found.width, sums.size, sums, dw, sizes, found.to, found.across)
    dW += dw.reshape(dW.shape)


# ---- the tables


class Tables(NamedTuple):
    """Where a convolution, or its adjoint, looks. Places are counted in numbers of a block of images.

    Attributes
    ----------
    places : (D,)
        Where each number of an image goes; what nothing goes to is the padding.
    size : int
        Vectors in a block, with its padding.
    at, to : (T,)
        For each pixel of a channel that comes out: where step k = 0 looks, up to `offsets`, and where it goes.
    offsets : (K,)
        How much further step k looks.
    phases : (4 F + 4,)
        The pixels come in F phases, each with steps of its own: where each begins in `at`, in `offsets` and in
        `order`, and whether the bias is added; and where the last one ends.
    steps : (0,), (1,) or (2,)
        How far apart the pixels are whose differences are taken, for each axis that saves products.
    parts : (0,), (2 · pixels,) or (4 · pixels,)
        If products are saved: which pixels of the phases add up to one of y; −1 − part is subtracted.
    order : (K,) or more
        Which weights of channel 0, as many for each step of a phase, add up to the one of that step.
    across : int
        How much further the weights of the next channel lie.
    heights : (G + 1,)
        The channels come in groups, each as many as a tile is high: where each begins, and where the last one ends.
    """

    places: Array
    size: int
    at: Array
    to: Array
    offsets: Array
    phases: Array
    steps: Array
    parts: Array
    order: Array
    across: int
    heights: Array


class _Way(NamedTuple):
    """Some sums along one axis: number t, Σ weight k · x[at[t] + offsets[k]], is a part of the outputs parts[t]."""

    at: Array
    offsets: Array
    weights: list[Array]  # one or two in the kernel for each k, which are added
    parts: list[Array]
    of_differences: bool = False
    minus: bool = False


class _Axis(NamedTuple):
    """One of the two axes of an image."""

    places: Array  # where each pixel goes
    length: int  # with its padding
    step: int  # from what one output sees to what the next one sees
    phases: list[list[_Way]]
    outputs: int
    saves: bool


def _forward(length: int, kernel: int, stride: int, padding: int) -> _Axis:
    """y[p] = Σ W[i] x̃[s p + i]."""
    P = (length + 2 * padding - kernel) // stride + 1
    saves = kernel == 2 * stride and P > 1
    i = np.arange(kernel)
    ways = _ways(np.arange(P), stride * np.arange(P), i, i, saves)
    return _Axis(np.arange(length) + padding, length + 2 * padding, stride, [ways], P, saves)


def _adjoint(length: int, kernel: int, stride: int, padding: int) -> _Axis:
    """x[u] = Σ W[i] y[(u + padding − i) / s], where that is whole.

    So i has the remainder of u + padding by s, and the pixels of one remainder are a phase. With u + padding = s p + a
    and i = s l + a, pixel u looks at p − l.
    """
    P = (length + 2 * padding - kernel) // stride + 1
    before = (kernel - 1) // stride  # the farthest look back
    saves = kernel == 2 * stride and length > stride
    phases = []
    for a in range(stride):
        u = np.arange((a - padding) % stride, length, stride)
        i = np.arange(a, kernel, stride)[::-1]
        phases.append(_ways(u, (u + padding) // stride + before, -(i // stride), i, saves))
    reached = (length - 1 + padding) // stride + 1
    return _Axis(np.arange(P) + before, before + max(P, reached), 1, phases, length, saves)


def _ways(outputs: Array, at: Array, offsets: Array, weights: Array, saves: bool) -> list[_Way]:
    """The sums Σ weight k · x[at[t] + offsets[k]]; two at a time, if one sees first what the one before sees last.

    Of a pair with d₀ d₁ before the first output, d₁ d₂ before the second, and weights g₀ g₁:
    d₀ g₀ + d₁ g₁ = (d₀ − d₁) g₀ + d₁ (g₀ + g₁) and d₁ g₀ + d₂ g₁ = d₁ (g₀ + g₁) − (d₁ − d₂) g₁: three products for
    four.
    Winograd, Arithmetic Complexity of Computations, 1980.
    """
    alone = [outputs[t : t + 1] for t in range(len(at))]
    if not saves:
        return [_Way(at, offsets, [weights], alone)]
    half = len(offsets) // 2
    pairs = [outputs[t : t + 2] for t in range(0, len(at), 2)]
    return [
        _Way(at[::2], offsets[:half], [weights[:half]], alone[::2], of_differences=True),
        _Way(at[::2], offsets[half:], [weights[:half], weights[half:]], pairs),
        _Way(at[1::2], offsets[:half], [weights[half:]], alone[1::2], of_differences=True, minus=True),
    ]


@functools.lru_cache(maxsize=256)
def forward(shape, C, M, kernel, stride, padding, lanes) -> Tables:
    """The tables of y[m, p, q] = Σ W[m, c, i, j] x̃[c, s p + i, s q + j]."""
    rows, columns = (_forward(*axis) for axis in zip(shape, kernel, stride, padding, strict=True))
    W = np.arange(C * math.prod(kernel)).reshape(C, *kernel)
    return _tables(rows, columns, W, M, W.size, lanes)


@functools.lru_cache(maxsize=256)
def adjoint(shape, C, M, kernel, stride, padding, lanes) -> Tables:
    """The tables of x[c, u, v] = Σ W[m, c, i, j] y[m, (u + padding − i) / s, (v + padding − j) / s]."""
    rows, columns = (_adjoint(*axis) for axis in zip(shape, kernel, stride, padding, strict=True))
    W = np.arange(M * C * math.prod(kernel)).reshape(M, C, *kernel)[:, 0]
    return _tables(rows, columns, W, C, math.prod(kernel), lanes)


def _tables(rows: _Axis, columns: _Axis, W: Array, outputs: int, across: int, lanes: int) -> Tables:
    """The tables of an image from those of its axes; W (channels, kh, kw) says where each weight of output 0 is."""
    channels, plane = len(W), rows.length * columns.length
    right = channels | 1  # from one pixel to the next; odd, or they would fall upon each other in the cache
    down, size = right * columns.length, plane * right
    at, offsets, order, phases = [], [], [], []
    parts: list[list[int]] = [[] for _ in range(rows.outputs * columns.outputs)]
    pixels = looks = weights = 0
    for row, column in ((r, c) for of_r in rows.phases for of_c in columns.phases for r in of_r for c in of_c):
        phases += [pixels, looks, weights, not (row.of_differences or column.of_differences)]
        differences = size * (row.of_differences + (1 + rows.saves) * column.of_differences)
        for t, (u, v) in enumerate((u, v) for u in row.parts for v in column.parts):
            for output in _grid(u * columns.outputs, v):
                parts[output].append(-1 - (pixels + t) * lanes if row.minus != column.minus else (pixels + t) * lanes)
        at.append(differences + _grid(row.at * down, column.at * right))
        offsets.append(_grid(row.offsets * down, column.offsets * right, np.arange(channels)))
        added = [W[:, i][..., j].transpose(1, 2, 0).ravel() for i in row.weights for j in column.weights]
        order.append(np.stack(added, axis=1).ravel())
        pixels, looks, weights = pixels + at[-1].size, looks + offsets[-1].size, weights + order[-1].size
    phases += [pixels, looks, weights, False]
    joined = rows.saves or columns.saves
    return Tables(
        _grid(np.arange(channels), rows.places * down, columns.places * right) * lanes,
        size,
        np.concatenate(at) * lanes,
        np.arange(pixels) * lanes if joined else np.argsort(np.concatenate(parts)) * lanes,
        np.concatenate(offsets) * lanes,
        np.array(phases, np.int64),
        np.array([a.step * way for a, way in ((rows, down), (columns, right)) if a.saves], np.int64) * lanes,
        np.concatenate(parts) if joined else np.array([], np.int64),
        np.concatenate(order),
        across,
        _heights(outputs),
    )


def _heights(outputs: int) -> Array:
    """Where each group of outputs begins, and where the last one ends."""
    heights = [0]
    while heights[-1] < outputs:
        heights.append(heights[-1] + next(height for height in HEIGHTS if height <= outputs - heights[-1]))
    return np.array(heights)


class Pairs(NamedTuple):
    """Which numbers of x and dy meet in a weight gradient. One of the two, a, has its channels in lanes, the other, b,
    has each number in all lanes. Places are counted in numbers.

    Attributes
    ----------
    width, wide : int
        Channels of a, and how many of them lie side by side: those of a strip, which is one or two vectors wide.
    a_places : (pixels of a,)
        Where each pixel of an image of a goes; what nothing goes to is the padding.
    of_a, of_b : int
        Numbers of an image, with its padding; in a, of a strip of it.
    b_places : (D,)
        Where each number of an image of b goes.
    a_offsets : (1,) or (taps,)
        How much further in a another tap looks.
    a_looks, b_looks : (pixels of dy,)
        Where each step of the sum looks.
    at, to : (columns,)
        How much further in b a column of sums looks, and where it goes.
    across : int
        How much further that of the next channel of a goes.
    """

    width: int
    wide: int
    a_places: Array
    of_a: int
    b_places: Array
    of_b: int
    a_offsets: Array
    a_looks: Array
    b_looks: Array
    at: Array
    to: Array
    across: int


@functools.lru_cache(maxsize=256)
def pairs(shape, C, M, kernel, stride, padding, lanes) -> Pairs:
    """The tables of dW[m, c, i, j] = Σ dy[m, p, q] x̃[c, s p + i, s q + j]; the lanes are for whichever has more."""
    (H, B), (top, left) = shape, padding
    down, plane = B + 2 * left, (H + 2 * top) * (B + 2 * left)
    P, Q = ((length + 2 * a - k) // s + 1 for length, k, s, a in zip(shape, kernel, stride, padding, strict=True))
    inside = _grid((np.arange(H) + top) * down, np.arange(B) + left)
    seen = _grid(np.arange(P) * stride[0] * down, np.arange(Q) * stride[1])
    taps, pixels = _grid(np.arange(kernel[0]) * down, np.arange(kernel[1])), np.arange(P * Q)
    channels, outputs = np.arange(C), np.arange(M)
    strip = lanes if max(C, M) <= lanes else 2 * lanes
    if M >= C:  # a is dy
        places, at = _grid(channels * plane, inside), _grid(channels * plane, taps)
        of_a, of_b, looks = P * Q * strip, C * plane, (pixels * strip, seen)
        to = np.arange(at.size)
        return Pairs(M, strip, pixels * strip, of_a, places, of_b, np.zeros(1, int), *looks, at, to, at.size)
    of_a, of_b, looks = plane * strip, M * P * Q, (seen * strip, pixels)
    at, to = outputs * P * Q, outputs * C * taps.size
    return Pairs(C, strip, inside * strip, of_a, np.arange(of_b), of_b, taps * strip, *looks, at, to, taps.size)


def _grid(*axes: Array) -> Array:
    """The sum of one number of each axis, for each choice, the last axis fastest."""
    return functools.reduce(np.add.outer, axes).ravel()
