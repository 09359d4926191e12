"""The library stays small, its imports run one way, and what CONTRIBUTING promises of new parts is tried.

`python tests/test_measures.py --write` brings the numbers of lines in README.md up to date.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "scratchnet"
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"


# ---- sizes


def lines_of(files: list[Path]) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def evenings_read() -> list[Path]:
    """The files that README's section links to, in its order."""
    section = README.read_text(encoding="utf-8").split("\n## An evening's read\n")[1].split("\n## ")[0]
    return [ROOT / link for link in re.findall(r"\]\((scratchnet/[\w/]+\.py)\)", section)]


NUMBER_OF_LINES = r"about \*\*[\d,]+(\s+)lines\*\*"


def with_numbers_of_lines(text: str) -> str:
    """README with the numbers of lines as they are, to the nearest hundred: of the evening's read, then of all."""
    sizes = iter([lines_of(evenings_read()), lines_of(sorted(PACKAGE.rglob("*.py")))])
    return re.sub(NUMBER_OF_LINES, lambda found: f"about **{round(next(sizes), -2):,}{found[1]}lines**", text)


@pytest.mark.skipif(not (PACKAGE / "kernels" / "vector").exists(), reason="a folder is left out")
def test_the_numbers_of_lines_in_the_readme_are_right():
    text = README.read_text(encoding="utf-8")
    assert len(re.findall(NUMBER_OF_LINES, text)) == 2
    assert text == with_numbers_of_lines(text), "run: python tests/test_measures.py --write"


def test_the_evenings_read_is_read_in_an_evening():
    files = evenings_read()
    assert files[0] == PACKAGE / "core" / "layer.py"
    for part in ("core/vae.py", "training/fit.py", "kernels/formulas.py"):
        assert PACKAGE / part in files
    assert 900 <= lines_of(files) <= 1700


def test_the_library_does_not_grow():
    assert lines_of(sorted(PACKAGE.rglob("*.py"))) <= 8800  # a ceiling to lower with every room that gets smaller


@pytest.mark.parametrize("demo", sorted((ROOT / "demos").glob("*.py")), ids=lambda file: file.name)
def test_a_demo_is_read_in_one_go(demo):
    assert lines_of([demo]) <= 150


def test_a_file_of_the_evenings_read_needs_none_that_comes_after_it():
    read = [name_of(file) for file in evenings_read()]
    for i, module in enumerate(read):
        later = set(read[i + 1 :]) - {"scratchnet.kernels.formulas"}  # called by name, read last
        assert not IMPORTS[module] & later, module


# ---- imports


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(PACKAGE.rglob("*.py"))}


def imported(tree: ast.Module, modules: Collection[str]) -> set[str]:
    """The modules that a file imports, anywhere in it; of a package's modules the modules, and not the package."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            both = [(f"{node.module}.{alias.name}", str(node.module)) for alias in node.names]
            names |= {longer if longer in modules else module for longer, module in both}
    return names & set(modules)


IMPORTS = {module: imported(tree, MODULES) for module, tree in MODULES.items()}


def room_of(module: str) -> str:
    """The folder or file directly in scratchnet/ that a module is in."""
    return module.split(".")[1] if "." in module else module


def test_no_module_imports_itself_in_a_circle():
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names the circle


def test_no_file_of_the_demos_imports_itself_in_a_circle():
    shared = {f"lib.{file.stem}": file for file in (ROOT / "demos" / "lib").glob("*.py")}
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in shared.items()}
    TopologicalSorter({name: imported(tree, trees) for name, tree in trees.items()}).prepare()


def test_no_two_rooms_import_each_other_and_no_more_do_in_a_circle():
    rooms: dict[str, set[str]] = {}
    for module, imports in IMPORTS.items():
        rooms.setdefault(room_of(module), set()).update({room_of(one) for one in imports} - {room_of(module)})
    order = list(TopologicalSorter(rooms).static_order())  # raises CycleError
    assert not any("scratchnet" in imports for imports in rooms.values())  # no room imports the package itself
    assert order.index("kernels") < order.index("core") < order.index("training")
    assert rooms["images"] <= {"arrays", "errors", "checks", "kernels", "core"}
    assert rooms["core"] <= {"arrays", "errors", "checks", "kernels", "schedules"}
    assert rooms["kernels"] <= {"arrays", "errors", "checks"}


# ---- private names of other packages


def foreign(tree: ast.Module) -> set[str]:
    """What a module uses that other packages do not document: `numba.core`, and names that begin with _."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(
            r"_(?!_|replace$|asdict$)", node.attr
        ):  # those of tuples are public
            if ast.unparse(node.value) not in ("self", "cls", "type(self)"):
                found.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith("scratchnet"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names if alias.name.startswith("_")}
            if re.match(r"numba\.core|.*\._", str(node.module)):
                found.add(str(node.module))
    return found


def test_private_names_of_numba_stand_in_one_module_and_those_of_other_packages_in_one_more():
    using = {module for module, tree in MODULES.items() if foreign(tree)}
    assert using <= {"scratchnet.kernels.compile", "scratchnet.training.storage"}, {
        module: foreign(MODULES[module]) for module in using
    }


# ---- CONTRIBUTING's map: one new part of each kind, in the files that the map names and no others


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What there is of the repository, but for the data, to add to."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.gz", "*.png", "*.json", "museum")
    for folder in ("scratchnet", "demos", "docs", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=leave_out)
    for file in ("README.md", "CONTRIBUTING.md", "pyproject.toml"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    return tmp_path


def row_of(part: str) -> list[str]:
    """The files of code that the map names for a new part; of a kernel the loop too, which is for speed."""
    row = re.search(rf"^\| {part} \| (.*?) \|", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"CONTRIBUTING.md has no row for {part}"
    return re.findall(r"`((?:scratchnet|demos|docs)/[\w/.-]+\.(?:py|md))`", row[1])


def add(copy: Path, part: str, texts: dict[str, str], export: str = "") -> None:
    """Append to each file, or write it if it is new; all of them are files that the map names."""
    assert list(texts) == row_of(part)
    for name, text in (texts | {"scratchnet/__init__.py": export}).items():
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write(text)


def python(copy: Path, *arguments: str, engine: str = "numpy") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "SCRATCHNET_KERNELS": engine, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SOFTPLUS = '''

class Softplus(Layer):
    """y = log(1 + e^x)."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        check_floats(self, "x", x)
        y = kernels.softplus(x)

        def backward(dy: Array) -> Array:
            check_dy(self, dy, y)
            return kernels.softplus_backward(dy, y)

        return y, backward
'''
SOFTPLUS_KERNELS = """

def softplus(x):
    return np.log1p(np.exp(x))


def softplus_backward(dy, y):
    return dy * (1 - np.exp(-y))


__all__ += ["softplus", "softplus_backward"]
"""
TRAINS = """
import numpy as np, scratchnet as sn
rng = np.random.default_rng(0)
def dense(n_in, n_out): return sn.Dense(n_in, n_out, rng=rng, dtype=np.float64)
def train(optimizer, decoder, **how):
    ae = sn.Autoencoder(dense(4, 3), decoder, **how)
    sn.check_gradients(ae.loss, rng.random((5, 4)), rng=rng)
    history = sn.fit(ae, rng.random((50, 4)), optimizer=optimizer, epochs=5, rng=rng, progress=False)
    assert history["loss"][-1] < history["loss"][0]
"""


def test_a_new_activation(copy):
    texts = {"scratchnet/core/activations.py": SOFTPLUS, "scratchnet/kernels/formulas.py": SOFTPLUS_KERNELS}
    assert len(texts) <= 2
    add(copy, "an activation", texts, "from scratchnet.core.activations import Softplus\n")
    checks = "sn.check_gradients(sn.Softplus(), rng.standard_normal((4, 3)), rng=rng)\n"
    python(copy, "-c", f"{TRAINS}{checks}train(sn.Adam(0.01), sn.Sequential(sn.Softplus(), dense(3, 4)))")


LOG_COSH = '''

def log_cosh(y: Array, target: Array) -> tuple[float, Array]:
    """(1/N) Σₙ Σᵢ log cosh(y − target)."""
    return batch_mean(*kernels.log_cosh(y, target))
'''
LOG_COSH_KERNEL = """

def log_cosh(y, target):
    return _sum_per_example(np.log(np.cosh(y - target))), np.tanh(y - target)


__all__ += ["log_cosh"]
"""


def test_a_new_loss(copy):
    texts = {"scratchnet/core/losses.py": LOG_COSH, "scratchnet/kernels/formulas.py": LOG_COSH_KERNEL}
    assert len(texts) <= 2
    add(copy, "a loss", texts, "from scratchnet.core.losses import log_cosh\n")
    checks = "sn.check_gradients(sn.log_cosh, *rng.random((2, 4, 3)), rng=rng)\n"
    python(copy, "-c", f"{TRAINS}{checks}train(sn.Adam(0.01), dense(3, 4), loss=sn.log_cosh)")


SCALE = '''"""Each column times a number that is learnt."""

import numpy as np

from scratchnet.arrays import Array, Backward
from scratchnet.core.layer import Layer


class Scale(Layer):
    """y = x ⊙ g."""

    parameter_names = ("g",)

    def __init__(self, width: int):
        self.g, self.dg = np.full(width, 2.0), np.zeros(width)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = x * self.g

        def backward(dy: Array) -> Array:
            self.dg += (x * dy).sum(axis=0)
            return dy * self.g

        return y, backward
'''


def test_a_new_layer(copy):
    add(copy, "a layer", {"scratchnet/images/scale.py": SCALE}, "from scratchnet.images.scale import Scale\n")
    checks = "sn.check_gradients(sn.Scale(3), rng.standard_normal((4, 3)), rng=rng)\n"
    python(copy, "-c", f"{TRAINS}{checks}train(sn.Adam(0.01), sn.Sequential(sn.Scale(3), dense(3, 4)))")


SIGN_DESCENT = '''

class SignDescent(Optimizer):
    """θ ← θ − learning_rate sign(dθ)."""

    def move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        theta -= learning_rate * np.sign(dtheta)
'''


def test_a_new_optimizer(copy):
    add(
        copy,
        "an optimizer",
        {"scratchnet/core/optim.py": SIGN_DESCENT},
        "from scratchnet.core.optim import SignDescent\n",
    )
    python(copy, "-c", f"{TRAINS}train(sn.SignDescent(0.002), dense(3, 4))")


CUBE = """

def cube(x):
    return x**3


__all__ += ["cube"]
"""
CUBE_SAMPLES = """

def _with_cube(before):
    def arguments(N, D, M, rng):
        return before(N, D, M, rng) | {"cube": (rng.standard_normal((N, D), np.float32),)}

    return arguments


arguments = _with_cube(arguments)
"""
CUBE_LOOP = """

from numba import njit


@njit
def cube(x):
    y = np.empty_like(x)
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[n, i] = x[n, i] * x[n, i] * x[n, i]
    return y
"""


@pytest.mark.parametrize("wrong", [False, True])
def test_a_new_kernel_is_compared_with_its_formula(copy, wrong):
    pytest.importorskip("numba")
    loop = CUBE_LOOP.replace("* x[n, i]\n", "* x[n, 0]\n") if wrong else CUBE_LOOP
    texts = {
        "scratchnet/kernels/formulas.py": CUBE,
        "scratchnet/kernels/samples.py": CUBE_SAMPLES,
        "scratchnet/kernels/loops.py": loop,
    }
    add(copy, "a kernel", texts)
    script = """
import numpy as np, scratchnet as sn
try:
    print(sn.kernels.cube(np.full((2, 3), 2.0)))
except RuntimeError as error:
    print(error)
"""
    found = python(copy, "-c", script, engine="numba")
    assert ("the kernel cube" in found and "differs from its formula" in found) if wrong else found.count("8.") == 6


DEMO = '''"""How large is a number of the normal distribution? Two seconds."""

import numpy as np
from lib.common import Run, plain_options, run
from lib.results import Number


def main() -> None:
    """Draw, and print the mean."""
    demo = Run("normal", plain_options("normal", __doc__, quick="draw less").parse_args())
    x = np.random.default_rng(demo.arguments.seed).standard_normal(1000)
    demo.finish({"mean |x|": Number(np.abs(x).mean(), "", exact=0.798)})


if __name__ == "__main__":
    run(main)
'''


def test_a_new_demo(copy):
    assert row_of("a demo") == ["demos/NAME.py"]
    (copy / "demos" / "normal.py").write_text(DEMO, encoding="utf-8")
    python(copy, "demos/normal.py", "--out", "out")
    assert "mean |x|" in (copy / "out" / "metrics.json").read_text(encoding="utf-8")


def test_the_demos_folder_shows_demos_only():
    for file in (ROOT / "demos").glob("*.py"):
        assert 'if __name__ == "__main__":' in file.read_text(encoding="utf-8"), f"{file.name} belongs into demos/lib/"


CHAPTER = """# 99 My chapter

[Chapter 03](03-dense.md) and the formula of a kernel:

<!-- source: scratchnet/kernels/formulas.py -->
```python
def relu(x):
    return np.maximum(x, 0)
```

```python
assert 1 + 1 == {two}
```
"""


@pytest.mark.parametrize("two", ["2", "3"])
def test_a_new_chapter_is_tested(copy, two):
    assert row_of("a chapter") == ["docs/NN-name.md"]
    (copy / "docs" / "99-mine.md").write_text(CHAPTER.format(two=two), encoding="utf-8")
    arguments = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/test_docs.py", "-k", "99-mine")
    if two == "2":
        assert "passed" in python(copy, *arguments)
    else:
        with pytest.raises(AssertionError, match="1 failed"):
            python(copy, *arguments)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_measures.py --write")
    README.write_text(with_numbers_of_lines(README.read_text(encoding="utf-8")), encoding="utf-8")
