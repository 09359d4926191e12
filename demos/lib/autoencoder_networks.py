"""The networks that `autoencoder_mnist.py` compares, and how each is trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import scratchnet as sn
from lib.networks import perceptron, started_for_relu
from scratchnet.core.optim import Schedule

SMALL, MSE, BCE = "32, small start", "32, by squared error", "32, by cross-entropy"
PCA, PARTS = "32, PCA", "32, matrix factorisation"
LINEAR, SHALLOW, DEEP = "30, linear", "30, shallow", "30, deep"
PEAK, DEEP_BATCH = 1e-3, 128  # Adam's learning rate; with 30 numbers it falls from there to 0, in steps of 128 images


@dataclass(frozen=True)
class Task:
    """A network, and how it is trained."""

    model: sn.Autoencoder
    epochs: int
    batch_size: int
    learning_rate: float | Schedule


def tasks(arguments, x: np.ndarray, rng: np.random.Generator) -> dict[str, Task]:
    """The networks by name, in the order of their training."""
    D = x.shape[1]
    relu, sigmoid = [sn.ReLU()], [sn.Sigmoid()]
    simple = {
        SMALL: autoencoder((D, 32), rng, code=relu, pixels=sigmoid, start=sn.Sequential),
        MSE: autoencoder((D, 32), rng, code=relu, pixels=sigmoid),
        BCE: autoencoder((D, 32), rng, code=relu, loss=sn.bce_with_logits),
    }
    deep = {
        LINEAR: autoencoder((D, 30), rng),
        SHALLOW: autoencoder((D, 1000, 30), rng, pixels=sigmoid),
        DEEP: autoencoder((D, 1000, 500, 250, 30), rng, pixels=sigmoid),
    }
    fall = sn.schedules.cosine(PEAK, arguments.deep_epochs * math.ceil(len(x) / DEEP_BATCH))
    return {name: Task(model, arguments.epochs, arguments.batch_size, PEAK) for name, model in simple.items()} | {
        name: Task(model, arguments.deep_epochs, DEEP_BATCH, fall) for name, model in deep.items()
    }


def autoencoder(
    widths: tuple[int, ...], rng: np.random.Generator, *, code=(), pixels=(), loss=sn.mse, start=started_for_relu
) -> sn.Autoencoder:
    """Dense layers of these widths down to the code and back up, a ReLU between any two."""

    def stack(widths: tuple[int, ...], last: Sequence[sn.Layer]) -> sn.Sequential:
        return start(*perceptron(*widths, rng=rng).layers, *last)

    return sn.Autoencoder(stack(widths, code), stack(widths[::-1], pixels), loss=loss)
