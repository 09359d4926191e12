"""MNIST, which comes with the package, and any directory in the same idx format; nothing is downloaded.

An idx file is a big-endian header (a magic number, the length of each axis), then one byte per number.
"""

import gzip
import math
import zlib
from os import PathLike
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.checks import brief, check_choice, check_path, listed
from scratchnet.errors import DataError

__all__ = ["load_idx", "mnist"]

_PREFIX = {"train": "train", "test": "t10k"}
_PIECE = 1 << 18  # bytes per read: Python allocates what a read asks for, whatever the file holds


def mnist(split: str = "train") -> tuple[Array, Array]:
    """MNIST, from the files in this package: 60,000 images for "train", 10,000 for "test".

    Returns images (60000, 784) in float32, rows of 28 × 28 pixels in [0, 1], and labels (60000,) in uint8, the digits
    0 to 9. LeCun, Cortes & Burges, The MNIST database of handwritten digits; CC BY-SA 3.0.

    >>> images, labels = mnist("test")
    >>> images.shape, images.dtype.name, labels[:5].tolist()
    ((10000, 784), 'float32', [7, 2, 1, 0, 4])
    """
    check_choice("data.mnist", "split", split, tuple(_PREFIX))
    return load_idx(Path(__file__).parent / "mnist", split)


def load_idx(directory: str | PathLike[str], split: str = "train") -> tuple[Array, Array]:
    """Images (N, D) in float32, in [0, 1], and labels (N,) in uint8, from a directory of MNIST-like files.

    It holds `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, for "test" `t10k-…`, gzipped (`….gz`) or not; a
    dot before `idx` is accepted too. Labels are returned as they are in the file, up to 255.

    >>> load_idx("no/such/place")
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
        raise DataError(f"{images_path} holds more images than fit into memory.") from None
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


def _read(path: Path, axes: int) -> Array:
    """The array in the file, read up to the end that its header promises, and one byte on to see that it does end."""
    try:
        with path.open("rb") as file:
            zipped = path.suffix == ".gz" or file.read(2) == b"\x1f\x8b"  # some programs remove .gz and do not unpack
        with gzip.open(path) if zipped else path.open("rb") as file:
            header = file.read(4 + 4 * axes)
            if len(header) < 4 + 4 * axes:
                raise DataError(f"{path} is cut off: an idx header has {4 + 4 * axes} bytes, got {len(header)}.")
            magic, *shape = np.frombuffer(header, ">u4").tolist()
            if magic != 0x0800 + axes:  # 8 stands for unsigned bytes
                came = f"expected the magic number {0x0800 + axes}, got {magic}"
                raise DataError(f"{path} is not an idx file of unsigned bytes with {axes} axes: {came}.")
            size = math.prod(shape)
            body = bytearray()
            while piece := file.read(min(_PIECE, size + 1 - len(body))):
                body += piece
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} could not be read: {error}.") from error
    if size == 0:
        raise DataError(f"{path} is empty: its header says the shape is {tuple(shape)}.")
    if len(body) != size:
        what = "goes on after" if len(body) > size else f"is cut off after {len(body):,} of"
        raise DataError(f"{path} {what} the {size:,} bytes that its header promises.")
    return np.frombuffer(body, np.uint8).reshape(shape)
