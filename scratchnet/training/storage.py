"""Arrays on disk: an .npz of arrays by name, written whole or not at all, and read without pickle."""

import contextlib
import errno
import io
import math
import os
import re
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import brief, check_model, check_path, listed, named
from scratchnet.core.layer import Layer
from scratchnet.core.parameters import Parameters, Slot, slots_of
from scratchnet.errors import DataError
from scratchnet.kernels.memory import empty

_HEADER = 1000  # letters in which an array's shape and dtype are written, at most
_KEPT = 40  # letters of a file's name in the name of its unfinished version, to which more is added


def save(path: str | PathLike[str], model: Any) -> None:
    """Write the parameters and the states of a model or of a layer to `path`, an .npz.

    Each array has the name that it has in `model.parameters.named()`, as `encoder.0.W`; those of a layer begin below
    it, as `0.W` of a Sequential. If writing fails, the file that was at `path` before is kept.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn, tempfile
    >>> dense = sn.Dense(4, 2, rng=np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sn.save(f"{folder}/dense.npz", dense)
    ...     dense.W[...] = 0
    ...     sn.load(f"{folder}/dense.npz", dense)
    >>> bool(dense.W.any())
    True
    """
    path = check_path("save", "path", path)
    arrays = arrays_in(_slots("save", model))
    with write_whole(path) as file:
        write_arrays(file, arrays)


def load(path: str | PathLike[str], model: Any) -> None:
    """Read what `save` wrote into a model or a layer of the same architecture.

    The model changes only after the whole file was read and found to fit; what does not fit is a DataError. A file from
    a stranger does no harm: nothing in it is run, and the memory that reading takes is bounded by its size.
    docs/18-your-own.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> sn.load("no/such/model.npz", sn.Dense(4, 2, rng=np.random.default_rng(0)))
    Traceback (most recent call last):
        ...
    scratchnet.errors.DataError: no/such/model.npz does not exist.
    """
    path = check_path("load", "path", path)
    slots = _slots("load", model)
    with opened(path, "model") as archive:
        found = read_arrays(archive, arrays_in(slots))
    set_arrays(slots, found)


def _slots(where: str, model: Any) -> list[Slot]:
    """Where the parameters and the states of a model or a layer are."""
    layers = {"": model}
    if not isinstance(model, Layer):
        check_model(where, model)
        model.parameters.named()  # refuses a parameter that is no longer part of θ
        layers = model.parameters.layers
    slots = slots_of(layers, "parameter_names") + slots_of(layers, "state_names")
    if not slots:
        raise ValueError(f"{where} expects a model or a layer that has parameters or states, got {model!r}.")
    return slots


def learnt(parameters: Parameters) -> list[Slot]:
    """Where θ and the states of its layers are."""
    return [("theta", parameters, "theta"), *slots_of(parameters.layers, "state_names")]


def arrays_in(slots: list[Slot]) -> dict[str, Array]:
    """The arrays in these slots, by name; a NumPy scalar counts as an array without axes."""
    found = {}
    for name, owner, attribute in slots:
        value = getattr(owner, attribute, None)
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
            raise TypeError(f"{type(owner).__name__} expects its {name} to be an array of numbers, got {named(value)}.")
        found[name] = np.asarray(value)
    return found


def set_arrays(slots: list[Slot], arrays: Mapping[str, Array]) -> None:
    """Put these arrays into the slots: in place, where what is there fits and can be written to."""
    for name, owner, attribute in slots:
        held: Any = getattr(owner, attribute, None)
        new = arrays[name]
        in_place = isinstance(held, np.ndarray) and held.flags.writeable
        if in_place and (held.shape, held.dtype) == (new.shape, new.dtype):
            held[...] = new
        else:
            copy = empty(new.shape, new.dtype)
            copy[...] = new
            setattr(owner, attribute, copy[()])


def write_arrays(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """An .npz of the arrays, as np.savez writes it, but under any names, and closed also where the disk is full."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, x in arrays.items():
            _check_header(name, x)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, x, allow_pickle=False)


def _check_header(name: str, x: Array) -> None:
    """The array's shape and dtype are written in a way that `read_array` takes."""
    header = io.BytesIO()
    try:
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(x))
        fits = header.tell() <= 10 + _HEADER  # 10 bytes before the text
    except ValueError:  # letters that are not in Latin-1
        fits = False
    if not fits:
        expected = f"A file takes a dtype of at most {_HEADER:,} letters of Latin-1 for {name}"
        raise TypeError(f"{expected}, got {brief(x.dtype, 100)}: keep its fields in several arrays.")


@contextmanager
def opened(path: str | PathLike[str], kind: str) -> Iterator[zipfile.ZipFile]:
    """An .npz file to read arrays from; whatever is wrong with it is a DataError that names the file."""
    path = Path(path)
    try:
        if (what := _kind(path)) != "a file":  # reading from a pipe would wait for ever
            raise DataError(f"is not a {kind} file, but {what}." if what else "does not exist.")
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
            if end and end[5] > os.fstat(file.fileno()).st_size / 2:  # each line, of 46 bytes, takes 400 of memory
                raise ValueError("its list of arrays is longer than the arrays")
            with zipfile.ZipFile(file) as archive:
                yield archive
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or brief(error)}.") from error
    except Exception as error:  # for damaged input, zipfile and NumPy's format each raise several kinds
        why = brief(error).removesuffix(".") or type(error).__name__
        raise DataError(f"{path} is not a {kind} file, or is damaged: {why}.") from error


def read_arrays(archive: zipfile.ZipFile, expected: Mapping[str, Array | None]) -> dict[str, Array]:
    """The arrays of an .npz, which must have these names, shapes and dtypes; where None is expected, the file's own."""
    found = [name.removesuffix(".npy") for name in archive.namelist()]
    differences = {"lacks": expected.keys() - set(found), "also has": set(found) - expected.keys()}
    told = [f"{what} {listed(brief(one, 60) for one in sorted(names))}" for what, names in differences.items() if names]
    if told:
        raise DataError(f"holds another model: it {' and '.join(told)}.")
    if len(found) > len(expected):
        raise ValueError("it holds an array twice")
    return {name: read_array(archive, name, x) for name, x in expected.items()}


def read_array(archive: zipfile.ZipFile, name: str, expected: Array | None = None, most: float = math.inf) -> Array:
    """An array of the shape and dtype of `expected`, or of any but with at most so many bytes; it may be read-only.

    The header is compared before any memory is allocated.
    """
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, unlike what np.savez writes")
    if member.file_size > most:
        raise ValueError(f"{name} is longer than the {most:,} bytes that it may have")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is in another version of NumPy's format")
        shape, column_major, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_HEADER)
        if expected is not None and (shape, dtype) != (expected.shape, expected.dtype):
            came, wanted = f"{brief(shape)} of {brief(dtype)}", f"{expected.shape} of {expected.dtype}"
            raise DataError(f"holds another model: {name} is {came}, expected {wanted}.")
        size = math.prod(shape) * dtype.itemsize
        body = file.read(size + 1)  # one byte more than there should be, to see that it ends
    if len(body) != size:
        raise ValueError(f"{name} is cut off or goes on after its end")
    return np.ndarray(shape, dtype, body, order="F" if column_major else "C")


@contextmanager
def write_whole(path: str | PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write to, which replaces the one at `path` if the block ends well, and is removed if it does not.

    Until then it has a name of its own, so that two processes that write to one path disturb neither each other nor a
    reader. If `path` is a link, the file that it leads to is written. A directory, a device or a pipe is refused.
    """
    if (what := _kind(Path(path))) not in ("a file", ""):
        raise FileExistsError(errno.EEXIST, f"expected a file to write to or a free name, got {what}", str(path))
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.name[:_KEPT]}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(aside)):
            error.filename = str(path)  # the caller knows no other name
        raise
    with contextlib.suppress(OSError):  # the folder's list of names is written to disk too, where this user may
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def clear_aside(path: str | PathLike[str]) -> None:
    """Remove the unfinished files for `path` that killed processes have left, where that can be told."""
    target = Path(os.path.realpath(path))
    name = re.compile(rf"\.{re.escape(target.name[:_KEPT])}\.(\d+)\..*part", re.DOTALL)
    for other in target.parent.iterdir() if os.name == "posix" and target.parent.is_dir() else ():
        if found := name.fullmatch(other.name):
            try:
                os.kill(int(found[1]), 0)  # asks only whether there is such a process
            except ProcessLookupError:
                other.unlink(missing_ok=True)
            except (OSError, OverflowError):
                pass


def _kind(path: Path) -> str:
    """What is at `path`, or where it leads to if it is a link; "" for nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    kinds = {"-": "a file", "d": "a directory", "p": "a pipe", "s": "a socket"}
    return kinds.get(stat.filemode(mode)[0], "a device")
