"""What the property tests draw from: small sizes, numbers that break formulas among ordinary ones, and arrays laid
out in memory as a user may pass them."""

import os
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.testing.strategies import batch_sizes, random_array, seeds, widths


def _engines() -> list[str]:
    """The engines that can be loaded here; NumPy alone where the environment asks for it."""
    found = ["numpy"]
    for engine in ("numba", "vector", "blas") if os.environ.get("SCRATCHNET_KERNELS") != "numpy" else ():
        try:
            with kernels.use(engine):
                found.append(engine)
        except ImportError:
            pass
    return found


ENGINES = _engines()


@dataclass
class Case:
    """Sizes, and a source of arrays. It prints as four whole numbers, and these shrink and can be written down."""

    N: int
    D: int
    M: int
    seed: int
    rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)

    def array(self, shape: tuple[int, ...], low: float = -3.0, high: float = 3.0, *, large: bool = False) -> Array:
        """A float64 array: four numbers in five uniform in [low, high], the rest edges; in C order or, every other
        array, in one of the `LAYOUTS`."""
        return random_array(self.rng, shape, low, high, large=large)

    def rows(self, low: float = -3.0, high: float = 3.0) -> Array:
        """A batch (N, D) of such numbers."""
        return self.array((self.N, self.D), low, high)

    def direction(self, shape: tuple[int, ...]) -> Array:
        """An array of length 1, pointing anywhere."""
        d = self.rng.standard_normal(shape)
        return d / np.sqrt((d**2).sum())


cases = st.builds(Case, N=batch_sizes, D=widths, M=widths, seed=seeds)


@dataclass
class Geometry:
    """How a convolution goes over an image: a valid one, so that at least one number comes out."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        return tuple(
            (length + 2 * p - k) // s + 1
            for length, k, s, p in zip(self.size, self.kernel, self.stride, self.padding, strict=True)
        )  # type: ignore[return-value]


@st.composite
def _geometries(draw: st.DrawFn) -> Geometry:
    """Kernels larger than the stride, smaller and twice as large, paddings up to more than the kernel, borders that are
    not reached."""
    axes = []
    for _ in range(2):
        stride, padding = draw(st.integers(1, 4)), draw(st.integers(0, 6))
        kernel = draw(st.one_of(st.integers(1, 5), st.just(2 * stride)))
        length = draw(st.integers(max(1, kernel - 2 * padding), 9 + kernel))
        axes.append((length, kernel, stride, padding))
    return Geometry(*zip(*axes, strict=True))  # type: ignore[arg-type]


geometries = _geometries()
channels = st.integers(1, 9)
