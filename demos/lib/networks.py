"""Networks that several demos have, and a start for ReLU."""

import itertools
import math

import numpy as np

import scratchnet as sn


def perceptron(*widths: int, rng: np.random.Generator) -> sn.Sequential:
    """Dense layers of these widths, from the first to the last, with ReLU between them."""
    layers: list[sn.Layer] = []
    for a, b in itertools.pairwise(widths):
        layers += [sn.Dense(a, b, rng=rng), sn.ReLU()]
    return sn.Sequential(*layers[:-1])


def conv_encoder(D: int, C: int, n_out: int, *, rng: np.random.Generator) -> sn.Sequential:
    """Rows of D pixels through two convolutions that halve the image, into C and 2C channels, to n_out numbers."""
    side = math.isqrt(D) // 4
    return sn.Sequential(
        sn.Reshape((1, 4 * side, 4 * side)),
        sn.Conv2D(1, C, 4, stride=2, padding=1, rng=rng),
        sn.ReLU(),
        sn.Conv2D(C, 2 * C, 4, stride=2, padding=1, rng=rng),
        sn.ReLU(),
        sn.Flatten(),
        sn.Dense(2 * C * side**2, n_out, rng=rng),
    )


def conv_decoder(n_in: int, C: int, D: int, *, rng: np.random.Generator) -> sn.Sequential:
    """The mirror of `conv_encoder`: n_in numbers through two transposed convolutions to rows of D pixels."""
    side = math.isqrt(D) // 4
    return sn.Sequential(
        sn.Dense(n_in, 2 * C * side**2, rng=rng),
        sn.Reshape((2 * C, side, side)),
        sn.ConvTranspose2D(2 * C, C, 4, stride=2, padding=1, rng=rng),
        sn.ReLU(),
        sn.ConvTranspose2D(C, 1, 4, stride=2, padding=1, rng=rng),
        sn.Flatten(),
    )


def started_for_relu(*layers: sn.Layer) -> sn.Sequential:
    """The layers in a row; weights before a ReLU start √6 times as wide, of variance 2/n_in and not 1/(3 n_in).

    ReLU drops half of a signal's mean square. With this start it keeps its size (He et al. 2015).
    """
    for layer, bend in itertools.pairwise(layers):
        if isinstance(layer, sn.Dense | sn.Conv2D | sn.ConvTranspose2D) and isinstance(bend, sn.ReLU):
            layer.W *= math.sqrt(6)
    return sn.Sequential(*layers)
