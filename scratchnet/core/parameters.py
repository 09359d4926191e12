"""All parameters of a model in one vector θ, all gradients in another; the layers hold views into both.

So an optimizer is a line of arithmetic on two vectors, a model is saved and compared as one array, and a layer still
says `self.W`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_type, listed
from scratchnet.core.layer import Layer
from scratchnet.kernels.memory import empty

Slot = tuple[str, Any, str]
"""Where an array is: its dotted name, the layer or other object that holds it, and the attribute."""


class Parameters:
    """θ and dθ of the layers given by name, such as `Parameters(encoder=…, decoder=…)`.

    Moves each layer's parameters and gradients into two flat vectors, and gives the layer views into them in place of
    its own arrays. A layer that is used in two places is one set of parameters, under its first name.
    docs/05-optimizers.md. One block for all parameters is the idea of Karpathy's llm.c.

    Attributes
    ----------
    theta, dtheta : (P,)
        θ and ∂L/∂θ.
    layers : dict
        The parts as given.
    slots : list of (str, Layer, str)
        Where each parameter is: its dotted name, layer and attribute.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> net = sn.Sequential(sn.Dense(3, 2, rng=np.random.default_rng(0)), sn.Tanh())
    >>> parameters = sn.Parameters(net=net)
    >>> parameters.theta.shape, {name: W.shape for name, W in parameters.named().items()}
    ((8,), {'net.0.W': (3, 2), 'net.0.b': (2,)})
    >>> parameters.theta[-2:] = 7
    >>> net.layers[0].b
    array([7., 7.], dtype=float32)
    """

    def __init__(self, **layers: Layer):
        for name, layer in layers.items():
            check_type("Parameters", name, layer, Layer, "a layer")
        self.layers, self.slots = layers, slots_of(layers, "parameter_names")
        if not self.slots:
            came = f"none in {listed(layers)}" if layers else "no layers"
            raise ValueError(f"Parameters expects layers with parameters, got {came}.")
        dtypes = {getattr(part, attribute).dtype: name for name, part, attribute in reversed(self.slots)}
        if len(dtypes) > 1:
            came = ", ".join(f"{dtype} in {name}" for dtype, name in reversed(dtypes.items()))
            raise TypeError(f"Parameters expects one dtype for all layers, got {came}.")
        self.theta = _in_a_row([getattr(part, attribute) for _, part, attribute in self.slots])
        self.dtheta = _in_a_row([getattr(part, f"d{attribute}") for _, part, attribute in self.slots])
        self._views = list(self._hand_out_views())

    def zero_grad(self) -> None:
        """dθ = 0, before the gradients of a new step add up."""
        self._check_views()
        kernels.clear(self.dtheta)

    def named(self) -> dict[str, Array]:
        """Each parameter under its dotted name, as a view into θ."""
        self._check_views()
        return {name: getattr(part, attribute) for name, part, attribute in self.slots}

    def _hand_out_views(self) -> Iterator[tuple[Layer, str, Array]]:
        """Each layer, the name of an attribute, and the view that it now holds there."""
        start = 0
        for _, part, attribute in self.slots:
            own = getattr(part, attribute)
            stop = start + own.size
            for held, flat in ((attribute, self.theta), (f"d{attribute}", self.dtheta)):
                view = flat[start:stop].reshape(own.shape)
                setattr(part, held, view)
                yield part, held, view
            start = stop

    def _check_views(self) -> None:
        for part, held, view in self._views:
            if getattr(part, held) is not view:
                path = next(name.removesuffix(attribute) for name, owner, attribute in self.slots if owner is part)
                why = "it was replaced by another array, or its layer was given to another model"
                hint = f"write values with {held}[...] = …, and give each model layers of its own"
                raise ValueError(f"{path}{held} is no longer part of this model's θ: {why}; {hint}.")

    def __len__(self) -> int:
        return self.theta.size

    def __copy__(self) -> "Parameters":
        raise TypeError("Parameters expects to be copied with its layers, got copy.copy: use copy.deepcopy(model).")

    def __reduce__(self) -> tuple[Any, ...]:  # a copied or unpickled model needs views into its own θ
        return _rebuild, (self.layers,)

    def __repr__(self) -> str:
        return f"Parameters({len(self):,} numbers of {self.theta.dtype} in {len(self.slots)} arrays)"


def parts_of(layers: Mapping[str, Layer]) -> list[tuple[str, Layer]]:
    """Each layer at or below these, once, under its first dotted name, to which a root named "" adds nothing."""
    parts: dict[int, tuple[str, Layer]] = {}  # by identity, so that a layer used twice counts once
    for name, layer in layers.items():
        for path, part in layer.walk(name):
            _check_declared(part)
            parts.setdefault(id(part), (path.removeprefix("."), part))
    return list(parts.values())


def _check_declared(layer: Layer) -> None:
    """Names are in tuples; layers in public attributes are among its children, or they would never be trained."""
    where = type(layer).__name__
    for kind in ("parameter_names", "state_names"):
        check_type(where, kind, getattr(layer, kind), tuple | list, 'a tuple of names, such as ("W", "b")')
    children = list(map(id, layer.children().values()))
    for name, value in vars(layer).items():
        held = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        if not name.startswith("_") and any(isinstance(one, Layer) and id(one) not in children for one in held):
            hint = f"return {{'{name}': self.{name}}}, or, if they are not to be trained, begin the name with _"
            raise ValueError(f"{where} expects children() to return the layers in {name}: {hint}.")


def slots_of(layers: Mapping[str, Layer], kind: str) -> list[Slot]:
    """Where the layers' arrays of one kind are, "parameter_names" or "state_names"."""
    return [
        (f"{path}.{attribute}".removeprefix("."), part, attribute)
        for path, part in parts_of(layers)
        for attribute in getattr(part, kind)
    ]


def _in_a_row(arrays: list[Array]) -> Array:
    row = empty((sum(array.size for array in arrays),), arrays[0].dtype)
    return np.concatenate([array.ravel() for array in arrays], out=row)


def _rebuild(layers: dict[str, Layer]) -> Parameters:
    return Parameters(**layers)
