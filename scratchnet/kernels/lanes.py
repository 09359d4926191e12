"""Convolution with an image in each lane of a vector register.

A vector of floats holds the same pixel of as many images. Then every step of a convolution, whatever its kernel, its
stride or its channels, is a vector of pixels times a number that all images share, a weight, and no step reaches from
one lane into another. Three ideas carry it.

- The block. As many images as there are lanes are turned into that layout, (C, H, W, lanes), and their result is
  turned back. Padding is written there as zeros, once, and so are the lanes that a short batch leaves over.
- The table. A convolution, its adjoint and its strides differ in where they look, and in nothing else. So the places
  are computed beforehand: output t reads from `at[t]`, step k of every output looks `offsets[k]` further on.
- The tile. A few pixels by a few channels of the output stand in registers while k runs, so that each number that is
  loaded is used several times. `_weigh` and `_correlate` emit that loop.

A number is computed by one thread, in the order of k, so the result is the same to the last bit for any number of
threads. The sums are those of docs/06-convolution.md.
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

from scratchnet.kernels.gemm import TALLEST
from scratchnet.kernels.vectors import (
    I32,
    VECTOR,
    address,
    choose,
    constant,
    multiply_add,
    scalar,
    shuffled,
    spread,
    summed,
    transposed,
)
from scratchnet.types import Array

SUMS = 24 if TALLEST > 6 else 12
"""Vectors in the largest tile: beside them 8 of the 32 registers are left for what is multiplied, or 4 of the 16."""

HEIGHTS = (8, 4, 1) if SUMS == 24 else (4, 1)
"""Outputs of a tile. It is SUMS // outputs wide, or, at an edge, half of that, or half of the half."""

STEPS, NEAR = 64, 8
"""Pixels at a time in a weight gradient, and channels of x: dy at so many pixels stays in the first-level cache while
the channels pass, and the channels of all blocks in the second-level cache while dy does."""


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


def _widths(outputs):
    """The widths of the tiles with so many outputs."""
    width = SUMS // outputs
    return [width] + (_widths(2 * outputs) if width > 1 else [])


def _for_each_tile(builder, width, outputs, emit):
    """Emits the code of every size of tile, and the choice between them."""
    emits = {SUMS * R + T: functools.partial(emit, T, R) for R in HEIGHTS for T in _widths(R)}
    choose(builder, builder.add(builder.mul(outputs, constant(SUMS)), width), emits)


@njit(error_model="numpy")
def _width(left, outputs):
    """The width of the next tile with so many outputs, if so many columns are left."""
    width = SUMS // outputs
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

        _for_each_tile(builder, pixels, outputs, emit)
        return context.get_dummy_value()

    return types.void(
        pixels, outputs, x, at, first, offsets, steps, w, w_first, b, b_first, y, to, y_first, row
    ), codegen


@intrinsic
def _correlate(typingctx, taps, outputs, x, x_first, at, first, offsets, steps, dy, dy_first, sums, sums_first):
    """sums[r, t] += Σₖ dy[k, r] x[at[t] + offsets[k]], lane by lane, for a tile of taps t by outputs r."""

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, x.dtype)
        taps, outputs, x_, x_first, at, first, offsets, steps, dy, dy_first, sums, sums_first = m.values

        def emit(T, R):
            places = [_plus(builder, x_first, m.load(at, _plus(builder, first, t))) for t in range(T)]
            tile = [_plus(builder, sums_first, i * m.lanes) for i in range(R * T)]

            def add(k, totals):
                offset = m.load(offsets, k)
                step = _plus(builder, dy_first, builder.mul(k, constant(R * m.lanes)))
                seen = [m.load_vector(x_, _plus(builder, place, offset)) for place in places]
                after = []
                for r in range(R):
                    slope = m.load_vector(dy, _plus(builder, step, r * m.lanes))
                    after += [multiply_add(builder, slope, seen[t], totals[r * T + t]) for t in range(T)]
                return after

            totals = summed(builder, steps, [m.load_vector(sums, i) for i in tile], add)
            for i, total in zip(tile, totals, strict=True):
                m.store_vector(total, sums, i)

        _for_each_tile(builder, taps, outputs, emit)
        return context.get_dummy_value()

    arguments = taps, outputs, x, x_first, at, first, offsets, steps, dy, dy_first, sums, sums_first
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
def _total(typingctx, sums, first):
    """The sum of the vector that begins at `first`."""

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, sums.dtype)
        sums_, first = m.values
        block = m.load_vector(sums_, first)
        lanes = m.lanes
        while lanes > 1:  # the upper half is added to the lower
            lanes //= 2
            halves = (shuffled(builder, block, block, half) for half in (range(lanes), range(lanes, 2 * lanes)))
            block = builder.fadd(*halves)
        return builder.extract_element(block, ir.Constant(I32, 0))

    return sums.dtype(sums, first), codegen


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
    x, dy, dw, x_places, dy_places, size, at, offsets, heights, threads
):  # pragma: no cover  (runs as machine code)
    """dw[m, c, tap] = Σ dy x over images and pixels, for dw (M, C·taps), by its `Tables`."""
    N, M, taps, steps, lanes = len(x), len(dw), len(at), len(offsets), VECTOR // x.itemsize
    C = dw.shape[1] // taps
    blocks = (N + lanes - 1) // lanes
    shares = min(threads, blocks)
    of_x, of_dy = size * lanes, M * steps * lanes  # numbers in a block
    X, D = _vectors(blocks * of_x, x), _vectors(blocks * of_dy, x)
    for share in prange(shares):
        for block in range(share * blocks // shares, (share + 1) * blocks // shares):
            if size > len(x_places):  # there is padding
                X[block * of_x : (block + 1) * of_x] = 0
            _to_lanes(x, block * lanes, x_places, X, block * of_x)
            _to_lanes(dy, block * lanes, dy_places, D, block * of_dy)
    groups = len(heights) - 1
    pieces = (steps + STEPS - 1) // STEPS
    for item in prange(groups * ((C + NEAR - 1) // NEAR)):
        c, group = item // groups * NEAR, item % groups
        channels = min(NEAR, C - c)
        m, outputs = heights[group], heights[group + 1] - heights[group]
        sums = _vectors(channels * taps * outputs * lanes, x)
        sums[:] = 0
        for block in range(blocks):
            for piece in range(pieces):
                k = piece * steps // pieces
                looks = offsets[k : (piece + 1) * steps // pieces]
                for channel in range(channels):
                    seen = block * of_x + (c + channel) * (of_x // C)
                    tap = 0
                    while tap < taps:
                        width = _width(taps - tap, outputs)
                        _correlate(
                            width, outputs, X, seen, at, tap, looks, len(looks),
                            D, block * of_dy + (m * steps + k * outputs) * lanes,
                            sums, (channel * taps + tap) * outputs * lanes,
                        )  # fmt: skip
                        tap += width
        for channel in range(channels):
            tap = 0
            while tap < taps:
                width = _width(taps - tap, outputs)
                for r in range(outputs):
                    for t in range(width):
                        place = ((channel * taps + tap) * outputs + r * width + t) * lanes
                        dw[m + r, (c + channel) * taps + tap + t] = _total(sums, place)
                tap += width


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


def _forward(length: int, kernel: int, stride: int, padding: int, saving: bool = True) -> _Axis:
    """y[p] = Σ W[i] x̃[s p + i]."""
    P = (length + 2 * padding - kernel) // stride + 1
    saves = saving and kernel == 2 * stride and P > 1
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
def forward(shape, C, M, kernel, stride, padding, lanes, saving=True) -> Tables:
    """The tables of y[m, p, q] = Σ W[m, c, i, j] x̃[c, s p + i, s q + j]."""
    rows, columns = (_forward(*axis, saving) for axis in zip(shape, kernel, stride, padding, strict=True))
    W = np.arange(C * math.prod(kernel)).reshape(C, *kernel)
    return _tables(rows, columns, W, M, W.size, lanes, planes=not saving)


@functools.lru_cache(maxsize=256)
def adjoint(shape, C, M, kernel, stride, padding, lanes) -> Tables:
    """The tables of x[c, u, v] = Σ W[m, c, i, j] y[m, (u + padding − i) / s, (v + padding − j) / s]."""
    rows, columns = (_adjoint(*axis) for axis in zip(shape, kernel, stride, padding, strict=True))
    W = np.arange(M * C * math.prod(kernel)).reshape(M, C, *kernel)[:, 0]
    return _tables(rows, columns, W, C, math.prod(kernel), lanes)


def _tables(rows: _Axis, columns: _Axis, W: Array, outputs: int, across: int, lanes: int, planes=False) -> Tables:
    """The tables of an image from those of its axes; W (channels, kh, kw) says where each weight of output 0 is."""
    channels, plane = len(W), rows.length * columns.length
    # From one pixel, row and channel to the next; odd, or what is loaded would fall upon each other in the cache.
    right, far = (1, plane | 1) if planes else (channels | 1, 1)
    down, size = right * columns.length, max(plane * right, channels * far)
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
        offsets.append(_grid(row.offsets * down, column.offsets * right, np.arange(channels) * far))
        added = [W[:, i][..., j].transpose(1, 2, 0).ravel() for i in row.weights for j in column.weights]
        order.append(np.stack(added, axis=1).ravel())
        pixels, looks, weights = pixels + at[-1].size, looks + offsets[-1].size, weights + order[-1].size
    phases += [pixels, looks, weights, False]
    joined = rows.saves or columns.saves
    return Tables(
        _grid(np.arange(channels) * far, rows.places * down, columns.places * right) * lanes,
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


@functools.lru_cache(maxsize=256)
def beside(outputs: int, pixels: int, lanes: int) -> Array:
    """Where each number of an image (outputs, pixels) goes, for the outputs of a group to lie beside each other."""
    heights = _heights(outputs)
    starts, sizes = (np.repeat(each, np.diff(heights)) for each in (heights[:-1], np.diff(heights)))
    first = starts * pixels + np.arange(outputs) - starts
    return (first[:, None] + sizes[:, None] * np.arange(pixels)).ravel() * lanes


def _grid(*axes: Array) -> Array:
    """The sum of one number of each axis, for each choice, the last axis fastest."""
    return functools.reduce(np.add.outer, axes).ravel()
