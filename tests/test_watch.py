"""Watch: what it records is what happens, and nothing happens because it watches."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import plots
from scratchnet.callbacks import ClipGradients, Watch

X = np.random.default_rng(7).random((12, 4))
LABELS = np.arange(12) % 3


def dense(n_in: int, n_out: int, seed: int) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=np.random.default_rng(seed), dtype=np.float64)


def classifier(activation: sn.Layer, width: int = 5) -> Any:
    return sn.Classifier(sn.Sequential(dense(4, width, 1), activation, dense(width, 3, 2)))


def vae() -> sn.VAE:
    return sn.VAE(sn.Sequential(dense(4, 3, 1), sn.Tanh(), dense(3, 4, 2)), dense(2, 4, 3))


class TwoParts:
    """A model of one's own, without `trace`, that trains on a tuple."""

    unit, dtype = "squared error", np.dtype(np.float64)

    def __init__(self):
        self.layer = dense(4, 3, 0)
        self.parameters = sn.Parameters(layer=self.layer)

    def loss(self, batch, rng):
        y, backward = self.layer.forward(batch[0])
        value, dy = sn.mse(y, np.eye(3)[batch[1]])
        return sn.Loss(value, {}, lambda: backward(dy))


class WrongTrace(TwoParts):
    def trace(self, batch, rng):
        yield "layer, Dense(4, 3)", self.layer.forward(batch)[0]  # as if the batch were no tuple


def watched(watch: Any, model: Any, data: Any, **options: Any) -> tuple[sn.History, np.random.Generator]:
    """One training of 12 examples, 3 steps an epoch."""
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {"optimizer": sn.SGD(0.1), "epochs": 2, "batch_size": 4} | options
    callbacks = [watch] if isinstance(watch, sn.Callback) else watch
    return sn.fit(model, data, rng=rng, progress=False, callbacks=callbacks, **given), rng


MODELS = {
    "VAE": (vae, X),
    "IWAE": (lambda: sn.IWAE(dense(4, 4, 1), dense(2, 4, 2), k=2), X),
    "denoising autoencoder": (
        lambda: sn.Autoencoder(dense(4, 2, 1), dense(2, 4, 2), corrupt=sn.corruption.GaussianNoise(0.1)),
        X,
    ),
    "classifier": (lambda: classifier(sn.Sigmoid()), (X, LABELS)),
    "one's own": (TwoParts, (X, LABELS)),
}


@pytest.mark.parametrize("make", MODELS)
def test_a_training_has_the_same_bits_with_and_without_it(make):
    build, data = MODELS[make]
    ends = []
    for callbacks in ([], [Watch(every=1)]):
        model = build()
        history, rng = watched(callbacks, model, data, optimizer=sn.Adam(0.01))
        ends.append((model.parameters.theta.tobytes(), history["loss"], rng.random(), rng.spawn(1)[0].random()))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("make", MODELS)
def test_every_parameter_is_recorded_by_its_name(make):
    build, data = MODELS[make]
    model, watch = build(), Watch(every=1)
    watched(watch, model, data)
    for record in watch.records:
        assert list(record["gradient"]) == list(record["update"]) == list(model.parameters.named())


def test_the_gradients_are_those_of_the_step():
    class Norms(sn.Callback):
        def __init__(self):
            self.seen = []

        def after_backward(self, run):
            self.seen.append({name: np.linalg.norm(getattr(part, f"d{W}")) for name, part, W in run.parameters.slots})

    watch, norms = Watch(every=1), Norms()
    watched([watch, norms], vae(), X)
    assert len(watch.records) == len(norms.seen) == 6
    for record, norm in zip(watch.records, norms.seen, strict=True):
        assert record["gradient"] == pytest.approx(norm)


def test_an_update_of_plain_descent_is_the_learning_rate_times_the_gradient():
    watch, model = Watch(every=1), vae()
    watched(watch, model, X, optimizer=sn.SGD(0.25), epochs=1)
    last = watch.records[-1]
    for name, W in model.parameters.named().items():
        assert last["update"][name] * np.linalg.norm(W) == pytest.approx(0.25 * last["gradient"][name])


def test_a_parameter_that_is_zero_and_stays_so_has_an_update_of_zero():
    watch, model = Watch(every=1), classifier(sn.ReLU())
    model.network.layers[0].W[...] = 0
    model.network.layers[0].b[...] = -1
    model.network.layers[2].W[...] = 0
    watched(watch, model, (X, LABELS), epochs=1)
    assert watch.records[0]["update"]["network.2.W"] == 0


def test_what_comes_before_it_in_the_list_is_seen_by_it():
    before, after = Watch(every=1), Watch(every=1)
    watched([before, ClipGradients(1e-3), after], vae(), X, epochs=1)
    assert [math.hypot(*record["gradient"].values()) > 0.1 for record in before.records] == [True] * 3
    assert [math.hypot(*record["gradient"].values()) for record in after.records] == pytest.approx([1e-3] * 3)


def test_every_says_how_many_steps_lie_between_two_records():
    watch = Watch(every=4)
    watched(watch, vae(), X, epochs=3)
    assert [record["step"] for record in watch.records] == [0, 4, 8]


def test_a_second_training_is_recorded_anew_from_its_first_step():
    watch, model, optimizer = Watch(every=2), vae(), sn.Adam()
    watched(watch, model, X, optimizer=optimizer, epochs=1)
    watched(watch, model, X, optimizer=optimizer, epochs=1)
    assert [record["step"] for record in watch.records] == [3, 5]


def test_of_relu_the_units_that_are_zero_on_the_whole_batch_are_idle():
    model, watch = classifier(sn.ReLU()), Watch(every=1)
    first = model.network.layers[0]
    first.W[...], first.b[...] = np.abs(first.W), [1, -99, 1, -99, -99]
    watched(watch, model, (X, LABELS), epochs=1)
    assert [record["idle"] for record in watch.records] == [{"network.1": pytest.approx(3 / 5)}] * 3


def test_of_images_a_channel_is_a_unit():
    rng, x = np.random.default_rng(0), np.zeros_like(X)
    x[:, 0] = 1  # in the first channel one pixel of four is above 0
    conv = sn.Conv2D(1, 2, 1, rng=rng, dtype=np.float64)
    network = sn.Sequential(sn.Reshape((1, 2, 2)), conv, sn.ReLU(), sn.Flatten(), dense(8, 3, 0))
    conv.W[...], conv.b[...] = 1, [-0.5, -2]
    watch = Watch(every=1)
    watched(watch, sn.Classifier(network), (x, LABELS), epochs=1)
    assert watch.records[0]["idle"] == {"network.2": 1 / 2}


@pytest.mark.parametrize(("activation", "x"), [(sn.Sigmoid(), 4.6), (sn.Tanh(), 2.3)], ids=["sigmoid", "tanh"])
def test_of_sigmoid_and_tanh_the_outputs_with_less_than_4_percent_of_the_slope_are_idle(activation, x):
    model, watch = classifier(activation), Watch(every=1)
    first = model.network.layers[0]
    first.W[...], first.b[...] = 0, x * np.array([1.01, -1.01, 0.99, -0.99, 0])
    watched(watch, model, (X, LABELS), epochs=1, optimizer=sn.SGD(1e-9))
    assert watch.records[0]["idle"] == {"network.1": pytest.approx(2 / 5)}


def test_the_two_saturate_at_the_same_place():
    """tanh(x) = 2 sigmoid(2x) − 1, so twice the input saturates the sigmoid as much."""
    tanh, sigmoid = sn.Tanh().forward(X)[0], sn.Sigmoid().forward(2 * X)[0]
    np.testing.assert_allclose(1 - tanh**2, 4 * sigmoid * (1 - sigmoid))


@pytest.mark.parametrize("model", [TwoParts, WrongTrace])
def test_without_a_trace_that_takes_the_batch_nothing_is_said_of_units(model):
    watch = Watch(every=1)
    watched(watch, model(), (X, LABELS), epochs=1)
    assert [record["idle"] for record in watch.records] == [{}] * 3


def test_what_is_kept_is_bounded():
    watch = Watch(every=1)
    watched(watch, vae(), X, epochs=300)  # 900 steps
    steps = [record["step"] for record in watch.records]
    assert steps == list(range(0, 900, 4))


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_resumed_run_has_the_whole_record(tmp_path: Path, epochs):
    whole, begun, resumed = (Watch(every=2) for _ in range(3))
    watched(whole, vae(), X, epochs=5)
    for watch, end in ((begun, epochs), (resumed, 5)):
        watched(watch, vae(), X, epochs=end, checkpoint=tmp_path / "run.npz")
    assert resumed.records == whole.records
    assert len(begun.records) < len(whole.records)


@pytest.mark.slow
def test_a_record_that_was_thinned_out_goes_on_so(tmp_path: Path):
    whole, begun, resumed = (Watch(every=1) for _ in range(3))
    watched(whole, vae(), X, epochs=150)
    for watch, end in ((begun, 140), (resumed, 150)):
        watched(watch, vae(), X, epochs=end, checkpoint=tmp_path / "run.npz")
    assert [record["step"] for record in resumed.records] == [record["step"] for record in whole.records]


@pytest.mark.parametrize("every", [0, -1, 1.5, "10"])
def test_every_is_a_count(every):
    with pytest.raises((TypeError, ValueError), match="Watch expects every to be"):
        Watch(every=every)


# ---- the picture


def test_the_picture_has_a_curve_for_each_weight_and_activation():
    watch = Watch(every=1)
    watched(watch, vae(), X)
    gradient, update, idle = plots.watched(watch, "t").axes
    weights = ["encoder.0.W", "encoder.2.W", "decoder.W"]
    assert [line.get_label() for line in gradient.lines] == [line.get_label() for line in update.lines] == weights
    assert list(np.asarray(gradient.lines[0].get_xdata())) == list(range(6))
    assert list(np.asarray(gradient.lines[0].get_ydata())) == [one["gradient"][weights[0]] for one in watch.records]
    assert [line.get_label() for line in idle.lines] == ["encoder.1"]


@pytest.mark.parametrize("what", [Watch(), None])
def test_a_picture_of_nothing_is_refused(what):
    with pytest.raises(TypeError, match=r"plots\.watched expects a Watch of at least one recorded step, got "):
        plots.watched(what, "t")
