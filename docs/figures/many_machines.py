"""What sharing a batch among processes costs on this machine: chapter 20's figure and numbers (two minutes).

    python docs/figures/many_machines.py

Each row of the measurements is one run of mpiexec. The machine should do nothing else.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # one core a process

import numpy as np
from matplotlib.figure import Figure

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.parallel import DataParallel
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED, BATCHES, STEPS, ROUNDS = 0, (128, 1024), 20, 5
SIZES = tuple(4**power for power in range(1, 13))  # bytes of an allreduce
PROCESSES = (1, 2, 4)
NODES = tuple(2**power for power in range(11))
NETWORK = {"latency, s": 2e-6, "bandwidth, bytes/s": 12.5e9}
"""A link between nodes of a cluster of today: 2 µs, 100 Gbit/s."""


def vae(rng: np.random.Generator) -> sn.VAE:
    """784-400-20, as in demos/vae_mnist.py."""
    encoder = sn.Sequential(sn.Dense(784, 400, rng=rng), sn.ReLU(), sn.Dense(400, 40, rng=rng))
    return sn.VAE(encoder, sn.Sequential(sn.Dense(20, 400, rng=rng), sn.ReLU(), sn.Dense(400, 784, rng=rng)))


def allreduce_seconds(comm, size: int) -> float:
    """The median time of one allreduce of this many bytes, the slowest process's."""
    x, total, seconds = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32), []
    repeats = max(3, min(200, 2**24 // size))
    for _ in range(2 * ROUNDS):
        comm.Barrier()
        start = time.perf_counter()
        for _ in range(repeats):
            comm.Allreduce(x, total)
        seconds.append((time.perf_counter() - start) / repeats)
    return max(comm.allgather(float(np.median(seconds))))


def step_seconds(comm, batch_size: int, x: Array) -> float:
    """The median over rounds of a step's time."""
    rng = np.random.default_rng(SEED)
    model, seconds = DataParallel(vae(rng), comm), []
    optimizer, rows = sn.Adam(1e-3), x[: batch_size * STEPS]
    for _ in range(ROUNDS + 1):
        history = sn.fit(model, rows, optimizer=optimizer, epochs=1, batch_size=batch_size, rng=rng, progress=False)
        seconds.append(history["seconds"][0] / STEPS)
    return max(comm.allgather(float(np.median(seconds[1:]))))


def measure_here(path: Path) -> None:
    """One process's part of a measurement; the first one writes it."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    x = np.random.default_rng(SEED).random((max(BATCHES) * STEPS, 784), np.float32)
    x *= x > 0.8  # four pixels of five are black, as on MNIST
    found = {
        "allreduce, s": {str(size): allreduce_seconds(comm, size) for size in SIZES},
        "step, s": {str(size): step_seconds(comm, size, x) for size in BATCHES},
    }
    if comm.rank == 0:
        path.write_text(json.dumps(found), encoding="utf-8")


def fitted(seconds: dict[str, float], processes: int) -> dict[str, float]:
    """α and β of T(n) = 2 log₂(p) α + 2 (p − 1)/p n/β: α from the smallest messages, β from the largest."""
    rounds, passes = 2 * np.log2(processes), 2 * (processes - 1) / processes
    smallest = float(np.median([seconds[str(size)] for size in SIZES[:3]]))
    largest = SIZES[-1]
    alpha = smallest / rounds
    return {"latency, s": alpha, "bandwidth, bytes/s": passes * largest / (seconds[str(largest)] - smallest)}


def scaled(step: float, size: int, batch_size: int, processes: int, link: dict[str, float]) -> float:
    """The model's time of a step on this many nodes, the batch shared among them."""
    if processes == 1:
        return step
    latency, bandwidth = link["latency, s"], link["bandwidth, bytes/s"]
    traffic = 2 * np.log2(processes) * latency + 2 * (processes - 1) / processes * size / bandwidth
    return step * max(1, batch_size / processes) / batch_size + float(traffic)


def figure(found: dict) -> Figure:
    """Speedup against nodes, as the model predicts it."""
    curves = {}
    for batch_size, speedups in found["speedup on paper"].items():
        curves[f"batch {int(batch_size):,}"] = (np.array(NODES), np.array(speedups))
    curves["as many as nodes"] = (np.array(NODES), np.array(NODES, float))
    best = max(found["speedup on paper"][str(BATCHES[0])])
    title = f"A batch of {BATCHES[0]} gains at most {best:.0f} × from any number of nodes; a larger batch gains more"
    chart = plots.lines(curves, title, x_label="nodes", y_label="times as fast as one node")
    axes = chart.axes[0]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    return chart


def main() -> None:
    """Measure, fit, predict, and write the json and the figure."""
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if mpiexec is None:
        sys.exit("This needs mpiexec: pip install scratchnet[mpi].")
    part, runs = HERE / "many_machines.part.json", {}
    for processes in PROCESSES:
        subprocess.run([mpiexec, "-n", str(processes), sys.executable, __file__, str(part)], check=True)
        runs[str(processes)] = json.loads(part.read_text(encoding="utf-8"))
        part.unlink()
    size = len(vae(np.random.default_rng(SEED)).parameters) * 4
    found = {
        "seed": SEED,
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "bytes of θ": size,
        "runs": runs,
        "here": fitted(runs["2"]["allreduce, s"], 2),
        "network": NETWORK,
    }
    many = {}
    for batch_size in (*BATCHES, 65_536):
        known = runs["1"]["step, s"][str(min(batch_size, max(BATCHES)))]
        step = known * max(1, batch_size / max(BATCHES))
        many[str(batch_size)] = [step / scaled(step, size, batch_size, nodes, NETWORK) for nodes in NODES]
    found["speedup on paper"] = many
    with write_whole(HERE / "many_machines.json") as file:
        file.write(json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n")
    plots.save_figure(HERE / "many_machines.png", figure(found))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_here(Path(sys.argv[1]))
    else:
        main()
