"""demos/denoising_mnist.py: its networks are the ones described, its numbers those of the model it leaves."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, few_digits, run

pytestmark = pytest.mark.slow

LEVELS = (0, 0.25, 0.5, 0.75, 1)


@pytest.fixture(scope="module")
def quick_denoising(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("denoising_mnist")
    return out, run("denoising_mnist", "--quick", "--out", str(out)).stdout


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The names in the demo's script."""
    monkeypatch.syspath_prepend(ROOT / "demos")
    return runpy.run_path(str(ROOT / "demos" / "denoising_mnist.py"))


def results_of(out: Path) -> dict[str, dict]:
    return json.loads((out / "metrics.json").read_text("utf-8"))["results"]


def seen_in_tests() -> tuple[np.ndarray, list[np.ndarray]]:
    """The clean test images of a quick run with seed 0, and what is seen of them at each level."""
    x = sn.data.mnist("test")[0][:1000]
    rng = np.random.default_rng(0).spawn(2)[1]
    noise = [rng.standard_normal(x.shape).astype(np.float32) for _ in LEVELS]
    return x, [np.clip(x + sigma * eps, 0, 1) for sigma, eps in zip(LEVELS, noise, strict=True)]


def test_the_denoising_demo_writes_every_figure_the_model_and_its_numbers(quick_denoising):
    expected = {f"{name}.png" for name in ("curves", "levels", "mended")} | {"model.npz", "metrics.json"}
    assert {path.name for path in quick_denoising[0].iterdir()} == expected


def test_the_error_of_doing_nothing_is_that_of_clipped_noise_at_each_level(quick_denoising):
    x, seen = seen_in_tests()
    expected = [np.mean((images - x) ** 2).item() for images in seen]
    found = [results_of(quick_denoising[0])[f"seen at {level:g}"]["value"] for level in LEVELS]
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_error_at_a_level_is_that_of_the_saved_model(quick_denoising, demo):
    model = demo["build"]("convolutional", None, np.random.default_rng(1))
    sn.load(quick_denoising[0] / "model.npz", model)
    x, seen = seen_in_tests()
    for level in (0.5, 1):
        mended = model.decoder.forward(model.encoder.forward(seen[LEVELS.index(level)])[0])[0]
        found = results_of(quick_denoising[0])[f"convolutional at {level:g}"]["value"]
        assert found == pytest.approx(np.mean((mended - x) ** 2), rel=1e-4)


def test_every_network_is_measured_at_every_level(quick_denoising):
    named = {name.rpartition(" at ")[::2] for name in results_of(quick_denoising[0]) if " at " in name}
    methods = ("seen", "convolutional", "dense, 6 hidden", "dense, 1175 hidden")
    assert named == {(method, f"{level:g}") for method in methods for level in LEVELS}


def test_the_dense_networks_train_for_half_as_many_epochs_and_this_is_said(quick_denoising):
    out, text = quick_denoising
    records = json.loads((out / "metrics.json").read_text("utf-8"))["history"]["epochs"]
    networks = [record["network"] for record in records]
    assert networks == ["convolutional"] * 3 + ["dense, 6 hidden", "dense, 1175 hidden"]
    assert text.count("trains for half as many epochs") == 2


def test_the_printed_conclusion_follows_from_the_numbers(quick_denoising):
    out, text = quick_denoising
    results = results_of(out)
    mends = [
        f"{v:g}" for v in LEVELS if results[f"convolutional at {v:g}"]["value"] < results[f"seen at {v:g}"]["value"]
    ]
    assert f"the convolutional network helps at {', '.join(mends)} and does harm at" in text
    assert results["convolutional at 0"]["value"] > results["seen at 0"]["value"]


def test_the_networks_are_as_large_and_as_costly_as_is_said(demo):
    rng = np.random.default_rng(0)
    models = {name: demo["build"](name, None, rng) for name in ("convolutional", *demo["DENSE"])}
    parameters, products = {}, {}
    for name, model in models.items():
        y, products[name] = np.zeros((1, 784), np.float32), 0
        for layer in (*model.encoder.layers, *model.decoder.layers):
            x, (y, _) = y, layer.forward(y)
            if hasattr(layer, "W"):  # each weight meets each place: of the output, or, transposed, of the input
                places = x if isinstance(layer, sn.ConvTranspose2D) else y
                products[name] += layer.W.size * places[0, 0].size
        parameters[name] = len(model.parameters)
    assert (parameters["convolutional"], products["convolutional"]) == (9_585, 1_842_880)
    assert parameters["dense, 6 hidden"] == pytest.approx(parameters["convolutional"], rel=0.1)
    assert products["dense, 1175 hidden"] == pytest.approx(products["convolutional"], rel=0.001)


@pytest.mark.parametrize(
    ("corruption", "seen"),
    [("masking", {0, 1}), ("salt-and-pepper", {0, 1}), ("downsample", {i / 16 for i in range(17)})],
)
def test_a_corruption_is_trained_at_one_of_the_levels_that_are_tested(demo, corruption, seen, rng):
    kind = demo["KINDS"][corruption]
    assert kind.trained in kind.levels
    black_or_white = (rng.random((3, 784)) < 0.5).astype(np.float32)
    spoilt = kind.corrupt(kind.trained)(black_or_white, rng)
    assert set(np.unique(spoilt)) <= seen
    assert np.any(spoilt != black_or_white)
    np.testing.assert_array_equal(kind.corrupt(kind.levels[0])(black_or_white, rng), black_or_white)


@pytest.fixture
def cubic(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], np.ndarray]:
    """The matrix that makes a row of pixels longer."""
    monkeypatch.syspath_prepend(ROOT / "demos")
    return runpy.run_path(str(ROOT / "demos" / "lib" / "enlarging.py"))["cubic"]


@pytest.mark.parametrize(("n", "factor"), [(1, 4), (2, 3), (7, 4), (28, 1)])
def test_bicubic_interpolation_of_equal_pixels_gives_their_value_up_to_the_border(cubic, n, factor):
    np.testing.assert_allclose(cubic(n, factor).sum(axis=1), 1)


@pytest.mark.parametrize("factor", [1, 3, 5])  # odd, so that the new pixel in the middle of an old one is at its centre
def test_bicubic_interpolation_keeps_the_pixels_that_it_is_given(cubic, factor):
    np.testing.assert_allclose(cubic(7, factor)[factor // 2 :: factor][1:-1], np.eye(7)[1:-1], atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 4, 7])
def test_bicubic_interpolation_reproduces_a_parabola_away_from_the_border(cubic, factor):
    x, new = np.arange(9) + 0.5, (np.arange(9 * factor) + 0.5) / factor
    inside = (new >= 1.5) & (new <= 7.5)  # two pixels on either side
    U = cubic(9, factor)
    np.testing.assert_allclose((U @ (3 * x**2 - 5 * x + 7))[inside], (3 * new**2 - 5 * new + 7)[inside])


def test_bicubic_interpolation_keeps_a_slope_in_the_middle_and_beats_blocks(demo):
    row = np.repeat(np.arange(7) / 8, 4)
    ramp = np.tile(row, (28, 1)).reshape(1, 784).astype(np.float32)
    found = demo["bicubic"](ramp, 4).reshape(28, 28)
    np.testing.assert_allclose(np.diff(found[14, 8:20]), 1 / 32, atol=1e-6)
    x = sn.data.mnist("test")[0][:200]
    blocks = demo["KINDS"]["downsample"].corrupt(4)(x, None)
    assert np.mean((demo["bicubic"](blocks, 4) - x) ** 2) < np.mean((blocks - x) ** 2)


def test_downsampled_images_are_made_sharper_in_a_run_of_its_own(tmp_path):
    data = few_digits(tmp_path)
    given = ("--quick", "--epochs", "1", "--data", data, "--corruption", "downsample")
    run("denoising_mnist", *given, "--out", str(tmp_path))
    results = results_of(tmp_path)
    assert (tmp_path / "super_resolution.png").exists()
    assert results["PSNR, bicubic"]["unit"] == results["PSNR, network"]["unit"] == "dB"
    assert results["seen at 4"]["value"] == pytest.approx(0.0416, abs=0.004)  # chapter 09, on all test images
    assert all(number["published"] is None for number in results.values())
