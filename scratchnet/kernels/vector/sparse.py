"""A product that skips zeros: C = start + A B, where most of A is zero.

Four fifths of the pixels of MNIST are zero, and with them four fifths of the work of a network's first layer: in
y = x W, and again in dW = xᵀ dy. Skipping them takes three tenths off a training step of a 784-400-10 classifier, and
one tenth off that of the 784-400-20 VAE (batch 128, medians, one thread of an AMD EPYC Zen 4 with AVX-512). It changes
no result, as long as B is finite (0 · ∞ is NaN).

For some rows of B at a time, which stay near in the cache, the columns of A that are not zero are listed, row by row.
Then a tile of one row of C adds up the rows of B on its list. Threads share the rows of C; each number is computed by
one thread, in the order of the list.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.kernels.compile import VECTOR
from scratchnet.kernels.loops import all_finite
from scratchnet.kernels.threads import kernel
from scratchnet.kernels.vector.product import pack
from scratchnet.kernels.vector.registers import Grid, address, aligned_vector, tile

WIDTH = 7
"""Vectors of a row of C that are added up at a time, in as many registers."""

NEAR = 128
"""Rows of B at a time; of so many vectors they are not much more than the first-level cache holds."""

DENSEST, NARROWEST = 0.35, 8
"""Skipping pays if at most this share of A is not zero, and a row of C fills so many vectors (chapter 16)."""

_add_rows = tile([(1, width) for width in range(1, WIDTH + 1)])


@kernel("ammM")
def _multiply_listed(A, B, start, C, first, last):
    """Rows of C = start + A B from first to last."""
    K, N, size = len(B), C.shape[1], C.itemsize
    vectors = N * size // VECTOR
    strips = (vectors + WIDTH - 1) // WIDTH
    block = aligned_vector((last - first) * NEAR, C)
    columns, ends = np.empty(block.size, np.int64), np.zeros(last - first + 1, np.int64)
    for begin in range(0, max(K, 1), NEAR):
        pack(block, A, first, last - first, begin, NEAR)
        e = np.uint64(0)  # an index that can't be negative is the faster one
        for i in range(last - first):
            row = block[i * NEAR : (i + 1) * NEAR]
            for k in range(NEAR):
                columns[e] = k
                e += np.uint64(row[k] != 0)
            ends[i + 1] = e
        for strip in range(strips):
            left, right = vectors * strip // strips, vectors * (strip + 1) // strips
            for i in range(first, last):
                e, end = ends[i - first], ends[i - first + 1]
                listed = address(columns) + 8 * e
                numbers = Grid(address(block) + (i - first) * NEAR * size, 0, (listed, size))
                of_b = Grid(address(B) + begin * B.strides[0] + left * VECTOR, (listed, B.strides[0]), VECTOR)
                of_c = Grid(address(C) + i * C.strides[0] + left * VECTOR, 0, VECTOR)
                of_start = Grid(address(start) + i % len(start) * start.strides[0] + left * VECTOR, 0, VECTOR)
                _add_rows(C, 1, right - left, end - e, numbers, of_b, of_c if begin else of_start, of_c)
        for i in range(first, last):
            for j in range(vectors * VECTOR // size, N):  # the columns that fill no vector
                total = C[i, j] if begin else start[i % len(start), j]
                for k in columns[ends[i - first] : ends[i - first + 1]]:
                    total += A[i, begin + k] * B[begin + k, j]
                C[i, j] = total
    columns[:1] = block[:1] = 0  # alive until here: an address alone does not keep an array alive


def multiply_skipping(x: Array, transposed: bool, B: Array, start: Array, C: Array) -> bool:
    """C = start + A B, where A is x, or xᵀ, if that pays; returns whether it does.

    x, B, C and start, (M, N) or (1, N), are in C order.
    """
    if C.shape[1] * C.itemsize < NARROWEST * VECTOR:
        return False
    sample = x[:: max(1, len(x) // 8)]  # of its rows
    count = np.count_nonzero(sample != 0)
    if count > DENSEST * sample.size or not all_finite(B):
        return False
    work = x.size * (1 / 2 + count / max(1, sample.size) * C.shape[1] / 40)
    _multiply_listed(len(C), work, x.T if transposed else x, B, start, C)
    return True
