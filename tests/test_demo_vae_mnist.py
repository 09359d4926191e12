"""demos/vae_mnist.py, and what it shows of all demos: options, errors, Ctrl-C, the files that are left."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, few_digits, interrupted, refused, run

FIGURES = {"curves", "latent_kl", "posterior", "reconstructions", "samples", "walk"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one quick run with a two-dimensional latent space."""
    out = tmp_path_factory.mktemp("vae_mnist")
    return out, run("vae_mnist", "--quick", "--latent", "2", "--out", str(out)).stdout


def test_the_vae_demo_writes_every_figure_the_model_and_its_numbers(quick):
    out, _ = quick
    expected = {f"{name}.png" for name in FIGURES | {"plane", "means"}} | {"model.npz", "metrics.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_the_vae_demo_prints_one_test_elbo_line_an_epoch(quick):
    _, text = quick
    lines = [line.split()[1:4] for line in text.splitlines() if line.startswith("epoch")]
    assert lines == [["1/3", "test", "ELBO"], ["2/3", "test", "ELBO"], ["3/3", "test", "ELBO"]]


def test_metrics_json_holds_the_printed_numbers_with_their_units(quick):
    out, text = quick
    results = json.loads((out / "metrics.json").read_text("utf-8"))["results"]
    printed = next(line for line in text.splitlines() if line.startswith("test ELBO "))
    assert f"{results['test ELBO']['value']:.2f} ± {results['test ELBO']['error']:.2f}" in printed
    assert printed.endswith(results["test ELBO"]["unit"])


def test_the_published_number_stands_in_its_column_and_in_metrics_json(quick):
    out, text = quick
    header = next(line for line in text.splitlines() if "this run" in line)
    row = next(line for line in text.splitlines() if line.startswith("test ELBO "))
    assert json.loads((out / "metrics.json").read_text("utf-8"))["results"]["test ELBO"]["published"] == -105.6
    assert header.split() == ["this", "run", "published"]
    assert row.index("-105.6") + len("-105.6") == len(header)


def test_metrics_json_says_what_was_run(quick):
    metrics = json.loads((quick[0] / "metrics.json").read_text("utf-8"))
    assert metrics["arguments"]["latent"] == 2
    assert metrics["seed"] == 0
    assert metrics["seconds"] > 0
    assert metrics["interrupted"] is False


def test_the_verdict_of_a_run_with_other_settings_claims_nothing(quick):
    assert "No published number has these settings (changed: quick, epochs, latent)" in quick[1]


def test_the_saved_model_is_the_one_that_was_measured(quick):
    with np.load(quick[0] / "model.npz") as arrays:
        assert arrays["encoder.0.W"].shape == (784, 400)
        assert arrays["decoder.0.W"].shape == (2, 400)


@pytest.mark.slow
def test_the_gaussian_likelihood_runs_and_compares_with_no_grey_bound(tmp_path):
    data = few_digits(tmp_path)
    text = run("vae_mnist", "--quick", "--data", data, "--likelihood", "gaussian", "--out", str(tmp_path)).stdout
    assert "limit of grey pixels" not in text
    assert "105.6" not in text
    assert "That of N(x, 0.1²) is 3.99 at its mean; only its integral must be 1." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "expected a whole number of at least 1, got '0'"),
        (["--likelihood", "poisson"], "invalid choice: 'poisson'"),
        (["--beta", "much"], "invalid float value: 'much'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(arguments, message, tmp_path):
    assert message in refused("vae_mnist", *arguments, "--out", str(tmp_path))


def test_missing_data_ends_the_demo_in_one_sentence(tmp_path):
    done = run("vae_mnist", "--quick", "--data", str(tmp_path), "--out", str(tmp_path / "out"), expect=1)
    assert done.stderr == f"vae_mnist.py: {tmp_path} holds no train-images-idx3-ubyte, with or without .gz.\n"


def test_an_output_folder_that_cannot_be_made_ends_the_demo_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    said = refused("vae_mnist", "--quick", "--out", str(tmp_path / "file" / "out"))
    assert said.startswith("vae_mnist.py: ")
    assert "\n" not in said


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of digits, with the run's folder in it, and the printed text of a run that Ctrl-C ended."""
    data = tmp_path_factory.mktemp("interrupted")
    arguments = ("--out", str(data / "out"), "--data", few_digits(data), "--epochs", "1000")
    return data, interrupted("vae_mnist", *arguments, once="epoch  1/1000")


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_cleanly_and_keeps_what_was_reached(stopped):
    data, text = stopped
    metrics = json.loads((data / "out" / "metrics.json").read_text("utf-8"))
    assert metrics["interrupted"] is True
    assert f"Interrupted in epoch {len(metrics['history']['epochs']) + 1}:" in text
    assert {path.stem for path in (data / "out").glob("*.png")} == FIGURES


@pytest.mark.slow
def test_ctrl_c_says_how_the_run_goes_on(stopped):
    data, text = stopped
    last = text.splitlines()[-1]
    assert last.startswith("To go on where it stopped: python ")
    assert last.endswith(f"demos/vae_mnist.py --out {data}/out --data {data} --epochs 1000 --resume")


def test_a_resumed_run_goes_on_after_the_epochs_that_were_reached(stopped):
    data, _ = stopped
    out = data / "out"
    reached = json.loads((out / "metrics.json").read_text("utf-8"))["history"]["epochs"]
    epochs = str(len(reached) + 1)
    text = run("vae_mnist", "--out", str(out), "--data", str(data), "--epochs", epochs, "--resume").stdout
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert [line.split()[1] for line in text.splitlines() if line.startswith("epoch ")] == [f"{epochs}/{epochs}"]
    assert metrics["interrupted"] is False
    assert metrics["history"]["epochs"][:-1] == reached
    assert not (out / "checkpoint.npz").exists()


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path):
    out = str(tmp_path)
    rng = np.random.default_rng(0)
    ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    x = np.zeros((8, 4), np.float32)
    sn.fit(ae, x, optimizer=sn.Adam(), epochs=1, rng=rng, progress=False, checkpoint=tmp_path / "checkpoint.npz")
    said = refused("vae_mnist", "--quick", "--resume", "--out", out)
    assert said.startswith(f"vae_mnist.py: {tmp_path}/checkpoint.npz holds another run: the model is Autoencoder(")


# ---- convolutions


@pytest.fixture(scope="module")
def quick_conv(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder, with the digits in it too, and the printed text of one quick run of a small convolutional VAE."""
    out = tmp_path_factory.mktemp("vae_mnist_conv")
    given = ("--network", "conv", "--quick", "--hidden", "4", "--data", few_digits(out))
    return out, run("vae_mnist", *given, "--out", str(out)).stdout


def test_the_convolutional_vae_has_as_many_numbers_as_the_published_one(monkeypatch, rng):
    monkeypatch.syspath_prepend(ROOT / "demos")
    networks = runpy.run_path(str(ROOT / "demos" / "lib" / "networks.py"))
    encoder, decoder = networks["conv_encoder"](784, 64, 2 * 2, rng=rng), networks["conv_decoder"](2, 64, 784, rng=rng)
    assert len(sn.VAE(encoder, decoder).parameters) == 308_357


@pytest.mark.slow
def test_the_convolutional_vae_has_its_own_defaults_and_its_own_verdict(quick_conv):
    out, text = quick_conv
    assert json.loads((out / "metrics.json").read_text("utf-8"))["arguments"]["latent"] == 2
    assert "No published number has these settings (changed: data, quick, epochs, hidden)" in text
    assert "105.6" not in text
    assert (out / "plane.png").exists()


@pytest.mark.slow
def test_an_option_that_is_given_outweighs_the_defaults_of_the_convolutional_vae(tmp_path):
    given = ("--network", "conv", "--latent", "3", "--hidden", "1", "--quick", "--epochs", "1")
    run("vae_mnist", *given, "--data", few_digits(tmp_path), "--out", str(tmp_path))
    arguments = json.loads((tmp_path / "metrics.json").read_text("utf-8"))["arguments"]
    assert (arguments["latent"], arguments["hidden"], arguments["epochs"]) == (3, 1, 1)


@pytest.mark.slow
def test_the_number_at_z_equal_to_mu_is_that_of_the_saved_model_and_is_said_to_flatter(quick_conv, rng):
    out, text = quick_conv
    how = {"stride": 2, "padding": 1, "rng": rng}
    encoder = [sn.Reshape((1, 28, 28)), sn.Conv2D(1, 4, 4, **how), sn.ReLU(), sn.Conv2D(4, 8, 4, **how), sn.ReLU()]
    decoder = [sn.Reshape((8, 7, 7)), sn.ConvTranspose2D(8, 4, 4, **how), sn.ReLU(), sn.ConvTranspose2D(4, 1, 4, **how)]
    vae = sn.VAE(
        sn.Sequential(*encoder, sn.Flatten(), sn.Dense(8 * 7 * 7, 4, rng=rng)),
        sn.Sequential(sn.Dense(2, 8 * 7 * 7, rng=rng), *decoder, sn.Flatten()),
    )
    sn.load(out / "model.npz", vae)
    x, _ = sn.data.load_idx(out, "test")
    mu, logvar = vae.encode(x)
    loss = sn.bce_with_logits(vae.decoder.forward(mu)[0], x)[0] + sn.kl_standard_normal(mu, logvar)[0]
    results = json.loads((out / "metrics.json").read_text("utf-8"))["results"]
    assert results["test at z = μ"]["value"] == pytest.approx(-loss, rel=1e-5)
    assert "that number flatters, and is no ELBO" in text


def test_the_training_loss_that_was_published_is_the_mean_over_images_of_what_the_log_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "demos")
    published = runpy.run_path(str(ROOT / "demos" / "lib" / "vae_tables.py"))["TRAINING"]
    # dl4g sums over images and divides by the 469 batches of 60,000 images
    log = {1: 24159.057128, 5: 20138.899437, 10: 19685.225380, 100: 18541.095797}
    for epoch, of_a_batch in log.items():
        assert published[epoch] == pytest.approx(-of_a_batch * 469 / 60_000, abs=0.005)
