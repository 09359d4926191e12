import numpy as np

import scratchnet as sn


def test_kl_standard_normal(ex, check, rng):
    mu, logvar = rng.normal(size=(2, 5, 3))
    right = sn.kl_standard_normal(mu, logvar)[0]
    found, _, dlogvar = check.several(ex.kl_standard_normal(mu, logvar), "the KL", "dmu", "dlogvar")
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
        "It is divided by L = 3, and not by N = 5.": right * 5 / 3,
        "The sign of the −1 is flipped.": right + 3,
        "μ is not squared.": right + 0.5 * (mu - mu**2).sum() / 5,
        "σ² is squared once more, as in a popular misprint: e^logvar is σ² already.": (
            right + 0.5 * (np.exp(2 * logvar) - np.exp(logvar)).sum() / 5
        ),
        "It is the sum over the batch: divide by N = 5.": 5 * right,
        "The sign is flipped: a KL is never negative.": -right,
    }
    told = "A negative number has no logarithm: logvar is taken for σ², where σ² = e^logvar."
    check.same(found, right, mistakes, "the KL", not_finite=told)
    variance = np.exp(logvar)
    mistakes = {
        "It is ∂KL/∂σ²: multiply it by ∂σ²/∂log σ² = σ².": 0.5 * (1 - 1 / variance) / 5,
        "It is ∂KL/∂σ: multiply it by ∂σ/∂log σ² = ½ σ.": (np.sqrt(variance) - 1 / np.sqrt(variance)) / 5,
    }
    check.none_of(dlogvar, mistakes, "dlogvar")
    check.gradients(ex.kl_standard_normal, mu, logvar)


def test_sample_gaussian(ex, check, rng):
    mu, logvar, eps = rng.normal(size=(3, 5, 2))
    found, backward = check.several(ex.sample_gaussian(mu, logvar, eps), "z", "backward")
    sigma = np.exp(logvar / 2)
    mistakes = {
        "σ² stands in the place of σ: logvar is log σ², so σ = e^(logvar/2).": mu + np.exp(logvar) * eps,
        "logvar is taken for σ: σ = e^(logvar/2).": mu + logvar * eps,
        "The noise is left out.": mu,
        "The mean is left out.": sigma * eps,
        "It is μ − σ ⊙ ε.": mu - sigma * eps,
        "It is σ + μ ⊙ ε: μ and σ are exchanged.": sigma + mu * eps,
        "The sign of the exponent is flipped: σ = e^(logvar/2).": mu + eps / sigma,
    }
    check.same(found, mu + sigma * eps, mistakes, "z")
    dz = rng.normal(size=eps.shape)
    _, dlogvar = check.several(backward(dz), "dmu", "dlogvar")
    mistakes = {
        "It is ∂L/∂σ: multiply it by ∂σ/∂log σ² = ½ σ.": dz * eps,
        "It is ∂L/∂σ²: multiply it by ∂σ²/∂log σ² = σ².": 0.5 * dz * eps / sigma,
        "The factor σ is missing: ∂σ/∂log σ² = ½ σ.": 0.5 * dz * eps,
        "The factor ε is missing: ∂z/∂σ = ε.": 0.5 * dz * sigma,
        "It contains μ: z − μ is σ ⊙ ε, and not z.": 0.5 * dz * (mu + sigma * eps),
    }
    check.none_of(dlogvar, mistakes, "dlogvar")
    given = eps

    def sample(mu, logvar):
        z, backward = ex.sample_gaussian(mu, logvar, given)
        return z, lambda dz: tuple(backward(dz))

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
    model = ex.VAE(encoder, decoder, beta=2.5)
    told = "the loss's backward pass returns something, where it should return nothing: leave the return out."
    check.that(model.loss(x, eps=eps).backward() is None, told)
    check.gradients(model.loss, x)
