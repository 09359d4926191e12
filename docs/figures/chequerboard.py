"""Where transposed convolutions overlap: chapter 06's figure, and the numbers that it quotes (two seconds)."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
KERNELS, STRIDE = (2, 3, 4), 2
LAYERS, N, C, SIDE = 400, 16, 4, 7  # drawn layers, images for each, their channels and pixels
SHOWN = 9  # pixels of the figure, from the corner


def copies(kernel: int) -> Array:
    """How many copies of the kernel lie on each pixel: what comes of ones and a kernel of ones."""
    layer = sn.ConvTranspose2D(1, 1, kernel, stride=STRIDE, rng=np.random.default_rng(0), dtype=np.float64)
    layer.W[...] = 1
    return layer.forward(np.ones((1, 1, SIDE, SIDE)))[0][0, 0].round().astype(int)


def mean_squares(kernel: int, rng: np.random.Generator) -> Array:
    """E[y²] of each pixel, over fresh layers and standard normal images."""
    total = np.zeros_like(copies(kernel), float)
    for _ in range(LAYERS):
        layer = sn.ConvTranspose2D(C, 1, kernel, stride=STRIDE, rng=rng, dtype=np.float64)
        y, _ = layer.forward(rng.standard_normal((N, C, SIDE, SIDE)))
        total += np.mean(y[:, 0] ** 2, axis=0)
    return total / LAYERS


def measure(seed: int = SEED) -> dict:
    """The mean square of y by the number of copies on a pixel, as derived and as measured, for each kernel."""
    rng = np.random.default_rng(seed)
    found = {}
    for kernel in KERNELS:
        lie, squares = copies(kernel), mean_squares(kernel, rng)
        inner = slice(kernel, -kernel)  # away from the border, where fewer copies lie
        found[str(kernel)] = {
            str(number): {
                "share of inner pixels": np.mean(lie[inner, inner] == number).item(),
                "derived": number / (3 * lie.max().item()),
                "measured": squares[lie == number].mean().item(),
            }
            for number in sorted(set(lie[inner, inner].ravel().tolist()))
        }
    return {"seed": seed, "stride": STRIDE, "unit": "mean square of y, for x of mean square 1", "kernels": found}


def draw(seed: int = SEED) -> Figure:
    """One panel for each kernel, all in one scale, with the number of copies in each pixel."""
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(7.6, 3.3), dpi=150, layout="constrained")
    title = "A kernel of 3 at stride 2 paints a chequerboard: pixels differ up to fourfold in mean\n"
    title += "square. Kernels of 2 and 4 paint evenly, away from the border"
    figure.suptitle(title, x=0.02, ha="left", color=plots.INK, fontsize=10.5, fontweight="bold")
    panels = figure.subplots(1, len(KERNELS))
    for axes, kernel in zip(panels, KERNELS, strict=True):
        lie, squares = copies(kernel), mean_squares(kernel, rng)
        shades = axes.imshow(squares[:SHOWN, :SHOWN], cmap="viridis", vmin=0, vmax=0.36)
        for (p, q), number in np.ndenumerate(lie[:SHOWN, :SHOWN]):
            ink = "white" if squares[p, q] < 0.2 else "black"
            axes.text(q, p, number, ha="center", va="center", fontsize=8, color=ink)
        axes.set_title(f"kernel {kernel} × {kernel}, stride {STRIDE}", fontsize=10, color=plots.INK)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(shades, ax=panels, label="mean square of y", shrink=0.8)
    figure.supxlabel("the upper left corner of y; in each pixel, how many copies of the kernel lie on it", fontsize=9)
    return figure


def main() -> None:
    """Write chequerboard.png and chequerboard.json, and print the numbers."""
    plots.save_figure(HERE / "chequerboard.png", draw())
    found = json.dumps(measure(), indent=2)
    with write_whole(HERE / "chequerboard.json") as file:
        file.write(found.encode() + b"\n")
    print(found)


if __name__ == "__main__":
    main()
