"""Strategies for hypothesis: sizes, and arrays with the numbers and memory layouts that break formulas."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from scratchnet.arrays import Array

EDGES = (0.0, -0.0, 5e-324, -2e-308, 1e-8, 1.0, -1.0)
"""Both zeros, two subnormal numbers, one that vanishes beside 1, and ±1."""

LARGE = (1e4, -1e4)
"""Logits where e^x overflows."""

LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "last axis first": lambda x: np.moveaxis(np.moveaxis(x, -1, 0).copy(), 0, -1),
    "every other number": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "left half of the columns": lambda x: np.concatenate([x, x], axis=-1)[..., : x.shape[-1]],  # as μ in [μ | log σ²]
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "one row for all": lambda x: np.broadcast_to(x[:1], x.shape),  # a stride of 0: the other rows are lost
}
"""Each takes x in C order and returns it laid out otherwise in memory."""

batch_sizes = st.integers(1, 6)
widths = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)


def random_array(
    rng: np.random.Generator, shape: tuple[int, ...], low: float = -3.0, high: float = 3.0, *, large: bool = False
) -> Array:
    """A float64 array: four numbers in five uniform in [low, high], the rest edges, with `large` also large ones.

    Every other array lies in one of the `LAYOUTS`, the others in C order.
    """
    edges = [edge for edge in EDGES if low <= edge <= high] or [low, high]
    x = rng.uniform(low, high, shape)
    at = rng.random(shape) < 0.2
    x[at] = rng.choice([*edges, *LARGE] if large else edges, shape)[at]
    return x if rng.random() < 0.5 else LAYOUTS[rng.choice(list(LAYOUTS))](x)


@st.composite
def arrays(
    draw: st.DrawFn, shape: tuple[int, ...] | Any = None, low: float = -3.0, high: float = 3.0, *, large: bool = False
) -> Array:
    """Such arrays; without a `shape`, matrices (N, D) of any small size. An example shrinks to a seed and a shape."""
    if shape is None:
        shape = (draw(batch_sizes), draw(widths))
    return random_array(np.random.default_rng(draw(seeds)), shape, low, high, large=large)
