"""A training run on disk: killed at any moment, it goes on where it was saved and ends at the same bits."""

import hashlib
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.checks import brief, named
from scratchnet.errors import DataError
from scratchnet.kernels.memory import empty
from scratchnet.models.model import Model
from scratchnet.optim import Optimizer
from scratchnet.storage import clear_aside, opened, read_array, read_arrays, write_arrays, write_whole
from scratchnet.types import Array

_FORMAT = 2


@dataclass
class Position:
    """How far a run has come. With θ, the optimizer's memory and the random state it is all that going on needs.

    Attributes
    ----------
    epochs : list of dict
        The records of the epochs that are done.
    images : int
        That the epoch under way has seen.
    sums : dict
        Of the loss and its terms, over these images.
    seconds : float
        Spent on them.
    order : mapping or None
        The random state from which the order of the epoch's images is drawn; None before the epoch has begun.
    validation : mapping or None
        The random state of the noise of the validation.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    images: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    order: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None


class Checkpoint:
    """The file in which a run of `fit` is saved, and the run that it belongs to.

    Parameters
    ----------
    path : path
    seconds : float
        How long to train between two saves within an epoch.
    model, optimizer, rng
        Of the run, as they are before it.
    settings : dict
        What else makes the run what it is: it can go on only with the same.
    limits : dict
        Its `epochs`, the `images` of one, and its `batch_size`: a position beyond them is none of this run.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        seconds: float,
        model: Model,
        optimizer: Optimizer,
        rng: np.random.Generator,
        settings: dict[str, Any],
        limits: dict[str, int],
    ):
        self.path, self.seconds = Path(path), seconds
        self._model, self._optimizer, self._rng = model, optimizer, rng
        self._saved = time.monotonic()
        memory, fixed = optimizer.memory_names, {"steps", "learning_rate", *optimizer.memory_names}
        self._settings = {
            "the model": re.sub(r" at 0x[0-9a-f]+", "", repr(model)),  # where a function lies is no setting
            "the optimizer": type(optimizer).__name__,
            **{name: value for name, value in vars(optimizer).items() if name not in fixed},
            **settings,
            "the engine of the kernels": kernels.active(),
        }
        self._memory = {name: np.zeros_like(model.parameters.theta) for name in memory}
        self._began = {"theta": digest(model.parameters.theta), "rng": rng.bit_generator.state}
        self._limits = limits
        self._most = 2**20 + 2**14 * int(limits["epochs"])  # bytes of all but the arrays

    def begin(self) -> Position:
        """Where to go on: what the file holds if there is one. It is written at once, to see that it can be."""
        clear_aside(self.path)
        position = self._load() if self.path.exists() else Position()
        self.save(position)
        return position

    def is_due(self) -> bool:
        """Whether the last save is so long ago that another one is worth its time."""
        return time.monotonic() - self._saved >= self.seconds

    def save(self, position: Position) -> None:
        """Write the run as it stands now, whole or not at all.

        Raises
        ------
        OSError
            If that fails; what was saved before stands there still.
        TypeError, ValueError
            If a record holds what is no number, or too many.
        """
        for name, value in [item for record in position.epochs[-1:] for item in record.items()]:
            if not isinstance(value, Real) or isinstance(value, bool):
                raise TypeError(f"fit expects after_epoch to add numbers to a record, got {named(value)} as {name!r}.")
        optimizer, theta = self._optimizer, self._model.parameters.theta
        state = {
            "format": _FORMAT,
            "settings": self._settings,
            "began": self._began,
            "theta": digest(theta),
            "memory": {name: digest(getattr(optimizer, name, zeros)) for name, zeros in self._memory.items()},
            "steps": optimizer.steps,
            "rates": self._rates(optimizer.steps),
            "rng": self._rng.bit_generator.state,
            "position": asdict(position),
        }
        text = _text(state).encode()
        if len(text) > self._most:  # read back, it takes 30 times as much memory at worst
            raise ValueError(
                f"fit expects after_epoch to add few numbers to a record, got {len(text):,} bytes of records, "
                f"which may be {self._most:,}."
            )
        memory = {name: getattr(optimizer, name, zeros) for name, zeros in self._memory.items()}
        arrays = {"theta": theta, **memory, "state": np.frombuffer(text, np.uint8)}
        try:
            with write_whole(self.path) as file:
                write_arrays(file, arrays)
        except OSError as error:
            before = "; what was saved there before is kept" if self.path.exists() else ""
            raise type(error)(
                error.errno, f"the run cannot be saved ({error.strerror}){before}", str(self.path)
            ) from error
        self._saved = time.monotonic()

    def _load(self) -> Position:
        """What the file says, once all of it was found to belong to this run; only then anything changes."""
        theta, optimizer = self._model.parameters.theta, self._optimizer
        with opened(self.path, "checkpoint", ("theta", "state", *self._memory)) as archive:
            state = json.loads(read_array(archive, "state", self._most).tobytes())
            if state["format"] != _FORMAT:
                raise DataError("was written by another version of scratchnet: begin the run anew, with another file.")
            self._compare(state)
            arrays = read_arrays(archive, {"theta": theta, **self._memory}, besides=("state",))
            if digest(arrays["theta"]) != state["theta"]:
                raise ValueError("its parameters are not those that were saved")
            if {name: digest(arrays[name]) for name in self._memory} != state["memory"]:
                raise ValueError("the optimizer's memory is not what was saved")
            position = _position(state["position"], **self._limits)
            self._check_random_state(state["rng"])
            for random_state in (position.order, position.validation):
                if random_state is not None:
                    self._check_random_state(random_state)
        theta[...] = arrays["theta"]
        optimizer.steps = state["steps"]
        for name, zeros in self._memory.items():
            kept = empty(zeros.shape, zeros.dtype)
            kept[...] = arrays[name]
            setattr(optimizer, name, kept)
        self._rng.bit_generator.state = state["rng"]
        self._began = state["began"]
        return position

    def _compare(self, state: dict[str, Any]) -> None:
        """The run in the file is this run, or DataError names what is different."""
        there, here = state["settings"], _plain(self._settings)
        differences = [
            f"{brief(name)} is {brief(there.get(name), 400)} there and {brief(here.get(name), 400)} here"
            for name in {**here, **there}
            if there.get(name) != here.get(name)
        ]
        if not (type(state["steps"]) is int and 0 <= state["steps"] < 2**53):
            raise ValueError("its number of steps makes no sense")
        rates = self._rates(state["steps"])
        differences += [
            f"the learning rate at step {step} is {brief(rate)} there and {rates[step]} here"
            for step, rate in state["rates"].items()
            if rates[step] != rate
        ]
        now = _plain(self._began)
        if now["theta"] not in (state["began"]["theta"], state["theta"]):
            differences.append("the model began with other weights")
        if now["rng"] not in (state["began"]["rng"], state["rng"]):
            differences.append("rng began in another state, as with another seed")
        if differences:
            raise DataError(
                f"holds another run: {'; '.join(differences[:8])}; make model, optimizer and rng as they were for it, "
                "or give this run another file."
            )

    def _check_random_state(self, state: Mapping[str, Any]) -> None:
        """NumPy takes the state, and would read nothing beyond its numbers: it does not look where it is to go on."""
        type(self._rng.bit_generator)().state = state
        if not (0 <= state["state"].get("pos", 0) <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):  # MT19937, Philox
            raise ValueError("its random state makes no sense")

    def _rates(self, steps: int) -> dict[str, float]:
        """The learning rate at the first step and at the last one taken: a function has no other name."""
        rate = self._optimizer.learning_rate
        return {str(step): float(rate(step) if callable(rate) else rate) for step in {0, max(0, steps - 1)}}


def digest(x: Array) -> str:
    """A name for these numbers, in this shape and type, that no others have (SHA-256)."""
    x = np.ascontiguousarray(x)
    return f"{x.shape} of {x.dtype}, {hashlib.sha256(x.reshape(-1).view(np.uint8).data).hexdigest()[:16]}"


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The state as it comes back from a file."""
    return json.loads(_text(state))


def _text(state: dict[str, Any]) -> str:
    return json.dumps(state, default=lambda number: number.tolist())


def _position(found: dict[str, Any], epochs: int, images: int, batch_size: int) -> Position:
    """A position at which a run of these epochs, images and batches can be."""
    position = Position(**found)
    numbers = [position.images, position.seconds, *position.sums.values()]
    if not (
        all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and type(position.images) is int
        and position.images in (*range(0, images, batch_size), images)
        and (position.order is not None or position.images == 0)
        and type(position.epochs) is list
        and all(type(number) in (int, float) for record in position.epochs for number in record.values())
    ):
        raise ValueError("its position makes no sense")
    if len(position.epochs) > epochs:
        raise DataError(f"holds {len(position.epochs)} epochs, expected at most the {epochs} asked for.")
    return position
