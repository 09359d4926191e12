"""The demos, run as a user runs them: a script, in a process of its own, on the shipped data."""

import json
import math
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

ROOT = Path(__file__).parent.parent
VAE_FIGURES = {"curves", "latent_kl", "posterior", "reconstructions", "samples", "walk"}
FRACTAL_FIGURES = {"codes", "errors", "plane", "reconstructions"}


def command(demo: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-W", "error", str(ROOT / "demos" / f"{demo}.py"), *arguments]


ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT),
    "PYTHONIOENCODING": "utf-8",
    "NUMBA_NUM_THREADS": "1",  # test processes share the cores, and a thread that waits for another waits long
}


def run(demo: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(demo, *arguments), capture_output=True, text=True, encoding="utf-8", env=ENVIRONMENT, timeout=100
    )
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one quick run with a two-dimensional latent space."""
    out = tmp_path_factory.mktemp("vae_mnist")
    return out, run("vae_mnist", "--quick", "--latent", "2", "--out", str(out)).stdout


def test_the_vae_demo_writes_every_figure_the_model_and_its_numbers(quick):
    out, _ = quick
    expected = {f"{name}.png" for name in VAE_FIGURES | {"plane", "means"}} | {"model.npz", "metrics.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_the_vae_demo_prints_one_test_elbo_line_an_epoch(quick):
    _, text = quick
    lines = [line.split()[1:4] for line in text.splitlines() if line.startswith("epoch")]
    assert lines == [["1/3", "test", "ELBO"], ["2/3", "test", "ELBO"], ["3/3", "test", "ELBO"]]


def test_metrics_json_holds_the_printed_numbers_with_their_units(quick):
    out, text = quick
    results = json.loads((out / "metrics.json").read_text())["results"]
    printed = next(line for line in text.splitlines() if line.startswith("test ELBO "))
    assert f"{results['test ELBO']['value']:.2f} ± {results['test ELBO']['error']:.2f}" in printed
    assert printed.endswith(results["test ELBO"]["unit"])


def test_the_published_number_stands_in_its_column_and_in_metrics_json(quick):
    out, text = quick
    header = next(line for line in text.splitlines() if "this run" in line)
    row = next(line for line in text.splitlines() if line.startswith("test ELBO "))
    assert json.loads((out / "metrics.json").read_text())["results"]["test ELBO"]["published"] == -105.6
    assert header.split() == ["this", "run", "published"]
    assert row.index("-105.6") + len("-105.6") == len(header)


def test_metrics_json_says_what_was_run(quick):
    metrics = json.loads((quick[0] / "metrics.json").read_text())
    assert metrics["arguments"]["latent"] == 2
    assert metrics["seed"] == 0
    assert metrics["seconds"] > 0
    assert metrics["interrupted"] is False


def test_the_verdict_of_a_run_with_other_settings_claims_nothing(quick):
    assert "No published number has these settings (changed: quick, epochs, latent)" in quick[1]


def test_the_saved_model_is_the_one_that_was_measured(quick):
    with np.load(quick[0] / "model.npz") as arrays:
        assert arrays["encoder.0.W"].shape == (784, 400)
        assert arrays["decoder.0.W"].shape == (2, 400)


def test_the_gaussian_likelihood_runs_and_compares_with_no_grey_bound(tmp_path):
    text = run("vae_mnist", "--quick", "--likelihood", "gaussian", "--out", str(tmp_path)).stdout
    assert "limit of grey pixels" not in text
    assert "105.6" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "expected a whole number of at least 1, got '0'"),
        (["--likelihood", "poisson"], "invalid choice: 'poisson'"),
        (["--beta", "much"], "invalid float value: 'much'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(arguments, message, tmp_path):
    assert message in run("vae_mnist", *arguments, "--out", str(tmp_path), expect=2).stderr


def test_missing_data_ends_the_demo_in_one_sentence(tmp_path):
    done = run("vae_mnist", "--quick", "--data", str(tmp_path), "--out", str(tmp_path / "out"), expect=1)
    assert done.stderr == f"vae_mnist.py: {tmp_path} holds no train-images-idx3-ubyte, with or without .gz.\n"


def test_an_output_folder_that_cannot_be_made_ends_the_demo_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("vae_mnist", "--quick", "--out", str(tmp_path / "file" / "out"), expect=1)
    assert done.stderr.startswith("vae_mnist.py: ")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_the_demo_cleanly_and_keeps_what_was_reached(tmp_path):
    process = subprocess.Popen(
        command("vae_mnist", "--out", str(tmp_path), "--hidden", "16"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch  1/10"):
            process.send_signal(signal.SIGINT)
            break
    text, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "Interrupted in epoch 2" in text
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["interrupted"] is True
    assert len(metrics["history"]["epochs"]) == 1
    assert {path.stem for path in tmp_path.glob("*.png")} == VAE_FIGURES


# ---- probability


@pytest.fixture(scope="module")
def probability(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str]:
    """The metrics and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("probability")
    text = run("probability", "--quick", "--out", str(out)).stdout
    return json.loads((out / "metrics.json").read_text()), text


def test_the_probability_demo_writes_every_figure_and_its_numbers(probability):
    figures = {"simulation", "bayes", "kl_terms", "two_humps", "misprint", "too_wide"}
    written = {path.name for path in Path(probability[0]["arguments"]["out"]).iterdir()}
    assert written == {f"{name}.png" for name in figures} | {"metrics.json"}


def test_a_demo_that_trains_nothing_says_nothing_of_training(probability):
    metrics, _ = probability
    assert metrics["arguments"].keys() == {"seed", "out", "quick"}
    assert not metrics.keys() & {"history", "interrupted"}


def test_the_probability_demo_prints_both_divergences_to_ten_digits_beside_the_published_ones(probability):
    rows = {line.split()[0]: line.split()[1:] for line in probability[1].splitlines() if line[:1] == "D"}
    assert rows["D(P‖Q)"] == ["0.0852996013", "0.0852996013", "0.0852996", "nats"]
    assert rows["D(Q‖P)"] == ["0.0974550068", "0.0974550068", "0.097455", "nats"]


def test_every_simulation_of_the_probability_demo_agrees_with_its_formula(probability):
    metrics, text = probability
    simulated = [one for one in metrics["results"].values() if one["error"] is not None]
    assert len(simulated) == 6
    assert all(abs(one["value"] - one["exact"]) < 4 * one["error"] for one in simulated)
    assert "Good: 6 simulations agree with their formulas" in text


def test_the_standard_errors_of_the_simulations_worked_by_hand(probability):
    error = {name: one["error"] for name, one in probability[0]["results"].items()}
    n = 10_000
    assert error["P(3)"] == pytest.approx(math.sqrt(1 / 6 * 5 / 6 / n))
    assert error["P(3 | odd)"] == pytest.approx(math.sqrt(1 / 3 * 2 / 3 / (n / 2)))  # half of the rolls are odd
    assert error["E[face]"] == pytest.approx(math.sqrt(35 / 12 / n))
    assert error["P(loaded | 6)"] == pytest.approx(math.sqrt(1 / 4 * 3 / 4 / (n / 5)))  # one roll in five is a six


def test_the_error_of_a_simulation_falls_as_one_over_root_n(probability):
    assert probability[0]["results"]["slope of the error"]["value"] == pytest.approx(-0.5, abs=0.03)


def test_each_fit_to_two_humps_is_best_by_its_own_divergence(probability):
    value = {name: one["value"] for name, one in probability[0]["results"].items()}
    both, left, right = "least D(p‖q)", "least D(q‖p) left", "least D(q‖p) right"
    assert value[f"{both}: D(p‖q)"] < value[f"{left}: D(p‖q)"] < value[f"{right}: D(p‖q)"]
    assert value[f"{left}: D(q‖p)"] < value[f"{both}: D(q‖p)"] < value[f"{right}: D(q‖p)"]


def test_the_fit_that_covers_both_humps_has_the_mean_and_the_deviation_of_the_target(probability):
    value = {name: one["value"] for name, one in probability[0]["results"].items()}
    # Σ w m = 0.7·(−2) + 0.3·2;  Σ w (s² + m²) − mean² = 0.7·4.64 + 0.3·4.36 − 0.64
    assert value["least D(p‖q): μ"] == pytest.approx(-0.8, abs=1e-12)
    assert value["least D(p‖q): σ"] == pytest.approx(math.sqrt(3.916), rel=1e-12)


def test_the_slopes_that_fit_a_gaussian_to_two_humps_are_right(monkeypatch, rng):
    monkeypatch.syspath_prepend(ROOT / "demos")
    reverse_kl = runpy.run_path(str(ROOT / "demos" / "probability.py"))["reverse_kl"]
    for mu, logvar in ((-2.5, 0.3), (0.4, -1.0), (3.0, 0.0)):
        sn.check_gradients(reverse_kl, np.array([[mu]]), np.array([[logvar]]), rng=rng)


def test_the_misprinted_divergence_is_least_at_one_over_root_two_and_negative_there(probability):
    results = probability[0]["results"]
    assert results["as printed: best σ"]["value"] == pytest.approx(1 / math.sqrt(2), abs=1e-4)  # the grid's step
    assert results["as printed: least"]["value"] == pytest.approx(-0.153426, abs=1e-6)


def test_the_probability_demo_still_finds_what_the_docs_say(probability):
    docs = json.loads((ROOT / "docs" / "figures" / "probability.json").read_text(encoding="utf-8"))["results"]
    calculated = {name: one["value"] for name, one in docs.items() if one["error"] is None and "slope" not in name}
    found = {name: probability[0]["results"][name]["value"] for name in calculated}
    assert found == pytest.approx(calculated, rel=1e-9, abs=1e-9)


def test_a_simulation_that_misses_its_formula_is_called_not_good(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "demos")
    common = runpy.run_path(str(ROOT / "demos" / "common.py"))
    results = {"a": common["Number"](1.0, "", 0.1, exact=1.1), "b": common["Number"](1.0, "", 0.1, exact=2.0)}
    said = common["agreement"](results)
    assert said == "Not good: b is 10.0 standard errors from its formula, more than chance explains."


# ---- the two numbers of a Julia set


@pytest.fixture(scope="module")
def quick_fractals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("fractal_manifold")
    return out, run("fractal_manifold", "--quick", "--out", str(out)).stdout


def test_the_fractal_demo_writes_every_figure_the_model_and_its_numbers(quick_fractals):
    out, _ = quick_fractals
    expected = {f"{name}.png" for name in FRACTAL_FIGURES} | {"model.npz", "metrics.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_the_fractal_demo_holds_the_error_of_each_bottleneck_beside_that_of_pca(quick_fractals):
    out, text = quick_fractals
    results = json.loads((out / "metrics.json").read_text())["results"]
    for L in (1, 2):
        ours, pca = results[f"autoencoder, {L}"], results[f"PCA, {L}"]
        assert ours["unit"] == pca["unit"] == "squared error/pixel"
        assert f"bottleneck {L}: {ours['value']:.6f} squared error/pixel, by PCA {pca['value']:.6f}" in text


@pytest.fixture(scope="module")
def fractals() -> tuple[np.ndarray, np.ndarray]:
    """The pictures that a quick run with seed 0 trains on, and those that it tests on."""
    rng = np.random.default_rng(0)
    return sn.data.julia(6000, rng)[0], sn.data.julia(1000, rng)[0]


def test_the_error_by_two_principal_components_is_what_they_leave(quick_fractals, fractals):
    results = json.loads((quick_fractals[0] / "metrics.json").read_text())["results"]
    x, x_test = fractals
    _, _, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    left = x_test - x.mean(axis=0)
    left = left - left @ directions[:2].T @ directions[:2]
    assert results["PCA, 2"]["value"] == pytest.approx(np.mean(left**2), rel=1e-4)


def test_the_error_through_two_numbers_is_that_of_the_saved_model(quick_fractals, fractals):
    out, _ = quick_fractals
    results = json.loads((out / "metrics.json").read_text())["results"]
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
    results = json.loads((quick_fractals[0] / "metrics.json").read_text())["results"]
    shares = {name: number["value"] for name, number in results.items() if number["unit"] == "R²"}
    assert set(shares) == {f"{part} from {source}" for part in ("Re c", "Im c") for source in ("2 codes", "PCA, 2")}
    assert all(0.3 < share < 1 for share in shares.values())  # after three epochs; codes that say nothing give 0


def test_the_fractal_demo_says_that_a_quick_run_is_not_the_one_described(quick_fractals):
    assert "(changed: quick, epochs)" in quick_fractals[1]


def test_the_fractal_demo_has_no_option_for_data_it_does_not_use(tmp_path):
    done = run("fractal_manifold", "--data", str(tmp_path), "--out", str(tmp_path), expect=2)
    assert "unrecognized arguments: --data" in done.stderr


def test_ctrl_c_in_the_first_bottleneck_keeps_what_was_reached(tmp_path):
    process = subprocess.Popen(
        command("fractal_manifold", "--out", str(tmp_path), "--hidden", "16"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stderr is not None
    seen = b""
    while b"epoch 2/40" not in seen and process.poll() is None:  # on the bar: the training has begun
        seen += os.read(process.stderr.fileno(), 1000)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "Interrupted at bottleneck 2" in text.decode()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["interrupted"] is True
    assert "autoencoder, 2" in metrics["results"]
    assert "autoencoder, 1" not in metrics["results"]
    assert {path.stem for path in tmp_path.glob("*.png")} == FRACTAL_FIGURES
