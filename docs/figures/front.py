"""The README's picture: digits, their reconstructions, new digits, and a plane of codes (a minute on two cores)."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED, BATCH_SIZE = 1, 128
WIDTHS, EPOCHS = {20: (400,), 2: (400, 100)}, {20: 10, 2: 12}  # by the length of a code
ROWS_OF_NEW, TEXT, NEAR = 4, 14, 0.3
COLORS = (  # Paul Tol's "muted" palette, which every kind of colour vision can tell apart, and black
    "#332288",
    "#88ccee",
    "#44aa99",
    "#117733",
    "#999933",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#aa4499",
    "#000000",
)


def build(latent: int, rng: np.random.Generator) -> sn.VAE:
    """A VAE of 784 pixels and `latent` numbers, with the hidden layers of WIDTHS between them."""
    widths = (784, *WIDTHS[latent])
    encoder = perceptron((*widths, 2 * latent), rng)
    return sn.VAE(encoder, perceptron((latent, *widths[::-1]), rng))


def perceptron(widths: tuple[int, ...], rng: np.random.Generator) -> sn.Sequential:
    """Dense layers of these widths, with a ReLU between each two."""
    layers: list[sn.Layer] = []
    for n_in, n_out in pairwise(widths):
        layers += [sn.Dense(n_in, n_out, rng=rng), sn.ReLU()]
    return sn.Sequential(*layers[:-1])


def draw(vae: sn.VAE, plane: sn.VAE, x: Array, labels: Array, rng: np.random.Generator) -> Figure:
    """Digits, reconstructions and new digits by `vae` at the left, the codes of `plane` at the right."""
    shown = x[[np.flatnonzero(labels == digit)[0] for digit in range(10)]]
    pictures = {
        "Ten test digits": shown,
        "The same digits, decoded from 20 numbers each": vae.decode(vae.encode(shown)[0]),
        "New digits, decoded from random numbers": vae.sample(10 * ROWS_OF_NEW, rng),
    }
    figure = Figure(figsize=(11, 5.2), dpi=160, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    panels = left.subplots(len(pictures), 1, height_ratios=[len(images) / 10 + 0.6 for images in pictures.values()])
    for axes, (title, images) in zip(panels, pictures.items(), strict=True):
        draw_images(axes, images, title)
    draw_plane(right.subplots(), plane.encode(x)[0], labels)
    return figure


def draw_images(axes: Axes, images: Array, title: str) -> None:
    """Images (10 k, 784) in ink on white, ten in a row."""
    rows = len(images) // 10
    mosaic = images.reshape(rows, 10, 28, 28).transpose(0, 2, 1, 3).reshape(28 * rows, 280)
    axes.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1)
    axes.set_title(title, loc="left", fontsize=TEXT, color=plots.INK)
    axes.set_axis_off()


def draw_plane(axes: Axes, z: Array, labels: Array) -> None:
    """Codes (N, 2), coloured by digit, and each digit's name among its codes."""
    axes.scatter(z[:, 0], z[:, 1], c=np.array(COLORS)[labels], s=6, alpha=0.6, linewidths=0)
    halo = [withStroke(linewidth=6, foreground="white"), withStroke(linewidth=1.6, foreground=plots.INK)]
    for digit, color in enumerate(COLORS):
        x, y = place_of_name(z, labels == digit)
        style = {"fontsize": 22, "fontweight": "bold", "ha": "center", "va": "center"}
        axes.text(x, y, str(digit), color=color, path_effects=halo, **style)
    axes.set_title("Test digits, placed by codes of 2 numbers", loc="left", fontsize=TEXT, color=plots.INK)
    axes.set_aspect("equal")
    axes.set_xlabel("first number", fontsize=TEXT, color=plots.INK)
    axes.set_ylabel("second number", fontsize=TEXT, color=plots.INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=11, colors=plots.INK)


def place_of_name(z: Array, own: Array) -> Array:
    """The code (2,) of a digit that has most codes of its digit near it, less those of other digits."""
    near = ((z[own, None] - z) ** 2).sum(axis=2) < NEAR**2  # (codes of the digit, all codes)
    return z[own][np.argmax(near @ np.where(own, 1, -1))]


def main() -> None:
    """Train both VAEs; write front.png and front.json, and print the numbers."""
    (x, _), (x_test, labels) = sn.data.mnist("train"), sn.data.mnist("test")
    vaes, found = {}, {}
    for latent, epochs in EPOCHS.items():
        rng = np.random.default_rng(SEED)
        vaes[latent] = build(latent, rng)
        rate = sn.schedules.cosine(2e-3, epochs * math.ceil(len(x) / BATCH_SIZE))
        sn.fit(vaes[latent], x, optimizer=sn.Adam(rate), epochs=epochs, batch_size=BATCH_SIZE, rng=rng)
        elbo = sn.elbo(vaes[latent], x_test, rng)["elbo"]
        found[f"codes of {latent} numbers"] = {"epochs": epochs, "test ELBO, nats/image": elbo}
    plots.save_figure(HERE / "front.png", draw(vaes[20], vaes[2], x_test, labels, np.random.default_rng(SEED)))
    text = json.dumps({"seed": SEED, **found}, indent=2)
    with write_whole(HERE / "front.json") as file:
        file.write(text.encode() + b"\n")
    print(text)


if __name__ == "__main__":
    main()
