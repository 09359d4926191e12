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
        "logvar is taken for σ²: σ² = e^logvar.": 0.5 * (mu**2 - 1).sum() / 5,
        "logvar is taken for σ², and its logarithm for log σ²: σ² = e^logvar.": 0.5
        * (mu**2 + logvar - np.log(np.abs(logvar)) - 1).sum()
        / 5,
        "It is the mean over the dimensions: sum over them.": right / 3,
        "It is the sum over the batch: divide by N = 5.": 5 * right,
        "The sign is flipped: a KL is never negative.": -right,
    }
    told = "A negative number has no logarithm: logvar is taken for σ², where σ² = e^logvar."
    check.same(found[0], right, mistakes, "the KL", not_finite=told)
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
    dz = rng.normal(size=eps.shape)
    slopes = found[1](dz)
    check.that(isinstance(slopes, tuple) and len(slopes) == 2, "backward returns two things, dmu and dlogvar.")
    check.none_of(slopes[1], {"It is ∂L/∂σ: multiply it by ∂σ/∂log σ² = ½ σ.": dz * eps}, "dlogvar")
    given = eps

    def sample(mu, logvar):
        return ex.sample_gaussian(mu, logvar, given)

    check.gradients(sample, mu, logvar)


def test_vae(ex, check, rng):
    exact = {"rng": rng, "dtype": np.float64}
    encoder = sn.Sequential(sn.Dense(4, 3, **exact), sn.Tanh(), sn.Dense(3, 4, **exact))
    decoder = sn.Dense(2, 4, **exact)
    x, stats, eps = rng.random((5, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    dstats = []  # what encoder_backward was given

    class Spy(sn.Layer):
        def forward(self, x):
            return stats, lambda given: (dstats.append(np.array(given)), np.zeros_like(x))[1]

    for kind in (sn.VAE, ex.VAE):
        kind(Spy(), decoder, beta=2.5).loss(x, eps=eps).backward()
    exchanged = "dμ and dlogvar are exchanged: [dmu | dlogvar] has the order of [mu | logvar]."
    check.none_of(dstats[-1], {exchanged: np.roll(dstats[0], 2, axis=1)}, "what encoder_backward gets")
    check.gradients(ex.VAE(encoder, decoder, beta=2.5).loss, x)
