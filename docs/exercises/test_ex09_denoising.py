import numpy as np


def test_mask(ex, check, rng):
    x = rng.uniform(0.1, 1, (50, 200))
    seen = ex.mask(x, 0.3, rng)
    check.that(seen is not None, "the result is None: return it.")
    check.that(np.shape(seen) == x.shape, f"the result has the shape {np.shape(seen)}, and x has {x.shape}.")
    scaled = np.isclose(seen, x / 0.7)
    check.that(not scaled.any(), "pixels are divided by 1 − q, as in dropout: those that are kept stay as they are.")
    kept = seen == x
    check.that(np.all(kept | (seen == 0)), "a pixel became neither 0 nor stayed as it was.")
    for axis, of in ((0, "image"), (1, "pixel")):
        told = f"every {of} loses the same places: draw for each pixel of each image by itself."
        check.that(not np.all(kept == kept.take([0], axis=axis)), told)
    share = 1 - kept.mean()
    told = f"a share of {share:.2f} is masked, where q = 0.3 is the share that is lost."
    check.that(abs(share - 0.3) < 0.03, told)
    told = "each image loses the same number of pixels: draw for each pixel by itself, so that the number varies."
    check.that(len(set(kept.sum(axis=1))) > 1, told)
    check.drawn_from(lambda rng: ex.mask(x[:2], 0.3, rng))


def test_best_answer(ex, check, rng):
    points, seen, tau = rng.normal(size=(4, 3)), rng.normal(size=3), 0.6
    squared = ((seen - points) ** 2).sum(axis=1)
    of_pixels = np.exp(-((seen - points) ** 2) / (2 * tau**2))

    def mean(weights):
        return weights @ points / weights.sum()

    mistakes = {
        "It is the nearest point, where the mean of all is meant.": points[squared.argmin()],
        "It is the mean of all points, without weights.": points.mean(axis=0),
        "The weights do not have the sum 1: divide by it.": np.exp(-squared / (2 * tau**2)) @ points,
        "τ is not squared.": mean(np.exp(-squared / (2 * tau))),
        "The 2 of 2τ² is missing.": mean(np.exp(-squared / tau**2)),
        "It is multiplied by τ²: in Python a / 2 * b is (a / 2) b, so 2τ² needs brackets.": mean(
            np.exp(-squared / 2 * tau**2)
        ),
        "The sign of the exponent is flipped: a point far away has a small weight.": mean(
            np.exp(squared / (2 * tau**2))
        ),
        "It is divided by the number of points, and not by the sum of the weights.": (
            np.exp(-squared / (2 * tau**2)) @ points / 4
        ),
        "It is the mean for each pixel by itself: a point has one weight, by its distance in all pixels.": (
            (of_pixels * points).sum(axis=0) / of_pixels.sum(axis=0)
        ),
        "The distance is not squared.": mean(np.exp(-np.sqrt(squared) / (2 * tau**2))),
    }
    check.same(ex.best_answer(seen, points, tau), mean(np.exp(-squared / (2 * tau**2))), mistakes)


def test_score(ex, check, rng):
    seen, answer, tau = rng.normal(size=3), rng.normal(size=3), 0.6
    right = (answer - seen) / tau**2
    mistakes = {
        "The sign is flipped: the score points from x̃ to the answer.": -right,
        "τ is not squared.": right * tau,
        "It is not divided by τ².": right * tau**2,
        "The 2 of 2τ² does not belong there: it cancels in the slope of the square.": right / 2,
        "Brackets are missing: only x̃ is divided by τ².": answer - seen / tau**2,
        "x̃ is not subtracted.": answer / tau**2,
        "It is multiplied by τ², where the quotient is meant.": right * tau**4,
    }
    check.same(ex.score(seen, answer, tau), right, mistakes)


def test_linear_denoiser(ex, check, rng):
    x, tau, one = rng.normal(size=(10, 3)) @ rng.normal(size=(3, 3)), 0.6, np.eye(3)
    x -= x.mean(axis=0)
    S = x.T @ x / 10
    right = np.linalg.solve(S + tau**2 * one, S)
    mistakes = {
        "τ is not squared: the noise has the variance τ².": np.linalg.solve(S + tau * one, S),
        "Σ is not divided by N.": np.linalg.solve(10 * S + tau**2 * one, 10 * S),
        "Σ is divided by N − 1, where N is meant.": np.linalg.solve(S * 10 / 9 + tau**2 * one, S * 10 / 9),
        "The factor Σ is missing.": np.linalg.inv(S + tau**2 * one),
        "τ² is added to all numbers of Σ, and not to its diagonal alone.": np.linalg.solve(S + tau**2, S),
        "It is I − W, what is taken away.": one - right,
        "The quotient is taken number by number: the inverse is that of a matrix, np.linalg.inv.": S
        / (S + tau**2 * one),
        "The product is taken number by number: write @ and not *.": np.linalg.inv(S + tau**2 * one) * S,
        "Σ is divided by D, where N is meant.": np.linalg.solve(S * 10 / 3 + tau**2 * one, S * 10 / 3),
    }
    check.same(ex.linear_denoiser(x, tau), right, mistakes, "W")
