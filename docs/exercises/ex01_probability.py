"""Chapter 01, Probability: docs/01-probability.md."""

import numpy as np


def conditional(p_xy):
    """p(x | y) = p(x, y) / p(y), with p(y) = Σₓ p(x, y).

    p_xy (X, Y) is a joint distribution; returns a table (X, Y), in which each column is a distribution over x.

    ★ · 5 minutes · docs/01-probability.md#given-that
    """
    raise NotImplementedError("TODO: the joint, divided by the marginal p(y)")


def total_probability(p_x_given_y, p_y):
    """p(x) = Σ_y p(x | y) p(y).

    p_x_given_y is a table (X, Y), p_y (Y,) a distribution; returns a distribution (X,).

    ★ · 5 minutes · docs/01-probability.md#total-probability
    """
    raise NotImplementedError("TODO: the mean of the columns, weighted by p(y)")


def bayes(p_y_given_x, p_x):
    """p(x | y) = p(y | x) p(x) / p(y), with p(y) = Σₓ p(y | x) p(x).

    p_y_given_x (Y, X) is the likelihood, p_x (X,) the prior; returns the posterior, a table (X, Y).

    ★★ · 15 minutes · docs/01-probability.md#bayes-rule
    """
    raise NotImplementedError("TODO: the posterior")


def simulation(draws):
    """m = (1/n) Σᵢ fᵢ, with the standard error √(Σᵢ (fᵢ − m)² / (n − 1)) / √n.

    draws (n,) are values f(xᵢ) of independent draws; returns the two numbers m and its standard error.

    ★★ · 15 minutes · docs/01-probability.md#simulation
    """
    raise NotImplementedError("TODO: the mean and its standard error")
