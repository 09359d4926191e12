"""What is checked, as one kind of object: a function of named arrays with a backward pass.

A layer, or a model with its loss, is copied and converted to float64 or to complex numbers. So checking changes
nothing, and a float32 layer is checked to the last digits of its formula.
"""

import copy
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from itertools import chain, islice
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
    are; a tuple counts as its parts. If f takes an `rng`, it gets one with the same `seed` at each call. `owner` is the
    copy of the object that f belongs to. `parameters` that the caller passes are not copied, so they cannot become
    complex.
    """

    def __init__(self, f: Any, inputs: tuple, seed: int, parameters: Parameters | None, dtype: type = np.float64):
        name = getattr(f, "__qualname__", getattr(f, "__name__", type(f).__name__))  # older ufuncs lack the first
        self.name = repr(f) if isinstance(f, Layer) else name
        self.seed, self.dtype = seed, dtype
        self.owner, self._call, self._slots = _own_copy(f, parameters, dtype)
        arguments = _argument_names(self._call)
        self._draws = "rng" in arguments[len(inputs) :]
        names = arguments[: len(inputs)] + [f"input {i + 1}" for i in range(len(arguments), len(inputs))]
        self._made_of, self._y_shape = (f, inputs, seed, parameters), None
        self.inputs: dict[str, Any] = {}
        for name, x in zip(names, inputs, strict=True):
            self.inputs |= {f"{name}[{i}]": one for i, one in enumerate(x)} if isinstance(x, tuple) else {name: x}
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
        flat = (point[name].astype(self.dtype, copy=False) if name in point else x for name, x in self.inputs.items())
        inputs = [tuple(islice(flat, len(x))) if isinstance(x, tuple) else next(flat) for x in self._made_of[1]]
        rng = {"rng": np.random.default_rng(self.seed)} if self._draws else {}
        outcome = self._outcome(self._call(*inputs, **rng))
        self._y_shape = self._y_shape or outcome.y.shape
        if outcome.y.shape != self._y_shape:
            came = f"{self._y_shape}, then {outcome.y.shape}"
            raise ValueError(f"check_gradients expects {self.name} to give y the same shape at each call, got {came}.")
        return outcome

    def _outcome(self, result: Any) -> Outcome:
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

    def with_another_row(self, point: Point) -> tuple["Subject", Point]:
        """f with its first example twice in each input that holds the batch, and the point for it."""

        def longer(x: Any) -> Any:
            has_rows = isinstance(x, np.ndarray) and x.ndim and len(x) == self.batch_size
            return np.concatenate([x, x[:1]]) if has_rows else x

        f, inputs, seed, parameters = self._made_of
        inputs = [tuple(map(longer, x)) if isinstance(x, tuple) else longer(x) for x in inputs]
        more = Subject(f, tuple(inputs), seed, parameters)
        return more, point | {name: longer(point[name]) for name in self.inputs if name in point}

    def y(self, point: Point) -> Array:
        """The outputs at a point."""
        return self.run(point).y

    def complex_y(self, point: Point) -> Array:
        """The outputs off the real line, where only the NumPy kernels can compute."""
        assert self._in_complex is not None
        with kernels.use("numpy"), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)  # such as x.astype(np.float32)
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
        returned = returned if isinstance(returned, tuple) else (returned,)
        flat = chain.from_iterable(one if isinstance(one, tuple) else (one,) for one in returned)
        of_inputs = zip(self.inputs, flat, strict=False)
        found = {name: dx for name, dx in of_inputs if dx is not None and name in self.start} | self.held("d")
        return {name: np.array(gradient) for name, gradient in found.items()}  # copies, as dW is added to later


def _own_copy(f: Any, parameters: Parameters | None, dtype: type) -> tuple[Any, Any, list[Slot]]:
    """The owner of f, f, and the slots of its parameters; copies in `dtype` if the owner has parameters."""
    if isinstance(f, Model | type) or not isinstance(f, Layer | Callable):
        hint = ": pass its loss, model.loss" if isinstance(f, Model) else ""
        hint = f": pass one of its instances, {f.__name__}(…)" if isinstance(f, type) else hint
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
    owner: Any = getattr(f, "__self__", f)
    if not isinstance(owner, Layer) and not isinstance(getattr(owner, "parameters", None), Parameters):
        return None, f, []
    owner = copy.deepcopy(owner)
    layers = {"": owner} if isinstance(owner, Layer) else owner.parameters.layers
    slots = slots_of(layers, "parameter_names")
    for name, part, attribute in slots:
        if not hasattr(part, f"d{attribute}"):
            raise TypeError(
                f"check_gradients expects {part!r} to add the gradient of {name} to d{attribute}, got none."
            )
        setattr(part, attribute, getattr(part, attribute).astype(dtype))
        setattr(part, f"d{attribute}", np.zeros_like(getattr(part, attribute)))
    if not isinstance(owner, Layer):
        for name, value in list(vars(owner).items()):
            if isinstance(value, Parameters):
                setattr(owner, name, Parameters(**layers))
            elif name == "dtype":
                owner.dtype = np.dtype(dtype)
    method = "forward" if isinstance(f, Layer) else getattr(f, "__name__", "__call__")
    return owner, getattr(owner, method), slots


def _argument_names(function: Callable[..., Any]) -> list[str]:
    try:
        arguments = inspect.signature(function).parameters.values()
    except ValueError:  # a function written in C may have no signature
        return []
    return [one.name for one in arguments if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
