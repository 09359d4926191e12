"""Where the numbers went bad: the step, the term, the first layer, and what may help, in one sentence."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.core.layer import Layer
from scratchnet.core.model import Loss, Model
from scratchnet.core.optim import Optimizer

_LARGE = {"the log-variance": (50.0, ", and σ² is its exponential"), "the logits": (1e4, "")}
"""From which size on a quantity that a model traces is worth a word, and what one would say of it."""


def of_loss(model: Model, x: Array, loss: Loss, optimizer: Optimizer, rng: np.random.Generator) -> str:
    """Why the loss on the batch x is not finite."""
    bad = ", ".join(f"{name} is {value}" for name, value in loss.terms.items() if not math.isfinite(value))
    where, large = _traced(model, x, rng, optimizer)
    return (
        f"After {steps(optimizer)} the loss is {loss.value} ({bad or 'each term alone is finite'}): {where}; "
        f"{large}{_hint(optimizer)}."
    )


def of_output(model: Model, x: Any, error: Exception, optimizer: Optimizer, rng: np.random.Generator) -> str:
    """Why the loss on the batch x could not be computed from what the network gave."""
    where, large = _traced(model, x, rng, optimizer)
    term = f" ({model.term} has no value)" if hasattr(model, "term") else ""
    why = str(error).partition(": ")[0].removesuffix(".")
    return f"After {steps(optimizer)} the loss has no value{term}, as {why}: {where}; {large}{_hint(optimizer)}."


def of_gradient(model: Model, x: Array, loss: Loss, optimizer: Optimizer, rng: np.random.Generator) -> str:
    """Why the gradient is not finite where the loss on the batch x is."""
    bad = [name for name, layer, W in model.parameters.slots if not _is_finite(getattr(layer, f"d{W}"))]
    _, large = _traced(model, x, rng, optimizer)
    return (
        f"After {steps(optimizer)} the loss is {loss.value:g} {model.unit}, but its gradient is not finite, on the way "
        f"back first in {_first_on_the_way_back(model, x, rng) or bad[-1]}; {large}{_hint(optimizer)}."
    )


def of_state(model: Model, optimizer: Optimizer) -> str | None:
    """What the last steps spoilt: a parameter, or what the optimizer remembers; None if it is all finite."""
    if name := _spoilt_parameter(model):
        return f"After {steps(optimizer)} the parameter {name} is no longer finite; try a smaller learning rate."
    if memory := _spoilt_memory(optimizer):
        return f"After {steps(optimizer)} {memory}; try a smaller learning rate."
    return None


def steps(optimizer: Optimizer) -> str:
    """How many steps were taken, in words."""
    return "1 step" if optimizer.steps == 1 else f"{optimizer.steps} steps"


def _hint(optimizer: Optimizer) -> str:
    if optimizer.steps == 0:
        return "no step was taken yet, so look at the data and the first weights"
    return "try a smaller learning rate"


def _is_finite(x: Any) -> bool:
    """Whether the numbers of x are, where it has some."""
    return not isinstance(x, np.ndarray) or bool(np.isfinite(x).all())


def _spoilt_parameter(model: Model) -> str | None:
    return next((name for name, W in model.parameters.named().items() if not _is_finite(W)), None)


def _spoilt_memory(optimizer: Optimizer) -> str | None:
    """That the gradients were finite, but what the optimizer makes of them is not."""
    for name in optimizer.memory_names:
        if not _is_finite(getattr(optimizer, name, None)):
            return f"the {name} of {type(optimizer).__name__} is no longer finite, as after very large gradients"
    return None


def _traced(model: Model, x: Array, rng: np.random.Generator, optimizer: Optimizer) -> tuple[str, str]:
    """Where the way forward first was not finite, and what had become large until there."""
    if name := _spoilt_parameter(model):
        memory = _spoilt_memory(optimizer)
        return f"the steps before it had already spoilt the parameter {name}", f"{memory}; " if memory else ""
    if not hasattr(model, "trace"):
        return "the parameters are finite", ""
    large = ""
    try:
        for name, y in model.trace(x, rng):
            if not _is_finite(y):
                return f"the first output that is not finite is that of {name}", large
            for quantity, (least, what) in _LARGE.items():
                extreme = y.flat[np.abs(y).argmax()].item()
                if not large and name.endswith(quantity) and abs(extreme) >= least:
                    large = f"{quantity} reached {extreme:.3g}{what}; "
    except (LookupError, TypeError, ValueError):  # a trace that was written for another kind of batch
        return "the parameters are finite", large
    return "the outputs of all layers are finite, so it is the loss itself that overflows", large


def _first_on_the_way_back(model: Model, x: Array, rng: np.random.Generator) -> str | None:
    """The layer that first turned finite derivatives into others, with new noise; None if none does so again."""
    found: list[str] = []
    model.parameters.zero_grad()
    with _watched(model, found):
        model.loss(x, rng).backward()
    return found[0] if found else None


@contextmanager
def _watched(model: Model, found: list[str]) -> Iterator[None]:
    """Have each layer note its name on the way back, if what it was given or what it made of that is not finite."""
    every = [pair for name, layer in model.parameters.layers.items() for pair in layer.walk(name)]
    watched = {id(part): (path, part) for path, part in every if not part.children()}.values()
    for path, part in watched:
        part.forward = _watching(path, part, found)
    try:
        yield
    finally:
        for _, part in watched:
            del part.forward  # the one of its class is there again


def _watching(path: str, layer: Layer, found: list[str]) -> Any:
    forward = layer.forward

    def watching(x: Array) -> Any:
        y, backward = forward(x)

        def watching_back(dy: Array, **options: Any) -> Any:
            if not _is_finite(dy):
                found.append(f"what comes to {path}, {layer!r}")
            dx = backward(dy, **options)
            if not all(_is_finite(d) for d in (dx, *(getattr(layer, f"d{W}") for W in layer.parameter_names))):
                found.append(f"{path}, {layer!r}")
            return dx

        return y, watching_back

    return watching
