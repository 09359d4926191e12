"""A training as its callbacks see it: how far it has come, what it recorded, and when each of them is called."""

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
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

    The record of an epoch has "epoch" (from 1), "seconds" (of training, without validation), "loss" and each of its
    terms and metrics, means over the epoch's examples while θ was moving; with validation also "val_loss" and `val_`
    before each other name, after the epoch's last step.

    Examples
    --------
    >>> import scratchnet as sn
    >>> history = sn.History(epochs=[{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}])
    >>> history["loss"]
    [3.0, 2.0]
    """

    epochs: list[Record] = field(default_factory=list)  # of the finished epochs
    unit: str = ""  # of the losses and their terms
    interrupted: bool = False  # whether Ctrl-C ended the training early
    stopped: str = ""  # why a callback ended it, or ""

    def __getitem__(self, name: str) -> list[float]:
        """The course of one number over the epochs."""
        return [record[name] for record in self.epochs]


Means = dict[str, tuple[float, int]]
"""The sum of a number over examples and their count, by name: a metric may be missing in some batches."""


def add_to(means: Means, loss: Loss, examples: int) -> None:
    """Include the loss of a batch with this number of examples, with its terms and metrics."""
    for name, value in {"loss": loss.value, **loss.terms, **loss.metrics}.items():
        total, count = means.get(name, (0.0, 0))
        means[name] = total + examples * float(value), count + examples


def averages(means: Means) -> Record:
    """By name, over examples, so that a short batch weighs less."""
    return {name: total / count for name, (total, count) in means.items()}


@dataclass
class Position:
    """Progress within an epoch; with θ, the optimizer's memory and the random state, all that is needed to resume."""

    examples: int = 0  # seen in this epoch
    means: Means = field(default_factory=dict)  # over these examples
    seconds: float = 0.0  # spent on them
    order: Mapping[str, Any] | None = None  # the random state from which the order of the examples is drawn
    validation: Mapping[str, Any] | None = None  # the random state of the validation's noise


@dataclass(eq=False)
class Run:
    """The training in progress, which each callback gets: the arguments of `fit`, and how far it has come."""

    model: Any
    data: Data
    validation: Data | None
    optimizer: Optimizer
    rng: np.random.Generator
    epochs: int
    batch_size: int
    callbacks: tuple[Any, ...]
    progress: bool  # whether to print

    def __post_init__(self) -> None:
        self.epoch = 1  # the current one, counted from 1
        self.batch: Any = None  # what model.loss gets: the step's own copy, which before_step may change or replace
        self.loss: Any = None  # the step's Loss, from after_loss on
        self.history = History(unit=self.model.unit)
        self.record: Record = {}  # in after_epoch: the epoch's, already in the history; numbers put into it stay
        self.error: BaseException | None = None  # what ended the training, in after_training
        self.parameters, self.processes = self.model.parameters, processes_of(self.model)
        self.progress = self.progress and self.processes.leads
        named = {"x": self.data, "validation": self.validation}
        self.given = {name: arrays_of(data) for name, data in named.items() if data is not None}
        self.examples, self.position = len(self.given["x"][0]), Position()
        self.everyone: list[Any] = []  # the callbacks, and those of fit before and after them
        self.calling: Any = None  # the callback that is being called
        self._layers = [layer for _, layer in parts_of(self.parameters.layers)]

    @property
    def step(self) -> int:
        """The steps taken so far, also by earlier calls of `fit`."""
        return self.optimizer.steps

    def stop(self, reason: str = "") -> None:
        """End the training after the current step; the first reason, or the callback's class, is `history.stopped`."""
        check_type("run.stop", "reason", reason, str, "a string")
        self.history.stopped = self.history.stopped or reason or type(self.calling).__name__

    @property
    def ending(self) -> bool:
        """Whether no further step is to be taken."""
        return bool(self.history.stopped) or self.history.interrupted

    def under_way(self) -> ExitStack:
        """From before_training to after_training, whatever is raised in between."""
        step, state, children = self.step, self.rng.bit_generator.state, spawned(self.rng)

        def undo(*raised: Any) -> None:  # an error before the first step leaves the generator as it was
            if raised[1] is not None and self.step == step:
                rewind(self.rng, state, children)

        with ExitStack() as begun:
            begun.push(undo)
            begun.enter_context(np.errstate(over="ignore", invalid="ignore"))  # an overflow shows in the loss
            self._set_training(False)
            for callback in self.everyone:
                self.calling = callback
                callback.before_training(self)
                begun.push(partial(self._end, callback))
            return begun.pop_all()

    def _end(self, callback: Any, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Call after_training; what it raises becomes a note of what was raised before."""
        self.calling, self.error = callback, error
        try:
            callback.after_training(self)
        except BaseException as later:
            if error is None or later is error:
                raise
            error.add_note(f"Then {type(callback).__name__}.after_training raised {type(later).__name__}: {later}")

    def call(self, moment: str) -> None:
        """Call this method of every callback."""
        for callback in self.everyone:
            self.calling = callback
            getattr(callback, moment)(self)

    def epochs_left(self) -> Iterator[int]:
        """The number of each epoch that is not finished."""
        while not self.processes.ending(self) and len(self.history.epochs) < self.epochs:
            yield len(self.history.epochs) + 1

    def batches_left(self) -> Iterator[Data]:
        """The epoch's batches in a new order; if it was begun earlier, the remaining ones in the same order."""
        if self.processes.ending(self):
            return
        at, rng = self.position, self.rng
        if at.order is None:
            at.order = rng.bit_generator.state
        else:
            rng = rewind(copy.deepcopy(rng), at.order)
        order = rng.permutation(self.examples)
        self.began = time.perf_counter() - at.seconds
        for batch in batches(self, "x", order[at.examples :]):
            yield batch
            if self.processes.ending(self):
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

    def names(self) -> list[str]:
        """The names in a record, found in losses of the first batches; draws no random numbers."""
        found = []
        for name in self.given:
            loss = self.loss_of(next(batches(self, name)), copy.deepcopy(self.rng))
            found += [f"{'val_' * (name != 'x')}{one}" for one in ("loss", *loss.terms, *loss.metrics)]
        return found

    def in_a_line(self, record: Record, digits: int) -> str:
        """A record's numbers by name, but not epoch and seconds: first those in the loss's unit, then the others."""
        of_loss = [name for name in record if name.removeprefix("val_") in ("loss", *self.loss.terms)]
        others = [name for name in record if name not in (*of_loss, "epoch", "seconds")]
        in_unit = "  ".join(f"{name} {record[name]:.{digits}f}" for name in of_loss)
        return f"{in_unit} {self.model.unit}{''.join(f'  {name} {record[name]:.4g}' for name in others)}"


class OneProcess(nullcontext[None]):
    """What depends on the number of processes, here one; `parallel.Together` is its counterpart for several."""

    leads = True  # whether this process prints and writes

    def wait(self) -> None:
        """Until every process has come here."""

    def ending(self, run: Run) -> bool:
        """Whether the run ends, on all processes alike."""
        return run.ending


def processes_of(model: Any) -> OneProcess:
    """The processes that train the model."""
    found = getattr(model, "processes", None)
    return found if isinstance(found, OneProcess) else OneProcess()


class Callback:
    """What `fit` calls; subclass it and write the moments that you need.

    A step is: before_step → loss, finite? → after_loss → backward, finite? → after_backward → optimizer → after_step.
    An epoch's end is: validation → after_epoch → the printed line → the checkpoint. Callbacks are called in the order
    given, for `after_training` in reverse. `after_backward` may change dθ in place.

    Notes
    -----
    - `run` says where the training is: see `Run`. A layer's `training` is False in every callback.
    - `run.stop(reason)` ends the training after the current step; if that was an epoch's last, the epoch's end still
      follows; in `before_training` and `before_epoch`, it ends before the next step. The checkpoint is saved, and the
      same call resumes from there.
    - `before_epoch` is not called again when a run is resumed within the epoch, unless no step of it was taken.
    - `after_training` is called if `before_training` returned, whatever was raised in between; `run.error` is that
      exception. `fit` raises the first exception, and adds later ones to it as notes. After an exception nothing is
      saved: the last checkpoint stays valid.
    - A callback has a state if it defines `state_dict`, which is called at each save, first after `before_training`;
      on resume `load_state_dict` gets it back, after `before_training`. It holds arrays, numbers, strings, True, False,
      None, dicts with string keys and lists of these; anything else is a TypeError before the first step.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> class Target(sn.Callback):
    ...     def after_epoch(self, run):
    ...         if run.record["loss"] < 0.5:
    ...             run.stop("the loss is below 0.5")
    >>> rng = np.random.default_rng(0)
    >>> ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> x = rng.random((100, 4), dtype=np.float32)
    >>> history = sn.fit(ae, x, optimizer=sn.Adam(0.01), epochs=99, rng=rng, progress=False, callbacks=[Target()])
    >>> history.stopped, len(history.epochs) < 99
    ('the loss is below 0.5', True)
    """

    def before_training(self, run: Run) -> None: ...  # once, before anything else; on resume before load_state_dict
    def before_epoch(self, run: Run) -> None: ...  # before an epoch's first step
    def before_step(self, run: Run) -> None: ...  # run.batch is drawn, and may be changed or replaced
    def after_loss(self, run: Run) -> None: ...  # run.loss is known, and finite
    def after_backward(self, run: Run) -> None: ...  # dθ is known, and finite; it may be changed in place
    def after_step(self, run: Run) -> None: ...  # θ has moved
    def after_epoch(self, run: Run) -> None: ...  # run.record is known; numbers put into it stay
    def after_training(self, run: Run) -> None: ...  # once, at the end; run.error is what was raised, or None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this callback."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


def spawned(rng: np.random.Generator) -> int:
    """How many children the generator has spawned."""
    return getattr(rng.bit_generator.seed_seq, "n_children_spawned", 0)


def rewind(rng: np.random.Generator, state: Any, children: int | None = None) -> np.random.Generator:
    """Put a generator into this state, and, if `children` is given, let its next child be the one after so many."""
    bits: Any = rng.bit_generator
    bits.state = state
    more = 0 if children is None else children - spawned(rng)
    if more > 0:
        rng.spawn(more)
    elif more < 0 and type(bits.seed_seq) is np.random.SeedSequence:  # which itself only counts up
        fewer: Any = bits.seed_seq.state | {"n_children_spawned": children}
        bits.__setstate__((state, np.random.SeedSequence(**fewer)))
    return rng


def arrays_of(data: Data) -> tuple[Array, ...]:
    """The arrays that data is made of, x first."""
    return tuple(data) if isinstance(data, tuple | list) else (data,)


def batches(run: Run, name: str, order: Array | None = None) -> Iterator[Data]:
    """Copies of the rows of x or validation, batch by batch; the numbers of a file are checked when they are read."""
    arrays = run.given[name]
    order = np.arange(len(arrays[0])) if order is None else order
    for start in range(0, len(order), run.batch_size):
        taken = tuple(_rows(array, order[start : start + run.batch_size]) for array in arrays)
        if isinstance(arrays[0], np.memmap):
            check_examples(run.model, taken, name)
        yield taken if isinstance(run.data, tuple) else taken[0]


def _rows(array: Array, rows: Array) -> Array:
    if type(array) is np.ndarray and array.dtype.kind == "f":
        return kernels.gather(array, rows)
    return np.asarray(array[rows])  # of an array in a file, only these rows are read


def check_examples(model: Any, arrays: tuple[Array, ...], name: str) -> None:
    """The numbers of x are finite, and x and what comes with it are what the model's loss can take."""
    x, *others = arrays
    check_finite("fit", name, x)
    if hasattr(model, "check_range"):
        model.check_range("fit", x, *others, name=name)
