"""What a check found: each gradient's errors, as a table and as a curve."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scratchnet.arrays import Array
from scratchnet.gradcheck.numerical import STEP
from scratchnet.gradcheck.subject import d

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ArrayReport:
    """How well one gradient agrees. An error is a part of the array's largest slope.

    Attributes
    ----------
    name : str
        Of the array.
    shape : tuple of int
    checked : str
        Along how many coordinates, or random directions.
    error : float
        The largest difference from a central difference.
    step : float
        Of that central difference.
    exact_error : float or None
        The largest difference from the complex step; None where f is not analytic as it is written.
    kinks : int
        How many of those directions meet a kink at the point itself, and were tried nearby.
    steps, errors, exact_errors : (S,)
        The V-curve: the error of either method by its step, along one random direction; NaN where f does not exist.
    """

    name: str
    shape: tuple[int, ...]
    checked: str
    error: float
    step: float
    exact_error: float | None
    kinks: int
    steps: Array
    errors: Array
    exact_errors: Array


@dataclass(frozen=True, repr=False)
class GradientReport:
    """Every gradient agrees, and how well. Prints as a table.

    Attributes
    ----------
    name : str
        Of what was checked.
    arrays : list of ArrayReport
        One for each gradient.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> report = sn.check_gradients(sn.ReLU(), np.array([[-1.0, 2.0]]), rng=np.random.default_rng(0))
    >>> report.arrays[0].error < 1e-9, report.arrays[0].kinks
    (True, 0)
    """

    name: str
    arrays: list[ArrayReport]

    def plot(self) -> "Figure":
        """The V-curve: how the error depends on the step."""
        from scratchnet.plots import v_curve  # here, so that a check loads no matplotlib

        title = f"{self.name}: a step too long errs by curvature, one too short by rounding"
        if any(one.exact_error is not None for one in self.arrays):
            title += "; a complex step does not round"
        curves = {d(one.name): (one.steps, one.errors, one.exact_errors) for one in self.arrays}
        return v_curve(curves, title, step=STEP)

    def __repr__(self) -> str:
        rows = [("gradient", "shape", "checked along", "central difference", "complex step")]
        for one in self.arrays:
            exact = "not analytic" if one.exact_error is None else f"{one.exact_error:.0e}"
            rows.append(
                (
                    d(one.name),
                    str(one.shape),
                    one.checked,
                    f"{one.error:.0e} (h = {one.step:.0e})",
                    exact,
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        kinks = [
            f"{d(one.name)}: {one.kinks} of {one.checked} meet a kink, where there is no slope; these were checked "
            "at a point nearby."
            for one in self.arrays
            if one.kinks
        ]
        return "\n".join([f"{self.name}: every gradient agrees with the slope of forward.", *table, *kinks])
