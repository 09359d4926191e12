"""A training as its callbacks see it: what it trains, how far it has come, and what it recorded."""

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_finite, check_type
from scratchnet.core.model import Loss
from scratchnet.core.optim import Optimizer
from scratchnet.core.parameters import parts_of
from scratchnet.errors import DataError
from scratchnet.training import divergence

Record = dict[str, float]

Data = Array | tuple[Array, ...]
"""What a model trains on: an array, or several with equally many rows."""


@dataclass
class History:
    """What a training recorded.

    Attributes
    ----------
    epochs : list of dict
        One for each finished epoch: "epoch" (from 1), "seconds" (of training, without validation), "loss" and each of
        its terms and metrics, means over the epoch's examples while θ was moving; with validation also "val_loss" and
        `val_` before each other name, after the epoch's last step.
    unit : str
        Of the losses and terms.
    interrupted, stopped : bool, str
        Whether Ctrl-C ended the training early, and why a callback did, or "".

    Examples
    --------
    >>> import scratchnet as sn
    >>> history = sn.History(epochs=[{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}])
    >>> history["loss"]
    [3.0, 2.0]
    """

    epochs: list[Record] = field(default_factory=list)
    unit: str = ""
    interrupted: bool = False
    stopped: str = ""

    def __getitem__(self, name: str) -> list[float]:
        """The course of one number over the epochs."""
        return [record[name] for record in self.epochs]


@dataclass
class Means:
    """A loss, its terms and its metrics, averaged over examples, so that a short batch weighs less."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # by name, since a metric may be missing in some batches

    def add(self, loss: Loss, examples: int) -> None:
        """Include the loss of a batch with this number of examples."""
        for name, value in {"loss": loss.value, **loss.terms, **loss.metrics}.items():
            self.sums[name] = self.sums.get(name, 0.0) + examples * float(value)
            self.counts[name] = self.counts.get(name, 0) + examples

    def record(self) -> Record:
        """The means by name."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}


@dataclass
class Position:
    """Progress within an epoch; with θ, the optimizer's memory and the random state, all that is needed to resume."""

    examples: int = 0  # seen in this epoch
    means: Means = field(default_factory=Means)  # over these examples
    seconds: float = 0.0  # spent on them
    order: Mapping[str, Any] | None = None  # the random state from which the order of the examples is drawn
    validation: Mapping[str, Any] | None = None  # the random state of the validation's noise


@dataclass(eq=False)
class Run:
    """The training under way, which each callback gets.

    Attributes
    ----------
    model, optimizer, rng, data, validation, epochs, batch_size, callbacks
        As given to `fit`; `parameters` are the model's.
    epoch, step : int
        The current epoch, counted from 1; the steps taken so far, `optimizer.steps`.
    batch : array or tuple of arrays
        What `model.loss` gets, from `before_step` on: the step's own copy, which `before_step` may change or replace.
    loss : Loss
        The step's, from `after_loss` on.
    history : History
    record : dict
        The epoch's numbers, in `after_epoch`; already in the history, and numbers that are put into it stay.
    error : BaseException or None
        What ended the training, in `after_training`.
    """

    model: Any
    data: Data
    validation: Data | None
    optimizer: Optimizer
    rng: np.random.Generator
    epochs: int
    batch_size: int
    callbacks: tuple[Any, ...]

    def __post_init__(self) -> None:
        self.parameters = self.model.parameters
        self.examples = len(arrays_of(self.data)[0])
        self.history, self.position, self.epoch = History(unit=self.model.unit), Position(), 1
        self.batch: Any = None
        self.loss: Any = None
        self.record: Record = {}
        self.error: BaseException | None = None
        self.everyone: tuple[Any, ...] = self.callbacks  # fit adds its own before and after these
        self.calling: Any = None  # the callback that is being called
        self._stopping = False
        self._layers = [layer for _, layer in parts_of(self.parameters.layers)]

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.optimizer.steps

    def stop(self, reason: str = "") -> None:
        """End the training after the current step; the first reason, or the callback's class, is `history.stopped`."""
        check_type("run.stop", "reason", reason, str, "a text")
        self._stopping = True
        self.history.stopped = self.history.stopped or reason or type(self.calling).__name__

    @property
    def ending(self) -> bool:
        """Whether no further step is to be taken."""
        return self._stopping or self.history.interrupted

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """From before_training to after_training, whatever is raised in between."""
        ready = []
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows in the loss, which is checked
            try:
                self._set_training(False)
                for callback in self.everyone:
                    self.calling = callback
                    callback.before_training(self)
                    ready.append(callback)
                yield
            except BaseException as error:
                self.error = error
            for callback in reversed(ready):
                self.calling = callback
                try:
                    callback.after_training(self)
                except BaseException as error:
                    if self.error is None:
                        self.error = error
                    elif error is not self.error:
                        whose = type(callback).__name__
                        self.error.add_note(f"Then {whose}.after_training raised {type(error).__name__}: {error}")
        if self.error is not None:
            raise self.error

    def call(self, moment: str) -> None:
        """Call this method of every callback."""
        for callback in self.everyone:
            self.calling = callback
            getattr(callback, moment)(self)

    def epochs_left(self) -> Iterator[int]:
        """The number of each epoch that is not finished."""
        while not self.ending and len(self.history.epochs) < self.epochs:
            yield len(self.history.epochs) + 1

    def batches_left(self) -> Iterator[Data]:
        """The epoch's batches in a new order; if it was begun earlier, the remaining ones in the same order."""
        if self.ending:
            return
        at, now = self.position, self.rng.bit_generator.state
        self.rng.bit_generator.state = begin = at.order or now
        order = self.rng.permutation(self.examples)
        if at.order is not None:
            self.rng.bit_generator.state = now
        at.order, self.began = begin, time.perf_counter() - at.seconds
        for batch in batches(self, self.data, "x", order[at.examples :]):
            yield batch
            if self.ending:
                return

    @contextmanager
    def learning(self, training: bool = True, batch: Data | None = None) -> Iterator[None]:
        """Within this block `training` is True in the model's layers; a loss that refuses their output has diverged."""
        try:
            self._set_training(training)
            yield
        except DataError as error:
            self._set_training(False)
            divergence.check_refusal(self, error, self.batch if batch is None else batch)
            raise
        finally:
            self._set_training(False)

    def _set_training(self, training: bool) -> None:
        for layer in self._layers:
            layer.training = training

    def loss_of(self, batch: Data, rng: np.random.Generator) -> Loss:
        """The model's loss on a batch, outside training; it is finite."""
        with self.learning(False, batch):
            loss = self.model.loss(batch, rng)
        divergence.check_loss(self, loss, batch)
        return loss

    def names(self, validation: bool) -> list[str]:
        """The names of the loss, its terms and metrics, found in a loss of the first batch; draws no random numbers."""
        data = self.validation if validation else self.data
        if data is None:
            return []
        loss = self.loss_of(next(batches(self, data, "validation" if validation else "x")), copy.deepcopy(self.rng))
        return [f"{'val_' * validation}{name}" for name in ("loss", *loss.terms, *loss.metrics)]

    def in_a_line(self, numbers: Record, digits: int) -> str:
        """Numbers by name: first those in the loss's unit, then the others."""
        of_loss = [name for name in numbers if name.removeprefix("val_") in ("loss", *self.loss.terms)]
        others = "".join(f"  {name} {value:.4g}" for name, value in numbers.items() if name not in of_loss)
        return f"{'  '.join(f'{name} {numbers[name]:.{digits}f}' for name in of_loss)} {self.model.unit}{others}"


def arrays_of(data: Data) -> tuple[Array, ...]:
    """The arrays that data is made of, x first."""
    return tuple(data) if isinstance(data, tuple | list) else (data,)


def batches(run: Run, data: Data, name: str, order: Array | None = None) -> Iterator[Data]:
    """Copies of the rows in this order, a batch at a time; the numbers of a file are checked when they are read."""
    in_file = isinstance(arrays_of(data)[0], np.memmap)
    order = np.arange(len(arrays_of(data)[0])) if order is None else order
    for start in range(0, len(order), run.batch_size):
        taken = tuple(_rows(array, order[start : start + run.batch_size]) for array in arrays_of(data))
        if in_file:
            check_examples(run.model, taken, name)
        yield taken if isinstance(data, tuple) else taken[0]


def _rows(array: Array, rows: Array) -> Array:
    if type(array) is np.ndarray and array.dtype.kind == "f":
        return kernels.gather(array, rows)
    return np.asarray(array[rows])  # of an array in a file, only these rows are read


def check_examples(model: Any, data: Data, name: str) -> None:
    """The numbers of x are finite, and x and what comes with it are what the model's loss can take."""
    x, *others = arrays_of(data)
    check_finite("fit", name, x)
    if hasattr(model, "check_range"):
        model.check_range("fit", x, *others, name=name)
