"""Convolution, its adjoint and max-pooling, each worked by hand, and what holds for any shape."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet import kernels
from scratchnet.arrays import Array
from tests.strategies import ENGINES, batch_sizes, cases, channels, geometries

PAIR = st.sampled_from(ENGINES)


def image(*rows: list[float]) -> Array:
    """One image of one channel, (1, 1, H, W)."""
    return np.array([[rows]], dtype=np.float64)


def conv(kernel: list[list[float]], **options: Any) -> sn.Conv2D:
    """A convolution of one channel to one, with this kernel."""
    size = len(kernel), len(kernel[0])
    layer = sn.Conv2D(1, 1, size, rng=np.random.default_rng(0), dtype=np.float64, **options)
    layer.W[...] = kernel
    return layer


def transposed(kernel: list[list[float]], **options: Any) -> sn.ConvTranspose2D:
    size = len(kernel), len(kernel[0])
    layer = sn.ConvTranspose2D(1, 1, size, rng=np.random.default_rng(0), dtype=np.float64, **options)
    layer.W[...] = kernel
    return layer


# ---- Conv2D
#
#     x = 1 2 3     W = 1 10       dy = 1 2
#         4 5 6         100 1000        3 4
#         7 8 9

X = image([1, 2, 3], [4, 5, 6], [7, 8, 9])
KERNEL = [[1.0, 10.0], [100.0, 1000.0]]
DY = image([1, 2], [3, 4])


def test_a_convolution_weighs_the_pixels_under_the_kernel_and_does_not_flip_it():
    y, _ = conv(KERNEL).forward(X)
    #  1·1 + 2·10 + 4·100 + 5·1000,  2·1 + 3·10 + 5·100 + 6·1000
    #  4·1 + 5·10 + 7·100 + 8·1000,  5·1 + 6·10 + 8·100 + 9·1000
    assert y[0, 0].tolist() == [[5421, 6532], [8754, 9865]]


def test_the_bias_is_added_to_every_pixel():
    layer = conv(KERNEL)
    layer.b[...] = 0.5
    assert layer.forward(X)[0][0, 0].tolist() == [[5421.5, 6532.5], [8754.5, 9865.5]]


def test_the_weight_gradient_sums_each_weights_pixels_over_the_places_of_the_kernel():
    layer = conv(KERNEL)
    _, backward = layer.forward(X)
    backward(DY)
    #  1·1 + 2·2 + 4·3 + 5·4,  2·1 + 3·2 + 5·3 + 6·4
    #  4·1 + 5·2 + 7·3 + 8·4,  5·1 + 6·2 + 8·3 + 9·4
    assert layer.dW[0, 0].tolist() == [[37, 47], [67, 77]]


def test_the_bias_gradient_sums_over_the_batch_and_the_pixels(rng):
    layer = sn.Conv2D(1, 2, 1, rng=rng, dtype=np.float64)
    _, backward = layer.forward(np.zeros((2, 1, 1, 2)))
    backward(np.array([[[[1.0, 2.0]], [[10.0, 20.0]]], [[[3.0, 4.0]], [[30.0, 40.0]]]]))
    assert layer.db.tolist() == [1 + 2 + 3 + 4, 10 + 20 + 30 + 40]


def test_where_kernels_overlap_the_gradients_of_a_pixel_add_up():
    _, backward = conv(KERNEL).forward(X)
    # each number of dy lays the kernel down at its place:
    #   1·1        1·10 + 2·1                      2·10
    #   1·100 + 3·1   1·1000 + 2·100 + 3·10 + 4·1  2·1000 + 4·10
    #   3·100      3·1000 + 4·100                  4·1000
    assert backward(DY)[0, 0].tolist() == [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]


def test_padding_puts_zeros_around_the_image():
    y, backward = conv(KERNEL, padding=1).forward(image([1, 2], [3, 4]))
    # over  0 0 0 0
    #       0 1 2 0
    #       0 3 4 0
    #       0 0 0 0
    assert y[0, 0].tolist() == [
        [1 * 1000, 1 * 100 + 2 * 1000, 2 * 100],
        [1 * 10 + 3 * 1000, 1 * 1 + 2 * 10 + 3 * 100 + 4 * 1000, 2 * 1 + 4 * 100],
        [3 * 10, 3 * 1 + 4 * 10, 4 * 1],
    ]
    # dy is 1 in the upper left corner and 0 elsewhere: there, the kernel's last weight stood on pixel 1
    assert backward(np.pad([[[[1.0]]]], ((0, 0), (0, 0), (0, 2), (0, 2))))[0, 0].tolist() == [[1000, 0], [0, 0]]


def test_padding_may_differ_down_and_across():
    y, _ = conv([[1.0]], padding=(1, 2)).forward(image([5.0]))
    assert y[0, 0].tolist() == [[0, 0, 0, 0, 0], [0, 0, 5, 0, 0], [0, 0, 0, 0, 0]]


def test_a_stride_leaves_out_places_and_what_lies_beyond_the_last_one():
    y, backward = conv([[1.0, 10.0]], stride=2).forward(image([1, 2, 3, 4, 5]))
    # the kernel stands on 1 2 and on 3 4; a third would reach beyond the 5
    assert y[0, 0].tolist() == [[21, 43]]
    assert backward(image([1, 2]))[0, 0].tolist() == [[1, 10, 2, 20, 0]]


def test_a_stride_longer_than_the_kernel_never_looks_at_the_pixels_between():
    layer = conv([[1.0, 10.0]], stride=(1, 3))
    y, backward = layer.forward(image([1, 2, 3, 4, 5]))
    assert y[0, 0].tolist() == [[21, 54]]
    assert backward(image([1, 2]))[0, 0].tolist() == [[1, 10, 0, 2, 20]]
    assert layer.dW[0, 0].tolist() == [[1 * 1 + 4 * 2, 2 * 1 + 5 * 2]]


def test_an_output_channel_sums_over_the_input_channels(rng):
    layer = sn.Conv2D(2, 2, 1, rng=rng, dtype=np.float64)
    layer.W[...] = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(2, 2, 1, 1)  # a row for each output channel
    x = np.array([2.0, 3.0]).reshape(1, 2, 1, 1)
    y, backward = layer.forward(x)
    assert y.ravel().tolist() == [2 * 1 + 3 * 10, 2 * 100 + 3 * 1000]
    dy = np.array([5.0, 7.0]).reshape(1, 2, 1, 1)
    assert backward(dy).ravel().tolist() == [5 * 1 + 7 * 100, 5 * 10 + 7 * 1000]
    assert layer.dW.ravel().tolist() == [5 * 2, 5 * 3, 7 * 2, 7 * 3]


def test_a_kernel_as_large_as_the_image_is_a_dense_layer(rng):
    layer = sn.Conv2D(2, 3, (4, 5), rng=rng, dtype=np.float64)
    dense = sn.Dense(40, 3, rng=rng, dtype=np.float64)
    dense.W[...] = layer.W.reshape(3, 40).T
    x, dy = rng.standard_normal((6, 2, 4, 5)), rng.standard_normal((6, 3))
    (y, backward), (y_dense, dense_backward) = layer.forward(x), dense.forward(x.reshape(6, 40))
    np.testing.assert_allclose(y.reshape(6, 3), y_dense, rtol=1e-12, atol=1e-12)
    dx = backward(dy.reshape(y.shape))
    np.testing.assert_allclose(dx.reshape(6, 40), dense_backward(dy), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.dW.reshape(3, 40).T, dense.dW, rtol=1e-12, atol=1e-12)


def test_a_moved_image_has_a_moved_convolution(rng):
    layer = sn.Conv2D(2, 3, 3, padding=1, rng=rng, dtype=np.float64)
    x = np.zeros((1, 2, 8, 8))
    x[..., 2:5, 2:5] = rng.standard_normal((1, 2, 3, 3))
    moved = np.roll(x, (1, 2), axis=(2, 3))
    np.testing.assert_allclose(
        layer.forward(moved)[0], np.roll(layer.forward(x)[0], (1, 2), axis=(2, 3)), rtol=0, atol=1e-12
    )


# ---- ConvTranspose2D


def test_a_transposed_convolution_lays_down_the_kernel_for_each_pixel_and_adds_up():
    y, _ = transposed(KERNEL).forward(DY)
    # the same sums as in the way back of the convolution above
    assert y[0, 0].tolist() == [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]


def test_its_way_back_is_the_convolution():
    layer = transposed(KERNEL)
    _, backward = layer.forward(DY)
    assert backward(X)[0, 0].tolist() == [[5421, 6532], [8754, 9865]]
    assert layer.dW[0, 0].tolist() == [[37, 47], [67, 77]]
    assert layer.db.tolist() == [1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9]


def test_with_a_stride_of_the_kernels_size_copies_of_the_kernel_stand_side_by_side():
    layer = transposed(KERNEL, stride=2)
    layer.b[...] = 0.5
    y, _ = layer.forward(image([1, 2]))
    assert y[0, 0].tolist() == [[1.5, 10.5, 2.5, 20.5], [100.5, 1000.5, 200.5, 2000.5]]


def test_a_stride_longer_than_the_kernel_leaves_gaps_that_hold_the_bias():
    layer = transposed([[3.0]], stride=(1, 3))
    layer.b[...] = 0.5
    assert layer.forward(image([1, 2]))[0][0, 0].tolist() == [[3.5, 0.5, 0.5, 6.5]]


def test_the_padding_of_a_transposed_convolution_cuts_off_its_border():
    y, backward = transposed(KERNEL, padding=1).forward(DY)
    assert y[0, 0].tolist() == [[1234]]
    # the one pixel that is left was under the whole kernel of every pixel of x, at another weight of each
    assert backward(image([2.0]))[0, 0].tolist() == [[2 * 1000, 2 * 100], [2 * 10, 2 * 1]]


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "size", "published"),
    [(2, 2, 0, 7, 14), (3, 2, 0, 3, 7), (4, 2, 1, 7, 14), (3, 1, 1, 28, 28)],
)
def test_sizes_of_networks_that_were_published(rng, kernel_size, stride, padding, size, published):
    up = sn.ConvTranspose2D(1, 1, kernel_size, stride=stride, padding=padding, rng=rng)
    y, _ = up.forward(np.zeros((1, 1, size, size), np.float32))
    assert y.shape == (1, 1, published, published)
    down = sn.Conv2D(1, 1, kernel_size, stride=stride, padding=padding, rng=rng)
    assert down.forward(y)[0].shape == (1, 1, size, size)


# ---- adjoint to each other


def underflow(terms: int, *others: Array) -> float:
    """The error of so many products that may underflow, each multiplied by a number of `others` after that.

    A product loses at most half the smallest number above 0 to underflow, and a sum of such products nothing.
    """
    return np.finfo(np.float64).smallest_subnormal * terms * (1 + sum(np.abs(other).max() for other in others))


@given(N=batch_sizes, C=channels, M=channels, geometry=geometries, case=cases, engine=PAIR)
def test_convolution_and_transposed_convolution_are_adjoint(N, C, M, geometry, case, engine):
    """⟨conv x, y⟩ = ⟨x, convᵀ y⟩, to the rounding of the sums."""
    how = geometry.stride, geometry.padding
    W = case.array((M, C, *geometry.kernel))
    x, y = case.array((N, C, *geometry.size)), case.array((N, M, *geometry.output))
    with kernels.use(engine):
        left = kernels.conv2d(x, W, 0, *how) * y
        right = x * kernels.conv2d_transpose(y, W, 0, *how, geometry.size)
    scale = np.abs(left).sum() + np.abs(right).sum() + np.abs(x).sum() * np.abs(y).max() * np.abs(W).max()
    bound = 1e-14 * scale * W.size + underflow(y.size * W[0].size, x, y)
    assert abs(left.sum() - right.sum()) <= bound


@given(N=batch_sizes, C=channels, M=channels, geometry=geometries, case=cases, engine=PAIR)
def test_the_weight_gradient_is_adjoint_to_the_convolution_too(N, C, M, geometry, case, engine):
    """⟨conv x, y⟩ is linear in W: it is ⟨W, dW⟩, with the gradient of y."""
    how = geometry.stride, geometry.padding
    W, dW = case.array((M, C, *geometry.kernel)), np.zeros((M, C, *geometry.kernel))
    x, y = case.array((N, C, *geometry.size)), case.array((N, M, *geometry.output))
    with kernels.use(engine):
        left = kernels.conv2d(x, W, 0, *how) * y
        kernels.add_conv2d_weights(dW, x, y, *how)
    scale = np.abs(left).sum() + np.abs(W * dW).sum() + np.abs(W).sum() * np.abs(x).max() * np.abs(y).sum()
    bound = 1e-14 * scale * W.size + underflow(y.size * W[0].size, W, y)
    assert abs(left.sum() - (W * dW).sum()) <= bound


@given(geometry=geometries, case=cases)
def test_each_layer_is_the_way_back_of_the_other(geometry, case):
    options = {"stride": geometry.stride, "padding": geometry.padding, "rng": case.rng, "dtype": np.float64}
    down = sn.Conv2D(2, 3, geometry.kernel, **options)
    up = sn.ConvTranspose2D(3, 2, geometry.kernel, **options)
    up.W[...] = down.W
    small = case.array(
        (case.N, 3, *(length + 2 * p for length, p in zip(geometry.output, geometry.padding, strict=True)))
    )
    large, up_backward = up.forward(small)
    y, down_backward = down.forward(large)
    np.testing.assert_allclose(up_backward(large), y, rtol=0, atol=1e-9)
    np.testing.assert_allclose(down_backward(small), large, rtol=0, atol=1e-9)
    np.testing.assert_allclose(up.dW, down.dW, rtol=0, atol=1e-9)


# ---- MaxPool2D


def test_of_each_window_the_largest_number_is_left():
    y, _ = sn.MaxPool2D(2).forward(image([1, 5, 2, 0], [3, 4, 7, 6], [-1, -2, 0, 0], [-3, -4, 0, 1]))
    assert y[0, 0].tolist() == [[5, 7], [-1, 1]]


def test_the_gradient_goes_to_the_largest_number_alone():
    _, backward = sn.MaxPool2D(2).forward(image([1, 5, 2, 0], [3, 4, 7, 6]))
    assert backward(image([10, 20]))[0, 0].tolist() == [[0, 10, 0, 0], [0, 0, 20, 0]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stride", [9, 4095, 2**20])
def test_a_stride_far_beyond_the_image_takes_no_longer(engine, stride):
    x = np.arange(18, dtype=np.float32).reshape(1, 2, 3, 3)
    with kernels.use(engine):
        layer = sn.Conv2D(2, 1, 2, stride=stride, padding=1, rng=np.random.default_rng(0))
        y, backward = layer.forward(x)
        dx = backward(np.ones_like(y))
    assert y.shape == (1, 1, 1, 1)
    np.testing.assert_allclose(y.sum(), (layer.W[0, :, 1, 1] * x[0, :, 0, 0]).sum() + layer.b[0], rtol=1e-5)
    np.testing.assert_allclose(dx[0, :, 0, 0], layer.W[0, :, 1, 1])
    assert np.count_nonzero(dx) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_of_equal_numbers_the_first_row_by_row_gets_all_of_the_gradient(engine):
    with kernels.use(engine):
        _, backward = sn.MaxPool2D(2).forward(image([1, 5, 0, 0], [5, 5, 0, 0]))
        assert backward(image([10, 20]))[0, 0].tolist() == [[0, 10, 20, 0], [0, 0, 0, 0]]


def test_where_windows_overlap_a_pixel_may_win_twice():
    y, backward = sn.MaxPool2D((1, 2), stride=1).forward(image([1, 9, 2, 3]))
    assert y[0, 0].tolist() == [[9, 9, 3]]
    assert backward(image([10, 20, 40]))[0, 0].tolist() == [[0, 30, 0, 40]]


def test_rows_and_columns_that_fill_no_window_are_left_out():
    y, backward = sn.MaxPool2D(2).forward(image([1, 2, 99], [3, 4, 99], [99, 99, 99]))
    assert y[0, 0].tolist() == [[4]]
    assert backward(image([10]))[0, 0].tolist() == [[0, 0, 0], [0, 10, 0], [0, 0, 0]]


def test_each_channel_and_each_image_is_pooled_by_itself():
    x = np.array([[[[1.0, 2.0]], [[4.0, 3.0]]], [[[5.0, 6.0]], [[8.0, 7.0]]]])  # (2, 2, 1, 2)
    y, _ = sn.MaxPool2D((1, 2)).forward(x)
    assert y.ravel().tolist() == [2, 4, 6, 8]


def test_a_nan_is_not_lost_in_a_maximum():
    y, _ = sn.MaxPool2D(2).forward(image([1, np.nan, 1, 2], [3, 4, 5, 6]))
    np.testing.assert_array_equal(y[0, 0], [[np.nan, 6]])


def test_a_maximum_of_negative_infinities_is_one():
    y, backward = sn.MaxPool2D((1, 2)).forward(image([-np.inf, -np.inf]))
    assert y.item() == -np.inf
    assert backward(image([1]))[0, 0].tolist() == [[1, 0]]


# ---- what they start from


@pytest.mark.parametrize(
    ("make", "terms"),
    [
        (lambda **how: sn.Conv2D(3, 500, (2, 5), stride=2, **how), 3 * 2 * 5),
        (lambda **how: sn.ConvTranspose2D(3, 500, (2, 5), **how), 3 * 2 * 5),
        (lambda **how: sn.ConvTranspose2D(3, 500, 2, stride=2, **how), 3),  # no two kernels overlap
        (lambda **how: sn.ConvTranspose2D(3, 500, 3, stride=2, **how), 3 * 2 * 2),
    ],
)
def test_weights_start_uniform_within_one_over_the_root_of_the_terms_of_a_sum(rng, make, terms):
    W = make(rng=rng, dtype=np.float64).W * np.sqrt(terms)
    assert np.abs(W).max() <= 1
    quarters, _ = np.histogram(W, [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(quarters / W.size, 0.25, atol=0.05)


@pytest.mark.parametrize("kind", [sn.Conv2D, sn.ConvTranspose2D])
def test_a_bias_starts_at_zero_and_so_do_the_gradients(rng, kind):
    layer = kind(2, 3, 3, rng=rng)
    assert not layer.b.any()
    assert not layer.dW.any()
    assert not layer.db.any()


def test_the_shapes_of_the_weights(rng):
    down, up = sn.Conv2D(2, 3, (4, 5), rng=rng), sn.ConvTranspose2D(2, 3, (4, 5), rng=rng)
    assert (down.W.shape, down.b.shape) == ((3, 2, 4, 5), (3,))
    assert (up.W.shape, up.b.shape) == ((2, 3, 4, 5), (3,))


@pytest.mark.parametrize("kind", [sn.Conv2D, sn.ConvTranspose2D])
def test_the_same_seed_gives_the_same_weights_in_float32_and_float64(kind):
    single, double = (kind(2, 3, 3, rng=np.random.default_rng(7), dtype=dtype) for dtype in (np.float32, np.float64))
    np.testing.assert_array_equal(single.W, double.W.astype(np.float32))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [sn.Conv2D, sn.ConvTranspose2D])
def test_float32_stays_float32_there_and_back(rng, kind, engine):
    layer = kind(1, 2, 3, stride=2, rng=rng)
    with kernels.use(engine):
        y, backward = sn.Sequential(layer, sn.MaxPool2D(2)).forward(rng.standard_normal((2, 1, 9, 9), np.float32))
        dx = backward(np.ones_like(y))
    assert {a.dtype.name for a in (y, dx, layer.W, layer.b, layer.dW, layer.db)} == {"float32"}


# ---- in a network


def test_a_layer_says_how_it_was_made(rng):
    assert repr(sn.Conv2D(1, 16, 3, rng=rng)) == "Conv2D(1, 16, 3)"
    assert repr(sn.Conv2D(1, 16, 3, padding=1, stride=2, rng=rng)) == "Conv2D(1, 16, 3, stride=2, padding=1)"
    assert repr(sn.ConvTranspose2D(1, 4, (2, 3), stride=(2, 3), rng=rng)) == (
        "ConvTranspose2D(1, 4, (2, 3), stride=(2, 3))"
    )
    assert repr(sn.MaxPool2D(2)) == "MaxPool2D(2)"
    assert repr(sn.MaxPool2D((3, 2), stride=1)) == "MaxPool2D((3, 2), stride=1)"


@pytest.mark.parametrize("kind", [sn.Conv2D, sn.ConvTranspose2D])
def test_without_dx_there_is_none_and_the_parameters_get_theirs(rng, kind):
    layer = kind(1, 2, 3, rng=rng)
    y, backward = layer.forward(np.ones((2, 1, 5, 5), np.float32))
    assert backward(np.ones_like(y), need_dx=False) is None
    assert layer.dW.any()
    assert layer.db.any()


def convolutional_autoencoder(rng: np.random.Generator) -> sn.Autoencoder:
    """Two convolutions down and two transposed ones up, on rows of 784 pixels."""
    return sn.Autoencoder(
        sn.Sequential(
            sn.Reshape((1, 28, 28)),
            sn.Conv2D(1, 16, 3, padding=1, rng=rng),
            sn.ReLU(),
            sn.MaxPool2D(2),
            sn.Conv2D(16, 4, 3, padding=1, rng=rng),
            sn.ReLU(),
            sn.MaxPool2D(2),
            sn.Flatten(),
        ),
        sn.Sequential(
            sn.Reshape((4, 7, 7)),
            sn.ConvTranspose2D(4, 16, 2, stride=2, rng=rng),
            sn.ReLU(),
            sn.ConvTranspose2D(16, 1, 2, stride=2, rng=rng),
            sn.Sigmoid(),
            sn.Flatten(),
        ),
    )


def test_a_convolutional_autoencoder_learns_digits(rng):
    x = sn.data.mnist("train")[0][:2000]
    ae = convolutional_autoencoder(rng)
    assert len(ae.parameters) == (16 * 9 + 16) + (4 * 16 * 9 + 4) + (4 * 16 * 4 + 16) + (16 * 4 + 1)
    history = sn.fit(ae, x, optimizer=sn.Adam(3e-3), epochs=4, batch_size=20, rng=rng, progress=False)
    mean_image = np.sum((x - x.mean(axis=0)) ** 2) / len(x)
    assert history["loss"][-1] < 0.5 * mean_image
    assert ae.reconstruct(x[:5]).shape == (5, 784)
    assert ae.encode(x[:5]).shape == (5, 4 * 7 * 7)


def test_a_model_of_convolutions_is_saved_and_loaded(rng, tmp_path):
    x = sn.data.mnist("test")[0][:5]
    first, second = convolutional_autoencoder(rng), convolutional_autoencoder(rng)
    sn.save(tmp_path / "model.npz", first)
    sn.load(tmp_path / "model.npz", second)
    np.testing.assert_array_equal(first.reconstruct(x), second.reconstruct(x))


def test_nothing_warns_on_ordinary_images(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = convolutional_autoencoder(rng)
        ae.loss(rng.random((3, 784), np.float32)).backward()
