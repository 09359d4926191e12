"""The three published convolutional networks, here and in PyTorch; `benchmark.py` times a training step of each.

The networks here are those of the demos. Those in PyTorch are written out once more and take their weights. Pixels,
loss and Adam are the same, and nobody's images are corrupted: what is timed is the network. Both classes have
`gradient(x)`, so that they can be held to each other, and `epoch(x, batch_size)`, one time through x in a new order.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
LEARNING_RATE = 1e-3
NETWORKS = ("udacity", "denoiser", "dl4g")
ENGINES = {"scratchnet": "numba", "PyTorch": "torch"}  # and the package that each needs
CHECKED = 16  # images, on whose loss and gradient the two must agree


class Here:
    """A network of the demos."""

    def __init__(self, network: str, seed: int):
        import conv_autoencoder_mnist
        import denoising_mnist
        import scratchnet as sn

        rng = np.random.default_rng(seed)
        if network == "denoiser":
            self.model, decay = denoising_mnist.build(denoising_mnist.CONV, None, rng), 0.0
        else:
            published = conv_autoencoder_mnist.NETWORKS[network]
            self.model, decay = published.build(rng), published.weight_decay
        self.adam, self.fit, self.rng = sn.Adam(LEARNING_RATE, weight_decay=decay), sn.fit, rng

    @property
    def theta(self) -> Array:
        return self.model.parameters.theta

    def gradient(self, x: Array) -> tuple[float, Array]:
        self.model.parameters.zero_grad()
        loss = self.model.loss(x)
        loss.backward()
        return loss.value, self.model.parameters.dtheta

    def epoch(self, x: Array, batch_size: int) -> None:
        self.fit(self.model, x, optimizer=self.adam, epochs=1, batch_size=batch_size, rng=self.rng, progress=False)


class Torch:
    """The same in PyTorch, each operation by itself."""

    def __init__(self, network: str, seed: int):
        import torch
        from torch import nn

        self.torch = torch
        torch.manual_seed(seed)
        conv, up, relu = nn.Conv2d, nn.ConvTranspose2d, nn.ReLU
        self.scale, decay = (1, 0), 0.0  # from the pixels outside to those inside
        if network == "udacity":
            layers = [conv(1, 16, 3, padding=1), relu(), nn.MaxPool2d(2)]
            layers += [conv(16, 4, 3, padding=1), relu(), nn.MaxPool2d(2)]
            layers += [up(4, 16, 2, stride=2), relu(), up(16, 1, 2, stride=2), nn.Sigmoid()]
        elif network == "denoiser":
            layers = []
            for a, b in ((1, 32), (32, 16), (16, 8)):
                layers += [conv(a, b, 3, padding=1), relu(), nn.MaxPool2d(2)]
            for a, b, kernel in ((8, 8, 3), (8, 16, 2), (16, 32, 2)):
                layers += [up(a, b, kernel, stride=2), relu()]
            layers += [conv(32, 1, 3, padding=1), nn.Sigmoid()]
        else:
            self.scale, decay = (2, -1), 1e-5
            layers = [conv(1, 64, 4, 2, 1), relu(), conv(64, 128, 4, 2, 1), relu(), nn.Flatten()]
            layers += [nn.Linear(128 * 7 * 7, 10), nn.Linear(10, 128 * 7 * 7), nn.Unflatten(1, (128, 7, 7))]
            layers += [up(128, 64, 4, 2, 1), relu(), up(64, 1, 4, 2, 1), nn.Tanh()]
        self.net = nn.Sequential(*layers)
        self.parameters = [(p, isinstance(layer, nn.Linear)) for layer in layers for p in layer.parameters()]
        self.adam = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, weight_decay=decay, fused=True)

    def start(self, theta: Array) -> None:
        """Take the weights of the other; PyTorch keeps Wᵀ of a dense layer."""
        at = 0
        with self.torch.no_grad():
            for p, dense in self.parameters:
                W = self.torch.from_numpy(theta[at : at + p.numel()].copy())
                p.copy_(W.reshape(p.shape[::-1]).T if dense and p.ndim == 2 else W.reshape(p.shape))
                at += p.numel()

    def loss(self, x):
        a, b = self.scale
        y = (self.net((a * x + b).reshape(-1, 1, 28, 28)).flatten(1) - b) / a
        return ((y - x) ** 2).sum() / len(x)

    def gradient(self, x: Array) -> tuple[float, Array]:
        self.adam.zero_grad()
        loss = self.loss(self.torch.from_numpy(x))
        loss.backward()
        each = [p.grad.T if dense and p.ndim == 2 else p.grad for p, dense in self.parameters]
        return loss.item(), np.concatenate([g.numpy().ravel() for g in each])

    def epoch(self, x: Array, batch_size: int) -> None:
        images = self.torch.from_numpy(x)
        for rows in self.torch.randperm(len(x)).split(batch_size):
            self.adam.zero_grad()
            loss = self.loss(images[rows])
            loss.backward()
            self.adam.step()
            loss.item()  # looked at in every step, as `fit` does


def network_requests(name: str, given: dict[str, Any], folder: Path) -> dict[str, Callable[[], Any]]:
    """What a worker answers of a network in an engine: its loss and gradient, and seconds a step."""
    network, engine = name.split(", ")
    x, seed = given["x"], int(given["seed"])
    images = np.load(folder / "images.npy")[: int(given["steps"]) * len(x)]
    peer = Here(network, seed)
    if engine == "PyTorch":
        other, peer = peer, Torch(network, seed)
        peer.start(other.theta)

    def gradient() -> dict[str, Any]:
        loss, dtheta = peer.gradient(x[:CHECKED])
        np.save(folder / f"{name}.npy", dtheta)
        return {"loss": loss, "file": f"{name}.npy"}

    def step() -> float:
        start = time.perf_counter()
        peer.epoch(images, len(x))
        return (time.perf_counter() - start) / (len(images) // len(x))

    return {"gradient": gradient, "step": step}
