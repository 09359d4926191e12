import numpy as np

import scratchnet as sn


def parts(rng):
    """An encoder and a decoder of two layers each."""
    encoder = sn.Sequential(sn.Dense(6, 4, rng=rng, dtype=np.float64), sn.Tanh())
    decoder = sn.Sequential(
        sn.Dense(4, 5, rng=rng, dtype=np.float64), sn.Tanh(), sn.Dense(5, 6, rng=rng, dtype=np.float64)
    )
    return encoder, decoder


def is_a_loss(check, found):
    check.that(isinstance(found, sn.Loss), f"loss returns an sn.Loss(value, terms, backward), and not {found!r}.")


def test_autoencoder(ex, check, rng):
    encoder, decoder = parts(rng)
    x = rng.random((5, 6))
    model = ex.Autoencoder(encoder, decoder)
    found = model.loss(x)
    is_a_loss(check, found)
    right = sn.Autoencoder(encoder, decoder).loss(x).value
    mistakes = {
        "It is the error per pixel, where that per image is meant.": right / 6,
        "The decoder's output is compared with 0, and not with x.": (
            model.decoder.forward(encoder.forward(x)[0])[0] ** 2
        ).sum()
        / 5,
    }
    check.same(found.value, right, mistakes, "the loss")
    check.gradients(ex.Autoencoder(encoder, decoder).loss, x)


def test_denoiser(ex, check, rng):
    encoder, decoder = parts(rng)
    x, noise = rng.random((5, 6)), rng.normal(size=(5, 6))

    def corrupt(x, rng):
        return x + noise[: len(x)]

    def error(seen, target):
        return ((decoder.forward(encoder.forward(seen)[0])[0] - target) ** 2).sum() / 5

    found = ex.Denoiser(encoder, decoder, corrupt).loss(x, rng)
    is_a_loss(check, found)
    mistakes = {
        "The target is the corrupted image: the loss compares with the clean x.": error(x + noise, x + noise),
        "The encoder sees the clean image: give it the corrupted one.": error(x, x),
        "Input and target are exchanged: the encoder sees x̃, and the target is x.": error(x, x + noise),
    }
    check.same(found.value, error(x + noise, x), mistakes, "the loss")
    check.gradients(ex.Denoiser(encoder, decoder, lambda x, rng: 0.9 * x).loss, x)


def test_two_layers(ex, check, rng):
    x, U, V = rng.random((5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(3, 4))
    right = sn.mse(x @ U @ V, x)[0]
    mistakes = {
        "It is the mean over all numbers.": right / 4,
        "It is the sum over the batch: divide by N = 5.": right * 5,
    }
    found = ex.two_layers(x, U, V)
    check.that(isinstance(found, tuple) and len(found) == 3, "return three things, R, dU and dV.")
    check.same(found[0], right, mistakes, "R")

    def two_layers(U, V):
        R, dU, dV = ex.two_layers(x, U, V)
        return np.asarray(R), lambda dR: (dR * dU, dR * dV)

    check.gradients(two_layers, U, V)


def test_shrinkage(ex, check, rng):
    variance, tau = rng.uniform(0.5, 2), rng.uniform(0.2, 0.8)
    mistakes = {
        "The noise has the variance τ², and not τ.": variance / (variance + tau),
        "It is the share of the noise, 1 − w.": tau**2 / (variance + tau**2),
        "The variance of x is λ itself, and not λ².": variance**2 / (variance**2 + tau**2),
    }
    check.same(ex.shrinkage(variance, tau), variance / (variance + tau**2), mistakes, "w")
