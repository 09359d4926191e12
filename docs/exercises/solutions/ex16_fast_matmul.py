"""Chapter 16, A fast matrix product: docs/16-fast-matmul.md."""

import numpy as np


def roofline(operations, bytes_moved, peak, bandwidth):
    """rate ≤ min(π, I β), where I is the number of operations for each byte.

    peak is π in operations a second, bandwidth is β in bytes a second; returns the bound, in operations a second.

    ★ · 5 minutes · docs/16-fast-matmul.md#what-the-machine-allows
    """
    return min(peak, operations / bytes_moved * bandwidth)


def blocked_product(A, B, height, depth):
    """C[i, :] = Σ_k A[i, k] B[k, :], where i takes `height` and k takes `depth` values at a time.

    A (M, K), B (K, N); returns C (M, N). Multiply blocks of A, of at most (height, depth), with blocks of B. M and K
    need not be multiples of height and depth.

    ★★ · 20 minutes · docs/16-fast-matmul.md#blocks-and-packing
    """
    C = np.zeros((len(A), B.shape[1]))
    for i in range(0, len(A), height):
        for k in range(0, len(B), depth):
            C[i : i + height] += A[i : i + height, k : k + depth] @ B[k : k + depth]
    return C


def tallest_tile(registers, V):
    """R V + V + 1 ≤ registers: the tile, V vectors of B and one number of A.

    V is the number of vectors in a row of the tile; returns the largest whole number R.

    ★ · 5 minutes · docs/16-fast-matmul.md#the-tile-that-stays-in-registers
    """
    return (registers - 1 - V) // V


def loads_per_fma(R, V):
    """A step of k loads V vectors of B and R numbers of A, and makes R V FMAs.

    R rows and V vectors are the sides of the tile; returns the number of loads for one FMA.

    ★ · 5 minutes · docs/16-fast-matmul.md#the-tile-that-stays-in-registers
    """
    return (R + V) / (R * V)
