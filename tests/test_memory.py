"""Large arrays lie in memory that is used again once nothing refers to it."""

import gc
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.kernels import memory
from scratchnet.kernels.memory import LEAST, LINE, MOST, empty

LARGE = (LEAST // 4,)


@pytest.fixture(autouse=True)
def nothing_kept():
    memory.release()


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 0, 4), LARGE, (1000, 400)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex128, np.int64])
def test_an_array_is_like_that_of_numpy(shape, dtype):
    x = empty(shape, dtype)
    assert type(x) is np.ndarray
    assert (x.shape, x.dtype) == (shape, dtype)
    assert x.flags.c_contiguous
    assert x.flags.writeable
    assert x.flags.aligned


def test_a_large_array_begins_at_a_cache_line():
    assert empty(LARGE, np.float32).ctypes.data % LINE == 0


def test_the_memory_of_an_array_that_is_gone_is_used_again():
    x = empty(LARGE, np.float32)
    place = x.ctypes.data
    del x
    assert empty(LARGE, np.float32).ctypes.data == place


def on_an_object(x):
    holder = SimpleNamespace()
    holder.itself, holder.x = holder, x  # only a collection of garbage lets it go
    return holder


HELD = {
    "a view": lambda x: x.reshape(2, -1)[1, ::2],
    "a view of a view": lambda x: x[1:][1:].T,
    "a view as another type": lambda x: x.view(np.uint8),
    "its transpose": lambda x: x.reshape(2, -1).T,
    "one number as an array": lambda x: x[:1].reshape(()),
    "a broadcast": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 3),
    "strides": lambda x: np.lib.stride_tricks.as_strided(x, (5,), (4,)),
    "a memoryview": memoryview,
    "a memoryview of bytes": lambda x: memoryview(x).cast("B"),
    "an array over its buffer": lambda x: np.frombuffer(memoryview(x), np.float32),
    "an array through its interface": lambda x: np.asarray(
        SimpleNamespace(__array_interface__=x.__array_interface__, x=x)
    ),
    "an iterator": lambda x: x.flat,
    "a read-only view": lambda x: np.asarray(x).view(),
    "a generator": lambda x: (row for row in x),
    "a closure": lambda x: lambda: x,
    "a list of arrays": lambda x: [x],
    "a masked array": lambda x: np.ma.masked_array(x, copy=False),
    "a memory-sharing subclass": lambda x: x.view(np.matrix),
    "a ring of objects": on_an_object,
}


@pytest.mark.parametrize("how", HELD)
def test_memory_is_not_used_again_while_something_holds_it(how):
    x = empty(LARGE, np.float32)
    place = x.ctypes.data
    held = HELD[how](x)
    del x
    later = [empty(LARGE, np.float32) for _ in range(3)]
    assert place not in [y.ctypes.data for y in later]
    del held, later
    gc.collect()
    assert place in [y.ctypes.data for y in [empty(LARGE, np.float32) for _ in range(4)]]


def test_a_pickled_array_is_a_copy():
    x = empty(LARGE, np.float32)
    x[:] = 1
    copy = pickle.loads(pickle.dumps(x))
    del x
    empty(LARGE, np.float32)[:] = 2
    assert (copy == 1).all()


def test_two_arrays_at_a_time_do_not_share_memory():
    assert not np.shares_memory(empty(LARGE, np.float32), empty(LARGE, np.float32))


def test_threads_of_python_do_not_get_the_same_memory():
    def mixed_up(own: int) -> bool:
        """Whether another thread has ever written into an array of this one."""
        for _ in range(300):
            x = empty(LARGE, np.float32)
            x[::1000] = own
            time.sleep(0)  # others may run
            if not (x[::1000] == own).all():
                return True
        return False

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(mixed_up, range(4))) == [False] * 4


def kept() -> int:
    return sum(size * len(blocks) for size, blocks in memory._kept.items())


def test_no_more_is_kept_than_the_bound():
    arrays = [empty((size, MOST // 64), np.float32) for size in range(1, 9) for _ in range(4)]
    del arrays
    assert 0 < kept() <= MOST


def test_what_is_larger_than_the_bound_goes_back_to_the_system():
    x = empty((MOST,), np.float32)
    del x
    assert kept() == 0


def test_what_is_kept_can_be_let_go():
    x = empty(LARGE, np.float32)
    del x
    assert kept() > 0
    memory.release()
    assert kept() == 0


def test_training_reuses_memory_without_changing_what_was_handed_out():
    layer, x = sn.ReLU(), np.ones((1024, 300), np.float32)
    y, backward = layer.forward(x)
    for _ in range(5):
        layer.forward(2 * x)
    assert (y == 1).all()
    assert (backward(y) == 1).all()
