"""Figures of images, training curves and latent spaces in one style.

Each function returns a matplotlib Figure, which a notebook shows, and changes no setting of matplotlib. `panels` and
`mosaic` help to draw your own. `import scratchnet` does not load this module: write `from scratchnet import plots`.
"""

import io
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from scratchnet import checks
from scratchnet.arrays import Array
from scratchnet.callbacks import Watch
from scratchnet.errors import ShapeError
from scratchnet.training.run import History
from scratchnet.training.storage import write_whole

INK, SOFT = "#222222", "#8a8a8a"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe & Ito: safe for colour blindness
DIGITS = ListedColormap(
    ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#ff9da7", "#636363", "#edc948", "#17becf"]
)
_Curves = Mapping[str, tuple[ArrayLike, ArrayLike]]


class _NotebookFigure(Figure):
    def _repr_png_(self) -> bytes:  # a notebook calls it to show the figure
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def panels(
    title: str, names: Collection[str] = ("",), *, width: float = 6.4, height: float = 4, columns: int = 100
) -> tuple[Figure, list[Axes]]:
    """A figure and its empty Axes, one for each of `names`, `columns` in a row; in inches, `height` for each row."""
    checks.check_type("plots", "title", title, str, "a string")
    _check_texts("plots.panels", "names", names)
    width = max(6, checks.check_number("plots.panels", "width", width, 0))
    height = checks.check_number("plots.panels", "height", height, 0, open_low=True)
    rows = math.ceil(len(names) / checks.check_count("plots.panels", "columns", columns))
    sentences = title.replace(" -", " −").splitlines()  # a minus sign is as wide as a plus
    heading = [line for one in sentences for line in textwrap.wrap(one, int(10 * width))]  # ten letters fit in an inch
    figure = _NotebookFigure(figsize=(width, rows * height + 0.2 + 0.2 * len(heading)), dpi=150, layout="constrained")
    figure.suptitle("\n".join(heading), x=0.02, ha="left", color=INK, fontsize=10.5, fontweight="bold")
    all_axes = [figure.add_subplot(rows, min(columns, len(names)), i) for i in range(1, len(names) + 1)]
    for axes, name in zip(all_axes, names, strict=True):
        axes.set_title(name, fontsize=10, color=INK)
        axes.tick_params(labelsize=8, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def mosaic(images: Array, *, columns: int = 8, shape: tuple[int, int] | None = None) -> Array:
    """Images (N, D) as one picture, `columns` in a row, with a margin of one pixel around each; empty places are 0."""
    columns = checks.check_count("plots", "columns", columns, most=10_000)
    checks.check_points("plots", "images", images)
    if images.size and images.max() > 2 and not np.any(images % 1):  # values a little outside [0, 1] are clipped
        checks.check_pixels("plots", "images", images)
    height, width = checks.check_pair("plots", "shape", math.isqrt(images.shape[1]) if shape is None else shape)
    if len(images) == 0 or height * width != images.shape[1]:
        raise ShapeError(f"plots expects images of {height} × {width} pixels, got an array of shape {images.shape}.")
    missing = -len(images) % columns  # in the last row
    cells = np.pad(images.astype(np.float64).reshape(-1, height, width), ((0, missing), (1, 1), (1, 1)))
    cells = cells.reshape(-1, columns, height + 2, width + 2).swapaxes(1, 2)
    return cells.reshape(-1, columns * (width + 2))


def image_grid(
    images: Array, title: str, *, columns: int = 8, names: Sequence[str] = (), shape: tuple[int, int] | None = None
) -> Figure:
    """Images (N, D), `columns` in a row, with `names` under the columns; square unless `shape` is (height, width)."""
    picture = mosaic(images, columns=columns, shape=shape)
    _check_texts("plots.image_grid", "names", names)
    if len(names) > columns:
        raise ShapeError(f"plots.image_grid expects at most {columns} names, one for each column, got {len(names)}.")
    height, width = picture.shape
    inch = max(45, width / 8)  # pixels per inch: the same for all grids that fit the width of a page
    figure, (axes,) = panels(title, width=width / inch, height=height / inch)
    rows = math.ceil(len(images) / columns)
    extent = (0, columns, rows, 0)  # an image is one unit of each axis
    axes.imshow(picture, "gray_r", vmin=0, vmax=1, extent=extent, aspect=(height / rows) / (width / columns))
    axes.set(xticks=np.arange(len(names)) + 0.5, xticklabels=names, yticks=[])
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_anchor("N")  # right below the title, whatever the labels leave of the width
    return figure


def image_rows(rows: Mapping[str, Array], title: str, *, shape: tuple[int, int] | None = None) -> Figure:
    """Rows of images, (N, D) each, one below the other, each with its name on the left."""
    _check_names("plots.image_rows", "rows", rows)
    for name, images in rows.items():
        checks.check_points("plots.image_rows", name, images)
    if len({images.shape for images in rows.values()}) != 1:
        shapes = ", ".join(f"{name} {images.shape}" for name, images in rows.items())
        raise ShapeError(f"plots.image_rows expects rows of one shape, got {shapes}.")
    images = np.concatenate(list(rows.values()))
    figure = image_grid(images, title, columns=len(images) // len(rows), shape=shape)
    figure.axes[0].set(yticks=np.arange(len(rows)) + 0.5, yticklabels=list(rows))
    return figure


def history_curves(history: History, title: str) -> Figure:
    """A panel for each term of the loss over the epochs, in training and validation; the legend has the last values."""
    if not isinstance(history, History) or not history.epochs:
        came = "one of no epoch" if isinstance(history, History) else checks.named(history)
        raise TypeError(f"plots.history_curves expects a History of at least one epoch, got {came}.")
    terms = [name for name in history.epochs[0] if name not in ("epoch", "seconds", "loss") and name[:4] != "val_"]
    terms = terms or ["loss"]
    figure, each = panels(title, [term.replace("kl", "KL") for term in terms], width=4.2 * len(terms), height=3.2)
    for axes, term in zip(each, terms, strict=True):
        for color, label, name in ((COLORS[0], "training", term), (COLORS[1], "validation", f"val_{term}")):
            if name in history.epochs[0]:
                y = history[name]
                axes.plot(range(1, len(y) + 1), y, "o-", markersize=3, color=color, label=f"{label}: {y[-1]:.1f}")
        axes.set(xlabel="epoch", ylabel=history.unit)
        axes.locator_params("x", integer=True, min_n_ticks=1)
        axes.legend(frameon=False, fontsize=9)
    return figure


def lines(
    curves: _Curves, title: str, *, x_label: str, y_label: str, dots: Collection[str] = (), log: bool = False
) -> Figure:
    """Curves by name, each its x and y; those in `dots` are drawn as points. With `log`, both axes are logarithmic."""
    _check_names("plots.lines", "curves", curves)
    for name, rows in curves.items():
        if not isinstance(rows, tuple | list) or len(rows) != 2:
            raise TypeError(f"plots.lines expects a tuple of 2 arrays for {name}, got {checks.named(rows)}.")
        x = checks.check_real("plots.lines", name, rows[0], "N")
        checks.check_real("plots.lines", name, rows[1], len(x))
    _check_texts("plots.lines", "dots", dots)
    checks.check_type("plots.lines", "log", log, bool | np.bool, "True or False")
    figure, (axes,) = panels(title)
    axes.set_prop_cycle(color=[*COLORS, INK] if len(curves) <= 7 else DIGITS(range(10)))
    for name, (x, y) in curves.items():
        line, order = ("o", 3) if name in dots else ("-", 2)
        axes.plot(x, y, line, label=name, linewidth=1.8, markersize=5, zorder=order)
    scale = "log" if log else "linear"
    axes.set(xlabel=x_label, ylabel=y_label, xscale=scale, yscale=scale)
    if not log and all(np.asarray(x).dtype.kind in "iu" for x, _ in curves.values()):  # such as epochs
        axes.locator_params("x", integer=True, min_n_ticks=1)
    axes.legend(frameon=False, fontsize=9)
    return figure


def watched(watch: Watch, title: str) -> Figure:
    """What `callbacks.Watch` recorded, over the steps: gradients and updates of the weights, and idle units.

    Colours run from the first layer, dark, to the last. Biases, names that end in ".b", are left out.
    """
    if not isinstance(watch, Watch) or not watch.records:
        came = "one without a record" if isinstance(watch, Watch) else checks.named(watch)
        raise TypeError(f"plots.watched expects a Watch of at least one recorded step, got {came}.")
    steps = [record["step"] for record in watch.records]
    kinds = {"gradient": "‖dW‖", "update": "‖ΔW‖ / ‖W‖", "idle": "share of idle units"}
    figure, each = panels(title, list(kinds.values()), width=8.4, height=2.9)
    for axes, kind in zip(each, kinds, strict=True):
        names = [name for name in watch.records[0][kind] if not name.endswith(".b")]
        axes.set_prop_cycle(color=colormaps["viridis"](np.linspace(0, 0.9, max(1, len(names)))))
        for name in names:
            axes.plot(steps, [record[kind].get(name, np.nan) for record in watch.records], linewidth=1.4, label=name)
        axes.set(xlabel="step", **({"ylim": (-0.03, 1.03)} if kind == "idle" else {"yscale": "log"}))
        if names:
            axes.legend(frameon=False, fontsize=8)
    return figure


def save_figure(path: str | PathLike[str], figure: Figure) -> None:
    """Write the figure to `path` as PNG, whole or not at all."""
    path = checks.check_path("plots.save_figure", "path", path)
    checks.check_type("plots.save_figure", "figure", figure, Figure, "a Figure")
    with write_whole(path) as file:
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.1)


def _check_texts(where: str, name: str, texts: Any) -> None:
    is_collection = isinstance(texts, Collection) and not isinstance(texts, str | np.ndarray)
    if not is_collection or not all(isinstance(one, str) for one in texts):
        raise TypeError(f"{where} expects {name} to be a list of strings, got {checks.named(texts)}.")


def _check_names(where: str, name: str, mapping: Any) -> None:
    checks.check_type(where, name, mapping, Mapping, "a dict")
    _check_texts(where, f"the names of {name}", mapping.keys())
    if not mapping:
        raise ShapeError(f"{where} expects at least one entry in {name}, got none.")
