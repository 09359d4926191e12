"""The part of `benchmark.py` that compares kernels: numba's with NumPy's, each engine in a process of its own."""

import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from common import Number
from workers import ONE_THREAD, Worker, in_turn, times_as_fast

from scratchnet import plots
from scratchnet.kernels import formulas

CLOSE = 2e-5  # of the largest number: what float32 may round away


def compare_kernels(folder: Path, rounds: int, quick: bool, results: dict[str, Number]) -> list[plots.Bars]:
    """Each kernel against its twin; products on all threads and, if not quick, on one, under the machine's limit."""
    environments = {"all threads": {}} if quick else {"1 thread": ONE_THREAD, "all threads": {}}
    print("Kernels: first whether numba and NumPy agree with their formulas, then how long they take …", flush=True)
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for engine in ("numba", "numpy"):
            for threads, alone in environments.items():
                worker = Worker("kernels", folder, {"SCRATCHNET_KERNELS": engine} | alone)
                workers[f"{engine}, {threads}"] = stack.enter_context(worker)
        every = {name: workers[f"{name}, all threads"] for name in ("numba", "numpy")}
        for name, worker in every.items():
            kernel, error = max(worker.ask("errors").items(), key=lambda item: item[1])
            if not error < CLOSE:
                sys.exit(f"benchmark.py: {kernel} by {name} is {error:.0e} from its formula, more than {CLOSE:.0e}.")
        limits = {f"limit, {threads}": workers[f"numba, {threads}"].ask("limit") for threads in environments}
        answers, _ = in_turn(every, "kernels", rounds)
        rates, _ = in_turn(workers, "products", rounds)
    speedups, products = {}, {}
    print(f"\n{'numba is':17}{'':26}numba     NumPy   µs a call, medians")
    for kernel in answers[0]["numba"]:
        seconds = [{engine: times[kernel] for engine, times in answer.items()} for answer in answers]
        speedups[kernel] = times_as_fast(seconds, "numba", "numpy")
        each = {name: 1e6 * statistics.median(one[name] for one in seconds) for name in ("numba", "numpy")}
        print(f"{speedups[kernel]:6.2f} × as fast  {kernel:22}{each['numba']:10.1f}{each['numpy']:10.1f}")
        results[f"{kernel}, numba"] = Number(each["numba"], "µs")
        results[f"{kernel}, numpy"] = Number(each["numpy"], "µs")
        results[f"{kernel}, numba against numpy"] = Number(speedups[kernel], "× as fast")
    if untimed := sorted(set(formulas.__all__) - {name.partition(",")[0] for name in speedups}):
        print(f"not timed: {', '.join(untimed)}")
    print(f"\n{'numba is':17}{'':26}numba      BLAS   GFLOP/s, medians")
    for threads in environments:
        for product in rates[0][f"numba, {threads}"]:
            names = {f"numba, {threads}": "numba", f"numpy, {threads}": "BLAS"}
            each = {name: statistics.median(rate[name][product] for rate in rates) for name in names}
            ours, theirs = each.values()
            print(f"{ours / theirs:6.2f} × as fast  {product + ', ' + threads:22}{ours:10.1f}{theirs:10.1f}")
            for name, engine in names.items():
                products[f"{product}, {engine}, {threads}"] = each[name]
                results[f"{product}, {engine}, {threads}"] = Number(each[name], "GFLOP/s")
    for name, limit in limits.items():
        print(f"{'':17}{name:22}{limit:10.1f}")
        results[name] = Number(limit, "GFLOP/s")
    marked = [name for name in products if "numba" in name]
    return [
        plots.Bars("Compiled kernels against NumPy's", speedups, "× as fast", limits={"NumPy": 1}, logarithmic=True),
        plots.Bars("Matrix products", products, "GFLOP/s, median", limits=limits, marked=marked),
    ]
