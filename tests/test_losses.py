"""Each loss worked by hand, its units, and its behaviour where formulas break."""

import math

import numpy as np
import pytest
from hypothesis import given

import scratchnet as sn
from tests.strategies import cases

LOG2 = 0.6931471805599453

# ---- mse


def test_mse_is_summed_over_features_and_averaged_over_the_batch():
    value, _ = sn.mse(np.array([[3.0, 1.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, -1.0]]))
    assert value == (2**2 + 1**2 + 0**2 + 3**2) / 2


def test_the_derivative_of_mse_is_twice_the_difference_over_n():
    _, dy = sn.mse(np.array([[3.0, 1.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, -1.0]]))
    assert dy.tolist() == [[2 * 2 / 2, 2 * 1 / 2], [0, 2 * 3 / 2]]


def test_mse_sums_over_all_axes_of_an_image():
    y = np.array([[3.0, 1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    as_images, _ = sn.mse(y.reshape(2, 1, 2, 2), np.zeros((2, 1, 2, 2)))
    assert as_images == (9 + 1 + 0 + 4 + 1 + 1 + 1 + 1) / 2


def test_a_float32_loss_is_added_up_in_double_precision():
    # 4096² + 1² = 2²⁴ + 1, the first whole number that float32 does not have
    value, _ = sn.mse(np.array([[4096.0, 1.0]], np.float32), np.zeros((1, 2), np.float32))
    assert value == 16777217


# ---- bce


def test_bce_worked_by_hand():
    # (−log ¼ − log ½) + 2 · (−½ log ½ − ½ log ½) = 3 log 2 + 2 log 2, over a batch of 2
    value, _ = sn.bce(np.array([[1 / 4, 1 / 2], [1 / 2, 1 / 2]]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    np.testing.assert_allclose(value, 5 * LOG2 / 2, rtol=1e-15)


def test_the_derivative_of_bce_worked_by_hand():
    _, dp = sn.bce(np.array([[1 / 4, 1 / 2], [1 / 2, 1 / 2]]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    # (p − x) / (p (1 − p)) / 2:  (−3/4) / (3/16) / 2,  (1/2) / (1/4) / 2,  0,  0
    np.testing.assert_allclose(dp, [[-2, 1], [0, 0]], rtol=1e-15)


def test_bce_keeps_the_digits_of_a_small_cost():
    # −log(1 − p) = p + p²/2 + …
    value, _ = sn.bce(np.array([[1e-12]]), np.array([[0.0]]))
    np.testing.assert_allclose(value, 1e-12, rtol=1e-11)


# ---- bce_with_logits


def test_bce_with_logits_worked_by_hand():
    # logits log 3 and 0 are p = 3/4 and 1/2:  −log ¾ − log ½ = log(4/3) + log 2 = log(8/3)
    value, _ = sn.bce_with_logits(np.array([[np.log(3), 0.0]]), np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(value, 0.9808292530117262, rtol=1e-15)


def test_the_derivative_of_bce_with_logits_worked_by_hand():
    _, dlogits = sn.bce_with_logits(np.array([[np.log(3), 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.5, 0.0]]))
    # (p − x) / 2:  (3/4 − 1) / 2,  (1/2 − 0) / 2,  (1/2 − 1/2) / 2,  (1/2 − 0) / 2
    np.testing.assert_allclose(dlogits, [[-1 / 8, 1 / 4], [0, 1 / 4]], atol=1e-16)


@given(case=cases)
def test_the_derivative_of_bce_with_logits_is_p_minus_x(case):
    logits, x = case.rows(-50, 50), case.rows(0, 1)
    p, _ = sn.Sigmoid().forward(logits)
    _, dlogits = sn.bce_with_logits(logits, x)
    np.testing.assert_allclose(case.N * dlogits, p - x, atol=1e-15)


@given(case=cases)
def test_bce_with_logits_is_bce_of_the_sigmoid(case):
    logits, x = case.rows(-10, 10), case.rows(0, 1)
    p, _ = sn.Sigmoid().forward(logits)
    np.testing.assert_allclose(sn.bce_with_logits(logits, x)[0], sn.bce(p, x)[0], rtol=1e-11)


@given(case=cases)
def test_the_way_back_through_bce_and_sigmoid_is_that_of_bce_with_logits(case):
    logits, x = case.rows(-10, 10), case.rows(0, 1)
    p, backward = sn.Sigmoid().forward(logits)
    _, dp = sn.bce(p, x)
    np.testing.assert_allclose(backward(dp), sn.bce_with_logits(logits, x)[1], atol=1e-11)


@pytest.mark.parametrize(
    ("logit", "x", "value", "derivative"),
    [(1e4, 0.0, 1e4, 1.0), (1e4, 1.0, 0.0, 0.0), (-1e4, 1.0, 1e4, -1.0), (-1e4, 0.0, 0.0, 0.0), (1e4, 0.5, 5e3, 0.5)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bce_with_logits_is_exact_at_huge_logits(logit, x, value, derivative, dtype):
    found, dlogits = sn.bce_with_logits(np.array([[logit]], dtype), np.array([[x]], dtype))
    assert (found, dlogits.item()) == (value, derivative)


def test_bce_with_logits_keeps_the_digits_of_a_small_cost():
    # log(1 + e^−40) = e^−40 − ½ e^−80 + …
    value, _ = sn.bce_with_logits(np.array([[40.0]]), np.array([[1.0]]))
    np.testing.assert_allclose(value, np.exp(-40.0), rtol=1e-14)


@given(case=cases)
def test_the_entropy_of_grey_pixels_is_the_floor_of_bce(case):
    logits, x = case.rows(-10, 10), case.rows(0.01, 0.99)
    floor, _ = sn.bce(x, x)
    assert sn.bce_with_logits(logits, x)[0] >= floor - 1e-12


# ---- likelihoods


def test_the_bernoulli_cost_of_each_image_worked_by_hand():
    # logits log 3 and 0 are p = 3/4 and 1/2:  −log ¾ − log ½ = log(8/3),  and −log ¼ − log ½ = log 8
    cost = sn.Bernoulli().nll_per_image(np.array([[np.log(3), 0.0], [np.log(3), 0.0]]), np.array([[1.0, 0.0], [0, 0]]))
    np.testing.assert_allclose(cost, [math.log(8 / 3), math.log(8)], rtol=1e-14)


def test_the_gaussian_cost_of_each_image_worked_by_hand():
    # σ = ½:  ½ (1² + 2²) / ¼ + 2 · ½ log(2π · ¼) = 10 + log(π/2),  and where x is y the constant alone
    cost = sn.Gaussian(0.5).nll_per_image(np.array([[3.0, 1.0], [2.0, 0.0]]), np.array([[2.0, 3.0], [2.0, 0.0]]))
    np.testing.assert_allclose(cost, [10 + math.log(math.pi / 2), math.log(math.pi / 2)], rtol=1e-14)


@pytest.mark.parametrize("likelihood", [sn.Bernoulli(), sn.Gaussian(0.3)], ids=repr)
def test_the_cost_of_a_batch_is_the_mean_over_its_images(likelihood, rng):
    y, x = rng.standard_normal((3, 4)), rng.random((3, 4))
    np.testing.assert_allclose(likelihood.nll(y, x)[0], likelihood.nll_per_image(y, x).mean(), rtol=1e-14)


@pytest.mark.parametrize(("dtype", "sigma", "error"), [(np.float16, 2e-4, 1e-3), (np.float32, 1e-23, 1e-10)])
def test_a_gaussian_slope_is_right_where_its_variance_is_too_small_for_the_type(dtype, sigma, error):
    y = np.array([[error, 0]], dtype)
    _, dy = sn.Gaussian(sigma).nll(y, np.zeros_like(y))
    np.testing.assert_allclose(dy, y.astype(np.float64) / sigma**2, rtol=2e-3)


# ---- all losses

ALL = pytest.mark.parametrize("loss", [sn.mse, sn.bce, sn.bce_with_logits])


@ALL
def test_a_last_short_batch_weighs_by_its_images(loss, rng):
    p, x = rng.uniform(0.1, 0.9, (5, 4)), rng.random((5, 4))
    first, last = loss(p[:3], x[:3])[0], loss(p[3:], x[3:])[0]
    np.testing.assert_allclose(loss(p, x)[0], (3 * first + 2 * last) / 5, rtol=1e-14)


@ALL
def test_twice_the_features_cost_twice_as_much(loss, rng):
    p, x = rng.uniform(0.1, 0.9, (3, 4)), rng.random((3, 4))
    np.testing.assert_allclose(loss(np.hstack([p, p]), np.hstack([x, x]))[0], 2 * loss(p, x)[0], rtol=1e-14)


@ALL
def test_the_value_is_a_python_number_and_the_derivative_stays_float32(loss, rng):
    value, dy = loss(rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32), rng.random((3, 4), np.float32))
    assert type(value) is float
    assert dy.dtype == np.float32


@ALL
def test_nothing_is_left_to_learn_where_the_output_is_the_target(loss, rng):
    x = rng.uniform(0.1, 0.9, (3, 4))
    y = np.log(x / (1 - x)) if loss is sn.bce_with_logits else x
    np.testing.assert_allclose(loss(y, x)[1], 0, atol=1e-15)
