import numpy as np

import scratchnet as sn


def test_kl_standard_normal(ex, check, rng):
    mu, logvar = rng.normal(size=(2, 5, 3))
    right = sn.kl_standard_normal(mu, logvar)[0]
    found = ex.kl_standard_normal(mu, logvar)
    check.that(isinstance(found, tuple) and len(found) == 3, "return three things: the KL, dmu and dlogvar.")
    mistakes = {
        "The ½ is missing.": 2 * right,
        "log σ stands in the place of log σ².": right + 0.25 * logvar.sum() / 5,
        "The constant −1 is left out.": right + 1.5,
        "logvar is taken for log σ, so its square root is missing.": sn.kl_standard_normal(mu, 2 * logvar)[0],
        "It is the mean over the dimensions: sum over them.": right / 3,
        "It is the sum over the batch: divide by N = 5.": 5 * right,
        "The sign is flipped: a KL is never negative.": -right,
    }
    check.same(found[0], right, mistakes, "the KL")
    check.gradients(ex.kl_standard_normal, mu, logvar)


def test_sample_gaussian(ex, check, rng):
    mu, logvar, eps = rng.normal(size=(3, 5, 2))
    found = ex.sample_gaussian(mu, logvar, eps)
    check.that(isinstance(found, tuple) and len(found) == 2, "return two things, z and backward.")
    mistakes = {
        "σ² stands in the place of σ: logvar is log σ², so σ = e^(logvar/2).": mu + np.exp(logvar) * eps,
        "logvar is taken for σ: σ = e^(logvar/2).": mu + logvar * eps,
        "The noise is left out.": mu,
        "The mean is left out.": np.exp(logvar / 2) * eps,
    }
    check.same(found[0], mu + np.exp(logvar / 2) * eps, mistakes, "z")
    given = eps

    def sample(mu, logvar):
        return ex.sample_gaussian(mu, logvar, given)

    check.gradients(sample, mu, logvar)


def test_vae(ex, check, rng):
    encoder = sn.Sequential(sn.Dense(4, 3, rng=rng), sn.Tanh(), sn.Dense(3, 4, rng=rng))
    decoder = sn.Dense(2, 4, rng=rng)
    check.gradients(ex.VAE(encoder, decoder, beta=2.5).loss, rng.random((5, 4)))
