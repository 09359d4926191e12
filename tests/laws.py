"""The laws that every layer, loss and model keeps, each a property tried at a hundred random points.

A new layer comes under all of them by one line in `LAYERS`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.core.layer import without_dx
from scratchnet.gradcheck import laws
from scratchnet.gradcheck.subject import Outcome, Point, Subject
from scratchnet.kernels import formulas, samples
from tests.numerics import complex_step_derivative, numerical_derivative
from tests.strategies import ENGINES, Case, batch_sizes, cases, seeds

# ---- the subjects

REAL, UNIT, OPEN_UNIT = (-3.0, 3.0), (0.0, 1.0), (0.05, 0.95)

LAYERS: dict[str, Callable[..., tuple[sn.Layer, tuple[int, ...]]]] = {  # → the layer, and the shape of one example
    "Dense": lambda D, M, **how: (sn.Dense(D, M, **how), (D,)),
    "ReLU": lambda D, M, **how: (sn.ReLU(), (D,)),
    "Sigmoid": lambda D, M, **how: (sn.Sigmoid(), (D,)),
    "Tanh": lambda D, M, **how: (sn.Tanh(), (D, M)),
    "Flatten": lambda D, M, **how: (sn.Flatten(), (1, D, M)),
    "Reshape": lambda D, M, **how: (sn.Reshape((M, 1, D)), (D * M,)),
    "Conv2D": lambda D, M, **how: (sn.Conv2D(2, M, 3, padding=1, **how), (2, D, 4)),
    "Conv2D-strided": lambda D, M, **how: (
        sn.Conv2D(1, 2, (3, 2), stride=(2, 3), padding=(2, 1), **how),
        (1, D, M),
    ),
    "ConvTranspose2D": lambda D, M, **how: (sn.ConvTranspose2D(M, 2, 2, **how), (M, 3, D)),
    "ConvTranspose2D-strided": lambda D, M, **how: (
        sn.ConvTranspose2D(2, 1, (4, 3), stride=(2, 4), padding=(1, 0), **how),
        (2, D, 2),
    ),
    "MaxPool2D": lambda D, M, **how: (sn.MaxPool2D(2), (M, D + 1, 5)),
    "MaxPool2D-overlapping": lambda D, M, **how: (sn.MaxPool2D((3, 2), stride=(2, 1)), (2, D + 2, M + 1)),
    "MaxPool2D-with-gaps": lambda D, M, **how: (sn.MaxPool2D((1, 2), stride=3), (1, D, M + 1)),
    "Sequential": lambda D, M, **how: (sn.Sequential(sn.Dense(D, M, **how), sn.Tanh(), sn.Dense(M, 2, **how)), (D,)),
    "Sequential-nested": lambda D, M, **how: (
        sn.Sequential(
            sn.Sequential(sn.ReLU(), sn.Flatten()),
            sn.Sequential(sn.Sequential(sn.Dense(D * M, 3, **how)), sn.Sigmoid()),
        ),
        (D, M),
    ),
    "Sequential-of-images": lambda D, M, **how: (
        sn.Sequential(
            sn.Reshape((1, D, 4)),
            sn.Conv2D(1, M, 3, padding=1, **how),
            sn.Tanh(),
            sn.ConvTranspose2D(M, 2, 2, stride=2, **how),
            sn.Flatten(),
        ),
        (4 * D,),
    ),
    "one-layer-twice": lambda D, M, **how: (sn.Sequential(*[sn.Dense(D, D, **how)] * 2), (D,)),
}

LOSSES = {  # with the ranges of y and the target
    "mse": (sn.mse, REAL, REAL),
    "bce": (sn.bce, OPEN_UNIT, UNIT),
    "bce_with_logits": (sn.bce_with_logits, REAL, UNIT),
}

MODELS: dict[str, Callable[..., sn.Autoencoder | sn.VAE]] = {
    "Autoencoder": lambda D, L, **how: sn.Autoencoder(sn.Dense(D, L, **how), sn.Dense(L, D, **how)),
    "Autoencoder-in-nats": lambda D, L, **how: sn.Autoencoder(
        sn.Sequential(sn.Dense(D, L, **how), sn.Tanh()), sn.Dense(L, D, **how), loss=sn.bce_with_logits
    ),
    "VAE-bernoulli": lambda D, L, **how: sn.VAE(sn.Dense(D, 2 * L, **how), sn.Dense(L, D, **how), beta=4.0),
    "VAE-gaussian": lambda D, L, **how: sn.VAE(
        sn.Dense(D, 2 * L, **how), sn.Dense(L, D, **how), likelihood="gaussian", sigma=0.5, beta=0.25
    ),
}

KINKED = (sn.ReLU, sn.MaxPool2D)
"""Layers without a derivative at x = 0, or where two numbers are equal. In a subject they come before any weights, so
that x can be kept off such places."""


@dataclass
class Tried:
    """A layer, loss or function, and where it can be tried.

    The inputs that have no gradient (targets, noise, a model's images) come last.
    """

    f: Any
    shapes: tuple[tuple[int, ...], ...]  # of one example of each input
    ranges: tuple[tuple[float, float], ...]
    parameters: sn.Parameters | None = None
    kinked: bool = False


def a_layer(name: str, D: int, M: int, dtype: Any) -> Tried:
    layer, shape = LAYERS[name](D, M, rng=np.random.default_rng(0), dtype=dtype)
    kinked = any(isinstance(part, KINKED) for _, part in layer.walk(""))
    return Tried(layer, (shape,), (REAL,), kinked=kinked)


def a_loss(name: str, D: int, M: int, dtype: Any) -> Tried:
    loss, y_range, target_range = LOSSES[name]
    return Tried(loss, ((D, M), (D, M)), (y_range, target_range))


def the_kl(name: str, D: int, M: int, dtype: Any) -> Tried:
    return Tried(sn.kl_standard_normal, ((D,), (D,)), (REAL, REAL))


def a_sample(name: str, D: int, M: int, dtype: Any) -> Tried:
    return Tried(sn.sample_gaussian, ((D,), (D,), (D,)), (REAL, REAL, REAL))


def a_model(name: str, D: int, M: int, dtype: Any) -> Tried:
    model = MODELS[name](D, M, rng=np.random.default_rng(0), dtype=dtype)

    def loss(x, eps):
        return model.loss(x, eps=eps) if isinstance(model, sn.VAE) else model.loss(x)

    return Tried(loss, ((D,), (M,)), (UNIT, REAL), model.parameters)


SCALARS = {**dict.fromkeys(LOSSES, a_loss), "kl_standard_normal": the_kl, **dict.fromkeys(MODELS, a_model)}
MAPS = {**dict.fromkeys(LAYERS, a_layer), "sample_gaussian": a_sample}
SUBJECTS = {**MAPS, **SCALARS}


def inputs_of(case: Case, tried: Tried, N: int, *, gentle: bool = False) -> list[Array]:
    """A batch for each input; a gentle one has no numbers that a difference quotient cannot cope with."""
    large = not gentle and len(tried.shapes) == 1
    inputs = [
        case.array((N, *shape), *bounds, large=large) for shape, bounds in zip(tried.shapes, tried.ranges, strict=True)
    ]
    if gentle and tried.kinked:
        off = 1e-3 + 1e-4 * case.rng.permutation(inputs[0].size).reshape(inputs[0].shape)  # no two numbers are equal
        inputs[0] = inputs[0] + np.where(inputs[0] > 0, off, -off)
    return inputs


def subject_of(case: Case, name: str, *sizes: int, gentle: bool = False) -> tuple[Subject, list[Point]]:
    """The subject of that name in the case's sizes, with some θ, and batches of these sizes."""
    tried = SUBJECTS[name](name, case.D, case.M, np.float64)
    batches = [inputs_of(case, tried, N, gentle=gentle) for N in sizes]
    subject = Subject(tried.f, tuple(batches[0]), 0, tried.parameters)
    for value in subject.held().values():
        value[...] = case.array(value.shape, -1, 1)
    return subject, [dict(zip(subject.inputs, batch, strict=True)) for batch in batches]


def dys_of(case: Case) -> Callable[[Outcome], Array]:
    """Draws any dy, but for a loss dL/dL = 1."""
    return lambda outcome: outcome.random_dy(case.rng) if outcome.is_loss else case.array(outcome.y.shape)


def every(names):
    return pytest.mark.parametrize("name", names)


TRAINED = [name for name in SUBJECTS if subject_of(Case(2, 2, 2, 0), name, 2)[0].held()]


def assert_close(actual: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    same_shape = np.shape(actual) == np.shape(expected)
    if not (same_shape and np.all(np.abs(1.0 * actual - expected) <= atol + rtol * np.abs(expected))):
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)  # it says more, and takes five times as long


# ---- the laws, as scratchnet.gradcheck states them


@every(SUBJECTS)
@given(case=cases)
def test_1_no_array_is_changed_but_a_gradient_and_what_is_handed_out_is_new(name, case):
    subject, batches = subject_of(case, name, case.N, case.M)
    laws.mutates_only_what_it_made(subject, batches, dys_of(case))


@every(MAPS)
@given(case=cases, a=st.floats(-10, 10), b=st.floats(-10, 10))
def test_2_backward_is_linear_in_dy(name, case, a, b):
    subject, (batch,) = subject_of(case, name, case.N)
    outcome, dys = subject.run(batch), dys_of(case)
    laws.is_linear_in_dy(subject, batch, dys(outcome), dys(outcome), a, b)


@every(SUBJECTS)
@given(case=cases, other_N=batch_sizes, last_first=st.booleans())
def test_3_each_backward_pass_belongs_to_its_own_forward_pass(name, case, other_N, last_first):
    subject, batches = subject_of(case, name, case.N, other_N)
    laws.is_re_entrant(subject, batches, dys_of(case), last_first=last_first)


@every(TRAINED)
@given(case=cases)
def test_4_gradients_add_up_until_zero_grad(name, case):
    subject, batches = subject_of(case, name, case.N, case.N)
    laws.accumulates(subject, batches, dys_of(case))


@every(SCALARS)
@given(case=cases, k=st.integers(2, 4))
def test_5_a_loss_does_not_change_when_every_example_comes_k_times(name, case, k):
    subject, (batch,) = subject_of(case, name, case.N)
    laws.averages_over_the_batch(subject, batch, dys_of(case), k)


@every(MAPS)
@given(case=cases)
def test_5_a_layer_treats_each_example_by_itself_and_sums_over_the_batch(name, case):
    subject, (batch,) = subject_of(case, name, case.N)
    laws.has_independent_rows(subject, batch, dys_of(case))


@every(SUBJECTS)
@given(case=cases)
def test_7_the_engine_in_use_agrees_with_the_formulas(name, case):
    subject, (batch,) = subject_of(case, name, case.N)
    laws.is_the_same_under_every_engine(subject, batch, dys_of(case))


# ---- 6. true


def check_slopes(case: Case, name: str, slope, tolerance: float, dtype: Any = np.float64) -> None:
    """In each input and parameter, L = Σ dy ⊙ y is as steep along a random direction as `slope` measures in `dtype`."""
    subject, (batch,) = subject_of(case, name, case.N, gentle=True)
    outcome = subject.run(batch)
    dy = dys_of(case)(outcome)
    tried = SUBJECTS[name](name, case.D, case.M, dtype)
    measured = Subject(tried.f, tuple(batch.values()), 0, tried.parameters, dtype)
    point = {array: x.copy() for array, x in (batch | subject.held()).items()}
    for array, gradient in subject.gradients(outcome, dy).items():

        def loss(moved: Array, array=array):
            return (dy * measured.run(point | {array: moved}).y).sum()

        direction = case.direction(gradient.shape)
        steepest = max(1.0, np.linalg.norm(gradient).item())
        assert abs((gradient * direction).sum() - slope(loss, point[array], direction)) < tolerance * steepest


@every(SUBJECTS)
@given(case=cases)
def test_backward_agrees_with_the_central_difference(name, case):
    check_slopes(case, name, numerical_derivative, 1e-6)


@every(SUBJECTS)
@given(case=cases)
def test_backward_agrees_with_the_complex_step_to_all_digits(name, case):
    def slope(loss, x, direction):
        with kernels.use("numpy"):  # the engine that knows complex numbers
            return complex_step_derivative(loss, x, direction)

    check_slopes(case, name, slope, 1e-12, np.complex128)


# ---- 7. same under every kernel


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_every_kernel(engine):
    with kernels.use(engine):
        for name in formulas.__all__:
            assert callable(getattr(kernels, name))


def own_kernels() -> list[tuple[str, str]]:
    """Each engine with the kernels of its own: the others are those of the rung below."""
    own = {"numpy": formulas.__all__, "numba": formulas.__all__, "blas": ["affine", "matmul_nt", "add_matmul_tn"]}
    if "vector" in ENGINES:
        own["vector"] = importlib.import_module("scratchnet.kernels.vector").__all__
    return [(engine, kernel) for engine in ENGINES for kernel in own[engine]]


@pytest.mark.parametrize(("engine", "kernel"), own_kernels())
@given(N=st.integers(1, 40), D=st.integers(1, 40), M=st.integers(1, 40), seed=seeds)
def test_every_kernel_agrees_with_its_formula_in_double_precision(engine, kernel, N, D, M, seed):
    arguments = samples.arguments(N, D, M, np.random.default_rng(seed))[kernel]
    exact = samples.run(getattr(formulas, kernel), arguments, np.float64)
    with kernels.use(engine):
        for dtype, tolerance in ((np.float32, 2e-5), (np.float64, 1e-12)):
            found = samples.run(getattr(kernels, kernel), arguments, dtype)
            for one, expected in zip(found, exact, strict=True):
                scale = max(1.0, np.abs(expected).max())
                assert_close(one, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kernel", formulas.__all__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_kernel_returns_the_types_of_its_formula(engine, kernel, dtype, rng):
    arguments = samples.arguments(3, 4, 5, rng)[kernel]
    expected = samples.run(getattr(formulas, kernel), arguments, dtype)
    with kernels.use(engine):
        found = samples.run(getattr(kernels, kernel), arguments, dtype)
    assert [one.dtype for one in found] == [one.dtype for one in expected]


@every([name for name in LAYERS if name in TRAINED])
@given(case=cases)
def test_leaving_out_dx_changes_no_parameter_gradient(name, case):
    """The shortcut of the way back that training takes."""
    layer, shape = LAYERS[name](case.D, case.M, rng=case.rng, dtype=np.float64)
    parameters = sn.Parameters(layer=layer)
    y, backward = layer.forward(case.array((case.N, *shape)))
    dy = case.array(y.shape)
    backward(dy)
    with_dx = parameters.dtheta.copy()
    parameters.zero_grad()
    without_dx(layer, backward)(dy)
    assert_close(parameters.dtheta, with_dx)
