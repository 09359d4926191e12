"""A matrix product of our own: C = C₀ + A B, near the peak of the machine's vector units, from Python.

Three ideas carry it.

- The register tile. A few rows of A times a few vectors of columns of B make a tile of C that fits into the registers.
  While k runs, each number that is loaded is used several times and nothing is stored. `_tile` emits that loop, for
  the vectors of the CPU at hand.
- The panel. The columns of B under a tile are copied into one block of memory, from which the tiles below each other
  read them. There the strides of B, or its being a transpose, no longer matter.
- The count. Tiles are counted panel by panel, and threads take ranges of that count; if B is small, ranges of rows.
  A tile is computed whole, in the order of k, so that the result is the same to the last bit for any number of threads.

Goto & van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

from functools import partial

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, register_jitable

from scratchnet.arrays import Array
from scratchnet.kernels.compile import VECTOR
from scratchnet.kernels.threads import kernel
from scratchnet.kernels.vector.registers import (
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
def _tile(typingctx, like, rows, halves, b, a, a_row, a_k, start, start_row, c, c_row, steps):
    """C = start + A B, for one of the HEIGHTS, and a panel, at b, that is 1, 2, 4 or 8 half vectors wide.

    Numbers are of that array's type; addresses and strides are in bytes. The tile stands in registers while k runs, two
    steps at a time: it is emitted once for each height and width, as registers have no index.
    """
    kind, size = scalar(like.dtype), like.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        rows, halves, b, a, a_row, a_k, start, start_row, c, c_row, steps = arguments[1:]

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

    return types.void(like, *[types.int64] * 11), codegen


@intrinsic
def _copy_row(typingctx, like, halves, to, source):
    """Copies 1, 2, 4 or 8 half vectors of that array's numbers from one address to another."""
    size = like.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        halves, to, source = arguments[1:]

        def emit(count):
            wide = min(count * VECTOR // 2, VECTOR)
            vector = ir.VectorType(scalar(like.dtype), wide // size)
            for place in range(0, count * VECTOR // 2, wide):
                seen = load(builder, builder.add(source, constant(place)), vector, size)
                store(builder, seen, builder.add(to, constant(place)), size)

        choose(builder, halves, {count: partial(emit, count) for count in (1, 2, 4, 8) if count <= WIDEST})
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 3), codegen


@intrinsic
def transpose_block(typingctx, like, to, to_row, source, source_row):
    """Writes a square block, as many rows as a vector has lanes, with rows and columns exchanged.

    Numbers are of that array's type; addresses and strides are in bytes.
    """
    kind, size = scalar(like.dtype), like.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector = ir.VectorType(kind, lanes)

    def codegen(context, builder, signature, arguments):
        to, to_row, source, source_row = arguments[1:]
        places = [builder.add(source, builder.mul(source_row, constant(j))) for j in range(lanes)]
        block = [load(builder, place, vector, size) for place in places]
        for k, column in enumerate(transposed(builder, block)):
            store(builder, column, builder.add(to, builder.mul(to_row, constant(k))), size)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 4), codegen


@njit(error_model="numpy")
def _pack(panel, B, j, width, halves, k, steps):
    """Columns j … j + width of B, rows k … k + steps, into the panel, whose rows are so many half vectors wide."""
    size = panel.itemsize
    lanes = VECTOR // size
    across = halves * lanes // 2
    b_k, b_j = B.strides
    if b_j == size and width == across:
        to, source = panel.ctypes.data, B.ctypes.data + k * b_k + j * b_j
        for r in range(steps):
            _copy_row(panel, halves, to + r * across * size, source + r * b_k)
        return
    blocked = width // lanes * lanes if b_k == size else 0  # columns that are transposed in square blocks
    whole = steps // lanes * lanes
    for v in range(0, blocked, lanes):
        for r in range(0, whole, lanes):
            to = panel.ctypes.data + (r * across + v) * size
            transpose_block(panel, to, across * size, B.ctypes.data + (k + r) * b_k + (j + v) * b_j, b_j)
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


@register_jitable
def _halves(columns, half):
    """The width of the next panel, in half vectors: the widest, or narrower ones for the last columns."""
    halves = WIDEST
    while halves > 1 and columns <= (halves - 1) * half:
        halves //= 2
    return halves


@register_jitable
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
def _compute(A, B, start, C, first, last, begin, end):
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
    edge = aligned_vector(HEIGHTS[0] * WIDEST * half, C)
    edge_row = WIDEST * half
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
                c, c_step = C.ctypes.data + i * c_row + j * size, c_row
                before, before_step = start.ctypes.data + i * start_row + j * size, start_row
                if k > 0:
                    before, before_step = c, c_step
                if width < halves * half:
                    for r in range(rows):
                        for s in range(width):
                            edge[r * edge_row + s] = start[(i + r) % len(start), j + s] if k == 0 else C[i + r, j + s]
                    c, c_step = edge.ctypes.data, edge_row * size
                    before, before_step = c, c_step
                a = A.ctypes.data + i * a_row + k * a_k
                _tile(panel, rows, halves, panel.ctypes.data, a, a_row, a_k, before, before_step, c, c_step, steps)
                if width < halves * half:
                    for r in range(rows):
                        for s in range(width):
                            C[i + r, j + s] = edge[r * edge_row + s]
                i += rows
        j += halves * half
    edge[0] = panel[0]  # both are alive until here: an address alone does not keep an array


@kernel("aaaAn")
def _product(A, B, start, C, by_rows, first, last):
    """C = start + A B, for A (M, K), B (K, N), C (M, N) and start (M, N) or one row of it, (1, N).

    The rows of start and of C are contiguous. The range counts pieces of rows of C, or else pieces of panels.
    """
    M, N = C.shape
    pieces = (M + PIECE - 1) // PIECE
    if by_rows:
        _compute(A, B, start, C, 0, _work(N, VECTOR // C.itemsize // 2) * (last - first), first, last)
    else:
        _compute(A, B, start, C, first, last, 0, pieces)


def multiply(A: Array, B: Array, start: Array, C: Array) -> None:
    """C = start + A B, where the rows of start, (M, N) or (1, N), and of C are contiguous.

    If B is small beside A and C, threads share out the rows: each packs all of B, and has rows of C to itself.
    """
    M, N = C.shape
    pieces = -(-M // PIECE)
    by_rows = 2 * B.size < A.size + C.size
    size = pieces if by_rows else pieces * _work(N, VECTOR // C.itemsize // 2)
    _product(size, A.size * N / 80, A, B, start, C, int(by_rows))
