"""One small comparison of each kernel with its formula, on every rung and in both types, and a step of each model.

`python -m pytest -m smoke` is for machines that are slow or strange.
"""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import kernels
from scratchnet.kernels import formulas, samples
from tests.strategies import ENGINES

pytestmark = pytest.mark.smoke

ROWS = np.random.default_rng(1).random((4, 36), np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", formulas.__all__)
def test_a_kernel_computes_its_formula(engine, dtype, kernel):
    with kernels.use(engine):
        assert samples.what_is_wrong(kernel, getattr(kernels, kernel), np.dtype(dtype)) is None


def dense(rng: np.random.Generator) -> sn.Autoencoder:
    return sn.Autoencoder(sn.Sequential(sn.Dense(36, 5, rng=rng), sn.ReLU()), sn.Dense(5, 36, rng=rng))


def convolutional(rng: np.random.Generator) -> sn.Autoencoder:
    encoder = sn.Sequential(sn.Reshape((1, 6, 6)), sn.Conv2D(1, 2, 3, padding=1, rng=rng), sn.Tanh(), sn.MaxPool2D(2))
    return sn.Autoencoder(encoder, sn.Sequential(sn.ConvTranspose2D(2, 1, 2, stride=2, rng=rng), sn.Flatten()))


def variational(rng: np.random.Generator) -> sn.VAE:
    return sn.VAE(
        sn.Sequential(sn.Dense(36, 5, rng=rng), sn.Sigmoid(), sn.Dense(5, 4, rng=rng)), sn.Dense(2, 36, rng=rng)
    )


@pytest.mark.parametrize("make", [dense, convolutional, variational])
def test_a_step_of_the_default_engine_is_that_of_the_formulas(make):
    thetas = []
    for engine in (ENGINES[-1], "numpy"):
        with kernels.use(engine):
            rng = np.random.default_rng(0)
            model = make(rng)
            sn.fit(model, ROWS, optimizer=sn.SGD(0.01), epochs=1, rng=rng, progress=False)
        thetas.append(model.parameters.theta)
    np.testing.assert_allclose(*thetas, rtol=1e-4, atol=1e-5)
