"""The KL and the sample, worked by hand, and the one thing that both must mean by logvar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet.core.gaussian import log_p_over_q

means, logvars = st.floats(-10, 10), st.floats(-10, 10)
LOG4 = np.log(4.0)  # logvar of σ = 2


def kl(mu: float, logvar: float) -> float:
    return sn.kl_standard_normal(np.array([[mu]]), np.array([[logvar]]))[0]


# ---- kl_standard_normal


def test_the_kl_of_mean_1_and_deviation_2():
    # ½ (μ² + σ² − log σ² − 1) = ½ (1 + 4 − 1.3862944 − 1)
    np.testing.assert_allclose(kl(1.0, LOG4), 1.3068528194400547, rtol=1e-15)


def test_the_kl_is_summed_over_latents_and_averaged_over_the_batch():
    # only μ differs from the prior, so each latent costs ½ μ²:  (½ 1² + ½ 3² + ½ 2² + 0) / 2
    value, _, _ = sn.kl_standard_normal(np.array([[1.0, 3.0], [2.0, 0.0]]), np.zeros((2, 2)))
    assert value == 3.5


def test_the_derivatives_of_the_kl_worked_by_hand():
    mu, logvar = np.array([[1.0, 3.0], [-2.0, 0.0]]), np.array([[LOG4, 0.0], [-LOG4, 0.0]])
    _, dmu, dlogvar = sn.kl_standard_normal(mu, logvar)
    assert dmu.tolist() == [[1 / 2, 3 / 2], [-2 / 2, 0]]  # μ / N
    # ½ (σ² − 1) / N:  ½ (4 − 1) / 2,  ½ (1 − 1) / 2,  ½ (¼ − 1) / 2
    np.testing.assert_allclose(dlogvar, [[3 / 4, 0], [-3 / 16, 0]], rtol=1e-15)


@given(means, logvars)
def test_the_kl_is_never_negative(mu, logvar):
    assert kl(mu, logvar) >= 0


def test_the_kl_of_the_prior_from_itself_is_zero():
    assert kl(0.0, 0.0) == 0


def test_at_the_prior_the_kl_has_no_slope():
    _, dmu, dlogvar = sn.kl_standard_normal(np.zeros((2, 3)), np.zeros((2, 3)))
    assert not dmu.any()
    assert not dlogvar.any()


@pytest.mark.parametrize("logvar", [1e-3, -1e-3, 1e-6, -1e-6, 1e-9, -1e-9])
def test_close_to_the_prior_the_kl_is_a_quarter_of_logvar_squared(logvar):
    # ½ (e^v − v − 1) = ½ (v²/2 + v³/6 + …); e^v − 1 by subtraction would leave no digit of it at 1e-9
    np.testing.assert_allclose(kl(0.0, logvar), logvar**2 / 4 + logvar**3 / 12, rtol=1e-6)


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (1.0, 2.0), (-2.0, 0.5), (0.3, 0.7)])
def test_the_kl_is_the_integral_of_q_times_log_q_over_p(mu, sigma):
    z = np.linspace(-30, 30, 60_001)  # a step of 0.001
    log_q = -0.5 * ((z - mu) / sigma) ** 2 - np.log(sigma)
    log_p = -0.5 * z**2
    integral = (np.exp(log_q) / np.sqrt(2 * np.pi) * (log_q - log_p)).sum() * 0.001
    np.testing.assert_allclose(kl(mu, 2 * np.log(sigma)), integral, atol=1e-10)


def test_a_last_short_batch_weighs_by_its_images(rng):
    mu, logvar = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))
    first, last = (sn.kl_standard_normal(mu[part], logvar[part])[0] for part in (slice(3), slice(3, 5)))
    np.testing.assert_allclose(sn.kl_standard_normal(mu, logvar)[0], (3 * first + 2 * last) / 5, rtol=1e-14)


def test_the_derivatives_of_a_float32_kl_are_float32(rng):
    value, dmu, dlogvar = sn.kl_standard_normal(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))
    assert type(value) is float
    assert dmu.dtype == dlogvar.dtype == np.float32


# ---- sample_gaussian


def test_a_sample_is_the_mean_plus_deviation_times_noise():
    # logvar = log 4 means σ = 2, not 4:  5 + 2·3,  5 + 2·(−1),  and with σ = 1/2:  5 + ½·4
    z, _ = sn.sample_gaussian(np.full((1, 3), 5.0), np.array([[LOG4, LOG4, -LOG4]]), np.array([[3.0, -1.0, 4.0]]))
    np.testing.assert_allclose(z, [[11, 3, 7]], rtol=1e-15)


def test_the_way_back_through_a_sample_worked_by_hand():
    _, backward = sn.sample_gaussian(np.array([[5.0, 5.0]]), np.array([[LOG4, LOG4]]), np.array([[3.0, -1.0]]))
    dmu, dlogvar = backward(np.array([[10.0, 100.0]]))
    assert dmu.tolist() == [[10, 100]]
    # ½ dz σ ε:  ½ · 10 · 2 · 3,  ½ · 100 · 2 · (−1)
    np.testing.assert_allclose(dlogvar, [[30, -100]], rtol=1e-15)


def test_without_noise_a_sample_is_the_mean():
    z, _ = sn.sample_gaussian(np.array([[5.0]]), np.array([[LOG4]]), np.zeros((1, 1)))
    assert z.tolist() == [[5]]


@given(means, logvars)
def test_the_sample_and_the_kl_read_logvar_the_same(mu, logvar):
    z, _ = sn.sample_gaussian(np.array([[mu]]), np.array([[logvar]]), np.ones((1, 1)))
    variance = ((z - mu) ** 2).item()  # (σ · 1)²
    np.testing.assert_allclose(kl(mu, logvar), 0.5 * (mu**2 + variance - np.log(variance) - 1), rtol=1e-9, atol=1e-9)


def test_log_p_over_q_is_the_difference_of_the_two_log_densities(rng):
    mu, logvar, eps = (rng.standard_normal((3, 2)) for _ in range(3))
    z, _ = sn.sample_gaussian(mu, logvar, eps)
    log_p, log_q = -0.5 * z**2, -0.5 * ((z - mu) ** 2 / np.exp(logvar) + logvar)  # less ½ log 2π each
    np.testing.assert_allclose(log_p_over_q(z, logvar, eps), (log_p - log_q).sum(axis=1), rtol=1e-12)


def test_many_samples_have_the_mean_and_variance_asked_for(rng):
    n = 100_000
    z, _ = sn.sample_gaussian(np.full((n, 1), 5.0), np.full((n, 1), LOG4), rng.standard_normal((n, 1)))
    np.testing.assert_allclose([z.mean(), z.var()], [5, 4], rtol=0.02)


def test_a_float32_sample_stays_float32_there_and_back(rng):
    mu, logvar, eps = (rng.standard_normal((2, 3), np.float32) for _ in range(3))
    z, backward = sn.sample_gaussian(mu, logvar, eps)
    assert {a.dtype.name for a in (z, *backward(z))} == {"float32"}
