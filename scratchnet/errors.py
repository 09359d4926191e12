"""The library's own errors. Each is also the standard exception that a caller would catch.

A message is one sentence: what was expected, what came, where, and what to do about it. Arguments of the wrong type
raise `TypeError`, arguments out of range `ValueError`, as everywhere in Python.
"""

from typing import Any


class ShapeError(ValueError):
    """An array's axes are not those that the formula needs."""


class DataError(ValueError):
    """The numbers, or the file they came from, are not what was expected.

    `of_output`: a network computed them, such as a probability of exactly 1. `fit` then raises a DivergenceError.
    """

    def __init__(self, message: str = "", *, of_output: bool = False):
        super().__init__(message)
        self.of_output = of_output


class DivergenceError(FloatingPointError):
    """A loss, a gradient or a parameter became NaN or infinite, so training stopped."""


class GradientError(AssertionError):
    """A backward pass is not the derivative of its forward pass."""

    array: str = ""  # the input or parameter whose gradient is wrong
    index: tuple[int, ...] = ()  # where the error is largest
    claimed: float = float("nan")  # what the backward pass returns there
    measured: float = float("nan")  # what the derivative is there
    cause: str = ""  # the likeliest cause, "" if none was found

    def __init__(self, message: str, **found: Any):
        super().__init__(message)
        vars(self).update(found)


class LawError(AssertionError):
    """A layer or a loss breaks one of the seven laws."""

    law: int  # the lowest law that is broken, 1 to 7
    layer: str  # the layer or loss that breaks it
    found: dict[str, Any]  # what is known of array, index, claimed, measured and cause, as in a GradientError

    NAMES = (
        "mutate only what you made",
        "linear in dy",
        "re-entrant",
        "accumulates",
        "independent rows",
        "true",
        "same under every engine",
    )

    def __init__(self, law: int, layer: str, what: str, **found: Any):
        super().__init__(f"Law {law} ({self.NAMES[law - 1]}): {layer}: {what}")
        self.law, self.layer, self.found = law, layer, found
