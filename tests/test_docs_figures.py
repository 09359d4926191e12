"""Chapters keep their word: their numbers are those of their scripts, and 14's table has every mistake tried."""

import inspect
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.gradcheck import causes

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "14-checking-gradients.md").read_text(encoding="utf-8")
MEASURED = json.loads((DOCS / "figures" / "gradient_check.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(DOCS / "figures" / "gradient_check.py"))
CAUSE_ROWS = re.findall(r"^\| `(\w+)` \|.*\| (`.*`) \|$", PAGE, re.M)
CONDUCT_ROWS = re.findall(r"^\| (?:forward|backward) .*\| (`.*`) \|$", PAGE, re.M)
CAUSES = set(re.findall(r'yield "(\w+)"', inspect.getsource(causes)))
CODE = "".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S))


# ---- the README's picture

FRONT = json.loads((DOCS / "figures" / "front.json").read_text(encoding="utf-8"))
FRONT_SCRIPT = runpy.run_path(str(DOCS / "figures" / "front.py"))


def test_the_picture_was_drawn_with_the_settings_of_its_script():
    assert FRONT["seed"] == FRONT_SCRIPT["SEED"]
    for latent, epochs in FRONT_SCRIPT["EPOCHS"].items():
        assert FRONT[f"codes of {latent} numbers"]["epochs"] == epochs


def test_the_networks_of_the_picture_were_trained_well():
    twenty, two = (FRONT[f"codes of {latent} numbers"]["test ELBO, nats/image"] for latent in FRONT_SCRIPT["EPOCHS"])
    assert -107 < twenty < -104
    assert -150 < two < -140


def test_the_picture_tells_the_digits_apart_by_colour_and_by_name(rng):
    vaes = [FRONT_SCRIPT["build"](latent, rng) for latent in FRONT_SCRIPT["EPOCHS"]]
    figure = FRONT_SCRIPT["draw"](*vaes, rng.random((200, 784), np.float32), np.arange(200) % 10, rng)
    plane = figure.subfigs[1].axes[0]
    assert [text.get_text() for text in plane.texts] == list("0123456789")
    assert len({text.get_color() for text in plane.texts}) == 10
    assert [len(axes.images) for axes in figure.subfigs[0].axes] == [1, 1, 1]


# ---- 06, convolution

COPIES_PAGE = (DOCS / "06-convolution.md").read_text(encoding="utf-8")
COPIES = json.loads((DOCS / "figures" / "chequerboard.json").read_text(encoding="utf-8"))
COPIES_SCRIPT = runpy.run_path(str(DOCS / "figures" / "chequerboard.py"))
COPIES_ROWS = [(kernel, number, row) for kernel, rows in COPIES["kernels"].items() for number, row in rows.items()]


@pytest.mark.parametrize(("kernel", "number", "row"), COPIES_ROWS)
def test_the_table_of_copies_holds_the_measured_numbers(kernel, number, row):
    share = f"{row['share of inner pixels']:.0%}".replace("%", " %")
    assert f"| {kernel} × {kernel} | {number} | {share} | {row['derived']:.3f} | {row['measured']:.3f} |" in COPIES_PAGE


@pytest.mark.parametrize(("kernel", "number", "row"), COPIES_ROWS)
def test_the_mean_square_of_a_pixel_is_in_proportion_to_its_copies(kernel, number, row):
    assert row["measured"] == pytest.approx(row["derived"], rel=0.05)


def test_the_script_of_the_chequerboard_still_finds_what_it_found():
    found = COPIES_SCRIPT["measure"](COPIES["seed"])["kernels"]
    for kernel, number, row in COPIES_ROWS:
        assert found[kernel][number] == pytest.approx(row)


def test_the_settings_of_the_chequerboard_are_those_that_the_page_names():
    layers, channels, stride = (COPIES_SCRIPT[name] for name in ("LAYERS", "C", "STRIDE"))
    text = re.sub(r"\s+", " ", COPIES_PAGE)
    assert f"stride {stride} at random" in text
    assert f"over {layers} layers of {channels} channels" in text


# ---- 07, the autoencoder

AUTOENCODER_PAGE = (DOCS / "07-autoencoder.md").read_text(encoding="utf-8")
AUTOENCODERS = json.loads((DOCS / "figures" / "autoencoders.json").read_text(encoding="utf-8"))
FOUND_BY_AUTOENCODERS, FOUND_BY_CODECS = (
    {name: one["value"] for name, one in AUTOENCODERS[demo]["results"].items()}
    for demo in ("autoencoder_mnist", "compressing")
)


@pytest.mark.parametrize(
    ("row", "name"),
    {
        "32 numbers, PCA": "32, PCA",
        "32 numbers, matrix factorisation": "32, matrix factorisation",
        "784-32-784, small start": "32, small start",
        "784-32-784, by squared error": "32, by squared error",
        "784-32-784, by cross-entropy": "32, by cross-entropy",
        "30 numbers, PCA": "30, PCA",
        "784-30-784, linear": "30, linear",
        "784-1000-30-1000-784": "30, shallow",
        "784-1000-500-250-30 and back": "30, deep",
    }.items(),
)
def test_the_table_of_autoencoders_holds_the_measured_numbers(row, name):
    error = FOUND_BY_AUTOENCODERS[name]
    assert f"| {row} | {error:.4f} | {784 * error:.2f} |" in AUTOENCODER_PAGE


@pytest.mark.parametrize("loss", ["squared error", "cross-entropy"])
def test_the_table_of_losses_holds_the_measured_numbers(loss):
    error, nats, black = (
        FOUND_BY_AUTOENCODERS[f"32, by {loss}{what}"] for what in ("", ", cross-entropy", ", black pixels")
    )
    assert f"| {loss} | {error:.4f} | {nats:.2f} | {black:.4f} |" in AUTOENCODER_PAGE


def test_each_of_the_losses_is_better_by_its_own_measure():
    found, a, b = FOUND_BY_AUTOENCODERS, "32, by squared error", "32, by cross-entropy"
    assert found[a] < found[b]
    assert found[f"{b}, cross-entropy"] < found[f"{a}, cross-entropy"]


def test_matrix_factorisation_pays_for_adding_only_what_08_says():
    text = re.sub(r"\s+", " ", (DOCS / "08-pca.md").read_text(encoding="utf-8"))
    pca, parts = (FOUND_BY_AUTOENCODERS[f"32, {name}"] for name in ("PCA", "matrix factorisation"))
    assert f"32 components leave {pca:.4f} and 32 parts {parts:.4f}" in text
    assert pca < parts


def test_what_is_said_of_the_autoencoders_was_measured():
    text, found = re.sub(r"\s+", " ", AUTOENCODER_PAGE), FOUND_BY_AUTOENCODERS
    assert f": {found['32, small start, dead']:.0f} of its 32 numbers end up zero" in text
    assert found["32, by squared error, dead"] == found["32, by cross-entropy, dead"] == 0
    epochs, deep_epochs = (AUTOENCODERS["autoencoder_mnist"]["arguments"][name] for name in ("epochs", "deep_epochs"))
    assert f"the last of {epochs} epochs is {found['32, training images']:.4f}, by squared error." in text
    assert f"in the {deep_epochs} epochs of this run" in text


def test_the_autoencoders_come_where_the_page_says():
    found = FOUND_BY_AUTOENCODERS
    assert found["30, PCA"] < found["30, linear"] < 1.01 * found["30, PCA"]
    assert found["30, shallow"] == pytest.approx(found["30, deep"], rel=0.03)
    assert found["32, by squared error"] < 0.0127
    assert 784 * found["30, deep"] < 4.875  # PyTorch, after 40 epochs


@pytest.mark.parametrize("rate", ["0.05", "0.1", "0.2", "0.4"])
def test_the_table_of_codecs_holds_the_measured_numbers(rate):
    numbers = [FOUND_BY_CODECS[f"{family}, {rate} bits/pixel"] for family in ("PCA", "dense", "convolutional")]
    assert f"| {rate} | {' | '.join(f'{number:.1f}' for number in numbers)} |" in AUTOENCODER_PAGE


def test_what_is_said_of_the_codecs_was_measured():
    text, found = re.sub(r"\s+", " ", AUTOENCODER_PAGE), FOUND_BY_CODECS
    shares = [f"{found[f'{family}, decoder']:.2f}" for family in ("PCA", "dense", "convolutional")]
    assert f"would add {shares[0]}, {shares[1]} and {shares[2]} bits per pixel" in text
    assert f"zlib takes {found['zlib, without loss']:.2f} without loss" in text


# ---- 14, checking gradients


@pytest.mark.parametrize("method", MEASURED["slopes"])
def test_the_table_of_steps_holds_the_measured_numbers(method):
    measured = MEASURED["slopes"][method]["measured"]
    derived = MEASURED["slopes"][method].get("derived")
    step, error = (f"{derived[one]:.0e}" for one in ("step", "error")) if derived else ("any", "rounding alone")
    assert f"| {method} | {step} | {measured['step']:.0e} | {error} | {measured['error']:.0e} |" in PAGE


def test_the_size_of_the_loss_and_of_its_slopes_is_the_measured_one():
    loss, slope = MEASURED["loss in nats"], MEASURED["largest slope in nats"]
    assert f"{loss:.2f} nats with slopes up to {slope:.3f}" in re.sub(r"\s+", " ", PAGE)


def test_the_printed_report_is_the_measured_one():
    assert "\n".join(MEASURED["reports"]["Dense(6, 5)"]) in PAGE


def test_the_right_gradients_of_the_page_are_off_by_less_than_it_says():
    errors = re.findall(r"(\de-\d\d) \(h", " ".join(line for report in MEASURED["reports"].values() for line in report))
    assert len(errors) == 9
    assert max(map(float, errors)) < 1e-8


@pytest.mark.parametrize("method", ["one-sided", "central", "central, float32"])
def test_what_was_measured_is_what_was_derived_within_a_factor_of_four(method):
    measured, derived = (MEASURED["slopes"][method][one] for one in ("measured", "derived"))
    assert 1 / 4 < measured["step"] / derived["step"] < 4
    assert 1 / 4 < measured["error"] / derived["error"] < 4


def test_the_script_still_finds_what_it_found():
    found = SCRIPT["measure"](MEASURED["seed"])
    for method, then in MEASURED["slopes"].items():
        now = found["slopes"][method]["measured"]["error"]
        assert 1 / 5 < now / then["measured"]["error"] < 5  # rounding differs from machine to machine
    for name, report in MEASURED["reports"].items():
        without_errors = [re.sub(r"\de-\d\d", "", line) for line in report]
        assert [re.sub(r"\de-\d\d", "", line) for line in found["reports"][name]] == without_errors


def test_the_numbers_that_the_check_works_with_are_those_that_the_page_names():
    options = inspect.signature(sn.check_gradients).parameters
    text = re.sub(r"\s+", " ", PAGE)
    assert f"up to {options['coordinates'].default} numbers" in text
    assert f"{options['directions'].default} random directions of length 1" in text
    assert f"must agree to $10^{{{round(np.log10(options['tolerance'].default))}}}$" in text


def test_the_table_of_mistakes_has_every_cause_that_is_tried():
    assert {name for name, _ in CAUSE_ROWS} == CAUSES


@pytest.mark.parametrize(
    "message",
    [one for row in [*(told for _, told in CAUSE_ROWS), *CONDUCT_ROWS] for one in re.findall(r"`(.+?)`", row)],
)
def test_each_message_of_the_tables_is_produced_on_the_page(message):
    assert f'"{message}"' in CODE


def test_both_tables_are_found():
    assert len(CAUSE_ROWS) > len(CAUSES)  # a factor has two rows
    assert len(CONDUCT_ROWS) == 5


# ---- chapters 01 and 02, and in 12 what is fitted to two humps

PROBABILITY = (DOCS / "01-probability.md").read_text(encoding="utf-8")
ENTROPY = (DOCS / "02-entropy-and-kl.md").read_text(encoding="utf-8")
GAUSSIANS = (DOCS / "12-vae-gradients.md").read_text(encoding="utf-8")
FOUND = json.loads((DOCS / "figures" / "probability.json").read_text(encoding="utf-8"))["results"]


@pytest.mark.parametrize("question", ["P(3)", "P(3 | odd)", "E[face]", "P(6), die from the bag", "P(loaded | 6)"])
def test_the_table_of_simulations_holds_the_measured_numbers(question):
    found, name = FOUND[question], question.replace("|", "\\|")
    assert f"| {name} | {found['exact']:.5f} | {found['value']:.5f} ± {found['error']:.5f} |" in PROBABILITY


def test_the_slope_of_the_error_is_the_measured_one():
    assert f"The measured slope is −{-FOUND['slope of the error']['value']:.3f}." in PROBABILITY


def test_the_divergence_by_draws_is_the_measured_one():
    found = FOUND["E[log P/Q], nats"]
    assert f"{found['value']:.5f} ± {found['error']:.5f} nats" in re.sub(r"\s+", " ", ENTROPY)


@pytest.mark.parametrize(
    ("fit", "least"),
    [("least D(p‖q)", "D(p‖q)"), ("least D(q‖p) left", "D(q‖p)"), ("least D(q‖p) right", "D(q‖p)")],
)
def test_the_table_of_fits_holds_the_measured_numbers(fit, least):
    numbers = {one: f"{FOUND[f'{fit}: {one}']['value']:.4f}" for one in ("μ", "σ", "D(p‖q)", "D(q‖p)")}
    numbers[least] = f"**{numbers[least]}**"
    assert f"| {fit} | {' | '.join(numbers.values())} |".replace("-", "−") in GAUSSIANS


@pytest.mark.parametrize("name", ["H(fair die)", "H(loaded die)"])
def test_the_entropies_are_the_measured_ones(name):
    assert f"= {FOUND[name]['value']:.5f}$" in ENTROPY


@pytest.mark.parametrize("name", ["D(P‖Q)", "D(Q‖P)"])
def test_the_divergences_are_the_measured_ones(name):
    assert f"{FOUND[name]['value']:.10f}" in ENTROPY


def test_the_least_value_of_the_misprint_is_the_measured_one():
    assert f"{FOUND['as printed: least']['value']:.6f}".replace("-", "−") in GAUSSIANS


# ---- chapter 10

GAPS_PAGE = (DOCS / "10-latent-gaps.md").read_text(encoding="utf-8")
GAPS_FILE = json.loads((DOCS / "figures" / "latent_gaps.json").read_text(encoding="utf-8"))
GAPS, BY_SEED = GAPS_FILE["results"], GAPS_FILE["20 numbers, by seed"]
NETWORKS, TWENTY = ("autoencoder", "no KL", "KL alone", "both"), ("autoencoder, 20", "VAE, 20")


def gaps(name: str) -> str:
    found = GAPS[name]
    return f"{round(found['value'], found['digits']) + 0:.{found['digits']}f}"


@pytest.mark.parametrize(
    ("quantity", "networks"),
    [
        (name.split(": ", 1)[1], networks)
        for networks in (NETWORKS, TWENTY)
        for name in GAPS
        if name.startswith(f"{networks[-1]}: ")
    ],
)
def test_the_tables_of_codes_hold_the_measured_numbers(quantity, networks):
    keys = [f"{network}: {quantity}" for network in networks]
    cells = [gaps(key) if key in GAPS else "–" for key in keys]
    assert f"| {quantity} | {' | '.join(cells)} | {GAPS[keys[-1]]['unit']} |" in GAPS_PAGE


@pytest.mark.parametrize("seed", BY_SEED)
def test_the_tables_of_seeds_hold_the_measured_numbers(seed):
    found = BY_SEED[seed]
    drawn = [found[f"{name}: {source}: digit-like"] for source in ("N(0, I)", "fitted Gaussian") for name in TWENTY]
    walked = [found["fade: digit-like"], *(found[f"{name}: halfway: digit-like"] for name in TWENTY)]
    for numbers in (drawn, walked):
        assert f"| {seed} | {' | '.join(f'{number:.1f}' for number in numbers)} |" in GAPS_PAGE


def test_with_three_seeds_draws_from_the_prior_are_digits_by_the_vae_and_not_by_the_autoencoder():
    assert len(BY_SEED) == 3
    for found in BY_SEED.values():
        autoencoder, vae = (found[f"{name}: N(0, I): digit-like"] for name in TWENTY)
        assert vae > autoencoder + 10
        assert found["autoencoder, 20: fitted Gaussian: digit-like"] > autoencoder + (vae - autoencoder) / 2


def test_with_three_seeds_walks_through_codes_are_better_than_fades_and_the_vaes_are_not_ahead():
    for found in BY_SEED.values():
        autoencoder, vae = (found[f"{name}: halfway: digit-like"] for name in TWENTY)
        assert found["fade: digit-like"] + 20 < vae <= autoencoder


def test_the_codes_of_the_autoencoder_lie_where_10_says_and_not_where_the_draws_are():
    text = re.sub(r"\s+", " ", GAPS_PAGE)
    far, near = (gaps(f"{name}: length of a code") for name in TWENTY)
    assert f"its codes lie {far} from the origin in the median" in text
    assert f"The VAE's codes lie {near} from the origin" in text
    assert float(near) == pytest.approx(np.sqrt(20), rel=0.1)
    assert float(far) > 2 * np.sqrt(20)


def test_the_numbers_of_the_judge_and_the_sigma_of_the_page_are_the_measured_ones():
    text = re.sub(r"\s+", " ", GAPS_PAGE)
    assert f"it names {gaps('judge names the digit')} % of the test digits" in text
    assert f"passes {gaps('judge passes torn')} % of digits cut in pieces" in text
    assert f"and {gaps('judge passes overlaid')} % of pairs drawn over each other" in text
    assert f"and {gaps('judge passes mean of two')} % of pixelwise means" in text
    assert f"the median σ is {gaps('no KL: median σ')}, " in text
    assert f"is {gaps('both: test reconstruction')} nats" in text


@pytest.mark.parametrize("network", ["no KL", "KL alone", "both"])
def test_no_code_tells_more_than_it_pays_for_or_than_one_image_of_all(network):
    told = GAPS[f"{network}: information in z"]["value"]
    assert told <= min(GAPS[f"{network}: test KL"]["value"], np.log(10_000)) + 0.01
