"""The networks that `denoising_mnist.py` compares: a published one, and two dense ones beside it."""

from collections.abc import Callable

import numpy as np

import scratchnet as sn

CONV = "convolutional"  # 9,585 parameters, 1,842,880 products an image
DENSE = {"dense, 6 hidden": 6, "dense, 1175 hidden": 1175}  # about as many parameters; about as many products


def build(name: str, corrupt: Callable | None, rng: np.random.Generator) -> sn.Autoencoder:
    """The network of that name, not yet trained."""
    if H := DENSE.get(name):
        down, up = [sn.Dense(784, H, rng=rng), sn.ReLU()], [sn.Dense(H, 784, rng=rng), sn.Sigmoid()]
        return sn.Autoencoder(sn.Sequential(*down), sn.Sequential(*up), corrupt=corrupt)
    down: list[sn.Layer] = [sn.Reshape((1, 28, 28))]
    for a, b in ((1, 32), (32, 16), (16, 8)):  # 28 → 14 → 7 → 3 rows
        down += [sn.Conv2D(a, b, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2)]
    up: list[sn.Layer] = [sn.Reshape((8, 3, 3))]
    for a, b, kernel in ((8, 8, 3), (8, 16, 2), (16, 32, 2)):  # 3 → 7 → 14 → 28 rows
        up += [sn.ConvTranspose2D(a, b, kernel, stride=2, rng=rng), sn.ReLU()]
    up += [sn.Conv2D(32, 1, 3, padding=1, rng=rng), sn.Sigmoid(), sn.Flatten()]
    return sn.Autoencoder(sn.Sequential(*down, sn.Flatten()), sn.Sequential(*up), corrupt=corrupt)
