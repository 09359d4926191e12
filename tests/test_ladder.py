"""The ladder of engines: what does not work gives way, is said once, and never computes a wrong number."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import kernels
from scratchnet.kernels import formulas

pytest.importorskip("numba")

from scratchnet.kernels import loops

ROOT = Path(__file__).parent.parent
ONES = np.ones((3, 4), np.float32)


def run(script: str, cwd: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A fresh Python that ran the script on the package in this folder, with the default engine."""
    return subprocess.run(
        [sys.executable, "-c", script],
        env={name: value for name, value in os.environ.items() if name != "SCRATCHNET_KERNELS"} | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )


@pytest.fixture
def copy(tmp_path):
    """The package in a folder of its own, to change."""
    shutil.copytree(ROOT / "scratchnet", tmp_path / "scratchnet", ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    return tmp_path


# ---- which engine


def test_the_default_is_the_highest_rung_that_is_there():
    rung = "vector" if (ROOT / "scratchnet" / "kernels" / "vector").exists() else "numba"
    assert run("import scratchnet as sn; print(sn.kernels.active())").stdout.strip() == rung


DENSE_AND_CONVOLUTION = """
import numpy as np, scratchnet as sn
rng = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    x = rng.random((5, 2, 6, 6)).astype(dtype)
    layers = sn.Conv2D(2, 3, 3, rng=rng, dtype=dtype), sn.Flatten(), sn.Dense(48, 4, rng=rng, dtype=dtype), sn.Sigmoid()
    network = sn.Sequential(*layers)
    y, backward = network.forward(x)
    dx = backward(y)
    with sn.kernels.use("numpy"):
        exact, backward = network.forward(x)
        assert np.allclose(y, exact, rtol=1e-4) and np.allclose(dx, backward(exact), rtol=1e-4, atol=1e-5)
print(sn.kernels.active())
"""


@pytest.mark.slow
def test_without_the_folder_of_vectors_the_loops_are_the_default_and_nothing_is_said(copy):
    shutil.rmtree(copy / "scratchnet" / "kernels" / "vector", ignore_errors=True)
    found = run(f"import warnings; warnings.simplefilter('error')\n{DENSE_AND_CONVOLUTION}", copy)
    assert found.stdout.strip() == "numba"
    assert set(found.stderr.splitlines()) <= {"scratchnet compiles its kernels, once on this machine …"}


NUMBA_FAILS = {
    "is not there": "import sys; sys.modules['numba'] = None",
    "fails at import": "import sys, types; sys.modules['numba'] = types.ModuleType('numba')",
    "raises what is no ImportError": (
        "import importlib.abc, sys\n"
        "class Broken(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'numba': raise OSError('a library is missing')\n"
        "sys.meta_path.insert(0, Broken())"
    ),
}


@pytest.mark.parametrize("how", NUMBA_FAILS)
def test_where_numba_fails_numpy_computes_and_it_is_said_once(how):
    found = run(f"{NUMBA_FAILS[how]}\n{DENSE_AND_CONVOLUTION}")
    assert found.stdout.strip() == "numpy"
    assert found.stderr.count("scratchnet computes more slowly than it could") == 1


def test_where_compiling_is_switched_off_numpy_computes_and_it_is_said_once():
    found = run(DENSE_AND_CONVOLUTION, NUMBA_DISABLE_JIT="1")
    assert found.stdout.strip() == "numpy"
    assert found.stderr.count("NUMBA_DISABLE_JIT is set") == 1


@pytest.mark.slow
def test_an_engine_that_cannot_be_loaded_is_refused_if_it_is_chosen_by_name():
    script = NUMBA_FAILS["is not there"] + (
        "\nimport scratchnet as sn\ntry: sn.kernels.use('numba')\nexcept ImportError: print(sn.kernels.active())"
    )
    assert run(script, SCRATCHNET_KERNELS="numpy").stdout.strip() == "numpy"


def test_numpy_is_chosen_without_a_word_and_without_numba():
    script = NUMBA_FAILS["is not there"] + "\nimport scratchnet as sn; print(sn.kernels.active())"
    found = run(script, SCRATCHNET_KERNELS="numpy")
    assert (found.stdout.strip(), found.stderr) == ("numpy", "")


# ---- a kernel that does not work


def raises(*arguments):
    raise ValueError("no such instruction")


def disagrees(x):
    return formulas.relu(x) + 1e-2


def is_of_another_shape(x):
    return formulas.relu(x)[:, :-1]


def computes_nan(x):
    return np.full_like(x, np.nan)


BROKEN = pytest.mark.parametrize("broken", [raises, disagrees, is_of_another_shape, computes_nan])


@BROKEN
def test_a_kernel_of_the_default_that_does_not_work_gives_way_and_is_named_once(monkeypatch, broken):
    monkeypatch.setattr(loops, "relu", broken)
    relu = kernels.Checked("relu", {"numba": loops, "numpy": formulas}, falls=True)
    with pytest.warns(RuntimeWarning, match=r'the kernel relu of the engine "numba" .* float32') as warned:
        found = [relu(-ONES) for _ in range(2)]
    np.testing.assert_array_equal(found, 0)
    assert len(warned) == 1
    assert relu.fallen_to == "numpy"


@BROKEN
def test_a_kernel_of_an_engine_chosen_by_name_that_does_not_work_is_an_error(monkeypatch, broken):
    monkeypatch.setattr(loops, "relu", broken)
    relu = kernels.Checked("relu", {"numba": loops, "numpy": formulas}, falls=False)
    for _ in range(2):
        with pytest.raises(RuntimeError, match='the kernel relu of the engine "numba" does not work here'):
            relu(ONES)


def test_the_active_engine_is_the_lowest_rung_that_any_kernel_has_fallen_to():
    script = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, scratchnet as sn
from scratchnet.kernels import loops
before = sn.kernels.active()
loops.relu = lambda x: x
sn.Tanh().forward(np.ones((2, 2), np.float32))
print(sn.kernels.active() == before)
sn.ReLU().forward(np.ones((2, 2), np.float32))
print(sn.kernels.active())
with sn.kernels.use("numba"): print(sn.kernels.active())
"""
    assert run(script).stdout.split() == ["True", "numpy", "numba"]


# ---- numba's insides

RELU_ALONE = """
import numpy as np, scratchnet as sn
assert sn.ReLU().forward(np.full((1, 1), -1, np.float32))[0] == 0
print(sn.kernels.active())
"""

HIDE = """
import sys
def hide(owner, name):
    \"\"\"Other code of numba's still finds the name; ours does not, as if it were called otherwise.\"\"\"
    true = getattr(owner, name)
    def look(self):
        if sys._getframe(1).f_code.co_filename.endswith("compile.py"): raise AttributeError(name)
        return true.__get__(self) if hasattr(true, "__get__") else true
    setattr(owner, name, property(look))
"""
INSIDES = {
    "how functions are called": "from numba.core.callconv import CPUCallConv as owner; hide(owner, 'call_function')",
    "a function's type": "from numba.core.callconv import CPUCallConv as owner; hide(owner, 'get_function_type')",
    "the address of machine code": (
        "from numba.core.codegen import JITCodeLibrary as owner; hide(owner, 'get_pointer_to_function')"
    ),
    "what the CPU can do": "from numba.core.codegen import CPUCodegen as owner; hide(owner, 'magic_tuple')",
    "what an unknown CPU can do": (
        "import llvmlite.binding as llvm\n"
        "def unknown(): raise RuntimeError('this CPU is unknown')\n"
        "llvm.get_host_cpu_features = unknown"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", INSIDES)
def test_a_numba_that_is_another_inside_computes_the_same(what, tmp_path):
    hidden = f"{HIDE}{INSIDES[what]}\nfrom scratchnet.kernels import threads\nthreads.LEAST_WORK = threads.TRIAL = 0\n"
    found = run(hidden + RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path))
    assert found.stdout.strip() != "numpy"
    assert "Warning" not in found.stderr


@pytest.mark.slow
def test_files_of_machine_code_that_numba_cannot_be_told_to_forget_are_done_without(tmp_path):
    hidden = f"{HIDE}from numba.core.caching import _Cache, Cache; hide(Cache, 'flush')\n"
    before = run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stdout
    for file in tmp_path.rglob("*.nbi"):
        file.write_bytes(b"")
    assert run(hidden + RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stdout == before


# ---- machine code on disk


def test_only_the_first_run_on_a_machine_compiles_and_says_so(tmp_path):
    first, second = (run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stderr.splitlines() for _ in range(2))
    assert first == ["scratchnet compiles its kernels, once on this machine …"]
    assert second == []


@pytest.mark.slow
def test_a_change_of_any_source_of_kernels_has_all_compiled_again(copy):
    run(RELU_ALONE, copy)
    assert run(RELU_ALONE, copy).stderr == ""
    with open(copy / "scratchnet" / "kernels" / "elementary.py", "a") as file:
        file.write("# changed\n")
    assert "compiles its kernels" in run(RELU_ALONE, copy).stderr


SPOILS = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "of something else": lambda content: b"not a pickle" * 10,
    "of bytes that are not text": lambda content: bytes(range(256)),
}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_file_of_machine_code_that_is_damaged_is_made_again(tmp_path, suffix, spoil):
    before = run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stdout
    for file in tmp_path.rglob(f"*{suffix}"):
        file.write_bytes(SPOILS[spoil](file.read_bytes()))
    found = run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path))
    assert found.stdout == before
    assert "Warning" not in found.stderr
    assert run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


@pytest.mark.slow
def test_a_file_of_machine_code_that_is_a_folder_is_done_without(tmp_path):
    before = run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stdout
    for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
        file.unlink()
        file.mkdir()
    assert run(RELU_ALONE, NUMBA_CACHE_DIR=str(tmp_path)).stdout == before


@pytest.mark.slow
def test_machines_of_two_vector_widths_share_a_folder(tmp_path):
    narrow = """
import llvmlite.binding as llvm
true = llvm.get_host_cpu_features
llvm.get_host_cpu_features = lambda: {**true(), "avx512f": False, "avx2": False, "fma": False, "avx": False}
"""
    shared = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": "generic"}
    for script in (DENSE_AND_CONVOLUTION, narrow + DENSE_AND_CONVOLUTION, DENSE_AND_CONVOLUTION):
        found = run(script, ROOT, **shared)
    assert found.stderr == ""  # the second machine has left the files of the first alone


def test_machine_code_is_named_after_the_width_of_a_vector():
    from scratchnet.kernels.compile import VECTOR, dispatcher

    def nothing():
        pass

    assert dispatcher(nothing, "nothing").py_func.__qualname__.endswith(f"_{8 * VECTOR}")


# ---- other CPUs

SSE = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+64bit,-avx512f"
CPUS = {"haswell": f"{SSE},+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt", "nehalem": f"{SSE},-avx,-avx2,-fma"}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these CPUs belong to another family")
@pytest.mark.parametrize("cpu", CPUS)
def test_every_kernel_computes_its_formula_on_another_cpu(cpu, tmp_path):
    environment = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": CPUS[cpu], "NUMBA_CACHE_DIR": str(tmp_path)}
    script = "import sys, pytest; sys.exit(pytest.main(['-q', '-n', '0', '-m', 'smoke', 'tests/test_smoke.py']))"
    width = "from scratchnet.kernels import compile; print(compile.VECTOR)"
    assert run(width, ROOT, **environment).stdout.strip() == {"haswell": "32", "nehalem": "16"}[cpu]
    run(script, ROOT, **environment)


# ---- threads, forks and signals


def test_two_threads_of_python_may_compute_at_once():
    script = """
import threading
import numpy as np, scratchnet as sn
def work(seed, found):
    x = np.random.default_rng(seed).standard_normal((64, 64)).astype(np.float32)
    for _ in range(200):
        x = np.tanh(sn.kernels.affine(x, x, x[0]))
    found[seed] = x.tobytes()
alone, together = {}, {}
for seed in (0, 1): work(seed, alone)
threads = [threading.Thread(target=work, args=(seed, together)) for seed in (0, 1)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(alone == together)
"""
    assert run(script).stdout.strip() == "True"


@pytest.mark.parametrize("when", ["when Python shuts down", "where threads can't be started"])
def test_a_kernel_computes_alone(when):
    script = """
import atexit, sys, threading
import numpy as np, scratchnet as sn
from scratchnet.kernels import threads
threads.LEAST_WORK = threads.TRIAL = 0
threads.threads = 2
def start(self): raise RuntimeError("can't start new thread")
def compute(): print((sn.kernels.relu(np.full((9, 9), -1, np.float32)) == 0).all())
if sys.argv[1].startswith("when"): atexit.register(compute)
else: threading.Thread.start = start; compute()
"""
    assert run(f"import sys; sys.argv.append({when!r})\n{script}").stdout.strip() == "True"


FORKS = """
import os, threading
import numpy as np, scratchnet as sn
from scratchnet.kernels import threads
threads.LEAST_WORK = threads.WORTH_WAKING = threads.TRIAL = 0
x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
exact = sn.kernels.affine(x, x, x[0])
def compute():
    while True: sn.kernels.affine(x, x, x[0])
if {busy}: threading.Thread(target=compute, daemon=True).start()
ends = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        same = all((sn.kernels.affine(x, x, x[0]) == exact).all() for _ in range(20))
        os._exit(0 if same else 1)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(ends, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while another thread computes"])
def test_a_forked_child_computes(busy):
    assert run(FORKS.format(busy=busy)).stdout.strip() == str([0] * 10)


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="there is no timer here")
def test_a_signal_handler_computes_while_a_kernel_runs():
    script = """
import signal, time
import numpy as np, scratchnet as sn
from scratchnet.kernels import threads
threads.LEAST_WORK = threads.WORTH_WAKING = threads.TRIAL = 0
x = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
exact, seen = sn.kernels.affine(x, x, x[0]), []
signal.signal(signal.SIGALRM, lambda *_: seen.append((sn.kernels.affine(x, x, x[0]) == exact).all()))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
while len(seen) < 50: assert (sn.kernels.affine(x, x, x[0]) == exact).all()
signal.setitimer(signal.ITIMER_REAL, 0)
print(all(seen))
"""
    assert run(script).stdout.strip() == "True"


def test_a_tracer_that_looks_at_names_while_the_library_is_imported_changes_nothing():
    script = """
import sys
import numpy as np
def tracer(frame, event, argument):
    if "scratchnet" in frame.f_code.co_filename: frame.f_locals
    return tracer
sys.settrace(tracer)
import scratchnet as sn
sys.settrace(None)
x = np.ones((1500, 1500), np.float32)
y, _ = sn.ReLU().forward(x)
for _ in range(5): z, _ = sn.ReLU().forward(2 * x)
print((y == 1).all(), np.shares_memory(y, z))
"""
    assert run(script).stdout.split() == ["True", "False"]


def test_a_read_only_array_is_read_and_never_written_to():
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    x.flags.writeable = False
    np.testing.assert_allclose(kernels.affine(x, x.T, np.zeros(5, np.float32)), x @ x.T, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        kernels.divide(x, 2.0)


@pytest.mark.parametrize("engine", [name for name in ("numba", "vector") if name in sn.kernels._RUNGS])
def test_blas_computes_what_the_rungs_compute(engine):
    x = np.random.default_rng(0).standard_normal((40, 30)).astype(np.float32)
    found = []
    for name in (engine, "blas"):
        try:
            with kernels.use(name):
                found.append(kernels.tanh(kernels.affine(x, x.T, np.zeros(40, np.float32))))
        except ImportError:
            pytest.skip("the folder kernels/vector is not there")
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-4)
