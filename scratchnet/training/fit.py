"""The training loop: for each batch forward, backward, step."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from scratchnet.checks import check_count, check_number, check_path, check_rng, check_type
from scratchnet.core.optim import Optimizer
from scratchnet.training.checkpoint import Checkpoint
from scratchnet.training.refusals import check_arguments, with_the_others
from scratchnet.training.run import Callback, Data, History, Run
from scratchnet.training.supervision import Bar, FiniteNumbers, Interrupts, Recorder, Records


@with_the_others
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
        Or anything with `loss(batch, rng)`, `parameters`, `dtype` and `unit`; with `trace(batch, rng)` too, a
        divergence is traced to a layer.
    data : (N, D), or a tuple of arrays with N rows each
        Images x; or x and what comes with it, such as labels, of any type. `model.loss` gets the same rows of each.
        An array that is mapped to a file (`np.load(…, mmap_mode="r")`) is read batch by batch.
    optimizer : Optimizer
    epochs, batch_size : int
    rng : numpy.random.Generator
        Draws the order of the examples and the model's noise. The same generator and the same model give the same θ,
        bit for bit, on the same machine.
    validation : like data, optional
        Examples on which the loss is measured after each epoch, with the same noise every time.
    progress : bool
        Whether to show a bar with the running loss, and to print a line per epoch.
    checkpoint : path, optional
        A file to save the run in: before the first step, after every epoch, and within an epoch every
        `checkpoint_seconds`. If it exists, the run is resumed from it and ends as if it had never stopped: with the
        same θ, history (except for the seconds) and state of `rng`, bit for bit.
    callbacks : list of Callback
        Called at their moments, in this order, such as `[sn.callbacks.EarlyStopping(5)]`; each object once.

    Notes
    -----
    Ctrl-C ends the training after the current step, and saves it to the checkpoint; a second one leaves at once.
    docs/18-your-own.md says what is the same bit for bit.

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
    check_type("fit", "progress", progress, bool | np.bool, "True or False")
    seconds = check_number("fit", "checkpoint_seconds", checkpoint_seconds, 0)
    check_arguments(model, data, optimizer, rng, validation, callbacks)

    run = Run(model, data, validation, optimizer, rng, epochs, batch_size, tuple(callbacks), progress)
    bar = [Bar()] if run.progress else []
    run.everyone = [Interrupts(), FiniteNumbers(), Recorder(), *bar, *callbacks, Records()]
    if checkpoint is not None:
        run.everyone.append(Checkpoint(check_path("fit", "checkpoint", checkpoint), seconds, run))

    parameters = model.parameters
    with run.under_way():  # before_training … after_training
        for run.epoch in run.epochs_left():
            if run.position.examples == 0:  # not again where a run is resumed within an epoch
                run.call("before_epoch")
            for run.batch in run.batches_left():
                run.call("before_step")
                with run.learning():
                    run.loss = loss = model.loss(run.batch, rng)
                run.call("after_loss")
                with run.learning():
                    parameters.zero_grad()
                    loss.backward()
                run.call("after_backward")
                optimizer.step(parameters.theta, parameters.dtheta)
                run.call("after_step")
            if run.position.examples == run.examples:  # not where the epoch was left early
                run.call("after_epoch")
    return run.history
