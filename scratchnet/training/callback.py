"""The base of all callbacks, and what happens when."""

from typing import Any

from scratchnet.training.run import Run


class Callback:
    """What `fit` calls; subclass it and write the moments that you need.

    A step is: before_step → loss, finite? → after_loss → backward, finite? → after_backward → optimizer → after_step.
    An epoch's end is: validation → after_epoch → the printed line → the checkpoint. Callbacks are called in the order
    given, for `after_training` in reverse.

    Notes
    -----
    - `run` says where the training is: see `training.run.Run`. A layer's `training` is False in every callback.
    - `run.stop(reason)` ends the training after the current step; if that was an epoch's last, the epoch's end still
      follows; in `before_training` and `before_epoch`, it ends before the next step. The checkpoint is saved, and the
      same call goes on from there.
    - `before_epoch` is not called again when a run is resumed within the epoch, unless no step of it was taken.
    - `after_training` is called if `before_training` returned, whatever was raised in between; `run.error` is that
      exception. The first exception leaves `fit`, later ones are added to it as notes. After an exception nothing is
      saved: the last checkpoint stays good.
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
