"""demos/vae_mnist.py, and what it shows of all demos: options, errors, Ctrl-C, the files that are left."""

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import ENVIRONMENT, command, run

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
    results = json.loads((out / "metrics.json").read_text())["results"]
    printed = next(line for line in text.splitlines() if line.startswith("test ELBO "))
    assert f"{results['test ELBO']['value']:.2f} ± {results['test ELBO']['error']:.2f}" in printed
    assert printed.endswith(results["test ELBO"]["unit"])


def test_the_published_number_stands_in_its_column_and_in_metrics_json(quick):
    out, text = quick
    header = next(line for line in text.splitlines() if "this run" in line)
    row = next(line for line in text.splitlines() if line.startswith("test ELBO "))
    assert json.loads((out / "metrics.json").read_text())["results"]["test ELBO"]["published"] == -105.6
    assert header.split() == ["this", "run", "published"]
    assert row.index("-105.6") + len("-105.6") == len(header)


def test_metrics_json_says_what_was_run(quick):
    metrics = json.loads((quick[0] / "metrics.json").read_text())
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


def test_the_gaussian_likelihood_runs_and_compares_with_no_grey_bound(tmp_path):
    text = run("vae_mnist", "--quick", "--likelihood", "gaussian", "--out", str(tmp_path)).stdout
    assert "limit of grey pixels" not in text
    assert "105.6" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "expected a whole number of at least 1, got '0'"),
        (["--likelihood", "poisson"], "invalid choice: 'poisson'"),
        (["--beta", "much"], "invalid float value: 'much'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(arguments, message, tmp_path):
    assert message in run("vae_mnist", *arguments, "--out", str(tmp_path), expect=2).stderr


def test_missing_data_ends_the_demo_in_one_sentence(tmp_path):
    done = run("vae_mnist", "--quick", "--data", str(tmp_path), "--out", str(tmp_path / "out"), expect=1)
    assert done.stderr == f"vae_mnist.py: {tmp_path} holds no train-images-idx3-ubyte, with or without .gz.\n"


def test_an_output_folder_that_cannot_be_made_ends_the_demo_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("vae_mnist", "--quick", "--out", str(tmp_path / "file" / "out"), expect=1)
    assert done.stderr.startswith("vae_mnist.py: ")
    assert done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of a run that Ctrl-C ended in its second epoch."""
    out = tmp_path_factory.mktemp("interrupted")
    process = subprocess.Popen(
        command("vae_mnist", "--out", str(out), "--hidden", "16", "--epochs", "3"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch  1/3"):
            process.send_signal(signal.SIGINT)
            break
    text, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return out, text


def test_ctrl_c_ends_the_demo_cleanly_and_keeps_what_was_reached(interrupted):
    out, text = interrupted
    assert "Interrupted in epoch 2" in text
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["interrupted"] is True
    assert len(metrics["history"]["epochs"]) == 1
    assert {path.stem for path in out.glob("*.png")} == FIGURES


def test_ctrl_c_says_how_the_run_goes_on(interrupted):
    out, text = interrupted
    last = text.splitlines()[-1]
    assert last.startswith("To go on where it stopped: python ")
    assert last.endswith(f"demos/vae_mnist.py --out {out} --hidden 16 --epochs 3 --resume")


def test_a_resumed_run_goes_on_after_the_epochs_that_were_reached(interrupted):
    out, _ = interrupted
    reached = json.loads((out / "metrics.json").read_text())["history"]["epochs"]
    text = run("vae_mnist", "--out", str(out), "--hidden", "16", "--epochs", "3", "--resume").stdout
    metrics = json.loads((out / "metrics.json").read_text())
    assert [line.split()[1] for line in text.splitlines() if line.startswith("epoch")] == ["2/3", "3/3"]
    assert metrics["interrupted"] is False
    assert metrics["history"]["epochs"][:1] == reached
    assert not (out / "checkpoint.npz").exists()


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path):
    out = str(tmp_path)
    rng = np.random.default_rng(0)
    ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    x = np.zeros((8, 4), np.float32)
    sn.fit(ae, x, optimizer=sn.Adam(), epochs=1, rng=rng, progress=False, checkpoint=tmp_path / "checkpoint.npz")
    done = run("vae_mnist", "--quick", "--resume", "--out", out, expect=1)
    assert done.stderr.startswith(
        f"vae_mnist.py: {tmp_path}/checkpoint.npz holds another run: the model is Autoencoder("
    )
