"""Chapter 07, The autoencoder: docs/07-autoencoder.md."""

import scratchnet as sn


class Autoencoder:
    """R = (1/N) Σₙ ‖g(f(xₙ)) − xₙ‖², with the encoder f and the decoder g.

    x, y (N, D); z (N, L). Each layer has forward(x) → y, backward, and sn.mse(y, x) → R, dy is there to be used. The
    loss's backward pass takes nothing and returns nothing: it only calls those of the decoder and the encoder.

    ★★ · 15 minutes · docs/07-autoencoder.md#the-loss-and-its-backward-pass
    """

    def __init__(self, encoder, decoder):
        self.encoder, self.decoder = encoder, decoder
        self.parameters = sn.Parameters(encoder=encoder, decoder=decoder)

    def loss(self, x):  # x (N, D)
        z, encoder_backward = self.encoder.forward(x)
        y, decoder_backward = self.decoder.forward(z)
        value, dy = sn.mse(y, x)

        def backward():
            dz = decoder_backward(dy)
            encoder_backward(dz)

        return sn.Loss(value, {"reconstruction": value}, backward)


class Denoiser(Autoencoder):
    """R = (1/N) Σₙ ‖g(f(x̃ₙ)) − xₙ‖², where x̃ is a corrupted copy of x.

    x, seen, y (N, D); corrupt(x, rng) → x̃ makes the copy.

    ★ · 10 minutes · docs/07-autoencoder.md#the-denoisers-clean-target
    """

    def __init__(self, encoder, decoder, corrupt):
        super().__init__(encoder, decoder)
        self.corrupt = corrupt

    def loss(self, x, rng):  # x (N, D)
        seen = self.corrupt(x, rng)
        z, encoder_backward = self.encoder.forward(seen)
        y, decoder_backward = self.decoder.forward(z)
        value, dy = sn.mse(y, x)

        def backward():
            encoder_backward(decoder_backward(dy))

        return sn.Loss(value, {"reconstruction": value}, backward)


def two_layers(x, U, V):
    """R = (1/N) ‖x U V − x‖², with dU = ∂R/∂U and dV = ∂R/∂V.

    x (N, D), U (D, L), V (L, D); returns the number R, dU (D, L) and dV (L, D). Write it without layers.

    ★★★ · 25 minutes · docs/07-autoencoder.md#two-dense-layers-in-full
    """
    z = x @ U
    y = z @ V
    dy = 2 * (y - x) / len(x)
    return ((y - x) ** 2).sum() / len(x), x.T @ dy @ V.T, z.T @ dy


def shrinkage(variance, tau):
    """The best w for y = w x̃, where x is from N(0, λ) and x̃ is x with noise from N(0, τ²): the least E[(x − w x̃)²].

    variance is λ, tau is τ; returns the number w.

    ★ · 10 minutes · docs/07-autoencoder.md#the-denoisers-clean-target
    """
    return variance / (variance + tau**2)
