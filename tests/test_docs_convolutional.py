"""Chapters 06 and 09 say of convolutional networks what the demos found; their PyTorch columns are the demos'."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

ROOT = Path(__file__).parent.parent
CHAPTER_06, CHAPTER_07, CHAPTER_09 = (
    re.sub(r"\s+", " ", (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    for name in ("06-convolution", "07-autoencoder", "09-denoising")
)
FOUND, LIVING, PAIRS = (
    json.loads((ROOT / "docs" / "figures" / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("convolutional", "living_channels", "beside_pytorch")
)
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


def test_the_table_of_pairs_holds_the_measured_numbers():
    for seed in PAIRS["here"]:
        for epoch, (here, there) in enumerate(zip(PAIRS["here"][seed], PAIRS["PyTorch"][seed], strict=True), 1):
            assert f"| {seed} | {epoch} | {here:.4f} | {there:.4f} |" in CHAPTER_09


def test_what_09_says_of_pairs_is_what_was_found(demos):
    rows = [
        (here, there)
        for seed in PAIRS["here"]
        for here, there in zip(PAIRS["here"][seed], PAIRS["PyTorch"][seed], strict=True)
    ]
    apart = max(abs(here - there) / there for here, there in rows)
    assert f"Two runs from one start differ by up to {100 * apart:.1f} %" in CHAPTER_09
    assert f"higher one in {sum(here > there for here, there in rows)} of {len(rows)} rows" in CHAPTER_09
    for epoch, words in ((1, "the first epoch"), (4, "the fourth")):
        of_pytorch = [errors[epoch - 1] for errors in PAIRS["PyTorch"].values()]
        of_pytorch.append(demos["denoising_mnist"]["PYTORCH"][epoch - 1])
        assert f"by {100 * (max(of_pytorch) / min(of_pytorch) - 1):.0f} % after {words}" in CHAPTER_09
    assert f"agree to {1e7 * PAIRS['apart in the first steps']:.0f} parts in ten million" in CHAPTER_09


@pytest.mark.parametrize("level", ["0", "0.25", "0.5", "0.75", "1"])
def test_the_table_of_levels_holds_the_measured_numbers(level):
    methods = ("seen", "convolutional", "dense, 6 hidden", "dense, 1175 hidden")
    cells = (f"{RESULTS['denoising'][f'{method} at {level}']:.4f}" for method in methods)
    assert f"| {level} | {' | '.join(cells)} |" in CHAPTER_09


def test_what_06_says_of_the_error_at_the_end_is_what_was_found():
    udacity, dl4g = RESULTS["udacity"], RESULTS["dl4g"]
    assert f"published as 0.0083; here it is {udacity['training error']:.4f}" in CHAPTER_06
    assert f"{udacity['of these not always 0']:.0f} of {udacity['numbers in a code']:.0f} here" in CHAPTER_06
    assert f"the first {udacity['numbers in a code']:.0f} principal components" in CHAPTER_06
    assert f"leave {udacity['test error by PCA']:.4f}" in CHAPTER_06
    assert f"Ten components leave {dl4g['test error by PCA']:.4f}" in CHAPTER_06
    assert f"and dl4g's ten numbers {dl4g['test error']:.4f}" in CHAPTER_06
    assert 784 * 196 + 784 == 154_448  # the components and the mean
    assert 0.25 < udacity["test error by PCA"] / udacity["test error"] < 1 / 3


def test_the_best_linear_code_of_a_block_leaves_what_07_says():
    left = LIVING["blocks, squared error/pixel"]
    assert f"four components leave {left['4']:.4f} per pixel, three {left['3']:.4f}, two {left['2']:.4f}" in CHAPTER_07


@pytest.mark.parametrize("start", ["demo", "PyTorch's", "layers' own"])
def test_the_table_of_starts_holds_what_was_found_after_one_epoch(start):
    runs = LIVING[start].values()
    living = sorted((run["living channels"][0] for run in runs), reverse=True)
    errors = [run["test error, squared error/pixel"][0] for run in runs]
    assert f"| {start} | {', '.join(map(str, living))} | {min(errors):.4f} to {max(errors):.4f} |" in CHAPTER_07


def test_from_the_start_of_the_demo_every_channel_lives_and_the_error_is_what_07_says():
    runs = LIVING["demo"].values()
    assert all(run["living channels"] == [4] * 6 for run in runs)
    errors = [f"{run['test error, squared error/pixel'][5]:.4f}" for run in runs]
    assert f"{', '.join(errors[:-1])} and {errors[-1]}" in CHAPTER_07


def test_an_error_can_be_as_high_as_07_says_while_all_channels_live():
    runs = [*LIVING["PyTorch's"].values(), *LIVING["layers' own"].values()]
    errors = [run["test error, squared error/pixel"][0] for run in runs if run["living channels"][0] == 4]
    assert f"{max(errors):.4f} was left with all four" in CHAPTER_07


def test_numbers_that_die_are_those_that_lighten():
    of_layers, of_mean = ([*LIVING[start].values()] for start in ("dense", "mean image"))
    lighten, dead, both = (sum(run[name] for run in of_layers) for name in ("lighten", "dead", "dead that lighten"))
    assert f"{lighten} of them lighten. After three epochs {dead} are dead, all of them among these" in CHAPTER_07
    assert both == dead
    assert f"{sum(run['dead'] for run in of_mean)} of the 64 die" in CHAPTER_07


def test_the_starts_that_are_compared_are_as_wide_as_is_said():
    script = runpy.run_path(str(ROOT / "docs" / "figures" / "living_channels.py"))
    rng = np.random.default_rng(0)
    for start, bounds in (("layers' own", (3, 12, 2, 4)), ("PyTorch's", (3, 12, 8, 2))):
        down = [sn.Conv2D(1, 16, 3, rng=rng), sn.Conv2D(16, 4, 3, rng=rng)]
        up = [sn.ConvTranspose2D(4, 16, 2, stride=2, rng=rng), sn.ConvTranspose2D(16, 1, 2, stride=2, rng=rng)]
        script["STARTS"][start][0](sn.Autoencoder(sn.Sequential(*down), sn.Sequential(*up)), rng)
        for layer, bound in zip((*down, *up), bounds, strict=True):
            assert 0.9 / bound < np.abs(layer.W).max() <= 1 / bound
            assert layer.b.any() == (start == "PyTorch's")


def test_what_06_says_of_draws_is_what_was_found():
    dl4g, udacity = (RESULTS[name]["draws near digits"] for name in ("dl4g", "udacity"))
    assert f"from dl4g's code, {dl4g:.1f} % are near. From Udacity's code, {udacity:.1f} % are" in CHAPTER_06


def test_what_09_concludes_follows_from_its_numbers():
    left = RESULTS["denoising"]
    assert left["dense, 1175 hidden at 0.5"] < left["convolutional at 0.5"] < left["dense, 6 hidden at 0.5"]
    for name in ("convolutional", "dense, 1175 hidden"):
        assert all(left[f"{name} at {level}"] < left[f"seen at {level}"] for level in ("0.25", "0.75", "1"))
        assert left[f"{name} at 0"] > left["seen at 0"]


def test_what_09_says_of_super_resolution_is_what_was_found():
    found = RESULTS["super-resolution"]
    bicubic, network = found["PSNR, bicubic"], found["PSNR, network"]
    assert f"PSNR of {bicubic:.1f} dB, and the convolutional network {network:.1f} dB after two epochs" in CHAPTER_09
    assert len(EPOCHS["super-resolution"]) == 2
    assert network > bicubic


def test_after_no_epoch_is_the_error_more_than_an_eighth_above_that_of_pytorch(demos):
    networks = demos["conv_autoencoder_mnist"]["NETWORKS"]
    known = {name: networks[name].pytorch for name in networks} | {"denoising": demos["denoising_mnist"]["PYTORCH"]}
    for name, pytorch in known.items():
        assert all(ours < 9 / 8 * theirs for ours, theirs in zip(EPOCHS[name], pytorch, strict=False))
