"""Callbacks watch a training and change its course; `fit` calls each at its moments. docs/18-your-own.md."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_choice, check_count, check_float, check_number, check_type, listed
from scratchnet.core.activations import ReLU, Sigmoid, Tanh
from scratchnet.training.run import Callback, Run
from scratchnet.training.storage import arrays_in, learnt, set_arrays

__all__ = ["Anneal", "Callback", "ClipGradients", "EarlyStopping", "Watch"]


class EarlyStopping(Callback):
    """Ends a training that no longer improves, and gives the model back its best epoch.

    A run that this ended ends at once when it is resumed, unless `patience` is now greater. docs/18-your-own.md.
    Prechelt, Early Stopping – But When?, 1998.

    Parameters
    ----------
    patience : int, at least 1
        After this many epochs in a row that were not better, the training ends.
    monitor : str
        "loss", a term or a metric of the loss; or one of these with `val_` before it, measured on the validation data;
        or a number that a callback given before this one puts into `run.record`.
    min_delta : float, at least 0
        An epoch is better if it beats the best so far by more than this. NaN is never better; ±∞ are numbers.
    mode : {"min", "max"}, optional
        Whether less or more is better. None means "min", but for an accuracy it must be given.
    restore_best : bool
        Whether the model gets the best epoch's θ and layer states when training ends, for whatever reason. The
        checkpoint keeps those of the last epoch, from which the same call resumes.
    start_from_epoch : int
        Earlier epochs neither count nor become the best. While `Anneal` raises β, val_loss rises too: begin after the
        warm-up, or monitor "val_reconstruction".
    """

    _run: Run | None = None  # while it is under way

    def __init__(
        self,
        patience: int,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
        start_from_epoch: int = 0,
    ):
        where = "EarlyStopping"
        check_type(where, "monitor", monitor, str, "a string")
        check_type(where, "restore_best", restore_best, bool | np.bool, "True or False")
        if mode is not None:
            check_choice(where, "mode", mode, ("min", "max"))
        elif monitor.removeprefix("val_") == "accuracy":
            raise ValueError(f"{where} expects a mode for {monitor}, got None: pass mode='max' if more is better.")
        self.patience = check_count(where, "patience", patience)
        self.min_delta = check_number(where, "min_delta", min_delta, 0)
        self.start_from_epoch = check_count(where, "start_from_epoch", start_from_epoch, 0)
        self.monitor, self.mode, self.restore_best = monitor, mode or "min", bool(restore_best)

    def before_training(self, run: Run) -> None:
        self._run = run
        self._seen: dict[str, Any] = {"best": None, "best_epoch": 0, "waited": 0, "arrays": None}
        earlier = run.callbacks[: run.callbacks.index(self)]
        if all(type(callback).after_epoch is Callback.after_epoch for callback in earlier):
            self._check(run.names())  # otherwise one of them may put the number into the record

    def _check(self, names: list[str]) -> None:
        if self.monitor not in names:
            hint = ": give fit a validation" if self.monitor.startswith("val_") and "val_loss" not in names else ""
            expected = f"EarlyStopping expects monitor to be one of {listed(names, 12)}"
            raise ValueError(f"{expected}, got {self.monitor!r}{hint}.")

    def after_epoch(self, run: Run) -> None:
        self._check([name for name in run.record if name not in ("epoch", "seconds")])
        if run.epoch < self.start_from_epoch:
            return
        check_float("EarlyStopping", f"run.record[{self.monitor!r}]", run.record[self.monitor])
        score, best = float(run.record[self.monitor]) * (1 if self.mode == "max" else -1), self._seen["best"]
        if not math.isnan(score) if best is None else score - best > self.min_delta:
            self._seen |= {"best": score, "best_epoch": run.epoch, "waited": 0}
            if self.restore_best:
                self._seen["arrays"] = {name: x.copy() for name, x in arrays_in(learnt(run.parameters)).items()}
        else:
            self._seen["waited"] += 1
        self._judge(run)

    def _judge(self, run: Run) -> None:
        waited, best = self._seen["waited"], self._seen["best_epoch"]
        if waited >= self.patience:
            epochs = f"{waited} epoch{'s' * (waited != 1)}"
            was = f"best in epoch {best}, {epochs} ago" if best else f"not a number for {epochs}"
            run.stop(f"{self.monitor} was {was}")

    def after_training(self, run: Run) -> None:
        self._run = None
        if self.restore_best and self._seen["arrays"] is not None:
            set_arrays(learnt(run.parameters), self._seen["arrays"])

    def state_dict(self) -> dict[str, Any]:
        return self._seen

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._seen = state
        if self._run is not None:  # a run that this ended ends at once
            self._judge(self._run)


class ClipGradients(Callback):
    """dθ ← dθ · max_norm / ‖dθ‖ if the norm ‖dθ‖ = √Σ dθ² over all parameters is greater than max_norm.

    A shorter gradient keeps its bits. `max_norm` is above 0. docs/18-your-own.md. Pascanu, Mikolov & Bengio, On the
    Difficulty of Training Recurrent Neural Networks, 2013.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> x = rng.random((40, 4), dtype=np.float32)
    >>> clip = sn.callbacks.ClipGradients(0.1)
    >>> history = sn.fit(ae, x, optimizer=sn.Adam(), epochs=1, rng=rng, progress=False, callbacks=[clip])
    >>> round(float(np.linalg.norm(ae.parameters.dtheta)), 6)       # of the last step
    0.1
    """

    def __init__(self, max_norm: float):
        self.max_norm = check_number("ClipGradients", "max_norm", max_norm, 0, open_low=True)

    def after_backward(self, run: Run) -> None:
        dtheta = run.parameters.dtheta
        largest = float(max(dtheta.max(), -dtheta.min()))
        if largest == 0:
            return
        # ‖dθ‖ = largest · √Σ (dθ/largest)², where no square exceeds 1; a sum of NumPy's, since that of BLAS depends on
        # the number of threads
        root = math.sqrt(np.square(np.divide(dtheta, largest, dtype=np.float64)).sum())
        if root > self.max_norm / largest:
            np.multiply(dtheta, self.max_norm / largest / root, out=dtheta, dtype=np.float64, casting="same_kind")


class Anneal(Callback):
    """Sets attributes of the model before each step, as functions of the step: Anneal(beta=lambda step: …).

    The step is `run.step`, 0 at the first; after `fit` the attribute is that of the last step. While β, the weight of a
    VAE's KL, rises, so do the loss and val_loss, which has the β of the epoch's last step. To stop early then, monitor
    "val_reconstruction", or wait for the warm-up's end with `start_from_epoch`. docs/18-your-own.md. Bowman et al.,
    Generating Sentences from a Continuous Space, 2015.

    Examples
    --------
    >>> import scratchnet as sn
    >>> warm_up = sn.callbacks.Anneal(beta=lambda step: min(1.0, step / 1000))
    """

    def __init__(self, **functions: Callable[[int], float]):
        if not functions:
            raise TypeError("Anneal expects a function of the step, such as beta=lambda step: …, got none.")
        for name, function in functions.items():
            check_type("Anneal", name, function, Callable, "a function of the step")
        self.functions = functions

    def before_training(self, run: Run) -> None:
        for name in self.functions:
            if not isinstance(getattr(run.model, name, None), int | float | np.number):
                model = type(run.model).__name__
                raise ValueError(f"Anneal expects the model to have a number {name}, got {model}, which has none.")

    def before_step(self, run: Run) -> None:
        for name, function in self.functions.items():
            where, least = f"Anneal at step {run.step}", 0 if name == "beta" else -math.inf  # β is a weight
            setattr(run.model, name, check_number(where, name, function(run.step), least, open_low=name != "beta"))


class Watch(Callback):
    """Records for `plots.watched` how large gradients and updates are, and how many units are dead or saturated.

    `records` has for each recorded step "step"; by parameter "gradient", ‖dW‖, and "update", ‖ΔW‖/‖W‖; by activation
    "idle", of ReLU the share of units that are 0 on the whole batch, of Sigmoid and Tanh the share of outputs where
    the slope is below 4 % of its greatest, if the model has `trace`. `every` is the number of steps from one record to
    the next; at 400 records every second one is dropped, and it doubles. docs/19-when-it-does-not-learn.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng, watch = np.random.default_rng(0), sn.callbacks.Watch(every=2)
    >>> ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> x = rng.random((40, 4), dtype=np.float32)
    >>> history = sn.fit(ae, x, optimizer=sn.Adam(), epochs=5, rng=rng, progress=False, callbacks=[watch])
    >>> [record["step"] for record in watch.records], list(watch.records[0]["gradient"])
    ([0, 2, 4], ['encoder.W', 'encoder.b', 'decoder.W', 'decoder.b'])
    """

    def __init__(self, every: int = 10):
        self.every = check_count("Watch", "every", every)
        self.records: list[dict[str, Any]] = []

    def before_training(self, run: Run) -> None:
        self.records, self._every, self._before = [], self.every, {}

    def after_backward(self, run: Run) -> None:
        if (run.step - (self.records[0]["step"] if self.records else run.step)) % self._every == 0:
            gradient = {name: _norm(getattr(part, f"d{W}")) for name, part, W in run.parameters.slots}
            self._now = {"step": run.step, "gradient": gradient, "update": {}, "idle": dict(_idle(run))}
            self._before = {name: W.copy() for name, W in run.parameters.named().items()}

    def after_step(self, run: Run) -> None:
        if not self._before:
            return
        for name, W in run.parameters.named().items():  # against W after the step, since a bias begins at 0
            self._now["update"][name] = _norm(W - self._before[name]) / (_norm(W) or 1.0)
        if len(self.records) == 400:
            self.records, self._every = self.records[::2], 2 * self._every
        self.records.append(self._now)
        self._before = {}

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records, "every": self._every}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.records, self._every = state["records"], state["every"]


def _norm(W: Array) -> float:
    return math.sqrt(np.square(W, dtype=np.float64).sum())


def _idle(run: Run) -> Iterator[tuple[str, float]]:
    """The share of idle units of each activation in the model's trace, which draws from a copy of the generator."""
    layers = {path: part for name, layer in run.parameters.layers.items() for path, part in layer.walk(name)}
    try:
        for name, y in run.model.trace(run.batch, copy.deepcopy(run.rng)):
            match layers.get(path := name.partition(",")[0]):
                case ReLU():
                    yield path, 1 - np.mean(y.any(axis=(0, *range(2, y.ndim)))).item()  # of images, a unit is a channel
                case Sigmoid():
                    yield path, np.mean(4 * y * (1 - y) < 0.04).item()
                case Tanh():
                    yield path, np.mean(1 - y * y < 0.04).item()
    except (AttributeError, LookupError, TypeError, ValueError):  # no trace, or one for another kind of batch
        return
