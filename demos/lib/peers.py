"""One VAE, written three times to be read side by side: here, in PyTorch and in JAX; `benchmark.py` times them.

D-400-20-400-D, Bernoulli pixels, one ε an image, Adam. Each class starts from the same θ, a flat vector of W and b
layer after layer, and has the same methods: `gradient(x, eps)`, so that they can be held to each other; `take(x)`,
which puts the images where it wants them; and `epoch(x)`, one time through them in a new order with new noise.
"""

# JAX may be missing:
# pyright: reportMissingImports=false

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray  # not that of scratchnet.arrays: a peer's process has no need of scratchnet

HIDDEN, LATENT, LEARNING_RATE = 400, 20, 1e-3


def shapes(pixels: int) -> list[tuple[int, int]]:
    """Of W in each of the four layers; b is as long as W is wide."""
    return [(pixels, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, pixels)]


def parts(theta: Array, pixels: int) -> list[tuple[Array, Array]]:
    """θ (P,) as views of W (D, M) and b (M,) of each layer."""
    found, at = [], 0
    for D, M in shapes(pixels):
        found.append((theta[at : at + D * M].reshape(D, M), theta[at + D * M : at + (D + 1) * M]))
        at += (D + 1) * M
    return found


def beginning(pixels: int, rng: np.random.Generator) -> Array:
    """θ (P,) as training starts: W uniform in ±1/√D, b zero."""
    layers = [(rng.uniform(-(D**-0.5), D**-0.5, (D, M)).ravel(), np.zeros(M)) for D, M in shapes(pixels)]
    return np.concatenate([part for layer in layers for part in layer]).astype(np.float32)


class Here:
    """The VAE of this library, by the kernels in use."""

    def __init__(self, theta: Array, pixels: int, batch_size: int, seed: int):
        import scratchnet as sn

        self.rng, self.batch_size = np.random.default_rng(seed), batch_size
        layers = [sn.Dense(D, M, rng=self.rng, dtype=theta.dtype) for D, M in shapes(pixels)]
        self.vae = sn.VAE(
            encoder=sn.Sequential(layers[0], sn.ReLU(), layers[1]),
            decoder=sn.Sequential(layers[2], sn.ReLU(), layers[3]),
        )
        self.vae.parameters.theta[...] = theta
        self.adam, self.fit = sn.Adam(LEARNING_RATE), sn.fit

    def gradient(self, x: Array, eps: Array) -> tuple[float, Array]:
        loss = self.vae.loss(x, eps=eps)
        self.vae.parameters.zero_grad()
        loss.backward()
        return loss.value, self.vae.parameters.dtheta

    def take(self, x: Array) -> Array:
        return x

    def epoch(self, x: Array) -> None:
        self.fit(self.vae, x, optimizer=self.adam, epochs=1, batch_size=self.batch_size, rng=self.rng, progress=False)


class Torch:
    """The same in PyTorch, each operation by itself or compiled."""

    def __init__(self, theta: Array, pixels: int, batch_size: int, seed: int, *, compiled: bool = False):
        import torch

        self.torch, self.batch_size = torch, batch_size
        torch.manual_seed(seed)
        self.layers = [torch.nn.Linear(D, M) for D, M in shapes(pixels)]
        with torch.no_grad():
            for layer, (W, b) in zip(self.layers, parts(theta, pixels), strict=True):
                layer.weight.copy_(torch.from_numpy(W.T))  # PyTorch keeps Wᵀ, (M, D)
                layer.bias.copy_(torch.from_numpy(b))
        self.parameters = [p for layer in self.layers for p in (layer.weight, layer.bias)]
        self.adam = torch.optim.Adam(self.parameters, LEARNING_RATE, fused=True)
        self.loss = torch.compile(self._loss) if compiled else self._loss

    def _loss(self, x, eps):
        first, second, third, fourth = self.layers
        mu, logvar = second(first(x).relu()).chunk(2, dim=1)
        z = mu + (0.5 * logvar).exp() * eps
        logits = fourth(third(z).relu())
        bce = self.torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum()
        return (bce + kl) / len(x)

    def gradient(self, x: Array, eps: Array) -> tuple[float, Array]:
        self.adam.zero_grad()
        loss = self.loss(self.torch.from_numpy(x), self.torch.from_numpy(eps))
        loss.backward()
        return loss.item(), np.concatenate([p.grad.numpy().T.ravel() for p in self.parameters if p.grad is not None])

    def take(self, x: Array):
        return self.torch.from_numpy(x)

    def epoch(self, x) -> None:
        for rows in self.torch.randperm(len(x)).split(self.batch_size):
            self.adam.zero_grad()
            self.loss(x[rows], self.torch.randn(len(rows), LATENT)).backward()
            self.adam.step()


class Jax:
    """The same in JAX: a step is compiled, or with `scanned` a whole epoch of steps."""

    def __init__(self, theta: Array, pixels: int, batch_size: int, seed: int, *, scanned: bool = False):
        import jax
        import jax.numpy as jnp

        def loss(theta, x, eps):
            (W1, b1), (W2, b2), (W3, b3), (W4, b4) = theta
            mu, logvar = jnp.split(jax.nn.relu(x @ W1 + b1) @ W2 + b2, 2, axis=1)
            z = mu + jnp.exp(0.5 * logvar) * eps
            logits = jax.nn.relu(z @ W3 + b3) @ W4 + b4
            bce = jnp.sum(jnp.logaddexp(logits, 0) - logits * x)
            kl = 0.5 * jnp.sum(mu**2 + jnp.exp(logvar) - logvar - 1)
            return (bce + kl) / len(x)

        def step(state, x, rows, key):
            theta, m, v, t = state
            each = jax.tree_util.tree_map
            g = jax.grad(loss)(theta, x[rows], jax.random.normal(key, (len(rows), LATENT)))
            m = each(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            rate, root = LEARNING_RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
            theta = each(lambda w, m, v: w - rate * m / (jnp.sqrt(root * v) + 1e-8), theta, m, v)
            return theta, m, v, t + 1

        def steps(state, x, orders, keys):
            return jax.lax.scan(lambda state, now: (step(state, x, *now), None), state, (orders, keys))[0]

        self.jax, self.jnp, self.scanned, self.batch_size = jax, jnp, scanned, batch_size
        self.key, self.rng = jax.random.key(seed), np.random.default_rng(seed)
        self.run = jax.jit(steps if scanned else step, donate_argnums=0)
        self.loss = jax.jit(jax.value_and_grad(loss))
        start = [(jnp.array(W), jnp.array(b)) for W, b in parts(theta, pixels)]
        zeros = [jax.tree_util.tree_map(jnp.zeros_like, start) for _ in range(2)]
        self.state = (start, *zeros, jnp.float32(1))

    def gradient(self, x: Array, eps: Array) -> tuple[float, Array]:
        loss, gradient = self.loss(self.state[0], x, eps)
        return loss.item(), np.concatenate([np.ravel(g) for g in self.jax.tree_util.tree_leaves(gradient)])

    def take(self, x: Array):
        return self.jnp.asarray(x)

    def epoch(self, x) -> None:
        orders = self.rng.permutation(len(x)).reshape(-1, self.batch_size)
        self.key, *keys = self.jax.random.split(self.key, len(orders) + 1)
        if self.scanned:
            self.state = self.run(self.state, x, orders, self.jnp.stack(keys))
        else:
            for rows, key in zip(orders, keys, strict=True):
                self.state = self.run(self.state, x, rows, key)
        self.jax.block_until_ready(self.state)


class Products:
    """The eleven matrix products of a step by NumPy's BLAS, and nothing else."""

    def __init__(self, theta: Array, pixels: int, batch_size: int, seed: int):
        rng = np.random.default_rng(seed)
        self.batch_size, self.products = batch_size, []
        for i, (W, _) in enumerate(parts(theta, pixels)):
            x, dy = (rng.standard_normal((batch_size, width), np.float32) for width in W.shape)
            self.products += [(x, W), (x.T, dy)] + [(dy, W.T)] * (i > 0)  # nobody asks for dx of the images
        self.results = [np.empty((len(a), b.shape[1]), np.float32) for a, b in self.products]

    def take(self, x: Array) -> Array:
        return x

    def epoch(self, x: Array) -> None:
        for _ in range(len(x) // self.batch_size):
            for (a, b), result in zip(self.products, self.results, strict=True):
                np.matmul(a, b, out=result)


class Peer(NamedTuple):
    """One who takes part: how it is made, the package that it needs, its SCRATCHNET_KERNELS."""

    make: Callable[[Array, int, int, int], Any]
    package: str
    engine: str = "numpy"
    quick: bool = True


BEST = "vector" if importlib.util.find_spec("scratchnet.kernels.vector") else "numba"
"""The fastest of scratchnet's engines."""

PEERS = {
    "scratchnet compiled": Peer(Here, "numba", BEST),
    "scratchnet blas": Peer(Here, "numba", "blas"),
    "scratchnet numpy": Peer(Here, "numpy"),
    "PyTorch eager": Peer(Torch, "torch"),
    "PyTorch compiled": Peer(partial(Torch, compiled=True), "torch", quick=False),
    "JAX jitted": Peer(Jax, "jax", quick=False),
    "JAX scanned": Peer(partial(Jax, scanned=True), "jax", quick=False),
    "its products by BLAS": Peer(Products, "numpy"),
}
