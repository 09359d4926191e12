"""Images: MNIST, which ships with the package, any directory in the same format, and pictures made from two numbers.

Nothing is downloaded.
"""

from scratchnet.data.fractals import julia, julia_images
from scratchnet.data.idx import load_idx, mnist

__all__ = ["julia", "julia_images", "load_idx", "mnist"]
