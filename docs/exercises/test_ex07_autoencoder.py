import numpy as np

import scratchnet as sn


def parts(rng):
    """An encoder and a decoder."""
    encoder = sn.Sequential(sn.Dense(4, 3, rng=rng, dtype=np.float64), sn.Tanh())
    return encoder, sn.Dense(3, 4, rng=rng, dtype=np.float64)


def is_a_loss(check, found):
    check.that(isinstance(found, sn.Loss), f"loss returns an sn.Loss(value, terms, backward), and not {found!r}.")


def is_complete(check, found):
    """The terms, and what the backward pass returns."""
    terms = found.terms
    check.that(list(terms) == ["reconstruction"], f'the terms are {{"reconstruction": R}}, and not {terms}.')
    check.same(terms["reconstruction"], found.value, {}, "the term reconstruction")
    told = "the loss's backward pass returns something, where it should return nothing: write it with def, no return."
    check.that(found.backward() is None, told)


def test_autoencoder(ex, check, rng):
    encoder, decoder = parts(rng)
    x = rng.random((5, 4))
    model = ex.Autoencoder(encoder, decoder)
    found = model.loss(x)
    is_a_loss(check, found)
    right = sn.Autoencoder(encoder, decoder).loss(x).value
    mistakes = {
        "It is the error per pixel, where that per image is meant.": right / 4,
        "The decoder's output is compared with 0, and not with x.": (
            model.decoder.forward(encoder.forward(x)[0])[0] ** 2
        ).sum()
        / 5,
    }
    check.same(found.value, right, mistakes, "the loss")
    is_complete(check, found)
    check.gradients(ex.Autoencoder(encoder, decoder).loss, x)


def test_denoiser(ex, check, rng):
    encoder, decoder = parts(rng)
    x, noise = rng.random((5, 4)), rng.normal(size=(5, 4))

    drew_from = []

    def corrupt(x, rng):
        drew_from.append(rng)
        return x + noise[: len(x), : x.shape[1]]

    def error(seen, target):
        return ((decoder.forward(encoder.forward(seen)[0])[0] - target) ** 2).sum() / 5

    found = ex.Denoiser(encoder, decoder, corrupt).loss(x, rng)
    is_a_loss(check, found)
    check.that(all(one is rng for one in drew_from), "corrupt gets another rng than the one that loss was given.")
    corrupted_code = decoder.forward(corrupt(encoder.forward(x)[0], rng))[0]
    mistakes = {
        "The code is corrupted: it is x that corrupt gets.": ((corrupted_code - x) ** 2).sum() / 5,
        "The target is the corrupted image: the loss compares with the clean x.": error(x + noise, x + noise),
        "The encoder sees the clean image: give it the corrupted one.": error(x, x),
        "Input and target are exchanged: the encoder sees x̃, and the target is x.": error(x, x + noise),
    }
    check.same(found.value, error(x + noise, x), mistakes, "the loss")
    is_complete(check, found)
    check.gradients(ex.Denoiser(encoder, decoder, lambda x, rng: 0.9 * x).loss, x)


def test_two_layers(ex, check, rng):
    x, U, V = rng.random((5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(3, 4))
    R, dy = sn.mse(x @ U @ V, x)

    def mistakes(right):
        return {
            "The sign is flipped: dy = 2 (y − x) / N.": -right,
            "It is N = 5 times too small: dy has its 1/N already.": right / 5,
            "It is N = 5 times too large: dy = 2 (y − x) / N.": right * 5,
            "The factor 2, the slope of the square, is missing: dy = 2 (y − x) / N.": right / 2,
        }

    dU, dV = x.T @ dy @ V.T, (x @ U).T @ dy
    of_R = {"It is the mean over all numbers.": R / 4, "It is the sum over the batch: divide by N = 5.": R * 5}
    of_dV = {"It is xᵀ dy without U: the input of the second layer is z = x U.": (x[:, :3]).T @ dy}
    right = {"R": (R, of_R), "dU": (dU, mistakes(dU)), "dV": (dV, mistakes(dV) | of_dV)}
    check.same_each(ex.two_layers(x, U, V), **right)


def test_shrinkage(ex, check, rng):
    variance, tau = rng.uniform(0.5, 2), rng.uniform(0.2, 0.8)
    mistakes = {
        "The noise has the variance τ², and not τ.": variance / (variance + tau),
        "It is the share of the noise, 1 − w.": tau**2 / (variance + tau**2),
        "It is 1 / w, upside down.": (variance + tau**2) / variance,
        "It is √w.": np.sqrt(variance / (variance + tau**2)),
        "The variance of x is λ itself, and not λ².": variance**2 / (variance**2 + tau**2),
    }
    check.same(ex.shrinkage(variance, tau), variance / (variance + tau**2), mistakes, "w")
