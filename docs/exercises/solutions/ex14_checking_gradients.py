"""Chapter 14, Checking gradients: docs/14-checking-gradients.md."""

import numpy as np


def central_difference(f, x, h):
    """f′(x) ≈ (f(x + h) − f(x − h)) / 2h.

    f is a function of a number; returns a number.

    ★ · 5 minutes · docs/14-checking-gradients.md#differences-and-their-v
    """
    return (f(x + h) - f(x - h)) / (2 * h)


def complex_step(f, x, h=1e-20):
    """f′(x) ≈ Im f(x + ih) / h.

    f is an analytic function of a number; returns a number, with all its digits.

    ★ · 5 minutes · docs/14-checking-gradients.md#the-complex-step
    """
    return f(x + 1j * h).imag / h


def numerical_dx(f, x, dy, h=1e-5):
    """dxᵢ ≈ (L(x + h eᵢ) − L(x − h eᵢ)) / 2h with L = Σ dy ⊙ f(x), where eᵢ is 1 at one place and 0 elsewhere.

    f takes x (N, D) and returns y in the shape of dy; returns dx (N, D). Leave x as it was.

    ★★ · 20 minutes · docs/14-checking-gradients.md#one-number-to-differentiate
    """
    dx = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[place] = h
        dx[place] = (dy * (f(x + e) - f(x - e))).sum() / (2 * h)
    return dx


def gradient_error(layer, x, rng, h=1e-5):
    """max |dx − slopes| / max |slopes|, where dx is what the layer's backward pass makes of a random dy.

    layer.forward(x) → y, backward; x (N, D); returns a number, which is below 1e-6 for a right backward pass. A dy of
    ones is not random: the outputs of a softmax have the sum 1, whatever x is.

    ★★★ · 30 minutes · docs/14-checking-gradients.md#one-number-to-differentiate
    """
    y, backward = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    slopes = numerical_dx(lambda x: layer.forward(x)[0], x, dy, h)
    return np.abs(backward(dy) - slopes).max() / np.abs(slopes).max()
