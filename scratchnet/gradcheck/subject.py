"""What is checked, as one kind of object: a function of named arrays with a backward pass.

A layer, or a model with its loss, is copied and converted to float64 or to complex numbers. So checking changes
nothing, and a float32 layer is checked to the last digits of its formula.
"""

import copy
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import listed, named
from scratchnet.core.layer import Layer
from scratchnet.core.model import Loss, Model
from scratchnet.core.parameters import Parameters, Slot, slots_of

Point = dict[str, Array]
"""Arrays by name: inputs first, then parameters under their dotted names."""


def d(name: str) -> str:
    """The name of an array's gradient: x → dx, encoder.0.W → encoder.0.dW."""
    path, dot, last = name.rpartition(".")
    return f"{path}{dot}d{last}"


class Outcome(NamedTuple):
    """The result of a forward pass.

    `y` holds the outputs, (N, …), or the value of a loss and its terms, (1 + T,). `gradients(dy, from_zero=True)` runs
    the backward pass, and returns each gradient under the name of its array.
    """

    y: Array
    gradients: Callable[..., Point]
    is_loss: bool = False
    terms: tuple[str, ...] = ()

    def random_dy(self, rng: np.random.Generator) -> Array:
        """Random numbers; for a loss 1 for the value and 0 for the terms."""
        return np.eye(1, self.y.size)[0] if self.is_loss else rng.standard_normal(self.y.shape)


class Subject:
    """f as a function of a point, computed in `dtype`.

    `start` is the point at which f was given: its inputs of floats and its parameters. Other inputs reach f as they
    are. If f takes an `rng`, it gets one with the same `seed` at each call. `owner` is the copy of the layer or model
    that f belongs to. `parameters` that the caller passes are not copied, so they cannot become complex.
    """

    def __init__(self, f: Any, inputs: tuple, seed: int, parameters: Parameters | None, dtype: type = np.float64):
        self.name = repr(f) if isinstance(f, Layer) else getattr(f, "__qualname__", type(f).__name__)
        self.seed, self.dtype = seed, dtype
        self.owner, self._call, self._slots = _own_copy(f, parameters, dtype)
        arguments = _argument_names(self._call)
        self._draws = "rng" in arguments[len(inputs) :]
        names = arguments[: len(inputs)] + [f"input {i + 1}" for i in range(len(arguments), len(inputs))]
        self.inputs = dict(zip(names, inputs, strict=True))
        for name, x in self.inputs.items():
            if isinstance(x, np.ndarray) and (x.dtype.kind == "c" or x.size == 0):
                came = "an empty array" if x.size == 0 else x.dtype
                raise TypeError(f"check_gradients expects {name} to hold real numbers, got {came}.")
        self.start: Point = {
            name: np.array(x, dtype)
            for name, x in self.inputs.items()
            if isinstance(x, np.ndarray | float) and np.asarray(x).dtype.kind == "f"
        }
        self.batch_size = next((len(x) for x in self.start.values() if x.ndim), 1)
        self.start |= {name: value.copy() for name, value in self.held().items()}
        is_real = dtype is np.float64 and parameters is None
        self._in_complex = Subject(f, inputs, seed, None, np.complex128) if is_real else None

    def run(self, point: Point) -> Outcome:
        """The forward pass at a point."""
        for name, value in self.held().items():
            value[...] = point[name]
        inputs = [point[name].astype(self.dtype, copy=False) if name in point else x for name, x in self.inputs.items()]
        rng = {"rng": np.random.default_rng(self.seed)} if self._draws else {}
        result = self._call(*inputs, **rng)
        match result:
            case Loss():
                y = np.array([result.value, *result.terms.values()])
                return Outcome(y, partial(self._gradients, lambda dy: result.backward()), True, tuple(result.terms))
            case (y, backward) if callable(backward):
                return Outcome(np.asarray(y), partial(self._gradients, backward))
            case (value, *derivatives) if derivatives and np.ndim(value) == 0:
                return Outcome(np.array([value]), partial(self._gradients, lambda dy: tuple(derivatives)), True)
        came = f"a tuple of {listed(map(named, result), 5)}" if isinstance(result, tuple) else named(result)
        raise TypeError(
            f"check_gradients expects {self.name} to return (y, backward), (value, dy) or a Loss, got {came}."
        )

    def y(self, point: Point) -> Array:
        """The outputs at a point."""
        return self.run(point).y

    def complex_y(self, point: Point) -> Array:
        """The outputs off the real line, where only the NumPy kernels can compute."""
        assert self._in_complex is not None
        with kernels.use("numpy"), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            return self._in_complex.y(point)

    def restore(self) -> None:
        """Give the parameters the values that they had, and set their gradients to zero."""
        for name, value in self.held().items():
            value[...] = self.start[name]
        self._zero_grad()

    def held(self, prefix: str = "") -> Point:
        """The parameters as they are now; their gradients with the prefix "d"."""
        return {name: getattr(part, f"{prefix}{attribute}") for name, part, attribute in self._slots}

    def _zero_grad(self) -> None:
        for gradient in self.held("d").values():
            gradient[...] = 0

    def _gradients(self, backward: Callable[[Array], Any], dy: Array, from_zero: bool = True) -> Point:
        if from_zero:
            self._zero_grad()
        returned = backward(dy)
        of_inputs = zip(self.inputs, returned if isinstance(returned, tuple) else (returned,), strict=False)
        found = {name: dx for name, dx in of_inputs if dx is not None and name in self.start} | self.held("d")
        return {name: np.array(gradient) for name, gradient in found.items()}  # copies, as dW is added to later


def _own_copy(f: Any, parameters: Parameters | None, dtype: type) -> tuple[Layer | Model | None, Any, list[Slot]]:
    """The owner of f, f, and the slots of its parameters; copies in `dtype` if the owner is a layer or a model."""
    if isinstance(f, Model) or not isinstance(f, Layer | Callable):
        hint = ": pass its loss, model.loss" if isinstance(f, Model) else ""
        raise TypeError(f"check_gradients expects a layer or a function, got {named(f)}{hint}.")
    if parameters is not None:
        if isinstance(f, Layer) or not isinstance(parameters, Parameters):
            raise TypeError(
                f"check_gradients expects parameters to be Parameters(…) of what the function f trains, got "
                f"{named(parameters)} for {named(f)}."
            )
        if parameters.theta.dtype != dtype:
            raise TypeError(
                f"check_gradients expects parameters of {np.dtype(dtype)}, got {parameters.theta.dtype}: make the "
                f"layers with dtype=np.{np.dtype(dtype)}."
            )
        return None, f, parameters.slots
    owner = f if isinstance(f, Layer) else getattr(f, "__self__", None)
    if not isinstance(owner, Layer | Model):
        return None, f, []
    owner = copy.deepcopy(owner)
    layers = owner.parameters.layers if isinstance(owner, Model) else {"": owner}
    slots = slots_of(layers, "parameter_names")
    for name, part, attribute in slots:
        if not hasattr(part, f"d{attribute}"):
            raise TypeError(
                f"check_gradients expects {part!r} to add the gradient of {name} to d{attribute}, got none."
            )
        setattr(part, attribute, getattr(part, attribute).astype(dtype))
        setattr(part, f"d{attribute}", np.zeros_like(getattr(part, attribute)))
    if isinstance(owner, Model):
        owner.parameters = Parameters(**layers)
    return owner, getattr(owner, "forward" if isinstance(f, Layer) else f.__name__), slots


def _argument_names(function: Callable[..., Any]) -> list[str]:
    try:
        arguments = inspect.signature(function).parameters.values()
    except ValueError:  # a function written in C may have no signature
        return []
    return [one.name for one in arguments if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
