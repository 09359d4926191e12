"""A training run on disk: killed at any moment, it is resumed from the last save and ends at the same bits."""

import hashlib
import math
import operator
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from numbers import Real
from pathlib import Path
from typing import IO, Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import brief, check_type
from scratchnet.core.optim import Optimizer
from scratchnet.core.parameters import Slot, parts_of
from scratchnet.errors import DataError
from scratchnet.training import console, divergence, storage
from scratchnet.training.run import Callback, Position, Run, rewind, spawned
from scratchnet.training.state import as_text, pack, parsed, unpack

_FORMAT = 5
_RATE_AT = "the learning rate at step {}"
_RATE = _RATE_AT.format(0)
_SAMPLE = 100  # rows of an array in a file that its digest reads


class Checkpoint(Callback):
    """Saves a run to `path` before the first step, every so many seconds and after each epoch, and resumes it.

    The file is an .npz of θ, the optimizer's memory, the layers' states, what callbacks keep, and a JSON text with the
    rest, which is sealed: it holds digests of the arrays and of itself. The object is made before `fit` changes
    anything.
    """

    def __init__(self, path: Path, seconds: float, run: Run):
        self.path, self.seconds, self.leads, self._saved = path, seconds, run.processes.leads, time.monotonic()
        self._new, self._learning_rate = not path.exists(), run.optimizer.learning_rate
        self._other_memory = _other_memory(run.optimizer)
        self._keeping = [one for one in run.callbacks if type(one).state_dict is not Callback.state_dict]
        self._fixed: dict[str, Any] = {
            "the optimizer": type(run.optimizer).__name__,
            "the callbacks with a state": ", ".join(type(one).__qualname__ for one in self._keeping) or "none",
            "batch_size": run.batch_size,
        }
        for name, arrays in run.given.items():
            for i, array in enumerate(arrays):
                self._fixed[f"{name}[{i}]" if i else name] = digest(array)
        self._began = self._settings(run)
        self._most = 2**20 + 2**14 * run.epochs  # bytes of the JSON text: read back, it takes 30 times as much memory

    def before_training(self, run: Run) -> None:
        found = None
        if self.path.exists():
            self._kept(run)  # what cannot be saved is refused before anything changes
            found = self._read(run)
        run.processes.wait()  # nobody writes before all have read
        if self.leads:
            storage.clear_aside(self.path)
        if found is None:
            self._save(run)
            return
        self._write(lambda file: file.write(self.path.read_bytes()))  # at once, to see that it can be written
        self._resume(run, *found)
        if run.progress and run.step:
            epoch = f"epoch {len(run.history.epochs) + 1}/{run.epochs}"
            console.write(f"{self.path}: resumed after {divergence.steps(run)}, in {epoch}")

    def after_step(self, run: Run) -> None:
        ended = run.position.examples == run.examples  # then the epoch is saved in a moment
        if not ended and time.monotonic() - self._saved >= self.seconds:
            self._save(run)

    def after_epoch(self, run: Run) -> None:
        self._save(run)

    def after_training(self, run: Run) -> None:
        at, epochs = run.position, len(run.history.epochs)
        if run.error is not None:
            if self._new and self.leads and not (at.examples or epochs):  # no step: as if there had been no call
                found = self._read(run, again=True)
                self.path.unlink()
                self._resume(run, *found)
        elif run.ending and epochs < run.epochs:
            if at.examples:
                self._save(run)
            elif run.epoch > epochs:  # before_epoch will be called again, so what it changed is undone
                self._resume(run, *self._read(run, again=True))
            if run.progress:
                console.write(f"Saved in {self.path} after {divergence.steps(run)}: the same call resumes from there.")

    def _kept(self, run: Run) -> dict[str, Array]:
        """What the callbacks keep: their arrays, and the rest as JSON."""
        arrays, states = {}, []
        for run.calling in self._keeping:
            name, state = f"{type(run.calling).__name__}.state_dict()", run.calling.state_dict()
            check_type("fit", name, state, dict, "a dict")
            states.append(pack(state, name, arrays))
        return arrays | {"callbacks": as_text(states)}

    def _save(self, run: Run) -> None:
        """Write the run as it is now, whole or not at all, and never with numbers that are not finite."""
        if run.step:
            divergence.check_state(run)
        rate = run.optimizer.learning_rate
        if rate is not self._learning_rate and (callable(rate) or callable(self._learning_rate)):
            hint = "give the optimizer one function of the step for the whole run"
            raise TypeError(f"fit with a checkpoint expects learning_rate to stay the same function: {hint}.")
        for name, value in _other_memory(run.optimizer).items():
            if self._other_memory.get(name) != value:
                whole = f"{type(run.optimizer).__name__}.memory_names to name the optimizer's whole memory"
                raise TypeError(f"fit with a checkpoint expects {whole}, got also {name}, which would not be saved.")
        arrays = storage.arrays_in(_slots(run, run.step)) | self._kept(run)
        arrays |= {name: np.asarray(value) for name, value in _numbers(run).items() if isinstance(value, np.generic)}
        settings, last = self._settings(run), max(run.step - 1, 0)
        changed = settings[_RATE] != self._began[_RATE]  # by a callback: the last step had another
        state = {
            "format": _FORMAT,
            "began": self._began,
            "settings": settings,
            "rates": {} if changed else {last: _rate(run, last)},
            "steps": run.step,
            "rng": run.rng.bit_generator.state,
            "spawned": spawned(run.rng),
            "epochs": run.history.epochs,
            "position": asdict(run.position),
            "arrays": {name: digest(array) for name, array in arrays.items()},
        }
        text = as_text(state)
        if len(text) > self._most:
            most = f"{self._most:,} bytes of records and settings"
            raise ValueError(f"fit expects at most {most}, got {len(text):,}.")
        arrays |= {"state": text, "seal": np.frombuffer(digest(text).encode(), np.uint8)}
        self._write(lambda file: storage.write_arrays(file, arrays))

    def _write(self, write: Callable[[IO[bytes]], object]) -> None:
        try:
            if self.leads:
                with storage.write_whole(self.path) as file:
                    write(file)
        except OSError as error:
            kept = "; what was saved there before is kept" if self.path.exists() else ""
            error.strerror = f"the run cannot be saved ({error.strerror}){kept}"
            raise
        self._saved = time.monotonic()

    def _read(self, run: Run, again: bool = False) -> tuple[dict[str, Any], dict[str, Array]]:
        """What the file holds, if all of it belongs to this run; nothing changes here."""
        with storage.opened(self.path, "checkpoint") as archive:
            text = storage.read_array(archive, "state", most=self._most + 1000)  # with a header
            state = parsed(text)
            if state["format"] != _FORMAT:
                raise DataError("was written by another version of scratchnet: begin the run anew, with another file.")
            if storage.read_array(archive, "seal", most=1000).tobytes() != digest(text).encode():
                raise ValueError("its numbers are not those that were saved")
            if not again:
                self._compare(run, state)
            names = ["state", "seal", *state["arrays"], *(name for name, _, _ in _slots(run, state["steps"]))]
            arrays = storage.read_arrays(archive, dict.fromkeys(names) | {"theta": run.parameters.theta})
            if state["arrays"] != {name: digest(arrays[name]) for name in state["arrays"]}:
                raise ValueError("its arrays are not those that were saved")
            _check_harmless(run, state)
            if len(state["epochs"]) > run.epochs:
                raise DataError(f"holds {len(state['epochs'])} epochs, expected at most the {run.epochs} asked for.")
            kept = unpack(parsed(arrays["callbacks"]), arrays)
            return state | {"callbacks": list(zip(self._keeping, kept, strict=True))}, arrays

    def _resume(self, run: Run, state: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Put the run where the file says."""
        for run.calling, kept in state["callbacks"]:
            run.calling.load_state_dict(kept)
        here = self._settings(run)
        for whose, owner, _ in _owners(run):
            for setting, value in state["settings"].items():
                name = setting.removeprefix(whose)
                held, then = vars(owner).get(name), arrays[setting][()] if setting in arrays else value
                numpys = isinstance(held, np.generic) or isinstance(then, np.generic)  # formulas round by their type
                same = _same(here.get(setting), value) and (type(held) is type(then) or not numpys)
                if name != setting and name.isidentifier() and not same:
                    vars(owner)[name] = then
        if not callable(run.optimizer.learning_rate):
            run.optimizer.learning_rate = state["settings"][_RATE]
        storage.set_arrays(_slots(run, state["steps"]), arrays)
        run.optimizer.steps = state["steps"]
        rewind(run.rng, state["rng"], state["spawned"])
        self._began, run.history.epochs = state["began"], state["epochs"]
        run.position = Position(**state["position"])

    def _settings(self, run: Run) -> dict[str, Any]:
        """What makes a run what it is, with the numbers and strings of the model, its parts and the optimizer."""
        rng = run.rng.bit_generator.state
        settings = {
            "the model": re.sub(r" at 0x[0-9a-f]+", "", repr(run.model)),  # without the addresses of objects
            **self._fixed,
            "the engine of the kernels": kernels.active(),  # lower where a kernel fell since the first step
            "theta": digest(run.parameters.theta),
            "rng": f"{rng['bit_generator']} in state {digest(as_text(rng)).split()[-1]}",
            _RATE: _rate(run, 0),
        }
        return parsed(as_text(settings | _numbers(run)))  # as they come back from a file

    def _compare(self, run: Run, state: dict[str, Any]) -> None:
        """The run in the file is this run; otherwise a DataError names what differs."""
        rates = state["rates"]  # two schedules can be compared only by their values
        before, then = state["began"], state["settings"] | {_RATE_AT.format(step): rates[step] for step in rates}
        here = self._began | {_RATE_AT.format(step): _rate(run, int(step)) for step in rates}
        differences = [
            f"{brief(name)} is {_shown(then.get(name))} there and {_shown(here.get(name))} here"
            for name in {**here, **then, **before}
            if not any(_same(here.get(name), there.get(name)) for there in (before, then))
            and here.get(name) not in state["arrays"].values()  # EarlyStopping leaves the best θ, which it kept
        ]
        if differences:
            hint = "make model, optimizer and rng as they were for it, or give this run another file"
            raise DataError(f"holds another run: {'; '.join(differences[:8])}; {hint}.")


def digest(x: Array) -> str:
    """The shape, the type and a hash (SHA-256) of an array's numbers; of an array in a file, only of some rows."""
    if x.dtype.hasobject:
        hint = "what they hold cannot be compared with what they held"
        raise TypeError(f"fit with a checkpoint expects arrays of numbers or letters, got objects in the data: {hint}.")
    whose = f"{x.shape} of {x.dtype}"
    if isinstance(x, np.memmap):
        x, whose = x[np.unique(np.linspace(0, len(x) - 1, _SAMPLE).astype(np.intp))], f"{whose} in a file"
    if x.dtype.char in "gG":  # extended precision, between whose bytes lie some that mean nothing
        high = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
        x = np.stack([high, (x - high).astype(high.dtype)])
    return f"{whose}, {hashlib.sha256(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data).hexdigest()[:16]}"


def _slots(run: Run, steps: int) -> list[Slot]:
    """Where θ, the layers' states, and, after the first step, the optimizer's memory are."""
    memory = [(f"optimizer {name}", run.optimizer, name) for name in run.optimizer.memory_names if steps]
    return [*storage.learnt(run.parameters), *memory]


def _other_memory(optimizer: Optimizer) -> dict[str, Any]:
    """The digests of arrays and the steps of optimizers that an optimizer holds, but not in its `memory_names`."""
    held = {name: value for name, value in vars(optimizer).items() if name[:1] != "_"}
    arrays = {name: digest(value) for name, value in held.items() if isinstance(value, np.ndarray)}
    optimizers = {name: value.steps for name, value in held.items() if isinstance(value, Optimizer)}
    return {name: value for name, value in (arrays | optimizers).items() if name not in optimizer.memory_names}


def _owners(run: Run) -> list[tuple[str, Any, tuple[str, ...]]]:
    """Whose numbers and strings are settings: a name for it, the object, and its attributes that are no settings."""
    model, optimizer = run.model, run.optimizer
    owners = [
        ("the model's ", model, ()),
        ("the likelihood's ", getattr(model, "likelihood", None), ()),
        ("the corruption's ", getattr(model, "corrupt", None), ()),
        ("the optimizer's ", optimizer, ("steps", "learning_rate", *optimizer.memory_names)),
        *((f"{path}.", one, ("training", *one.state_names)) for path, one in parts_of(run.parameters.layers)),
    ]
    return [owner for owner in owners if hasattr(owner[1], "__dict__")]


def _numbers(run: Run) -> dict[str, Any]:
    """The numbers and strings of the model, its parts and the optimizer, by name."""
    return {
        f"{whose}{name}": value
        for whose, owner, others in _owners(run)
        for name, value in vars(owner).items()
        if isinstance(value, str | Real | np.bool) and not name.startswith("_") and name not in others
    }


def _rate(run: Run, step: int) -> float:
    rate = run.optimizer.learning_rate
    return float(rate(step) if callable(rate) else rate)


def _check_harmless(run: Run, state: dict[str, Any]) -> None:
    """Even in a forged file, whose seal fits, no number makes NumPy read foreign memory or `fit` run for ever."""
    at = state["position"]
    for found in (state["rng"], *(each for each in (at["order"], at["validation"]) if each is not None)):
        type(run.rng.bit_generator)().state = found
        if not (0 <= found["state"].get("pos", 0) <= 624 and 0 <= found.get("buffer_pos", 0) <= 4):
            raise ValueError("its random state makes no sense")  # pos: MT19937; buffer_pos: Philox
    means = at["means"].items()
    examples, steps, spawned = map(operator.index, (at["examples"], state["steps"], state["spawned"]))
    if not (
        examples in range(0, run.examples, run.batch_size)
        and (not examples or (at["order"] and (at["validation"] or run.validation is None)))
        and all((math.isfinite(total) or name != "loss") and operator.index(n) > 0 for name, (total, n) in means)
        and math.isfinite(at["seconds"])
        and 0 <= steps < 2**53
        and 0 <= spawned < 2**20
        and type(state["epochs"]) is list
    ):
        raise ValueError("its position makes no sense")


def _shown(setting: Any) -> str:
    is_text_of_a_number = isinstance(setting, str) and setting.isdecimal()
    return brief(repr(setting) if is_text_of_a_number else setting, 400)


def _same(a: Any, b: Any) -> bool:
    return a == b or (a != a and b != b)  # NaN is as it was
