"""How fast a matrix product can be: chapter 16's rungs, each timed, their limit, its figure and numbers (two minutes).

The chapter shows the rungs as they stand here. Timings are those of one machine at one hour; run it to have your own.
"""

import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

import scratchnet as sn
from scratchnet.kernels import threads as library_threads
from scratchnet.kernels.compile import VECTOR
from scratchnet.kernels.vector import product, sparse
from scratchnet.kernels.vector.registers import SUMS, Grid, address, aligned_vector
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
SIDE = 960  # of the square matrices, a multiple of every block; not 1024, whose rows fall upon each other in the cache
THREADS = numba.config.NUMBA_NUM_THREADS
DEPTH, WIDTH = 32, 480  # of a block of B, 60 KiB
CHAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 28)
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.34)


# ---- the rungs: C += A B, for A (M, K), B (K, N), C (M, N)


def triple_loop(A, B, C):
    """The definition."""
    for i in range(len(A)):
        for j in range(len(B[0])):
            for k in range(len(B)):
                C[i][j] += A[i][k] * B[k][j]


@njit(fastmath={"contract"})
def compiled_loop(A, B, C):
    """The definition, compiled."""
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            for k in range(B.shape[0]):
                C[i, j] += A[i, k] * B[k, j]


@njit(fastmath={"contract"})
def along_rows(A, B, C):
    """The inner loop runs along rows of B and C."""
    for i in range(A.shape[0]):
        for k in range(B.shape[0]):
            for j in range(B.shape[1]):
                C[i, j] += A[i, k] * B[k, j]


@njit(fastmath={"contract"})
def blocked(A, B, C):
    """A block of B is used for all rows of A while it is near."""
    for k_first in range(0, B.shape[0], DEPTH):
        for j_first in range(0, B.shape[1], WIDTH):
            for i in range(A.shape[0]):
                c = C[i, j_first : j_first + WIDTH]
                for k in range(k_first, k_first + DEPTH):
                    a, b = A[i, k], B[k, j_first : j_first + WIDTH]
                    for j in range(WIDTH):
                        c[j] += a * b[j]


@njit(fastmath={"contract"})
def packed(A, B, C):
    """The block is copied, so that its rows lie next to each other."""
    for k_first in range(0, B.shape[0], DEPTH):
        for j_first in range(0, B.shape[1], WIDTH):
            block = B[k_first : k_first + DEPTH, j_first : j_first + WIDTH].copy()
            for i in range(A.shape[0]):
                c = C[i, j_first : j_first + WIDTH]
                for k in range(DEPTH):
                    a, b = A[i, k_first + k], block[k]
                    for j in range(WIDTH):
                        c[j] += a * b[j]


@njit(fastmath={"contract"})
def unrolled(A, B, C):
    """Two rows of C and four of B at a time: what is loaded is used more than once."""
    for k_first in range(0, B.shape[0], DEPTH):
        for j_first in range(0, B.shape[1], WIDTH):
            block = B[k_first : k_first + DEPTH, j_first : j_first + WIDTH].copy()
            for i in range(0, A.shape[0], 2):
                c, d = C[i, j_first : j_first + WIDTH], C[i + 1, j_first : j_first + WIDTH]
                for k in range(0, DEPTH, 4):
                    a, e = A[i, k_first + k : k_first + k + 4], A[i + 1, k_first + k : k_first + k + 4]
                    a0, a1, a2, a3, e0, e1, e2, e3 = a[0], a[1], a[2], a[3], e[0], e[1], e[2], e[3]
                    p, q, r, s = block[k], block[k + 1], block[k + 2], block[k + 3]
                    for j in range(WIDTH):
                        c[j] += a0 * p[j] + a1 * q[j] + a2 * r[j] + a3 * s[j]
                        d[j] += e0 * p[j] + e1 * q[j] + e2 * r[j] + e3 * s[j]


def register_tile(A, B, C, threads=1):
    """The library's: the tile of C stays in registers while k runs."""
    library_threads.threads = threads
    product.multiply(A, B, C, C)


# ---- the limit: fused multiply-adds that wait for nothing but each other


def fma_loop(chains: int) -> Callable[[int, np.float32, int], Any]:
    """A loop whose every turn lengthens so many chains sᵥ ← a a + sᵥ of vectors of float32, all in registers."""
    lanes = VECTOR // 4
    vector = ir.VectorType(ir.FloatType(), lanes)

    @intrinsic
    def turns(typingctx, count, a):
        def codegen(context, builder, signature, arguments):
            fused = ir.FunctionType(vector, [vector] * 3)
            fma = cgutils.get_or_insert_function(builder.module, fused, f"llvm.fma.v{lanes}f32")
            a = ir.Constant(vector, ir.Undefined)
            for lane in range(lanes):
                a = builder.insert_element(a, arguments[1], ir.Constant(ir.IntType(32), lane))
            sums = [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in range(chains)]
            with cgutils.for_range(builder, arguments[0]):
                for s in sums:
                    builder.store(builder.call(fma, [a, a, builder.load(s)]), s)  # LLVM keeps s in a register
            total = builder.load(sums[0])
            for s in sums[1:]:
                total = builder.fadd(total, builder.load(s))
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return types.float32(types.int64, types.float32), codegen

    @njit(parallel=True)
    def loops(count, a, threads):
        results = np.empty(threads, np.float32)
        for thread in prange(threads):
            results[thread] = turns(count, a)
        return results

    return loops


def fma_rate(chains: int, threads: int = 1) -> float:
    """GFLOP/s of so many chains on each of so many threads: a multiply-add is 2 a lane."""
    loops, turns = fma_loop(chains), 2_000_000 // chains
    numba.set_num_threads(threads)
    return (
        2e-9
        * turns
        * chains
        * (VECTOR // 4)
        * threads
        / best([partial(loops, turns, np.float32(0.5), threads)], 300)[0]
    )


def limit(threads: int = 1) -> float:
    """GFLOP/s of float32 that no product can pass here: as many chains as the library's largest tile has."""
    return fma_rate(SUMS, threads)


def best(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The least seconds of each call, all called in turn; a first round, in which they compile, is not counted."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, of_call in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            of_call.append(time.perf_counter() - start)
    return [min(of_call[1:]) for of_call in seconds]


# ---- what is measured


def rung_rates(rng: np.random.Generator) -> dict[str, float]:
    """GFLOP/s of each rung on SIDE³; plain Python, which takes as long for each number, on 96³."""
    A, B = (rng.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
    C = np.zeros((SIDE, SIDE), np.float32)
    loops = {"compiled": compiled_loop, "along rows": along_rows, "blocked": blocked, "packed": packed}
    loops |= {"unrolled": unrolled, "register tile": register_tile}
    calls = [partial(loop, A, B, C) for loop in loops.values()]
    small = [a[:96, :96].tolist() for a in (A, B, C)]
    numba.set_num_threads(1)
    rates = {"plain Python": 2e-9 * 96**3 / best([partial(triple_loop, *small)], 3)[0]}
    rates |= dict(zip(loops, 2e-9 * SIDE**3 / np.array(best(calls, 15)), strict=True))
    numba.set_num_threads(THREADS)
    rates["threads"] = 2e-9 * SIDE**3 / best([partial(register_tile, A, B, C, THREADS)], 60)[0]
    return rates


def aligned(shape, dtype):
    """An array that begins at a cache line, as a panel does."""
    return aligned_vector(math.prod(shape), np.empty(1, dtype)).reshape(shape)


@njit
def _tiles(rows, vectors, panel, A, C, steps, count):
    a_row, a_k = A.strides
    of_a = Grid(address(A), a_row, a_k)
    of_b, of_c = Grid(address(panel), vectors * VECTOR, VECTOR), Grid(address(C), vectors * VECTOR, VECTOR)
    for _ in range(count):
        product._tile(panel, rows, vectors, steps, of_a, of_b, of_c, of_c)


def tile_rates(size: int, rng: np.random.Generator, transposed: bool = False) -> dict[str, float]:
    """GFLOP/s of the tiles of the library, rows × vectors, over a panel of so many bytes; of A, or of one like Aᵀ."""
    calls, flop = {}, {}
    for vectors in sorted({2, product.WIDEST}):
        across = VECTOR // 4 * vectors
        steps = size // (4 * across)
        panel, C = aligned((steps * across,), np.float32), np.zeros((product.HEIGHTS[0], across), np.float32)
        A = aligned((steps, 400) if transposed else (product.HEIGHTS[0], steps), np.float32)
        panel[...], A[...] = rng.standard_normal(panel.shape), rng.standard_normal(A.shape)
        for rows in sorted(height for height in product.HEIGHTS if height * vectors <= SUMS):
            name, count = f"{rows} × {vectors}", 200_000 // steps
            calls[name] = partial(_tiles, rows, vectors, panel, A.T if transposed else A, C, steps, count)
            flop[name] = 2e-9 * rows * across * steps * count
    return {name: flop[name] / t for name, t in zip(calls, best(list(calls.values()), 15), strict=True)}


@njit(parallel=True)
def _traffic(theta, dtheta, m, v):
    for i in prange(theta.size):
        theta[i], m[i], v[i] = theta[i] + dtheta[i], m[i] + dtheta[i], v[i] + dtheta[i]


def adam(rng: np.random.Generator) -> dict[str, float]:
    """Microseconds of a step of Adam on the VAE's θ, and of its memory traffic alone."""
    P = sum((D + 1) * M for D, M in ((784, 400), (400, 40), (20, 400), (400, 784)))
    theta, dtheta, m, v = (rng.random(P, np.float32) for _ in range(4))
    step = partial(sn.kernels.adam_step, theta, dtheta, m, v, 3, 1e-3, 0.9, 0.999, 1e-8, 0.0)
    by_step, by_traffic = best([step, partial(_traffic, theta, dtheta, m, v)], 100)
    return {"parameters": P, "step in µs": 1e6 * by_step, "traffic in µs": 1e6 * by_traffic}


def zeros(rng: np.random.Generator) -> dict[str, Any]:
    """Microseconds of y = x W, x (128, 784), by the share of x that is not zero, and where the dense tile would win."""
    images = sn.data.mnist("train")[0]
    W, b, y = (aligned(shape, np.float32) for shape in ((784, 400), (1, 400), (128, 400)))  # as they lie in a model
    W[...], b[...] = rng.standard_normal(W.shape), 0
    calls = []
    for share in SHARES:
        x = np.where(rng.random((128, 784)) < share, rng.standard_normal((128, 784)), 0).astype(np.float32)
        calls.append(partial(sparse.multiply_skipping, x, False, W, b, y))
    *times, dense = best([*calls, partial(product.multiply, x, W, b, y)], 100)
    slope, base = np.polyfit(SHARES, times, 1)
    return {
        "share of MNIST that is not zero": float(np.mean(images != 0)),
        "dense in µs": 1e6 * dense,
        "skipping in µs": dict(zip(map(str, SHARES), 1e6 * np.array(times), strict=True)),
        "lists in µs": 1e6 * base,
        "cost of a product, in dense ones": slope / dense,
        "pays up to": (dense - base) / slope,
    }


@njit(parallel=True)
def _twice_by_all(x, y):
    for i in prange(x.size):
        y[i] = x[i] + x[i]


@njit
def _twice_by_one(x, y):
    for i in range(x.size):
        y[i] = x[i] + x[i]


def pools(rng: np.random.Generator) -> dict[str, float]:
    """Microseconds of a product by BLAS's threads and a loop by numba's: each alone, and one after the other."""
    x, W, y = (rng.standard_normal(shape, np.float32) for shape in ((128, 784), (784, 400), (128, 400)))
    flat, twice = x.reshape(-1), np.empty(x.size, np.float32)
    product = partial(np.matmul, x, W, out=y)
    loops = {"all": partial(_twice_by_all, flat, twice), "one": partial(_twice_by_one, flat, twice)}
    found = {"product": median(product)}
    for name, loop in loops.items():
        found[f"loop by {name}"] = median(loop)
        found[f"both, loop by {name}"] = median(lambda loop=loop: (product(), loop()))
    return found


def median(call: Callable[[], Any], calls: int = 300) -> float:
    """Microseconds of a call in a row of calls."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e6 * statistics.median(seconds)


def blas_rate(rng: np.random.Generator) -> float:
    """GFLOP/s of NumPy's product on SIDE³."""
    A, B, C = (rng.standard_normal((SIDE, SIDE), np.float32) for _ in range(3))
    return 2e-9 * SIDE**3 / best([partial(np.matmul, A, B, out=C)], 60)[0]


def apart(what: str, threads: int) -> Any:
    """The same function in a process of its own, where only it has threads."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, __file__, what]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def measure(seed: int = SEED) -> dict[str, Any]:
    """All of it."""
    rng = np.random.default_rng(seed)
    found = {
        "seed": seed,
        "side": SIDE,
        "threads": THREADS,
        "vector in bytes": VECTOR,
        "unit": "GFLOP/s of float32, the best of several rounds, unless said otherwise",
        "limit": {"1": limit(), str(THREADS): limit(THREADS)},
        "rungs": rung_rates(rng),
        "BLAS": {str(threads): apart("blas_rate", threads) for threads in sorted({1, THREADS})},
        "chains": {str(chains): fma_rate(chains) for chains in CHAINS},
        "tile, panel of 8 KiB": tile_rates(8192, rng),
        "tile, panel of 64 KiB": tile_rates(65536, rng),
        "tile, panel of 64 KiB, A transposed": tile_rates(65536, rng, transposed=True),
        "adam": adam(rng),
        "zeros": zeros(rng),
        "pools in µs": apart("pools", THREADS),
    }
    return rounded(found)


def rounded(found: Any) -> Any:
    """The same with three digits to a number: a timing has no more."""
    if isinstance(found, dict):
        return {name: rounded(value) for name, value in found.items()}
    return float(f"{found:.3g}") if isinstance(found, float) else found


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The tables of the chapter, by name."""
    one, every = found["limit"].values()
    clock = 2 * 2 * found["vector in bytes"] // 4  # operations of two FMAs, one a unit
    limits = [
        f"| {threads} | {rate:.3g} | {rate / int(threads) / clock:.2g} |" for threads, rate in found["limit"].items()
    ]
    rungs = [f"| {name} | {rate:.3g} | {100 * rate / one:.3g} % |" for name, rate in found["rungs"].items()]
    rate = found["rungs"]["threads"]
    rungs[-1] = f"| register tile, threads: {found['threads']} | {rate:.3g} | {100 * rate / every:.3g} % |"
    for threads, limit in ((1, one), (found["threads"], every)):
        rate = found["BLAS"][str(threads)]
        rungs.append(f"| NumPy's BLAS, threads: {threads} | {rate:.3g} | {100 * rate / limit:.3g} % |")
    chains = [f"| {count} | {rate:.3g} | {rate / one:.2f} |" for count, rate in found["chains"].items()]
    ways = [rates for name, rates in found.items() if name.startswith("tile")]
    tiles = [f"| {tile} | " + " | ".join(f"{rates[tile]:.3g}" for rates in ways) + " |" for tile in ways[0]]
    zeros = found["zeros"]
    shares = [
        f"| {share} | {us:.3g} | {us / zeros['dense in µs']:.2f} |" for share, us in zeros["skipping in µs"].items()
    ]
    adam = found["adam"]
    megabytes = 28e-6 * adam["parameters"]
    steps = [
        f"| {name} | {adam[f'{name} in µs']:.3g} | {1e3 * megabytes / adam[f'{name} in µs']:.3g} |"
        for name in ("step", "traffic")
    ]
    pools = [f"| {name} | {us:.3g} |" for name, us in found["pools in µs"].items()]
    return {
        "limit": "\n".join(limits) + "\n",
        "rungs": "\n".join(rungs) + "\n",
        "chains": "\n".join(chains) + "\n",
        "tiles": "\n".join(tiles) + "\n",
        "adam": "\n".join(steps) + "\n",
        "zeros": "\n".join([*shares, f"| the dense tile | {zeros['dense in µs']:.3g} | 1 |"]) + "\n",
        "skipping": f"| {zeros['cost of a product, in dense ones']:.3g} | {zeros['pays up to']:.2g} |\n",
        "pools": "\n".join(pools) + "\n",
    }


def rewritten(page: str, found: dict[str, Any]) -> str:
    """The chapter with these numbers in its tables, each of which stands under a comment with its name."""
    for name, rows in tables(found).items():
        page = re.sub(rf"(<!-- table: {name} -->\n.*\n\|[-|]+\|\n)(?:\|.*\n)*", rf"\g<1>{rows}", page)
    return page


def draw(found: dict[str, Any]) -> None:
    """fast_matmul.png."""
    sys.path.insert(0, str(HERE.parent.parent / "demos"))
    from lib.figures import Bars, bar_panels  # here, so that measuring a limit does not wait for matplotlib
    from scratchnet.plots import save_figure

    one, every = found["limit"].values()
    rungs, blas = found["rungs"], found["BLAS"]
    all_of = f"{found['threads']} threads"
    bars = {f"tile, {all_of}" if name == "threads" else name: rate for name, rate in rungs.items()}
    bars |= {"NumPy's BLAS": blas["1"], f"BLAS, {all_of}": blas[str(found["threads"])]}
    limits = {"one core": one, f"{found['threads']} cores": every}
    rates = f"{rungs['plain Python']:.2g} to {rungs['register tile']:.0f} GFLOP/s on one core, whose limit is {one:.0f}"
    title = f"From {rates}:\n"
    title += "the large steps are compiling, running along rows, and keeping sums in registers"
    chains = {f"{count}": rate for count, rate in found["chains"].items()}
    panels = [
        Bars(f"The rungs, {SIDE}³", bars, "GFLOP/s", limits=limits, logarithmic=True),
        Bars("Sums in flight", chains, "GFLOP/s", limits={"limit": one}),
        Bars("Rows × vectors of a tile", found["tile, panel of 64 KiB"], "GFLOP/s", limits={"limit": one}),
    ]
    save_figure(HERE / "fast_matmul.png", bar_panels(panels, title))


def main() -> None:
    """Write fast_matmul.png, fast_matmul.json and the tables of chapter 16, and print the numbers."""
    if len(sys.argv) > 1:
        print(json.dumps(globals()[sys.argv[1]](np.random.default_rng(SEED))))
        return
    found = measure()
    text = json.dumps(found, indent=2, ensure_ascii=False)
    with write_whole(HERE / "fast_matmul.json") as file:
        file.write(text.encode() + b"\n")
    chapter = HERE.parent / "16-fast-matmul.md"
    page = rewritten(chapter.read_text(encoding="utf-8"), found)
    with write_whole(chapter) as file:
        file.write(page.encode())
    draw(found)
    print(text)


if __name__ == "__main__":
    main()
