"""Derivatives without calculus, to hold against those taken by hand.

Two, because each sees what the other cannot. `numerical_derivative`, the central difference, asks nothing of f but its
values, so it tests the very code that trains, in float64, whatever runs beneath. But it subtracts two nearly equal
numbers: a step too small drowns in rounding, one too large in curvature, and at best half the digits survive, so a slip
in the seventh digit passes. `complex_step_derivative` steps sideways instead, off the real line: by Taylor

    f(x + ih d) = f(x) + ih f′(x)·d − ½ h² f″ − …,    so    Im f(x + ih d) / h = f′(x)·d,    to within h².

Nothing is subtracted, so h can be 1e-30, and all digits survive. But f must be computed with complex numbers all the
way, by formulas that are analytic (|x| and max(x, 0) have to choose their branch by the real part), which is not the
code that trains. Squire & Trapp, Using complex variables to estimate derivatives of real functions, 1998.
"""

from collections.abc import Callable

from scratchnet.arrays import Array

Function = Callable[[Array], complex]


def numerical_derivative(f: Function, x: Array, direction: Array, step: float = 1e-5) -> float:
    """The slope of f at x along `direction`, from a value on either side; about 9 digits of it."""
    return (f(x + step * direction) - f(x - step * direction)).real / (2 * step)


def complex_step_derivative(f: Function, x: Array, direction: Array, step: float = 1e-30) -> float:
    """The slope of f at x along `direction`, from one value beside the real line; all its digits."""
    return complex(f(x + 1j * step * direction)).imag / step
