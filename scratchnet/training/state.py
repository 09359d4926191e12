"""What a callback keeps, as JSON and arrays: it comes back as it was."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import named


def pack(value: Any, where: str, arrays: dict[str, Array]) -> Any:
    """The value as JSON, in which a dict with one key stands for what JSON lacks; arrays are added to `arrays`."""
    if isinstance(value, np.generic) and type(plain := value.item()) in (bool, str, float, int, complex):
        value = plain
    if value is None or type(value) in (bool, str, float):
        return value
    if type(value) is int:
        return {"int": hex(value)}  # Python refuses to write thousands of decimal digits
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if type(value) is list:
        return [pack(part, f"{where}[{i}]", arrays) for i, part in enumerate(value)]
    if type(value) is dict and all(type(name) is str for name in value):
        return {"dict": {name: pack(part, f"{where}[{name!r}]", arrays) for name, part in value.items()}}
    is_array = type(value) in (np.ndarray, np.memmap)  # a matrix or a masked array would not come back as one
    if (is_array or isinstance(value, np.generic)) and value.dtype.kind in "biufcSUMm":  # type: ignore[union-attr]
        name = f"callbacks {len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array" if is_array else "scalar": name}
    raise TypeError(
        f"{where} expects arrays, numbers, strings, True, False, None, dicts with string keys or lists of these, got "
        f"{'a dict with other keys' if type(value) is dict else named(value)}."
    )


def unpack(packed: Any, arrays: Mapping[str, Array]) -> Any:
    """What `pack` was given."""
    if isinstance(packed, list):
        return [unpack(part, arrays) for part in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, value),) = packed.items()
    if kind == "dict":
        return {name: unpack(part, arrays) for name, part in value.items()}
    if kind in ("int", "complex"):
        return int(value, 16) if kind == "int" else complex(*value)
    array = arrays[value].copy(order="K")
    return array if kind == "array" else array[()]
