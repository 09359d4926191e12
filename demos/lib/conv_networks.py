"""Two published convolutional autoencoders of MNIST, and how they were trained."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import scratchnet as sn
from lib.networks import started_for_relu

CODE, LIT = 4, 0.1307  # where Udacity's codes start; the mean of MNIST's training pixels


class Affine(sn.Layer):
    """y = a x + b with fixed numbers a and b: from one range of pixels to another."""

    def __init__(self, a: float, b: float):
        self.a, self.b = a, b

    def forward(self, x):
        """Compute y from x, and return it with its backward function."""
        y = self.a * x + self.b  # y = a x + b

        def backward(dy):
            return self.a * dy  # dx = a dy

        return y, backward


def udacity(rng: np.random.Generator) -> sn.Autoencoder:
    """Convolutions 1-16-4, each with a max-pooling, to 4 × 7 × 7 numbers, and transposed ones 4-16-1 back.

    The publication does not fix the start, and it decides how many of the code's four channels live (chapter 07).
    """
    down = [sn.Conv2D(1, 16, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2)]
    down += [code := sn.Conv2D(16, 4, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2)]
    up = [sn.ConvTranspose2D(4, 16, 2, stride=2, rng=rng), sn.ReLU()]
    up += [last := sn.ConvTranspose2D(16, 1, 2, stride=2, rng=rng), sn.Sigmoid()]
    encoder = started_for_relu(sn.Reshape((1, 28, 28)), *down, sn.Flatten())
    decoder = started_for_relu(sn.Reshape((4, 7, 7)), *up, sn.Flatten())
    code.b[...] = CODE  # far from the bend: at first all codes are linear in what they see
    last.W[...] = -np.abs(last.W)  # what is drawn darkens: the background, most of an image, wants it to live
    logits, _ = sn.Sequential(*up[:-1]).forward(np.full((1, 4, 7, 7), CODE, np.float32))
    last.b[...] = np.log(LIT / (1 - LIT)) - logits.mean()  # and what is drawn is dark from the start
    return sn.Autoencoder(encoder, decoder)


def dl4g(rng: np.random.Generator) -> sn.Autoencoder:
    """Convolutions 1-64-128 at stride 2, dense to 10 numbers, and all mirrored; inside, pixels lie in [−1, 1]."""
    how = {"stride": 2, "padding": 1, "rng": rng}
    down = [sn.Conv2D(1, 64, 4, **how), sn.ReLU(), sn.Conv2D(64, 128, 4, **how), sn.ReLU()]
    up = [sn.ConvTranspose2D(128, 64, 4, **how), sn.ReLU(), sn.ConvTranspose2D(64, 1, 4, **how), sn.Tanh()]
    rows = 128 * 7 * 7
    return sn.Autoencoder(
        sn.Sequential(Affine(2, -1), sn.Reshape((1, 28, 28)), *down, sn.Flatten(), sn.Dense(rows, 10, rng=rng)),
        sn.Sequential(sn.Dense(10, rows, rng=rng), sn.Reshape((128, 7, 7)), *up, sn.Flatten(), Affine(0.5, 0.5)),
    )


@dataclass(frozen=True)
class Published:
    """A network, how it was trained, and what came of it."""

    build: Callable[[np.random.Generator], sn.Autoencoder]
    parameters: int
    epochs: int
    default_epochs: int
    batch_size: int
    scale: float  # our loss over the published one
    error: float  # after all epochs
    on: str  # these images
    spread: float  # how far one seed's result may lie from another's
    pytorch: tuple[float, ...]  # the error on test images after 1, 2, … epochs of the same network in PyTorch
    weight_decay: float = 0.0
    start: str = "those of our layers."


NETWORKS = {
    # printed as 0.1652, which is times the batch of 20: the mean over the 30th epoch
    "udacity": Published(
        udacity,
        1_077,
        30,
        12,
        20,
        784,
        0.0083,
        "training",
        0.0006,
        (0.0138, 0.0121, 0.0107, 0.01, 0.0097, 0.00945),
        start="our own, since none is published: with PyTorch's or our layers' own, some seeds lose part of the code.",
    ),
    # printed as 0.0481 for pixels in [−1, 1], whose differences are twice as large, so their squares four times
    "dl4g": Published(
        dl4g, 396_171, 50, 4, 128, 784 / 4, 0.012, "test", 0.0003, (0.0192, 0.0166, 0.0153, 0.0147), weight_decay=1e-5
    ),
}
