"""What `benchmark.py` has done in processes of their own, since the thread pools of two libraries in one process fight.

A worker takes requests from stdin, a word a line, and answers each with a line of JSON. Both ends stand here: `Worker`
is the one that asks, and this file run as a script the one that answers.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.training import console

ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
Requests = dict[str, Callable[[], Any]]


class Worker:
    """A process that answers requests, for the length of a `with` block."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]):
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, __file__, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=os.environ | environment,
            start_new_session=True,  # so that Ctrl-C does not reach it
        )

    def ask(self, request: str) -> Any:
        """The answer; ChildProcessError if something went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # its last answer says why it ended
            print(request, file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"error": "it ended without a word"}')
        if "error" in answer:
            raise ChildProcessError(answer["error"])
        return answer["is"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()


def in_turn(workers: dict[str, Worker], request: str, rounds: int) -> tuple[list[dict[str, Any]], bool]:
    """Each worker's answer, round by round, so that drift of the machine hits all alike; whether Ctrl-C ended it."""
    answers: list[dict[str, Any]] = []
    try:
        with console.bar(f"rounds of {request}", rounds, unit="rounds", unit_scale=False, bar_format=None) as bar:
            for _ in range(rounds):
                answers.append({name: worker.ask(request) for name, worker in workers.items()})
                bar.update()
    except KeyboardInterrupt:
        if not answers:
            raise
    return answers, len(answers) < rounds


def times_as_fast(answers: list[dict[str, float]], one: str, other: str) -> float:
    """How many times as long as `one` the other takes, as the median over the rounds."""
    return statistics.median(seconds[other] / seconds[one] for seconds in answers)


def peer_requests(name: str, given: dict[str, Any], folder: Path) -> Requests:
    """Of one who trains: its loss and gradient on the given batch, seconds an epoch, peak memory."""
    from lib.peers import PEERS
    from lib.training_steps import peak_megabytes

    x, eps = given["x"], given["eps"]
    peer = PEERS[name].make(given["theta"], x.shape[1], len(x), int(given["seed"]))
    images: list[Any] = []

    def gradient() -> dict[str, Any]:
        loss, dtheta = peer.gradient(x, eps)
        np.save(folder / f"{name}.npy", dtheta)
        return {"loss": loss, "file": f"{name}.npy"}

    def epoch() -> float:
        if not images:
            images.append(peer.take(np.load(folder / "images.npy")))
        start = time.perf_counter()
        peer.epoch(images[0])
        return time.perf_counter() - start

    return {"gradient": gradient, "epoch": epoch, "loss": lambda: peer.gradient(x, eps)[0], "megabytes": peak_megabytes}


def main() -> None:
    """Answer until stdin ends; what goes wrong is an answer too, the last one."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    name, folder = sys.argv[1], Path(sys.argv[2])
    try:
        with np.load(folder / "given.npz") as file:
            given = dict(file)
        from lib.image_peers import NETWORKS, network_requests
        from lib.kernel_calls import kernel_requests
        from lib.training_steps import scaling_requests

        if name == "kernels":
            requests = kernel_requests(given)
        elif name.startswith("scaling"):
            requests = scaling_requests(name)
        elif name.partition(",")[0] in NETWORKS:
            requests = network_requests(name, given, folder)
        else:
            requests = peer_requests(name, given, folder)
        for line in sys.stdin:
            print(json.dumps({"is": requests[line.strip()]()}), file=answers, flush=True)
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")
        print(json.dumps({"error": f"{type(error).__name__}: {said}"}), file=answers, flush=True)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)  # as in a demo, so that `lib` can be imported
    main()
