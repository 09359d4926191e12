"""Figures: what is drawn is what was given."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import scratchnet as sn
from scratchnet import plots

BLACK, WHITE = np.ones((1, 4)), np.zeros((1, 4))


def picture(figure: Figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def test_an_image_grid_holds_each_image_in_its_place():
    grid = picture(plots.image_grid(np.concatenate([BLACK, WHITE, WHITE, BLACK]), "t", columns=2))
    assert grid[1:3, 1:3].tolist() == grid[5:7, 5:7].tolist() == [[1, 1], [1, 1]]  # a gap of one pixel on each side
    assert grid.sum() == 8


def test_a_last_row_that_is_not_full_is_filled_with_white():
    assert picture(plots.image_grid(np.repeat(BLACK, 3, axis=0), "t", columns=2)).shape == (8, 8)


def test_images_that_are_not_square_are_drawn_in_their_shape():
    assert picture(plots.image_grid(np.ones((1, 6)), "t", columns=1, shape=(2, 3))).shape == (4, 5)


def test_images_of_another_shape_are_refused():
    with pytest.raises(sn.ShapeError, match="expects images of 2 × 2 pixels, got an array of shape"):
        plots.image_grid(np.ones((1, 6)), "t")


def test_panels_have_their_names_and_fill_row_after_row():
    figure, panels = plots.panels("a title", ["a", "b", "c"], width=7, height=2, columns=2)
    assert [axes.get_title() for axes in panels] == ["a", "b", "c"]
    middles = [figure.transFigure.inverted().transform(axes.bbox.corners().mean(axis=0)) for axes in panels]
    assert [(x > 0.5, y > 0.5) for x, y in middles] == [(False, True), (True, True), (False, False)]
    assert figure.get_size_inches() == pytest.approx([7, 2 * 2 + 0.2 + 0.2])  # two rows and a title of one line


def test_a_grid_names_its_columns():
    figure = plots.image_grid(np.concatenate([BLACK, WHITE]), "t", columns=2, names=["ink", "paper"])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["ink", "paper"]


def test_image_rows_stand_under_each_other_with_their_names():
    figure = plots.image_rows({"original": BLACK, "rebuilt": WHITE}, "t")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["original", "rebuilt"]
    assert picture(figure)[:4].sum() == 4
    assert picture(figure)[4:].sum() == 0


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(sn.ShapeError, match=r"expects rows of one shape, got a \(1, 4\), b \(2, 4\)"):
        plots.image_rows({"a": BLACK, "b": np.concatenate([BLACK, WHITE])}, "t")


def test_history_curves_draw_each_term_apart_with_its_unit():
    record = {"epoch": 1, "seconds": 1.0, "loss": 5.0, "reconstruction": 3.0, "kl": 2.0, "val_loss": 6.0}
    record |= {"val_reconstruction": 4.0, "val_kl": 2.5}
    figure = plots.history_curves(sn.History([record, record], unit="nats/image"), "t")
    assert [axes.get_title() for axes in figure.axes] == ["reconstruction", "KL"]
    assert [list(np.asarray(line.get_ydata())) for line in figure.axes[1].lines] == [[2.0, 2.0], [2.5, 2.5]]
    assert figure.axes[0].get_ylabel() == "nats/image"


def test_history_curves_do_without_validation():
    figure = plots.history_curves(sn.History([{"epoch": 1, "loss": 1.0, "reconstruction": 1.0}]), "t")
    assert len(figure.axes[0].lines) == 1


def test_lines_over_whole_numbers_have_whole_ticks():
    whole, broken = (
        plots.lines({"curve": (x, np.zeros(4))}, "t", x_label="epoch", y_label="nats").axes[0]
        for x in (np.arange(4), np.arange(4.0))
    )
    assert all(tick % 1 == 0 for tick in whole.get_xticks())
    assert any(tick % 1 for tick in broken.get_xticks())


def test_lines_draw_each_curve_with_its_name_and_points_without_a_line():
    curves = {"curve": (np.array([0.0, 1.0]), np.array([2.0, 3.0])), "point": (np.array([0.5]), np.array([2.5]))}
    figure = plots.lines(curves, "t", x_label="x", y_label="nats", dots=["point"])
    curve, point = figure.axes[0].lines
    assert np.asarray(curve.get_xydata()).tolist() == [[0, 2], [1, 3]]
    assert (curve.get_linestyle(), curve.get_marker()) == ("-", "None")
    assert (point.get_linestyle(), point.get_marker()) == ("None", "o")
    assert names_in_legend(figure) == ["curve", "point"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("x", "nats")


def test_lines_have_logarithmic_axes_only_where_asked():
    curves = {"curve": (np.array([1.0, 10.0]), np.array([1.0, 0.1]))}
    scales = [plots.lines(curves, "t", x_label="n", y_label="y", log=log).axes[0].get_xscale() for log in (False, True)]
    assert scales == ["linear", "log"]


def test_a_long_title_is_broken_rather_than_cut():
    figure = plots.image_grid(BLACK, "word " * 40, columns=1)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert figure.get_suptitle().count("\n") >= 2
    assert figure.texts[0].get_window_extent(canvas.get_renderer()).x1 < figure.bbox.width


def test_a_figure_is_saved_as_a_png(tmp_path):
    plots.save_figure(tmp_path / "figure.png", plots.image_grid(BLACK, "t", columns=1))
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_notebook_gets_a_figure_as_a_png():
    figure = plots.image_grid(BLACK, "t", columns=1)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def names_in_legend(figure: Figure) -> list[str]:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def curves(figure: Figure, points: int) -> list[np.ndarray]:
    heights = [np.asarray(line.get_ydata()) for line in figure.axes[0].lines]
    return [height for height in heights if height.size == points]


def test_a_v_curve_has_a_line_for_each_gradient_and_each_method(rng):
    report = sn.check_gradients(sn.Dense(2, 1, rng=rng), rng.standard_normal((3, 2)), rng=rng)
    figure = report.plot()
    assert names_in_legend(figure) == ["dx", "dW", "db", "complex step", "the step used"]
    assert len(curves(figure, report.arrays[0].steps.size)) == 2 * 3


def test_a_v_curve_shows_what_is_exact_at_half_the_last_digit():
    report = sn.check_gradients(sn.ReLU(), np.array([[-1.0, 2.0]]), rng=np.random.default_rng(0))
    errors, half = np.array([0.0, 1e-300, 1e-5]), np.finfo(np.float64).eps / 2
    one = replace(report.arrays[0], steps=np.array([1e-1, 1e-2, 1e-3]), errors=errors, exact_errors=errors)
    assert curves(replace(report, arrays=[one]).plot(), 3)[0].tolist() == [half, half, 1e-5]


def test_a_v_curve_of_what_is_not_analytic_has_no_complex_step():
    def modulus(x):
        return np.abs(x), lambda dy: dy * np.sign(x)

    report = sn.check_gradients(modulus, np.array([1.0, -2.0]), rng=np.random.default_rng(0))
    assert names_in_legend(report.plot()) == ["dx", "the step used"]


def test_the_title_of_a_v_curve_speaks_of_a_complex_step_where_there_is_one(rng):
    def modulus(x):
        return np.abs(x), lambda dy: dy * np.sign(x)

    said = []
    for f in (modulus, sn.Tanh()):
        figure = sn.check_gradients(f, np.array([[1.0, -2.0]]), rng=rng).plot()
        title = " ".join(text.get_text() for text in figure.texts)
        said.append("a complex step does not round" in " ".join(title.split()))
    assert said == [False, True]
