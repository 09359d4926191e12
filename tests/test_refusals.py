"""What the library refuses, and what it says: one table. A message is one sentence, and names what came."""

# Wrong arguments are the point:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import copy
import functools
import gzip
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import plots
from scratchnet.evaluation import active_units, bce_scale, kl_per_latent
from tests.test_nonsense import public

# ---- what the rows call with: 3 images of 4 pixels, 2 latent dimensions, all of it float32 and in order

X = np.full((3, 4), 0.5, np.float32)
Z = np.zeros((3, 2), np.float32)
NONE = X[:0]
PIXELS = np.full((3, 4), 255, np.float32)
BYTES = np.full((3, 4), 255, np.uint8)
IMAGES = np.zeros((3, 1, 2, 2), np.float32)
THETA = np.zeros(4)


def with_one(value: float) -> np.ndarray:
    x = X.copy()
    x[1, 2] = value
    return x


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def dense(n_in: int = 4, n_out: int = 2, dtype: Any = np.float32) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=rng(), dtype=dtype)


def conv(*arguments: Any, **options: Any) -> sn.Conv2D:
    return sn.Conv2D(*(arguments or (1, 2, 2)), rng=rng(), **options)


def conv_transpose(*arguments: Any, **options: Any) -> sn.ConvTranspose2D:
    return sn.ConvTranspose2D(*(arguments or (1, 2, 2)), rng=rng(), **options)


class ReturnsTheta(sn.Optimizer):
    """An optimizer that forgets to move θ in place."""

    def move(self, theta, dtheta, learning_rate) -> Any:  # type: ignore[override]
        return theta - learning_rate * dtheta


class WithoutLearningRate(sn.SGD):
    """An optimizer that forgets the __init__ of its base."""

    def __init__(self):
        pass


class GainWithoutGradient(sn.Layer):
    """A layer that names a parameter, and has nowhere to add its gradient."""

    parameter_names = ("g",)

    def __init__(self):
        self.g = np.ones(1)

    def forward(self, x):
        return self.g * x, lambda dy: self.g * dy


def autoencoder(encoder: Any = None, decoder: Any = None, **options: Any) -> sn.Autoencoder:
    return sn.Autoencoder(encoder or dense(4, 2), decoder or dense(2, 4), **options)


def vae(encoder: Any = None, decoder: Any = None, **options: Any) -> sn.VAE:
    return sn.VAE(encoder or dense(4, 4), decoder or dense(2, 4), **options)


def fit(model: Any = None, x: Any = X, **changes: Any) -> sn.History:
    arguments = {"optimizer": sn.Adam(), "epochs": 1, "rng": rng(), "progress": False}
    return sn.fit(model or vae(), x, **(arguments | changes))


def fit_on_its_own_weights() -> None:
    model = autoencoder()
    fit(model, model.parameters.theta[:16].reshape(4, 4))


def way_back(layer: Any, x: np.ndarray, dy: Any) -> Any:
    _, backward = layer.forward(x)
    return backward(dy)


def step(optimizer: Any, theta: Any, dtheta: Any, times: int = 1) -> None:
    for _ in range(times):
        optimizer.step(theta, dtheta)


def step_twice_with_different_sizes(optimizer: Any) -> None:
    optimizer.step(np.zeros(4), np.zeros(4))
    optimizer.step(np.zeros(5), np.zeros(5))


def replaced_array() -> None:
    model = vae()
    model.encoder.W = np.zeros((4, 4), np.float32)
    model.parameters.zero_grad()


def shared_layer() -> None:
    shared = dense(4, 2)
    first = autoencoder(shared)
    autoencoder(shared)
    first.parameters.zero_grad()


def load_from(content: bytes | None, model: Any = None) -> None:
    if content is not None:
        Path("model.npz").write_bytes(content)
    sn.load("model.npz", model or autoencoder())


def saved(model: Any) -> bytes:
    sn.save("saved.npz", model)
    return Path("saved.npz").read_bytes()


def archived(**arrays: Any) -> bytes:
    np.savez("archive.npz", **arrays)
    return Path("archive.npz").read_bytes()


def array_file() -> bytes:
    np.save("array.npy", X)
    return Path("array.npy").read_bytes()


def idx(*shape: int, magic: int | None = None, body: bytes | None = None) -> bytes:
    header = struct.pack(f">{1 + len(shape)}I", magic or 0x0800 | len(shape), *shape)
    return header + (bytes(int(np.prod(shape))) if body is None else body)


def load_idx(images: bytes | None = None, labels: bytes | None = None, suffix: str = "") -> None:
    if images is not None:
        Path(f"train-images-idx3-ubyte{suffix}").write_bytes(images)
    if labels is not None:
        Path(f"train-labels-idx1-ubyte{suffix}").write_bytes(labels)
    sn.data.load_idx(".")


@functools.cache
def last_line_of_import(engine: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", "import scratchnet"],
        env=os.environ | {"SCRATCHNET_KERNELS": engine},
        cwd=Path(sn.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    return result.stderr.strip().splitlines()[-1]


def import_with(engine: str) -> None:
    error, message = last_line_of_import(engine).split(": ", 1)
    assert error == "ValueError"
    raise ValueError(message)


class ReturnsACopy(sn.Layer):
    """A decoder that does not say how wide its input is."""

    def forward(self, x):
        return x.copy(), lambda dy: dy.copy()


ARGUMENTS = [
    # ---- Dense
    pytest.param(
        lambda: dense().forward(IMAGES),
        sn.ShapeError,
        r"Dense\(4, 2\) expects x of shape \(N, 4\), got \(3, 1, 2, 2\): rows come from images through Flatten\(\)",
        id="Dense: images",
    ),
    pytest.param(
        lambda: dense().forward(np.zeros((3, 2, 2), np.float32)),
        sn.ShapeError,
        r"Dense\(4, 2\) expects x of shape \(N, 4\), got \(3, 2, 2\): rows come from images through Flatten\(\)",
        id="Dense: images without channels",
    ),
    pytest.param(
        lambda: dense(5).forward(X),
        sn.ShapeError,
        r"Dense\(5, 2\) expects x of shape \(N, 5\), got \(3, 4\)",
        id="Dense: wrong width",
    ),
    pytest.param(
        lambda: dense().forward(X[0]), sn.ShapeError, r"shape \(N, 4\), got \(4,\)", id="Dense: one row, no batch axis"
    ),
    pytest.param(
        lambda: dense().forward(X.astype(np.float64)),
        TypeError,
        r"Dense\(4, 2\) computes in float32, but x is float64",
        id="Dense: float64 into float32",
    ),
    pytest.param(
        lambda: dense().forward(X.astype(X.dtype.newbyteorder())),
        TypeError,
        r"computes in float32, but x is .f4: use x\.astype\(np\.float32\), in this machine's byte order",
        id="Dense: the other byte order",
    ),
    pytest.param(
        lambda: dense(dtype=np.float64).forward(X),
        TypeError,
        r"computes in float64, but x is float32",
        id="Dense: float32 into float64",
    ),
    pytest.param(
        lambda: dense().forward(BYTES), TypeError, r"floating-point numbers, got uint8.* by 255", id="Dense: uint8"
    ),
    pytest.param(
        lambda: dense().forward(X.tolist()),
        TypeError,
        r"x to be a NumPy array, got list",
        id="Dense: a list",
    ),
    pytest.param(
        lambda: dense().forward(np.ma.masked_array(X)),
        TypeError,
        r"expects x without a mask, which it would ignore, got a masked array",
        id="Dense: a masked array",
    ),
    pytest.param(
        lambda: way_back(dense(), X, X),
        sn.ShapeError,
        r"the backward pass of Dense\(4, 2\) expects dy in the shape of y, \(3, 2\), got \(3, 4\)",
        id="Dense: dy in the shape of x",
    ),
    pytest.param(
        lambda: way_back(dense(), X, Z[:1]), sn.ShapeError, r"\(3, 2\), got \(1, 2\)", id="Dense: dy to be broadcast"
    ),
    pytest.param(
        lambda: way_back(dense(), X, np.zeros((3, 2))),
        TypeError,
        r"dy in the dtype of y, float32, got float64",
        id="Dense: dy float64",
    ),
    pytest.param(
        lambda: way_back(dense(), X, 1.0), TypeError, r"dy to be a NumPy array, got float", id="Dense: dy a number"
    ),
    pytest.param(lambda: dense(0), ValueError, r"Dense expects n_in to be at least 1, got 0", id="Dense: n_in 0"),
    pytest.param(lambda: dense(4, -2), ValueError, r"n_out to be at least 1, got -2", id="Dense: n_out negative"),
    pytest.param(
        lambda: dense(4.0),
        TypeError,
        r"Dense expects n_in to be a whole number, got 4\.0",
        id="Dense: n_in a float",
    ),
    pytest.param(lambda: dense(4, True), TypeError, r"n_out to be a whole number, got True", id="Dense: n_out a bool"),
    pytest.param(
        lambda: sn.Dense(4, 2, rng=0),
        TypeError,
        r"Dense takes its randomness from a NumPy Generator, got 0",
        id="Dense: rng an int",
    ),
    pytest.param(
        lambda: sn.Dense(4, 2, rng=None),
        TypeError,
        r"Generator, got None: pass rng=np\.random\.default_rng\(0\)",
        id="Dense: rng None",
    ),
    pytest.param(
        lambda: dense(dtype=np.int32), TypeError, r"floating-point dtype .* got int32", id="Dense: an integer dtype"
    ),
    pytest.param(
        lambda: dense(dtype="float33"),
        TypeError,
        r"Dense expects a floating-point dtype .*float33",
        id="Dense: no dtype",
    ),
    # ---- Conv2D, ConvTranspose2D, MaxPool2D
    *[
        row
        for name, make in (("Conv2D", conv), ("ConvTranspose2D", conv_transpose))
        for row in (
            pytest.param(
                lambda make=make: make().forward(X),
                sn.ShapeError,
                rf"{name}\(1, 2, 2\) expects x of shape \(N, 1, H, W\), got \(3, 4\): images come from rows through "
                r"Reshape\(\(1, H, W\)\)",
                id=f"{name}: rows",
            ),
            pytest.param(
                lambda make=make: make(3, 2, 2).forward(IMAGES),
                sn.ShapeError,
                rf"{name}\(3, 2, 2\) expects x of shape \(N, 3, H, W\), got \(3, 1, 2, 2\)",
                id=f"{name}: wrong channels",
            ),
            pytest.param(
                lambda make=make: make().forward(IMAGES[0]),
                sn.ShapeError,
                r"shape \(N, 1, H, W\), got \(1, 2, 2\)",
                id=f"{name}: one image, no batch axis",
            ),
            pytest.param(
                lambda make=make: make().forward(IMAGES.astype(np.float64)),
                TypeError,
                rf"{name}\(1, 2, 2\) computes in float32, but x is float64",
                id=f"{name}: float64 into float32",
            ),
            pytest.param(
                lambda make=make: make().forward(IMAGES.astype(np.uint8)),
                TypeError,
                r"floating-point numbers, got uint8",
                id=f"{name}: uint8",
            ),
            pytest.param(
                lambda make=make: way_back(make(), IMAGES, IMAGES),
                sn.ShapeError,
                rf"the backward pass of {name}\(1, 2, 2\) expects dy in the shape of y, \(3, 2, ., .\), got "
                r"\(3, 1, 2, 2\)",
                id=f"{name}: dy in the shape of x",
            ),
            pytest.param(
                lambda make=make: make(0, 2, 2),
                ValueError,
                rf"{name} expects c_in to be .* 1, got 0",
                id=f"{name}: c_in 0",
            ),
            pytest.param(
                lambda make=make: make(1, 2.0, 2),
                TypeError,
                rf"{name} expects c_out to be a whole number, got 2\.0",
                id=f"{name}: c_out a float",
            ),
            pytest.param(
                lambda make=make: make(1, 2, 0),
                ValueError,
                rf"{name} expects kernel_size to be at least 1, got 0",
                id=f"{name}: kernel_size 0",
            ),
            pytest.param(
                lambda make=make: make(1, 2, (2, 2, 2)),
                ValueError,
                rf"{name} expects kernel_size to be a number or a pair, got 3 numbers",
                id=f"{name}: kernel_size of three",
            ),
            pytest.param(
                lambda make=make: make(1, 2, (2, "2")),
                TypeError,
                rf"{name} expects kernel_size\[1\] to be a whole number, got '2'",
                id=f"{name}: kernel_size with a string",
            ),
            pytest.param(
                lambda make=make: make(stride=0),
                ValueError,
                rf"{name} expects stride to be at least 1, got 0",
                id=f"{name}: stride 0",
            ),
            pytest.param(
                lambda make=make: make(padding=-1),
                ValueError,
                rf"{name} expects padding to be at least 0, got -1",
                id=f"{name}: padding negative",
            ),
            pytest.param(
                lambda make=make: make(padding="same"),
                TypeError,
                rf"{name} expects padding to be a whole number, got 'same'",
                id=f"{name}: padding a word",
            ),
            pytest.param(
                lambda name=name: getattr(sn, name)(1, 2, 2, rng=0),
                TypeError,
                rf"{name} takes its randomness from a NumPy Generator, got 0",
                id=f"{name}: rng an int",
            ),
            pytest.param(
                lambda make=make: make(dtype=np.int32),
                TypeError,
                rf"{name} expects a floating-point dtype .* got int32",
                id=f"{name}: an integer dtype",
            ),
        )
    ],
    pytest.param(
        lambda: conv(1, 2, (5, 3), padding=(1, 0)).forward(IMAGES),
        sn.ShapeError,
        r"Conv2D\(1, 2, \(5, 3\), padding=\(1, 0\)\) expects images of at least 3 × 3 pixels, got x of shape \(3, 1",
        id="Conv2D: an image smaller than the kernel",
    ),
    pytest.param(
        lambda: conv(1, 2, 2, padding=1).forward(IMAGES[:, :, :0]),
        sn.ShapeError,
        r"at least 1 × 1 pixels, got x of shape \(3, 1, 0, 2\)",
        id="Conv2D: an image without pixels",
    ),
    pytest.param(
        lambda: conv_transpose(1, 2, 2, padding=2).forward(IMAGES),
        sn.ShapeError,
        r"ConvTranspose2D\(1, 2, 2, padding=2\) expects images of at least 4 × 4 pixels, got x of shape \(3, 1, 2, 2\)",
        id="ConvTranspose2D: all is cut off",
    ),
    pytest.param(
        lambda: conv_transpose().forward(IMAGES[..., :0]),
        sn.ShapeError,
        r"images of at least 1 × 1 pixels, got x of shape \(3, 1, 2, 0\)",
        id="ConvTranspose2D: an image without pixels",
    ),
    pytest.param(
        lambda: sn.MaxPool2D(2).forward(X),
        sn.ShapeError,
        r"MaxPool2D\(2\) expects x of shape \(N, C, H, W\), got \(3, 4\)",
        id="MaxPool2D: rows",
    ),
    pytest.param(
        lambda: sn.MaxPool2D((2, 3)).forward(IMAGES),
        sn.ShapeError,
        r"MaxPool2D\(\(2, 3\)\) expects images of at least 2 × 3 pixels, got x of shape \(3, 1, 2, 2\)",
        id="MaxPool2D: an image smaller than the window",
    ),
    pytest.param(
        lambda: sn.MaxPool2D(2).forward(IMAGES.astype(np.uint8)),
        TypeError,
        r"MaxPool2D\(2\) expects x to hold floating-point numbers, got uint8",
        id="MaxPool2D: uint8",
    ),
    pytest.param(
        lambda: way_back(sn.MaxPool2D(2), IMAGES, IMAGES),
        sn.ShapeError,
        r"MaxPool2D\(2\) expects dy in the shape of y, \(3, 1, 1, 1\), got \(3, 1, 2, 2\)",
        id="MaxPool2D: dy in the shape of x",
    ),
    pytest.param(
        lambda: sn.MaxPool2D(0), ValueError, r"MaxPool2D expects kernel_size to be .* 1, got 0", id="MaxPool2D: size 0"
    ),
    pytest.param(
        lambda: sn.MaxPool2D(2, stride=(1, 0)),
        ValueError,
        r"MaxPool2D expects stride\[1\] to be at least 1, got 0",
        id="MaxPool2D: stride 0",
    ),
    # ---- activations
    *[
        row
        for layer in (sn.ReLU(), sn.Sigmoid(), sn.Tanh())
        for row in (
            pytest.param(
                lambda layer=layer: layer.forward(BYTES),
                TypeError,
                rf"{type(layer).__name__}\(\) expects x to hold floating-point numbers, got uint8",
                id=f"{layer!r}: uint8",
            ),
            pytest.param(
                lambda layer=layer: layer.forward(X.tolist()),
                TypeError,
                rf"{type(layer).__name__}\(\) expects x to be a NumPy array, got list",
                id=f"{layer!r}: a list",
            ),
            pytest.param(
                lambda layer=layer: way_back(layer, X, Z),
                sn.ShapeError,
                rf"pass of {type(layer).__name__}\(\) expects dy in the shape of y, \(3, 4\), got \(3, 2\)",
                id=f"{layer!r}: dy in another shape",
            ),
        )
    ],
    # ---- shape
    pytest.param(
        lambda: sn.Reshape((1, 2, 3)).forward(X),
        sn.ShapeError,
        r"Reshape\(\(1, 2, 3\)\) expects 6 numbers per example, got 4 in x of shape \(3, 4\)",
        id="Reshape: rows that do not fit",
    ),
    pytest.param(
        lambda: sn.Reshape(5).forward(IMAGES),
        sn.ShapeError,
        r"expects 5 .* got 4 in x",
        id="Reshape: images that do not fit",
    ),
    pytest.param(lambda: sn.Reshape(4).forward(BYTES), TypeError, r"got uint8", id="Reshape: uint8"),
    pytest.param(
        lambda: way_back(sn.Reshape((2, 2)), X, X),
        sn.ShapeError,
        r"Reshape\(\(2, 2\)\) expects dy in the shape of y, \(3, 2, 2\), got \(3, 4\)",
        id="Reshape: dy in the shape of x",
    ),
    pytest.param(
        lambda: sn.Reshape((2, -1)),
        ValueError,
        r"Reshape expects shape\[1\] to be at least 1, got -1",
        id="Reshape: -1 as a length",
    ),
    pytest.param(
        lambda: sn.Reshape(2.5),
        TypeError,
        r"Reshape expects .*2\.5",
        id="Reshape: a float",
    ),
    pytest.param(lambda: sn.Reshape(True), TypeError, r"whole number, got True", id="Reshape: a bool"),
    pytest.param(
        lambda: sn.Flatten().forward(np.array(1.0)),
        sn.ShapeError,
        r"Flatten\(\) expects x of shape \(N, …\), got a single number",
        id="Flatten: a single number",
    ),
    pytest.param(
        lambda: way_back(sn.Flatten(), IMAGES, IMAGES),
        sn.ShapeError,
        r"Flatten\(\) expects dy in the shape of y, \(3, 4\), got \(3, 1, 2, 2\)",
        id="Flatten: dy in the shape of x",
    ),
    # ---- Sequential and Parameters
    pytest.param(lambda: sn.Sequential(), ValueError, r"at least one layer, got none", id="Sequential: empty"),
    pytest.param(
        lambda: sn.Sequential([dense(), sn.ReLU()]),
        TypeError,
        r"Sequential expects argument 0 to be a layer, got list: put a \* before",
        id="Sequential: a list",
    ),
    pytest.param(
        lambda: sn.Sequential(dense(), np.tanh),
        TypeError,
        r"Sequential expects argument 1 to be a layer, got ufunc",
        id="Sequential: a function",
    ),
    pytest.param(
        lambda: sn.Sequential(dense(), sn.ReLU),
        TypeError,
        r"Sequential expects argument 1 to be a layer, got the class ReLU",
        id="Sequential: a class without ()",
    ),
    pytest.param(
        lambda: sn.Parameters(net=sn.Sequential(sn.ReLU(), sn.Tanh())),
        ValueError,
        r"Parameters expects layers with parameters, got none in net",
        id="Parameters: nothing to train",
    ),
    pytest.param(
        lambda: sn.Parameters(),
        ValueError,
        r"Parameters expects layers with parameters, got no",
        id="Parameters: empty",
    ),
    pytest.param(
        lambda: sn.Parameters(net=X),
        TypeError,
        r"Parameters expects net to be a layer, got ndarray",
        id="Parameters: an array for a layer",
    ),
    pytest.param(
        lambda: sn.Parameters(encoder=dense(), decoder=dense(2, 4, np.float64)),
        TypeError,
        r"one dtype for all layers, got float32 in encoder\.W, float64 in decoder\.W",
        id="Parameters: mixed dtypes",
    ),
    pytest.param(
        lambda: sn.Parameters(
            encoder=sn.Sequential(*[dense(4, 4) for _ in range(8)]),
            decoder=sn.Sequential(*[dense(4, 4, np.float64) for _ in range(8)]),
        ),
        TypeError,
        r"one dtype for all layers, got float32 in encoder\.0\.W, float64 in decoder\.0\.W",
        id="Parameters: mixed dtypes in a deep model",
    ),
    # ---- losses
    *[
        row
        for loss, y in ((sn.mse, "y"), (sn.bce, "p"), (sn.bce_with_logits, "logits"))
        for row in (
            pytest.param(
                lambda loss=loss: loss(X, X[:, :3]),
                sn.ShapeError,
                rf"{loss.__name__} expects .*target in the shape of {y}, \(3, 4\), got \(3, 3\)",
                id=f"{loss.__name__}: shapes that differ",
            ),
            pytest.param(
                lambda loss=loss: loss(X, X[:1]),
                sn.ShapeError,
                r"\(3, 4\), got \(1, 4\)",
                id=f"{loss.__name__}: a target to be broadcast",
            ),
            pytest.param(
                lambda loss=loss: loss(X, X.astype(np.float64)),
                TypeError,
                rf"{loss.__name__} expects .*target in the dtype of {y}, float32, got float64",
                id=f"{loss.__name__}: dtypes that differ",
            ),
            pytest.param(
                lambda loss=loss: loss(X, BYTES),
                TypeError,
                r"target to hold floating-point numbers, got uint8: .* by 255",
                id=f"{loss.__name__}: a uint8 target",
            ),
            pytest.param(
                lambda loss=loss: loss(X, X.tolist()),
                TypeError,
                rf"{loss.__name__} expects .*target to be a NumPy array, got list: .*np\.asarray\(target, ",
                id=f"{loss.__name__}: a list for a target",
            ),
            pytest.param(
                lambda loss=loss: loss(X.tolist(), X),
                TypeError,
                rf"{loss.__name__} expects {y} to be a NumPy array, got list",
                id=f"{loss.__name__}: a list for {y}",
            ),
            pytest.param(
                lambda loss=loss: loss(NONE, NONE),
                sn.ShapeError,
                rf"{loss.__name__} expects at least one example, got an empty batch of shape \(0, 4\)",
                id=f"{loss.__name__}: an empty batch",
            ),
            pytest.param(
                lambda loss=loss: loss(np.array(0.5), np.array(0.5)),
                sn.ShapeError,
                rf"{loss.__name__} expects at least one example, got a single number",
                id=f"{loss.__name__}: a single number",
            ),
        )
    ],
    *[
        row
        for loss in (sn.bce, sn.bce_with_logits)
        for row in (
            pytest.param(
                lambda loss=loss: loss(X, PIXELS),
                sn.DataError,
                rf"{loss.__name__} expects .*target in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
                id=f"{loss.__name__}: pixels to 255",
            ),
            pytest.param(
                lambda loss=loss: loss(X, with_one(-0.01)),
                sn.DataError,
                r"target in \[0, 1\], got .*-0\.01",
                id=f"{loss.__name__}: a target below 0",
            ),
            pytest.param(
                lambda loss=loss: loss(X, with_one(np.nextafter(np.float32(1), np.float32(2)))),
                sn.DataError,
                r"target in \[0, 1\], got .*1\.0000001",
                id=f"{loss.__name__}: a target just above 1",
            ),
            pytest.param(
                lambda loss=loss: loss(X, with_one(np.nan)),
                sn.DataError,
                r"target in \[0, 1\], got nan at \[1, 2\](?!.*255)",
                id=f"{loss.__name__}: a NaN target",
            ),
            pytest.param(
                lambda loss=loss: loss(X, with_one(np.inf)),
                sn.DataError,
                r"target in \[0, 1\], got inf at \[1, 2\]",
                id=f"{loss.__name__}: an infinite target",
            ),
        )
    ],
    pytest.param(
        lambda: sn.bce(with_one(0), X),
        sn.DataError,
        r"bce expects p strictly between 0 and 1, got .* from 0.*bce_with_logits",
        id="bce: p of 0",
    ),
    pytest.param(
        lambda: sn.bce(with_one(1), X),
        sn.DataError,
        r"bce expects p strictly between 0 and 1, got .* to 1.*: .*bce_with_logits",
        id="bce: p of 1",
    ),
    pytest.param(
        lambda: sn.bce(with_one(np.nan), X), sn.DataError, r"strictly between 0 and 1, got .*nan", id="bce: a NaN p"
    ),
    # ---- Gaussians
    pytest.param(
        lambda: sn.kl_standard_normal(Z, X),
        sn.ShapeError,
        r"kl_standard_normal expects logvar in the shape of mu, \(3, 2\), got \(3, 4\)",
        id="kl_standard_normal: shapes that differ",
    ),
    pytest.param(
        lambda: sn.kl_standard_normal(Z, Z.astype(np.float64)),
        TypeError,
        r"logvar in the dtype of mu, float32, got float64",
        id="kl_standard_normal: dtypes that differ",
    ),
    pytest.param(
        lambda: sn.kl_standard_normal(Z.astype(int), Z),
        TypeError,
        r"kl_standard_normal expects mu to hold floating-point numbers, got int64",
        id="kl_standard_normal: integers",
    ),
    pytest.param(
        lambda: sn.kl_standard_normal(Z[:0], Z[:0]),
        sn.ShapeError,
        r"kl_standard_normal expects at least one example",
        id="kl_standard_normal: an empty batch",
    ),
    pytest.param(
        lambda: sn.sample_gaussian(Z, Z, X),
        sn.ShapeError,
        r"sample_gaussian expects eps in the shape of mu, \(3, 2\), got \(3, 4\)",
        id="sample_gaussian: eps in another shape",
    ),
    pytest.param(
        lambda: sn.sample_gaussian(Z, Z[:1], Z),
        sn.ShapeError,
        r"sample_gaussian expects logvar in the shape of mu, \(3, 2\), got \(1, 2\)",
        id="sample_gaussian: logvar to be broadcast",
    ),
    pytest.param(
        lambda: sn.sample_gaussian(Z, Z, rng().standard_normal((3, 2))),
        TypeError,
        r"eps in the dtype of mu, float32, got float64",
        id="sample_gaussian: eps float64",
    ),
    pytest.param(
        lambda: sn.sample_gaussian(Z, Z, Z)[1](X),
        sn.ShapeError,
        r"the backward pass of sample_gaussian expects dz in the shape of z, \(3, 2\), got \(3, 4\)",
        id="sample_gaussian: dz in another shape",
    ),
    # ---- optimizers
    *[
        row
        for make in (sn.SGD, sn.Adam)
        for row in (
            pytest.param(
                lambda make=make: make(-0.1),
                ValueError,
                rf"{make.__name__} expects learning_rate in \[0, inf\), got -0\.1",
                id=f"{make.__name__}: a negative learning rate",
            ),
            pytest.param(
                lambda make=make: make(np.nan),
                ValueError,
                r"learning_rate in \[0, inf\), got nan",
                id=f"{make.__name__}: a NaN learning rate",
            ),
            pytest.param(
                lambda make=make: make(np.inf),
                ValueError,
                r"learning_rate in \[0, inf\), got inf",
                id=f"{make.__name__}: an infinite learning rate",
            ),
            pytest.param(
                lambda make=make: make("fast"),
                TypeError,
                r"learning_rate to be a number.*, got 'fast'",
                id=f"{make.__name__}: a word for a learning rate",
            ),
            pytest.param(
                lambda make=make: make(True), TypeError, r"learning_rate .*got True", id=f"{make.__name__}: a bool"
            ),
            pytest.param(
                lambda make=make: step(make(lambda t: 1 - t), np.zeros(4), np.ones(4), times=3),
                ValueError,
                rf"{make.__name__} at step 2 expects the learning rate in \[0, inf\), got -1",
                id=f"{make.__name__}: a schedule that falls below 0",
            ),
            pytest.param(
                lambda make=make: step(make(lambda t: None), np.zeros(4), np.ones(4)),
                TypeError,
                r"the learning rate to be a number, got None",
                id=f"{make.__name__}: a schedule that returns nothing",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), np.zeros(4), np.zeros(5)),
                sn.ShapeError,
                rf"{make.__name__} expects dtheta in the shape of theta, \(4,\), got \(5,\)",
                id=f"{make.__name__}: dtheta in another shape",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), [0.0], [0.0]),
                TypeError,
                r"theta to be a NumPy array, got list",
                id=f"{make.__name__}: a list",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), THETA, THETA),
                ValueError,
                rf"{make.__name__} expects theta and dtheta to share no memory, got arrays that overlap",
                id=f"{make.__name__}: theta for dtheta",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), THETA[:3], THETA[1:]),
                ValueError,
                rf"{make.__name__} expects theta and dtheta to share no memory",
                id=f"{make.__name__}: a theta that overlaps dtheta",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), np.broadcast_to(0.0, 4), np.ones(4)),
                ValueError,
                rf"{make.__name__} expects theta to be writeable, got a read-only array",
                id=f"{make.__name__}: a read-only theta",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), np.array(1.0), np.array(1.0)),
                sn.ShapeError,
                rf"{make.__name__} expects theta of shape \(P,\), got a single number",
                id=f"{make.__name__}: a single number",
            ),
            pytest.param(
                lambda make=make: step(make(0.1), np.zeros(2, complex), np.zeros(2, complex)),
                TypeError,
                rf"{make.__name__} expects theta to hold real numbers, got complex128",
                id=f"{make.__name__}: complex numbers",
            ),
            pytest.param(
                lambda make=make: step_twice_with_different_sizes(make(0.1)),
                sn.ShapeError,
                rf"{make.__name__} expects theta of shape \(4,\) .*got \(5,\)",
                id=f"{make.__name__}: another model's theta",
            ),
        )
    ],
    pytest.param(
        lambda: sn.SGD(0.1, momentum=1), ValueError, r"SGD expects momentum in \[0, 1\), got 1", id="SGD: momentum 1"
    ),
    pytest.param(
        lambda: sn.SGD(0.1, momentum=-0.5), ValueError, r"momentum in \[0, 1\), got -0\.5", id="SGD: negative momentum"
    ),
    pytest.param(lambda: sn.Adam(beta1=-1), ValueError, r"Adam expects beta1 in \[0, 1\), got -1", id="Adam: beta1 -1"),
    pytest.param(lambda: sn.Adam(beta2=1), ValueError, r"beta2 in \[0, 1\), got 1", id="Adam: beta2 1"),
    pytest.param(lambda: sn.Adam(epsilon=0), ValueError, r"epsilon in \(0, inf\), got 0", id="Adam: epsilon 0"),
    pytest.param(
        lambda: sn.Adam(weight_decay=-1), ValueError, r"weight_decay in \[0, inf\), got -1", id="Adam: weight_decay -1"
    ),
    # ---- models
    pytest.param(
        lambda: sn.Autoencoder(np.tanh, dense()),
        TypeError,
        r"Autoencoder expects the encoder to be a layer, got ufunc",
        id="Autoencoder: a function for an encoder",
    ),
    pytest.param(
        lambda: vae(decoder=[dense(2, 4)]),
        TypeError,
        r"VAE expects the decoder to be a layer, got list",
        id="VAE: a list for a decoder",
    ),
    pytest.param(
        lambda: autoencoder(sn.Flatten(), sn.Sigmoid()),
        ValueError,
        r"layers with parameters, got none in encoder, decoder",
        id="Autoencoder: nothing to train",
    ),
    pytest.param(
        lambda: vae(decoder=dense(2, 4, np.float64)),
        TypeError,
        r"one dtype for all layers",
        id="VAE: layers of two dtypes",
    ),
    pytest.param(
        lambda: autoencoder(loss="mse"),
        TypeError,
        r"Autoencoder expects loss to be a function such as sn\.mse, got 'mse'",
        id="Autoencoder: a word for a loss",
    ),
    pytest.param(
        lambda: autoencoder(corrupt=0.5),
        TypeError,
        r"Autoencoder expects corrupt to be a function, got 0\.5",
        id="Autoencoder: a number for corrupt",
    ),
    *[
        pytest.param(
            lambda returned=returned: autoencoder(loss=lambda y, x: returned).loss(X),
            TypeError,
            rf"Autoencoder expects loss to return its value and its derivative, \(value, dy\), got {came}",
            id=f"Autoencoder: a loss that returns {came}",
        )
        for returned, came in ((1.0, "1.0"), (None, "None"), (X, "ndarray"), ((1.0, X, X), "a tuple of 3"))
    ],
    pytest.param(
        lambda: autoencoder(corrupt=lambda x, rng: x).loss(X),
        TypeError,
        r"Autoencoder.* corrupts x.*randomness from a NumPy Generator, got None",
        id="Autoencoder: corrupt without rng",
    ),
    pytest.param(
        lambda: autoencoder(corrupt=lambda x, rng: x[:, :2]).loss(X, rng()),
        sn.ShapeError,
        r"Autoencoder expects what corrupt returns in the shape of x, \(3, 4\), got \(3, 2\)",
        id="Autoencoder: corrupt that changes the shape",
    ),
    pytest.param(
        lambda: autoencoder(corrupt=lambda x, rng: x + rng.standard_normal(x.shape)).loss(X, rng()),
        TypeError,
        r"Autoencoder expects what corrupt returns in the dtype of x, float32, got float64(?!.*corrupt returns\.)",
        id="Autoencoder: corrupt that changes the dtype",
    ),
    pytest.param(
        lambda: autoencoder(corrupt=lambda x, rng: None).loss(X, rng()),
        TypeError,
        r"Autoencoder expects what corrupt returns to be a NumPy array, got NoneType(?!.*np\.asarray\(what)",
        id="Autoencoder: corrupt that returns nothing",
    ),
    *[
        row
        for make in (autoencoder, vae)
        for name in [type(make()).__name__]
        for row in (
            pytest.param(
                lambda make=make: make().loss(IMAGES, rng()),
                sn.ShapeError,
                rf"{name} expects x of shape \(N, 4\), got \(3, 1, 2, 2\): rows come from images through Flatten\(\)",
                id=f"{name}: images",
            ),
            pytest.param(
                lambda make=make: make().loss(X[:, :3], rng()),
                sn.ShapeError,
                rf"{name} expects x of shape \(N, 4\), got \(3, 3\)",
                id=f"{name}: wrong width",
            ),
            pytest.param(
                lambda make=make: make().loss(BYTES, rng()),
                TypeError,
                rf"{name} expects x to hold floating-point numbers, got uint8.* by 255",
                id=f"{name}: uint8",
            ),
            pytest.param(
                lambda make=make: make().loss(X.astype(np.float64), rng()),
                TypeError,
                rf"{name} computes in float32, but x is float64",
                id=f"{name}: float64 into float32",
            ),
            pytest.param(
                lambda make=make: make().loss(NONE, rng()),
                sn.ShapeError,
                rf"{name} expects at least one example, got an empty batch of shape \(0, 4\)",
                id=f"{name}: an empty batch",
            ),
            pytest.param(
                lambda make=make: make(decoder=dense(2, 5)).loss(X, rng()),
                sn.ShapeError,
                rf"{name} expects the decoder's output of shape \(3, 4\), got \(3, 5\), unlike x",
                id=f"{name}: a decoder's output that does not fit x",
            ),
            pytest.param(
                lambda make=make: make().encode(X[:, :3]),
                sn.ShapeError,
                rf"{name} expects x of shape \(N, 4\), got \(3, 3\)",
                id=f"{name}.encode: wrong width",
            ),
            pytest.param(
                lambda make=make: make().encode(with_one(np.nan)),
                sn.DataError,
                rf"{name}\.encode expects x .*, got nan at \[1, 2\]",
                id=f"{name}.encode: a NaN",
            ),
            pytest.param(
                lambda make=make: make().decode(np.full((1, 2), np.inf, np.float32)),
                sn.DataError,
                rf"{name}\.decode expects z to be finite, got inf at \[0, 0\]",
                id=f"{name}.decode: an infinity",
            ),
            pytest.param(
                lambda make=make: make().reconstruct(NONE),
                sn.ShapeError,
                rf"{name} expects at least one example, got an empty batch",
                id=f"{name}.reconstruct: an empty batch",
            ),
            pytest.param(
                lambda make=make: make().decode(X),
                sn.ShapeError,
                rf"{name}\.decode expects z of shape \(N, 2\), got \(3, 4\)",
                id=f"{name}.decode: wrong width",
            ),
            pytest.param(
                lambda make=make: make().decode(rng().standard_normal((3, 2))),
                TypeError,
                rf"{name}\.decode computes in float32, but z is float64",
                id=f"{name}.decode: float64 into float32",
            ),
            pytest.param(
                lambda make=make: make().interpolate(X[0], X[1], 0),
                ValueError,
                rf"{name}\.interpolate expects steps to be at least 1, got 0",
                id=f"{name}.interpolate: no steps",
            ),
            pytest.param(
                lambda make=make: make().interpolate(X, X[1], 5),
                sn.ShapeError,
                rf"{name}\.interpolate expects a to be one image, got 3",
                id=f"{name}.interpolate: many images for a",
            ),
            pytest.param(
                lambda make=make: make().interpolate(X[0], X[1, :3], 5),
                sn.ShapeError,
                rf"{name}\.interpolate expects b of shape \(N, 4\), got \(1, 3\)",
                id=f"{name}.interpolate: wrong width of b",
            ),
        )
    ],
    pytest.param(
        lambda: autoencoder(loss=sn.bce_with_logits).loss(PIXELS),
        sn.DataError,
        r"\[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="Autoencoder: pixels to 255 for bce_with_logits",
    ),
    pytest.param(
        lambda: autoencoder(decoder=sn.Sequential(dense(2, 4), sn.Sigmoid()), loss=sn.bce).loss(PIXELS),
        sn.DataError,
        r"\[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="Autoencoder: pixels to 255 for bce",
    ),
    pytest.param(
        lambda: vae().loss(PIXELS, rng()),
        sn.DataError,
        r"\[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="VAE: pixels to 255",
    ),
    pytest.param(
        lambda: vae().encode(PIXELS),
        sn.DataError,
        r"VAE\.encode expects x in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="VAE.encode: pixels to 255",
    ),
    pytest.param(
        lambda: autoencoder(loss=sn.bce_with_logits).reconstruct(PIXELS),
        sn.DataError,
        r"Autoencoder\.encode expects x in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="Autoencoder.reconstruct: pixels to 255",
    ),
    pytest.param(
        lambda: vae(likelihood="poisson"),
        ValueError,
        r"VAE expects likelihood to be 'bernoulli' or 'gaussian', got 'poisson'",
        id="VAE: an unknown likelihood",
    ),
    pytest.param(
        lambda: vae(likelihood=None), ValueError, r"'bernoulli' or 'gaussian', got None", id="VAE: no likelihood"
    ),
    pytest.param(
        lambda: sn.IWAE(dense(4, 4), dense(2, 4), k=0),
        ValueError,
        r"IWAE expects k to be at least 1, got 0",
        id="IWAE: k 0",
    ),
    pytest.param(
        lambda: sn.IWAE(dense(4, 4), dense(2, 3), k=2).loss(X, rng()),
        sn.ShapeError,
        r"IWAE expects the decoder's output of shape \(6, 4\), got \(6, 3\), unlike x",
        id="IWAE: a decoder of other images",
    ),
    pytest.param(lambda: vae(beta=-1), ValueError, r"VAE expects beta in \[0, inf\), got -1", id="VAE: beta -1"),
    pytest.param(lambda: vae(beta=np.nan), ValueError, r"beta in \[0, inf\), got nan", id="VAE: beta NaN"),
    pytest.param(lambda: vae(beta="1"), TypeError, r"beta to be a number, got '1'", id="VAE: beta a word"),
    pytest.param(
        lambda: vae(likelihood="gaussian", sigma=0),
        ValueError,
        r"VAE expects sigma in \(0, inf\), got 0",
        id="VAE: sigma 0",
    ),
    pytest.param(
        lambda: vae(likelihood="gaussian", sigma=-1), ValueError, r"sigma in \(0, inf\), got -1", id="VAE: sigma -1"
    ),
    pytest.param(
        lambda: vae(likelihood="gaussian", sigma=None), TypeError, r"sigma to be a number, got None", id="VAE: no sigma"
    ),
    pytest.param(
        lambda: vae(dense(4, 2)).loss(X, rng()),
        sn.ShapeError,
        r"VAE expects the encoder's output of shape \(3, 4\), got \(3, 2\): \[mu \| logvar\] is twice as wide as z",
        id="VAE: an encoder as wide as the code",
    ),
    pytest.param(
        lambda: vae(dense(4, 5)).encode(X),
        sn.ShapeError,
        r"VAE expects the encoder's output of shape \(3, 4\), got \(3, 5\): \[mu \| logvar\]",
        id="VAE: an odd encoder",
    ),
    pytest.param(
        lambda: vae(dense(4, 5), ReturnsACopy()).encode(X),
        sn.ShapeError,
        r"VAE expects the encoder's output of shape \(3, 4\), got \(3, 5\): \[mu \| logvar\] is twice as wide",
        id="VAE: an odd encoder before a decoder of no fixed width",
    ),
    pytest.param(
        lambda: vae(sn.Sequential(dense(4, 4), sn.Reshape((2, 2)))).loss(X, rng()),
        sn.ShapeError,
        r"VAE expects the encoder's output of shape \(3, 4\), got \(3, 2, 2\): \[mu \| logvar\]",
        id="VAE: an encoder that returns images",
    ),
    pytest.param(
        lambda: vae().loss(X),
        TypeError,
        r"VAE\.loss without eps takes its randomness from a NumPy Generator, got None",
        id="VAE.loss: neither rng nor eps",
    ),
    pytest.param(lambda: vae().loss(X, 0), TypeError, r"Generator, got 0", id="VAE.loss: rng an int"),
    pytest.param(
        lambda: vae().loss(X, eps=X),
        sn.ShapeError,
        r"sample_gaussian expects eps in the shape of mu, \(3, 2\), got \(3, 4\)",
        id="VAE.loss: eps in another shape",
    ),
    pytest.param(
        lambda: vae().loss(X, eps=np.zeros((3, 2))),
        TypeError,
        r"sample_gaussian expects eps in the dtype of mu, float32, got float64",
        id="VAE.loss: eps float64",
    ),
    pytest.param(
        lambda: vae().sample(0, rng()), ValueError, r"VAE\.sample expects n to be at least 1, got 0", id="VAE.sample: 0"
    ),
    pytest.param(
        lambda: vae().sample(2.0, rng()),
        TypeError,
        r"VAE\.sample expects n to be a whole number, got 2\.0",
        id="VAE.sample: a float",
    ),
    pytest.param(
        lambda: vae().sample(2, None),
        TypeError,
        r"VAE\.sample takes its randomness from a NumPy Generator, got None",
        id="VAE.sample: rng None",
    ),
    # ---- fit
    pytest.param(
        lambda: fit(optimizer="adam"),
        TypeError,
        r"fit expects optimizer to be SGD\(…\) or Adam\(…\), got 'adam'",
        id="fit: a word for an optimizer",
    ),
    pytest.param(
        lambda: fit(optimizer=sn.Adam),
        TypeError,
        r"SGD\(…\) or Adam\(…\), got .*Adam",
        id="fit: a class for an optimizer",
    ),
    pytest.param(lambda: fit(epochs=0), ValueError, r"fit expects epochs to be at least 1, got 0", id="fit: epochs 0"),
    pytest.param(
        lambda: fit(checkpoint="run.npz", checkpoint_seconds=-1.0),
        ValueError,
        r"fit expects checkpoint_seconds in \[0, inf\), got -1\.0",
        id="fit: a save every minus one second",
    ),
    pytest.param(
        lambda: fit(checkpoint=5), TypeError, r"fit expects checkpoint to be a path, got 5", id="fit: no path"
    ),
    pytest.param(
        lambda: fit(callbacks=5), TypeError, r"fit expects callbacks to be a list, .* got 5", id="fit: a number"
    ),
    pytest.param(
        lambda: fit(optimizer=WithoutLearningRate()),
        TypeError,
        r"fit expects WithoutLearningRate to have a learning_rate, got none: begin its __init__ with super",
        id="fit: an optimizer without a learning rate",
    ),
    pytest.param(
        lambda: step(ReturnsTheta("fast"), THETA.copy(), THETA.copy()),
        TypeError,
        r"ReturnsTheta expects learning_rate to be a number, got 'fast'",
        id="Optimizer: a word for the learning rate of one's own",
    ),
    pytest.param(
        lambda: fit(callbacks=sn.callbacks.ClipGradients(1.0)),
        TypeError,
        r"fit expects callbacks to be a list, such as \[EarlyStopping\(5\)\], got ClipGradients",
        id="fit: a callback alone",
    ),
    pytest.param(
        lambda: fit(callbacks=[sn.callbacks.EarlyStopping]),
        TypeError,
        r"fit expects callbacks\[0\] to be a Callback, got the class EarlyStopping: write EarlyStopping\(…\)",
        id="fit: a callback's class",
    ),
    pytest.param(
        lambda: fit(callbacks=[sn.callbacks.ClipGradients(1.0)] * 2),
        ValueError,
        r"fit expects each callback once, got callbacks\[1\] a second time: make another one\.",
        id="fit: a callback twice",
    ),
    pytest.param(
        lambda: fit(callbacks=[print]), TypeError, r"fit expects callbacks\[0\] to be a Callback, got", id="fit: print"
    ),
    pytest.param(
        lambda: fit(callbacks=[sn.callbacks.EarlyStopping(1, "val_los")]),
        ValueError,
        r"EarlyStopping expects monitor to be one of loss, reconstruction, kl, got 'val_los': give fit a validation",
        id="EarlyStopping: an unknown monitor",
    ),
    pytest.param(
        lambda: fit(validation=X, callbacks=[sn.callbacks.EarlyStopping(1, "val_los")]),
        ValueError,
        r"one of loss, reconstruction, kl, val_loss, val_reconstruction, val_kl, got 'val_los'",
        id="EarlyStopping: an unknown monitor with validation",
    ),
    pytest.param(
        lambda: sn.callbacks.Watch(0),
        ValueError,
        r"Watch expects every to be at least 1, got 0",
        id="Watch: every 0 steps",
    ),
    pytest.param(
        lambda: plots.watched(sn.callbacks.Watch(), "t"),
        TypeError,
        r"plots\.watched expects a Watch of at least one recorded step, got one without a record",
        id="watched: no record",
    ),
    pytest.param(
        lambda: sn.callbacks.EarlyStopping(0),
        ValueError,
        r"EarlyStopping expects patience to be at least 1, got 0",
        id="EarlyStopping: no patience",
    ),
    pytest.param(
        lambda: sn.callbacks.EarlyStopping(1, min_delta=-0.5),
        ValueError,
        r"EarlyStopping expects min_delta in \[0, inf\), got -0\.5",
        id="EarlyStopping: a min_delta below zero",
    ),
    pytest.param(
        lambda: sn.callbacks.EarlyStopping(1, start_from_epoch=-1),
        ValueError,
        r"EarlyStopping expects start_from_epoch to be at least 0, got -1",
        id="EarlyStopping: an epoch below zero",
    ),
    pytest.param(
        lambda: sn.callbacks.EarlyStopping(1, mode="lower"),
        ValueError,
        r"EarlyStopping expects mode to be 'min' or 'max', got 'lower'",
        id="EarlyStopping: an unknown mode",
    ),
    pytest.param(
        lambda: sn.callbacks.EarlyStopping(1, "val_accuracy"),
        ValueError,
        r"EarlyStopping expects a mode for val_accuracy, got None: pass mode='max' if more is better",
        id="EarlyStopping: an accuracy without a mode",
    ),
    pytest.param(
        lambda: sn.callbacks.EarlyStopping(1, 2),  # type: ignore[arg-type]
        TypeError,
        r"EarlyStopping expects monitor to be a string, got 2",
        id="EarlyStopping: a number to monitor",
    ),
    pytest.param(
        lambda: fit(callbacks=[sn.callbacks.EarlyStopping(1, "los")]),
        ValueError,
        r"EarlyStopping expects monitor to be one of loss, reconstruction, kl, got 'los'\.$",
        id="EarlyStopping: an unknown monitor that no validation would give",
    ),
    pytest.param(
        lambda: sn.callbacks.ClipGradients(0.0),
        ValueError,
        r"ClipGradients expects max_norm in \(0, inf\), got 0\.0",
        id="ClipGradients: to nothing",
    ),
    pytest.param(
        lambda: fit(autoencoder(), callbacks=[sn.callbacks.Anneal(beta=lambda step: 1.0)]),
        ValueError,
        r"Anneal expects the model to have a number beta, got Autoencoder, which has none",
        id="Anneal: what the model lacks",
    ),
    pytest.param(
        lambda: sn.callbacks.Anneal(),
        TypeError,
        r"Anneal expects a function of the step, such as beta=lambda step: …, got none",
        id="Anneal: nothing",
    ),
    pytest.param(
        lambda: sn.callbacks.Anneal(beta=0.5),
        TypeError,
        r"Anneal expects beta to be a function of the step, got 0\.5",
        id="Anneal: a number",
    ),
    pytest.param(
        lambda: fit(callbacks=[sn.callbacks.Anneal(beta=lambda step: -1.0)]),
        ValueError,
        r"Anneal at step 0 expects beta in \[0, inf\), got -1\.0",
        id="Anneal: a beta below zero",
    ),
    pytest.param(
        lambda: sn.schedules.cosine(0.1, 0),
        ValueError,
        r"cosine expects steps to be at least 1, got 0",
        id="cosine: no steps",
    ),
    pytest.param(
        lambda: sn.SGD(-(10**400)),
        ValueError,
        r"SGD expects learning_rate in \[0, inf\), got a number near -10\*\*400",
        id="SGD: a number that no float holds",
    ),
    pytest.param(
        lambda: sn.schedules.cosine(0.1, 2**63),
        ValueError,
        r"cosine expects steps to be at most 9223372036854775807, got 9223372036854775808",
        id="cosine: more steps than 64 bits count",
    ),
    *[
        pytest.param(
            make,
            ValueError,
            rf"Gaussian expects sigma in \[1e-150, 1e\+150\), got {came}",
            id=f"{name}: sigma {came}",
        )
        for name, make, came in (
            ("Gaussian", lambda: sn.Gaussian(0.0), "0.0"),
            ("Gaussian", lambda: sn.Gaussian(1e-200), "1e-200"),
            ("Gaussian", lambda: sn.Gaussian(1e200), r"1e\+200"),
            ("VAE", lambda: vae(likelihood="gaussian", sigma=1e-200), "1e-200"),
        )
    ],
    pytest.param(
        lambda: vae(likelihood=sn.Bernoulli),
        TypeError,
        r"VAE expects likelihood to be an object, got the class Bernoulli: write Bernoulli\(…\)",
        id="Bernoulli: the class",
    ),
    pytest.param(
        lambda: sn.Autoencoder(dense(), dense(2, 4), loss=None),  # type: ignore[arg-type]
        TypeError,
        r"Autoencoder expects loss to be a function such as sn\.mse, got None",
        id="Autoencoder: no loss",
    ),
    # ---- classes
    pytest.param(
        lambda: sn.Classifier("net"),
        TypeError,
        r"Classifier expects network to be a layer, got 'net'",
        id="Classifier: a word",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense())),
        TypeError,
        r"fit expects two arrays, \(x, labels\), got 1 of them for x",
        id="Classifier: no labels",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([0, 1, 0]), X)),
        TypeError,
        r"fit expects two arrays, \(x, labels\), got 3 of them for x",
        id="Classifier: an array beside the labels",
    ),
    pytest.param(
        lambda: sn.Classifier(dense()).loss(X),
        TypeError,
        r"Classifier\.loss expects two arrays, \(x, labels\), got ndarray",
        id="Classifier: a loss without labels",
    ),
    pytest.param(
        lambda: sn.Classifier(dense()).accuracy((X,)),
        TypeError,
        r"Classifier\.accuracy expects two arrays, \(x, labels\), got 1 of them",
        id="Classifier: a tuple of one",
    ),
    pytest.param(
        lambda: sn.Classifier(dense()).predict(NONE),
        sn.ShapeError,
        r"Classifier\.predict expects at least one example, got an empty batch",
        id="Classifier: nothing to predict",
    ),
    pytest.param(
        lambda: sn.Classifier(dense()).predict(with_one(np.nan)),
        sn.DataError,
        r"Classifier\.predict expects x to be finite, got nan",
        id="Classifier: a pixel that is NaN",
    ),
    pytest.param(
        lambda: sn.Classifier(dense()).predict(X.astype(float)),
        TypeError,
        r"Classifier\.predict computes in float32, but x is float64",
        id="Classifier: float64 to predict from",
    ),
    *[
        pytest.param(
            lambda ask=ask: ask((X, np.ma.masked_array([0, 1, 1]))),
            TypeError,
            rf"{where} expects (labels|x\[1\]) without a mask, which it would ignore, got a masked array: leave out",
            id=f"{where}: masked labels",
        )
        for where, ask in (
            ("Classifier.accuracy", lambda data: sn.Classifier(dense()).accuracy(data)),
            ("fit", lambda data: fit(sn.Classifier(dense()), data)),
            ("softmax_cross_entropy", lambda data: sn.softmax_cross_entropy(*data)),
        )
    ],
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.eye(2)[[0, 1, 0]])),
        sn.ShapeError,
        r"expects labels of shape \(.*\), got \(3, 2\): use labels\.argmax\(axis=1\) in place of one-hot rows",
        id="Classifier: one-hot labels",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([[0], [1], [0]]))),
        sn.ShapeError,
        r"expects labels of shape \(N,\), got \(3, 1\): use labels\[:, 0\] in place of a column",
        id="Classifier: a column of labels",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([1, 2, 1]))),
        sn.DataError,
        r"expects labels from 0 to 1, got numbers from 1 to 2: classes count from 0, so subtract 1",
        id="Classifier: labels from one",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([0.0, 1.0, 0.0]))),
        TypeError,
        r"expects labels to hold integers, got float64",
        id="Classifier: labels of floats",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([True, False, True]))),
        TypeError,
        r"expects labels to hold integers, got bool",
        id="Classifier: labels of bools",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([0, 1]))),
        sn.ShapeError,
        r"fit expects all arrays of x to have 3 rows, as its first has, got 2 in x\[1\]",
        id="Classifier: fewer labels than images",
    ),
    pytest.param(
        lambda: fit(vae(), (X, X), validation=(X, np.ma.masked_array(X))),
        TypeError,
        r"fit expects validation\[1\] without a mask, which it would ignore, got a masked array",
        id="fit: a masked array beside the validation's images",
    ),
    pytest.param(
        lambda: fit(sn.Classifier(dense()), (X, np.array([0, 1, 0])), validation=(X, np.array([0, 1, 2]))),
        sn.DataError,
        r"fit expects the labels of validation from 0 to 1, got numbers from 0 to 2",
        id="Classifier: a label of the validation",
    ),
    pytest.param(
        lambda: sn.softmax_cross_entropy(with_one(np.nan), np.array([0, 1, 2])),
        sn.DataError,
        r"softmax_cross_entropy expects logits that are numbers or −∞, .* got nan",
        id="softmax_cross_entropy: NaN",
    ),
    pytest.param(
        lambda: sn.softmax_cross_entropy(with_one(np.inf), np.array([0, 1, 2])),
        sn.DataError,
        r"softmax_cross_entropy expects logits that are numbers or −∞, .* got inf",
        id="softmax_cross_entropy: infinity",
    ),
    pytest.param(
        lambda: sn.softmax_cross_entropy(X, [0, 1, 2]),  # type: ignore[arg-type]
        TypeError,
        r"softmax_cross_entropy expects labels to be a NumPy array of integers, got list",
        id="softmax_cross_entropy: a list of labels",
    ),
    pytest.param(
        lambda: step(ReturnsTheta(0.1), THETA.copy(), THETA.copy()),
        TypeError,
        r"ReturnsTheta\.move expects to change theta in place and to return None, got ndarray: write theta -= …",
        id="Optimizer: a move that returns",
    ),
    pytest.param(
        lambda: step(sn.Adam(), np.ones(4, np.float16), np.ones(4, np.float16)),
        TypeError,
        r"Adam expects theta in float32 or float64, got float16",
        id="Adam: half precision",
    ),
    pytest.param(
        lambda: fit(progress="no"),
        TypeError,
        r"fit expects progress to be True or False, got 'no'",
        id="fit: a word for progress",
    ),
    pytest.param(
        lambda: fit_on_its_own_weights(),
        ValueError,
        r"fit expects theta and x to share no memory, got arrays that overlap: pass x\.copy\(\)",
        id="fit: its own weights for images",
    ),
    pytest.param(
        lambda: fit(epochs=1.5), TypeError, r"epochs to be a whole number, got 1\.5", id="fit: one and a half epochs"
    ),
    pytest.param(
        lambda: fit(batch_size=0), ValueError, r"fit expects batch_size to be at least 1, got 0", id="fit: batch_size 0"
    ),
    pytest.param(
        lambda: fit(batch_size=True),
        TypeError,
        r"batch_size to be a whole number, got True",
        id="fit: batch_size a bool",
    ),
    pytest.param(
        lambda: fit(rng=0),
        TypeError,
        r"fit takes its randomness from a NumPy Generator, got 0",
        id="fit: rng an int",
    ),
    pytest.param(lambda: fit(rng=None), TypeError, r"Generator, got None", id="fit: rng None"),
    pytest.param(lambda: fit(rng=X), TypeError, r"fit takes .* Generator, got", id="fit: images for rng"),
    pytest.param(
        lambda: fit(x=IMAGES), sn.ShapeError, r"fit expects x of shape \(N, .\), got \(3, 1, 2, 2\)", id="fit: images"
    ),
    pytest.param(
        lambda: fit(x=X[:, :3]), sn.ShapeError, r"expects x of shape \(N, 4\), got \(3, 3\)", id="fit: wrong width"
    ),
    pytest.param(
        lambda: fit(x=X.tolist()), TypeError, r"fit expects x to be a NumPy array, got list", id="fit: a list"
    ),
    pytest.param(
        lambda: fit(x=BYTES), TypeError, r"fit expects x to hold floating-point numbers, got uint8", id="fit: uint8"
    ),
    pytest.param(
        lambda: fit(x=X.astype(np.float64)),
        TypeError,
        r"fit computes in float32, but x is float64",
        id="fit: float64 into float32",
    ),
    pytest.param(lambda: fit(x=NONE), sn.ShapeError, r"fit expects at least one example", id="fit: no images"),
    pytest.param(lambda: fit(x=PIXELS), sn.DataError, r"\[0, 1\], got .*255.*: divide pixels", id="fit: pixels to 255"),
    pytest.param(
        lambda: fit(x=with_one(np.nan)),
        sn.DataError,
        r"fit expects x to be finite, got nan at \[1, 2\]",
        id="fit: a NaN in x",
    ),
    pytest.param(
        lambda: fit(x=with_one(-np.inf)), sn.DataError, r"x to be finite, got -inf at \[1, 2\]", id="fit: -inf in x"
    ),
    pytest.param(
        lambda: fit(validation=with_one(np.nan)),
        sn.DataError,
        r"fit expects validation to be finite, got nan",
        id="fit: a NaN in validation",
    ),
    pytest.param(
        lambda: fit(validation=BYTES),
        TypeError,
        r"fit expects validation to hold floating-point numbers, got uint8",
        id="fit: uint8 validation",
    ),
    pytest.param(
        lambda: fit(validation=NONE),
        sn.ShapeError,
        r"fit expects at least one example in validation",
        id="fit: no validation images",
    ),
    pytest.param(
        lambda: fit(validation=X[:, :3]),
        sn.ShapeError,
        r"fit expects validation of shape \(N, 4\), got \(3, 3\)",
        id="fit: validation of another width",
    ),
    pytest.param(lambda: fit("m"), TypeError, r"fit expects a model such as .* got 'm'", id="fit: a word for a model"),
    pytest.param(lambda: fit(sn.VAE), TypeError, r"fit expects a model .* got the class VAE", id="fit: a class"),
    pytest.param(
        lambda: copy.copy(vae().parameters),
        TypeError,
        r"copied with its layers.*copy\.deepcopy\(model\)",
        id="Parameters: copied without layers",
    ),
    # ---- evaluation
    pytest.param(
        lambda: sn.elbo(vae(), PIXELS, rng()),
        sn.DataError,
        r"elbo expects x in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="elbo: pixels to 255",
    ),
    pytest.param(
        lambda: sn.elbo(vae(), with_one(np.nan), rng()),
        sn.DataError,
        r"elbo expects x in \[0, 1\], got nan at \[1, 2\](?!.*255)",
        id="elbo: a NaN",
    ),
    pytest.param(
        lambda: sn.elbo(vae(likelihood="gaussian"), with_one(np.inf), rng()),
        sn.DataError,
        r"elbo expects x to be finite, got inf at \[1, 2\]",
        id="elbo: an infinity before a gaussian",
    ),
    pytest.param(lambda: sn.elbo(vae(), BYTES, rng()), TypeError, r"elbo expects x .* got uint8", id="elbo: uint8"),
    pytest.param(
        lambda: sn.elbo(vae(), X.astype(np.float64), rng()),
        TypeError,
        r"elbo computes in float32, but x is float64",
        id="elbo: float64 into float32",
    ),
    pytest.param(
        lambda: sn.elbo(vae(), X[:, :3], rng()),
        sn.ShapeError,
        r"elbo expects x of shape \(N, 4\), got \(3, 3\)",
        id="elbo: wrong width",
    ),
    pytest.param(
        lambda: sn.elbo(vae(), NONE, rng()), sn.ShapeError, r"elbo expects at least one example", id="elbo: no images"
    ),
    pytest.param(
        lambda: sn.elbo(vae(), X, 0),
        TypeError,
        r"elbo takes its randomness from a NumPy Generator, got 0",
        id="elbo: rng an int",
    ),
    pytest.param(
        lambda: sn.elbo(vae(), rng(), X),
        TypeError,
        r"elbo takes its randomness from a NumPy Generator, got",
        id="elbo: x and rng in the wrong order",
    ),
    pytest.param(
        lambda: sn.elbo(autoencoder(), X, rng()),
        TypeError,
        r"elbo expects .*VAE, got .*Autoencoder",
        id="elbo: an autoencoder",
    ),
    *[
        pytest.param(
            lambda width=width, likelihood=likelihood: sn.elbo(
                vae(decoder=dense(2, width), likelihood=likelihood), X, rng()
            ),
            sn.ShapeError,
            rf"expects the decoder's output of shape \(3, 4\), got \(3, {width}\)",
            id=f"elbo: a {likelihood} decoder's output {width} wide for x 4 wide",
        )
        for width in (5, 1)
        for likelihood in ("bernoulli", "gaussian")
    ],
    pytest.param(
        lambda: sn.check_gradients(sn.ReLU(), X, rng=0),
        TypeError,
        r"check_gradients takes its randomness from a NumPy Generator, got 0",
        id="check_gradients: a seed",
    ),
    pytest.param(
        lambda: sn.check_gradients(vae(), X, rng=rng()),
        TypeError,
        r"check_gradients expects a layer or a function, got VAE: pass its loss, model\.loss",
        id="check_gradients: a model",
    ),
    pytest.param(
        lambda: sn.check_gradients("relu", X, rng=rng()),
        TypeError,
        r"check_gradients expects a layer or a function, got 'relu'",
        id="check_gradients: a name",
    ),
    pytest.param(
        lambda: sn.check_gradients(np.tanh, X, rng=rng()),
        TypeError,
        r"check_gradients expects tanh to return \(y, backward\), \(value, dy\) or a Loss, got ndarray",
        id="check_gradients: a function without a way back",
    ),
    pytest.param(
        lambda: sn.check_gradients(iter, X, rng=rng()),
        TypeError,
        r"check_gradients expects iter to return \(y, backward\), .* got iterator",
        id="check_gradients: a function that does not tell its arguments",
    ),
    pytest.param(
        lambda: sn.check_gradients(lambda x: (x, x, x), X, rng=rng()),
        TypeError,
        r"to return \(y, backward\), \(value, dy\) or a Loss, got a tuple of ndarray, ndarray, ndarray",
        id="check_gradients: a tuple of arrays",
    ),
    pytest.param(
        lambda: sn.check_gradients(lambda rows: (np.ones(3), lambda dy: ()), BYTES, rng=rng()),
        ValueError,
        r"check_gradients expects inputs or parameters of floats, got none for .*lambda",
        id="check_gradients: no floats",
    ),
    pytest.param(
        lambda: sn.check_gradients(dense(), X, rng=rng(), tolerance=0.0),
        ValueError,
        r"check_gradients expects tolerance in \(0, inf\), got 0\.0",
        id="check_gradients: tolerance 0",
    ),
    pytest.param(
        lambda: sn.check_gradients(dense(), X, rng=rng(), coordinates=0),
        ValueError,
        r"check_gradients expects coordinates to be at least 1, got 0",
        id="check_gradients: no coordinates",
    ),
    pytest.param(
        lambda: sn.check_gradients(dense(), X, rng=rng(), directions=2.5),
        TypeError,
        r"check_gradients expects directions to be a whole number, got 2\.5",
        id="check_gradients: half a direction",
    ),
    pytest.param(
        lambda: sn.check_gradients(dense().forward, X, rng=rng(), parameters=sn.Parameters(dense=dense())),
        TypeError,
        r"check_gradients expects parameters of float64, got float32: make the layers with dtype=np\.float64",
        id="check_gradients: float32 parameters",
    ),
    pytest.param(
        lambda: sn.check_gradients(dense().forward, X, rng=rng(), parameters="W"),
        TypeError,
        r"check_gradients expects parameters to be Parameters\(…\) of what f trains, got 'W'",
        id="check_gradients: a name for parameters",
    ),
    pytest.param(
        lambda: sn.check_gradients(sn.Tanh(), NONE, rng=rng()),
        TypeError,
        r"check_gradients expects x to hold real numbers, got an empty array",
        id="check_gradients: nothing",
    ),
    pytest.param(
        lambda: sn.check_gradients(GainWithoutGradient(), X, rng=rng()),
        TypeError,
        r"check_gradients expects GainWithoutGradient\(\) to add the gradient of g to dg, got none",
        id="check_gradients: a layer without dg",
    ),
    pytest.param(
        lambda: sn.check_gradients(sn.Tanh(), with_one(np.nan), rng=rng()),
        sn.DataError,
        r"check_gradients expects the y of Tanh\(\) to be finite, got nan at \[1, 2\]",
        id="check_gradients: a NaN",
    ),
    pytest.param(
        lambda: sn.check_gradients(dense(), X[:, :3], rng=rng()),
        sn.ShapeError,
        r"Dense\(4, 2\) expects x of shape \(N, 4\), got \(3, 3\)",
        id="check_gradients: what the layer refuses",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), X, 0, rng()),
        ValueError,
        r"log_likelihood expects k to be at least 1, got 0",
        id="log_likelihood: k 0",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), X, 2.5, rng()),
        TypeError,
        r"log_likelihood expects k to be a whole number, got 2\.5",
        id="log_likelihood: two and a half samples",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), X, True, rng()),
        TypeError,
        r"log_likelihood expects k to be a whole number, got True",
        id="log_likelihood: k a bool",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), X, rng(), 5),
        TypeError,
        r"log_likelihood takes its randomness from a NumPy Generator, got 5",
        id="log_likelihood: k and rng in the wrong order",
    ),
    pytest.param(
        lambda: sn.log_likelihood(autoencoder(), X, 1, rng()),
        TypeError,
        r"log_likelihood expects a VAE, got Autoencoder",
        id="log_likelihood: an autoencoder",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), PIXELS, 1, rng()),
        sn.DataError,
        r"log_likelihood expects x in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="log_likelihood: pixels to 255",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(likelihood="gaussian"), with_one(np.nan), 1, rng()),
        sn.DataError,
        r"log_likelihood expects x to be finite, got nan at \[1, 2\]",
        id="log_likelihood: a NaN before a gaussian",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), BYTES, 1, rng()),
        TypeError,
        r"log_likelihood expects x .* got uint8",
        id="log_likelihood: uint8",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), X.astype(np.float64), 1, rng()),
        TypeError,
        r"log_likelihood computes in float32, but x is float64",
        id="log_likelihood: float64 into float32",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), X[:, :3], 1, rng()),
        sn.ShapeError,
        r"log_likelihood expects x of shape \(N, 4\), got \(3, 3\)",
        id="log_likelihood: wrong width",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(), NONE, 1, rng()),
        sn.ShapeError,
        r"log_likelihood expects at least one example",
        id="log_likelihood: no images",
    ),
    pytest.param(
        lambda: sn.log_likelihood(vae(decoder=dense(2, 1)), X, 2, rng()),
        sn.ShapeError,
        r"expects the decoder's output of shape \(6, 4\), got \(6, 1\)",
        id="log_likelihood: a decoder's output 1 wide for x 4 wide",
    ),
    pytest.param(
        lambda: kl_per_latent(Z, X),
        sn.ShapeError,
        r"kl_per_latent expects logvar in the shape of mu, \(3, 2\), got \(3, 4\)",
        id="kl_per_latent: shapes that differ",
    ),
    pytest.param(
        lambda: kl_per_latent(Z[:0], Z[:0]),
        sn.ShapeError,
        r"kl_per_latent expects at least one example",
        id="kl_per_latent: an empty batch",
    ),
    pytest.param(
        lambda: kl_per_latent(Z.tolist(), Z),
        TypeError,
        r"kl_per_latent expects mu to be a NumPy array, got list",
        id="kl_per_latent: a list",
    ),
    pytest.param(
        lambda: kl_per_latent(Z, np.full_like(Z, np.nan)),
        sn.DataError,
        r"kl_per_latent expects logvar to be finite, got nan",
        id="kl_per_latent: NaN",
    ),
    pytest.param(
        lambda: active_units(Z[:0]),
        sn.ShapeError,
        r"active_units expects at least one example",
        id="active_units: an empty batch",
    ),
    pytest.param(
        lambda: active_units(Z, -1), ValueError, r"threshold in \[0, inf\), got -1", id="active_units: threshold -1"
    ),
    pytest.param(
        lambda: active_units(Z.tolist()),
        TypeError,
        r"active_units expects mu to be a NumPy array, got list",
        id="active_units: a list",
    ),
    pytest.param(
        lambda: bce_scale(X, X[:, :3]),
        sn.ShapeError,
        r"bce_scale expects test of shape \(N, 4\), got \(3, 3\)",
        id="bce_scale: another width",
    ),
    pytest.param(
        lambda: bce_scale(PIXELS, X),
        sn.DataError,
        r"bce_scale expects train in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
        id="bce_scale: pixels to 255",
    ),
    # ---- corruptions
    pytest.param(
        lambda: sn.corruption.GaussianNoise(-0.1),
        ValueError,
        r"GaussianNoise expects sigma in \[0, inf\), got -0\.1",
        id="GaussianNoise: negative sigma",
    ),
    pytest.param(
        lambda: sn.corruption.GaussianNoise("much"),
        TypeError,
        r"GaussianNoise expects sigma to be a number, got 'much'",
        id="GaussianNoise: a word for sigma",
    ),
    *[
        row
        for make in (sn.corruption.Masking, sn.corruption.SaltAndPepper)
        for name in [make.__name__]
        for row in (
            pytest.param(
                lambda make=make: make(1.0),
                ValueError,
                rf"{name} expects share in \[0, 1\), got 1\.0",
                id=f"{name}: nothing left",
            ),
            pytest.param(
                lambda make=make: make(-0.5),
                ValueError,
                rf"{name} expects share in \[0, 1\), got -0\.5",
                id=f"{name}: a negative share",
            ),
        )
    ],
    *[
        row
        for corrupt in (
            sn.corruption.GaussianNoise(0.5),
            sn.corruption.Masking(0.5),
            sn.corruption.SaltAndPepper(0.5),
        )
        for name in [type(corrupt).__name__]
        for row in (
            pytest.param(
                lambda corrupt=corrupt: corrupt(X, 0),
                TypeError,
                rf"{name} takes its randomness from a NumPy Generator, got 0",
                id=f"{name}: a seed",
            ),
            pytest.param(
                lambda corrupt=corrupt: corrupt(BYTES, rng()),
                TypeError,
                rf"{name} expects x to hold floating-point numbers, got uint8.* by 255",
                id=f"{name}: uint8",
            ),
        )
    ],
    *[
        pytest.param(
            lambda corrupt=corrupt: corrupt(PIXELS, rng()),
            sn.DataError,
            rf"{type(corrupt).__name__} expects x in \[0, 1\], got .*255.*: divide pixels of 0–255 by 255",
            id=f"{type(corrupt).__name__}: pixels to 255",
        )
        for corrupt in (sn.corruption.GaussianNoise(0.5), sn.corruption.SaltAndPepper(0.5))
    ],
    pytest.param(
        lambda: sn.corruption.Downsample(0, (2, 2)),
        ValueError,
        r"Downsample expects factor to be at least 1, got 0",
        id="Downsample: factor 0",
    ),
    pytest.param(
        lambda: sn.corruption.Downsample(2, (2, 2.0)),
        TypeError,
        r"Downsample expects shape\[1\] to be a whole number, got 2\.0",
        id="Downsample: a width that counts nothing",
    ),
    pytest.param(
        lambda: sn.corruption.Downsample(2, 28),
        TypeError,
        r"Downsample expects shape to be a tuple \(height, width\), got 28",
        id="Downsample: one number for a shape",
    ),
    pytest.param(
        lambda: sn.corruption.Downsample(3, (28, 27)),
        sn.ShapeError,
        r"Downsample expects a height and width that are multiples of 3, got 28 and 27",
        id="Downsample: blocks that do not fit",
    ),
    pytest.param(
        lambda: sn.corruption.Downsample(2, (2, 2))(X[:, :3], rng()),
        sn.ShapeError,
        r"Downsample expects x of shape \(N, 4\), got \(3, 3\)",
        id="Downsample: another width",
    ),
    # ---- files
    *[
        row
        for call in (sn.save, sn.load)
        for name in [call.__name__]
        for row in (
            pytest.param(
                lambda call=call: call("model.npz", "model"),
                TypeError,
                rf"{name} expects a model such as VAE\(…\) or Autoencoder\(…\), or a layer, got 'model'",
                id=f"{name}: a word for a model",
            ),
            pytest.param(
                lambda call=call: call(autoencoder(), "model.npz"),
                TypeError,
                rf"{name} expects path to be a path, got Autoencoder",
                id=f"{name}: model and path in the wrong order",
            ),
        )
    ],
    pytest.param(
        lambda: sn.data.load_idx(None),
        TypeError,
        r"data\.load_idx expects directory to be a path, got None",
        id="load_idx: None",
    ),
    # ---- plots
    pytest.param(
        lambda: plots.image_grid(X, 5), TypeError, r"plots expects title to be a string, got 5", id="plots: no title"
    ),
    pytest.param(
        lambda: plots.image_grid(PIXELS, "t"),
        sn.DataError,
        r"plots expects images in \[0, 1\], got numbers from 255\.0 to 255\.0: divide pixels of 0–255 by 255",
        id="image_grid: pixels to 255",
    ),
    pytest.param(
        lambda: plots.mosaic(X, shape=(2, 3)),
        sn.ShapeError,
        r"plots expects images of 2 × 3 pixels, got an array of shape \(3, 4\)",
        id="mosaic: another shape",
    ),
    pytest.param(
        lambda: plots.panels("t", columns=0),
        ValueError,
        r"plots\.panels expects columns to be at least 1, got 0",
        id="panels: no column",
    ),
    pytest.param(
        lambda: plots.image_grid(with_one(np.nan), "t"),
        sn.DataError,
        r"plots expects images to be finite, got nan at \[1, 2\]",
        id="image_grid: a NaN",
    ),
    pytest.param(
        lambda: plots.image_grid(X, "t", columns=2, names=["a", "b", "c"]),
        sn.ShapeError,
        r"plots\.image_grid expects at most 2 names, one for each column, got 3",
        id="image_grid: names for no column",
    ),
    pytest.param(
        lambda: plots.image_rows([X], "t"),
        TypeError,
        r"plots\.image_rows expects rows to be a dict, got list",
        id="image_rows: a list",
    ),
    pytest.param(
        lambda: plots.history_curves(sn.History(), "t"),
        TypeError,
        r"plots\.history_curves expects a History of at least one epoch, got one of no epoch",
        id="history_curves: no epoch",
    ),
    pytest.param(
        lambda: plots.lines({"a": (X[0], X[0], X[0])}, "t", x_label="x", y_label="y"),
        TypeError,
        r"plots\.lines expects a tuple of 2 arrays for a, got tuple",
        id="lines: three arrays",
    ),
    pytest.param(
        lambda: plots.lines({"a": (X[0], Z[0])}, "t", x_label="x", y_label="y"),
        sn.ShapeError,
        r"plots\.lines expects a of shape \(4,\), got \(2,\)",
        id="lines: x and y that differ",
    ),
    pytest.param(
        lambda: plots.save_figure("f.png", "figure"),
        TypeError,
        r"plots\.save_figure expects figure to be a Figure, got 'figure'",
        id="save_figure: a word",
    ),
    # ---- choices
    pytest.param(
        lambda: sn.data.mnist("valid"),
        ValueError,
        r"data\.mnist expects split to be 'train' or 'test', got 'valid'",
        id="mnist: an unknown split",
    ),
    pytest.param(
        lambda: sn.data.load_idx(".", "valid"),
        ValueError,
        r"data\.load_idx expects split to be 'train' or 'test', got 'valid'",
        id="load_idx: an unknown split",
    ),
    pytest.param(
        lambda: sn.kernels.use("cuda"),
        ValueError,
        r"kernels\.use expects engine to be .*'numpy'.*, got 'cuda'",
        id="kernels.use: an unknown engine",
    ),
    pytest.param(
        lambda: import_with("cuda"),
        ValueError,
        r"SCRATCHNET_KERNELS .*'numpy'.*, got 'cuda'",
        id="SCRATCHNET_KERNELS: an unknown engine",
    ),
    # ---- probability
    *[
        row
        for name, call in {
            "entropy": sn.probability.entropy,
            "cross_entropy": lambda p: sn.probability.cross_entropy([0.5, 0.5], p),
            "kl": lambda p: sn.probability.kl(p, [0.5, 0.5]),
            "expectation": lambda p: sn.probability.expectation(p, [1, 2]),
            "conditional": lambda p: sn.probability.conditional(p),
            "total_probability": lambda p: sn.probability.total_probability(np.eye(2), p),
            "bayes": lambda p: sn.probability.bayes(np.eye(2), p),
        }.items()
        for row in (
            pytest.param(
                lambda call=call: call([0.4, 0.5]),
                sn.DataError,
                rf"{name} expects \w+ to sum to 1, got a sum of 0\.9: divide \w+ by its sum",
                id=f"{name}: a sum of 0.9",
            ),
            pytest.param(
                lambda call=call: call([1.5, -0.5]),
                sn.DataError,
                rf"{name} expects \w+ to hold probabilities, none of them negative, got numbers from -0\.5 to 1\.5",
                id=f"{name}: a negative number",
            ),
            pytest.param(
                lambda call=call: call([0.5, np.nan]),
                sn.DataError,
                rf"{name} expects \w+ to be finite, got nan at \[1\]",
                id=f"{name}: NaN",
            ),
        )
    ],
    pytest.param(
        lambda: sn.probability.kl([0.36, 0.48, 0.16], [0.333, 0.333, 0.333]),
        sn.DataError,
        r"kl expects q to sum to 1, got a sum of 0\.999: divide q by its sum, and write a third as 1 / 3",
        id="kl: thirds of three digits",
    ),
    pytest.param(
        lambda: sn.probability.entropy(np.full(3, 0.33333, np.float32)),
        sn.DataError,
        r"got a sum of 0\.99999",
        id="entropy: thirds of five digits in float32",
    ),
    pytest.param(
        lambda: sn.probability.kl([0.5, 0.5], [0.5, 0.25, 0.25]),
        sn.ShapeError,
        r"kl expects q of shape \(2,\), got \(3,\): the shape of p",
        id="kl: shapes that differ",
    ),
    pytest.param(
        lambda: sn.probability.cross_entropy([0.5, 0.5], [[0.5], [0.5]]),
        sn.ShapeError,
        r"cross_entropy expects q of shape \(2,\), got \(2, 1\): the shape of p",
        id="cross_entropy: to be broadcast",
    ),
    pytest.param(
        lambda: sn.probability.expectation([0.5, 0.5], 3),
        sn.ShapeError,
        r"expectation expects values to be an array of numbers, got a single number",
        id="expectation: one value",
    ),
    pytest.param(
        lambda: sn.probability.expectation([0.5, 0.5], [1, 2, 3]),
        sn.ShapeError,
        r"expectation expects values of shape \(2,\), got \(3,\): the shape of p",
        id="expectation: too many values",
    ),
    pytest.param(
        lambda: sn.probability.expectation([1, 0], [1, np.inf]),
        sn.DataError,
        r"expectation expects values to be finite, got inf at \[1\]",
        id="expectation: an infinite value",
    ),
    pytest.param(
        lambda: sn.probability.entropy([]),
        sn.ShapeError,
        r"entropy expects p to be an array of numbers, got an empty array of shape \(0,\)",
        id="entropy: nothing",
    ),
    pytest.param(
        lambda: sn.probability.entropy([[1], [0.5, 0.5]]),
        sn.ShapeError,
        r"entropy expects p in rows of one length, got rows of several",
        id="entropy: ragged rows",
    ),
    pytest.param(
        lambda: sn.probability.entropy(["1"]),
        TypeError,
        r"entropy expects p to hold real numbers, got str",
        id="entropy: text",
    ),
    pytest.param(
        lambda: sn.probability.entropy(np.array([0.5, 0.5j])),
        TypeError,
        r"entropy expects p to hold real numbers, got complex128",
        id="entropy: complex numbers",
    ),
    pytest.param(
        lambda: sn.probability.conditional([0.5, 0.5]),
        sn.ShapeError,
        r"conditional expects p_xy of shape \(X, Y\), got \(2,\)",
        id="conditional: one variable",
    ),
    pytest.param(
        lambda: sn.probability.conditional([[0.5, 0.0], [0.5, 0.0]]),
        sn.DataError,
        r"conditional expects every y to have a probability above 0, got p\(y\) = 0 for number 1: leave out a y that",
        id="conditional: given what cannot be",
    ),
    pytest.param(
        lambda: sn.probability.bayes([[1.0, 1.0], [0.0, 0.0]], [0.5, 0.5]),
        sn.DataError,
        r"bayes expects every y to have a probability above 0, got p\(y\) = 0 for number 1",
        id="bayes: an observation that cannot be",
    ),
    pytest.param(
        lambda: sn.probability.bayes([[0.9, 0.1], [0.2, 0.8]], [0.5, 0.5]),
        sn.DataError,
        r"bayes expects column 0 of p_y_given_x to sum to 1, got a sum of 1\.1: if its rows do, pass p_y_given_x\.T",
        id="bayes: rows for columns",
    ),
    pytest.param(
        lambda: sn.probability.total_probability([[0.5, 0.9], [0.5, 0.2]], [0.5, 0.5]),
        sn.DataError,
        r"total_probability expects column 1 of p_x_given_y to sum to 1, got a sum of 1\.1: if its rows do",
        id="total_probability: a column that is no distribution",
    ),
    pytest.param(
        lambda: sn.probability.total_probability([0.5, 0.5], [0.5, 0.5]),
        sn.ShapeError,
        r"total_probability expects p_x_given_y of shape \(A, B\), got \(2,\): a table with a column for each",
        id="total_probability: no table",
    ),
    pytest.param(
        lambda: sn.probability.bayes(np.full((2, 3), 0.5), [0.5, 0.5]),
        sn.ShapeError,
        r"bayes expects p_x of shape \(3,\), got \(2,\): a probability for each column of p_y_given_x",
        id="bayes: a prior for the rows",
    ),
    pytest.param(
        lambda: sn.probability.binomial(0, 0.5),
        ValueError,
        r"binomial expects n to be at least 1, got 0",
        id="binomial: no toss",
    ),
    pytest.param(
        lambda: sn.probability.binomial(2.0, 0.5),
        TypeError,
        r"binomial expects n to be a whole number, got 2\.0",
        id="binomial: n a float",
    ),
    pytest.param(
        lambda: sn.probability.binomial(2, 1.1),
        ValueError,
        r"binomial expects p in \[0, 1\], got 1\.1",
        id="binomial: p above 1",
    ),
    pytest.param(
        lambda: sn.probability.binomial(2, "0.5"),
        TypeError,
        r"binomial expects p to be a number, got '0\.5'",
        id="binomial: p a text",
    ),
]

STATES = [
    # ---- models in a state that cannot work
    pytest.param(
        replaced_array,
        ValueError,
        r"encoder\.W is no longer part of this model's θ",
        id="Parameters: an array that was replaced",
    ),
    pytest.param(
        shared_layer,
        ValueError,
        r"encoder\.W is no longer part of this model's θ: .* given to another model",
        id="Parameters: a layer that another model has",
    ),
    pytest.param(
        lambda: vae(decoder=sn.Sequential(ReturnsACopy(), dense(2, 4))).sample(2, rng()),
        sn.ShapeError,
        r"VAE\.sample cannot tell the latent width from this decoder",
        id="VAE.sample: a decoder of no fixed width",
    ),
    # ---- files
    pytest.param(lambda: load_from(None), sn.DataError, r"model\.npz does not exist", id="load: no file"),
    pytest.param(
        lambda: load_from(b"garbage"), sn.DataError, r"model\.npz is not a model file(?!.*unsafe)", id="load: garbage"
    ),
    pytest.param(lambda: load_from(b""), sn.DataError, r"model\.npz is not a model file", id="load: an empty file"),
    pytest.param(
        lambda: load_from(saved(autoencoder())[:-200]),
        sn.DataError,
        r"model\.npz is not a model file, or is damaged",
        id="load: cut off",
    ),
    pytest.param(
        lambda: load_from(array_file()),
        sn.DataError,
        r"model\.npz is not a model file",
        id="load: one array, no archive",
    ),
    pytest.param(
        lambda: load_from(archived(**{name: np.array([{}], object) for name in autoencoder().parameters.named()})),
        sn.DataError,
        r"model\.npz holds another model: encoder\.W is \(1,\) of object, expected \(4, 2\) of float32",
        id="load: pickled objects",
    ),
    pytest.param(
        lambda: load_from(saved(autoencoder(sn.Sequential(dense(4, 2), sn.ReLU())))),
        sn.DataError,
        r"model\.npz holds another model: it lacks encoder\.W, encoder\.b and also has encoder\.0\.W, encoder\.0\.b",
        id="load: other names",
    ),
    pytest.param(
        lambda: load_from(
            saved(autoencoder(sn.Sequential(*[dense(4, 4) for _ in range(9)]), dense(4, 4))),
            autoencoder(dense(4, 4), sn.Sequential(*[dense(4, 4) for _ in range(9)])),
        ),
        sn.DataError,
        r"model\.npz holds another model: it lacks .*decoder\.0\.W.* and also has .*decoder\.W",
        id="load: other names of a deep model",
    ),
    pytest.param(
        lambda: load_from(saved(autoencoder(dense(4, 3), dense(3, 4)))),
        sn.DataError,
        r"encoder\.W is \(4, 3\) of float32, expected \(4, 2\) of float32",
        id="load: other shapes",
    ),
    pytest.param(
        lambda: load_from(saved(autoencoder(dense(4, 2, np.float64), dense(2, 4, np.float64)))),
        sn.DataError,
        r"encoder\.W is \(4, 2\) of float64, expected \(4, 2\) of float32",
        id="load: another dtype",
    ),
    pytest.param(
        lambda: load_idx(),
        sn.DataError,
        r"\. holds no train-images-idx3-ubyte, with or without \.gz",
        id="load_idx: empty",
    ),
    pytest.param(
        lambda: sn.data.load_idx("nowhere"), sn.DataError, r"nowhere is not a directory", id="load_idx: no directory"
    ),
    pytest.param(
        lambda: load_idx(idx(2, 2, 2)), sn.DataError, r"holds no train-labels-idx1-ubyte", id="load_idx: no labels"
    ),
    pytest.param(
        lambda: load_idx(idx(2, 2, 2)[:9], idx(2)),
        sn.DataError,
        r"train-images-idx3-ubyte is cut off: an idx header has 16 bytes, got 9",
        id="load_idx: a cut-off header",
    ),
    pytest.param(
        lambda: load_idx(idx(2, 2, 2)[:-1], idx(2)),
        sn.DataError,
        r"train-images-idx3-ubyte is cut off after 7 of the 8 bytes that its header promises",
        id="load_idx: cut off",
    ),
    pytest.param(
        lambda: load_idx(gzip.compress(idx(2, 2, 2))[:-9], gzip.compress(idx(2)), ".gz"),
        sn.DataError,
        r"train-images-idx3-ubyte\.gz could not be read: .*end",
        id="load_idx: a cut-off gz",
    ),
    pytest.param(
        lambda: load_idx(b"not gzip", b"", ".gz"),
        sn.DataError,
        r"train-images-idx3-ubyte\.gz could not be read: Not a gzipped file",
        id="load_idx: no gzip at all",
    ),
    pytest.param(
        lambda: load_idx(idx(2, 2, 2) + b"x", idx(2)),
        sn.DataError,
        r"train-images-idx3-ubyte goes on after the 8 bytes that its header promises",
        id="load_idx: bytes left over",
    ),
    pytest.param(
        lambda: load_idx(idx(2, 2, 2, magic=2049), idx(2)),
        sn.DataError,
        r"not an idx file of unsigned bytes with 3 axes: expected the magic number 2051, got 2049",
        id="load_idx: labels for images",
    ),
    pytest.param(
        lambda: load_idx(idx(2**31, 2**31, 2**31, body=b""), idx(2)),
        sn.DataError,
        r"is cut off after 0 of the [\d,]+ bytes that its header promises",
        id="load_idx: a header that lies",
    ),
    pytest.param(
        lambda: load_idx(idx(2, 2, 2), idx(3)),
        sn.DataError,
        r"train-images-idx3-ubyte holds 2 images, but .*train-labels-idx1-ubyte 3 labels",
        id="load_idx: counts that disagree",
    ),
    pytest.param(
        lambda: load_idx(idx(0, 28, 28), idx(0)),
        sn.DataError,
        r"train-images-idx3-ubyte is empty: its header says the shape is \(0, 28, 28\)",
        id="load_idx: zero images",
    ),
]

ROWS = [*ARGUMENTS, *STATES]

COLUMNS = ("call", "error", "says")
refusals = pytest.mark.parametrize(COLUMNS, ROWS)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@refusals
def test_what_is_wrong_is_refused_by_name(call: Callable[[], object], error: type[Exception], says: str):
    with pytest.raises(error, match=says) as caught:
        call()
    assert type(caught.value) is error


@refusals
def test_a_message_is_one_sentence(call: Callable[[], object], error: type[Exception], says: str):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.endswith(".")
    assert not message.endswith("..")
    assert "\n" not in message
    assert not re.search(r"[.!?] +[A-Z]", message)
    assert len(message) <= 250


@pytest.mark.parametrize(COLUMNS, ARGUMENTS)
def test_a_message_about_an_argument_says_what_was_expected_and_then_what_came(
    call: Callable[[], object], error: type[Exception], says: str
):
    with pytest.raises(error, match=r"(expects|takes) .+, (but )?got |computes in .+, but .+ is "):
        call()


def test_every_public_function_has_a_row():
    said = {re.match(r"\w+", str(row.id))[0] for row in ROWS}  # type: ignore[index]
    assert {name.split(".")[-1] for name, _ in public()} - said == set()


def test_an_error_is_also_the_standard_one():
    assert issubclass(sn.ShapeError, ValueError)
    assert issubclass(sn.DataError, ValueError)
    assert issubclass(sn.DivergenceError, FloatingPointError)


def test_an_argument_that_is_gone_is_refused_with_what_to_write_in_its_place():
    with pytest.raises(
        TypeError, match=r"^fit no longer takes after_epoch: write a callback with an after_epoch\(self"
    ):
        fit(after_epoch=print)
