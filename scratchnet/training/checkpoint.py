"""A training run on disk: killed at any moment, it goes on where it was saved and ends at the same bits."""

import hashlib
import json
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.callbacks import Callback
from scratchnet.checks import brief, named
from scratchnet.core.optim import SGD, Adam
from scratchnet.core.parameters import parts_of, set_state, state_arrays
from scratchnet.errors import DataError
from scratchnet.kernels.memory import empty
from scratchnet.training import console, divergence
from scratchnet.training.run import Means, Position, Run, arrays_of
from scratchnet.training.state import arrays_in, pack, unpack
from scratchnet.training.storage import clear_aside, opened, read_array, read_arrays, write_arrays, write_whole
from scratchnet.training.supervision import check_state

_FORMAT = 3


class Checkpoint(Callback):
    """The file in which a run of `fit` is saved, and the run that it belongs to.

    Parameters
    ----------
    path : path
    seconds : float
        How long to train between two saves within an epoch.
    run : Run
        As it is before anything was called.
    says : bool
        Whether to write a line when the run goes on from the file, and when it stops early.
    """

    def __init__(self, path: str | PathLike[str], seconds: float, run: Run, says: bool):
        self.path, self.seconds, self.says = Path(path), seconds, says
        self._saved = time.monotonic()
        data = {"x": run.data, "validation": run.validation}
        self._fixed = {  # can be no other in any call
            "the optimizer": type(run.optimizer).__name__,
            "the callbacks with a state": ", ".join(type(one).__qualname__ for one in _with_state(run)) or "none",
            "batch_size": run.batch_size,
            **{f"{name}{'' if i == 0 else f'[{i}]'}": found for name in data for i, found in _digests(data[name])},
            "the engine of the kernels": kernels.active(),
        }
        self._began = {
            "theta": digest(run.parameters.theta),
            "rng": run.rng.bit_generator.state,
            "settings": _settings(run),
        }
        self._most = 2**20 + 2**14 * run.epochs  # bytes of all but arrays and what callbacks keep

    def before_training(self, run: Run) -> None:
        """Go on from what the file holds if there is one. It is written at once, to see that it can be."""
        clear_aside(self.path)
        kept = self._kept(run)  # asked for before anything changes
        if not self.path.exists():
            self._save(run, kept)
            return
        found = self._read(run)
        with self.path.open("rb") as file:
            self._write(lambda aside: shutil.copyfileobj(file, aside))
        self._go_on(run, *found)
        if self.says and run.step:
            epoch = f"epoch {len(run.history.epochs) + 1}/{run.epochs}"
            console.write(f"{self.path}: goes on after {divergence.steps(run.optimizer)}, in {epoch}")

    def after_step(self, run: Run) -> None:
        ended = run.position.examples == len(arrays_of(run.data)[0])  # then the epoch is saved in a moment
        if not ended and time.monotonic() - self._saved >= self.seconds:
            check_state(run)
            self._save(run, self._kept(run))

    def after_epoch(self, run: Run) -> None:
        self._save(run, self._kept(run))

    def after_training(self, run: Run) -> None:
        if run.error is None and run.ending and len(run.history.epochs) < run.epochs:
            if run.position.examples:  # else nothing was learnt since the last save
                check_state(run)
                self._save(run, self._kept(run))
            if self.says:
                done = divergence.steps(run.optimizer)
                console.write(f"Saved in {self.path} after {done}: the same call goes on from there.")

    def _kept(self, run: Run) -> bytes:
        """What the callbacks keep."""
        states, names = [], []
        for callback in _with_state(run):
            run.calling, name = callback, f"{type(callback).__name__}.state_dict"
            state = callback.state_dict()
            if type(state) is not dict:
                raise TypeError(f"{name} expects to return a dict, got {named(state)}.")
            states.append(state)
            names.append(name)
        return pack(states, names)

    def _save(self, run: Run, kept: bytes) -> None:
        """Write the run as it stands now, whole or not at all.

        Raises
        ------
        OSError
            If that fails; what was saved before stands there still.
        TypeError, ValueError
            If a state or an optimizer's memory is no array, or a record holds too many numbers.
        """
        arrays = {"theta": run.parameters.theta, "callbacks": np.frombuffer(kept, np.uint8)}
        arrays |= _memory(run) | state_arrays(run.parameters.state_slots)
        state = {
            "format": _FORMAT,
            "fixed": self._fixed,
            "began": self._began,
            "settings": (settings := _settings(run)),
            "settings_digest": _digest_of(settings),
            "theta": digest(arrays["theta"]),
            "memory": {name: digest(array) for name, array in arrays.items() if name != "theta"},
            "steps": run.step,
            "rates": _last_rate(run, run.step) if self._has_its_first_rate(run) else {},
            "rng": run.rng.bit_generator.state,
            "spawned": _spawned(run.rng),
            "position": asdict(run.position),
        }
        text = _text(state).encode()
        if len(text) > self._most:  # read back, it takes 30 times as much memory at worst
            raise ValueError(
                f"fit expects after_epoch to add few numbers to a record, got {len(text):,} bytes of records, "
                f"which may be {self._most:,}."
            )
        arrays["state"] = np.frombuffer(text, np.uint8)
        self._write(lambda file: write_arrays(file, arrays))

    def _has_its_first_rate(self, run: Run) -> bool:
        """Whether the learning rate is a schedule, or the number that it was before the first step."""
        rate = run.optimizer.learning_rate
        return callable(rate) or rate == self._began["settings"]["the learning rate at step 0"]

    def _write(self, write: Callable[[IO[bytes]], None]) -> None:
        try:
            with write_whole(self.path) as file:
                write(file)
        except OSError as error:
            before = "; what was saved there before is kept" if self.path.exists() else ""
            raise type(error)(
                error.errno, f"the run cannot be saved ({error.strerror}){before}", str(self.path)
            ) from error
        self._saved = time.monotonic()

    def _read(self, run: Run) -> tuple[dict[str, Any], dict[str, Array], Position, list[Any]]:
        """What the file says, once all of it was found to belong to this run; nothing changes here."""
        own = not isinstance(run.optimizer, SGD | Adam)  # whose memory may have any shape
        expected: dict[str, Any] = {"theta": run.parameters.theta}
        expected |= {_in_file(name): None if own else expected["theta"] for name in run.optimizer.memory_names}
        expected |= {name: None for name, _, _ in run.parameters.state_slots}
        with opened(self.path, "checkpoint", (*expected, "state", "callbacks")) as archive:
            state = json.loads(read_array(archive, "state", self._most).tobytes())
            if state["format"] != _FORMAT:
                raise DataError("was written by another version of scratchnet: begin the run anew, with another file.")
            if _digest_of(state["settings"]) != state["settings_digest"]:
                raise ValueError("its settings are not those that were saved")
            packed = read_array(archive, "callbacks", None)
            states = unpack(packed.tobytes())
            self._compare(run, state, states)
            arrays = read_arrays(archive, expected, besides=("state", "callbacks"))
            found = {name: digest(array) for name, array in (arrays | {"callbacks": packed}).items()}
            if found.pop("theta") != state["theta"] or found != state["memory"]:
                raise ValueError("its arrays are not those that were saved")
            position = _position(state["position"], run)
            _check_random_state(state["rng"], run.rng)
            for random_state in (position.order, position.validation):
                if random_state is not None:
                    _check_random_state(random_state, run.rng)
            if not (type(state["spawned"]) is int and 0 <= state["spawned"] < 2**20):
                raise ValueError("its number of spawned generators makes no sense")
        return state, arrays, position, states

    def _go_on(self, run: Run, state: dict[str, Any], arrays: dict[str, Array], position: Position, states: Any):
        """Put the run where the file says."""
        for callback, kept in zip(_with_state(run), states, strict=True):
            run.calling = callback
            callback.load_state_dict(kept)
        _set_settings(run, state["settings"])
        run.parameters.theta[...] = arrays["theta"]
        set_state(run.parameters.state_slots, arrays)
        run.optimizer.steps = state["steps"]
        for name in run.optimizer.memory_names:
            found = arrays[_in_file(name)]
            memory = empty(found.shape, found.dtype)
            memory[...] = found
            setattr(run.optimizer, name, memory)
        run.rng.bit_generator.state = state["rng"]
        if (more := state["spawned"] - _spawned(run.rng)) > 0:
            run.rng.spawn(more)
        self._began = state["began"]
        run.position, run.history.epochs = position, position.epochs

    def _compare(self, run: Run, state: dict[str, Any], states: list[Any]) -> None:
        """The run in the file is this run, or DataError names what is different."""
        began, then = state["began"], state["settings"]
        now = _plain(self._began)
        kinds = [(began["settings"], then, now["settings"]), (state["fixed"], state["fixed"], _plain(self._fixed))]
        differences = [
            f"{brief(name)} is {brief(of_then.get(name), 400)} there and {brief(here.get(name), 400)} here"
            for before, of_then, here in kinds
            for name in {**here, **of_then, **before}
            if not any(_same(here.get(name), there.get(name)) for there in (before, of_then))
        ]
        if not (type(state["steps"]) is int and 0 <= state["steps"] < 2**53):
            raise ValueError("its number of steps makes no sense")
        rates = _last_rate(run, state["steps"])
        differences += [
            f"the learning rate at step {step} is {brief(rate)} there and {rates[step]} here"
            for step, rate in state["rates"].items()
            if rates[step] != rate
        ]
        known = (began["theta"], state["theta"], *map(digest, arrays_in(states)))  # a callback's: the best θ
        if now["theta"] not in known:
            differences.append("the model began with other weights")
        if now["rng"] not in (began["rng"], state["rng"]):
            differences.append("rng began in another state, as with another seed")
        if differences:
            raise DataError(
                f"holds another run: {'; '.join(differences[:8])}; make model, optimizer and rng as they were for it, "
                "or give this run another file."
            )


def digest(x: Array) -> str:
    """A name for these numbers, in this shape and type, that no others have (SHA-256).

    Of an array in a file, which may be larger than memory, only some rows are read.
    """
    whose = f"{x.shape} of {x.dtype}"
    if isinstance(x, np.memmap) and x.ndim:
        x, whose = x[np.unique(np.linspace(0, len(x) - 1, _SAMPLE).astype(np.intp))], f"{whose} in a file"
    x = np.ascontiguousarray(x)
    return f"{whose}, {hashlib.sha256(x.reshape(-1).view(np.uint8).data).hexdigest()[:16]}"


def _digest_of(settings: dict[str, Any]) -> str:
    return hashlib.sha256(_text(settings).encode()).hexdigest()[:16]


_SAMPLE = 100  # rows of an array in a file


def _digests(data: Any) -> list[tuple[int, str | None]]:
    if data is None:
        return [(0, None)]
    for i, array in enumerate(arrays_of(data)):
        if array.dtype.hasobject:
            raise TypeError(
                f"fit with a checkpoint expects arrays of numbers or letters, got objects in data[{i}]: what they hold "
                "cannot be compared with what they held."
            )
    return [(i, digest(array)) for i, array in enumerate(arrays_of(data))]


def _with_state(run: Run) -> list[Any]:
    return [one for one in run.callbacks if type(one).state_dict is not Callback.state_dict]


def _memory(run: Run) -> dict[str, Array]:
    """What the optimizer keeps, zero before its first step."""
    found = {}
    for name in run.optimizer.memory_names:
        zeros = np.zeros_like(run.parameters.theta)
        value = getattr(run.optimizer, name, zeros) if run.step else zeros
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
            raise TypeError(
                f"{type(run.optimizer).__name__} expects its {name} to be an array of numbers, got {named(value)}."
            )
        found[_in_file(name)] = np.asarray(value)
    return found


def _in_file(name: str) -> str:
    """The name of an optimizer's vector among the arrays of the file."""
    return f"optimizer {name}" if name in ("theta", "state", "callbacks") else name


def _owners(run: Run) -> dict[str, tuple[Any, set[str]]]:
    """Whose numbers and words are settings of a run, and which of their names are none."""
    model, optimizer = run.model, run.optimizer
    owners: dict[str, tuple[Any, set[str]]] = {"the model's ": (model, set())}
    for name, whose in (("likelihood", "the likelihood's "), ("corrupt", "the corruption's ")):
        owners[whose] = getattr(model, name, None), set()
    for path, layer in parts_of(run.parameters.layers):
        owners[f"{path}."] = layer, {"training", *layer.parameter_names, *layer.state_names}
    owners["the optimizer's "] = optimizer, {"steps", "learning_rate", *optimizer.memory_names}
    return {whose: (owner, none) for whose, (owner, none) in owners.items() if hasattr(owner, "__dict__")}


def _settings(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {"the model": re.sub(r" at 0x[0-9a-f]+", "", repr(run.model))}  # where it lies is none
    rate = run.optimizer.learning_rate
    found["the learning rate at step 0"] = float(rate(0) if callable(rate) else rate)
    for whose, (owner, none) in _owners(run).items():
        for name, value in vars(owner).items():
            if isinstance(value, str | Real | np.bool) and not name.startswith("_") and name not in none:
                found[f"{whose}{name}"] = _plain_value(value)
    return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, str | bool | np.bool):
        return str(value) if isinstance(value, str) else bool(value)
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _set_settings(run: Run, saved: Mapping[str, Any]) -> None:
    for whose, (owner, _) in _owners(run).items():
        for setting, value in saved.items():
            name = setting.removeprefix(whose)
            if setting.startswith(whose) and "." not in name and vars(owner).get(name) != value:
                vars(owner)[name] = value
    if not callable(run.optimizer.learning_rate):
        run.optimizer.learning_rate = saved["the learning rate at step 0"]


def _same(a: Any, b: Any) -> bool:
    return a == b or (a != a and b != b)  # NaN is as it was


def _last_rate(run: Run, steps: int) -> dict[str, float]:
    """A schedule's learning rate at the last step taken: two can be compared only by their values."""
    rate, last = run.optimizer.learning_rate, steps - 1
    return {str(last): float(rate(last) if callable(rate) else rate)} if steps else {}


def _spawned(rng: np.random.Generator) -> int:
    """How many generators were spawned from this one."""
    return getattr(rng.bit_generator.seed_seq, "n_children_spawned", 0)


def _check_random_state(state: Mapping[str, Any], rng: np.random.Generator) -> None:
    """NumPy takes the state, and would read nothing beyond its numbers: it does not look where it is to go on."""
    type(rng.bit_generator)().state = state
    if not (0 <= state["state"].get("pos", 0) <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):  # MT19937, Philox
        raise ValueError("its random state makes no sense")


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The state as it comes back from a file."""
    return json.loads(_text(state))


def _text(state: dict[str, Any]) -> str:
    return json.dumps(state, default=lambda number: number.tolist())


def _position(found: dict[str, Any], run: Run) -> Position:
    """A position at which a run of these epochs, examples and batches can be."""
    parts: dict[str, Any] = found | {"means": Means(**found["means"])}
    position = Position(**parts)
    means, examples = position.means, len(arrays_of(run.data)[0])
    numbers = [position.examples, position.seconds, means.sums.get("loss", 0.0), *means.counts.values()]
    if not (
        all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and all(type(number) in (int, float) for number in means.sums.values())
        and means.sums.keys() == means.counts.keys()
        and all(count > 0 for count in means.counts.values())
        and all(type(name) is str for name in means.metrics)
        and type(position.examples) is int
        and position.examples in (*range(0, examples, run.batch_size), examples)
        and (position.order is not None or position.examples == 0)
        and type(position.epochs) is list
        and all(type(number) in (int, float) for record in position.epochs for number in record.values())
    ):
        raise ValueError("its position makes no sense")
    if len(position.epochs) > run.epochs:
        raise DataError(f"holds {len(position.epochs)} epochs, expected at most the {run.epochs} asked for.")
    return position
