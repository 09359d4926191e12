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


# ---- what more codes per image gain

CHAPTER = (DOCS / "15-beta-and-importance-weighting.md").read_text(encoding="utf-8")
BURDA = json.loads((DOCS / "figures" / "burda.json").read_text(encoding="utf-8"))
BURDA_SCRIPT = runpy.run_path(str(DOCS / "figures" / "burda.py"))
BURDA_ROWS = BURDA_SCRIPT["tables"](BURDA)


@pytest.mark.parametrize("name", BURDA_ROWS)
def test_each_table_of_more_codes_holds_the_measured_numbers(name):
    table = re.search(rf"<!-- table: {name} -->\n.*\n\|[-|]+\|\n((?:\|.*\n)+)", CHAPTER)
    assert table is not None
    assert table[1] == BURDA_ROWS[name]


def test_writing_the_same_numbers_into_the_chapter_changes_nothing():
    assert BURDA_SCRIPT["rewritten"](CHAPTER, BURDA) == CHAPTER


def test_the_numbers_were_measured_with_the_settings_of_the_script():
    assert BURDA["seeds"] == BURDA_SCRIPT["SEEDS"]
    assert [BURDA[name] for name in ("epochs", "batch", "peak", "test images", "samples")] == [
        BURDA_SCRIPT[name] for name in ("EPOCHS", "BATCH", "PEAK", "TEST_IMAGES", "SAMPLES")
    ]


@pytest.mark.parametrize("where", ["here", "PyTorch"])
def test_the_gains_are_the_differences_of_the_means(where):
    nats = {k: one["nats/image"] for k, one in BURDA[where]["NLL"].items()}
    gains = {name: one["nats/image"] for name, one in BURDA[where]["gain"].items()}
    assert gains == pytest.approx({"1 to 5": nats["1"] - nats["5"], "5 to 50": nats["5"] - nats["50"]}, abs=1e-9)


@pytest.mark.parametrize("where", ["here", "PyTorch"])
def test_more_codes_are_better_by_more_than_three_standard_errors(where):
    assert all(gain["nats/image"] > 3 * gain["stderr"] for gain in BURDA[where]["gain"].values())


def test_the_two_programs_are_as_near_to_each_other_as_the_page_says():
    here, there = (BURDA[where]["NLL"] for where in ("here", "PyTorch"))
    apart = max(abs(here[k]["nats/image"] - there[k]["nats/image"]) for k in here)
    assert f"the two programs differ by up to {apart:.2f} nats" in PAGE


def test_the_trainings_cost_what_the_page_says():
    one, five, fifty = (BURDA["here"]["training"][k]["CPU seconds"] for k in ("1", "5", "50"))
    assert f"took {one:.0f}, {five:.0f} and {fifty:.0f} CPU seconds here" in PAGE
    assert f"k = 50 cost {fifty / one:.0f} times as much as k = 1" in PAGE


def test_binarised_pixels_are_white_as_often_as_they_are_grey():
    x = np.tile(np.array([0, 0.25, 1], np.float32), (10_000, 1))
    black_and_white = BURDA_SCRIPT["binarised"](x, np.random.default_rng(0))
    assert set(np.unique(black_and_white)) == {0, 1}
    assert black_and_white.mean(axis=0) == pytest.approx([0, 0.25, 1], abs=5 * np.sqrt(0.25 * 0.75 / 10_000))


def test_the_trainings_start_from_the_same_weights_whatever_k_is():
    one, five = (BURDA_SCRIPT["new_model"](k) for k in (1, 5))
    assert np.array_equal(one.parameters.theta, five.parameters.theta)
    assert (one.k, five.k) == (1, 5)


@pytest.mark.parametrize("k", [1, 5])
def test_pytorch_has_the_loss_of_the_library_and_its_gradient(k):
    torch = pytest.importorskip("torch")
    model, rng = BURDA_SCRIPT["new_model"](k), np.random.default_rng(0)
    x = rng.integers(0, 2, (4, 784)).astype(np.float32)
    eps = rng.standard_normal((4, k, BURDA_SCRIPT["LATENT"]), np.float32)
    encoder, decoder = (BURDA_SCRIPT["in_pytorch"](part) for part in (model.encoder, model.decoder))
    theirs = BURDA_SCRIPT["pytorch_loss"](encoder, decoder, torch.from_numpy(x), torch.from_numpy(eps))
    theirs.backward()
    loss = model.loss(x, eps=eps.reshape(4 * k, -1))
    loss.backward()
    assert loss.value == pytest.approx(theirs.item(), rel=1e-5)
    for module, layer in zip([*encoder, *decoder], model.encoder.layers + model.decoder.layers, strict=True):
        if hasattr(module, "weight"):
            np.testing.assert_allclose(layer.dW.T, module.weight.grad.numpy(), rtol=1e-3, atol=1e-4)


def test_weights_come_back_from_pytorch_as_they_went():
    pytest.importorskip("torch")
    model, other = BURDA_SCRIPT["new_model"](1), BURDA_SCRIPT["new_model"](1)
    other.parameters.theta[...] = 0
    for part, empty in ((model.encoder, other.encoder), (model.decoder, other.decoder)):
        BURDA_SCRIPT["copy_weights"](BURDA_SCRIPT["in_pytorch"](part), empty)
    assert np.array_equal(other.parameters.theta, model.parameters.theta)
