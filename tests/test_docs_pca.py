"""Chapter 08 keeps its word: its numbers are those of its script, and PCA is done again by another way."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

DOCS = Path(__file__).parent.parent / "docs"
PAGE = re.sub(r"\s+", " ", (DOCS / "08-pca.md").read_text(encoding="utf-8"))
MEASURED = json.loads((DOCS / "figures" / "pca.json").read_text(encoding="utf-8"))
PCA = MEASURED["PCA, squared error/pixel"]
AUTOENCODER, VAE = MEASURED["linear autoencoder of 10"], MEASURED["linear VAE of 10"]
PUBLISHED = {"2": 0.055669, "10": 0.034074, "20": 0.023538, "30": 0.017687, "32": 0.016828}


@pytest.mark.parametrize("size", PCA)
def test_the_table_holds_the_measured_errors(size):
    name = "0 (the mean image)" if size == "0" else size
    assert f"| {name} | {PCA[size]['train']:.6f} | {PCA[size]['test']:.6f} |" in PAGE


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_errors_of_pca_are_the_published_ones(size):
    assert PCA[size]["test"] == pytest.approx(PUBLISHED[size], abs=1e-6)


def test_thirty_components_cost_what_hinton_and_salakhutdinov_report():
    assert round(784 * PCA["30"]["test"], 2) == 13.87


def test_half_of_the_variance_is_in_as_many_directions_as_the_page_says():
    count = MEASURED["components that leave less than half of the variance"]
    assert f"{count} directions hold half of the variance" in PAGE
    assert PCA["10"]["test"] > PCA["0"]["test"] / 2 > PCA["20"]["test"]


def test_with_32_components_a_quarter_of_the_variance_is_missing():
    assert PCA["32"]["test"] / PCA["0"]["test"] == pytest.approx(0.25, abs=0.005)


def test_the_errors_can_be_had_again_by_singular_values():
    x, x_test = sn.data.mnist("train")[0][:2000].astype(np.float64), sn.data.mnist("test")[0]
    mean = x.mean(axis=0)
    V = np.linalg.svd(x - mean, full_matrices=False)[2].T
    x_test = x_test - mean
    for size, published in PUBLISHED.items():
        rest = x_test - x_test @ V[:, : int(size)] @ V[:, : int(size)].T
        assert np.mean(rest**2) == pytest.approx(published, rel=0.05)  # the directions of 2,000 images, not of 60,000


def test_the_linear_autoencoder_of_the_page_is_the_measured_one():
    assert f"Its test error is {AUTOENCODER['test squared error/pixel']:.6f} per pixel" in PAGE
    assert f"where PCA has {PCA['10']['test']:.6f}" in PAGE
    assert f"overlaps that of the components by {AUTOENCODER['share of the subspace']:.2%}.".replace("%", " %") in PAGE
    assert f"nearest component is {AUTOENCODER['mean largest cosine to a component']:.2f} on average" in PAGE


def test_the_linear_autoencoder_has_the_space_and_not_the_axes():
    assert AUTOENCODER["share of the subspace"] > 0.99
    assert AUTOENCODER["mean largest cosine to a component"] < 0.8
    assert PCA["10"]["test"] < AUTOENCODER["test squared error/pixel"] < 1.001 * PCA["10"]["test"]


def test_the_linear_vae_of_the_page_is_the_measured_one():
    lost, random = (VAE[f"ELBO lost by {axes}, nats/image"] for axes in ("its axes", "axes turned at random"))
    share = f"{VAE['share of the subspace']:.3%}".replace("%", " %")
    assert f"turned at random cost {random:.3f} nats per image" in PAGE
    overlap = f"its subspace overlaps that of the components by {share}, its axes still cost {lost:.3f} nats"
    assert f"After {MEASURED['epochs']['linear VAE']} epochs {overlap}" in PAGE
    assert f"the mean cosine is {VAE['mean largest cosine to a component']:.2f}." in PAGE


def test_the_linear_vae_is_nearer_to_the_axes_than_the_autoencoder():
    assert VAE["mean largest cosine to a component"] > AUTOENCODER["mean largest cosine to a component"] + 0.1
    assert VAE["ELBO lost by its axes, nats/image"] < VAE["ELBO lost by axes turned at random, nats/image"] / 5
