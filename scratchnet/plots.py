"""Figures of images, curves and latent spaces, in one style, with the conclusion in the title.

Each function returns a matplotlib Figure and touches nothing global: no backend is chosen and no settings change. Not
imported by `import scratchnet`; say `from scratchnet import plots`.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from os import PathLike
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator
from numpy.typing import DTypeLike

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
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito's, for every eye
DIGITS = ListedColormap(
    ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#ff9da7", "#636363", "#edc948", "#17becf"]
)
_GAP = 2  # white pixels between two images
_TITLE_FONT = FontProperties(size=10.5, weight="bold")


def image_grid(
    images: Array,
    title: str,
    *,
    columns: int = 8,
    names: Sequence[str] = (),
    shape: tuple[int, int] | None = None,
) -> Figure:
    """Images (N, D) side by side, `columns` in a row, with `names` under the columns.

    `shape` is one image's height and width; images are square unless it is given.
    """
    where = "plots.image_grid"
    columns = check_count(where, "columns", columns, most=10_000)
    check_texts(where, "names", names)
    if len(names) > columns:
        raise ShapeError(f"{where} expects at most {columns} names, one for each column, got {len(names)}.")
    mosaic = _mosaic(images, columns, shape)
    figure, axes = _picture(mosaic, title)
    width = mosaic.shape[1] / columns
    axes.set_xticks([(i + 0.5) * width for i in range(len(names))], names)
    return figure


def image_rows(rows: Mapping[str, Array], title: str, *, shape: tuple[int, int] | None = None) -> Figure:
    """Rows of images, (N, D) each, one under the other, each with its name at the left."""
    check_names("plots.image_rows", "rows", rows)
    for name, images in rows.items():
        check_points("plots.image_rows", name, images)
    if len({images.shape for images in rows.values()}) != 1:
        shapes = ", ".join(f"{name} {images.shape}" for name, images in rows.items())
        raise ShapeError(f"plots.image_rows expects rows of one shape, got {shapes}.")
    columns = len(next(iter(rows.values())))
    mosaic = _mosaic(np.concatenate(list(rows.values())), columns, shape)
    height = mosaic.shape[0] / len(rows)
    figure, axes = _picture(mosaic, title)
    axes.set_yticks([(i + 0.5) * height for i in range(len(rows))], list(rows))
    return figure


def image_grids(grids: Mapping[str, Array], title: str, *, columns: int) -> Figure:
    """A panel for each grid of square images (N, D), two in a row, `columns` images in a row of a grid, names above."""
    check_names("plots.image_grids", "grids", grids)
    columns = check_count("plots.image_grids", "columns", columns, most=10_000)
    rows = math.ceil(len(grids) / 2)
    figure, all_axes = _figure(9, 4.6 * rows, title, panels=2 * rows, rows=rows)
    for axes, (name, images) in zip(all_axes, grids.items(), strict=False):
        axes.imshow(_mosaic(images, columns, None), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(name, fontsize=10, color=INK)
    for axes in all_axes:
        axes.set_axis_off()
    return figure


def history_curves(history: History, title: str) -> Figure:
    """A panel for each term of the loss over the epochs, training and validation in it, last values in the legend."""
    if not isinstance(history, History) or not history.epochs:
        came = "one of no epoch" if isinstance(history, History) else named(history)
        raise TypeError(f"plots.history_curves expects a History of at least one epoch, got {came}.")
    terms = [name for name in history.epochs[0] if name not in ("epoch", "seconds", "loss") and name[:4] != "val_"]
    panels = {
        term: {
            label: history[key]
            for label, key in (("training", term), ("validation", f"val_{term}"))
            if key in history.epochs[0]
        }
        for term in terms
    }
    figure, all_axes = _figure(4.2 * len(panels), 3.2, title, len(panels))
    for axes, (quantity, lines) in zip(all_axes, panels.items(), strict=True):
        for color, (name, values) in zip(COLORS, lines.items(), strict=False):
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, values, "o-", markersize=3, linewidth=1.6, color=color, label=f"{name}: {values[-1]:.1f}")
        axes.set_title(quantity.replace("kl", "KL"), fontsize=10, color=INK)
        axes.set_xlabel("epoch")
        axes.set_ylabel(history.unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=9)
        _plain(axes)
    return figure


def latent_bars(kl: Array, active: Array, title: str) -> Figure:
    """The KL (L,) of each latent dimension in falling order, those that are not active in grey."""
    kl = check_vector("plots.latent_bars", "kl", kl)
    check_finite("plots.latent_bars", "kl", kl)
    active = np.asarray(active)
    if active.dtype != np.bool or active.shape != kl.shape:
        came = f"{active.shape} of {active.dtype}"
        raise ShapeError(f"plots.latent_bars expects active of the shape of kl, {kl.shape}, and of bool, got {came}.")
    order = np.argsort(kl)[::-1]
    figure, (axes,) = _figure(0.3 * len(kl) + 1.5, 3, title)
    bars = axes.bar(range(len(kl)), kl[order], color=[COLORS[0] if active[i] else SOFT for i in order], width=0.8)
    axes.bar_label(bars, [f"{kl[i]:.1f}" for i in order], fontsize=7, color=INK, padding=1)
    axes.set_xticks(range(len(kl)), [str(i) for i in order], fontsize=8)
    axes.set_xlabel("latent dimension, in falling order")
    axes.set_ylabel("KL (nats/image)")
    _plain(axes)
    return figure


def latent_plane(
    decode: Callable[[Array], Array], title: str, *, side: int = 20, dtype: DTypeLike = np.float32
) -> Figure:
    """What a two-dimensional latent space decodes to, at `side` × `side` quantiles of the prior N(0, I).

    Each image stands for an equal share of the prior. z₁ grows to the right, z₂ upwards.
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
    _check_plane("plots.latent_scatter", "z", z)
    labels = check_vector("plots.latent_scatter", "labels", labels, len(z))
    figure, (axes,) = _figure(6.4, 5.2, title)
    points = axes.scatter(z[:, 0], z[:, 1], c=labels, cmap=DIGITS, vmin=-0.5, vmax=9.5, s=4, alpha=0.7, linewidths=0)
    bar = figure.colorbar(points, ax=axes, ticks=range(10), label="digit", alpha=1)
    bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)
    axes.set_xlabel("z₁")
    axes.set_ylabel("z₂")
    axes.set_aspect("equal")
    _plain(axes)
    return figure


def latent_scatters(codes: Mapping[str, Array], labels: Array, title: str, *, paths: Mapping[str, Array]) -> Figure:
    """A panel for each latent space, two in a row: its points z (N, 2), coloured by label 0 to 9, and a path (S, 2)."""
    where = "plots.latent_scatters"
    check_names(where, "codes", codes)
    check_names(where, "paths", paths)
    if missing := codes.keys() - paths.keys():
        raise ShapeError(f"{where} expects a path for each of codes, got none for {listed(sorted(missing))}.")
    for name, z in codes.items():
        _check_plane(where, f"the codes of {name}", z)
        _check_plane(where, f"the path of {name}", paths[name])
        check_vector(where, "labels", labels, len(z))
    rows = math.ceil(len(codes) / 2)
    figure, all_axes = _figure(9, 4 * rows, title, panels=2 * rows, rows=rows)
    for axes, (name, z) in zip(all_axes, codes.items(), strict=False):
        axes.scatter(z[:, 0], z[:, 1], c=labels, cmap=DIGITS, vmin=-0.5, vmax=9.5, s=3, alpha=0.7, linewidths=0)
        axes.plot(*paths[name].T, "-", color=INK, linewidth=1.4)
        axes.plot(*paths[name][[0, -1]].T, "o", color=INK, markersize=5)
        axes.set_title(name, fontsize=10, color=INK)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("z₁")
        axes.set_ylabel("z₂")
        _plain(axes)
    for axes in all_axes[len(codes) :]:
        axes.set_axis_off()
    points = ScalarMappable(Normalize(-0.5, 9.5), DIGITS)
    bar = figure.colorbar(points, ax=all_axes, ticks=range(10), label="digit", shrink=0.5, aspect=30)
    bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)
    return figure


def error_curves(sizes: Sequence[int], errors: Mapping[str, Sequence[float]], title: str, *, unit: str) -> Figure:
    """A line for each method: its error against the size of the bottleneck, both axes logarithmic."""
    where = "plots.error_curves"
    sizes = check_vector(where, "sizes", sizes).tolist()
    check_names(where, "errors", errors)
    check_text(where, unit=unit)
    for name, values in errors.items():
        check_vector(where, name, values, len(sizes))
    figure, (axes,) = _figure(6.4, 4, title)
    for color, (name, values) in zip(COLORS, errors.items(), strict=False):
        axes.plot(sizes, values, "o-", markersize=4, linewidth=1.6, color=color, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("numbers in the bottleneck")
    axes.set_ylabel(unit)
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


def latent_maps(z: Array, values: Mapping[str, Array], title: str) -> Figure:
    """A panel for each quantity (N,): the points z (N, 2) of a two-dimensional latent space, coloured by it."""
    _check_plane("plots.latent_maps", "z", z)
    check_names("plots.latent_maps", "values", values)
    for name, value in values.items():
        check_vector("plots.latent_maps", name, value, len(z))
    figure, all_axes = _figure(4.6 * len(values), 4, title, len(values))
    for axes, (name, value) in zip(all_axes, values.items(), strict=True):
        points = axes.scatter(z[:, 0], z[:, 1], c=value, cmap="viridis", s=4, linewidths=0)
        bar = figure.colorbar(points, ax=axes, label=name)
        bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)
        axes.set_xlabel("z₁")
        axes.set_ylabel("z₂")
        _plain(axes)
    return figure


def v_curve(gradients: Mapping[str, tuple[Array, Array, Array]], title: str, *, step: float) -> Figure:
    """The error of each gradient against the step h that it was measured with, both axes logarithmic.

    `gradients` holds, by name, the steps (S,) and the errors (S,) of central difference and complex step, NaN where
    there is none; `step` is marked as the one that was used.
    """
    step = check_number("plots.v_curve", "step", step, 0, open_low=True)
    _check_curves("plots.v_curve", "gradients", gradients, 3)
    figure, (axes,) = _figure(6.4, 4, title)
    for i, (name, (steps, errors, exact_errors)) in enumerate(gradients.items()):
        color = DIGITS(i % DIGITS.N)
        axes.loglog(steps, _above_zero(errors), "o-", markersize=3, linewidth=1.4, color=color, label=name)
        axes.loglog(steps, _above_zero(exact_errors), "--", linewidth=1, color=color)
    if any(np.isfinite(exact_errors).any() for _, _, exact_errors in gradients.values()):
        axes.plot([], "--", linewidth=1, color=INK, label="complex step")
    axes.axvline(step, color=SOFT, linewidth=0.8, linestyle=":")
    axes.annotate("the step used", (step, 1), xycoords=("data", "axes fraction"), fontsize=8, color=SOFT, ha="center")
    axes.set_xlabel("step h")
    axes.set_ylabel("error, as a part of the slope")
    axes.legend(frameon=False, fontsize=8)
    _plain(axes)
    return figure


def lines(
    curves: Mapping[str, tuple[Array, Array]],
    title: str,
    *,
    x_label: str,
    y_label: str,
    dots: Collection[str] = (),
    log: bool = False,
) -> Figure:
    """Curves by name, each its x and y, those in `dots` as points; both axes logarithmic with `log`."""
    _check_curves("plots.lines", "curves", curves, 2)
    check_text("plots.lines", x_label=x_label, y_label=y_label)
    check_texts("plots.lines", "dots", dots)
    check_flag("plots.lines", "log", log)
    figure, (axes,) = _figure(6.4, 4, title)
    colors = cycle([*COLORS, INK])
    for name, (x, y) in curves.items():
        line, order = ("o", 3) if name in dots else ("-", 2)
        axes.plot(x, y, line, label=name, color=next(colors), linewidth=1.8, markersize=5, zorder=order)
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    elif all(np.asarray(x).dtype.kind in "iu" for x, _ in curves.values()):  # such as epochs
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


def bars(
    groups: Mapping[str, Array], title: str, *, ticks: Sequence[str], x_label: str, y_label: str, digits: int = 2
) -> Figure:
    """Bars side by side: at each tick one of each group (T,), with its value."""
    check_names("plots.bars", "groups", groups)
    check_text("plots.bars", x_label=x_label, y_label=y_label)
    check_texts("plots.bars", "ticks", ticks)
    digits = check_count("plots.bars", "digits", digits, 0, most=17)
    for name, heights in groups.items():
        check_finite("plots.bars", name, check_vector("plots.bars", name, heights, len(ticks)))
    if len(groups) > len(COLORS):
        raise ShapeError(f"plots.bars expects at most {len(COLORS)} groups, a colour for each, got {len(groups)}.")
    figure, (axes,) = _figure(6.4, 3.4, title)
    width = 0.8 / len(groups)
    for i, (name, heights) in enumerate(groups.items()):
        at = np.arange(len(ticks)) + (i - (len(groups) - 1) / 2) * width
        drawn = axes.bar(at, heights, width, color=COLORS[i], label=name)
        axes.bar_label(drawn, [f"{height:.{digits}f}" for height in heights], fontsize=8, color=INK, padding=1)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.margins(y=0.12)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


@dataclass(frozen=True)
class Bars:
    """A panel of `bar_panels`: numbers by name in one unit, and limits, by name too, that are drawn as lines.

    The bars whose names are in `marked` are coloured, or all of them if none is.
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
    longest = max(len(panel.values) for panel in panels)
    figure, all_axes = _figure(4 * len(panels), 0.25 * longest + 1.2, title, len(panels))
    for axes, panel in zip(all_axes, panels, strict=True):
        coloured = [not panel.marked or name in panel.marked for name in panel.values]
        colors = [COLORS[0] if one else SOFT for one in coloured]
        values = list(panel.values.values())
        bars = axes.barh(range(len(values)), values, color=colors, height=0.75, log=panel.logarithmic)
        over_lines = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.bar_label(bars, [f"{value:.3g}" for value in values], fontsize=8, color=INK, padding=3, bbox=over_lines)
        axes.set_yticks(range(len(values)), list(panel.values))
        axes.invert_yaxis()
        for color, (name, limit) in zip(COLORS[1:], panel.limits.items(), strict=False):
            axes.axvline(limit, color=color, linewidth=1.2, linestyle="--", label=f"{name}: {limit:.3g}")
        if panel.limits:
            axes.legend(
                frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.5, ncols=2
            )
        axes.margins(x=0.15)
        axes.set_title(panel.name, fontsize=10, color=INK)
        axes.set_xlabel(panel.unit)
        _plain(axes)
    return figure


def save_figure(path: str | PathLike[str], figure: Figure) -> None:
    """Write the figure to `path` as PNG, whole or not at all."""
    check_path("plots.save_figure", "path", path)
    if not isinstance(figure, Figure):
        raise TypeError(f"plots.save_figure expects a Figure, got {named(figure)}.")
    with write_whole(path) as file:
        figure.savefig(file, format="png")


def _check_plane(where: str, name: str, z: Array) -> None:
    """Points (N, 2), all of which can be seen."""
    check_points(where, name, z, 2)
    check_finite(where, name, z)


def _check_curves(where: str, name: str, curves: Mapping[str, tuple[Array, ...]], arrays: int) -> None:
    """Each curve is so many rows of numbers, of one length."""
    check_names(where, name, curves)
    for one, rows in curves.items():
        if not isinstance(rows, tuple | list) or len(rows) != arrays:
            raise TypeError(f"{where} expects {arrays} arrays for each of {name}, got {named(rows)} for {one}.")
        sizes = [check_real(where, one, row).size for row in rows]
        if len(set(sizes)) > 1:
            raise ShapeError(f"{where} expects the arrays of {one} to be of one length, got {sizes}.")


def _figure(width: float, height: float, title: str, panels: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """`panels` pairs of axes in `rows`, `width` × `height` inches together, with the title above them."""
    check_text("plots", title=title)
    width = max(width, 6)
    lines = _broken(title.replace(" -", " −"), 0.95 * width)  # a minus is as long as a plus
    figure = Figure(figsize=(width, height + 0.2 + 0.2 * len(lines)), dpi=150, layout="constrained")
    figure.suptitle("\n".join(lines), x=0.02, ha="left", color=INK, fontproperties=_TITLE_FONT)
    return figure, list(np.ravel(figure.subplots(rows, panels // rows)))


def _broken(title: str, inches: float) -> list[str]:
    """The title's lines, each broken between words where it would be longer than `inches`."""
    lines = []
    for line in title.splitlines():
        words, line = line.split(), ""
        for word in words:
            longer = f"{line} {word}".strip()
            if line and text_to_path.get_text_width_height_descent(longer, _TITLE_FONT, False)[0] / 72 > inches:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _above_zero(errors: Array) -> Array:
    """Errors that a logarithmic axis can show: what is exact is drawn at half the last digit."""
    return np.maximum(errors, np.finfo(np.float64).eps / 2)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)


def _picture(mosaic: Array, title: str) -> tuple[Figure, Axes]:
    """The mosaic in ink on white, at one scale unless that would be wider than a page."""
    inch = max(45, mosaic.shape[1] / 8)  # pixels of the mosaic in an inch
    figure, (axes,) = _figure(mosaic.shape[1] / inch, mosaic.shape[0] / inch, title)
    axes.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[:].set_visible(False)
    return figure, axes


def _mosaic(images: Array, columns: int, shape: tuple[int, int] | None) -> Array:
    """The images of (N, D) as one picture, `columns` in a row, on white."""
    check_points("plots", "images", images)
    check_finite("plots", "images", images)
    if images.size and images.max() > 2 and not np.any(images % 1):  # what is a little out of [0, 1] is cut off there
        came = f"whole {describe(images)}"
        raise DataError(f"plots expects images in [0, 1], got {came}: divide pixels of 0–255 by 255.")
    side = math.isqrt(images.shape[1])
    height, width = (side, side) if shape is None else check_pair("plots", "shape", shape)
    if len(images) == 0 or height * width != images.shape[1]:
        raise ShapeError(f"plots expects images of {height} × {width} pixels, got an array of shape {images.shape}.")
    rows = math.ceil(len(images) / columns)
    mosaic = np.zeros((rows * columns, height + _GAP, width + _GAP))
    mosaic[: len(images), _GAP // 2 : -_GAP // 2, _GAP // 2 : -_GAP // 2] = images.reshape(-1, height, width)
    mosaic = mosaic.reshape(rows, columns, height + _GAP, width + _GAP)
    return mosaic.transpose(0, 2, 1, 3).reshape(rows * (height + _GAP), columns * (width + _GAP))
