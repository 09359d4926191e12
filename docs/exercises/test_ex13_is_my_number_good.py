import numpy as np


def test_bits_per_pixel(ex, check, rng):
    nats, D = rng.uniform(50, 200), int(rng.integers(100, 1000))
    mistakes = {
        "It is nats per pixel: divide by log 2 too.": nats / D,
        "It is bits per image: divide by D too.": nats / np.log(2),
        "It is multiplied by D, where the quotient is meant.": nats * D / np.log(2),
        "It is multiplied by log 2: one nat is more than one bit.": nats * np.log(2) / D,
    }
    check.same(ex.bits_per_pixel(nats, D), nats / D / np.log(2), mistakes)


def test_active_units(ex, check, rng):
    # Standard deviations and means by which each mistake shows in another way.
    mu = rng.normal(size=(200, 7)) * [1, 0.05, 0.25, 0.02, 0.008, 0.002, 0.3] + [0, 3, 0, 0, 0, 2, -2]
    right = np.array([True, False, True, False, False, False, True])
    mistakes = {
        "The standard deviation is compared with 0.01, where the variance is meant.": mu.std(axis=0) > 0.01,
        "The mean square is compared: a μ that is the same for all images is not active.": (mu**2).mean(axis=0) > 0.01,
        "The variance is compared with 0.1, where 0.01 is meant.": mu.var(axis=0) > 0.1,
        "The variance is compared with 0.001, where 0.01 is meant.": mu.var(axis=0) > 0.001,
        "The mean is compared, where the variance is meant.": mu.mean(axis=0) > 0.01,
        "The sum of the squares is compared: divide by N.": mu.var(axis=0) * 200 > 0.01,
        "It is the other way round.": ~right,
        "The variance is taken over the units, where that over the images is meant.": mu.var(axis=1) > 0.01,
    }
    found = np.asarray(ex.active_units(mu))
    check.that(found.dtype == bool, f"the result has the type {found.dtype}: return True or False for each unit.")
    check.same(found, right, mistakes)


def test_log_mean_exp(ex, check, rng):
    log_w = rng.normal(size=(5, 4))
    right = np.log(np.exp(log_w).mean(axis=1))
    mistakes = {
        "It is the mean of the logarithms, where the logarithm of the mean is meant.": log_w.mean(axis=1),
        "It is the logarithm of the sum: divide by k.": right + np.log(4),
        "The sum is divided by N = 5, the number of images, and not by k = 4.": right + np.log(4 / 5),
        "It is the largest logarithm alone.": log_w.max(axis=1),
        "The largest logarithm is subtracted again: add it.": right - 2 * log_w.max(axis=1),
        "It is the mean over the images too: each image has its own.": right.mean(),
        "The mean is over the images, where that over the draws is meant.": np.log(np.exp(log_w).mean(axis=0)),
        "The largest logarithm is not added again.": right - log_w.max(axis=1),
    }
    check.same(ex.log_mean_exp(log_w), right, mistakes)
    told = "It underflows: subtract the largest of each row before np.exp, and add it again after np.log."
    lower = 500.0 * np.arange(5)
    found = ex.log_mean_exp(log_w - lower[:, None])
    check.same(found, right - lower, {}, "with logarithms from 0 to −2000, the result", not_finite=told)


def test_difference(ex, check, rng):
    hardness = rng.normal(size=30)
    a, b = -100 + 10 * hardness + rng.normal(size=30), -101 + 10 * hardness + rng.normal(size=30)
    d = a - b
    error = d.std(ddof=1) / np.sqrt(30)
    separate = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 30)
    of_error = {
        "It is that of two means on different images: take that of the differences, image by image.": separate,
        "It is the standard deviation of the differences: divide by √N.": d.std(ddof=1),
        "The squares are divided by N, where N − 1 is meant.": d.std() / np.sqrt(30),
        "It is divided by N, where √N is meant.": d.std(ddof=1) / 30,
        "It is the variance of the mean: take the root.": d.var(ddof=1) / 30,
    }
    right = {
        "the mean": (d.mean(), {"The sign is flipped: it is bounds − other_bounds.": -d.mean()}),
        "the standard error": (error, of_error),
    }
    check.same_each(ex.difference(a, b), **right)
