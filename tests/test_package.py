"""The package as a whole: what importing it does and does not do, its public names, and the choice of kernels."""

import ast
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.kernels import formulas

PACKAGE = Path(sn.__file__).parent
ROOT = Path(__file__).parents[1]


def run(script: str, *arguments: str, **environment: str) -> str:
    """What a fresh Python prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env=os.environ | environment,
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


# ---- names

ADDED = {"annotationlib", "compression", "profiling", "tomllib"}  # by Python 3.11 and later
REMOVED = {
    "asynchat",
    "asyncore",
    "cgi",
    "chunk",
    "crypt",
    "distutils",
    "formatter",
    "imp",
    "parser",
    "pipes",
    "symbol",
}
SCRIPTS = sorted(
    path.relative_to(PACKAGE.parent).as_posix()
    for folder in ("demos", "demos/lib", "docs/figures", "tests", "tests/museum")
    for path in (PACKAGE.parent / folder).glob("*.py")
)


def test_there_are_scripts():
    assert {"demos/vae_mnist.py", "docs/figures/pca.py", "tests/laws.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_script_hides_a_standard_module_of_any_python_from_those_beside_it(script):
    assert Path(script).stem not in sys.stdlib_module_names | ADDED | REMOVED


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script.startswith("demos/")])
def test_no_demo_hides_a_package_that_it_or_another_demo_uses(script):
    used = {"scratchnet", "numpy", "numba", "llvmlite", "matplotlib", "PIL", "tqdm", "torch", "jax", "pytest"}
    assert Path(script).stem not in used


# ---- versions


def lower_bounds() -> dict[str, str]:
    """The oldest version of each package that pyproject.toml lets users or testers have."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    return dict(one.split(">=") for one in wanted if ">=" in one)


def test_the_versions_that_are_tested_as_the_oldest_are_those_that_are_promised():
    lines = (PACKAGE.parent / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    tested = dict(line.split("  #")[0].split("==") for line in lines)
    for name, bound in lower_bounds().items():
        assert re.fullmatch(rf"{re.escape(bound)}(\.0)*", tested[name]), f"{name} {tested[name]} is not {bound}"


def test_the_matrix_of_systems_holds_every_python_from_the_oldest():
    workflow = (PACKAGE.parent / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    pythons = re.findall(r'"(3\.\d+)"', workflow.partition("python: [")[2].partition("]")[0])
    assert pythons[0] == oldest
    assert [int(one.partition(".")[2]) for one in pythons] == list(range(int(oldest[2:]), 15))


# ---- importing


IMPORT_BETWEEN = """
import ctypes, gc, locale, os, random, re, signal, sys, threading, warnings
import numpy as np
def blas_threads():  # of each OpenBLAS that is loaded, under the names that NumPy's have
    try:
        with open("/proc/self/maps") as maps:
            libraries = set(re.findall(r"/\\S*openblas\\S*", maps.read()))
    except FileNotFoundError:
        return None
    names = [f"{prefix}openblas_get_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "")]
    found = [getattr(ctypes.CDLL(library), name, None) for library in sorted(libraries) for name in names]
    return [threads() for threads in found if threads]
def state():
    return dict(
        blas=blas_threads(), environment=dict(os.environ), folder=os.getcwd(), locale=locale.setlocale(locale.LC_ALL),
        collector=(gc.isenabled(), gc.get_threshold()), hooks=(sys.excepthook, sys.displayhook, threading.excepthook),
        errors=np.geterr(), print_options=np.get_printoptions(), filters=list(warnings.filters),
        legacy=[part if isinstance(part, (str, int, float)) else part.tobytes() for part in np.random.get_state()],
        random=random.getstate(), handlers=[signal.getsignal(s) for s in signal.valid_signals()],
        threads=threading.active_count(), recursion=sys.getrecursionlimit(),
    )
def changed():
    now = state()
    return [name for name in before if before[name] != now[name]]
before = state()
import scratchnet as sn
print(len(before["blas"] or []), *changed())
rng = np.random.default_rng(0)
ae = sn.Autoencoder(sn.Dense(400, 2, rng=rng), sn.Dense(2, 400, rng=rng))
with sn.kernels.use("numpy"):
    sn.fit(ae, rng.random((20, 400), np.float32), optimizer=sn.Adam(), epochs=1, rng=rng, progress=False)
print(*changed())
"""


def test_importing_and_training_change_no_state_of_the_process():
    imported, trained = run(IMPORT_BETWEEN, OPENBLAS_NUM_THREADS="2").splitlines()
    assert imported.split()[1:] == []
    assert trained == ""


PLOTS_BETWEEN = """
import matplotlib
before = dict(matplotlib.rcParams), matplotlib.rcParams._get_backend_or_none()
from scratchnet import plots
import numpy as np, sys
plots.save_figure(sys.argv[1], plots.image_grid(np.ones((4, 4)), "title", columns=2))
after = dict(matplotlib.rcParams), matplotlib.rcParams._get_backend_or_none()
print(after == before)
"""


def test_drawing_chooses_no_backend_and_changes_no_settings_of_matplotlib(tmp_path):
    assert run(PLOTS_BETWEEN, str(tmp_path / "figure.png")).split() == ["True"]


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """The modules that importing the package loads."""
    return run("import scratchnet, sys; print(*sys.modules)").split()


@pytest.mark.parametrize("module", ["matplotlib", "torch", "pytest", "hypothesis"])
def test_importing_loads_nothing_that_training_does_not_need(loaded, module):
    assert "scratchnet" in loaded
    assert module not in loaded


def imported(source: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("source", sorted(PACKAGE.rglob("*.py")), ids=lambda source: str(source.relative_to(PACKAGE)))
def test_no_module_reaches_for_the_network(source):
    network = {"asyncio", "ftplib", "http", "requests", "socket", "ssl", "urllib", "urllib3", "httpx", "aiohttp"}
    assert {name.split(".")[0] for name in imported(source)} & network == set()


@pytest.mark.parametrize("source", sorted(PACKAGE.rglob("*.py")), ids=lambda source: str(source.relative_to(PACKAGE)))
def test_no_module_reads_pickles(source):
    assert {name.split(".")[0] for name in imported(source)} & {"pickle", "marshal", "shelve", "dill"} == set()


# ---- public names


def test_every_public_name_is_there():
    for name in sn.__all__:
        assert getattr(sn, name) is not None


def test_the_public_names_are_all_listed():
    public = {name for name, value in vars(sn).items() if inspect.isclass(value) or inspect.isfunction(value)}
    assert public - {"__getattr__"} <= set(sn.__all__)


DOCUMENTED = [name for name in sn.__all__ if not isinstance(getattr(sn, name), ModuleType)]
SHOWN = [
    name
    for name in DOCUMENTED
    if not (inspect.isclass(getattr(sn, name)) and issubclass(getattr(sn, name), Exception))  # an error shows itself
]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_public_name_says_what_it_is(name):
    assert len((getattr(sn, name).__doc__ or "").split()) > 3


@pytest.mark.parametrize("name", SHOWN)
def test_every_public_name_is_shown_by_an_example(name):
    assert ">>>" in (getattr(sn, name).__doc__ or "")


def test_the_version_is_a_version():
    assert all(part.isdigit() for part in sn.__version__.split("."))


def test_the_citation_and_the_changelog_name_this_version():
    assert f"\nversion: {sn.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert next(line for line in changelog.splitlines() if line[:4] == "## 1").startswith(f"## {sn.__version__} ")


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


# ---- the choice of kernels


@pytest.fixture
def doubling(monkeypatch) -> str:
    """An engine beside the others, whose relu is twice what it should be."""
    engine: Any = ModuleType("doubling")
    for name in formulas.__all__:
        setattr(engine, name, getattr(formulas, name))
    engine.relu = lambda x: 2 * np.maximum(x, 0)
    monkeypatch.setitem(sn.kernels._ENGINES, "doubling", engine)
    return "doubling"


def relu_of_one() -> float:
    return sn.ReLU().forward(np.ones(1))[0].item()


@pytest.fixture(autouse=True)
def the_engine_that_was_there():
    before = sn.kernels._active
    yield
    sn.kernels._install(before)


def test_an_engine_is_used_from_then_on(doubling):
    sn.kernels.use(doubling)
    assert sn.kernels.active() == doubling
    assert relu_of_one() == 2
    sn.kernels.use("numpy")
    assert sn.kernels.active() == "numpy"
    assert relu_of_one() == 1


def test_an_engine_is_used_for_the_length_of_a_block(doubling):
    before = sn.kernels.active()
    with sn.kernels.use(doubling):
        assert sn.kernels.active() == doubling
        assert relu_of_one() == 2
    assert sn.kernels.active() == before
    assert relu_of_one() == 1


def test_a_block_inside_a_block_gives_back_the_outer_engine(doubling):
    with sn.kernels.use(doubling):
        with sn.kernels.use("numpy"):
            assert relu_of_one() == 1
        assert relu_of_one() == 2


def test_a_block_that_raises_gives_back_the_engine(doubling):
    before = sn.kernels.active()
    with pytest.raises(ZeroDivisionError), sn.kernels.use(doubling):
        _ = 1 / 0
    assert sn.kernels.active() == before
    assert relu_of_one() == 1


def test_an_unknown_engine_leaves_the_one_in_use():
    before = sn.kernels.active()
    with pytest.raises(ValueError, match="cuda"):
        sn.kernels.use("cuda")
    assert sn.kernels.active() == before


def test_the_environment_chooses_the_engine():
    script = "import scratchnet; print(scratchnet.kernels.active())"
    assert run(script, SCRATCHNET_KERNELS="numpy").strip() == "numpy"


def test_the_products_of_blas_leave_the_threads_of_the_other_kernels_as_they_were():
    threads = pytest.importorskip("scratchnet.kernels.threads")
    before = threads.threads
    with sn.kernels.use("blas"):
        assert relu_of_one() == 1
        assert sn.kernels.affine is formulas.affine
    assert threads.threads == before


def test_every_kernel_is_there_under_its_name():
    for name in formulas.__all__:
        assert callable(getattr(sn.kernels, name))
