"""What can go wrong, named. Each error is also the standard exception that a caller would catch.

A message is one sentence: what was expected, what came, where, and what to do about it. Arguments of the
wrong type raise `TypeError`, arguments out of range `ValueError`, as everywhere in Python.
"""


class ShapeError(ValueError):
    """An array's axes are not those that the formula needs."""


class DataError(ValueError):
    """The numbers, or the file they came from, are not what they claim to be."""


class DivergenceError(FloatingPointError):
    """A loss became NaN or infinite, so training stopped."""
