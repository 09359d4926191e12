"""Random trainings: whatever parts come together, and wherever the training is interrupted, `fit` keeps its promises.

A seed chooses a model, data, an optimizer, callbacks and how they are called, and a few interruptions. The training is
made once without interruption, and once with: after each interruption the same call is made again, on the same objects
or on new ones. `--mixes` is the number of seeds; most are slow.
"""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.callbacks import Anneal, ClipGradients, EarlyStopping, Watch
from scratchnet.core.parameters import parts_of
from scratchnet.training.storage import arrays_in, learnt
from tests.test_callbacks import HalvesTheRate, Keeps, Mean
from tests.test_own_parts import Laplace, Replaces, RMSprop

QUICK = 10  # seeds that are part of the plain command
MOMENTS = [name for name in vars(sn.Callback) if name.startswith(("before_", "after_"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mixes: Any = metafunc.config.getoption("mixes")
    which = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= QUICK else []) for seed in range(mixes)]
    metafunc.parametrize("seed", which, scope="module")


# ---- the parts


def dense(n_in: int, n_out: int, seed: int, dtype: Any) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=np.random.default_rng(seed), dtype=dtype)


class Centre(sn.Layer):
    """y = x − the running mean of all x of the training; one state changes in place, the other is replaced."""

    state_names = ("mean", "count")

    def __init__(self, width: int, dtype: Any):
        self.mean, self.count = np.zeros(width, dtype), np.int64(0)

    def forward(self, x):
        if self.training:
            self.mean += (x.mean(axis=0) - self.mean) * self.mean.dtype.type(len(x) / (self.count + len(x)))
            self.count = self.count + len(x)
        return x - self.mean, lambda dy: dy.copy()


class Scores:
    """Fits noisy scores, with a layer that is used twice and a metric that short batches lack."""

    unit = "squares"

    def __init__(self, dtype: Any):
        twice = dense(4, 4, 1, dtype)
        self.network = sn.Sequential(Centre(4, dtype), twice, sn.Tanh(), twice)
        self.parameters, self.dtype = sn.Parameters(network=self.network), np.dtype(dtype)

    def loss(self, batch, rng):
        x, scores = batch
        y, backward = self.network.forward(x)
        off = y - scores[:, None] - rng.standard_normal(y.shape, y.dtype)
        metrics = {"near": np.mean(np.abs(off) < 1)} if len(x) > 2 else {}
        return sn.Loss(np.mean(off**2), {"squared": np.mean(off**2)}, lambda: backward(2 * off / off.size), metrics)


def autoencoder(dtype: Any, *first: sn.Layer, **options: Any) -> sn.Autoencoder:
    encoder = sn.Sequential(*first, dense(4, 3, 1, dtype), sn.Tanh())
    return sn.Autoencoder(encoder, sn.Sequential(dense(3, 4, 2, dtype), sn.Sigmoid()), **options)


def layers(dtype: Any) -> tuple[sn.Layer, sn.Layer]:
    return sn.Sequential(dense(4, 3, 1, dtype), sn.Tanh(), dense(3, 4, 2, dtype)), dense(2, 4, 3, dtype)


MODELS: dict[str, Callable[[Any], Any]] = {
    "mse": autoencoder,
    "bce": lambda dtype: autoencoder(dtype, loss=sn.bce),
    "bce_with_logits": lambda dtype: autoencoder(dtype, loss=sn.bce_with_logits),
    "masked": lambda dtype: autoencoder(dtype, corrupt=sn.corruption.Masking(0.5)),
    "noisy": lambda dtype: autoencoder(dtype, corrupt=sn.corruption.GaussianNoise(0.1)),
    "salted": lambda dtype: autoencoder(dtype, corrupt=sn.corruption.SaltAndPepper(0.2)),
    "with a state": lambda dtype: autoencoder(dtype, Centre(4, dtype)),
    "VAE": lambda dtype: sn.VAE(*layers(dtype)),
    "Gaussian VAE": lambda dtype: sn.VAE(*layers(dtype), likelihood="gaussian", sigma=0.5, beta=0.5),
    "Laplace VAE": lambda dtype: sn.VAE(*layers(dtype), likelihood=Laplace(dtype(0.5))),
    "IWAE": lambda dtype: sn.IWAE(*layers(dtype), k=3),
    "Classifier": lambda dtype: sn.Classifier(sn.Sequential(dense(4, 4, 1, dtype), sn.ReLU(), dense(4, 3, 2, dtype))),
    "Scores": Scores,
}
BESIDE: dict[str, Callable[[int], np.ndarray]] = {  # what comes with x
    "Classifier": lambda N: np.arange(N, dtype=np.uint8) % 3,
    "Scores": lambda N: np.arange(N, dtype=np.float32) / 4,
}
OPTIMIZERS: dict[str, Callable[[Any], sn.Optimizer]] = {
    "SGD": sn.SGD,
    "momentum": lambda rate: sn.SGD(rate, momentum=0.9),
    "Adam": lambda rate: sn.Adam(rate, weight_decay=0.01),
    "RMSprop": RMSprop,
    "Replaces": Replaces,
}


class At(sn.Callback):
    """Calls a function with the moment and the run at some moments."""

    def __init__(self, act: Callable[[str, Any], Any], *moments: str):
        for moment in moments:
            setattr(self, moment, partial(act, moment))


class Sums(sn.Callback):
    """Adds up random numbers drawn before the training and at one moment, from the generator or from its children."""

    def __init__(self, moment: str, spawns: bool):
        self.spawns = spawns
        if moment != "before_training":
            setattr(self, moment, self.add)

    def before_training(self, run):
        self.total = 0.0
        self.add(run)

    def add(self, run):
        self.total += (run.rng.spawn(1)[0] if self.spawns else run.rng).random()

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


class Shortens(sn.Callback):
    """Replaces each batch by its first row and changes that, and records a number of its own."""

    def before_step(self, run):
        rows = tuple(array[:1] for array in (run.batch if isinstance(run.batch, tuple) else (run.batch,)))
        rows[0][...] *= 0.5
        run.batch = rows if isinstance(run.batch, tuple) else rows[0]

    def after_epoch(self, run):
        run.record["drawn"] = run.rng.random(dtype=np.float32)


CALLBACKS: dict[str, Callable[[str], sn.Callback]] = {  # with a moment for those that have one
    "stops soon": lambda _: EarlyStopping(1, "loss", min_delta=1e9),
    "stops late": lambda _: EarlyStopping(2, "loss", min_delta=1e9, restore_best=False),
    "waits": lambda _: EarlyStopping(1, "loss", mode="max", start_from_epoch=2),
    "clips": lambda _: ClipGradients(0.1),
    "anneals": lambda _: Anneal(beta=lambda step: min(1.0, step / 5)),
    "watches": lambda _: Watch(2),
    "halves the rate": lambda _: HalvesTheRate(),
    "averages": lambda _: Mean(),
    "shortens": lambda _: Shortens(),
    "draws": lambda moment: At(lambda _, run: run.rng.random(), moment),
    "spawns": lambda moment: At(lambda _, run: run.rng.spawn(1), moment),
    "sums draws": lambda moment: Sums(moment, spawns=False),
    "sums children": lambda moment: Sums(moment, spawns=True),
}


# ---- a training made of them


class InterruptionError(Exception):
    """Stands for whatever goes wrong."""


def raising(error: type[BaseException]) -> Callable[[str, Any], None]:
    def act(moment: str, run: Any) -> None:
        raise error

    return act


INTERRUPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "stop": lambda _, run: run.stop("interrupted"),
    "Ctrl-C": lambda *_: signal.raise_signal(signal.SIGINT),
    "error": raising(InterruptionError),
    "KeyboardInterrupt": raising(KeyboardInterrupt),
}


@dataclass
class Objects:
    """What a call of `fit` is made on."""

    model: Any
    optimizer: sn.Optimizer
    rng: np.random.Generator
    callbacks: list[sn.Callback]

    def now(self) -> dict[str, Any]:
        """All of model, optimizer and generator that a training changes."""
        names, seeds = self.optimizer.memory_names, cast(np.random.SeedSequence, self.rng.bit_generator.seed_seq)
        numbers = {**vars(self.model), **vars(self.optimizer)}
        return comparable(
            {
                "arrays": arrays_in(learnt(self.model.parameters)),
                "memory": {name: getattr(self.optimizer, name) for name in names if self.optimizer.steps},
                "numbers": {name: one for name, one in numbers.items() if isinstance(one, float) and name not in names},
                "steps": self.optimizer.steps,
                "generator": self.rng.bit_generator.state,
                "children": seeds.n_children_spawned,
            }
        )

    def kept(self) -> Any:
        """The states of the callbacks."""
        return comparable([one.state_dict() for one in self.callbacks])


def comparable(value: Any) -> Any:
    """The value with bytes for arrays, so that == compares every bit."""
    if isinstance(value, Mapping):
        return {name: comparable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray | np.generic) else value


class Mix:
    """A training of parts that a seed chooses."""

    def __init__(self, seed: int, folder: Path):
        self.choose, self.folder, self.path = np.random.default_rng(seed), folder, folder / "run" / "run.npz"
        self.path.parent.mkdir()
        self.chosen: list[tuple[str, Any]] = [("seed", seed)]
        self.model = self.one_of("model", MODELS)
        self.beside = BESIDE.get(self.chosen[-1][1])
        self.dtype = self.one_of("dtype", [np.float32, np.float64])
        self.files: dict[str, np.ndarray] = {}
        self.N = self.one_of("N", [7, 10])
        self.data = self.data_of(self.N, "x")
        self.epochs = 1
        self.options = {"validation": None, "batch_size": self.one_of("batch_size", [1, 3, 5, 10, 64])}
        if self.one_of("validation", [True, False]):
            self.options["validation"] = self.data_of(3, "validation")
        self.options |= {"epochs": self.one_of("epochs", [1, 2, 4]), "progress": self.one_of("progress", [True, False])}
        self.optimizer = self.one_of("optimizer", OPTIMIZERS)
        self.busy = self.one_of("busy", MOMENTS[:-1])  # the moment at which half of all happens
        self.rate = self.one_of("rate", [0.01, sn.schedules.cosine(0.01, 7)])
        self.callbacks = [self.a_callback() for _ in range(self.one_of("callbacks", [0, 1, 3, 4]))]
        self.trained = self.one_of("trained before", [True, False])
        self.seconds = self.one_of("checkpoint_seconds", [0, 3600])

    def __repr__(self) -> str:
        return ", ".join(f"{what}: {which}" for what, which in self.chosen)

    def one_of(self, what: str, options: Any) -> Any:
        """One of them, at random."""
        which = list(options)[self.choose.integers(len(options))]
        self.chosen.append((what, getattr(which, "__name__", which)))
        return options[which] if isinstance(options, dict) else which

    def data_of(self, N: int, name: str) -> Any:
        """Arrays, or files, that nobody may write to."""
        x = np.random.default_rng(N).random((N, 4), self.dtype)
        if self.one_of(f"{name} in", ["memory", "a file"]) == "a file":
            self.files[f"{name}.npy"] = x
            np.save(self.folder / f"{name}.npy", x)
            x = np.load(self.folder / f"{name}.npy", mmap_mode=self.one_of("mode", ["r", "r+", "c"]))
        data = (x,) if self.beside is None else (x, self.beside(N))
        for array in data:
            array.flags.writeable = isinstance(array, np.memmap) and array.mode != "r"
        return x if self.beside is None else data

    def a_callback(self) -> Callable[[], sn.Callback]:
        """One that fits the model and the rate; anew at each call."""
        unfit = {"anneals": "beta" not in vars(self.model(self.dtype)), "halves the rate": callable(self.rate)}
        which = self.one_of("callback", [name for name in CALLBACKS if not unfit.get(name)])
        at = self.one_of("at", [self.busy, self.one_of("or at", MOMENTS[:-1])])
        return lambda: CALLBACKS[which](at)

    def objects(self) -> Objects:
        """New ones."""
        made = self.model(self.dtype), self.optimizer(self.rate), np.random.default_rng(5)
        on = Objects(*made, [make() for make in self.callbacks])
        if self.trained:
            self.fit(on, epochs=1, validation=None, progress=False)
        return on

    def fit(self, on: Objects, **options: Any) -> sn.History:
        """A call on these objects."""
        given = {"data": self.data} | self.options | options
        return sn.fit(on.model, given.pop("data"), optimizer=on.optimizer, rng=on.rng, **given)

    def file(self) -> bytes | None:
        """The checkpoint."""
        return self.path.read_bytes() if self.path.exists() else None

    def more_epochs(self) -> int:
        """At least as many as in the call before, at most those of the whole."""
        self.epochs = self.one_of("epochs then", range(self.epochs, self.options["epochs"] + 1))
        return self.epochs

    def interruption(self) -> tuple[str, str, int]:
        """Which, at which place, and how often the training comes there before."""
        which = self.one_of("interruption", list(INTERRUPTIONS))
        others = ["after_training", "loss", "backward", "move", "state_dict", "load_state_dict"]
        places = MOMENTS[:-1] + (others if which != "stop" else [])
        at = self.one_of("at", [self.busy, self.one_of("or at", places)])
        return which, at, 0 if at.endswith("training") else self.one_of("after", [0, 0, 1, 1, 2, 5])


@contextmanager
def interrupted(on: Objects, which: str, place: str, times: int) -> Iterator[sn.Callback]:
    """A callback that interrupts the training when it has come to the place so many times; or its objects do."""
    earlier = iter(range(times + 1))  # how often the training had come there

    def come(here: str, run: Any = None) -> None:
        if here == place and next(earlier, None) == times:
            INTERRUPTIONS[which](here, run)

    def and_come(function: Callable[..., Any], here: str) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            found = function(*given)
            come(here)
            return replace(found, backward=and_come(found.backward, "backward")) if here == "loss" else found

        return called

    with ExitStack() as changed:
        keeping = [(one, name) for one in on.callbacks for name in ("state_dict", "load_state_dict")]
        for owner, name in [(on.model, "loss"), (on.optimizer, "move"), *keeping]:
            setattr(owner, name, and_come(getattr(owner, name), name))
            changed.callback(delattr, owner, name)  # reveals the method of its class
        yield At(come, place)


@dataclass
class Call:
    """What was seen of a call of `fit`."""

    mix: Mix
    on: Objects
    options: dict[str, Any] = field(default_factory=dict)
    moments: list[tuple[str, int, int]] = field(default_factory=list)  # each with the epoch and the step
    training: list[sn.Layer] = field(default_factory=list)  # that were, in a moment or in the end
    history: sn.History | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.before, self.file_before = self.on.now(), self.mix.file()
        how = {"checkpoint": self.mix.path, "checkpoint_seconds": self.mix.seconds} | self.options
        how["callbacks"] = [At(self.note, *MOMENTS), *how.get("callbacks", self.on.callbacks)]
        try:
            self.history = self.mix.fit(self.on, **how)
        except (InterruptionError, KeyboardInterrupt, ValueError, TypeError) as error:
            self.error = error
        self.after, self.file_after = self.on.now(), self.mix.file()
        self.files = [path.name for path in self.mix.path.parent.iterdir()]
        self.look()

    def note(self, moment: str, run: Any) -> None:
        self.moments.append((moment, run.epoch, run.step))
        self.look()

    def look(self) -> None:
        self.training += [one for _, one in parts_of(self.on.model.parameters.layers) if one.training]

    @property
    def refused(self) -> bool:
        """Whether it was told that the objects are not those of the run."""
        return isinstance(self.error, sn.DataError) and "holds another run" in str(self.error)

    def records(self) -> Any:
        """The history without its seconds."""
        assert self.history is not None
        return [{name: one for name, one in record.items() if name != "seconds"} for record in self.history.epochs]


class Played:
    """A training without interruption, and one with: after each, the same call again."""

    def __init__(self, mix: Mix):
        self.mix = mix
        self.whole = Call(mix, mix.objects(), options={"checkpoint": None})
        self.calls = [self.interrupted(mix.objects())]
        for _ in range(mix.one_of("more interruptions", [0, 1, 2])):
            self.calls.append(self.interrupted(self.next_objects()))
        self.calls.append(Call(mix, self.next_objects()))
        if self.last.refused:
            self.calls.append(Call(mix, mix.objects()))
        print(mix)

    def interrupted(self, on: Objects) -> Call:
        which, place, times = self.mix.interruption()
        with interrupted(on, which, place, times) as callback:
            before = self.mix.one_of("before the others", [True, False])
            callbacks = [callback, *on.callbacks] if before else [*on.callbacks, callback]
            return Call(self.mix, on, {"callbacks": callbacks, "epochs": self.mix.more_epochs()})

    def next_objects(self) -> Objects:
        return self.last.on if self.mix.one_of("then", ["the same", "new"]) == "the same" else self.mix.objects()

    @property
    def last(self) -> Call:
        return self.calls[-1]


@pytest.fixture(scope="module")
def played(seed, tmp_path_factory) -> Played:
    return Played(Mix(seed, tmp_path_factory.mktemp("mix")))


# ---- the promises


def test_it_ends_as_it_would_have_without_interruption(played):
    assert played.last.after == played.whole.after
    assert played.last.on.kept() == played.whole.on.kept()


def test_its_history_is_the_same_but_for_the_seconds(played):
    assert played.last.records() == played.whole.records()
    assert played.last.history.stopped == played.whole.history.stopped


def test_a_finished_training_that_is_called_again_is_returned_as_it_was(played):
    again = Call(played.mix, played.mix.objects())
    assert again.after == played.whole.after
    assert again.records() == played.whole.records()


def test_each_moment_comes_in_its_place_and_number(played):
    epoch, step = 1, played.whole.before["steps"]
    expected = [("before_training", epoch, step)]
    for epoch in range(1, len(played.whole.history.epochs) + 1):
        expected.append(("before_epoch", epoch, step))
        for _ in range(0, played.mix.N, played.mix.options["batch_size"]):
            expected += [(moment, epoch, step) for moment in ("before_step", "after_loss", "after_backward")]
            step += 1
            expected.append(("after_step", epoch, step))
        expected.append(("after_epoch", epoch, step))
    assert played.whole.moments == [*expected, ("after_training", epoch, step)]


def test_the_next_call_goes_on_where_the_last_ended_and_after_an_error_further_back(played):
    whole, reached, error = played.whole.moments[1:-1], 0, None
    for call in played.calls:
        moments = [one for one in call.moments if one[0] not in ("before_training", "after_training")]
        begins = whole.index(moments[0]) if moments else reached
        assert whole[begins:][: len(moments)] == moments
        twice = [name for name, *_ in whole[begins:reached]]
        assert begins <= reached
        assert error or twice in ([], ["before_epoch"])
        reached, error = begins + len(moments), call.error or (error and not moments)
    assert reached == len(whole)


def test_the_last_moment_of_a_call_is_after_training(played):
    for call in (played.whole, *played.calls):
        names = [name for name, *_ in call.moments]
        assert names.index("after_training") == len(names) - 1


def test_training_is_false_in_each_moment_and_after_each_call(played):
    assert [call.training for call in (played.whole, *played.calls)] == [[]] * (1 + len(played.calls))


def test_a_call_ends_with_a_history_or_with_the_error_that_interrupted_it(played):
    for call in played.calls:
        assert call.history or call.refused or isinstance(call.error, InterruptionError | KeyboardInterrupt)


def test_the_same_objects_are_refused_only_after_an_error(played):
    for before, call in pairwise(played.calls):
        if call.refused:
            assert before.error
            assert call.on is before.on
            assert (call.after, call.file_after) == (call.before, call.file_before)


def test_an_error_before_the_first_step_leaves_all_as_it_was_and_makes_no_file(played):
    for call in played.calls:
        if call.error and not call.file_before and "after_step" not in [name for name, *_ in call.moments]:
            assert call.after == call.before
            assert call.files == []


def test_no_file_is_left_beside_the_checkpoint(played):
    for call in played.calls:
        assert call.files in ([], ["run.npz"])


def test_files_of_data_are_not_written_to(played):
    for name, array in played.mix.files.items():
        assert np.array_equal(np.load(played.mix.folder / name), array)


# ---- refused calls

Options = dict[str, Any]


def beside(*more: Any) -> Callable[[Mix, Objects], Options]:
    """These callbacks too."""
    return lambda mix, on: {"callbacks": [*on.callbacks, *more]}


def with_x(change: Callable[[Any], Any]) -> Callable[[Mix, Objects], Options]:
    """Other data."""
    return lambda mix, on: {"data": change(mix.data) if mix.beside is None else (change(mix.data[0]), mix.data[1])}


REFUSALS: dict[str, Callable[[Mix, Objects], Options]] = {
    "a number that the model lacks": beside(Anneal(nothing=float)),
    "one object twice": beside(*[ClipGradients(1.0)] * 2),
    "an error before the training": beside(At(raising(ValueError), "before_training")),
    "a number that is none": with_x(lambda x: x * np.nan),
    "fewer rows in one array": lambda mix, on: {"data": (mix.data, np.ones(3))},
    "no epochs": lambda mix, on: {"epochs": 0},
}
BEGINNING = {"an error before the first epoch": beside(At(raising(ValueError), "before_epoch"))}
SAVED = {"a state that cannot be kept": beside(Keeps(object())), "a column fewer": with_x(lambda x: x[:, :3])}
BEGUN = {
    "another batch size": lambda mix, on: {"batch_size": mix.options["batch_size"] + 1},
    "other data": with_x(lambda x: x / 2),
    "other callbacks": beside(Keeps(1)),
}
STATES = {
    "without a checkpoint": REFUSALS | BEGINNING,
    "with a new checkpoint": REFUSALS | BEGINNING | SAVED,
    "begun on new objects": REFUSALS | SAVED | BEGUN,
    "begun on the same objects": REFUSALS | SAVED | BEGUN,
}


def test_a_refused_call_leaves_model_optimizer_generator_and_file_as_they_were(seed, tmp_path):
    mix = Mix(seed, tmp_path)
    on, state = mix.objects(), mix.one_of("state", list(STATES))
    if "begun" in state:
        Call(mix, on, beside(At(INTERRUPTIONS["stop"], "after_step"))(mix, on))
        on = on if "same" in state else mix.objects()
    options = {"checkpoint": None} if "without" in state else {}
    call = Call(mix, on, options | mix.one_of("refused", STATES[state])(mix, on))
    print(mix)
    assert isinstance(call.error, ValueError | TypeError)
    assert (call.after, call.file_after) == (call.before, call.file_before)
    assert call.files == ["run.npz"] * ("begun" in state)
