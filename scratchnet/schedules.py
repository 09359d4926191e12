"""Learning rates that are functions of the step; docs/05-optimizers.md."""

import math
from collections.abc import Callable

from scratchnet.checks import check_count, check_number

__all__ = ["Schedule", "cosine"]

Schedule = Callable[[int], float]  # the number of steps taken so far → the learning rate of the next one


def cosine(peak: float, steps: int) -> Schedule:
    """½ peak (1 + cos(π·step/steps)): from `peak` down to 0 along half a cosine, and 0 after `steps` steps.

    The steps of a whole training are epochs × ⌈images / batch size⌉. docs/05-optimizers.md. Loshchilov & Hutter, SGDR:
    Stochastic Gradient Descent with Warm Restarts, 2016.

    Examples
    --------
    >>> import scratchnet as sn
    >>> rate = sn.schedules.cosine(0.1, 1000)
    >>> rate(0), round(rate(500), 6), rate(1000), rate(5000)
    (0.1, 0.05, 0.0, 0.0)
    """
    peak, steps = check_number("cosine", "peak", peak, 0), check_count("cosine", "steps", steps)

    def rate(step: int) -> float:
        return peak / 2 * (1 + math.cos(math.pi * step / steps)) if step < steps else 0.0

    return rate
