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
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from scratchnet.kernels.vectors import (
    SUMS,
    VECTOR,
    address,
    choose,
    constant,
    multiply_add,
    scalar,
    spread,
    summed,
    transposed,
)
from scratchnet.types import Array

HEIGHTS = (8, 4, 1) if SUMS == 24 else (4, 1)
"""Outputs of a tile. It is SUMS // outputs wide, or, at an edge, half of that, or half of the half."""

STEPS, COLUMNS = 160, 96
"""Pixels and columns at a time in a weight gradient, so that what its tiles share stays in the first-level cache."""

FEW, PARTS = 16, 4
"""With so few shares of a weight gradient the batch is cut too, and the sums over its parts are added up."""


def count(x: Array) -> int:
    """Lanes of a vector of such numbers."""
    return VECTOR // x.itemsize


class _Memory:
    """The arrays of an intrinsic's arguments, as places to load from and store to, counted in numbers."""

    def __init__(self, context, builder, signature, arguments, dtype):
        self.builder, self.dtype = builder, dtype
        self.size = dtype.bitwidth // 8
        self.kind = scalar(dtype)
        self.lanes = VECTOR // self.size
        self.vector = ir.VectorType(self.kind, self.lanes)
        self.values = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]

    def pointer(self, array, index, kind):
        return self.builder.bitcast(self.builder.gep(array, [index]), kind.as_pointer())

    def load(self, array, index):
        return self.builder.load(self.builder.gep(array, [index]))

    def load_vector(self, array, index):
        loaded = self.builder.load(self.pointer(array, index, self.vector))
        loaded.align = self.size
        return loaded

    def store_vector(self, value, array, index):
        stored = self.builder.store(value, self.pointer(array, index, self.vector))
        stored.align = self.size


def _plus(builder, base, *numbers):
    for number in numbers:
        base = builder.add(base, number if isinstance(number, ir.Value) else constant(number))
    return base


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
def _weigh(typingctx, pixels, outputs, x, at, first, offsets, steps, w, w_first, b, b_first, y, to, y_first, row):
    """y[to[t] + r row] = b[r] + Σₖ w[k, r] x[at[t] + offsets[k]], for a tile of pixels t by outputs r.

    Everything in y and x is a vector. The tile's share of each array begins at its `first`: the pixels of `at` and
    `to`, the weights (steps, outputs), the biases, and the outputs of y, which are `row` apart.
    """

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, x.dtype)
        pixels, outputs, x_, at, first, offsets, steps, w, w_first, b, b_first, y, to, y_first, row = m.values

        def emit(T, R):
            places = [m.load(at, _plus(builder, first, t)) for t in range(T)]
            biases = [spread(builder, m.vector, m.load(b, _plus(builder, b_first, r))) for r in range(R)]

            def add(k, sums):
                offset = m.load(offsets, k)
                step = _plus(builder, w_first, builder.mul(k, constant(R)))
                seen = [m.load_vector(x_, _plus(builder, place, offset)) for place in places]
                after = []
                for r in range(R):
                    weight = spread(builder, m.vector, m.load(w, _plus(builder, step, r)))
                    after += [multiply_add(builder, weight, seen[t], sums[r * T + t]) for t in range(T)]
                return after

            sums = summed(builder, steps, [bias for bias in biases for _ in range(T)], add)
            for t in range(T):
                place = _plus(builder, y_first, m.load(to, _plus(builder, first, t)))
                for r in range(R):
                    m.store_vector(sums[r * T + t], y, _plus(builder, place, builder.mul(row, constant(r))))

        _for_each_tile(builder, pixels, outputs, [(T, R) for R in HEIGHTS for T in _widths(R)], emit)
        return context.get_dummy_value()

    return types.void(
        pixels, outputs, x, at, first, offsets, steps, w, w_first, b, b_first, y, to, y_first, row
    ), codegen


@intrinsic
def _correlate(
    typingctx, columns, vectors, a, a_first, a_looks, b, b_first, at, first, b_looks, k_first, steps, sums, sums_first
):
    """sums[t, v] += Σₖ b[at[t] + b_looks[k]] a[a_looks[k], v], for a tile of columns t by vectors v of a."""

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, a.dtype)
        columns, vectors, a_, a_first, a_looks, b_, b_first, at, first, b_looks, k_first, steps, sums, sums_first = (
            m.values
        )

        def emit(T, V):
            places = [_plus(builder, b_first, m.load(at, _plus(builder, first, t))) for t in range(T)]
            tile = [_plus(builder, sums_first, i * m.lanes) for i in range(T * V)]

            def add(k, totals):
                k = builder.add(k_first, k)
                start, offset = builder.add(a_first, m.load(a_looks, k)), m.load(b_looks, k)
                seen = [m.load_vector(a_, _plus(builder, start, v * m.lanes)) for v in range(V)]
                after = []
                for t in range(T):
                    number = spread(builder, m.vector, m.load(b_, _plus(builder, places[t], offset)))
                    after += [multiply_add(builder, number, seen[v], totals[t * V + v]) for v in range(V)]
                return after

            totals = summed(builder, steps, [m.load_vector(sums, i) for i in tile], add)
            for i, total in zip(tile, totals, strict=True):
                m.store_vector(total, sums, i)

        _for_each_tile(builder, columns, vectors, [(T, V) for V in (2, 1) for T in _widths(3)], emit)
        return context.get_dummy_value()

    arguments = columns, vectors, a, a_first, a_looks, b, b_first, at, first, b_looks, k_first, steps, sums, sums_first
    return types.void(*arguments), codegen


@intrinsic
def _join(typingctx, y, y_first, parts, first, count, z, z_first):
    """z = Σ ± y[part] over `count` of the parts, at y_first + part or, with a minus, at y_first − 1 − part."""

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, y.dtype)
        y_, y_first, parts, first, count, z, z_first = m.values
        zero = ir.Constant(m.vector, None)

        def add(k, sums):
            part = m.load(parts, builder.add(first, k))
            minus = builder.icmp_signed("<", part, constant(0))
            place = builder.select(minus, builder.sub(constant(-1), part), part)
            vector = m.load_vector(y_, builder.add(y_first, place))
            return [builder.select(minus, builder.fsub(sums[0], vector), builder.fadd(sums[0], vector))]

        m.store_vector(summed(builder, count, [zero], add)[0], z, z_first)
        return context.get_dummy_value()

    return types.void(y, y_first, parts, first, count, z, z_first), codegen


@intrinsic
def _turn(typingctx, source, rows, rows_first, source_first, target, places, places_first, target_first):
    """A square block, as many rows as a vector has lanes, written with rows and columns exchanged.

    Row j begins in the source at rows[rows_first + j] + source_first, what was column k in the target at
    places[places_first + k] + target_first.
    """

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, source.dtype)
        source_, rows, rows_first, source_first, target, places, places_first, target_first = m.values

        def place(table, table_first, k, first):
            return _plus(builder, first, m.load(table, _plus(builder, table_first, k)))

        block = [m.load_vector(source_, place(rows, rows_first, j, source_first)) for j in range(m.lanes)]
        for k, turned in enumerate(transposed(builder, block)):
            m.store_vector(turned, target, place(places, places_first, k, target_first))
        return context.get_dummy_value()

    return types.void(source, rows, rows_first, source_first, target, places, places_first, target_first), codegen


@njit(error_model="numpy")
def _vectors(size, like):
    """Memory for so many numbers, beginning where a vector does."""
    memory = np.empty(size + VECTOR // like.itemsize, like.dtype)
    first = -address(memory) % VECTOR // like.itemsize
    return memory[first : first + size]


@njit(error_model="numpy")
def _copy_rows(source, n, target, m, count):
    """What target[m:] = source[n:] does, for so many rows; numba takes seconds to compile that."""
    for row in range(count):
        for i in range(source.shape[1]):
            target[m + row, i] = source[n + row, i]


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
    source = x[n : n + lanes]
    if n + lanes > N:  # the lanes that are left over are zero
        source = np.zeros((lanes, D), x.dtype)
        _copy_rows(x, n, source, 0, N - n)
    rows = np.arange(lanes) * D
    for i in range(0, D, lanes):
        i = min(i, D - lanes)  # the last square may overlap the one before
        _turn(source, rows, 0, i, X, places, i, first)


@njit(error_model="numpy")
def _from_lanes(Y, y, n):
    """The numbers of Y (D, lanes) back into images n, n + 1, … of y (N, D)."""
    lanes = VECTOR // y.itemsize
    N, D = y.shape
    if lanes > D:
        for lane in range(min(lanes, N - n)):
            for i in range(D):
                y[n + lane, i] = Y[i * lanes + lane]
        return
    short = n + lanes > N
    target = np.empty((lanes, D), y.dtype) if short else y[n : n + lanes]
    vectors, rows = np.arange(lanes) * lanes, np.arange(lanes) * D
    for i in range(0, D, lanes):
        i = min(i, D - lanes)
        _turn(Y, vectors, 0, i * lanes, target, rows, 0, i)
    if short:
        _copy_rows(target, 0, y, n, N - n)


@njit(error_model="numpy")
def _followed_by_differences(X, size, steps):
    """Whatever stands in X is followed by its differences, once along each axis that saves products."""
    for step in steps:
        first, second, difference = X[: size - step], X[step:size], X[size : 2 * size - step]
        for i in range(size - step):
            difference[i] = first[i] - second[i]
        size *= 2


def weigh(
    x, W, b, y, places, size, at, to, offsets, phases, steps, parts, order, across, heights, threads
):  # pragma: no cover  (runs as machine code)
    """y = b + Σ W x, for images x (N, D) and y (N, …), by its `Tables`."""
    N, channels, lanes = len(x), len(b), VECTOR // x.itemsize
    blocks, groups = (N + lanes - 1) // lanes, len(heights) - 1
    shares = min(threads, blocks)
    row, pixels = len(to) * lanes, y.shape[1] // channels
    zeros, w = np.zeros_like(b), np.zeros(channels * len(offsets), x.dtype)
    for share in prange(threads):
        for phase in range(0, len(phases) - 4, 4):
            look, taken = phases[phase + 1], phases[phase + 2]
            K = phases[phase + 5] - look
            added = (phases[phase + 6] - taken) // max(1, K)
            for group in range(share * groups // threads, (share + 1) * groups // threads):
                m, outputs = heights[group], heights[group + 1] - heights[group]
                for k in range(K):
                    step = channels * look + m * K + k * outputs
                    for i in order[taken + k * added : taken + (k + 1) * added]:
                        for r in range(outputs):
                            w[step + r] += W[(m + r) * across + i]
    wide = SUMS // heights[1]  # pixels at a time, which the outputs below each other find in the cache
    for share in prange(shares):
        X, Y = _vectors((size << len(steps)) * lanes, x), _vectors(channels * row, x)
        Z = _vectors(y.shape[1] * lanes, x) if len(parts) else Y
        if size > len(places):  # there is padding
            X[: size * lanes] = 0
        for block in range(share * blocks // shares, (share + 1) * blocks // shares):
            _to_lanes(x, block * lanes, places, X, 0)
            _followed_by_differences(X, size * lanes, steps)
            for phase in range(0, len(phases) - 4, 4):
                last, look = phases[phase + 4], phases[phase + 1]
                looks = offsets[look : phases[phase + 5]]
                biases = b if phases[phase + 3] else zeros
                for first in range(phases[phase], last, wide):
                    for group in range(groups):
                        m, outputs = heights[group], heights[group + 1] - heights[group]
                        weights = channels * look + m * len(looks)
                        pixel, end = first, min(first + wide, last)
                        while pixel < end:
                            width = _width(end - pixel, outputs)
                            _weigh(
                                width, outputs, X, at, pixel, looks, len(looks),
                                w, weights, biases, m, Y, to, m * row, row,
                            )  # fmt: skip
                            pixel += width
            if len(parts):
                count = len(parts) // pixels
                for m in range(channels):
                    for pixel in range(pixels):
                        _join(Y, m * row, parts, pixel * count, count, Z, (m * pixels + pixel) * lanes)
            _from_lanes(Z, y, block * lanes)


def correlate(
    a, b, dw, width, wide, a_places, of_a, b_places, of_b, a_offsets, a_looks, b_looks, at, to, across, threads
):  # pragma: no cover  (runs as machine code)
    """dw = Σ a b over images and pixels, for a (N · width, pixels), b (N, D) and all of dw in a row, by `Pairs`."""
    N, pixels, lanes = len(b), len(a_looks), VECTOR // a.itemsize
    vectors, taps, strips = wide // lanes, len(a_offsets), (width + wide - 1) // wide
    A, B = _vectors(strips * N * of_a, a), _vectors(N * of_b, a)
    for share in prange(threads):
        for n in range(share * N // threads, (share + 1) * N // threads):
            for strip in range(strips):
                first = (strip * N + n) * of_a
                if of_a > len(a_places) * wide:  # there is padding
                    A[first : first + of_a] = 0
                for m in range(0, wide, lanes):  # beyond the last channel comes what nobody looks at
                    _to_lanes(a, n * width + strip * wide + m, a_places, A, first + m)
            if of_b > len(b_places):
                B[n * of_b : (n + 1) * of_b] = 0
            for i in range(len(b_places)):
                B[n * of_b + b_places[i]] = b[n, i]
    run = max(1, STEPS // pixels)  # images at a time
    a_run, b_run = np.empty(run * pixels, np.int64), np.empty(run * pixels, np.int64)
    for n in range(run):
        for k in range(pixels):
            a_run[n * pixels + k], b_run[n * pixels + k] = n * of_a + a_looks[k], n * of_b + b_looks[k]
    chunks, of_part = (len(at) + COLUMNS - 1) // COLUMNS, strips * taps * len(at) * wide
    parts = PARTS if strips * chunks < FEW else 1
    sums = _vectors(parts * of_part, a)
    for item in prange(parts * strips * chunks):
        part, strip, first = item % parts, item // parts % strips, item // parts // strips * COLUMNS
        last, after = min(first + COLUMNS, len(at)), (part + 1) * N // parts
        begin = part * of_part + strip * taps * len(at) * wide
        for tap in range(taps):
            sums[begin + (tap * len(at) + first) * wide : begin + (tap * len(at) + last) * wide] = 0
        for n in range(part * N // parts, after, run):
            image, steps = (strip * N + n) * of_a, min(run, after - n) * pixels
            pieces = (steps + STEPS - 1) // STEPS
            for piece in range(pieces):
                k, end = piece * steps // pieces, (piece + 1) * steps // pieces
                for tap in range(taps):
                    column = first
                    while column < last:
                        columns = _width(last - column, 3)
                        _correlate(
                            columns, vectors, A, image + a_offsets[tap], a_run, B, n * of_b, at, column,
                            b_run, k, end - k, sums, begin + (tap * len(at) + column) * wide,
                        )  # fmt: skip
                        column += columns
    for channel in prange(width):
        begin = channel // wide * taps * len(at) * wide + channel % wide
        for tap in range(taps):
            for column in range(len(at)):
                total = sums[begin + (tap * len(at) + column) * wide]
                for part in range(1, parts):
                    total += sums[part * of_part + begin + (tap * len(at) + column) * wide]
                dw[channel * across + to[column] + tap] = total


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
