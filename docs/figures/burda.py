"""How much more codes per image improve a VAE, here and in PyTorch: chapter 15's last tables (16 minutes of CPU time).

    python docs/figures/burda.py

The networks of Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2015, with one stochastic layer, and
their measure, L₅₀₀₀ on test images, after a training that is shorter by far.
"""

import itertools
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import scratchnet as sn
from scratchnet.arrays import Array
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEEDS = {"weights": 0, "training": 1, "test images": 2, "evaluation": 3}
K = (1, 5, 50)
D, HIDDEN, LATENT = 784, 200, 50
EPOCHS, BATCH, PEAK, EPSILON = 5, 100, 2e-3, 1e-4
TEST_IMAGES, SAMPLES = 1000, 5000
PUBLISHED = {1: 86.76, 5: 85.54, 50: 84.78}
"""Nats per image on all test images, from their Table 1: 3,280 epochs of Adam with batches of 20, the learning rate
falling in eight stages from 10⁻³ to 10⁻⁴."""


def binarised(x: Array, rng: np.random.Generator) -> Array:
    """Black and white images; a pixel of x is the probability that it is white."""
    return (rng.random(x.shape, np.float32) < x).astype(np.float32)


class Binarise(sn.Callback):
    """Draws black and white images anew each time that a batch is seen."""

    def before_step(self, run: Any) -> None:
        """Replace the grey batch."""
        run.batch = binarised(run.batch, run.rng)


def network(widths: tuple[int, ...], rng: np.random.Generator) -> sn.Sequential:
    """Dense layers with tanh between them; W is uniform with variance 2/(n_in + n_out), as Glorot & Bengio chose it."""
    layers: list[sn.Layer] = []
    for n_in, n_out in itertools.pairwise(widths):
        dense, bound = sn.Dense(n_in, n_out, rng=rng), np.sqrt(6 / (n_in + n_out))
        dense.W[...] = rng.uniform(-bound, bound, dense.W.shape)
        layers += [dense, sn.Tanh()]
    return sn.Sequential(*layers[:-1])


def new_model(k: int) -> sn.IWAE:
    """784-200-200-(50)-200-200-784, with the same initial weights for every k; for k = 1 it is the VAE."""
    rng = np.random.default_rng(SEEDS["weights"])
    encoder = network((D, HIDDEN, HIDDEN, 2 * LATENT), rng)
    return sn.IWAE(encoder, network((LATENT, HIDDEN, HIDDEN, D), rng), k=k)


def schedule(images: int) -> sn.schedules.Schedule:
    """The learning rate, here and there."""
    return sn.schedules.cosine(PEAK, EPOCHS * -(-images // BATCH))


def train_here(model: sn.IWAE, x: Array) -> list[float]:
    """Train by `sn.fit`; the loss of each epoch."""
    adam = sn.Adam(schedule(len(x)), epsilon=EPSILON)
    history = sn.fit(
        model,
        x,
        optimizer=adam,
        epochs=EPOCHS,
        batch_size=BATCH,
        rng=np.random.default_rng(SEEDS["training"]),
        callbacks=[Binarise()],
        progress=False,
    )
    return history["loss"]


# ---- the same in PyTorch, which is imported where it is needed, so that the tables can be written without it


def in_pytorch(ours: sn.Sequential) -> Any:
    """The same layers there, with the same weights."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    for layer in ours.layers:
        if isinstance(layer, sn.Dense):
            linear = nn.Linear(layer.n_in, layer.n_out)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(layer.W.T))
                linear.bias.copy_(torch.from_numpy(layer.b))
            layers.append(linear)
        else:
            layers.append(nn.Tanh())
    return nn.Sequential(*layers)


def copy_weights(theirs: Any, ours: sn.Sequential) -> None:
    """From PyTorch's layers into ours."""
    for module, layer in zip(theirs, ours.layers, strict=True):
        if isinstance(layer, sn.Dense):
            layer.W[...], layer.b[...] = module.weight.detach().numpy().T, module.bias.detach().numpy()


def pytorch_loss(encoder: Any, decoder: Any, x: Any, eps: Any) -> Any:
    """−L_k, the mean over the images x (N, D), with the noise eps (N, k, L); PyTorch differentiates it."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    mu, logvar = encoder(x)[:, None].chunk(2, dim=2)  # (N, 1, L) each
    z = mu + torch.exp(logvar / 2) * eps
    logits = decoder(z)  # (N, k, D)
    nll = binary_cross_entropy_with_logits(logits, x[:, None].expand_as(logits), reduction="none").sum(2)
    log_w = (eps**2 + logvar - z**2).sum(2) / 2 - nll
    return (np.log(eps.shape[1]) - torch.logsumexp(log_w, dim=1)).mean()


def train_in_pytorch(model: sn.IWAE, x: Array) -> list[float]:
    """Train the same networks in PyTorch, with noise of its own, and copy the weights; the loss of each epoch."""
    import torch

    torch.set_num_threads(1)  # idle threads of its own would wait in a loop, and count as busy
    images, draws = torch.from_numpy(x), torch.Generator().manual_seed(SEEDS["training"])
    encoder, decoder = in_pytorch(model.encoder), in_pytorch(model.decoder)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], PEAK, eps=EPSILON)
    rates = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: schedule(len(x))(step) / PEAK)
    losses = []
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(x), generator=draws).split(BATCH):
            batch = torch.bernoulli(images[rows], generator=draws)
            loss = pytorch_loss(encoder, decoder, batch, torch.randn(len(rows), model.k, LATENT, generator=draws))
            adam.zero_grad()
            loss.backward()
            adam.step()
            rates.step()
            total += loss.item() * len(rows)
        losses.append(total / len(x))
    copy_weights(encoder, model.encoder)
    copy_weights(decoder, model.decoder)
    return losses


TRAINERS: dict[str, Callable[[sn.IWAE, Array], list[float]]] = {"here": train_here, "PyTorch": train_in_pytorch}


# ---- what is measured


def trained(where: str, k: int, x: Array) -> tuple[sn.IWAE, dict[str, Any]]:
    """A trained model, with its losses and what it cost."""
    model, start, cpu = new_model(k), time.perf_counter(), time.process_time()
    losses = TRAINERS[where](model, x)
    cost = {"seconds": time.perf_counter() - start, "CPU seconds": time.process_time() - cpu}
    return model, {"loss": losses} | cost


def nll(model: sn.IWAE, x: Array) -> Array:
    """−L₅₀₀₀ of each image, (N,), in nats, with the same noise for every model."""
    found = sn.log_likelihood(model, x, SAMPLES, np.random.default_rng(SEEDS["evaluation"]), per_image=True)
    return -found["per_image"]["log_likelihood"]


def mean(numbers: Array) -> dict[str, float]:
    """The mean over images and its standard error."""
    return {"nats/image": numbers.mean().item(), "stderr": numbers.std(ddof=1).item() / len(numbers) ** 0.5}


def main() -> None:
    """Train the six models, write burda.json after each, and put the numbers into chapter 15."""
    x, test = sn.data.mnist("train")[0], sn.data.mnist("test")[0][:TEST_IMAGES]
    test = binarised(test, np.random.default_rng(SEEDS["test images"]))
    setting = {"seeds": SEEDS, "epochs": EPOCHS, "batch": BATCH, "peak": PEAK, "test images": TEST_IMAGES}
    found: dict[str, Any] = setting | {"samples": SAMPLES, "cores": os.cpu_count()}
    of_images: dict[tuple[str, int], Array] = {}
    for where in TRAINERS:
        found[where] = {"training": {}, "NLL": {}, "gain": {}}
        for k in K:
            model, found[where]["training"][str(k)] = trained(where, k, x)
            of_images[where, k] = nll(model, test)
            found[where]["NLL"][str(k)] = mean(of_images[where, k])
            if k > K[0]:
                fewer = K[K.index(k) - 1]  # the gain is paired: both have the same images
                found[where]["gain"][f"{fewer} to {k}"] = mean(of_images[where, fewer] - of_images[where, k])
            with write_whole(HERE / "burda.json") as file:
                file.write(json.dumps(found, indent=2).encode() + b"\n")
            print(where, k, found[where]["training"][str(k)], found[where]["NLL"][str(k)], flush=True)
    chapter = HERE.parent / "15-beta-and-importance-weighting.md"
    page = rewritten(chapter.read_text(encoding="utf-8"), found)
    with write_whole(chapter) as file:
        file.write(page.encode())


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The rows of the chapter's two tables, by name."""
    sides = [found[where] for where in TRAINERS]
    names = {1: "VAE, k = 1"} | {k: f"IWAE, k = {k}" for k in K[1:]}

    def row(name: str, kind: str, key: str, published: float) -> str:
        measured = [f"{side[kind][key]['nats/image']:.2f} ± {side[kind][key]['stderr']:.2f}" for side in sides]
        return f"| {name} | {' | '.join(measured)} | {published:.2f} |\n"

    gains = [(fewer, k, f"{fewer} to {k}") for fewer, k in itertools.pairwise(K)]
    return {
        "NLL": "".join(row(names[k], "NLL", str(k), PUBLISHED[k]) for k in K),
        "gain": "".join(
            row(f"from k = {fewer} to {k}", "gain", key, PUBLISHED[fewer] - PUBLISHED[k]) for fewer, k, key in gains
        ),
    }


def rewritten(page: str, found: dict[str, Any]) -> str:
    """The chapter with these numbers in its tables, each of which stands under a comment with its name."""
    for name, rows in tables(found).items():
        page = re.sub(rf"(<!-- table: {name} -->\n.*\n\|[-|]+\|\n)(?:\|.*\n)*", rf"\g<1>{rows}", page)
    return page


if __name__ == "__main__":
    main()
