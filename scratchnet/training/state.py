"""What a callback keeps, as bytes: it comes back as it was."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import named
from scratchnet.training.storage import read_npy


def pack(states: list[tuple[str, Any]]) -> bytes:
    """States, each with the name of who keeps it: arrays in NumPy's format, the rest as JSON, and the JSON's length."""
    arrays = io.BytesIO()
    text = json.dumps([_packed(state, name, arrays) for name, state in states]).encode()
    return arrays.getvalue() + text + len(text).to_bytes(8, "little")


def unpack(packed: bytes) -> list[Any]:
    """The states that `pack` was given."""
    length = int.from_bytes(packed[-8:], "little")
    return _unpacked(json.loads(packed[-8 - length : -8]), packed)


def arrays_in(state: Any) -> Iterator[Array]:
    """All arrays that a state holds."""
    if isinstance(state, np.ndarray):
        yield state
    elif isinstance(state, dict | list):
        for part in state.values() if isinstance(state, dict) else state:
            yield from arrays_in(part)


def _packed(value: Any, where: str, arrays: io.BytesIO) -> Any:
    """As JSON; what JSON lacks is a dict with one key that says what it is."""
    if isinstance(value, np.generic) and type(plain := value.item()) in (bool, str, float, int, complex):
        value = plain
    if value is None or type(value) in (bool, str, float):
        return value
    if type(value) is int:
        return {"int": hex(value)}  # Python refuses to write thousands of decimal digits
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if type(value) is list:
        return [_packed(part, f"{where}[{i}]", arrays) for i, part in enumerate(value)]
    if type(value) is dict and all(type(name) is str for name in value):
        return {"dict": {name: _packed(part, f"{where}[{name!r}]", arrays) for name, part in value.items()}}
    is_array = type(value) in (np.ndarray, np.memmap)  # a matrix or a masked array would not come back as one
    if (is_array or isinstance(value, np.generic)) and np.result_type(value).kind in "biufcSUMm":
        begin = arrays.tell()
        np.save(arrays, np.asarray(value), allow_pickle=False)
        return {"array" if is_array else "scalar": [begin, arrays.tell()]}
    raise TypeError(
        f"{where} expects arrays, numbers, strings, True, False, None, dicts with string keys or lists of these, got "
        f"{'a dict with other keys' if type(value) is dict else named(value)}."
    )


def _unpacked(found: Any, packed: bytes) -> Any:
    if isinstance(found, list):
        return [_unpacked(part, packed) for part in found]
    if not isinstance(found, dict):
        return found
    ((kind, value),) = found.items()
    if kind == "dict":
        return {name: _unpacked(part, packed) for name, part in value.items()}
    if kind in ("int", "complex"):
        return int(value, 16) if kind == "int" else complex(*value)
    array = read_npy(io.BytesIO(packed[value[0] : value[1]]), "an array of a callback").copy(order="K")
    return array if kind == "array" else array[()]
