"""Non-negative matrix factorisation: images as sums of parts that are never subtracted."""

import numpy as np

SWEEPS = 30


def factorise(x: np.ndarray, L: int, rng: np.random.Generator) -> np.ndarray:
    """L parts H (L, D) with x ≈ W H, where neither W (N, L) nor H has a negative number.

    The squared error is a parabola in each row of H, and in each column of W, while all others are fixed: each goes to
    its lowest point that is not negative, one after the other (Cichocki & Phan 2009).
    """
    H = x[rng.integers(len(x), size=(L, 5))].mean(axis=1)  # a start: means of five images
    W = shares(x, H)
    for _ in range(SWEEPS):
        descend(H, W.T @ x, W.T @ W)
        W = shares(x, H, W, 1)
    return H


def shares(x: np.ndarray, H: np.ndarray, W: np.ndarray | None = None, sweeps: int = SWEEPS) -> np.ndarray:
    """How much of each part is in each image, W (N, L), found from what W is at first."""
    V = np.full((H.shape[0], len(x)), 0.1, x.dtype) if W is None else W.T.copy()
    for _ in range(sweeps):
        descend(V, H @ x.T, H @ H.T)
    return V.T


def descend(A: np.ndarray, target: np.ndarray, gram: np.ndarray) -> None:
    """Each row of A in turn to the lowest point of ½ Aᵀ gram A − Aᵀ target that is not negative."""
    for k in range(len(A)):
        slope = gram[k] @ A - target[k]
        A[k] = np.maximum(A[k] - slope / max(gram[k, k], 1e-12), 0)
