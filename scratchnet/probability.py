"""Discrete probability: what the losses of this library are made of, small enough to check by hand.

A distribution p(x) is an array of any shape, p(x, y) one of shape (X, Y), of numbers ≥ 0 whose sum is 1. A
conditional p(x | y) is a table (X, Y) each of whose columns is a distribution: the letters name the axes in their
order. Arrays and nested lists are both accepted. Results are float64, logarithms are natural. The examples need
`from scratchnet.probability import *`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratchnet.arrays import Array
from scratchnet.checks import check_conditional, check_count, check_distribution, check_finite, check_number, check_real
from scratchnet.errors import DataError, ShapeError

__all__ = ["bayes", "binomial", "conditional", "cross_entropy", "entropy", "expectation", "kl", "total_probability"]


def conditional(p_xy: ArrayLike) -> Array:
    """p(x | y) = p(x, y) / p(y),  with p(y) = Σₓ p(x, y).

    Takes the joint distribution (X, Y) and returns a table (X, Y). No y may have probability 0. See
    docs/01-probability.md; Kolmogorov, Grundbegriffe der Wahrscheinlichkeitsrechnung, 1933.

    >>> conditional([[0.1, 0.3], [0.4, 0.2]])        # p(y) = 0.5, 0.5
    array([[0.2, 0.6],
           [0.8, 0.4]])
    """
    p_xy = check_distribution("conditional", "p_xy", p_xy)
    if p_xy.ndim != 2:
        raise ShapeError(f"conditional expects p_xy of shape (X, Y), got {p_xy.shape}.")
    p_y = p_xy.sum(axis=0)  # p(y) = Σₓ p(x, y)        (Y,)
    _check_possible("conditional", p_y)
    return p_xy / p_y  # p(x | y) = p(x, y) / p(y)        (X, Y)


def total_probability(p_x_given_y: ArrayLike, p_y: ArrayLike) -> Array:
    """p(x) = Σ_y p(x | y) p(y).

    Takes a table (X, Y) and a distribution (Y,), and returns a distribution (X,). See docs/01-probability.md;
    Kolmogorov, Grundbegriffe der Wahrscheinlichkeitsrechnung, 1933.

    >>> total_probability([[0.5, 0.1], [0.5, 0.9]], [0.5, 0.5])  # ½·0.5 + ½·0.1,  ½·0.5 + ½·0.9
    array([0.3, 0.7])
    """
    p_x_given_y, p_y = _table("total_probability", "p_x_given_y", p_x_given_y, "p_y", p_y)
    return p_x_given_y @ p_y  # (X, Y) (Y,) → (X,)


def bayes(p_y_given_x: ArrayLike, p_x: ArrayLike) -> Array:
    """p(x | y) = p(y | x) p(x) / p(y),  with p(y) = Σₓ p(y | x) p(x).

    Takes the likelihood, a table (Y, X), and the prior (X,), and returns the posterior, a table (X, Y). No y may have
    probability 0. See docs/01-probability.md; Bayes, An Essay towards solving a Problem in the Doctrine of Chances,
    1763.

    >>> p_y_given_x = [[0.5, 0.25], [0.5, 0.75]]                    # p(y) = 0.375, 0.625
    >>> bayes(p_y_given_x, [0.5, 0.5]).round(4)      # ½·0.5 / 0.375 = ⅔,  ½·0.5 / 0.625 = 0.4
    array([[0.6667, 0.4   ],
           [0.3333, 0.6   ]])
    """
    p_y_given_x, p_x = _table("bayes", "p_y_given_x", p_y_given_x, "p_x", p_x)
    p_y = p_y_given_x @ p_x  # p(y) = Σₓ p(y | x) p(x)        (Y,)
    _check_possible("bayes", p_y)
    return p_y_given_x.T * p_x[:, None] / p_y  # p(x | y) = p(y | x) p(x) / p(y)        (X, Y)


def expectation(p: ArrayLike, values: ArrayLike) -> float:
    """E[f] = Σₓ p(x) f(x), in the unit of f; `values` are f(x), in the shape of p.

    See docs/01-probability.md; Huygens, De ratiociniis in ludo aleae, 1657.

    >>> expectation([0.25, 0.75], [0, 100])
    75.0
    """
    p = check_distribution("expectation", "p", p)
    values = check_real("expectation", "values", values)
    _check_pair("expectation", "values", values, p)
    check_finite("expectation", "values", values)
    return (p * values).sum().item()


def entropy(p: ArrayLike) -> float:
    """H(p) = −Σₓ p(x) log p(x), in nats, where 0 log 0 = 0.

    It is 0 if one value is certain and log n if n values are equally likely. See docs/02-entropy-and-kl.md; Shannon, A
    Mathematical Theory of Communication, 1948.

    >>> round(entropy([0.5, 0.25, 0.25]), 7)         # ½ log 2 + ½ log 4
    1.0397208
    """
    p = check_distribution("entropy", "p", p)
    return _mean_surprise(p, p)


def cross_entropy(p: ArrayLike, q: ArrayLike) -> float:
    """H(p, q) = −Σₓ p(x) log q(x) = H(p) + D(p‖q), in nats, where 0 log q = 0; infinite if q(x) = 0 where p(x) > 0.

    p, the distribution of x, and q, the one that describes it, have one shape. See docs/02-entropy-and-kl.md. For the
    coin of one pixel it is `sn.bce`: docs/04-activations-and-losses.md.

    >>> round(cross_entropy([1.0, 0.0], [0.25, 0.75]), 7)    # log 4
    1.3862944
    """
    p, q = check_distribution("cross_entropy", "p", p), check_distribution("cross_entropy", "q", q)
    _check_pair("cross_entropy", "q", q, p)
    return _mean_surprise(p, q)


def kl(p: ArrayLike, q: ArrayLike) -> float:
    """D(p‖q) = Σₓ p(x) log (p(x) / q(x)), in nats, where 0 log 0 = 0; infinite if q(x) = 0 where p(x) > 0.

    p and q have one shape. D(p‖q) ≥ 0, and it is 0 only if p = q, both within rounding, near 1e-16. D(p‖q) and D(q‖p)
    are two numbers. See docs/02-entropy-and-kl.md; Kullback & Leibler, On Information and Sufficiency, 1951.

    >>> p, q = binomial(2, 0.4), [1 / 3, 1 / 3, 1 / 3]
    >>> round(kl(p, q), 7), round(kl(q, p), 7)
    (0.0852996, 0.097455)
    """
    p, q = check_distribution("kl", "p", p), check_distribution("kl", "q", q)
    _check_pair("kl", "q", q, p)
    happens = p > 0
    p, q = p[happens], q[happens]
    with np.errstate(divide="ignore"):  # −log 0 = ∞
        return (p * (np.log(p) - np.log(q))).sum().item()  # p / q itself may overflow


def binomial(n: int, p: float) -> Array:
    """P(k) = n! / (k! (n − k)!) pᵏ (1 − p)ⁿ⁻ᵏ: of n tosses, each a success with probability p, k succeed.

    Returns P(0), …, P(n), for n from 1 to 100,000. See docs/01-probability.md; Jacob Bernoulli, Ars Conjectandi, 1713.

    >>> binomial(2, 0.5)
    array([0.25, 0.5 , 0.25])
    """
    n = check_count("binomial", "n", n, most=100_000)
    p = check_number("binomial", "p", p, 0, 1, closed_high=True)
    toss = [1 - p, p]  # no success, one success
    P = np.ones(1)  # before the first toss, 0 successes are certain
    for _ in range(n):
        P = np.convolve(P, toss)  # P(k) ← P(k) (1 − p) + P(k − 1) p
    return P


def _mean_surprise(p: Array, q: Array) -> float:
    """−Σ p log q over the values that occur, those with p > 0; infinite if q is 0 at one of them."""
    happens = p > 0
    with np.errstate(divide="ignore"):  # −log 0 = ∞
        return 0.0 - (p[happens] * np.log(q[happens])).sum().item()  # 0.0 − 0.0 is 0.0, where −0.0 would be printed


def _table(where: str, name: str, table: Any, weights_name: str, weights: Any) -> tuple[Array, Array]:
    """A conditional (A, B) and a distribution (B,) over its columns."""
    table = check_conditional(where, name, table)
    weights = check_distribution(where, weights_name, weights)
    if weights.shape != table.shape[1:]:
        raise ShapeError(
            f"{where} expects {weights_name} of shape {table.shape[1:]}, a probability for each column of {name}, "
            f"got {weights.shape}."
        )
    return table, weights


def _check_pair(where: str, name: str, x: Array, p: Array) -> None:
    if x.shape != p.shape:
        raise ShapeError(f"{where} expects {name} in the shape of p, {p.shape}, got {x.shape}.")


def _check_possible(where: str, p_y: Array) -> None:
    if not p_y.all():
        raise DataError(
            f"{where} expects every y to have a probability above 0, got p(y) = 0 for number {np.argmin(p_y)}: "
            "leave out a y that cannot be observed."
        )
