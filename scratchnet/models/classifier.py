"""The classifier: a network whose outputs are the logits of classes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import check_finite, check_labels, check_rows, check_shape, check_type, named
from scratchnet.core.layer import Layer, without_dx
from scratchnet.core.losses import check_logits, softmax_cross_entropy
from scratchnet.core.model import Loss, trace_layers
from scratchnet.core.parameters import Parameters

_ROWS = 1000  # examples predicted at once


class Classifier:
    """p(class | x) = softmax(network(x)), trained on (x, labels) by the cross-entropy, with the accuracy beside it.

    `network` is a layer from rows (N, D) to logits (N, C). Derivation: docs/04-activations-and-losses.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((200, 2), dtype=np.float32)
    >>> labels = (x[:, 0] > x[:, 1]).astype(int)
    >>> classifier = sn.Classifier(sn.Dense(2, 2, rng=rng))
    >>> history = sn.fit(classifier, (x, labels), optimizer=sn.Adam(0.1), epochs=30, rng=rng, progress=False)
    >>> list(history.epochs[0])
    ['epoch', 'seconds', 'loss', 'cross_entropy', 'accuracy']
    >>> classifier.predict(x[:3]).tolist() == labels[:3].tolist(), classifier.accuracy((x, labels)) > 0.95
    (True, True)
    """

    unit = "nats/example"
    term = "cross_entropy"

    def __init__(self, network: Layer):
        check_type("Classifier", "network", network, Layer, "a layer")
        self.network, self.parameters = network, Parameters(network=network)
        self.dtype = self.parameters.theta.dtype  # the float type that the model computes in

    def loss(self, batch: tuple[Array, Array], rng: np.random.Generator | None = None) -> Loss:
        """The cross-entropy on a batch (x, labels), (N, D) and (N,); `rng` is for subclasses that need noise."""
        x, labels = self._pair("Classifier.loss", batch)
        check_rows("Classifier.loss", "x", x, self.network.n_in, self.dtype)
        logits, network_backward = self.network.forward(x)  # (N, C)
        value, dlogits = softmax_cross_entropy(logits, labels)

        def backward() -> None:
            without_dx(self.network, network_backward)(dlogits)

        accuracy = np.mean(logits.argmax(axis=1) == labels).item()
        return Loss(value, {"cross_entropy": value}, backward, {"accuracy": accuracy})

    def predict(self, x: Array) -> Array:
        """The likeliest class of each example: x (N, D) → (N,) of integers."""
        return self._logits("Classifier.predict", x).argmax(axis=1)

    def probabilities(self, x: Array) -> Array:
        """p(class | x): x (N, D) → (N, C)."""
        logits = self._logits("Classifier.probabilities", x)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))  # at most 1: nothing overflows
        return e / e.sum(axis=1, keepdims=True)

    def accuracy(self, data: tuple[Array, Array]) -> float:
        """The share of examples whose class is the one predicted, of data (x, labels)."""
        x, labels = self._pair("Classifier.accuracy", data)
        logits = self._logits("Classifier.accuracy", x)
        check_labels("Classifier.accuracy", "labels", labels, *logits.shape)
        return np.mean(logits.argmax(axis=1) == labels).item()

    def check_range(self, where: str, x: Array, *others: Array, name: str = "x") -> None:
        """x is finite, and what comes with it are labels: each one of the classes, of which a logit is computed."""
        check_finite(where, name, x)
        _, given = self._pair(where, (x, *others), f" for {name}")
        logits, _ = self.network.forward(x[:1])
        check_shape("Classifier", "the network's output", logits, "N", "C")
        labels = "labels" if name == "x" else f"the labels of {name}"
        check_labels(where, labels, given, None, logits.shape[1])

    def trace(self, batch: tuple[Array, Array], rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
        """Run forward on x and yield (name, output) layer by layer, to find the first that is not finite."""
        return trace_layers("network", self.network, batch[0], ", the logits")

    def _pair(self, where: str, pair: Any, whose: str = "") -> tuple[Array, Array]:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            came = f"{len(pair)} of them" if isinstance(pair, tuple | list) else named(pair)
            raise TypeError(f"{where} expects two arrays, (x, labels), got {came}{whose}.")
        return pair[0], pair[1]

    def _logits(self, where: str, x: Array) -> Array:
        check_rows(where, "x", x, self.network.n_in, self.dtype)
        check_finite(where, "x", x)
        logits = np.concatenate([self.network.forward(rows)[0] for rows in np.split(x, range(_ROWS, len(x), _ROWS))])
        check_logits(where, logits)
        return logits

    def __repr__(self) -> str:
        return f"Classifier({self.network!r}, {self.parameters!r})"
