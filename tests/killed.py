"""A training that is killed again and again: each time it goes on from its checkpoint, and it ends at the same bytes.

Run as `python -m tests.killed FOLDER KILLS SEED`. Children are forked, so that each begins at once; that is safe on the
NumPy kernels and one thread, which is how the tests run it.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import scratchnet as sn

EPOCHS, BATCH = 4, 50


def train(folder: Path, checkpoint: Path | None) -> str:
    """All that is left of a run: θ, what was recorded, and what the generator draws next; the same text each time."""
    rng = np.random.default_rng(0)
    vae = sn.VAE(
        sn.Sequential(sn.Dense(784, 16, rng=rng), sn.ReLU(), sn.Dense(16, 4, rng=rng)),
        sn.Sequential(sn.Dense(2, 16, rng=rng), sn.ReLU(), sn.Dense(16, 784, rng=rng)),
    )
    x = sn.data.mnist("test")[0]
    history = sn.fit(
        vae,
        x[:620],
        optimizer=sn.Adam(lambda step: 1e-3 / (1 + step)),
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=rng,
        validation=x[620:700],
        progress=False,
        checkpoint=checkpoint,
        checkpoint_seconds=0,
    )
    records = [{name: value for name, value in record.items() if name != "seconds"} for record in history.epochs]
    return json.dumps([vae.parameters.theta.tobytes().hex(), records, vae.sample(1, rng).tolist()])


def main() -> None:
    folder, kills, choice = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    expected, checkpoint, ended = train(folder, None), folder / "run.npz", folder / "ended.json"
    killed, finished, done = 0, 0, False
    while killed < kills or not done:
        child = os.fork()
        if child == 0:
            ended.write_text(train(folder, checkpoint), "utf-8")
            os._exit(0)
        if killed < kills:
            time.sleep(choice.uniform(0, 0.2))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        done = not os.WIFSIGNALED(status)
        if not done:
            killed += 1
            continue
        assert status == 0
        assert ended.read_text("utf-8") == expected, f"after {killed} kills the run ended at other bytes"
        finished += 1
        checkpoint.unlink()  # and once more from the beginning
    left_over = [path.name for path in folder.iterdir() if path.suffix == ".part"]
    print(json.dumps({"killed": killed, "finished": finished, "left over": left_over}))


if __name__ == "__main__":
    main()
