"""Chapter 01, Probability: docs/01-probability.md."""

import numpy as np


def conditional(p_xy):
    """p(x | y) = p(x, y) / p(y), with p(y) = Σₓ p(x, y).

    p_xy (X, Y) is a joint distribution; returns a table (X, Y), in which each column is a distribution over x.

    ★ · 5 minutes · docs/01-probability.md#given-that
    """
    return p_xy / p_xy.sum(axis=0)


def total_probability(p_x_given_y, p_y):
    """p(x) = Σ_y p(x | y) p(y).

    p_x_given_y is a table (X, Y), p_y (Y,) a distribution; returns a distribution (X,).

    ★ · 5 minutes · docs/01-probability.md#total-probability
    """
    return p_x_given_y @ p_y


def bayes(p_y_given_x, p_x):
    """p(x | y) = p(y | x) p(x) / p(y), with p(y) = Σₓ p(y | x) p(x).

    p_y_given_x (Y, X) is the likelihood, p_x (X,) the prior; returns the posterior, a table (X, Y).

    ★★ · 15 minutes · docs/01-probability.md#bayes-rule
    """
    p_xy = p_y_given_x.T * p_x[:, None]
    return p_xy / p_xy.sum(axis=0)


def simulation(draws):
    """m = (1/n) Σᵢ fᵢ, with the standard error √(Σᵢ (fᵢ − m)² / (n − 1)) / √n.

    draws (n,) are values f(xᵢ) of independent draws; returns the two numbers m and its standard error.

    ★★ · 15 minutes · docs/01-probability.md#simulation
    """
    n = len(draws)
    m = draws.sum() / n
    variance = ((draws - m) ** 2).sum() / (n - 1)
    return m, np.sqrt(variance / n)
