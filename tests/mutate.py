"""Plant mistakes in a module, one at a time, and print those that no test notices.

    python -m tests.mutate scratchnet/training/storage.py --mutants 200 --seed 0

A mistake is small: `<` becomes `<=`, a number is one more, a statement is gone. First the suite, or what `--tests`
names, runs once, so that it is known which tests run which lines. Then the tests that run a mistake's line are run
with it, the fastest first, until one fails. What survives asks for a test, or shows code that does nothing. Tests
that compare the source with a quotation don't count.
"""

import argparse
import ast
import concurrent.futures
import copy
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import coverage
import pytest

ROOT = Path(__file__).parents[1]
QUOTING = ("tests/test_docs", "tests/test_museum", "tests/test_measures", "tests/test_readme", "tests/test_exercises")
OTHERS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A piece of the source, bytes `start` to `end`, that becomes something else."""

    lines: range  # of the statement, up to the piece
    start: int
    end: int
    was: str
    became: str

    def __str__(self) -> str:
        was, became = (" ".join(each.split()) for each in (self.was, self.became))
        return f"line {self.lines[-1]}: {was}  →  {became}"


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """What a node may become; a statement that becomes `pass` is gone."""
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            for other in {value + 1, value * 2 or -1}:  # one for the number 1
                yield ast.Constant(other)
        case ast.Compare(ops=[op, *_]) | ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in OTHERS:
            other = copy.deepcopy(node)
            field = {"ops": [OTHERS[type(op)](), *node.ops[1:]]} if isinstance(node, ast.Compare) else None
            vars(other).update(field or {"op": OTHERS[type(op)]()})
            yield other
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield test  # replaced by its negation: see mutants
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a module that Python can still read, in parentheses only where its meaning needs them."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    data, found = source.encode(), []
    tree = ast.parse(source)
    annotations = [
        part for node in ast.walk(tree) for part in (getattr(node, "annotation", None), getattr(node, "returns", None))
    ]
    typing = {inner for part in annotations if part is not None for inner in ast.walk(part)}
    statement = {inner: outer for outer in ast.walk(tree) if isinstance(outer, ast.stmt) for inner in ast.walk(outer)}

    def span(node: Any) -> tuple[int, int]:
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def in_place(node: ast.AST, other: ast.AST) -> str:
        """The source of `node` with the sign of `other`, in the layout that it has; "" if there is no one sign."""
        match node:
            case (
                ast.BinOp(left=left, right=right)
                | ast.Compare(left=left, comparators=[right])
                | ast.BoolOp(values=[left, right])
            ):
                (start, end), left_end, right_start = span(node), span(left)[1], span(right)[0]
                sign = data[left_end:right_start].decode().replace(_sign(node), _sign(other), 1)
                sign = " * " if sign == "*" else sign  # a power stands close, a product does not
                return data[start:left_end].decode() + sign + data[right_start:end].decode()
        return ""

    for node in ast.walk(tree):
        if node in typing:
            continue
        for other in changed(node):
            place: Any = other if isinstance(node, ast.If | ast.IfExp | ast.While) else node
            start, end = span(place)
            if place is other and place is not node:
                other = ast.UnaryOp(ast.Not(), place)
            text = ast.unparse(ast.fix_missing_locations(other))
            first = min(statement[node].lineno, place.lineno)  # a decorator stands above its statement
            lines, was = range(first, place.end_lineno + 1), data[start:end].decode()
            bare = Mutant(lines, start, end, was, text)
            grouped = bare if isinstance(other, ast.stmt) else replace(bare, became=f"({text})")
            if not (meant := _tree(planted(source, grouped))):  # inside an f-string, for example
                continue
            laid_out = in_place(node, other) if place is node else f"not {was}"
            forms = (replace(bare, became=laid_out), bare, replace(bare, became=f"({laid_out})"), grouped)
            found.append(next(form for form in forms if _tree(planted(source, form)) == meant))
    return found


def _sign(node: Any) -> str:
    """The sign of an operation, such as `+`."""
    a, b = ast.Name("a"), ast.Name("b")
    match node:
        case ast.Compare():
            return ast.unparse(ast.Compare(a, node.ops, [b]))[2:-2]
        case ast.BoolOp():
            return ast.unparse(ast.BoolOp(node.op, [a, b]))[2:-2]
    return ast.unparse(ast.BinOp(a, node.op, b))[2:-2]


def _tree(source: str) -> str:
    """What a source means to Python, without its layout; "" if Python cannot read it."""
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return ""


def planted(source: str, mutant: Mutant) -> str:
    """The source with the mutant in it."""
    data = source.encode()
    return (data[: mutant.start] + mutant.became.encode() + data[mutant.end :]).decode()


class Recorder:
    """A plugin of pytest's that writes down which lines of the module each test runs, and for how long."""

    def __init__(self, module: str):
        self.cov = coverage.Coverage(data_file=None, config_file=False, include=[str(Path(module).resolve())])
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.cov.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


def record(module: str, out: str, tests: list[str]) -> None:
    """Run the tests, and write to a file which of them run which line; those of a line run at import are all."""
    recorder = Recorder(module)
    recorder.cov.start()
    ended = pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *tests], plugins=[recorder])
    recorder.cov.stop()
    if ended:
        sys.exit(int(ended))
    data = recorder.cov.get_data()
    contexts = {line: found for file in data.measured_files() for line, found in data.contexts_by_lineno(file).items()}
    seconds = {test: each for test, each in recorder.seconds.items() if not test.startswith(QUOTING)}
    everyone = [test for test in seconds if any(test in found for found in contexts.values())]
    lines = {
        line: everyone if found == [""] else [test for test in found if test in seconds]
        for line, found in contexts.items()
    }
    Path(out).write_text(json.dumps([lines, seconds]), encoding="utf-8")


class Copies:
    """Copies of the project, in each of which one mutant at a time is planted and meets its tests."""

    def __init__(self, module: str, tests: list[str], folder: Path, workers: int):
        self.module, self.source = module, (ROOT / module).read_text(encoding="utf-8")
        self.free: queue.Queue[Path] = queue.Queue()
        ignored = shutil.ignore_patterns(".git", "__pycache__", ".hypothesis", "runs", "dist")
        for number in range(workers):
            self.free.put(folder / str(number))
            shutil.copytree(ROOT, folder / str(number), ignore=ignored)
        out = folder / "tests.json"
        ended = self.python(folder / "0", ["-m", "tests.mutate", module, "--record", str(out), "--tests", *tests], None)
        if ended:
            sys.exit(
                f"The tests must pass, in a copy and on NumPy, before a mistake is planted; they ended with {ended}."
            )
        lines, self.seconds = json.loads(out.read_text(encoding="utf-8"))
        self.tests = {int(line): tests for line, tests in lines.items()}

    def python(self, where: Path, arguments: list[str], seconds: float | None) -> int:
        """Run Python in a copy; how it ended."""
        environment = {
            "SCRATCHNET_KERNELS": "numpy",
            **os.environ,
            "PYTHONPATH": str(where),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        quiet: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        }
        with subprocess.Popen(
            [sys.executable, *arguments], cwd=where, env=environment, start_new_session=True, **quiet
        ) as process:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # and what a test has started
                return -1

    def survives(self, mutant: Mutant) -> int | None:
        """How many tests the mutant survives, None if one of them fails or takes five times as long."""
        tests = {test for line in mutant.lines for test in self.tests.get(line, [])}
        where = self.free.get()
        try:
            (where / self.module).write_text(planted(self.source, mutant), encoding="utf-8")
            seconds = 20 + 5 * sum(self.seconds[test] for test in tests)
            command = [
                "-m",
                "pytest",
                "-x",
                "-q",
                "-n",
                "0",
                "-p",
                "no:cacheprovider",
                *sorted(tests, key=self.seconds.__getitem__),
            ]
            return len(tests) if not tests or self.python(where, command, seconds) == 0 else None
        finally:
            (where / self.module).write_text(self.source, encoding="utf-8")
            self.free.put(where)


def main() -> None:
    """Plant, and print what survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("module", help="such as scratchnet/training/storage.py")
    parser.add_argument("--mutants", type=int, default=200, help="how many to plant")
    parser.add_argument("--seed", type=int, default=0, help="of the choice")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--tests", nargs="*", default=[], help="what to run in place of the whole suite")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.module, arguments.record, arguments.tests)
        return
    every = mutants((ROOT / arguments.module).read_text(encoding="utf-8"))
    chosen = random.Random(arguments.seed).sample(every, min(arguments.mutants, len(every)))
    alive = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(arguments.workers) as pool:
        copies = Copies(arguments.module, arguments.tests, Path(folder), arguments.workers)
        for mutant, survived in zip(chosen, pool.map(copies.survives, chosen), strict=True):
            if survived is not None:
                alive += 1
                print(
                    f"{mutant}   ({'no test runs this line' if not survived else f'{survived} tests pass'})", flush=True
                )
    print(f"{alive} of {len(chosen)} mutants of {arguments.module} survive.")


if __name__ == "__main__":
    main()
