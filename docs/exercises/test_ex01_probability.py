import numpy as np


def test_conditional(ex, check, rng):
    p_xy = rng.dirichlet(np.ones(12)).reshape(3, 4)
    p_x = p_xy.sum(axis=1, keepdims=True)
    mistakes = {
        "It is divided by p(x), the sums of the rows, where p(y) is meant.": p_xy / p_x,
        "It is not divided by p(y), so it is still the joint distribution.": p_xy,
    }
    check.same(ex.conditional(p_xy), p_xy / p_xy.sum(axis=0), mistakes)


def test_total_probability(ex, check, rng):
    p_x_given_y, p_y = rng.dirichlet(np.ones(4), 4).T, rng.dirichlet(np.ones(4))
    mistakes = {
        "Every y counts alike, where each has the weight p(y).": p_x_given_y.mean(axis=1),
        "The weights p(y) are missing from the sum.": p_x_given_y.sum(axis=1),
        "The sum is over x, where the one over y, axis 1, is meant.": (p_x_given_y * p_y).sum(axis=0),
        "It is the mean over y: the weights p(y) have the sum 1 already.": p_x_given_y @ p_y / 4,
        "The weights p(y) are on the rows: the sum is over x, where the one over y is meant.": p_y @ p_x_given_y,
    }
    check.same(ex.total_probability(p_x_given_y, p_y), p_x_given_y @ p_y, mistakes)


def test_bayes(ex, check, rng):
    p_y_given_x, p_x = rng.dirichlet(np.ones(4), 3).T, rng.dirichlet(np.ones(3))
    joint = p_y_given_x.T * p_x[:, None]  # (X, Y)
    mistakes = {
        "The prior p(x) is left out.": p_y_given_x.T / p_y_given_x.sum(axis=1),
        "The prior p(x) is left out of p(y): p(y) = Σₓ p(y | x) p(x).": joint / p_y_given_x.sum(axis=1),
        "It is not divided by p(y), so it is the joint distribution.": joint,
        "It is divided by p(x), where p(y) is meant.": p_y_given_x.T,
        "Its rows have the sum 1, where its columns should: divide by p(y) = Σₓ.": joint / joint.sum(1, keepdims=True),
    }
    check.same(ex.bayes(p_y_given_x, p_x), joint / joint.sum(axis=0), mistakes)


def test_simulation(ex, check, rng):
    draws = rng.choice([1.0, 2, 3, 4, 5, 6], 20)
    spread, n = draws.std(ddof=1), len(draws)
    of_error = {
        "It is the standard deviation of one draw: the mean of n draws has that over √n.": spread,
        "It is divided by n, where √n is meant: the variance falls as 1/n, so its root as 1/√n.": spread / n,
        "It is the variance of the mean: take the root.": spread**2 / n,
        "The squares are divided by n, where n − 1 is meant.": draws.std() / np.sqrt(n),
        "It is divided by √(n − 1), where √n is meant.": spread / np.sqrt(n - 1),
        "It is multiplied by √n, where the quotient is meant.": spread * np.sqrt(n),
        "m is not subtracted before the squares are taken.": np.sqrt((draws**2).sum() / (n - 1) / n),
    }
    of_mean = {"It is the sum of the draws.": draws.sum()}
    right = {"the mean": (draws.mean(), of_mean), "the standard error": (spread / np.sqrt(n), of_error)}
    check.same_each(ex.simulation(draws), **right)
