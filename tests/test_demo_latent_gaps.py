"""demos/latent_gaps.py: its numbers are those of the networks that it leaves, and its judge is what it says."""

import itertools
import json
import math
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, few_digits, interrupted, run

pytestmark = pytest.mark.slow

TWENTY, PLANE = {"draws_20", "walks"}, {"codes", "draws", "planes", "lengths", "circles"}
NETWORKS = {  # numbers in a code, and β
    "autoencoder, 20": (20, None),
    "VAE, 20": (20, 1.0),
    "autoencoder": (2, None),
    "no KL": (2, 0.0),
    "KL alone": (2, 1e6),
    "both": (2, 1.0),
}


@pytest.fixture(scope="module")
def quick_gaps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, str]:
    """The folder, the results and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("latent_gaps")
    text = run("latent_gaps", "--quick", "--hidden", "64", "--out", str(out)).stdout
    return out, json.loads((out / "metrics.json").read_text("utf-8"))["results"], text


def module(name: str) -> SimpleNamespace:
    """What a module of demos/lib defines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "demos")
        return SimpleNamespace(**runpy.run_path(str(ROOT / "demos" / "lib" / f"{name}.py")))


@pytest.fixture(scope="module")
def coding() -> SimpleNamespace:
    """What the module of codes defines."""
    return module("codes")


@pytest.fixture(scope="module")
def walking() -> SimpleNamespace:
    """What the module of walks defines."""
    return module("walks")


@pytest.fixture(scope="module")
def judging() -> SimpleNamespace:
    """What the judge's module defines."""
    return module("judge")


@pytest.fixture(scope="module")
def test_images() -> tuple[np.ndarray, np.ndarray]:
    """The images and labels that a quick run tests on."""
    x, labels = sn.data.mnist("test")
    return x[:1000], labels[:1000]


def stack(*widths: int) -> sn.Sequential:
    layers: list[sn.Layer] = []
    for a, b in itertools.pairwise(widths):
        layers += [sn.Dense(a, b, rng=np.random.default_rng(0)), sn.ReLU()]
    return sn.Sequential(*layers[:-1])


def file_of(name: str) -> str:
    return f"{name.replace(', ', '_').replace(' ', '_')}.npz"


def saved(out: Path, name: str) -> Any:
    """A network as the run left it."""
    L, beta = NETWORKS[name]
    decoder = stack(L, 64, 64, 784)
    if beta is None:
        model = sn.Autoencoder(stack(784, 64, 64, L), decoder, loss=sn.bce_with_logits)
    else:
        model = sn.VAE(stack(784, 64, 64, 2 * L), decoder, beta=beta)
    sn.load(out / file_of(name), model)
    return model


def test_the_demo_of_gaps_writes_every_figure_every_network_and_its_numbers(quick_gaps):
    models = {"judge.npz", *map(file_of, NETWORKS)}
    expected = {f"{name}.png" for name in TWENTY | PLANE} | models | {"metrics.json"}
    assert {path.name for path in quick_gaps[0].iterdir()} == expected


def test_the_reconstruction_of_the_autoencoder_is_that_of_the_saved_network(quick_gaps, test_images):
    out, results, _ = quick_gaps
    x, _ = test_images
    model = saved(out, "autoencoder")
    expected = sn.bce_with_logits(model.decoder.forward(model.encode(x))[0], x)[0]
    assert results["autoencoder: test reconstruction"]["value"] == pytest.approx(expected, rel=1e-5)


def test_the_distances_of_the_autoencoders_codes_are_those_of_the_saved_network(quick_gaps, test_images):
    out, results, _ = quick_gaps
    x, labels = test_images
    z = saved(out, "autoencoder").encode(x).astype(np.float64)
    centres = np.array([z[labels == digit].mean(axis=0) for digit in range(10)])
    apart = np.sqrt(((centres[:, None] - centres) ** 2).sum(axis=2)).sum() / 90  # 45 pairs, each twice
    spread = math.sqrt(((z - centres[labels]) ** 2).sum() / len(z))
    assert results["autoencoder: between digits' centres"]["value"] == pytest.approx(apart, rel=1e-4)
    assert results["autoencoder: over the spread of a digit"]["value"] == pytest.approx(apart / spread, rel=1e-4)


@pytest.mark.parametrize("name", ["autoencoder, 20", "autoencoder"])
def test_the_length_of_a_code_is_that_of_the_saved_network(quick_gaps, test_images, name):
    out, results, _ = quick_gaps
    length = np.sqrt((saved(out, name).encode(test_images[0]).astype(np.float64) ** 2).sum(axis=1))
    assert results[f"{name}: length of a code"]["value"] == pytest.approx(np.median(length), rel=1e-4)


def test_the_fade_that_is_judged_is_the_mean_of_two_images_of_different_digits(
    walking, quick_gaps, judging, test_images
):
    out, results, _ = quick_gaps
    x, labels = test_images
    judge = judging.Judge(stack(784, 64, 64, 10))
    sn.load(out / "judge.npz", judge)
    judge.calibrate(x)
    pairs = walking.pairs_of_digits(labels, np.random.default_rng(0))
    assert np.all(labels[pairs[:, 0]] != labels[pairs[:, 1]])
    share = 100 * judge.passes((x[pairs[:, 0]] + x[pairs[:, 1]]) / 2).mean()
    assert results["fade: digit-like"]["value"] == pytest.approx(share)


def test_a_straight_walk_has_its_middle_in_the_mean(walking, rng):
    x = rng.standard_normal((4, 3))
    walk = walking.straight(x, np.array([[0, 2]]))[0]
    np.testing.assert_allclose(walk[[0, walking.STEPS // 2, -1]], [x[0], (x[0] + x[2]) / 2, x[2]])


def test_a_walk_on_a_sphere_keeps_the_length_and_ends_where_it_should(walking, rng):
    x = rng.standard_normal((2, 20))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    walk = walking.on_a_sphere(x, np.array([[0, 1]]))[0]
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 1)
    np.testing.assert_allclose(walk[[0, -1]], x, atol=1e-12)


def test_hard_pairs_share_no_digit_and_the_first_is_the_farthest_apart(walking, test_images):
    x, labels = test_images
    first, second = walking.hard_pairs(x, labels, 2)
    assert len({*labels[first], *labels[second]}) == 4
    shown = [np.flatnonzero(labels == digit)[0] for digit in range(10)]
    farthest = max(np.linalg.norm(x[a] - x[b]) for a, b in itertools.combinations(shown, 2))
    assert np.linalg.norm(x[first[0]] - x[first[1]]) == pytest.approx(farthest)


@pytest.mark.parametrize("name", ["no KL", "KL alone", "both"])
def test_the_median_deviation_and_the_divergence_are_those_of_the_saved_network(quick_gaps, test_images, name):
    out, results, _ = quick_gaps
    mu, logvar = saved(out, name).encode(test_images[0])
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1).astype(np.float64).sum(axis=1).mean()
    assert results[f"{name}: median σ"]["value"] == pytest.approx(np.median(np.exp(logvar / 2)), rel=1e-5)
    assert results[f"{name}: test KL"]["value"] == pytest.approx(kl, rel=1e-4, abs=1e-6)


def test_the_autoencoder_has_no_deviation(quick_gaps):
    assert "autoencoder: median σ" not in quick_gaps[1]


def test_the_codes_of_the_kl_alone_are_a_ball_without_order(quick_gaps):
    _, results, _ = quick_gaps
    assert results["KL alone: test KL"]["value"] < 0.05
    assert results["KL alone: median σ"]["value"] == pytest.approx(1, abs=0.05)
    assert abs(results["KL alone: information in z"]["value"]) < 0.05
    assert results["KL alone: over the spread of a digit"]["value"] < 0.3


def test_the_judge_passes_the_share_of_real_digits_that_it_is_calibrated_for(quick_gaps, judging, test_images):
    out, results, _ = quick_gaps
    x, labels = test_images
    judge = judging.Judge(stack(784, 64, 64, 10))
    sn.load(out / "judge.npz", judge)
    judge.calibrate(x)
    logits, _ = judge.network.forward(x)
    named = 100 * np.mean(logits.argmax(axis=1) == labels)
    assert np.mean(judge.passes(x)) == pytest.approx(0.95, abs=1e-3)
    assert results["judge names the digit"]["value"] == pytest.approx(named)
    rebuilt = saved(out, "autoencoder").reconstruct(x)
    expected = 100 * np.mean(judge.passes(rebuilt))
    assert results["autoencoder: digit-like if rebuilt"]["value"] == pytest.approx(expected, abs=0.11)  # one image


def test_the_judge_has_the_gradient_of_its_loss(judging, rng):
    judge = judging.Judge(sn.Sequential(sn.Dense(16, 10, rng=rng, dtype=np.float64)))
    batch = rng.random((4, 16)), np.array([0, 3, 3, 9])

    def loss(W):
        judge.network.layers[0].W[...] = W
        judge.parameters.zero_grad()
        found = judge.loss(batch, np.random.default_rng(1))
        found.backward()
        return found.value, judge.network.layers[0].dW.copy()

    sn.check_gradients(loss, rng.standard_normal((16, 10)), rng=rng)


def test_the_judge_is_told_that_half_of_what_it_sees_is_no_digit(judging, rng):
    judge = judging.Judge(sn.Sequential(sn.Dense(16, 10, rng=rng, dtype=np.float64)))
    judge.network.layers[0].W[...], judge.network.layers[0].b[...] = 0, 5  # sure of every digit, whatever it sees
    batch = rng.random((4, 16)), np.array([0, 3, 3, 9])
    # ten times log(1 + e⁵) for each image, less 5 where one of the ten is right
    expected = 10 * math.log1p(math.exp(5)) - 5 / 2
    assert judge.loss(batch, rng).value == pytest.approx(expected)


def test_a_torn_image_has_the_pieces_of_the_image_in_another_order(judging, rng):
    x = rng.random((3, 64))  # 8 × 8: pieces of 2 × 2
    found = judging.torn(x, rng)

    def pieces(image: np.ndarray) -> set:
        side = image.reshape(8, 8)
        return {tuple(side[i : i + 2, j : j + 2].ravel()) for i in range(0, 8, 2) for j in range(0, 8, 2)}

    assert all(pieces(a) == pieces(b) for a, b in zip(found, x, strict=True))
    assert not np.array_equal(found, x)


def test_kinds_counts_equally_frequent_digits(judging):
    judge = judging.Judge(stack(784, 10))
    layer = judge.network.layers[0]
    layer.W[...] = 0
    layer.W[range(10), range(10)] = 20  # pixel k says digit k
    layer.b[...] = -10
    images = np.eye(784, dtype=np.float32)
    assert judge.kinds(images[[2, 2, 5, 5, 300]]) == pytest.approx(2)  # the last is none
    assert judge.kinds(images[[1, 1, 1, 4]]) == pytest.approx(4 / 3**0.75)  # e^H, H = −¾ log ¾ − ¼ log ¼
    assert judge.kinds(images[[300]]) == 0


def test_the_information_in_codes_of_two_images(coding, rng):
    n = 500
    mu = np.repeat([[-1.0, 0.0], [1.0, 0.0]], n, axis=0)
    far, near, same = (
        coding.information(c * mu + rng.standard_normal(mu.shape), c * mu, np.zeros_like(mu)) for c in (100, 1, 0)
    )
    assert far == pytest.approx(math.log(2))
    assert same == pytest.approx(0, abs=1e-12)
    line, step = np.linspace(-12, 12, 10_001, retstep=True)
    density = (np.exp(-0.5 * (line - 1) ** 2) + np.exp(-0.5 * (line + 1) ** 2)) / math.sqrt(8 * math.pi)
    entropy = -(density * np.log(density)).sum() * step
    assert near == pytest.approx(entropy - 0.5 * math.log(2 * math.pi * math.e), abs=0.06)  # h(z) − h(z|x)


def test_the_information_in_codes_of_two_images_that_differ_in_sharpness_alone(coding, rng):
    sigma = np.repeat([[1.0, 1.0], [10.0, 1.0]], 500, axis=0)
    found = coding.information(sigma * rng.standard_normal(sigma.shape), np.zeros_like(sigma), 2 * np.log(sigma))
    line, step = np.linspace(-80, 80, 20_001, retstep=True)
    each = [np.exp(-0.5 * (line / s) ** 2) / (s * math.sqrt(2 * math.pi)) for s in (1, 10)]
    mean = (each[0] + each[1]) / 2
    expected = np.mean([(one * np.log((one + 1e-300) / mean)).sum() * step for one in each])
    assert found == pytest.approx(expected, abs=0.06)


def test_a_distance_is_that_to_the_nearest_known_code(coding, rng):
    known, places = rng.standard_normal((50, 2)), rng.standard_normal((20, 2))
    expected = [min(math.dist(place, code) for code in known) for place in places]
    np.testing.assert_allclose(coding.Space.distance(SimpleNamespace(known=known), places), expected, atol=1e-7)


def test_the_demo_of_gaps_says_that_a_quick_run_is_not_the_one_described(quick_gaps):
    assert "(changed: quick, epochs, hidden)" in quick_gaps[2]


@pytest.mark.slow
def test_ctrl_c_in_the_first_network_keeps_what_was_reached(tmp_path):
    out, data = tmp_path / "out", few_digits(tmp_path)
    arguments = ("--out", str(out), "--data", data, "--hidden", "16", "--epochs", "1000")
    text = interrupted("latent_gaps", *arguments, once="epoch 2/1000")
    assert "Interrupted at autoencoder, 20:" in text
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics["interrupted"] is True
    assert "autoencoder, 20: N(0, I): digit-like" in metrics["results"]
    assert "both: N(0, I): digit-like" not in metrics["results"]
    assert {path.stem for path in out.glob("*.png")} == TWENTY
