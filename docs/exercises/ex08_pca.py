"""Chapter 08, PCA, and what a linear autoencoder finds: docs/08-pca.md."""

import numpy as np


def pca(x, L):
    """x − x̄ = U S Vᵀ; the components are the first L columns of V, and their variances λᵢ = Sᵢ² / N.

    x (N, D); returns the mean image (D,), the components (D, L) and the variances (L,), largest first. NumPy has
    np.linalg.svd.

    ★★ · 20 minutes · docs/08-pca.md#most-variance-is-least-error
    """
    raise NotImplementedError("TODO: return the mean, the components and their variances")


def project(x, mean, V):
    """y = x̄ + (x − x̄) V Vᵀ: the point nearest to x in the plane of the components.

    x (N, D), mean (D,), V (D, L) with orthonormal columns; returns y (N, D).

    ★ · 5 minutes · docs/08-pca.md#most-variance-is-least-error
    """
    raise NotImplementedError("TODO: encode, and decode")


def least_error(x, L):
    """min (1/N) ‖x − Y‖² = Σ λᵢ over i > L, over all Y = x̄ + a matrix of rank L; λᵢ are eigenvalues of the covariance.

    x (N, D); returns a number, in squared units per image: no linear autoencoder with L codes has a smaller loss.

    ★ · 10 minutes · docs/08-pca.md#no-matrix-of-rank-l-does-better-eckart--young-1936
    """
    raise NotImplementedError("TODO: the sum of the other eigenvalues")
