"""What all exercises share: the blanks, the checks, and one sentence for whatever fails.

python -m pytest docs/exercises                       your blanks
python -m pytest docs/exercises --seed 1234           the same with other inputs
python -m pytest docs/exercises --solutions           the reference solutions
python -m pytest docs/exercises --from FOLDER         the files that somebody handed in
python -m pytest docs/exercises --blanks              a list of all blanks
"""

import ast
import importlib.util
import re
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import scratchnet as sn

HERE = Path(__file__).parent
SOLUTIONS = HERE / "solutions"

collect_ignore_glob = ["ex*.py", "solutions"]

_EFFORT = re.compile(r"^\s*(★{1,3}) · (\d+) minutes · (docs/\S+)$", re.M)


# ---- the blanks
@dataclass(frozen=True)
class Blank:
    """A function or a class of an exercise file, with a formula that is to be written as code."""

    file: str
    name: str
    formula: str
    stars: int
    minutes: int
    chapter: str

    @property
    def test(self) -> str:
        """The test that decides."""
        return f"test_{self.name.lower()}"


def blanks() -> list[Blank]:
    """All blanks, in the order of the chapters, from the docstrings of the exercise files."""
    return [blank for path in sorted(HERE.glob("ex*.py")) for blank in _blanks_of(path)]


def _blanks_of(path: Path) -> Iterator[Blank]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            doc = ast.get_docstring(node) or ""
            if effort := _EFFORT.search(doc):
                formula = " ".join(doc.partition("\n\n")[0].split())
                yield Blank(path.stem, node.name, formula, len(effort[1]), int(effort[2]), effort[3])


# ---- the checks: each raises an AssertionError that says what is wrong
class Check:
    """The questions that a test asks of a blank."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def that(self, condition: Any, told: str) -> None:
        """Ask for a fact; `told` is the sentence for where it does not hold."""
        if not condition:
            raise AssertionError(told)

    def same(
        self,
        found: Any,
        right: Any,
        mistakes: Mapping[str, Any] | None = None,
        what: str = "the result",
        not_finite: str = "",
    ) -> None:
        """Compare with the right number or array.

        `mistakes` has a sentence for each of the usual mistakes, with the result that it leads to; `not_finite` is the
        sentence for NaN or ∞ in the place of a number.
        """
        if found is None:
            raise AssertionError(f"{what} is None: return it.")
        right = np.asarray(right)
        try:
            found = np.asarray(found, None if right.dtype.kind == "b" else float)
        except (TypeError, ValueError):
            raise AssertionError(f"{what} is {found!r}, where an array of shape {right.shape} is meant.") from None
        causes = _explained(found, mistakes or {})
        if found.shape != right.shape:
            raise AssertionError(" ".join([f"{what}: got the shape {found.shape}, expected {right.shape}.", *causes]))
        if not _close(found, right):
            place = tuple(int(i) for i in np.unravel_index(np.argmax(_distance(found, right)), right.shape))
            at = f" at {list(place)}" if place else ""
            if not np.isfinite(found[place]) and np.isfinite(right[place]):
                causes.append(not_finite)
            told = f"{what}: got {found[place]:.6g}{at}, expected {right[place]:.6g}."
            raise AssertionError(" ".join([told, *causes]).strip())

    def same_each(self, found: Any, **right: tuple[Any, Mapping[str, Any]]) -> None:
        """Compare a tuple of results by name: name=(right, mistakes)."""
        if not isinstance(found, tuple) or len(found) != len(right):
            raise AssertionError(f"return {len(right)} things: {', '.join(right)}.")
        for one, (name, (expected, mistakes)) in zip(found, right.items(), strict=True):
            self.same(one, expected, mistakes, name)

    def none_of(self, found: Any, mistakes: Mapping[str, Any], what: str) -> None:
        """Look for the usual mistakes alone, and leave the right result to another check."""
        if causes := _explained(np.asarray(found), mistakes):
            raise AssertionError(f"{what} is wrong. {causes[0]}")

    def gradients(self, f: Any, *inputs: Any, **options: Any) -> None:
        """`sn.check_gradients`, with its diagnosis."""
        sn.check_gradients(f, *inputs, rng=self.rng, **options)

    def layer(self, make: Callable[[], sn.Layer], shape: tuple[int, ...]) -> None:
        """The gradients of a layer, with a diagnosis, and then the seven laws."""
        sn.check_gradients(make(), self.rng.uniform(-2, 2, shape), rng=self.rng)
        sn.testing.check_layer(make, shape, rng=self.rng)

    def loss(self, f: Callable[..., Any], shape: tuple[int, ...], target: Any) -> None:
        """The gradient of a loss, with a diagnosis, and then the laws."""
        sn.check_gradients(f, self.rng.uniform(-2, 2, shape), target, rng=self.rng)
        sn.testing.check_loss(f, shape, target=target, rng=self.rng)


def _explained(found: np.ndarray, mistakes: Mapping[str, Any]) -> list[str]:
    """The sentence of the first mistake that leads to what was found, if any does."""
    return [sentence for sentence, wrong in mistakes.items() if _close(found, np.asarray(wrong))][:1]


def _distance(found: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How far numbers are from the right ones, relative to 1 or to their size; NaN is far from everything."""
    with np.errstate(all="ignore"):
        distance = np.abs(1.0 * found - right) / (1 + np.abs(right))
    return np.where(found == right, 0, np.where(np.isnan(distance), np.inf, distance))


def _close(found: np.ndarray, right: np.ndarray) -> bool:
    return found.shape == right.shape and bool((_distance(found, right) < 1e-8).all())


def explain(error: BaseException, blank: Blank, folder: Path) -> str:
    """What went wrong, the formula of the blank, and the chapter that derives it."""
    told = re.sub(r"[\w.]*<locals>\.", "", str(error)).strip()
    if not isinstance(error, AssertionError | NotImplementedError):
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).parent == folder]
        at = f" in line {lines[-1]} of {blank.file}.py" if lines else ""
        told = f"{type(error).__name__}{at}: {told}"
    return f"{blank.name}: {told}\n  formula: {blank.formula}\n  chapter: {blank.chapter}"


def module(name: str, folder: Path) -> ModuleType:
    """A file of exercises as it stands in a folder."""
    spec = importlib.util.spec_from_file_location(f"exercises_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def generator(seed: int, test: str) -> np.random.Generator:
    """The random numbers of one test."""
    return np.random.default_rng([seed, zlib.crc32(test.encode())])


# ---- the fixtures
@pytest.fixture
def ex(request: pytest.FixtureRequest) -> ModuleType:
    """The file that is tested."""
    name, folder = request.path.stem.removeprefix("test_"), _folder(request.config)
    if not (folder / f"{name}.py").exists():
        raise AssertionError(f"{folder} has no {name}.py.")
    return module(name, folder)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return generator(_option(request.config, "--seed"), request.node.name)


@pytest.fixture
def check(rng: np.random.Generator) -> Iterator[Check]:
    with np.errstate(all="ignore"):
        yield Check(rng)


# ---- the command
def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("exercises")
    group.addoption("--seed", type=int, default=0, help="other inputs for all tests")
    group.addoption("--solutions", action="store_true", help="test the reference solutions")
    group.addoption("--from", dest="handed_in", type=Path, metavar="FOLDER", help="test the files in this folder")
    group.addoption("--blanks", action="store_true", help="list all blanks, and stop")


def _option(config: pytest.Config, name: str) -> Any:
    return config.getoption(name)


def _folder(config: pytest.Config) -> Path:
    return SOLUTIONS if config.getoption("--solutions") else config.getoption("handed_in") or HERE


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not config.getoption("--blanks"):
        return None
    found = blanks()
    for one in found:
        print(f"{one.file:26} {one.name:22} {'★' * one.stars:4} {one.minutes:3} minutes")
    print(f"{len(found)} blanks, {sum(b.stars for b in found)} stars, {sum(b.minutes for b in found) / 60:.1f} hours")
    return 0


def pytest_configure(config: pytest.Config) -> None:
    sn.kernels.use("numpy")  # nothing is compiled
    folder = _folder(config)
    if not folder.is_dir():
        whose = (
            "the reference solutions, which your instructor may have left out"
            if folder == SOLUTIONS
            else "the files that were handed in"
        )
        raise pytest.UsageError(f"The folder {folder} does not exist: it should hold {whose}.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[Any]:
    """A sentence in the place of a traceback, and the stars that a test is worth."""
    report = yield
    blank = next((one for one in _blanks_of(HERE / f"{item.path.stem[5:]}.py") if one.test == item.name), None)
    if blank and (call.when == "call" or call.excinfo):  # also where the file itself fails
        report.user_properties.append(("stars", (blank.file, blank.stars)))
    if blank and call.excinfo and not isinstance(call.excinfo.value, pytest.skip.Exception | KeyboardInterrupt):
        report.longrepr = explain(call.excinfo.value, blank, _folder(item.config))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many stars each file has earned."""
    earned: dict[str, list[int]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            for file, stars in (value for name, value in report.user_properties if name == "stars"):
                one = earned.setdefault(file, [0, 0])
                one[0] += stars * (outcome == "passed")
                one[1] += stars
    if earned:
        terminalreporter.section("stars")
        for file, (got, of) in sorted(earned.items()):
            terminalreporter.line(f"{file:28} {got:3} of {of}")
        got, of = np.sum(list(earned.values()), axis=0)
        terminalreporter.line(f"{'all':28} {got:3} of {of}")
