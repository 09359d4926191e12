import numpy as np

import scratchnet as sn


def value_of(check, found, right, N, D, mistakes, what="the loss"):
    """The first of the two results, against the usual mistakes with sums and means."""
    value, derivative = check.several(found, "the loss", "its derivative")
    usual = {
        "It is the mean over all numbers: sum over each example, and take the mean over the examples.": right / D,
        f"It is the sum over the batch: divide by N = {N}.": right * N,
        f"It is divided by {D}, the numbers in an example, and not by N = {N}.": right * N / D,
    }
    if np.ndim(value) > np.ndim(derivative):
        usual["The loss comes first, and its derivative second."] = value
    check.same(value, right, usual | mistakes, what)


def test_mse(ex, check, rng):
    y, target = rng.normal(size=(2, 5, 3))
    right = ((y - target) ** 2).sum() / 5
    mistakes = {"It is the sum of the distances |y − t|, without the square.": np.abs(y - target).sum() / 5}
    value_of(check, ex.mse(y, target), right, 5, 3, mistakes | {"A factor of ½ stands in front.": right / 2})
    check.loss(ex.mse, (5, 3), target)


def test_bce_with_logits(ex, check, rng):
    logits, target = rng.normal(size=(5, 3)), rng.random((5, 3))
    p = 1 / (1 + np.exp(-logits))
    only_ones = (-target * np.log(p)).sum() / 5
    mistakes = {
        "The sigmoid is applied twice.": sn.bce_with_logits(p, target)[0],
        "t and 1 − t are exchanged.": sn.bce_with_logits(logits, 1 - target)[0],
        "The sign of t l is flipped: the loss is log(1 + e^l) − t l.": (
            np.log1p(np.exp(logits)) + target * logits
        ).sum()
        / 5,
        "The exponent is −|l|, and not −l.": (np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-logits))).sum()
        / 5,
        "The term (1 − t) log(1 − p) is left out.": only_ones,
        "It is in bits: nats need the natural logarithm.": sn.bce_with_logits(logits, target)[0] / np.log(2),
    }
    value_of(check, ex.bce_with_logits(logits, target), sn.bce_with_logits(logits, target)[0], 5, 3, mistakes)
    slope = p * (1 - p)
    mistakes = {
        "The slope of the sigmoid, p (1 − p), is in it once too often: with that of the logarithms it is p − t.": (
            (p - target) * slope / 5
        ),
        "It is ∂L/∂p: multiply it by the slope of the sigmoid, p (1 − p).": (p - target) / slope / 5,
        "The logit stands in the place of p.": (logits - target) / 5,
    }
    check.none_of(ex.bce_with_logits(logits, target)[1], mistakes, "dlogits")
    check.loss(ex.bce_with_logits, (5, 3), target)
    clipped = "p is clipped, so no mistake costs more than that: write the loss with l in the place of p."
    told = "It overflows: with p = σ(l), −log(1 − p) is log(1 + e^l) = max(l, 0) + log(1 + e^−|l|)."
    for logit, t in ((10_000.0, 0.0), (-10_000.0, 1.0)):
        value, dlogits = ex.bce_with_logits(np.array([[logit]]), np.array([[t]]))
        mistakes = {clipped: value} if 0 < value < 1000 else {}
        check.same(value, 10_000.0, mistakes, f"the loss of the logit {logit:.0f}", not_finite=told)
        check.same(dlogits, [[1 - 2 * t]], {}, f"dlogits at the logit {logit:.0f}", not_finite=told)


def test_softmax_cross_entropy(ex, check, rng):
    logits, labels = rng.normal(size=(5, 4)), rng.permutation(np.array([0, 1, 2, 3, 1]))
    right = sn.softmax_cross_entropy(logits, labels)[0]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    of_columns, is_label = np.exp(logits) / np.exp(logits).sum(axis=0), np.eye(4)[labels]
    mistakes = {
        "It is in bits: nats need the natural logarithm.": right / np.log(2),
        "It is the mean of p at the label: the logarithm is missing.": -p[np.arange(5), labels].mean(),
        "An index [:, labels] takes whole columns: take one number of each row, [np.arange(N), labels].": (
            -np.log(p[:, labels]).mean()
        ),
        "It is the sum of all logarithms, where that of the label alone is meant.": -np.log(p).sum() / 5,
        "The softmax is over axis 0, the examples: sum over the classes, axis 1.": -np.log(
            of_columns[np.arange(5), labels]
        ).mean(),
    }
    value_of(check, ex.softmax_cross_entropy(logits, labels), right, 5, 4, mistakes)
    mistakes = {
        "The 1 at the label is not subtracted: ∂c/∂l = p − [k = label].": p / 5,
        "The 1 is subtracted at every class: ∂c/∂l = p − [k = label].": (p - 1) / 5,
        "Only the logit of the label has a gradient here: the others have p.": (p - 1) * is_label / 5,
        "The logarithm of p stands in the place of p.": (np.log(p) - is_label) / 5,
        "It is not divided by N = 5, and the 1 at the label is not subtracted.": p,
    }
    check.none_of(ex.softmax_cross_entropy(logits, labels)[1], mistakes, "dlogits")
    check.loss(ex.softmax_cross_entropy, (5, 4), labels)
    value, dlogits = ex.softmax_cross_entropy(np.array([[1000.0, 0.0, -1000.0]]), np.array([1]))
    told = "It overflows: subtract the largest logit of the row first, and take no logarithm of a p that may be 0."
    check.same(value, 1000.0, {}, "the loss at logits of ±1000", not_finite=told)
    check.same(dlogits, [[1.0, -1.0, 0.0]], {}, "dlogits at logits of ±1000", not_finite=told)
