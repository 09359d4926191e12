"""Chapter 15 keeps its word: its numbers are those of its script, and they obey what was derived."""

import itertools
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = re.sub(r"\s+", " ", (DOCS / "15-beta-and-importance-weighting.md").read_text(encoding="utf-8"))
MEASURED = json.loads((DOCS / "figures" / "rate_distortion.json").read_text(encoding="utf-8"))
RATES, SIGNAL = MEASURED["β, nats/image"], MEASURED["signal to noise of a slope, by k"]
SCRIPT = runpy.run_path(str(DOCS / "figures" / "rate_distortion.py"))


@pytest.mark.parametrize("beta", RATES)
def test_the_table_of_rates_holds_the_measured_numbers(beta):
    one = RATES[beta]
    numbers = " | ".join(f"{one[name]:.2f}".replace("-", "−") for name in ("rate", "distortion", "ELBO"))
    assert f"| {beta} | {numbers} | {one['active units']} |" in PAGE


def test_the_elbo_is_best_at_beta_1():
    assert max(RATES, key=lambda beta: RATES[beta]["ELBO"]) == "1"


@pytest.mark.parametrize(("beta", "larger"), list(itertools.pairwise(RATES)))
def test_a_nat_of_rate_costs_between_one_beta_and_the_next(beta, larger):
    here, there = RATES[beta], RATES[larger]
    saved, spoilt = here["rate"] - there["rate"], there["distortion"] - here["distortion"]
    assert float(beta) < spoilt / saved < float(larger)


def test_units_are_given_up_as_the_page_says():
    assert f"at β = 10 there are {RATES['10']['active units']}, at β = 30 there is none left" in PAGE
    assert RATES["30"]["active units"] == 0
    assert RATES["30"]["ELBO"] == pytest.approx(-205.80, abs=1)


def test_the_slopes_get_clearer_and_less_clear_as_the_page_says():
    clearer = SIGNAL["1000"]["decoder"] / SIGNAL["10"]["decoder"]
    duller = SIGNAL["10"]["encoder"] / SIGNAL["1000"]["encoder"]
    assert f"the slope of the decoder gets {clearer:.1f} times clearer" in PAGE
    assert f"that of the encoder {duller:.1f} times less clear" in PAGE
    assert clearer == pytest.approx(10, rel=0.3)
    assert duller == pytest.approx(10, rel=0.3)


def test_the_slopes_of_one_sample_have_the_mean_of_the_elbo():
    W, S, X, OFF = (SCRIPT[name] for name in ("W", "S", "X", "OFF"))
    variance = W**2 + S**2
    mu, posterior = W * X / variance + OFF, S**2 / variance
    draws = np.concatenate([SCRIPT["slopes"](1, np.random.default_rng(seed)) for seed in range(20)], axis=1)
    # E[(X − Wz) z]/S² and E[W (X − Wz)/S² − z] with z from N(mu, posterior)
    expected = (X * mu - W * (mu**2 + posterior)) / S**2, W * (X - W * mu) / S**2 - mu
    error = draws.std(axis=1) / np.sqrt(draws.shape[1])
    assert np.all(np.abs(draws.mean(axis=1) - expected) < 5 * error)


def test_the_slope_of_the_decoder_tends_to_that_of_the_evidence():
    W, S, X = (SCRIPT[name] for name in ("W", "S", "X"))
    variance = W**2 + S**2
    of_evidence = W * X**2 / variance**2 - W / variance  # ∂/∂W log N(X; 0, W² + S²)
    decoder, encoder = SCRIPT["slopes"](1000, np.random.default_rng(0))
    assert decoder.mean() == pytest.approx(of_evidence, rel=0.01)
    assert abs(encoder.mean()) < 0.01
