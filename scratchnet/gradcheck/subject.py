"""What is checked, as one kind of object: a function of named arrays with a backward pass.

A layer, or a model with its loss, is copied and converted to float64 or to complex numbers. So checking changes
nothing, and a float32 layer is checked to the last digits of its formula.
"""

import contextlib
import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_type, listed, named
from scratchnet.core.layer import Layer
from scratchnet.core.model import Loss, Model
from scratchnet.core.parameters import Parameters, parts_of, slots_of

Point = dict[str, Array]
"""Arrays by name: inputs first, then parameters under their dotted names."""


def d(name: str) -> str:
    """The name of an array's gradient: x → dx, encoder.0.W → encoder.0.dW."""
    path, dot, last = name.rpartition(".")
    return f"{path}{dot}d{last}"


class Outcome(NamedTuple):
    """The result of a forward pass.

    `y` holds the outputs, (N, …), or the value of a loss and its terms, (1 + T,). `backward` is f's own.
    """

    y: Array
    backward: Callable[[Array], Any]
    is_loss: bool = False
    terms: tuple[str, ...] = ()

    def random_dy(self, rng: np.random.Generator) -> Array:
        """Random numbers; for a loss 1 for the value and 0 for the terms."""
        return np.eye(1, self.y.size)[0] if self.is_loss else rng.standard_normal(self.y.shape)


class Subject:
    """f as a function of a point, computed in `dtype`.

    `start` is the point at which f was given: its inputs of floats and its parameters. Other inputs reach f as they
    are; a tuple counts as its parts. If f takes an `rng`, it gets one with the same `seed` at each call, and a layer in
    training has its first state. `owner` is the copy of the object that f belongs to. `parameters` that the caller
    passes are not copied, so they cannot become complex.
    """

    def __init__(self, f: Any, inputs: tuple, seed: int, parameters: Parameters | None = None, dtype: Any = np.float64):
        name = getattr(f, "__qualname__", getattr(f, "__name__", type(f).__name__))  # older ufuncs lack the first
        self.name = repr(f) if isinstance(f, Layer) else name
        self.seed, self.dtype, self._made_of = seed, np.dtype(dtype), (f, inputs, seed, parameters)
        self.owner, self._call, layers = _own_copy(f, parameters, self.dtype)
        self._slots, self._states = (slots_of(layers, kind) for kind in ("parameter_names", "state_names"))
        self._first = [copy.deepcopy(getattr(part, attribute, None)) for _, part, attribute in self._states]
        arguments: list[str] = []
        with contextlib.suppress(ValueError):  # a function written in C may have no signature
            signature = inspect.signature(self._call).parameters.values()
            arguments = [one.name for one in signature if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        self._draws = "rng" in arguments[len(inputs) :]
        names = arguments[: len(inputs)] + [f"input {i + 1}" for i in range(len(arguments), len(inputs))]
        self.inputs: dict[str, Any] = {}
        for name, x in zip(names, inputs, strict=True):
            self.inputs |= {f"{name}[{i}]": one for i, one in enumerate(x)} if isinstance(x, tuple) else {name: x}
        for name, x in self.inputs.items():
            if isinstance(x, np.ndarray) and (x.dtype.kind == "c" or x.size == 0):
                came = "an empty array" if x.size == 0 else x.dtype
                raise TypeError(f"check_gradients expects {name} to hold real numbers, got {came}.")
        self.start: Point = {name: np.array(x, dtype) for name, x in self.inputs.items() if _is_of_floats(x)}
        self.batch_size = next((len(x) for x in self.start.values() if x.ndim), 1)
        self.start |= {name: value.copy() for name, value in self.held().items()}

    def run(self, point: Point) -> Outcome:
        """The forward pass at a point; what the point lacks is as it was given."""
        for name, value in self.held().items():
            value[...] = point.get(name, value)
        self.rewind()
        at = (point.get(name, x) for name, x in self.inputs.items())
        flat = (np.asarray(x).astype(self.dtype, copy=False) if _is_of_floats(x) else x for x in at)
        inputs = [tuple(islice(flat, len(x))) if isinstance(x, tuple) else next(flat) for x in self._made_of[1]]
        result = self._call(*inputs, **({"rng": np.random.default_rng(self.seed)} if self._draws else {}))
        match result:
            case Loss():
                y = np.array([result.value, *result.terms.values()], self.dtype)
                return Outcome(y, lambda dy: result.backward(), True, tuple(result.terms))
            case (y, backward) if callable(backward):
                return Outcome(np.asarray(y), backward)
            case (value, *derivatives) if derivatives and np.ndim(value) == 0:
                return Outcome(np.array([value], self.dtype), lambda dy: tuple(derivatives), True)
        came = f"a tuple of {listed(map(named, result), 5)}" if isinstance(result, tuple) else named(result)
        expected = "(y, backward), (value, dy) or a Loss"
        raise TypeError(f"check_gradients expects {self.name} to return {expected}, got {came}.")

    def gradients(self, outcome: Outcome, dy: Array, from_zero: bool = True) -> Point:
        """The backward pass: copies of the gradients, each under the name of its array."""
        if from_zero:
            self.zero_grad()
        of_inputs = zip(self.inputs, self.returned(outcome, dy), strict=False)
        found = {name: dx for name, dx in of_inputs if dx is not None and name in self.start} | self.held("d")
        return {name: np.array(one, np.result_type(one, np.float16)) for name, one in found.items()}  # floats of a mask

    def returned(self, outcome: Outcome, dy: Array) -> list[Array | None]:
        """What the backward pass returns, without the tuples around it."""
        found, what = list(_flat(outcome.backward(dy))), f"what the backward pass of {self.name} returns"
        for one in found:
            check_type("check_gradients", what, one, np.ndarray | np.generic | None, "an array or a tuple of arrays")
        return found

    @cached_property
    def _in_complex(self) -> "Subject":
        return Subject(*self._made_of, np.complex128)

    def complex_y(self, point: Point) -> Array:
        """The outputs off the real line, where only the NumPy kernels can compute."""
        with kernels.use("numpy"), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)  # such as x.astype(np.float32)
            return self._in_complex.run(point).y

    def held(self, prefix: str = "") -> Point:
        """The parameters as they are now; their gradients with the prefix "d"."""
        return {name: getattr(part, f"{prefix}{attribute}") for name, part, attribute in self._slots}

    def states(self) -> Point:
        """Copies of the layers' states, but for those of a layer that is training, which may change."""
        held = ((name, getattr(part, attribute, None)) for name, part, attribute in self._states if not part.training)
        return {name: np.array(value) for name, value in held if value is not None}

    def rewind(self) -> None:
        """Give the layers that are training the states that they had at first."""
        for (_, part, attribute), value in zip(self._states, self._first, strict=True):
            if part.training:
                setattr(part, attribute, copy.deepcopy(value))

    def zero_grad(self) -> None:
        """Set the gradients of the parameters to zero."""
        for gradient in self.held("d").values():
            gradient[...] = 0


def _flat(one: Any) -> Iterator[Any]:
    return chain.from_iterable(map(_flat, one)) if isinstance(one, tuple) else iter((one,))


def _is_of_floats(x: Any) -> bool:
    return isinstance(x, np.ndarray | float) and np.asarray(x).dtype.kind in "fc"


def _own_copy(f: Any, parameters: Parameters | None, dtype: np.dtype) -> tuple[Any, Any, Mapping[str, Layer]]:
    """The owner of f, f, and its layers by name; copies in `dtype` if the owner has parameters."""
    if isinstance(f, Model | type) or not isinstance(f, Layer | Callable):
        hint = ": pass its loss, model.loss" if isinstance(f, Model) else ""
        hint = f": pass one of its instances, {f.__name__}(…)" if isinstance(f, type) else hint
        raise TypeError(f"check_gradients expects a layer or a function, got {named(f)}{hint}.")
    if parameters is not None:
        if isinstance(f, Layer) or not isinstance(parameters, Parameters):
            came = f"{named(parameters)} for {named(f)}"
            raise TypeError(f"check_gradients expects parameters to be Parameters(…) of what f trains, got {came}.")
        if parameters.theta.dtype != dtype:
            came = f"{parameters.theta.dtype}: make the layers with dtype=np.{dtype}"
            raise TypeError(f"check_gradients expects parameters of {dtype}, got {came}.")
        return None, f, parameters.layers
    owner: Any = getattr(f, "__self__", f)
    if not isinstance(owner, Layer) and not isinstance(getattr(owner, "parameters", None), Parameters):
        return None, f, {}
    owner = copy.deepcopy(owner)
    layers = {"": owner} if isinstance(owner, Layer) else owner.parameters.layers
    held = {str(id(one)): one for _, part in parts_of(layers) for one in vars(part).values() if isinstance(one, Layer)}
    slots = slots_of(layers | held, "parameter_names")  # also those of layers that are held in private
    made_in = {getattr(part, attribute).dtype for _, part, attribute in slots}
    for _, part, attribute in slots_of(layers, "state_names"):
        state = np.asarray(getattr(part, attribute, None))
        if state.dtype.kind == "f" and (not made_in or state.dtype in made_in):
            setattr(part, attribute, state.astype(dtype))
    for name, part, attribute in slots:
        if not hasattr(part, f"d{attribute}"):
            expected = f"{part!r} to add the gradient of {name} to d{attribute}"
            raise TypeError(f"check_gradients expects {expected}, got none.")
        setattr(part, attribute, np.array(getattr(part, attribute), dtype))
        setattr(part, f"d{attribute}", np.zeros_like(getattr(part, attribute)))
    if not isinstance(owner, Layer):
        for name, value in list(vars(owner).items()):
            if isinstance(value, Parameters):
                setattr(owner, name, Parameters(**layers))
            elif name == "dtype":
                owner.dtype = dtype
    return owner, getattr(owner, "forward" if isinstance(f, Layer) else getattr(f, "__name__", "__call__")), layers
