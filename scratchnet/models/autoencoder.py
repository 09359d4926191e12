"""The autoencoder: copy the input through a bottleneck, so that the bottleneck must learn what the data is made of."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array, LossFunction
from scratchnet.checks import check_returned, check_rng, check_same, check_type
from scratchnet.core.layer import Layer, without_dx
from scratchnet.core.losses import bce, bce_with_logits, mse
from scratchnet.core.model import Loss, Model, trace_layers

Corruption = Callable[[Array, np.random.Generator], Array]  # (x, rng) → a noisy copy of x

_UNITS: dict[LossFunction, str] = {mse: "squared error/image", bce: "nats/image", bce_with_logits: "nats/image"}


class Autoencoder(Model):
    """x̂ = decoder(encoder(x)), trained so that x̂ is like x.

    Derivation: docs/07-autoencoder.md, docs/08-pca.md, docs/09-denoising.md. Hinton & Salakhutdinov, Reducing the
    Dimensionality of Data with Neural Networks, 2006; Vincent et al., Extracting and Composing Robust Features with
    Denoising Autoencoders, 2008.

    Parameters
    ----------
    encoder, decoder : Layer
        Rows (N, D) to codes (N, L), and codes to rows.
    loss : function
        (y, target) → value, dy. The decoder's output y is pixels for `mse` or a loss of your own, probabilities for
        `bce`, logits for `bce_with_logits`.
    corrupt : function, optional
        (x, rng) → a noisy copy of x, such as `corruption.GaussianNoise(0.5)`. The encoder gets that copy and the loss
        compares with the clean x: a denoising autoencoder.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    >>> x = np.ones((3, 4), np.float32)
    >>> ae.encode(x).shape, ae.reconstruct(x).shape, ae.unit
    ((3, 2), (3, 4), 'squared error/image')
    >>> ae.loss(x).backward()
    >>> bool(np.any(ae.parameters.dtheta))
    True
    """

    def __init__(self, encoder: Layer, decoder: Layer, loss: LossFunction = mse, corrupt: Corruption | None = None):
        check_type("Autoencoder", "loss", loss, Callable, "a function such as sn.mse")
        if corrupt is not None:
            check_type("Autoencoder", "corrupt", corrupt, Callable, "a function")
        self.reconstruction_loss, self.corrupt = loss, corrupt
        self.unit = _UNITS.get(loss, "loss/image")
        self.pixels_are_probabilities = loss in (bce, bce_with_logits)
        self._gives_logits = loss is bce_with_logits  # otherwise the decoder gives pixels
        super().__init__(encoder, decoder)

    def loss(self, x: Array, rng: np.random.Generator | None = None) -> Loss:
        """The reconstruction loss on a batch x (N, D); `rng` is needed if x is to be corrupted."""
        self._check_images(x)
        seen = self._corrupted(x, rng)  # x̃ (N, D)
        z, encoder_backward = self.encoder.forward(seen)  # z (N, L)
        y, decoder_backward = self.decoder.forward(z)  # y (N, D)
        self.check_decoded(y, x)
        reconstruction, dy = check_returned("Autoencoder", "loss", self.reconstruction_loss(y, x))

        def backward() -> None:
            dz = decoder_backward(dy)
            without_dx(self.encoder, encoder_backward)(dz)

        return Loss(reconstruction, {"reconstruction": reconstruction}, backward)

    def encode(self, x: Array) -> Array:
        """Codes z (N, L) of images x (N, D)."""
        self._check_images(x)
        self.check_range("Autoencoder.encode", x)
        return self.encoder.forward(x)[0]

    def codes(self, x: Array) -> Array:
        return self.encode(x)

    def images(self, y: Array) -> Array:
        return kernels.sigmoid(y) if self._gives_logits else np.clip(y, 0, 1)

    def trace(self, x: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
        seen = self._corrupted(x, rng)
        yield "the corrupted x", seen
        yield from trace_layers("encoder", self.encoder, seen)
        z, _ = self.encoder.forward(seen)
        yield from trace_layers("decoder", self.decoder, z, ", the logits" if self._gives_logits else "")

    def _corrupted(self, x: Array, rng: np.random.Generator | None) -> Array:
        if self.corrupt is None:
            return x
        seen = self.corrupt(x, check_rng("Autoencoder.loss, which corrupts x,", rng))
        check_same("Autoencoder", "what corrupt returns", seen, "x", x)
        return seen

    def __repr__(self) -> str:
        how = getattr(self.reconstruction_loss, "__name__", repr(self.reconstruction_loss))
        noise = "" if self.corrupt is None else f", corrupted by {self.corrupt!r}"
        return f"Autoencoder({self.encoder!r}, {self.decoder!r}, {self.parameters!r}, {how} in {self.unit}{noise})"
