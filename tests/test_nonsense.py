"""A clumsy student: every argument of every public function, given every kind of nonsense, works or is refused.

tests/test_refusals.py holds what is said. Here nothing is said twice: whatever comes of nonsense is a result or one
sentence of this library's, never an accident deep inside it.
"""

# Wrong arguments are the point:
# pyright: reportArgumentType=false

import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import evaluation, plots
from scratchnet.kernels import active

X = np.random.default_rng(0).random((3, 4), np.float32)
Z = X[:, :2]
IMAGES = X.reshape(3, 1, 2, 2)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def dense(n_in: int = 4, n_out: int = 2) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=rng())


def autoencoder() -> sn.Autoencoder:
    return sn.Autoencoder(dense(), dense(2, 4))


def vae() -> sn.VAE:
    return sn.VAE(dense(4, 4), dense(2, 4))


def saved_model() -> Path:
    path = Path(tempfile.gettempdir()) / "no such model of scratchnet.npz"
    return path


def watch() -> sn.callbacks.Watch:
    found = sn.callbacks.Watch(every=1)
    sn.fit(autoencoder(), X, optimizer=sn.Adam(), epochs=1, rng=rng(), progress=False, callbacks=[found])
    return found


def history() -> sn.History:
    return sn.History([{"epoch": 1, "seconds": 1.0, "loss": 2.0, "kl": 2.0}], "nats/image")


class Adds(sn.Callback):
    """Puts something into the record."""

    def __init__(self, added: Any):
        self.added = added

    def after_epoch(self, run: Any) -> None:
        run.record["added"] = self.added


class Keeps(sn.Callback):
    """Asks for something to be kept."""

    def __init__(self, state: Any):
        self.state = state

    def state_dict(self) -> Any:
        return self.state


class Halves(sn.Optimizer):
    """An optimizer of one's own."""

    def move(self, theta: Any, dtheta: Any, learning_rate: float) -> None:
        theta *= 0.5


LAYERS = (
    ("Dense", dense, X),
    ("Conv2D", lambda: sn.Conv2D(1, 2, 2, rng=rng()), IMAGES),
    ("ConvTranspose2D", lambda: sn.ConvTranspose2D(1, 2, 2, rng=rng()), IMAGES),
    ("MaxPool2D", lambda: sn.MaxPool2D(2), IMAGES),
    ("Reshape", lambda: sn.Reshape((2, 2)), X),
    ("Flatten", sn.Flatten, IMAGES),
    ("ReLU", sn.ReLU, X),
    ("Sigmoid", sn.Sigmoid, X),
    ("Tanh", sn.Tanh, X),
    ("Sequential", lambda: sn.Sequential(dense(), sn.Tanh()), X),
)
CONV = {"c_in": 1, "c_out": 2, "kernel_size": 2, "stride": 1, "padding": 0, "dtype": np.float32}
MODEL = {"encoder": dense, "decoder": lambda: dense(2, 4)}
FIT = {
    "model": autoencoder,
    "data": X,
    "optimizer": sn.Adam,
    "epochs": 1,
    "batch_size": 2,
    "rng": rng,
    "validation": X,
    "progress": False,
    "checkpoint": None,
    "checkpoint_seconds": 60.0,
    "callbacks": lambda: [sn.callbacks.ClipGradients(1.0)],
}
LABELS = np.array([0, 1, 0])
CURVES = {"a": (X[0], X[1])}


def called(make: Callable[[], Any], *names: str) -> Callable[..., Any]:
    """The result of make(), called with the arguments of these names in turn."""
    return lambda **arguments: make()(*(arguments[name] for name in names))


def stepped(make: Callable[[], Any]) -> Callable[..., Any]:
    return lambda theta, dtheta: make().step(theta, dtheta)


def way_back(make: Callable[[], Any], x: Any) -> Callable[..., Any]:
    return lambda dy: make().forward(x)[1](dy)


TABLE: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Dense": (sn.Dense, {"n_in": 4, "n_out": 2, "rng": rng, "dtype": np.float32}),
    "Conv2D": (sn.Conv2D, CONV | {"rng": rng}),
    "ConvTranspose2D": (sn.ConvTranspose2D, CONV | {"rng": rng}),
    "MaxPool2D": (sn.MaxPool2D, {"kernel_size": 2, "stride": None}),
    "Reshape": (sn.Reshape, {"shape": (2, 2)}),
    "Flatten": (sn.Flatten, {}),
    "ReLU": (sn.ReLU, {}),
    "Sigmoid": (sn.Sigmoid, {}),
    "Tanh": (sn.Tanh, {}),
    "Sequential": (lambda **layers: sn.Sequential(*layers.values()), {"layers": sn.Tanh, "another": dense}),
    "Parameters": (sn.Parameters, {"layers": dense, "another": dense}),
    **{f"{name}.forward": (called(lambda make=make: make().forward, "x"), {"x": x}) for name, make, x in LAYERS},
    **{
        f"{name}.backward": (way_back(make, x), {"dy": lambda make=make, x=x: make().forward(x)[0]})
        for name, make, x in LAYERS
    },
    "mse": (sn.mse, {"y": X, "target": X}),
    "bce": (sn.bce, {"p": X, "target": X}),
    "bce_with_logits": (sn.bce_with_logits, {"logits": X, "target": X}),
    "softmax_cross_entropy": (sn.softmax_cross_entropy, {"logits": X, "labels": LABELS}),
    "kl_standard_normal": (sn.kl_standard_normal, {"mu": Z, "logvar": Z}),
    "sample_gaussian": (sn.sample_gaussian, {"mu": Z, "logvar": Z, "eps": Z}),
    "SGD": (sn.SGD, {"learning_rate": 0.1, "momentum": 0.5}),
    "SGD.step": (stepped(lambda: sn.SGD(0.1)), {"theta": lambda: X.copy(), "dtheta": X}),
    "Adam": (
        sn.Adam,
        {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.9, "epsilon": 1e-8, "weight_decay": 0.0},
    ),
    "Adam.step": (stepped(sn.Adam), {"theta": lambda: X.copy(), "dtheta": X}),
    "Adam, a schedule": (
        lambda rate: sn.Adam(lambda step: rate).step(X.copy(), X),
        {"rate": 0.1},
    ),
    "Autoencoder": (sn.Autoencoder, MODEL | {"loss": lambda: sn.mse, "corrupt": None}),
    "Autoencoder, corrupted": (
        lambda seen: sn.Autoencoder(dense(), dense(2, 4), corrupt=lambda x, rng: seen).loss(X, rng()),
        {"seen": X},
    ),
    "VAE": (
        sn.VAE,
        MODEL | {"encoder": lambda: dense(4, 4), "likelihood": "gaussian", "sigma": 1.0, "beta": 1.0},
    ),
    "IWAE": (
        sn.IWAE,
        MODEL | {"encoder": lambda: dense(4, 4), "k": 3, "likelihood": "gaussian", "sigma": 1.0},
    ),
    "IWAE.loss": (
        lambda x, rng: sn.IWAE(dense(4, 4), dense(2, 4), k=2).loss(x, rng),
        {"x": X, "rng": rng},
    ),
    **{
        f"{name}.{method}": (called(lambda make=make, method=method: getattr(make(), method), *arguments), arguments)
        for name, make in (("Autoencoder", autoencoder), ("VAE", vae))
        for method, arguments in {
            "loss": {"x": X, "rng": rng},
            "encode": {"x": X},
            "decode": {"z": Z},
            "reconstruct": {"x": X},
            "interpolate": {"a": X[0], "b": X[1], "steps": 3},
        }.items()
    },
    "Bernoulli": (sn.Bernoulli, {}),
    "Gaussian": (sn.Gaussian, {"sigma": 0.5}),
    "Classifier": (sn.Classifier, {"network": dense}),
    "Classifier.loss": (lambda x, labels: sn.Classifier(dense()).loss((x, labels)), {"x": X, "labels": LABELS}),
    "Classifier.accuracy": (lambda x, labels: sn.Classifier(dense()).accuracy((x, labels)), {"x": X, "labels": LABELS}),
    "Classifier.predict": (called(lambda: sn.Classifier(dense()).predict, "x"), {"x": X}),
    "Classifier.probabilities": (called(lambda: sn.Classifier(dense()).probabilities, "x"), {"x": X}),
    "VAE.loss, eps": (lambda eps: vae().loss(X, eps=eps), {"eps": Z}),
    "VAE.sample": (called(lambda: vae().sample, "n", "rng"), {"n": 2, "rng": rng}),
    "fit": (sn.fit, FIT),
    "fit, a record": (lambda added: sn.fit(**arguments(FIT) | {"callbacks": [Adds(added)]}), {"added": 1.0}),
    "fit, a state": (lambda state: sn.fit(**arguments(FIT) | {"callbacks": [Keeps(state)]}), {"state": dict}),
    "fit, labels": (
        lambda labels: sn.fit(
            **arguments(FIT) | {"model": sn.Classifier(dense()), "data": (X, labels), "validation": None}
        ),
        {"labels": LABELS},
    ),
    "Optimizer": (Halves, {"learning_rate": 0.1}),
    "callbacks.EarlyStopping": (
        sn.callbacks.EarlyStopping,
        {
            "patience": 2,
            "monitor": "loss",
            "min_delta": 0.0,
            "mode": "min",
            "restore_best": True,
            "start_from_epoch": 1,
        },
    ),
    "callbacks.ClipGradients": (sn.callbacks.ClipGradients, {"max_norm": 1.0}),
    "callbacks.Anneal": (
        lambda functions: sn.callbacks.Anneal(beta=functions),
        {"functions": lambda: lambda step: 1.0},
    ),
    "callbacks.Watch": (sn.callbacks.Watch, {"every": 10}),
    "schedules.cosine": (sn.schedules.cosine, {"peak": 0.1, "steps": 10}),
    "save": (sn.save, {"path": lambda: Path(tempfile.mkdtemp()) / "model.npz", "model": autoencoder}),
    "load": (sn.load, {"path": saved_model, "model": autoencoder}),
    "check_gradients": (
        lambda f, inputs, **options: sn.check_gradients(f, inputs, **options),
        {
            "f": lambda: sn.Tanh().forward,
            "inputs": X.astype(np.float64),
            "rng": rng,
            "parameters": lambda: sn.Parameters(layer=sn.Dense(2, 2, rng=rng(), dtype=np.float64)),
            "tolerance": 1e-6,
            "coordinates": 10,
            "directions": 2,
        },
    ),
    "elbo": (sn.elbo, {"vae": vae, "x": X, "rng": rng, "per_image": True}),
    "log_likelihood": (sn.log_likelihood, {"vae": vae, "x": X, "k": 2, "rng": rng, "per_image": True}),
    "evaluation.bce_scale": (evaluation.bce_scale, {"train": X, "test": X}),
    "evaluation.kl_per_latent": (evaluation.kl_per_latent, {"mu": Z, "logvar": Z}),
    "evaluation.active_units": (evaluation.active_units, {"mu": Z, "threshold": 0.01}),
    "data.mnist": (sn.data.mnist, {"split": "neither"}),
    "data.load_idx": (sn.data.load_idx, {"directory": Path("no such place"), "split": "train"}),
    "corruption.GaussianNoise": (sn.corruption.GaussianNoise, {"sigma": 0.5}),
    "corruption.Masking": (sn.corruption.Masking, {"share": 0.5}),
    "corruption.SaltAndPepper": (sn.corruption.SaltAndPepper, {"share": 0.5}),
    "corruption.Downsample": (sn.corruption.Downsample, {"factor": 2, "shape": (2, 2)}),
    **{
        f"{type(corrupt).__name__}()": (corrupt, {"x": X, "rng": rng})
        for corrupt in (
            sn.corruption.GaussianNoise(0.5),
            sn.corruption.Masking(0.5),
            sn.corruption.SaltAndPepper(0.5),
            sn.corruption.Downsample(2, (2, 2)),
        )
    },
    "probability.entropy": (sn.probability.entropy, {"p": [0.5, 0.5]}),
    "probability.cross_entropy": (sn.probability.cross_entropy, {"p": [0.5, 0.5], "q": [0.5, 0.5]}),
    "probability.kl": (sn.probability.kl, {"p": [0.5, 0.5], "q": [0.5, 0.5]}),
    "probability.expectation": (sn.probability.expectation, {"p": [0.5, 0.5], "values": [1, 2]}),
    "probability.conditional": (sn.probability.conditional, {"p_xy": np.full((2, 2), 0.25)}),
    "probability.total_probability": (
        sn.probability.total_probability,
        {"p_x_given_y": np.full((2, 2), 0.5), "p_y": [0.5, 0.5]},
    ),
    "probability.bayes": (sn.probability.bayes, {"p_y_given_x": np.full((2, 2), 0.5), "p_x": [0.5, 0.5]}),
    "probability.binomial": (sn.probability.binomial, {"n": 2, "p": 0.5}),
    "kernels.use": (sn.kernels.use, {"engine": active}),
    "plots.panels": (
        plots.panels,
        {"title": "t", "names": ["a", "b"], "width": 6.4, "height": 4.0, "columns": 2},
    ),
    "plots.mosaic": (plots.mosaic, {"images": X, "columns": 2, "shape": (2, 2)}),
    "plots.image_grid": (plots.image_grid, {"images": X, "title": "t", "columns": 2, "names": ["a"], "shape": (2, 2)}),
    "plots.image_rows": (plots.image_rows, {"rows": {"a": X}, "title": "t", "shape": (2, 2)}),
    "plots.image_rows, a row": (lambda row: plots.image_rows({"a": row}, "t"), {"row": X}),
    "plots.history_curves": (plots.history_curves, {"history": history, "title": "t"}),
    "plots.watched": (plots.watched, {"watch": watch, "title": "t"}),
    "plots.lines": (
        plots.lines,
        {"curves": CURVES, "title": "t", "x_label": "x", "y_label": "y", "dots": ["a"], "log": False},
    ),
    "plots.save_figure": (
        plots.save_figure,
        {"path": lambda: Path(tempfile.mkdtemp()) / "f.png", "figure": lambda: plots.image_grid(X, "t")},
    ),
}

RECORDS = {"History", "Loss", "GradientReport", "Layer", "Callback"}
"""Public names that hold what they are given, or are there to be derived from."""


def public() -> Iterator[tuple[str, Any]]:
    for module in (sn, sn.callbacks, sn.data, sn.corruption, sn.probability, sn.schedules, evaluation, plots):
        prefix = "" if module is sn else f"{module.__name__.removeprefix('scratchnet.')}."
        for name, value in vars(module).items():
            own = (
                name in getattr(module, "__all__", [name]) and value.__module__.startswith("scratchnet")
                if callable(value)
                else False
            )
            if module in (evaluation, plots):
                own = own and value.__module__ == module.__name__ and getattr(sn, name, None) is not value
            is_error = inspect.isclass(value) and issubclass(value, Exception)
            if own and not name.startswith("_") and not is_error and name not in RECORDS | {"Schedule"}:
                yield f"{prefix}{name}", value


@pytest.mark.parametrize(
    ("name", "function"), list(public()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_argument_of_every_public_function_is_in_the_table(name, function):
    assert set(inspect.signature(function).parameters) <= set(TABLE[name][1])


def arguments(valid: dict[str, Any]) -> dict[str, Any]:
    """Arguments that work, those that are used up made anew."""
    made = {}
    for name, value in valid.items():
        makes = inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, sn.Layer | sn.Adam))
        made[name] = value() if makes else value
    return made


def with_one(x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x.flat[-1] = value
    return x


class AClass:
    """Takes anything."""

    def __init__(self, *arguments: Any, **options: Any):
        pass


def nonsense(valid: Any) -> dict[str, Any]:
    """What may come in place of a valid argument."""
    found: dict[str, Any] = {
        "None": None,
        "True": True,
        "-1": -1,
        "0": 0,
        "2.5": 2.5,
        "nan": np.nan,
        "inf": np.inf,
        "1j": 1j,
        "a NumPy int": np.int8(2),
        "a NumPy float": np.float32(0.5),
        "a NumPy nan": np.float64(np.nan),
        "a word": "word",
        "nothing": "",
        "bytes": b"word",
        "a list": [1.0, "a"],
        "an empty list": [],
        "a ragged list": [[1.0], [1.0, 2.0]],
        "an empty dict": {},
        "a dict": {"a": 1.0},
        "a set": {1.0},
        "an object": object(),
        "a class": AClass,
        "a function": lambda *a, **k: None,
        "a layer": sn.Tanh(),
        "a model": vae(),
        "an old generator": np.random.RandomState(0),
        "an array of one": np.ones(1, np.float32),
        "an array of none": np.float32(np.ones((0, 4))),
        "a single number": np.array(1.0, np.float32),
        "words": np.array(["a", "b"]),
        "objects": np.array([None, 1]),
        "five axes": np.ones((1, 1, 1, 1, 1), np.float32),
        "dates": np.array(["2020-01-01"], "datetime64[D]"),
        "a structured array": np.zeros(3, [("a", "f4")]),
    }
    if isinstance(valid, np.ndarray):
        read_only = valid.copy()
        read_only.flags.writeable = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            matrix = np.matrix(valid.reshape(len(valid), -1))
        found |= {
            "a NaN in it": with_one(valid, np.nan) if valid.dtype.kind == "f" else valid,
            "an infinity in it": with_one(valid, np.inf) if valid.dtype.kind == "f" else valid,
            "pixels to 255": valid * valid.dtype.type(255),
            "bytes for it": (valid * 255).astype(np.uint8),
            "booleans for it": valid > 0.5,
            "half as precise": valid.astype(np.float16),
            "twice as precise": valid.astype(np.float64),
            "complex": valid.astype(np.complex64),
            "in the other byte order": valid.astype(valid.dtype.newbyteorder()),
            "one row": valid[0],
            "one column fewer": valid[..., :-1],
            "no rows": valid[:0],
            "one axis more": valid[None],
            "in reverse": valid[::-1],
            "read-only": read_only,
            "masked": np.ma.masked_array(valid),
            "a matrix": matrix,
            "a list for it": valid.tolist(),
        }
    return found


CASES = [pytest.param(name, argument, id=f"{name}({argument})") for name in TABLE for argument in TABLE[name][1]]


def accident(call: Callable[[], object], is_path: bool) -> str:
    """What is neither a result nor a sentence of this library's; "" if it is one of them."""
    try:
        with np.errstate(all="ignore"):  # what is infinite computes as it does
            call()
    except (TypeError, ValueError, FloatingPointError) as error:
        message = str(error)
        return "" if message.endswith(".") and "\n" not in message else repr(error)
    except sn.GradientError:
        return ""
    except OSError as error:
        return "" if is_path else repr(error)
    except Exception as error:
        return repr(error)
    return ""


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_nonsense_works_or_is_refused_in_one_sentence(name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, valid = TABLE[name]
    engine, accidents = active(), {}
    for what, value in nonsense(arguments(valid)[argument]).items():
        came = accident(
            lambda value=value: function(**arguments(valid) | {argument: value}), argument in ("path", "checkpoint")
        )
        sn.kernels.use(engine)
        if came:
            accidents[what] = came
    assert accidents == {}
