import numpy as np


def test_roofline(ex, check, rng):
    operations, moved = rng.uniform(1e6, 2e6), rng.uniform(1e5, 2e5)
    for peak, bandwidth in ((1e9, 1e12), (1e12, 1e9)):
        by_memory = operations / moved * bandwidth
        mistakes = {
            "It is the larger of the two limits: the smaller one holds.": max(peak, by_memory),
            "I is bytes for each operation, upside down.": min(peak, moved / operations * bandwidth),
            "The peak is left out.": by_memory,
            "The memory is left out.": peak,
        }
        check.same(ex.roofline(operations, moved, peak, bandwidth), min(peak, by_memory), mistakes)


class Watched(np.ndarray):
    """An array that notes the shapes of the products that it takes part in."""

    seen: list = []  # noqa: RUF012

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [np.asarray(one) for one in inputs]
        if ufunc is np.matmul:
            Watched.seen.append(plain[0].shape)
        if "out" in options:
            options["out"] = tuple(np.asarray(one) for one in options["out"])
        return getattr(ufunc, method)(*plain, **options)


def test_blocked_product(ex, check, rng):
    A, B = rng.normal(size=(7, 10)), rng.normal(size=(10, 5))
    rest = {
        "The last columns of A, which fill no block, are left out.": A[:, :8] @ B[:8],
        "Blocks overwrite one another: add them up with +=.": A[:, 8:] @ B[8:],
    }
    short = (A @ B).copy()
    short[6:] = 0
    rest["The last rows of A, which fill no block, are left out."] = short
    check.same(ex.blocked_product(A, B, 3, 4), A @ B, rest, "C")
    Watched.seen = []
    ex.blocked_product(A.view(Watched), B.view(Watched), 3, 4)
    too_large = [shape for shape in Watched.seen if len(shape) > 1 and (shape[0] > 3 or shape[1] > 4)]
    told = f"a product takes a block of A of shape {too_large[0] if too_large else ()}, where (3, 4) is the largest."
    check.that(not too_large, told)


def test_tallest_tile(ex, check, rng):
    for V, right in {2: 14, 1: 30, 3: 9, 4: 6, 5: 5}.items():
        mistakes = {
            "The vectors of B need V registers too.": 31 // V,
            "One register is needed for a number of A.": (32 - V) // V,
            "The tile alone is counted: B and A need registers too.": 32 // V,
            "Round down: a part of a row has no use.": (31 - V) / V,
        }
        check.same(ex.tallest_tile(32, V), right, mistakes, f"with V = {V}, R")
    check.same(ex.tallest_tile(16, 2), 6, {}, "with 16 registers and V = 2, R")


def test_loads_per_fma(ex, check, rng):
    R, V = (int(one) for one in rng.choice(np.arange(2, 9), 2, replace=False))
    mistakes = {
        "It is FMAs for each load, upside down.": R * V / (R + V),
        "The numbers of A are left out.": 1 / R,
        "The vectors of B are left out.": 1 / V,
        "The loads are multiplied, where their sum is meant.": 1.0,
    }
    check.same(ex.loads_per_fma(R, V), (R + V) / (R * V), mistakes)
