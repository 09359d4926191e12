"""A product that skips zeros: C = C₀ + A B, where most of A is zero.

An image of MNIST is zero in four pixels of five, and so is four fifths of the work of a network's first layer: in
y = x W, and again in dW = xᵀ dy. What a zero multiplies adds nothing, so that leaving it out changes no result, as
long as B is finite (0 · ∞ is NaN).

The numbers that are not zero are listed, row of A by row of A, each with its column. A row of C is then the sum of the
rows of B at these columns, each times its number; it stands in registers while the list is read. Rows of C are cut into
strips of columns, for registers and for threads, and each number is added up by one thread in the order of the list.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

from functools import partial

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from scratchnet.kernels.vectors import (
    AVX512,
    I32,
    I64,
    VECTOR,
    address,
    choose,
    constant,
    load,
    multiply_add,
    scalar,
    spread,
    store,
    summed,
)

WIDEST = 14 if AVX512 else 10
"""Vectors of a row of C that are added up at a time, in as many registers."""

NEAR = 49152
"""Bytes of a strip of B, if there is a choice: not much more than the first-level cache holds."""

DENSEST = 0.35
"""The share of numbers in A, not zero, up to which skipping pays: they are read from lists, and B not from a panel."""


@intrinsic
def _not_zero(typingctx, array, at):
    """A bit for each number of the vector at this address, set where the number is not zero."""
    kind, size = scalar(array.dtype), array.dtype.bitwidth // 8
    lanes = VECTOR // size

    def codegen(context, builder, signature, arguments):
        vector = load(builder, arguments[1], ir.VectorType(kind, lanes), size)
        mask = builder.fcmp_unordered("!=", vector, ir.Constant(vector.type, None))
        return builder.zext(builder.bitcast(mask, ir.IntType(lanes)), I64)

    return types.int64(array, at), codegen


@intrinsic
def _lowest(typingctx, bits):
    """The place of the lowest bit that is set."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(bits), codegen


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


@intrinsic
def _how_many(typingctx, bits):
    """How many bits are set."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(bits), codegen


@intrinsic
def _times_zero(typingctx, array, at, vectors):
    """The sum of 0 · b over so many vectors from this address: zero, or NaN if one of them is not finite."""
    kind, size = scalar(array.dtype), array.dtype.bitwidth // 8
    lanes = VECTOR // size
    vector = ir.VectorType(kind, lanes)

    def codegen(context, builder, signature, arguments):
        _, at, vectors = arguments
        zero = ir.Constant(vector, None)
        total = cgutils.alloca_once_value(builder, zero)
        with cgutils.for_range(builder, vectors) as v:
            b = load(builder, builder.add(at, builder.mul(v.index, constant(VECTOR))), vector, size)
            builder.store(builder.fadd(builder.load(total), builder.fmul(zero, b)), total)
        lane = [builder.extract_element(builder.load(total), ir.Constant(I32, i)) for i in range(lanes)]
        while len(lane) > 1:
            lane = [builder.fadd(one, other) for one, other in zip(lane[::2], lane[1::2], strict=True)]
        return lane[0]

    return array.dtype(array, at, vectors), codegen


@njit(error_model="numpy")
def _bits(x, n, k, last):
    """A bit for each number of a vector's length from x[n, k] on, before column last, set where it is not zero."""
    if k + VECTOR // x.itemsize <= last:
        return _not_zero(x, address(x) + n * x.strides[0] + k * x.itemsize)
    bits = 0
    for j in range(last - k):
        bits |= (x[n, k + j] != 0) << j
    return bits


@njit(error_model="numpy")
def _count(x, transposed, first, last, counts):
    """How many numbers are not zero in the rows of A from first to last, where A is x, or xᵀ."""
    lanes = VECTOR // x.itemsize
    counts[first:last] = 0
    if transposed:
        for n in range(x.shape[0]):
            for k in range(first, last, lanes):
                bits = _bits(x, n, k, last)
                while bits:
                    counts[k + _lowest(bits)] += 1
                    bits &= bits - 1
    else:
        for n in range(first, last):
            for k in range(0, x.shape[1], lanes):
                counts[n] += _how_many(_bits(x, n, k, x.shape[1]))


@njit(error_model="numpy")
def _list(x, transposed, first, last, ends, numbers, columns):
    """Appends what is not zero in these rows of A to their lists, each of which stands before its end."""
    lanes = VECTOR // x.itemsize
    n_first, n_last = (0, x.shape[0]) if transposed else (first, last)
    k_first, k_last = (first, last) if transposed else (0, x.shape[1])
    for n in range(n_first, n_last):
        for k in range(k_first, k_last, lanes):
            bits = _bits(x, n, k, k_last)
            while bits:
                j = k + _lowest(bits)
                bits &= bits - 1
                row, column = (j, n) if transposed else (n, j)
                e = ends[row]
                numbers[e], columns[e], ends[row] = x[n, j], column, e + 1


@njit(error_model="numpy")
def _finite(B, first, vectors, last):
    """Whether so many vectors of columns of B from the first, and those up to the last, hold no NaN and no infinity."""
    size = B.itemsize
    for k in range(B.shape[0]):
        total = _times_zero(B, address(B) + k * B.strides[0] + first * size, vectors)
        for j in range(first + vectors * VECTOR // size, last):
            total += 0 * B[k, j]
        if total != 0:
            return False
    return True


@njit(error_model="numpy")
def _begins(counts):
    """Where each list begins, one after the other, and at last where they end."""
    begins = np.zeros(len(counts) + 1, np.int64)
    for i in range(len(counts)):
        begins[i + 1] = begins[i] + counts[i]
    return begins


@njit(error_model="numpy")
def _strips(rows, vectors, threads):
    """Into how many strips of columns B, of so many rows, is cut: narrow ones if they stay near, or wide ones."""
    width = NEAR // (VECTOR * max(rows, 1))
    width = WIDEST if width < 3 else min(width, WIDEST)
    strips = (max(vectors, 1) + width - 1) // width
    return min(max(vectors, 1), (strips + threads - 1) // threads * threads)


@njit(error_model="numpy")
def _multiply(numbers, columns, begins, B, start, C, first, last, end):
    """The columns of C from vector first to vector last, and those after it up to the end, which fill no vector.

    As many rows of B at a time as stay near: each list is read as far as these go, and then the next.
    """
    lanes = VECTOR // C.itemsize
    b, of_start, c = address(B) + first * VECTOR, address(start) + first * VECTOR, address(C) + first * VECTOR
    depth = max(1, NEAR // (VECTOR * max(1, last - first)))
    ends = begins[:-1].copy()
    for k in range(0, max(1, B.shape[0]) if first < last else 0, depth):
        for i in range(C.shape[0]):
            begin, stop = ends[i], begins[i + 1]
            if k + depth < B.shape[0]:
                stop = begin
                while stop < begins[i + 1] and columns[stop] < k + depth:
                    stop += 1
            ends[i] = stop
            at_c = c + i * C.strides[0]
            before = of_start + i % len(start) * start.strides[0] if k == 0 else at_c
            if stop > begin or k == 0:
                _add_rows(last - first, numbers, columns, begin, stop - begin, b, B.strides[0], before, at_c)
    for i in range(C.shape[0]):
        for j in range(last * lanes, end):
            total = start[i % len(start), j]
            for n in range(begins[i], begins[i + 1]):
                total += numbers[n] * B[columns[n], j]
            C[i, j] = total


def product(x, transposed, B, start, C, done, threads):  # pragma: no cover  (runs as machine code)
    """C = start + A B, where A is x, or xᵀ, if few enough of its numbers are not zero; done says whether it was so.

    The rows of x, B, C and start, (M, N) or (1, N), are contiguous.
    """
    M, N = C.shape
    lanes = VECTOR // C.itemsize
    counts = np.empty(M, np.int64)
    for part in prange(threads):
        _count(x, transposed, part * M // threads, (part + 1) * M // threads, counts)
    begins = _begins(counts)
    ends = begins.copy()
    if begins[M] > DENSEST * x.size:
        return
    numbers, columns = np.empty(begins[M], x.dtype), np.empty(begins[M], np.int32)
    strips = _strips(B.shape[0], N // lanes, threads)
    finite = np.empty(strips, np.bool_)
    for part in prange(threads):
        _list(x, transposed, part * M // threads, (part + 1) * M // threads, ends, numbers, columns)
        for strip in range(part * strips // threads, (part + 1) * strips // threads):
            first, last = N // lanes * strip // strips, N // lanes * (strip + 1) // strips
            finite[strip] = _finite(B, first * lanes, last - first, N if strip == strips - 1 else 0)
    for strip in range(strips):
        if not finite[strip]:
            return
    for strip in prange(strips):
        first, last = N // lanes * strip // strips, N // lanes * (strip + 1) // strips
        _multiply(numbers, columns, begins, B, start, C, first, last, N if strip == strips - 1 else 0)
    done[0] = 1
