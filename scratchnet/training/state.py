"""What a callback keeps, as text and bytes: it comes back as it was."""

import io
import json
from typing import Any

import numpy as np

from scratchnet.checks import named
from scratchnet.training.storage import read_npy


def pack(states: list[Any], names: list[str]) -> bytes:
    """States as the bytes of a file: arrays in NumPy's format, then the rest as JSON, then how long that is.

    Raises
    ------
    TypeError
        If a state holds what could not come back as it was; the message begins with the name of whose it is.
    """
    arrays = io.BytesIO()
    text = json.dumps([_packed(state, name, arrays) for state, name in zip(states, names, strict=True)]).encode()
    return arrays.getvalue() + text + len(text).to_bytes(8, "little")


def unpack(packed: bytes) -> list[Any]:
    """The states that `pack` was given."""
    length = int.from_bytes(packed[-8:], "little")
    return [_unpacked(state, packed) for state in json.loads(packed[-8 - length : -8])]


def arrays_in(state: Any) -> list[Any]:
    """All arrays that a state holds."""
    if isinstance(state, dict | list):
        return [array for part in (state.values() if isinstance(state, dict) else state) for array in arrays_in(part)]
    return [state] if isinstance(state, np.ndarray) else []


def _packed(value: Any, where: str, arrays: io.BytesIO) -> Any:
    """As JSON; what JSON lacks is a dict with one key that says what it is."""
    if value is None or type(value) in (bool, str, float):
        return value
    if type(value) is int:
        return value if abs(value) < 2**63 else {"int": hex(value)}  # Python writes no thousands of decimal digits
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject and _is_plain(value):
        if isinstance(value, np.generic) and type(plain := value.item()) in (bool, str, float, int, complex):
            return _packed(plain, where, arrays)
        begin = arrays.tell()
        np.save(arrays, np.asarray(value), allow_pickle=False)
        return {"scalar" if isinstance(value, np.generic) else "array": [begin, arrays.tell()]}
    if type(value) is list:
        return [_packed(part, f"{where}[{i}]", arrays) for i, part in enumerate(value)]
    if type(value) is dict and all(type(name) is str for name in value):
        return {"dict": {name: _packed(part, f"{where}[{name!r}]", arrays) for name, part in value.items()}}
    raise TypeError(
        f"{where} expects arrays, numbers, strings, True, False, None, dicts with string keys or lists of these, got "
        f"{'a dict with other keys' if type(value) is dict else named(value)}."
    )


def _is_plain(value: Any) -> bool:
    """Neither a matrix nor a masked array, and of numbers, truths or letters."""
    return (type(value) in (np.ndarray, np.memmap) or isinstance(value, np.generic)) and value.dtype.kind in "biufcSUMm"


def _unpacked(found: Any, packed: bytes) -> Any:
    if isinstance(found, list):
        return [_unpacked(part, packed) for part in found]
    if not isinstance(found, dict):
        return found
    ((kind, value),) = found.items()
    if kind == "dict":
        return {name: _unpacked(part, packed) for name, part in value.items()}
    if kind == "int":
        return int(value, 16)
    if kind == "complex":
        return complex(*value)
    array = read_npy(io.BytesIO(packed[value[0] : value[1]])).copy(order="K")
    return array[()] if kind == "scalar" else array
