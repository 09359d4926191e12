"""Which numbers of a code die behind a ReLU, from which start; write living_channels.json (a quarter of an hour).

A number or channel lives if some test image moves it. One part is Udacity's convolutional network, from three starts;
one is 784-32-784 from the start of its layers, and with a bias that draws the mean image.
"""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import scratchnet as sn
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
DEMOS = HERE.parent.parent / "demos"
SEEDS = range(8)
DENSE_SEEDS, DENSE_EPOCHS = range(2), 3
Start = Callable[[sn.Autoencoder, np.random.Generator], None]


def convolutions(model: sn.Autoencoder) -> list:
    """The four layers with parameters, first to last."""
    return [layer for layer in (*model.encoder.layers, *model.decoder.layers) if layer.parameter_names]


def as_layers_start(model: sn.Autoencoder, rng: np.random.Generator) -> None:
    """Weights in ±1/√n, n being the products in a sum; biases zero."""
    for layer in convolutions(model):
        bound = 1 / np.sqrt(layer.fan_in)
        layer.W[...], layer.b[...] = rng.uniform(-bound, bound, layer.W.shape), 0


def as_pytorch_starts(model: sn.Autoencoder, rng: np.random.Generator) -> None:
    """Weights and biases in ±1/√n, n being the numbers in W[0]."""
    for layer in convolutions(model):
        bound = 1 / np.sqrt(layer.W[0].size)
        for parameter in (layer.W, layer.b):
            parameter[...] = rng.uniform(-bound, bound, parameter.shape)


def as_the_demo_starts(model: sn.Autoencoder, rng: np.random.Generator) -> None:
    """As it is."""


# each start, and how many epochs: what dies, dies in the first
STARTS: dict[str, tuple[Start, int]] = {
    "demo": (as_the_demo_starts, 6),
    "PyTorch's": (as_pytorch_starts, 1),
    "layers' own": (as_layers_start, 1),
}


def measure(start: str, seed: int) -> dict[str, list]:
    """The test error and the number of living channels after each epoch of training."""
    prepare, epochs = STARTS[start]
    sys.path.insert(0, str(DEMOS))
    networks = runpy.run_path(str(DEMOS / "lib" / "conv_networks.py"))
    x, x_test = sn.data.mnist("train")[0], sn.data.mnist("test")[0]
    rng, _ = np.random.default_rng(seed).spawn(2)  # as in the demo
    model = networks["udacity"](rng)
    prepare(model, rng)
    found = {"test error, squared error/pixel": [], "living channels": []}

    class Living(sn.Callback):
        def after_epoch(self, run: Any) -> None:
            codes = np.concatenate([model.encode(part) for part in np.split(x_test, 10)])
            found["test error, squared error/pixel"].append(run.record["val_loss"] / 784)
            found["living channels"].append(int(codes.reshape(-1, 4, 49).any(axis=(0, 2)).sum()))
            print(start, seed, *(numbers[-1] for numbers in found.values()), flush=True)

    adam = sn.Adam(1e-3, epsilon=784e-8)
    sn.fit(
        model, x, optimizer=adam, epochs=epochs, batch_size=20, rng=rng, validation=x_test, progress=False,
        callbacks=[Living()],
    )  # fmt: skip
    return found


def measure_dense(start: str, seed: int) -> dict[str, int | float]:
    """Of the 32 numbers of a small code: how many lighten images at the start, and how many of these die."""
    x, x_test = sn.data.mnist("train")[0], sn.data.mnist("test")[0]
    rng = np.random.default_rng(seed)
    code, last = sn.Dense(784, 32, rng=rng), sn.Dense(32, 784, rng=rng)
    model = sn.Autoencoder(sn.Sequential(code, sn.ReLU()), sn.Sequential(last, sn.Sigmoid()))
    asked = 0.5 - x.mean(axis=0)  # how much darker each pixel should be, from outputs of one half
    lightens = last.W @ asked > 0  # so dz > 0, and the number is pushed down
    if start == "mean image":
        lit = np.clip(x.mean(axis=0), 0.005, 0.995)
        last.b[...] = np.log(lit / (1 - lit))
    history = sn.fit(
        model,
        x,
        optimizer=sn.Adam(1e-3),
        epochs=DENSE_EPOCHS,
        batch_size=20,
        rng=rng,
        validation=x_test,
        progress=False,
    )
    dead = ~model.encode(x_test).any(axis=0)
    return {
        "lighten": int(lightens.sum()),
        "dead": int(dead.sum()),
        "dead that lighten": int((dead & lightens).sum()),
        "test error, squared error/pixel": history["val_loss"][-1] / 784,
    }


def by_components_of_blocks() -> dict[str, float]:
    """What the first principal components of blocks of 4 × 4 pixels leave: the linear code of as many channels."""
    train, test = (
        sn.data.mnist(split)[0].reshape(-1, 7, 4, 7, 4).swapaxes(2, 3).reshape(-1, 16) for split in ("train", "test")
    )
    mean = train.mean(axis=0)
    _, components = np.linalg.eigh(np.cov(train.T))
    left = {}
    for channels in (2, 3, 4):
        V = components[:, -channels:]
        left[str(channels)] = np.mean((test - mean - (test - mean) @ V @ V.T) ** 2).item()
    return left


def main() -> None:
    """Measure what is not yet in the file."""
    path = HERE / "living_channels.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    jobs = {
        (start, str(seed)): lambda start=start, seed=seed: measure(start, seed) for start in STARTS for seed in SEEDS
    }
    for start in ("dense", "mean image"):
        jobs |= {(start, str(seed)): lambda start=start, seed=seed: measure_dense(start, seed) for seed in DENSE_SEEDS}
    found["blocks, squared error/pixel"] = by_components_of_blocks()
    for (start, seed), job in jobs.items():
        if seed not in found.setdefault(start, {}):
            found[start][seed] = job()
            with write_whole(path) as file:
                file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    main()
