"""Each layer worked by hand, and what else is promised of it."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from tests.numerics import numerical_derivative

# ---- Dense
#
#     x = 1  0  2     W = 1 2     b = 10 20     dy = 1  0
#         0 −1  1         3 4                        2 −1
#                         5 6


@pytest.fixture
def dense(rng) -> sn.Dense:
    layer = sn.Dense(3, 2, rng=rng, dtype=np.float64)
    layer.W[...] = [[1, 2], [3, 4], [5, 6]]
    layer.b[...] = [10, 20]
    return layer


DENSE_X = np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]])
DENSE_DY = np.array([[1.0, 0.0], [2.0, -1.0]])


def test_dense_is_x_times_w_plus_b(dense):
    y, _ = dense.forward(DENSE_X)
    #      1·1 + 0·3 + 2·5 + 10,  1·2 + 0·4 + 2·6 + 20
    #      0·1 − 1·3 + 1·5 + 10,  0·2 − 1·4 + 1·6 + 20
    assert y.tolist() == [[21, 34], [12, 22]]


def test_the_weight_gradient_is_x_transposed_times_dy(dense):
    _, backward = dense.forward(DENSE_X)
    backward(DENSE_DY)
    # xᵀ =  1  0       1·1 + 0·2,  1·0 + 0·(−1)
    #       0 −1       0·1 − 1·2,  0·0 − 1·(−1)
    #       2  1       2·1 + 1·2,  2·0 + 1·(−1)
    assert dense.dW.tolist() == [[1, 0], [-2, 1], [4, -1]]


def test_the_bias_gradient_is_summed_over_the_batch(dense):
    _, backward = dense.forward(DENSE_X)
    backward(DENSE_DY)
    assert dense.db.tolist() == [1 + 2, 0 - 1]


def test_the_gradient_of_x_is_dy_times_w_transposed(dense):
    _, backward = dense.forward(DENSE_X)
    # Wᵀ = 1 3 5       1·1 + 0·2,  1·3 + 0·4,  1·5 + 0·6
    #      2 4 6       2·1 − 1·2,  2·3 − 1·4,  2·5 − 1·6
    assert backward(DENSE_DY).tolist() == [[1, 3, 5], [0, 2, 4]]


def test_dense_gradients_add_up_over_two_ways_back(dense):
    _, backward = dense.forward(DENSE_X)
    backward(DENSE_DY)
    backward(DENSE_DY)
    assert dense.dW.tolist() == [[2, 0], [-4, 2], [8, -2]]
    assert dense.db.tolist() == [6, -2]


def test_dense_without_dx_returns_nothing_and_still_adds_up(dense):
    _, backward = dense.forward(DENSE_X)
    assert backward(DENSE_DY, need_dx=False) is None
    assert dense.db.tolist() == [3, -1]


@pytest.mark.parametrize("n_in", [1, 4, 100])
def test_dense_starts_within_one_over_the_root_of_its_inputs(rng, n_in):
    W = sn.Dense(n_in, 1000, rng=rng, dtype=np.float64).W
    assert np.abs(W).max() <= 1 / np.sqrt(n_in)


@pytest.mark.parametrize("n_in", [1, 4, 100])
def test_dense_starts_uniform_over_all_that_range(rng, n_in):
    W = sn.Dense(n_in, 1000, rng=rng, dtype=np.float64).W * np.sqrt(n_in)
    quarters, _ = np.histogram(W, [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(quarters / W.size, 0.25, atol=0.05)


def test_dense_starts_with_zero_bias_and_zero_gradients(rng):
    layer = sn.Dense(3, 2, rng=rng)
    assert not layer.b.any()
    assert not layer.dW.any()
    assert not layer.db.any()


def test_dense_starts_from_the_same_weights_in_float32_and_float64():
    single = sn.Dense(5, 4, rng=np.random.default_rng(7))
    double = sn.Dense(5, 4, rng=np.random.default_rng(7), dtype=np.float64)
    np.testing.assert_array_equal(single.W, double.W.astype(np.float32))


def test_dense_is_float32_unless_told_otherwise(rng):
    assert sn.Dense(3, 2, rng=rng).W.dtype == np.float32


# ---- activations


def test_relu_keeps_what_is_positive():
    y, _ = sn.ReLU().forward(np.array([-2.0, 0.0, 3.0]))
    assert y.tolist() == [0, 0, 3]


def test_relu_lets_dy_through_where_x_is_positive_whatever_the_sign_of_dy():
    _, backward = sn.ReLU().forward(np.array([-2.0, 0.0, 3.0, 4.0]))
    assert backward(np.array([10.0, 20.0, -30.0, 40.0])).tolist() == [0, 0, -30, 40]


def test_sigmoid_of_log_odds_is_the_probability():
    # odds of 3 to 1: 1 / (1 + e^−log 3) = 1 / (1 + 1/3) = 3/4;  odds of 1 to 3: 1/4;  even odds: 1/2
    y, _ = sn.Sigmoid().forward(np.array([np.log(3), -np.log(3), 0.0]))
    np.testing.assert_allclose(y, [3 / 4, 1 / 4, 1 / 2], rtol=1e-15)


def test_the_slope_of_sigmoid_is_y_times_one_minus_y():
    _, backward = sn.Sigmoid().forward(np.array([np.log(3), -np.log(3), 0.0]))
    # 16 · 3/4 · 1/4,  16 · 1/4 · 3/4,  16 · 1/2 · 1/2
    np.testing.assert_allclose(backward(np.array([16.0, 16.0, 16.0])), [3, 3, 4], rtol=1e-15)


@given(st.floats(-30, 30))
def test_sigmoid_is_one_over_one_plus_e_to_the_minus_x(x):
    y, _ = sn.Sigmoid().forward(np.array([x]))
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=0, atol=1e-15)


def test_sigmoid_is_exact_and_silent_where_e_to_the_x_overflows():
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        y, backward = sn.Sigmoid().forward(np.array([1e4, -1e4, 1e308, -1e308, np.inf, -np.inf]))
        slopes = backward(np.ones(6))
    assert y.tolist() == [1, 0, 1, 0, 1, 0]
    assert slopes.tolist() == [0] * 6


@pytest.mark.parametrize("x", [-40.0, -300.0, -700.0])
def test_sigmoid_keeps_the_digits_of_a_small_probability(x):
    y, _ = sn.Sigmoid().forward(np.array([x]))
    np.testing.assert_allclose(y, np.exp(x), rtol=1e-14)


def test_tanh_worked_by_hand():
    # tanh(log 2) = (2 − 1/2) / (2 + 1/2) = 3/5
    y, _ = sn.Tanh().forward(np.array([np.log(2), -np.log(2), 0.0]))
    np.testing.assert_allclose(y, [3 / 5, -3 / 5, 0], rtol=1e-15)


def test_the_slope_of_tanh_is_one_minus_y_squared():
    _, backward = sn.Tanh().forward(np.array([np.log(2), -np.log(2), 0.0]))
    # 25 · (1 − 9/25),  25 · (1 − 9/25),  25 · (1 − 0)
    np.testing.assert_allclose(backward(np.array([25.0, 25.0, 25.0])), [16, 16, 25], rtol=1e-14)


def test_tanh_saturates_without_overflow():
    y, backward = sn.Tanh().forward(np.array([1e4, -1e4]))
    assert y.tolist() == [1, -1]
    assert backward(np.ones(2)).tolist() == [0, 0]


# ---- shapes


def test_flatten_lays_out_each_image_row_by_row():
    images = np.arange(12.0).reshape(2, 1, 2, 3)
    y, _ = sn.Flatten().forward(images)
    assert y.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_flatten_gives_dy_the_shape_of_the_images_again():
    _, backward = sn.Flatten().forward(np.zeros((2, 1, 2, 3)))
    assert backward(np.arange(12.0).reshape(2, 6)).tolist() == np.arange(12.0).reshape(2, 1, 2, 3).tolist()


def test_reshape_makes_images_of_rows():
    y, _ = sn.Reshape((2, 1, 2)).forward(np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert y.tolist() == [[[[1, 2]], [[3, 4]]]]


def test_reshape_to_a_whole_number_makes_rows():
    y, _ = sn.Reshape(4).forward(np.arange(8.0).reshape(2, 2, 2))
    assert y.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_flatten_undoes_reshape(rng):
    x = rng.standard_normal((3, 12))
    y, _ = sn.Sequential(sn.Reshape((3, 2, 2)), sn.Flatten()).forward(x)
    np.testing.assert_array_equal(y, x)


def test_images_in_another_memory_order_are_flattened_the_same():
    images = np.arange(12.0).reshape(2, 1, 2, 3)
    y, _ = sn.Flatten().forward(np.asfortranarray(images))
    assert y[1].tolist() == [6, 7, 8, 9, 10, 11]


# ---- Sequential
#
#     h = 2x + 1,  y = 3 max(h, 0):  at x = 2: h = 5, y = 15;  at x = −2: h = −3, y = 0


def two_steps(rng) -> sn.Sequential:
    first = sn.Dense(1, 1, rng=rng, dtype=np.float64)
    second = sn.Dense(1, 1, rng=rng, dtype=np.float64)
    first.W[...], first.b[...], second.W[...] = 2, 1, 3
    return sn.Sequential(first, sn.ReLU(), second)


def test_sequential_runs_the_layers_in_order(rng):
    y, _ = two_steps(rng).forward(np.array([[2.0], [-2.0]]))
    assert y.tolist() == [[15], [0]]


def test_sequential_multiplies_the_slopes_on_the_way_back(rng):
    _, backward = two_steps(rng).forward(np.array([[2.0], [-2.0]]))
    assert backward(np.array([[10.0], [10.0]])).tolist() == [[10 * 3 * 2], [0]]


def test_sequential_fills_the_gradients_of_its_layers(rng):
    net = two_steps(rng)
    first, _, second = net.layers
    _, backward = net.forward(np.array([[2.0]]))
    backward(np.array([[10.0]]))
    assert isinstance(first, sn.Dense)
    assert isinstance(second, sn.Dense)
    assert (second.dW.item(), second.db.item()) == (5 * 10, 10)  # h dy,  dy
    assert (first.dW.item(), first.db.item()) == (2 * 30, 30)  # x dh,  dh = 3 dy


def test_sequential_calls_its_layers_by_their_number(rng):
    net = two_steps(rng)
    assert net.children() == {"0": net.layers[0], "1": net.layers[1], "2": net.layers[2]}


def test_walk_gives_dotted_names_in_the_order_of_forward(rng):
    relu, dense, tanh = sn.ReLU(), sn.Dense(2, 1, rng=rng), sn.Tanh()
    inner = sn.Sequential(dense, tanh)
    outer = sn.Sequential(relu, inner)
    assert list(outer.walk("net")) == [
        ("net", outer),
        ("net.0", relu),
        ("net.1", inner),
        ("net.1.0", dense),
        ("net.1.1", tanh),
    ]


def test_sequential_takes_rows_as_wide_as_its_first_layer_does(rng):
    assert sn.Sequential(sn.Dense(5, 2, rng=rng), sn.Tanh()).n_in == 5


class OneWay(sn.Layer):
    """A layer that must not be asked for the way back."""

    def forward(self, x):
        def backward(dy):
            raise AssertionError("nobody needs this gradient")

        return x.copy(), backward


def test_without_dx_the_layers_before_the_first_trained_one_are_not_asked(rng):
    dense = sn.Dense(2, 1, rng=rng, dtype=np.float64)
    y, backward = sn.Sequential(OneWay(), OneWay(), dense, sn.Tanh()).forward(np.ones((3, 2)))
    backward(np.ones_like(y), need_dx=False)
    assert dense.dW.any()


def test_without_dx_a_nested_sequential_skips_too(rng):
    dense = sn.Dense(2, 1, rng=rng, dtype=np.float64)
    y, backward = sn.Sequential(OneWay(), sn.Sequential(OneWay(), dense), sn.Tanh()).forward(np.ones((3, 2)))
    backward(np.ones_like(y), need_dx=False)
    assert dense.dW.any()


def test_without_dx_sequential_returns_nothing(rng):
    y, backward = sn.Sequential(sn.Flatten(), sn.Dense(2, 1, rng=rng)).forward(np.ones((3, 2), np.float32))
    assert backward(np.ones_like(y), need_dx=False) is None


# ---- float32 stays float32


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: sn.Dense(4, 3, rng=rng),
        lambda rng: sn.ReLU(),
        lambda rng: sn.Sigmoid(),
        lambda rng: sn.Tanh(),
        lambda rng: sn.Flatten(),
        lambda rng: sn.Reshape((2, 2)),
        lambda rng: sn.Sequential(sn.Dense(4, 3, rng=rng), sn.Sigmoid(), sn.Dense(3, 4, rng=rng), sn.Tanh()),
    ],
)
def test_float32_stays_float32_there_and_back(make, rng):
    layer = make(rng)
    y, backward = layer.forward(rng.standard_normal((5, 4), np.float32))
    dx = backward(rng.standard_normal(y.shape, np.float32))
    gradients = [part.dW for _, part in layer.walk("") if isinstance(part, sn.Dense)]
    assert {a.dtype.name for a in (y, dx, *gradients)} == {"float32"}


# ---- a layer of one's own


class Gain(sn.Layer):
    """y = g x: what a student would write, with a way back that knows dy and nothing else."""

    parameter_names = ("g",)

    def __init__(self, g: float):
        self.g, self.dg = np.array([g]), np.zeros(1)

    def forward(self, x):
        y = self.g * x

        def backward(dy):
            self.dg += (dy * x).sum()
            return self.g * dy

        return y, backward


def test_a_layer_of_ones_own_works_inside_sequential():
    gain = Gain(3.0)
    y, backward = sn.Sequential(sn.ReLU(), gain).forward(np.array([[2.0, -1.0]]))
    assert y.tolist() == [[6, 0]]
    assert backward(np.array([[10.0, 10.0]])).tolist() == [[30, 0]]
    assert gain.dg.tolist() == [2 * 10]


def test_a_layer_of_ones_own_may_come_first_where_dx_is_not_needed():
    gain = Gain(3.0)
    _, backward = sn.Sequential(gain, sn.ReLU()).forward(np.array([[2.0, -1.0]]))
    backward(np.array([[10.0, 10.0]]), need_dx=False)
    assert gain.dg.tolist() == [20]


def test_a_layer_of_ones_own_works_as_the_encoder_of_a_vae(rng):
    gain = Gain(0.5)
    vae = sn.VAE(gain, sn.Dense(2, 4, rng=rng, dtype=np.float64))
    x, eps = rng.random((3, 4)), rng.standard_normal((3, 2))

    def loss(g):
        gain.g[...] = g
        return vae.loss(x, eps=eps).value

    slope = numerical_derivative(loss, np.array([0.5]), np.array([1.0]))
    gain.g[...] = 0.5
    vae.loss(x, eps=eps).backward()
    np.testing.assert_allclose(gain.dg, [slope], rtol=1e-8)
