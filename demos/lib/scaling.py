"""The part of `benchmark.py --scaling`: how the time and the memory of a training step grow, beside PyTorch.

One of batch, width, depth and threads varies at a time. A curve's exponent is the slope of the straight line that fits
its logarithms: 1 where twice as much takes twice as long.
"""

import importlib.util
import os
import statistics
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lib.figures import name_lines
from lib.peers import BEST
from lib.results import Number
from lib.workers import ONE_THREAD, Worker, in_turn
from scratchnet import plots
from scratchnet.plots import COLORS

CORES = os.cpu_count() or 1
USUAL = {"batch": 128, "width": 512, "depth": 2, "threads": CORES}
SIZES = {"batch": (16, 64, 256, 1024), "width": (64, 128, 256, 512, 1024), "depth": (1, 2, 4, 8)}
QUICK_USUAL = {"batch": 16, "width": 32, "depth": 1, "threads": 1}
QUICK_SIZES = {"batch": (8, 32), "width": (16, 64), "depth": (1, 2)}
PROGRAMS = {"scratchnet": "numpy", "PyTorch": "torch"}  # and the package that each needs
Curves = dict[str, dict[str, dict[int, float]]]  # by variable, program and size


def measure_scaling(folder: Path, rounds: int, quick: bool) -> tuple[Curves, Curves, bool]:
    """Milliseconds a step and megabytes, as medians of rounds in turn; whether Ctrl-C ended it early."""
    np.savez(folder / "given.npz")
    usual, sizes = (QUICK_USUAL, QUICK_SIZES) if quick else (USUAL, SIZES)
    sizes = sizes | {"threads": tuple(sorted({2**i for i in range(CORES.bit_length())} | {CORES}))}
    programs = [name for name, package in PROGRAMS.items() if importlib.util.find_spec(package)]
    times: Curves = {}
    memory: Curves = {}
    print(f"{'':24}{'ms a training step':>24}{'MB':>24}\n{'':24}" + 2 * "".join(f"{name:>12}" for name in programs))
    for variable, size in ((variable, size) for variable, several in sizes.items() for size in several):
        milliseconds, megabytes, interrupted = measure(programs, usual | {variable: size}, folder, rounds)
        print(f"{variable:12}{size:8}    " + "".join(f"{each:12.3g}" for each in milliseconds + megabytes), flush=True)
        for program, time_, room in zip(programs, milliseconds, megabytes, strict=True):
            times.setdefault(variable, {}).setdefault(program, {})[size] = time_
            if variable != "threads":
                memory.setdefault(variable, {}).setdefault(program, {})[size] = room
        if interrupted:
            return times, memory, True
    return times, memory, False


def measure(programs: list[str], setting: dict[str, int], folder: Path, rounds: int):
    """Each program's milliseconds a step and its megabytes, with this setting; whether Ctrl-C ended it early."""
    environment = dict.fromkeys(ONE_THREAD, str(setting["threads"])) | {"SCRATCHNET_KERNELS": BEST}
    with ExitStack() as stack:
        workers = {}
        for program in programs:
            name = ", ".join(map(str, ["scaling", program, *setting.values()]))
            workers[program] = stack.enter_context(Worker(name, folder, environment))
            workers[program].ask("step")  # in which it compiles
        answers, interrupted = in_turn(workers, "step", rounds)
        milliseconds = [1e3 * statistics.median(answer[program] for answer in answers) for program in programs]
        return milliseconds, [worker.ask("megabytes") for worker in workers.values()], interrupted


def exponent(curve: dict[int, float]) -> float:
    """p in y ∝ xᵖ, by least squares in the logarithms; 0 for a single size."""
    x, y = np.log([*curve]), np.log([*curve.values()])
    return float(np.polyfit(x, y, 1)[0]) if len(curve) > 1 else 0.0


def scaling_figure(times: Curves, memory: Curves) -> Figure:
    """A panel for the time by each variable, and one for the memory; straight lines are powers."""
    title = "A step takes " + ", ".join(
        f"{2 ** exponent(times[variable]['scratchnet']):.1f} times as long for twice the {variable}"
        for variable in ("batch", "width")
        if variable in times
    )
    panels = [("time", "ms a step", variable, curves) for variable, curves in times.items()]
    panels += [("memory", "MB", variable, curves) for variable, curves in memory.items()]
    names = [f"{what} ∝ {variable}$^{{{exponent(curves['scratchnet']):.2f}}}$" for what, _, variable, curves in panels]
    figure, all_axes = plots.panels(title, names, width=12, height=2.8, columns=4)
    for axes, (_, unit, variable, curves) in zip(all_axes, panels, strict=True):
        for color, (program, curve) in zip(COLORS, curves.items(), strict=False):
            axes.loglog([*curve], [*curve.values()], "o-", color=color, label=program, markersize=4, linewidth=1.8)
        axes.set_xticks([*curves["scratchnet"]], [str(size) for size in curves["scratchnet"]])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set(xlabel=variable, ylabel=unit)
        name_lines(axes)
    return figure


def scaling_results(times: Curves, memory: Curves) -> dict[str, Number]:
    """All that was measured, and the exponents."""
    found = {}
    for what, unit, measured in (("time", "ms/step", times), ("memory", "MB", memory)):
        for variable, programs in measured.items():
            for program, curve in programs.items():
                found[f"{what} by {variable}, {program}"] = Number(exponent(curve), "exponent", digits=2)
                for size, value in curve.items():
                    found[f"{what}, {variable} {size}, {program}"] = Number(value, unit, digits=3)
    return found
