"""Parts that watch a training and change its course: `fit` calls each at its moment. docs/18-your-own.md."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_count, check_flag, check_number, check_text, listed, named
from scratchnet.core.parameters import set_state, state_arrays
from scratchnet.training.run import Run

__all__ = ["Anneal", "Callback", "ClipGradients", "EarlyStopping"]

MOMENTS = (
    "before_training",
    "before_epoch",
    "before_step",
    "after_loss",
    "after_backward",
    "after_step",
    "after_epoch",
    "after_training",
)


class Callback:
    """What `fit` calls; subclass it and write the moments that you need.

    A step is: before_step → loss, finite? → after_loss → backward, finite? → after_backward → optimizer → after_step.
    An epoch's end is: validation → after_epoch → the printed line → the checkpoint. Callbacks are called in the order
    given, for `after_training` in reverse.

    Notes
    -----
    - `run` says where the training is: see `training.run.Run`. `run.stop(reason)` ends it after the step under way,
      and after an epoch's last step once that epoch is at its end; in `before_training` and `before_epoch`, before the
      next step. The checkpoint is saved, and the same call goes on from there.
    - `before_epoch` is called once an epoch, and not again when a run is resumed within it; but again for an epoch of
      which no step was taken.
    - `after_training` is called if `before_training` returned, whatever ended the training: `run.error` says what. The
      first exception leaves `fit`, later ones are added to it as notes. After an exception nothing is saved: the last
      checkpoint stays good.
    - A callback has a state if it defines `state_dict`, which is first called after `before_training`, at each save.
      On resume `load_state_dict` gets it back, after `before_training`. It holds arrays, numbers, strings, True, False,
      None, dicts with string keys and lists of these; anything else is a TypeError before the first step.
    - A layer's `training` is False in every callback.

    docs/18-your-own.md.

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

    def before_training(self, run: Run) -> None:
        """Once, before anything else; on resume before `load_state_dict`."""

    def before_epoch(self, run: Run) -> None:
        """Before an epoch's first step."""

    def before_step(self, run: Run) -> None:
        """`run.batch` is drawn, and may be changed or replaced."""

    def after_loss(self, run: Run) -> None:
        """`run.loss` is known, and finite."""

    def after_backward(self, run: Run) -> None:
        """dθ is known, and finite; it may be changed in place."""

    def after_step(self, run: Run) -> None:
        """θ has moved."""

    def after_epoch(self, run: Run) -> None:
        """`run.record` is known; numbers put into it stay."""

    def after_training(self, run: Run) -> None:
        """Once, at the end; `run.error` is what was raised, or None."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this callback."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


class EarlyStopping(Callback):
    """Ends a training that no longer gets better, and gives the model back its best epoch.

    An epoch is better if its number is better by more than `min_delta` than that of the last epoch that counted as
    better, which is the best one. NaN is never better; ±∞ are numbers.

    Parameters
    ----------
    patience : int
        At least 1: after so many epochs in a row that were not better the training ends.
    monitor : str
        "loss", a term or a metric of the loss; or one of these with "val_" before it, measured on the validation data;
        or a number that a callback given before this one puts into `run.record`.
    min_delta : float
        At least 0.
    mode : {"min", "max"}, optional
        Whether less or more is better. None means "min", but of an accuracy it must be said.
    restore_best : bool
        Whether θ and the layers' states are those of the best epoch when training ends, however it does. The
        checkpoint keeps those of the last epoch, from which the same call goes on.
    start_from_epoch : int
        Epochs before it neither count nor become the best.

    Raises
    ------
    ValueError
        If an argument is out of its range, or there is no number of the name `monitor`.

    Notes
    -----
    Its verdict follows from what it has seen: a run that it ended ends at once when it is resumed, unless `patience` is
    now greater. While `Anneal` raises β, val_loss rises with it: then monitor "val_reconstruction", or set
    `start_from_epoch` to the first epoch after the warm-up. docs/18-your-own.md. Prechelt, Early Stopping – But When?,
    1998.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> x = rng.random((40, 4), dtype=np.float32)
    >>> stop = sn.callbacks.EarlyStopping(2, min_delta=0.01)
    >>> how = {"epochs": 500, "rng": rng, "progress": False, "validation": x[30:], "callbacks": [stop]}
    >>> history = sn.fit(ae, x[:30], optimizer=sn.Adam(0.05), **how)
    >>> history.stopped == f"val_loss was best in epoch {len(history.epochs) - 2}, 2 epochs ago"
    True
    """

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
        check_text(where, monitor=monitor)
        check_flag(where, "restore_best", restore_best)
        if mode is not None and not (isinstance(mode, str) and mode in ("min", "max")):
            raise ValueError(f"{where} expects mode to be 'min', 'max' or None, got {named(mode)}.")
        if mode is None and monitor.removeprefix("val_") == "accuracy":
            raise ValueError(f"{where} expects mode to be said for {monitor}, got None: mode='max' if more is better.")
        self.patience = check_count(where, "patience", patience)
        self.min_delta = check_number(where, "min_delta", min_delta, 0)
        self.start_from_epoch = check_count(where, "start_from_epoch", start_from_epoch, 0)
        self.monitor, self.mode, self.restore_best = monitor, mode or "min", bool(restore_best)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._best: float | None = None
        self._best_epoch = self._waited = 0
        self._kept: dict[str, Array] = {}  # θ and the layers' states of the best epoch

    def before_training(self, run: Run) -> None:
        self._begin_anew()
        earlier = itertools.takewhile(lambda callback: callback is not self, run.callbacks)
        if any(type(callback).after_epoch is not Callback.after_epoch for callback in earlier):
            return  # it may put the number into the record
        known = self.monitor == "loss" or (self.monitor == "val_loss" and run.validation is not None)
        if not known and self.monitor not in run.names(validation=self.monitor.startswith("val_")):
            self._refuse([*run.names(validation=False), *run.names(validation=True)])

    def _refuse(self, names: list[str]) -> None:
        hint = ": give fit a validation" if self.monitor.startswith("val_") and "val_loss" not in names else ""
        raise ValueError(f"EarlyStopping expects monitor to be one of {listed(names, 12)}, got {self.monitor!r}{hint}.")

    def before_epoch(self, run: Run) -> None:
        self._judge(run)

    def after_epoch(self, run: Run) -> None:
        if self.monitor not in run.record:
            self._refuse([name for name in run.record if name not in ("epoch", "seconds")])
        if run.epoch < self.start_from_epoch:
            return
        value = float(run.record[self.monitor])
        if self._is_better(value):
            self._best, self._best_epoch, self._waited = value, run.epoch, 0
            if self.restore_best:
                self._kept = {"theta": run.parameters.theta.copy()}
                states = state_arrays(run.parameters.state_slots)
                self._kept |= {f"state {name}": array.copy() for name, array in states.items()}
        else:
            self._waited += 1
        self._judge(run)

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self._best is None:
            return True
        return (value - self._best if self.mode == "max" else self._best - value) > self.min_delta

    def _judge(self, run: Run) -> None:
        if self._waited >= self.patience:
            epochs = "1 epoch" if self._waited == 1 else f"{self._waited} epochs"
            if self._best is None:
                run.stop(f"{self.monitor} was not a number for {epochs}")
            else:
                run.stop(f"{self.monitor} was best in epoch {self._best_epoch}, {epochs} ago")

    def after_training(self, run: Run) -> None:
        self._judge(run)  # so that a finished run gives its reason again
        if self.restore_best and self._kept:
            run.parameters.theta[...] = self._kept["theta"]
            states = {name: self._kept[f"state {name}"] for name, _, _ in run.parameters.state_slots}
            set_state(run.parameters.state_slots, states)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "best_epoch": self._best_epoch, "waited": self._waited, "kept": self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best, self._best_epoch, self._waited = state["best"], state["best_epoch"], state["waited"]
        self._kept = state["kept"]


class ClipGradients(Callback):
    """dθ ← dθ · max_norm / ‖dθ‖ where the norm ‖dθ‖ = √Σ dθ² over all parameters is greater than max_norm.

    A gradient that is not that long is left as it is, to the last bit.

    Parameters
    ----------
    max_norm : float
        Above 0.

    Raises
    ------
    ValueError
        If max_norm is out of its range.

    Notes
    -----
    docs/18-your-own.md. Pascanu, Mikolov & Bengio, On the Difficulty of Training Recurrent Neural Networks, 2013.

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
        # ‖dθ‖ = largest · √Σ (dθ/largest)², of which each summand is at most 1; NumPy's sum, since that of BLAS differs
        # with the number of threads
        squares = sum(
            np.square(dtheta[i : i + _BLOCK].astype(np.float64) / largest).sum().item()
            for i in range(0, dtheta.size, _BLOCK)
        )
        root, allowed = math.sqrt(squares), self.max_norm / largest
        if root > allowed:
            np.multiply(dtheta, allowed / root, out=dtheta, dtype=np.float64, casting="same_kind")


_BLOCK = 2**16  # numbers in flight at once


class Anneal(Callback):
    """Sets an attribute of the model before each step, as a function of the step: Anneal(beta=lambda step: …).

    Parameters
    ----------
    **functions : function of the step
        By the name of the attribute, such as `beta`, the weight of a VAE's KL. The step is `run.step`, 0 at the first.

    Raises
    ------
    TypeError
        If what is given is no function, or gives no number.
    ValueError
        If the model has no number of that name, or β is to be negative.

    Notes
    -----
    While β rises, so does the loss, and val_loss, which has the β of the epoch's last step: to stop early then, monitor
    "val_reconstruction", or wait for the warm-up's end with `start_from_epoch`. After `fit` the attribute is that of
    the last step. docs/18-your-own.md. Bowman et al., Generating Sentences from a Continuous Space, 2015.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> vae = sn.VAE(sn.Dense(4, 4, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> warm_up = sn.callbacks.Anneal(beta=lambda step: min(1.0, step / 10))
    >>> x = rng.random((40, 4), dtype=np.float32)
    >>> how = {"epochs": 1, "batch_size": 10, "rng": rng, "progress": False, "callbacks": [warm_up]}
    >>> history = sn.fit(vae, x, optimizer=sn.Adam(), **how)
    >>> vae.beta                                                    # four steps: 0, 0.1, 0.2, 0.3
    0.3
    """

    def __init__(self, **functions: Callable[[int], float]):
        if not functions:
            raise TypeError("Anneal expects a function of the step by the name of an attribute, got none.")
        for name, function in functions.items():
            if not callable(function):
                raise TypeError(f"Anneal expects {name} to be a function of the step, got {named(function)}.")
        self.functions = functions

    def before_training(self, run: Run) -> None:
        for name in self.functions:
            if not isinstance(getattr(run.model, name, None), int | float | np.number):
                raise ValueError(
                    f"Anneal expects the model to have a number of the name {name}, got {type(run.model).__name__}, "
                    "which has none."
                )

    def before_step(self, run: Run) -> None:
        for name, function in self.functions.items():
            where, least = f"Anneal at step {run.step}", 0 if name == "beta" else -math.inf  # β is a weight
            setattr(run.model, name, check_number(where, name, function(run.step), least, open_low=name != "beta"))
