"""Figures that a single demo or chapter draws."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.plots import COLORS, INK, SOFT

DIGIT = {"cmap": plots.DIGITS, "vmin": -0.5, "vmax": 9.5}


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
    height = 0.25 * max(len(panel.values) for panel in panels) + 1.2
    figure, all_axes = plots.panels(title, [panel.name for panel in panels], width=4 * len(panels), height=height)
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


def error_curves(sizes: Sequence[int], errors: Mapping[str, Sequence[float]], title: str, *, unit: str) -> Figure:
    """A line for each method: its error against the size of the bottleneck, both axes logarithmic."""
    curves = {name: (sizes, y) for name, y in errors.items()}
    figure = plots.lines(curves, title, x_label="numbers in the bottleneck", y_label=unit, log=True)
    (axes,) = figure.axes
    for line in axes.lines:
        line.set_marker("o")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.legend(frameon=False, fontsize=9)
    return figure


def latent_bars(kl: Array, active: Array, title: str) -> Figure:
    """The KL (L,) of each latent dimension in falling order; dimensions that are not active are grey."""
    order = np.argsort(kl)[::-1]
    labels = {"x_label": "latent dimension, in falling order", "y_label": "KL (nats/image)"}
    figure = plots.bars({"kl": kl[order]}, title, ticks=[str(i) for i in order], digits=1, **labels)
    for bar, is_active in zip(figure.axes[0].patches, active[order], strict=True):
        bar.set_facecolor(COLORS[0] if is_active else SOFT)
    return figure


def latent_maps(z: Array, values: Mapping[str, Array], title: str) -> Figure:
    """A panel for each quantity (N,): the points z (N, 2) of a two-dimensional latent space, coloured by it."""
    figure, panels = plots.panels(title, [""] * len(values), width=4.6 * len(values), height=4)
    for axes, (name, value) in zip(panels, values.items(), strict=True):
        bar = figure.colorbar(_scatter(axes, z, value), ax=axes, label=name)
        bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)
    return figure


def latent_scatters(codes: Mapping[str, Array], labels: Array, title: str, *, paths: Mapping[str, Array]) -> Figure:
    """A panel for each latent space, two in a row: its points z (N, 2), coloured by label 0 to 9, and a path (S, 2)."""
    figure, panels = plots.panels(title, codes, width=9, height=4, columns=2)
    points = [_scatter(axes, z, labels, **DIGIT) for axes, z in zip(panels, codes.values(), strict=True)]
    bar = figure.colorbar(points[0], ax=panels, label="digit", ticks=range(10), shrink=0.5, aspect=30)
    bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)
    for axes, dots, name in zip(panels, points, codes, strict=True):
        dots.set_alpha(0.7)  # only now, so that the colour bar is opaque
        axes.plot(*paths[name].T, color=INK, linewidth=1.4)
        axes.plot(*paths[name][[0, -1]].T, "o", color=INK, markersize=5)
        axes.set_aspect("equal", adjustable="datalim")
    return figure


def image_grids(grids: Mapping[str, Array], title: str, *, columns: int) -> Figure:
    """A panel for each grid of square images (N, D), two in a row, `columns` images in a row of a grid, names above."""
    figure, panels = plots.panels(title, grids, width=9, height=4.6, columns=2)
    for axes, images in zip(panels, grids.values(), strict=True):
        axes.imshow(plots.mosaic(images, columns=columns), "gray_r", vmin=0, vmax=1)
        axes.set_axis_off()
    return figure


def _scatter(axes: Axes, z: Array, values: Array, **style) -> PathCollection:
    """Points z (N, 2), coloured by values (N,)."""
    axes.set(xlabel="z₁", ylabel="z₂")
    return axes.scatter(*z.T, c=values, s=4, linewidths=0, **style)
