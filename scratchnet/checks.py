"""Argument checks and their error messages.

Each function takes `where`, the caller as the reader knows it, and returns or raises. They cost a few comparisons,
except those that read an array's numbers, such as `check_pixels` and `check_finite`.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping
from numbers import Integral, Number, Rational, Real
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.errors import DataError, ShapeError


def check_type(where: object, name: str, value: Any, kind: Any, expected: str, hint: str = "") -> None:
    """`value` is of this type, which the message calls `expected`; True and False do not count as numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (Integral, Real)):
        raise TypeError(f"{where} expects {name} to be {expected}, got {named(value)}{hint}.")


def check_floats(where: object, name: str, x: Any) -> None:
    """`x` is an array of floating-point numbers."""
    if type(x) is np.ndarray and x.dtype.kind == "f":  # nearly always, and many times a step
        return
    if not isinstance(x, np.ndarray) or isinstance(x, np.matrix):  # a matrix multiplies otherwise
        hint = f": convert it with np.asarray({name}, dtype=np.float32)" if name.isidentifier() else ""
        hint = ": pass a single array" if isinstance(x, tuple) else hint
        raise TypeError(f"{where} expects {name} to be a NumPy array, got {type(x).__name__}{hint}.")
    check_unmasked(where, name, x)
    if x.dtype.kind not in "fc":
        hint = ", and divide pixels of 0–255 by 255" if x.dtype == np.uint8 else ""
        hint = f"convert it with .astype(np.float32){hint}"
        raise TypeError(f"{where} expects {name} to hold floating-point numbers, got {x.dtype}: {hint}.")


def check_shape(where: object, name: str, x: Array, *axes: int | str, hint: str = "") -> None:
    """`x` has these axes: an int is a length, a letter any length."""
    wrong = [axis for axis, n in zip(axes, x.shape, strict=False) if axis != n and not isinstance(axis, str)]
    if x.ndim != len(axes) or wrong:
        expected = str(axes).replace("'", "")
        raise ShapeError(f"{where} expects {name} of shape {expected}, got {x.shape}{hint}.")


def check_rows(where: object, name: str, x: Any, width: int | None, dtype: np.dtype | None) -> None:
    """`x` is (N, width) in the dtype of the parameters; None allows any width, or any float type."""
    check_floats(where, name, x)
    hint = ": rows come from images through Flatten()" if x.ndim > 2 else ""
    check_shape(where, name, x, "N", "D" if width is None else width, hint=hint)
    _check_dtype(where, name, x, dtype)


def check_points(where: str, name: str, x: Any, width: int | None = None) -> None:
    """`x` is (N, width) of finite real floats of any precision; a width of None allows any."""
    check_rows(where, name, x, width, None)
    if x.dtype.kind == "c":
        raise TypeError(f"{where} expects {name} to hold real numbers, got {x.dtype}.")
    check_finite(where, name, x)


def check_images(where: object, name: str, x: Any, C: int | str, dtype: Any, least: tuple[int, int]) -> None:
    """`x` is (N, C, H, W) in the dtype of the parameters, if there are any, and H and W are at least `least`."""
    check_floats(where, name, x)
    hint = f": images come from rows through Reshape(({C}, H, W))" if x.ndim == 2 else ""
    check_shape(where, name, x, "N", C, "H", "W", hint=hint)
    _check_dtype(where, name, x, dtype)
    if x.shape[2] < least[0] or x.shape[3] < least[1]:
        pixels = f"{least[0]} × {least[1]} pixels"
        raise ShapeError(f"{where} expects images of at least {pixels}, got {name} of shape {x.shape}.")


def _check_dtype(where: object, name: str, x: Array, dtype: np.dtype | None) -> None:
    if dtype is not None and x.dtype != dtype:
        hint = f"or make the layers with dtype=np.{x.dtype}" if x.dtype.isnative else "in this machine's byte order"
        came = f"{where} computes in {dtype}, but {name} is {x.dtype}"
        raise TypeError(f"{came}: use {name}.astype(np.{dtype}), {hint}.")


def check_same(where: object, name: str, x: Any, other_name: str, other: Array) -> None:
    """`x` has the shape and the dtype of `other`, so that nothing is broadcast or cast silently."""
    check_floats(where, name, x)
    if x.shape != other.shape:
        raise ShapeError(f"{where} expects {name} in the shape of {other_name}, {other.shape}, got {x.shape}.")
    if x.dtype != other.dtype:
        hint = f": use {name}.astype(np.{other.dtype})" if name.isidentifier() else ""
        raise TypeError(f"{where} expects {name} in the dtype of {other_name}, {other.dtype}, got {x.dtype}{hint}.")


def check_alike(where: str, **arrays: Any) -> None:
    """All are float arrays (N, …) of one shape and dtype, with at least one example."""
    (name, first), *others = arrays.items()
    check_floats(where, name, first)
    for other_name, other in others:
        check_same(where, other_name, other, name, first)
    check_batch(where, first)


def check_returned(where: str, name: str, found: Any) -> tuple[float, Array]:
    """What a loss function returned is its value and dy."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        came = f"a {type(found).__name__} of {len(found)}" if isinstance(found, tuple | list) else named(found)
        raise TypeError(f"{where} expects {name} to return its value and its derivative, (value, dy), got {came}.")
    return found[0], found[1]


def check_dy(where: object, dy: Any, y: Array) -> None:
    """`dy` can be ∂L/∂y: one derivative for each number in `y`."""
    if type(dy) is not np.ndarray or dy.shape != y.shape or dy.dtype != y.dtype:
        check_same(f"the backward pass of {where}", "dy", dy, "y", y)


def check_batch(where: str, x: Array, name: str = "") -> None:
    """There is at least one example, so that a mean over the batch exists."""
    if x.ndim == 0 or len(x) == 0:
        came = f"an empty batch of shape {x.shape}" if x.ndim else "a single number"
        raise ShapeError(f"{where} expects at least one example{f' in {name}' if name else ''}, got {came}.")


def check_in_place(where: str, name: str, x: Array, /, **others: Array) -> None:
    """`x` may be changed in place: it is writeable and shares no memory with the others."""
    if not x.flags.writeable:
        raise ValueError(f"{where} expects {name} to be writeable, got a read-only array: pass a copy.")
    for other_name, other in others.items():
        if np.shares_memory(x, other):
            came = f"arrays that overlap: pass {other_name}.copy()"
            raise ValueError(f"{where} expects {name} and {other_name} to share no memory, got {came}.")


def check_pixels(where: str, name: str, x: Array) -> None:
    """Every number of `x` is in [0, 1]; NaN fails."""
    if x.size and not (x.min() >= 0 and x.max() <= 1):  # a NaN makes both comparisons false
        hint = ": divide pixels of 0–255 by 255" if 2 <= x.max() <= 255 else ""
        raise DataError(f"{where} expects {name} in [0, 1], got {describe(x)}{hint}.")


def check_finite(where: str, name: str, x: Array) -> None:
    """No number of `x` is NaN or infinite."""
    if x.size and not (np.isfinite(x.min()) and np.isfinite(x.max())):
        raise DataError(f"{where} expects {name} to be finite, got {describe(x)}.")


def check_labels(where: str, name: str, labels: Any, count: int | None, classes: int) -> None:
    """`labels` is (count,) of integers from 0 to `classes` − 1; a count of None allows any."""
    check_type(where, name, labels, np.ndarray, "a NumPy array of integers", ": convert it with np.asarray(labels)")
    check_unmasked(where, name, labels)
    hints = {classes: "labels.argmax(axis=1) in place of one-hot rows", 1: "labels[:, 0] in place of a column"}
    hint = f": use {hints[labels.shape[1]]}" if labels.ndim == 2 and labels.shape[1] in hints else ""
    check_shape(where, name, labels, "N" if count is None else count, hint=hint)
    if labels.dtype.kind not in "iu":
        hint = ": use labels.astype(int), if each is the number of a class"
        raise TypeError(f"{where} expects {name} to hold integers, got {labels.dtype}{hint}.")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        hint = ": classes count from 0, so subtract 1" if labels.min() == 1 and labels.max() == classes else ""
        raise DataError(f"{where} expects {name} from 0 to {classes - 1}, got {describe(labels)}{hint}.")


def check_count(where: str, name: str, value: Any, least: int = 1, most: int = 2**63 - 1) -> int:
    """`value` is a whole number from `least` to `most`; returned as an int, which no sum or product overflows."""
    check_type(where, name, value, Integral, "a whole number")
    value = int(value)
    if not least <= value <= most:
        bound = f"least {least}" if value < least else f"most {most}"
        raise ValueError(f"{where} expects {name} to be at {bound}, got {named(value)}.")
    return value


def check_length(where: str, name: str, value: Any, least: int = 1) -> int:
    """`value` may be the length of an axis, or a step along one; returned as an int."""
    return check_count(where, name, value, least, 2**31 - 1)  # the largest index of 32 bits


def check_pair(where: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """`value` is a length or a pair of them, none below `least`; returned as a pair."""
    if not isinstance(value, tuple | list):
        value = check_length(where, name, value, least)
        return value, value
    if len(value) != 2:
        raise ValueError(f"{where} expects {name} to be a number or a pair, got {len(value)} numbers.")
    first, second = (check_length(where, f"{name}[{i}]", one, least) for i, one in enumerate(value))
    return first, second


def as_written(pair: tuple[int, int]) -> str:
    """What `check_pair` returned, as one would write it: a number, if both are the same."""
    return str(pair[0] if pair[0] == pair[1] else pair)


def check_number(
    where: str, name: str, value: Any, low: float, high: float = np.inf, *, open_low=False, closed_high=False
) -> float:
    """`value` is in [low, high), returned as a float; `open_low` excludes `low`, `closed_high` includes `high`."""
    check_type(where, name, value, Real, "a number")
    try:
        number = float(value)
    except OverflowError:  # an int or a fraction too large for a float
        number = np.inf if value > 0 else -np.inf  # type: ignore[operator]
    if not (low < number if open_low else low <= number) or not (number <= high if closed_high else number < high):
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{']' if closed_high else ')'}"
        came = number if np.isfinite(number) else named(value)
        raise ValueError(f"{where} expects {name} in {interval}, got {came}.")
    return number


def check_float(where: str, name: str, value: Any, kind: Any = Real) -> None:
    """`value` is a number that a float can hold, NaN and ±∞ too; an array without axes counts as one."""
    if type(value) is not float:
        value = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
        check_type(where, name, value, kind, "a number")
        if isinstance(value, Rational) and abs(value) > sys.float_info.max:  # type: ignore[operator]
            raise ValueError(f"{where} expects {name} to be a number that a float can hold, got {named(value)}.")


def check_numbers(where: str, name: str, numbers: Any) -> dict[str, Any]:
    """`numbers` is a dict of numbers by name; returned as floats, or complex, as a gradient check's complex step is."""
    check_type(where, name, numbers, Mapping, "a dict of numbers by name")
    for key, value in numbers.items():
        check_type(where, f"a name in {name}", key, str, "a string")
        check_float(where, key, value, Number)
    return {key: (complex if np.iscomplexobj(value) else float)(value) for key, value in numbers.items()}


def check_real(where: str, name: str, x: Any, *axes: int | str) -> Array:
    """`x`, an array or a nested list, holds real numbers, and has these axes if any are given; returned as an array."""
    check_unmasked(where, name, x)
    try:
        x = np.asarray(x)
    except ValueError:
        raise ShapeError(f"{where} expects {name} in rows of one length, got rows of several.") from None
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{where} expects {name} to hold real numbers, got {x.dtype.name}.")
    if x.size == 0 or x.ndim == 0:
        came = f"an empty array of shape {x.shape}" if x.ndim else "a single number"
        raise ShapeError(f"{where} expects {name} to be an array of numbers, got {came}.")
    if axes:
        check_shape(where, name, x, *axes)
    return x


def check_unmasked(where: object, name: str, x: Any) -> None:
    """`x` is no masked array, nor a list that holds one."""
    if isinstance(x, np.ma.MaskedArray):
        hint = "leave out what is masked, or fill it in"
        raise TypeError(f"{where} expects {name} without a mask, which it would ignore, got a masked array: {hint}.")
    for part in x if isinstance(x, list | tuple) else ():
        check_unmasked(where, name, part)


def check_choice(where: str, name: str, value: Any, choices: tuple[str, ...]) -> None:
    """`value` is one of the words in `choices`."""
    if not isinstance(value, str) or value not in choices:
        expected = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{where} expects {name} to be {expected}, got {named(value)}.")


def check_path(where: str, name: str, path: Any) -> Path:
    """`path` is the name of a file or folder; returned as a path."""
    check_type(where, name, path, str | os.PathLike, "a path")
    with contextlib.suppress(UnicodeEncodeError):
        if b"\0" not in os.fsencode(path):
            path = Path(path)  # one with .. is resolved, since a system finds nothing beyond a folder that is missing
            return Path(os.path.realpath(path)) if ".." in path.parts else path
    raise ValueError(f"{where} expects {name} to be a name that a file can have here, got {path!a}.")


def check_model(where: str, model: Any) -> None:
    """`model` has parameters by name."""
    if not hasattr(getattr(model, "parameters", None), "named"):
        raise TypeError(f"{where} expects a model such as VAE(…) or Autoencoder(…), or a layer, got {named(model)}.")


def check_rng(where: str, rng: Any) -> np.random.Generator:
    """`rng` is a NumPy Generator; returned as such."""
    if not isinstance(rng, np.random.Generator):
        hint = ": pass rng=np.random.default_rng(0)"
        raise TypeError(f"{where} takes its randomness from a NumPy Generator, got {named(rng)}{hint}.")
    return rng


def check_float_type(where: str, dtype: Any) -> np.dtype:
    """`dtype` names a floating-point type; returned as a NumPy dtype, in this machine's byte order."""
    try:
        resolved = None if dtype is None else np.dtype(dtype).newbyteorder("=")  # NumPy takes None for float64
    except TypeError:
        resolved = None
    if resolved is None or resolved.kind not in "fc":
        raise TypeError(f"{where} expects a floating-point dtype such as np.float32, got {resolved or named(dtype)}.")
    return resolved


def describe(x: Array) -> str:
    """What `x` holds, as the end of a sentence: its first number that is not finite, or its range."""
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        at = ", ".join(map(str, bad[0]))
        return f"{x[tuple(bad[0])]} at [{at}], with {len(bad)} of {x.size} numbers not finite"
    return f"numbers from {x.min()!s} to {x.max()!s}"


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first few names in a row, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def brief(text: object, most: int = 160) -> str:
    """A text from outside, such as a file, made fit for a message: on one line, printable, and not long."""
    text = " ".join(str(text).split())
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= most else f"{text[: most - 40]} … {text[-35:]}"


def named(value: Any) -> str:
    """A wrong argument in a few words: itself if it is short, its type if it is not."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) >= 10**20:  # Python refuses to print an int of several thousand digits
        return f"a number near {'-' if value < 0 else ''}10**{round(value.bit_length() * np.log10(2))}"
    return brief(repr(value)) if isinstance(value, int | float | str | None) else type(value).__name__
