"""How fast is it? Its kernels against NumPy, its training against PyTorch and JAX: about three minutes.

Neither PyTorch nor JAX is needed; those that are installed take part. First the same weights and the same noise must
give the same loss and gradient in each; then all are timed in turn, each in a process of its own.
"""

import importlib.util
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import scratchnet as sn
from lib.benchmark_kernels import compare_kernels
from lib.benchmark_networks import compare_networks
from lib.common import Run, options, run
from lib.figures import Bars, bar_panels
from lib.peers import LATENT, PEERS, Here, Peer, Products, beginning
from lib.results import Number
from lib.scaling import measure_scaling, scaling_figure, scaling_results
from lib.workers import Worker, in_turn, times_as_fast

CLOSE = 2e-5  # of the loss, or of the gradient's length: what float32 may round away
ALIKE = 0.05  # by how much a peer's loss may differ from another's after the same training with other noise


def main() -> None:
    """Verify, time, draw, and say which engine to choose."""
    parser = options("benchmark", __doc__, epochs=5, batch_size=128, resumes=False)
    parser.add_argument("--scaling", action="store_true", help="how a step grows with batch, width, depth and threads")
    arguments = parser.parse_args()
    demo = Run("benchmark", arguments)
    if arguments.scaling:
        return show_scaling(demo)
    x, _ = demo.images("train")
    N, rng = arguments.batch_size, np.random.default_rng(arguments.seed)
    if len(x) < N:
        sys.exit(f"benchmark.py: expected a batch of at most {len(x)} images, got {N}.")
    steps, results = min(len(x) // N, 12 if arguments.quick else len(x)), {}
    given = {"theta": beginning(x.shape[1], rng), "x": x[:N], "eps": rng.standard_normal((N, LATENT), np.float32)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        much = {"samples": 1, "steps": 2} if arguments.quick else {"samples": 5, "steps": 12}
        np.savez(folder / "given.npz", seed=arguments.seed, **much, **given)
        np.save(folder / "images.npy", x[: steps * N])  # whole batches: a scanned epoch has no short one
        numba = importlib.util.find_spec("numba")
        panels = compare_kernels(folder, arguments.epochs, arguments.quick, results) if numba else []
        panels += compare_networks(folder, arguments.epochs, arguments.quick, results)
        answers, interrupted = compare_epochs(folder, given, arguments, results)
    seconds = {name: statistics.median(answer[name] for answer in answers) for name in answers[0]}
    ours = [name for name in seconds if PEERS[name].make is Here]
    fastest = min(ours, key=lambda name: seconds[name])
    times = {name: times_as_fast(answers, fastest, name) for name in seconds}
    print(f"\n{fastest} is{'':24}median   minimum   of {len(answers)} rounds of {steps} steps, {N} images each")
    for name in seconds:
        least = min(answer[name] for answer in answers)
        print(f"{times[name]:6.2f} × as fast as  {name:22}{seconds[name]:7.3f} s{least:8.3f} s")
        results[f"epoch, {name}"] = Number(seconds[name], "s", digits=3)
        results[f"epoch, {name}, minimum"] = Number(least, "s", digits=3)
        results[f"{fastest} against {name}"] = Number(times[name], "× as fast")
    engine = PEERS[fastest].engine
    print(f'\nChoose sn.kernels.use("{engine}") here for this model, or set SCRATCHNET_KERNELS={engine}.')
    panels.append(Bars(f"{steps} steps of the VAE", seconds, "seconds, median", marked=ours))
    others = [name for name in seconds if name not in ours]
    title = f"{fastest} takes {steps} steps of the VAE in {seconds[fastest]:.2f} s"
    if others:
        best = min(others, key=lambda name: seconds[name])
        title += f", {times[best]:.2f} times as fast as {best}"
    demo.figure("benchmark.png", bar_panels(panels, title))
    demo.finish(results, sn.History(interrupted=interrupted))


def show_scaling(demo: Run) -> None:
    """Draw how the time and the memory of a training step grow."""
    with tempfile.TemporaryDirectory() as name:
        times, memory, interrupted = measure_scaling(Path(name), demo.arguments.epochs, demo.arguments.quick)
    demo.figure("scaling.png", scaling_figure(times, memory))
    demo.finish(scaling_results(times, memory), sn.History(interrupted=interrupted))


def compare_epochs(
    folder: Path, given: dict[str, np.ndarray], arguments: Namespace, results: dict[str, Number]
) -> tuple[list[dict[str, float]], bool]:
    """Seconds of an epoch by each peer that is here, in each round; whether Ctrl-C ended it early."""
    with sn.kernels.use("numpy"):
        exact = Here(given["theta"].astype(float), given["x"].shape[1], arguments.batch_size, arguments.seed)
        loss, dtheta = exact.gradient(given["x"].astype(float), given["eps"].astype(float))
    print("\nThe VAE: loss and gradient against double precision, and how long after its start a process has them")
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name, peer in PEERS.items():
            if not takes_part(name, peer, arguments.quick):
                continue
            worker = stack.enter_context(Worker(name, folder, {"SCRATCHNET_KERNELS": peer.engine}))
            try:
                if peer.make is not Products:
                    found = worker.ask("gradient")
                    ready = time.perf_counter() - worker.started
                    wrong = float(np.linalg.norm(np.load(folder / found["file"]) - dtheta) / np.linalg.norm(dtheta))
                    off = abs(found["loss"] / loss - 1)
                    verify(name, "loss", off, CLOSE)
                    verify(name, "gradient", wrong, CLOSE)
                    print(f"  {name:24} within {off:.0e} and {wrong:.0e}, after {ready:.1f} s")
                    results[f"start to gradient, {name}"] = Number(ready, "s")
                worker.ask("epoch")  # in which it compiles
            except ChildProcessError as error:
                print(f"  {name:24} takes no part: {error}")
                continue
            workers[name] = worker
        answers, interrupted = in_turn(workers, "epoch", arguments.epochs)
        losses = {name: worker.ask("loss") for name, worker in workers.items() if PEERS[name].make is not Products}
        middle = statistics.median(losses.values())
        for name, after in losses.items():
            verify(name, "loss after training", abs(after / middle - 1), ALIKE)
            results[f"loss after training, {name}"] = Number(after, "nats/image")
        print(f"  after {len(answers) + 1} epochs each has a loss of {middle:.0f} nats/image")
        first = next(iter(workers))
        results[f"peak memory, {first}"] = Number(workers[first].ask("megabytes"), "MB")
        images = (folder / "images.npy").stat().st_size / 1e6
        print(f"  {first}: {results[f'peak memory, {first}'].value:.0f} MB at most, {images:.0f} MB of them images")
    return answers, interrupted


def takes_part(name: str, peer: Peer, quick: bool) -> bool:
    """Whether a peer can run here; if not, that is said."""
    if quick and not peer.quick:
        return False
    if importlib.util.find_spec(peer.package) is None:
        print(f"  {name:24} takes no part: {peer.package} is not installed")
        return False
    try:
        with sn.kernels.use(peer.engine):
            return True
    except ValueError:  # an engine that this version does not have
        return False


def verify(name: str, what: str, error: float, bound: float) -> None:
    """End the run if a peer does not compute what the others do, since its time would mean nothing."""
    if not error <= bound:
        sys.exit(f"benchmark.py: expected the {what} of {name} to be right within {bound:g}, got it {error:.1e} off.")


if __name__ == "__main__":
    run(main)
