"""demos/probability.py: its simulations agree with its formulas, its formulas with the published numbers."""

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, run


@pytest.fixture(scope="module")
def probability(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str]:
    """The metrics and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("probability")
    text = run("probability", "--quick", "--out", str(out)).stdout
    return json.loads((out / "metrics.json").read_text("utf-8")), text


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
    reverse_kl = runpy.run_path(str(ROOT / "demos" / "lib" / "humps.py"))["reverse_kl"]
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
    module = runpy.run_path(str(ROOT / "demos" / "lib" / "results.py"))
    results = {"a": module["Number"](1.0, "", 0.1, exact=1.1), "b": module["Number"](1.0, "", 0.1, exact=2.0)}
    said = module["agreement"](results)
    assert said == "Not good: b is 10.0 standard errors from its formula, more than chance explains."
