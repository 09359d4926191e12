"""Files as accidents and attackers leave them: cut, flipped, spliced, with headers that lie, and repaired around it.

A checksum guards what lies behind it, so damage is done at two depths: to a file as it stands on disk, and to what it
holds, written again with the sums that fit.
"""

import io
import json
import re
import zipfile
from typing import Any

from hypothesis import strategies as st

_HEADERS = re.compile(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06|\x93NUMPY|\x1f\x8b\x08")
_EXTREMES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]

Damage = tuple[Any, ...]


def landmarks(content: bytes) -> list[int]:
    """Where the fields of its headers lie."""
    return [at.start() + k for at in _HEADERS.finditer(content) for k in range(46)] or [0]


def damages(content: bytes) -> st.SearchStrategy[list[Damage]]:
    """One to three things that may happen to it, often to a header."""
    place = st.integers(0, len(content)) | st.sampled_from(landmarks(content))
    length = st.integers(1, 40)
    return st.lists(
        st.tuples(st.just("flip"), place, st.integers(1, 255))
        | st.tuples(st.just("cut"), place)
        | st.tuples(st.just("drop"), place, length)
        | st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=8))
        | st.tuples(st.just("splice"), place, place, length)
        | st.tuples(st.just("lie"), place, st.sampled_from([1, 2, 4, 8]), st.sampled_from(_EXTREMES)),
        min_size=1,
        max_size=3,
    )


def damaged(content: bytes, steps: list[Damage], order: Any = "little") -> bytes:
    """The file after these accidents; numbers that lie are written in this order of bytes."""
    changed = bytearray(content)
    for kind, at, *what in steps:
        at %= len(changed) + 1
        if kind == "flip" and at < len(changed):
            changed[at] ^= what[0]
        elif kind == "cut":
            del changed[at:]
        elif kind == "drop":
            del changed[at : at + what[0]]
        elif kind == "insert":
            changed[at:at] = what[0]
        elif kind == "splice":
            changed[at:at] = changed[what[0] : what[0] + what[1]]
        elif kind == "lie":
            width, value = what
            changed[at : at + width] = (value % 256**width).to_bytes(width, order)
    return bytes(changed)


def members(npz: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(npz)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes]) -> bytes:
    """An archive of these files as np.savez writes it, sums and all."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


NONSENSE = [None, True, -1, 0, 5, 10**9, 2**64, 10**30, 1.5, -1e308, float("nan"), float("inf"), "", "x", [], [[]], {}]


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a nest of lists and dicts; of a long list, only to its first few."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    return [at, *(path for key, inner in items for path in paths(inner, (*at, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The nest with another value in this place."""
    if not path:
        return new
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return copy
