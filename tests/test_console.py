"""Training and demos run to their end on every console: one that lacks letters, one that is gone, none at all."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.training import console
from tests.demo_runs import ENVIRONMENT, ROOT, few_digits

TRAINING = """
import sys, warnings, numpy as np, scratchnet as sn
class Odd(sn.Layer):
    def forward(self, x):
        warnings.warn("θ² → −∞ × ½")
        return x, lambda dy: dy
def train(rate=0.01, loss=sn.mse, **options):
    rng = np.random.default_rng(0)
    ae = sn.Autoencoder(sn.Sequential(sn.Dense(4, 2, rng=rng), Odd()), sn.Dense(2, 4, rng=rng), loss=loss)
    ae.unit = "β²/image"
    return sn.fit(ae, rng.random((20, 4), np.float32), optimizer=sn.SGD(rate), rng=rng, batch_size=5, **options)
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PYTHONPATH": str(ROOT), "SCRATCHNET_KERNELS": "numpy"} | environment
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONIOENCODING", "LC_ALL", "LANG")}
    done = subprocess.run(
        [sys.executable, "-c", f"exec({code!a})", *arguments], env=kept | environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done


CONSOLES = {
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
    "Western Windows": {"PYTHONIOENCODING": "cp1252"},
    "Japanese Windows": {"PYTHONIOENCODING": "cp932"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "the C locale": {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("environment", CONSOLES.values(), ids=CONSOLES)
def test_training_runs_to_its_end_whatever_letters_the_console_has(tmp_path, environment):
    goes_on = "print(len(train(epochs=2, checkpoint=sys.argv[1]).epochs)); train(epochs=3, checkpoint=sys.argv[1])"
    code = f"{TRAINING}\n{goes_on}"
    done = python(code, str(tmp_path / "run.npz"), **environment)
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(b"epoch")] == [
        [b"epoch", b"%d/%d" % one] for one in ((1, 2), (2, 2), (3, 3))
    ]
    assert b"2" in lines
    assert b"epoch 3/3" in done.stderr  # the bar


def test_a_line_keeps_the_letters_that_the_console_has_and_spells_the_others():
    lines = {
        name: python(f"{TRAINING}\ntrain(epochs=1)", **CONSOLES[name]).stdout
        for name in ("UTF-8", "Western Windows", "ASCII")
    }
    assert "β²/image".encode() in lines["UTF-8"]
    assert "beta²/image".encode("cp1252") in lines["Western Windows"]
    assert b"beta^2/image" in lines["ASCII"]


NO_CONSOLE = {
    "none at all, as under pythonw": "sys.stdin = sys.stdout = sys.stderr = None",
    "no stdout": "sys.stdout = None",
    "no stderr": "sys.stderr = None",
    "closed": "sys.stdout.close(); sys.stderr.close(); warnings.simplefilter('ignore')",
    "its other end is gone": """
import os
class Gone:
    encoding = "utf-8"
    def write(self, text): raise OSError(5, "Input/output error")
    flush = lambda self: None
    isatty = lambda self: True
    fileno = lambda self: 1
sys.stdout = sys.stderr = Gone()""",
    "a broken pipe": """
import os
read, write = os.pipe()
os.close(read)
sys.stdout = os.fdopen(write, "w", buffering=1)
sys.stderr = os.fdopen(os.dup(write), "w", buffering=1)""",
    "a stream without a name for its letters": "import io; sys.stdout = sys.stderr = io.StringIO()",
}


@pytest.mark.parametrize("lose", NO_CONSOLE.values(), ids=NO_CONSOLE)
def test_training_runs_to_its_end_without_a_console(tmp_path, lose):
    code = f"""
{TRAINING}
{lose}
for epochs in (1, 3):
    history = train(epochs=epochs, checkpoint=sys.argv[1])
open(sys.argv[2], "w").write(str(len(history.epochs)))
import os
os._exit(0)  # what Python itself says of a pipe that broke is another matter
"""
    python(code, str(tmp_path / "run.npz"), str(tmp_path / "end"))
    assert (tmp_path / "end").read_text(encoding="utf-8") == "3"


def test_what_goes_wrong_without_a_console_is_the_same_error(tmp_path):
    code = f"""
{TRAINING}
sys.stdin = sys.stdout = sys.stderr = None
try:
    train(rate=1e30, epochs=3)
except sn.DivergenceError as error:
    open(sys.argv[1], "w", encoding="utf-8").write(str(error))
"""
    python(code, str(tmp_path / "error"))
    assert "the loss is" in (tmp_path / "error").read_text(encoding="utf-8")


# ---- threads


@pytest.mark.parametrize("progress", [True, False])
def test_training_leaves_no_thread_behind(progress, capsys):
    rng = np.random.default_rng(0)
    ae = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
    before = set(threading.enumerate())
    x = rng.random((20, 4), np.float32)
    sn.fit(ae, x, optimizer=sn.Adam(), epochs=2, rng=rng, progress=progress)
    assert [thread for thread in threading.enumerate() if "tqdm" in type(thread).__module__] == []
    assert set(threading.enumerate()) <= before


def test_a_bar_has_no_thread_of_its_own(capsys):
    before = set(threading.enumerate())
    bar = console.bar("epoch 1/1", 10, unit="images")
    during = set(threading.enumerate())
    bar.close()
    assert during <= before


# ---- a line beside a bar


def test_a_bar_begins_with_nothing_done(capsys):
    with console.bar("epoch 1/1", 10, unit="images") as bar:
        assert bar.n == 0


def test_a_bar_is_drawn_again_after_a_line(capsys):
    bar = console.bar("epoch 1/1", 10, unit="images")
    capsys.readouterr()
    console.write("a line")
    again = capsys.readouterr()
    bar.close()
    assert again.out == "a line\n"
    assert "epoch 1/1" in again.err


def test_a_bar_that_is_done_leaves_no_line(capsys):
    console.bar("epoch 1/1", 10, unit="images").close()
    assert "\n" not in capsys.readouterr().err


def test_what_else_a_stream_has_is_that_of_the_stream():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="koi8-r")
    assert console._Console(stream).encoding == "koi8-r"


def test_flush_reaches_the_stream():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    shown = console._Console(stream)
    shown.write("a line")
    shown.flush()
    assert stream.buffer.getvalue() == b"a line"  # type: ignore[attr-defined]


# ---- letters


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("−105.83 ± 0.26", "-105.83 +- 0.26"),
        ("28 × 28", "28 x 28"),
        ("θ ← θ − η∂L/∂θ", "theta ? theta - eta?L/?theta"),
        ("Σ σ² μ ε", "Sigma sigma^2 mu epsilon"),
        ("Kingma & Ba, naïve", "Kingma & Ba, naive"),
        ("图像", "??"),
        ("as it is", "as it is"),
        ("", ""),
    ],
)
def test_letters_that_are_lacking_are_spelt_so_that_numbers_keep_their_sign(text, spelt):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console._Console(stream).write(text)
    stream.seek(0)
    assert stream.read() == spelt


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437", "koi8-r", "shift_jis", "ascii"])
def test_what_is_spelt_can_be_written(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    every = "".join(map(chr, [*range(32, 0x3000), 0x1F600]))
    console._Console(stream).write(every)
    stream.seek(0)
    assert len(stream.read()) >= len(every)


# ---- demos

DEMOS = [
    "autoencoder_mnist",
    "compressing",
    "conv_autoencoder_mnist",
    "denoising_mnist",
    "fractal_manifold",
    "latent_gaps",
]
WITHOUT_CONSOLE = """
import runpy, sys
sys.stdin = sys.stdout = sys.stderr = None
sys.path.insert(0, sys.argv[1] + "/demos")
demo = sys.argv[2]
sys.argv[:] = [demo + ".py", *sys.argv[3:]]
runpy.run_path(sys.path[0] + "/" + demo + ".py", run_name="__main__")
"""


def few(demo: str, tmp_path: Path) -> list[str]:
    data = [] if demo in ("fractal_manifold", "probability") else ["--data", few_digits(tmp_path)]
    epochs = [] if demo == "probability" else ["--epochs", "1"]
    return ["--quick", *epochs, *data, "--out", str(tmp_path / "out")]


ALL = [pytest.param(demo, marks=pytest.mark.slow) for demo in DEMOS] + ["vae_mnist", "probability"]


@pytest.mark.parametrize("demo", ALL)
def test_a_demo_runs_to_its_end_without_a_console(tmp_path, demo):
    python(WITHOUT_CONSOLE, str(ROOT), demo, *few(demo, tmp_path))
    assert (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize("demo", ALL)
@pytest.mark.parametrize("environment", [CONSOLES["ASCII"], CONSOLES["the C locale"]], ids=["ASCII", "the C locale"])
def test_a_demo_runs_to_its_end_in_ascii(tmp_path, demo, environment):
    given: dict[str, Any] = ENVIRONMENT | {"SCRATCHNET_KERNELS": "numpy"} | environment
    if "LC_ALL" in environment:
        del given["PYTHONIOENCODING"]
    arguments = [sys.executable, str(ROOT / "demos" / f"{demo}.py"), *few(demo, tmp_path)]
    done = subprocess.run(arguments, env=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.isascii()
    assert b"metrics.json" in done.stdout


@pytest.mark.parametrize(("option", "said"), [("--help", b"--out"), ("--quick", b"needs mpi4py")])
def test_the_demo_on_several_processes_says_what_it_lacks(tmp_path, option, said):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('none here')", "utf-8")
    given = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "SCRATCHNET_KERNELS": "numpy"}
    arguments = [sys.executable, str(ROOT / "demos" / "data_parallel.py"), option]
    done = subprocess.run(arguments, env=given, cwd=tmp_path, capture_output=True)
    assert said in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("demo", [*ALL, pytest.param("benchmark", marks=pytest.mark.slow)])
def test_a_demos_help_can_be_read_in_ascii(demo):
    given = ENVIRONMENT | {"PYTHONIOENCODING": "ascii", "SCRATCHNET_KERNELS": "numpy"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "demos" / f"{demo}.py"), "--help"], env=given, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"--out" in done.stdout
