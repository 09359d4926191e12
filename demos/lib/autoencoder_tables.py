"""The tables of `autoencoder_mnist.py`, and the measures that stand in them."""

import numpy as np

import scratchnet as sn
from lib.autoencoder_networks import BCE, DEEP, MSE
from lib.results import PIXEL, Number

IMAGE, NATS = "squared error/image", "nats/image"
HINTON = {"30, PCA": 13.87, DEEP: 3.00}  # squared error/image, on test images


def grouped(error: dict[str, float], dead, training: Number | None, rebuilt, x_test) -> dict[str, dict[str, Number]]:
    """The results in tables, by the sentence that says what to see in each."""
    small = {name: Number(value, PIXEL, digits=6) for name, value in error.items() if name[:2] == "32"}
    if training:
        small["32, training images"] = training
    deep = {
        f"{name}, per image": Number(value * x_test.shape[1], IMAGE, published=HINTON.get(name))
        for name, value in error.items()
        if name[:2] == "30"
    }
    crossed = {}
    for name in (one for one in (MSE, BCE) if one in rebuilt):
        crossed[f"{name}, cross-entropy"] = Number(nats(rebuilt[name], x_test), NATS)
        crossed[f"{name}, black pixels"] = Number(haze(rebuilt[name], x_test), "mean", digits=4)
    return {
        "What test images lose through 32 numbers: compare with PCA.": small,
        "Numbers of the code that are 0 for every test image: a wider start should keep them alive.": dead,
        "Two losses, by the measure of one of them; and black pixels, which should come back as 0.": crossed,
        "What test images lose through 30 numbers: linear layers can at best be PCA.": deep,
    }


def nats(images: np.ndarray, x: np.ndarray) -> float:
    """The cross-entropy of decoded images, in nats/image."""
    p = np.clip(images.astype(np.float64), 1e-7, 1 - 1e-7)
    return sn.bce(p, x.astype(np.float64))[0]


def haze(images: np.ndarray, x: np.ndarray) -> float:
    """What pixels that are black come back as, on average."""
    return images[x == 0].mean(dtype=np.float64).item()
