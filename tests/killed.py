"""A training that is killed again and again: each time it goes on from its checkpoint, and it ends at the same bytes.

It has all that a checkpoint keeps: β is annealed, it may stop early, the optimizer and a callback are a user's own, and
a layer learns a state.

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


class Centre(sn.Layer):
    """y = x − a running mean of the x of the training."""

    state_names = ("mean",)
    mean = np.zeros(784, np.float32)

    def forward(self, x):
        if self.training:
            self.mean = np.float32(0.9) * self.mean + np.float32(0.1) * x.mean(axis=0)
        return x - self.mean, lambda dy: dy.copy()


class RMSprop(sn.Optimizer):
    """v ← 0.9 v + 0.1 g²,  θ ← θ − learning_rate · g / (√v + 10⁻⁸)."""

    memory_names = ("v",)
    v: np.ndarray

    def move(self, theta, dtheta, learning_rate):
        self.v += 0.1 * (dtheta**2 - self.v)
        theta -= learning_rate * dtheta / (np.sqrt(self.v) + 1e-8)


class Mean(sn.Callback):
    """The mean of θ over all steps."""

    def before_training(self, run):
        self.mean, self.steps = np.zeros_like(run.parameters.theta), 0

    def after_step(self, run):
        self.steps += 1
        self.mean += (run.parameters.theta - self.mean) / self.steps

    def state_dict(self):
        return {"mean": self.mean, "steps": self.steps}

    def load_state_dict(self, state):
        self.mean, self.steps = state["mean"], state["steps"]


def train(folder: Path, checkpoint: Path | None) -> str:
    """All that is left of a run: θ, what was recorded, and what the generator draws next; the same text each time."""
    rng = np.random.default_rng(0)
    vae = sn.VAE(
        sn.Sequential(Centre(), sn.Dense(784, 16, rng=rng), sn.ReLU(), sn.Dense(16, 4, rng=rng)),
        sn.Sequential(sn.Dense(2, 16, rng=rng), sn.ReLU(), sn.Dense(16, 784, rng=rng)),
    )
    x = sn.data.mnist("test")[0]
    mean, stop = Mean(), sn.callbacks.EarlyStopping(1, "val_reconstruction")
    history = sn.fit(
        vae,
        x[:620],
        optimizer=RMSprop(lambda step: 1e-2 / (1 + step)),
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=rng,
        validation=x[620:700],
        progress=False,
        checkpoint=checkpoint,
        checkpoint_seconds=0,
        callbacks=[sn.callbacks.Anneal(beta=lambda step: min(1.0, step / 30)), mean, stop],
    )
    records = [{name: value for name, value in record.items() if name != "seconds"} for record in history.epochs]
    arrays = vae.parameters.theta, vae.encoder.layers[0].mean, mean.mean  # type: ignore[attr-defined]
    return json.dumps([[a.tobytes().hex() for a in arrays], records, history.stopped, vae.sample(1, rng).tolist()])


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
