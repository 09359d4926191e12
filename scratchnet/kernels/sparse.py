"""A product that skips zeros: C = C₀ + A B, where most of A is zero.

An image of MNIST is zero in four pixels of five, and so is four fifths of the work of a network's first layer: in
y = x W, and again in dW = xᵀ dy. What a zero multiplies adds nothing, so that leaving it out changes no result, as
long as B is finite (0 · ∞ is NaN).

The numbers that are not zero are listed, each with its column: for some columns of A at a time, so that the rows of
B at these stay near, row of A by row. A row of C is then the sum of the rows of B at the listed columns, each times its
number; it stands in registers while the list is read, a strip of columns at a time. Threads share out the rows of C,
and each number is added up by one of them in the order of the list.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

from functools import partial

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from scratchnet.kernels.gemm import _transpose_block
from scratchnet.kernels.vectors import (
    I32,
    I64,
    VECTOR,
    address,
    aligned_vector,
    choose,
    constant,
    fetch,
    fetch_to_write,
    load,
    multiply_add,
    scalar,
    spread,
    store,
    summed,
)

WIDEST = 7
"""Vectors of a row of C that are added up at a time, in as many registers."""

NEAR = 49152
"""Bytes of the rows of B, in a strip, that are read at a time: not much more than the first-level cache holds."""

AHEAD = 4
"""Rows of C that are fetched before they are added to."""

DENSEST = 0.5
"""The share of numbers in A, not zero, up to which skipping pays: they are read from lists, and B not from a panel."""


@intrinsic
def _append(typingctx, at, k, numbers, columns, e):
    """Appends to the list, whose end is e, what is not zero in the vector at this address, which begins in column k.

    Returns how many numbers there were.
    """
    kind, size = scalar(numbers.dtype), numbers.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector, mask = ir.VectorType(kind, lanes), ir.VectorType(ir.IntType(1), lanes)
    indices = ir.VectorType(I32, lanes)

    def codegen(context, builder, signature, arguments):
        at, k, numbers, columns, e = arguments
        seen = load(builder, at, vector, size)
        chosen = builder.fcmp_unordered("!=", seen, ir.Constant(vector, None))
        first = spread(builder, indices, builder.trunc(k, I32))
        places = builder.add(first, ir.Constant(indices, [ir.Constant(I32, lane) for lane in range(lanes)]))
        for array, index, values in ((numbers, 2, seen), (columns, 3, places)):
            data = context.make_array(signature.args[index])(context, builder, array).data
            compress = ir.FunctionType(ir.VoidType(), [values.type, data.type, mask])
            letter = {kind: f"f{8 * size}", I32: "i32"}[values.type.element]
            name = f"llvm.masked.compressstore.v{lanes}{letter}"
            function = cgutils.get_or_insert_function(builder.module, compress, name)
            builder.call(function, [values, builder.gep(data, [e]), chosen])
        return builder.zext(builder.ctpop(builder.bitcast(chosen, ir.IntType(lanes))), I64)

    return types.int64(at, k, numbers, columns, e), codegen


@intrinsic
def _add_rows(typingctx, vectors, numbers, columns, first, count, b, b_row, start, c):
    """c = start + Σ of numbers[e] times row columns[e] of B, over so many entries of the list, so many vectors wide.

    Addresses and strides are in bytes.
    """
    kind, size = scalar(numbers.dtype), numbers.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector = ir.VectorType(kind, lanes)

    def codegen(context, builder, signature, arguments):
        vectors, numbers, columns, first, count, b, b_row, start, c = arguments
        data = [
            builder.ptrtoint(context.make_array(signature.args[i])(context, builder, array).data, I64)
            for i, array in ((1, numbers), (2, columns))
        ]
        number = builder.add(data[0], builder.mul(first, constant(size)))
        column = builder.add(data[1], builder.mul(first, constant(4)))

        def emit(width):
            places = [constant(v * VECTOR) for v in range(width)]

            def add(e, sums):
                k = builder.zext(load(builder, builder.add(column, builder.mul(e, constant(4))), I32, 4), I64)
                row = builder.add(b, builder.mul(k, b_row))
                value = load(builder, builder.add(number, builder.mul(e, constant(size))), kind, size)
                weight = spread(builder, vector, value)
                seen = [load(builder, builder.add(row, place), vector, size) for place in places]
                return [multiply_add(builder, weight, one, total) for one, total in zip(seen, sums, strict=True)]

            before = [load(builder, builder.add(start, place), vector, size) for place in places]
            for place, total in zip(places, summed(builder, count, before, add), strict=True):
                store(builder, total, builder.add(c, place), size)

        choose(builder, vectors, {width: partial(emit, width) for width in range(1, WIDEST + 1)})
        return context.get_dummy_value()

    return types.void(vectors, numbers, columns, *[types.int64] * 6), codegen


@njit(error_model="numpy")
def _count(x):
    """How many numbers of x are not zero."""
    count = 0
    for n in range(len(x)):
        row = x[n]
        for k in range(row.size):
            count += row[k] != 0
    return count


@njit(error_model="numpy")
def _turn(x, first, last, column, rows):
    """Some columns of x, as many as a vector has lanes or x has left, from row first to row last, as rows of xᵀ."""
    size, lanes = x.itemsize, VECTOR // x.itemsize
    length = last - first
    whole = length // lanes * lanes if column + lanes <= x.shape[1] else 0
    for n in range(0, whole, lanes):
        corner = address(x) + (first + n) * x.strides[0] + column * size
        _transpose_block(rows, n * size, length * size, corner, x.strides[0])
    for n in range(whole, length):
        for k in range(column, min(column + lanes, x.shape[1])):
            rows[(k - column) * length + n] = x[first + n, k]


@njit(error_model="numpy")
def _list(x, transposed, first, last, depth, numbers, columns, spans):
    """Lists what is not zero in the rows of A from first to last, where A is x, or xᵀ.

    Block of `depth` columns by block, and in each row by row: in the order in which it is read. The numbers of a row
    in a block begin and end at its `spans`. Returns how many there are.
    """
    lanes = VECTOR // x.itemsize
    K = x.shape[0] if transposed else x.shape[1]
    turned = aligned_vector(lanes * min(depth, K) if transposed else 0, x)
    e = first * K
    for block in range(spans.shape[0]):
        k_first, k_last = block * depth, min((block + 1) * depth, K)
        length = k_last - k_first
        whole = length // lanes * lanes
        for i in range(first, last):
            if transposed and (i - first) % lanes == 0:
                _turn(x, k_first, k_last, i, turned)
            row = turned[(i - first) % lanes * length :][:length] if transposed else x[i][k_first:k_last]
            spans[block, i, 0] = e
            for k in range(0, whole, lanes):
                e += _append(address(row) + k * row.itemsize, k_first + k, numbers, columns, e)
            for k in range(whole, length):
                if row[k] != 0:
                    numbers[e], columns[e] = row[k], k_first + k
                    e += 1
            spans[block, i, 1] = e
    return e - first * K


@njit(error_model="numpy", fastmath={"reassoc"})
def _finite(B, first, last):
    """Whether these rows of B hold no NaN and no infinity."""
    zero = B.dtype.type(0)
    total = zero
    for k in range(first, last):
        row = B[k]
        for j in range(row.size):
            total += zero * row[j]  # NaN, if a number is not finite
    return total == 0


@njit(error_model="numpy")
def _strips(rows, vectors):
    """Into how many strips of columns B, of so many rows, is cut: narrow ones if they stay near, or wide ones."""
    width = NEAR // (VECTOR * max(rows, 1))
    width = WIDEST if width < 3 else min(width, WIDEST)
    return (max(vectors, 1) + width - 1) // width


@njit(error_model="numpy")
def _multiply(numbers, columns, spans, B, start, C, low, high, depth, strips):
    """Rows of C from low to high.

    As many rows of B at a time as stay near, in a strip: each list is read as far as these go. Meanwhile the next rows
    of B are fetched, a little with each list.
    """
    lanes = VECTOR // C.itemsize
    vectors = C.shape[1] // lanes
    of_start, c = address(start), address(C)
    for block in range(spans.shape[0]):
        next_row = min((block + 1) * depth, len(B))
        ahead, end = address(B) + next_row * B.strides[0], address(B) + min(next_row + depth, len(B)) * B.strides[0]
        little = ((end - ahead) // (strips * max(1, high - low)) // VECTOR + 1) * VECTOR
        for strip in range(strips):
            first, last = vectors * strip // strips, vectors * (strip + 1) // strips
            offset = first * VECTOR
            for i in range(low, high):
                fetch(ahead, min(little, end - ahead))
                ahead = min(ahead + little, end)
                if block == 0 and i + AHEAD < high:
                    fetch_to_write(c + (i + AHEAD) * C.strides[0] + offset, (last - first) * VECTOR)
                begin, stop = spans[block, i]
                if first < last and (begin < stop or block == 0):
                    at_c = c + i * C.strides[0] + offset
                    before = of_start + i % len(start) * start.strides[0] + offset if block == 0 else at_c
                    b = address(B) + offset
                    _add_rows(last - first, numbers, columns, begin, stop - begin, b, B.strides[0], before, at_c)
        for i in range(low, high):
            for j in range(vectors * lanes, C.shape[1]):  # what fills no vector
                total = start[i % len(start), j] if block == 0 else C[i, j]
                for e in range(spans[block, i, 0], spans[block, i, 1]):
                    total += numbers[e] * B[columns[e], j]
                C[i, j] = total


def product(x, transposed, B, start, C, done, threads):  # pragma: no cover  (runs as machine code)
    """C = start + A B, where A is x, or xᵀ, if few enough of its numbers are not zero; done says whether it was so.

    The rows of C and of start, (M, N) or (1, N), are contiguous.
    """
    M, N = C.shape
    K = B.shape[0]
    lanes = VECTOR // C.itemsize
    few = x[:: max(1, len(x) // 4)]  # of what is dense throughout, some rows show it
    if _count(few) > DENSEST * few.size:
        return
    strips = _strips(K, N // lanes)
    width = (N // lanes + strips - 1) // strips
    depth = max(1, NEAR // (VECTOR * max(1, width) * lanes)) * lanes  # rows of a strip of B that stay near
    numbers, columns = np.empty(M * K, x.dtype), np.empty(M * K, np.int32)
    spans = np.empty((max(1, (K + depth - 1) // depth), M, 2), np.int64)
    counts, finite = np.empty(threads, np.int64), np.empty(threads, np.bool_)
    for part in prange(threads):
        low, high = part * M // threads, (part + 1) * M // threads
        counts[part] = _list(x, transposed, low, high, depth, numbers, columns, spans)
        finite[part] = _finite(B, K * part // threads, K * (part + 1) // threads)
    if counts.sum() > DENSEST * x.size or not finite.all():
        return
    for part in prange(threads):
        low, high = part * M // threads, (part + 1) * M // threads
        _multiply(numbers, columns, spans, B, start, C, low, high, depth, strips)
    done[0] = 1
