"""A density with two humps, and the KL of one Gaussian from it."""

import math

import numpy as np

import scratchnet as sn
from scratchnet.arrays import Array
from scratchnet.probability import expectation

SHARE, MEAN, DEVIATION = np.array([0.7, 0.3]), np.array([-2.0, 2.0]), np.array([0.8, 0.6])  # of the two humps
Z, SEEN = (np.linspace(-end, end, 400 * end + 1)[:, None] for end in (16, 6))  # (K, 1); beyond 16 nothing counts
EPS, WEIGHT = Z, np.exp(-0.5 * Z**2) / np.exp(-0.5 * Z**2).sum()  # N(0, 1) as a distribution on it


def log_gaussian(z: Array, mu, sigma) -> Array:
    """log N(z; μ, σ²)."""
    return -0.5 * ((z - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * math.log(2 * math.pi)


def two_humps(z: Array) -> tuple[Array, Array]:
    """log p and its slope, of p = Σₖ wₖ N(mₖ, sₖ²), at z (K, 1): (K, 1) each."""
    log_joint = np.log(SHARE) + log_gaussian(z, MEAN, DEVIATION)  # log p(z, k) = log wₖ + log N(z; mₖ, sₖ²)   (K, 2)
    log_p = np.logaddexp.reduce(log_joint, axis=1, keepdims=True)  # p(z) = Σₖ p(z, k)
    hump_given_z = np.exp(log_joint - log_p)  # p(k | z) = p(z, k) / p(z)
    return log_p, (hump_given_z * (MEAN - z) / DEVIATION**2).sum(axis=1, keepdims=True)


def reverse_kl(mu: Array, logvar: Array) -> tuple[float, Array, Array]:
    """D(q‖p) of q = N(μ, σ²) from the two humps, in nats, and its slopes; μ and log σ² are (1, 1)."""
    z, backward = sn.sample_gaussian(np.full_like(EPS, mu), np.full_like(EPS, logvar), EPS)  # z = μ + σ ε   (K, 1)
    log_p, slope = two_humps(z)
    log_q = log_gaussian(EPS, 0, 1) - 0.5 * logvar  # log N(z; μ, σ²), for (z − μ)/σ = ε
    dmu, dlogvar = backward(-WEIGHT * slope)  # of −E[log p(z)]
    return expectation(WEIGHT, log_q - log_p), dmu.sum(keepdims=True), dlogvar.sum(keepdims=True) - 0.5
