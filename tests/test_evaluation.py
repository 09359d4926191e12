"""Evaluation: the bound is what the models say, image by image, and agrees with what can be worked out on paper."""

import math
import tracemalloc
from statistics import NormalDist

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import evaluation
from scratchnet.arrays import Array
from scratchnet.evaluation import active_units, bce_scale, kl_per_latent

LIKELIHOODS = [
    pytest.param({"likelihood": "bernoulli"}, id="bernoulli"),
    pytest.param({"likelihood": "gaussian", "sigma": 0.3}, id="gaussian"),
]
likelihoods = pytest.mark.parametrize("options", LIKELIHOODS)


def make_vae(dtype: type = np.float64, **options) -> sn.VAE:
    rng = np.random.default_rng(1)
    encoder = sn.Sequential(sn.Dense(5, 6, rng=rng, dtype=dtype), sn.Tanh(), sn.Dense(6, 6, rng=rng, dtype=dtype))
    decoder = sn.Sequential(sn.Dense(3, 6, rng=rng, dtype=dtype), sn.Tanh(), sn.Dense(6, 5, rng=rng, dtype=dtype))
    vae = sn.VAE(encoder, decoder, **options)
    vae.parameters.theta[...] = np.random.default_rng(2).standard_normal(len(vae.parameters))
    return vae


def images(n: int) -> Array:
    return np.random.default_rng(3).random((n, 5))


def noise(n: int) -> Array:
    """The first n draws for 3 latent dimensions from the generator that `elbo` gets below."""
    return np.random.default_rng(9).standard_normal((n, 3))


@likelihoods
def test_the_elbo_is_minus_the_loss_at_the_same_noise(options):
    vae = make_vae(**options)
    found = sn.elbo(vae, images(20), np.random.default_rng(9))
    loss = vae.loss(images(20), eps=noise(20))
    assert found["elbo"] == pytest.approx(-loss.value, rel=1e-12)
    assert found["reconstruction"] == pytest.approx(loss.terms["reconstruction"], rel=1e-12)
    assert found["kl"] == pytest.approx(loss.terms["kl"], rel=1e-12)


@likelihoods
def test_the_elbo_is_minus_the_sum_of_its_terms(options):
    found = sn.elbo(make_vae(**options), images(20), np.random.default_rng(9))
    assert list(found) == ["elbo", "reconstruction", "kl", "stderr"]
    assert found["elbo"] == pytest.approx(-(found["reconstruction"] + found["kl"]), rel=1e-12)


@likelihoods
def test_the_standard_error_is_that_of_a_mean_over_images(options):
    vae, x = make_vae(**options), images(20)
    bounds = [-vae.loss(x[i : i + 1], eps=noise(20)[i : i + 1]).value for i in range(20)]
    mean = sum(bounds) / 20
    variance = sum((bound - mean) ** 2 for bound in bounds) / 19
    found = sn.elbo(vae, x, np.random.default_rng(9))
    assert found["stderr"] == pytest.approx(math.sqrt(variance / 20), rel=1e-9)


def test_the_standard_error_of_a_single_image_is_unknown():
    found = sn.elbo(make_vae(), images(1), np.random.default_rng(9))
    assert math.isnan(found["stderr"])
    assert math.isfinite(found["elbo"])


def test_beta_is_not_in_the_elbo():
    light, heavy = (sn.elbo(make_vae(beta=beta), images(20), np.random.default_rng(9)) for beta in (0.0, 10.0))
    assert heavy == light


@likelihoods
def test_2500_images_are_the_mean_over_all_of_them(options):
    vae, x = make_vae(**options), images(2500)
    found = sn.elbo(vae, x, np.random.default_rng(9))
    assert found["elbo"] == pytest.approx(-vae.loss(x, eps=noise(2500)).value, rel=1e-10)


def test_each_image_counts_the_same_however_many_there_are():
    vae, x = make_vae(), images(1001)
    x[-1] = 1 - x[-1] ** 4  # the one that is left over after a thousand
    found = sn.elbo(vae, x, np.random.default_rng(9))
    assert found["kl"] == pytest.approx(vae.loss(x, eps=noise(1001)).terms["kl"], rel=1e-10)


def test_evaluating_changes_neither_the_model_nor_the_images():
    vae, x = make_vae(), images(20)
    theta = vae.parameters.theta.copy()
    sn.elbo(vae, x, np.random.default_rng(9))
    assert np.array_equal(vae.parameters.theta, theta)
    assert not vae.parameters.dtheta.any()
    assert np.array_equal(x, images(20))


def test_the_same_seed_gives_the_same_bound():
    vae = make_vae()
    first, second = (sn.elbo(vae, images(20), np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_bound():
    vae = make_vae()
    first, second = (sn.elbo(vae, images(20), np.random.default_rng(seed)) for seed in (9, 10))
    assert first["reconstruction"] != second["reconstruction"]
    assert first["kl"] == second["kl"]


def test_a_float32_model_is_averaged_in_double_precision():
    vae, x = make_vae(np.float32), images(2500).astype(np.float32)
    exact = make_vae()
    exact.parameters.theta[...] = vae.parameters.theta
    found = sn.elbo(vae, x, np.random.default_rng(9))
    assert found["elbo"] == pytest.approx(
        sn.elbo(exact, x.astype(np.float64), np.random.default_rng(9))["elbo"], rel=1e-6
    )


# ---- a model that can be integrated by hand: one pixel, one latent dimension, all linear
#
#   p(z) = N(0, 1),  p(x|z) = N(w z + b, s²),  q(z|x) = N(m, v) with m = a x + c
#
#   E_q[log p(x|z)] = −½ log 2πs² − ½ ((x − w m − b)² + w² v) / s²        KL = ½ (m² + v − log v − 1)

W, B, S = 2.0, 0.25, 0.8


def linear_vae(a: float, c: float, v: float) -> sn.VAE:
    rng = np.random.default_rng(0)
    encoder = sn.Dense(1, 2, rng=rng, dtype=np.float64)
    decoder = sn.Dense(1, 1, rng=rng, dtype=np.float64)
    encoder.W[...], encoder.b[...] = [[a, 0.0]], [c, math.log(v)]
    decoder.W[...], decoder.b[...] = W, B
    return sn.VAE(encoder, decoder, likelihood="gaussian", sigma=S)


def test_the_bound_of_a_linear_model_agrees_with_the_integral():
    x, a, c, v = 0.7, 0.5, -0.2, 0.6
    m = a * x + c
    reconstruction = 0.5 * math.log(2 * math.pi * S**2) + 0.5 * ((x - W * m - B) ** 2 + W**2 * v) / S**2
    kl = 0.5 * (m**2 + v - math.log(v) - 1)
    found = sn.elbo(linear_vae(a, c, v), np.full((4000, 1), x), np.random.default_rng(0))
    assert found["kl"] == pytest.approx(kl, rel=1e-12)
    assert abs(found["elbo"] + reconstruction + kl) < 5 * found["stderr"]
    assert 5 * found["stderr"] < 0.5 * W**2 * v / S**2 / 4  # far less than an evaluation at z = m would flatter


def test_at_the_true_posterior_the_bound_is_the_log_likelihood():
    x = 0.7  # p(x) = N(b, w² + s²),  p(z|x) = N(w (x − b) / (w² + s²), s² / (w² + s²))
    total = W**2 + S**2
    log_likelihood = -0.5 * math.log(2 * math.pi * total) - 0.5 * (x - B) ** 2 / total
    exact = linear_vae(W / total, -W * B / total, S**2 / total)
    found = sn.elbo(exact, np.full((4000, 1), x), np.random.default_rng(0))
    assert abs(found["elbo"] - log_likelihood) < 5 * found["stderr"]
    assert found["stderr"] < 0.02


# ---- the importance-weighted bound


def log_likelihood(vae: sn.VAE, x: Array, k: int) -> float:
    return sn.log_likelihood(vae, x, k, np.random.default_rng(9))["log_likelihood"]


def log_likelihood_by_a_loop(vae: sn.VAE, x: Array, k: int) -> float:
    """One image and one sample at a time, from the densities themselves, at the noise of `log_likelihood` above."""
    total = 0.0
    for image, draws in zip(x[:, None], np.random.default_rng(9).standard_normal((len(x), k, 3)), strict=True):
        mu, logvar = vae.encode(image)
        weights = []
        for eps in draws[:, None].astype(x.dtype):
            z, _ = sn.sample_gaussian(mu, logvar, eps)
            w = math.exp(-vae.loss(image, eps=eps).terms["reconstruction"])
            for z_i, mu_i, logvar_i in zip(z.flat, mu.flat, logvar.flat, strict=True):
                w *= NormalDist().pdf(z_i) / NormalDist(mu_i, math.exp(0.5 * logvar_i)).pdf(z_i)
            weights.append(w)
        total += math.log(math.fsum(weights) / k)
    return total / len(x)


@likelihoods
@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_log_likelihood_is_the_log_of_the_mean_weight(options, k):
    vae, x = make_vae(**options), images(4)
    assert log_likelihood(vae, x, k) == pytest.approx(log_likelihood_by_a_loop(vae, x, k), rel=1e-12)


def test_one_sample_is_the_elbo_with_the_densities_at_the_sample_for_the_kl():
    vae, x = make_vae(), images(20)
    mu, logvar = vae.encode(x)
    z, _ = sn.sample_gaussian(mu, logvar, noise(20))
    log_q_over_p = 0.5 * (z**2 - noise(20) ** 2 - logvar).sum() / 20
    elbo = sn.elbo(vae, x, np.random.default_rng(9))
    assert log_likelihood(vae, x, 1) == pytest.approx(elbo["elbo"] + elbo["kl"] - log_q_over_p, rel=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 4, 64])
@pytest.mark.parametrize("k", [1, 4, 9])
def test_how_many_samples_are_in_flight_makes_no_difference(monkeypatch, rows, k):
    vae, x = make_vae(), images(7)
    whole = log_likelihood(vae, x, k)
    monkeypatch.setattr(evaluation, "_ROWS", rows)
    assert log_likelihood(vae, x, k) == pytest.approx(whole, rel=1e-12)


def test_memory_does_not_grow_with_the_samples():
    vae, x = make_vae(), images(2)
    peaks = []
    for k in (1000, 10_000):
        tracemalloc.start()
        log_likelihood(vae, x, k)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_weights_too_small_for_a_float_still_have_a_mean():
    x = np.full((1, 1), 1e3)  # log p(x|z) is about −10⁶, and e^−1000000 is 0
    found = log_likelihood(linear_vae(0.0, 0.0, 1.0), x, 50)
    eps = np.random.default_rng(9).standard_normal(50)  # q is the prior here, so that z = ε and a weight is p(x|z)
    log_w = -0.5 * math.log(2 * math.pi * S**2) - 0.5 * (1e3 - W * eps - B) ** 2 / S**2
    assert found == pytest.approx(log_w.max() + math.log(np.exp(log_w - log_w.max()).sum() / 50), rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 10, 1500])
def test_at_the_true_posterior_every_k_gives_the_log_likelihood(k):
    x = np.array([[0.7], [-3.0], [11.0]])
    total = W**2 + S**2
    exact = linear_vae(W / total, -W * B / total, S**2 / total)
    expected = np.mean(-0.5 * np.log(2 * np.pi * total) - 0.5 * (x - B) ** 2 / total)
    assert log_likelihood(exact, x, k) == pytest.approx(expected, rel=1e-10)


def test_many_samples_close_the_gap_of_a_wrong_posterior():
    x, total = np.full((1, 1), 0.7), W**2 + S**2
    log_p = -0.5 * math.log(2 * math.pi * total) - 0.5 * (0.7 - B) ** 2 / total
    wrong = linear_vae(0.0, 0.0, 1.0)  # the prior in place of the posterior; ELBO −3.98, log p(x) = −1.71
    assert log_likelihood(wrong, x, 100_000) == pytest.approx(log_p, abs=0.016)  # five standard errors


class JustEnough:
    """What evaluation asks of a model, and no more."""

    def __init__(self) -> None:
        vae = make_vae()
        self.encode, self.decoder, self.likelihood = vae.encode, vae.decoder, vae.likelihood


def test_any_model_with_encode_decoder_and_likelihood_is_evaluated():
    x = images(5)
    for of_it, of_vae in (
        (sn.elbo(JustEnough(), x, np.random.default_rng(9)), sn.elbo(make_vae(), x, np.random.default_rng(9))),
        (
            sn.log_likelihood(JustEnough(), x, 3, np.random.default_rng(9)),
            sn.log_likelihood(make_vae(), x, 3, np.random.default_rng(9)),
        ),
    ):
        assert of_it == of_vae


@pytest.mark.parametrize("name", ["elbo", "log_likelihood"])
def test_per_image_gives_the_numbers_that_the_means_are_of(name):
    vae, x = make_vae(np.float32), images(2500).astype(np.float32)
    evaluate = {
        "elbo": lambda per_image: sn.elbo(vae, x, np.random.default_rng(9), per_image=per_image),
        "log_likelihood": lambda per_image: sn.log_likelihood(vae, x, 2, np.random.default_rng(9), per_image=per_image),
    }[name]
    found, without = evaluate(True), evaluate(False)
    each = found.pop("per_image")
    assert found == without
    assert set(each) == set(found) - {"stderr"}
    for what, numbers in each.items():
        assert (numbers.shape, numbers.dtype) == ((2500,), np.float64)
        assert numbers.mean() == found[what]
    assert found["stderr"] == each[name].std(ddof=1) / 50


def test_a_nan_that_the_encoder_gives_is_told():
    vae = make_vae()
    vae.encoder.layers[2].b[0] = np.nan  # type: ignore[attr-defined]
    with pytest.raises(sn.DataError, match=r"^elbo expects numbers from the model, got .* for mu: look for NaN"):
        sn.elbo(vae, images(3), np.random.default_rng(0))


def test_the_standard_error_of_one_image_is_nan():
    two = sn.elbo(make_vae(), images(2), np.random.default_rng(0), per_image=True)
    assert two["stderr"] == pytest.approx(abs(np.diff(two["per_image"]["elbo"]).item()) / 2)
    assert math.isnan(sn.log_likelihood(make_vae(), images(1), 2, np.random.default_rng(0))["stderr"])
    assert math.isnan(sn.elbo(make_vae(), images(1), np.random.default_rng(0))["stderr"])


@pytest.mark.parametrize("where", ["encoder", "decoder"])
def test_nan_in_the_weights_is_told_and_not_evaluated(where):
    vae, x = make_vae(), images(5)
    vae.parameters.named()[next(name for name in vae.parameters.named() if name.startswith(where))][...] = np.nan
    for ask in (lambda: sn.elbo(vae, x, np.random.default_rng(0)), lambda: log_likelihood(vae, x, 2)):
        with pytest.raises(sn.DataError, match="look for NaN in its parameters"):
            ask()


def test_beta_is_not_in_the_log_likelihood():
    assert log_likelihood(make_vae(beta=10.0), images(5), 3) == log_likelihood(make_vae(beta=0.0), images(5), 3)


def test_the_log_likelihood_changes_neither_the_model_nor_the_images():
    vae, x = make_vae(), images(20)
    theta = vae.parameters.theta.copy()
    log_likelihood(vae, x, 3)
    assert np.array_equal(vae.parameters.theta, theta)
    assert not vae.parameters.dtheta.any()
    assert np.array_equal(x, images(20))


def test_the_log_likelihood_is_a_float_and_the_same_for_the_same_seed():
    found = log_likelihood(make_vae(np.float32), images(5).astype(np.float32), 3)
    assert type(found) is float
    assert found == log_likelihood(make_vae(np.float32), images(5).astype(np.float32), 3)


@likelihoods
def test_the_log_likelihood_of_a_float32_model_is_that_of_the_same_in_float64(options):
    vae, x = make_vae(np.float32, **options), images(20).astype(np.float32)
    exact = make_vae(**options)
    exact.parameters.theta[...] = vae.parameters.theta
    assert log_likelihood(vae, x, 2000) == pytest.approx(log_likelihood(exact, x.astype(np.float64), 2000), rel=1e-6)


def test_the_weights_of_a_float32_model_are_added_up_in_double_precision():
    vae, x = make_vae(np.float32), images(3).astype(np.float32)
    vae.parameters.theta[...] = 0  # whatever z is, each pixel is a fair coin: all weights are the same
    assert log_likelihood(vae, x, 20_000) == pytest.approx(log_likelihood(vae, x, 1), rel=1e-11)


def test_k_may_be_a_small_numpy_integer():
    assert log_likelihood(make_vae(), images(5), np.int8(100)) == log_likelihood(  # pyright: ignore[reportArgumentType]
        make_vae(), images(5), 100
    )


# ---- latent dimensions


def test_the_kl_of_each_latent_dimension_by_hand():
    mu = np.array([[1.0, 0.0], [3.0, 0.0]])
    logvar = np.array([[0.0, math.log(4)], [0.0, math.log(4)]])
    # first: ½ (1 + 9) / 2 = 2.5;  second: ½ (4 − log 4 − 1)
    assert kl_per_latent(mu, logvar) == pytest.approx([2.5, 1.5 - math.log(2)])


def test_the_latent_dimensions_sum_to_the_kl():
    vae, x = make_vae(), images(20)
    mu, logvar = vae.encode(x)
    assert kl_per_latent(mu, logvar).shape == (3,)
    assert kl_per_latent(mu, logvar).sum() == pytest.approx(sn.elbo(vae, x, np.random.default_rng(0))["kl"], rel=1e-12)


def test_a_latent_dimension_is_active_where_its_mu_varies():
    mu = np.zeros((100, 4))
    mu[:, 0] = np.linspace(-1, 1, 100)  # varies
    mu[:, 1] = 5.0  # far from 0, but always the same
    mu[:, 2] = np.linspace(-0.01, 0.01, 100)  # varies by next to nothing
    mu[:, 3] = np.where(np.arange(100) < 50, -0.11, 0.11)  # a variance of 0.0121
    assert active_units(mu).tolist() == [True, False, False, True]


def test_a_latent_dimension_that_is_always_the_same_is_not_active_in_any_precision(rng):
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        mu = np.full((60_000, 5), rng.uniform(2000, 8000, 5), dtype)
        assert not active_units(mu).any()


def test_the_threshold_is_of_the_variance():
    mu = np.array([[-0.2], [0.2]])  # a variance of 0.04
    assert active_units(mu, 0.039).tolist() == [True]
    assert active_units(mu, 0.041).tolist() == [False]


# ---- what a cross-entropy on grey images stands between


def test_the_scale_of_a_cross_entropy_by_hand():
    train, test = np.array([[0.25], [0.75]]), np.array([[1.0], [0.0]])
    scale = bce_scale(train, test)
    assert scale["mean_image"] == pytest.approx(math.log(2))  # the mean is ½
    assert scale["floor"] == 0  # black and white: 0 log 0 is 0


def test_grey_has_a_floor():
    grey = np.array([[0.25, 0.5]])
    entropy = 0.25 * math.log(4) + 0.75 * math.log(4 / 3) + math.log(2)
    assert bce_scale(grey, grey) == pytest.approx({"mean_image": entropy, "floor": entropy})


@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_a_pixel_that_was_always_the_same_may_be_another(seen):
    scale = bce_scale(np.full((2, 3), seen), np.full((2, 3), 1 - seen))
    assert scale["mean_image"] == pytest.approx(3 * math.log(1e6))


def test_the_scale_of_mnist_is_the_published_one():
    scale = bce_scale(sn.data.mnist("train")[0], sn.data.mnist("test")[0])
    assert scale["mean_image"] == pytest.approx(205.80, abs=0.01)
    assert scale["floor"] == pytest.approx(45.53, abs=0.005)
