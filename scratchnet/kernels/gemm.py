"""A matrix product of our own: C = C₀ + A B, near the peak of the machine's vector units, from Python.

Three ideas carry it.

- The register tile. A few rows of A times a few vectors of columns of B make a tile of C that fits into the registers.
  While k runs, each number that is loaded is used several times and nothing is stored. `_tile` emits that loop, for
  the vectors of the CPU at hand.
- The panel. The columns of B under a tile are copied into one block of memory, from which the tiles below each other
  read them. There the strides of B, or its being a transpose, no longer matter.
- The share. Tiles are counted through, panel by panel, and each thread takes its share of the work; if B is small,
  its share of the rows. A tile is computed whole, in the order of k, so that the result is the same to the last bit for
  any number of threads.

Goto & van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from scratchnet.kernels.vectors import (
    I64,
    SUMS,
    VECTOR,
    address,
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

WIDEST = SUMS // 3
"""Half vectors of columns that a panel is wide, if the last columns do not make it narrower: four vectors where there
are 32 registers, two where there are 16."""

PIECE = 6
"""Rows of the tallest tile of that width, of SUMS registers."""

HEIGHTS = (12, 6, 2, 1)
"""Rows of the tiles that are emitted, as far as their sums find room: narrow ones are taller."""

DEPTH = 1024
"""Steps of k at a time, so that the rows of A under a tile stay in the first-level cache."""


@register_jitable
def _tallest(halves):
    """Rows of a tile so wide whose sums find room in the registers."""
    return SUMS // max(1, halves // 2)


@intrinsic
def _tile(typingctx, rows, halves, panel, a, a_row, a_k, start, start_row, c, c_row, steps):
    """C = start + A B, for one of the HEIGHTS, and a panel that is 1, 2, 4 or 8 half vectors wide.

    Addresses and strides are in bytes. The tile stands in registers while k runs, two steps at a time: it is emitted
    once for each height and width, as registers have no index.
    """
    kind, size = scalar(panel.dtype), panel.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        rows, halves, array, a, a_row, a_k, start, start_row, c, c_row, steps = arguments
        b = builder.ptrtoint(context.make_array(signature.args[2])(context, builder, array).data, I64)

        def emitted(height, width):
            return lambda: emit(builder, height, width, a, a_row, a_k, b, start, start_row, c, c_row, steps)

        widths = [width for width in (8, 4, 2, 1) if width <= WIDEST]
        sizes = [(height, width) for width in widths for height in HEIGHTS if height <= _tallest(width)]
        emits = {64 * width + height: emitted(height, width) for height, width in sizes}
        choose(builder, builder.add(builder.mul(halves, constant(64)), rows), emits)
        return context.get_dummy_value()

    def emit(builder, height, halves, a, a_row, a_k, b, start, start_row, c, c_row, steps):
        count, wide = max(1, halves // 2), VECTOR if halves > 1 else VECTOR // 2  # vectors, and bytes in each
        vector = ir.VectorType(kind, wide // size)
        tile = [(i, v) for i in range(height) for v in range(count)]
        below = [builder.mul(a_row, constant(i)) for i in range(height)]

        def at(base, row, stride, v):
            return builder.add(builder.add(base, builder.mul(stride, constant(row))), constant(v * wide))

        def add(k, sums):
            of_a, of_b = builder.add(a, builder.mul(k, a_k)), builder.add(b, builder.mul(k, constant(count * wide)))
            b_vectors = [load(builder, builder.add(of_b, constant(v * wide)), vector, size) for v in range(count)]
            numbers = [load(builder, builder.add(of_a, row), kind, size) for row in below]
            spreads = [spread(builder, vector, number) for number in numbers]
            return [multiply_add(builder, spreads[i], b_vectors[v], sums[i * count + v]) for i, v in tile]

        def add_two(pair, sums):
            k = builder.mul(pair, constant(2))
            return add(builder.add(k, constant(1)), add(k, sums))

        sums = [load(builder, at(start, i, start_row, v), vector, size) for i, v in tile]
        pairs = builder.ashr(steps, constant(1))
        sums = summed(builder, pairs, sums, add_two)
        last = builder.sub(steps, constant(1))
        sums = summed(builder, builder.and_(steps, constant(1)), sums, lambda _, sums: add(last, sums))
        for (i, v), result in zip(tile, sums, strict=True):
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
def _height(rows, halves):
    """The tallest of the tiles of this width that so many rows can hold."""
    tallest = min(rows, _tallest(halves))
    for height in HEIGHTS:
        if height <= tallest:
            return height
    return 1


@njit(error_model="numpy")
def _halves(columns, half):
    """The width of the next panel, in half vectors: the widest, or narrower ones for the last columns."""
    halves = WIDEST
    while halves > 1 and columns <= (halves - 1) * half:
        halves //= 2
    return halves


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


@njit(error_model="numpy")
def _share(A, B, start, C, first, last, begin, end):
    """The part of C = start + A B that lies in the pieces of rows from begin to end, and from first to last.

    These are counted panel by panel, piece by piece, in half vectors of columns.
    """
    M, K = A.shape
    N = B.shape[1]
    size = C.itemsize
    half = VECTOR // size // 2
    pieces = end - begin
    a_row, a_k = A.strides
    c_row, start_row = C.strides[0], start.strides[0] if len(start) == M else 0
    panel = aligned_vector(min(max(K, 1), DEPTH) * WIDEST * half, C)
    edge = np.empty((HEIGHTS[0], WIDEST * half), C.dtype)
    work = 0
    j = 0
    while j < N:
        halves = _halves(N - j, half)
        width = min(halves * half, N - j)
        top = begin + max(0, (first - work + halves - 1) // halves)  # the pieces of this panel that begin in the share
        bottom = begin + min(pieces, (last - work + halves - 1) // halves)
        work += halves * pieces
        for k in range(0, max(K, 1) if top < bottom else 0, DEPTH):
            steps = min(DEPTH, K - k)
            _pack(panel, B, j, width, halves, k, steps)
            i, below = top * PIECE, min(bottom * PIECE, M)
            while i < below:
                rows = _height(below - i, halves)
                c, c_step = address(C) + i * c_row + j * size, c_row
                before, before_step = address(start) + i * start_row + j * size, start_row
                if k > 0:
                    before, before_step = c, c_step
                if width < halves * half:
                    for r in range(rows):
                        for s in range(width):
                            edge[r, s] = start[(i + r) % len(start), j + s] if k == 0 else C[i + r, j + s]
                    c, c_step = address(edge), WIDEST * half * size
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


def product(A, B, start, C, threads):  # pragma: no cover  (runs as machine code)
    """C = start + A B, for A (M, K), B (K, N), C (M, N) and start (M, N) or one row of it, (1, N).

    The rows of start and of C are contiguous. Cut into rows, each thread packs all of B, and has rows of C to itself
    that lie together in memory.
    """
    M, N = C.shape
    pieces = (M + PIECE - 1) // PIECE
    columns = _work(N, VECTOR // C.itemsize // 2)
    work = pieces * columns
    by_rows = 2 * B.size < A.size + C.size
    shares = min(threads, pieces if by_rows else work)
    for share in prange(shares):
        begin, end, first, last = 0, pieces, share * work // shares, (share + 1) * work // shares
        if by_rows:
            begin, end = share * pieces // shares, (share + 1) * pieces // shares
            first, last = 0, columns * (end - begin)
        _share(A, B, start, C, first, last, begin, end)
