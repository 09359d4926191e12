"""The part of `benchmark.py` that compares kernels: the compiled with NumPy's, each engine in a process of its own."""

import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from lib.figures import Bars
from lib.peers import BEST
from lib.results import Number
from lib.workers import ONE_THREAD, Worker, in_turn, times_as_fast
from scratchnet.kernels import formulas

CLOSE = 2e-5  # of the largest number: what float32 may round away


def compare_kernels(folder: Path, rounds: int, quick: bool, results: dict[str, Number]) -> list[Bars]:
    """Each kernel against its twin; products on all threads and, if not quick, on one, under the machine's limit."""
    environments = {"all threads": {}} if quick else {"1 thread": ONE_THREAD, "all threads": {}}
    print(
        "Kernels: first whether the compiled ones and NumPy's agree with their formulas, then how long they take …",
        flush=True,
    )
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name, engine in (("compiled", BEST), ("numpy", "numpy")):
            for threads, alone in environments.items():
                worker = Worker("kernels", folder, {"SCRATCHNET_KERNELS": engine} | alone)
                workers[f"{name}, {threads}"] = stack.enter_context(worker)
        every = {name: workers[f"{name}, all threads"] for name in ("compiled", "numpy")}
        for name, worker in every.items():
            kernel, error = max(worker.ask("errors").items(), key=lambda item: item[1])
            if not error < CLOSE:
                sys.exit(f"benchmark.py: {kernel} by {name} is {error:.0e} from its formula, more than {CLOSE:.0e}.")
        limits = {f"limit, {threads}": workers[f"compiled, {threads}"].ask("limit") for threads in environments}
        answers, _ = in_turn(every, "kernels", rounds)
        rates, _ = in_turn(workers, "products", rounds)
    speedups, products = {}, {}
    print(f"\n{'compiled is':17}{'':23}compiled     NumPy   µs a call, medians")
    for kernel in answers[0]["compiled"]:
        seconds = [{engine: times[kernel] for engine, times in answer.items()} for answer in answers]
        speedups[kernel] = times_as_fast(seconds, "compiled", "numpy")
        each = {name: 1e6 * statistics.median(one[name] for one in seconds) for name in ("compiled", "numpy")}
        print(f"{speedups[kernel]:6.2f} × as fast  {kernel:22}{each['compiled']:10.1f}{each['numpy']:10.1f}")
        results[f"{kernel}, compiled"] = Number(each["compiled"], "µs")
        results[f"{kernel}, numpy"] = Number(each["numpy"], "µs")
        results[f"{kernel}, compiled against numpy"] = Number(speedups[kernel], "× as fast")
    if untimed := sorted(set(formulas.__all__) - {name.partition(",")[0] for name in speedups}):
        print(f"not timed: {', '.join(untimed)}")
    print(f"\n{'compiled is':17}{'':23}compiled      BLAS   GFLOP/s, medians")
    for threads in environments:
        for product in rates[0][f"compiled, {threads}"]:
            names = {f"compiled, {threads}": "compiled", f"numpy, {threads}": "BLAS"}
            each = {name: statistics.median(rate[name][product] for rate in rates) for name in names}
            ours, theirs = each.values()
            print(f"{ours / theirs:6.2f} × as fast  {product + ', ' + threads:22}{ours:10.1f}{theirs:10.1f}")
            for name, engine in names.items():
                products[f"{product}, {engine}, {threads}"] = each[name]
                results[f"{product}, {engine}, {threads}"] = Number(each[name], "GFLOP/s")
    for name, limit in limits.items():
        print(f"{'':17}{name:22}{limit:10.1f}")
        results[name] = Number(limit, "GFLOP/s")
    marked = [name for name in products if "compiled" in name]
    return [
        Bars("Compiled kernels against NumPy's", speedups, "× as fast", limits={"NumPy": 1}, logarithmic=True),
        Bars("Matrix products", products, "GFLOP/s, median", limits=limits, marked=marked),
    ]
