"""Train the VAE on several processes, each with a share of every batch: mpiexec -n 2 python demos/data_parallel.py.

It needs the extra `mpi`. One process trains as well, so that the two can be compared: θ is the same to rounding.
"""

import argparse
import os
import sys
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # a process takes one core; several of them take the others

import numpy as np

import scratchnet as sn
from lib.common import Run, options, run
from lib.networks import perceptron
from lib.results import Number, table
from scratchnet.parallel import DataParallel, Together


def main() -> None:
    """Train on all processes; an error on one ends all."""
    arguments = options("data_parallel", __doc__, epochs=2, batch_size=256).parse_args()
    try:
        from mpi4py import MPI
    except ImportError as error:
        sys.exit(f"data_parallel.py needs mpi4py ({error}): install the extra with pip install -e '.[mpi]'.")
    with Together(MPI.COMM_WORLD):
        run(lambda: train(arguments, MPI.COMM_WORLD))


def train(arguments: argparse.Namespace, comm: Any) -> None:
    """The first process shows, tests and writes."""
    demo = Run("data_parallel", arguments) if comm.rank == 0 else None
    arguments = comm.bcast(arguments)  # --quick changes the number of epochs
    x, x_test = comm.bcast((demo.images("train")[0], demo.images("test")[0]) if demo else None)

    rng = np.random.default_rng(arguments.seed)
    D, H, L = x.shape[1], 400, 20
    vae = sn.VAE(perceptron(D, H, 2 * L, rng=rng), perceptron(L, H, D, rng=rng))
    history = sn.fit(
        DataParallel(vae, comm),
        x,
        optimizer=sn.Adam(1e-3),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        rng=rng,
        checkpoint=comm.bcast(demo.checkpoint() if demo else None),
    )
    thetas = comm.gather(vae.parameters.theta)
    if demo and thetas:
        sn.save(demo.path("model.npz"), vae)
        found = sn.elbo(vae, x_test, rng)
        seconds = sum(history["seconds"])
        results = {
            "test ELBO": Number(found["elbo"], "nats/image", found["stderr"]),
            "processes": Number(comm.size, "", digits=0),
            "speed": Number(len(x) * len(history.epochs) / max(seconds, 1e-9), "images/s", digits=0),
            "θ apart among processes": Number(max(float(np.abs(theta - thetas[0]).max()) for theta in thetas), ""),
        }
        print(f"\n{table(results)}\n\nEvery process holds the same θ. Try another number of processes: mpiexec -n 4 …")
        demo.finish(results, history)


if __name__ == "__main__":
    run(main)
