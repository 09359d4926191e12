"""The importance-weighted autoencoder: its bound, its gradient, and what it shares with the VAE."""

import numpy as np
import pytest

import scratchnet as sn
from tests.strategies import ENGINES


def make(k: int, likelihood: str = "bernoulli", dtype: type = np.float64) -> sn.IWAE:
    rng = np.random.default_rng(0)
    encoder = sn.Sequential(sn.Dense(6, 5, rng=rng, dtype=dtype), sn.Tanh(), sn.Dense(5, 4, rng=rng, dtype=dtype))
    return sn.IWAE(encoder, sn.Dense(2, 6, rng=rng, dtype=dtype), k=k, likelihood=likelihood, sigma=0.7)


X = np.random.default_rng(1).random((3, 6))


def test_the_bound_is_minus_the_log_of_the_mean_weight():
    iwae, eps = make(4), np.random.default_rng(2).standard_normal((12, 2))
    mu, logvar = iwae.encode(X)
    expected = 0.0
    for n, x in enumerate(X):
        weights = []
        for e in eps[4 * n : 4 * n + 4]:
            sigma = np.exp(logvar[n] / 2)
            z = mu[n] + sigma * e
            p = iwae.decode(z[None])[0]
            log_p_x = np.sum(x * np.log(p) + (1 - x) * np.log(1 - p))
            log_p_z = np.sum(-0.5 * z**2 - 0.5 * np.log(2 * np.pi))
            log_q = np.sum(-0.5 * e**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi))
            weights.append(np.exp(log_p_x + log_p_z - log_q))
        expected -= np.log(np.mean(weights)) / len(X)
    assert np.isclose(iwae.loss(X, eps=eps).value, expected, rtol=1e-12)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_gradient_is_the_derivative_of_the_value_at_this_noise(k, likelihood, engine):
    iwae, eps = make(k, likelihood), np.random.default_rng(2).standard_normal((3 * k, 2))
    theta, dtheta = iwae.parameters.theta, iwae.parameters.dtheta
    with sn.kernels.use(engine):
        iwae.loss(X, eps=eps).backward()
        for direction in np.random.default_rng(3).standard_normal((5, theta.size)):
            at, step = theta.copy(), 1e-5
            values = []
            for sign in (1, -1):
                theta[...] = at + sign * step * direction
                values.append(iwae.loss(X, eps=eps).value)
            theta[...] = at
            assert np.isclose((values[0] - values[1]) / (2 * step), dtheta @ direction, rtol=1e-6, atol=1e-8)


def test_one_code_gives_the_bound_of_the_vae_with_its_kl_sampled():
    iwae = make(1)
    vae = sn.VAE(iwae.encoder, iwae.decoder)
    eps = np.random.default_rng(2).standard_normal((3, 2))
    mu, logvar = vae.encode(X)
    z = mu + np.exp(logvar / 2) * eps
    sampled_kl = 0.5 * (z**2 - eps**2 - logvar).sum(axis=1).mean()
    reconstruction = vae.loss(X, eps=eps).terms["reconstruction"]
    assert np.isclose(iwae.loss(X, eps=eps).value, reconstruction + sampled_kl, rtol=1e-12)


def test_the_bound_rises_with_k_as_log_likelihood_says():
    iwae = make(50)
    rng = np.random.default_rng(4)
    found = np.mean([iwae.loss(X, rng).value for _ in range(200)])
    expected = -sn.log_likelihood(iwae, np.repeat(X, 200, axis=0), 50, rng)["log_likelihood"]
    assert np.isclose(found, expected, rtol=2e-3)
    assert found < np.mean([make(1).loss(X, rng).value for _ in range(200)])


def test_the_gradient_is_finite_where_all_weights_but_one_vanish():
    iwae = make(3)
    iwae.parameters.theta[-18:] *= 1e4  # the decoder's
    loss = iwae.loss(X, np.random.default_rng(5))
    loss.backward()
    assert np.isfinite(loss.value)
    assert np.isfinite(iwae.parameters.dtheta).all()


def test_fit_trains_it_and_its_bound_falls():
    rng = np.random.default_rng(0)
    history = sn.fit(make(5), rng.random((64, 6)).round(), optimizer=sn.Adam(1e-2), epochs=20, rng=rng, progress=False)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert history.epochs[-1]["loss"] == history.epochs[-1]["bound"]


def test_there_is_no_beta_to_anneal():
    rng = np.random.default_rng(0)
    with pytest.raises((TypeError, ValueError, AttributeError), match="beta"):
        sn.fit(
            make(2), X, optimizer=sn.SGD(0.1), epochs=1, rng=rng, progress=False,
            callbacks=[sn.callbacks.Anneal(beta=lambda step: 1.0)],
        )  # fmt: skip


@pytest.mark.parametrize("k", [0, 2.5, True, None])
def test_k_is_a_positive_integer(k):
    with pytest.raises((TypeError, ValueError), match="IWAE expects k"):
        make(k)


def test_noise_of_another_shape_is_refused():
    with pytest.raises(sn.ShapeError, match="eps"):
        make(4).loss(X, eps=np.zeros((3, 2)))


def test_without_sigma_its_gaussian_is_that_of_a_vae():
    rng = np.random.default_rng(0)
    iwae = sn.IWAE(sn.Dense(6, 4, rng=rng), sn.Dense(2, 6, rng=rng), k=2, likelihood="gaussian")
    assert repr(iwae.likelihood) == repr(sn.Gaussian(1.0))


def test_it_says_how_many_codes_it_draws():
    assert repr(make(7)).startswith("IWAE(Sequential(")
    assert repr(make(7)).endswith(", likelihood bernoulli, k 7)")
