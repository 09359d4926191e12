"""Chapter 13 keeps its word: its numbers are those of its script, and of the main job's three seeds."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.evaluation import bce_scale

DOCS = Path(__file__).parent.parent / "docs"
PAGE = re.sub(r"\s+", " ", (DOCS / "13-is-my-number-good.md").read_text(encoding="utf-8"))
MEASURED = json.loads((DOCS / "figures" / "is_it_good.json").read_text(encoding="utf-8"))
SEEDS = json.loads((DOCS / "figures" / "vae_mnist.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(DOCS / "figures" / "is_it_good.py"))
BOTH = MEASURED["grey"], MEASURED["binary"]
BOUNDS = MEASURED["L_k on 500 binary test images, nats/image"]
COLLAPSE = MEASURED["signs of collapse"]


def nats(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def row(name: str, *values: str) -> str:
    return f"| {name} | {' | '.join(values)} |"


def flattery(found: dict) -> float:
    return -found["loss at z = μ, nats/image"] - found["ELBO, nats/image"]


@pytest.mark.parametrize(("name", "pixels"), [("grey", "grey"), ("black or white, at ½", "binary")])
def test_the_scale_is_the_measured_one(name, pixels):
    assert row(name, *map(nats, MEASURED["scale, nats/image"][pixels].values())) in PAGE


def test_the_scale_of_black_and_white_can_be_had_again():
    train, test = (SCRIPT["binary"](sn.data.mnist(split)[0]) for split in ("train", "test"))
    scale = MEASURED["scale, nats/image"]["binary"]
    assert bce_scale(train, test) == pytest.approx({name: scale[name] for name in ("mean_image", "floor")})


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ELBO", "ELBO, nats/image"),
        ("standard error over images", "standard error, nats/image"),
        ("deviation over draws of ε", "std over draws of ε, nats/image"),
        ("½ Σ (1 − σ²)", "half the sum of 1 − σ²"),
    ],
)
def test_the_table_of_two_models_holds_the_measured_numbers(name, key):
    assert row(name, *(nats(found[key]) for found in BOTH)) in PAGE


def test_the_rows_that_are_calculated_are_right():
    terms = (", ".join(nats(found[f"{term}, nats/image"]) for term in ("reconstruction", "KL")) for found in BOTH)
    assert row("its reconstruction, KL", *terms) in PAGE
    assert row("minus the loss at z = μ", *(nats(-found["loss at z = μ, nats/image"]) for found in BOTH)) in PAGE
    assert row("so z = μ flatters by", *(nats(flattery(found)) for found in BOTH)) in PAGE
    assert row("active units of 20", *(str(found["active units"]) for found in BOTH)) in PAGE


@pytest.mark.parametrize("found", BOTH)
def test_sigma_predicts_what_is_hidden_at_mu(found):
    assert flattery(found) == pytest.approx(found["half the sum of 1 − σ²"], rel=0.05)


def test_the_gap_does_not_yet_fall_as_one_over_k():
    share = (BOUNDS["100"] - BOUNDS["10"]) / (BOUNDS["10"] - BOUNDS["1"])
    assert f"it is {share:.2f} of it" in PAGE
    assert share > 0.2  # of a gap that falls as 1/k it is (1/10 − 1/100)/(1 − 1/10) = 0.1


def test_the_bound_rises_with_k_as_the_page_says():
    assert row("$L_k$", *(nats(BOUNDS[k]) for k in ("1", "10", "100"))) in PAGE
    assert list(BOUNDS.values()) == sorted(BOUNDS.values())
    assert -MEASURED["binary"]["loss at z = μ, nats/image"] > BOUNDS["100"]  # the page: "here above L_100"


@pytest.mark.parametrize(
    ("name", "key", "digits"),
    [
        ("KL", "KL, nats/image", 2),
        ("reconstruction", "reconstruction, nats/image", 2),
        ("reconstruction from the code of another image", "reconstruction from another image's code, nats/image", 2),
        ("spread of decoded samples, in brightness", "spread of decoded samples, brightness", 3),
    ],
)
def test_the_signs_of_collapse_are_the_measured_ones(name, key, digits):
    assert row(name, *(nats(one[key], digits) for one in COLLAPSE.values())) in PAGE


def test_the_collapsed_model_has_as_many_active_units_as_the_page_says():
    assert f"has {COLLAPSE['β = 784']['active units']} active units" in PAGE


def test_the_seeds_spread_as_the_page_says():
    elbos = [seed["results"]["test ELBO"] for seed in SEEDS.values()]
    first, second, third = (nats(one["value"]) for one in elbos)
    assert f"ended at {first}, {second} and {third} with the seeds 0, 1 and 2" in PAGE
    assert f"a deviation of {np.std([one['value'] for one in elbos], ddof=1):.2f}" in PAGE
    assert {f"{one['error']:.2f}" for one in elbos} == {"0.26"}
    limit = SEEDS["0"]["results"]["limit of grey pixels"]["value"]
    assert f"{-elbos[0]['value']:.1f} is {limit - elbos[0]['value']:.1f} above it" in PAGE
