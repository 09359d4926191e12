"""The part of `benchmark.py` that times a training step of the three convolutional networks, here and in PyTorch."""

import importlib.util
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lib.figures import Bars
from lib.image_peers import ENGINES, NETWORKS
from lib.peers import BEST
from lib.results import Number
from lib.workers import Worker, in_turn, times_as_fast

CLOSE = 2e-5  # of the loss, or of the gradient's length: what float32 may round away


def compare_networks(folder: Path, rounds: int, quick: bool, results: dict[str, Number]) -> list[Bars]:
    """Each network in both engines, first whether they agree, then in turn; none if one of the engines is missing."""
    if missing := [package for package in ENGINES.values() if importlib.util.find_spec(package) is None]:
        print(f"\nThe convolutional networks take no part: {' and '.join(missing)} not installed")
        return []
    print(f"\n{'scratchnet is':17}{'':26}scratchnet   PyTorch   ms a training step, medians", flush=True)
    times = {}
    for network in NETWORKS[:1] if quick else NETWORKS:
        with ExitStack() as stack:
            environment = {"SCRATCHNET_KERNELS": BEST}
            workers = {name: stack.enter_context(Worker(f"{network}, {name}", folder, environment)) for name in ENGINES}
            found = {name: worker.ask("gradient") for name, worker in workers.items()}
            loss, other = (answer["loss"] for answer in found.values())
            dtheta, dother = (np.load(folder / answer["file"]) for answer in found.values())
            verify(network, "loss", abs(other / loss - 1))
            verify(network, "gradient", float(np.linalg.norm(dother - dtheta) / np.linalg.norm(dtheta)))
            for worker in workers.values():
                worker.ask("step")
            answers, _ = in_turn(workers, "step", rounds)
        times[network] = times_as_fast(answers, *ENGINES)
        each = {name: 1e3 * statistics.median(answer[name] for answer in answers) for name in ENGINES}
        ours, theirs = each.values()
        print(f"{times[network]:6.2f} × as fast  {network:22}{ours:12.2f}{theirs:10.2f}", flush=True)
        for name, milliseconds in each.items():
            results[f"step of {network}, {name}"] = Number(milliseconds / 1e3, "s", digits=5)
        results[f"{network}, scratchnet against PyTorch"] = Number(times[network], "× as fast")
    return [Bars("A step of convolutional networks", times, "× as fast as PyTorch", limits={"PyTorch": 1})]


def verify(network: str, what: str, error: float) -> None:
    """End the run if the two do not compute the same."""
    if not error <= CLOSE:
        sys.exit(
            f"benchmark.py: expected the {what} of {network} in PyTorch within {CLOSE:g} of ours, got {error:.1e}."
        )
