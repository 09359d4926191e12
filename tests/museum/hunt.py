"""A hunt: one small mistake, drawn by a seed, in a copy of the library for a student to find.

A mistake of the heart is drawn (scratchnet/core and the formulas) that does not show itself: with it models still
train without an error, and yet a test fails. The copy computes with the formulas alone, so a mistake lies in readable
NumPy. What was planted is written into the copy too, in a form that is not read by accident.
"""

import ast
import base64
import difflib
import functools
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.museum.mutants import ROOT
from tests.mutate import Mutant, mutants, planted

HEART = ("kernels/formulas.py", *(f"core/{name}.py" for name in ("activations", "dense", "gaussian", "likelihood")))
HEART += tuple(f"core/{name}.py" for name in ("losses", "optim", "sequential", "vae"))

ENGINES = ("loops.py", "threads.py", "compile.py", "vector")  # parts of scratchnet/kernels that a copy lacks
SHARED = ("conftest", "numerics", "strategies", "laws")
WITNESSES = tuple(f"test_{name}" for name in ("optim", "losses", "gaussian", "layers", "parameters", "models", "conv"))
OTHERS = tuple(f"test_{name}" for name in ("training", "evaluation", "gradients", "statistics", "oracles", "torch"))

TRAINS = """
import numpy as np, scratchnet as sn
rng = np.random.default_rng(0)
x = (rng.random((40, 16)) < 0.4).astype(np.float32)
def variational(**how):
    images = sn.Conv2D(1, 2, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten()
    encoder = sn.Sequential(sn.Reshape((1, 4, 4)), *images, sn.Dense(8, 4, rng=rng))
    codes = sn.Dense(2, 8, rng=rng), sn.Tanh(), sn.Reshape((2, 2, 2))
    return sn.VAE(encoder, sn.Sequential(*codes, sn.ConvTranspose2D(2, 1, 2, stride=2, rng=rng), sn.Flatten()), **how)
encoder = sn.Sequential(sn.Dense(16, 5, rng=rng), sn.ReLU())
network = sn.Sequential(sn.Dense(16, 5, rng=rng), sn.Tanh(), sn.Dense(5, 3, rng=rng))
for model, data, optimizer in (
    (variational(), x, sn.Adam(weight_decay=0.01)),
    (variational(likelihood="gaussian", sigma=0.5, beta=0.5), x, sn.SGD(0.001, momentum=0.5)),
    (sn.Autoencoder(encoder, sn.Sequential(sn.Dense(5, 16, rng=rng), sn.Sigmoid()), loss=sn.bce), x, sn.Adam()),
    (sn.Classifier(network), (x, rng.integers(3, size=40)), sn.SGD(0.01)),
):
    sn.fit(model, data, optimizer=optimizer, epochs=2, batch_size=16, rng=rng, progress=False)
"""
TESTS = """
import sys, pytest
sys.exit(pytest.main(sys.argv[1:]))
"""

TOLD = """\
{where} is a copy of the library with one mistake in it. Models still train, and at least one test fails.

1. Look which tests fail:   cd {where} && {python} -m pytest -q
   (one kind at a time, such as tests/test_losses.py, tests/test_optim.py, or tests/laws.py for the laws;
   tests/test_torch.py compares with PyTorch, where that is installed).
2. Ask other instruments: sn.check_gradients(layer, x, rng=rng), and an example that you work out by hand.
   Which of them see the mistake, and which do not? Halve what is left: a layer alone, then a formula alone.
3. The mistake is in scratchnet/core or in scratchnet/kernels/formulas.py, where the copy computes. Mend it there.
4. From this folder, `{python} -m tests.museum --hunt {seed} --check` says whether it is mended, and
   `{python} -m tests.museum --hunt {seed} --reveal` says what it was."""


class HuntError(Exception):
    """A hunt that cannot begin, or that did not begin."""


@dataclass(frozen=True)
class Mistake:
    """What was planted: the module's source before and after, and the first test that failed."""

    module: str
    was: str
    became: str
    caught_by: str

    def diff(self) -> str:
        """The lines that changed, under the number of the first."""
        before, after = self.was.splitlines(), self.became.splitlines()
        lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
        number = lines[0].split()[1].lstrip("-").partition(",")[0]
        return "\n".join([f"{self.module}, line {number}", *(line for line in lines if line[0] != "@")])


def folder_of(seed: int) -> Path:
    return ROOT / "runs" / f"hunt-{seed}"


def candidates(seed: int) -> list[tuple[str, Mutant]]:
    """Small mistakes of the heart and their modules, in an order that the seed draws."""
    found = list(_small_mistakes())
    random.Random(seed).shuffle(found)
    return found


@functools.cache
def _small_mistakes() -> tuple[tuple[str, Mutant], ...]:
    found = []
    for name in HEART:
        module = f"scratchnet/{name}"
        source = (ROOT / module).read_text(encoding="utf-8")
        refusing = _lines_that_refuse(source)
        found += [(module, mutant) for mutant in mutants(source) if mutant.lines[-1] not in refusing]
    return tuple(found)


def begin(seed: int, folder: Path) -> str:
    """Makes the copy with its mistake, and returns what the student is told."""
    if folder.exists():
        raise HuntError(f"{folder} is there already: go on in it, or delete it to begin again.")
    copy_to(folder)
    for module, mutant in candidates(seed):
        path = folder / module
        source = path.read_text(encoding="utf-8")
        path.write_text(planted(source, mutant), encoding="utf-8")
        if test := failing(folder, TRAINS):
            record = json.dumps(asdict(Mistake(module, source, planted(source, mutant), test)))
            (folder / ".hunt").write_bytes(base64.b64encode(record.encode()))
            return TOLD.format(where=_near(folder), seed=seed, python=Path(sys.executable).name)
        path.write_text(source, encoding="utf-8")
    raise HuntError(f"No mistake was found that a test of {folder} notices.")


def copy_to(folder: Path) -> None:
    """The library on its formulas alone, and tests that read no docs."""
    ignored = shutil.ignore_patterns("__pycache__", *ENGINES)
    shutil.copytree(ROOT / "scratchnet", folder / "scratchnet", ignore=ignored)
    (folder / "tests").mkdir()
    for name in (*SHARED, *WITNESSES, *OTHERS):
        shutil.copy(ROOT / "tests" / f"{name}.py", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)


def mistake_in(folder: Path) -> Mistake:
    """What was planted in this copy."""
    try:
        return Mistake(**json.loads(base64.b64decode((folder / ".hunt").read_bytes())))
    except FileNotFoundError:
        raise HuntError(f"{folder} holds no hunt: begin one without --check and --reveal.") from None


def check(folder: Path) -> tuple[bool, str]:
    """Whether the mistake is mended: its module says what it said, or the tests pass; and a sentence about it."""
    mistake = mistake_in(folder)
    if _says(mistake.was) == _says((folder / mistake.module).read_text(encoding="utf-8")):
        return True, "Mended: the code is what it was before."
    test = failing(folder)
    if test == "":
        return True, "Mended, in words of your own: the tests pass."
    return False, f"Not mended yet: {f'{test} fails' if test else 'the tests do not run'}."


def reveal(folder: Path) -> str:
    """What was planted, and the first test that failed with it."""
    mistake = mistake_in(folder)
    return f"{mistake.diff()}\n\nOne of the tests that see it: {mistake.caught_by}"


def failing(folder: Path, script: str = "") -> str | None:
    """The first test of the copy that fails, or "" if none does; None if the script before them fails, or they hang.

    Only examples run. What is drawn at random would take longer, and might fail another time.
    """
    options = ["-o", "addopts=", "-m", "not slow and not hypothesis", "-k", "not digits", "-p", "no:cacheprovider"]
    tests = [f"tests/{name}.py" for name in WITNESSES]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_", "SCRATCHNET_"))}
    env |= {"PYTHONPATH": str(folder.resolve()), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script + TESTS, *options, "-x", "-q", "--tb=no", *tests]
    try:
        ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None
    found = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("FAILED ")]
    return "" if ended.returncode == 0 else next(iter(found), None)


def _lines_that_refuse(source: str) -> set[int]:
    """The lines of errors and of the questions before them: a mistake there does not change what is computed."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise)):
            found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def _says(source: str) -> str:
    """The code without its layout and comments."""
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return ""


def _near(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)
