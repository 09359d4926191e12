import numpy as np


def test_normalized_weights(ex, check, rng):
    log_w = rng.normal(size=(5, 4))
    w = np.exp(log_w)
    right = w / w.sum(axis=1, keepdims=True)
    mistakes = {
        "They are not divided by their sum.": w,
        "The sum is over the images, where that over the draws is meant.": w / w.sum(axis=0),
        "The sum is over all images: each image has its own.": w / w.sum(),
        "The logarithms are divided by their sum: take np.exp first.": log_w / log_w.sum(axis=1, keepdims=True),
        "They are divided by their mean, so each row has the sum k.": 4 * right,
    }
    found = ex.normalized_weights(log_w)
    if np.shape(found) == (5, 4) and np.allclose(np.sum(found, axis=0), 1):
        mistakes = {
            "The columns have the sum 1, and not the rows: divide by the sum over the draws of each image.": found
        }
    if np.shape(found) == (5, 4) and not np.allclose(np.sum(found, axis=1), 1):
        mistakes["The rows have another sum than 1."] = found
    check.same(found, right, mistakes, "w̃")
    told = "It underflows: subtract the largest of each row before np.exp."
    lower = 500.0 * np.arange(5)[:, None]
    found = ex.normalized_weights(log_w - lower)
    check.same(found, right, {}, "with logarithms from 0 to −2000, w̃", not_finite=told)


def test_importance_bound(ex, check, rng):
    log_w = rng.normal(size=(5, 4))
    right = np.log(np.exp(log_w).mean(axis=1)).mean()
    found, dlog_w = check.several(ex.importance_bound(log_w), "L", "dlog_w")
    mistakes = {
        "The mean of the logarithms is the ELBO, where the logarithm of the mean is meant.": log_w.mean(),
        "The sum over the draws is not divided by k.": right + np.log(4),
        "It is the sum over the images: divide by N = 5.": 5 * right,
        "It is −L, the loss.": -right,
        "The logarithm is that of the mean over the whole batch: each image has its own.": np.log(np.exp(log_w).mean()),
    }
    check.same(found, right, mistakes, "L")
    w = np.exp(log_w)
    mistakes = {
        "It is the gradient of the ELBO: a draw counts by its share of the weights, w̃.": np.full((5, 4), 1 / 20),
        "It is ∂L/∂w: multiply it by ∂w/∂log w = w.": 1 / w.sum(axis=1, keepdims=True) / 5 + 0 * w,
        "The weights have the sum 1 over the images, where that over the draws is meant.": w / w.sum(axis=0) / 5,
    }
    check.none_of(dlog_w, mistakes, "dlog_w")

    def bound(log_w):
        value, dlog_w = ex.importance_bound(log_w)
        return np.asarray(value), lambda dvalue: dvalue * dlog_w

    check.gradients(bound, log_w)
    told = "It underflows: subtract the largest of each row before np.exp."
    found, dlower = ex.importance_bound(log_w - 500.0 * np.arange(5)[:, None])
    check.same(found, right - 1000, {}, "with logarithms from 0 to −2000, L", not_finite=told)
    check.same(dlower, dlog_w, {}, "with logarithms from 0 to −2000, dlog_w", not_finite=told)


def test_gaussian_rate(ex, check, rng):
    eigenvalues, level = np.array([*rng.uniform(2, 5, 3), *rng.uniform(0.1, 0.9, 2), 0.0]), 1.0 + rng.uniform(0, 0.5)
    above = eigenvalues[eigenvalues > level]
    error, rate = np.minimum(eigenvalues, level).sum(), 0.5 * np.log(above / level).sum()
    of_error = {
        "Directions below the level keep an error of λᵢ, and not of τ.": level * len(eigenvalues),
        "Directions below the level are left out: their error is λᵢ.": level * len(above),
        "Directions above the level are left out: their error is τ.": error - level * len(above),
        "It is the larger of λᵢ and τ, where the smaller one is meant.": np.maximum(eigenvalues, level).sum(),
        "It is the smaller of Σ λᵢ and τ: the minimum is taken for each direction.": level,
        "It is the mean over the directions: take the sum.": error / len(eigenvalues),
    }
    of_rate = {
        "The ½ is missing.": 2 * rate,
        "Directions below the level have a negative share: leave them out.": -np.inf,
        "It is in bits: nats need the natural logarithm.": rate / np.log(2),
        "The ratio is upside down.": -rate,
    }
    check.same_each(ex.gaussian_rate(eigenvalues, level), error=(error, of_error), rate=(rate, of_rate))
