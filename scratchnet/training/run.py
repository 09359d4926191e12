"""A training as its callbacks see it, how far it has come, and what it recorded."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_finite, check_text, named
from scratchnet.core.model import Loss
from scratchnet.core.optim import Optimizer
from scratchnet.errors import DataError, DivergenceError
from scratchnet.training import divergence

Record = dict[str, float]

Data = Array | tuple[Array, ...]
"""What a model trains on: an array, or several with equally many rows."""


@dataclass
class History:
    """What training recorded.

    Attributes
    ----------
    epochs : list of dict
        One for each finished epoch: "epoch" (from 1), "seconds" (of training, validation not counted), "loss" and
        each of the loss's terms and metrics, means over the epoch's examples while θ was moving; with validation also
        "val_loss" and "val_" with each other name, after the epoch's last step.
    unit : str
        Of the losses and terms.
    interrupted : bool
        Whether Ctrl-C ended the training early.
    stopped : str
        Why a callback ended the training early, "" if none did.

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
    """A loss, its terms and its metrics, averaged over examples; a short batch weighs as little as it holds."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # not each batch need have each metric
    metrics: list[str] = field(default_factory=list)  # the names that do not have the loss's unit

    def add(self, loss: Loss, examples: int) -> None:
        """Count the loss of so many examples in."""
        if loss.metrics:
            self.metrics += [name for name in loss.metrics if name not in self.metrics]
        sums, counts = self.sums, self.counts
        for name, value in {"loss": loss.value, **loss.terms, **loss.metrics}.items():
            sums[name] = sums.get(name, 0.0) + examples * float(value)
            counts[name] = counts.get(name, 0) + examples

    def record(self) -> Record:
        """The means by name."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}

    def line(self, unit: str) -> str:
        """The means with their unit, for a bar."""
        return in_a_line(self.record(), self.metrics, unit, 1)


@dataclass
class Position:
    """Progress of a run; with θ, the optimizer's memory and the random state, all that is needed to go on.

    Attributes
    ----------
    epochs : list of dict
        The records of the epochs that are done.
    examples : int
        That the epoch under way has seen.
    means : Means
        Of the loss over these examples.
    seconds : float
        Spent on them.
    order : mapping or None
        The random state from which the order of the epoch's examples is drawn; None before the epoch's first step.
    validation : mapping or None
        The random state of the noise of the validation.
    """

    epochs: list[Record] = field(default_factory=list)
    examples: int = 0
    means: Means = field(default_factory=Means)
    seconds: float = 0.0
    order: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None


class Run:
    """The training under way, which each callback gets.

    Attributes
    ----------
    model, parameters, optimizer, rng
        As given to `fit`; the model's parameters.
    data, validation
        As given to `fit`.
    epoch, epochs : int
        The epoch under way, counted from 1, and how many there are to be.
    step : int
        Steps taken so far, `optimizer.steps`: a second `fit` and a resumed one go on counting.
    batch : array or tuple of arrays
        What `model.loss` gets, from `before_step` on: the step's own copy, which `before_step` may change or replace.
    batch_size : int
    loss : Loss
        The step's, from `after_loss` on.
    record : dict
        The epoch's numbers, in `after_epoch`; already in the history, and numbers that are put into it stay.
    history : History
    error : BaseException or None
        What ended the training, in `after_training`.
    callbacks : tuple of Callback
        As given to `fit`.
    position : Position
        How far the run has come.
    """

    def __init__(
        self,
        model: Any,
        data: Data,
        *,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int,
        rng: np.random.Generator,
        validation: Data | None,
        callbacks: tuple[Any, ...],
    ):
        self.model, self.parameters, self.optimizer, self.rng = model, model.parameters, optimizer, rng
        self.data, self.validation = data, validation
        self.epoch, self.epochs, self.batch_size = 1, epochs, batch_size
        self.batch: Any = None
        self.loss: Any = None
        self.record: Record = {}
        self.position = Position()
        self.history = History(self.position.epochs, model.unit)
        self.error: BaseException | None = None
        self.callbacks = callbacks
        self.calling: Any = None  # the callback whose turn it is
        self._stopping = False

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.optimizer.steps

    def stop(self, reason: str = "") -> None:
        """End the training after the step under way; `history.stopped` gives the first reason, or who gave none."""
        check_text("run.stop", reason=reason)
        self._stopping = True
        self.history.stopped = self.history.stopped or reason or type(self.calling).__name__

    @property
    def ending(self) -> bool:
        """Whether no further step is to be taken."""
        return self._stopping or self.history.interrupted

    def loss_of(self, batch: Data, rng: np.random.Generator) -> Loss:
        """The model's loss on a batch; what the network gives and the loss cannot take is a divergence."""
        try:
            loss = self.model.loss(batch, rng)
        except DataError as error:
            self.told(error, batch)
            raise
        return check_is_loss(self.model, loss)

    def told(self, error: BaseException | None, batch: Data) -> None:
        """Raise a DivergenceError in the place of a loss's refusal of what the network gave."""
        if isinstance(error, DataError) and error.of_output:
            said = divergence.of_output(self.model, batch, error, self.optimizer, self.rng)
            raise DivergenceError(said) from error

    def names(self, validation: bool) -> list[str]:
        """The loss, its terms and its metrics, found in a loss of the first batch. This teaches and draws nothing."""
        data = self.validation if validation else self.data
        if data is None:
            return []
        loss = self.loss_of(next(batches_of(data, self.batch_size)), copy.deepcopy(self.rng))
        return [f"{'val_' * validation}{name}" for name in ("loss", *loss.terms, *loss.metrics)]


def arrays_of(data: Data) -> tuple[Array, ...]:
    """The arrays that data is made of, x first."""
    return tuple(data) if isinstance(data, tuple | list) else (data,)


def take(data: Data, rows: Array) -> Data:
    """A copy of these rows of each array."""
    if isinstance(data, tuple):
        return tuple(_rows(array, rows) for array in data)
    return _rows(data, rows)


def check_is_loss(model: Any, loss: Any) -> Loss:
    """What a model's loss returned is a Loss; returned as such."""
    if not isinstance(loss, Loss):
        raise TypeError(f"fit expects {type(model).__name__}.loss to return a Loss(…), got {named(loss)}.")
    return loss


def check_examples(model: Any, data: Data, name: str) -> None:
    """The numbers of x are finite, and x and what comes with it are what the model's loss can take."""
    x, *others = arrays_of(data)
    check_finite("fit", name, x)
    if hasattr(model, "check_range"):
        model.check_range("fit", x, *others, name=name)


def batches_of(data: Data, batch_size: int) -> Iterator[Data]:
    """All rows, in their order."""
    rows = np.arange(len(arrays_of(data)[0]))
    for start in range(0, len(rows), batch_size):
        yield take(data, rows[start : start + batch_size])


def in_a_line(numbers: Record, without_unit: Any, unit: str, digits: int) -> str:
    """The numbers by name: first those that have the loss's unit, then the others."""
    with_unit = "  ".join(f"{name} {value:.{digits}f}" for name, value in numbers.items() if name not in without_unit)
    others = "".join(f"  {name} {value:.4g}" for name, value in numbers.items() if name in without_unit)
    return f"{with_unit} {unit}{others}"


def _rows(array: Array, rows: Array) -> Array:
    if type(array) is np.ndarray and array.dtype.kind == "f":
        return kernels.gather(array, rows)
    return np.asarray(array[rows])  # also of a file in memory, of which it reads these rows only
