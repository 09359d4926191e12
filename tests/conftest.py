"""What all tests share: kernels that are compiled, how hypothesis searches, and fresh random numbers for each test."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # test processes share the cores: NumPy's products stay on one

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from hypothesis import find, settings
from hypothesis import strategies as st

settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


COMPILE = """
import sys
from scratchnet import kernels
if kernels.active() != "numpy":
    from scratchnet.kernels.threads import Kernel
    for one in Kernel.every[:: int(sys.argv[2])]:
        one.load(sys.argv[1])
"""
LONG = ("test_museum", "test_benchmark", "test_demo_", "test_docs_site", "laws")
COMPILING = pytest.StashKey[list["subprocess.Popen[bytes]"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=25, help="how often test_trust.py kills a training")
    parser.addoption("--mixes", type=int, default=150, help="how many random trainings test_interactions.py makes")
    parser.addoption(
        "--damaged", type=int, default=100, help="how many damaged files of a kind test_strangers.py reads"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m smoke`, leave alone files without such tests: a slow machine takes minutes to import them."""
    if config.getoption("markexpr") == "smoke" and collection_path.suffix == ".py":
        return "pytest.mark.smoke" not in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to compile each kernel once, before several processes would each do so.

    Float32 from the first to the last and float64 the other way round, since both types of a kernel are kept in one
    file. Meanwhile the processes that test collect their tests.
    """
    if session.config.getoption("numprocesses", None):
        command = [sys.executable, "-W", "ignore", "-c", COMPILE]
        session.config.stash[COMPILING] = [subprocess.Popen([*command, *which]) for which in (("f", "1"), ("d", "-1"))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that at the end no process waits long for another."""
    items.sort(key=lambda item: not item.path.name.startswith(LONG))


def pytest_collection_finish() -> None:
    """Spare the tests two things that take much of their time.

    A collection of garbage looks only at what comes from now on; with PyTorch and all tests it takes ⅓ s. And a kernel
    of a few numbers does not wake a second thread; test_kernels.py runs on all. At its first example Hypothesis asks
    the collector who refers to its generator, and what is frozen is hidden from the collector: that comes first.
    """
    find(st.none(), lambda _: True)
    gc.collect()
    gc.freeze()
    if threads := sys.modules.get("scratchnet.kernels.threads"):
        vars(threads)["threads"] = 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Let no test begin before the kernels are there."""
    for process in session.config.stash.get(COMPILING, []):
        process.wait()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
