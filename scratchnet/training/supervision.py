"""What `fit` does besides its loop, as callbacks that use no more than your own can use."""

import copy
import signal
import threading
import time
from numbers import Integral
from typing import Any

from scratchnet.checks import check_float
from scratchnet.training import console, divergence
from scratchnet.training.run import Callback, Position, Run, add_to, arrays_of, averages, batches, rewind


class Interrupts(Callback):
    """Ctrl-C ends the training after the current step; a second one, or one outside the main thread, at once."""

    _usual: Any = None  # the usual handler of Ctrl-C

    def before_training(self, run: Run) -> None:
        def ask(*_: object) -> None:
            run.history.interrupted = True
            self.after_training(run)

        if threading.current_thread() is threading.main_thread():
            self._usual = signal.signal(signal.SIGINT, ask)

    def after_training(self, run: Run) -> None:
        if self._usual is not None:
            signal.signal(signal.SIGINT, self._usual)


class FiniteNumbers(Callback):
    """A loss, a gradient or a parameter that is not finite ends the training with a sentence."""

    def after_loss(self, run: Run) -> None:
        divergence.check_loss(run, run.loss, run.batch)

    def after_backward(self, run: Run) -> None:
        divergence.check_gradient(run)

    def after_epoch(self, run: Run) -> None:
        divergence.check_state(run)


class Recorder(Callback):
    """Counts each step; records the means over an epoch's steps, and as "val_…" those over other data after them."""

    def after_step(self, run: Run) -> None:
        at = run.position
        if run.validation is not None and at.validation is None:  # a spawned generator leaves the order unchanged
            at.validation = run.rng.spawn(1)[0].bit_generator.state
        add_to(at.means, run.loss, len(arrays_of(run.batch)[0]))
        at.examples = min(at.examples + run.batch_size, run.examples)
        at.seconds = time.perf_counter() - run.began

    def after_epoch(self, run: Run) -> None:
        at = run.position
        run.record = {"epoch": run.epoch, "seconds": at.seconds, **averages(at.means)}
        run.history.epochs.append(run.record)
        run.position = Position(validation=at.validation)
        if run.validation is None:
            return
        means, rng = {}, rewind(copy.deepcopy(run.rng), at.validation)
        for batch in batches(run, "validation"):
            add_to(means, run.loss_of(batch, rng), len(arrays_of(batch)[0]))
        run.record |= {f"val_{name}": value for name, value in averages(means).items()}


class Bar(Callback):
    """A bar with the running loss and its terms."""

    _bar: Any = None

    def before_step(self, run: Run) -> None:
        if self._bar is None:
            name = f"epoch {run.epoch}/{run.epochs}"
            self._bar = console.bar(name, run.examples, run.position.examples, unit=_examples(run))

    def after_step(self, run: Run) -> None:
        self._bar.set_postfix_str(run.in_a_line(averages(run.position.means), 1), refresh=False)
        self._bar.update(run.position.examples - self._bar.n)

    def after_epoch(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    after_training = after_epoch


class Records(Callback):
    """Turns what callbacks put into an epoch's record into Python's numbers, and prints the record on a line."""

    def after_epoch(self, run: Run) -> None:
        for name, value in run.record.items():
            check_float("fit", f"run.record[{name!r}]", value)
            run.record[name] = int(value) if isinstance(value, Integral) else float(value)
        if run.progress:
            epoch, seconds = f"epoch {run.epoch:>{len(str(run.epochs))}}/{run.epochs}", run.record["seconds"]
            numbers = run.in_a_line(run.record, 2)
            console.write(f"{epoch}  {numbers}  {seconds:.1f} s  {run.examples / seconds:,.0f} {_examples(run)}/s")


def _examples(run: Run) -> str:
    """What the loss's unit says that an example is."""
    return "images" if run.model.unit.endswith("image") else "examples"
