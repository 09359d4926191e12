"""Numbers that are not finite end a training with one sentence: the step, the term, the first layer, what may help."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.checks import check_float, named
from scratchnet.core.layer import Layer
from scratchnet.core.model import Loss
from scratchnet.core.parameters import parts_of
from scratchnet.errors import DataError, DivergenceError

_LARGE = {"the log-variance": (50.0, ", and σ² is its exponential"), "the logits": (1e4, "")}
"""From which size on a traced quantity is worth mentioning, and what is said about it."""


def steps(run: Any) -> str:
    """The number of steps taken, in words."""
    return f"{run.step} step{'s' * (run.step != 1)}"


def check_loss(run: Any, loss: Any, batch: Any) -> None:
    """What the model's loss returned is a Loss, and finite."""
    if not isinstance(loss, Loss):
        raise TypeError(f"fit expects {type(run.model).__name__}.loss to return a Loss(…), got {named(loss)}.")
    for name, number in {"the loss": loss.value, **loss.terms, **loss.metrics}.items():
        check_float("fit", name, number)
    if not math.isfinite(loss.value):
        bad = ", ".join(f"{name} is {value}" for name, value in loss.terms.items() if not math.isfinite(value))
        raise _error(run, batch, f"is {loss.value} ({bad or 'each term alone is finite'})")


def check_refusal(run: Any, error: DataError, batch: Any) -> None:
    """What the loss refused is not the network's output, such as a NaN, which would be a divergence."""
    if error.of_output:
        term = f" ({run.model.term} has no value)" if hasattr(run.model, "term") else ""
        why = str(error).partition(": ")[0].removesuffix(".")
        raise _error(run, batch, f"has no value{term}, as {why}") from error


def check_gradient(run: Any) -> None:
    """The gradient is finite."""
    if not kernels.all_finite(run.parameters.dtheta):
        bad = _spoilt({name: getattr(layer, f"d{W}") for name, layer, W in reversed(run.parameters.slots)})
        what = f"is {run.loss.value:g} {run.model.unit}, but its gradient is not finite"
        raise _error(run, run.batch, what, f", in the backward pass first in {_first_in_backward(run) or bad}")


def check_state(run: Any) -> None:
    """θ and the optimizer's memory are finite. After an epoch's last step no further loss would reveal it."""
    name = _spoilt(run.parameters.named())
    if spoilt := f"the parameter {name} is no longer finite" if name else _spoilt_memory(run):
        raise DivergenceError(f"After {steps(run)} {spoilt}; try a smaller learning rate.")


def _error(run: Any, batch: Any, what: str, where: str = "") -> DivergenceError:
    traced, large = _traced(run, batch)
    first = "no step was taken yet, so look at the data and the first weights"
    advice = "try a smaller learning rate" if run.step else first
    return DivergenceError(f"After {steps(run)} the loss {what}{where or f': {traced}'}; {large}{advice}.")


def _is_finite(x: Any) -> bool:
    """Whether the numbers of x are finite; what is no array has none."""
    return not isinstance(x, np.ndarray) or bool(np.isfinite(x).all())


def _spoilt(named: Mapping[str, Any]) -> str:
    """The first of these that is not finite, or ""."""
    return next((name for name, x in named.items() if not _is_finite(x)), "")


def _spoilt_memory(run: Any) -> str:
    name = _spoilt({name: getattr(run.optimizer, name, None) for name in run.optimizer.memory_names})
    whose = type(run.optimizer).__name__
    return f"the {name} of {whose} is no longer finite, as after very large gradients" if name else ""


def _traced(run: Any, batch: Any) -> tuple[str, str]:
    """Where the forward pass first was not finite, and which quantity had become large before."""
    if name := _spoilt(run.parameters.named()):
        memory = _spoilt_memory(run)
        return f"an earlier step had already made the parameter {name} not finite", f"{memory}; " * bool(memory)
    large = ""
    try:
        for name, y in run.model.trace(batch, run.rng):
            if not _is_finite(y):
                return f"the first output that is not finite is that of {name}", large
            for quantity, (least, what) in _LARGE.items():
                extreme = y.flat[np.abs(y).argmax()].item()
                if not large and name.endswith(quantity) and abs(extreme) >= least:
                    large = f"{quantity} reached {extreme:.3g}{what}; "
    except (AttributeError, LookupError, TypeError, ValueError):  # no trace, or one for another kind of batch
        return "the parameters are finite", large
    return "the outputs of all layers are finite, so it is the loss itself that overflows", large


def _first_in_backward(run: Any) -> str | None:
    """The layer that first turned finite derivatives into others, with new noise; None if none does so again."""
    found: list[str] = []

    def watched(path: str, layer: Layer, forward: Any, x: Any) -> Any:
        y, backward = forward(x)

        def watched_backward(dy: Any, **options: Any) -> Any:
            if not _is_finite(dy):
                found.append(f"the dy of {path}, {layer!r}")
            dx = backward(dy, **options)
            if not all(_is_finite(d) for d in (dx, *(getattr(layer, f"d{W}") for W in layer.parameter_names))):
                found.append(f"{path}, {layer!r}")
            return dx

        return y, watched_backward

    run.parameters.zero_grad()
    with ExitStack() as watching:
        for path, layer in parts_of(run.parameters.layers):
            if not layer.children():
                layer.forward = partial(watched, path, layer, layer.forward)  # type: ignore[method-assign]
                watching.callback(delattr, layer, "forward")  # reveals the method of its class
        run.model.loss(run.batch, run.rng).backward()
    return found[0] if found else None
