"""Arrays begin where they should, in memory that nobody else uses."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import memory
from scratchnet.memory import LINE, MOST, aligned


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


LARGE = (2**16,)


def test_the_memory_of_an_array_that_is_gone_is_used_again():
    x = aligned(LARGE, np.float32)
    place = x.ctypes.data
    del x
    assert aligned(LARGE, np.float32).ctypes.data == place


def test_memory_is_not_used_again_while_a_view_of_it_is_left():
    x = aligned(LARGE, np.float32)
    view = x.reshape(2, -1)[1, ::2]
    del x
    assert not np.shares_memory(aligned(LARGE, np.float32), view)


def test_two_arrays_at_a_time_do_not_share_memory():
    assert not np.shares_memory(aligned(LARGE, np.float32), aligned(LARGE, np.float32))


def test_threads_of_python_do_not_get_the_same_memory():
    def mixed_up(own: int) -> bool:
        """Whether another thread has ever written into an array of this one."""
        for _ in range(300):
            x = aligned(LARGE, np.float32)
            x[:] = own
            time.sleep(0)  # others may run
            if not (x == own).all():
                return True
        return False

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(mixed_up, range(4))) == [False] * 4


def test_what_is_larger_than_is_kept_goes_back_to_the_system():
    before = {size: len(kept) for size, kept in memory._kept.items()}
    x = aligned((MOST,), np.float32)
    del x
    assert {size: len(kept) for size, kept in memory._kept.items()} == before
