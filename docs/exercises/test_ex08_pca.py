import numpy as np


def draw(rng):
    """Images whose variances differ, around a mean that is not 0."""
    x = rng.normal(size=(20, 5)) * [5, 3, 2, 1, 0.5] @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    mean = x.mean(axis=0) + 1
    x = x + 1
    eigenvalues, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / 20)
    return x, mean, eigenvalues[::-1], vectors[:, ::-1]


def test_pca(ex, check, rng):
    x, mean, variances, vectors = draw(rng)
    found = check.several(ex.pca(x, 2), "the mean", "the components", "the variances")
    S, raw = np.linalg.svd(x - mean)[1], np.linalg.svd(x)[1]
    check.same(found[0], mean, {"It is the mean over the pixels.": x.mean(axis=1)}, "the mean")
    mistakes = {
        "They are the singular values: square them, and divide by N.": S[:2],
        "The singular values are not squared: λᵢ = Sᵢ² / N.": S[:2] / 20,
        "They are the squares of the singular values, which are not divided by N.": S[:2] ** 2,
        "They are divided by N − 1, where N is meant.": S[:2] ** 2 / 19,
        "x is not centred: subtract the mean first.": raw[:2] ** 2 / 20,
        "They are the smallest ones: the components with the largest variance are meant.": variances[-2:],
        "They are the smallest ones: np.linalg.eigh begins with these.": variances[:-3:-1],
        "They are shares of the whole variance.": variances[:2] / variances.sum(),
    }
    check.same(found[2], variances[:2], mistakes, "the variances")
    V = np.asarray(found[1])
    told = f"the components have the shape {V.shape}, where (D, L) = (5, 2) is meant: np.linalg.svd returns Vᵀ."
    check.that(V.shape == (5, 2), told)
    right = vectors[:, :2]
    wrong = np.linalg.svd(x - mean)[2][:, :2]
    mistakes = {"They are the first columns of Vᵀ: take its first rows, and transpose.": wrong @ wrong.T}
    check.same(V @ V.T, right @ right.T, mistakes, "the projector V Vᵀ")
    off = abs(right.T @ V) - np.eye(2)
    check.that(np.abs(off).max() < 1e-6, "the components are not in the order of their variances, the largest first.")


def test_project(ex, check, rng):
    x, mean, _, vectors = draw(rng)
    x = x[:5]  # x̄ is the mean of all images, and not of those that are projected
    V = vectors[:, :2]
    mistakes = {
        "The mean is not subtracted before the product with V.": mean + x @ V @ V.T,
        "The mean is not added again.": (x - mean) @ V @ V.T,
        "These are the codes: multiply by Vᵀ to decode them.": (x - mean) @ V,
        "The mean is left out.": x @ V @ V.T,
        "It is the mean of these x: take the one that is passed in.": x.mean(0) + (x - x.mean(0)) @ V @ V.T,
        "It is what is left of x: the projection is the other part.": (x - mean) - (x - mean) @ V @ V.T,
    }
    check.same(ex.project(x, mean, V), mean + (x - mean) @ V @ V.T, mistakes, "y")


def test_least_error(ex, check, rng):
    x, mean, variances, _ = draw(rng)
    mistakes = {
        "It is the sum of the first L: what is kept, and not what is left.": variances[:2].sum(),
        "The sum begins at i = L: it runs over i > L, where S[L] is the first.": variances[1:].sum(),
        "The sum begins at i = L + 2: it runs over i > L, where S[L] is the first.": variances[3:].sum(),
        "The eigenvalues are in ascending order, as np.linalg.eigh returns them.": variances[:3].sum(),
        "It is the sum over all images: divide by N = 20.": variances[2:].sum() * 20,
        "It is divided by N − 1, where N is meant.": variances[2:].sum() * 20 / 19,
        "It is the error per pixel, where that per image is meant.": variances[2:].sum() / 5,
        "The singular values are not squared.": np.linalg.svd(x - mean)[1][2:].sum() / 20,
        "x is not centred: subtract the mean first.": (np.linalg.svd(x)[1][2:] ** 2).sum() / 20,
    }
    check.same(ex.least_error(x, 2), variances[2:].sum(), mistakes)
