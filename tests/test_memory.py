"""Arrays begin where they should."""

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.memory import LINE, aligned


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_an_aligned_array_begins_at_a_line_of_the_cache(shape, dtype):
    x = aligned(shape, dtype)
    assert (x.shape, x.dtype) == (shape, dtype)
    assert x.ctypes.data % LINE == 0
    assert x.flags.c_contiguous
    assert x.flags.writeable


def test_the_parameters_of_a_model_and_their_gradients_begin_at_a_line():
    parameters = sn.Parameters(layer=sn.Dense(3, 2, rng=np.random.default_rng(0)))
    assert parameters.theta.ctypes.data % LINE == parameters.dtheta.ctypes.data % LINE == 0
