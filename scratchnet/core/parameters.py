"""All parameters of a model in one vector θ, all gradients in another; the layers hold views into both.

So an optimizer is a line of arithmetic on two vectors, a model is saved and compared as one array, and a layer still
says `self.W`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import listed, named
from scratchnet.core.layer import Layer
from scratchnet.kernels.memory import empty

Slot = tuple[str, Layer, str]
"""An array's dotted name, the layer that holds it, and the attribute it is there."""


class Parameters:
    """θ and dθ of the layers given by name.

    Moves the values of each layer's parameters and gradients into two flat vectors, and gives each layer views into
    them in place of its own arrays. A layer that stands in two places is one set of parameters, under its first name.

    Parameters
    ----------
    **layers : Layer
        The parts, such as `encoder=…, decoder=…`.

    Attributes
    ----------
    theta, dtheta : (P,)
        θ and ∂L/∂θ.
    layers : dict
        The parts as given.
    slots : list of (str, Layer, str)
        Each parameter's dotted name, the layer that holds it, and the attribute it is there.
    state_slots : list of (str, Layer, str)
        The same for the arrays that are not trained.

    Raises
    ------
    TypeError
        If the layers' dtypes differ.
    ValueError
        If there is nothing to train.

    Notes
    -----
    docs/05-optimizers.md. The idea of one block for all parameters is that of Karpathy's llm.c.

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

    theta: Array
    dtheta: Array

    def __init__(self, **layers: Layer):
        self.layers = layers
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"Parameters expects {name} to be a layer, got {named(layer)}.")
        self.slots = slots_of(layers, "parameter_names")
        self.state_slots = slots_of(layers, "state_names")
        if not self.slots:
            came = f"none in {listed(layers)}" if layers else "no layers"
            raise ValueError(f"Parameters expects layers with parameters, got {came}.")
        dtypes = {name: getattr(part, attribute).dtype for name, part, attribute in self.slots}
        if len(set(dtypes.values())) > 1:
            first, *others = dtypes.items()
            other = next(item for item in others if item[1] != first[1])
            raise TypeError(
                f"Parameters expects one dtype for all layers, got {first[1]} in {first[0]}, {other[1]} in {other[0]}."
            )
        self.theta, self.dtheta = (
            _in_a_row([getattr(part, f"{d}{attribute}") for _, part, attribute in self.slots]) for d in ("", "d")
        )
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
                raise ValueError(
                    f"{path}{held} is no longer part of this model's θ: it was replaced by another array, or its layer "
                    f"was given to another model; write values with {held}[...] = …, and give each model layers of its "
                    "own."
                )

    def __len__(self) -> int:
        return self.theta.size

    def __copy__(self) -> "Parameters":
        raise TypeError("Parameters expects to be copied with its layers, got copy.copy: use copy.deepcopy(model).")

    def __reduce__(self) -> tuple[Any, ...]:  # a copied or unpickled model needs views into its own θ
        return _rebuild, (self.layers,)

    def __repr__(self) -> str:
        return f"Parameters({len(self):,} numbers of {self.theta.dtype} in {len(self.slots)} arrays)"


def parts_of(layers: Mapping[str, Layer]) -> list[tuple[str, Layer]]:
    """Each layer at or below these, once, under its first dotted name; where that is "", a part's name begins it."""
    parts: dict[int, tuple[str, Layer]] = {}  # by identity, so that a layer used twice counts once
    for name, layer in layers.items():
        for path, part in layer.walk(name):
            parts.setdefault(id(part), (path.removeprefix("."), part))
    return list(parts.values())


def slots_of(layers: Mapping[str, Layer], kind: str) -> list[Slot]:
    """The dotted name, the layer and the attribute of each array that they have of a kind, such as "state_names"."""
    return [
        (f"{path}.{attribute}".removeprefix("."), part, attribute)
        for path, part in parts_of(layers)
        for attribute in getattr(part, kind)
    ]


def state_arrays(slots: list[Slot]) -> dict[str, Array]:
    """The arrays that layers keep and do not train, by name; a NumPy scalar counts as an array without axes."""
    found = {}
    for name, part, attribute in slots:
        value = getattr(part, attribute, None)
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
            raise TypeError(f"{part!r} expects its state {name} to be an array of numbers, got {named(value)}.")
        found[name] = np.asarray(value)
    return found


def set_state(slots: list[Slot], arrays: Mapping[str, Array]) -> None:
    """Give the layers these states, in the arrays that they have where these can be written to."""
    for name, part, attribute in slots:
        held = getattr(part, attribute)
        if isinstance(held, np.ndarray) and held.flags.writeable and alike(held, arrays[name]):
            held[...] = arrays[name]
        else:
            setattr(part, attribute, arrays[name].copy()[()])


def alike(a: Array, b: Array) -> bool:
    """Whether they have one shape and one type."""
    return (a.shape, a.dtype) == (b.shape, b.dtype)


def _in_a_row(arrays: list[Array]) -> Array:
    """All their numbers, one array after the other."""
    row = empty((sum(array.size for array in arrays),), arrays[0].dtype)
    return np.concatenate([array.ravel() for array in arrays], out=row)


def _rebuild(layers: dict[str, Layer]) -> Parameters:
    return Parameters(**layers)
