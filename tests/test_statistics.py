"""What a gradient check cannot see: it passes a wrong model whose gradient is consistent. These tests ask the samples.

Seeds are fixed, so each test passes always or never. The bounds are what makes a pass honest: with a fresh seed, a
right model would stay within them but for a false alarm whose probability is stated with each bound.
"""

import itertools
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like

BOUND = 5.0
"""Standard errors that a mean of many draws may be off: by the normal distribution a false alarm of 6e-7 a number."""

KS_BOUND = 2.7
"""For √n sup|Fₙ − F|, the distance of a sample from its distribution: a false alarm of 2 exp(−2·2.7²) = 9e-7."""


def errors_off(draws: Array, expected: Array | float) -> Array:
    """How many standard errors the mean over the first axis of `draws` is from what it should be."""
    return (draws.mean(axis=0) - expected) / (draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))


def kolmogorov_smirnov(draws: Array, cdf: Callable[[float], float]) -> float:
    n = draws.size
    F = np.array([cdf(draw) for draw in np.sort(draws, axis=None)])
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max((steps[1:] - F).max(), (F - steps[:-1]).max())


def assert_standard_normal(draws: Array) -> None:
    """Mean, variance, fourth moment and the whole distribution: a false alarm below 1e-4 from 2000 draws.

    Most of that is the fourth moment's, for ε⁴ has a long tail; from 50,000 draws it is 4e-6.
    """
    n = draws.size
    assert abs(draws.mean()) < BOUND / math.sqrt(n)
    assert abs((draws**2).mean() - 1) < BOUND * math.sqrt(2 / n)  # var ε² = 3 − 1
    assert abs((draws**4).mean() - 3) < BOUND * math.sqrt(96 / n)  # var ε⁴ = 105 − 3²
    assert kolmogorov_smirnov(draws, NormalDist().cdf) < KS_BOUND


# ---- the sample

GAUSSIANS = [(0.0, 0.0), (5.0, math.log(4)), (-3.0, -2.0), (0.01, -14.0), (1000.0, 1.0), (0.0, 10.0), (-20.0, 14.0)]
gaussians = pytest.mark.parametrize(("mu", "logvar"), GAUSSIANS)


def draw(mu: float, logvar: float, n: int) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    means = np.full((n, 1), mu)
    return sn.sample_gaussian(means, np.full((n, 1), logvar), noise_like(means, np.random.default_rng(1)))


@gaussians
def test_a_sample_has_the_mean_mu(mu, logvar):
    z, _ = draw(mu, logvar, 100_000)
    assert abs(z.mean() - mu) < BOUND * math.exp(0.5 * logvar) / math.sqrt(len(z))


@gaussians
def test_a_sample_has_the_variance_whose_logarithm_is_logvar(mu, logvar):
    z, _ = draw(mu, logvar, 100_000)
    assert abs(((z - mu) ** 2).mean() / math.exp(logvar) - 1) < BOUND * math.sqrt(2 / len(z))


@gaussians
def test_a_sample_is_normal(mu, logvar):
    z, _ = draw(mu, logvar, 5_000)
    assert kolmogorov_smirnov(z, NormalDist(mu, math.exp(0.5 * logvar)).cdf) < KS_BOUND


def test_samples_of_different_images_and_dimensions_are_uncorrelated():
    rng, mu, logvar = np.random.default_rng(2), np.full((4, 3), 2.0), np.full((4, 3), -1.0)
    z = np.array([sn.sample_gaussian(mu, logvar, noise_like(mu, rng))[0].ravel() for _ in range(10_000)])
    correlations = np.corrcoef(z.T)[np.triu_indices(12, 1)]  # 66 pairs, each 1/√n of standard deviation: 4e-5 in all
    assert np.abs(correlations).max() < BOUND / math.sqrt(len(z))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_standard_normal(dtype):
    eps = noise_like(np.zeros((10_000, 5), dtype), np.random.default_rng(3))
    assert_standard_normal(eps.astype(np.float64))


def test_a_vae_samples_from_the_standard_normal_prior():
    rng = np.random.default_rng(4)
    decoder = sn.Dense(1, 1, rng=rng, dtype=np.float64)
    decoder.W[...] = 1  # the logit of the pixel is z itself
    vae = sn.VAE(sn.Dense(1, 2, rng=rng, dtype=np.float64), decoder)
    p = vae.sample(50_000, rng)
    assert_standard_normal(np.log(p / (1 - p)))


def test_a_loss_draws_fresh_noise_at_each_call():
    eps, _, _ = noise_of_losses(2_000)
    assert_standard_normal(eps)
    assert abs(np.corrcoef(eps[1:], eps[:-1])[0, 1]) < BOUND / math.sqrt(len(eps))


def test_the_way_back_has_the_noise_of_the_way_there():
    eps, reconstruction, slopes = noise_of_losses(10)
    np.testing.assert_allclose(reconstruction, 0.5 * eps**2 + 0.5 * math.log(2 * math.pi), rtol=1e-12)
    # dz = y − x = ε, so dμ = ε and dlogσ² = ½ ε · ε; the KL has no slope at μ = 0, σ = 1
    np.testing.assert_allclose(slopes, np.stack([eps, 0.5 * eps**2], axis=1), rtol=1e-12)


def noise_of_losses(n: int) -> tuple[Array, Array, Array]:
    """n losses at x = 0 of a VAE with z = ε and y = z: of each ε, the reconstruction, and the slopes in μ and logσ²."""
    rng = np.random.default_rng(5)
    encoder, decoder = sn.Dense(1, 2, rng=rng, dtype=np.float64), sn.Dense(1, 1, rng=rng, dtype=np.float64)
    vae = sn.VAE(encoder, decoder, likelihood="gaussian")
    vae.parameters.theta[...] = 0
    decoder.W[...] = 1
    eps, reconstruction, slopes = np.zeros(n), np.zeros(n), np.zeros((n, 2))
    for i in range(n):
        loss = vae.loss(np.zeros((1, 1)), rng)
        vae.parameters.zero_grad()
        loss.backward()
        eps[i], reconstruction[i] = decoder.db[0], loss.terms["reconstruction"]  # the slope in b is y − x = ε
        slopes[i] = encoder.db
    return eps, reconstruction, slopes


# ---- the divergence


@gaussians
def test_the_kl_is_the_mean_of_log_q_less_log_p_over_samples_of_q(mu, logvar):
    z, _ = draw(mu, logvar, 50_000)
    log_q = -0.5 * (z - mu) ** 2 / math.exp(logvar) - 0.5 * logvar  # both without −½ log 2π
    log_p = -0.5 * z**2
    kl, _, _ = sn.kl_standard_normal(np.array([[mu]]), np.array([[logvar]]))
    if (mu, logvar) == (0, 0):
        assert np.array_equal(log_q, log_p)
        assert kl == 0
    else:
        assert np.abs(errors_off(log_q - log_p, kl)).max() < BOUND


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_the_kl_is_zero_only_at_the_prior(mu, logvar):
    kl, _, _ = sn.kl_standard_normal(np.array([[mu]]), np.array([[logvar]]))
    # ½ (μ² + e^v − v − 1), where (e^v − v − 1)/v² grows with v, and is 0.09 at v = −10; rounding may take a little
    least = 0.5 * mu**2 + 0.04 * logvar**2
    assert kl >= least - 4 * np.finfo(float).eps * (least + np.exp(logvar))
    assert kl > 0 or max(abs(mu), abs(logvar)) < 1e-7


# ---- the gradient, which is itself an estimate: right on average
#
# For f(z) = ½ a (z − c)²,  E_q f = ½ a (σ² + (μ − c)²),  so  ∂/∂μ = a (μ − c)  and  ∂/∂log σ² = ½ a σ².


@gaussians
def test_the_gradient_through_a_sample_is_right_on_average(mu, logvar):
    a, c = 3.0, mu + 2 * math.exp(0.5 * logvar)
    z, backward = draw(mu, logvar, 100_000)
    dmu, dlogvar = backward(a * (z - c))
    assert np.abs(errors_off(dmu, a * (mu - c))).max() < BOUND
    assert np.abs(errors_off(dlogvar, 0.5 * a * math.exp(logvar))).max() < BOUND


# ---- the bounds, of a VAE that learnt black and white digits in 5×5 pixels with one latent dimension
#
# In one dimension log p(x) is an integral over a line, so the bounds can be held against the truth.

DIGITS = sn.data.mnist("test")[0][:1000].reshape(-1, 28, 28)[:, 4:24, 4:24].reshape(-1, 5, 4, 5, 4).mean(axis=(2, 4))
DIGITS = (DIGITS.reshape(-1, 25) > 0.5).astype(np.float64)
TEST = DIGITS[:20]


@pytest.fixture
def vae() -> sn.VAE:
    rng = np.random.default_rng(0)

    def dense(n_in, n_out):
        return sn.Dense(n_in, n_out, rng=rng, dtype=np.float64)

    vae = sn.VAE(
        sn.Sequential(dense(25, 20), sn.Tanh(), dense(20, 2)), sn.Sequential(dense(1, 20), sn.Tanh(), dense(20, 25))
    )
    sn.fit(vae, DIGITS, optimizer=sn.Adam(0.01), epochs=20, batch_size=50, rng=rng, progress=False)
    return vae


@pytest.fixture
def wide(vae) -> sn.VAE:
    """The same with σ three times what it should be: a guess that loses 1.7 nats, and weights that are bounded."""
    vae.parameters.named()["encoder.2.b"][1] += 2 * math.log(3)
    return vae


def log_p(vae: sn.VAE, x: Array) -> Array:
    """log p(x) of each image, (N,), by an integral over z; the error is far below 1e-6."""
    z, step = np.linspace(-9, 9, 3001, retstep=True)
    y, _ = vae.decoder.forward(z[:, None])
    log_prior = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    joint = [log_prior - vae.likelihood.nll_per_image(y, np.tile(image, (len(z), 1))) for image in x]
    return np.logaddexp.reduce(joint, axis=1) + math.log(step)


def test_the_mean_weight_is_the_evidence_for_any_k(wide):
    # The logarithm makes L_k a bound; before it is taken, the mean weight is right on average.
    image, rng = TEST[:1], np.random.default_rng(6)
    evidence = math.exp(log_p(wide, image)[0])
    for k in (1, 3):
        weights = np.array([math.exp(sn.log_likelihood(wide, image, k, rng)["log_likelihood"]) for _ in range(2000)])
        assert abs(errors_off(weights, evidence)) < BOUND


RUNS = 20
T_BOUND = 7.0
"""Standard errors that a mean of 20 runs may be off: a false alarm of 1e-6 by Student's t, 19 degrees of freedom."""


def bounds(vae: sn.VAE, k: int) -> Array:
    """L_k of the test images, (RUNS,), each run from the same number of samples."""
    rng, x = np.random.default_rng(7), np.tile(TEST, (500 // k, 1))
    return np.array([sn.log_likelihood(vae, x, k, rng)["log_likelihood"] for _ in range(RUNS)])


def elbos(vae: sn.VAE) -> Array:
    rng, x = np.random.default_rng(8), np.tile(TEST, (500, 1))
    return np.array([sn.elbo(vae, x, rng)["elbo"] for _ in range(RUNS)])


def test_the_bound_rises_with_k_towards_log_p(wide):
    truth = log_p(wide, TEST).mean()
    found = [bounds(wide, k) for k in (1, 5, 50, 500)]
    for fewer, more in itertools.pairwise(found):
        assert errors_off(more - fewer, 0.0) > T_BOUND
    assert all(errors_off(bound, truth) < T_BOUND for bound in found)
    assert truth - found[-1].mean() < 0.01 * (truth - found[0].mean())


def test_one_sample_is_the_elbo_on_average(wide):
    assert abs(errors_off(bounds(wide, 1) - elbos(wide), 0.0)) < T_BOUND


def test_the_elbo_is_below_log_p(vae):
    assert errors_off(elbos(vae), log_p(vae, TEST).mean()) < -T_BOUND


def test_evaluated_at_mu_instead_a_trained_vae_would_be_flattered_beyond_log_p(vae):
    at_mu = -vae.loss(TEST, eps=np.zeros((len(TEST), 1))).value
    assert at_mu > log_p(vae, TEST).mean() + 0.2
    assert errors_off(elbos(vae), at_mu) < -T_BOUND


def test_the_standard_error_of_the_elbo_is_the_spread_over_seeds_where_only_the_noise_differs(vae):
    x, seeds = np.tile(TEST[:1], (200, 1)), 500
    found = [sn.elbo(vae, x, np.random.default_rng(seed)) for seed in range(seeds)]
    spread = np.var([run["elbo"] for run in found], ddof=1)
    reported = np.mean([run["stderr"] ** 2 for run in found])
    assert abs(spread / reported - 1) < BOUND * math.sqrt(2 / seeds)  # within a third, on both sides


def test_the_standard_error_of_the_elbo_counts_that_images_differ(vae):
    # Over seeds the images stay, so the spread misses what other images would have changed.
    found = [sn.elbo(vae, DIGITS[:200], np.random.default_rng(seed)) for seed in range(200)]
    spread = np.std([run["elbo"] for run in found], ddof=1)
    assert spread < 0.5 * np.mean([run["stderr"] for run in found])


# ---- a linear Gaussian VAE, whose ELBO needs no samples: with y = z W + b and pixels of deviation s,
#
#   E_q[−log p(x|z)] = −log p(x|μ) + ½ Σ_l σ_l² ‖W_l‖² / s²,   where W_l is the row of W for latent dimension l


def test_the_elbo_of_a_linear_vae_is_right_on_average():
    rng, s = np.random.default_rng(10), 0.6
    decoder = sn.Dense(3, 4, rng=rng, dtype=np.float64)
    vae = sn.VAE(sn.Dense(4, 6, rng=rng, dtype=np.float64), decoder, likelihood="gaussian", sigma=s)
    x = rng.random((50, 4))
    _, logvar = vae.encode(x)
    flattery = 0.5 * (np.exp(logvar) @ (decoder.W**2).sum(axis=1)).mean() / s**2
    exact = -vae.loss(x, eps=np.zeros((50, 3))).value - flattery
    found = np.array([sn.elbo(vae, x, rng)["elbo"] for _ in range(1000)])
    assert abs(errors_off(found, exact)) < BOUND
    assert flattery > 100 * found.std() / math.sqrt(1000)  # so that an evaluation at μ would be seen


# ---- where training begins, and in which order it goes on


@pytest.mark.parametrize("n_in", [1, 9, 400])
def test_the_weights_of_dense_start_uniform_between_plus_and_minus_one_over_the_root_of_n_in(n_in):
    W = sn.Dense(n_in, 20_000 // n_in, rng=np.random.default_rng(11), dtype=np.float64).W
    assert kolmogorov_smirnov(W, lambda w: (w * math.sqrt(n_in) + 1) / 2) < KS_BOUND


@pytest.mark.parametrize("n_in", [1, 9, 400])
def test_the_weights_of_dense_start_with_the_deviation_one_over_the_root_of_three_n_in(n_in):
    W = sn.Dense(n_in, 20_000 // n_in, rng=np.random.default_rng(11), dtype=np.float64).W
    # a uniform u in ±1 has var u² = 1/5 − 1/9 = 4/45, so u² / (1/3) has the variance 4/5
    assert abs((W**2).mean() * 3 * n_in - 1) < BOUND * math.sqrt(0.8 / W.size)


def test_every_image_is_as_likely_at_every_place_of_an_epoch():
    n, epochs, orders = 5, 1000, []

    def remember(x: Array, rng: np.random.Generator) -> Array:
        orders.append(x.argmax(axis=1))
        return x.copy()

    rng = np.random.default_rng(12)
    dense = sn.Dense(n, n, rng=rng, dtype=np.float64)
    model = sn.Autoencoder(dense, sn.Flatten(), corrupt=remember)
    sn.fit(model, np.eye(n), optimizer=sn.SGD(0.0), epochs=epochs, batch_size=n, rng=rng, progress=False)
    counts = sum(np.eye(n)[order] for order in orders)  # (place, image): binomial, 25 of them: 1e-5 in all
    assert np.abs(counts - epochs / n).max() < BOUND * math.sqrt(epochs / n * (1 - 1 / n))
