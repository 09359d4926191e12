"""The state of a run and of its callbacks as JSON and arrays: it comes back as it was."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import named

_WRITE = {int: hex, complex: repr}  # Python refuses to write thousands of decimal digits
_READ = {"int": lambda text: int(text, 16), "complex": complex}


def as_text(state: Any) -> Array:
    """The state as JSON, in an array of bytes."""
    return np.frombuffer(json.dumps(state, default=_number).encode(), np.uint8)


def _number(value: Any) -> Any:
    """What JSON lacks: NumPy's numbers, the arrays of a random state, and fractions."""
    return value.tolist() if isinstance(value, np.ndarray | np.integer | np.bool) else float(value)


def parsed(text: Array) -> Any:
    """What `as_text` was given; nested more deeply than `pack` can write, it could crash Python's reader."""
    brackets = text[(text == ord("[")) | (text == ord("]")) | (text == ord("{")) | (text == ord("}"))]  # mostly few
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), np.int32(1), np.int32(-1))
    if np.cumsum(steps, dtype=np.int32).max(initial=0) > 2 * sys.getrecursionlimit() + 100:  # two a level, at most
        raise ValueError("it is nested too deeply")
    return json.loads(text.tobytes())


def pack(value: Any, where: str, arrays: dict[str, Array]) -> Any:
    """The value as JSON, in which a dict with one key stands for what JSON lacks; arrays are added to `arrays`."""
    kind = type(value)
    if value is None or kind in (bool, str, float, np.str_):
        return value
    if kind in _WRITE:
        return {kind.__name__: _WRITE[kind](value)}
    if kind is list:
        return [pack(part, f"{where}[{i}]", arrays) for i, part in enumerate(value)]
    if kind is dict and all(type(name) is str for name in value):
        return {"dict": {name: pack(part, f"{where}[{name!r}]", arrays) for name, part in value.items()}}
    is_array = kind in (np.ndarray, np.memmap)  # a matrix or a masked array would not come back as one
    if (is_array or isinstance(value, np.generic)) and not value.dtype.hasobject:
        name = f"callbacks {len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array" if is_array else "scalar": name}
    came = f"an array of {value.dtype}" if is_array else "a dict with other keys" if kind is dict else named(value)
    expected = "arrays, numbers, strings, True, False, None, dicts with string keys or lists of these"
    raise TypeError(f"{where} expects {expected}, got {came}.")


def unpack(packed: Any, arrays: Mapping[str, Array]) -> Any:
    """What `pack` was given."""
    if isinstance(packed, list):
        return [unpack(part, arrays) for part in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, value),) = packed.items()
    if kind == "dict":
        return {name: unpack(part, arrays) for name, part in value.items()}
    if kind in _READ:
        return _READ[kind](value)
    array = arrays[value].copy(order="K")
    return array if kind == "array" else array[()]
