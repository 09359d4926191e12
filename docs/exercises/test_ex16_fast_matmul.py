import numpy as np


def test_roofline(ex, check, rng):
    operations, moved = rng.uniform(1e6, 2e6), rng.uniform(1e5, 2e5)
    peak, bandwidth = np.array([1e9, 1e12]), np.array([1e12, 1e9])  # the first machine is limited by its peak
    by_memory = operations / moved * bandwidth
    found = [ex.roofline(operations, moved, *machine) for machine in zip(peak, bandwidth, strict=True)]
    check.that(None not in found, "the result is None: return it.")
    mistakes = {
        "It is the larger of the two limits: the smaller one holds.": np.maximum(peak, by_memory),
        "I is bytes for each operation, upside down.": np.minimum(peak, moved / operations * bandwidth),
        "The peak is left out.": by_memory,
        "The memory is left out.": peak,
        "It is the time in seconds, and not a rate.": np.maximum(operations / peak, moved / bandwidth),
        "I is divided by β, where the product is meant.": np.minimum(peak, operations / moved / bandwidth),
    }
    check.same(found, np.minimum(peak, by_memory), mistakes, "the bounds for two machines")


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

    def __array_function__(self, function, types, inputs, options):
        plain = [np.asarray(one) if isinstance(one, Watched) else one for one in inputs]
        if function in (np.dot, np.einsum, np.tensordot):
            Watched.seen.append(next(one.shape for one in plain if isinstance(one, np.ndarray)))
        return function(*plain, **options)

    def dot(self, other):
        return np.dot(self, other)


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
    V = np.array([1, 2, 3, 4, 5])
    found = [ex.tallest_tile(32, int(one)) for one in V]
    check.that(None not in found, "the result is None: return it.")
    mistakes = {
        "The vectors of B need V registers too.": 31 // V,
        "One register is needed for a number of A.": (32 - V) // V,
        "The tile alone is counted: B and A need registers too.": 32 // V,
        "Round down: a part of a row has no use.": (31 - V) / V,
        "Round down, and not to the nearest: the last row must fit in whole.": np.round((31 - V) / V),
        "Round down, and not up: the last row must fit in whole.": np.ceil((31 - V) / V),
        "All registers may be taken: it is ≤, and not <.": (30 - V) // V,
    }
    check.same(found, (31 - V) // V, mistakes, "R for V = 1, 2, 3, 4, 5")
    check.same(ex.tallest_tile(16, 2), 6, {}, "with 16 registers and V = 2, R")


def test_loads_per_fma(ex, check, rng):
    R, V = (int(one) for one in rng.choice(np.arange(2, 9), 2, replace=False))
    mistakes = {
        "It is FMAs for each load, upside down.": R * V / (R + V),
        "The numbers of A are left out.": 1 / R,
        "The vectors of B are left out.": 1 / V,
        "The division rounds down: write / and not //.": (R + V) // (R * V),
        "The brackets around R V are missing.": (R + V) / R * V,
        "The tile stays in its registers: only A and B are loaded.": (R + V + R * V) / (R * V),
        "The loads are multiplied, where their sum is meant.": 1.0,
    }
    check.same(ex.loads_per_fma(R, V), (R + V) / (R * V), mistakes)
