"""Chapter 17 keeps its word: every slip has its check and its exhibit, and the numbers are those of its script."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "17-errata.md").read_text(encoding="utf-8")
PAGE = re.sub(r"\s+", " ", TEXT)
MUSEUM = (DOCS / "bug-museum.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.M))  # number → what the code did, why, harmed
CHECKED = {one for numbers in re.findall(r"assert .*# ([\d, ]+)(?::|$)", TEXT, re.M) for one in numbers.split(", ")}
MEASURED = json.loads((DOCS / "figures" / "errata.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(DOCS / "figures" / "errata.py"))
RIGHT, PRINTED, SAMPLES = MEASURED["right"], MEASURED["as printed"], MEASURED["samples"]
OWN, WIDE = (f"ELBO, prior N(0, {prior}), nats/image" for prior in ("I/2", "I"))


def nats(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def test_the_slips_of_code_are_numbered_from_1_to_24():
    assert list(ROWS) == [str(number) for number in range(1, 25)]


@pytest.mark.parametrize("number", ROWS)
def test_every_slip_of_code_has_a_check(number):
    assert number in CHECKED


@pytest.mark.parametrize("number", ROWS)
def test_every_slip_of_code_leads_to_an_exhibit_of_the_matrix(number):
    anchors = re.findall(r"bug-museum\.md#([^)]+)\)", ROWS[number])
    assert anchors
    assert all(f"](#{anchor}) |" in MUSEUM for anchor in anchors)


def test_the_gradient_check_misses_as_many_as_the_page_says():
    def passes(anchor: str) -> bool:
        (marks,) = re.findall(rf"\]\(#{re.escape(anchor)}\) \| (.*) \|$", MUSEUM, re.M)
        return marks.split(" | ")[2] == "·"  # examples, laws, gradient check, …

    passed = [all(map(passes, re.findall(r"bug-museum\.md#([^)]+)\)", row))) for row in ROWS.values()]
    assert f"A gradient check misses {sum(passed)} of the {len(ROWS)}." in PAGE


def test_the_instruments_that_catch_the_lessons_kl_are_those_of_the_museum():
    (marks,) = re.findall(r"\]\(#log-σ-where-the-log-of-the-variance-belongs\) \| (.*) \|$", MUSEUM, re.M)
    assert marks.split(" | ") == [
        "●",
        "●",
        "·",
        "●",
        "●",
        "●",
        "·",
    ]  # all but the gradient check and hostile conditions


def test_the_table_of_the_lessons_kl_holds_the_measured_numbers():
    assert f"| the right KL | {nats(RIGHT['spread of codes'])} | {nats(RIGHT[WIDE])} | |" in PAGE
    printed = " | ".join(nats(PRINTED[name]) for name in ("spread of codes", WIDE, OWN))
    assert f"| the KL as printed | {printed} |" in PAGE
    assert f"narrower by a factor of {RIGHT['spread of codes'] / PRINTED['spread of codes']:.2f}," in PAGE
    assert f"it loses {PRINTED[OWN] - PRINTED[WIDE]:.1f} nats more" in PAGE


def test_the_codes_of_the_lessons_kl_are_narrower_by_about_root_two():
    assert RIGHT["spread of codes"] / PRINTED["spread of codes"] == pytest.approx(np.sqrt(2), rel=0.05)


def test_the_distances_of_samples_are_the_measured_ones():
    right, wide, cured = (nats(one["distance to the nearest training image"]) for one in SAMPLES.values())
    assert f"{right} with the right KL, {wide} with the printed one, {cured} once that is cured" in PAGE
    assert right < cured < wide


def test_the_script_trains_with_the_formula_as_printed(rng):
    as_printed, shape = SCRIPT["as_printed"], (3, 2)
    mu, logvar = rng.standard_normal((2, *shape))
    sigma = np.exp(logvar / 2)
    assert as_printed(mu, logvar)[0] == pytest.approx((sigma**2 + mu**2 - np.log(sigma) - 1).sum() / 3)
    sn.check_gradients(as_printed, mu, logvar, rng=rng)
