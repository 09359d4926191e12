"""What can go wrong, named. Each error is also the standard exception that a caller would catch.

A message is one sentence: what was expected, what came, where, and what to do about it. Arguments of the
wrong type raise `TypeError`, arguments out of range `ValueError`, as everywhere in Python.
"""


class ShapeError(ValueError):
    """An array's axes are not those that the formula needs."""


class DataError(ValueError):
    """The numbers, or the file they came from, are not what they claim to be.

    Attributes
    ----------
    of_output : bool
        Whether it is a network that gave them: a probability of exactly 1, or NaN for a logit. In a training this means
        that it diverged, and `fit` raises a `DivergenceError` in its place.
    """

    def __init__(self, message: str = "", *, of_output: bool = False):
        super().__init__(message)
        self.of_output = of_output


class DivergenceError(FloatingPointError):
    """A loss became NaN or infinite, so training stopped."""


class GradientError(AssertionError):
    """A way back is not the derivative of its forward.

    Attributes
    ----------
    array : str
        The input or parameter whose gradient is wrong.
    index : tuple of int
        Where it is wrong by most.
    claimed, measured : float
        What the way back says there, and what the derivative is.
    cause : str
        The likeliest cause, "" if none was found.
    """

    def __init__(
        self,
        message: str,
        *,
        array: str = "",
        index: tuple[int, ...] = (),
        claimed: float = float("nan"),
        measured: float = float("nan"),
        cause: str = "",
    ):
        super().__init__(message)
        self.array, self.index, self.claimed, self.measured, self.cause = array, index, claimed, measured, cause


class LawError(AssertionError):
    """A layer or a loss breaks one of the seven laws.

    Attributes
    ----------
    law : int
        The lowest law that is broken, 1 to 7.
    layer : str
        The layer or loss.
    """

    NAMES = (
        "mutate only what you made",
        "linear in dy",
        "re-entrant",
        "accumulates",
        "independent rows",
        "true",
        "same under every engine",
    )

    def __init__(self, law: int, layer: str, what: str):
        super().__init__(f"Law {law} ({self.NAMES[law - 1]}): {layer}: {what}")
        self.law, self.layer = law, layer
