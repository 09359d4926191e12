"""A model on disk: an .npz of its parameters by name, written whole or not at all, read without pickle."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO

import numpy as np

from scratchnet.errors import DataError
from scratchnet.models.model import Model


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
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a model file, or is damaged: {error}.") from error
    named = model.parameters.named()
    if found.keys() != named.keys():
        missing = ", ".join(sorted(named.keys() - found.keys())) or "nothing"
        extra = ", ".join(sorted(found.keys() - named.keys())) or "nothing"
        raise DataError(f"{path} holds another model: it lacks {missing} and has {extra} besides.")
    for name, W in named.items():
        if (found[name].shape, found[name].dtype) != (W.shape, W.dtype):
            raise DataError(
                f"{path} holds another model: {name} is {found[name].shape} of {found[name].dtype}, "
                f"expected {W.shape} of {W.dtype}."
            )
    for name, W in named.items():
        W[...] = found[name]


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
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
