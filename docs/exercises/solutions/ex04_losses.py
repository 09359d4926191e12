"""Chapter 04, Losses: docs/04-activations-and-losses.md."""

import numpy as np


def mse(y, target):
    """L = (1/N) Σₙ Σᵢ (yₙᵢ − tₙᵢ)², and dy = ∂L/∂y.

    y and target (N, D); returns the number L and dy (N, D).

    ★ · 10 minutes · docs/04-activations-and-losses.md#squared-error
    """
    N = len(y)
    return ((y - target) ** 2).sum() / N, 2 * (y - target) / N


def bce_with_logits(logits, target):
    """L = (1/N) Σₙ Σᵢ −t log p − (1 − t) log(1 − p) with p = σ(l), in nats per example, and dlogits = ∂L/∂l.

    logits and target (N, D), target in [0, 1]; returns the number L and dlogits (N, D). A wrong logit of 10,000 must
    cost 10,000 nats, and not ∞.

    ★★★ · 30 minutes · docs/04-activations-and-losses.md#cross-entropy-of-logits
    """
    N = len(logits)
    size = np.where(logits > 0, logits, -logits)
    e = np.exp(-size)
    p = np.where(logits > 0, 1, e) / (1 + e)
    return (np.maximum(logits, 0) - logits * target + np.log1p(e)).sum() / N, (p - target) / N


def softmax_cross_entropy(logits, labels):
    """L = (1/N) Σₙ −log pₙ[labelₙ] with p = softmax(l) = e^l / Σⱼ e^lⱼ, in nats per example, and dlogits = ∂L/∂l.

    logits (N, C), labels (N,) integers from 0 to C − 1; returns the number L and dlogits (N, C). Logits of ±1000 must
    not overflow: a number that is added to all logits of a row changes nothing.

    ★★★ · 30 minutes · docs/04-activations-and-losses.md#cross-entropy-of-classes
    """
    N, rows = len(logits), np.arange(len(logits))
    below = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(below).sum(axis=1, keepdims=True)
    dlogits = np.exp(below) / total
    dlogits[rows, labels] -= 1
    return (np.log(total[:, 0]) - below[rows, labels]).sum() / N, dlogits / N
