"""A user's own layers with a state, optimizers, likelihoods and models: how they are trained, saved and resumed."""

# Layers of a model are looked into:
# pyright: reportAttributeAccessIssue=false

import math
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.callbacks import Anneal, EarlyStopping
from tests.test_callbacks import Calls, Keeps, Mean, StopsAt, Training, X, dense, make_vae


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "run.npz"


# ---- a layer with a state


class Centre(sn.Layer):
    """y = x − the running mean of all x of the training."""

    state_names = ("mean", "count")

    def __init__(self, width: int):
        self.mean, self.count = np.zeros(width), np.int64(0)

    def forward(self, x):
        if self.training:
            self.count = self.count + len(x)
            self.mean = self.mean + (x.mean(axis=0) - self.mean) * (len(x) / self.count)
        return x - self.mean, lambda dy: dy.copy()


def centred(seed: int = 1) -> sn.Autoencoder:
    return sn.Autoencoder(sn.Sequential(Centre(4), dense(4, 3, seed)), dense(3, 4, 2))


def test_the_state_is_learnt_in_training():
    model = centred()
    Training(model).fit(epochs=1)
    assert model.encoder.layers[0].count == 10
    assert np.allclose(model.encoder.layers[0].mean, X.mean(axis=0))


def test_validating_encoding_and_looking_names_up_teach_nothing():
    model = centred()
    Training(model).fit(EarlyStopping(9, "val_reconstruction", restore_best=False), epochs=1, validation=X + 5)
    model.encode(X + 5)
    model.loss(X + 5)
    assert model.encoder.layers[0].count == 10


class Watches(sn.Layer):
    """Notes whether it is training, forward and backward."""

    def __init__(self) -> None:
        self.forwards, self.backwards = [], []

    def forward(self, x):
        self.forwards.append(self.training)

        def backward(dy):
            self.backwards.append(self.training)
            return dy.copy()

        return x.copy(), backward


def test_training_is_true_for_the_loss_and_the_backward_of_a_step_and_nowhere_else():
    layer = Watches()
    model = sn.Autoencoder(sn.Sequential(dense(4, 4, 1), sn.Sequential(layer)), dense(4, 4, 2))
    calls = Calls(lambda run: layer.training)
    Training(model).fit(calls, epochs=1, validation=X[:2])
    assert layer.forwards == [True, True, True, False]  # the last validates
    assert layer.backwards == [True, True, True]
    assert not any(calls.seen)


def test_training_that_was_left_on_is_off_before_the_training():
    layer = Watches()
    layer.training = True
    calls = Calls(lambda run: layer.training)
    Training(sn.Autoencoder(sn.Sequential(dense(4, 4, 1), layer), dense(4, 4, 2))).fit(calls, epochs=1)
    assert calls.at("before_training") == [False]


def test_training_is_false_while_a_loss_that_has_no_value_is_traced():
    class Overflows(Watches):
        def forward(self, x):
            y, backward = super().forward(x)
            return y * np.inf, backward

    layer = Overflows()
    model = sn.Autoencoder(
        sn.Sequential(dense(4, 4, 1), layer), sn.Sequential(dense(4, 4, 2), sn.Sigmoid()), loss=sn.bce
    )
    with pytest.raises(sn.DivergenceError):
        Training(model).fit()
    assert layer.forwards == [True, False]


@pytest.mark.parametrize("at", ["loss", "backward"])
def test_training_is_false_after_an_exception(at):
    layer = Watches()
    model = sn.Autoencoder(sn.Sequential(dense(4, 4, 1), layer), dense(4, 4, 2))
    loss = model.loss

    def failing(*arguments: Any) -> sn.Loss:
        found = loss(*arguments)
        if at == "loss":
            raise ZeroDivisionError
        return sn.Loss(found.value, found.terms, lambda: 1 / 0)  # type: ignore[arg-type,return-value]

    model.loss = failing  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        Training(model).fit()
    assert layer.training is False


def test_a_models_state_is_saved_and_loaded(path):
    model, other = centred(), centred(seed=9)
    Training(model).fit(epochs=1)
    sn.save(path, model)
    sn.load(path, other)
    assert np.array_equal(other.encoder.layers[0].mean, model.encoder.layers[0].mean)
    assert other.encoder.layers[0].count == 10
    assert np.array_equal(other.encode(X), model.encode(X))


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (dense(2, 3, 1), {"W", "b"}),
        (sn.Sequential(Centre(2), dense(2, 3, 1)), {"0.mean", "0.count", "1.W", "1.b"}),
        (Centre(2), {"mean", "count"}),
        (sn.Sequential(sn.Sequential(sn.Tanh(), dense(2, 3, 1))), {"0.1.W", "0.1.b"}),
    ],
)
def test_a_layer_is_saved_under_the_names_below_a_model_without_the_first_word(path, layer, names):
    sn.save(path, layer)
    with np.load(path) as arrays:
        assert set(arrays) == names


def test_a_layer_is_loaded(path):
    first, second = (sn.Sequential(Centre(2), dense(2, 3, seed)) for seed in (1, 2))
    first.layers[0].mean = np.array([5.0, 6.0])
    sn.save(path, first)
    sn.load(path, second)
    assert np.array_equal(second.forward(np.ones((1, 2)))[0], first.forward(np.ones((1, 2)))[0])


def test_a_layer_that_belongs_to_a_model_is_loaded_into_the_models_theta(path):
    sn.save(path, dense(4, 3, 7))
    model = sn.Autoencoder(dense(4, 3, 1), dense(3, 4, 2))
    sn.load(path, model.encoder)
    assert np.array_equal(model.parameters.named()["encoder.W"], dense(4, 3, 7).W)


def test_a_layer_with_nothing_to_save_is_refused(path):
    with pytest.raises(ValueError, match=r"^save expects a model or a layer that has parameters or states, got Tanh"):
        sn.save(path, sn.Tanh())


def test_a_file_of_another_state_is_refused(path):
    sn.save(path, Centre(3))
    with pytest.raises(sn.DataError, match=r"mean is \(3,\) of float64, expected \(2,\) of float64"):
        sn.load(path, Centre(2))


@pytest.mark.parametrize("step", [1, 4, 8])
@pytest.mark.parametrize("objects", ["new", "the same"])
def test_a_layers_state_goes_on(path, step, objects):
    whole, stopped = Training(centred()), Training(centred())
    expected = whole.left(whole.fit())
    stopped.fit(StopsAt(step), checkpoint=path)
    again = stopped if objects == "the same" else Training(centred())
    assert again.left(again.fit(checkpoint=path)) == expected
    layers = [training.model.encoder.layers[0] for training in (whole, again)]
    assert layers[0].mean.tobytes() == layers[1].mean.tobytes()
    assert layers[0].count == layers[1].count == 30


def test_what_a_first_step_taught_before_it_failed_is_forgotten(path):
    model = centred()
    with pytest.raises(ZeroDivisionError):
        Training(model).fit(Calls(after_loss=lambda run: 1 / 0), checkpoint=path)
    assert model.encoder.layers[0].count == 0
    assert not model.encoder.layers[0].mean.any()


def test_the_best_epochs_state_comes_back_with_its_theta():
    training, means = Training(centred()), []

    def note(run: Any) -> None:
        means.append(run.model.encoder.layers[0].mean.copy())
        run.record["score"] = [3, 1, 2][run.epoch - 1]

    training.fit(Calls(after_epoch=note), EarlyStopping(9, "score"))
    assert np.array_equal(training.model.encoder.layers[0].mean, means[1])


@pytest.mark.parametrize("state", [0.0, [1.0], None, np.array([None])])
def test_a_state_that_is_no_array_is_refused_before_the_first_step(path, state):
    model = centred()
    model.encoder.layers[0].mean = state
    with pytest.raises(TypeError, match=r"^Centre expects its encoder\.0\.mean to be an array of numbers, got "):
        Training(model).fit(checkpoint=path)
    assert not path.exists()


# ---- an optimizer


class RMSprop(sn.Optimizer):
    """v ← ρ v + (1 − ρ) dθ²,  θ ← θ − learning_rate · dθ / (√v + ε)."""

    memory_names = ("v",)
    v: np.ndarray

    def __init__(self, learning_rate: Any, rho: float = 0.9):
        super().__init__(learning_rate)
        self.rho = rho

    def move(self, theta, dtheta, learning_rate):
        self.v *= self.rho
        self.v += (1 - self.rho) * dtheta**2
        theta -= learning_rate * dtheta / (np.sqrt(self.v) + 1e-8)


def test_its_memory_is_zero_before_the_first_step_and_its_steps_count():
    theta, optimizer = np.array([1.0, 2.0]), RMSprop(0.1, rho=0.75)
    optimizer.step(theta, np.array([2.0, -4.0]))
    assert np.array_equal(optimizer.v, [1.0, 4.0])  # ¼ · 2², ¼ · 4²
    assert np.allclose(theta, [1 - 0.1 * 2, 2 + 0.1 * 2])
    assert optimizer.steps == 1


def test_it_takes_a_schedule():
    theta, optimizer = np.array([0.0]), RMSprop(lambda step: 1.0 / (1 + step), rho=0.0)
    for _ in range(3):
        optimizer.step(theta, np.array([1.0]))
    assert theta == pytest.approx(-(1 + 1 / 2 + 1 / 3))


@pytest.mark.parametrize("step", [1, 3, 5])
def test_its_memory_goes_on(path, step):
    whole, again = Training(optimizer=RMSprop(0.01)), Training(optimizer=RMSprop(0.01))
    expected = whole.left(whole.fit())
    Training(optimizer=RMSprop(0.01)).fit(StopsAt(step), checkpoint=path)
    assert again.left(again.fit(checkpoint=path)) == expected


class Replaces(RMSprop):
    """The same with a new array in place of v at each step, and the length of the last gradient beside it."""

    memory_names = ("v", "length")

    def move(self, theta, dtheta, learning_rate):
        self.v = self.rho * self.v + (1 - self.rho) * dtheta**2
        self.length = np.sqrt((dtheta**2).sum())  # a NumPy scalar
        theta -= learning_rate * dtheta / (np.sqrt(self.v) + 1e-8)


def test_memory_may_be_replaced_also_by_a_numpy_scalar(path):
    whole, again = Training(optimizer=Replaces(0.01)), Training(optimizer=Replaces(0.01))
    expected = whole.left(whole.fit())
    Training(optimizer=Replaces(0.01)).fit(StopsAt(5), checkpoint=path)
    assert again.left(again.fit(checkpoint=path)) == expected
    assert again.optimizer.length == whole.optimizer.length


@pytest.mark.parametrize(("memory", "came"), [(0.5, r"0\.5"), ([0.5], "list"), (None, "None")])
def test_memory_that_is_no_array_is_refused_at_the_first_save(path, memory, came):
    class Other(RMSprop):
        def move(self, theta, dtheta, learning_rate):
            self.v = memory

    with pytest.raises(TypeError, match=rf"^Other expects its optimizer v to be an array of numbers, got {came}\.$"):
        Training(optimizer=Other(0.01)).fit(checkpoint=path, checkpoint_seconds=60)


@pytest.mark.parametrize("name", ["theta", "state", "callbacks"])
def test_memory_may_have_any_name(path, name):
    class Named(sn.Optimizer):
        memory_names = (name,)

        def move(self, theta, dtheta, learning_rate):
            memory = getattr(self, name)
            memory += dtheta
            theta -= learning_rate * memory

    whole, again = Training(optimizer=Named(0.01)), Training(optimizer=Named(0.01))
    expected = whole.left(whole.fit())
    Training(optimizer=Named(0.01)).fit(StopsAt(4), checkpoint=path)
    assert again.left(again.fit(checkpoint=path)) == expected


def test_a_setting_of_ones_own_optimizer_is_a_setting(path):
    Training(optimizer=RMSprop(0.01)).fit(checkpoint=path, epochs=1)
    with pytest.raises(sn.DataError, match=r"the optimizer's rho is 0\.9 there and 0\.8 here"):
        Training(optimizer=RMSprop(0.01, rho=0.8)).fit(checkpoint=path)


# ---- a likelihood


class Laplace:
    """Each pixel is Laplace around its mean y with one fixed b: −log p = Σᵢ |xᵢ − yᵢ|/b + log 2b."""

    def __init__(self, b: float):
        self.b = b

    def nll(self, y, x):
        return self.nll_per_image(y, x).mean(), np.sign(y - x) / self.b / len(x)

    def nll_per_image(self, y, x):
        return np.abs(x - y).sum(axis=1) / self.b + x.shape[1] * math.log(2 * self.b)

    def images(self, y):
        return np.clip(y, 0, 1)


def test_a_vae_takes_a_likelihood_of_ones_own():
    vae = make_vae(likelihood=Laplace(0.5))
    history = Training(vae).fit(epochs=30)
    assert history["loss"][-1] < history["loss"][0]
    assert sn.elbo(vae, X, np.random.default_rng(0)).keys() == {"elbo", "reconstruction", "kl", "stderr"}
    assert vae.sample(2, np.random.default_rng(0)).shape == (2, 4)


def test_pixels_are_looked_at_only_where_the_likelihood_asks_for_probabilities():
    Training(make_vae(likelihood=Laplace(0.5))).fit(epochs=1, data=X * 5)
    asks = Laplace(0.5)
    asks.pixels_are_probabilities = True
    with pytest.raises(sn.DataError, match=r"^fit expects x in \[0, 1\]"):
        Training(make_vae(likelihood=asks)).fit(epochs=1, data=X * 5)


ASK_PER_IMAGE: dict[str, Callable[[sn.IWAE], Any]] = {
    "IWAE": lambda iwae: iwae.loss(X, np.random.default_rng(0)),
    "elbo": lambda iwae: sn.elbo(iwae, X, np.random.default_rng(0)),
    "log_likelihood": lambda iwae: sn.log_likelihood(iwae, X, 2, np.random.default_rng(0)),
}


@pytest.mark.parametrize(
    "forgets",
    [
        lambda nll: nll.sum(),
        lambda nll: nll[:, None],
        lambda nll: nll[:-1],
        lambda nll: nll.astype("U9"),
        lambda _: None,
    ],
    ids=["a scalar", "a column", "a row fewer", "words", "nothing"],
)
@pytest.mark.parametrize("where", ASK_PER_IMAGE)
def test_a_likelihood_that_gives_no_number_for_each_image_is_refused(where, forgets):
    class Forgets(Laplace):
        def nll(self, y, x):
            return 1.0, np.zeros_like(y)

        def nll_per_image(self, y, x):
            return forgets(super().nll_per_image(y, x))

    rng = np.random.default_rng(0)
    layers = [sn.Dense(n_in, 4, rng=rng, dtype=np.float64) for n_in in (4, 2)]
    iwae = sn.IWAE(*layers, k=3, likelihood=Forgets(0.5))
    with pytest.raises(sn.ShapeError, match=rf"^{where} expects nll_per_image to return a number for each image, "):
        ASK_PER_IMAGE[where](iwae)


class Returns(Laplace):
    """Its nll returns this, whatever came."""

    def __init__(self, found):
        super().__init__(0.5)
        self.found = found

    def nll(self, y, x):
        return self.found


MAKE_VAE: dict[str, Callable[..., sn.VAE]] = {
    "VAE": sn.VAE,
    "IWAE": lambda *layers, **how: sn.IWAE(*layers, k=3, **how),
}


def vae_whose_nll_returns(where: str, found: Any) -> sn.VAE:
    layers = [sn.Dense(n_in, 4, rng=np.random.default_rng(0), dtype=np.float64) for n_in in (4, 2)]
    return MAKE_VAE[where](*layers, likelihood=Returns(found))


@pytest.mark.parametrize("found", [1.0, None, X, (1.0, X, X)], ids=["a number", "nothing", "an array", "three"])
@pytest.mark.parametrize("where", MAKE_VAE)
def test_a_likelihood_that_returns_no_value_with_its_derivative_is_refused(where, found):
    vae = vae_whose_nll_returns(where, found)
    with pytest.raises(TypeError, match=rf"^{where} expects the likelihood's nll to return its value and its deriv"):
        vae.loss(X, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(), (4,), (1, 4), (len(X), 1)], ids=str)
@pytest.mark.parametrize("where", MAKE_VAE)
def test_a_derivative_that_a_likelihood_returns_is_never_broadcast(where, shape):
    vae = vae_whose_nll_returns(where, (1.0, np.ones(shape)))
    with pytest.raises(sn.ShapeError, match=r"^the backward pass of .* expects dy in the shape of y, "):
        vae.loss(X, np.random.default_rng(0)).backward()


@pytest.mark.parametrize(("name", "likelihood"), [("bernoulli", sn.Bernoulli()), ("gaussian", sn.Gaussian(0.5))])
def test_the_words_are_short_for_two_of_them(name, likelihood):
    by_name, by_object = make_vae(likelihood=name, sigma=0.5), make_vae(likelihood=likelihood)
    eps = np.ones((10, 2))
    assert by_name.loss(X, eps=eps).value == by_object.loss(X, eps=eps).value
    assert by_name.pixels_are_probabilities == by_object.pixels_are_probabilities


# ---- a model on several arrays, with metrics


class Scores:
    """Fits (w x − score)², and counts how often it was off by less than ½; the metric is missing in some batches."""

    unit = "squares"

    def __init__(self) -> None:
        self.layer = dense(1, 1, 0)
        self.parameters, self.dtype = sn.Parameters(layer=self.layer), np.dtype(np.float64)
        self.batches = []

    def loss(self, batch, rng):
        x, scores, _ = batch
        self.batches.append(batch)
        y, backward = self.layer.forward(x)
        off = y[:, 0] - scores
        metrics = {"near": np.mean(np.abs(off) < 0.5)} if len(x) == 4 else {}
        return sn.Loss(np.mean(off**2), {}, lambda: backward(2 * off[:, None] / len(x)), metrics)


def scored() -> tuple[np.ndarray, ...]:
    return X[:, :1], np.arange(10.0), np.array([f"name {i}" for i in range(10)])


def test_a_loss_gets_the_same_rows_of_each_array_of_any_type():
    model = Scores()
    Training(model).fit(epochs=1, data=scored(), validation=scored())
    rows = {(x.tobytes(), score, name) for x, score, name in zip(*scored(), strict=True)}
    for batch in model.batches:
        for x, score, name in zip(*batch, strict=True):
            assert (x.tobytes(), score, str(name)) in rows
    assert sum(len(batch[0]) for batch in model.batches) == 20


def test_objects_in_the_data_are_refused_where_a_run_is_saved(path):
    x, scores, names = scored()
    with pytest.raises(TypeError, match="expects arrays of numbers or letters, got objects in the data"):
        Training(Scores()).fit(data=(x, scores, names.astype(object)), checkpoint=path)


def test_a_loss_that_is_none_is_refused_by_the_name_of_its_model():
    class Bare(Scores):
        def loss(self, batch, rng) -> Any:
            return super().loss(batch, rng).value

    with pytest.raises(TypeError, match=r"^fit expects Bare\.loss to return a Loss\(…\), got "):
        Training(Bare()).fit(data=scored())


def test_validation_has_as_many_arrays_as_the_data():
    x, scores, names = scored()
    said = r"^fit expects validation to be a tuple of 3 arrays, as the data is, got "
    for validation, came in (((x, scores), r"a tuple of 2 arrays\.$"), (x, r"one array\.$")):
        with pytest.raises(TypeError, match=said + came):
            Training(Scores()).fit(data=(x, scores, names), validation=validation)


def test_what_comes_with_x_may_have_any_axes():
    class Weighted(Scores):
        def loss(self, batch, rng):
            assert batch[2].shape[1:] == (2, 3)
            return super().loss(batch, rng)

    Training(Weighted()).fit(epochs=1, data=(*scored()[:2], np.ones((10, 2, 3))))


def test_metrics_are_averaged_over_the_examples_of_the_batches_that_have_them():
    class Half(Scores):
        def loss(self, batch, rng):
            found = super().loss(batch, rng)
            value = {4: 1.0, 2: 0.0}[len(batch[0])]
            metrics = {"big": value} if value else {"big": 0.0, "only short": 7.0}
            return sn.Loss(found.value, found.terms, found.backward, metrics)

    record = Training(Half()).fit(epochs=1, data=scored()).epochs[0]
    assert record["big"] == pytest.approx(0.8)  # 8 of 10 examples were in batches of four
    assert record["only short"] == 7.0


def test_a_metric_that_is_nan_is_no_divergence_and_goes_on(path):
    class Undefined(Scores):
        def loss(self, batch, rng):
            found = super().loss(batch, rng)
            return sn.Loss(found.value, found.terms, found.backward, {"undefined": math.nan})

    Training(Undefined()).fit(StopsAt(4), data=scored(), checkpoint=path)
    history = Training(Undefined()).fit(data=scored(), checkpoint=path)
    assert np.isnan(history["undefined"]).all()


@pytest.mark.parametrize(
    ("terms", "metrics"),
    [
        ({"a": 1.0}, {"a": 1.0}),
        ({}, {"loss": 1.0}),
        ({"epoch": 1.0}, {}),
        ({}, {"seconds": 1.0}),
        ({"val_loss": 1.0}, {}),
        ({}, {"val_a": 1.0}),
    ],
)
def test_a_name_that_a_record_has_already_is_refused(terms, metrics):
    with pytest.raises(ValueError, match=r"^Loss expects names that a record does not have yet, got "):
        sn.Loss(1.0, terms, lambda: None, metrics)


NO_NUMBERS = {"a text": "a", "nothing": None, "an array": np.ones(2), "too large": 10**400}


@pytest.mark.parametrize("number", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("name", ["value", "kl", "accuracy"])
def test_a_loss_takes_only_what_is_a_number(name, number):
    value, kl, accuracy = (number if one == name else 1.0 for one in ("value", "kl", "accuracy"))
    with pytest.raises((TypeError, ValueError), match=rf"^Loss expects {name} to be a number.*, got .*\.$"):
        sn.Loss(value, {"kl": kl}, lambda: None, {"accuracy": accuracy})


ANY_TWO = [np.float32(2), np.float16(2), np.int8(2), np.array(2.0), Fraction(2), 2]


@pytest.mark.parametrize("number", ANY_TWO)
def test_the_numbers_of_a_loss_become_floats(number):
    loss = sn.Loss(number, {"term": number}, lambda: None, {"metric": number})
    assert [type(one) for one in (loss.value, *loss.terms.values(), *loss.metrics.values())] == [float] * 3


@pytest.mark.parametrize("number", ANY_TWO)
def test_a_loss_takes_a_number_of_any_type(number):
    class Two(Scores):
        def loss(self, batch, rng):
            return sn.Loss(number, {"term": number}, super().loss(batch, rng).backward, {"metric": number})

    record = Training(Two()).fit(epochs=1, data=scored()).epochs[0]
    assert [record[name] for name in ("loss", "term", "metric")] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"terms": [("a", 1.0)]}, "terms to be a dict of numbers by name, got list"),
        ({"metrics": None}, "metrics to be a dict of numbers by name, got None"),
        ({"terms": {1: 1.0}}, "a name in terms to be a string, got 1"),
        ({"backward": None}, "backward to be a function, got None"),
    ],
)
def test_the_parts_of_a_loss_are_looked_at(changed, expected):
    with pytest.raises(TypeError, match=rf"^Loss expects {expected}\.$"):
        sn.Loss(**{"value": 1.0, "terms": {}, "backward": lambda: None} | changed)


@pytest.mark.parametrize("name", ["the loss", "kl", "accuracy"])
def test_a_complex_loss_is_refused_in_training(name):
    class Complex(Scores):
        def loss(self, batch, rng):
            numbers: list[Any] = [1j if one == name else 1.0 for one in ("the loss", "kl", "accuracy")]
            value, kl, accuracy = numbers
            return sn.Loss(value, {"kl": kl}, super().loss(batch, rng).backward, {"accuracy": accuracy})

    with pytest.raises(TypeError, match=f"^fit expects {name} to be a number, got complex"):
        Training(Complex()).fit(epochs=1, data=scored())


def test_a_metric_is_printed_without_the_losss_unit(capsys):
    Training(Scores()).fit(epochs=1, data=scored(), validation=scored(), progress=True)
    line = capsys.readouterr().out
    assert "squares  near " in line
    assert "  val_near " in line.partition("squares")[2]


def test_every_array_is_part_of_the_run(path):
    x, scores, names = scored()
    Training(Scores()).fit(epochs=1, data=scored(), checkpoint=path)
    with pytest.raises(sn.DataError, match=r"holds another run: x\[1\] is "):
        Training(Scores()).fit(data=(x, scores + 1, names), checkpoint=path)
    with pytest.raises(sn.DataError, match=r"holds another run: x\[2\] is "):
        Training(Scores()).fit(data=(x, scores, names[::-1]), checkpoint=path)


def test_objects_are_refused_with_a_checkpoint_and_taken_without(path):
    data = (*scored()[:2], np.array([object()] * 10))
    with pytest.raises(TypeError, match=r"^fit with a checkpoint expects arrays of numbers or letters, got objects"):
        Training(Scores()).fit(data=data, checkpoint=path)
    assert not path.exists()
    assert len(Training(Scores()).fit(data=data, epochs=1).epochs) == 1


# ---- what is not declared


class Holder(sn.Layer):
    """A layer made of layers that does not say so."""

    def __init__(self, held: Any):
        self.held = held

    def forward(self, x):
        return x.copy(), lambda dy: dy.copy()


@pytest.mark.parametrize("shape", [lambda one: one, lambda one: [one], lambda one: (one,), lambda one: {"a": one}])
def test_layers_that_children_does_not_return_are_refused_since_they_would_never_be_trained(shape):
    with pytest.raises(ValueError, match=r"^Holder expects children\(\) to return the layers in held: return .*\.$"):
        sn.Autoencoder(sn.Sequential(Holder(shape(dense(4, 4, 0))), dense(4, 2, 1)), dense(2, 4, 2))


def test_layers_behind_an_underscore_are_not_asked_for():
    holder = Holder(None)
    holder._held = dense(4, 4, 0)
    assert len(sn.Parameters(a=sn.Sequential(holder, dense(4, 2, 1)))) == 10


@pytest.mark.parametrize("kind", ["parameter_names", "state_names"])
def test_a_word_in_place_of_a_tuple_of_names_is_refused(kind):
    layer = dense(4, 2, 0)
    setattr(layer, kind, ("gamma"))
    with pytest.raises(TypeError, match=rf"^Dense expects {kind} to be a tuple of names, such as .*, got 'gamma'"):
        sn.Autoencoder(layer, dense(2, 4, 1))


class Forgets(sn.Optimizer):
    """Momentum whose memory is not declared."""

    def __init__(self, rate: float, memory: Any = None):
        super().__init__(rate)
        self.v, self.mask = memory, np.array([1.0])  # the mask never changes

    def move(self, theta, dtheta, learning_rate):
        self.v = dtheta if self.v is None else 0.9 * self.v + dtheta
        theta -= learning_rate * self.mask * self.v


class Inner(sn.Optimizer):
    """An optimizer that leaves its work to another."""

    def __init__(self, rate: float):
        super().__init__(rate)
        self.inner = sn.Adam(rate)

    def move(self, theta, dtheta, learning_rate):
        self.inner.step(theta, dtheta)


@pytest.mark.parametrize(("make", "name"), [(Forgets, "v"), (Inner, "inner")])
def test_an_optimizer_whose_memory_is_not_declared_is_refused_with_a_checkpoint_and_taken_without(make, name, path):
    with pytest.raises(
        TypeError, match=rf"{make.__name__}\.memory_names to name the optimizer's whole memory, got also {name}, which"
    ):
        Training(optimizer=make(0.01)).fit(checkpoint=path)
    assert len(Training(optimizer=make(0.01)).fit(epochs=1).epochs) == 1


def test_memory_names_are_a_tuple():
    optimizer = Forgets(0.01)
    optimizer.memory_names = "v"  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"^Forgets expects memory_names to be a tuple of names, such as .*, got 'v'"):
        Training(optimizer=optimizer).fit()


def test_a_moment_that_does_not_exist_is_refused():
    class Late(sn.Callback):
        def after_epochs(self, run):
            raise AssertionError

    with pytest.raises(TypeError, match=r"^fit expects the moments that a Callback has, got Late\.after_epochs\.$"):
        Training().fit(Late())


def test_of_a_model_it_is_said_what_it_lacks():
    class Bare:
        unit, dtype = "nats", np.dtype(np.float32)

    with pytest.raises(TypeError, match=r"got .*Bare.*, which has no loss and no parameters\.$"):
        sn.fit(Bare(), X, optimizer=sn.SGD(0.1), epochs=1, rng=np.random.default_rng(0))


# ---- arrays in files


@pytest.fixture(params=["r", "r+", "c"])
def in_file(request, tmp_path) -> np.ndarray:
    np.save(tmp_path / "x.npy", X)
    return np.load(tmp_path / "x.npy", mmap_mode=request.param)


def test_a_mapped_array_trains_as_the_array_does_and_is_not_written_to(in_file, tmp_path):
    def blacken(run: Any) -> None:
        assert not isinstance(run.batch, np.memmap)
        run.batch *= 0.5

    before = (tmp_path / "x.npy").read_bytes()
    whole, mapped = Training(), Training()
    expected = whole.left(whole.fit(Calls(before_step=blacken), validation=X))
    assert mapped.left(mapped.fit(Calls(before_step=blacken), data=in_file, validation=in_file)) == expected
    assert (tmp_path / "x.npy").read_bytes() == before


def test_a_bad_value_in_a_file_is_found_also_if_the_other_arrays_are_in_memory(tmp_path):
    x, scores, names = scored()
    x = x.copy()
    x[7] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(sn.DataError, match=r"^fit expects x to be finite, got"):
        Training(Scores()).fit(data=(np.load(tmp_path / "x.npy", mmap_mode="r"), scores, names))


@pytest.mark.parametrize("value", [np.nan, 2.0])
@pytest.mark.parametrize("what", ["data", "validation"])
def test_a_bad_value_in_a_file_is_a_data_error_when_its_batch_comes(tmp_path, value, what):
    x = X.copy()
    x[7, 1] = value
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(
        sn.DataError, match=rf"^fit expects {'x' if what == 'data' else 'validation'} (in \[0, 1\]|to be finite), got"
    ):
        Training().fit(**{what: np.load(tmp_path / "x.npy", mmap_mode="r")})


def test_a_run_on_a_file_goes_on_also_if_the_file_was_copied(path, in_file, tmp_path):
    whole, again = Training(), Training()
    expected = whole.left(whole.fit(data=in_file))
    Training().fit(StopsAt(4), data=in_file, checkpoint=path)
    np.save(tmp_path / "copy.npy", X)
    again_data = np.load(tmp_path / "copy.npy", mmap_mode="r")
    assert again.left(again.fit(data=again_data, checkpoint=path)) == expected
    np.save(tmp_path / "other.npy", X + 0.001)
    with pytest.raises(sn.DataError, match="holds another run: x is "):
        Training().fit(data=np.load(tmp_path / "other.npy", mmap_mode="r"), checkpoint=path)


LARGE_FILE = """
import numpy as np, scratchnet as sn

class Stop(sn.Callback):
    def after_step(self, run):
        self.most = max(getattr(self, "most", 0), anonymous())
        if run.step == 1000:
            run.stop()

def anonymous():
    status = open("/proc/self/status").read()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3  # MB: without pages that are the file's

rows = 20 * 10**9 // (4 * 784)
open("x.bin", "wb").truncate(rows * 4 * 784)  # a hole: it takes no room on the disk
x = np.memmap("x.bin", np.float32, "r", shape=(rows, 784))
rng = np.random.default_rng(0)
ae = sn.Autoencoder(sn.Dense(784, 16, rng=rng), sn.Dense(16, 784, rng=rng))
stop = Stop()
sn.fit(ae, x, optimizer=sn.Adam(1e-3), epochs=1, batch_size=32, rng=rng, progress=False, callbacks=[stop])
print(stop.most)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say how much memory is whose")
def test_a_thousand_steps_on_a_file_of_20_gigabytes_take_less_than_500_megabytes_of_memory(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(sn.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", LARGE_FILE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    (tmp_path / "x.bin").unlink()
    assert float(done.stdout) < 500


# ---- all of it at once


def everything() -> tuple[Training, tuple[sn.Callback, ...]]:
    vae = sn.VAE(
        sn.Sequential(Centre(4), dense(4, 3, 1), sn.Tanh(), dense(3, 4, 2)), dense(2, 4, 3), likelihood=Laplace(0.5)
    )
    training = Training(vae, Replaces(lambda step: 0.01 / (1 + step)))
    stop = EarlyStopping(2, "val_reconstruction", min_delta=0.001)
    return training, (Anneal(beta=lambda step: min(1.0, step / 9)), Mean(), stop, Keeps({"a": [1.5]}))


@pytest.mark.parametrize("step", [1, 3, 7, 14])
@pytest.mark.parametrize("objects", ["new", "the same"])
def test_a_run_with_all_of_it_goes_on_to_the_same_bits(path, step, objects):
    whole, callbacks = everything()
    expected = whole.left(whole.fit(*callbacks, epochs=12, validation=X[:5])), callbacks[1].state_dict()
    stopped, some = everything()
    stopped.fit(*some, StopsAt(step), epochs=12, validation=X[:5], checkpoint=path)
    again, others = (stopped, some) if objects == "the same" else everything()
    found = again.left(again.fit(*others, epochs=12, validation=X[:5], checkpoint=path)), others[1].state_dict()
    assert found[0] == expected[0]
    assert found[1]["mean"].tobytes() == expected[1]["mean"].tobytes()
    assert again.model.encoder.layers[0].mean.tobytes() == whole.model.encoder.layers[0].mean.tobytes()
