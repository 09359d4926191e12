"""demos/compressing.py: its bits are those of a code that can be read again, its errors those of the decoded images."""

import csv
import json
import runpy
import zlib
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, few_digits, interrupted, run

pytestmark = pytest.mark.slow

FILES = {"rates.png", "images.png", "points.csv", "metrics.json"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict]:
    """The folder, the printed text and the results of one quick run."""
    out = tmp_path_factory.mktemp("compressing")
    text = run("compressing", "--quick", "--out", str(out)).stdout
    return out, text, json.loads((out / "metrics.json").read_text("utf-8"))["results"]


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    """The images that a quick run learns from, without those it validates on, and its test images."""
    return sn.data.mnist("train")[0][:5500].astype(np.float64), sn.data.mnist("test")[0][:1000].astype(np.float64)


@pytest.fixture(scope="module")
def demo() -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "demos")
        return runpy.run_path(str(ROOT / "demos" / "compressing.py")) | runpy.run_path(
            str(ROOT / "demos" / "lib" / "codec.py")
        )


def points(out: Path, family: str) -> list[dict[str, float]]:
    """The rows of points.csv that belong to one family."""
    with (out / "points.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["code"] == family]
    return [{name: float(value) for name, value in row.items() if name != "code"} for row in rows]


def neighbours(rows: list[dict[str, float]], rate: float) -> tuple[dict[str, float], dict[str, float]]:
    """The points next above and next below a rate; they lie in falling order."""
    at = next(i for i, row in enumerate(rows) if row["bits/pixel"] < rate)
    return rows[at - 1], rows[at]


def bits_per_image(training: np.ndarray, symbols: np.ndarray) -> float:
    """−log₂ of each symbol's share in training, ½ added to every count of the range, a number of the code at a time."""
    total = 0.0
    for seen, sent in zip(training.T, symbols.T, strict=True):
        alphabet = np.arange(seen.min(), seen.max() + 1)
        counts = (seen == alphabet[:, None]).sum(axis=1) + 0.5
        total -= sum(np.log2(counts[alphabet == one][0] / counts.sum()) for one in sent)
    return total / len(symbols)


def test_the_compressing_demo_writes_every_figure_every_network_and_its_numbers(quick):
    assert {path.name for path in quick[0].iterdir()} == FILES | {"dense_8.npz", "convolutional_8.npz"}


def test_the_bits_and_the_error_of_a_dense_code_are_those_of_its_saved_network(quick, images):
    with np.load(quick[0] / "dense_8.npz") as arrays:
        W = {one: arrays[one].astype(np.float64) for one in arrays.files if one[-2:] in (".W", ".b")}

    def two_layers(part: str, x: np.ndarray) -> np.ndarray:
        h = np.maximum(x @ W[f"{part}.0.W"] + W[f"{part}.0.b"], 0)
        return h @ W[f"{part}.2.W"] + W[f"{part}.2.b"]

    def decode(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-two_layers("decoder", z)))

    x, x_test = images
    training, z = two_layers("encoder", x), two_layers("encoder", x_test)
    some, spread = training[:500], training.std(axis=0)
    moved = [((decode(some + move) - decode(some)) ** 2).sum(axis=1).mean() for move in np.diag(spread)]
    point = points(quick[0], "dense")[5]
    step = point["step"] * spread / np.sqrt(moved)
    symbols, sent = np.rint(training / step), np.rint(z / step)
    sent = np.clip(sent, symbols.min(axis=0), symbols.max(axis=0))
    assert point["bits/pixel"] == pytest.approx(bits_per_image(symbols, sent) / 784, rel=1e-3)
    assert point["squared error/pixel"] == pytest.approx(np.mean((decode(sent * step) - x_test) ** 2), rel=1e-3)


def test_the_bits_and_the_error_of_a_pca_code_are_those_of_a_svd(quick, images):
    x, x_test = images
    mean = x.mean(axis=0)
    V = np.linalg.svd(x - mean, full_matrices=False)[2][:400].T
    point = points(quick[0], "PCA")[6]
    symbols, sent = (np.rint((one - mean) @ V / point["step"]) for one in (x, x_test))
    sent = np.clip(sent, symbols.min(axis=0), symbols.max(axis=0))
    error = np.mean((np.clip(sent * point["step"] @ V.T + mean, 0, 1) - x_test) ** 2)
    assert point["squared error/pixel"] == pytest.approx(error, rel=1e-3)
    assert point["bits/pixel"] == pytest.approx(bits_per_image(symbols, sent) / 784, rel=1e-2)


def test_the_prices_of_symbols_worked_by_hand(demo):
    training = np.array([[-1.0], [-1.0], [1.0], [1.0], [1.0]])  # 0 lies between and never came: counts 2.5, 0.5, 3.5
    low, prices = demo["price_list"](training)
    symbols, bits = demo["charged"](np.array([[-1.0], [0.0], [1.0], [9.0]]), low, prices)
    assert symbols.tolist() == [[-1], [0], [1], [1]]  # 9 was never in reach: the nearest is sent
    np.testing.assert_allclose(bits, np.log2([6.5 / 2.5, 6.5 / 0.5, 6.5 / 3.5, 6.5 / 3.5]))


def test_the_prices_leave_room_for_every_symbol(demo, rng):
    _, prices = demo["price_list"](np.rint(3 * rng.standard_normal((100, 4))))
    for price in prices:
        assert np.sum(2.0**-price) == pytest.approx(1)  # Kraft: so a code of these lengths exists


def test_the_prices_do_not_look_at_what_is_sent(demo, rng):
    identity = demo["Codec"](np.array, np.array, np.rint(rng.standard_normal((50, 1))), np.ones(1), 0)
    send = identity.at(1.0)
    once, often = (send(np.full((count, 1), 1.0))[0] for count in (1, 1000))
    assert once == pytest.approx(often)
    assert once > 0


def test_what_a_mixture_of_two_choices_beats_is_left_out(demo):
    # the validation points are (1, 4), (2, 3.9) above the line to (3, 0), and (4, 1), worse and dearer
    rows = np.array([[0, 1, 4, 1.5, 5], [0, 2, 3.9, 2, 3], [0, 3, 0.5, 3, 1], [0, 4, 1, 4, 0]])
    rates, errors = demo["best_choices"]([rows], 9.0, 8.0)
    assert rates.tolist() == [0, 1.5, 3]
    assert errors.tolist() == [8, 5, 1]


def test_the_conclusion_names_the_best_code_of_each_rate(demo):
    flat = (np.array([0, 0.1]), np.array([0.1, 0.01]))
    long = (np.array([0, 0.3]), np.array([0.1, 0.0001]))
    said = demo["conclusion"]({"dense": flat, "PCA": long})
    # after 0.1 the flat one stays at 0.01 = 20 dB; the long one is at 0.3 · (0.1 − e)/0.0999 where its error is e, and
    # has passed it by 0.2 dB at e = 10^−2.02
    rate = 0.3 * (0.1 - 10**-2.02) / 0.0999
    assert said == f"The best digits at equal bits, to 0.2 dB: dense codes up to {rate:.2f} bits/pixel, PCA codes above"


def test_the_conclusion_does_not_count_a_tenth_of_a_decibel(demo):
    first = (np.array([0, 0.3]), np.array([0.1, 0.01]))
    second = (np.array([0, 0.1, 0.3]), np.array([0.1, 0.0702, 0.0098]))  # worse at 0.1, and at 0.3 better by 0.09 dB
    said = demo["conclusion"]({"dense": first, "PCA": second})
    assert said == "The best digits at equal bits, to 0.2 dB: dense codes at every rate"


def test_the_psnr_of_a_rate_lies_on_the_line_between_two_points(quick):
    above, below = ((p["bits/pixel"], p["squared error/pixel"]) for p in neighbours(points(quick[0], "PCA"), 0.2))
    error = below[1] + (above[1] - below[1]) * (0.2 - below[0]) / (above[0] - below[0])
    found = quick[2]["PCA, 0.2 bits/pixel"]
    assert found["unit"] == "dB"
    assert found["value"] == pytest.approx(10 * np.log10(1 / error), abs=0.02)


def test_the_lossless_rate_is_that_of_zlib_on_all_bytes(quick, images):
    pixels = (images[1] * 255).round().astype(np.uint8).tobytes()
    assert quick[2]["zlib, without loss"]["value"] == pytest.approx(8 * len(zlib.compress(pixels, 9)) / len(pixels))


def test_the_decoders_share_is_its_parameters_over_ten_thousand_images(quick):
    dense = 8 * 256 + 256 + 256 * 784 + 784
    assert quick[2]["dense, decoder"]["value"] == pytest.approx(32 * dense / 7_840_000)
    assert "not counted" in quick[2]["dense, decoder"]["unit"]
    assert quick[2]["PCA, decoder"]["value"] == pytest.approx(32 * (400 + 1) * 784 / 7_840_000)


@pytest.mark.slow
def test_ctrl_c_in_the_first_codec_keeps_what_was_reached(tmp_path):
    out, data = tmp_path / "out", few_digits(tmp_path)
    text = interrupted("compressing", "--out", str(out), "--data", data, "--epochs", "1000", once="epoch 2/1000")
    assert "Interrupted at dense, 8 numbers" in text
    assert json.loads((out / "metrics.json").read_text("utf-8"))["interrupted"] is True
    assert {path.name for path in out.iterdir()} == FILES | {"dense_8.npz", "checkpoint-dense-8.npz"}
