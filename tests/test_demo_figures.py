"""demos/lib/figures.py: what is drawn is what was given."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from demos.lib.figures import Bars, bar_panels, error_curves, image_grids, latent_bars, latent_maps, latent_scatters
from scratchnet import plots

BLACK, WHITE = np.ones((1, 4)), np.zeros((1, 4))


def test_latent_bars_fall_and_show_idle_dimensions_in_grey():
    figure = latent_bars(np.array([0.0, 2.0]), np.array([False, True]), "t")
    bars = figure.axes[0].patches
    assert [bar.get_bbox().height for bar in bars if isinstance(bar, Rectangle)] == [2.0, 0.0]
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "0"]


def test_error_curves_draw_each_method_over_the_sizes():
    figure = error_curves([1, 2, 8], {"network": [4.0, 2.0, 1.0], "PCA": [8.0, 6.0, 5.0]}, "t", unit="squares")
    lines = [(line.get_label(), np.asarray(line.get_ydata()).tolist()) for line in figure.axes[0].lines]
    assert lines == [("network", [4.0, 2.0, 1.0]), ("PCA", [8.0, 6.0, 5.0])]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "8"]
    assert figure.axes[0].get_ylabel() == "squares"


def test_latent_maps_colour_the_same_codes_by_each_quantity():
    z, values = np.array([[0.0, 1.0], [2.0, 3.0]]), {"Re c": np.array([5.0, 6.0]), "Im c": np.array([8.0, 7.0])}
    figure = latent_maps(z, values, "t")
    for axes, bar, (name, value) in zip(figure.axes[:2], figure.axes[2:], values.items(), strict=True):
        points = axes.collections[0]
        np.testing.assert_array_equal(np.asarray(points.get_offsets()), z)
        np.testing.assert_array_equal(np.asarray(points.get_array()), value)
        assert bar.get_ylabel() == name


def test_bars_stand_in_their_panels_from_the_top_with_their_limits():
    panels = [
        Bars("a", {"one": 1.0, "two": 4.0}, "s"),
        Bars("b", {"x": 2.0}, "GFLOP/s", limits={"all": 3.0}),
    ]
    first, second = bar_panels(panels, "t").axes
    assert [bar.get_bbox().width for bar in first.patches if isinstance(bar, Rectangle)] == [1.0, 4.0]
    assert first.yaxis_inverted()
    assert [label.get_text() for label in first.get_yticklabels()] == ["one", "two"]
    assert list(np.asarray(second.lines[0].get_xdata())) == [3.0, 3.0]
    assert (first.get_xlabel(), second.get_xlabel()) == ("s", "GFLOP/s")


def test_bars_that_are_not_marked_are_grey_where_some_are():
    panel = Bars("a", {"ours": 1.0, "theirs": 4.0}, "s", marked=["ours"])
    ours, theirs = bar_panels([panel], "t").axes[0].patches
    assert theirs.get_facecolor() == to_rgba(plots.SOFT) != ours.get_facecolor()


def test_bars_on_a_logarithmic_axis():
    assert bar_panels([Bars("a", {"x": 2.0}, "s", logarithmic=True)], "t").axes[0].get_xscale() == "log"


def test_latent_scatters_draw_each_space_in_its_panel_with_its_path():
    codes = {name: np.arange(6.0).reshape(3, 2) + i for i, name in enumerate("abc")}
    paths = {name: z[:2] for name, z in codes.items()}
    figure = latent_scatters(codes, np.array([3, 8, 0]), "t", paths=paths)
    for axes, (name, z) in zip(figure.axes, codes.items(), strict=False):
        assert axes.get_title() == name
        np.testing.assert_array_equal(np.asarray(axes.collections[0].get_offsets()), z)
        np.testing.assert_array_equal(np.asarray(axes.lines[0].get_xydata()), z[:2])
    assert len(figure.axes) == 4  # three panels and the colour bar


def test_image_grids_hold_each_grid_in_its_panel():
    figure = image_grids({"ink": np.repeat(BLACK, 4, axis=0), "paper": WHITE}, "t", columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["ink", "paper"]
    assert [np.asarray(axes.images[0].get_array()).sum() for axes in figure.axes] == [16, 0]
