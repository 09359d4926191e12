import numpy as np

import scratchnet as sn


def test_gaussian_nll(ex, check, rng):
    y, x, s = rng.random((5, 4)), rng.random((5, 4)), 0.3
    squared, constant = ((x - y) ** 2).sum() / 5, 2 * np.log(2 * np.pi * s**2)
    right = squared / (2 * s**2) + constant
    found, _ = check.several(ex.gaussian_nll(y, x, s), "R", "dy")
    mistakes = {
        "The constant ½ D log 2πs² is left out, so it is no log-likelihood.": right - constant,
        "The constant is that of one pixel: multiply it by D.": right - constant + constant / 4,
        "The constant has log 2πs in the place of log 2πs².": right - 2 * np.log(s),
        "s is taken for s², the variance: square it.": squared / (2 * s) + 2 * np.log(2 * np.pi * s),
        "The constant is divided by N = 5: each image has it, so it is its own mean.": right - 0.8 * constant,
        "s is not squared in the first term.": squared / (2 * s) + constant,
        "It is the squared error: divide by 2s², and add the constant.": squared,
        "The sign of the constant is flipped: −log of 1 / √2πs² is ½ log 2πs².": right - 2 * constant,
        "It is the log-likelihood: R has −log p.": -right,
        "The constant has log πs² in the place of log 2πs².": right - 2 * np.log(2),
        "The constant has the factor D twice.": right + 3 * constant,
        "The 2 of 2s² is missing.": squared / s**2 + constant,
        "It is the mean over all numbers: sum over the pixels.": right / 4,
        "The constant is added for each image: take its mean too.": right + 4 * constant,
    }
    check.same(found, right, mistakes, "R")

    def gaussian_nll(y, x):
        return ex.gaussian_nll(y, x, s)

    check.loss(gaussian_nll, (5, 4), x)


def test_elbo(ex, check, rng):
    x, eps = (rng.random((5, 6)) > 0.5) * 1.0, rng.normal(size=(5, 2))
    enc, dec = sn.Dense(6, 4, rng=rng, dtype=np.float64), sn.Dense(2, 6, rng=rng, dtype=np.float64)

    def encoder(x):
        return tuple(np.split(enc.forward(x)[0], 2, axis=1))

    def decoder(z):
        return dec.forward(z)[0]

    mu, logvar = encoder(x)
    kl = sn.kl_standard_normal(mu, logvar)[0]

    def nll(z):
        return sn.bce_with_logits(decoder(z), x)[0]

    z = mu + np.exp(logvar / 2) * eps
    right = -nll(z) - kl
    right_of_sigmoid = -sn.bce_with_logits(1 / (1 + np.exp(-decoder(z))), x)[0]
    mistakes = {
        "It is the loss, −ELBO.": -right,
        "The KL has the wrong sign: it is a price, and is subtracted.": right + 2 * kl,
        "The KL is left out.": right + kl,
        "The decoder gets z = μ, so it is no bound: draw z = μ + σ ⊙ ε.": -nll(mu) - kl,
        "It is the sum over the images: take the mean.": 5 * right,
        "The KL is divided by L too: it is a sum over the code.": right + kl / 2,
        "The logits go through a sigmoid before sn.bce_with_logits, which has its own.": right_of_sigmoid - kl,
        "sn.kl_standard_normal takes logvar itself, and not σ².": (
            right + kl - sn.kl_standard_normal(mu, np.exp(logvar))[0]
        ),
        "log σ² is taken for σ.": -nll(mu + logvar * eps) - kl,
        "σ² stands in the place of σ: σ is the root, e^(logvar/2).": -nll(mu + np.exp(logvar) * eps) - kl,
    }
    check.same(ex.elbo(encoder, decoder, x, eps), right, mistakes)


def test_effective_beta(ex, check, rng):
    D, b = int(rng.integers(100, 1000)), rng.uniform(0.1, 2)
    told = "Multiply the loss by D, so that R has the factor 1: the KL then has D times b."
    mistakes = {
        told: b / D,
        "R is divided by D, so the KL weighs D times as much.": b,
        "The β that is written, b, is left out.": D,
    }
    check.same(ex.effective_beta(D, True, b), b * D, mistakes, "where R is a mean over pixels, β")
    check.same(ex.effective_beta(D, False, b), b, {"There β is as it is written.": b * D}, "where both are sums, β")
