"""Chapter 09 keeps its word: its numbers are those of its script, and what is quick to measure is measured again."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

DOCS = Path(__file__).parent.parent / "docs"
PAGE = re.sub(r"\s+", " ", (DOCS / "09-denoising.md").read_text(encoding="utf-8"))
MEASURED = json.loads((DOCS / "figures" / "denoising.json").read_text(encoding="utf-8"))
CIRCLE, DIGITS = MEASURED["circle, squared distance"], MEASURED["digits, squared error/pixel"]
LINEAR = MEASURED["linear denoiser of unclipped noise, squared error/pixel"]
SCRIPT = runpy.run_path(str(DOCS / "figures" / "denoising.py"))


@pytest.mark.parametrize("tau", CIRCLE)
def test_the_table_of_the_circle_holds_the_measured_numbers(tau):
    noise, exact, network, between = CIRCLE[tau].values()
    assert f"| {tau} | {noise:.3f} | {exact:.4f} | {network:.4f} | {between:.5f} |" in PAGE


@pytest.mark.parametrize("name", DIGITS)
def test_the_table_of_the_digits_holds_the_measured_numbers(name):
    seen, linear, network = DIGITS[name].values()
    assert f"| {name} | {seen:.4f} | {linear:.4f} | {network:.4f} |" in PAGE


def test_what_the_linear_denoiser_leaves_is_the_measured_number():
    assert f"with τ = {LINEAR['tau']} the eigenvalues" in PAGE
    assert f"leave {LINEAR['formula']:.5f} per pixel by the formula" in PAGE
    assert f"the matrix leaves {LINEAR['measured']:.5f}." in PAGE


def test_the_linear_denoiser_leaves_what_was_derived():
    assert LINEAR["measured"] == pytest.approx(LINEAR["formula"], rel=1e-3)


@pytest.mark.parametrize("tau", CIRCLE)
def test_the_network_comes_as_close_to_the_exact_answer_as_the_page_says(tau):
    assert CIRCLE[tau]["left by the network"] < 1.002 * CIRCLE[tau]["left by the exact answer"]


@pytest.mark.parametrize("tau", CIRCLE)
def test_what_the_exact_answer_leaves_of_the_circle_is_an_integral(tau):
    # E‖x − A(κ) x̃/ρ‖² = 1 − E[A(κ)²], since A(κ) is the mean of cos θ. With x = (1, 0), x̃ = (1 + τa, τb).
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    a, b = np.meshgrid(nodes, nodes)
    distance = np.hypot(1 + float(tau) * a, float(tau) * b)
    A = SCRIPT["posterior_length"](distance, float(tau))
    left = 1 - (np.outer(weights, weights) * A**2).sum() / weights.sum() ** 2
    # 20,000 points were drawn; their squared distances vary by no more than about 1.5 of their mean
    assert CIRCLE[tau]["left by the exact answer"] == pytest.approx(left, rel=5 * 1.5 / np.sqrt(20_000))


def test_the_length_of_the_exact_answer_is_a_ratio_of_bessel_functions():
    kappa, h = np.array([0.1, 1.0, 5.0, 20.0]), 1e-5
    ratio = (np.log(np.i0(kappa + h)) - np.log(np.i0(kappa - h))) / (2 * h)  # I₁ is the slope of I₀
    np.testing.assert_allclose(SCRIPT["posterior_length"](kappa, 1.0), ratio, atol=1e-7)


@pytest.mark.parametrize("name", DIGITS)
def test_the_error_of_what_is_seen_can_be_had_again(name):
    x, _ = sn.data.mnist("test")
    seen = SCRIPT["CORRUPTIONS"][name](x, np.random.default_rng(MEASURED["seed"]))
    assert np.mean((seen - x) ** 2) == pytest.approx(DIGITS[name]["seen"], rel=1e-4)


@pytest.mark.parametrize("name", DIGITS)
def test_the_network_mends_better_than_the_best_linear_map_and_that_better_than_nothing(name):
    assert DIGITS[name]["network"] < DIGITS[name]["best linear"] < DIGITS[name]["seen"]


def test_what_the_formula_leaves_can_be_had_again():
    x, _ = sn.data.mnist("train")
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    tau = LINEAR["tau"]
    left = (eigenvalues * tau**2 / (eigenvalues + tau**2)).sum() / 784
    assert left == pytest.approx(LINEAR["formula"], rel=1e-4)
