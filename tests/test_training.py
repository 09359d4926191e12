"""The training loop: what every image and every step can count on, and how training ends."""

import itertools
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.training import console

N = 10
X = np.random.default_rng(3).random((N, 4))  # its rows differ, so that a row tells which image it is


def dense(n_in: int, n_out: int, seed: int, dtype: type = np.float64) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=np.random.default_rng(seed), dtype=dtype)


def make_autoencoder(**options) -> sn.Autoencoder:
    return sn.Autoencoder(sn.Sequential(dense(4, 3, 1), sn.Tanh()), dense(3, 4, 2), **options)


def make_vae(**options) -> sn.VAE:
    return sn.VAE(sn.Sequential(dense(4, 3, 1), sn.Tanh(), dense(3, 4, 2)), dense(2, 4, 3), **options)


def fit(model: Any, x: Any = X, **changes: Any) -> sn.History:
    arguments: dict[str, Any] = {"optimizer": sn.SGD(0.01), "epochs": 2, "batch_size": 4, "progress": False}
    arguments["rng"] = np.random.default_rng(7)
    return sn.fit(model, x, **(arguments | changes))


class AfterEpoch(sn.Callback):
    """Calls a function with each epoch's record."""

    def __init__(self, function):
        self.function = function

    def after_epoch(self, run):
        self.function(run.record)


class Batches:
    """A `corrupt` that spoils nothing, and remembers which images came in each batch."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def __call__(self, x, rng):
        self.seen.append([int(np.flatnonzero((row == X).all(axis=1))[0]) for row in x])
        return x.copy()


# ---- what is seen, and in which order


def test_every_image_is_seen_once_an_epoch():
    batches = Batches()
    fit(make_autoencoder(corrupt=batches))
    for epoch in (batches.seen[:3], batches.seen[3:]):
        assert sorted(itertools.chain(*epoch)) == list(range(N))


def test_the_last_batch_is_as_short_as_what_is_left():
    batches = Batches()
    fit(make_autoencoder(corrupt=batches))
    assert [len(batch) for batch in batches.seen] == [4, 4, 2, 4, 4, 2]


def test_a_batch_may_be_larger_than_the_data():
    batches = Batches()
    fit(make_autoencoder(corrupt=batches), batch_size=1000)
    assert [len(batch) for batch in batches.seen] == [N, N]


def test_a_batch_has_128_images_unless_told_otherwise():
    optimizer = sn.SGD(0.01)
    sn.fit(make_vae(), np.tile(X, (13, 1))[:129], optimizer=optimizer, epochs=1, rng=np.random.default_rng(7))
    assert optimizer.steps == 2
    sn.fit(make_vae(), np.tile(X, (13, 1))[:128], optimizer=optimizer, epochs=1, rng=np.random.default_rng(7))
    assert optimizer.steps == 3


def test_the_order_is_new_each_epoch():
    batches = Batches()
    fit(make_autoencoder(corrupt=batches), epochs=3)
    orders = {tuple(itertools.chain(*batches.seen[i : i + 3])) for i in (0, 3, 6)}
    assert len(orders | {tuple(range(N))}) == 4


def test_there_is_one_step_for_each_batch():
    optimizer = sn.SGD(0.01)
    fit(make_vae(), optimizer=optimizer)
    assert optimizer.steps == 2 * 3


def test_the_images_are_left_as_they_were():
    x = X.copy()
    fit(make_vae(), x, validation=x)
    assert np.array_equal(x, X)


# ---- what is learnt


def test_the_same_seed_gives_the_same_parameters_bit_for_bit():
    first, second = make_vae(), make_vae()
    for model in (first, second):
        fit(model, optimizer=sn.Adam(0.01), validation=X[:5])
    assert first.parameters.theta.tobytes() == second.parameters.theta.tobytes()


def test_another_seed_gives_other_parameters():
    first, second = make_vae(), make_vae()
    fit(first)
    fit(second, rng=np.random.default_rng(8))
    assert not np.allclose(first.parameters.theta, second.parameters.theta, rtol=1e-6)


def test_training_is_the_loop_that_one_would_write_by_hand():
    trained, by_hand = make_vae(), make_vae()
    fit(trained, optimizer=sn.SGD(0.1))
    rng = np.random.default_rng(7)
    for _ in range(2):
        order = rng.permutation(N)
        for start in (0, 4, 8):
            loss = by_hand.loss(X[order[start : start + 4]], rng)
            by_hand.parameters.zero_grad()
            loss.backward()
            by_hand.parameters.theta[...] -= 0.1 * by_hand.parameters.dtheta
    assert np.allclose(trained.parameters.theta, by_hand.parameters.theta, rtol=1e-12)


def test_gradients_that_were_there_before_count_for_nothing():
    clean, dirty = make_vae(), make_vae()
    dirty.parameters.dtheta[...] = 1000.0
    for model in (clean, dirty):
        fit(model)
    assert np.array_equal(clean.parameters.theta, dirty.parameters.theta)


def test_a_vae_learns_mnist():
    x = sn.data.mnist("test")[0][:600]
    rng = np.random.default_rng(0)
    vae = sn.VAE(
        sn.Sequential(sn.Dense(784, 32, rng=rng), sn.ReLU(), sn.Dense(32, 16, rng=rng)),
        sn.Sequential(sn.Dense(8, 32, rng=rng), sn.ReLU(), sn.Dense(32, 784, rng=rng)),
    )
    history = sn.fit(vae, x, optimizer=sn.Adam(), epochs=4, batch_size=40, rng=rng, progress=False)
    assert history["loss"] == sorted(history["loss"], reverse=True)
    assert history["loss"][-1] < 300  # where p = ½ costs 543


def test_a_schedule_is_asked_at_every_step():
    asked = []
    fit(make_vae(), optimizer=sn.SGD(lambda t: asked.append(t) or 0.01))
    assert asked == [0, 1, 2, 3, 4, 5]


def test_a_second_fit_goes_on_with_the_optimizer():
    optimizer, model = sn.Adam(0.01), make_vae()
    fit(model, optimizer=optimizer)
    fit(model, optimizer=optimizer)
    assert optimizer.steps == 12


# ---- what is recorded


def test_the_history_names_what_it_measured():
    history = fit(make_vae(), validation=X[:5])
    assert [list(record) for record in history.epochs] == 2 * [
        ["epoch", "seconds", "loss", "reconstruction", "kl", "val_loss", "val_reconstruction", "val_kl"]
    ]
    assert history.unit == "nats/image"
    assert history.interrupted is False


def test_without_validation_there_are_no_columns_for_it():
    history = fit(make_autoencoder())
    assert list(history.epochs[0]) == ["epoch", "seconds", "loss", "reconstruction"]
    assert history.unit == "squared error/image"


def test_epochs_count_from_one():
    assert fit(make_vae(), epochs=3)["epoch"] == [1, 2, 3]


def test_a_history_gives_the_course_of_one_number():
    history = fit(make_vae(), epochs=3)
    assert history["kl"] == [record["kl"] for record in history.epochs]


def test_seconds_are_positive():
    assert all(seconds > 0 for seconds in fit(make_vae())["seconds"])


class Clock(sn.Callback):
    """Says what time it is: a step takes 2 seconds, the end of an epoch 100."""

    now = 1000.0

    def before_step(self, run):
        self.now += 2

    def after_epoch(self, run):
        self.now += 100


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def test_an_epochs_seconds_are_those_of_its_steps(clock):
    assert fit(make_vae(), epochs=3, validation=X, callbacks=[clock])["seconds"] == [6, 6, 6]


def test_an_epochs_seconds_go_on_where_a_run_is_resumed_within_it(clock, tmp_path):
    class StopsInTheSecond(sn.Callback):
        def after_step(self, run):
            if run.step == 5:
                run.stop()

    fit(make_vae(), callbacks=[clock, StopsInTheSecond()], checkpoint=tmp_path / "run.npz")
    clock.now += 1000
    assert fit(make_vae(), callbacks=[clock], checkpoint=tmp_path / "run.npz")["seconds"] == [6, 6]


def test_a_line_says_how_long_the_epoch_took(clock, capfd):
    fit(make_vae(), np.tile(X, (300, 1)), epochs=1, batch_size=1000, callbacks=[clock], progress=True)
    assert capfd.readouterr().out.endswith(" nats/image  6.0 s  500 images/s\n")


def test_a_line_counts_examples_where_the_loss_is_per_example(clock, capfd):
    classifier = sn.Classifier(sn.Dense(4, 2, rng=np.random.default_rng(0), dtype=X.dtype))
    labels = np.arange(3000) % 2
    data = (np.tile(X, (300, 1)), labels)
    fit(classifier, data, epochs=1, batch_size=1000, callbacks=[clock], progress=True)
    assert capfd.readouterr().out.endswith("  6.0 s  500 examples/s\n")


def test_an_epochs_loss_is_the_mean_over_its_images():
    x = X.copy()
    x[3] *= 100  # with one image this far out, a mean of the batches' means is another number
    model = make_autoencoder()
    history = fit(model, x, optimizer=sn.SGD(0.0), epochs=3)
    assert history["loss"] == pytest.approx(3 * [model.loss(x).value], rel=1e-12)
    assert history["reconstruction"] == history["loss"]


def test_an_epochs_kl_is_the_mean_over_its_images():
    model = make_vae()
    history = fit(model, optimizer=sn.SGD(0.0))
    assert history["kl"] == pytest.approx(2 * [model.loss(X, np.random.default_rng(0)).terms["kl"]], rel=1e-12)


def test_the_loss_is_the_sum_of_its_terms():
    history = fit(make_vae(beta=3.0), validation=X[:5])
    for record in history.epochs:
        assert record["loss"] == pytest.approx(record["reconstruction"] + 3 * record["kl"], rel=1e-12)
        assert record["val_loss"] == pytest.approx(record["val_reconstruction"] + 3 * record["val_kl"], rel=1e-12)


# ---- validation


def test_validation_does_not_change_what_is_learnt():
    without, with_validation = make_vae(), make_vae()
    fit(without, epochs=3)
    fit(with_validation, epochs=3, validation=X[:5])
    assert without.parameters.theta.tobytes() == with_validation.parameters.theta.tobytes()


def test_validation_has_the_same_noise_each_epoch():
    history = fit(make_vae(), optimizer=sn.SGD(0.0), epochs=3, validation=X[:7])
    assert len(set(history["val_loss"])) == 1
    assert len(set(history["loss"])) == 3  # where the training's noise is new


def test_validation_is_measured_after_the_epochs_last_step():
    model = make_autoencoder()
    history = fit(model, epochs=3, validation=X[:7])
    assert history["val_loss"][-1] == pytest.approx(model.loss(X[:7]).value, rel=1e-12)
    assert history["val_loss"][0] > history["val_loss"][-1]


def test_a_validation_loss_is_the_mean_over_its_images():
    x = X.copy()
    x[8] *= 100  # in the short batch of two
    model = make_autoencoder()
    history = fit(model, epochs=1, validation=x)
    assert history["val_loss"] == pytest.approx([model.loss(x).value], rel=1e-12)


# ---- what is shown


def test_each_record_is_there_in_after_epoch():
    records = []
    history = fit(make_vae(), validation=X[:5], callbacks=[AfterEpoch(records.append)])
    assert len(records) == 2
    assert records == history.epochs


def test_after_epoch_comes_once_the_epoch_is_recorded():
    model, thetas = make_vae(), []
    history = fit(model, callbacks=[AfterEpoch(lambda record: thetas.append(model.parameters.theta.copy()))])
    assert len(thetas) == len(history.epochs)
    assert np.array_equal(thetas[-1], model.parameters.theta)


def test_a_line_an_epoch_is_printed(capfd):
    history = fit(make_vae(), validation=X[:5], progress=True)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, record in zip(lines, history.epochs, strict=True):
        assert line.startswith(f"epoch {record['epoch']}/2  loss {record['loss']:.2f}  reconstruction")
        assert f"kl {record['kl']:.2f}  val_loss {record['val_loss']:.2f}" in line
        assert "nats/image" in line
        assert line.endswith("images/s")


def test_a_number_that_a_callback_records_is_printed_without_the_losss_unit(capfd):
    fit(make_vae(), progress=True, epochs=1, callbacks=[AfterEpoch(lambda record: record.update(sharpness=0.25))])
    assert " nats/image  sharpness 0.25  " in capfd.readouterr().out


def test_a_bar_shows_the_loss_its_terms_and_the_images_per_second():
    script = """
import numpy as np, scratchnet as sn
rng = np.random.default_rng(0)
vae = sn.VAE(sn.Dense(4, 4, rng=rng), sn.Dense(2, 4, rng=rng))
sn.fit(vae, rng.random((64, 4), dtype=np.float32), optimizer=sn.SGD(0.1), epochs=2, batch_size=8, rng=rng)
"""
    bar = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TQDM_MININTERVAL": "0"},
        cwd=Path(sn.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    shown = bar.split("\r")
    assert any(
        "epoch 2/2" in state and "loss " in state and "reconstruction " in state and "kl " in state for state in shown
    )
    assert any("images/s" in state and "nats/image" in state for state in shown)


@pytest.fixture
def bars(monkeypatch) -> list[Any]:
    """The bars that are shown, with what stands beside them after each step."""
    shown: list[Any] = []

    def bar(*arguments, **options):
        one = usual(*arguments, **options)
        shown.append(one)
        return one

    usual = console.bar
    monkeypatch.setattr(console, "bar", bar)
    return shown


def test_a_bar_shows_the_running_loss_to_one_digit(bars):
    history = fit(make_vae(), epochs=1, progress=True)
    record = history.epochs[0]
    loss = f"loss {record['loss']:.1f}  reconstruction {record['reconstruction']:.1f}  kl {record['kl']:.1f}"
    assert bars[0].postfix == f"{loss} nats/image"


def test_an_epoch_has_a_bar_of_its_images_that_ends_with_it(bars):
    fit(make_vae(), epochs=3, progress=True)
    assert [(bar.total, bar.n, bar.disable) for bar in bars] == 3 * [(N, N, True)]  # closing disables it


def test_without_progress_nothing_is_shown(capfd):
    fit(make_vae(), validation=X[:5])
    assert capfd.readouterr() == ("", "")


# ---- a loss that is not finite


class Overflows(sn.Layer):
    """Multiplies by more than a float can hold."""

    def forward(self, x):
        return x * np.inf, lambda dy: dy * np.inf


def test_a_learning_rate_that_is_too_large_is_named_by_its_step_its_term_and_what_it_spoilt():
    x = X.astype(np.float32)
    model = sn.Autoencoder(dense(4, 3, 1, np.float32), dense(3, 4, 2, np.float32))
    with pytest.raises(sn.DivergenceError) as caught:
        fit(model, x, optimizer=sn.SGD(1e30))
    message = str(caught.value)
    assert re.match("After 1 steps? the loss is ", message)
    assert "(reconstruction is " in message
    assert "the first output that is not finite is that of decoder, Dense(3, 4)" in message
    assert message.endswith("try a smaller learning rate.")


def test_parameters_that_a_step_spoilt_are_named():
    model = make_autoencoder()

    def spoil(record):
        model.decoder.b[0] = np.nan  # type: ignore[attr-defined]

    with pytest.raises(
        sn.DivergenceError, match=r"^After 3 steps .* had already made the parameter decoder\.b not finite; "
    ):
        fit(model, callbacks=[AfterEpoch(spoil)])


class Spoils(sn.SGD):
    """An optimizer whose step ends in NaN."""

    def move(self, theta, dtheta, learning_rate):
        theta[...] = np.nan


def test_parameters_that_the_last_step_spoilt_are_named():
    model = make_autoencoder()
    with pytest.raises(sn.DivergenceError, match=r"^After 1 step the parameter encoder\.0\.W is no longer finite; "):
        fit(model, optimizer=Spoils(0.1), batch_size=100, epochs=1)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_first_layer_whose_output_is_not_finite_is_named(place):
    layers: list[sn.Layer] = [dense(4, 4, 1), dense(4, 4, 2)]
    layers.insert(place, Overflows())
    model = sn.Autoencoder(sn.Sequential(*layers), dense(4, 4, 3))
    with pytest.raises(sn.DivergenceError, match=rf"^After 0 steps .* is that of encoder\.{place}, Overflows\(\); "):
        fit(model)


class Residual(sn.Layer):
    """y = x + inner(x): a layer with a child, but not a sequence."""

    def __init__(self, inner: sn.Layer):
        self.inner = inner

    def children(self):
        return {"inner": self.inner}

    def forward(self, x):
        y, backward = self.inner.forward(x)
        return x + y, lambda dy: dy + backward(dy)


def test_a_layer_that_is_more_than_its_children_is_traced_as_one():
    branch = sn.Sequential(sn.Dense(4, 4, rng=np.random.default_rng(0), dtype=np.float64))
    model = sn.Autoencoder(sn.Sequential(Residual(branch), sn.Tanh()), dense(4, 4, 3))
    names = [name for name, _ in model.trace(X, np.random.default_rng(0))]
    assert names == ["the corrupted x", "encoder.0, Residual()", "encoder.1, Tanh()", "decoder, Dense(4, 4)"]


def test_what_overflows_is_told_by_the_error_and_by_no_warning(recwarn):
    with pytest.raises(sn.DivergenceError):
        fit(make_autoencoder(), optimizer=sn.SGD(1e300))
    assert len(recwarn) == 0


def test_a_layer_of_the_decoder_is_named_too():
    model = make_vae(likelihood="gaussian")
    model.decoder = sn.Sequential(model.decoder, Overflows())
    with pytest.raises(sn.DivergenceError, match=r"\(reconstruction is inf\): .* is that of decoder\.1, Overflows\(\)"):
        fit(model)


def test_a_sample_that_is_not_finite_is_named():
    vae = make_vae()
    vae.encoder.layers[2].b[2:] = 2000.0  # type: ignore[attr-defined]  (log σ²: σ overflows, and so does the KL)
    with pytest.raises(sn.DivergenceError, match=r"kl is inf.*: .* is that of the sample z = μ \+ σ ⊙ ε; "):
        fit(vae)


def test_a_loss_that_overflows_by_itself_is_named():
    model = make_autoencoder(loss=lambda y, target: (math.inf, np.zeros_like(y)))
    with pytest.raises(
        sn.DivergenceError, match=r"^After 0 steps the loss is inf \(reconstruction is inf\): .*the loss its"
    ):
        fit(model)


def test_a_step_that_would_spoil_the_parameters_is_not_taken():
    model = sn.Autoencoder(sn.Sequential(dense(4, 3, 1), Overflows()), dense(3, 4, 2))
    before = model.parameters.theta.copy()
    optimizer = sn.SGD(0.1)
    with pytest.raises(sn.DivergenceError):
        fit(model, optimizer=optimizer)
    assert np.array_equal(model.parameters.theta, before)
    assert optimizer.steps == 0


def test_the_message_of_a_divergence_is_one_sentence():
    model = sn.Autoencoder(sn.Sequential(dense(4, 3, 1), Overflows()), dense(3, 4, 2))
    with pytest.raises(sn.DivergenceError) as caught:
        fit(model)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message
    assert len(message) <= 250


def test_a_validation_loss_that_is_not_finite_stops_the_training():
    x = X.astype(np.float32)
    model = sn.Autoencoder(dense(4, 3, 1, np.float32), dense(3, 4, 2, np.float32))
    with pytest.raises(sn.DivergenceError):
        fit(model, x, optimizer=sn.SGD(1e30), epochs=1, batch_size=N, validation=x)  # its only step spoils θ


# ---- Ctrl-C


class InterruptedAt:
    """A `corrupt` that spoils nothing, and presses Ctrl-C at the given batches."""

    def __init__(self, *batches: int):
        self.batches, self.batch = batches, 0

    def __call__(self, x, rng):
        self.batch += 1
        if self.batch in self.batches:
            signal.raise_signal(signal.SIGINT)
        return x.copy()


def test_ctrl_c_ends_the_training_after_the_step_that_is_under_way():
    optimizer = sn.SGD(0.01)
    history = fit(make_autoencoder(corrupt=InterruptedAt(5)), optimizer=optimizer, epochs=4)
    assert history.interrupted is True
    assert optimizer.steps == 5
    assert history["epoch"] == [1]


def test_ctrl_c_in_the_last_step_of_an_epoch_leaves_that_epoch_whole():
    optimizer = sn.SGD(0.01)
    history = fit(make_autoencoder(corrupt=InterruptedAt(3)), optimizer=optimizer, epochs=4)
    assert history.interrupted is True
    assert history["epoch"] == [1]
    assert optimizer.steps == 3


def test_ctrl_c_leaves_what_was_learnt():
    interrupted, ended = make_autoencoder(corrupt=InterruptedAt(3)), make_autoencoder(corrupt=InterruptedAt())
    fit(interrupted, epochs=4)
    fit(ended, epochs=1)
    assert np.array_equal(interrupted.parameters.theta, ended.parameters.theta)


def test_ctrl_c_between_two_epochs_ends_the_training_too():
    history = fit(
        make_autoencoder(), epochs=4, callbacks=[AfterEpoch(lambda record: signal.raise_signal(signal.SIGINT))]
    )
    assert history.interrupted is True
    assert history["epoch"] == [1]


def test_ctrl_c_between_two_epochs_takes_no_further_step():
    optimizer = sn.SGD(0.01)
    fit(
        make_autoencoder(),
        optimizer=optimizer,
        epochs=4,
        callbacks=[AfterEpoch(lambda record: signal.raise_signal(signal.SIGINT))],
    )
    assert optimizer.steps == 3


def test_ctrl_c_from_the_outside_is_the_same():
    history = fit(
        make_autoencoder(), epochs=1000, callbacks=[AfterEpoch(lambda record: os.kill(os.getpid(), signal.SIGINT))]
    )
    assert history.interrupted is True
    assert history["epoch"] == [1]


def test_ctrl_c_in_the_last_epoch_is_not_lost():
    history = fit(
        make_autoencoder(), epochs=1, callbacks=[AfterEpoch(lambda record: signal.raise_signal(signal.SIGINT))]
    )
    assert history.interrupted is True


def test_a_second_ctrl_c_leaves_at_once():
    class Twice(InterruptedAt):
        def __call__(self, x, rng):
            super().__call__(x, rng)
            return super().__call__(x, rng)

    optimizer = sn.SGD(0.01)
    with pytest.raises(KeyboardInterrupt):
        fit(make_autoencoder(corrupt=Twice(3, 4)), optimizer=optimizer)
    assert optimizer.steps == 1


@pytest.fixture
def a_handler_of_ones_own():
    def handler(*_):
        raise AssertionError("not while fit is at work")

    before = signal.signal(signal.SIGINT, handler)
    yield handler
    signal.signal(signal.SIGINT, before)


def test_the_handler_that_was_there_is_put_back(a_handler_of_ones_own):
    fit(make_autoencoder())
    assert signal.getsignal(signal.SIGINT) is a_handler_of_ones_own


def test_the_handler_that_was_there_is_put_back_after_ctrl_c(a_handler_of_ones_own):
    history = fit(make_autoencoder(corrupt=InterruptedAt(2)))
    assert history.interrupted is True
    assert signal.getsignal(signal.SIGINT) is a_handler_of_ones_own


def test_the_handler_that_was_there_is_put_back_after_an_error(a_handler_of_ones_own):
    with pytest.raises(sn.DivergenceError):
        fit(sn.Autoencoder(sn.Sequential(dense(4, 3, 1), Overflows()), dense(3, 4, 2)))
    assert signal.getsignal(signal.SIGINT) is a_handler_of_ones_own


def test_a_thread_trains_as_the_main_one_does():
    here, there = make_vae(), make_vae()
    fit(here)
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(there)))
    thread.start()
    thread.join()
    assert len(histories[0].epochs) == 2
    assert here.parameters.theta.tobytes() == there.parameters.theta.tobytes()


# ---- models of one's own


class JustEnough:
    """What `fit` asks of a model, and no more: minimise (w − mean of x)²."""

    def __init__(self) -> None:
        self.layer = dense(1, 1, 0)
        self.parameters = sn.Parameters(layer=self.layer)
        self.dtype, self.unit = np.dtype(np.float64), "squares"

    def loss(self, x, rng):
        off = self.layer.W[0, 0] - x.mean()

        def backward():
            self.layer.dW += 2 * off

        return sn.Loss(off**2, {"off": off**2}, backward)


def test_a_model_needs_a_loss_parameters_a_dtype_and_a_unit():
    model = JustEnough()
    history = fit(model, np.full((20, 1), 5.0), optimizer=sn.SGD(0.1), epochs=20)
    assert model.layer.W[0, 0] == pytest.approx(5.0, abs=1e-3)
    assert history.unit == "squares"


def test_a_model_that_cannot_be_traced_diverges_in_words_all_the_same():
    with pytest.raises(sn.DivergenceError, match=r"^After \d+ steps the loss is inf \(off is inf\)"):
        fit(JustEnough(), np.full((20, 1), 5.0), optimizer=sn.SGD(1e60), epochs=20)
