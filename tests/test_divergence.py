"""Numbers gone bad: a run says at once where and what may help, and what is only hard trains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import kernels
from scratchnet.arrays import Array
from tests.strategies import ENGINES

X = np.random.default_rng(7).random((22, 6))


def a_vae(dtype: type = np.float32, layer: sn.Layer | None = None, **options: Any) -> sn.VAE:
    rng = np.random.default_rng(0)
    between = layer or sn.Tanh()
    encoder = sn.Sequential(sn.Dense(6, 5, rng=rng, dtype=dtype), between, sn.Dense(5, 4, rng=rng, dtype=dtype))
    return sn.VAE(encoder, sn.Dense(2, 6, rng=rng, dtype=dtype), **options)


def an_autoencoder(*encoder: sn.Layer, **options: Any) -> sn.Autoencoder:
    rng = np.random.default_rng(0)
    dense = sn.Dense(6, 2, rng=rng)
    return sn.Autoencoder(sn.Sequential(dense, *encoder), sn.Dense(2, 6, rng=rng), **options)


def fit(model: Any, x: Array = X, **changes: Any) -> sn.History:
    arguments: dict[str, Any] = {"optimizer": sn.Adam(0.01), "epochs": 3, "batch_size": 5, "progress": False}
    arguments["rng"] = np.random.default_rng(1)
    return sn.fit(model, x.astype(model.dtype), **(arguments | changes))


def diagnosis(model: Any, **changes: Any) -> str:
    theta = model.parameters.theta.copy()
    with pytest.raises(sn.DivergenceError) as caught:
        fit(model, **changes)
    message = str(caught.value)
    assert message.endswith(".")
    assert ". " not in message
    assert len(message) <= 320
    if message.startswith("After 0 steps"):
        assert np.array_equal(model.parameters.theta, theta)
    return message


# ---- what is said: the step, the term, the layer, the hint


def test_a_log_variance_beyond_what_exp_can_take_is_named():
    vae = a_vae()
    vae.encoder.layers[2].b[2:] = 100  # type: ignore[attr-defined]
    said = diagnosis(vae)
    assert said.startswith("After 0 steps the loss is inf (kl is inf): the outputs of all layers are finite")
    assert "; the log-variance reached 1" in said
    assert said.endswith(
        ", and σ² is its exponential; no step was taken yet, so look at the data and the first weights."
    )


def test_a_log_variance_that_steps_made_large_is_named_with_the_learning_rate():
    said = diagnosis(a_vae(), optimizer=sn.Adam(1e5))
    assert "that of the sample z = μ + σ ⊙ ε; the log-variance reached" in said
    assert said.endswith("; try a smaller learning rate.")


@pytest.mark.parametrize("make", [a_vae, lambda: an_autoencoder(loss=sn.bce_with_logits)])
def test_logits_that_overflow_are_named(make):
    model = make()
    model.decoder.W[...] = model.decoder.b[...] = 3e38
    assert "the first output that is not finite is that of decoder, Dense(2, 6), the logits; " in diagnosis(model)


def test_large_logits_before_a_gradient_that_overflows_are_named():
    model = an_autoencoder(loss=sn.bce_with_logits)
    model.encoder.layers[0].W[...] *= 1e-30  # type: ignore[attr-defined]
    model.decoder.W[...] = 3e38  # type: ignore[attr-defined]
    said = diagnosis(model)
    assert (
        "its gradient is not finite, in the backward pass first in encoder.0, Dense(6, 2); the logits reached" in said
    )


def test_what_is_not_large_is_not_spoken_of():
    said = diagnosis(an_autoencoder(loss=lambda y, target: (np.nan, y)))
    assert said == (
        "After 0 steps the loss is nan (reconstruction is nan): the outputs of all layers are finite, so it is the "
        "loss itself that overflows; no step was taken yet, so look at the data and the first weights."
    )


class Undefined(sn.Bernoulli):
    """A likelihood that is not a number, whatever the logits."""

    def nll(self, y, x):
        return np.nan, y


@pytest.mark.parametrize(("size", "told"), [(40, False), (60, True), (-60, True)])
def test_a_log_variance_is_spoken_of_from_fifty_on(size, told):
    vae = a_vae(np.float64, likelihood=Undefined())
    vae.encoder.layers[2].W[:, 2:] = 0  # type: ignore[attr-defined]
    vae.encoder.layers[2].b[2:] = size  # type: ignore[attr-defined]
    vae.decoder.W[...] = 0  # type: ignore[attr-defined]
    assert (f"the log-variance reached {size}, and σ² is" in diagnosis(vae)) is told


@pytest.mark.parametrize(("size", "told"), [(5e3, False), (1.5e4, True), (-1.5e4, True)])
def test_logits_are_spoken_of_from_ten_thousand_on(size, told):
    vae = a_vae(np.float64, likelihood=Undefined())
    vae.decoder.b[...] = size  # type: ignore[attr-defined]
    assert ("the logits reached" in diagnosis(vae)) is told


class Explodes(sn.Layer):
    """y = x, with a way back that is right but for one number, which is infinite."""

    def forward(self, x: Array) -> Any:
        def backward(dy: Array) -> Array:
            dx = dy.copy()
            dx[0, 0] = np.inf
            return dx

        return x.copy(), backward


@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_layer_whose_gradient_is_not_finite_first_is_named(before):
    layers: list[sn.Layer] = [sn.Tanh() for _ in range(2)]
    layers.insert(before, Explodes())
    said = diagnosis(an_autoencoder(*layers))
    assert "squared error/image, but its gradient is not finite" in said
    assert f"in the backward pass first in encoder.{before + 1}, Explodes(); no step was taken yet" in said


class DividesByZero(sn.Dense):
    """A Dense layer whose db is not a number."""

    def forward(self, x: Array) -> Any:
        y, backward = super().forward(x)

        def backward_and_spoil(dy: Array, **options: Any) -> Any:
            dx = backward(dy, **options)
            self.db[...] = np.nan
            return dx

        return y, backward_and_spoil


def test_a_layer_that_spoils_only_its_own_gradient_is_named():
    layer = DividesByZero(2, 2, rng=np.random.default_rng(0))
    said = diagnosis(an_autoencoder(sn.Tanh(), layer, sn.Tanh()))
    assert "in the backward pass first in encoder.2, Dense(2, 2)" in said


class ExplodesOnce(sn.Layer):
    """A layer whose backward pass overflows in the first step alone."""

    def __init__(self) -> None:
        self.factor = np.float32(np.inf)

    def forward(self, x: Array) -> Any:
        def backward(dy: Array) -> Array:
            dx, self.factor = self.factor * dy, np.float32(1)
            return dx

        return x.copy(), backward


def test_a_layer_that_does_not_overflow_again_is_not_named_but_the_parameter():
    assert "in the backward pass first in encoder.0.b; no step" in diagnosis(an_autoencoder(ExplodesOnce()))


def test_a_loss_whose_derivative_is_not_finite_is_told_from_a_layer():
    said = diagnosis(an_autoencoder(loss=lambda y, target: (1.0, np.full_like(y, np.inf))))
    assert "in the backward pass first in the dy of decoder, Dense(2, 6)" in said


def test_a_layer_that_was_watched_is_as_it_was():
    layer = Explodes()
    diagnosis(an_autoencoder(layer))
    assert "forward" not in vars(layer)


class OwnWayBack:
    """A model that asks no layer's forward, with a gradient that is not finite."""

    def __init__(self) -> None:
        self.layer = sn.Dense(1, 1, rng=np.random.default_rng(0))
        self.parameters = sn.Parameters(layer=self.layer)
        self.dtype, self.unit = np.dtype(np.float32), "squares"

    def loss(self, x: Array, rng: np.random.Generator) -> sn.Loss:
        def backward() -> None:
            self.layer.dW += np.inf

        return sn.Loss(1.0, {"off": 1.0}, backward)


def test_without_a_layer_to_name_it_is_the_parameter():
    assert "in the backward pass first in layer.W; no step was taken yet" in diagnosis(OwnWayBack(), x=X[:, :1])


def test_gradients_too_large_for_the_squares_of_adam_are_told_from_a_learning_rate():
    vae = a_vae()
    vae.encoder.layers[2].b[2:] = 80  # type: ignore[attr-defined]
    said = diagnosis(vae)
    assert "made the parameter encoder.0.W not finite; the v of Adam is no longer finite, as after very" in said


def test_an_optimizer_whose_memory_overflowed_in_the_last_step_of_an_epoch_is_named():
    vae = a_vae()
    vae.encoder.layers[2].b[2:] = 80  # type: ignore[attr-defined]
    said = diagnosis(vae, epochs=1, batch_size=len(X))
    assert said.startswith("After 1 step the v of Adam is no longer finite, as after very large gradients; ")


# ---- what is hard: it trains, or it is refused


def at(logvar: float | None = None, logits: float | None = None, x: Array = X, **options: Any) -> Callable[..., Any]:
    """A run on x that begins with these log-variances and logits."""

    def run(dtype: type) -> tuple[sn.VAE, sn.History]:
        likelihood = options.get("likelihood", "bernoulli")
        vae = a_vae(dtype, likelihood=likelihood)
        if logvar is not None:
            vae.encoder.layers[2].b[2:] = logvar  # type: ignore[attr-defined]
        if logits is not None:
            vae.decoder.b[...] = logits  # type: ignore[attr-defined]
        return vae, fit(vae, x, batch_size=options.get("batch_size", 5))

    return run


HARD = {
    "logits of ten thousand": at(logits=1e4),
    "logits of minus ten thousand": at(logits=-1e4),
    "logits of 1e37": at(logits=1e37),
    "a log-variance of minus eighty": at(logvar=-80),
    "a log-variance of minus ten thousand": at(logvar=-1e4),
    "a log-variance of eighty": at(logvar=80),
    "a log-variance of eighty, Gaussian pixels": at(logvar=80, likelihood="gaussian"),
    "a log-variance of eighty-nine": at(logvar=89),
    "black images": at(x=np.zeros_like(X)),
    "white images": at(x=np.ones_like(X)),
    "black images, Gaussian pixels": at(x=np.zeros_like(X), likelihood="gaussian"),
    "a single image": at(x=X[:1]),
    "batches of one": at(batch_size=1),
    "numbers too small for their own square": at(x=np.full_like(X, 1e-38)),
}
REFUSED = {"a log-variance of eighty", "a log-variance of eighty, Gaussian pixels", "a log-variance of eighty-nine"}
"""In float32: there the square of such a gradient overflows, or the variance itself."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HARD)
def test_what_is_hard_trains_or_is_refused(name, dtype, engine):
    with kernels.use(engine):
        if name in REFUSED and dtype is np.float32:
            with pytest.raises(sn.DivergenceError):
                HARD[name](dtype)
            return
        vae, history = HARD[name](dtype)
        assert len(history.epochs) == 3
        assert all(np.isfinite([*record.values()]).all() for record in history.epochs)
        assert np.isfinite(vae.parameters.theta).all()
        assert np.isfinite(vae.reconstruct(X.astype(dtype))).all()
