"""Corruptions: by hand, by their statistics, and by what holds for all of them.

The bound on each frequency is five standard errors; by the normal distribution a right corruption fails it with
probability 6e-7. Seeds are fixed, so a test that passes once passes always.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet.arrays import Array
from scratchnet.corruption import Downsample, GaussianNoise, Masking, SaltAndPepper
from scratchnet.testing.strategies import LAYOUTS

BOUND = 5.0
DRAWS = 200_000
SHAPE = (4, 6)

every_corruption = pytest.mark.parametrize(
    "corrupt", [GaussianNoise(0.5), Masking(0.3), SaltAndPepper(0.3), Downsample(2, SHAPE)], ids=repr
)
every_idle_corruption = pytest.mark.parametrize(
    "corrupt", [GaussianNoise(0), Masking(0), SaltAndPepper(0), Downsample(1, SHAPE)], ids=repr
)
every_random_corruption = pytest.mark.parametrize(
    "corrupt", [GaussianNoise(0.5), Masking(0.3), SaltAndPepper(0.3)], ids=repr
)


@st.composite
def image_rows(draw: st.DrawFn) -> Array:
    """Rows (N, 24) in [0, 1], 0 and 1 among them, of any float type and laid out in memory in any way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = np.clip(rng.uniform(-0.2, 1.2, (draw(st.integers(1, 5)), 24)), 0, 1)
    x = x.astype(draw(st.sampled_from([np.float16, np.float32, np.float64])))
    return draw(st.sampled_from([np.ascontiguousarray, *LAYOUTS.values()]))(x)


def grey(value: float) -> Array:
    return np.full((DRAWS // 100, 100), value)


def frequency_is(happened: Array, p: float) -> bool:
    return abs(happened.mean() - p) < BOUND * math.sqrt(p * (1 - p) / happened.size)


# ---- by hand


def test_gaussian_noise_is_sigma_times_epsilon():
    x = np.full((2, 3), 0.5)
    eps = np.random.default_rng(7).standard_normal((2, 3))
    np.testing.assert_allclose(GaussianNoise(0.01)(x, np.random.default_rng(7)), x + 0.01 * eps, rtol=1e-15)


def test_gaussian_noise_is_clipped_to_black_and_white():
    seen = GaussianNoise(100.0)(np.full((1, 50), 0.5), np.random.default_rng(0))
    assert set(np.unique(seen)) == {0, 1}


def test_a_masked_pixel_is_0_and_the_others_stay():
    x = np.arange(1.0, 25.0).reshape(1, 24)
    seen = Masking(0.5)(x, np.random.default_rng(0))
    assert set(np.unique(np.where(seen == x, 1, seen))) == {0, 1}
    assert 0 < (seen == 0).sum() < 24


def test_salt_is_1_and_pepper_is_0_and_the_others_stay():
    x = np.linspace(0.2, 0.8, 60).reshape(1, 60)
    seen = SaltAndPepper(0.6)(x, np.random.default_rng(0))
    assert set(np.unique(seen[seen != x])) == {0, 1}
    assert (seen == x).any()


def test_downsampling_replaces_each_block_by_its_mean():
    x = np.array([[1, 3, 0, 0], [5, 7, 0, 4], [2, 2, 8, 0], [2, 2, 0, 0]], float)
    means = np.array([[4, 4, 1, 1], [4, 4, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]], float)
    assert Downsample(2, (4, 4))(x.reshape(1, 16), None).tolist() == [means.ravel().tolist()]


def test_downsampling_knows_height_from_width():
    x = np.array([[1.0, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    assert Downsample(2, (2, 6))(x.reshape(1, 12), None)[0, :6].tolist() == [4.5, 4.5, 6.5, 6.5, 8.5, 8.5]
    assert Downsample(2, (6, 2))(x.reshape(1, 12), None)[0, :6].tolist() == [2.5, 2.5, 2.5, 2.5, 6.5, 6.5]


def test_downsampling_a_second_time_changes_nothing(rng):
    corrupt = Downsample(2, SHAPE)
    once = corrupt(rng.random((3, 24)), None)
    np.testing.assert_allclose(corrupt(once, None), once, rtol=1e-15)


# ---- statistics


def test_where_nothing_is_clipped_the_noise_has_mean_0_and_deviation_sigma(rng):
    noise = GaussianNoise(0.05)(grey(0.5), rng) - 0.5  # ten deviations from either end
    assert abs(noise.mean()) < BOUND * 0.05 / math.sqrt(noise.size)
    assert abs((noise**2).mean() / 0.05**2 - 1) < BOUND * math.sqrt(2 / noise.size)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_as_much_noise_is_clipped_as_the_normal_distribution_says(value, rng):
    seen = GaussianNoise(0.5)(grey(value), rng)
    assert frequency_is(seen == 0, NormalDist(value, 0.5).cdf(0))
    assert frequency_is(seen == 1, 1 - NormalDist(value, 0.5).cdf(1))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_the_pixels_is_masked(share, rng):
    assert frequency_is(Masking(share)(grey(0.5), rng) == 0, share)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_half_the_share_is_salt_and_half_is_pepper(share, rng):
    seen = SaltAndPepper(share)(grey(0.5), rng)
    assert frequency_is(seen == 1, share / 2)
    assert frequency_is(seen == 0, share / 2)


@every_random_corruption
def test_pixels_are_spoilt_independently_of_their_neighbours_and_of_the_next_image(corrupt, rng):
    seen = corrupt(grey(0.5), rng)
    for a, b in ((seen[:, 1:], seen[:, :-1]), (seen[1:], seen[:-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < BOUND / math.sqrt(a.size)


# ---- what holds for all of them


@every_corruption
@given(x=image_rows())
def test_the_image_itself_is_untouched(corrupt, x):
    before = x.copy()
    seen = corrupt(x, np.random.default_rng(0))
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(seen, x)
    assert seen.flags.writeable


@every_corruption
@given(x=image_rows())
def test_what_is_seen_has_the_shape_and_the_float_type_of_the_image(corrupt, x):
    seen = corrupt(x, np.random.default_rng(0))
    assert (seen.shape, seen.dtype) == (x.shape, x.dtype)


@every_corruption
@given(x=image_rows())
def test_what_is_seen_lies_between_black_and_white(corrupt, x):
    seen = corrupt(x, np.random.default_rng(0))
    assert 0 <= seen.min() <= seen.max() <= 1


@every_idle_corruption
@given(x=image_rows())
def test_at_strength_0_what_is_seen_is_the_image(corrupt, x):
    np.testing.assert_array_equal(corrupt(x, np.random.default_rng(0)), x)


@every_corruption
@given(x=image_rows())
def test_the_same_generator_spoils_in_the_same_way(corrupt, x):
    np.testing.assert_array_equal(corrupt(x, np.random.default_rng(3)), corrupt(x, np.random.default_rng(3)))


@every_random_corruption
def test_each_call_spoils_anew(corrupt, rng):
    x = np.full((3, 24), 0.5)
    assert not np.array_equal(corrupt(x, rng), corrupt(x, rng))


@every_random_corruption
def test_single_precision_is_spoilt_as_double_precision_is(corrupt):
    x = np.random.default_rng(0).random((3, 24), np.float32)
    single, double = corrupt(x, np.random.default_rng(1)), corrupt(x.astype(np.float64), np.random.default_rng(1))
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-6)


@every_random_corruption
def test_images_with_channels_are_spoilt_too(corrupt, rng):
    assert corrupt(np.full((2, 3, 4, 6), 0.5), rng).shape == (2, 3, 4, 6)


def test_a_strength_in_double_precision_leaves_the_image_in_single_precision(rng):
    x = np.full((3, 24), 0.5, np.float32)
    for corrupt in (GaussianNoise(np.float64(0.5)), Masking(np.float64(0.5)), SaltAndPepper(np.float64(0.5))):
        assert corrupt(x, rng).dtype == np.float32


# ---- in use


@pytest.mark.parametrize(
    ("corrupt", "text"),
    [
        (GaussianNoise(0.5), "GaussianNoise(sigma=0.5)"),
        (Masking(0.3), "Masking(share=0.3)"),
        (SaltAndPepper(0.3), "SaltAndPepper(share=0.3)"),
        (Downsample(2, (4, 6)), "Downsample(factor=2, shape=(4, 6))"),
    ],
)
def test_a_corruption_prints_as_it_was_made(corrupt, text):
    assert repr(corrupt) == text


@every_corruption
def test_a_denoiser_learns_with_it(corrupt, rng):
    x = np.repeat(rng.random((4, 24)), 50, axis=0)
    model = sn.Autoencoder(
        sn.Dense(24, 24, rng=rng, dtype=np.float64), sn.Dense(24, 24, rng=rng, dtype=np.float64), corrupt=corrupt
    )
    history = sn.fit(model, x, optimizer=sn.Adam(0.01), epochs=10, rng=rng, progress=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
