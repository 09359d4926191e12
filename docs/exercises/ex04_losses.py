"""Chapter 04, Losses: docs/04-activations-and-losses.md."""

import numpy as np


def mse(y, target):
    """L = (1/N) Σₙ Σᵢ (yₙᵢ − tₙᵢ)², and dy = ∂L/∂y.

    y and target (N, D); returns the number L and dy (N, D).

    ★ · 10 minutes · docs/04-activations-and-losses.md#squared-error
    """
    raise NotImplementedError("TODO: return the loss and dy")


def bce_with_logits(logits, target):
    """L = (1/N) Σₙ Σᵢ −t log p − (1 − t) log(1 − p) with p = σ(l), in nats per example, and dlogits = ∂L/∂l.

    logits and target (N, D), target in [0, 1]; returns the number L and dlogits (N, D). A wrong logit of 10,000 must
    cost 10,000 nats, and not ∞.

    ★★★ · 30 minutes · docs/04-activations-and-losses.md#cross-entropy-of-logits
    """
    raise NotImplementedError("TODO: return the loss, in a form that does not overflow, and dlogits")


def softmax_cross_entropy(logits, labels):
    """L = (1/N) Σₙ −log pₙ[labelₙ] with p = softmax(l) = e^l / Σⱼ e^lⱼ, in nats per example, and dlogits = ∂L/∂l.

    logits (N, C), labels (N,) integers from 0 to C − 1; returns the number L and dlogits (N, C). Logits of ±1000 must
    not overflow: a number that is added to all logits of a row changes nothing.

    ★★★ · 30 minutes · docs/04-activations-and-losses.md#cross-entropy-of-classes
    """
    raise NotImplementedError("TODO: return the loss and dlogits")
