"""Figures that a single demo or chapter draws."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle
from matplotlib.patheffects import withStroke

from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.plots import COLORS, INK, SOFT
from scratchnet.training.run import History

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
    """Panels of horizontal bars, two in a row, the first bar at the top, each with its number at its end."""
    heights = [0.25 * len(panel.values) + (1.4 if panel.limits else 1.0) for panel in panels]
    rows = [max(heights[i : i + 2]) for i in range(0, len(heights), 2)]
    names = [panel.name for panel in panels]
    figure, all_axes = plots.panels(title, names, width=10, height=sum(rows) / len(rows), columns=2)
    all_axes[0].get_gridspec().set_height_ratios(rows)  # type: ignore[union-attr]
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


def bars(
    groups: Mapping[str, Array], title: str, *, ticks: Sequence[str], x_label: str, y_label: str, digits: int = 2
) -> Figure:
    """Bars side by side: at each of the T ticks one from each group (T,), labelled with its value."""
    figure, (axes,) = plots.panels(title, width=max(6.4, 0.3 * len(ticks) * len(groups) + 1.5), height=3.4)
    width = 0.8 / len(groups)
    for i, (name, heights) in enumerate(groups.items()):
        at = np.arange(len(ticks)) + (i - (len(groups) - 1) / 2) * width
        drawn = axes.bar(at, heights, width, color=COLORS[i], label=name)
        axes.bar_label(drawn, [f"{height:.{digits}f}" for height in heights], fontsize=8, color=INK, padding=1)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set(xlabel=x_label, ylabel=y_label, xticks=range(len(ticks)), xticklabels=ticks, ymargin=0.12)
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


def latent_bars(kl: Array, active: Array, title: str) -> Figure:
    """The KL (L,) of each latent dimension in falling order; dimensions that are not active are grey."""
    order = np.argsort(kl)[::-1]
    labels = {"x_label": "latent dimension, in falling order", "y_label": "KL (nats/image)"}
    figure = bars({"kl": kl[order]}, title, ticks=[str(i) for i in order], digits=1, **labels)
    for bar, is_active in zip(figure.axes[0].patches, active[order], strict=True):
        bar.set_facecolor(COLORS[0] if is_active else SOFT)
    return figure


def latent_scatter(z: Array, labels: Array, title: str) -> Figure:
    """Points z (N, 2) of a two-dimensional latent space, coloured by label 0 to 9."""
    figure, (axes,) = plots.panels(title, height=5.2)
    points = axes.scatter(*z.T, c=labels, s=4, linewidths=0, **DIGIT)
    axes.set(xlabel="z₁", ylabel="z₂", aspect="equal")
    bar = figure.colorbar(points, ax=axes, label="digit", ticks=range(10))
    bar.outline.set_visible(False)  # type: ignore[operator]  (matplotlib declares it as a string)
    points.set_alpha(0.7)  # only now, so that the colour bar is opaque
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
    for axes, (name, z) in zip(panels, codes.items(), strict=True):
        _scatter(axes, z, labels, alpha=0.7, **DIGIT)
        if name in paths:
            axes.plot(*paths[name].T, color=INK, linewidth=1.4)
            axes.plot(*paths[name][[0, -1]].T, "o", color=INK, markersize=5)
        name_digits(axes, z, labels)
        axes.set_aspect("equal", adjustable="datalim")
    return figure


def name_digits(axes: Axes, z: Array, labels: Array) -> None:
    """Each digit in its colour among its codes z (N, 2), so that nobody needs the colours."""
    halo = [withStroke(linewidth=3, foreground="white")]
    for digit in np.unique(labels):
        style = {"fontsize": 15, "fontweight": "bold", "ha": "center", "va": "center", "path_effects": halo}
        x, y = np.median(z[labels == digit], axis=0)
        axes.text(x, y, str(digit), color=plots.DIGITS(int(digit)), **style)


def code_circles(codes: Mapping[str, tuple[Array, Array | None]], labels: Array, title: str) -> Figure:
    """A panel for each network: codes μ (N, 2) as points, or, with their σ (N, 2), as ellipses of radius 2σ."""
    figure, panels = plots.panels(title, codes, width=4.2 * len(codes), height=4.2)
    for axes, (mu, sigma) in zip(panels, codes.values(), strict=True):
        if sigma is None:
            _scatter(axes, mu, labels, **DIGIT)
        else:
            _scatter(axes, mu, labels, **DIGIT).set_sizes([1])
            width, height = 4 * sigma.T  # from −2σ to 2σ
            how = {"units": "xy", "offsets": mu, "offset_transform": axes.transData, "alpha": 0.35}
            colors = plots.DIGITS(labels.astype(int))
            axes.add_collection(EllipseCollection(width, height, np.zeros(len(mu)), facecolors=colors, **how))
        name_digits(axes, mu, labels)
        axes.set_aspect("equal", adjustable="datalim")
    return figure


def image_grids(
    grids: Mapping[str, Array], title: str, *, columns: int, refused: Mapping[str, Array] | None = None
) -> Figure:
    """A panel for each grid of square images (N, D), two in a row, `columns` images in a row of a grid, names above.

    Images that are `refused`, (N,) for each grid, have a frame.
    """
    rows = max(-(-len(images) // columns) for images in grids.values())
    figure, panels = plots.panels(title, grids, width=9, height=4.4 * rows / columns + 0.25, columns=2)
    for axes, (name, images) in zip(panels, grids.items(), strict=True):
        draw_images(axes, images, columns=columns, refused=(refused or {}).get(name))
    return figure


def draw_images(axes: Axes, images: Array, *, columns: int, refused: Array | None = None) -> None:
    """Square images (N, D) in rows, each one unit wide; those that are `refused`, (N,), have a frame."""
    rows = -(-len(images) // columns)
    axes.imshow(plots.mosaic(images, columns=columns), "gray_r", vmin=0, vmax=1, extent=(0, columns, rows, 0))
    axes.set_axis_off()
    axes.set_anchor("N")
    for place in np.flatnonzero(refused) if refused is not None else ():
        row, column = divmod(place, columns)
        frame = {"fill": False, "edgecolor": COLORS[1], "linewidth": 1.4}
        axes.add_patch(Rectangle((column + 0.04, row + 0.04), 0.92, 0.92, **frame))


def images_above(rows: Mapping[str, Array], title: str, *, below: float, refused: Array | None = None):
    """A figure with rows of images by name, and below them empty Axes of that height in inches; both are returned."""
    images = np.concatenate(list(rows.values()))
    columns = len(images) // len(rows)
    tall = 7 * len(rows) / columns
    figure, (top, bottom) = plots.panels(title, ["", ""], width=8.5, height=(tall + below + 0.4) / 2, columns=1)
    top.get_gridspec().set_height_ratios([tall, below + 0.4])  # type: ignore[union-attr]
    draw_images(top, images, columns=columns, refused=refused)
    top.set_axis_on()
    top.spines[:].set_visible(False)
    top.set(xticks=[], yticks=np.arange(len(rows)) + 0.5, yticklabels=list(rows))
    top.tick_params(length=0, labelsize=9)
    return figure, bottom


def images_and_courses(
    rows: Mapping[str, Array],
    curves: Mapping[str, tuple[Array, Array]],
    title: str,
    *,
    x_label: str,
    y_label: str,
    limits: Mapping[str, float] | None = None,
    refused: Array | None = None,
) -> Figure:
    """Rows of images by name, and below them curves."""
    figure, axes = images_above(rows, title, below=2.8, refused=refused)
    for color, (name, (x, y)) in zip(COLORS, curves.items(), strict=False):
        axes.plot(x, y, "o-", color=color, label=name, markersize=4, linewidth=1.8)
    for name, limit in (limits or {}).items():
        axes.plot(axes.get_xlim(), [limit, limit], "--", color=SOFT, label=name, linewidth=1.2)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.legend(frameon=False, fontsize=9.5)
    return figure


def images_and_histograms(
    rows: Mapping[str, Array], values: Mapping[str, Array], title: str, *, x_label: str
) -> Figure:
    """Rows of images by name, and below them the histograms of some quantities (N,)."""
    figure, axes = images_above(rows, title, below=2)
    _histograms(axes, values)
    axes.set(xlabel=x_label)
    return figure


def one_posterior(mu: Array, centre: Array, sigma: Array, z: Array, images: Array, title: str) -> Figure:
    """Left: codes μ (N, 2) of all images, and of one its μ, 1σ and 2σ and draws z (8, 2). Right: ten images, named."""
    names = ["q(z|x) of one image: σ, 2σ and eight draws", "what they decode to, and how much each pixel deviates"]
    figure, (left, right) = plots.panels(title, names, width=10.5, height=4.2, columns=2)
    _scatter(left, mu, SOFT, alpha=0.4)
    for radius in (1, 2):
        width, height = 2 * radius * sigma
        left.add_patch(Ellipse((centre[0], centre[1]), width, height, fill=False, color=COLORS[0], linewidth=1.6))
    left.plot(*centre, "+", color=COLORS[0], markersize=9)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for i, place in enumerate(z, 1):
        left.plot(*place, "o", color=COLORS[1], markersize=4)
        left.annotate(
            str(i), place, (3, 3), textcoords="offset points", fontsize=9.5, color=COLORS[1], path_effects=halo
        )
    reach = 3.2 * sigma.max()
    left.set(xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach), aspect="equal")
    draw_images(right, images, columns=4)
    for i, name in enumerate(["x", *map(str, range(1, 9)), "deviation"]):
        right.text(i % 4 + 0.06, i // 4 + 0.17, name, fontsize=9.5, color=COLORS[1])
    return figure


def named_lines(curves: Mapping[str, tuple[Array, Array]], title: str, *, x_label: str, y_label: str) -> Figure:
    """Curves, each its x and y, with their names at their ends."""
    figure, (axes,) = plots.panels(title, width=7.5)
    for color, (name, (x, y)) in zip(COLORS, curves.items(), strict=False):
        axes.plot(x, y, "o-", color=color, label=name, markersize=4, linewidth=1.8)
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, None))
    name_lines(axes)
    return figure


def loss_courses(history: History, title: str) -> Figure:
    """A panel for each term of a VAE's loss over the epochs, on training and on test images."""
    figure, panels = plots.panels(title, ["reconstruction", "KL"], width=9, height=3, columns=2)
    for axes, term in zip(panels, ("reconstruction", "kl"), strict=True):
        for color, label, name in ((COLORS[0], "training", term), (COLORS[1], "test", f"val_{term}")):
            y = history[name]
            axes.plot(range(1, len(y) + 1), y, "o-", markersize=4, color=color, label=f"{label} {y[-1]:.1f}")
        axes.set(xlabel="epoch", ylabel=history.unit)
        axes.locator_params("x", integer=True, min_n_ticks=1)
        name_lines(axes)
    return figure


def name_lines(axes: Axes) -> None:
    """Each line's name at its right end, in its colour; names that would touch are moved apart."""
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    axes.get_ylim()  # matplotlib chooses the limits when they are asked for
    places = {}
    for line in named:
        x, y = np.asarray(line.get_xdata())[-1], np.asarray(line.get_ydata())[-1]
        places[line] = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]
    last = -np.inf
    for line in sorted(named, key=lambda line: places[line]):
        last = max(places[line], last + 0.075)
        style = {"color": line.get_color(), "fontsize": 9.5, "va": "center", "fontweight": "bold"}
        axes.text(1.02, last, str(line.get_label()), transform=axes.transAxes, **style)


def error_courses(
    courses: Mapping[str, Sequence[float]], limits: Mapping[str, float], title: str, *, y_label: str
) -> Figure:
    """Errors after each epoch, each line named at its end, and errors to compare with as dashed lines."""
    figure, (axes,) = plots.panels(title, width=7.5)
    for color, (name, y) in zip(COLORS, courses.items(), strict=False):
        axes.plot(np.arange(1, len(y) + 1), y, "o-", color=color, label=name, markersize=4, linewidth=1.8)
    last = max(map(len, courses.values()))
    for name, limit in limits.items():
        axes.plot([1, max(last, 2)], [limit, limit], "--", color=SOFT, label=name, linewidth=1.2)
    axes.set(xlabel="epoch", ylabel=y_label, ylim=(0, None))
    axes.locator_params("x", integer=True, min_n_ticks=1)
    name_lines(axes)
    return figure


def beside_pytorch(records: Sequence[Mapping], D: int, pytorch: Sequence[float], *, y_label: str) -> Figure:
    """The errors of images of D pixels after each epoch, and those of the same network in PyTorch."""
    courses = {
        name: [record[key] / D for record in records] for name, key in (("training", "loss"), ("test", "val_loss"))
    }
    test = courses["test"]
    title = f"After {len(test)} epochs {test[-1]:.5f} is left on test images"
    if both := min(len(test), len(pytorch)):
        courses["test, PyTorch"] = list(pytorch[:both])
        better = "less" if test[both - 1] <= pytorch[both - 1] else "more"
        title = f"After {both} epochs {better} is left on test images than in a run of PyTorch: {test[both - 1]:.4f}, "
        title += f"there {pytorch[both - 1]:.4f}"
    return error_courses(courses, {}, title, y_label=y_label)


def draw_signed(grids: Mapping[str, Array], title: str, *, columns: int) -> Figure:
    """As `image_grids`, of numbers of both signs: orange above 0, violet below; each in its own scale."""
    rows = max(-(-len(images) // columns) for images in grids.values())
    figure, panels = plots.panels(title, grids, width=9, height=4.4 * rows / columns + 0.25, columns=2)
    for axes, images in zip(panels, grids.values(), strict=True):
        most = np.quantile(np.abs(images), 0.995)
        axes.imshow(plots.mosaic(images, columns=columns), "PuOr_r", vmin=-most, vmax=most)
        axes.set_axis_off()
        axes.set_anchor("N")
    return figure


def estimates(sizes: Array, found: Mapping[str, tuple[Array, float, float]], title: str) -> Figure:
    """A panel for each question: answers (S, K) by simulations of `sizes` draws, the exact one, ±2 deviations/√n."""
    figure, panels = plots.panels(title, found, width=10, height=2.3, columns=3)
    for axes, (answers, exact, deviation) in zip(panels, found.values(), strict=True):
        band = 2 * deviation / np.sqrt(sizes)
        axes.fill_between(sizes, exact - band, exact + band, color=COLORS[0], alpha=0.2, linewidth=0)
        axes.plot(np.repeat(sizes, answers.shape[1]), answers.ravel(), "o", color=INK, markersize=2)
        axes.axhline(exact, color=COLORS[1], linewidth=1.2)
        axes.set(xscale="log", xlabel="draws")
    panels[0].set_ylabel("20 answers each;\nformula, ±2 standard errors")
    return figure


def marked_minima(curves: Mapping[str, tuple[Array, Array]], title: str, *, x_label: str, y_label: str) -> Figure:
    """Two curves with their names at their ends, and where each is least."""
    figure, (axes,) = plots.panels(title, width=7.5)
    axes.axhline(0, color=SOFT, linewidth=0.8)
    for up, color, (name, (x, y)) in zip((True, False), COLORS, curves.items(), strict=False):
        axes.plot(x, y, color=color, label=name, linewidth=1.8)
        least = int(np.argmin(y))
        axes.plot(x[least], y[least], "o", color=color, markersize=7, label="_")
        style = {"color": color, "fontsize": 9.5, "ha": "right" if up else "center", "va": "bottom" if up else "top"}
        where = f"least at {x_label} = {x[least]:.3g}"
        axes.annotate(where, (x[least], y[least]), (0, 10 if up else -10), textcoords="offset points", **style)
    axes.set(xlabel=x_label, ylabel=y_label, ymargin=0.12)
    name_lines(axes)
    return figure


def shaded_tails(z: Array, densities: Mapping[str, Array], bound: float, title: str) -> Figure:
    """Densities over z, and what of each lies beyond ±bound filled; their names as high as their peaks."""
    figure, (axes,) = plots.panels(title, width=7.5)
    for color, (name, y) in zip(COLORS, densities.items(), strict=False):
        axes.plot(z, y, color=color, linewidth=1.8)
        axes.fill_between(z, y, where=np.abs(z) >= bound, color=color, alpha=0.4, linewidth=0)
        top = int(np.argmax(y))
        style = {"color": color, "fontsize": 9.5, "fontweight": "bold", "va": "center"}
        axes.text(1.05 * bound, 0.98 * y[top], name, **style)
    for side in (-bound, bound):
        axes.axvline(side, color=SOFT, linewidth=1, linestyle="--")
    axes.set(xlabel="z", ylabel="density", ylim=(0, None))
    return figure


def length_histograms(panels: Mapping[str, Mapping[str, Array]], title: str, *, x_label: str) -> Figure:
    """A panel for each name, two in a row, with the histograms of some quantities (N,)."""
    figure, all_axes = plots.panels(title, panels, width=9, height=2.3, columns=2)
    for axes, values in zip(all_axes, panels.values(), strict=True):
        _histograms(axes, values)
        axes.set(xlabel=x_label)
    return figure


def _histograms(axes: Axes, values: Mapping[str, Array]) -> None:
    """Histograms of quantities (N,) by name, from 0 on."""
    for color, (name, one) in zip(COLORS, values.items(), strict=False):
        axes.hist(one, bins=60, density=True, color=color, alpha=0.55, label=name)
    axes.set(yticks=[], xlim=(0, None))
    axes.legend(frameon=False, fontsize=9.5)
    axes.spines["left"].set_visible(False)


def _scatter(axes: Axes, z: Array, values: Array | str, **style) -> PathCollection:
    """Points z (N, 2), coloured by values (N,)."""
    axes.set(xlabel="z₁", ylabel="z₂")
    return axes.scatter(*z.T, c=values, **{"s": 4, "linewidths": 0} | style)
