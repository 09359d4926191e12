"""What the models of images share: an encoder, a decoder, their parameters, and one loss with its backward pass."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from scratchnet import checks
from scratchnet.arrays import Array
from scratchnet.core.layer import Layer
from scratchnet.core.parameters import Parameters
from scratchnet.core.sequential import Sequential
from scratchnet.errors import ShapeError


@dataclass(frozen=True)
class Loss:
    """A model's loss on one batch: its value, the terms that it is made of, and its backward pass.

    Names of terms and metrics are unique, not "loss", "epoch" or "seconds", and do not begin with `val_`.

    Examples
    --------
    >>> import scratchnet as sn
    >>> sn.Loss(2.5, {"reconstruction": 2.0, "kl": 0.5}, backward=lambda: None, metrics={"brightness": 0.1})
    Loss(value=2.5, terms={'reconstruction': 2.0, 'kl': 0.5}, metrics={'brightness': 0.1})
    """

    value: float  # what is minimised, per example
    terms: dict[str, float]  # what the value is made of, by name, each per example and unweighted
    backward: Callable[[], None] = field(repr=False)  # adds ∂value/∂θ to the model's dθ
    metrics: dict[str, float] = field(default_factory=dict)  # other numbers, averaged and recorded like the terms

    def __post_init__(self) -> None:
        checks.check_type("Loss", "backward", self.backward, Callable, "a function")
        for kind in ("terms", "metrics"):
            vars(self)[kind] = checks.check_numbers("Loss", kind, getattr(self, kind))  # the dataclass is frozen
        vars(self).update(checks.check_numbers("Loss", "the loss", {"value": self.value}))
        names = ["loss", "epoch", "seconds", *self.terms, *self.metrics]
        if taken := [name for name in names if names.count(name) > 1 or name.startswith("val_")]:
            why = "names are unique, and val_ begins those of the validation"
            raise ValueError(f"Loss expects names that a record does not have yet, got {taken[0]!r}: {why}.")


class Model(ABC):
    """An encoder from images to codes and a decoder back, with their parameters."""

    unit: str  # of the loss and its terms
    pixels_are_probabilities: bool  # whether the loss is a cross-entropy, which needs pixels in [0, 1]
    term = "reconstruction"  # the term that compares the decoder's output with x; an error message names it

    def __init__(self, encoder: Layer, decoder: Layer):
        for name, layer in {"the encoder": encoder, "the decoder": decoder}.items():
            checks.check_type(type(self).__name__, name, layer, Layer, "a layer")
        self.encoder, self.decoder = encoder, decoder
        self.parameters = Parameters(encoder=encoder, decoder=decoder)
        self.dtype = self.parameters.theta.dtype  # the float type that the model computes in

    @abstractmethod
    def loss(self, x: Array, rng: np.random.Generator | None = None) -> Loss:
        """The loss on a batch x (N, D), with its backward pass."""

    @abstractmethod
    def codes(self, x: Array) -> Array:
        """The codes z (N, L) of images x (N, D): the points of the latent space that stand for them."""

    @abstractmethod
    def images(self, y: Array) -> Array:
        """The images, in [0, 1], that the decoder's output y stands for."""

    @abstractmethod
    def trace(self, x: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
        """Run forward on x and yield (name, output) layer by layer, to find the first that is not finite."""

    def decode(self, z: Array) -> Array:
        """The images (N, D), in [0, 1], of codes z (N, L)."""
        where = f"{type(self).__name__}.decode"
        checks.check_rows(where, "z", z, self.decoder.n_in, self.dtype)
        checks.check_finite(where, "z", z)
        y, _ = self.decoder.forward(z)
        return self.images(y)

    def reconstruct(self, x: Array) -> Array:
        """Each image x (N, D) encoded and decoded again."""
        return self.decode(self.codes(x))

    def interpolate(self, a: Array, b: Array, steps: int) -> Array:
        """`steps` images on the straight line through the latent space from image a (D,) to b (D,), ends included."""
        where = f"{type(self).__name__}.interpolate"
        t = np.linspace(0, 1, checks.check_count(where, "steps", steps), dtype=self.dtype)[:, None]  # (steps, 1)
        ends = []
        for name, image in (("a", a), ("b", b)):
            row = np.reshape(image, (1, -1)) if np.ndim(image) < 2 else image
            checks.check_rows(where, name, row, self.encoder.n_in, self.dtype)
            if len(row) != 1:
                raise ShapeError(f"{where} expects {name} to be one image, got {len(row)}.")
            ends.append(self.codes(row))
        return self.decode((1 - t) * ends[0] + t * ends[1])

    def check_decoded(self, y: Array, x: Array) -> None:
        """The decoder's output y fits the images x."""
        checks.check_shape(type(self).__name__, "the decoder's output", y, *x.shape, hint=", unlike x")

    def check_range(self, where: str, x: Array, *others: Array, name: str = "x") -> None:
        """The images x are finite, and in [0, 1] if the loss needs that; `others` are what came with x in a tuple."""
        (checks.check_pixels if self.pixels_are_probabilities else checks.check_finite)(where, name, x)

    def _check_images(self, x: Array) -> None:
        checks.check_rows(type(self).__name__, "x", x, self.encoder.n_in, self.dtype)
        checks.check_batch(type(self).__name__, x)


def trace_layers(name: str, layer: Layer, x: Array, output: str = "") -> Iterator[tuple[str, Array]]:
    """(name, output) of each layer in turn, from the input x; `output` is added to the last name."""
    if not isinstance(layer, Sequential):  # whatever it is made of
        yield f"{name}, {layer!r}{output}", layer.forward(x)[0]
        return
    for i, child in enumerate(layer.layers, 1):
        for path, y in trace_layers(f"{name}.{i - 1}", child, x, output if i == len(layer.layers) else ""):
            yield path, (x := y)
