"""demos/autoencoder_mnist.py: its errors are those of the networks that it leaves, and of PCA, in one unit."""

import argparse
import json
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, few_digits, interrupted, run

WIDTHS = {
    "32, small start": (784, 32),
    "32, by squared error": (784, 32),
    "32, by cross-entropy": (784, 32),
    "30, linear": (784, 30),
    "30, shallow": (784, 1000, 30),
    "30, deep": (784, 1000, 500, 250, 30),
}
FIGURES = {"images_32", "curves_32", "images_30", "curves_30", "parts", "losses"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict]:
    """The folder, the printed text and the metrics of one quick run."""
    out = tmp_path_factory.mktemp("autoencoder_mnist")
    text = run("autoencoder_mnist", "--quick", "--out", str(out)).stdout
    return out, text, json.loads((out / "metrics.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def x_test() -> np.ndarray:
    """The test images of a quick run."""
    return sn.data.mnist("test")[0][:1000].astype(np.float64)


def file_of(name: str) -> str:
    return name.replace(", ", "_").replace(" ", "_") + ".npz"


def forward(name: str, weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The pixels of each network, in NumPy, from its saved weights."""
    for part in ("encoder", "decoder"):
        names = sorted(one for one in weights if one.startswith(part) and one.endswith("W"))
        for i, one in enumerate(names):
            x = x @ weights[one] + weights[one[:-1] + "b"]
            ends_with_relu = part == "encoder" and name.startswith("32")
            if (i < len(names) - 1 or ends_with_relu) and name != "30, linear":
                x = np.maximum(x, 0)
    return x if name == "30, linear" else 1 / (1 + np.exp(-x))


def test_the_autoencoder_demo_writes_every_figure_every_network_and_its_numbers(quick):
    expected = {f"{name}.png" for name in FIGURES} | {file_of(name) for name in WIDTHS} | {"metrics.json"}
    assert {path.name for path in quick[0].iterdir()} == expected


def weights_of(out: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(out / file_of(name)) as arrays:
        return {one: arrays[one] for one in arrays.files if one[-2:] in (".W", ".b")}


@pytest.mark.parametrize("name", WIDTHS)
def test_the_error_of_each_network_is_that_of_its_saved_weights(quick, x_test, name):
    weights = weights_of(quick[0], name)
    shapes = [W.shape for one, W in sorted(weights.items()) if one.startswith("encoder") and one.endswith("W")]
    assert shapes == list(pairwise(WIDTHS[name]))
    found = quick[2]["results"][name]
    assert found["unit"] == "squared error/pixel"
    assert found["value"] == pytest.approx(np.mean((forward(name, weights, x_test) - x_test) ** 2), rel=1e-4)


@pytest.mark.parametrize("name", [name for name in WIDTHS if name.startswith("32")])
def test_the_dead_numbers_of_a_code_are_those_that_no_test_image_moves(quick, x_test, name):
    weights = weights_of(quick[0], name)
    z = x_test @ weights["encoder.0.W"] + weights["encoder.0.b"]
    assert quick[2]["results"][f"{name}, dead"]["value"] == np.sum(z.max(axis=0) <= 0)


def test_numbers_die_from_the_small_start_and_not_from_the_wide_one(quick):
    results = quick[2]["results"]
    assert results["32, by squared error, dead"]["value"] < results["32, small start, dead"]["value"]


@pytest.fixture(scope="module")
def by_svd() -> tuple[np.ndarray, np.ndarray]:
    """The mean of the images that a quick run trains on, and the directions about it, by falling variance."""
    x = sn.data.mnist("train")[0][:6000]
    return x.mean(axis=0), np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2]


@pytest.mark.parametrize("L", [32, 30])
def test_the_error_by_components_is_what_the_others_leave(quick, x_test, by_svd, L):
    mean, directions = by_svd
    left = x_test - mean
    left = left - left @ directions[:L].T @ directions[:L]
    assert quick[2]["results"][f"{L}, PCA"]["value"] == pytest.approx(np.mean(left**2), rel=1e-4)


def test_the_errors_per_image_are_784_times_those_per_pixel_beside_the_published_ones(quick):
    results = quick[2]["results"]
    for name, published in {"PCA": 13.87, "linear": None, "shallow": None, "deep": 3.0}.items():
        image, pixel = results[f"30, {name}, per image"], results[f"30, {name}"]
        assert image["value"] == pytest.approx(784 * pixel["value"])
        assert (image["unit"], image["published"]) == ("squared error/image", published)


def test_the_training_error_stands_beside_udacitys_without_its_batch(quick):
    found = quick[2]["results"]["32, training images"]
    assert found["published"] == pytest.approx(0.2356 / 20, abs=5e-5)
    course = [record["32, by squared error"] for record in quick[2]["history"]["epochs"]]
    assert course[-1] < found["value"] < course[-2]  # the mean while the third epoch fell from one to the other


def test_the_last_error_of_each_course_is_the_one_in_the_table(quick):
    for name in WIDTHS:
        course = [record[name] for record in quick[2]["history"]["epochs"] if name in record]
        assert course[-1] == quick[2]["results"][name]["value"]


def test_the_share_of_pcas_error_is_computed(quick):
    results = {name: one["value"] for name, one in quick[2]["results"].items()}
    assert f", {results['30, deep'] / results['30, PCA']:.0%} (deep) of that.\n" in quick[1]


def test_matrix_factorisation_never_subtracts_and_leaves_less_with_each_sweep(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "demos")
    factors = runpy.run_path(str(ROOT / "demos" / "lib" / "factors.py"))
    x = sn.data.mnist("test")[0][:500]
    H = factors["factorise"](x, 5, np.random.default_rng(0))
    errors = []
    for sweeps in (1, 3, 30):
        W = factors["shares"](x, H, sweeps=sweeps)
        assert W.min() >= 0 <= H.min()
        errors.append(np.mean((W @ H - x) ** 2))
    assert errors[0] > errors[1] >= errors[2]
    best = np.mean((np.linalg.svd(x, full_matrices=False)[1][5:] ** 2).sum() / x.size)
    assert best < errors[2] < 1.3 * best


def test_the_cross_entropies_of_the_two_losses_are_those_of_their_images(quick, x_test):
    for name in ("32, by squared error", "32, by cross-entropy"):
        p = forward(name, weights_of(quick[0], name), x_test)
        nats = -np.sum(x_test * np.log(p) + (1 - x_test) * np.log(1 - p)) / len(x_test)
        assert quick[2]["results"][f"{name}, cross-entropy"]["value"] == pytest.approx(nats, rel=1e-3)
        black = p[x_test == 0].mean()
        assert quick[2]["results"][f"{name}, black pixels"]["value"] == pytest.approx(black, rel=1e-3)


@pytest.mark.parametrize(
    ("deep", "said"),
    [
        (4.0, "Depth gained nothing in 10 epochs"),
        (3.0, "Three hidden layers leave 25% less error"),
        (5.0, "Three hidden layers leave 25% more error"),
    ],
)
def test_what_depth_bought_follows_from_the_errors(monkeypatch, deep, said):
    monkeypatch.syspath_prepend(ROOT / "demos")
    depth = runpy.run_path(str(ROOT / "demos" / "lib" / "autoencoder_figures.py"))["depth"]
    error = {"30, shallow": 4 / 784, "30, deep": deep / 784}
    assert depth(error, argparse.Namespace(deep_epochs=10)).startswith(said)


def test_a_quick_run_of_the_autoencoder_demo_claims_nothing(quick):
    assert "(changed: quick)" in quick[1]


@pytest.mark.parametrize(("value", "said"), [(0.0119, "Good"), (0.0110, "Better than"), (0.0130, "Not good: worse")])
def test_an_error_is_better_if_it_is_lower(value, said):
    results = runpy.run_path(str(ROOT / "demos" / "lib" / "results.py"))
    number = results["Number"](value, "squared error/pixel", published=0.0118, digits=4)
    assert results["verdict"](number, 0.0004, [], lower=True).startswith(said)


@pytest.mark.slow
def test_ctrl_c_in_the_first_network_keeps_what_was_reached(tmp_path):
    out, data = tmp_path / "out", few_digits(tmp_path)
    text = interrupted("autoencoder_mnist", "--out", str(out), "--data", data, "--epochs", "1000", once="epoch  1/1000")
    assert "Interrupted at 32, small start" in text
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics["interrupted"] is True
    assert "32, small start" in metrics["results"]
    assert "32, by squared error" not in metrics["results"]
    assert {path.stem for path in out.glob("*.png")} == FIGURES - {"curves_30", "losses"}
