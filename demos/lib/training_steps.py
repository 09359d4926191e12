"""The training steps that `benchmark.py --scaling` times, in scratchnet and in PyTorch.

The network is an autoencoder: D pixels, `depth` hidden layers of `width` numbers with ReLUs, D pixels; squared error,
Adam.
"""

import itertools
import sys
import time
from typing import Any

import numpy as np

PIXELS, LEARNING_RATE = 784, 1e-3
SECONDS = 0.1  # of steps in each measurement
PAUSE = 0.2  # seconds before it, in which the other program's threads fall asleep


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def scaling_requests(name: str) -> dict[str, Any]:
    """Of a worker with this name: seconds a training step, and how much its peak memory has grown by the network."""
    program, *setting = name.split(", ")[1:]
    batch, width, depth, threads = map(int, setting)
    x = np.random.default_rng(0).random((batch, PIXELS), dtype=np.float32)
    widths = [PIXELS, *[width] * depth]
    make = {"scratchnet": _here, "PyTorch": _in_pytorch}[program]
    make(x, [PIXELS, 1], threads)()  # so that the memory is that of the network, and not of the library
    before = peak_megabytes()
    step = make(x, widths, threads)

    def seconds() -> float:
        time.sleep(PAUSE)
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS or count < 3:
            step()
            count += 1
        return (time.perf_counter() - start) / count

    return {"step": seconds, "megabytes": lambda: max(peak_megabytes() - before, 0.1)}


def _here(x: np.ndarray, widths: list[int], threads: int):
    import scratchnet as sn

    rng = np.random.default_rng(0)
    hidden = [part for D, M in itertools.pairwise(widths) for part in (sn.Dense(D, M, rng=rng), sn.ReLU())]
    model = sn.Autoencoder(sn.Sequential(*hidden), sn.Sequential(sn.Dense(widths[-1], PIXELS, rng=rng)))
    adam, parameters = sn.Adam(LEARNING_RATE), model.parameters

    def step() -> float:
        loss = model.loss(x, rng)
        parameters.zero_grad()
        loss.backward()
        adam.step(parameters.theta, parameters.dtheta)
        return loss.value

    return step


def _in_pytorch(x: np.ndarray, widths: list[int], threads: int):
    import torch

    torch.set_num_threads(threads)
    hidden = [part for D, M in itertools.pairwise(widths) for part in (torch.nn.Linear(D, M), torch.nn.ReLU())]
    model, images = torch.nn.Sequential(*hidden, torch.nn.Linear(widths[-1], PIXELS)), torch.from_numpy(x)
    adam = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)

    def step() -> float:
        adam.zero_grad()
        loss = ((model(images) - images) ** 2).sum() / len(images)
        loss.backward()
        adam.step()
        return loss.item()

    return step
