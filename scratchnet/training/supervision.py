"""What `fit` looks after besides its loop; each is a callback, and has nothing that one of yours could not have."""

import contextlib
import copy
import math
import signal
import threading
from numbers import Integral, Real
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.callbacks import Callback
from scratchnet.checks import named
from scratchnet.errors import DivergenceError
from scratchnet.training import console, divergence
from scratchnet.training.run import Means, Run, arrays_of, batches_of, check_examples, check_is_loss, in_a_line


class Interrupts(Callback):
    """Ctrl-C ends the training after the step under way; a second one, or one outside the main thread, at once."""

    def before_training(self, run: Run) -> None:
        self._usual: Any = None
        if threading.current_thread() is threading.main_thread():
            self._usual = signal.getsignal(signal.SIGINT)

            def ask(*_: object) -> None:
                run.history.interrupted = True
                self.after_training(run)

            signal.signal(signal.SIGINT, ask)

    def after_training(self, run: Run) -> None:
        if self._usual is not None:
            signal.signal(signal.SIGINT, self._usual)


class FiniteNumbers(Callback):
    """A loss, a gradient or a parameter that is not finite ends the training with a sentence."""

    def after_loss(self, run: Run) -> None:
        check_loss(run, check_is_loss(run.model, run.loss), run.batch, run.rng)

    def after_backward(self, run: Run) -> None:
        if not kernels.all_finite(run.parameters.dtheta):
            raise DivergenceError(divergence.of_gradient(run.model, run.batch, run.loss, run.optimizer, run.rng))

    def after_epoch(self, run: Run) -> None:
        check_state(run)


def check_loss(run: Run, loss: Any, batch: Any, rng: Any) -> None:
    """The loss is finite."""
    if not math.isfinite(loss.value):
        raise DivergenceError(divergence.of_loss(run.model, batch, loss, run.optimizer, rng))


def check_state(run: Run) -> None:
    """After the last step of an epoch no further loss would reveal a parameter that is not finite, so look now."""
    if spoilt := divergence.of_state(run.model, run.optimizer):
        raise DivergenceError(spoilt)


class Validation(Callback):
    """After each epoch the loss on other data, with noise that is the same every time, as "val_…"."""

    def before_epoch(self, run: Run) -> None:
        if run.position.validation is None:  # a spawned generator leaves the training's order unchanged
            run.position.validation = run.rng.spawn(1)[0].bit_generator.state

    def after_epoch(self, run: Run) -> None:
        rng = copy.deepcopy(run.rng)
        rng.bit_generator.state = run.position.validation  # type: ignore[assignment]
        means, in_file = Means(), isinstance(arrays_of(run.validation)[0], np.memmap)  # type: ignore[arg-type]
        for batch in batches_of(run.validation, run.batch_size):  # type: ignore[arg-type]
            if in_file:
                check_examples(run.model, batch, "validation")
            loss = run.loss_of(batch, rng)
            check_loss(run, loss, batch, rng)
            means.add(loss, len(arrays_of(batch)[0]))
        run.record |= {f"val_{name}": value for name, value in means.record().items()}


class Bar(Callback):
    """A bar with the running loss and its terms."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._advance: Any = None

    def before_step(self, run: Run) -> None:
        if self._advance is None:
            total, self._shown = len(arrays_of(run.data)[0]), run.position.examples
            name = f"epoch {run.epoch}/{run.epochs}"
            bar = console.bar(name, total, self._shown, unit="images", show=True)
            self._advance = self._open.enter_context(bar)

    def after_step(self, run: Run) -> None:
        at = run.position
        self._advance(at.examples - self._shown, at.means.line(run.model.unit))
        self._shown = at.examples

    def after_epoch(self, run: Run) -> None:
        self._open.close()
        self._advance = None

    def after_training(self, run: Run) -> None:
        self.after_epoch(run)


class Records(Callback):
    """What callbacks put into an epoch's record is numbers, without a type of NumPy's own."""

    def after_epoch(self, run: Run) -> None:
        for name, value in run.record.items():
            if not isinstance(value, Real) or isinstance(value, bool):
                raise TypeError(f"fit expects after_epoch to add numbers to a record, got {named(value)} as {name!r}.")
            run.record[name] = int(value) if isinstance(value, Integral) else float(value)


class Lines(Callback):
    """A line for each epoch."""

    def after_epoch(self, run: Run) -> None:
        record = run.record
        numbers = {name: value for name, value in record.items() if name not in ("epoch", "seconds")}
        with_unit = {"loss", *run.loss.terms}
        without = {name for name in numbers if name.removeprefix("val_") not in with_unit}
        line = in_a_line(numbers, without, run.model.unit, 2)
        speed = len(arrays_of(run.data)[0]) / record["seconds"]
        epoch = f"epoch {run.epoch:>{len(str(run.epochs))}}/{run.epochs}"
        console.write(f"{epoch}  {line}  {record['seconds']:.1f} s  {speed:,.0f} images/s")
