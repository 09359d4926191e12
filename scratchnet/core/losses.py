"""Losses: each returns its value and its derivative with respect to y.

A loss sums over the features of an example and takes the mean over the batch. The 1/N of that mean is in `batch_mean`
and nowhere else in this library: layers and optimizers know nothing of the batch size.
"""

import cmath
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_alike, check_batch, check_floats, check_labels, check_pixels, describe
from scratchnet.errors import DataError, ShapeError


def mse(y: Array, target: Array) -> tuple[float, Array]:
    """(1/N) Σₙ Σᵢ (y − target)², in squared units per example, and dy = 2 (y − target) / N.

    y and target are (N, …). Many libraries take the mean over the features too: their value times the number of
    features is this one. Derivation: docs/04-activations-and-losses.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> sn.mse(np.array([[3.0, 1.0]]), np.array([[1.0, 0.0]]))      # 2² + 1²
    (5.0, array([[4., 2.]]))
    """
    check_alike("mse", y=y, target=target)
    return batch_mean(*kernels.squared_error(y, target))


def bce(p: Array, target: Array) -> tuple[float, Array]:
    """(1/N) Σₙ Σᵢ −[target log p + (1 − target) log(1 − p)], in nats per example.

    dp = (p − target) / (p (1 − p)) / N. p and target are (N, …), p strictly between 0 and 1, target in
    [0, 1]. In float32 sigmoid(l) rounds to 1 from l = 17 on, and log(1 − p) is −∞ there; use
    `bce_with_logits`. Derivation: docs/04-activations-and-losses.md. Good, Rational Decisions, 1952.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> value, dp = sn.bce(np.array([[0.25]]), np.array([[1.0]]))
    >>> round(value, 6), dp                                         # −log ¼ = 2 log 2
    (1.386294, array([[-4.]]))
    """
    check_alike("bce", p=p, target=target)
    if p.size and not (p.min() > 0 and p.max() < 1):
        hint = "where a sigmoid rounds to 0 or 1, bce_with_logits(logits, target) still works"
        raise DataError(f"bce expects p strictly between 0 and 1, got {describe(p)}: {hint}.", of_output=True)
    check_pixels("bce", "target", target)
    return batch_mean(*kernels.bce(p, target))


def bce_with_logits(logits: Array, target: Array) -> tuple[float, Array]:
    """bce(sigmoid(logits), target), in nats per example, and dlogits = (sigmoid(logits) − target) / N.

    logits and target are (N, …), target in [0, 1]. Computed as (1/N) Σₙ Σᵢ max(l, 0) − l·target + log(1 + e^−|l|),
    which is stable for any logit l = log(p / (1 − p)). Derivation: docs/04-activations-and-losses.md. Bridle,
    Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> sn.bce_with_logits(np.array([[10000.0]]), np.array([[0.0]]))
    (10000.0, array([[1.]]))
    """
    check_alike("bce_with_logits", logits=logits, target=target)
    value, dlogits = batch_mean(*kernels.bce_with_logits(logits, target))
    if not cmath.isfinite(value):  # the kernel makes it NaN where a target is outside [0, 1]
        check_pixels("bce_with_logits", "target", target)
    return value, dlogits


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """(1/N) Σₙ −log pₙ[labelₙ] with p = softmax(logits), in nats per example, and dlogits = (p − [c = label]) / N.

    logits are (N, C), labels (N,) integers from 0 to C − 1. softmax(l)_c = e^l_c / Σⱼ e^l_j, stable for any logit; a
    logit of −∞ rules its class out: probability and derivative are 0. Derivation: docs/04-activations-and-losses.md.
    Bridle, 1990, as above.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> value, dlogits = sn.softmax_cross_entropy(np.log(np.array([[1.0, 2.0, 1.0]])), np.array([1]))
    >>> round(value, 6), dlogits                                    # p = ¼, ½, ¼, and −log ½
    (0.693147, array([[ 0.25, -0.5 ,  0.25]]))
    """
    check_logits("softmax_cross_entropy", logits)
    check_labels("softmax_cross_entropy", "labels", labels, len(logits), logits.shape[1])
    return batch_mean(*kernels.softmax_cross_entropy(logits, labels.astype(np.intp, copy=False)))


def batch_mean(per_example: Array, *derivatives: Array) -> Any:
    """The batch's mean of a kernel's (N,) costs; the derivatives of their sum become those of the mean, in place."""
    N = len(per_example)
    for derivative in derivatives:
        kernels.divide(derivative, N)
    return sum(per_example.tolist()) / N, *derivatives


def check_logits(where: str, logits: Array) -> None:
    """`logits` is (N, C), and each row has a largest number."""
    check_floats(where, "logits", logits)
    check_batch(where, logits)
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise ShapeError(f"{where} expects logits of shape (N, C), a column for each class, got {logits.shape}.")
    if not np.isfinite(logits.max(axis=1)).all():  # max passes on NaN and +∞
        expected = "logits that are numbers or −∞, and not −∞ for every class"
        raise DataError(f"{where} expects {expected}, got {describe(logits)}.", of_output=True)
