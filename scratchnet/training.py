"""The training loop: shuffle, and for each batch forward, backward, step."""

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from scratchnet import console, divergence, kernels
from scratchnet.checkpoint import Checkpoint, Position, digest
from scratchnet.checks import (
    check_batch,
    check_count,
    check_finite,
    check_flag,
    check_function,
    check_in_place,
    check_number,
    check_path,
    check_rng,
    check_rows,
    named,
)
from scratchnet.errors import DivergenceError
from scratchnet.models.model import Loss, Model
from scratchnet.optim import Optimizer
from scratchnet.types import Array

Record = dict[str, float]


@dataclass
class History:
    """What training recorded.

    Attributes
    ----------
    epochs : list of dict
        One for each finished epoch: "epoch" (from 1), "seconds" (of training, validation not counted), "loss" and
        each of the loss's terms, means over the epoch's images while θ was moving; with validation also "val_loss" and
        "val_" with each term's name, after the epoch's last step.
    unit : str
        Of the losses and terms.
    interrupted : bool
        Whether Ctrl-C ended the training early.

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

    def __getitem__(self, name: str) -> list[float]:
        """The course of one number over the epochs."""
        return [record[name] for record in self.epochs]


def fit(
    model: Model,
    x: Array,
    *,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 128,
    rng: np.random.Generator,
    validation: Array | None = None,
    progress: bool = True,
    after_epoch: Callable[[Record], None] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
) -> History:
    """Train the model on images x: every image once an epoch, in a new order each time, the last short batch too.

    Parameters
    ----------
    model : Model
        Or anything with `loss(x, rng)`, `parameters`, `dtype` and `unit`; a divergence is traced to a layer if it has
        `trace(x, rng)` too.
    x : (N, D)
    optimizer : SGD or Adam
    epochs, batch_size : int
    rng : numpy.random.Generator
        Draws the order of the images and the model's noise. The same generator and the same model give the same θ,
        bit for bit, on the same machine.
    validation : (N_val, D), optional
        Images to measure the loss on after each epoch, with noise that is the same after every epoch; this does not
        change what is learnt.
    progress : bool
        Show a bar with the running loss, its terms and images per second, and write a line an epoch.
    after_epoch : function, optional
        Called with each epoch's record, in place of writing that line. Numbers that it adds to the record stay there.
    checkpoint : path, optional
        A file to save the run in, before the first step, after every epoch, and within an epoch every
        `checkpoint_seconds`. If it is there already, the run goes on from it: to the same θ, the same history (but for
        the seconds) and the same state of `rng`, bit for bit, as if it had never stopped.

    Returns
    -------
    History

    Raises
    ------
    DataError
        If x is not finite, or not in the range that the model's loss needs; if the checkpoint is damaged or of another
        run.
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
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit expects optimizer to be SGD(…) or Adam(…), got {named(optimizer)}.")
    if not all(hasattr(model, name) for name in ("loss", "parameters", "dtype", "unit")):
        raise TypeError(f"fit expects a model such as VAE(…) or Autoencoder(…), got {named(model)}.")
    check_count("fit", "epochs", epochs)
    check_count("fit", "batch_size", batch_size)
    check_rng("fit", rng)
    check_function("fit", "after_epoch", after_epoch)
    check_flag("fit", "progress", progress)
    if checkpoint is not None:
        check_path("fit", "checkpoint", checkpoint)
    check_number("fit", "checkpoint_seconds", checkpoint_seconds, 0)
    check_rows("fit", "x", x, None, model.dtype)
    images_given = {"x": x, "validation": validation}
    for name, images in images_given.items():
        if images is not None:
            check_rows("fit", name, images, x.shape[1], model.dtype)
            check_batch("fit", images, name)
            check_finite("fit", name, images)
            check_in_place("fit", "theta", model.parameters.theta, **{name: images})
    # Spawned, so that validating leaves the order of x alone; copied, so that its noise is the same every epoch.
    validation_rng = rng.spawn(1)[0] if validation is not None else rng
    at, saver = Position(), None
    if checkpoint is not None:
        data = {name: images if images is None else digest(images) for name, images in images_given.items()}
        settings = {"batch_size": batch_size, **data}
        limits = {"epochs": epochs, "images": len(x), "batch_size": batch_size}
        saver = Checkpoint(checkpoint, checkpoint_seconds, model, optimizer, rng, settings, limits)
        at = saver.begin()
        if at.validation is not None:
            validation_rng.bit_generator.state = at.validation
        if progress and optimizer.steps:
            done = divergence.steps(optimizer)
            console.write(f"{checkpoint}: goes on after {done}, in epoch {len(at.epochs) + 1}/{epochs}")
    if validation is not None:
        at.validation = validation_rng.bit_generator.state
    history = History(at.epochs, model.unit)
    # What overflows shows in the loss, and that is looked at in every step.
    with _interrupt_between_steps() as interrupted, np.errstate(over="ignore", invalid="ignore"):
        while len(at.epochs) < epochs:
            epoch = len(at.epochs) + 1
            name = f"epoch {epoch}/{epochs}"
            start = time.perf_counter() - at.seconds
            means = _Means(at.sums, at.images)
            with console.bar(name, len(x), at.images, unit="images", show=progress) as advance:
                for rows in _batches(_order(at, len(x), rng)[at.images :], batch_size):
                    if interrupted():
                        break
                    means.add(_step(model, kernels.gather(x, rows), optimizer, rng), len(rows))
                    at.images, at.seconds = means.images, time.perf_counter() - start
                    if saver is not None and saver.is_due():
                        _check_state(model, optimizer)
                        saver.save(at)
                    if progress:
                        advance(len(rows), means.line(model.unit))
            if means.images < len(x):
                break
            _check_state(model, optimizer)
            record: Record = {"epoch": epoch, "seconds": time.perf_counter() - start, **means.record()}
            if validation is not None:
                record |= _validate(model, validation, batch_size, copy.deepcopy(validation_rng), optimizer)
            at.epochs.append(record)
            at.images, at.sums, at.seconds, at.order = 0, {}, 0.0, None
            if after_epoch is not None:
                after_epoch(record)
            elif progress:
                console.write(_line(record, epochs, len(x), model.unit))
            if saver is not None:
                saver.save(at)
        history.interrupted = interrupted()
        if saver is not None and history.interrupted and len(at.epochs) < epochs:
            _check_state(model, optimizer)
            saver.save(at)
            if progress:
                done = divergence.steps(optimizer)
                console.write(f"Saved in {checkpoint} after {done}: the same call goes on from there.")
    return history


def _order(at: Position, images: int, rng: np.random.Generator) -> Array:
    """The order of the epoch's images: a new one, or if the epoch is under way the one that it has."""
    now = rng.bit_generator.state
    if at.order is None:
        at.order = now
        return rng.permutation(images)
    rng.bit_generator.state = at.order
    order = rng.permutation(images)
    rng.bit_generator.state = now
    return order


def _step(model: Model, x: Array, optimizer: Optimizer, rng: np.random.Generator) -> Loss:
    loss = _finite_loss(model, x, optimizer, rng)
    model.parameters.zero_grad()
    loss.backward()
    if not kernels.all_finite(model.parameters.dtheta):
        raise DivergenceError(divergence.of_gradient(model, x, loss, optimizer, rng))
    optimizer.step(model.parameters.theta, model.parameters.dtheta)
    return loss


def _validate(model: Model, x: Array, batch_size: int, rng: np.random.Generator, optimizer: Optimizer) -> Record:
    means = _Means()
    for rows in _batches(np.arange(len(x)), batch_size):
        means.add(_finite_loss(model, kernels.gather(x, rows), optimizer, rng), len(rows))
    return {f"val_{name}": value for name, value in means.record().items()}


def _finite_loss(model: Model, x: Array, optimizer: Optimizer, rng: np.random.Generator) -> Loss:
    loss = model.loss(x, rng)
    if not math.isfinite(loss.value):
        raise DivergenceError(divergence.of_loss(model, x, loss, optimizer, rng))
    return loss


def _check_state(model: Model, optimizer: Optimizer) -> None:
    """The last step of an epoch has no loss after it that would show what it spoilt."""
    if spoilt := divergence.of_state(model, optimizer):
        raise DivergenceError(spoilt)


def _batches(rows: Array, batch_size: int) -> Iterator[Array]:
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


class _Means:
    """The loss and its terms, averaged over images; a short batch weighs as little as it holds."""

    def __init__(self, sums: dict[str, float] | None = None, images: int = 0) -> None:
        self._sums = {} if sums is None else sums
        self.images = images

    def add(self, loss: Loss, images: int) -> None:
        for name, value in {"loss": loss.value, **loss.terms}.items():
            self._sums[name] = self._sums.get(name, 0.0) + images * value
        self.images += images

    def record(self) -> Record:
        return {name: total / self.images for name, total in self._sums.items()}

    def line(self, unit: str) -> str:
        return "  ".join(f"{name} {value:.1f}" for name, value in self.record().items()) + f" {unit}"


def _line(record: Record, epochs: int, images: int, unit: str) -> str:
    numbers = {name: value for name, value in record.items() if name not in ("epoch", "seconds")}
    return (
        f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}  "
        + "  ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        + f" {unit}  {record['seconds']:.1f} s  {images / record['seconds']:,.0f} images/s"
    )


@contextmanager
def _interrupt_between_steps() -> Iterator[Callable[[], bool]]:
    """Ctrl-C sets a flag for the loop to read; a second one, and one outside the main thread, interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False
    usual: Any = signal.getsignal(signal.SIGINT)

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, usual)
