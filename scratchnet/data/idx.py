"""The idx format of MNIST: a big-endian header (a magic number, the length of each axis), then one byte a number.

A file is read only as far as its header says, and its header is believed only as far as the file goes on, so a broken
or hostile file costs a sentence and no more memory than the bytes that it has.
"""

import gzip
import math
import struct
import zlib
from os import PathLike
from pathlib import Path
from typing import IO

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import brief, check_choice, check_path, listed
from scratchnet.errors import DataError

_PREFIX = {"train": "train", "test": "t10k"}
_LARGEST_RATIO = 1032  # bytes that one byte of gzip can stand for, at most
_UNSIGNED_BYTES = 0x08
_PIECE = 1 << 20  # bytes to read at once: asked for all, Python would make room for all before it reads


def mnist(split: str = "train") -> tuple[Array, Array]:
    """MNIST, from the files inside this package: 60,000 images to train on, 10,000 to test.

    Parameters
    ----------
    split : {"train", "test"}

    Returns
    -------
    images : (N, 784) float32
        Rows of 28 × 28 pixels, in [0, 1].
    labels : (N,) uint8
        The digits, 0 to 9.

    Raises
    ------
    ValueError
        If there is no such split.
    DataError
        If the package's files are missing or damaged.

    Notes
    -----
    LeCun, Cortes & Burges, The MNIST database of handwritten digits; CC BY-SA 3.0.

    Examples
    --------
    >>> import scratchnet as sn
    >>> images, labels = sn.data.mnist("test")
    >>> images.shape, images.dtype.name, labels[:5].tolist()
    ((10000, 784), 'float32', [7, 2, 1, 0, 4])
    """
    check_choice("data.mnist", "split", split, tuple(_PREFIX))
    return load_idx(Path(__file__).parent / "mnist", split)


def load_idx(directory: str | PathLike[str], split: str = "train") -> tuple[Array, Array]:
    """Images and labels from a directory of MNIST-like files, gzipped or not.

    Parameters
    ----------
    directory : path
        Holds `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-…` for the test images, with or
        without `.gz`, and also with a dot before `idx`.
    split : {"train", "test"}

    Returns
    -------
    images : (N, D) float32
        Rows of pixels, in [0, 1].
    labels : (N,) uint8
        As they stand in the file: 0 to 9 for digits, and up to 255 for what has more kinds.

    Raises
    ------
    DataError
        If a file is missing, is not in this format, is cut off or too long, or the counts disagree.
    TypeError
        If `directory` is no path.
    ValueError
        If there is no such split.

    Examples
    --------
    >>> import scratchnet as sn
    >>> sn.data.load_idx("no/such/place")
    Traceback (most recent call last):
        ...
    scratchnet.errors.DataError: no/such/place is not a directory.
    """
    check_choice("data.load_idx", "split", split, tuple(_PREFIX))
    directory, prefix = check_path("data.load_idx", "directory", directory), _PREFIX[split]
    images_path = _find(directory, f"{prefix}-images-idx3-ubyte")
    labels_path = _find(directory, f"{prefix}-labels-idx1-ubyte")
    try:
        pixels = _read(images_path, axes=3)  # (N, height, width)
        labels = _read(labels_path, axes=1)  # (N,)
        if len(pixels) != len(labels):
            raise DataError(f"{images_path} holds {len(pixels)} images, but {labels_path} {len(labels)} labels.")
        images = pixels.reshape(len(pixels), -1).astype(np.float32)
    except MemoryError:
        raise DataError(f"{images_path} holds more images than there is memory for.") from None
    images /= 255
    return images, labels


def _find(directory: Path, name: str) -> Path:
    try:
        if not directory.is_dir():
            raise DataError(f"{directory} is not a directory.")
        for one in (name, name.replace("-idx", ".idx")):  # as published, and as some programs unpack it
            for path in (directory / f"{one}.gz", directory / one, directory / one / one):
                if path.is_file():
                    return path
        seen = sorted(path.name for path in directory.iterdir() if "ubyte" in path.name)
    except OSError as error:
        raise DataError(f"{directory} could not be read: {error.strerror}.") from error
    there = f": there is {listed(brief(one, 60) for one in seen)}" if seen else ""
    raise DataError(f"{directory} holds no {name}, with or without .gz{there}.")


def _is_gzip(path: Path, file: IO[bytes]) -> bool:
    """By its name or by its first two bytes: some programs take the `.gz` off a name, and leave the file as it was."""
    begin = file.read(2)
    file.seek(0)
    return path.suffix == ".gz" or begin == b"\x1f\x8b"


def _read(path: Path, axes: int) -> Array:
    header_size = 4 + 4 * axes
    try:
        size_on_disk = path.stat().st_size
        with path.open("rb") as raw, gzip.open(raw) if (is_gzip := _is_gzip(path, raw)) else raw as file:
            header = file.read(header_size)
            if len(header) < header_size:
                raise DataError(f"{path} is cut off: an idx header has {header_size} bytes, got {len(header)}.")
            magic, *shape = struct.unpack(f">{1 + axes}I", header)
            if magic != (_UNSIGNED_BYTES << 8 | axes):
                raise DataError(
                    f"{path} is not an idx file of unsigned bytes with {axes} axes: "
                    f"expected the magic number {_UNSIGNED_BYTES << 8 | axes}, got {magic}."
                )
            size = math.prod(shape)
            if size == 0:
                raise DataError(f"{path} is empty: its header says the shape is {tuple(shape)}.")
            if size > size_on_disk * (_LARGEST_RATIO if is_gzip else 1):
                raise DataError(
                    f"{path} is cut off: its header promises {size:,} bytes, more than its {size_on_disk:,} can hold."
                )
            body = bytearray()
            end = size + 1  # one byte more than there should be, to see that the file ends
            while piece := file.read(min(_PIECE, end - len(body))):
                body += piece
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} could not be read: {error}.") from error
    if len(body) != size:
        what = "goes on after" if len(body) > size else f"is cut off after {len(body):,} of"
        raise DataError(f"{path} {what} the {size:,} bytes that its header promises.")
    return np.frombuffer(body, np.uint8).reshape(shape)
