"""A matrix product of our own: C = C₀ + A B, near the peak of the machine's vector units, from Python.

Three ideas carry it.

- The register tile. A few rows of A times two vectors of columns of B make a tile of C that fits into the registers.
  While k runs, each number that is loaded is used many times and nothing is stored. `_tile` emits that loop, for the
  vectors of the CPU at hand.
- The panel. The columns of B under a tile are copied into one block of memory, from which the tiles below each other
  read them. There the strides of B, or its being a transpose, no longer matter.
- The share. Tiles are counted through, panel by panel, and each thread takes its share of the work. A tile is computed
  whole, in the order of k, so that the result is the same to the last bit for any number of threads.

Goto & van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from scratchnet.kernels.vectors import (
    AVX512,
    I64,
    NEON,
    VECTOR,
    address,
    choose,
    constant,
    load,
    multiply_add,
    scalar,
    spread,
    store,
    transposed,
)

TALLEST = 14 if AVX512 else 12 if NEON else 6
"""Rows of the tallest tile: with two vectors each they leave room for B and A among the 32, or 16, registers."""

HEIGHTS = tuple(rows for rows in (14, 13, 12, 10, 8, 6, 4, 2, 1) if rows <= TALLEST)
"""The tiles that are emitted; M rows are cut into pieces of about the same height, and these into such tiles."""

DEPTH = 512
"""Steps of k at a time, so that the rows of A under a tile stay in the first-level cache."""


@intrinsic
def _tile(typingctx, rows, halves, panel, a, a_row, a_k, start, start_row, c, c_row, steps):
    """C = start + A B, for one of the HEIGHTS, and a panel that is 1, 2 or 4 half vectors wide.

    Addresses and strides are in bytes. The tile stands in registers while k runs: it is emitted once for each height
    and width, as registers have no index.
    """
    kind, size = scalar(panel.dtype), panel.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        rows, halves, array, a, a_row, a_k, start, start_row, c, c_row, steps = arguments
        b = builder.ptrtoint(context.make_array(signature.args[2])(context, builder, array).data, I64)

        def emitted(height, width):
            return lambda: emit(builder, height, width, a, a_row, a_k, b, start, start_row, c, c_row, steps)

        emits = {64 * width + height: emitted(height, width) for width in (4, 2, 1) for height in HEIGHTS}
        choose(builder, builder.add(builder.mul(halves, constant(64)), rows), emits)
        return context.get_dummy_value()

    def emit(builder, height, halves, a, a_row, a_k, b, start, start_row, c, c_row, steps):
        count, wide = max(1, halves // 2), VECTOR if halves > 1 else VECTOR // 2  # vectors, and bytes in each
        lanes = wide // size
        vector = ir.VectorType(kind, lanes)
        loop, done = builder.append_basic_block("k"), builder.append_basic_block("done")

        def at(base, row, stride, v):
            return builder.add(builder.add(base, builder.mul(stride, constant(row))), constant(v * wide))

        tile = [(i, v) for i in range(height) for v in range(count)]
        before = [load(builder, at(start, i, start_row, v), vector, size) for i, v in tile]
        below = [builder.mul(a_row, constant(i)) for i in range(height)]
        entry = builder.block
        builder.cbranch(builder.icmp_signed(">", steps, constant(0)), loop, done)

        builder.position_at_end(loop)
        left, pa, pb = (builder.phi(I64) for _ in range(3))
        sums = [builder.phi(vector) for _ in tile]
        b_vectors = [load(builder, builder.add(pb, constant(v * wide)), vector, size) for v in range(count)]
        after = []
        for i in range(height):
            number = spread(builder, vector, load(builder, builder.add(pa, below[i]), kind, size))
            after += [multiply_add(builder, number, b_vectors[v], sums[i * count + v]) for v in range(count)]
        left_after = builder.sub(left, constant(1))
        for phi, at_first, then in (
            (left, steps, left_after),
            (pa, a, builder.add(pa, a_k)),
            (pb, b, builder.add(pb, constant(count * wide))),
            *zip(sums, before, after, strict=True),
        ):
            phi.add_incoming(at_first, entry)
            phi.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed(">", left_after, constant(0)), loop, done)

        builder.position_at_end(done)
        results = []
        for without, product in zip(before, after, strict=True):
            result = builder.phi(vector)
            result.add_incoming(without, entry)
            result.add_incoming(product, loop)
            results.append(result)
        for (i, v), result in zip(tile, results, strict=True):
            store(builder, result, at(c, i, c_row, v), size)

    return types.void(rows, halves, panel, *[types.int64] * 8), codegen


@intrinsic
def _copy_rows(typingctx, panel, b, b_k, steps, halves):
    """Copies so many half vectors of each of `steps` rows into the panel."""
    kind, size = scalar(panel.dtype), panel.dtype.bitwidth // 8
    half = VECTOR // 2
    vector = ir.VectorType(kind, half // size)

    def codegen(context, builder, signature, arguments):
        array, b, b_k, steps, halves = arguments
        to = builder.ptrtoint(context.make_array(signature.args[0])(context, builder, array).data, I64)
        with cgutils.for_range(builder, steps) as row:
            source = builder.add(b, builder.mul(row.index, b_k))
            target = builder.add(to, builder.mul(row.index, builder.mul(halves, constant(half))))
            with cgutils.for_range(builder, halves) as v:
                offset = builder.mul(v.index, constant(half))
                value = load(builder, builder.add(source, offset), vector, size)
                store(builder, value, builder.add(target, offset), size)
        return context.get_dummy_value()

    return types.void(panel, *[types.int64] * 4), codegen


@intrinsic
def _transpose_block(typingctx, panel, offset, row, b, b_column):
    """Writes a square block of B, one vector wide, into the panel with rows and columns exchanged.

    `b` is the address of the block's first number, k runs along memory; `offset` and `row` are the panel's, in bytes.
    """
    kind, size = scalar(panel.dtype), panel.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector = ir.VectorType(kind, lanes)

    def codegen(context, builder, signature, arguments):
        array, offset, row, b, b_column = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        to = builder.add(builder.ptrtoint(data, I64), offset)
        block = [load(builder, builder.add(b, builder.mul(b_column, constant(j))), vector, size) for j in range(lanes)]
        for k, turned in enumerate(transposed(builder, block)):
            store(builder, turned, builder.add(to, builder.mul(row, constant(k))), size)
        return context.get_dummy_value()

    return types.void(panel, *[types.int64] * 4), codegen


@njit(error_model="numpy")
def _pack(panel, B, j, width, halves, k, steps):
    """Columns j … j + width of B, rows k … k + steps, into the panel, whose rows are so many half vectors wide."""
    size = panel.itemsize
    lanes = VECTOR // size
    across = halves * lanes // 2
    b_k, b_j = B.strides
    if b_j == size and width == across:
        _copy_rows(panel, address(B) + k * b_k + j * b_j, b_k, steps, halves)
        return
    blocked = width // lanes * lanes if b_k == size else 0  # columns that are transposed in square blocks
    whole = steps // lanes * lanes
    for v in range(0, blocked, lanes):
        for r in range(0, whole, lanes):
            start = address(B) + (k + r) * b_k + (j + v) * b_j
            _transpose_block(panel, (r * across + v) * size, across * size, start, b_j)
    for r in range(steps):
        for i in range(blocked if r < whole else 0, across):
            panel[r * across + i] = B[k + r, j + i] if i < width else 0


@njit(error_model="numpy")
def _height(rows):
    """The tallest of the tiles that so many rows can hold."""
    for height in HEIGHTS:
        if height <= rows:
            return height
    return 1


@njit(error_model="numpy")
def _halves(columns, half):
    """The width of the next panel, in half vectors: 4, or 2 and 1 for the last columns."""
    return 4 if columns > 3 * half else 2 if columns > half else 1


@njit(error_model="numpy")
def _share(A, B, start, C, first, last, pieces):
    """The part of C = start + A B from `first` to `last`, counted in half vectors of columns of one piece of rows."""
    M, K = A.shape
    N = B.shape[1]
    size = C.itemsize
    half = VECTOR // size // 2
    a_row, a_k = A.strides
    c_row, start_row = C.strides[0], start.strides[0] if len(start) == M else 0
    panel = np.empty(min(max(K, 1), DEPTH) * 4 * half, C.dtype)
    edge = np.empty((TALLEST, 4 * half), C.dtype)
    low, taller = M // pieces, M % pieces  # so many pieces are one row taller
    work = 0
    j = 0
    while j < N:
        halves = _halves(N - j, half)
        width = min(halves * half, N - j)
        begin = max(0, (first - work + halves - 1) // halves)  # the pieces of this panel that begin within the share
        end = min(pieces, (last - work + halves - 1) // halves)
        work += halves * pieces
        if begin < end:
            for k in range(0, max(K, 1), DEPTH):
                steps = min(DEPTH, K - k)
                _pack(panel, B, j, width, halves, k, steps)
                i = begin * low + min(begin, taller)
                for piece in range(begin, end):
                    below = i + low + (piece < taller)
                    while i < below:
                        rows = _height(below - i)
                        c, c_step = address(C) + i * c_row + j * size, c_row
                        before, before_step = address(start) + i * start_row + j * size, start_row
                        if k > 0:
                            before, before_step = c, c_step
                        if width < halves * half:
                            for r in range(rows):
                                for s in range(width):
                                    edge[r, s] = start[(i + r) % len(start), j + s] if k == 0 else C[i + r, j + s]
                            c, c_step = address(edge), 4 * half * size
                            before, before_step = c, c_step
                        a = address(A) + i * a_row + k * a_k
                        _tile(rows, halves, panel, a, a_row, a_k, before, before_step, c, c_step, steps)
                        if width < halves * half:
                            for r in range(rows):
                                for s in range(width):
                                    C[i + r, j + s] = edge[r, s]
                        i += rows
        j += halves * half
    edge[0, 0] = 0  # alive until here, since its address alone does not keep it


@njit(error_model="numpy")
def _work(N, half):
    """The half vectors that the panels of N columns are wide, all together."""
    total = 0
    j = 0
    while j < N:
        halves = _halves(N - j, half)
        total += halves
        j += halves * half
    return total


def product(A, B, start, C, threads):  # pragma: no cover  (runs as machine code)
    """C = start + A B, for A (M, K), B (K, N), C (M, N) and start (M, N) or one row of it, (1, N).

    The rows of start and of C are contiguous.
    """
    M, N = C.shape
    clash = A.strides[1] == C.itemsize and A.strides[0] % 4096 == 0  # its rows fall upon each other in the cache
    tallest = min(TALLEST, 6) if clash else TALLEST
    pieces = (M + tallest - 1) // tallest
    work = pieces * _work(N, VECTOR // C.itemsize // 2)
    shares = min(threads, work)
    for share in prange(shares):
        _share(A, B, start, C, share * work // shares, (share + 1) * work // shares, pieces)
