"""Chapters 06 and 09 say of convolutional networks what the demos found; their PyTorch columns are the demos'."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHAPTER_06, CHAPTER_09 = (
    re.sub(r"\s+", " ", (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    for name in ("06-convolution", "09-denoising")
)
FOUND = json.loads((ROOT / "docs" / "figures" / "convolutional.json").read_text(encoding="utf-8"))
RESULTS = {name: one["results"] for name, one in FOUND.items()}
EPOCHS = {name: one["test error by epoch, squared error/pixel"] for name, one in FOUND.items()}


@pytest.fixture
def demos(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict]:
    """The names in the scripts of both demos."""
    monkeypatch.syspath_prepend(ROOT / "demos")
    names = ("conv_autoencoder_mnist", "denoising_mnist")
    return {name: runpy.run_path(str(ROOT / "demos" / f"{name}.py")) for name in names}


@pytest.mark.parametrize("epoch", range(1, 7))
def test_the_table_of_autoencoders_holds_the_measured_numbers(demos, epoch):
    cells = []
    for name in ("udacity", "dl4g"):
        pytorch = demos["conv_autoencoder_mnist"]["NETWORKS"][name].pytorch
        known = epoch <= len(pytorch)
        cells += [f"{EPOCHS[name][epoch - 1]:.4f}", f"{pytorch[epoch - 1]:.4f}"] if known else ["", ""]
    assert re.sub(" +", " ", f"| {epoch} | {' | '.join(cells)} |") in CHAPTER_06


@pytest.mark.parametrize("epoch", range(1, 5))
def test_the_table_of_the_denoiser_holds_the_measured_numbers(demos, epoch):
    pytorch = demos["denoising_mnist"]["PYTORCH"][epoch - 1]
    assert f"| {epoch} | {EPOCHS['denoising'][epoch - 1]:.4f} | {pytorch:.4f} |" in CHAPTER_09


@pytest.mark.parametrize("level", ["0", "0.25", "0.5", "0.75", "1"])
def test_the_table_of_levels_holds_the_measured_numbers(level):
    methods = ("seen", "convolutional", "dense, 6 hidden", "dense, 1175 hidden")
    cells = (f"{RESULTS['denoising'][f'{method} at {level}']:.4f}" for method in methods)
    assert f"| {level} | {' | '.join(cells)} |" in CHAPTER_09


def test_what_06_says_of_the_error_at_the_end_is_what_was_found():
    udacity, dl4g = RESULTS["udacity"], RESULTS["dl4g"]
    assert f"published as 0.0083; here it is {udacity['training error']:.4f}" in CHAPTER_06
    assert f"{udacity['of these not always 0']:.0f} of {udacity['numbers in a code']:.0f} here" in CHAPTER_06
    assert f"The first {udacity['numbers in a code']:.0f} principal components" in CHAPTER_06
    assert f"leave {udacity['test error by PCA']:.4f}" in CHAPTER_06
    assert f"Ten components leave {dl4g['test error by PCA']:.4f}" in CHAPTER_06
    assert f"and dl4g's ten numbers {dl4g['test error']:.4f}" in CHAPTER_06
    assert 784 * 196 + 784 == 154_448  # the components and the mean
    assert 0.2 < udacity["test error by PCA"] / udacity["test error"] < 0.3  # about a quarter


def test_what_06_says_of_draws_is_what_was_found():
    dl4g, udacity = (RESULTS[name]["draws near digits"] for name in ("dl4g", "udacity"))
    assert f"dl4g's ten numbers {dl4g:.1f} % are near, from Udacity's 196 {udacity:.1f} %" in CHAPTER_06


def test_what_09_concludes_follows_from_its_numbers():
    left = RESULTS["denoising"]
    assert left["dense, 1175 hidden at 0.5"] < left["convolutional at 0.5"] < left["dense, 6 hidden at 0.5"]
    for name in ("convolutional", "dense, 1175 hidden"):
        assert all(left[f"{name} at {level}"] < left[f"seen at {level}"] for level in ("0.25", "0.75", "1"))
        assert left[f"{name} at 0"] > left["seen at 0"]


def test_after_no_epoch_is_the_error_more_than_an_eighth_above_that_of_pytorch(demos):
    networks = demos["conv_autoencoder_mnist"]["NETWORKS"]
    known = {name: networks[name].pytorch for name in networks} | {"denoising": demos["denoising_mnist"]["PYTORCH"]}
    for name, pytorch in known.items():
        assert all(ours < 9 / 8 * theirs for ours, theirs in zip(EPOCHS[name], pytorch, strict=False))
