import numpy as np


def test_stretched(ex, check, rng):
    A, encoder_W, encoder_b, decoder_W = (rng.normal(size=size) for size in ((3, 3), (5, 3), 3, (3, 4)))
    right = {
        "encoder_W": (
            encoder_W @ A,
            {
                "A stands on the wrong side, or is transposed.": encoder_W @ A.T,
                "It is W A⁻¹: z becomes z A here, and A⁻¹ belongs to the decoder.": encoder_W @ np.linalg.inv(A),
                "It is as it was: z becomes z A.": encoder_W,
            },
        ),
        "encoder_b": (
            encoder_b @ A,
            {
                "The bias is part of z, and must be multiplied by A too.": encoder_b,
                "It is A b, where b A is meant, as z is a row.": A @ encoder_b,
            },
        ),
        "decoder_W": (
            np.linalg.inv(A) @ decoder_W,
            {
                "It is A W, where A⁻¹ W is meant.": A @ decoder_W,
                "1 / A inverts number by number: the inverse of a matrix is np.linalg.inv(A).": (1 / A) @ decoder_W,
                "It is Aᵀ W: the transpose is the inverse only of a rotation.": A.T @ decoder_W,
                "The decoder is not changed: its images would be others.": decoder_W,
            },
        ),
    }
    check.same_each(ex.stretched(A, encoder_W, encoder_b, decoder_W), **right)


def test_balanced_sigma(ex, check, rng):
    beta, h = rng.uniform(0.5, 2, 2)
    mistakes = {
        "It is σ²: take the root.": beta / (beta + h),
        "β is left out: it is 1 only in a VAE without β.": np.sqrt(1 / (1 + h)),
        "It is √(1 − σ²): β stands in the numerator.": np.sqrt(h / (beta + h)),
        "It is log σ².": np.log(beta / (beta + h)),
        "The term ½ β σ² is left out of the equation.": np.sqrt(beta / h),
    }
    check.same(ex.balanced_sigma(beta, h), np.sqrt(beta / (beta + h)), mistakes, "σ")
    check.same(ex.balanced_sigma(1.0, 0.0), 1.0, {}, "without curvature, σ")


def test_cost_of_a_hole(ex, check, rng):
    m = rng.uniform(0.1, 0.4)
    mistakes = {
        "The sign is flipped: a KL is never negative.": np.log(1 - m),
        "It is the surprise of the hole, where that of the rest is meant.": -np.log(m),
        "It is q / p itself: its logarithm is missing.": 1 / (1 - m),
        "q / p is 1 / (1 − m), without an m above.": np.log(m / (1 - m)),
        "The mean is over q, which has the sum 1: the factor 1 / (1 − m) is in the logarithm alone.": -np.log(1 - m)
        / (1 - m),
        "The weight 1 − m is that of p: the mean is over q, which has the sum 1.": -(1 - m) * np.log(1 - m),
        "It is in bits: nats need the natural logarithm.": -np.log2(1 - m),
    }
    check.same(ex.cost_of_a_hole(m), -np.log(1 - m), mistakes)


def test_information(ex, check, rng):
    def log_densities(z, mu, logvar):
        return -0.5 * ((z[:, None] - mu) ** 2 / np.exp(logvar) + logvar).sum(axis=2)

    mu, logvar, eps = rng.normal(size=(6, 2)), rng.normal(size=(6, 2)) - 1, rng.normal(size=(6, 2))
    z = mu + np.exp(logvar / 2) * eps
    log_q = log_densities(z, mu, logvar)
    right = (np.diag(log_q) - np.log(np.exp(log_q).mean(axis=1))).mean()
    halved = log_q + 0.25 * logvar.sum(axis=1)
    mistakes = {
        "The sum over the images is not divided by N.": right - np.log(6),
        "The sign is flipped.": -right,
        "It is the sum over n: take the mean.": 6 * right,
        "The mean is over the codes zₘ, where that over the images xₘ is meant.": (
            np.diag(log_q) - np.log(np.exp(log_q).mean(axis=0))
        ).mean(),
        "The mean of the logarithms stands in the place of the logarithm of the mean.": (
            np.diag(log_q) - log_q.mean(axis=1)
        ).mean(),
        "The densities lack −½ log σ².": (
            np.diag(log_densities(z, mu, logvar) + 0.5 * logvar.sum(axis=1))
            - np.log(np.exp(log_q + 0.5 * logvar.sum(axis=1)).mean(axis=1))
        ).mean(),
        "log σ stands in the place of log σ².": (np.diag(halved) - np.log(np.exp(halved).mean(axis=1))).mean(),
    }
    check.same(ex.information(z, mu, logvar), right, mistakes)
    many, far = rng.normal(size=(6, 9000)), 100 * rng.normal(size=(6, 900))
    told = "A density underflows: subtract the largest logarithm of each row before np.exp, and add it after np.log."
    found = ex.information(far, far, np.arange(6.0)[:, None] + 0 * far)
    check.same(found, np.log(6), {}, "with codes that are far apart, the result", not_finite=told)
    found = ex.information(many, many * 0, many * 0)
    check.same(found, 0.0, {}, "with equal posteriors in 9000 dimensions, the result", not_finite=told)
