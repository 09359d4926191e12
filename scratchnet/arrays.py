"""The types in signatures."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]  # of any float type; shapes are in comments: N batch, D in, M out, L latent
Backward = Callable[..., Any]  # takes ∂L/∂y, returns ∂L/∂x, and adds ∂L/∂W to each parameter's gradient
LossFunction = Callable[[Array, Array], tuple[float, Array]]  # (y, target) → (the loss, ∂loss/∂y)
