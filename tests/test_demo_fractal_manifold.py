"""demos/fractal_manifold.py: the numbers that it prints are those of the models that it leaves."""

import json
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from demos.lib.fractals import julia
from tests.demo_runs import interrupted, refused, run

pytestmark = pytest.mark.slow

FIGURES = {"codes", "errors", "plane", "reconstructions"}


@pytest.fixture(scope="module")
def quick_fractals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("fractal_manifold")
    return out, run("fractal_manifold", "--quick", "--out", str(out)).stdout


def test_the_fractal_demo_writes_every_figure_the_model_and_its_numbers(quick_fractals):
    out, _ = quick_fractals
    expected = {f"{name}.png" for name in FIGURES} | {"model.npz", "metrics.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_the_fractal_demo_holds_the_error_of_each_bottleneck_beside_that_of_pca(quick_fractals):
    out, text = quick_fractals
    results = json.loads((out / "metrics.json").read_text("utf-8"))["results"]
    for L in (1, 2):
        ours, pca = results[f"autoencoder, {L}"], results[f"PCA, {L}"]
        assert ours["unit"] == pca["unit"] == "squared error/pixel"
        assert f"bottleneck {L}: {ours['value']:.6f} squared error/pixel, by PCA {pca['value']:.6f}" in text


@pytest.fixture(scope="module")
def fractals() -> tuple[np.ndarray, np.ndarray]:
    """The pictures that a quick run with seed 0 trains on, and those that it tests on."""
    rng = np.random.default_rng(0)
    return julia(6000, rng)[0], julia(1000, rng)[0]


def test_the_error_by_two_principal_components_is_what_they_leave(quick_fractals, fractals):
    results = json.loads((quick_fractals[0] / "metrics.json").read_text("utf-8"))["results"]
    x, x_test = fractals
    _, _, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    left = x_test - x.mean(axis=0)
    left = left - left @ directions[:2].T @ directions[:2]
    assert results["PCA, 2"]["value"] == pytest.approx(np.mean(left**2), rel=1e-4)


def test_the_error_through_two_numbers_is_that_of_the_saved_model(quick_fractals, fractals):
    out, _ = quick_fractals
    results = json.loads((out / "metrics.json").read_text("utf-8"))["results"]
    rng = np.random.default_rng(0)
    there = [sn.Dense(784, 256, rng=rng), sn.Dense(256, 256, rng=rng), sn.Dense(256, 2, rng=rng)]
    back = [sn.Dense(2, 256, rng=rng), sn.Dense(256, 256, rng=rng), sn.Dense(256, 784, rng=rng)]
    model = sn.Autoencoder(
        sn.Sequential(there[0], sn.ReLU(), there[1], sn.ReLU(), there[2]),
        sn.Sequential(back[0], sn.ReLU(), back[1], sn.ReLU(), back[2], sn.Sigmoid()),
    )
    sn.load(out / "model.npz", model)
    _, x_test = fractals
    assert results["autoencoder, 2"]["value"] == pytest.approx(model.loss(x_test).value / 784, rel=1e-4)


def test_the_fractal_demo_reads_c_from_the_codes(quick_fractals):
    results = json.loads((quick_fractals[0] / "metrics.json").read_text("utf-8"))["results"]
    shares = {name: number["value"] for name, number in results.items() if number["unit"] == "R²"}
    assert set(shares) == {f"{part} from {source}" for part in ("Re c", "Im c") for source in ("2 codes", "PCA, 2")}
    assert all(0.3 < share < 1 for share in shares.values())  # after three epochs; codes that say nothing give 0


def test_the_fractal_demo_says_that_a_quick_run_is_not_the_one_described(quick_fractals):
    assert "(changed: quick, epochs)" in quick_fractals[1]


def test_the_fractal_demo_has_no_option_for_data_it_does_not_use(tmp_path):
    said = refused("fractal_manifold", "--data", str(tmp_path), "--out", str(tmp_path))
    assert "unrecognized arguments: --data" in said


@pytest.mark.slow
def test_ctrl_c_in_the_first_bottleneck_keeps_what_was_reached(tmp_path):
    many_steps = ("--quick", "--batch-size", "1", "--hidden", "16")  # 6000 in an epoch: it outlasts a late signal
    text = interrupted("fractal_manifold", *many_steps, "--out", str(tmp_path), once="epoch 1/3")
    assert "Interrupted at bottleneck 2" in text
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["interrupted"] is True
    assert "autoencoder, 2" in metrics["results"]
    assert "autoencoder, 1" not in metrics["results"]
    assert {path.stem for path in tmp_path.glob("*.png")} == FIGURES
