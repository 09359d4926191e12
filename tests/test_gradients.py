"""Every gradient of every layer, loss and model is the derivative: the library's own instrument turned on the library.

To 1e-7 of an array's largest slope by central differences, and to 1e-12 by the complex step, which applies to all of
them. The slopes of law 6 in laws.py are a second opinion, from another few lines.
"""

import pytest

import scratchnet as sn
from tests.laws import LAYERS, LOSSES, MODELS
from tests.strategies import Case

POINTS = [Case(N=4, D=5, M=3, seed=1), Case(N=1, D=2, M=2, seed=2), Case(N=6, D=3, M=7, seed=3)]

every_point = pytest.mark.parametrize("case", POINTS, ids=str)


def assert_true_to_the_last_digits(report: sn.GradientReport) -> None:
    for one in report.arrays:
        assert one.error < 1e-7, report
        assert one.exact_error is not None, report
        assert one.exact_error < 1e-12, report


@every_point
@pytest.mark.parametrize("name", LAYERS)
def test_every_gradient_of_a_layer_is_true(name, case):
    layer, shape = LAYERS[name](case.D, case.M, rng=case.rng)
    assert_true_to_the_last_digits(sn.check_gradients(layer, case.array((case.N, *shape)), rng=case.rng))


@every_point
@pytest.mark.parametrize("name", LOSSES)
def test_every_gradient_of_a_loss_is_true(name, case):
    loss, y_range, target_range = LOSSES[name]
    y, target = case.array((case.N, case.D), *y_range), case.array((case.N, case.D), *target_range)
    assert_true_to_the_last_digits(sn.check_gradients(loss, y, target, rng=case.rng))


@every_point
def test_every_gradient_of_the_kl_is_true(case):
    mu, logvar = case.array((case.N, case.D)), case.array((case.N, case.D))
    assert_true_to_the_last_digits(sn.check_gradients(sn.kl_standard_normal, mu, logvar, rng=case.rng))


@every_point
def test_every_gradient_of_a_sample_is_true(case):
    mu, logvar, eps = (case.array((case.N, case.D)) for _ in range(3))
    assert_true_to_the_last_digits(sn.check_gradients(sn.sample_gaussian, mu, logvar, eps, rng=case.rng))


@every_point
@pytest.mark.parametrize("name", MODELS)
def test_every_gradient_of_a_models_loss_is_true(name, case):
    model = MODELS[name](case.D, case.M, rng=case.rng)
    assert_true_to_the_last_digits(sn.check_gradients(model.loss, case.array((case.N, case.D), 0, 1), rng=case.rng))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_every_gradient_of_a_deep_vae_on_digits_is_true(likelihood, rng):
    x, _ = sn.data.mnist("test")
    encoder = sn.Sequential(sn.Dense(784, 16, rng=rng), sn.ReLU(), sn.Dense(16, 8, rng=rng))
    decoder = sn.Sequential(sn.Dense(4, 16, rng=rng), sn.ReLU(), sn.Dense(16, 784, rng=rng))
    vae = sn.VAE(encoder, decoder, likelihood=likelihood, sigma=0.3, beta=2.0)
    assert_true_to_the_last_digits(sn.check_gradients(vae.loss, x[:5], rng=rng, coordinates=10, directions=5))


def test_a_denoisers_gradients_are_true(rng):
    ae = sn.Autoencoder(
        sn.Sequential(sn.Dense(6, 4, rng=rng), sn.Tanh()),
        sn.Dense(4, 6, rng=rng),
        corrupt=lambda x, rng: x + 0.5 * rng.standard_normal(x.shape),
    )
    assert_true_to_the_last_digits(sn.check_gradients(ae.loss, rng.random((5, 6)), rng=rng))
