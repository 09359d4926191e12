"""The training loop: shuffle, and for each batch forward, backward, step."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeVar

import numpy as np

from scratchnet.arrays import Array
from scratchnet.callbacks import MOMENTS, Callback
from scratchnet.checks import (
    check_batch,
    check_count,
    check_flag,
    check_in_place,
    check_number,
    check_path,
    check_rng,
    check_rows,
    named,
)
from scratchnet.core.optim import Optimizer
from scratchnet.core.parameters import parts_of
from scratchnet.errors import ShapeError
from scratchnet.training.checkpoint import Checkpoint
from scratchnet.training.run import Data, History, Means, Run, arrays_of, check_examples, take
from scratchnet.training.supervision import Bar, FiniteNumbers, Interrupts, Lines, Records, Validation

__all__ = ["History", "fit"]

Function = TypeVar("Function", bound=Callable[..., Any])


def _no_longer(**gone: str) -> Callable[[Function], Function]:
    """For a function that once had these arguments: what to write in their place."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            for name in gone.keys() & options:
                raise TypeError(f"{function.__name__} no longer takes {name}: {gone[name]}.")
            return function(*arguments, **options)

        return checked  # type: ignore[return-value]

    return decorate


@_no_longer(
    after_epoch="write a callback with an after_epoch(self, run), in which run.record is the epoch's record",
    x="it takes data, an array or a tuple of arrays",
)
def fit(
    model: Any,
    data: Data,
    *,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 128,
    rng: np.random.Generator,
    validation: Data | None = None,
    progress: bool = True,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train the model on data: every example once an epoch, in a new order each time, the last short batch too.

    Parameters
    ----------
    model : Model
        Or anything with `loss(batch, rng)`, `parameters`, `dtype` and `unit`; a divergence is traced to a layer if it
        has `trace(batch, rng)` too.
    data : (N, D), or a tuple of arrays with N rows each
        Images x; or x and what comes with it, such as labels, of any type. `model.loss` gets the same rows of each.
        An array that is mapped to a file (`np.load(…, mmap_mode="r")`) is read batch by batch.
    optimizer : Optimizer
        SGD, Adam or one of your own.
    epochs, batch_size : int
    rng : numpy.random.Generator
        Draws the order of the examples and the model's noise. The same generator and the same model give the same θ,
        bit for bit, on the same machine.
    validation : like data, optional
        Examples to measure the loss on after each epoch, with noise that is the same after every epoch; this does not
        change what is learnt.
    progress : bool
        Show a bar with the running loss, its terms and examples per second, and write a line an epoch.
    checkpoint : path, optional
        A file to save the run in, before the first step, after every epoch, and within an epoch every
        `checkpoint_seconds`. If it is there already, the run goes on from it: to the same θ, the same history (but for
        the seconds) and the same state of `rng`, bit for bit, as if it had never stopped.
    callbacks : list of Callback
        Called at their moments, in this order, such as `[sn.callbacks.EarlyStopping(5)]`.

    Returns
    -------
    History

    Raises
    ------
    DataError
        If x is not finite, or not in the range that the model's loss needs; if labels are not classes; if the
        checkpoint is damaged or of another run.
    DivergenceError
        If the loss or a gradient becomes NaN or infinite.
    OSError
        If the checkpoint cannot be written.
    ShapeError, TypeError, ValueError
        If an argument is not what it should be.

    Notes
    -----
    Ctrl-C ends the training after the step that is under way, saves it, and the history says so; a second Ctrl-C leaves
    at once. docs/05-optimizers.md, also for what is the same bit for bit and what is not.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> x = rng.random((100, 4), dtype=np.float32)
    >>> history = sn.fit(ae, x, optimizer=sn.Adam(0.01), epochs=5, rng=rng, progress=False)
    >>> len(history.epochs), history["loss"][-1] < history["loss"][0]
    (5, True)
    """
    epochs, batch_size = check_count("fit", "epochs", epochs), check_count("fit", "batch_size", batch_size)
    check_rng("fit", rng)
    check_flag("fit", "progress", progress)
    seconds = check_number("fit", "checkpoint_seconds", checkpoint_seconds, 0)
    own = _checked_callbacks(callbacks)
    _check_model(model, optimizer)
    _check_data(model, data, validation)
    run = Run(
        model,
        data,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        rng=rng,
        validation=validation,
        callbacks=own,
    )
    first = [Interrupts(), FiniteNumbers(), *[Bar()] * progress, *[Validation()] * (validation is not None)]
    last = [Records(), *[Lines()] * progress]
    if checkpoint is not None:
        last.append(Checkpoint(check_path("fit", "checkpoint", checkpoint), seconds, run, progress))

    loop, parameters = Loop(run, (*first, *own, *last)), model.parameters
    with loop.running():
        for _ in loop.epochs():
            for batch in loop.batches():
                with loop.learning():
                    run.loss = loss = model.loss(batch, rng)
                loop.call("after_loss")
                with loop.learning():
                    parameters.zero_grad()
                    loss.backward()
                loop.call("after_backward")
                optimizer.step(parameters.theta, parameters.dtheta)
    return run.history


class Loop:
    """The epochs and batches of a run, and the moments of its callbacks around them."""

    def __init__(self, run: Run, callbacks: tuple[Callback, ...]):
        self.run, self._callbacks = run, callbacks
        self._calls = {  # of each moment, the callbacks that have something to do then
            moment: [(one, getattr(one, moment)) for one in callbacks if _overrides(one, moment)] for moment in MOMENTS
        }
        self._learning = _Learning(run)
        x = arrays_of(run.data)[0]
        self._examples, self._in_file = len(x), isinstance(x, np.memmap)  # what lies in a file is checked as it is read

    @contextmanager
    def running(self) -> Iterator[None]:
        """From before_training to after_training, whatever is raised in between."""
        run, ready = self.run, []
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows shows in the loss, which is looked at
            try:
                self._learning.ends()
                for callback in self._callbacks:
                    run.calling = callback
                    callback.before_training(run)
                    ready.append(callback)
                yield
            except BaseException as error:
                run.error = error
            for callback in reversed(ready):
                run.calling = callback
                try:
                    callback.after_training(run)
                except BaseException as error:
                    if run.error is None:
                        run.error = error
                    elif error is not run.error:
                        whose = type(callback).__name__
                        run.error.add_note(f"Then {whose}.after_training raised {type(error).__name__}: {error}")
        if run.error is not None:
            raise run.error

    def epochs(self) -> Iterator[int]:
        """The number of each epoch that is still to be trained, and what comes before and after it."""
        run = self.run
        while len(run.history.epochs) < run.epochs and not run.ending:
            run.epoch, at = len(run.history.epochs) + 1, run.position
            if at.examples == 0:
                self.call("before_epoch")
                if run.ending:
                    return
            yield run.epoch
            if at.examples < self._examples:
                return
            run.record = {"epoch": run.epoch, "seconds": at.seconds, **at.means.record()}
            run.history.epochs.append(run.record)
            at.examples, at.means, at.seconds, at.order = 0, Means(), 0.0, None
            self.call("after_epoch")

    def batches(self) -> Iterator[Data]:
        """The epoch's batches in a new order, or if it is under way those that are left."""
        run, at = self.run, self.run.position
        start = time.perf_counter() - at.seconds
        order = self._order()
        while at.examples < self._examples:
            rows = order[at.examples : at.examples + run.batch_size]
            run.batch = take(run.data, rows)
            if self._in_file:
                check_examples(run.model, run.batch, "x")
            self.call("before_step")
            yield run.batch
            at.means.add(run.loss, len(arrays_of(run.batch)[0]))
            at.examples, at.seconds = at.examples + len(rows), time.perf_counter() - start
            self.call("after_step")
            if run.ending:
                return

    def learning(self) -> "_Learning":
        """In this block the model's layers are in training."""
        return self._learning

    def call(self, moment: str) -> None:
        run = self.run
        for run.calling, method in self._calls[moment]:
            method(run)

    def _order(self) -> Array:
        """The order of the epoch's examples: a new one, or if the epoch is under way the one that it has."""
        at, rng = self.run.position, self.run.rng
        now = rng.bit_generator.state
        if at.order is None:
            at.order = now
            return rng.permutation(self._examples)
        rng.bit_generator.state = at.order
        order = rng.permutation(self._examples)
        rng.bit_generator.state = now
        return order


class _Learning:
    """Sets `training` in all layers of the model; a loss that cannot take the network's output is a divergence."""

    def __init__(self, run: Run):
        self._run = run
        self._layers = [layer for _, layer in parts_of(run.parameters.layers)]

    def __enter__(self) -> None:
        for layer in self._layers:
            layer.training = True

    def ends(self) -> None:
        for layer in self._layers:
            layer.training = False

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.ends()
        if error is not None:
            self._run.told(error, self._run.batch)


def _overrides(callback: Callback, moment: str) -> bool:
    return getattr(getattr(callback, moment), "__func__", None) is not getattr(Callback, moment)


def _checked_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    if isinstance(callbacks, str) or not isinstance(callbacks, Sequence):
        raise TypeError(f"fit expects callbacks to be a list, such as [EarlyStopping(5)], got {named(callbacks)}.")
    callbacks = tuple(callbacks)
    for i, one in enumerate(callbacks):
        if isinstance(one, type) and issubclass(one, Callback):
            raise TypeError(f"fit expects callbacks[{i}] to be an object, got {named(one)}: write {one.__name__}(…).")
        if not isinstance(one, Callback):
            raise TypeError(f"fit expects callbacks[{i}] to be a Callback, got {named(one)}.")
    return callbacks


def _check_model(model: Any, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"fit expects optimizer to be SGD(…) or Adam(…), got {named(optimizer)}: one of your own is an object of a "
            "subclass of Optimizer."
        )
    if not hasattr(optimizer, "learning_rate"):
        raise TypeError(
            f"fit expects {type(optimizer).__name__} to have a learning_rate, got none: begin its __init__ with "
            "super().__init__(learning_rate)."
        )
    if not all(hasattr(model, name) for name in ("loss", "parameters", "dtype", "unit")):
        raise TypeError(f"fit expects a model such as VAE(…) or Autoencoder(…), got {named(model)}.")


def _check_data(model: Any, data: Any, validation: Any) -> None:
    """Both can be trained on; also their numbers, but for those that lie in a file and are read later."""
    both: list[tuple[Any, str]] = [(data, "x")] + [(validation, "validation")] * (validation is not None)
    for given, name in both:
        if isinstance(given, tuple | list) and not (isinstance(given, tuple) and given):
            came = "an empty tuple" if isinstance(given, tuple) else "list"
            raise TypeError(f"fit expects {name} to be a NumPy array, got {came}: several arrays go into a tuple.")
        if given is not data and isinstance(given, tuple) != isinstance(data, tuple):
            raise TypeError(f"fit expects validation to be {_form(data)}, as the data is, got {_form(given)}.")
        x, *others = arrays_of(given)
        width = arrays_of(data)[0].shape[1] if given is not data else None
        check_rows("fit", name, x, width, model.dtype)
        check_batch("fit", x, name)
        if len(others) != len(arrays_of(data)) - 1:
            raise TypeError(f"fit expects validation to be {_form(data)}, as the data is, got {_form(given)}.")
        for i, other in enumerate(others, 1):
            if not isinstance(other, np.ndarray) or other.ndim == 0:
                came = "a single number" if isinstance(other, np.ndarray) else named(other)
                raise TypeError(f"fit expects {name}[{i}] to be an array with a row for each example, got {came}.")
            if len(other) != len(x):
                raise ShapeError(
                    f"fit expects all arrays of {name} to have {len(x):,} rows, as its first has, got {len(other):,} "
                    f"in {name}[{i}]."
                )
        in_file = isinstance(x, np.memmap)
        check_examples(model, (np.asarray(x[:1]), *others) if in_file else given, name)
        for array in (x, *others):
            check_in_place("fit", "theta", model.parameters.theta, **{name: array})


def _form(data: Any) -> str:
    return f"a tuple of {len(data)} arrays" if isinstance(data, tuple) else f"{named(data)}"
