"""Train the published denoiser here and in PyTorch: same start, batches and noise; write beside_pytorch.json.

PyTorch draws the start, in its own way, and has its own loss, a mean. Two seeds take some three minutes an epoch.
"""

import copy
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import scratchnet as sn
from scratchnet.corruption import GaussianNoise
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
DEMOS = HERE.parent.parent / "demos"
SEEDS, EPOCHS, BATCH, FIRST_STEPS = (0, 1), 4, 20, 10
NOISE, SEED_OF_TEST_NOISE = GaussianNoise(0.5), 12345


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.forward = function


def in_pytorch(layer: sn.Layer) -> nn.Module:
    """The same layer there, started as PyTorch starts it; ours gets its numbers."""
    if isinstance(layer, sn.Sequential):
        return nn.Sequential(*map(in_pytorch, layer.layers))
    if isinstance(layer, sn.Conv2D | sn.ConvTranspose2D):
        kind = nn.Conv2d if isinstance(layer, sn.Conv2D) else nn.ConvTranspose2d
        module = kind(layer.c_in, layer.c_out, layer.kernel_size, layer.stride, layer.padding)
        layer.W[...], layer.b[...] = module.weight.detach().numpy(), module.bias.detach().numpy()
        return module
    if isinstance(layer, sn.Reshape):
        return Function(lambda x: x.reshape(-1, *layer.shape))
    return {sn.ReLU: nn.ReLU(), sn.Sigmoid: nn.Sigmoid(), sn.MaxPool2D: nn.MaxPool2d(2), sn.Flatten: nn.Flatten()}[
        type(layer)
    ]


class Pair:
    """The network twice, from one start."""

    def __init__(self, seed: int):
        torch.manual_seed(seed)
        build = runpy.run_path(str(DEMOS / "lib" / "denoising_networks.py"))["build"]
        self.ours = build("convolutional", NOISE, np.random.default_rng(seed))
        self.theirs = nn.Sequential(in_pytorch(self.ours.encoder), in_pytorch(self.ours.decoder))
        self.rng = np.random.default_rng(seed)
        self.adam = sn.Adam(1e-3, epsilon=784e-8)  # our loss is 784 times the mean over pixels
        self.their_adam = torch.optim.Adam(self.theirs.parameters(), 1e-3)

    def step(self, x: np.ndarray) -> tuple[float, float]:
        """Train both on a batch; its loss per pixel here and there."""
        noise = copy.deepcopy(self.rng)  # the same noise for both
        loss = self.ours.loss(x, self.rng)
        self.ours.parameters.zero_grad()
        loss.backward()
        self.adam.step(self.ours.parameters.theta, self.ours.parameters.dtheta)
        their_loss = nn.functional.mse_loss(self.theirs(torch.from_numpy(NOISE(x, noise))), torch.from_numpy(x))
        self.their_adam.zero_grad()
        their_loss.backward()
        self.their_adam.step()
        return loss.value / x.shape[1], their_loss.item()

    def errors(self, seen: np.ndarray, x: np.ndarray) -> dict[str, float]:
        """The error per pixel of what both make of the images seen."""
        parts = np.split(seen, 10)
        with torch.no_grad():
            mended = {
                "here": [self.ours.reconstruct(part) for part in parts],
                "PyTorch": [self.theirs(torch.from_numpy(part)).numpy() for part in parts],
            }
        return {where: np.mean((np.concatenate(images) - x) ** 2).item() for where, images in mended.items()}


def main() -> None:
    """Train the pairs of all seeds, an epoch of each in turn, and write the JSON after each."""
    sys.path.insert(0, str(DEMOS))
    torch.set_num_threads(1)
    x, x_test = sn.data.mnist("train")[0], sn.data.mnist("test")[0]
    seen = NOISE(x_test, np.random.default_rng(SEED_OF_TEST_NOISE))
    pairs = {seed: Pair(seed) for seed in SEEDS}
    found = {"unit": "squared error/pixel", "apart in the first steps": 0.0, "here": {}, "PyTorch": {}}
    for epoch in range(EPOCHS):
        for seed, pair in pairs.items():
            for step, rows in enumerate(np.split(pair.rng.permutation(len(x)), len(x) // BATCH)):
                here, there = pair.step(x[rows])
                if epoch == 0 and step < FIRST_STEPS:
                    found["apart in the first steps"] = max(found["apart in the first steps"], abs(here / there - 1))
            errors = pair.errors(seen, x_test)
            print(f"seed {seed}, epoch {epoch + 1}: {errors}", flush=True)
            for where, error in errors.items():
                found[where].setdefault(str(seed), []).append(error)
            with write_whole(HERE / "beside_pytorch.json") as file:
                file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
