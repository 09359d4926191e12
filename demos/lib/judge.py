"""A judge of images: a classifier of digits that may also say that an image is none."""

import math
from typing import Any

import numpy as np

import scratchnet as sn
from lib.results import Number
from scratchnet.core.layer import without_dx

PASSES = 0.95  # share of real test digits that are digit-like by definition


class Judge(sn.Classifier):
    """A classifier whose ten logits are each for one digit against everything else.

    Half of what it sees in training are non-digits made of the batch's own images, all ten targets 0: a judge that
    knows digits only is sure of anything.
    """

    unit = "nats/image"

    def __init__(self, network: sn.Layer):
        super().__init__(network)
        self.least = 0.5  # the confidence from which an image is digit-like

    def loss(self, batch: tuple[np.ndarray, np.ndarray], rng: Any = None) -> sn.Loss:
        """The cross-entropy of the ten, each a yes or no, in place of the softmax's."""
        x, labels = batch
        others = np.concatenate([torn(x[::2], rng), overlaid(x[1::2], rng)])
        logits, network_backward = self.network.forward(np.concatenate([x, others]))
        target = np.zeros_like(logits)
        target[np.arange(len(x)), labels] = 1  # and no 1 in the rows of the others
        value, dlogits = sn.bce_with_logits(logits, target)
        accuracy = np.mean(logits[: len(x)].argmax(axis=1) == labels)
        return sn.Loss(
            value,
            {"cross-entropy": value},
            lambda: without_dx(self.network, network_backward)(dlogits),
            {"accuracy": accuracy},
        )

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Of each digit against everything else: the ten do not sum to 1."""
        return sn.kernels.sigmoid(self.network.forward(x)[0])

    def confidence(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The largest of the ten probabilities (N,), and the digit that has it."""
        p = self.probabilities(images)
        return p.max(axis=1), p.argmax(axis=1)

    def calibrate(self, digits: np.ndarray) -> None:
        """Be as strict as lets the share PASSES of real digits pass."""
        self.least = np.quantile(self.confidence(digits)[0], 1 - PASSES).item()

    def passes(self, images: np.ndarray) -> np.ndarray:
        """Which images are digit-like."""
        return self.confidence(images)[0] >= self.least

    def kinds(self, images: np.ndarray) -> float:
        """How many digits the digit-like ones are spread over: e to the entropy of their digits, from 1 to 10, or 0."""
        _, digits = self.confidence(images[self.passes(images)])
        p = np.bincount(digits) / max(1, len(digits))
        return math.exp(-np.sum(p[p > 0] * np.log(p[p > 0]))) if len(digits) else 0.0

    def record(self, x: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> dict[str, Number]:
        """How good it is on test images, and on what is made of them; it has never seen the mean of two."""
        others = {
            "torn": torn(x, rng),
            "overlaid": overlaid(x, rng),
            "mean of two": (x + x[rng.permutation(len(x))]) / 2,
        }
        shares = {"judge names the digit": np.array(self.accuracy((x, labels)))}
        shares |= {f"judge passes {name}": self.passes(images) for name, images in others.items()}
        return {name: Number(100 * np.mean(share).item(), "%", digits=1) for name, share in shares.items()}


def torn(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image cut into 4 × 4 pieces, and these put together in another order."""
    side = math.isqrt(x.shape[1]) // 4
    pieces = x.reshape(-1, 4, side, 4, side).swapaxes(2, 3).reshape(-1, 16, side, side)
    order = rng.permuted(np.tile(np.arange(16), (len(x), 1)), axis=1)
    pieces = np.take_along_axis(pieces, order[:, :, None, None], axis=1)
    return pieces.reshape(-1, 4, 4, side, side).swapaxes(2, 3).reshape(x.shape)


def overlaid(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image with another one drawn over it."""
    return np.maximum(x, x[rng.permutation(len(x))])
