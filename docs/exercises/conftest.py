"""What all exercises share: the blanks, the checks, and one sentence for whatever fails.

python -m pytest docs/exercises                       your blanks
python -m pytest docs/exercises --seed 1234           the same with other inputs
python -m pytest docs/exercises --solutions           the reference solutions
python -m pytest docs/exercises --from=FOLDER         the files that somebody handed in
python -m pytest docs/exercises --blanks              a list of all blanks
"""

import ast
import functools
import importlib.util
import inspect
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
_IN_PLACE = re.compile(r"Change ([\w, ]+) in place")

_NAN = "NaN comes from 0 / 0, ∞ − ∞, 0 · ∞, or the root or the logarithm of a negative number."

_HINTS = [  # for errors that Python or NumPy raises: a type, words of its message, and what helps
    (UnboundLocalError, "", "A function that assigns to a name, also with +=, makes it its own: take another name."),
    (TypeError, "'tuple'", "A function that returns several things returns a tuple: take it apart, as in a, b = f(x)."),
    (ValueError, "broadcast", "NumPy pairs axes from the last one back; sum(…, keepdims=True) keeps an axis."),
    (ValueError, "core dimension", "In A @ B the last axis of A meets the first one of B."),
]


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
    changes: frozenset[str]  # the arguments that it changes in place

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
                changes = frozenset(re.findall(r"\w+", " ".join(_IN_PLACE.findall(doc))))
                yield Blank(path.stem, node.name, formula, len(effort[1]), int(effort[2]), effort[3], changes)


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
            given = np.asarray(found)
            if given.dtype.kind == "c":
                raise AssertionError(f"{what} is complex, where real numbers are meant.")
            found = given if right.dtype.kind == "b" else given.astype(float)
        except (TypeError, ValueError):
            raise AssertionError(f"{what} is {found!r}, where {_shape(right)} is meant.") from None
        causes = [*_explained(found, mistakes or {}), *_usual(found, right)][:1]
        if found.shape != right.shape:
            raise AssertionError(" ".join([f"{what} is {_shape(found)}, where {_shape(right)} is meant.", *causes]))
        if not _close(found, right):
            place = tuple(int(i) for i in np.unravel_index(np.argmax(_distance(found, right)), right.shape))
            at = f" at {list(place)}" if place else ""
            if not np.isfinite(found[place]) and np.isfinite(right[place]):
                causes.append(not_finite or ("" if np.isinf(found[place]) else _NAN))
            digits = 6 if f"{found[place]:.6g}" != f"{right[place]:.6g}" else 12
            form = "" if right.dtype.kind == "b" else f".{digits}g"
            told = f"{what}: got {found[place]:{form}}{at}, expected {right[place]:{form}}."
            raise AssertionError(" ".join([told, *causes]).strip())

    def several(self, found: Any, *names: str) -> list[Any]:
        """What is returned, where there are several things to return."""
        is_several = isinstance(found, tuple | list) or (isinstance(found, np.ndarray) and found.ndim)
        if not is_several or len(found) != len(names):
            count = {2: "two", 3: "three"}[len(names)]
            raise AssertionError(f"return {count} things, {_listed(*names)}, and not {_named(found)}.")
        if names[-1] == "backward" and not callable(found[-1]):
            raise AssertionError(
                "return the function backward itself, and not what it returns: leave its brackets out."
            )
        return list(found)

    def same_each(self, found: Any, **right: tuple[Any, Mapping[str, Any]]) -> None:
        """Compare several results by name: name=(right, mistakes)."""
        for one, (name, (expected, mistakes)) in zip(self.several(found, *right), right.items(), strict=True):
            order = f": return {_listed(*right)} in this order."
            exchanged = {f"It is {other}{order}": right[other][0] for other in right if other != name}
            self.same(one, expected, {**mistakes, **exchanged}, name)

    def drawn_from(self, draw: Callable[[np.random.Generator], Any]) -> None:
        """Ask that random numbers come from the generator that is passed in, and from nowhere else."""
        once, again, other = (draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
        told = "equal generators lead to different numbers: draw from the rng that is passed in, and from nothing else."
        self.that(np.array_equal(once, again), told)
        told = "different generators lead to the same numbers: draw from the rng that is passed in."
        self.that(not np.array_equal(once, other), told)

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


def _usual(found: np.ndarray, right: np.ndarray) -> Iterator[str]:
    """Mistakes that show whatever the formula is."""
    if found.dtype.kind == "b" or not np.isfinite(found).all() or not np.isfinite(right).all():
        return
    if found.ndim > 1 and _close(found.T, right):
        yield "It is transposed."
    if found.shape != right.shape:
        if found.size == right.size and _close(found.reshape(right.shape), right):
            yield "The numbers are right, and their shape is not."
        for axis in range(found.ndim):
            for name, total in (("sum", found.sum(axis=axis)), ("mean", found.mean(axis=axis))):
                if _close(total, right):
                    yield f"The {name} over axis {axis} is missing."
        return
    if np.array_equal(found, found.astype(np.float32)) and _close(found, right, 1e-5):
        yield "It has the digits of float32: compute in float64."
    if np.array_equal(found, np.trunc(right)):
        yield "The digits behind the point are cut off: its type is one of whole numbers."
    known = {
        "The sign is flipped.": -right,
        "It is twice what it should be.": 2 * right,
        "It is half what it should be.": right / 2,
        "It is the square of what it should be.": right**2,
        "It is the root of what it should be.": np.sqrt(np.abs(right)),
        "It is 1 over what it should be.": 1 / np.where(right == 0, np.nan, right),
        "It is in bits: nats need the natural logarithm, np.log.": right / np.log(2),
        "The logarithm is to base 10: np.log is the natural one.": right / np.log(10),
    }
    yield from _explained(found, known)
    ratios, gaps = found[right != 0] / right[right != 0], found - right
    if len(set(right.flat)) < 2:
        return
    if _close(found, ratios.mean() * right):
        yield f"All of it is {ratios.mean():.6g} times what it should be."
    if _close(gaps, np.full(gaps.shape, gaps.mean())):
        yield f"All of it is {abs(gaps.mean()):.6g} too {'large' if gaps.mean() > 0 else 'small'}."


def _distance(found: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How far numbers are from the right ones, relative to 1 or to their size; NaN is far from everything."""
    with np.errstate(all="ignore"):
        distance = np.abs(1.0 * found - right) / (1 + np.abs(right))
    return np.where(found == right, 0, np.where(np.isnan(distance), np.inf, distance))


def _close(found: np.ndarray, right: np.ndarray, tolerance: float = 1e-8) -> bool:
    return found.shape == right.shape and bool((_distance(found, right) < tolerance).all())


def _shape(x: np.ndarray) -> str:
    return f"an array of shape {x.shape}" if x.ndim else "a number"


def _listed(*names: str) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _named(found: Any) -> str:
    """What came, in words."""
    if isinstance(found, tuple | list):
        return f"a {type(found).__name__} of {len(found)}"
    return _shape(np.asarray(found)) if isinstance(found, np.ndarray | np.generic | float | int) else repr(found)


# ---- what a student wrote
def guarded(ex: ModuleType, file: str) -> ModuleType:
    """The file, whose functions now refuse to change an argument that they should leave alone."""
    for blank in _blanks_of(HERE / f"{file}.py"):
        if inspect.isfunction(vars(ex).get(blank.name)):
            setattr(ex, blank.name, _guard(vars(ex)[blank.name], blank.changes))
    return ex


def _guard(function: Callable[..., Any], changes: frozenset[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        given = dict(zip(inspect.signature(function).parameters, arguments, strict=False)) | named
        kept = {name: x for name, x in given.items() if isinstance(x, np.ndarray) and name not in changes}
        before = {name: x.copy() for name, x in kept.items()}
        result = function(*arguments, **named)
        for name, x in kept.items():
            if not np.allclose(x, before[name], rtol=0, atol=1e-12, equal_nan=True):  # x + h − h may differ by rounding
                raise AssertionError(f"it changes {name}, the caller's own array: make a new one, or a copy first.")
        return result

    return call


def explain(error: BaseException, blank: Blank, folder: Path) -> str:
    """What went wrong, the formula of the blank, and the chapter that derives it."""
    told = re.sub(r"[\w.]*<locals>\.", "", str(error)).strip()
    if not isinstance(error, AssertionError | NotImplementedError):
        path = folder / f"{blank.file}.py"
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if Path(one.filename) == path]
        at = f" in line {lines[-1]} of {blank.file}.py" if lines else ""
        told = f"{type(error).__name__}{at}: {told}"
        told += next((f". {hint}" for kind, words, hint in _HINTS if isinstance(error, kind) and words in told), "")
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
    return guarded(module(name, folder), name)


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
    if (
        config.getoption("handed_in") and config.inipath != HERE / "pytest.ini"
    ):  # a folder after a space counts as tests
        raise pytest.UsageError(f"Write --from={folder}, with = and no space, for the settings that students have too.")


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
