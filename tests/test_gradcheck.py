"""The gradient checker: it passes what is right, refuses what is wrong, and says why.

Each mistake is planted in a layer or a loss as a student would write it, beside its right form.
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.arrays import Array
from scratchnet.checks import check_rng
from scratchnet.core.gaussian import noise_like
from scratchnet.core.layer import without_dx
from scratchnet.core.model import Loss
from scratchnet.gradcheck.numerical import STEP


def check(f: Any, *inputs: Any, seed: int = 1, **options: Any) -> sn.GradientReport:
    return sn.check_gradients(f, *inputs, rng=np.random.default_rng(seed), **options)


def refusal(f: Any, *inputs: Any, **options: Any) -> sn.GradientError:
    with pytest.raises(sn.GradientError) as raised:
        check(f, *inputs, **options)
    return raised.value


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def named(report: sn.GradientReport) -> dict[str, Any]:
    return {one.name: one for one in report.arrays}


# ---- what it works on


def test_a_layer_is_checked_in_its_input_and_all_its_parameters(rng):
    report = check(sn.Dense(3, 2, rng=rng), normal(4, 3))
    assert [(one.name, one.shape) for one in report.arrays] == [("x", (4, 3)), ("W", (3, 2)), ("b", (2,))]


def test_a_layer_made_of_layers_names_their_parameters_by_path(rng):
    net = sn.Sequential(sn.Dense(3, 2, rng=rng), sn.Tanh(), sn.Dense(2, 1, rng=rng))
    assert list(named(check(net, normal(4, 3)))) == ["x", "0.W", "0.b", "2.W", "2.b"]


def test_a_layer_that_stands_in_two_places_is_one_set_of_parameters(rng):
    dense = sn.Dense(3, 3, rng=rng)
    assert list(named(check(sn.Sequential(dense, sn.Tanh(), dense), normal(4, 3)))) == ["x", "0.W", "0.b"]


def test_a_loss_is_checked_in_what_it_returns_a_derivative_of():
    assert list(named(check(sn.mse, normal(4, 3), normal(4, 3, seed=1)))) == ["y"]
    assert list(named(check(sn.kl_standard_normal, normal(4, 3), normal(4, 3, seed=1)))) == ["mu", "logvar"]


def test_a_forward_with_several_inputs_is_checked_in_those_that_have_a_gradient():
    report = check(sn.sample_gaussian, normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2))
    assert list(named(report)) == ["mu", "logvar"]


def test_a_models_loss_is_checked_in_every_parameter(rng):
    vae = sn.VAE(sn.Dense(5, 4, rng=rng), sn.Dense(2, 5, rng=rng))
    assert list(named(check(vae.loss, rng.random((3, 5))))) == ["encoder.W", "encoder.b", "decoder.W", "decoder.b"]


def test_a_model_that_draws_noise_draws_the_same_each_time(rng):
    noisy = sn.Autoencoder(
        sn.Dense(5, 2, rng=rng), sn.Dense(2, 5, rng=rng), corrupt=lambda x, rng: x + rng.standard_normal(x.shape)
    )
    assert named(check(noisy.loss, rng.random((3, 5))))["encoder.W"].error < 1e-7


def test_a_function_of_ones_own_is_checked_in_the_parameters_it_is_told_of(rng):
    dense = sn.Dense(3, 2, rng=rng, dtype=np.float64)
    parameters = sn.Parameters(dense=dense)

    def forward(x):
        y, backward = dense.forward(x)
        return y * y, lambda dy: backward(2 * y * dy)

    assert list(named(check(forward, normal(4, 3), parameters=parameters))) == ["x", "dense.W", "dense.b"]


def test_a_layers_method_is_checked_like_the_layer(rng):
    assert list(named(check(sn.Dense(3, 2, rng=rng).forward, normal(4, 3)))) == ["x", "W", "b"]


def test_an_input_that_holds_no_floats_is_handed_over_as_it_is():
    def pick(x, rows):
        def backward(dy):
            dx = np.zeros_like(x)
            np.add.at(dx, rows, dy)
            return dx

        return x[rows], backward

    assert list(named(check(pick, normal(4, 3), np.array([0, 2, 2])))) == ["x"]


def test_inputs_without_names_are_numbered():
    def product(*inputs):
        u, v = inputs
        return u * v, lambda dy: (dy * v, dy * u)

    assert list(named(check(product, normal(4, 3), normal(4, 3, seed=1)))) == ["input 1", "input 2"]


def test_a_single_number_can_be_checked():
    assert named(check(lambda x: (x**3, lambda dy: 3 * x**2 * dy), 2.0))["x"].shape == ()


def test_a_float32_layer_is_checked_in_double_precision(rng):
    report = check(sn.Dense(3, 2, rng=rng), normal(4, 3).astype(np.float32))
    assert max(one.error for one in report.arrays) < 1e-9


# ---- what it leaves alone


def test_checking_changes_no_layer_and_no_input(rng):
    layer, x = sn.Sequential(sn.Dense(3, 2, rng=rng), sn.Tanh()), normal(4, 3)
    dense = layer.layers[0]
    assert isinstance(dense, sn.Dense)
    dense.dW[...] = 7
    before = [a.copy() for a in (dense.W, dense.b, dense.dW, dense.db, x)]
    check(layer, x)
    for now, then in zip((dense.W, dense.b, dense.dW, dense.db, x), before, strict=True):
        np.testing.assert_array_equal(now, then)
        assert now.dtype == then.dtype


def test_checking_changes_no_model(rng):
    vae = sn.VAE(sn.Dense(5, 4, rng=rng), sn.Dense(2, 5, rng=rng))
    theta = vae.parameters.theta.copy()
    check(vae.loss, rng.random((3, 5)))
    np.testing.assert_array_equal(vae.parameters.theta, theta)
    assert not vae.parameters.dtheta.any()


def test_parameters_that_it_is_told_of_keep_their_values(rng):
    dense = sn.Dense(3, 2, rng=rng, dtype=np.float64)
    parameters = sn.Parameters(dense=dense)
    theta = parameters.theta.copy()
    check(lambda x: dense.forward(x), normal(4, 3), parameters=parameters)
    np.testing.assert_array_equal(parameters.theta, theta)
    assert not parameters.dtheta.any()


def test_parameters_that_it_is_told_of_keep_their_values_even_if_it_refuses(rng):
    dense = sn.Dense(3, 2, rng=rng, dtype=np.float64)
    parameters = sn.Parameters(dense=dense)
    theta = parameters.theta.copy()
    refusal(lambda x: (dense.forward(x)[0], lambda dy: 0 * x), normal(4, 3), parameters=parameters)
    np.testing.assert_array_equal(parameters.theta, theta)


def test_the_same_seed_gives_the_same_report(rng):
    layer, x = sn.Dense(3, 2, rng=rng), normal(4, 3)
    assert repr(check(layer, x, seed=5)) == repr(check(layer, x, seed=5))


# ---- how it measures


def test_analytic_formulas_agree_with_the_complex_step_to_thirteen_digits(rng):
    net = sn.Sequential(sn.Dense(3, 4, rng=rng), sn.Sigmoid(), sn.Dense(4, 2, rng=rng), sn.Tanh())
    for one in check(net, normal(4, 3)).arrays:
        assert one.exact_error is not None
        assert one.exact_error < 1e-13


def test_a_formula_that_is_not_analytic_is_checked_by_central_differences_alone():
    def modulus(x):
        return np.abs(x), lambda dy: dy * np.sign(x)

    (one,) = check(modulus, normal(4, 3)).arrays
    assert one.exact_error is None
    assert one.error < 1e-9


def test_a_formula_that_drops_imaginary_parts_is_checked_by_central_differences_alone():
    def real(x):
        return np.real(x) ** 2, lambda dy: 2 * x * dy

    assert check(real, normal(4, 3)).arrays[0].exact_error is None


def test_a_formula_that_cannot_take_complex_numbers_is_checked_by_central_differences_alone():
    def gamma(x):
        return np.vectorize(math.lgamma)(
            x
        ), lambda dy: dy * (np.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4))

    assert check(gamma, np.array([30.0, 50.0])).arrays[0].exact_error is None


def test_the_complex_step_sees_a_slip_in_the_tenth_digit_that_central_differences_pass():
    def nearly(x):
        return np.exp(x), lambda dy: dy * np.exp(x) * (1 + 1e-10)

    error = refusal(nearly, normal(4, 3))
    assert error.claimed == pytest.approx(error.measured, rel=1e-9)


def test_central_differences_alone_see_a_slip_in_the_sixth_digit():
    def nearly(x):
        return np.abs(x), lambda dy: dy * np.sign(x) * (1 + 1e-6)

    assert refusal(nearly, normal(4, 3)).claimed == pytest.approx(refusal(nearly, normal(4, 3)).measured, rel=2e-6)


def test_a_small_array_is_checked_in_every_coordinate(rng):
    assert named(check(sn.Dense(16, 16, rng=rng), normal(2, 16)))["W"].checked == "256 coordinates"


def test_an_array_of_257_numbers_is_checked_along_ten_random_directions(rng):
    assert named(check(sn.Dense(257, 1, rng=rng), normal(2, 257)))["W"].checked == "10 random directions"


def test_a_large_array_is_checked_along_random_directions(rng):
    report = check(sn.Dense(100, 50, rng=rng), normal(2, 100), directions=7)
    assert named(report)["W"].checked == "7 random directions"
    assert named(report)["W"].error < 1e-7


def test_the_step_is_in_proportion_to_large_numbers():
    (one,) = check(lambda x: (x**2, lambda dy: 2 * x * dy), np.array([1e8])).arrays
    assert one.step == pytest.approx(1e8 * STEP)
    assert one.error < 1e-9


def test_the_step_shrinks_near_the_end_of_where_a_function_exists():
    p = np.array([[1e-6, 0.5, 1 - 1e-7]])
    (one,) = check(sn.bce, p, np.array([[1.0, 0.0, 0.0]])).arrays
    assert one.exact_error is not None
    assert one.exact_error < 1e-12


def test_the_step_shrinks_where_a_function_bends_sharply():
    def wave(x):
        return np.sin(1e4 * x), lambda dy: 1e4 * np.cos(1e4 * x) * dy

    assert check(wave, normal(3), tolerance=1e-6).arrays[0].error < 1e-6


@pytest.mark.parametrize("logit", [1e4, -1e4, 40.0, 0.0, -0.0, 5e-324])
def test_hard_logits_are_no_obstacle(logit):
    assert check(sn.bce_with_logits, np.array([[logit, 1.0]]), np.array([[0.25, 1.0]])).arrays[0].error < 1e-7


# ---- kinks


def test_at_a_kink_it_says_so_and_checks_nearby():
    (one,) = check(sn.ReLU(), np.array([[0.0, 1.0, -1.0, 0.0]])).arrays
    assert one.kinks == 2
    assert one.error < 1e-9


def test_a_kink_between_the_point_and_the_step_does_no_harm():
    (one,) = check(sn.ReLU(), STEP * np.array([[0.5, -0.5, 0.99, -0.99, 2, -2, 7.9, -7.9, 1 / 9]])).arrays
    assert one.error < 1e-9


def test_a_wrong_slope_at_a_kink_is_not_passed_by_luck():
    """At 0 the central difference of |x| is 0, which is what this way back says."""

    def stuck(x):
        return np.abs(x), lambda dy: 0 * dy

    assert refusal(stuck, np.zeros((1, 3))).array == "x"


def test_a_tie_is_a_kink_of_the_maximum():
    def largest(x):
        y = x.max(axis=1)
        return y, lambda dy: dy[:, None] * (x == y[:, None])  # every tie gets all of dy: right wherever there is none

    (one,) = check(largest, np.array([[1.0, 1.0, 0.5], [2.0, 0.0, 1.0]])).arrays
    assert one.kinks == 2


def test_ties_in_a_max_pool_are_kinks_and_the_rest_is_checked():
    tied = np.array([[[[1.0, 1.0, 0.5, 3.0], [0.0, 1.0, 2.0, 2.5]]]])  # three ones in the first window
    (one,) = check(sn.MaxPool2D(2), tied).arrays
    assert one.kinks == 3
    assert one.error < 1e-9


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_convolution_is_checked_in_its_input_and_its_parameters(rng, stride):
    report = check(sn.Conv2D(2, 3, 3, stride=stride, padding=1, rng=rng), normal(2, 2, 5, 4))
    assert list(named(report)) == ["x", "W", "b"]
    report = check(sn.ConvTranspose2D(2, 3, 3, stride=stride, padding=1, rng=rng), normal(2, 2, 3, 2))
    assert list(named(report)) == ["x", "W", "b"]


def test_a_kink_in_a_hidden_unit_is_noticed(rng):
    net = sn.Sequential(sn.Dense(2, 3, rng=rng), sn.ReLU(), sn.Dense(3, 1, rng=rng))
    assert sum(one.kinks for one in check(net, np.zeros((1, 2))).arrays) > 0  # all of h = 0·W + 0


def test_a_smooth_function_has_no_kinks():
    assert check(sn.Tanh(), normal(10, 10)).arrays[0].kinks == 0


def test_a_function_with_kinks_everywhere_is_refused():
    def comb(x):
        return np.abs(np.sin(1e9 * x)), lambda dy: dy

    assert refusal(comb, normal(3)).cause == "there is no slope"


def test_a_kink_that_curvature_hides_is_found_when_the_step_shrinks():
    """At 0 the bend of 1000 x² over the usual step is four times that of |x| / 1000."""

    def valley(x):
        side = np.where(x >= 0, 1e-3, -1e-3)
        return 1000 * x**2 + side * x, lambda dy: (2000 * x + side) * dy

    (one,) = check(valley, np.zeros(3)).arrays
    assert one.kinks == 3
    assert one.error < 1e-7


# ---- planted mistakes, each beside its name


class Affine(sn.Layer):
    """y = x W + b, with a way back that is handed in."""

    parameter_names = ("W", "b")

    def __init__(self, D: int, M: int, backward: Callable[..., Any]):
        self.W, self.b = normal(D, M, seed=8), normal(M, seed=9)
        self.dW, self.db = np.zeros((D, M)), np.zeros(M)
        self._backward = backward

    def forward(self, x):
        y = x @ self.W + self.b
        return y, lambda dy: self._backward(self, x, y, dy)


def plain(layer, x, y, dy):
    layer.dW += x.T @ dy
    layer.db += dy.sum(axis=0)
    return dy @ layer.W.T


def with_weight_gradient(dW):
    def backward(layer, x, y, dy):
        layer.dW += dW(x, y, dy)
        layer.db += dy.sum(axis=0)
        return dy @ layer.W.T

    return backward


def with_db(db):
    def backward(layer, x, y, dy):
        layer.dW += x.T @ dy
        layer.db += db(dy)
        return dy @ layer.W.T

    return backward


def with_dx(dx):
    def backward(layer, x, y, dy):
        layer.dW += x.T @ dy
        layer.db += dy.sum(axis=0)
        return dx(layer.W, dy)

    return backward


def overwriting(layer, x, y, dy):
    layer.dW[...] = x.T @ dy
    layer.db += dy.sum(axis=0)
    return dy @ layer.W.T


AFFINE = {
    "dW differs by one factor: the sign is flipped": (with_weight_gradient(lambda x, y, dy: -x.T @ dy), "W"),
    "it is twice what it should be": (with_weight_gradient(lambda x, y, dy: 2 * x.T @ dy), "W"),
    "it is half what it should be": (with_weight_gradient(lambda x, y, dy: x.T @ dy / 2), "W"),
    "it is 0.3 times what it should be": (with_weight_gradient(lambda x, y, dy: 0.3 * x.T @ dy), "W"),
    "it is N = 5 times too small, so it is divided by the batch once too often": (
        with_weight_gradient(lambda x, y, dy: x.T @ dy / len(dy)),
        "W",
    ),
    "it is N = 5 times too large, so the 1/N of the mean over the batch": (
        with_weight_gradient(lambda x, y, dy: len(dy) * x.T @ dy),
        "W",
    ),
    "dW is transposed": (with_weight_gradient(lambda x, y, dy: dy.T @ x), "W"),
    "dW is yᵀ dy, where xᵀ dy is meant": (with_weight_gradient(lambda x, y, dy: y.T @ dy), "W"),
    "dW is zero everywhere": (with_weight_gradient(lambda x, y, dy: 0), "W"),
    "dW is back to front along axis 0": (with_weight_gradient(lambda x, y, dy: x[:, ::-1].T @ dy), "W"),
    "dW is off by one along axis 1": (with_weight_gradient(lambda x, y, dy: np.roll(x.T @ dy, 1, axis=1)), "W"),
    "dW is right only to the digits of float32": (with_weight_gradient(lambda x, y, dy: np.float32(x.T @ dy)), "W"),
    "db is not summed over the batch: it is the first example's": (with_db(lambda dy: dy[0]), "b"),
    "db is not summed over the batch: it is the last example's": (with_db(lambda dy: dy[-1]), "b"),
    "db differs by one factor: it is N = 5 times too small": (with_db(lambda dy: dy.mean(axis=0)), "b"),
    "dx is dy W, where dy Wᵀ is meant": (with_dx(lambda W, dy: dy @ W), "x"),
}


@pytest.mark.parametrize("cause", AFFINE)
def test_a_mistake_in_a_matrix_product_is_named(cause):
    backward, array = AFFINE[cause]
    error = refusal(Affine(3, 3, backward), normal(5, 3))
    assert cause in str(error)
    assert error.array == array


def test_the_right_way_back_of_that_layer_passes():
    assert len(check(Affine(3, 3, plain), normal(5, 3)).arrays) == 3


def test_weights_that_are_reshaped_in_place_of_transposed_are_named():
    backward = with_dx(lambda W, dy: dy @ W.reshape(W.shape[::-1]))
    assert "W is reshaped in dx = dy Wᵀ, where it should be transposed" in str(
        refusal(Affine(3, 2, backward), normal(5, 3))
    )


def test_gradients_that_are_overwritten_are_named():
    error = refusal(Affine(3, 2, overwriting), normal(5, 3))
    assert error.cause == "gradients are overwritten, not accumulated"
    assert "dW" in str(error)
    assert error.measured == pytest.approx(2 * error.claimed)


def activation(slope: Callable[..., Array]) -> Callable[[Array], Any]:
    """A dense layer with fixed weights under a sigmoid, whose slope is handed in."""
    W = normal(3, 2, seed=3)

    def forward(x):
        y = 1 / (1 + np.exp(-x @ W))
        return y, lambda dy: (dy * slope(y)) @ W.T

    return forward


ACTIVATIONS = {
    "the derivative of the sigmoid is missing in the backward pass": lambda y: 1,
    "the derivative of the sigmoid is applied twice": lambda y: (y * (1 - y)) ** 2,
    "the derivative of the sigmoid is missing in the backward pass: that of the tanh is used instead": lambda y: (
        1 - y**2
    ),
}


@pytest.mark.parametrize("cause", ACTIVATIONS)
def test_a_mistake_in_an_activation_is_named_even_under_weights(cause):
    assert cause in str(refusal(activation(ACTIVATIONS[cause]), normal(5, 3)))


def elementwise(y_of: Callable[[Array], Array], dx_of: Callable[..., Array]) -> Callable[[Array], Any]:
    def forward(x):
        y = y_of(x)
        return y, lambda dy: dx_of(x, y, dy)

    return forward


ELEMENTWISE = {
    "the derivative of the ReLU is missing": (lambda x: np.maximum(x, 0), lambda x, y, dy: dy.copy()),
    "the mask is taken from dy: it should say where x > 0": (
        lambda x: np.maximum(x, 0),
        lambda x, y, dy: dy * (dy > 0),
    ),
    "the mask is inverted": (lambda x: np.maximum(x, 0), lambda x, y, dy: dy * (x <= 0)),
    "the derivative of the tanh is written for its output y, but is taken at its input x": (
        np.tanh,
        lambda x, y, dy: dy * (1 - x**2),
    ),
    "the derivative of the tanh is missing": (np.tanh, lambda x, y, dy: dy.copy()),
    "the derivative of the exponential is missing": (np.exp, lambda x, y, dy: dy.copy()),
    "not linear in dy": (np.tanh, lambda x, y, dy: dy * (1 - y**2) * (dy > 0)),
    "the path on which x is passed on unchanged is missing": (
        lambda x: x + np.tanh(x),
        lambda x, y, dy: dy * (1 - np.tanh(x) ** 2),
    ),
    "dy is added once too often": (np.tanh, lambda x, y, dy: dy * (1 - y**2) + dy),
}


@pytest.mark.parametrize("cause", ELEMENTWISE)
def test_a_mistake_in_an_elementwise_function_is_named(cause):
    y_of, dx_of = ELEMENTWISE[cause]
    assert cause in str(refusal(elementwise(y_of, dx_of), normal(5, 3)))


def test_a_loss_whose_derivative_lacks_its_share_of_the_mean_is_named():
    def loss(y, target):
        return ((y - target) ** 2).sum() / len(y), 2 * (y - target)

    assert "it is N = 5 times too large, so the 1/N" in str(refusal(loss, normal(5, 3), normal(5, 3, seed=1)))


def test_zeros_that_should_be_zeros_do_not_hide_a_factor():
    def loss(y, target):
        return ((y - target) ** 2).sum() / len(y), 2 * (y - target)

    y, target = normal(5, 3), normal(5, 3, seed=1)
    target[2] = y[2]
    assert "it is N = 5 times too large, so the 1/N" in str(refusal(loss, y, target))


def test_a_layer_with_an_input_that_is_always_zero_is_still_explained():
    def backward(layer, x, y, dy):
        layer.dW -= x.T @ dy
        layer.db += dy.sum(axis=0)
        return dy @ layer.W.T

    x = normal(5, 3)
    x[:, 1] = 0
    assert "the sign is flipped" in refusal(Affine(3, 2, backward), x).cause


def test_a_batch_of_two_leaves_no_doubt_about_a_factor_of_two():
    def without_two(y, target):
        return ((y - target) ** 2).sum() / len(y), (y - target) / len(y)

    def divided_twice(y, target):
        return ((y - target) ** 2).sum() / len(y), 2 * (y - target) / len(y) ** 2

    y, target = normal(2, 3), normal(2, 3, seed=1)
    assert "it is half what it should be" in str(refusal(without_two, y, target))
    assert "it is N = 2 times too small" in str(refusal(divided_twice, y, target))


def test_a_factor_that_happens_to_be_the_batch_size_is_not_laid_at_the_batch():
    def power(x):
        return x**5 / 5, lambda dy: 5 * x**4 * dy

    assert "it is 5 times what it should be, so a constant factor is wrong" in str(refusal(power, normal(5, 3)))


def test_a_mistake_is_named_at_a_point_that_cannot_be_moved_far():
    def loss(p, target):
        value, dp = sn.bce(p, target)
        return value, -dp

    p = np.array([[1e-6, 1 - 1e-7]] * 10)
    error = refusal(loss, p, np.ones_like(p))
    assert "the sign is flipped" in error.cause


def test_a_wrong_gradient_of_two_terms_that_is_no_mix_of_them_is_given_no_cause():
    def mix(dmu, dlogvar, kmu, klogvar):
        return dmu + kmu + 0.1 * dmu**2, dlogvar + klogvar

    assert refusal(Faulty(mix).loss, np.random.default_rng(1).random((5, 6))).cause == ""


def test_a_wrong_gradient_that_depends_on_one_term_alone_is_not_laid_at_two():
    def bent(layer, x, y, dy):
        layer.dW += x.T @ (dy + dy**2)
        layer.db += dy.sum(axis=0)
        return dy @ layer.W.T

    vae = sn.VAE(sn.Dense(6, 4, rng=np.random.default_rng(4), dtype=np.float64), Affine(2, 6, bent))
    error = refusal(vae.loss, np.random.default_rng(1).random((3, 6)))
    assert (error.array, error.cause) == ("decoder.W", "")


def test_swapped_gradients_are_named():
    def forward(mu, logvar, eps):
        z, backward = sn.sample_gaussian(mu, logvar, eps)
        return z, lambda dz: backward(dz)[::-1]

    assert "dlogvar and dmu are swapped" in str(
        refusal(forward, normal(5, 3), normal(5, 3, seed=1), normal(5, 3, seed=2))
    ) or "dmu and dlogvar are swapped" in str(
        refusal(forward, normal(5, 3), normal(5, 3, seed=1), normal(5, 3, seed=2))
    )


def test_a_gradient_that_is_not_summed_to_its_parameters_shape_is_named():
    def forward(x, b):
        return x + b, lambda dy: (dy, dy)

    error = refusal(forward, normal(5, 3), normal(3))
    assert "it has the shape (5, 3), and b is (3,)" in str(error)
    assert "db is not summed over the batch" in str(error)


def test_a_gradient_of_transposed_shape_is_named():
    def forward(x, W):
        return x @ W, lambda dy: (dy @ W.T, dy.T @ x)

    assert "dW is transposed" in str(refusal(forward, normal(5, 3), normal(3, 2)))


def test_transposed_axes_of_a_kernel_are_named():
    def forward(W):
        return W**3, lambda dy: (3 * W**2 * dy).transpose(1, 0, 2, 3)

    assert "its axes in the order (1, 0, 2, 3)" in str(refusal(forward, normal(2, 2, 3, 3)))


def test_a_kernel_turned_by_180_degrees_is_named():
    def forward(W):
        return W**3, lambda dy: (3 * W**2 * dy)[..., ::-1, ::-1]

    assert "turned by 180°" in str(refusal(forward, normal(2, 2, 3, 3)))


# ---- planted mistakes in the loss of a VAE


class Faulty(sn.VAE):
    """A VAE whose way back mixes its parts as it is told."""

    def __init__(self, mix: Callable[..., tuple[Array, Array]], **options: Any):
        rng = np.random.default_rng(4)
        super().__init__(
            sn.Sequential(sn.Dense(6, 3, rng=rng), sn.Tanh(), sn.Dense(3, 4, rng=rng)),
            sn.Dense(2, 6, rng=rng),
            **options,
        )
        self.mix = mix

    def loss(self, x, rng=None, *, eps=None):
        mu, logvar, encoder_backward = self._posterior(x)
        eps = noise_like(mu, check_rng("Mixed.loss", rng)) if eps is None else eps
        kl, *of_kl = sn.kl_standard_normal(mu, logvar)
        z, sample_backward = sn.sample_gaussian(mu, logvar, eps)
        y, decoder_backward = self.decoder.forward(z)
        reconstruction, dy = self.likelihood.nll(y, x)

        def backward():
            of_sample = sample_backward(decoder_backward(dy))
            dmu, dlogvar = self.mix(*of_sample, *(self.beta * one for one in of_kl))
            without_dx(self.encoder, encoder_backward)(np.concatenate([dmu, dlogvar], axis=1))

        return Loss(reconstruction + self.beta * kl, {"reconstruction": reconstruction, "kl": kl}, backward)


MIXES = {
    "the gradient of the kl is missing; the rest is right": lambda dmu, dlogvar, kmu, klogvar: (dmu, dlogvar),
    "the gradient of the kl has the wrong sign": lambda dmu, dlogvar, kmu, klogvar: (dmu - kmu, dlogvar - klogvar),
    "the gradient of the kl enters 2 times": lambda dmu, dlogvar, kmu, klogvar: (dmu + 2 * kmu, dlogvar + 2 * klogvar),
    "the gradient of the reconstruction is missing": lambda dmu, dlogvar, kmu, klogvar: (kmu, klogvar),
    "the path through the noise is missing": lambda dmu, dlogvar, kmu, klogvar: (dmu + kmu, klogvar),
}


@pytest.mark.parametrize("cause", MIXES)
def test_a_term_that_is_missing_or_wrong_is_named(cause):
    error = refusal(Faulty(MIXES[cause], beta=0.5).loss, np.random.default_rng(1).random((3, 6)))
    assert cause in str(error)
    assert error.array.startswith("encoder")


def test_that_model_with_its_parts_added_up_passes():
    right = Faulty(lambda dmu, dlogvar, kmu, klogvar: (dmu + kmu, dlogvar + klogvar))
    assert len(check(right.loss, np.random.default_rng(1).random((5, 6))).arrays) == 6


# ---- calls that spoil other calls


class Cached(sn.Layer):
    """Keeps its input on itself."""

    def forward(self, x):
        self.x = x
        return x**2, lambda dy: 2 * self.x * dy


def test_a_stale_cache_is_named():
    error = refusal(Cached(), normal(5, 3))
    assert "stale cache" in error.cause
    assert "after a second forward pass: keep what backward needs in its closure" in str(error)


def test_a_cache_that_asks_for_the_last_batch_first_is_named():
    class Stack(sn.Layer):
        def __init__(self):
            self.stack = []

        def forward(self, x):
            self.stack.append(x)

            def backward(dy):
                return 2 * (self.stack.pop() if len(self.stack) > 1 else x) * dy

            return x**2, backward

    assert "stale cache" in refusal(Stack(), normal(5, 3)).cause


def test_a_stale_mask_is_named():
    """The mask of another batch of the same signs would be the same."""

    class Rectifier(sn.Layer):
        def forward(self, x):
            self.mask = x > 0
            return x * self.mask, lambda dy: dy * self.mask

    assert "stale cache" in refusal(Rectifier(), normal(5, 3)).cause


def test_a_forward_that_draws_its_own_noise_is_refused():
    noise = np.random.default_rng(0)

    def forward(x):
        return x + noise.standard_normal(x.shape), lambda dy: dy.copy()

    assert refusal(forward, normal(5, 3)).cause == "forward is not repeatable"


def test_a_forward_that_takes_rng_may_draw():
    def dropout(x, rng):
        kept = rng.random(x.shape) < 0.5
        return x * kept, lambda dy: dy * kept

    assert check(dropout, normal(5, 3)).arrays[0].error < 1e-9


def test_a_way_back_that_draws_new_noise_is_refused():
    noise = np.random.default_rng(0)

    def forward(x):
        return x**2, lambda dy: 2 * x * dy * noise.standard_normal(x.shape)

    assert refusal(forward, normal(5, 3)).cause == "backward is not repeatable"


def test_a_way_back_that_draws_new_noise_breaks_law_3():
    noise = np.random.default_rng(0)

    def forward(x):
        return x**2, lambda dy: 2 * x * dy * noise.standard_normal(x.shape)

    assert str(refusal(forward, normal(5, 3))).startswith("Law 3 (re-entrant): ")


def test_a_forward_that_writes_into_its_input_is_refused():
    def forward(x):
        mask = x > 0
        x *= mask
        return x.copy(), lambda dy: dy * mask

    error = refusal(forward, normal(5, 3))
    assert error.cause == "an array is changed in place"
    assert error.array == "x"


def test_a_way_back_that_writes_into_dy_is_refused():
    def forward(x):
        def backward(dy):
            dy *= 2 * x
            return dy

        return x**2, backward

    assert refusal(forward, normal(5, 3)).array == "dy"


def test_a_way_back_that_trains_is_refused():
    def training(layer, x, y, dy):
        dx = plain(layer, x, y, dy)
        layer.W -= 0.1 * layer.dW
        return dx

    assert refusal(Affine(3, 2, training), normal(5, 3)).array == "W"


class Drifts(sn.Layer):
    """Adds to its state in every forward pass."""

    state_names = ("total",)

    def __init__(self):
        self.total = np.zeros(3)

    def forward(self, x):
        self.total += x.sum(axis=0)
        return 2 * x, lambda dy: 2 * dy


def test_a_state_that_changes_outside_training_is_refused():
    assert refusal(Drifts(), normal(5, 3)).array == "total"


def test_a_state_of_a_models_layer_that_changes_outside_training_is_refused(rng):
    model = sn.Autoencoder(Drifts(), sn.Dense(3, 3, rng=rng))
    assert refusal(model.loss, rng.random((5, 3))).array == "encoder.total"


def test_a_state_may_change_in_a_layer_that_is_training():
    layer = Drifts()
    layer.training = True
    assert check(layer, normal(5, 3)).arrays[0].error < 1e-9


def test_a_way_back_that_leaves_out_more_than_dx_is_named():
    class Product(sn.Layer):
        parameter_names, skips_dx = ("W",), True

        def __init__(self):
            self.W, self.dW = normal(3, 2), np.zeros((3, 2))

        def forward(self, x):
            def backward(dy, need_dx=True):
                if not need_dx:
                    return None
                self.dW += x.T @ dy
                return dy @ self.W.T

            return x @ self.W, backward

    error = refusal(Product(), normal(5, 3))
    assert error.array == "dW"
    assert error.cause == "need_dx=False leaves out more than dx"


def test_a_layer_that_takes_no_other_batch_is_not_asked_to():
    """The stale cache is looked for with another batch, if there is one that the function takes."""

    def ordered(x):
        if np.any(np.diff(x) <= 0):
            raise ValueError("x must grow")
        return np.log(np.diff(x)), lambda dy: np.concatenate([[0], dy / np.diff(x)]) - np.append(dy / np.diff(x), 0)

    assert check(ordered, np.array([1.0, 2.0, 4.0, 7.0])).arrays[0].error < 1e-7


def test_a_way_back_that_takes_no_other_batch_is_not_asked_to():
    x = normal(5, 3)

    def forward(given):
        def backward(dy):
            if not np.allclose(given, x, atol=1):
                raise ValueError("another batch")
            return 2 * given * dy

        return given**2, backward

    assert check(forward, x).arrays[0].error < 1e-7


# ---- where it looks


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("outside", ["nan", "raises"])
def test_near_the_end_of_where_a_function_exists_it_is_checked_within(outside, wrong):
    def root(x):
        if outside == "raises" and (x < 0).any():
            raise ValueError("x must not be negative")
        y = np.sqrt(x)
        return y, lambda dy: dy / (2 * y) * (1 + wrong)

    x = np.array([[1e-6, 1e-5, 1.0]])
    if wrong:
        assert "twice what it should be" in refusal(root, x).cause
    else:
        assert check(root, x).arrays[0].unmeasured == 0


SPECIAL = {  # where the gradient of this function, at this input, is right by chance
    "x³ as x²": (lambda x: (x**3 / 3, lambda dy: dy * np.abs(x)), 1.0),
    "x + x², x alone": (lambda x: (x + x**2, lambda dy: dy.copy()), 0.0),
    "tanh x as x": (lambda x: (np.tanh(x), lambda dy: dy.copy()), 0.0),
    "cos x as 1": (lambda x: (np.cos(x), lambda dy: 0 * dy), 0.0),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_a_gradient_that_is_right_at_the_given_point_by_chance_is_refused(name):
    f, start = SPECIAL[name]
    error = refusal(f, np.full((2, 3), start))
    assert str(error).startswith("dx of")
    assert "is wrong near the given point: at [" in str(error)


def test_a_large_parameter_that_starts_at_one_is_moved_too():
    class Scales(sn.Layer):
        parameter_names = ("g",)

        def __init__(self):
            self.g, self.dg = np.ones(300), np.zeros(300)

        def forward(self, x):
            def backward(dy):
                self.dg += (dy * x).sum(axis=0)
                return dy.copy()

            return self.g * x, backward

    assert refusal(Scales(), normal(2, 300)).array == "x"


def test_a_state_that_y_depends_on_is_the_same_at_each_call_in_training():
    class Centred(Drifts):
        def forward(self, x):
            self.total = self.total + x.sum(axis=0)
            return x - self.total, lambda dy: dy - dy.sum(axis=0)

    layer = Centred()
    layer.training = True
    assert check(layer, normal(5, 3)).arrays[0].error < 1e-9
    assert not layer.total.any()


# ---- what the error says


def test_the_error_names_the_array_the_worst_index_and_both_values():
    def backward(layer, x, y, dy):
        dx = plain(layer, x, y, dy)
        layer.dW[1, 0] += 3
        return dx

    error = refusal(Affine(3, 2, backward), normal(5, 3))
    assert (error.array, error.index) == ("W", (1, 0))
    assert error.claimed - error.measured == pytest.approx(3)
    assert f"dW of Affine() is wrong: at [1, 0] backward gives {error.claimed:.6g}" in str(error)
    assert f"the slope is {error.measured:.6g}; 1 of 6 coordinates differ" in str(error)


def test_a_mistake_that_no_known_cause_explains_is_given_none():
    def backward(layer, x, y, dy):
        dx = plain(layer, x, y, dy)
        layer.dW[1, 0] += 3 * dy[0, 1]
        return dx

    error = refusal(Affine(3, 2, backward), normal(5, 3))
    assert error.cause == ""
    assert "None of the usual mistakes explains it" in str(error)


def test_one_wrong_number_in_a_large_array_is_found():
    def backward(layer, x, y, dy):
        dx = plain(layer, x, y, dy)
        layer.dW[123, 17] += 1
        return dx

    error = refusal(Affine(200, 50, backward), normal(3, 200), coordinates=100)
    assert error.index == (123, 17)
    assert error.claimed - error.measured == pytest.approx(1)


def test_a_cause_is_found_along_random_directions_too():
    error = refusal(
        Affine(40, 40, AFFINE["dW differs by one factor: the sign is flipped"][0]), normal(3, 40), coordinates=100
    )
    assert "the sign is flipped" in error.cause


def test_the_other_wrong_gradients_are_named_too():
    error = refusal(Affine(3, 2, lambda layer, x, y, dy: plain(layer, x, y, 2 * dy)), normal(5, 3))
    assert {f"d{error.array}", *str(error).rsplit("Wrong too: ")[-1].rstrip(".").split(", ")} == {"dx", "dW", "db"}


def test_where_no_cause_is_found_the_worst_gradient_is_named():
    def mistaken(layer, x, y, dy):
        dx = plain(layer, x, y, dy)
        layer.dW += 0.01 * np.cos(x).T @ dy
        layer.db += 10 * (np.cos(y) * dy).sum(axis=0)
        return dx

    error = refusal(Affine(3, 2, mistaken), normal(5, 3))
    assert error.cause == ""
    assert error.array == "b"


def test_a_gradient_that_is_not_finite_is_refused():
    def forward(x):
        return x**2, lambda dy: np.where(x > 1, np.nan, 2 * x * dy)

    error = refusal(forward, np.array([[0.5, 2.0]]))
    assert error.index == (0, 1)
    assert math.isnan(error.claimed)
    assert "at [0, 1] backward gives nan, but the slope is" in str(error)


def test_a_way_back_that_returns_nothing_is_told_to():
    class Silent(sn.Layer):
        def forward(self, x):
            def backward(dy):
                _ = 2 * x * dy

            return x**2, backward

    assert "let it return dx" in str(refusal(Silent(), normal(5, 3)))


def test_a_layer_with_parameters_whose_way_back_returns_nothing_is_told_to():
    def backward(layer, x, y, dy):
        plain(layer, x, y, dy)

    assert "let it return dx" in str(refusal(Affine(3, 2, backward), normal(5, 3)))


def test_a_constant_that_is_cut_short_is_told_by_its_digits():
    error = refusal(elementwise(np.tanh, lambda x, y, dy: dy * (1 - y**2) * 0.99999999), normal(1, 3))
    assert "The first six digits agree: a constant may be cut short" in str(error)


def test_a_function_that_exists_nowhere_near_is_not_checked_anywhere():
    def at_one_point(x):
        if x.tolist() != [1.0]:
            raise ValueError("x must be 1")
        return x**2, lambda dy: 2 * x * dy

    with pytest.raises(FloatingPointError, match="too small a neighbourhood"):
        check(at_one_point, np.ones(1))


def test_a_function_that_exists_on_a_grid_alone_has_no_slope():
    def on_a_grid(x):
        if abs(x[0] - 1) not in (0.0, *(np.abs(1 - (1 + STEP * np.array([1, -1, 8, -8])))).tolist()):
            raise ValueError("x is not on the grid")
        return x**2, lambda dy: dy

    with pytest.raises(FloatingPointError, match="too small a neighbourhood"):
        check(on_a_grid, np.ones(1))


def test_the_error_is_an_assertion_that_failed():
    assert isinstance(refusal(Cached(), normal(5, 3)), AssertionError)


# ---- the report


def test_the_report_prints_as_a_table(rng):
    lines = repr(check(sn.Dense(3, 2, rng=rng), normal(4, 3))).splitlines()
    assert lines[0] == "Dense(3, 2): every gradient agrees with the slope of forward."
    assert lines[1].split() == ["gradient", "shape", "checked", "along", "central", "difference", "complex", "step"]
    assert [line.split()[0] for line in lines[2:]] == ["dx", "dW", "db"]


def test_the_report_tells_of_kinks():
    assert "dx: 1 of 2 coordinates meet a kink" in repr(check(sn.ReLU(), np.array([[0.0, 1.0]])))


def test_the_v_curve_has_its_lowest_point_between_curvature_and_rounding():
    (one,) = check(sn.Tanh(), normal(4, 3)).arrays
    lowest = one.steps[np.argmin(one.errors)]
    assert 1e-7 < lowest < 1e-3
    assert one.errors[0] > 100 * one.errors.min()
    assert one.errors[-1] > 100 * one.errors.min()


def test_the_v_curve_is_relative_to_the_slope():
    (one,) = check(lambda x: (1e6 * x**3, lambda dy: 3e6 * x**2 * dy), normal(4, 3)).arrays
    assert one.errors.min() < 1e-8


def test_the_curve_of_the_complex_step_stays_down_as_the_step_shrinks():
    (one,) = check(sn.Tanh(), normal(4, 3)).arrays
    assert one.exact_errors[one.steps < 1e-7].max() < 1e-12


def test_a_step_out_of_where_the_function_exists_leaves_a_gap_in_the_curve():
    (one,) = check(sn.bce, np.array([[0.01, 0.98]]), np.array([[0.5, 0.5]])).arrays
    assert np.isnan(one.errors[0])
    assert np.isfinite(one.errors[-1])


def test_a_parameter_without_numbers_has_nothing_to_check():
    class Empty(sn.Layer):
        parameter_names = ("b",)

        def __init__(self):
            self.b, self.db = np.ones(0), np.zeros(0)

        def forward(self, x):
            return x**2, lambda dy: 2 * x * dy

    one = named(check(Empty(), normal(2, 3)))["b"]
    assert (one.checked, one.error, one.step) == ("0 coordinates", 0.0, 0.0)


def test_a_report_can_be_copied(rng):
    report = check(sn.Dense(3, 2, rng=rng), normal(4, 3))
    assert repr(copy.deepcopy(report)) == repr(report)
