import numpy as np


def test_entropy(ex, check, rng):
    p = rng.dirichlet(np.ones(5))
    right = -(p * np.log(p)).sum()
    mistakes = {
        "It is in bits: nats need the natural logarithm.": right / np.log(2),
        "The minus is missing.": -right,
        "It is the mean of the surprises, where each has the weight p(x).": -np.log(p).mean(),
        "The surprises are added without their weights p(x).": -np.log(p).sum(),
    }
    check.same(ex.entropy(p), right, mistakes)
    told = "Here 0 log 0 is 0: leave out what has probability 0."
    check.same(ex.entropy(np.append(p, 0)), right, {}, "with a probability of 0, the result", not_finite=told)
    certain = ex.entropy(np.array([0.0, 1.0]))
    told = f"a value that is certain has the entropy {certain:.2g}, below 0: add nothing to p(x) in the logarithm."
    check.that(certain >= 0, told)


def test_kl(ex, check, rng):
    p, q = rng.dirichlet(np.ones(5), 2)
    right = (p * np.log(p / q)).sum()
    mistakes = {
        "It is D(q‖p): the mean is over p.": (q * np.log(q / p)).sum(),
        "It is in bits: nats need the natural logarithm.": right / np.log(2),
        "The sign is flipped: the ratio is p(x) / q(x).": -right,
        "It is the cross-entropy H(p, q): the entropy H(p) is not subtracted.": -(p * np.log(q)).sum(),
        "The mean is over q, where the one over p is meant.": (q * np.log(p / q)).sum(),
    }
    check.same(ex.kl(p, q), right, mistakes)
    told = "A term with p(x) = 0 is 0: leave it out."
    check.same(
        ex.kl(np.append(p, 0), np.append(q, 0)), right, {}, "with a probability of 0, the result", not_finite=told
    )
    elsewhere = ex.kl(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5]))
    check.same(elsewhere, np.log(2), {}, "where p is 0 and q is not, the result", not_finite=told)
    told = {"Where q(x) = 0 and p(x) > 0 a value occurs that q calls impossible.": right}
    half = np.array([0.5, 0.5, 0.0])
    check.same(ex.kl(half[::-1], half), np.inf, told, "where q is 0 and p is not, the result")


def test_kl_of_normals(ex, check, rng):
    mu, m = rng.normal(size=2)
    sigma, s = rng.uniform(0.5, 2, 2)

    def kl(mu, sigma, m, s):
        return np.log(s / sigma) + (sigma**2 + (mu - m) ** 2) / (2 * s**2) - 0.5

    right = kl(mu, sigma, m, s)
    mistakes = {
        "It is D(q‖p): the mean is over p.": kl(m, s, mu, sigma),
        "The constant −½, from E[(z − μ)²] / 2σ², is left out.": right + 0.5,
        "log σ² stands in the place of log σ.": right + np.log(s / sigma),
        "The logarithm of σ/s stands in the place of that of s/σ.": right - 2 * np.log(s / sigma),
        "The means are left out: E[(z − m)²] = σ² + (μ − m)².": kl(0, sigma, 0, s),
        "The variance σ² is left out: E[(z − m)²] = σ² + (μ − m)².": right - sigma**2 / (2 * s**2),
        "μ − m is not squared.": kl(0, sigma, 0, s) + (mu - m) / (2 * s**2),
        "The 2 of 2s² is missing.": right + (sigma**2 + (mu - m) ** 2) / (2 * s**2),
        "s is not squared in the second term.": right + (sigma**2 + (mu - m) ** 2) * (1 / s - 1 / s**2) / 2,
        "q is taken for N(0, 1): its m and s are left out.": kl(mu, sigma, 0, 1),
        "It is the cross-entropy: the entropy of p is not subtracted.": right
        + 0.5 * np.log(2 * np.pi * sigma**2)
        + 0.5,
        "The sign of the −½ is flipped.": right + 1,
    }
    check.same(ex.kl_of_normals(mu, sigma, m, s), right, mistakes)
