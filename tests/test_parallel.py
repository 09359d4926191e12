"""Data-parallel training: the same θ as one process, one end for all, and a checkpoint for any number of processes."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratchnet.errors import ShapeError
from scratchnet.parallel import ShareOfDraws

ROOT = Path(__file__).parents[1]
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
under_mpi = [
    pytest.mark.slow,
    pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec: pip install scratchnet[mpi]"),
]

TRAINING = """
import json, os, signal, sys
import numpy as np, scratchnet as sn
from mpi4py import MPI
from scratchnet.parallel import DataParallel

comm = MPI.COMM_WORLD
options = json.loads(sys.argv[1])
rng = np.random.default_rng(0)

def network(*widths):
    return sn.Sequential(sn.Dense(widths[0], widths[1], rng=rng), sn.Tanh(), sn.Dense(widths[1], widths[2], rng=rng))

vae = {"VAE": sn.VAE, "IWAE": lambda *parts: sn.IWAE(*parts, k=3)}[options.get("model", "VAE")](
    network(36, 16, 8), network(4, 16, 36)
)
x = np.random.default_rng(1).random((103, 36), np.float32)

class Odd(sn.Callback):
    def after_step(self, run):
        if run.step == options.get("at") and comm.rank == options["rank"]:
            exec(options["does"])

class Seen(sn.Callback):
    losses = []
    def after_step(self, run):
        self.losses.append(run.loss.value)

model = vae if options.get("alone") else DataParallel(vae, comm)
settings = {"epochs": 3, "batch_size": 10, "progress": False, "checkpoint": None}
settings = {name: options.get(name, value) for name, value in settings.items()}
history = sn.fit(model, x, optimizer=sn.Adam(1e-2), rng=rng, validation=x[:31], callbacks=[Odd(), Seen()], **settings)
found = {
    "theta": vae.parameters.theta.tolist(),
    "val_loss": history.epochs and history["val_loss"],
    "steps": len(Seen.losses),
    "losses": Seen.losses,
    "stopped": history.stopped,
    "interrupted": history.interrupted,
}
everyone = comm.gather(found)
if comm.rank == 0:
    print("FOUND " + json.dumps(everyone))
"""


def launch(processes: int, seconds: float = 60, **options) -> subprocess.CompletedProcess[str]:
    """Train a small model under mpiexec."""
    assert MPIEXEC is not None
    command = [MPIEXEC, "-n", str(processes), sys.executable, "-c", TRAINING, json.dumps(options)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    env |= {"SCRATCHNET_KERNELS": "numpy", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=env, cwd=ROOT)


def trained(processes: int, **options) -> list[dict]:
    """What each process found."""
    done = launch(processes, **options)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    assert done.returncode == 0, done.stderr
    return json.loads(lines[0].removeprefix("FOUND "))


@functools.cache
def alone(**options) -> dict:
    """What one process finds without any of this."""
    return trained(1, alone=True, **options)[0]


class TestTraining:
    pytestmark = under_mpi

    @pytest.mark.parametrize("processes", [1, 2, 4])
    @pytest.mark.parametrize("model", ["VAE", "IWAE"])
    def test_theta_is_that_of_one_process_to_rounding(self, processes, model):
        theta = alone(model=model)["theta"]
        for found in trained(processes, model=model):
            np.testing.assert_allclose(found["theta"], theta, rtol=1e-3, atol=1e-4)

    def test_two_runs_with_as_many_processes_end_at_the_same_bits(self):
        assert trained(3) == trained(3)

    def test_all_processes_hold_the_same_bits_and_see_the_same_losses(self):
        first, *others = trained(3)
        assert all(other == first for other in others)

    def test_an_empty_share_weighs_nothing(self):
        theta = alone(batch_size=3, epochs=1)["theta"]
        for found in trained(4, batch_size=3, epochs=1):
            np.testing.assert_allclose(found["theta"], theta, rtol=1e-3, atol=1e-4)

    def test_the_validation_loss_is_that_of_one_process(self):
        np.testing.assert_allclose(trained(2)[1]["val_loss"], alone()["val_loss"], rtol=1e-4)


class TestProof:
    pytestmark = under_mpi

    def test_its_gradients_can_be_checked_and_it_is_not_changed_by_that(self):
        check = "sn.check_gradients(model.loss, x[:5], rng=np.random.default_rng(0))"
        assert trained(1, rank=0, at=5, does=check) == trained(1)


class TestEnding:
    pytestmark = under_mpi

    @pytest.mark.parametrize("rank", [0, 1])
    def test_a_stop_on_one_process_ends_all_after_the_same_step(self, rank):
        for found in trained(3, rank=rank, at=5, does="run.stop('enough')"):
            assert (found["steps"], found["stopped"]) == (5, "enough")

    @pytest.mark.parametrize("rank", [0, 1])
    def test_ctrl_c_on_one_process_ends_all_after_the_same_step(self, rank):
        for found in trained(3, rank=rank, at=5, does="os.kill(os.getpid(), signal.SIGINT)"):
            assert (found["steps"], found["interrupted"]) == (5, True)

    def test_an_error_on_one_process_is_one_sentence_and_ends_all(self):
        done = launch(3, rank=1, at=5, does="raise ValueError('odd')")
        assert done.returncode != 0
        assert done.stderr.count("rank 1 of 3 raised ValueError: odd. All processes end.\n") == 1
        assert "Traceback" not in done.stderr

    def test_a_process_that_leaves_without_an_error_ends_all_without_a_word(self):
        done = launch(2, rank=1, at=5, does="sys.exit()")
        assert "raised" not in done.stderr
        assert "FOUND" not in done.stdout

    def test_a_refusal_on_one_process_ends_all(self):
        done = launch(2, rank=1, at=1, does="run.optimizer.learning_rate = 'fast'")
        assert done.returncode != 0
        assert "rank 1 of 2 raised" in done.stderr

    def test_a_divergence_is_one_on_every_process(self):
        done = launch(2, rank=1, at=5, does="run.parameters.theta[:] = np.nan")
        assert done.returncode != 0
        assert done.stderr.count("DivergenceError") >= 2


class TestCheckpoint:
    pytestmark = under_mpi

    @pytest.mark.parametrize("then", [1, 2, 4])
    def test_a_run_goes_on_with_any_number_of_processes(self, tmp_path, then):
        path = str(tmp_path / "run.npz")
        trained(3, checkpoint=path, rank=2, at=17, does="run.stop()")
        for found in trained(then, checkpoint=path):
            np.testing.assert_allclose(found["theta"], alone()["theta"], rtol=1e-3, atol=1e-4)

    def test_one_process_that_is_killed_ends_all_and_the_run_goes_on(self, tmp_path):
        path = str(tmp_path / "run.npz")
        assert launch(2, checkpoint=path, rank=1, at=17, does="os.kill(os.getpid(), signal.SIGKILL)").returncode != 0
        for found in trained(2, checkpoint=path):
            np.testing.assert_allclose(found["theta"], alone()["theta"], rtol=1e-3, atol=1e-4)

    def test_the_lines_are_printed_once(self):
        done = launch(2, progress=True)
        assert (done.stdout + done.stderr).count("epoch 3/3  loss") == 1


class TestDraws:
    def test_a_share_has_its_rows_of_what_all_draw(self):
        whole = np.random.default_rng(0).standard_normal((6, 3))
        share = ShareOfDraws(np.random.default_rng(0), 6, slice(2, 4))
        np.testing.assert_array_equal(share.standard_normal((2, 3)), whole[2:4])

    @pytest.mark.parametrize(
        ("name", "arguments"), [("random", ()), ("normal", (1.0, 2.0)), ("uniform", (-1, 1)), ("integers", (0, 9))]
    )
    def test_the_generator_goes_on_as_if_all_had_been_drawn(self, name, arguments):
        plain, shared = np.random.default_rng(0), np.random.default_rng(0)
        getattr(plain, name)(*arguments, size=(6, 3))
        getattr(ShareOfDraws(shared, 6, slice(2, 4)), name)(*arguments, (2, 3))
        assert shared.random() == plain.random()

    @pytest.mark.parametrize("shape", [None, 3, (3, 2), ()])
    def test_a_draw_whose_first_axis_is_not_the_batch_is_refused(self, shape):
        with pytest.raises(ShapeError, match=r"^DataParallel expects .* 2 rows here, got rng.normal with the shape"):
            ShareOfDraws(np.random.default_rng(0), 6, slice(2, 4)).normal(size=shape)

    @pytest.mark.parametrize("name", ["permutation", "shuffle", "choice", "spawn"])
    def test_a_draw_that_no_share_can_have_is_refused(self, name):
        with pytest.raises(TypeError, match=rf"^DataParallel expects .*, got rng.{name}\.$"):
            getattr(ShareOfDraws(np.random.default_rng(0), 6, slice(2, 4)), name)
