"""What `fit` refuses before the first step."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from scratchnet.checks import check_batch, check_in_place, check_rows, check_type, check_unmasked, named
from scratchnet.core.optim import Optimizer
from scratchnet.errors import ShapeError
from scratchnet.training.run import Callback, arrays_of, check_examples, processes_of

Function = TypeVar("Function", bound=Callable[..., Any])


def with_the_others(function: Function) -> Function:
    """Decorator of `fit`: where several processes train the model, an error on one ends all."""

    @functools.wraps(function)
    def together(model: Any, *arguments: Any, **options: Any) -> Any:
        if "after_epoch" in options:
            hint = "write a callback with an after_epoch(self, run), in which run.record is the epoch's record"
            raise TypeError(f"fit no longer takes after_epoch: {hint}.")
        with processes_of(model):
            return function(model, *arguments, **options)

    return together  # type: ignore[return-value]


def check_arguments(model: Any, data: Any, optimizer: Any, rng: Any, validation: Any, callbacks: Any) -> None:
    """Each has what the loop uses of it, and the model can be trained on the data."""
    check_type("fit", "callbacks", callbacks, Sequence, "a list, such as [EarlyStopping(5)]")
    for i, one in enumerate(callbacks):
        hint = f": write {one.__name__}(…)" if isinstance(one, type) and issubclass(one, Callback) else ""
        check_type("fit", f"callbacks[{i}]", one, Callback, "a Callback", hint)
        if any(one is other for other in callbacks[:i]):
            raise ValueError(f"fit expects each callback once, got callbacks[{i}] a second time: make another one.")
        for name in dir(one):
            if name.startswith(("before_", "after_")) and not hasattr(Callback, name) and callable(getattr(one, name)):
                raise TypeError(f"fit expects the moments that a Callback has, got {type(one).__name__}.{name}.")
    hint = ": one of your own is an object of a subclass of Optimizer"
    check_type("fit", "optimizer", optimizer, Optimizer, "SGD(…) or Adam(…)", hint)
    if not hasattr(optimizer, "learning_rate"):
        hint = "begin its __init__ with super().__init__(learning_rate)"
        raise TypeError(f"fit expects {type(optimizer).__name__} to have a learning_rate, got none: {hint}.")
    if lacks := [name for name in ("loss", "parameters", "dtype", "unit") if not hasattr(model, name)]:
        came = f"{named(model)}, which has no {' and no '.join(lacks)}"
        raise TypeError(f"fit expects a model such as VAE(…) or Autoencoder(…), got {came}.")
    names = 'a tuple of names, such as ("v",)'
    check_type(type(optimizer).__name__, "memory_names", optimizer.memory_names, tuple | list, names)
    _check_data(model, "x", data, None)
    if validation is not None:
        if not isinstance(rng.bit_generator.seed_seq, np.random.bit_generator.ISpawnableSeedSequence):
            made = "one made from a seed, such as np.random.default_rng(0)"
            raise TypeError(f"fit with validation expects an rng that can spawn, got one that can't: pass {made}.")
        if _form(validation) != _form(data):
            raise TypeError(f"fit expects validation to be {_form(data)}, as the data is, got {_form(validation)}.")
        _check_data(model, "validation", validation, arrays_of(data)[0].shape[1])


def _check_data(model: Any, name: str, data: Any, width: int | None) -> None:
    """The model's loss can take the data; a file's numbers are checked when they are read."""
    if isinstance(data, list) or (isinstance(data, tuple) and not data):
        came = "an empty tuple" if isinstance(data, tuple) else "list"
        raise TypeError(f"fit expects {name} to be a NumPy array, got {came}: several arrays go into a tuple.")
    x, *others = arrays_of(data)
    check_rows("fit", name, x, width, model.dtype)
    check_batch("fit", x, name)
    for i, other in enumerate(others, 1):
        check_type("fit", f"{name}[{i}]", other, np.ndarray, "an array with a row for each example")
        check_unmasked("fit", f"{name}[{i}]", other)
        if other.shape[:1] != x.shape[:1]:
            rows = f"{len(other):,}" if other.ndim else "a single number"
            expected = f"fit expects all arrays of {name} to have {len(x):,} rows, as its first has"
            raise ShapeError(f"{expected}, got {rows} in {name}[{i}].")
    check_examples(model, (np.asarray(x[:1]) if isinstance(x, np.memmap) else x, *others), name)
    for array in (x, *others):
        check_in_place("fit", "theta", model.parameters.theta, **{name: array})


def _form(data: Any) -> str:
    return f"a tuple of {len(data)} arrays" if isinstance(data, tuple) else "one array"
