"""A run that can be trusted: killed, interrupted or read from a damaged file, it ends at the same bits or says why."""

import ast
import functools
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.random.bit_generator import ISeedSequence

import scratchnet as sn
from scratchnet import kernels
from scratchnet.training import checkpoint
from scratchnet.training.checkpoint import digest
from scratchnet.training.run import OneProcess
from scratchnet.training.state import as_text, parsed
from tests.strategies import ENGINES

try:
    import resource
except ImportError:  # as on Windows
    resource: Any = None

ROOT = Path(__file__).parent.parent
X = np.random.default_rng(7).random((22, 6), np.float32)


def python(*arguments: str, **environment: str) -> str:
    """What a Python of its own printed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def a_vae(rng: np.random.Generator, hidden: int = 5, dtype: type = np.float32, **options: Any) -> sn.VAE:
    layers = [sn.Dense(6, hidden, rng=rng, dtype=dtype), sn.Tanh(), sn.Dense(hidden, 4, rng=rng, dtype=dtype)]
    return sn.VAE(sn.Sequential(*layers), sn.Dense(2, 6, rng=rng, dtype=dtype), **options)


class Run:
    """Everything that a run needs, made anew as a new process would make it."""

    def __init__(self, seed: int = 0, make: Callable[..., Any] = a_vae, optimizer: Any = None, **options: Any):
        self.rng = np.random.default_rng(seed)
        self.model = make(self.rng, **options)
        self.optimizer = sn.Adam(0.01) if optimizer is None else optimizer

    def fit(self, path: Path | None, epochs: int = 3, **options: Any) -> sn.History:
        given: dict[str, Any] = {"batch_size": 5, "x": X, "validation": X[:7], "checkpoint_seconds": 0}
        given |= {"progress": False} | options
        return sn.fit(
            self.model,
            given.pop("x"),
            optimizer=self.optimizer,
            epochs=epochs,
            rng=self.rng,
            checkpoint=path,
            **given,
        )

    def left(self, history: sn.History) -> tuple[Any, ...]:
        """θ, the history without its seconds, and what the generator draws next."""
        records = [{name: value for name, value in record.items() if name != "seconds"} for record in history.epochs]
        return self.model.parameters.theta.tobytes(), records, self.rng.standard_normal(3).tolist()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run.npz"


class AfterEpoch(sn.Callback):
    """Calls a function with each epoch's record."""

    def __init__(self, function: Callable[[dict[str, float]], Any]):
        self.function = function

    def after_epoch(self, run: Any) -> None:
        self.function(run.record)


class StopsHereError(Exception):
    """Stands for whatever ends a process."""


def stopping_after(model: Any, steps: int) -> None:
    """Have the model's loss fail in the step after so many."""
    loss, left = model.loss, iter(range(steps))

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise StopsHereError
        return loss(*arguments, **options)

    model.loss = failing


# ---- killed


def test_a_training_that_is_killed_at_random_moments_ends_at_the_same_bytes(tmp_path, pytestconfig):
    kills = pytestconfig.getoption("kills")
    found = json.loads(
        python(
            "-m", "tests.killed", str(tmp_path), str(kills), "1", SCRATCHNET_KERNELS="numpy", OPENBLAS_NUM_THREADS="1"
        )
    )
    assert found["killed"] == kills >= 20
    assert found["finished"] >= 1
    assert found["left over"] == []


@pytest.mark.parametrize("steps", [0, 1, 4, 5, 6, 7, 14])
def test_a_run_that_stops_at_any_step_goes_on_to_the_same_end(path, steps):
    whole = Run()
    expected = whole.left(whole.fit(None))
    stopped = Run()
    stopping_after(stopped.model, steps)
    with pytest.raises(StopsHereError):
        stopped.fit(path)
    again = Run()
    assert again.left(again.fit(path)) == expected


@pytest.mark.parametrize(
    "optimizer", [lambda: sn.SGD(0.01, momentum=0.9), lambda: sn.Adam(lambda step: 0.1 / (1 + step))]
)
def test_the_optimizers_memory_and_schedule_go_on_too(path, optimizer):
    whole = Run(optimizer=optimizer())
    expected = whole.left(whole.fit(None))
    first = Run(optimizer=optimizer())
    first.fit(path, epochs=1)
    again = Run(optimizer=optimizer())
    assert again.left(again.fit(path)) == expected


@pytest.mark.parametrize("generator", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_any_kind_of_random_generator_is_resumed(path, generator):
    def run() -> Run:
        made = Run()
        made.rng = np.random.Generator(generator(3))
        return made

    whole, first, again = run(), run(), run()
    expected = whole.left(whole.fit(None))
    first.fit(path, epochs=2)
    assert again.left(again.fit(path)) == expected


def test_a_checkpoint_changes_nothing_of_what_is_learnt(path):
    with_one, without = Run(), Run()
    assert with_one.left(with_one.fit(path)) == without.left(without.fit(None))


def test_a_finished_run_is_returned_as_it_was(path):
    first, again = Run(), Run()
    expected = first.left(first.fit(path))
    stopping_after(again.model, 0)
    assert again.left(again.fit(path)) == expected


def test_a_finished_run_can_go_on_for_more_epochs(path):
    whole, first, again = Run(), Run(), Run()
    expected = whole.left(whole.fit(None, epochs=5))
    first.fit(path, epochs=3)
    assert again.left(again.fit(path, epochs=5)) == expected


def test_numbers_that_after_epoch_adds_to_a_record_are_saved_with_it(path):
    Run().fit(path, epochs=2, callbacks=[AfterEpoch(lambda record: record.update(square=record["epoch"] ** 2))])
    assert Run().fit(path, epochs=2)["square"] == [1, 4]


@pytest.mark.parametrize("added", ["a word", [1.0], None, True])
def test_what_is_no_number_in_a_record_is_refused_and_not_saved(path, added):
    with pytest.raises(TypeError, match=r"^fit expects run\.record\['added'\] to be a number, got .*\.$"):
        Run().fit(path, epochs=2, callbacks=[AfterEpoch(lambda record: record.update(added=added))])


def test_too_many_numbers_in_a_record_are_refused_and_not_saved(path):
    def many(record: dict[str, float]) -> None:
        record.update({f"number {i}": float(i) for i in range(100_000)})

    with pytest.raises(ValueError, match=r"fit expects at most [0-9,]+ bytes of records and settings, got [0-9,]+\."):
        Run().fit(path, epochs=2, callbacks=[AfterEpoch(many)])


def test_records_may_take_a_megabyte_and_16_kilobytes_an_epoch(path):
    many = AfterEpoch(lambda record: record.update({f"number {i}": float(i) for i in range(100_000)}))
    with pytest.raises(ValueError, match=f"at most {2**20 + 3 * 2**14:,} bytes"):
        Run().fit(path, epochs=3, callbacks=[many])


def test_the_longest_records_that_are_saved_go_on(path):
    def fit(length: int, epochs: int = 1) -> sn.History:
        return Run().fit(path, epochs=epochs, callbacks=[AfterEpoch(lambda record: record.update({"x" * length: 1.0}))])

    fit(1)
    with np.load(path) as arrays:
        others = len(arrays["state"])
    path.unlink()
    fit(2**20 + 2**14 - others - 100)  # so many bytes less than there may be
    assert len(Run().fit(path, epochs=1).epochs) == 1


def test_a_number_that_is_not_finite_in_a_record_is_saved_as_it_is(path):
    Run().fit(path, epochs=1, callbacks=[AfterEpoch(lambda record: record.update(stderr=float("nan")))])
    assert np.isnan(Run().fit(path, epochs=1)["stderr"]).all()


def test_within_an_epoch_it_is_saved_only_every_so_many_seconds(path):
    run = Run()
    stopping_after(run.model, 8)
    with pytest.raises(StopsHereError):
        run.fit(path, checkpoint_seconds=3600)
    again = Run()
    seen: list[int] = []
    again.fit(path, epochs=1, callbacks=[AfterEpoch(lambda record: seen.append(1))])
    assert seen == []  # the first epoch was saved at its end, and the three steps after it were not
    assert again.optimizer.steps == 5


def test_what_a_killed_process_left_half_written_is_cleared_away(path):
    leftover = path.with_name(f".{path.name}.999999999.part")
    leftover.write_bytes(b"half")
    Run().fit(path)
    assert not leftover.exists()


@pytest.fixture
def living() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of our own that lives until its input ends."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process


def test_what_a_living_process_is_writing_stays(path, living):
    theirs = path.with_name(f".{path.name}.{living.pid}.part")
    theirs.write_bytes(b"half")
    Run().fit(path)
    assert theirs.exists()


def test_a_process_that_is_looked_up_is_not_disturbed(path, living):
    path.with_name(f".{path.name}.{living.pid}.part").write_bytes(b"half")
    Run().fit(path)
    living.communicate()
    assert living.returncode == 0


DEMOS = sorted(path for path in (ROOT / "demos").glob("*.py") if "sn.fit(" in path.read_text("utf-8"))


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.stem)
def test_every_training_of_a_demo_is_saved_for_resume(demo):
    calls = [node for node in ast.walk(ast.parse(demo.read_text("utf-8"))) if isinstance(node, ast.Call)]
    trainings = [call for call in calls if ast.unparse(call.func) == "sn.fit"]
    assert trainings
    for training in trainings:
        saved = {keyword.arg: ast.unparse(keyword.value) for keyword in training.keywords}
        assert "demo.checkpoint(" in saved["checkpoint"]


# ---- interrupted


def interrupted_after(steps: int, run: Run, path: Path, **options: Any) -> sn.History:
    loss, left = run.model.loss, iter(range(steps - 1))

    def interrupting(*arguments: Any, **keywords: Any) -> Any:
        if next(left, None) is None:
            signal.raise_signal(signal.SIGINT)
        return loss(*arguments, **keywords)

    run.model.loss = interrupting
    history = run.fit(path, **options)
    run.model.loss = loss
    return history


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_ctrl_c_finishes_the_step_and_saves_it(path, steps):
    whole, run, again = Run(), Run(), Run()
    expected = whole.left(whole.fit(None))
    assert interrupted_after(steps, run, path, checkpoint_seconds=3600, validation=X[:7]).interrupted
    assert again.left(again.fit(path)) == expected


def test_the_step_in_which_ctrl_c_was_pressed_is_saved(path):
    interrupted_after(3, Run(), path, checkpoint_seconds=3600)
    with np.load(path) as arrays:
        assert json.loads(arrays["state"].tobytes())["steps"] == 3


def test_a_second_ctrl_c_loses_nothing_that_was_saved(path):
    whole, run, again = Run(), Run(), Run()
    expected = whole.left(whole.fit(None))
    loss, left = run.model.loss, iter(range(7))

    def interrupting(*arguments: Any, **keywords: Any) -> Any:
        if next(left, None) is None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return loss(*arguments, **keywords)

    run.model.loss = interrupting
    with pytest.raises(KeyboardInterrupt):
        run.fit(path)
    assert again.left(again.fit(path)) == expected


def test_ctrl_c_while_it_saves_lets_that_be_finished(path):
    whole, again = Run(), Run()
    expected = whole.left(whole.fit(None))

    presses = iter([signal.SIGINT])

    def schedule(step: int) -> float:  # the rate of the first step is asked for again in each save
        if step == 0 and run.optimizer.steps == 7:
            for press in presses:
                signal.raise_signal(press)
        return 0.01

    run = Run(optimizer=sn.Adam(schedule))
    assert run.fit(path).interrupted
    assert run.optimizer.steps == 7
    assert again.left(again.fit(path)) == expected


def test_the_same_call_in_the_same_process_goes_on(path):
    whole, run = Run(), Run()
    expected = whole.left(whole.fit(None, validation=None))
    interrupted_after(7, run, path, validation=None)
    assert run.left(run.fit(path, validation=None)) == expected


def test_ctrl_c_says_where_the_run_is_saved_and_how_it_goes_on(path, capsys):
    run = Run()
    loss = run.model.loss
    run.model.loss = lambda *a, **k: (signal.raise_signal(signal.SIGINT), loss(*a, **k))[1]
    sn.fit(run.model, X, optimizer=run.optimizer, epochs=2, rng=run.rng, batch_size=5, checkpoint=path)
    assert f"Saved in {path} after 1 step: the same call resumes from there.\n" in capsys.readouterr().out


def test_a_run_that_goes_on_says_so(path, capsys):
    Run().fit(path, epochs=1, validation=None)
    run = Run()
    sn.fit(run.model, X, optimizer=run.optimizer, epochs=2, rng=run.rng, batch_size=5, checkpoint=path)
    assert f"{path}: resumed after 5 steps, in epoch 2/2\n" in capsys.readouterr().out


def test_a_run_that_goes_on_without_progress_says_nothing(path, capsys):
    Run().fit(path, epochs=1)
    Run().fit(path, epochs=2, progress=False)
    assert capsys.readouterr().out == ""


# ---- when it saves, and what it says


class Saves(sn.Callback):
    """Notes the step of each save."""

    def before_training(self, run: Any) -> None:
        self.run, self.steps = run, []

    def state_dict(self) -> dict[str, Any]:
        self.steps.append(self.run.step)
        return {}


def test_the_last_step_of_an_epoch_is_saved_once_with_the_epoch(path):
    saves = Saves()
    Run().fit(path, epochs=2, callbacks=[saves])
    assert saves.steps == list(range(11))


def test_within_an_epoch_it_is_saved_as_soon_as_so_many_seconds_have_passed(path, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    saves = Saves()
    Run().fit(path, x=np.resize(X, (60, 6)), epochs=1, callbacks=[saves], checkpoint_seconds=3)
    assert saves.steps == [0, 3, 6, 9, 12]  # the clock goes on by one when it is looked at, and so it is at each save


def test_a_run_that_begins_says_nothing_of_going_on(path, capsys):
    stopped, again = Run(), Run()
    stopping_after(stopped.model, 0)
    with pytest.raises(StopsHereError):
        stopped.fit(path)
    again.fit(path, progress=True)
    assert "goes on" not in capsys.readouterr().out


def test_a_run_that_ends_with_its_last_epoch_is_not_said_to_go_on(path, capsys):
    ctrl_c = AfterEpoch(lambda record: signal.raise_signal(signal.SIGINT))
    Run().fit(path, epochs=1, progress=True, callbacks=[ctrl_c])
    assert "Saved in" not in capsys.readouterr().out


@pytest.mark.parametrize("nest", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "dicts"])
@pytest.mark.parametrize("depth", [200, 400])
def test_a_state_that_can_be_saved_can_be_read_however_deeply_it_is_nested(path, nest, depth):
    class Deep(sn.Callback):
        state: Any = functools.reduce(lambda inner, _: nest(inner), range(depth), 1.5)

        def state_dict(self) -> dict[str, Any]:
            return {"nested": self.state}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = state["nested"]

    Run().fit(path, epochs=1, callbacks=[Deep()])
    assert len(Run().fit(path, epochs=2, callbacks=[again := Deep()]).epochs) == 2
    assert again.state == Deep.state


# ---- schedules


@pytest.mark.parametrize("batch_size", [5, 22])
def test_a_schedule_is_asked_only_of_steps_that_are_taken(path, batch_size):
    for epochs in (1, 2):
        rates = dict.fromkeys(range(epochs * -(-len(X) // batch_size)), 0.01)
        run = Run(optimizer=sn.Adam(rates.__getitem__))
        run.fit(path, epochs=epochs, batch_size=batch_size)
    assert run.optimizer.steps == len(rates)


def test_a_schedule_that_differs_at_the_last_step_is_another_run(path):
    Run(optimizer=sn.Adam(lambda step: 0.01)).fit(path, epochs=1)
    with pytest.raises(sn.DataError, match=r"the learning rate at step 4 is 0\.01 there and 0\.02 here"):
        Run(optimizer=sn.Adam(lambda step: 0.02 if step == 4 else 0.01)).fit(path)


# ---- random generators


def test_children_that_a_generator_spawned_count(path):
    def run() -> Run:
        made = Run()
        made.rng.spawn(50)
        return made

    whole, first, again = run(), run(), run()
    whole.fit(None, epochs=2)
    first.fit(path, epochs=1)
    again.fit(path, epochs=2)
    assert again.rng.spawn(1)[0].random() == whole.rng.spawn(1)[0].random()


class NoChildren(ISeedSequence):
    """Seeds that cannot be spawned from, as some are."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.arange(n_words, dtype=dtype)


def test_a_generator_that_cannot_spawn_goes_on(path):
    def run() -> Run:
        made = Run()
        seeds: Any = NoChildren()
        made.rng = np.random.Generator(np.random.PCG64(seeds))
        return made

    whole, first, again = run(), run(), run()
    expected = whole.left(whole.fit(None, validation=None))
    first.fit(path, epochs=1, validation=None)
    assert again.left(again.fit(path, validation=None)) == expected


# ---- data


MANY = np.random.default_rng(8).random((1000, 6), np.float32)


@pytest.mark.parametrize("row", [0, 501, 999])
def test_each_row_of_an_array_in_memory_counts(path, row):
    Run().fit(path, epochs=1, x=MANY, batch_size=1000)
    other = MANY.copy()
    other[row] = 0
    with pytest.raises(sn.DataError, match="holds another run: x is "):
        Run().fit(path, x=other, batch_size=1000)


@pytest.mark.parametrize("row", [0, 999])
def test_the_first_and_the_last_row_of_an_array_in_a_file_count(path, tmp_path, row):
    other = MANY.copy()
    other[row] = 0
    np.save(tmp_path / "x.npy", MANY)
    np.save(tmp_path / "other.npy", other)
    Run().fit(path, epochs=1, x=np.load(tmp_path / "x.npy", mmap_mode="r"), batch_size=1000)
    with pytest.raises(sn.DataError, match="holds another run: x is "):
        Run().fit(path, x=np.load(tmp_path / "other.npy", mmap_mode="r"), batch_size=1000)


class Several(OneProcess):
    """As if other processes shared the training: whether there is a file when they have all come here."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.found = path, []

    def wait(self):
        self.found.append(self.path.exists())


def test_of_several_processes_none_writes_before_all_have_looked_for_a_file(path):
    run, several = Run(), Several(path)
    run.model.processes = several
    run.fit(path, epochs=1)
    assert several.found == [False]
    assert path.exists()


def test_a_run_of_many_steps_goes_on(path):
    Run().fit(path, epochs=6, batch_size=1, checkpoint_seconds=3600)
    assert len(Run().fit(path, epochs=7, batch_size=1, checkpoint_seconds=3600).epochs) == 7


# ---- settings


def test_a_model_that_goes_on_has_no_attribute_that_it_had_not(path):
    Run().fit(path, epochs=1)
    run = Run()
    before = set(vars(run.model))
    run.fit(path, epochs=2)
    assert set(vars(run.model)) == before


@pytest.mark.parametrize(("there", "here"), [(float("nan"), 1.0), (1.0, float("nan"))])
def test_a_setting_that_is_nan_is_no_number(path, there, here):
    def run(value: float) -> Run:
        made = Run()
        vars(made.optimizer)["mine"] = value
        return made

    run(there).fit(path, epochs=1)
    with pytest.raises(sn.DataError, match=rf"the optimizer's mine is {there} there and {here} here"):
        run(here).fit(path)


def test_a_setting_that_is_nan_is_as_it_was(path):
    for epochs in (1, 2):
        run = Run()
        vars(run.optimizer)["mine"] = float("nan")
        history = run.fit(path, epochs=epochs)
    assert len(history.epochs) == 2


# ---- another run


def an_autoencoder(rng: np.random.Generator, **options: Any) -> sn.Autoencoder:
    return sn.Autoencoder(sn.Dense(6, 2, rng=rng), sn.Dense(2, 6, rng=rng), **options)


@pytest.mark.parametrize(
    ("run", "options", "difference"),
    [
        (lambda: Run(), {"batch_size": 4}, "batch_size is 5 there and 4 here"),
        (lambda: Run(), {"x": X + 0.0001}, r"x is \(22, 6\) of float32, \w+ there and \(22, 6\) of float32, \w+ here"),
        (lambda: Run(), {"x": X[:20]}, r"x is \(22, 6\) of float32, \w+ there and \(20, 6\) of float32, \w+ here"),
        (lambda: Run(), {"validation": None}, r"validation is \(7, 6\) of float32, \w+ there and None here"),
        (lambda: Run(hidden=6), {}, r"the model is VAE\(.*Dense\(6, 5\).* there and VAE\(.*Dense\(6, 6\).* here"),
        (lambda: Run(beta=2.0), {}, "the model is .*effective β 1.* there and .*effective β 2.* here"),
        (lambda: Run(make=an_autoencoder), {}, "the model is VAE.* there and Autoencoder.* here"),
        (lambda: Run(optimizer=sn.Adam(0.02)), {}, "the learning rate at step 0 is 0.01 there and 0.02 here"),
        (lambda: Run(optimizer=sn.Adam(0.01, beta1=0.5)), {}, "beta1 is 0.9 there and 0.5 here"),
        (lambda: Run(optimizer=sn.SGD(0.01)), {}, "the optimizer is Adam there and SGD here"),
        (lambda: Run(seed=1), {}, r"rng is PCG64 in state \w+ there and PCG64 in state \w+ here"),
    ],
)
def test_a_run_that_is_another_is_refused_by_what_is_different(path, run, options, difference):
    Run().fit(path, epochs=2)
    before = path.read_bytes()
    other = run()
    theta = other.model.parameters.theta.copy()
    with pytest.raises(sn.DataError, match=rf"^{path} holds another run: .*{difference}"):
        other.fit(path, **options)
    assert np.array_equal(other.model.parameters.theta, theta)
    assert other.optimizer.steps == 0
    assert path.read_bytes() == before


def test_other_first_weights_are_another_run(path):
    Run().fit(path, epochs=2)
    other = Run()
    other.model.parameters.theta[0] += 1
    with pytest.raises(
        sn.DataError, match=r"theta is \(\d+,\) of float32, \w+ there and \(\d+,\) of float32, \w+ here"
    ):
        other.fit(path)


@pytest.mark.parametrize("other", [{"loss": sn.bce_with_logits}, {"corrupt": sn.corruption.Masking(0.5)}])
def test_an_autoencoder_with_another_loss_or_corruption_is_another_run(path, other):
    Run(make=an_autoencoder).fit(path, epochs=1)
    with pytest.raises(sn.DataError, match=r"the model is Autoencoder.* there and Autoencoder.* here"):
        Run(make=an_autoencoder, **other).fit(path)


def test_another_engine_is_another_run(path):
    with kernels.use("numpy"):
        Run().fit(path, epochs=1)
    if kernels.active() == "numpy":
        pytest.skip("there is no other engine")
    with pytest.raises(sn.DataError, match=f"the engine of the kernels is numpy there and {kernels.active()} here"):
        Run().fit(path)


def test_fewer_epochs_than_were_run_are_refused(path):
    Run().fit(path, epochs=3)
    with pytest.raises(sn.DataError, match=rf"^{path} holds 3 epochs, expected at most the 2 asked for\.$"):
        Run().fit(path, epochs=2)


# ---- files that are damaged, and places that cannot be written


PLACES = {
    "a folder that is not there": lambda folder: folder / "no" / "such" / "run.npz",
    "a file for a folder": lambda folder: folder / "file" / "run.npz",
    "a folder that may not be written to": lambda folder: folder / "locked" / "run.npz",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_place_that_cannot_be_written_is_reported_before_the_first_step(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "locked").mkdir(mode=0o500)
    path = place(tmp_path)
    if path.parent.name == "locked" and os.access(path.parent, os.W_OK):
        pytest.skip("who runs this may write everywhere")
    run = Run()
    with pytest.raises(OSError, match=rf"the run cannot be saved \(.*\): '{path}'$"):
        run.fit(path)
    assert run.optimizer.steps == 0


def test_a_folder_for_a_checkpoint_is_refused_before_the_first_step(tmp_path):
    run = Run()
    with pytest.raises(sn.DataError, match="is not a checkpoint file, but a directory"):
        run.fit(tmp_path)
    assert run.optimizer.steps == 0


class FullDisk:
    """A schedule; from this step on no file of this process can grow beyond a kilobyte."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, step: int) -> float:
        if step >= self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return 0.01


@pytest.fixture
def file_limit():
    if resource is None:
        pytest.skip("there is no way to run out of disk for real")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield limits
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_reported_before_the_first_step(path, file_limit):
    run = Run(optimizer=sn.Adam(FullDisk(0)))
    with pytest.raises(OSError, match=rf"the run cannot be saved \(File too large\): '{path}'$"):
        run.fit(path)
    assert run.optimizer.steps == 0
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_is_reported_before_the_first_step_also_if_the_run_goes_on(path, file_limit):
    Run(optimizer=sn.Adam(lambda step: 0.01)).fit(path, epochs=1)
    before, run = path.read_bytes(), Run(optimizer=sn.Adam(FullDisk(0)))
    with pytest.raises(OSError, match=r"\(File too large\); what was saved there before is kept: "):
        run.fit(path)
    assert run.optimizer.steps == 0
    assert path.read_bytes() == before


def test_a_disk_that_fills_up_costs_nothing_that_was_saved(path, file_limit):
    run = Run(optimizer=sn.Adam(FullDisk(6)))
    with pytest.raises(OSError, match=r"\(File too large\); what was saved there before is kept: "):
        run.fit(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, file_limit)
    whole, again = Run(), Run()
    assert again.left(again.fit(path)) == whole.left(whole.fit(None))
    assert again.optimizer.steps == 15
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_no_checkpoint_is_named(path):
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(sn.DataError, match=rf"^{path} is not a checkpoint file, or is damaged: "):
        Run().fit(path)


STATE = np.random.default_rng(0).bit_generator.state
POSITION = {"examples": 0, "means": {}, "seconds": 0.0, "order": None, "validation": None}


@pytest.mark.parametrize(
    "lie",
    [
        {"position": POSITION | {"examples": -5, "order": STATE}},
        {"epochs": "many"},
        {"rng": {"bit_generator": "PCG64", "state": "none"}},
        {"steps": "three"},
        {"rates": {"1e9": 0.5}},
        {"settings": []},
        {"rng": None},
        {"steps": -5, "rates": {"0": 0.01}},
        {"steps": 1.0, "rates": {"0": 0.01}},
        {"steps": -1},
        {"steps": 2**53},
        {"spawned": -1},
        {"spawned": 2**20},
        {"position": POSITION | {"examples": 3, "order": STATE}},
        {"position": POSITION | {"examples": 10}},
        {"position": POSITION | {"examples": 10**9, "order": STATE}},
        {"position": POSITION | {"examples": 5, "order": STATE}},
        {"position": POSITION | {"means": {"loss": [float("nan"), 5]}}},
        {"position": POSITION | {"means": {"loss": [1.0, 0]}}},
        {"position": POSITION | {"means": {"kl": ["1.0", 5]}}},
        {"position": POSITION | {"seconds": None}},
        {"position": POSITION | {"seconds": float("inf")}},
        {"position": POSITION | {"validation": 0}},
        {"epochs": {}},
        {"position": POSITION | {"order": {"bit_generator": "PCG64", "state": {}}}},
    ],
)
def test_a_checkpoint_whose_parts_make_no_sense_is_refused(path, lie):
    Run().fit(path, epochs=1)
    rewrite(path, lambda state: state | lie)
    run = Run()
    theta = run.model.parameters.theta.copy()
    with pytest.raises(sn.DataError, match=rf"^{path} "):
        run.fit(path)
    assert run.optimizer.steps == 0
    assert np.array_equal(run.model.parameters.theta, theta)


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change what a checkpoint holds beside its arrays; the seal fits again, as a forger would have it."""
    with np.load(path) as arrays:
        parts = dict(arrays)
    state = change(json.loads(parts["state"].tobytes()))
    parts["state"] = as_text(state)
    parts["seal"] = np.frombuffer(digest(parts["state"]).encode(), np.uint8)
    np.savez(path, **parts)


@pytest.mark.parametrize(
    ("generator", "lie", "places"),
    [
        (np.random.MT19937, lambda rng, n: rng["state"].update(pos=n), 624),
        (np.random.Philox, lambda rng, n: rng.update(buffer_pos=n), 4),
    ],
)
@pytest.mark.parametrize("place", [-(10**8), -1, "the next after the last", 10**9])
def test_a_random_state_beyond_its_own_numbers_is_refused(path, generator, lie, places, place):
    def run() -> Run:
        made = Run()
        made.rng = np.random.Generator(generator(3))
        return made

    def change(state: dict[str, Any]) -> dict[str, Any]:
        lie(state["rng"], place if isinstance(place, int) else places + 1)
        return state

    run().fit(path, epochs=1)
    rewrite(path, change)
    with pytest.raises(sn.DataError, match=rf"^{re.escape(str(path))} is not a checkpoint file, or is damaged: "):
        run().fit(path)


def test_a_number_that_is_not_the_one_that_was_saved_is_refused(path):
    Run().fit(path, epochs=1)
    with np.load(path) as arrays:
        text = arrays["state"].tobytes()
    assert b'"steps": 5' in text
    rewrite_arrays(path, lambda found: {"state": np.frombuffer(text.replace(b'"steps": 5', b'"steps": 6'), np.uint8)})
    with pytest.raises(sn.DataError, match=r"is damaged: its numbers are not those that were saved"):
        Run().fit(path)


def rewrite_arrays(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the arrays of a checkpoint; the sums of the archive fit again."""
    with np.load(path) as arrays:
        parts = dict(arrays)
    np.savez(path, **parts | change(parts))


@pytest.mark.parametrize(
    ("optimizer", "change"),
    [
        (lambda: sn.Adam(0.01), lambda found: {"theta": -found["theta"]}),
        (lambda: sn.Adam(0.01), lambda found: {"optimizer m": np.nextafter(found["optimizer m"], np.float32(1))}),
        (lambda: sn.Adam(0.01), lambda found: {"optimizer v": 0 * found["optimizer v"]}),
        (
            lambda: sn.Adam(0.01),
            lambda found: {"optimizer m": found["optimizer v"], "optimizer v": found["optimizer m"]},
        ),
        (lambda: sn.SGD(0.01, momentum=0.9), lambda found: {"optimizer velocity": found["optimizer velocity"][::-1]}),
    ],
    ids=["parameters", "a last digit of Adam's mean", "Adam's squares", "Adam's two swapped", "SGD's velocity"],
)
def test_an_array_that_is_not_the_one_that_was_saved_is_refused(path, optimizer, change):
    Run(optimizer=optimizer()).fit(path, epochs=1)
    rewrite_arrays(path, change)
    run = Run(optimizer=optimizer())
    theta = run.model.parameters.theta.copy()
    with pytest.raises(sn.DataError, match=r"is damaged: .* not (those that were|what was) saved"):
        run.fit(path)
    assert run.optimizer.steps == 0
    assert np.array_equal(run.model.parameters.theta, theta)


@pytest.mark.parametrize("bracket", ["[", "{"])
def test_a_text_that_is_nested_too_deeply_is_refused_before_it_is_read(path, bracket):
    Run().fit(path, epochs=1)
    deep = np.full(2 * sys.getrecursionlimit() + 101, ord(bracket), np.uint8)
    rewrite_arrays(path, lambda found: {"state": deep})
    with pytest.raises(sn.DataError, match="is damaged: it is nested too deeply"):
        Run().fit(path)


def test_brackets_that_were_closed_before_hide_no_deep_nesting():
    deep = 2 * sys.getrecursionlimit() + 101
    with pytest.raises(ValueError, match="nested too deeply"):
        parsed(np.frombuffer(b"[" + b"[]," * deep + b"[" * deep, np.uint8))


@pytest.mark.parametrize("part", [[], {}], ids=["lists", "dicts"])
def test_many_brackets_beside_each_other_are_not_nested(part):
    parts = [part] * (5 * sys.getrecursionlimit())
    assert parsed(as_text(parts)) == parts


def test_a_checkpoint_of_another_version_is_refused(path):
    Run().fit(path, epochs=1)
    rewrite(path, lambda state: state | {"format": 0})
    with pytest.raises(sn.DataError, match="was written by another version of scratchnet: begin the run anew"):
        Run().fit(path)


def test_a_checkpoint_that_says_nothing_of_the_memory_that_was_saved_is_refused(path):
    Run().fit(path, epochs=1)
    rewrite(path, lambda state: {name: part for name, part in state.items() if name != "arrays"})
    with pytest.raises(sn.DataError, match="is not a checkpoint file, or is damaged"):
        Run().fit(path)


def test_a_checkpoint_that_lacks_the_state_of_a_callback_is_refused(path):
    Run().fit(path, epochs=1, callbacks=[Saves()])
    none = as_text([])
    rewrite_arrays(path, lambda found: {"callbacks": none})
    rewrite(path, lambda state: state | {"arrays": state["arrays"] | {"callbacks": digest(none)}})
    run = Run()
    with pytest.raises(sn.DataError, match="is not a checkpoint file, or is damaged"):
        run.fit(path, callbacks=[Saves()])
    assert run.optimizer.steps == 0


def test_a_compressed_checkpoint_is_refused_since_it_may_be_longer_than_its_file(path):
    Run().fit(path, epochs=1)
    with np.load(path) as arrays:
        parts = dict(arrays)
    np.savez_compressed(path, **parts)
    with pytest.raises(sn.DataError, match="state is compressed"):
        Run().fit(path)


# ---- the same bits


THREADS = """
import sys, numpy as np, scratchnet as sn
from scratchnet.kernels import threads
x = sn.data.mnist("test")[0][:500]
def train(count, epochs, checkpoint=None):
    threads.threads, threads.TRIAL = count, 0
    rng = np.random.default_rng(0)
    vae = sn.VAE(
        sn.Sequential(sn.Dense(784, 100, rng=rng), sn.ReLU(), sn.Dense(100, 8, rng=rng)),
        sn.Sequential(sn.Dense(4, 100, rng=rng), sn.ReLU(), sn.Dense(100, 784, rng=rng)),
    )
    sn.fit(vae, x, optimizer=sn.Adam(), epochs=epochs, rng=rng, progress=False, checkpoint=checkpoint)
    return vae.parameters.theta.tobytes().hex()
whole = [train(count, 2) for count in (1, 2, 4)]
train(1, 1, sys.argv[1])
print(*whole, train(4, 2, sys.argv[1]))
"""


def test_one_two_and_four_threads_train_the_same_weights_also_if_another_number_goes_on(path):
    pytest.importorskip("numba")
    found = python("-c", THREADS, str(path)).split()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_the_compiled_kernels_train_what_the_formulas_train_but_for_rounding():
    thetas = []
    for engine in ENGINES:
        with kernels.use(engine):
            run = Run(dtype=np.float64)
            run.fit(None, x=X.astype(np.float64), validation=None)
        thetas.append(run.model.parameters.theta)
    for theta in thetas:
        assert np.allclose(theta, thetas[0], rtol=1e-9, atol=1e-12)
    assert not np.array_equal(thetas[0], Run(dtype=np.float64).model.parameters.theta)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_models_trained_at_once_are_those_trained_one_after_the_other(engine):
    def train(run: Run) -> Any:
        return run.left(run.fit(None, epochs=20))

    with kernels.use(engine), ThreadPoolExecutor(2) as threads:
        expected = [train(Run(seed)) for seed in (1, 2)]
        assert list(threads.map(train, [Run(1), Run(2)])) == expected


# ---- numbers gone bad


def test_the_last_good_checkpoint_stays_when_the_loss_diverges(path):
    run = Run(optimizer=sn.SGD(lambda step: 0.01 if step < 7 else 1e30))
    with pytest.raises(sn.DivergenceError, match="try a smaller learning rate"):
        run.fit(path, epochs=4, checkpoint_seconds=0)
    with np.load(path) as arrays:
        assert np.isfinite(arrays["theta"]).all()


class Spoils(sn.Optimizer):
    """Leaves a parameter that is no number."""

    def move(self, theta, dtheta, learning_rate):
        theta[0] = np.nan


def test_parameters_that_a_step_spoilt_are_not_saved(path):
    with pytest.raises(sn.DivergenceError):
        Run(optimizer=Spoils(0.1)).fit(path)
    with np.load(path) as arrays:
        assert np.isfinite(arrays["theta"]).all()


def test_of_extended_precision_the_numbers_count_and_not_the_bytes_between_them():
    x = np.ones(3, np.longdouble)
    junk = np.full(x.nbytes, 255, np.uint8).view(np.longdouble)
    junk[:] = [1.0, 1.0, 1.0]
    assert digest(junk) == digest(x)
    assert digest(x + np.finfo(np.longdouble).eps) != digest(x)
