"""demos/lib/figures.py: what is drawn is what was given."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from demos.lib.figures import (
    Bars,
    bar_panels,
    bars,
    code_circles,
    error_courses,
    error_curves,
    estimates,
    image_grids,
    images_and_courses,
    latent_bars,
    latent_maps,
    latent_scatter,
    latent_scatters,
    marked_minima,
    named_lines,
)
from scratchnet import plots

BLACK, WHITE = np.ones((1, 4)), np.zeros((1, 4))


def test_bars_stand_beside_each_other_at_their_tick_with_their_values():
    groups = {"p": np.array([0.25, 0.75]), "q": np.array([-0.5, 0.5])}
    figure = bars(groups, "t", ticks=["no", "yes"], x_label="x", y_label="y", digits=1)
    boxes = [bar.get_bbox() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)]
    assert [box.y1 if box.y1 else box.y0 for box in boxes] == [0.25, 0.75, -0.5, 0.5]
    np.testing.assert_allclose([(box.x0 + box.x1) / 2 for box in boxes], [-0.2, 0.8, 0.2, 1.2])
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.2", "0.8", "-0.5", "0.5"]
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["p", "q"]


def test_latent_bars_fall_and_show_idle_dimensions_in_grey():
    figure = latent_bars(np.array([0.0, 2.0]), np.array([False, True]), "t")
    drawn = figure.axes[0].patches
    assert [bar.get_bbox().height for bar in drawn if isinstance(bar, Rectangle)] == [2.0, 0.0]
    assert drawn[0].get_facecolor() != drawn[1].get_facecolor()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "0"]


def test_error_curves_draw_each_method_over_the_sizes():
    figure = error_curves([1, 2, 8], {"network": [4.0, 2.0, 1.0], "PCA": [8.0, 6.0, 5.0]}, "t", unit="squares")
    lines = [(line.get_label(), np.asarray(line.get_ydata()).tolist()) for line in figure.axes[0].lines]
    assert lines == [("network", [4.0, 2.0, 1.0]), ("PCA", [8.0, 6.0, 5.0])]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "8"]
    assert figure.axes[0].get_ylabel() == "squares"


def test_latent_scatter_draws_each_code_once():
    z = np.array([[0.0, 1.0], [2.0, 3.0]])
    points = latent_scatter(z, np.array([3, 8]), "t").axes[0].collections[0]
    np.testing.assert_array_equal(np.asarray(points.get_offsets()), z)


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
        assert {text.get_text() for text in axes.texts} == {"0", "3", "8"}


def test_image_grids_hold_each_grid_in_its_panel():
    figure = image_grids({"ink": np.repeat(BLACK, 4, axis=0), "paper": WHITE}, "t", columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["ink", "paper"]
    assert [np.asarray(axes.images[0].get_array()).sum() for axes in figure.axes] == [16, 0]


def test_refused_images_have_a_frame_in_their_place():
    figure = image_grids({"a": np.repeat(BLACK, 4, axis=0)}, "t", columns=2, refused={"a": np.array([0, 0, 1, 0])})
    (frame,) = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert np.floor(frame.get_xy()).tolist() == [0, 1]  # the first of the second row


def test_code_circles_are_as_wide_as_four_deviations():
    mu, sigma = np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([[0.1, 0.2], [0.3, 0.4]])
    figure = code_circles({"points": (mu, None), "circles": (mu, sigma)}, np.array([3, 8]), "t")
    ellipses = figure.axes[1].collections[1]
    widths, heights = ellipses.get_widths(), ellipses.get_heights()  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.stack([widths, heights], axis=1), 4 * sigma)
    assert len(figure.axes[0].collections) == 1


def test_lines_have_their_names_at_their_ends_and_none_on_another():
    x = np.array([0.0, 1.0])
    figure = named_lines({name: (x, 1 + x * i / 1000) for i, name in enumerate("abc")}, "t", x_label="x", y_label="y")
    heights = [text.get_position()[1] for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b", "c"]
    assert np.diff(heights).min() > 0.05


def test_error_courses_draw_what_to_compare_with_as_dashes():
    lines = error_courses({"network": [3.0, 2.0]}, {"PCA": 4.0}, "t", y_label="error").axes[0].lines
    assert [(line.get_label(), line.get_linestyle()) for line in lines] == [("network", "-"), ("PCA", "--")]


def test_images_stand_above_their_courses():
    curves = {"fade": (np.array([0.0, 1.0]), np.array([2.0, 3.0]))}
    figure = images_and_courses({"a": BLACK, "b": WHITE}, curves, "t", x_label="x", y_label="y")
    top, bottom = figure.axes
    assert [label.get_text() for label in top.get_yticklabels()] == ["a", "b"]
    assert np.asarray(bottom.lines[0].get_ydata()).tolist() == [2.0, 3.0]


def test_minima_are_marked_where_they_are():
    x = np.array([0.0, 1.0, 2.0])
    figure = marked_minima({"a": (x, (x - 1) ** 2), "b": (x, x)}, "t", x_label="σ", y_label="nats")
    marks = [tuple(np.asarray(line.get_xydata())[0]) for line in figure.axes[0].lines if line.get_label() == "_"]
    assert marks == [(1.0, 0.0), (0.0, 0.0)]


def test_estimates_lie_about_the_exact_answer_in_a_band_of_two_standard_errors():
    figure = estimates(np.array([4, 100]), {"P": (np.array([[0.4, 0.6], [0.5, 0.5]]), 0.5, 0.2)}, "t")
    (band,) = figure.axes[0].collections
    low, high = band.get_datalim(figure.axes[0].transData).intervaly
    assert (low, high) == (0.5 - 2 * 0.2 / 2, 0.5 + 2 * 0.2 / 2)
