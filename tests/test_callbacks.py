"""Callbacks: when each moment comes, how one ends a training, and what of it a checkpoint keeps."""

import json
import math
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.callbacks import Anneal, ClipGradients, EarlyStopping

X = np.random.default_rng(7).random((10, 4))


def dense(n_in: int, n_out: int, seed: int) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=np.random.default_rng(seed), dtype=np.float64)


def make_vae(**options: Any) -> sn.VAE:
    return sn.VAE(sn.Sequential(dense(4, 3, 1), sn.Tanh(), dense(3, 4, 2)), dense(2, 4, 3), **options)


class Training:
    """All that a call of `fit` needs, made anew as a new process would make it: 10 examples, 3 steps an epoch."""

    def __init__(self, model: Any = None, optimizer: Any = None, seed: int = 0):
        self.model: Any = make_vae() if model is None else model
        self.optimizer: Any = sn.Adam(0.01) if optimizer is None else optimizer
        self.rng = np.random.default_rng(seed)

    def fit(self, *callbacks: sn.Callback, epochs: int = 3, data: Any = X, **options: Any) -> sn.History:
        given: dict[str, Any] = {"batch_size": 4, "progress": False, "checkpoint_seconds": 0} | options
        how = {"optimizer": self.optimizer, "rng": self.rng, "epochs": epochs}
        return sn.fit(self.model, data, callbacks=callbacks, **how, **given)

    def left(self, history: sn.History) -> tuple[Any, ...]:
        """θ, the history without its seconds, and what the generator draws and spawns next."""
        records = [{name: value for name, value in record.items() if name != "seconds"} for record in history.epochs]
        children = [child.random() for child in self.rng.spawn(1)]
        return self.model.parameters.theta.tobytes(), records, history.stopped, self.rng.random(), children


class Calls(sn.Callback):
    """Does what it is told to at each moment; notes the moment's name, and what `look` sees then."""

    def __init__(self, look: Callable[[Any], Any] = lambda run: None, **then: Callable[[Any], Any]):
        self.look, self.then, self.moments, self.seen = look, then, [], []

    def _note(self, name: str, run: Any) -> None:
        self.moments.append(name)
        self.seen.append(self.look(run))
        if name in self.then:
            self.then[name](run)

    def before_training(self, run):
        self._note("before_training", run)

    def before_epoch(self, run):
        self._note("before_epoch", run)

    def before_step(self, run):
        self._note("before_step", run)

    def after_loss(self, run):
        self._note("after_loss", run)

    def after_backward(self, run):
        self._note("after_backward", run)

    def after_step(self, run):
        self._note("after_step", run)

    def after_epoch(self, run):
        self._note("after_epoch", run)

    def after_training(self, run):
        self._note("after_training", run)

    def at(self, moment: str) -> list[Any]:
        """What was seen at this moment."""
        return [seen for name, seen in zip(self.moments, self.seen, strict=True) if name == moment]


STEP = ["before_step", "after_loss", "after_backward", "after_step"]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run.npz"


# ---- the moments


def test_each_moment_comes_in_its_place():
    calls = Calls()
    Training().fit(calls, epochs=2)
    epoch = ["before_epoch", *STEP, *STEP, *STEP, "after_epoch"]
    assert calls.moments == ["before_training", *epoch, *epoch, "after_training"]


def test_callbacks_are_called_in_the_order_given_and_after_training_in_reverse():
    order: list[str] = []

    class Named(sn.Callback):
        def __init__(self, name):
            self.name = name

        def after_epoch(self, run):
            order.append(self.name)

        def after_training(self, run):
            order.append(f"{self.name} ends")

    Training().fit(Named("a"), Named("b"), epochs=1)
    assert order == ["a", "b", "b ends", "a ends"]


def test_epochs_count_from_one_and_steps_are_the_optimizers():
    training = Training()
    for steps in ([0, 1, 2], [3, 4, 5]):  # a second fit goes on counting
        calls = Calls(lambda run: (run.epoch, run.epochs, run.step))
        training.fit(calls, epochs=1)
        assert calls.at("before_step") == [(1, 1, step) for step in steps]


def test_before_the_training_the_epoch_is_the_first():
    calls = Calls(lambda run: run.epoch)
    Training().fit(calls, epochs=2)
    assert calls.at("before_training") == [1]


def test_a_callback_sees_the_run():
    calls = Calls(lambda run: run)
    training = Training()
    history = training.fit(calls)
    run = calls.seen[0]
    assert all(seen is run for seen in calls.seen)
    assert (run.model, run.optimizer, run.rng) == (training.model, training.optimizer, training.rng)
    assert run.parameters is training.model.parameters
    assert (run.epochs, run.batch_size) == (3, 4)
    assert run.history is history
    assert run.record is history.epochs[-1]


def test_a_batch_is_a_copy_that_before_step_may_change():
    def blacken(run: Any) -> None:
        run.batch[...] = 0

    seen = []
    model = make_vae()
    loss = model.loss
    model.loss = lambda batch, rng: seen.append(batch.copy()) or loss(batch, rng)  # type: ignore[method-assign]
    x = X.copy()
    Training(model).fit(Calls(before_step=blacken), epochs=1, data=x)
    assert not np.concatenate(seen).any()
    assert np.array_equal(x, X)


def test_before_step_may_replace_the_batch():
    def shorten(run: Any) -> None:
        run.batch = run.batch[:1]

    calls = Calls(lambda run: None if run.batch is None else len(run.batch), before_step=shorten)
    Training().fit(calls, epochs=1)
    assert calls.at("after_loss") == [1, 1, 1]


def test_the_loss_of_the_step_is_there_after_it():
    calls = Calls(lambda run: run.loss)
    Training().fit(calls, epochs=1)
    assert all(isinstance(loss, sn.Loss) for loss in calls.at("after_loss"))


def test_validation_comes_before_after_epoch():
    calls = Calls(lambda run: dict(run.record))
    Training().fit(calls, epochs=1, validation=X[:3])
    assert "val_loss" in calls.at("after_epoch")[0]


def test_numbers_that_a_callback_puts_into_a_record_stay_and_are_plain_numbers():
    def add(run: Any) -> None:
        assert run.record is run.history.epochs[-1]
        run.record.update(share=np.float32(0.5), count=np.int8(3))

    history = Training().fit(Calls(after_epoch=add), epochs=1)
    assert json.loads(json.dumps(history.epochs))[0] | {"share": 0.5, "count": 3} == history.epochs[0]


def test_a_number_in_a_record_that_no_float_can_hold_is_refused_by_its_name(path):
    with pytest.raises(ValueError, match=r"^fit expects run\.record\['n'\] to be a number that a float can hold, got "):
        Training().fit(Calls(after_epoch=lambda run: run.record.update(n=10**5000)), checkpoint=path)


def test_the_line_is_printed_after_the_users_after_epoch(capsys):
    Training().fit(Calls(after_epoch=lambda run: print("mine")), epochs=1, progress=True)
    mine, line = capsys.readouterr().out.splitlines()
    assert mine == "mine"
    assert line.startswith("epoch 1/1")


# ---- how a training ends


@pytest.mark.parametrize("moment", ["before_step", "after_loss", "after_backward", "after_step"])
def test_stop_ends_the_training_after_the_step_under_way(moment):
    training = Training()
    history = training.fit(Calls(**{moment: lambda run: run.stop("enough")}))
    assert training.optimizer.steps == 1
    assert history.stopped == "enough"
    assert history.epochs == []


def test_after_the_last_step_of_an_epoch_its_end_follows():
    calls = Calls(after_step=lambda run: run.stop() if run.step == 3 else None)
    history = Training().fit(calls, validation=X[:3])
    assert calls.moments[-2:] == ["after_epoch", "after_training"]
    assert "val_loss" in history.epochs[0]
    assert len(history.epochs) == 1


@pytest.mark.parametrize("moment", ["before_training", "before_epoch"])
def test_stop_before_the_first_step_takes_none(moment):
    training = Training()
    calls = Calls(**{moment: lambda run: run.stop()})
    training.fit(calls)
    assert training.optimizer.steps == 0
    assert "before_step" not in calls.moments
    assert calls.moments[-1] == "after_training"


def test_without_a_reason_the_history_gives_the_callbacks_class():
    assert Training().fit(Calls(after_step=lambda run: run.stop())).stopped == "Calls"


def test_the_first_reason_counts():
    first, second = (Calls(after_step=lambda run, reason=reason: run.stop(reason)) for reason in ("one", "two"))
    assert Training().fit(first, second).stopped == "one"


def test_a_reason_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match=r"^run\.stop expects reason to be a string, got 3\.$"):
        Training().fit(Calls(after_step=lambda run: run.stop(3)))


def test_a_training_that_runs_to_its_end_was_not_stopped():
    assert Training().fit().stopped == ""


class StopsAt(sn.Callback):
    """Stops when so many steps are taken."""

    def __init__(self, step: int):
        self.step = step

    def after_step(self, run):
        if run.step == self.step:
            run.stop()


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("objects", ["new", "the same"])
def test_a_stopped_run_goes_on_to_the_same_end_also_on_the_same_objects(path, step, objects):
    whole, stopped = Training(), Training()
    expected = whole.left(whole.fit(StopsAt(99), validation=X[:3]))
    stopped.fit(StopsAt(step), checkpoint=path, checkpoint_seconds=3600, validation=X[:3])
    again = stopped if objects == "the same" else Training()
    assert again.left(again.fit(StopsAt(99), checkpoint=path, validation=X[:3])) == expected


def test_a_run_stopped_before_an_epoch_goes_on_with_it(path):
    whole, run = Training(), Training()
    expected = whole.left(whole.fit())
    run.fit(Calls(before_epoch=lambda run: run.stop() if run.epoch == 2 else None), checkpoint=path)
    calls = Calls()
    assert run.left(run.fit(calls, checkpoint=path)) == expected
    assert calls.moments.count("before_epoch") == 2  # of the second and the third


def test_before_epoch_is_not_called_again_within_an_epoch(path):
    Training().fit(StopsAt(4), checkpoint=path)
    calls = Calls(lambda run: run.epoch)
    Training().fit(calls, checkpoint=path)
    assert calls.at("before_epoch") == [3]
    assert calls.at("before_step") == [2, 2, 3, 3, 3]


# ---- what is raised


class SomethingError(Exception):
    """Stands for whatever goes wrong."""


def raising(error: BaseException) -> Callable[[Any], None]:
    def then(run: Any) -> None:
        raise error

    return then


@pytest.mark.parametrize("error", [SomethingError("so"), KeyboardInterrupt(), SystemExit(3), StopIteration()])
@pytest.mark.parametrize("moment", ["before_epoch", "after_loss", "after_epoch"])
def test_after_training_is_called_whatever_was_raised(error, moment):
    calls = Calls(lambda run: run.error, **{moment: raising(error)})
    with pytest.raises(type(error)) as caught:
        Training().fit(calls)
    assert caught.value is error
    assert calls.at("after_training") == [error]


def test_after_training_is_called_only_where_before_training_returned():
    first, second = Calls(), Calls(before_training=raising(SomethingError()))
    with pytest.raises(SomethingError):
        Training().fit(first, second)
    assert first.moments == ["before_training", "after_training"]
    assert second.moments == ["before_training"]


@pytest.mark.parametrize("moment", ["before_training", "after_training"])
def test_an_exception_leaves_fit_as_it_is_also_one_that_ends_loops(moment):
    error = StopIteration()
    with pytest.raises(StopIteration) as caught:
        Training().fit(Calls(), Calls(**{moment: raising(error)}))
    assert caught.value is error


def test_the_first_exception_leaves_fit_and_later_ones_are_its_notes():
    later = Calls(after_training=raising(ValueError("later")))
    with pytest.raises(SomethingError) as caught:
        Training().fit(Calls(), later, Calls(after_step=raising(SomethingError("first"))))
    assert caught.value.__notes__ == ["Then Calls.after_training raised ValueError: later"]


def test_an_exception_in_after_training_leaves_fit_too():
    first = Calls(lambda run: run.error)
    with pytest.raises(SomethingError):
        Training().fit(first, Calls(after_training=raising(SomethingError())))
    assert isinstance(first.at("after_training")[0], SomethingError)


def test_after_an_exception_in_a_callback_nothing_is_saved(path):
    whole, again = Training(), Training()
    expected = whole.left(whole.fit())
    fails = Calls(after_epoch=lambda run: raising(SomethingError())(run) if run.epoch == 2 else None)
    with pytest.raises(SomethingError):
        Training().fit(fails, checkpoint=path, checkpoint_seconds=3600)
    steps = Calls(lambda run: run.step)
    assert again.left(again.fit(steps, checkpoint=path)) == expected
    assert steps.at("before_step")[0] == 3  # the end of the first epoch was the last save


# ---- what a checkpoint keeps of a callback


class Mean(sn.Callback):
    """The mean of θ over all steps: a callback with a state."""

    def before_training(self, run):
        self.mean, self.steps = np.zeros_like(run.parameters.theta), 0

    def after_step(self, run):
        self.steps += 1
        self.mean += (run.parameters.theta - self.mean) / self.steps

    def state_dict(self):
        return {"mean": self.mean, "steps": self.steps}

    def load_state_dict(self, state):
        self.mean, self.steps = state["mean"], state["steps"]


@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_callbacks_state_goes_on(path, step):
    whole, begun, again = Mean(), Mean(), Mean()
    Training().fit(whole)
    Training().fit(begun, StopsAt(step), checkpoint=path)
    Training().fit(again, checkpoint=path)
    assert again.mean.tobytes() == whole.mean.tobytes()
    assert again.steps == 9


class KeepsNothing(Calls):
    """A callback with a state that is empty."""

    def state_dict(self):
        return {}


@pytest.mark.parametrize("beside", [KeepsNothing, Mean, lambda: EarlyStopping(9, "loss"), sn.callbacks.Watch])
@pytest.mark.parametrize("moment", [*STEP, "before_training", "before_epoch", "after_epoch"])
def test_a_run_stopped_at_any_moment_goes_on_also_beside_callbacks_with_a_state(path, beside, moment):
    whole, stopped, again = Training(), Training(), Training()
    expected = whole.left(whole.fit(beside(), validation=X[:3]))
    stops = Calls(**{moment: lambda run: run.stop() if run.step in (0, 1, 3) else None})
    stopped.fit(stops, beside(), checkpoint=path, checkpoint_seconds=3600, validation=X[:3])
    steps = Calls(lambda run: run.step)
    assert again.left(again.fit(steps, beside(), checkpoint=path, validation=X[:3])) == expected
    assert steps.at("before_step")[0] == stopped.optimizer.steps


def test_with_a_checkpoint_after_training_is_called_once_of_each_also_where_several_have_a_state(path):
    callbacks = [KeepsNothing(), Calls(), KeepsNothing()]
    Training().fit(*callbacks, checkpoint=path, epochs=1)
    assert [one.moments.count("after_training") for one in callbacks] == [1, 1, 1]


class ActsBeforeAnEpoch(sn.Callback):
    """Halves the learning rate, draws and counts before each epoch."""

    def __init__(self):
        self.count = 0

    def before_epoch(self, run: Any):
        self.count += 1
        run.optimizer.learning_rate /= 2
        run.rng.random()

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


@pytest.mark.parametrize("objects", ["new", "the same"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_what_was_done_before_an_epoch_that_did_not_begin_is_done_once(path, objects, epoch):
    whole, stopped, acts = Training(), Training(), ActsBeforeAnEpoch()
    expected = whole.left(whole.fit(ActsBeforeAnEpoch(), validation=X[:3]))
    stops = Calls(before_epoch=lambda run: run.stop() if run.epoch == epoch else None)
    stopped.fit(acts, stops, checkpoint=path, validation=X[:3])
    again = stopped if objects == "the same" else Training()
    acts = acts if objects == "the same" else ActsBeforeAnEpoch()
    assert again.left(again.fit(acts, checkpoint=path, validation=X[:3])) == expected
    assert acts.count == 3
    assert again.optimizer.learning_rate == whole.optimizer.learning_rate


def test_a_run_that_early_stopping_ended_is_the_same_after_any_number_of_calls(path):
    scores = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0]

    def fit(patience: int, **options: Any) -> tuple[Any, ...]:
        training, acts = Training(), ActsBeforeAnEpoch()
        given = Calls(after_epoch=lambda run: run.record.update(score=scores[run.epoch - 1]))
        history = training.fit(given, EarlyStopping(patience, "score"), acts, epochs=6, **options)
        return *training.left(history), acts.count, training.optimizer.learning_rate

    ended = [fit(2, checkpoint=path) for _ in range(3)]
    assert ended == [fit(2)] * 3
    assert fit(3, checkpoint=path) == fit(3)


def test_a_state_comes_back_after_before_training_and_before_before_epoch(path):
    order: list[str] = []

    class Notes(Calls):
        def state_dict(self):
            order.append("state_dict")
            return {}

        def load_state_dict(self, state):
            order.append("load_state_dict")

        def _note(self, name, run):
            order.append(name)

    Training().fit(Notes(), checkpoint=path, epochs=1)
    assert order[:3] == ["before_training", "state_dict", "before_epoch"]
    order.clear()
    Training().fit(Notes(), checkpoint=path, epochs=2)
    assert order[:4] == ["before_training", "state_dict", "load_state_dict", "before_epoch"]


def test_a_run_is_saved_once_a_minute_unless_told_otherwise(path, monkeypatch):
    class Clock(sn.Callback):
        """A step takes 25 seconds."""

        now, saved = 1000.0, []

        def after_step(self, run):
            self.now += 25

        def state_dict(self):
            self.saved.append(self.now - 1000)
            return {}

    clock, training = Clock(), Training()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    how = {"optimizer": training.optimizer, "rng": training.rng, "batch_size": 1, "progress": False}
    sn.fit(training.model, X, epochs=1, callbacks=[clock], checkpoint=path, **how)
    assert sorted(set(clock.saved)) == [0, 75, 150, 225, 250]  # first, after 60 s and more, and at the end


class Keeps(sn.Callback):
    """Keeps whatever it is given."""

    def __init__(self, value: Any):
        self.value = value
        self.back: Any = None

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.back = state["value"]


NUMBERS = [0, -7, 2**70, -(10**5000), 0.1, -0.0, math.inf, -math.inf, 5e-324, True, False, None, 1 + 2j]
TEXTS = ["", "β → ½", 'a "quoted" \n line', "\ud800", "\0"]
STRUCTURES = [[], {}, [1, [2, [3.5, None]]], {"a": {"": [True]}, "dict": 1, "array": [0, 1], "int": "0x1"}]


@pytest.mark.parametrize("value", [*NUMBERS, *TEXTS, *STRUCTURES], ids=lambda value: type(value).__name__)
def test_a_state_comes_back_as_it_was(path, value):
    again = Keeps(value)
    Training().fit(Keeps(value), checkpoint=path, epochs=1)
    Training().fit(again, checkpoint=path, epochs=1)
    assert again.back == value
    assert type(again.back) is type(value)
    if isinstance(value, float):
        assert math.copysign(1, again.back) == math.copysign(1, value)


def test_nan_comes_back_as_nan(path):
    again = Keeps(0)
    Training().fit(Keeps(math.nan), checkpoint=path, epochs=1)
    Training().fit(again, checkpoint=path, epochs=1)
    assert math.isnan(again.back)  # type: ignore[arg-type]


ARRAYS = {
    "float32": np.array([[1, -0.0], [np.nan, np.inf]], np.float32),
    "in Fortran's order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "without axes": np.array(3),
    "empty": np.zeros((0, 3)),
    "in the other byte order": np.arange(3, dtype=">i4"),
    "bools": np.array([True, False]),
    "complex": np.array([1j]),
    "half": np.array([0.5], np.float16),
    "words": np.array(["a", "bcd"]),
    "every other": np.arange(10)[::2],
    "unsigned": np.array([2**64 - 1], np.uint64),
    "with fields": np.array([(1, 0.5)], [("step", "i4"), ("loss", "f8")]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_as_it_was(path, name):
    array, again = ARRAYS[name], Keeps(0)
    Training().fit(Keeps([array, {"and": array}]), checkpoint=path, epochs=1)
    Training().fit(again, checkpoint=path, epochs=1)
    first, second = again.back[0], again.back[1]["and"]  # type: ignore[index]
    for back in (first, second):
        assert (back.shape, back.dtype, back.tobytes()) == (array.shape, array.dtype, array.tobytes())
        assert back.flags.writeable


@pytest.mark.parametrize("number", [np.float32(0.1), np.int8(-3), np.uint64(2**63), np.bool(True), np.float64(-0.0)])
def test_a_numpy_scalar_comes_back_as_the_number_that_it_is(path, number):
    again = Keeps(0)
    Training().fit(Keeps(number), checkpoint=path, epochs=1)
    Training().fit(again, checkpoint=path, epochs=1)
    assert again.back == number


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1},
        {1: 2},
        b"bytes",
        object(),
        np.array([None]),
        [1, (2,)],
        {"a": {"b": range(3)}},
        np.ma.ones(2),
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_could_not_come_back_as_it_was_is_refused_before_the_first_step(path, value):
    training = Training()
    with pytest.raises(
        TypeError, match=r"^Keeps\.state_dict\(\)\['value'\].* expects arrays, numbers, strings, .* got "
    ):
        training.fit(Keeps(value), checkpoint=path)
    assert training.optimizer.steps == 0
    assert list(path.parent.iterdir()) == []


def test_of_an_array_it_is_said_that_its_type_is_refused(path):
    with pytest.raises(TypeError, match=r"got an array of object\.$"):
        Training().fit(Keeps(np.array([None])), checkpoint=path)


def test_of_a_dict_it_is_said_that_its_keys_are_refused(path):
    with pytest.raises(TypeError, match=r"got a dict with other keys\.$"):
        Training().fit(Keeps({1: 2}), checkpoint=path)


def test_a_callback_that_keeps_nothing_has_an_empty_state():
    assert sn.Callback().state_dict() == {}


def test_a_state_is_a_dict(path):
    keeps = Keeps(0)
    keeps.state_dict = lambda: [1]  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(TypeError, match=r"^fit expects Keeps\.state_dict\(\) to be a dict, got list\.$"):
        Training().fit(keeps, checkpoint=path)


def test_two_of_a_class_keep_their_states_apart(path):
    first, second = Keeps(0), Keeps(0)
    Training().fit(Keeps(1), Calls(), Keeps(2), checkpoint=path, epochs=1)
    Training().fit(Calls(), first, second, checkpoint=path, epochs=1)  # those without a state may come and go
    assert (first.back, second.back) == (1, 2)


def test_a_call_with_other_callbacks_is_refused_by_name(path):
    Training().fit(Keeps(1), Mean(), checkpoint=path, epochs=1)
    with pytest.raises(sn.DataError, match="the callbacks with a state is Keeps, Mean there and Mean, Keeps here"):
        Training().fit(Mean(), Keeps(1), checkpoint=path, epochs=1)


# ---- a refused call changes nothing


def refusals(path: Path) -> dict[str, tuple[type[Exception], dict[str, Any], list[sn.Callback]]]:
    return {
        "another batch size": (sn.DataError, {"batch_size": 5}, []),
        "other data": (sn.DataError, {"data": X + 0.001}, []),
        "an unknown monitor": (ValueError, {}, [EarlyStopping(1, "los")]),
        "a state that cannot be kept": (TypeError, {}, [Keeps(object())]),
        "other callbacks": (sn.DataError, {}, [Keeps(1)]),
        "validation on fewer columns": (sn.ShapeError, {"validation": X[:, :3]}, []),
    }


@pytest.mark.parametrize("what", refusals(Path()))
@pytest.mark.parametrize("begun", [False, True])
def test_a_refused_call_leaves_model_optimizer_generator_and_file_as_they_were(path, what, begun):
    if begun:
        Training().fit(epochs=1, checkpoint=path, validation=X[:3])
    elif what in ("another batch size", "other data", "other callbacks"):
        pytest.skip("there is no file that they could differ from")
    error, options, callbacks = refusals(path)[what]
    before = path.read_bytes() if begun else None
    training, new = Training(), Training()
    with pytest.raises(error):
        training.fit(*callbacks, **({"checkpoint": path, "validation": X[:3]} | options))
    assert (path.read_bytes() if begun else None) == before
    assert sorted(path.parent.iterdir()) == ([path] if begun else [])
    assert training.optimizer.steps == 0
    assert training.left(sn.History()) == new.left(sn.History())


@pytest.mark.parametrize("data", [X[:, :3], (X, X)])
def test_a_call_that_the_models_loss_refuses_makes_no_file_and_leaves_the_generator_as_it_was(path, data):
    training, new = Training(), Training()
    validation = (X, X) if isinstance(data, tuple) else None
    with pytest.raises((sn.ShapeError, TypeError)):
        training.fit(checkpoint=path, data=data, validation=validation)
    assert list(path.parent.iterdir()) == []
    assert training.left(sn.History()) == new.left(sn.History())


@pytest.mark.parametrize("moment", ["before_training", "before_epoch", "before_step", "after_loss", "after_backward"])
@pytest.mark.parametrize("saved", [True, False])
def test_an_error_before_the_first_step_leaves_the_generator_as_it_was(path, moment, saved):
    def draw_and_fail(run: Any) -> None:
        run.rng.spawn(1)[0].random()
        run.rng.random()
        raise SomethingError

    training, new = Training(), Training()
    with pytest.raises(SomethingError):
        training.fit(Calls(**{moment: draw_and_fail}), checkpoint=path if saved else None)
    assert training.left(sn.History()) == new.left(sn.History())
    assert list(path.parent.iterdir()) == []


class Fails(sn.SGD):
    """Fails when it has moved θ."""

    _fails = True

    def move(self, theta, dtheta, learning_rate):
        super().move(theta, dtheta, learning_rate)
        if self._fails:
            raise SomethingError


def test_what_a_first_step_changed_before_it_failed_is_undone_with_a_new_checkpoint(path):
    whole, training, acts = Training(optimizer=Fails(0.1)), Training(optimizer=Fails(0.1)), ActsBeforeAnEpoch()
    whole.optimizer._fails = False
    expected = whole.left(whole.fit(ActsBeforeAnEpoch()))
    with pytest.raises(SomethingError):
        training.fit(acts, checkpoint=path)
    assert list(path.parent.iterdir()) == []
    training.optimizer._fails = False
    assert training.left(training.fit(acts, checkpoint=path)) == expected
    assert acts.count == 3


class Spawns(sn.Callback):
    """Spawns a generator of its own, and keeps how far that has come."""

    def before_training(self, run):
        self.rng = run.rng.spawn(1)[0]

    def after_step(self, run):
        run.rng.random(1 + int(3 * self.rng.random()))

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("objects", ["new", "the same"])
def test_a_callback_that_spawns_its_generator_goes_on_as_if_it_had_done_so_once(path, step, objects):
    whole, stopped = Training(), Training()
    expected = whole.left(whole.fit(Spawns(), validation=X[:3]))
    stopped.fit(Spawns(), StopsAt(step), checkpoint=path, validation=X[:3])
    again = stopped if objects == "the same" else Training()
    assert again.left(again.fit(Spawns(), checkpoint=path, validation=X[:3])) == expected


@pytest.mark.parametrize("generator", [np.random.Philox(key=3), np.random.RandomState(0)._bit_generator])
def test_a_generator_that_cannot_spawn_is_refused_where_validation_needs_one(path, generator):
    training = Training()
    training.rng = np.random.Generator(generator)
    with pytest.raises(TypeError, match=r"^fit with validation expects an rng that can spawn, got .*\.$"):
        training.fit(validation=X, checkpoint=path)
    assert not path.exists()
    assert len(training.fit(epochs=1).epochs) == 1


# ---- settings: what they were before the first step, or at the save


class HalvesTheRate(sn.Callback):
    """Half the learning rate after each epoch."""

    def after_epoch(self, run: Any):
        run.optimizer.learning_rate /= 2


@pytest.mark.parametrize("step", [4, 6, 7])
@pytest.mark.parametrize("objects", ["new", "the same"])
def test_a_setting_that_a_callback_changes_goes_on_as_it_was_saved(path, step, objects):
    whole, stopped = Training(), Training()
    expected = whole.left(whole.fit(HalvesTheRate()))
    stopped.fit(HalvesTheRate(), StopsAt(step), checkpoint=path)
    again = stopped if objects == "the same" else Training()
    assert again.left(again.fit(HalvesTheRate(), checkpoint=path)) == expected


SCHEDULES = [sn.schedules.cosine(0.01, 20), sn.schedules.cosine(0.02, 20), 0.01]


@pytest.mark.parametrize("before", SCHEDULES)
@pytest.mark.parametrize("after", SCHEDULES)
def test_a_schedule_that_is_exchanged_is_refused_since_a_file_holds_no_function(path, before, after):
    training = Training(optimizer=sn.Adam(before))

    def exchange(run: Any) -> None:
        run.optimizer.learning_rate = after

    if before is after:
        training.fit(Calls(after_epoch=exchange), checkpoint=path)
        return
    with pytest.raises(TypeError, match=r"^fit with a checkpoint expects learning_rate to stay the same function"):
        training.fit(Calls(after_epoch=exchange), checkpoint=path)


@pytest.mark.parametrize("number", [Fraction(1, 3), np.longdouble(1) / 3, np.float32(0.1), 10**30])
def test_a_number_that_did_not_change_is_after_resuming_what_it_was(path, number):
    stopped, again = Training(), Training()
    stopped.model.extra = again.model.extra = number
    stopped.fit(StopsAt(2), checkpoint=path)
    again.fit(checkpoint=path)
    assert again.model.extra is number


def test_a_number_and_its_digits_are_told_apart(path):
    text, number = Training(), Training()
    text.model.extra, number.model.extra = "1", 1
    text.fit(checkpoint=path)
    with pytest.raises(sn.DataError, match="extra is '1' there and 1 here"):
        number.fit(checkpoint=path)


class HalvesBeta(sn.Callback):
    """Half the weight of the KL after each epoch."""

    def after_epoch(self, run: Any):
        run.model.beta /= 2


def test_a_number_of_the_model_that_a_callback_changes_goes_on_as_it_was_saved(path):
    whole, stopped, again = Training(), Training(), Training()
    expected = whole.left(whole.fit(HalvesBeta()))
    stopped.fit(HalvesBeta(), StopsAt(4), checkpoint=path)
    assert again.left(again.fit(HalvesBeta(), checkpoint=path)) == expected


def test_a_run_in_which_a_kernel_fell_to_a_lower_engine_goes_on(path, monkeypatch):
    def fall(run: Any) -> None:
        monkeypatch.setattr(sn.kernels, "active", lambda: "the one below")

    training = Training()
    training.fit(Calls(after_step=fall), StopsAt(2), checkpoint=path)
    assert len(training.fit(checkpoint=path).epochs) == 3


def test_a_setting_that_is_neither_what_it_was_nor_what_was_saved_is_refused(path):
    Training().fit(HalvesTheRate(), StopsAt(4), checkpoint=path)
    with pytest.raises(sn.DataError, match=r"the learning rate at step 0 is 0\.005 there and 0\.5 here"):
        Training(optimizer=sn.Adam(0.5)).fit(checkpoint=path)


@pytest.mark.parametrize("first", [1.0, np.float64(0.5)])
@pytest.mark.parametrize("then", [1.0, np.float64(0.3), np.longdouble(1) / 3, np.str_("late"), np.bool(True)])
def test_a_setting_is_after_resuming_of_the_type_that_it_had_at_the_save(path, first, then):
    stopped, again = Training(), Training()
    stopped.model.extra = again.model.extra = first
    stopped.fit(Calls(before_step=lambda run: setattr(run.model, "extra", then)), StopsAt(2), checkpoint=path)
    again.fit(checkpoint=path)
    assert (again.model.extra, type(again.model.extra)) == (then, type(then))


@pytest.mark.parametrize("number", [float, np.float32, np.float64])
def test_a_number_that_a_callback_sets_once_an_epoch_rounds_after_resuming_as_before(path, number):
    def training() -> Training:
        encoder, decoder = (sn.Dense(4, n_out, rng=np.random.default_rng(n_out)) for n_out in (8, 4))
        return Training(sn.VAE(encoder, decoder), sn.SGD(0.1))

    def change(run: Any) -> None:
        run.optimizer.learning_rate, run.model.beta = number(0.3 / run.epoch), number(0.7 / run.epoch)

    x, whole, again = X.astype(np.float32), training(), training()
    expected = whole.left(whole.fit(Calls(before_epoch=change), data=x))
    training().fit(Calls(before_epoch=change), StopsAt(4), data=x, checkpoint=path)
    assert again.left(again.fit(Calls(before_epoch=change), data=x, checkpoint=path)) == expected


class Gain(sn.Layer):
    """y = gain · x."""

    def __init__(self, gain: float):
        self.gain, self._cache = gain, object()

    def forward(self, x):
        return self.gain * x, lambda dy: self.gain * dy


def gained(gain: float) -> sn.VAE:
    return sn.VAE(sn.Sequential(dense(4, 4, 1), Gain(gain)), dense(2, 4, 3))


def test_a_number_of_a_users_layer_is_a_setting(path):
    Training(gained(2.0)).fit(checkpoint=path, epochs=1)
    with pytest.raises(sn.DataError, match=r"encoder\.1\.gain is 2\.0 there and 3\.0 here"):
        Training(gained(3.0)).fit(checkpoint=path)


def test_a_number_of_a_likelihood_and_of_a_corruption_is_a_setting(path):
    def corrupted(share: float) -> Training:
        ae = sn.Autoencoder(dense(4, 2, 1), dense(2, 4, 2), corrupt=sn.corruption.Masking(share))
        return Training(ae)

    Training(make_vae(likelihood=sn.Gaussian(0.5))).fit(checkpoint=path, epochs=1)
    with pytest.raises(sn.DataError, match=r"the likelihood's sigma is 0\.5 there and 0\.7 here"):
        Training(make_vae(likelihood=sn.Gaussian(0.7))).fit(checkpoint=path)
    path.unlink()
    corrupted(0.5).fit(checkpoint=path, epochs=1)
    with pytest.raises(sn.DataError, match=r"the corruption's share is 0\.5 there and 0\.25 here"):
        corrupted(0.25).fit(checkpoint=path)


# ---- EarlyStopping


@pytest.mark.parametrize(
    "score", ["a", None, 1j, 10**400, np.ones(2)], ids=["text", "none", "complex", "huge", "array"]
)
def test_early_stopping_refuses_a_score_that_is_no_number(score):
    with pytest.raises((TypeError, ValueError), match=r"^EarlyStopping expects run\.record\['score'\] to be a number"):
        Training().fit(Course(score), EarlyStopping(2, "score"), epochs=1)


class Course(sn.Callback):
    """Puts these numbers into the records as "score", one an epoch."""

    def __init__(self, *scores: float):
        self.scores = scores

    def after_epoch(self, run):
        run.record["score"] = self.scores[run.epoch - 1]


def epochs_of(scores: list[float], **options: Any) -> int:
    """How many epochs a training with these scores has."""
    stop = EarlyStopping(**({"patience": 2, "monitor": "score"} | options))
    return len(Training().fit(Course(*scores), stop, epochs=len(scores)).epochs)


@pytest.mark.parametrize(
    ("scores", "options", "epochs"),
    [
        ([3, 2, 1, 0, -1], {}, 5),
        ([3, 2, 2, 2, 1], {}, 4),
        ([3, 2, 2, 1, 1, 1, 0], {}, 6),
        ([3, 2.5, 2.1, 1, 1], {"min_delta": 1.0}, 3),  # 2.5 and 2.1 are better by less than 1
        ([3, 2, 1, 0], {"min_delta": 1.0, "patience": 1}, 2),  # by exactly 1 is not by more
        ([3, 2.4, 1.9, 1.8, 1.7], {"min_delta": 0.5}, 5),  # each is compared with the last that counted
        ([1, 2, 3, 3, 3], {"mode": "max"}, 5),
        ([1, 2, 2, 2, 9], {"mode": "max"}, 4),
        ([1, 1.7, 1.9, 9], {"mode": "max", "min_delta": 1.0}, 3),
        ([math.nan, math.nan, 1], {}, 2),
        ([1, math.nan, math.nan, 0], {}, 3),
        ([math.inf, 5, 4, 3], {}, 4),
        ([math.inf, math.inf, math.inf, 3], {}, 3),
        ([-math.inf, -math.inf, 0, -5], {}, 3),
        ([-math.inf, 0, 1, 1], {"mode": "max"}, 4),
        ([0, 9, 9, 9, 9, 9], {"start_from_epoch": 3}, 5),  # the third is the first that counts
        ([1, 1, 1, 1, 1], {"patience": 1}, 2),
    ],
)
def test_patience_is_how_many_epochs_in_a_row_were_not_better(scores, options, epochs):
    assert epochs_of(scores, **options) == epochs


def test_the_history_says_why():
    history = Training().fit(Course(3, 1, 2, 2), EarlyStopping(2, "score"), epochs=4)
    assert history.stopped == "score was best in epoch 2, 2 epochs ago"


def test_the_history_says_that_there_was_no_number():
    history = Training().fit(Course(math.nan, math.nan), EarlyStopping(2, "score"), epochs=2)
    assert history.stopped == "score was not a number for 2 epochs"


def test_it_ends_the_training_before_another_epoch_begins():
    calls = Calls()
    Training().fit(Course(3, 1, 2, 2), EarlyStopping(2, "score"), calls, epochs=5)
    assert calls.moments[-2:] == ["after_epoch", "after_training"]


def thetas_of(scores: list[float], *callbacks: sn.Callback, **options: Any) -> tuple[list[bytes], bytes]:
    """θ after each epoch, and what fit leaves."""
    training, kept = Training(), Calls(lambda run: run.parameters.theta.tobytes())
    training.fit(Course(*scores), kept, *callbacks, epochs=len(scores), **options)
    return kept.at("after_epoch"), training.model.parameters.theta.tobytes()


@pytest.mark.parametrize("scores", [[3, 1, 2, 2], [3, 1, 2]], ids=["stopped", "not stopped"])
def test_the_model_is_that_of_the_best_epoch(scores):
    thetas, left = thetas_of(scores, EarlyStopping(2, "score"))
    assert left == thetas[1]


def test_without_restore_best_it_is_that_of_the_last():
    thetas, left = thetas_of([3, 1, 2], EarlyStopping(2, "score", restore_best=False))
    assert left == thetas[-1]


def test_the_best_comes_back_also_after_an_exception():
    training, thetas = Training(), []
    note = Calls(after_epoch=lambda run: thetas.append(run.parameters.theta.copy()))
    fails = Calls(after_step=lambda run: raising(SomethingError())(run) if run.step == 8 else None)
    with pytest.raises(SomethingError):
        training.fit(Course(1, 2, 3), note, EarlyStopping(9, "score"), fails)
    assert np.array_equal(training.model.parameters.theta, thetas[0])


def test_one_object_serves_two_fits():
    stop = EarlyStopping(2, "score")
    for _ in range(2):
        assert len(Training().fit(Course(3, 1, 2, 2, 2), stop, epochs=5).epochs) == 4


@pytest.mark.parametrize("objects", ["new", "the same"])
@pytest.mark.parametrize("epochs", [4, 9])
def test_a_run_that_it_ended_ends_at_once_when_resumed_and_gives_the_same(path, objects, epochs):
    scores = (3, 1, 2, 2, 0, 0, 0, 0, 0)
    first = Training()
    ended = first.fit(Course(*scores), EarlyStopping(2, "score"), epochs=epochs, checkpoint=path)
    theta = first.model.parameters.theta.tobytes()
    again, calls = first if objects == "the same" else Training(), Calls()
    history = again.fit(Course(*scores), EarlyStopping(2, "score"), calls, epochs=epochs, checkpoint=path)
    assert history == ended
    assert history.stopped == "score was best in epoch 2, 2 epochs ago"
    assert again.model.parameters.theta.tobytes() == theta
    assert not {"before_step", "after_step", "after_epoch"} & set(calls.moments)


def test_with_more_patience_it_goes_on_from_the_last_epoch(path):
    scores = (3, 1, 2, 2, 0, 4)
    whole, again = Training(), Training()
    expected = whole.left(whole.fit(Course(*scores), EarlyStopping(3, "score"), epochs=6))
    Training().fit(Course(*scores), EarlyStopping(2, "score"), epochs=6, checkpoint=path)
    assert again.left(again.fit(Course(*scores), EarlyStopping(3, "score"), epochs=6, checkpoint=path)) == expected


@pytest.mark.parametrize("monitor", ["loss", "kl", "reconstruction", "val_loss", "val_kl"])
def test_it_monitors_the_loss_and_its_terms(monitor):
    history = Training().fit(EarlyStopping(50, monitor), epochs=2, validation=X[:3])
    assert len(history.epochs) == 2


def test_a_state_can_be_loaded_outside_a_run():
    early = EarlyStopping(1)
    early.load_state_dict({"best": None, "best_epoch": 0, "waited": 1, "arrays": None})
    assert early.state_dict()["waited"] == 1


def test_looking_names_up_teaches_and_draws_nothing():
    with_stop, without = Training(), Training()
    looking = with_stop.left(with_stop.fit(EarlyStopping(50, "val_kl", restore_best=False), validation=X[:3]))
    assert looking == without.left(without.fit(validation=X[:3]))


def test_a_name_that_no_callback_gives_is_refused_at_the_first_epochs_end():
    training = Training()
    with pytest.raises(ValueError, match=r"expects monitor to be one of loss, .*, score, got 'scor'"):
        training.fit(Course(1, 2, 3), EarlyStopping(1, "scor"))
    assert training.optimizer.steps == 3


# ---- ClipGradients


class Steep(sn.Optimizer):
    """Replaces dθ by a vector, so that a callback after it sees that, and notes what comes to the optimizer."""

    def move(self, theta, dtheta, learning_rate):
        self.came = dtheta.copy()


def clipped(gradient: np.ndarray, max_norm: float) -> np.ndarray:
    """What ClipGradients makes of this dθ."""
    layer = sn.Dense(1, len(gradient) - 1, rng=np.random.default_rng(0), dtype=gradient.dtype)
    layer.b = np.zeros(len(gradient) - 1, gradient.dtype)
    model = sn.Autoencoder(layer, sn.Dense(len(gradient) - 1, 1, rng=np.random.default_rng(0), dtype=gradient.dtype))
    wanted = np.zeros_like(model.parameters.dtheta)
    wanted[: len(gradient)] = gradient

    def put(run: Any) -> None:
        run.parameters.dtheta[...] = wanted

    optimizer = Steep(0.1)
    x = np.zeros((1, 1), gradient.dtype)
    Training(model, optimizer).fit(Calls(after_backward=put), ClipGradients(max_norm), epochs=1, data=x)
    return optimizer.came[: len(gradient)]


def test_a_long_gradient_gets_the_norm_that_is_allowed():
    assert np.allclose(clipped(np.array([3.0, 4.0]), 1.0), [0.6, 0.8], rtol=1e-15)


def test_a_gradient_below_zero_gets_the_norm_that_is_allowed_and_keeps_its_signs():
    assert np.allclose(clipped(np.array([-3.0, -4.0]), 1.0), [-0.6, -0.8], rtol=1e-15)


def test_a_gradient_that_is_not_longer_keeps_its_bits():
    gradient = np.array([0.3, 0.4, -0.0])
    assert clipped(gradient, np.linalg.norm(gradient).item()).tobytes() == gradient.tobytes()
    assert clipped(gradient, 1e300).tobytes() == gradient.tobytes()


def test_a_gradient_of_zero_stays():
    assert not clipped(np.zeros(3), 1e-300).any()


@pytest.mark.parametrize("size", [1e300, 1.7e308, 5e-324, 1e-310])
def test_the_norm_neither_overflows_nor_vanishes(size):
    found = clipped(np.full(4, size), size / 2 if size > 1 else size)
    assert np.allclose(found, size / 4 if size > 1 else size / 2, rtol=1e-12, atol=5e-324)


def test_the_norm_of_a_float32_gradient_is_summed_in_float64():
    found = clipped(np.full(4, 3e38, np.float32), 1e-3)  # its squares are more than a float32 holds
    assert found.dtype == np.float32
    assert np.allclose(found, 5e-4, rtol=1e-6)


# ---- Anneal


def test_beta_is_set_before_each_step():
    calls = Calls(lambda run: run.model.beta)
    training = Training()
    training.fit(Anneal(beta=lambda step: step / 10), calls, epochs=2)
    assert calls.at("before_step") == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert training.model.beta == 0.5


def test_an_attribute_that_is_no_weight_may_fall_below_zero():
    model: Any = make_vae()
    model.offset = 1.0
    Training(model).fit(Anneal(offset=lambda step: -step), epochs=1)
    assert model.offset == -2


def test_val_loss_has_the_beta_of_the_last_step():
    history = Training().fit(Anneal(beta=lambda step: step / 10), epochs=1, validation=X[:3])
    record = history.epochs[0]
    assert record["val_loss"] == pytest.approx(record["val_reconstruction"] + 0.2 * record["val_kl"], rel=1e-12)


@pytest.mark.parametrize("number", [np.float32(0.25), np.float64(0.25), 1])
def test_what_the_function_gives_becomes_a_float(number):
    training = Training()
    training.fit(Anneal(beta=lambda step: number), epochs=1)
    assert type(training.model.beta) is float


@pytest.mark.parametrize("step", [1, 3, 4, 8])
@pytest.mark.parametrize("objects", ["new", "the same"])
def test_annealing_goes_on(path, step, objects):
    def warm_up() -> Anneal:
        return Anneal(beta=lambda step: min(1.0, step / 7))

    whole, stopped = Training(), Training()
    expected = whole.left(whole.fit(warm_up(), validation=X[:3]))
    stopped.fit(warm_up(), StopsAt(step), checkpoint=path, validation=X[:3])
    again = stopped if objects == "the same" else Training()
    assert again.left(again.fit(warm_up(), checkpoint=path, validation=X[:3])) == expected
