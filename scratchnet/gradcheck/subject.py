"""A layer, a loss, a model's loss or any forward, each seen as one thing: a function of named arrays with a way back.

Where the original is a layer or a model this works on a copy, in double precision or in complex numbers: checking
changes nothing, and a float32 layer is checked to the last digits of its formula.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import listed, named
from scratchnet.core.layer import Layer
from scratchnet.core.model import Loss, Model
from scratchnet.core.parameters import Parameters

Point = dict[str, Array]
"""Arrays by name: inputs first, then parameters under their dotted names."""


def d(name: str) -> str:
    """What the gradient of an array is called: x → dx, encoder.0.W → encoder.0.dW."""
    path, dot, last = name.rpartition(".")
    return f"{path}{dot}d{last}"


@dataclass(frozen=True)
class Outcome:
    """What f gave at a point.

    Attributes
    ----------
    y : (N, …) or (1 + T,)
        The outputs; or, of a loss, its value and then its T terms.
    gradients : function
        (dy, from_zero=True) → each gradient, under the name of what it is the gradient of.
    is_loss : bool
    terms : tuple of str
        The names of the T terms.
    """

    y: Array
    gradients: Callable[..., Point]
    is_loss: bool = False
    terms: tuple[str, ...] = ()

    def some_dy(self, rng: np.random.Generator) -> Array:
        """∂L/∂y to begin with: random numbers; for a loss, 1 for the value and 0 for its terms."""
        return np.eye(1, self.y.size)[0] if self.is_loss else rng.standard_normal(self.y.shape)

    def parts(self, dy: Array, change: Array) -> Array:
        """Each example's share of Σ dy ⊙ change, (N,); of a loss the changes of the value and of the terms."""
        if self.is_loss:
            return change
        return (dy * change).reshape(len(dy) if dy.ndim else 1, -1).sum(axis=1)

    def total(self, parts: Array) -> Array:
        """Σ dy ⊙ change, from its parts (…, N)."""
        return parts[..., 0] if self.is_loss else parts.sum(axis=-1)


class Subject:
    """f as a function of a point.

    Parameters
    ----------
    f : Layer or function
        Returns (y, backward), (value, *derivatives) or a `Loss`.
    inputs : tuple
        Those that hold floats are taken into `dtype`, the others reach f as they are.
    seed : int
        Of the Generator that f gets at each call if it takes an `rng`, so that it draws the same each time.
    parameters : Parameters, optional
        What f trains, where f is neither a layer nor a model's.
    dtype : float type
        What f computes in.

    Attributes
    ----------
    name : str
    start : Point
        The inputs as given, and the parameters as they stand.
    owner : Layer, Model or None
        The copy that f belongs to.
    """

    def __init__(self, f: Any, inputs: tuple[Any, ...], seed: int, parameters: Parameters | None, dtype: type):
        self.name = (
            repr(f) if isinstance(f, Layer) else getattr(f, "__qualname__", getattr(f, "__name__", type(f).__name__))
        )
        self.seed = seed
        self.owner, self._call, self._slots = _own_copy(f, parameters, dtype)
        arguments = _argument_names(self._call)
        self._draws = "rng" in arguments[len(inputs) :]
        names = arguments[: len(inputs)] + [f"input {i + 1}" for i in range(len(arguments), len(inputs))]
        for name, x in zip(names, inputs, strict=True):
            if isinstance(x, np.ndarray) and (x.dtype.kind == "c" or x.size == 0):
                came = "an empty array" if x.size == 0 else x.dtype
                raise TypeError(f"check_gradients expects {name} to hold real numbers, got {came}.")
        self.inputs = {name: _cast(x, dtype) for name, x in zip(names, inputs, strict=True)}
        self.start: Point = {name: x for name, x in self.inputs.items() if _is_float(x)}
        self.start |= {name: getattr(part, attribute).copy() for name, (part, attribute) in self._slots.items()}

    def run(self, point: Point) -> Outcome:
        """f at the point."""
        for name, (part, attribute) in self._slots.items():
            getattr(part, attribute)[...] = point[name]
        inputs = [point.get(name, x) for name, x in self.inputs.items()]
        result = self._call(*inputs, **({"rng": np.random.default_rng(self.seed)} if self._draws else {}))
        match result:
            case Loss():
                y = np.array([result.value, *result.terms.values()])
                return Outcome(y, self._gradients(lambda dy: result.backward()), True, tuple(result.terms))
            case (y, backward) if callable(backward):
                return Outcome(np.asarray(y), self._gradients(backward))
            case (value, *derivatives) if derivatives and np.ndim(value) == 0:
                return Outcome(np.array([value]), self._gradients(lambda dy: tuple(derivatives)), True)
        came = f"a tuple of {listed(map(named, result), 5)}" if isinstance(result, tuple) else named(result)
        raise TypeError(
            f"check_gradients expects {self.name} to return (y, backward), (value, dy) or a Loss, got {came}."
        )

    def now(self, point: Point) -> Point:
        """The point as it stands: inputs as they are in `point`, parameters as they are in the copy."""
        return point | {name: getattr(part, attribute) for name, (part, attribute) in self._slots.items()}

    def restore(self) -> None:
        """Give the parameters the values they had, with gradients of zero."""
        for name, (part, attribute) in self._slots.items():
            getattr(part, attribute)[...] = self.start[name]
        self._zero_grad()

    def _gradients(self, backward: Callable[[Array], Any]) -> Callable[..., Point]:
        def gradients(dy: Array, from_zero: bool = True) -> Point:
            if from_zero:
                self._zero_grad()
            returned = backward(dy)
            of_inputs = returned if isinstance(returned, tuple) else (returned,)
            found = {
                name: dx
                for name, dx in zip(self.inputs, of_inputs, strict=False)
                if dx is not None and name in self.start
            }
            found |= {name: getattr(part, f"d{attribute}") for name, (part, attribute) in self._slots.items()}
            return {name: np.array(dx) for name, dx in found.items()}  # copies, as dW is added to later

        return gradients

    def _zero_grad(self) -> None:
        for part, attribute in self._slots.values():
            getattr(part, f"d{attribute}")[...] = 0


Slots = dict[str, tuple[Layer, str]]
"""Where each parameter is, by its name: the layer and the attribute."""


def _own_copy(f: Any, parameters: Parameters | None, dtype: type) -> tuple[Layer | Model | None, Any, Slots]:
    """What f belongs to, f, and its parameters; all three of a copy in `dtype` if f belongs to a layer or a model."""
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
        return None, f, {name: (part, attribute) for name, part, attribute in parameters.slots}
    owner = f if isinstance(f, Layer) else getattr(f, "__self__", None)
    if not isinstance(owner, Layer | Model):
        return None, f, {}
    owner = copy.deepcopy(owner)
    slots = _slots(owner)
    for name, (part, attribute) in slots.items():
        if not hasattr(part, f"d{attribute}"):
            raise TypeError(
                f"check_gradients expects {part!r} to add the gradient of {name} to d{attribute}, got none."
            )
        setattr(part, attribute, getattr(part, attribute).astype(dtype))
        setattr(part, f"d{attribute}", np.zeros_like(getattr(part, attribute)))
    if isinstance(owner, Model):
        owner.parameters = Parameters(**owner.parameters.layers)
    return owner, getattr(owner, "forward" if isinstance(f, Layer) else f.__name__), slots


def _slots(owner: Layer | Model) -> Slots:
    if isinstance(owner, Model):
        return {name: (part, attribute) for name, part, attribute in owner.parameters.slots}
    paths = {id(part): (path, part) for path, part in reversed(list(owner.walk("")))}  # by its first name
    return {
        f"{path}.{attribute}".strip("."): (part, attribute)
        for path, part in reversed(paths.values())
        for attribute in part.parameter_names
    }


def _argument_names(function: Callable[..., Any]) -> list[str]:
    try:
        arguments = inspect.signature(function).parameters.values()
    except ValueError:  # a function written in C need not tell
        return []
    return [one.name for one in arguments if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray | float) and np.asarray(x).dtype.kind in "fc"


def _cast(x: Any, dtype: type) -> Any:
    return np.array(x, dtype) if _is_float(x) else x
