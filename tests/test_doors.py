"""What a caller hands in is taken as the number it is, whatever its type, or refused at once."""

# Wrong arguments are the point:
# pyright: reportArgumentType=false

import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import plots
from scratchnet.checks import check_count, check_number, check_pair

X = np.random.default_rng(0).random((3, 8), np.float32)
IMAGES = np.random.default_rng(1).random((2, 1, 6, 6), np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# ---- whole numbers

WHOLE_TYPES = [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64, np.intp]


def values_of(thing: Any) -> list[Any]:
    """All numbers that an object keeps, those in its tuples too."""
    values = []
    for value in vars(thing).values():
        values += value if isinstance(value, tuple) else [value]
    return [value for value in values if isinstance(value, (int, float, np.generic))]


WITH_COUNTS: dict[str, Callable[[Any], Any]] = {
    "Dense": lambda n: sn.Dense(n(100), n(100), rng=rng()),
    "Conv2D": lambda n: sn.Conv2D(n(100), n(2), (n(2), n(3)), stride=n(1), padding=(n(1), n(2)), rng=rng()),
    "ConvTranspose2D": lambda n: sn.ConvTranspose2D(n(100), n(2), n(2), stride=n(2), padding=n(1), rng=rng()),
    "MaxPool2D": lambda n: sn.MaxPool2D(n(2), stride=(n(1), n(2))),
    "Reshape": lambda n: sn.Reshape((n(100), n(100))),
    "Reshape to a row": lambda n: sn.Reshape(n(100)),
    "Downsample": lambda n: sn.corruption.Downsample(n(2), (n(100), n(100))),
}


@pytest.mark.parametrize("whole", WHOLE_TYPES)
@pytest.mark.parametrize("make", WITH_COUNTS.values(), ids=WITH_COUNTS)
def test_a_whole_number_of_any_type_becomes_an_int(make, whole):
    made, plain = make(whole), make(int)
    assert {type(value) for value in values_of(made)} == {int}
    assert repr(made) == repr(plain)
    assert values_of(made) == values_of(plain)


@pytest.mark.parametrize("whole", [np.int8, np.uint8])
def test_sizes_of_a_small_type_do_not_overflow_within_it(whole):
    assert sn.Reshape((whole(100), whole(100))).n_in == 10_000
    layer = sn.Conv2D(whole(1), whole(120), (whole(100), whole(100)), rng=rng())
    assert abs(layer.W).max() <= 1 / 100  # 1/√(c_in kh kw)
    x = np.zeros((1, 1, 120, 120), np.float32)
    assert layer.forward(x)[0].shape == (1, 120, 21, 21)
    large = sn.ConvTranspose2D(1, 1, whole(2), stride=whole(120), rng=rng())
    assert large.forward(np.zeros((1, 1, 3, 3), np.float32))[0].shape == (1, 1, 242, 242)
    assert sn.probability.binomial(whole(100), 0.5).shape == (101,)
    corrupt = sn.corruption.Downsample(whole(2), (whole(100), whole(100)))
    assert corrupt(np.ones((1, 10_000)), None).shape == (1, 10_000)


@pytest.mark.parametrize("whole", WHOLE_TYPES)
def test_plots_take_whole_numbers_of_any_type(whole):
    plots.image_grid(X, "title", columns=whole(2), shape=(whole(2), whole(4)))
    plots.mosaic(X[:, :4], columns=whole(2))
    plots.panels("title", ["a", "b"], columns=whole(2))


# ---- numbers

NUMBER_TYPES = [np.float16, np.float32, np.float64, np.longdouble, Fraction, float]
WITH_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "GaussianNoise": lambda number: sn.corruption.GaussianNoise(number),
    "Masking": lambda number: sn.corruption.Masking(number),
    "SaltAndPepper": lambda number: sn.corruption.SaltAndPepper(number),
}


@pytest.mark.parametrize("number", NUMBER_TYPES)
@pytest.mark.parametrize("make", WITH_NUMBERS.values(), ids=WITH_NUMBERS)
def test_a_number_of_any_type_becomes_a_float_and_does_the_same(make, number):
    made, plain = make(number(0.25)), make(0.25)
    assert (made, repr(made)) == (plain, repr(plain))
    assert {type(value) for value in values_of(made)} == {float}
    corrupted = made(X, rng())
    assert corrupted.dtype == X.dtype
    assert np.array_equal(corrupted, plain(X, rng()))


@pytest.mark.parametrize("number", NUMBER_TYPES)
def test_probabilities_and_tolerances_may_be_of_any_type(number):
    assert np.array_equal(sn.probability.binomial(3, number(0.25)), sn.probability.binomial(3, 0.25))
    sn.check_gradients(sn.Tanh(), X.astype(np.float64), rng=rng(), tolerance=number(0.0009765625))


def test_the_same_object_comes_back_as_python_s_own_number():
    assert [type(check_number("f", "x", one(1), 0)) for one in (*NUMBER_TYPES, int, np.int8)] == [float] * 8
    assert [type(check_count("f", "x", one(1))) for one in (*WHOLE_TYPES, int)] == [int] * 8
    assert [type(one) for one in check_pair("f", "x", [np.int8(1), np.uint64(2)])] == [int, int]


def test_a_float32_is_the_number_that_it_is_and_no_longer_rounds_what_it_meets():
    assert check_number("f", "x", np.float32(0.1), 0) == float(np.float32(0.1)) != 0.1


# ---- numbers that nothing can hold

HUGE = {
    "ten to the 400": 10**400,
    "minus ten to the 400": -(10**400),
    "of more digits than Python writes": 10**5000,
    "ten to the 20": 10**20,
}
TAKE_COUNTS: dict[str, Callable[[Any], Any]] = {
    "Dense n_in": lambda n: sn.Dense(n, 1, rng=rng()),
    "Dense n_out": lambda n: sn.Dense(1, n, rng=rng()),
    "Conv2D c_in": lambda n: sn.Conv2D(n, 1, 1, rng=rng()),
    "Conv2D c_out": lambda n: sn.Conv2D(1, n, 1, rng=rng()),
    "Conv2D kernel_size": lambda n: sn.Conv2D(1, 1, (1, n), rng=rng()),
    "Conv2D stride": lambda n: sn.Conv2D(1, 1, 1, stride=n, rng=rng()),
    "Conv2D padding": lambda n: sn.Conv2D(1, 1, 1, padding=(n, 0), rng=rng()),
    "ConvTranspose2D stride": lambda n: sn.ConvTranspose2D(1, 1, 1, stride=n, rng=rng()),
    "MaxPool2D kernel_size": lambda n: sn.MaxPool2D(n),
    "MaxPool2D stride": lambda n: sn.MaxPool2D(1, stride=[n, 1]),
    "Reshape": lambda n: sn.Reshape((1, n)),
    "Downsample factor": lambda n: sn.corruption.Downsample(n, (2, 2)),
    "Downsample shape": lambda n: sn.corruption.Downsample(1, (n, 2)),
    "binomial n": lambda n: sn.probability.binomial(n, 0.5),
    "check_gradients coordinates": lambda n: sn.check_gradients(sn.Tanh(), X, rng=rng(), coordinates=n),
    "check_gradients directions": lambda n: sn.check_gradients(sn.Tanh(), X, rng=rng(), directions=n),
    "image_grid columns": lambda n: plots.image_grid(X[:, :4], "title", columns=n),
    "image_grid shape": lambda n: plots.image_grid(X, "title", shape=(n, 1)),
    "panels columns": lambda n: plots.panels("title", columns=n),
}


@pytest.mark.parametrize("number", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("take", TAKE_COUNTS.values(), ids=TAKE_COUNTS)
def test_a_whole_number_that_no_index_holds_is_refused_at_once(take, number):
    with pytest.raises(ValueError, match=r" expects .* to be at (most|least) \d+, got a number near -?10\*\*\d+\."):
        take(number)


TAKE_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "GaussianNoise": sn.corruption.GaussianNoise,
    "Masking": sn.corruption.Masking,
    "SaltAndPepper": sn.corruption.SaltAndPepper,
    "binomial p": lambda number: sn.probability.binomial(3, number),
    "check_gradients tolerance": lambda number: sn.check_gradients(sn.Tanh(), X, rng=rng(), tolerance=number),
}
NO_FLOATS = [10**400, -(10**400), 10**5000, Fraction(10**400), Fraction(-(10**400), 3), np.longdouble("inf"), np.nan]


@pytest.mark.parametrize("number", NO_FLOATS, ids=range(len(NO_FLOATS)))
@pytest.mark.parametrize("take", TAKE_NUMBERS.values(), ids=TAKE_NUMBERS)
def test_a_number_that_no_float_holds_is_refused_at_once(take, number):
    with pytest.raises(ValueError, match=r" expects .* in [\[(].*, got .*\."):
        take(number)


def test_a_fraction_that_only_just_misses_1_is_1_to_a_float_and_refused_as_such():
    with pytest.raises(ValueError, match=r"expects share in \[0, 1\), got 1\.0\."):
        sn.corruption.Masking(Fraction(10**400 - 1, 10**400))


@pytest.mark.parametrize("most", [2**31, 2**40, 2**63])
@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding"])
def test_what_does_not_fit_into_an_index_of_32_bits_is_refused_when_the_layer_is_made(name, most):
    for layer in (sn.Conv2D, sn.ConvTranspose2D):
        with pytest.raises(
            ValueError, match=rf"{layer.__name__} expects {name} to be at most 2147483647, got {most}\."
        ):
            layer(1, 1, **{"kernel_size": 1} | {name: most}, rng=rng())


def test_the_largest_stride_gives_the_first_window_alone():
    with sn.kernels.use("numpy"):
        layer = sn.Conv2D(1, 1, 1, stride=2**31 - 1, rng=rng())
        y, backward = layer.forward(IMAGES)
        assert np.allclose(y, layer.W * IMAGES[:, :, :1, :1])
        assert np.count_nonzero(backward(np.ones_like(y))) == len(IMAGES)
        assert np.array_equal(sn.MaxPool2D(1, stride=2**31 - 1).forward(IMAGES)[0], IMAGES[:, :, :1, :1])


# ---- what would be taken for something else


@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: sn.Dense(1, 1, rng=rng(), dtype=dtype),
        lambda dtype: sn.Conv2D(1, 1, 1, rng=rng(), dtype=dtype),
        lambda dtype: sn.ConvTranspose2D(1, 1, 1, rng=rng(), dtype=dtype),
    ],
    ids=["Dense", "Conv2D", "ConvTranspose2D"],
)
def test_none_is_no_type_though_numpy_takes_it_for_float64(make):
    with pytest.raises(TypeError, match=r"expects a floating-point dtype such as np\.float32, got None\."):
        make(None)


@pytest.mark.parametrize("dtype", [">f4", "<f4", "=f4", "f4", np.float32, "float32"])
def test_a_type_in_any_byte_order_is_that_of_this_machine(dtype):
    layer = sn.Dense(8, 1, rng=rng(), dtype=dtype)
    assert layer.W.dtype.isnative
    assert layer.forward(X)[0].dtype == np.float32


MASKED = np.ma.masked_array([0.5, 0.5], mask=[False, True])
TABLE = np.ma.masked_array([[0.5, 0.5], [0.5, 0.5]], mask=[[False, True], [False, False]])
P = [0.5, 0.5]
TAKE_ARRAYS: dict[str, Callable[[Any], Any]] = {
    "conditional": lambda x: sn.probability.conditional([x, x]),
    "total_probability": lambda x: sn.probability.total_probability([P, P], x),
    "total_probability's table": lambda x: sn.probability.total_probability([x, x], P),
    "bayes": lambda x: sn.probability.bayes([P, P], x),
    "bayes' table": lambda x: sn.probability.bayes([x, x], P),
    "expectation's p": lambda x: sn.probability.expectation(x, P),
    "expectation's values": lambda x: sn.probability.expectation(P, x),
    "entropy": lambda x: sn.probability.entropy(x),
    "cross_entropy's p": lambda x: sn.probability.cross_entropy(x, P),
    "cross_entropy's q": lambda x: sn.probability.cross_entropy(P, x),
    "kl's p": lambda x: sn.probability.kl(x, P),
    "kl's q": lambda x: sn.probability.kl(P, x),
    "lines": lambda x: plots.lines({"a": (P, x)}, "title", x_label="", y_label=""),
}


@pytest.mark.parametrize(
    "masked",
    [
        MASKED,
        MASKED.astype(np.float32),
        np.ma.masked_array(P),
        [np.ma.masked, 0.5],
        (0.5, MASKED[1]),
        np.ma.masked_array([1, 0], mask=[True, False]),
    ],
    ids=["masked", "float32", "nothing masked", "in a list", "in a tuple", "integers"],
)
@pytest.mark.parametrize("take", TAKE_ARRAYS.values(), ids=TAKE_ARRAYS)
def test_a_mask_is_refused_and_never_ignored(take, masked):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=r" expects .* without a mask, which it would ignore"):
            take(masked)


@pytest.mark.parametrize(
    "take",
    [
        sn.probability.conditional,
        lambda x: sn.probability.bayes(x, P),
        lambda x: sn.probability.total_probability(x, P),
        sn.probability.entropy,
    ],
)
def test_a_masked_table_is_refused_too(take):
    with pytest.raises(TypeError, match="without a mask"):
        take(TABLE)


BAD = [np.nan, np.inf, -np.inf]
DRAW: dict[str, Callable[[float], Any]] = {
    "image_grid": lambda bad: plots.image_grid(np.array([[1.0, bad, 0.0, 0.0]]), "title"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_what_cannot_be_seen_in_a_picture_is_refused(draw, bad):
    with pytest.raises(sn.DataError, match=r"to be finite, got -?(nan|inf) at \["):
        draw(bad)
