"""Figures of images, curves and latent spaces in one style, with the conclusion in the title.

Each function returns a matplotlib Figure and changes no global state: neither the backend nor any setting. `import
scratchnet` does not load this module; write `from scratchnet import plots`.
"""

import math
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from os import PathLike
from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, DTypeLike

from scratchnet.arrays import Array
from scratchnet.checks import (
    check_count,
    check_finite,
    check_flag,
    check_float_type,
    check_names,
    check_number,
    check_pair,
    check_path,
    check_points,
    check_real,
    check_text,
    check_texts,
    check_vector,
    describe,
    listed,
    named,
)
from scratchnet.errors import DataError, ShapeError
from scratchnet.training.run import History
from scratchnet.training.storage import write_whole

INK, SOFT = "#222222", "#8a8a8a"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe & Ito: safe for colour blindness
DIGITS = ListedColormap(
    ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#ff9da7", "#636363", "#edc948", "#17becf"]
)
_Curves = Mapping[str, tuple[ArrayLike, ...]]
_BY_DIGIT = {"cmap": DIGITS, "vmin": -0.5, "vmax": 9.5, "alpha": 0.7}


def image_grid(
    images: Array, title: str, *, columns: int = 8, names: Sequence[str] = (), shape: tuple[int, int] | None = None
) -> Figure:
    """Images (N, D), `columns` in a row, with `names` under the columns; square unless `shape` is (height, width)."""
    columns = check_count("plots.image_grid", "columns", columns, most=10_000)
    check_texts("plots.image_grid", "names", names)
    if len(names) > columns:
        raise ShapeError(f"plots.image_grid expects at most {columns} names, one for each column, got {len(names)}.")
    mosaic = _mosaic(images, columns, shape)
    height, width = mosaic.shape
    inch = max(45, width / 8)  # pixels in an inch: one scale for all grids that are no wider than a page
    figure, (axes,) = _figure(title, width / inch, height / inch)
    rows = math.ceil(len(images) / columns)
    whole = (0, columns, rows, 0)  # an image is a unit of each axis
    axes.imshow(mosaic, "gray_r", vmin=0, vmax=1, extent=whole, aspect=(height / rows) / (width / columns))
    axes.set(xticks=np.arange(len(names)) + 0.5, xticklabels=names, yticks=[])
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    return figure


def image_rows(rows: Mapping[str, Array], title: str, *, shape: tuple[int, int] | None = None) -> Figure:
    """Rows of images, (N, D) each, one below the other, each with its name at the left."""
    check_names("plots.image_rows", "rows", rows)
    for name, images in rows.items():
        check_points("plots.image_rows", name, images)
    if len({images.shape for images in rows.values()}) != 1:
        shapes = ", ".join(f"{name} {images.shape}" for name, images in rows.items())
        raise ShapeError(f"plots.image_rows expects rows of one shape, got {shapes}.")
    images = np.concatenate(list(rows.values()))
    figure = image_grid(images, title, columns=len(images) // len(rows), shape=shape)
    figure.axes[0].set(yticks=np.arange(len(rows)) + 0.5, yticklabels=list(rows))
    return figure


def image_grids(grids: Mapping[str, Array], title: str, *, columns: int) -> Figure:
    """A panel for each grid of square images (N, D), two in a row, `columns` images in a row of a grid, names above."""
    check_names("plots.image_grids", "grids", grids)
    columns = check_count("plots.image_grids", "columns", columns, most=10_000)
    figure, panels = _figure(title, 9, 4.6, grids, columns=2)
    for axes, images in zip(panels, grids.values(), strict=True):
        axes.imshow(_mosaic(images, columns, None), "gray_r", vmin=0, vmax=1)
        axes.set_axis_off()
    return figure


def history_curves(history: History, title: str) -> Figure:
    """A panel for each term of the loss over the epochs, training and validation in it, last values in the legend."""
    if not isinstance(history, History) or not history.epochs:
        came = "one of no epoch" if isinstance(history, History) else named(history)
        raise TypeError(f"plots.history_curves expects a History of at least one epoch, got {came}.")
    terms = [name for name in history.epochs[0] if name not in ("epoch", "seconds", "loss") and name[:4] != "val_"]
    terms = terms or ["loss"]
    figure, panels = _figure(title, 4.2 * len(terms), 3.2, [term.replace("kl", "KL") for term in terms])
    for axes, term in zip(panels, terms, strict=True):
        for color, label, name in ((COLORS[0], "training", term), (COLORS[1], "validation", f"val_{term}")):
            if name in history.epochs[0]:
                y = history[name]
                axes.plot(range(1, len(y) + 1), y, "o-", markersize=3, color=color, label=f"{label}: {y[-1]:.1f}")
        axes.set(xlabel="epoch", ylabel=history.unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=9)
    return figure


def lines(
    curves: _Curves, title: str, *, x_label: str, y_label: str, dots: Collection[str] = (), log: bool = False
) -> Figure:
    """Curves by name, each its x and y, those in `dots` as points; both axes logarithmic with `log`."""
    _check_curves("plots.lines", "curves", curves, 2)
    check_text("plots.lines", x_label=x_label, y_label=y_label)
    check_texts("plots.lines", "dots", dots)
    check_flag("plots.lines", "log", log)
    figure, (axes,) = _figure(title, 6.4, 4)
    colors = cycle([*COLORS, INK] if len(curves) <= 7 else DIGITS(range(10)))
    for color, (name, (x, y)) in zip(colors, curves.items(), strict=False):
        line, order = ("o", 3) if name in dots else ("-", 2)
        axes.plot(x, y, line, label=name, color=color, linewidth=1.8, markersize=5, zorder=order)
    if log:
        axes.set(xscale="log", yscale="log")
    elif all(np.asarray(x).dtype.kind in "iu" for x, _ in curves.values()):  # such as epochs
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.legend(frameon=False, fontsize=9)
    return figure


def error_curves(sizes: Sequence[int], errors: Mapping[str, Sequence[float]], title: str, *, unit: str) -> Figure:
    """A line for each method: its error against the size of the bottleneck, both axes logarithmic."""
    where = "plots.error_curves"
    x = check_vector(where, "sizes", sizes)
    check_names(where, "errors", errors)
    check_text(where, unit=unit)
    curves = {name: (x, check_vector(where, name, y, len(x))) for name, y in errors.items()}
    figure = lines(curves, title, x_label="numbers in the bottleneck", y_label=unit, log=True)
    (axes,) = figure.axes
    for line in axes.lines:
        line.set_marker("o")
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [str(size) for size in x])
    axes.legend(frameon=False, fontsize=9)
    return figure


def v_curve(gradients: _Curves, title: str, *, step: float) -> Figure:
    """The error of each gradient against the step h that it was measured with, both axes logarithmic.

    `gradients` holds, by name, the steps (S,) and the errors (S,) of central difference and complex step, NaN where
    there is none; a dotted line marks `step`, the one that was used.
    """
    step = check_number("plots.v_curve", "step", step, 0, open_low=True)
    _check_curves("plots.v_curve", "gradients", gradients, 3)
    half = np.finfo(np.float64).eps / 2  # an error of 0 is drawn at half the last digit
    curves = {name: (steps, np.maximum(errors, half)) for name, (steps, errors, _) in gradients.items()}
    figure = lines(curves, title, x_label="step h", y_label="error relative to the slope", log=True)
    (axes,) = figure.axes
    for line, (steps, _, exact) in zip(list(axes.lines), gradients.values(), strict=True):
        line.set(marker="o", markersize=3, linewidth=1.4)
        axes.plot(steps, np.maximum(exact, half), "--", linewidth=1, color=line.get_color())
    if any(np.isfinite(exact).any() for _, _, exact in gradients.values()):
        axes.plot([], "--", linewidth=1, color=INK, label="complex step")
    axes.axvline(step, color=SOFT, linewidth=0.8, linestyle=":")
    axes.text(step, 1.01, "the step used", transform=axes.get_xaxis_transform(), fontsize=8, color=SOFT, ha="center")
    axes.legend(frameon=False, fontsize=8)
    return figure


def bars(
    groups: Mapping[str, Array], title: str, *, ticks: Sequence[str], x_label: str, y_label: str, digits: int = 2
) -> Figure:
    """Bars side by side: at each tick one of each group (T,), with its value."""
    check_names("plots.bars", "groups", groups)
    check_text("plots.bars", x_label=x_label, y_label=y_label)
    check_texts("plots.bars", "ticks", ticks)
    digits = check_count("plots.bars", "digits", digits, 0, most=17)
    if len(groups) > len(COLORS):
        raise ShapeError(f"plots.bars expects at most {len(COLORS)} groups, a colour for each, got {len(groups)}.")
    figure, (axes,) = _figure(title, max(6.4, 0.3 * len(ticks) * len(groups) + 1.5), 3.4)
    width = 0.8 / len(groups)
    for i, (name, heights) in enumerate(groups.items()):
        check_finite("plots.bars", name, check_vector("plots.bars", name, heights, len(ticks)))
        at = np.arange(len(ticks)) + (i - (len(groups) - 1) / 2) * width
        drawn = axes.bar(at, heights, width, color=COLORS[i], label=name)
        axes.bar_label(drawn, [f"{height:.{digits}f}" for height in heights], fontsize=8, color=INK, padding=1)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.margins(y=0.12)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel=x_label, ylabel=y_label)
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


def latent_bars(kl: Array, active: Array, title: str) -> Figure:
    """The KL (L,) of each latent dimension in falling order, those that are not active in grey."""
    kl, active = check_vector("plots.latent_bars", "kl", kl), np.asarray(active)
    if active.dtype != np.bool or active.shape != kl.shape:
        came = f"{active.shape} of {active.dtype}"
        raise ShapeError(f"plots.latent_bars expects active of the shape of kl, {kl.shape}, and of bool, got {came}.")
    order = np.argsort(kl)[::-1]
    labels = {"x_label": "latent dimension, in falling order", "y_label": "KL (nats/image)"}
    figure = bars({"kl": kl[order]}, title, ticks=[str(i) for i in order], digits=1, **labels)
    for bar, is_active in zip(figure.axes[0].patches, active[order], strict=True):
        bar.set_facecolor(COLORS[0] if is_active else SOFT)
    return figure


@dataclass(frozen=True)
class Bars:
    """A panel of `bar_panels`: numbers by name in one unit, and limits by name, drawn as lines.

    Bars whose names are in `marked` are coloured and the others grey; without `marked`, all are coloured.
    """

    name: str
    values: Mapping[str, float]
    unit: str
    limits: Mapping[str, float] = field(default_factory=dict)
    marked: Collection[str] = ()
    logarithmic: bool = False


def bar_panels(panels: Sequence[Bars], title: str) -> Figure:
    """Panels of horizontal bars side by side, the first bar at the top, each with its number at its end."""
    if not isinstance(panels, list | tuple) or not panels or not all(isinstance(panel, Bars) for panel in panels):
        raise TypeError(f"plots.bar_panels expects panels to be a list of Bars(…), at least one, got {named(panels)}.")
    for panel in panels:
        check_names("plots.bar_panels", f"the values of {panel.name}", panel.values)
    height = 0.25 * max(len(panel.values) for panel in panels) + 1.2
    figure, all_axes = _figure(title, 4 * len(panels), height, [panel.name for panel in panels])
    over_lines = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    for axes, panel in zip(all_axes, panels, strict=True):
        names, values = list(panel.values), list(panel.values.values())
        colors = [COLORS[0] if name in (panel.marked or names) else SOFT for name in names]
        drawn = axes.barh(range(len(names)), values, color=colors, height=0.75, log=panel.logarithmic)
        axes.bar_label(drawn, [f"{value:.3g}" for value in values], fontsize=8, color=INK, padding=3, bbox=over_lines)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel(panel.unit)
        for color, (name, limit) in zip(COLORS[1:], panel.limits.items(), strict=False):
            axes.axvline(limit, color=color, linewidth=1.2, linestyle="--", label=f"{name}: {limit:.3g}")
        if panel.limits:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.5}
            axes.legend(frameon=False, fontsize=8, ncols=2, **place)
        axes.margins(x=0.15)
    return figure


def latent_plane(
    decode: Callable[[Array], Array], title: str, *, side: int = 20, dtype: DTypeLike = np.float32
) -> Figure:
    """What a two-dimensional latent space decodes to, at `side` × `side` quantiles of the prior N(0, I).

    Each image represents an equal share of the prior. z₁ grows to the right, z₂ upwards.
    """
    side = check_count("plots.latent_plane", "side", side, most=1000)
    if not callable(decode):
        raise TypeError(f"plots.latent_plane expects decode to be a function, got {named(decode)}.")
    dtype = check_float_type("plots.latent_plane", dtype)
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)], dtype)
    z = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1).reshape(-1, 2)
    return image_grid(decode(z), title, columns=side)


def latent_scatter(z: Array, labels: Array, title: str) -> Figure:
    """Points z (N, 2) of a two-dimensional latent space, coloured by label 0 to 9."""
    figure, panels = _figure(title, 6.4, 5.2)
    points = _scatter("plots.latent_scatter", panels[0], z, labels, **_BY_DIGIT)
    panels[0].set_aspect("equal")
    _color_bar(points, panels, "digit", ticks=range(10))
    return figure


def latent_scatters(codes: Mapping[str, Array], labels: Array, title: str, *, paths: Mapping[str, Array]) -> Figure:
    """A panel for each latent space, two in a row: its points z (N, 2), coloured by label 0 to 9, and a path (S, 2)."""
    where = "plots.latent_scatters"
    check_names(where, "codes", codes)
    check_names(where, "paths", paths)
    if missing := [name for name in codes if name not in paths]:
        raise ShapeError(f"{where} expects a path for each of codes, got none for {listed(missing)}.")
    figure, panels = _figure(title, 9, 4, codes, columns=2)
    for axes, name in zip(panels, codes, strict=True):
        _scatter(where, axes, codes[name], labels, z_name=f"the codes of {name}", **_BY_DIGIT)
        _check_plane(where, f"the path of {name}", paths[name])
        axes.plot(*paths[name].T, color=INK, linewidth=1.4)
        axes.plot(*paths[name][[0, -1]].T, "o", color=INK, markersize=5)
        axes.set_aspect("equal", adjustable="datalim")
    _color_bar(panels[0].collections[0], figure.axes, "digit", ticks=range(10), shrink=0.5, aspect=30)
    return figure


def latent_maps(z: Array, values: Mapping[str, Array], title: str) -> Figure:
    """A panel for each quantity (N,): the points z (N, 2) of a two-dimensional latent space, coloured by it."""
    check_names("plots.latent_maps", "values", values)
    figure, panels = _figure(title, 4.6 * len(values), 4, [""] * len(values))
    for axes, (name, value) in zip(panels, values.items(), strict=True):
        _color_bar(_scatter("plots.latent_maps", axes, z, value, name, cmap="viridis"), [axes], name)
    return figure


def save_figure(path: str | PathLike[str], figure: Figure) -> None:
    """Write the figure to `path` as PNG, whole or not at all."""
    check_path("plots.save_figure", "path", path)
    if not isinstance(figure, Figure):
        raise TypeError(f"plots.save_figure expects a Figure, got {named(figure)}.")
    with write_whole(path) as file:
        figure.savefig(file, format="png")


def _check_curves(where: str, name: str, curves: _Curves, arrays: int) -> None:
    """Each curve is so many arrays of one length."""
    check_names(where, name, curves)
    for one, rows in curves.items():
        if not isinstance(rows, tuple | list) or len(rows) != arrays:
            raise TypeError(f"{where} expects {arrays} arrays for each of {name}, got {named(rows)} for {one}.")
        sizes = [check_real(where, one, row).size for row in rows]
        if len(set(sizes)) > 1:
            raise ShapeError(f"{where} expects the arrays of {one} to be of one length, got {sizes}.")


def _figure(
    title: str, width: float, height: float, panels: Collection[str] = ("",), columns: int = 0
) -> tuple[Figure, list[Axes]]:
    """A figure with its title and named panels, `columns` in a row or all in one; inches, `height` for each row."""
    check_text("plots", title=title)
    width, columns = max(width, 6), columns or len(panels)
    rows = math.ceil(len(panels) / columns)
    sentences = title.replace(" -", " −").splitlines()  # a minus is as long as a plus
    heading = [line for one in sentences for line in textwrap.wrap(one, int(10 * width))]  # ten letters fit in an inch
    figure = Figure(figsize=(width, rows * height + 0.2 + 0.2 * len(heading)), dpi=150, layout="constrained")
    figure.suptitle("\n".join(heading), x=0.02, ha="left", color=INK, fontsize=10.5, fontweight="bold")
    all_axes = list(np.ravel(figure.subplots(rows, columns)))
    for axes, name in zip(all_axes, panels, strict=False):
        axes.set_title(name, fontsize=10, color=INK)
        axes.tick_params(labelsize=8, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    return figure, all_axes[: len(panels)]


def _check_plane(where: str, name: str, z: Array) -> None:
    check_points(where, name, z, 2)
    check_finite(where, name, z)


def _scatter(where: str, axes: Axes, z: Array, values: Array, name="labels", z_name="z", **style: Any):
    """Points z (N, 2), coloured by values (N,)."""
    _check_plane(where, z_name, z)
    axes.set(xlabel="z₁", ylabel="z₂")
    return axes.scatter(*z.T, c=check_vector(where, name, values, len(z)), s=4, linewidths=0, **style)


def _color_bar(points: ScalarMappable, panels: list[Axes], label: str, **style: Any) -> None:
    opaque = ScalarMappable(points.norm, points.cmap)
    bar = panels[0].figure.colorbar(opaque, ax=panels, label=label, **style)
    bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)


def _mosaic(images: Array, columns: int, shape: tuple[int, int] | None) -> Array:
    """The images of (N, D) as one picture, `columns` in a row, with a margin of one white pixel around each."""
    check_points("plots", "images", images)
    check_finite("plots", "images", images)
    if images.size and images.max() > 2 and not np.any(images % 1):  # values a little outside [0, 1] are clipped
        raise DataError(f"plots expects images in [0, 1], got whole {describe(images)}: divide pixels of 0–255 by 255.")
    side = math.isqrt(images.shape[1])
    height, width = (side, side) if shape is None else check_pair("plots", "shape", shape)
    if len(images) == 0 or height * width != images.shape[1]:
        raise ShapeError(f"plots expects images of {height} × {width} pixels, got an array of shape {images.shape}.")
    missing = -len(images) % columns  # in the last row
    cells = np.pad(images.astype(np.float64).reshape(-1, height, width), ((0, missing), (1, 1), (1, 1)))
    cells = cells.reshape(-1, columns, height + 2, width + 2).swapaxes(1, 2)
    return cells.reshape(-1, columns * (width + 2))
