"""The benchmark demo: it times only what computes the same, says what is missing, and keeps its numbers."""

import importlib
import json
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.kernels import formulas
from tests.demo_runs import ENVIRONMENT, PATIENCE, few_digits, refused

pytestmark = pytest.mark.slow

DEMOS = Path(__file__).parent.parent / "demos"
FEW = """
benchmark.compare_kernels = benchmark.compare_networks = lambda *arguments: []
benchmark.PEERS = {name: benchmark.PEERS[name] for name in ("scratchnet numpy", "its products by BLAS")}
"""


def command(*arguments: str, code: str = "", demos: Path = DEMOS) -> list[str]:
    """The demo, run after some code that has it do less."""
    script = f"import sys; sys.path.insert(0, {str(demos)!r})\nimport benchmark\nfrom lib import common, peers\n{code}"
    return [sys.executable, "-u", "-W", "error", "-c", f"{script}\ncommon.run(benchmark.main)", *arguments]


def run(*arguments: str, code: str = "", demos: Path = DEMOS, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command("--quick", *arguments, code=code, demos=demos),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
        timeout=PATIENCE,
    )
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the printed text of one quick run, without the kernels if there is no numba."""
    out, data = tmp_path_factory.mktemp("benchmark"), few_digits(tmp_path_factory.mktemp("digits"))
    return out, run("--data", data, "--out", str(out)).stdout


def results_of(out: Path) -> dict[str, dict]:
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))["results"]


def planted(tmp_path: Path, old: str, new: str, file: str = "lib/peers.py") -> Path:
    """A copy of the demos with a mistake in a file."""
    demos = shutil.copytree(DEMOS, tmp_path / "demos")
    text = (demos / file).read_text(encoding="utf-8")
    assert old in text
    (demos / file).write_text(text.replace(old, new), encoding="utf-8")
    return demos


# ---- a quick run


def test_it_writes_a_figure_and_its_numbers(quick):
    assert {path.name for path in quick[0].iterdir()} == {"benchmark.png", "metrics.json"}


def test_the_ratios_come_first_in_the_table(quick):
    results = results_of(quick[0])
    ratio = next(number for name, number in results.items() if name.endswith(" against its products by BLAS"))
    lines = quick[1].splitlines()
    assert any(line.startswith(f"{ratio['value']:6.2f} × as fast as  its products by BLAS") for line in lines)


def test_a_median_is_no_less_than_the_minimum(quick):
    results = results_of(quick[0])
    for name in (name for name in results if f"{name}, minimum" in results):
        assert results[name]["value"] >= results[f"{name}, minimum"]["value"] > 0


def test_it_names_an_engine_that_there_is(quick):
    engine = quick[1].split('sn.kernels.use("')[1].split('"')[0]
    with sn.kernels.use(engine):
        assert sn.kernels.active() == engine


def test_every_number_has_its_unit(quick):
    assert {number["unit"] for number in results_of(quick[0]).values()} <= {
        "s",
        "µs",
        "MB",
        "GFLOP/s",
        "× as fast",
        "nats/image",
    }


# ---- who takes part


@pytest.fixture
def theta_x_eps(rng):
    """Parameters, a batch (8, 30) of black and white pixels, and noise (8, 20), in float32."""
    peers = runpy.run_path(str(DEMOS / "lib" / "peers.py"))
    theta = peers["beginning"](30, rng)
    return (
        theta,
        rng.integers(2, size=(8, 30)).astype(np.float32),
        rng.standard_normal((8, peers["LATENT"]), np.float32),
    )


@pytest.mark.parametrize(
    ("peer", "package"),
    [("scratchnet numpy", "numpy"), ("PyTorch eager", "torch"), ("JAX jitted", "jax"), ("JAX scanned", "jax")],
)
def test_every_peer_has_the_same_loss_and_gradient(peer, package, theta_x_eps):
    pytest.importorskip(package)
    theta, x, eps = theta_x_eps
    peers = runpy.run_path(str(DEMOS / "lib" / "peers.py"))
    exact_loss, exact = peers["Here"](theta.astype(float), 30, 8, 0).gradient(x.astype(float), eps.astype(float))
    loss, gradient = peers["PEERS"][peer].make(theta, 30, 8, 0).gradient(x, eps)
    assert loss == pytest.approx(exact_loss, rel=1e-6)
    assert np.linalg.norm(gradient - exact) < 2e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize("peer", ["PyTorch eager", "JAX jitted", "JAX scanned"])
def test_an_epoch_of_every_peer_takes_the_same_steps(peer, theta_x_eps):
    pytest.importorskip({"P": "torch", "J": "jax"}[peer[0]])
    theta, x, eps = theta_x_eps
    peers = runpy.run_path(str(DEMOS / "lib" / "peers.py"))
    peers["parts"](theta, 30)[1][1][peers["LATENT"] :] = -60  # log σ²: the noise, which differs, does not matter
    losses = []
    for name in ("scratchnet numpy", peer):
        one = peers["PEERS"][name].make(theta, 30, 8, 0)
        one.epoch(one.take(np.tile(x[:1], (20 * 8, 1))))  # one image, and so the order does not matter either
        losses.append(one.gradient(x, eps)[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_a_package_that_is_missing_is_named(tmp_path):
    code = f'{FEW}\nbenchmark.PEERS["Theano"] = peers.Peer(peers.Here, "no_such_package")'
    text = run("--data", few_digits(tmp_path), "--out", str(tmp_path), code=code).stdout
    assert "Theano                   takes no part: no_such_package is not installed" in text


def test_a_peer_that_fails_takes_no_part_and_says_why(tmp_path):
    demos = planted(tmp_path, '"its products by BLAS": Peer(Products', '"its products by BLAS": Peer(Nothing')
    text = (demos / "lib" / "peers.py").read_text(encoding="utf-8")
    broken = 'class Nothing:\n    def __init__(self, *_):\n        raise RuntimeError("no compiler")\n\n\nPEERS = {'
    (demos / "lib" / "peers.py").write_text(text.replace("PEERS = {", broken), encoding="utf-8")
    text = run("--data", few_digits(tmp_path), "--out", str(tmp_path), code=FEW, demos=demos).stdout
    assert "its products by BLAS     takes no part: RuntimeError: no compiler" in text


# ---- only what computes the same is timed


@pytest.mark.parametrize(("factor", "off"), [("1.0001", "1.0e-04"), ("np.nan", "nan")])
def test_a_wrong_gradient_ends_the_run(factor, off, tmp_path):
    right = "return loss.value, self.vae.parameters.dtheta"
    demos = planted(tmp_path, right, f"{right} * ({factor} if self.vae.dtype == np.float32 else 1)")
    done = run("--data", few_digits(tmp_path), "--out", str(tmp_path), code=FEW, demos=demos, expect=1)
    expected = f"expected the gradient of scratchnet numpy to be right within 2e-05, got it {off} off"
    assert done.stderr.strip() == f"benchmark.py: {expected}."


def test_an_epoch_that_leaves_out_its_work_ends_the_run(tmp_path):
    demos = planted(
        tmp_path, "        for rows in self.torch.randperm(len(x))", "        for rows in self.torch.arange(0)"
    )
    pytest.importorskip("torch")
    code = FEW.replace("its products by BLAS", "PyTorch eager")
    done = run("--data", few_digits(tmp_path), "--out", str(tmp_path), code=code, demos=demos, expect=1)
    assert "expected the loss after training of" in done.stderr


def test_every_kernel_has_arguments_that_agree_with_its_formula(monkeypatch, rng):
    monkeypatch.syspath_prepend(str(DEMOS))
    calls = importlib.import_module("lib.kernel_calls")
    arguments = calls.kernel_arguments(rng.random((5, 784), np.float32), rng)
    assert {name.partition(",")[0] for name in arguments} <= set(formulas.__all__)
    for name, each in arguments.items():
        kernel = getattr(formulas, name.partition(",")[0])
        assert calls.largest_error(kernel, kernel, each) < 2e-5


def test_a_kernel_that_is_off_has_a_large_error(monkeypatch, rng):
    monkeypatch.syspath_prepend(str(DEMOS))
    calls = importlib.import_module("lib.kernel_calls")
    x = rng.standard_normal((5, 7), np.float32)
    assert calls.largest_error(lambda x: 1.001 * formulas.relu(x), formulas.relu, (x,)) > 5e-4


def test_how_many_times_as_fast_is_the_median_of_the_rounds(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMOS))
    answers = [{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 20.0}, {"a": 1.0, "b": 3.0}]
    assert importlib.import_module("lib.workers").times_as_fast(answers, "a", "b") == 3.0


# ---- the convolutional networks


@pytest.fixture(params=["udacity", "denoiser", "dl4g"])
def in_both(request, monkeypatch):
    """A network here and in PyTorch, from one start."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(DEMOS))
    peers = importlib.import_module("lib.image_peers")
    here, torch = peers.Here(request.param, 0), peers.Torch(request.param, 0)
    torch.start(here.theta)
    return here, torch


def test_every_network_has_the_same_loss_and_gradient_in_pytorch(in_both, rng):
    here, torch = in_both
    x = rng.random((5, 784), np.float32)
    (loss, dtheta), (other, dother) = here.gradient(x), torch.gradient(x)
    assert other == pytest.approx(loss, rel=1e-5)
    assert np.linalg.norm(dother - dtheta) < 1e-5 * np.linalg.norm(dtheta)


def test_a_step_of_every_network_is_the_same_in_pytorch(in_both, rng):
    here, torch = in_both
    x = np.tile(rng.random((1, 784), np.float32), (12, 1))  # one image, and so the order does not matter
    losses = []
    for peer in (here, torch):
        peer.epoch(x, 4)
        losses.append(peer.gradient(x)[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_network_that_computes_something_else_in_pytorch_is_not_timed(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    demos = planted(tmp_path, "(y - x) ** 2", "(y - x).abs()", "lib/image_peers.py")
    code = FEW.replace("benchmark.compare_networks = ", "")
    done = run("--out", str(tmp_path / "out"), code=code, demos=demos, expect=1)
    assert "expected the loss of udacity in PyTorch within 2e-05 of ours" in done.stderr


def test_networks_are_timed_against_pytorch(quick):
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    results = results_of(quick[0])
    ratio = results["udacity, scratchnet against PyTorch"]["value"]
    assert ratio > 0
    assert f"{ratio:6.2f} × as fast  udacity" in quick[1]


# ---- how it ends


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    said = refused("benchmark", "--batch-size", "601", "--data", few_digits(tmp_path), "--out", str(tmp_path))
    assert said == "benchmark.py: expected a batch of at most 600 images, got 601."


def test_ctrl_c_keeps_the_rounds_that_were_reached(tmp_path):
    process = subprocess.Popen(
        command("--epochs", "1000", "--data", few_digits(tmp_path), "--out", str(tmp_path), code=FEW),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
    )
    assert process.stderr is not None
    seen = ""
    while not re.search(r"\| [1-9]\d*/1000", seen):  # a bar leaves out rounds that follow one another too soon
        seen += process.stderr.read(1)
        assert process.poll() is None, seen
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert 1 <= int(re.findall(r"of (\d+) rounds", text)[0]) < 1000
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["interrupted"] is True


# ---- how a step grows


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run with --scaling."""
    out = tmp_path_factory.mktemp("scaling")
    run("--scaling", "--out", str(out))
    return out


def test_scaling_draws_how_a_step_grows(scaled):
    assert (scaled / "scaling.png").stat().st_size > 10_000


@pytest.mark.parametrize("variable", ["batch", "width", "depth", "threads"])
def test_scaling_measures_the_time_by_each_variable(scaled, variable):
    found = results_of(scaled)
    assert found[f"time by {variable}, scratchnet"]["unit"] == "exponent"
    assert all(number["value"] > 0 for name, number in found.items() if name.startswith(f"time, {variable}"))


def test_the_exponent_of_a_planted_power_law_is_found(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMOS))
    exponent = importlib.import_module("lib.scaling").exponent
    assert exponent({1: 3.0, 2: 12.0, 8: 192.0}) == pytest.approx(2)
    assert exponent({4: 3.0}) == 0


def test_what_was_measured_before_ctrl_c_is_drawn(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMOS))
    scaling = importlib.import_module("lib.scaling")
    figure = scaling.scaling_figure({"batch": {"scratchnet": {16: 1.0}}}, {})
    assert len(figure.axes) == 1


def test_both_programs_of_scaling_train_the_same_network(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(DEMOS))
    steps_of = importlib.import_module("lib.training_steps")
    torch.manual_seed(0)
    x = np.random.default_rng(0).random((64, steps_of.PIXELS), dtype=np.float32) ** 4
    steps = [make(x, [steps_of.PIXELS, 64, 64], 1) for make in (steps_of._here, steps_of._in_pytorch)]
    here, in_pytorch = ([step() for _ in range(30)] for step in steps)
    assert here[-1] < 0.8 * here[0]
    assert here[-1] == pytest.approx(in_pytorch[-1], rel=0.05)  # they begin with other weights
