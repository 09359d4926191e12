"""Discrete probability: what the losses of this library are made of, where every number can be worked by hand.

A distribution p(x) is an array of any shape, p(x, y) one of shape (X, Y): no number is negative, and their sum is 1. A
conditional p(x | y) is a table (X, Y) each of whose columns is a distribution. So letters stand in the order of axes.
Arrays and nested lists are taken alike; what is computed is float64, and logarithms are natural. Derivations:
docs/01-probability.md, docs/02-entropy-and-kl.md.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratchnet.arrays import Array
from scratchnet.checks import (
    check_conditional,
    check_count,
    check_distribution,
    check_finite,
    check_number,
    check_real,
)
from scratchnet.errors import DataError, ShapeError

__all__ = [
    "bayes",
    "binomial",
    "conditional",
    "cross_entropy",
    "entropy",
    "expectation",
    "kl",
    "total_probability",
]


def conditional(p_xy: ArrayLike) -> Array:
    """p(x | y) = p(x, y) / p(y),  with p(y) = Σₓ p(x, y).

    Parameters
    ----------
    p_xy : (X, Y)
        The joint distribution p(x, y).

    Returns
    -------
    p_x_given_y : (X, Y)
        Each column is a distribution over x.

    Raises
    ------
    DataError
        If p_xy is not a distribution, or a y has the probability 0, so that nothing can be said given it.
    ShapeError
        If p_xy has not two axes.
    TypeError
        If it does not hold real numbers.

    Notes
    -----
    Derivation: docs/01-probability.md. Kolmogorov, Grundbegriffe der Wahrscheinlichkeitsrechnung, 1933.

    Examples
    --------
    >>> import scratchnet as sn
    >>> p_xy = [[0.1, 0.3], [0.4, 0.2]]                             # p(y) = 0.5, 0.5
    >>> sn.probability.conditional(p_xy)
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

    Parameters
    ----------
    p_x_given_y : (X, Y)
        Each column is a distribution over x.
    p_y : (Y,)

    Returns
    -------
    p_x : (X,)

    Raises
    ------
    DataError
        If a column, or p_y, is not a distribution.
    ShapeError
        If the shapes do not fit.
    TypeError
        If they do not hold real numbers.

    Notes
    -----
    Derivation: docs/01-probability.md. Kolmogorov, Grundbegriffe der Wahrscheinlichkeitsrechnung, 1933.

    Examples
    --------
    >>> import scratchnet as sn
    >>> p_x_given_y = [[0.5, 0.1], [0.5, 0.9]]
    >>> sn.probability.total_probability(p_x_given_y, [0.5, 0.5])   # ½·0.5 + ½·0.1,  ½·0.5 + ½·0.9
    array([0.3, 0.7])
    """
    p_x_given_y, p_y = _table("total_probability", "p_x_given_y", p_x_given_y, "p_y", p_y)
    return p_x_given_y @ p_y  # (X, Y) (Y,) → (X,)


def bayes(p_y_given_x: ArrayLike, p_x: ArrayLike) -> Array:
    """p(x | y) = p(y | x) p(x) / p(y),  with p(y) = Σₓ p(y | x) p(x).

    Parameters
    ----------
    p_y_given_x : (Y, X)
        The likelihood: each column is a distribution over y.
    p_x : (X,)
        The prior.

    Returns
    -------
    p_x_given_y : (X, Y)
        The posterior: each column is a distribution over x.

    Raises
    ------
    DataError
        If a column, or p_x, is not a distribution, or a y has the probability 0, so that it cannot be observed.
    ShapeError
        If the shapes do not fit.
    TypeError
        If they do not hold real numbers.

    Notes
    -----
    Derivation: docs/01-probability.md. Bayes, An Essay towards solving a Problem in the Doctrine of Chances, 1763.

    Examples
    --------
    >>> import scratchnet as sn
    >>> p_y_given_x = [[0.5, 0.25], [0.5, 0.75]]                    # p(y) = 0.375, 0.625
    >>> sn.probability.bayes(p_y_given_x, [0.5, 0.5]).round(4)      # ½·0.5 / 0.375 = ⅔,  ½·0.5 / 0.625 = 0.4
    array([[0.6667, 0.4   ],
           [0.3333, 0.6   ]])
    """
    p_y_given_x, p_x = _table("bayes", "p_y_given_x", p_y_given_x, "p_x", p_x)
    p_y = p_y_given_x @ p_x  # p(y) = Σₓ p(y | x) p(x)        (Y,)
    _check_possible("bayes", p_y)
    return p_y_given_x.T * p_x[:, None] / p_y  # p(x | y) = p(y | x) p(x) / p(y)        (X, Y)


def expectation(p: ArrayLike, values: ArrayLike) -> float:
    """E[f] = Σₓ p(x) f(x), in the unit of f.

    Parameters
    ----------
    p : (…)
    values : (…)
        f(x), in the shape of p.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If p is not a distribution, or a value is not finite.
    ShapeError
        If the shapes differ.
    TypeError
        If they do not hold real numbers.

    Notes
    -----
    Derivation: docs/01-probability.md. Huygens, De ratiociniis in ludo aleae, 1657.

    Examples
    --------
    >>> import scratchnet as sn
    >>> sn.probability.expectation([0.25, 0.75], [0, 100])
    75.0
    """
    p = check_distribution("expectation", "p", p)
    values = check_real("expectation", "values", values)
    _check_pair("expectation", "values", values, p)
    check_finite("expectation", "values", values)
    return (p * values).sum().item()


def entropy(p: ArrayLike) -> float:
    """H(p) = −Σₓ p(x) log p(x), in nats, where 0 log 0 = 0.

    Parameters
    ----------
    p : (…)

    Returns
    -------
    float
        From 0, for what is certain, to log n, for n values that are equally likely.

    Raises
    ------
    DataError
        If p is not a distribution.
    ShapeError
        If p is empty or a single number.
    TypeError
        If it does not hold real numbers.

    Notes
    -----
    Derivation: docs/02-entropy-and-kl.md. Shannon, A Mathematical Theory of Communication, 1948.

    Examples
    --------
    >>> import scratchnet as sn
    >>> round(sn.probability.entropy([0.5, 0.25, 0.25]), 7)         # ½ log 2 + ½ log 4
    1.0397208
    """
    p = check_distribution("entropy", "p", p)
    return _mean_surprise(p, p)


def cross_entropy(p: ArrayLike, q: ArrayLike) -> float:
    """H(p, q) = −Σₓ p(x) log q(x), in nats, where 0 log q = 0; infinite if q(x) = 0 where p(x) > 0.

    Parameters
    ----------
    p, q : (…)
        Of one shape: x comes from p and is described by q.

    Returns
    -------
    float
        H(p) + D(p‖q).

    Raises
    ------
    DataError
        If p or q is not a distribution.
    ShapeError
        If the shapes differ.
    TypeError
        If they do not hold real numbers.

    Notes
    -----
    Derivation: docs/02-entropy-and-kl.md. For each pixel's coin it is `sn.bce`: docs/04-activations-and-losses.md.

    Examples
    --------
    >>> import scratchnet as sn
    >>> round(sn.probability.cross_entropy([1.0, 0.0], [0.25, 0.75]), 7)    # log 4
    1.3862944
    """
    p, q = check_distribution("cross_entropy", "p", p), check_distribution("cross_entropy", "q", q)
    _check_pair("cross_entropy", "q", q, p)
    return _mean_surprise(p, q)


def kl(p: ArrayLike, q: ArrayLike) -> float:
    """D(p‖q) = Σₓ p(x) log (p(x) / q(x)), in nats, where 0 log 0 = 0; infinite if q(x) = 0 where p(x) > 0.

    Parameters
    ----------
    p, q : (…)
        Of one shape. D(p‖q) and D(q‖p) are two numbers.

    Returns
    -------
    float
        At least 0, and 0 only if p = q; both within rounding, near 1e-16.

    Raises
    ------
    DataError
        If p or q is not a distribution.
    ShapeError
        If the shapes differ.
    TypeError
        If they do not hold real numbers.

    Notes
    -----
    Derivation: docs/02-entropy-and-kl.md. Kullback & Leibler, On Information and Sufficiency, 1951.

    Examples
    --------
    >>> import scratchnet as sn
    >>> p, q = sn.probability.binomial(2, 0.4), [1 / 3, 1 / 3, 1 / 3]
    >>> round(sn.probability.kl(p, q), 7), round(sn.probability.kl(q, p), 7)
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

    Parameters
    ----------
    n : int
        From 1 to 100,000.
    p : float
        In [0, 1].

    Returns
    -------
    (n + 1,)
        P(0), …, P(n).

    Raises
    ------
    TypeError
        If n is not a whole number, or p not a number.
    ValueError
        If one is out of its range.

    Notes
    -----
    Derivation: docs/01-probability.md. Jacob Bernoulli, Ars Conjectandi, 1713.

    Examples
    --------
    >>> import scratchnet as sn
    >>> sn.probability.binomial(2, 0.5)
    array([0.25, 0.5 , 0.25])
    """
    n = check_count("binomial", "n", n, most=100_000)
    p = check_number("binomial", "p", p, 0, 1, closed_high=True)
    toss = [1 - p, p]  # no success, one success
    P = np.ones(1)  # before the first toss there are surely no successes
    for _ in range(n):
        P = np.convolve(P, toss)  # P(k) ← P(k) (1 − p) + P(k − 1) p
    return P


def _mean_surprise(p: Array, q: Array) -> float:
    """−Σ p log q over what p lets happen: 0 log q = 0, and what q calls impossible surprises without end."""
    happens = p > 0
    with np.errstate(divide="ignore"):  # −log 0 = ∞
        return 0.0 - (p[happens] * np.log(q[happens])).sum().item()  # and certainty has entropy 0, not −0


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
