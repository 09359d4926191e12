"""Julia sets: held against two that are known exactly, against plain arithmetic, and against their symmetries."""

import tracemalloc

import numpy as np
import pytest

from demos.lib import fractals
from demos.lib.fractals import julia, julia_images
from scratchnet.arrays import Array

TRUNCATION = 2e-4
"""10 · 2⁻¹⁶ log(1 + |c|), at |c| = 1.44 at most: what a pixel may be off by, since the picture ends after 16 steps."""


def picture_of(c: complex, size: int = 28) -> Array:
    return julia_images(np.array([[c.real, c.imag]], float), size)[0]


def middles(size: int = 28) -> Array:
    """The point z in the middle of each pixel, (size²,), row by row from the top left."""
    axis = np.array([(i + 0.5) / size * 3 - 1.5 for i in range(size)])
    return np.array([complex(re, im) for im in -axis for re in axis])


def plain(c: complex, z: complex) -> float:
    """A pixel by Python's own complex numbers, with 60 steps and |z| up to 1e100."""
    for k in range(60):
        if abs(z) > 1e100:
            return np.exp(-10 * 2.0**-k * np.log(abs(z)))
        z = z * z + c
    return 1.0


# ---- the pictures


def test_the_filled_julia_set_of_0_is_the_unit_disc():
    # z_k = z^(2^k), so G = log⁺|z| and the pixel is |z|⁻¹⁰ outside
    expected = np.minimum(1, np.abs(middles()) ** -10.0)
    np.testing.assert_allclose(picture_of(0), expected, atol=1e-5)


def test_the_julia_set_of_minus_2_is_the_segment_from_minus_2_to_2():
    # z = w + 1/w turns z² − 2 into w², so G = log|w| with the larger root of w² − z w + 1 = 0
    z = middles()
    root = np.sqrt(z * z - 4)
    w = np.maximum(np.abs(z + root), np.abs(z - root)) / 2
    np.testing.assert_allclose(picture_of(-2), w**-10.0, atol=TRUNCATION)


def test_pictures_agree_with_plain_arithmetic():
    points = np.random.default_rng(0).uniform((-1.2, -0.8), (0.4, 0.8), (20, 2))
    for c in points[:, 0] + 1j * points[:, 1]:
        expected = [plain(c, z) for z in middles()]
        np.testing.assert_allclose(picture_of(c), expected, rtol=0, atol=TRUNCATION)


@pytest.mark.parametrize("size", [1, 2, 7, 28])
def test_a_picture_has_size_squared_pixels_odd_or_even(size):
    expected = [plain(-0.12 + 0.74j, z) for z in middles(size)]
    np.testing.assert_allclose(picture_of(-0.12 + 0.74j, size), expected, rtol=0, atol=TRUNCATION)


def test_the_conjugate_of_c_turns_the_picture_upside_down():
    upright, conjugate = picture_of(-0.5 + 0.6j).reshape(28, 28), picture_of(-0.5 - 0.6j).reshape(28, 28)
    np.testing.assert_allclose(conjugate, upright[::-1], atol=1e-5)
    assert np.abs(upright - upright[::-1]).max() > 0.5


@pytest.mark.parametrize("step", [1e-2, 1e-3, 1e-4])
def test_a_picture_changes_as_little_as_one_likes_if_c_does(step):
    # Measured: no pixel moves faster than 35 for one of c at these steps. A whole number of steps would jump.
    rng = np.random.default_rng(0)
    c = rng.uniform((-1.2, -0.8), (0.4, 0.8), (1000, 2))
    turn = rng.uniform(0, 2 * np.pi, 1000)
    moved = c + step * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    change = np.abs(julia_images(moved) - julia_images(c))
    assert change.max() < 50 * step
    assert change.max() > step


def test_many_pictures_are_each_what_they_are_alone():
    _, c = julia(200, np.random.default_rng(0))
    alone = np.concatenate([julia_images(c[i : i + 1]) for i in range(200)])
    np.testing.assert_array_equal(julia_images(c), alone)


def test_memory_does_not_grow_beyond_the_pictures():
    tracemalloc.start()
    images, _ = julia(3000, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < images.nbytes + 2e6


def test_of_no_c_there_is_no_picture():
    assert julia_images(np.zeros((0, 2))).shape == (0, 784)


# ---- the draw


def test_pictures_and_their_c_are_rows_of_float32():
    images, c = julia(5, np.random.default_rng(0), size=12)
    assert (images.shape, images.dtype) == ((5, 144), np.float32)
    assert (c.shape, c.dtype) == ((5, 2), np.float32)


def test_every_pixel_lies_above_0_and_up_to_1():
    images, _ = julia(2000, np.random.default_rng(0))
    assert images.min() > 0
    assert images.max() == 1


def test_each_picture_is_that_of_its_c():
    images, c = julia(50, np.random.default_rng(0))
    np.testing.assert_array_equal(images, julia_images(c))


def test_the_same_generator_draws_the_same_pictures():
    (x, c), (x_again, c_again) = (julia(20, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(c, c_again)
    np.testing.assert_array_equal(x, x_again)


def test_c_is_uniform_in_its_rectangle():
    # Over u in [0, 1]: the mean is ½ and the variance 1/12; the two parts are uncorrelated. The three bounds of five
    # standard errors on two parts give a false alarm of 3e-6.
    n = 20_000
    _, c = julia(n, np.random.default_rng(5), size=1)
    low, high = np.transpose([fractals.REAL, fractals.IMAGINARY])
    u = (c - low) / (high - low)
    assert u.min() > -1e-6
    assert u.max() < 1 + 1e-6
    assert np.abs(u.mean(axis=0) - 1 / 2).max() < 5 * np.sqrt(1 / 12 / n)
    assert np.abs(u.var(axis=0) - 1 / 12).max() < 5 * np.sqrt(1 / 180 / n)
    assert abs(np.corrcoef(u.T)[0, 1]) < 5 / np.sqrt(n)
