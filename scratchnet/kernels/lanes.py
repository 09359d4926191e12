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
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from scratchnet.kernels.gemm import TALLEST, VECTOR, address
from scratchnet.types import Array

PIXELS = 6 if TALLEST > 6 else 3
"""Vectors of pixels in a tile, by OUTPUTS numbers each: 24 sums, 6 pixels and a weight fit into 32 registers, half as
much into 16."""

OUTPUTS = 4

NEAR = 4

STEPS = 128
"""Pixels at a time in a weight gradient, so that what the tiles of a channel share stays in the first-level cache."""

_I64, _I32 = ir.IntType(64), ir.IntType(32)


def count(x: Array) -> int:
    """Lanes of a vector of such numbers."""
    return VECTOR // x.itemsize


def _constant(number):
    return ir.Constant(_I64, number)


class _Memory:
    """The arrays of an intrinsic's arguments, as places to load from and store to, counted in numbers."""

    def __init__(self, context, builder, signature, arguments, dtype):
        self.builder, self.dtype = builder, dtype
        self.size = dtype.bitwidth // 8
        self.kind = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
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

    def spread(self, number):
        """The number in every lane."""
        first = ir.Constant(_I32, 0)
        alone = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, first)
        everywhere = ir.Constant(ir.VectorType(_I32, self.lanes), None)
        return self.builder.shuffle_vector(alone, ir.Constant(self.vector, ir.Undefined), everywhere)

    def multiply_add(self, a, x, total):
        fused = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}f{8 * self.size}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, fused, name), [a, x, total])


def _plus(builder, base, *numbers):
    for number in numbers:
        base = builder.add(base, number if isinstance(number, ir.Value) else _constant(number))
    return base


def _for_each_tile(builder, pixels, outputs, emit):
    """Emits the code of every size of tile, and the choice between them."""
    end, none = builder.append_basic_block("end"), builder.append_basic_block("none")
    choice = builder.switch(builder.add(builder.mul(pixels, _constant(8)), outputs), none)
    for T in range(1, PIXELS + 1):
        for R in range(1, OUTPUTS + 1):
            block = builder.append_basic_block(f"tile{T}x{R}")
            choice.add_case(_constant(8 * T + R), block)
            builder.position_at_end(block)
            emit(T, R)
            builder.branch(end)
    builder.position_at_end(none)
    builder.unreachable()
    builder.position_at_end(end)


def _summed(builder, steps, before, add):
    """What stands in registers after steps k = 0, 1, …, each of which makes the sums `add(k, sums)`."""
    loop, done = builder.append_basic_block("k"), builder.append_basic_block("done")
    entry = builder.block
    builder.cbranch(builder.icmp_signed(">", steps, _constant(0)), loop, done)
    builder.position_at_end(loop)
    k = builder.phi(_I64)
    sums = [builder.phi(total.type) for total in before]
    after, then = add(k, sums), builder.add(k, _constant(1))
    for phi, first, next_one in zip([k, *sums], [_constant(0), *before], [then, *after], strict=True):
        phi.add_incoming(first, entry)
        phi.add_incoming(next_one, loop)
    builder.cbranch(builder.icmp_signed("<", then, steps), loop, done)
    builder.position_at_end(done)
    results = []
    for first, last in zip(before, after, strict=True):
        results.append(builder.phi(last.type))
        results[-1].add_incoming(first, entry)
        results[-1].add_incoming(last, loop)
    return results


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
            biases = [m.spread(m.load(b, _plus(builder, b_first, r))) for r in range(R)]

            def add(k, sums):
                offset = m.load(offsets, k)
                step = _plus(builder, w_first, builder.mul(k, _constant(R)))
                seen = [m.load_vector(x_, _plus(builder, place, offset)) for place in places]
                after = []
                for r in range(R):
                    weight = m.spread(m.load(w, _plus(builder, step, r)))
                    after += [m.multiply_add(weight, seen[t], sums[r * T + t]) for t in range(T)]
                return after

            sums = _summed(builder, steps, [bias for bias in biases for _ in range(T)], add)
            for t in range(T):
                place = _plus(builder, y_first, m.load(to, _plus(builder, first, t)))
                for r in range(R):
                    m.store_vector(sums[r * T + t], y, _plus(builder, place, builder.mul(row, _constant(r))))

        _for_each_tile(builder, pixels, outputs, emit)
        return context.get_dummy_value()

    return types.void(
        pixels, outputs, x, at, first, offsets, steps, w, w_first, b, b_first, y, to, y_first, row
    ), codegen


@intrinsic
def _correlate(typingctx, taps, outputs, x, x_first, at, first, offsets, steps, dy, dy_first, row, sums, sums_first):
    """sums[r, t] += Σₖ dy[k + r row] x[at[t] + offsets[k]], lane by lane, for a tile of taps t by outputs r."""

    def codegen(context, builder, signature, arguments):
        m = _Memory(context, builder, signature, arguments, x.dtype)
        taps, outputs, x_, x_first, at, first, offsets, steps, dy, dy_first, row, sums, sums_first = m.values

        def emit(T, R):
            places = [_plus(builder, x_first, m.load(at, _plus(builder, first, t))) for t in range(T)]
            rows = [_plus(builder, dy_first, builder.mul(row, _constant(r))) for r in range(R)]
            tile = [_plus(builder, sums_first, i * m.lanes) for i in range(R * T)]

            def add(k, totals):
                offset = m.load(offsets, k)
                seen = [m.load_vector(x_, _plus(builder, place, offset)) for place in places]
                after = []
                for r in range(R):
                    slope = m.load_vector(dy, _plus(builder, rows[r], builder.mul(k, _constant(m.lanes))))
                    after += [m.multiply_add(slope, seen[t], totals[r * T + t]) for t in range(T)]
                return after

            totals = _summed(builder, steps, [m.load_vector(sums, i) for i in tile], add)
            for i, total in zip(tile, totals, strict=True):
                m.store_vector(total, sums, i)

        _for_each_tile(builder, taps, outputs, emit)
        return context.get_dummy_value()

    arguments = taps, outputs, x, x_first, at, first, offsets, steps, dy, dy_first, row, sums, sums_first
    return types.void(*arguments), codegen


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
            halves = [
                builder.shuffle_vector(
                    block, block, ir.Constant(ir.VectorType(_I32, lanes), [ir.Constant(_I32, i) for i in half])
                )
                for half in (range(lanes), range(lanes, 2 * lanes))
            ]
            block = builder.fadd(*halves)
        return builder.extract_element(block, ir.Constant(_I32, 0))

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
        side = 1
        while side < m.lanes:  # exchange the off-diagonal quarters of every square of 2·side
            low = [j if not j & side else m.lanes + j - side for j in range(m.lanes)]
            high = [j + side if not j & side else m.lanes + j for j in range(m.lanes)]
            for j in range(m.lanes):
                if not j & side:
                    one, other = block[j], block[j + side]
                    for k, mask in ((j, low), (j + side, high)):
                        order = ir.Constant(ir.VectorType(_I32, m.lanes), [ir.Constant(_I32, i) for i in mask])
                        block[k] = builder.shuffle_vector(one, other, order)
            side *= 2
        for k in range(m.lanes):
            m.store_vector(block[k], target, place(places, places_first, k, target_first))
        return context.get_dummy_value()

    return types.void(source, rows, rows_first, source_first, target, places, places_first, target_first), codegen


@njit(error_model="numpy")
def _vectors(size, like):
    """Memory for so many numbers, beginning where a vector does."""
    memory = np.empty(size + VECTOR // like.itemsize, like.dtype)
    first = -address(memory) % VECTOR // like.itemsize
    return memory[first : first + size]


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
        source[: N - n] = x[n:]
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
        y[n:] = target[: N - n]


def weigh(x, w, b, y, places, size, at, to, offsets, phases, threads):  # pragma: no cover  (runs as machine code)
    """y = b + Σ w x, for images x (N, D) and y (N, …), by its `Tables`."""
    N, channels, lanes = len(x), len(b), VECTOR // x.itemsize
    row = len(to)
    blocks = (N + lanes - 1) // lanes
    shares = min(threads, blocks)
    for share in prange(shares):
        X, Y = _vectors(size * lanes, x), _vectors(channels * row * lanes, x)
        if size > len(places):  # there is padding
            X[:] = 0
        for block in range(share * blocks // shares, (share + 1) * blocks // shares):
            _to_lanes(x, block * lanes, places, X, 0)
            for phase in range(0, len(phases) - 3, 3):
                first, last = phases[phase], phases[phase + 3]
                looks = offsets[phases[phase + 1] : phases[phase + 4]]
                steps = len(looks)
                for pixel in range(first, last, PIXELS):
                    for m in range(0, channels, OUTPUTS):
                        pixels, outputs = min(PIXELS, last - pixel), min(OUTPUTS, channels - m)
                        weights = phases[phase + 2] + m * steps
                        place = m * row * lanes
                        _weigh(pixels, outputs, X, at, pixel, looks, steps, w, weights, b, m, Y, to, place, row * lanes)
            _from_lanes(Y, y, block * lanes)


def correlate(x, dy, dw, x_places, dy_places, size, at, offsets, threads):  # pragma: no cover  (runs as machine code)
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
    groups = (M + OUTPUTS - 1) // OUTPUTS
    for item in prange(groups * C):
        chunk = item // (groups * NEAR) * NEAR  # of channels, whose pixels stay in the second-level cache
        near = min(NEAR, C - chunk)
        m, c = (item - chunk * groups) // near * OUTPUTS, chunk + (item - chunk * groups) % near
        outputs = min(OUTPUTS, M - m)
        sums = _vectors(outputs * taps * lanes, x)
        sums[:] = 0
        for block in range(blocks):
            for k in range(0, steps, STEPS):
                looks = offsets[k : k + STEPS]
                for tap in range(0, taps, PIXELS):
                    _correlate(
                        min(PIXELS, taps - tap), outputs, X, block * of_x + c * (of_x // C), at, tap, looks, len(looks),
                        D, block * of_dy + (m * steps + k) * lanes, steps * lanes, sums, tap * outputs * lanes,
                    )  # fmt: skip
        for tap in range(taps):
            begin = tap // PIXELS * PIXELS  # of the tile that the tap is in
            width = min(PIXELS, taps - begin)
            for r in range(outputs):
                place = (begin * outputs + r * width + tap - begin) * lanes
                dw[m + r, c * taps + tap] = _total(sums, place)


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
    phases : (3 F + 3,)
        The pixels come in F phases, each with steps of its own: where each begins in `at`, in `offsets` and in the
        weights, and where the last one ends.
    order : (P,)
        Which weight comes when: for each phase, each OUTPUTS channels and each step, that of each channel.
    """

    places: Array
    size: int
    at: Array
    to: Array
    offsets: Array
    phases: Array
    order: Array


@functools.lru_cache(maxsize=256)
def forward(shape, C, M, kernel, stride, padding, lanes) -> Tables:
    """y[m, p, q] = Σ W[m, c, i, j] x̃[c, s p + i, s q + j]: pixel (p, q) looks at (s p, s q), step (c, i, j) beyond."""
    (H, B), (kh, kw), (sh, sw), (ph, pw) = shape, kernel, stride, padding
    P, Q = (H + 2 * ph - kh) // sh + 1, (B + 2 * pw - kw) // sw + 1
    wide = B + 2 * pw
    plane = (H + 2 * ph) * wide
    places = _grid(np.arange(C) * plane, (np.arange(H) + ph) * wide, np.arange(B) + pw)
    at = _grid(sh * np.arange(P) * wide, sw * np.arange(Q))
    offsets = _grid(np.arange(C) * plane, np.arange(kh) * wide, np.arange(kw))
    weights = np.arange(M * len(offsets)).reshape(M, -1)  # (M, K)
    return _tables(lanes, places, C * plane, [(at, np.arange(P * Q), offsets, weights)])


@functools.lru_cache(maxsize=256)
def adjoint(shape, C, M, kernel, stride, padding, lanes) -> Tables:
    """x[c, u, v] = Σ W[m, c, i, j] y[m, (u + padding − i) / s, (v + padding − j) / s], where these are whole.

    So i has the remainder of u + padding, and the pixels with one pair of remainders are a phase. With
    u + padding = s p + a and i = s l + a, pixel u looks at row p, and step l so many rows back from there.
    """
    (H, B), (kh, kw), (sh, sw), (ph, pw) = shape, kernel, stride, padding
    P, Q = (H + 2 * ph - kh) // sh + 1, (B + 2 * pw - kw) // sw + 1
    top, left = (kh - 1) // sh, (kw - 1) // sw  # the farthest step back
    wide = left + max(Q, (B - 1 + pw) // sw + 1)
    plane = (top + max(P, (H - 1 + ph) // sh + 1)) * wide
    places = _grid(np.arange(M) * plane, (np.arange(P) + top) * wide, np.arange(Q) + left)
    W = np.arange(M * C * kh * kw).reshape(M, C, kh, kw)
    phases = []
    for a, b in np.ndindex(sh, sw):
        u, v = np.arange((a - ph) % sh, H, sh), np.arange((b - pw) % sw, B, sw)
        of_phase = W[:, :, a::sh, b::sw].swapaxes(0, 1)  # (C, M, L, L)
        at = _grid(((u + ph) // sh + top) * wide, (v + pw) // sw + left)
        back = -_grid(np.arange(of_phase.shape[2]) * wide, np.arange(of_phase.shape[3]))
        phases.append((at, _grid(u * B, v), _grid(np.arange(M) * plane, back), of_phase.reshape(C, -1)))
    return _tables(lanes, places, M * plane, phases)


def _tables(lanes: int, places: Array, size: int, phases: list[tuple[Array, Array, Array, Array]]) -> Tables:
    at, to, offsets, weights = zip(*phases, strict=True)
    starts = [np.cumsum([0, *(part.size for part in parts)]) for parts in (at, offsets, weights)]
    tiles = [part[m : m + OUTPUTS].T.ravel() for part in weights for m in range(0, len(part), OUTPUTS)]
    return Tables(
        places * lanes,
        size,
        np.concatenate(at) * lanes,
        np.concatenate(to) * lanes,
        np.concatenate(offsets) * lanes,
        np.stack(starts, axis=1).ravel(),
        np.concatenate(tiles),
    )


def _grid(*axes: Array) -> Array:
    """The sum of one number of each axis, for each choice, the last axis fastest."""
    return functools.reduce(np.add.outer, axes).ravel()
