"""The compiled kernels: any shape and any layout, the same bits for any number of threads, and NumPy where they end.

That every kernel gives the numbers of its formula is law 7 in laws.py.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.kernels import formulas, samples
from scratchnet.testing.strategies import LAYOUTS
from tests.strategies import ENGINES, channels, geometries, seeds

pytest.importorskip("numba")

from scratchnet.kernels import loops, threads

RUNGS: dict[str, Any] = {"numba": loops}
if find_spec("scratchnet.kernels.vector"):  # the library works without that folder
    from scratchnet.kernels import vector
    from scratchnet.kernels.vector import sparse

    RUNGS["vector"] = SimpleNamespace(**vars(loops) | {name: getattr(vector, name) for name in vector.__all__})
else:
    sparse: Any = None
EVERY_RUNG = pytest.mark.parametrize("compiled", RUNGS.values(), ids=RUNGS)
VECTOR = pytest.mark.skipif(sparse is None, reason="the folder kernels/vector is not there")
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])

lengths = st.one_of(st.integers(0, 70), st.sampled_from([127, 128, 129, 300]))


def numbers(shape: tuple[int, ...], dtype: type, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_product(C: Array, exact: Array, K: int) -> None:
    """As near as K products of numbers near 1 can be added up."""
    np.testing.assert_allclose(C, exact, rtol=0, atol=8 * (K + 1) ** 0.5 * np.finfo(C.dtype).eps * max(1, K**0.5))


@pytest.fixture(autouse=True)
def all_threads(monkeypatch):
    """Two threads at least, and for work of any size: the other tests run on one."""
    monkeypatch.setattr(threads, "threads", max(2, threads.THREADS))
    monkeypatch.setattr(threads, "LEAST_WORK", 0)
    monkeypatch.setattr(threads, "WORTH_WAKING", 0)
    monkeypatch.setattr(threads, "TRIAL", 0)
    if sparse:
        monkeypatch.setattr(sparse, "NARROWEST", 0)


# ---- the product: y = x W + b, dx = dy Wᵀ, dW += xᵀ dy


@EVERY_RUNG
@FLOATS
@given(N=lengths, D=lengths, M=lengths, seed=seeds)
def test_affine_is_the_product_of_numpy_for_any_shape(compiled, dtype, N, D, M, seed):
    x, W, b = numbers((N, D), dtype, seed), numbers((D, M), dtype, seed + 1), numbers((M,), dtype, seed + 2)
    assert_product(compiled.affine(x, W, b), x.astype(np.float64) @ W + b, D)


@EVERY_RUNG
@FLOATS
@given(N=lengths, D=lengths, M=lengths, seed=seeds)
def test_dy_times_w_transposed_is_that_of_numpy_for_any_shape(compiled, dtype, N, D, M, seed):
    dy, W = numbers((N, M), dtype, seed), numbers((D, M), dtype, seed + 1)
    assert_product(compiled.matmul_nt(dy, W), dy.astype(np.float64) @ W.T, M)


@EVERY_RUNG
@FLOATS
@given(N=lengths, D=lengths, M=lengths, seed=seeds)
def test_x_transposed_times_dy_is_added_for_any_shape(compiled, dtype, N, D, M, seed):
    x, dy, dW = numbers((N, D), dtype, seed), numbers((N, M), dtype, seed + 1), numbers((D, M), dtype, seed + 2)
    exact = dW + x.astype(np.float64).T @ dy
    compiled.add_matmul_tn(dW, x, dy)
    assert_product(dW, exact, N)


@EVERY_RUNG
@pytest.mark.parametrize("of_x", LAYOUTS)
@pytest.mark.parametrize("of_w", LAYOUTS)
@FLOATS
def test_a_product_takes_operands_of_any_layout(compiled, of_x, of_w, dtype):
    x, W = LAYOUTS[of_x](numbers((37, 45), dtype, 1)), LAYOUTS[of_w](numbers((45, 51), dtype, 2))
    b = numbers((51,), dtype, 3)
    assert_product(compiled.affine(x, W, b), x.astype(np.float64) @ W + b, 45)


@EVERY_RUNG
@FLOATS
def test_a_bias_may_have_gaps(compiled, dtype):
    x, W, b = numbers((9, 5), dtype, 1), numbers((5, 40), dtype, 2), numbers((80,), dtype, 3)[::2]
    assert_product(compiled.affine(x, W, b), x.astype(np.float64) @ W + b, 5)


@EVERY_RUNG
@FLOATS
def test_a_product_deeper_than_one_panel_is_added_up_whole(compiled, dtype):
    x, W, b = (
        numbers((30, 3 * 1024 + 7), dtype, 1),
        numbers((3 * 1024 + 7, 40), dtype, 2),
        np.zeros(40, dtype),
    )
    assert_product(compiled.affine(x, W, b), x.astype(np.float64) @ W, len(W))


@EVERY_RUNG
@FLOATS
def test_a_product_writes_nothing_beside_its_result(compiled, dtype):
    around = np.full((20, 60), 7, dtype)
    x, dy = numbers((9, 18), dtype, 1), numbers((9, 41), dtype, 2)
    dW = around[1:-1, 10:51]
    exact = dW + x.astype(np.float64).T @ dy
    compiled.add_matmul_tn(dW, x, dy)
    assert_product(dW, exact, 9)
    around[1:-1, 10:51] = 7
    assert (around == 7).all()


@EVERY_RUNG
@FLOATS
def test_a_nan_or_an_infinity_stays_in_its_row_and_column(compiled, dtype):
    x, W = np.ones((20, 10), dtype), np.ones((10, 40), dtype)
    x[3, 4], x[5, 6] = np.nan, np.inf
    y = compiled.affine(x, W, np.zeros(40, dtype))
    assert np.isnan(y[3]).all()
    assert np.isinf(y[5]).all()
    assert np.isfinite(np.delete(y, [3, 5], axis=0)).all()


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("gaps", [np.s_[:, ::2], np.s_[::2], np.s_[::-1, ::-1]], ids=["columns", "rows", "backwards"])
def test_a_gradient_with_gaps_is_added_to_in_its_places(compiled, dtype, gaps):
    x, dy, whole = numbers((9, 18), dtype, 1), numbers((9, 40), dtype, 2), np.zeros((36, 80), dtype)
    dW = whole[gaps][:18, :40]
    compiled.add_matmul_tn(dW, x, dy)
    assert_product(dW, x.astype(np.float64).T @ dy, 9)
    assert np.count_nonzero(whole) == dW.size
    db = np.zeros(80, dtype)
    compiled.add_column_sums(db[::2], dy)
    assert_product(db[::2], dy.astype(np.float64).sum(axis=0), 9)
    assert not db[1::2].any()


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("name", ["sgd_step", "adam_step"])
def test_an_optimizer_steps_on_arrays_with_gaps(compiled, dtype, name):
    def arrays() -> list[Array]:
        return [np.abs(numbers((20,), dtype, seed))[::2] for seed in range(3 if name == "sgd_step" else 4)]

    settings = (0.1, 0.9) if name == "sgd_step" else (3, 0.1, 0.9, 0.999, 1e-8, 0.01)
    found, exact = arrays(), arrays()
    getattr(compiled, name)(*found, *settings)
    getattr(formulas, name)(*exact, *settings)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- the product that skips zeros


def mostly_zeros(shape: tuple[int, int], dtype: type, seed: int, share: float = 0.2) -> Array:
    x = numbers(shape, dtype, seed)
    x[np.random.default_rng(seed).random(shape) > share] = 0
    return x


def skipping_zeros(x: Array, transposed: bool, B: Array, start: Array) -> tuple[Array, bool]:
    """start + A B, and whether its zeros were skipped; anything would be better than what C holds at first."""
    C = np.full((x.shape[transposed], B.shape[1]), 7, x.dtype)
    return C, sparse.multiply_skipping(x, transposed, B, start, C)


@VECTOR
@FLOATS
@pytest.mark.parametrize("transposed", [False, True], ids=["x W", "xᵀ dy"])
@given(N=lengths, D=lengths, M=lengths, share=st.sampled_from([0.0, 0.05, 0.2]), seed=seeds)
def test_skipping_zeros_gives_the_product_of_numpy_for_any_shape(transposed, dtype, N, D, M, share, seed):
    x = mostly_zeros((N, D), dtype, seed, share)
    A = x.T if transposed else x
    B, start = numbers((A.shape[1], M), dtype, seed + 1), numbers((len(A), M), dtype, seed + 2)
    C, done = skipping_zeros(x, transposed, B, start)
    few = x[:: max(1, len(x) // 8)]
    assert done == (np.count_nonzero(few) <= sparse.DENSEST * few.size)
    if done:
        assert_product(C, start + A.astype(np.float64) @ B, A.shape[1])


@VECTOR
@FLOATS
@pytest.mark.parametrize(("vectors", "pays"), [(7, False), (8, True)])
def test_zeros_are_skipped_only_where_rows_are_wide(monkeypatch, dtype, vectors, pays):
    monkeypatch.setattr(sparse, "NARROWEST", 8)
    x, columns = mostly_zeros((64, 64), dtype, 1), vectors * sparse.VECTOR // np.dtype(dtype).itemsize
    assert skipping_zeros(x, False, numbers((64, columns), dtype, 2), np.zeros((1, columns), dtype))[1] == pays


@VECTOR
@FLOATS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (50, 37), (99, 63), (99, 64)], ids=str)
def test_no_zero_is_skipped_where_it_meets_what_is_not_finite(dtype, bad, place):
    x, B = mostly_zeros((30, 100), dtype, 1), numbers((100, 65), dtype, 2)
    B[place] = bad
    _, done = skipping_zeros(x, False, B, np.zeros((1, 65), dtype))
    assert not done


@EVERY_RUNG
@FLOATS
def test_what_is_not_finite_among_the_images_stays_in_its_row(compiled, dtype):
    x = mostly_zeros((128, 784), dtype, 1)
    x[3, 4], x[5, 6] = np.nan, np.inf
    y = compiled.affine(x, np.ones((784, 400), dtype), np.zeros(400, dtype))
    assert np.isnan(y[3]).all()
    assert np.isinf(y[5]).all()
    assert np.isfinite(np.delete(y, [3, 5], axis=0)).all()


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_a_first_layer_computes_the_same_with_many_zeros_and_with_few(compiled, dtype, share):
    x, W, b = mostly_zeros((128, 784), dtype, 1, share), numbers((784, 401), dtype, 2), numbers((401,), dtype, 3)
    assert_product(compiled.affine(x, W, b), x.astype(np.float64) @ W + b, 784)
    dy, dW = numbers((128, 401), dtype, 4), W.copy()
    compiled.add_matmul_tn(dW, x, dy)
    assert_product(dW, W + x.astype(np.float64).T @ dy, 128)


@VECTOR
@FLOATS
@pytest.mark.parametrize("transposed", [False, True], ids=["x W", "xᵀ dy"])
def test_skipping_zeros_gives_the_same_bits_for_any_number_of_threads(numbers_of_threads, dtype, transposed):
    x = mostly_zeros((77, 300), dtype, 1)
    B, start = numbers((x.shape[not transposed], 203), dtype, 2), numbers((1, 203), dtype, 3)
    assert len({skipping_zeros(x, transposed, B, start)[0].tobytes() for _ in numbers_of_threads}) == 1


# ---- images

some_images = st.sampled_from([0, 1, 2, 5, 15, 16, 17, 35])  # whole blocks of lanes, and blocks that are short


def assert_near(found: Array, exact: Array, terms: int) -> None:
    """As near as so many products of numbers near 1 can be added up."""
    assert found.shape == exact.shape
    np.testing.assert_allclose(found, exact, rtol=0, atol=16 * terms * np.finfo(found.dtype).eps)


@EVERY_RUNG
@FLOATS
@given(N=some_images, C=channels, M=channels, geometry=geometries, seed=seeds)
def test_a_convolution_is_its_formula_for_any_shape(compiled, dtype, N, C, M, geometry, seed):
    x, W, b = numbers((N, C, *geometry.size), dtype, seed), numbers((M, C, *geometry.kernel), dtype, seed + 1), seed % 3
    how = geometry.stride, geometry.padding
    exact = formulas.conv2d(x.astype(np.float64), W, b, *how)
    assert_near(compiled.conv2d(x, W, b, *how), exact, W[0].size + 2)


@EVERY_RUNG
@FLOATS
@given(N=some_images, C=channels, M=channels, geometry=geometries, seed=seeds)
def test_the_adjoint_of_a_convolution_is_its_formula_for_any_shape(compiled, dtype, N, C, M, geometry, seed):
    y, W = numbers((N, M, *geometry.output), dtype, seed), numbers((M, C, *geometry.kernel), dtype, seed + 1)
    b, how = numbers((C,), dtype, seed + 2), (geometry.stride, geometry.padding, geometry.size)
    exact = formulas.conv2d_transpose(y.astype(np.float64), W, b, *how)
    assert_near(compiled.conv2d_transpose(y, W, b, *how), exact, W[:, 0].size + 1)


@EVERY_RUNG
@FLOATS
@given(N=some_images, C=channels, M=channels, geometry=geometries, seed=seeds)
def test_the_weight_gradient_of_a_convolution_is_its_formula_for_any_shape(compiled, dtype, N, C, M, geometry, seed):
    x, dy = numbers((N, C, *geometry.size), dtype, seed), numbers((N, M, *geometry.output), dtype, seed + 1)
    dW, how = numbers((M, C, *geometry.kernel), dtype, seed + 2), (geometry.stride, geometry.padding)
    exact = dW.astype(np.float64)
    formulas.add_conv2d_weights(exact, x.astype(np.float64), dy, *how)
    compiled.add_conv2d_weights(dW, x, dy, *how)
    assert_near(dW, exact, dy[:, 0].size + 1)


@EVERY_RUNG
@FLOATS
@given(N=some_images, C=channels, geometry=geometries, seed=seeds)
def test_a_maximum_and_its_first_place_are_those_of_the_formula_for_any_shape(compiled, dtype, N, C, geometry, seed):
    x = np.round(numbers((N, C, *(L + k for L, k in zip(geometry.size, geometry.kernel, strict=True))), dtype, seed))
    how = geometry.kernel, geometry.stride
    y = formulas.max_pool(x, *how)
    np.testing.assert_array_equal(compiled.max_pool(x, *how), y)
    dy = np.round(100 * numbers(y.shape, dtype, seed + 1))  # whole numbers, which add up without rounding
    exact = formulas.max_pool_backward(dy, x, *how)
    np.testing.assert_array_equal(compiled.max_pool_backward(dy, x, *how), exact)


@EVERY_RUNG
@FLOATS
@given(
    N=some_images,
    C=channels,
    M=channels,
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(6, 14), st.integers(6, 14)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    seed=seeds,
)
def test_a_convolution_of_whole_numbers_makes_no_error(compiled, dtype, N, C, M, strides, size, padding, seed):
    """A kernel twice as long as its stride, of numbers that add up without rounding."""
    x = np.round(3 * numbers((N, C, *size), dtype, seed))
    W, b = np.round(3 * numbers((M, C, *(2 * s for s in strides)), dtype, seed + 1)), np.arange(M).astype(dtype)
    y = formulas.conv2d(x, W, b, strides, padding)
    np.testing.assert_array_equal(compiled.conv2d(x, W, b, strides, padding), y)
    back = formulas.conv2d_transpose(y, W, 0, strides, padding, size)
    if np.abs(back).max(initial=0) < 2**20:  # beyond, float32 rounds whole numbers too
        np.testing.assert_array_equal(compiled.conv2d_transpose(y, W, 0, strides, padding, size), back)


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_stays_in_its_image(compiled, dtype, value):
    x, W = np.ones((20, 2, 5, 5), dtype), np.ones((3, 2, 3, 3), dtype)
    x[17, 1, 2, 2] = value
    y = compiled.conv2d(x, W, 0, (1, 1), (1, 1))
    back = compiled.conv2d_transpose(y, W, 0, (1, 1), (1, 1), (5, 5))
    for one in (y, back):
        assert not np.isfinite(one[17, :, 2, 2]).any()
        assert np.isfinite(np.delete(one, 17, axis=0)).all()


def with_some_not_finite(x: Array, values: list[float], rng: np.random.Generator) -> Array:
    """A copy of x with some zeros and, at three places, one of these values."""
    x = np.where(rng.random(x.shape) < 0.2, x.dtype.type(0), x)
    x.flat[rng.integers(x.size, size=3)] = rng.choice(values, 3)
    return x


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("name", formulas.__all__)
def test_what_is_not_finite_makes_of_each_result_what_the_formula_makes_of_it(compiled, dtype, name):
    values = [-np.inf] if name == "softmax_cross_entropy" else [np.inf, -np.inf, np.nan]  # it refuses other logits
    rng = np.random.default_rng(0)
    for size in (3, 10, 20):
        arguments = samples.arguments(size, 2 * size, size, rng)[name]
        for i, argument in enumerate(arguments):
            if not isinstance(argument, np.ndarray) or argument.dtype.kind != "f":
                continue
            given = (*arguments[:i], with_some_not_finite(argument, values, rng), *arguments[i + 1 :])
            with np.errstate(all="ignore"):
                results = (samples.run(getattr(engine, name), given, dtype) for engine in (compiled, formulas))
                for found, exact in zip(*results, strict=True):
                    for what in (np.isnan, np.isposinf, np.isneginf):
                        np.testing.assert_array_equal(what(found), what(exact), f"argument {i}")


@EVERY_RUNG
@FLOATS
def test_a_nan_is_the_largest_number_of_its_window_and_the_first_nan_gets_the_gradient(compiled, dtype):
    x = np.array([[[[1, np.nan, np.nan, 5]]]], dtype)
    for engine in (compiled, formulas):
        np.testing.assert_array_equal(engine.max_pool(x, (1, 4), (1, 4)), [[[[np.nan]]]])
        np.testing.assert_array_equal(
            engine.max_pool_backward(np.full((1, 1, 1, 1), 7, dtype), x, (1, 4), (1, 4)), [[[[0, 7, 0, 0]]]]
        )


@EVERY_RUNG
@pytest.mark.parametrize("of_x", LAYOUTS)
@pytest.mark.parametrize("of_w", LAYOUTS)
@FLOATS
def test_a_convolution_takes_operands_of_any_layout(compiled, of_x, of_w, dtype):
    x, W = LAYOUTS[of_x](numbers((18, 3, 6, 5), dtype, 1)), LAYOUTS[of_w](numbers((5, 3, 3, 2), dtype, 2))
    how = (2, 1), (1, 0)
    exact = formulas.conv2d(x.astype(np.float64), W, 0, *how)
    y = compiled.conv2d(x, W, 0, *how)
    assert_near(y, exact, 18)
    exact = formulas.conv2d_transpose(exact, W, 0, *how, (6, 5))
    assert_near(compiled.conv2d_transpose(LAYOUTS[of_x](y) * 0 + y, W, 0, *how, (6, 5)), exact, 300)


@EVERY_RUNG
@FLOATS
def test_a_weight_gradient_with_gaps_is_added_to_in_its_places(compiled, dtype):
    x, dy, whole = numbers((9, 2, 6, 6), dtype, 1), numbers((9, 3, 4, 4), dtype, 2), np.zeros((3, 2, 3, 6), dtype)
    compiled.add_conv2d_weights(whole[..., ::2], x, dy, (1, 1), (0, 0))
    exact = np.zeros((3, 2, 3, 3))
    formulas.add_conv2d_weights(exact, x.astype(np.float64), dy, (1, 1), (0, 0))
    assert_near(whole[..., ::2], exact, 9 * 16)
    assert not whole[..., 1::2].any()


# ---- threads


@pytest.fixture
def numbers_of_threads(monkeypatch):
    """While one of these numbers is looked at, there are so many threads."""

    def each() -> Iterator[int]:
        for count in (1, 2, 3, 5):
            monkeypatch.setattr(threads, "threads", count)
            yield count

    return each()


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("shape", [(128, 784, 400), (128, 400, 40), (128, 20, 400), (3, 5, 7), (1, 1000, 1)])
def test_any_number_of_threads_gives_the_same_bits(compiled, numbers_of_threads, shape, dtype):
    N, D, M = shape
    x, W, b = numbers((N, D), dtype, 1), numbers((D, M), dtype, 2), numbers((M,), dtype, 3)
    found = []
    for _ in numbers_of_threads:
        y = compiled.affine(x, W, b)
        dW = np.ones_like(W)
        compiled.add_matmul_tn(dW, x, y)
        value, dy = compiled.bce_with_logits(y, (y > 0).astype(dtype))
        db = np.ones_like(b)
        compiled.add_column_sums(db, dy)
        dx, h = compiled.matmul_nt(dy, W), compiled.relu(x)
        bends = compiled.relu_backward(dx, h), compiled.tanh(x), compiled.sigmoid(x)
        found.append([a.tobytes() for a in (y, dW, value, dy, db, dx, h, *bends)])
    assert len(found) == 4
    assert all(one == found[0] for one in found)


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize(
    ("N", "C", "M", "size", "kernel", "stride", "padding"),
    [(128, 1, 16, 28, 3, 1, 1), (50, 16, 4, 14, 3, 1, 1), (33, 64, 32, 14, 4, 2, 1), (1, 1, 1, 5, 2, 2, 0)],
)
def test_images_are_computed_to_the_same_bits_by_any_number_of_threads(
    compiled, numbers_of_threads, dtype, N, C, M, size, kernel, stride, padding
):
    x, W, b = numbers((N, C, size, size), dtype, 1), numbers((M, C, kernel, kernel), dtype, 2), numbers((M,), dtype, 3)
    how = (stride, stride), (padding, padding)
    found = []
    for _ in numbers_of_threads:
        y = compiled.conv2d(x, W, b, *how)
        dW, db = np.ones_like(W), np.ones_like(b)
        compiled.add_conv2d_weights(dW, x, y, *how)
        compiled.add_channel_sums(db, y)
        pooled = compiled.max_pool(x, (2, 2), (2, 2))
        back = compiled.max_pool_backward(pooled, x, (2, 2), (2, 2))
        dx = compiled.conv2d_transpose(y, W, 0, *how, (size, size))
        found.append([a.tobytes() for a in (y, dW, db, dx, pooled, back)])
    assert len(found) == 4
    assert all(one == found[0] for one in found)


@EVERY_RUNG
@FLOATS
@pytest.mark.parametrize("name", formulas.__all__)
def test_every_kernel_gives_the_same_bits_on_any_number_of_threads(compiled, numbers_of_threads, dtype, name):
    given = samples.arguments(37, 50, 23, np.random.default_rng(0))[name]
    found = []
    for _ in numbers_of_threads:
        results = samples.run(getattr(compiled, name), given, dtype)
        found.append([np.asarray(result).tobytes() for result in results])
    assert all(one == found[0] for one in found)


@EVERY_RUNG
def test_a_number_may_come_as_an_int_or_a_numpy_scalar(compiled, numbers_of_threads):
    x = numbers((40, 30), np.float32, 1)
    for _ in numbers_of_threads:
        for divisor in (4, np.float32(4), np.float64(4), np.int64(4), True * 4):
            quotient = x.copy()
            compiled.divide(quotient, divisor)
            np.testing.assert_array_equal(quotient, x / 4)


@pytest.mark.parametrize("engine", RUNGS)
def test_training_gives_the_same_bytes_on_any_number_of_threads(numbers_of_threads, engine):
    x = np.random.default_rng(0).random((300, 50), np.float32)
    thetas = []
    for _ in numbers_of_threads:
        rng = np.random.default_rng(1)
        encoder = sn.Sequential(sn.Dense(50, 64, rng=rng), sn.ReLU(), sn.Dense(64, 8, rng=rng))
        vae = sn.VAE(encoder, sn.Dense(4, 50, rng=rng))
        with kernels.use(engine):
            sn.fit(vae, x, optimizer=sn.Adam(), epochs=2, rng=rng, progress=False)
        thetas.append(vae.parameters.theta.tobytes())
    assert len(thetas) == 4
    assert all(theta == thetas[0] for theta in thetas)


# ---- the memory of Adam, and batches


@EVERY_RUNG
@FLOATS
def test_a_mean_that_would_make_numbers_below_the_normal_ones_is_zero(compiled, dtype):
    least = 10 * np.finfo(dtype).tiny  # times 1 − β₁, or the learning rate
    theta, dtheta, m, v = (np.array(a, dtype) for a in ([1, 1], [0, 0], [1.05 * least, 2 * least], [1, 1]))
    compiled.adam_step(theta, dtheta, m, v, 1000, 0.1, 0.9, 0.999, 1e-8, 0.0)
    np.testing.assert_array_equal(m == 0, [True, False])


@EVERY_RUNG
def test_a_batch_may_count_from_the_end(compiled):
    x = numbers((5, 3), np.float32, 1)
    np.testing.assert_array_equal(compiled.gather(x, np.array([-1, 4, 0])), x[[4, 4, 0]])


@EVERY_RUNG
def test_a_batch_of_no_rows_has_none(compiled):
    assert compiled.gather(np.ones((5, 3), np.float32), np.array([], np.int64)).shape == (0, 3)


@EVERY_RUNG
@pytest.mark.parametrize("row", [5, -6])
def test_a_row_that_is_not_there_is_refused(compiled, row):
    with pytest.raises(IndexError):
        compiled.gather(np.ones((5, 3), np.float32), np.array([row]))


# ---- where the compiled kernels end


@pytest.mark.parametrize("engine", RUNGS)
@pytest.mark.parametrize("dtype", ["complex128", "float16", "longdouble", ">f4", ">f8"])
def test_other_types_are_computed_by_the_formulas(engine, dtype):
    x, W, b = (numbers(shape, np.float64, 1).astype(dtype) for shape in ((3, 4), (4, 5), (5,)))
    with kernels.use(engine):
        np.testing.assert_array_equal(kernels.affine(x, W, b), formulas.affine(x, W, b))
        np.testing.assert_array_equal(kernels.sigmoid(x), formulas.sigmoid(x))


@pytest.mark.parametrize("engine", RUNGS)
def test_types_that_are_mixed_are_computed_by_the_formulas(engine):
    x, W, b = numbers((3, 4), np.float32, 1), numbers((4, 5), np.float64, 2), numbers((5,), np.float64, 3)
    with kernels.use(engine):
        np.testing.assert_array_equal(kernels.affine(x, W, b), formulas.affine(x, W, b))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("target", [-0.01, 1.01, np.nan, np.inf])
def test_a_target_that_is_no_probability_has_no_cross_entropy(engine, target):
    targets = np.full((3, 20), 0.5, np.float32)
    targets[1, 7] = target
    with kernels.use(engine):
        value, dlogits = kernels.bce_with_logits(np.ones_like(targets), targets)
    assert np.argwhere(np.isnan(value)).tolist() == [[1]]
    assert np.argwhere(np.isnan(dlogits)).tolist() == [[1, 7]]


@EVERY_RUNG
@FLOATS
def test_extreme_arguments_give_what_the_formula_gives(compiled, dtype):
    x = np.array([0.0, -0.0, 1e-45, 80.0, -80.0, 200.0, -200.0, 1e4, -1e4, np.inf, -np.inf, np.nan]).astype(dtype)[None]
    target = np.full_like(x, 0.25)
    with np.errstate(all="ignore"):
        for name, arguments in (("sigmoid", (x,)), ("relu", (x,)), ("tanh", (x,)), ("bce_with_logits", (x, target))):
            found, exact = (np.atleast_1d(getattr(engine, name)(*arguments)[0]) for engine in (compiled, formulas))
            np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-30, err_msg=name)


@EVERY_RUNG
@FLOATS
def test_logits_as_far_apart_as_floats_can_be_give_what_the_formula_gives(compiled, dtype):
    largest = np.finfo(dtype).max
    logits = np.array([-np.inf, -largest, -1, 0, 1, largest], dtype)
    pairs = np.stack(np.meshgrid(logits, logits[1:]), axis=-1).reshape(-1, 2)  # not both −∞
    with np.errstate(over="ignore"):
        for label in (0, 1):
            labels = np.full(len(pairs), label)
            value, dlogits = compiled.softmax_cross_entropy(pairs, labels)
            exact_value, exact_dlogits = formulas.softmax_cross_entropy(pairs, labels)
            np.testing.assert_allclose(value, exact_value, rtol=1e-6)
            np.testing.assert_allclose(dlogits, exact_dlogits, rtol=1e-6)
