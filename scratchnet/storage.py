"""Arrays on disk: an .npz of arrays by name, written whole or not at all, read without pickle."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO

import numpy as np

from scratchnet.checks import listed
from scratchnet.errors import DataError
from scratchnet.models.model import Model
from scratchnet.types import Array


def save(path: str | PathLike[str], model: Model) -> None:
    """Write the model's parameters to `path`.

    The file is an .npz with one array for each name of `model.parameters.named()`. If writing fails half-way, what
    stood at `path` before stands there still.

    Parameters
    ----------
    path : path
        Of the file; its directory must exist.
    model : Model

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn, tempfile
    >>> vae = sn.VAE(sn.Dense(4, 2, rng=np.random.default_rng(0)), sn.Dense(1, 4, rng=np.random.default_rng(1)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sn.save(f"{folder}/model.npz", vae)
    ...     vae.parameters.theta[...] = 0
    ...     sn.load(f"{folder}/model.npz", vae)
    >>> bool(vae.parameters.theta.any())
    True
    """
    with write_whole(path) as file:
        np.savez(file, **model.parameters.named())  # type: ignore[arg-type]  (names are free)


def load(path: str | PathLike[str], model: Model) -> None:
    """Read parameters that `save` wrote into a model of the same architecture.

    The model changes only after the whole file was read and found to fit.

    Parameters
    ----------
    path : path
    model : Model

    Raises
    ------
    DataError
        If the file is missing or damaged, or its names, shapes or dtypes are not those of the model.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> vae = sn.VAE(sn.Dense(4, 2, rng=np.random.default_rng(0)), sn.Dense(1, 4, rng=np.random.default_rng(1)))
    >>> sn.load("no/such/model.npz", vae)
    Traceback (most recent call last):
        ...
    scratchnet.errors.DataError: no/such/model.npz does not exist.
    """
    named = model.parameters.named()
    with opened(path, "model") as archive:
        found = read_arrays(archive, named)
    for name, W in named.items():
        W[...] = found[name]


@contextmanager
def opened(path: str | PathLike[str], kind: str) -> Iterator[zipfile.ZipFile]:
    """An .npz file to read from; whatever is wrong with it is a DataError that names the file and its kind."""
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            yield archive
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except Exception as error:  # zipfile, zlib and NumPy's format have each several of their own for damaged input
        raise DataError(f"{path} is not a {kind} file, or is damaged: {error}.") from error


def read_arrays(
    archive: zipfile.ZipFile, expected: dict[str, Array], besides: tuple[str, ...] = ()
) -> dict[str, Array]:
    """The arrays of an .npz, which must have the names, shapes and dtypes of `expected`, and the names `besides`.

    Each array's own header is compared before the array is read, and no more is read than is expected, so a hostile
    file takes no more memory than an honest one.
    """
    names = {name.removesuffix(".npy") for name in archive.namelist()}
    all_expected = expected.keys() | set(besides)
    if names != all_expected:
        missing, extra = listed(sorted(all_expected - names)), listed(sorted(names - all_expected))
        differences = [f"lacks {missing}"] * bool(missing) + [f"has {extra} besides"] * bool(extra)
        raise DataError(f"holds another model: it {' and '.join(differences)}.")
    return {name: _read_array(archive, name, W) for name, W in expected.items()}


def read_bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one array of an .npz, which must not be compressed, so that they are no more than the file holds."""
    if archive.getinfo(f"{name}.npy").compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    with archive.open(f"{name}.npy") as member:
        np.lib.format.read_magic(member)
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if (len(shape), dtype) != (1, np.uint8):
            raise ValueError(f"{name} is {shape} of {dtype}, expected a row of bytes")
        body = member.read()
    if len(body) != shape[0]:
        raise ValueError(f"{name} is cut off or goes on after its end")
    return body


def _read_array(archive: zipfile.ZipFile, name: str, expected: Array) -> Array:
    with archive.open(f"{name}.npy") as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name} is in another version of NumPy's format")
        shape, column_major, dtype = np.lib.format.read_array_header_1_0(member)
        if (shape, dtype) != (expected.shape, expected.dtype):
            raise DataError(
                f"holds another model: {name} is {shape} of {dtype}, expected {expected.shape} of {expected.dtype}."
            )
        body = member.read(expected.nbytes + 1)  # one byte more than there should be, to see that it ends
    if len(body) != expected.nbytes:
        raise ValueError(f"{name} is cut off or goes on after its end")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if column_major else "C")


@contextmanager
def write_whole(path: str | PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write to, which takes its place at `path` when the block ends well, and is gone when it does not."""
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _settle(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _settle(folder: Path) -> None:
    """Have the names of a folder's files written to disk too, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
