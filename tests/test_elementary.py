"""The elementary functions of the compiled kernels: near those of NumPy everywhere, and like them at the ends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit

from scratchnet.kernels import elementary

UNITS = 4  # in the last place, and NumPy's own error is one


def log1m(x):
    return np.log1p(-x)


def over(low: float, high: float) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, n: rng.uniform(low, high, n)


def near_zero(*signs: int) -> Callable[[np.random.Generator, int], Any]:
    return lambda rng, n: rng.choice(signs, n) * 10.0 ** rng.uniform(-30, 0, n)


SUBJECTS = {
    "exp over the range of float32": ("exp", np.exp, over(-87, 88)),
    "exp near 0": ("exp", np.exp, over(-1, 1)),
    "expm1 over the range of float32": ("expm1", np.expm1, over(-87, 88)),
    "expm1 near 0": ("expm1", np.expm1, near_zero(-1, 1)),
    "log over the range of float32": ("log", np.log, lambda rng, n: 10.0 ** rng.uniform(-37, 38, n)),
    "log of numbers too small to be normal": ("log", np.log, lambda rng, n: 10.0 ** rng.uniform(-44, -38, n)),
    "log near 1": ("log", np.log, over(0.9, 1.1)),
    "log1p": ("log1p", np.log1p, over(0, 1)),
    "log1p near 0": ("log1p", np.log1p, near_zero(1)),
    "log1m": ("log1m", log1m, over(0, 1)),
    "log1m near 0": ("log1m", log1m, near_zero(1)),
    "tanh": ("tanh", np.tanh, over(-12, 12)),
    "tanh near 0": ("tanh", np.tanh, near_zero(-1, 1)),
}


def in_a_loop(name: str) -> Callable[[Any, Any], None]:
    """The function over the numbers of a vector, as kernels call it."""
    function = getattr(elementary, name)

    @njit(error_model="numpy")
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return loop


LOOPS = {name: in_a_loop(name) for name in ("exp", "expm1", "log", "log1p", "log1m", "tanh")}


def of(name: str, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    LOOPS[name](x, y)
    return y


both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@both_types
@pytest.mark.parametrize("subject", SUBJECTS)
def test_it_differs_from_numpy_by_a_few_units_in_the_last_place(subject, dtype, rng):
    name, exact, draw = SUBJECTS[subject]
    x = draw(rng, 10_000).astype(dtype)
    expected = exact(x.astype(np.float64))
    unit = np.spacing(np.abs(expected).astype(dtype))
    assert np.max(np.abs(of(name, x) - expected) / unit) < UNITS


@both_types
@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", [0, -np.inf, np.inf, np.nan, -1000, 1000], [1, 0, np.inf, np.nan, 0, np.inf]),
        ("expm1", [0, -np.inf, np.inf, np.nan, -1000, 1000], [0, -1, np.inf, np.nan, -1, np.inf]),
        ("log", [1, 0, -0.0, np.inf, -1, -np.inf, np.nan], [0, -np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan]),
        ("log1p", [0, 1, np.nan], [0, np.log(2), np.nan]),
        ("log1m", [0, 1, 0.5, np.nan], [0, -np.inf, np.log(0.5), np.nan]),
        ("tanh", [0, -np.inf, np.inf, np.nan, 1000], [0, -1, 1, np.nan, 1]),
    ],
)
def test_at_the_ends_of_its_range_it_is_what_it_should_be(name, x, y, dtype):
    np.testing.assert_allclose(of(name, np.array(x, dtype)), np.array(y, dtype), rtol=4 * np.finfo(dtype).eps)


@both_types
def test_exp_fades_into_subnormal_numbers_rather_than_end_at_once(dtype):
    tiny = np.finfo(dtype).tiny
    x = np.log(np.float64(tiny) / 16).astype(dtype)[None]
    assert 0 < of("exp", x)[0] < tiny


def test_tanh_of_zero_is_zero_not_minus_zero():
    assert not np.signbit(of("tanh", np.zeros(1)))[0]
