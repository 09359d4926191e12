"""MNIST, which comes with the package, and any directory in the same format; nothing is downloaded."""

from scratchnet.data.idx import load_idx, mnist

__all__ = ["load_idx", "mnist"]
