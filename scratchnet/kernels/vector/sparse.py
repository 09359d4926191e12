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
from numba import njit, types
from numba.extending import intrinsic

from scratchnet.arrays import Array
from scratchnet.kernels.compile import CPU, VECTOR
from scratchnet.kernels.loops import all_finite
from scratchnet.kernels.memory import empty
from scratchnet.kernels.threads import kernel
from scratchnet.kernels.vector.product import transpose_block
from scratchnet.kernels.vector.registers import (
    I32,
    I64,
    aligned_vector,
    choose,
    constant,
    declared,
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

DENSEST = 0.5
"""The share of numbers in A, not zero, up to which skipping pays: they are read from lists, and B not from a panel."""


@intrinsic
def _append(typingctx, like, at, k, numbers, columns, e):
    """Appends to the list, whose end is e, what is not zero in the vector at this address, which begins in column k.

    Beyond its end the list is overwritten, by no more than has been read. Returns how many numbers there were.
    They are of that array's type; `numbers` and `columns` are addresses.
    """
    kind, size = scalar(like.dtype), like.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector, mask = ir.VectorType(kind, lanes), ir.VectorType(ir.IntType(1), lanes)
    indices = ir.VectorType(I32, lanes)

    def codegen(context, builder, signature, arguments):
        at, k, numbers, columns, e = arguments[1:]
        seen = load(builder, at, vector, size)
        chosen = builder.fcmp_unordered("!=", seen, ir.Constant(vector, None))
        first = spread(builder, indices, builder.trunc(k, I32))
        places = builder.add(first, ir.Constant(indices, [ir.Constant(I32, lane) for lane in range(lanes)]))
        for array, values, letter, width in ((numbers, seen, f"f{8 * size}", size), (columns, places, "i32", 4)):
            end = builder.add(array, builder.mul(e, constant(width)))
            kind = f"v{lanes}{letter}"
            if CPU.get("avx512vl"):  # to a register, and whole to memory: a CPU may be slow to do both in one
                compress = ir.FunctionType(values.type, [values.type, values.type, mask])
                function = declared(builder, f"llvm.x86.avx512.mask.compress.{kind}", compress)
                store(builder, builder.call(function, [values, values, chosen]), end, width)
            else:
                end = builder.inttoptr(end, values.type.element.as_pointer())
                compress = ir.FunctionType(ir.VoidType(), [values.type, end.type, mask])
                function = declared(builder, f"llvm.masked.compressstore.{kind}", compress)
                builder.call(function, [values, end, chosen])
        return builder.zext(builder.ctpop(builder.bitcast(chosen, ir.IntType(lanes))), I64)

    return types.int64(like, *[types.int64] * 5), codegen


@intrinsic
def _add_rows(typingctx, like, vectors, numbers, columns, count, b, b_row, start, c):
    """c = start + Σ of numbers[e] times row columns[e] of B, over so many entries of the list, so many vectors wide.

    Numbers are of that array's type; addresses and strides are in bytes.
    """
    kind, size = scalar(like.dtype), like.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector = ir.VectorType(kind, lanes)

    def codegen(context, builder, signature, arguments):
        vectors, number, column, count, b, b_row, start, c = arguments[1:]

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

    return types.void(like, *[types.int64] * 8), codegen


@njit(error_model="numpy")
def _transpose_columns(x, first, last, column, rows):
    """Some columns of x, as many as a vector has lanes or x has left, from row first to row last, as rows of xᵀ."""
    size, lanes = x.itemsize, VECTOR // x.itemsize
    length = last - first
    whole = length // lanes * lanes if column + lanes <= x.shape[1] else 0
    for n in range(0, whole, lanes):
        corner = x.ctypes.data + (first + n) * x.strides[0] + column * size
        transpose_block(rows, rows.ctypes.data + n * size, length * size, corner, x.strides[0])
    for n in range(whole, length):
        for k in range(column, min(column + lanes, x.shape[1])):
            rows[(k - column) * length + n] = x[first + n, k]


@kernel("mnVWIn")
def _list_numbers(x, transposed, numbers, columns, spans, depth, first, last):
    """Lists what is not zero in the rows of A from first to last, where A is x, or xᵀ.

    Block of `depth` columns by block, and in each row by row: in the order in which it is read. The numbers of row i in
    block b begin and end at spans[2 (b M + i)] and the one after.
    """
    lanes = VECTOR // x.itemsize
    M, K = (x.shape[1], x.shape[0]) if transposed else x.shape
    turned = aligned_vector(lanes * min(depth, K) if transposed else 0, x)
    e = first * K
    of_numbers, of_columns = numbers.ctypes.data, columns.ctypes.data
    for block in range(spans.size // max(1, 2 * M)):
        k_first, k_last = block * depth, min((block + 1) * depth, K)
        length = k_last - k_first
        whole = length // lanes * lanes
        for i in range(first, last):
            if transposed and (i - first) % lanes == 0:
                _transpose_columns(x, k_first, k_last, i, turned)
            row = turned[(i - first) % lanes * length :][:length] if transposed else x[i][k_first:k_last]
            spans[2 * (block * M + i)] = e
            for k in range(0, whole, lanes):
                e += _append(row, row.ctypes.data + k * row.itemsize, k_first + k, of_numbers, of_columns, e)
            for k in range(whole, length):
                if row[k] != 0:
                    numbers[e], columns[e] = row[k], k_first + k
                    e += 1
            spans[2 * (block * M + i) + 1] = e


@kernel("vwimmMnn")
def _add_listed_rows(numbers, columns, spans, B, start, C, depth, strips, first, last):
    """Rows of C from first to last. As many rows of B at a time as stay near, in a strip: each list is read so far."""
    M, N = C.shape
    size = C.itemsize
    lanes = VECTOR // size
    vectors = N // lanes
    of_numbers, of_columns = numbers.ctypes.data, columns.ctypes.data
    for block in range(spans.size // max(1, 2 * M)):
        for strip in range(strips):
            left, right = vectors * strip // strips, vectors * (strip + 1) // strips
            offset = left * VECTOR
            for i in range(first, last):
                begin, end = spans[2 * (block * M + i)], spans[2 * (block * M + i) + 1]
                if left < right and (begin < end or block == 0):
                    c = C.ctypes.data + i * C.strides[0] + offset
                    before = start.ctypes.data + i % len(start) * start.strides[0] + offset if block == 0 else c
                    _add_rows(
                        C, right - left, of_numbers + begin * size, of_columns + begin * 4, end - begin,
                        B.ctypes.data + offset, B.strides[0], before, c,
                    )  # fmt: skip
        for i in range(first, last):
            for j in range(vectors * lanes, N):  # what fills no vector
                total = start[i % len(start), j] if block == 0 else C[i, j]
                for e in range(spans[2 * (block * M + i)], spans[2 * (block * M + i) + 1]):
                    total += numbers[e] * B[columns[e], j]
                C[i, j] = total


def _strips(rows: int, vectors: int) -> int:
    """Into how many strips of columns B, of so many rows, is cut: narrow ones if they stay near, or wide ones."""
    width = NEAR // (VECTOR * max(rows, 1))
    width = WIDEST if width < 3 else min(width, WIDEST)
    return -(-max(vectors, 1) // width)


def multiply_skipping(x: Array, transposed: bool, B: Array, start: Array, C: Array) -> bool:
    """C = start + A B, where A is x, or xᵀ, if few enough of its numbers are not zero; whether it was so.

    x, B, C and start, (M, N) or (1, N), are in C order.
    """
    few = x[:: max(1, len(x) // 4)]  # of what is dense throughout, some rows show it
    if np.count_nonzero(few) > DENSEST * few.size:
        return False
    (M, N), K, lanes = C.shape, len(B), VECTOR // C.itemsize
    strips = _strips(K, N // lanes)
    width = -(-(N // lanes) // strips)
    depth = max(1, NEAR // (VECTOR * max(1, width) * lanes)) * lanes  # rows of a strip of B that stay near
    numbers, columns = empty((M * K,), x.dtype), np.empty(M * K, np.int32)
    spans = np.empty(max(1, -(-K // depth)) * 2 * M, np.int64)
    _list_numbers(M, x.size / 2, x, int(transposed), numbers, columns, spans, depth)
    count = int(spans[1::2].sum() - spans[::2].sum())
    if count > DENSEST * x.size or not all_finite(B):
        return False
    _add_listed_rows(M, count * N / 40, numbers, columns, spans, B, start, C, depth, strips)
    return True
