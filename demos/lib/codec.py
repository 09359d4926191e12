"""Images as bits: rounded codes, what each symbol costs, and which choices of code and step are worth having."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import scratchnet as sn
from lib.measures import in_parts, principal_components, squared_error

Curve = tuple[np.ndarray, np.ndarray]  # bits/pixel, and squared error/pixel there


@dataclass(frozen=True)
class Codec:
    """A way from images to a code and back; both its ends know the codes of the training images."""

    encode: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    training: np.ndarray  # codes (N, L)
    gains: np.ndarray  # (L,), how far the image moves when a number of its code moves by 1
    weights: int  # numbers that the decoder is made of

    def at(self, step: float) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """At this step: codes z (N, L) → bits per pixel, and the images decoded from what is sent."""
        steps = (step / self.gains).astype(self.training.dtype)
        low, prices = price_list(np.rint(self.training / steps))

        def send(z: np.ndarray) -> tuple[float, np.ndarray]:
            symbols, bits = charged(np.rint(z / steps), low, prices)
            images = self.decode(symbols * steps)
            return bits.mean().item() / images.shape[1], images

        return send


def by_components(x: np.ndarray, L: int) -> Codec:
    """The first L principal components; an orthogonal decoder moves the image as far as the code moves."""
    mean, components = principal_components(x)
    V = components[:, :L]

    def encode(x: np.ndarray) -> np.ndarray:
        return (x - mean) @ V

    def decode(z: np.ndarray) -> np.ndarray:
        return np.clip(z @ V.T + mean, 0, 1)

    return Codec(encode, decode, encode(x), np.ones(L), V.size + mean.size)


def by_network(model: sn.Autoencoder, x: np.ndarray) -> Codec:
    """A trained autoencoder. The gain of each number is measured: it is moved, and the images are compared."""

    def encode(x: np.ndarray) -> np.ndarray:
        return in_parts(model.encode, x)

    def decode(z: np.ndarray) -> np.ndarray:
        return in_parts(model.decode, z)

    codes = encode(x)
    z, moves = codes[:500], codes.std(axis=0)
    here = decode(z)
    moved = [np.sum((decode(z + move) - here) ** 2, axis=1).mean() for move in np.diag(moves)]
    weights = sum(W.size for name, W in model.parameters.named().items() if name.startswith("decoder"))
    return Codec(encode, decode, codes, np.sqrt(moved) / moves, weights)


def price_list(symbols: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """From training symbols (N, L): the lowest of each number (L,), and the bits of that one and of those above it.

    Each counts ½ more than it came, so that one which never came between others is dear, but not infinitely so.
    """
    low, prices = symbols.min(axis=0), []
    for column, least in zip(symbols.T, low, strict=True):
        counts = np.bincount((column - least).astype(int)) + 0.5
        prices.append(-np.log2(counts / counts.sum()))
    return low, prices


def charged(symbols: np.ndarray, low: np.ndarray, prices: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What is sent for symbols (N, L), the nearest that has a price, and the bits (N,)."""
    high = low + np.array([len(price) - 1 for price in prices], low.dtype)
    symbols = np.clip(symbols, low, high)
    bits = [price[column] for price, column in zip(prices, (symbols - low).astype(int).T, strict=True)]
    return symbols, np.sum(bits, axis=0)


def measured(codec: Codec, steps: np.ndarray, x_val: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """For each step, a row: the step, bits/pixel and squared error/pixel of validation images, those of test images."""
    z_val, z_test = codec.encode(x_val), codec.encode(x_test)
    rows = []
    for step in steps:
        send = codec.at(step)
        (rate_val, val), (rate_test, test) = send(z_val), send(z_test)
        rows.append([step, rate_val, squared_error(val, x_val), rate_test, squared_error(test, x_test)])
    return np.array(rows)


def best_choices(found: list[np.ndarray], mean_val: float, mean_test: float) -> Curve:
    """On test images, the codes and steps that no other, and no mixture of two others, beats on validation images.

    A mixture takes some images one way and the others another, so what lies on a line between two choices can be had
    too. To send nothing and show the mean image is a choice.
    """
    choices = np.concatenate([[[0, 0, mean_val, 0, mean_test]], *found])
    choices = choices[np.lexsort((choices[:, 2], choices[:, 1]))]
    hull: list[np.ndarray] = []
    for choice in choices[: choices[:, 2].argmin() + 1]:
        while len(hull) > 1 and slope(hull[-2], hull[-1]) >= slope(hull[-1], choice):
            hull.pop()
        hull.append(choice)
    _, _, _, rates, errors = np.array(hull).T
    return rates, errors


def slope(a: np.ndarray, b: np.ndarray) -> float:
    """How the validation error changes with the rate, from choice a to choice b."""
    return (b[2] - a[2]) / (b[1] - a[1])


def quality_at(rates: np.ndarray | float, curve: Curve) -> np.ndarray:
    """The PSNR in dB at these rates in bits/pixel; between two choices of the curve, of their mixture."""
    return -10 * np.log10(np.interp(rates, *curve))


def psnr(error: float) -> float:
    """In dB, of pixels that reach up to 1: 10 log₁₀ 1/error."""
    return -10 * math.log10(error)


def zlib_rate(x: np.ndarray) -> float:
    """Bits per pixel of images packed together by zlib, without loss."""
    pixels = (x * 255).round().astype(np.uint8)
    return 8 * len(zlib.compress(pixels.tobytes(), 9)) / pixels.size
