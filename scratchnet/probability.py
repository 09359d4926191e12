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
from scratchnet.checks import check_count, check_finite, check_number, check_real, check_shape, describe
from scratchnet.errors import DataError

__all__ = ["bayes", "binomial", "conditional", "cross_entropy", "entropy", "expectation", "kl", "total_probability"]


def conditional(p_xy: ArrayLike) -> Array:
    """p(x | y) = p(x, y) / p(y),  with p(y) = Σₓ p(x, y).

    Takes the joint distribution (X, Y) and returns a table (X, Y). No y may have probability 0. See
    docs/01-probability.md; Kolmogorov, Grundbegriffe der Wahrscheinlichkeitsrechnung, 1933.

    >>> conditional([[0.1, 0.3], [0.4, 0.2]])        # p(y) = 0.5, 0.5
    array([[0.2, 0.6],
           [0.8, 0.4]])
    """
    p_xy = _distribution("conditional", "p_xy", p_xy)
    check_shape("conditional", "p_xy", p_xy, "X", "Y")
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
    p = _distribution("expectation", "p", p)
    values = check_real("expectation", "values", values)
    check_shape("expectation", "values", values, *p.shape, hint=": the shape of p")
    check_finite("expectation", "values", values)
    return (p * values).sum().item()


def entropy(p: ArrayLike) -> float:
    """H(p) = −Σₓ p(x) log p(x), in nats, where 0 log 0 = 0.

    It is 0 if one value is certain and log n if n values are equally likely. See docs/02-entropy-and-kl.md; Shannon, A
    Mathematical Theory of Communication, 1948.

    >>> round(entropy([0.5, 0.25, 0.25]), 7)         # ½ log 2 + ½ log 4
    1.0397208
    """
    p = _distribution("entropy", "p", p)
    return _mean_surprise(p, p)


def cross_entropy(p: ArrayLike, q: ArrayLike) -> float:
    """H(p, q) = −Σₓ p(x) log q(x) = H(p) + D(p‖q), in nats, where 0 log q = 0; infinite if q(x) = 0 where p(x) > 0.

    p, the distribution of x, and q, the one that describes it, have one shape. See docs/02-entropy-and-kl.md. For the
    coin of one pixel it is `sn.bce`: docs/04-activations-and-losses.md.

    >>> round(cross_entropy([1.0, 0.0], [0.25, 0.75]), 7)    # log 4
    1.3862944
    """
    p, q = _pair("cross_entropy", p, q)
    return _mean_surprise(p, q)


def kl(p: ArrayLike, q: ArrayLike) -> float:
    """D(p‖q) = Σₓ p(x) log (p(x) / q(x)), in nats, where 0 log 0 = 0; infinite if q(x) = 0 where p(x) > 0.

    p and q have one shape. D(p‖q) ≥ 0, and it is 0 only if p = q, both within rounding, near 1e-16. D(p‖q) and D(q‖p)
    are two numbers. See docs/02-entropy-and-kl.md; Kullback & Leibler, On Information and Sufficiency, 1951.

    >>> p, q = binomial(2, 0.4), [1 / 3, 1 / 3, 1 / 3]
    >>> round(kl(p, q), 7), round(kl(q, p), 7)
    (0.0852996, 0.097455)
    """
    p, q = _pair("kl", p, q)
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


def _distribution(where: str, name: str, p: Any, hint: str = "") -> Array:
    """`p` holds probabilities that sum to 1 within the rounding of their type; returned in float64."""
    p = check_real(where, name, p)
    check_finite(where, name, p)
    if p.min() < 0:
        raise DataError(f"{where} expects {name} to hold probabilities, none of them negative, got {describe(p)}.")
    rounding = 10 * max(np.finfo(p.dtype).eps if p.dtype.kind == "f" else 0, np.finfo(float).eps)  # after a few sums
    p = p.astype(np.float64)
    if abs(p.sum() - 1) > rounding * p.size:
        hint = hint or f"divide {name} by its sum, and write a third as 1 / 3, not as 0.333"
        raise DataError(f"{where} expects {name} to sum to 1, got a sum of {p.sum():.15g}: {hint}.")
    return p


def _pair(where: str, p: Any, q: Any) -> tuple[Array, Array]:
    """Two distributions of one shape."""
    p, q = _distribution(where, "p", p), _distribution(where, "q", q)
    check_shape(where, "q", q, *p.shape, hint=": the shape of p")
    return p, q


def _table(where: str, name: str, table: Any, weights_name: str, weights: Any) -> tuple[Array, Array]:
    """A conditional (A, B), each of whose columns is a distribution, and a distribution (B,) over these columns."""
    table = check_real(where, name, table)
    check_shape(where, name, table, "A", "B", hint=": a table with a column for each condition")
    hint = f"if its rows do, pass {name}.T"
    columns = [_distribution(where, f"column {i} of {name}", column, hint) for i, column in enumerate(table.T)]
    weights = _distribution(where, weights_name, weights)
    check_shape(where, weights_name, weights, len(columns), hint=f": a probability for each column of {name}")
    return np.stack(columns, axis=1), weights


def _check_possible(where: str, p_y: Array) -> None:
    if not p_y.all():
        came = f"p(y) = 0 for number {np.argmin(p_y)}: leave out a y that cannot be observed"
        raise DataError(f"{where} expects every y to have a probability above 0, got {came}.")
