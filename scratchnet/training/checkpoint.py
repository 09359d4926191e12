"""A training run on disk: killed at any moment, it is resumed from the last save and ends at the same bits."""

import hashlib
import json
import math
import operator
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from numbers import Real
from pathlib import Path
from typing import IO, Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import brief, named
from scratchnet.core.parameters import parts_of, set_state, state_arrays
from scratchnet.errors import DataError
from scratchnet.kernels.memory import empty
from scratchnet.training import console, divergence
from scratchnet.training.callback import Callback
from scratchnet.training.run import Means, Position, Run, arrays_of
from scratchnet.training.state import pack, unpack
from scratchnet.training.storage import clear_aside, opened, read_array, read_arrays, write_arrays, write_whole

_FORMAT = 4
_RATE = "the learning rate at step 0"
_SAMPLE = 100  # rows of an array in a file that its digest reads


class Checkpoint(Callback):
    """Saves a run to `path` before the first step, every so many seconds and after each epoch, and resumes it.

    The file is an .npz of θ, the optimizer's memory, the layers' states, what callbacks keep, and a JSON text with the
    rest, which is sealed: it holds digests of the arrays and of itself. Made as `fit` is called, before anything
    changes.
    """

    def __init__(self, path: Path, seconds: float, run: Run, says: bool):
        self.path, self.seconds, self.says, self._saved = path, seconds, says, time.monotonic()
        self._fixed = {
            "the optimizer": type(run.optimizer).__name__,
            "the callbacks with a state": ", ".join(type(one).__qualname__ for one in _with_state(run)) or "none",
            "batch_size": run.batch_size,
            "the engine of the kernels": kernels.active(),
            "validation": None,
            **dict(_digests("x", run.data)),
            **dict(_digests("validation", run.validation)),
        }
        began = {
            "theta": digest(run.parameters.theta),
            "rng": run.rng.bit_generator.state,
            "settings": self._settings(run),
        }
        self._began = json.loads(_as_array(began).tobytes())  # as it comes back from a file
        self._most = 2**20 + 2**14 * run.epochs  # bytes of the JSON text: read back, it takes 30 times as much memory

    def before_training(self, run: Run) -> None:
        clear_aside(self.path)
        if not self.path.exists():
            self._save(run)
            return
        self._kept(run)  # what cannot be saved is refused before anything changes
        found = self._read(run)
        with self.path.open("rb") as file:  # written again at once, to see that it can be
            self._write(lambda aside: shutil.copyfileobj(file, aside))
        self._resume(run, *found)
        if self.says and run.step:
            epoch = f"epoch {len(run.history.epochs) + 1}/{run.epochs}"
            console.write(f"{self.path}: goes on after {divergence.steps(run)}, in {epoch}")

    def after_step(self, run: Run) -> None:
        ended = run.position.examples == run.examples  # then the epoch is saved in a moment
        if not ended and time.monotonic() - self._saved >= self.seconds:
            divergence.check_state(run)
            self._save(run)

    def after_epoch(self, run: Run) -> None:
        self._save(run)

    def after_training(self, run: Run) -> None:
        if run.error is None and run.ending and len(run.history.epochs) < run.epochs:
            if run.position.examples:  # otherwise nothing was learnt since the last save
                divergence.check_state(run)
                self._save(run)
            if self.says:
                done = divergence.steps(run)
                console.write(f"Saved in {self.path} after {done}: the same call goes on from there.")

    def _kept(self, run: Run) -> dict[str, Array]:
        """What the callbacks keep: their arrays, and the rest as JSON."""
        arrays, states = {}, []
        for callback in _with_state(run):
            run.calling = callback
            name, state = f"{type(callback).__name__}.state_dict", callback.state_dict()
            if type(state) is not dict:
                raise TypeError(f"{name} expects to return a dict, got {named(state)}.")
            states.append(pack(state, name, arrays))
        return arrays | {"callbacks": _as_array(states)}

    def _save(self, run: Run) -> None:
        """Write the run as it is now, whole or not at all."""
        arrays = {"theta": run.parameters.theta, **_memory(run), **state_arrays(run.parameters.state_slots)}
        arrays |= self._kept(run)
        settings, last = self._settings(run), run.step - 1
        changed = settings[""][_RATE] != self._began["settings"][""][_RATE]  # by a callback: the last step had another
        state = {
            "format": _FORMAT,
            "began": self._began,
            "settings": settings,
            "rates": {} if last < 0 or changed else {str(last): _rate(run, last)},
            "steps": run.step,
            "rng": run.rng.bit_generator.state,
            "spawned": _spawned(run.rng),
            "epochs": run.history.epochs,
            "position": asdict(run.position),
            "arrays": {name: digest(array) for name, array in arrays.items()},
        }
        arrays["state"] = text = _as_array(state | {"seal": digest(_as_array(state))})
        if len(text) > self._most:
            bytes_ = f"{len(text):,} bytes of records, which may be {self._most:,}"
            raise ValueError(f"fit expects after_epoch to add few numbers to a record, got {bytes_}.")
        self._write(lambda file: write_arrays(file, arrays))

    def _write(self, write: Callable[[IO[bytes]], None]) -> None:
        try:
            with write_whole(self.path) as file:
                write(file)
        except OSError as error:
            before = "; what was saved there before is kept" if self.path.exists() else ""
            said = f"the run cannot be saved ({error.strerror}){before}"
            raise type(error)(error.errno, said, str(self.path)) from error
        self._saved = time.monotonic()

    def _read(self, run: Run) -> tuple[dict[str, Any], dict[str, Array], list[Any]]:
        """What the file holds, if all of it belongs to this run; nothing changes here."""
        with opened(self.path, "checkpoint") as archive:
            state = json.loads(read_array(archive, "state", most=self._most + 1000).tobytes())
            if state["format"] != _FORMAT:
                raise DataError("was written by another version of scratchnet: begin the run anew, with another file.")
            if state.pop("seal") != digest(_as_array(state)):
                raise ValueError("its numbers are not those that were saved")
            self._compare(run, state)
            expected: dict[str, Any] = dict.fromkeys(("state", *state["arrays"], *_memory(run)))
            expected |= {name: None for name, _, _ in run.parameters.state_slots} | {"theta": run.parameters.theta}
            arrays = read_arrays(archive, expected)
            if state["arrays"] != {name: digest(arrays[name]) for name in state["arrays"]}:
                raise ValueError("its arrays are not those that were saved")
            _check_harmless(run, state)
            if len(state["epochs"]) > run.epochs:
                raise DataError(f"holds {len(state['epochs'])} epochs, expected at most the {run.epochs} asked for.")
            return state, arrays, unpack(json.loads(arrays["callbacks"].tobytes()), arrays)

    def _resume(self, run: Run, state: dict[str, Any], arrays: dict[str, Array], states: list[Any]) -> None:
        """Put the run where the file says."""
        for callback, kept in zip(_with_state(run), states, strict=True):
            run.calling = callback
            callback.load_state_dict(kept)
        for whose, owner, _ in _owners(run):
            for name, value in state["settings"].get(whose, {}).items():
                if vars(owner).get(name) != value:
                    vars(owner)[name] = value
        if not callable(run.optimizer.learning_rate):
            run.optimizer.learning_rate = state["settings"][""][_RATE]
        run.parameters.theta[...] = arrays["theta"]
        set_state(run.parameters.state_slots, arrays)
        run.optimizer.steps = state["steps"]
        for name in run.optimizer.memory_names:
            found = arrays[f"optimizer {name}"]
            memory = empty(found.shape, found.dtype)
            memory[...] = found
            setattr(run.optimizer, name, memory)
        run.rng.bit_generator.state = state["rng"]
        if (more := state["spawned"] - _spawned(run.rng)) > 0:
            run.rng.spawn(more)
        self._began, run.history.epochs = state["began"], state["epochs"]
        run.position = Position(**state["position"] | {"means": Means(**state["position"]["means"])})

    def _settings(self, run: Run) -> dict[str, dict[str, Any]]:
        """By whose they are, the numbers and strings of the model, its parts and the optimizer, and what is fixed."""
        model = re.sub(r" at 0x[0-9a-f]+", "", repr(run.model))  # without the addresses of objects
        settings = {"": {"the model": model} | self._fixed | {_RATE: _rate(run, 0)}}
        for whose, owner, others in _owners(run):
            settings[whose] = {
                name: value
                for name, value in vars(owner).items()
                if isinstance(value, str | Real | np.bool) and not name.startswith("_") and name not in others
            }
        return settings

    def _compare(self, run: Run, state: dict[str, Any]) -> None:
        """The run in the file is this run; otherwise a DataError names what differs."""
        began, now = state["began"], self._began
        before, then, here = (
            {f"{whose}{name}": value for whose, own in one["settings"].items() for name, value in own.items()}
            for one in (began, state, now)
        )
        differences = [
            f"{brief(name)} is {brief(then.get(name), 400)} there and {brief(here.get(name), 400)} here"
            for name in {**here, **then, **before}
            if not any(_same(here.get(name), there.get(name)) for there in (before, then))
        ]
        for step, there in state["rates"].items():  # two schedules can be compared only by their values
            if (value := _rate(run, int(step))) != there:
                differences.append(f"the learning rate at step {step} is {brief(there)} there and {value} here")
        if now["theta"] not in (began["theta"], *state["arrays"].values()):  # EarlyStopping leaves the best one it kept
            differences.append("the model began with other weights")
        if now["rng"] not in (began["rng"], state["rng"]):
            differences.append("rng began in another state, as with another seed")
        if differences:
            raise DataError(
                f"holds another run: {'; '.join(differences[:8])}; make model, optimizer and rng as they were for it, "
                "or give this run another file."
            )


def digest(x: Array) -> str:
    """The shape, the type and a hash (SHA-256) of an array's numbers; of an array in a file, only of some rows."""
    whose = f"{x.shape} of {x.dtype}"
    if isinstance(x, np.memmap) and x.ndim:
        x, whose = x[np.unique(np.linspace(0, len(x) - 1, _SAMPLE).astype(np.intp))], f"{whose} in a file"
    return f"{whose}, {hashlib.sha256(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data).hexdigest()[:16]}"


def _digests(name: str, data: Any) -> Iterator[tuple[str, str]]:
    for i, array in enumerate(() if data is None else arrays_of(data)):
        if array.dtype.hasobject:
            raise TypeError(
                f"fit with a checkpoint expects arrays of numbers or letters, got objects in data[{i}]: what they hold "
                "cannot be compared with what they held."
            )
        yield f"{name}[{i}]" if i else name, digest(array)


def _owners(run: Run) -> Iterator[tuple[str, Any, set[str]]]:
    """Whose numbers and strings are settings: how it is called, the object, and its attributes that are none."""
    model, optimizer, layers = run.model, run.optimizer, parts_of(run.parameters.layers)
    owners = [
        ("the model's ", model, ()),
        ("the likelihood's ", getattr(model, "likelihood", None), ()),
        ("the corruption's ", getattr(model, "corrupt", None), ()),
        *((f"{path}.", one, ("training", *one.parameter_names, *one.state_names)) for path, one in layers),
        ("the optimizer's ", optimizer, ("steps", "learning_rate", *optimizer.memory_names)),
    ]
    return ((whose, owner, set(others)) for whose, owner, others in owners if hasattr(owner, "__dict__"))


def _rate(run: Run, step: int) -> float:
    rate = run.optimizer.learning_rate
    return float(rate(step) if callable(rate) else rate)


def _with_state(run: Run) -> list[Any]:
    return [one for one in run.callbacks if type(one).state_dict is not Callback.state_dict]


def _memory(run: Run) -> dict[str, Array]:
    """The optimizer's memory, zero before its first step."""
    found = {}
    for name in run.optimizer.memory_names:
        zeros = np.zeros_like(run.parameters.theta)
        value = getattr(run.optimizer, name, zeros) if run.step else zeros
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
            whose = type(run.optimizer).__name__
            raise TypeError(f"{whose} expects its {name} to be an array of numbers, got {named(value)}.")
        found[f"optimizer {name}"] = np.asarray(value)
    return found


def _spawned(rng: np.random.Generator) -> int:
    return getattr(rng.bit_generator.seed_seq, "n_children_spawned", 0)


def _check_harmless(run: Run, state: dict[str, Any]) -> None:
    """Even in a forged file, whose seal fits, no number makes NumPy read foreign memory or `fit` run for ever."""
    at = state["position"]
    for found in (state["rng"], *filter(None, (at["order"], at["validation"]))):
        type(run.rng.bit_generator)().state = found
        if not (0 <= found["state"].get("pos", 0) <= 624 and 0 <= found.get("buffer_pos", 0) <= 4):
            raise ValueError("its random state makes no sense")  # pos: MT19937; buffer_pos: Philox
    examples, steps, spawned = map(operator.index, (at["examples"], state["steps"], state["spawned"]))
    if not (
        examples in range(0, run.examples, run.batch_size)
        and (at["order"] or not examples)
        and math.isfinite(at["means"]["sums"].get("loss", 0.0))
        and 0 <= steps < 2**53
        and 0 <= spawned < 2**20
        and type(state["epochs"]) is list
    ):
        raise ValueError("its position makes no sense")


def _number(value: Any) -> Any:
    """What JSON lacks: NumPy's numbers, the arrays of a random state, and fractions."""
    return value.tolist() if isinstance(value, np.ndarray | np.integer | np.bool) else float(value)


def _same(a: Any, b: Any) -> bool:
    return a == b or (a != a and b != b)  # NaN is as it was


def _as_array(state: Any) -> Array:
    return np.frombuffer(json.dumps(state, default=_number).encode(), np.uint8)
