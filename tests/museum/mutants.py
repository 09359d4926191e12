"""A bug that can be switched on and off: the source of a function with a few words replaced.

A mutant is kept as the words that were and the words that they became. Were the function written anew, the words would
not be found and the exhibit would be refused, so none can rot into a mutant of code that is gone.
"""

import ast
import difflib
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Edit(NamedTuple):
    """In the source of a function or method, `was` becomes `became`; `was` stands there once."""

    function: Any
    was: str
    became: str


@dataclass(frozen=True)
class Exhibit:
    """A bug, with its story and where it was seen, both in Markdown.

    `unseen` says why a gradient check passes it, if one does.
    """

    name: str
    title: str
    story: str
    source: str
    edits: tuple[Edit, ...]
    unseen: str = ""


def mutated(exhibit: Exhibit) -> dict[FunctionType, str]:
    """The functions that the exhibit changes, each with its new source."""
    sources: dict[FunctionType, str] = {}
    for function, was, became in exhibit.edits:
        source = sources.get(function, inspect.getsource(function))
        if source.count(was) != 1:
            raise LookupError(
                f"The exhibit {exhibit.name} expects {was!r} once in {function.__qualname__}, found it "
                f"{source.count(was)} times: bring its edit up to date with the function."
            )
        sources[function] = source.replace(was, became)
    return sources


@contextmanager
def switched_on(exhibit: Exhibit) -> Iterator[None]:
    """Within this block every name that is bound to one of the functions, anywhere, runs the mutant.

    That is why the code within the function is changed, and not the name of the function in its module.
    """
    with _recoded({function: ast.parse(textwrap.dedent(source)) for function, source in mutated(exhibit).items()}):
        yield


@contextmanager
def noting_calls(functions: Iterable[FunctionType]) -> Iterator[set[str]]:
    """Within this block each of the functions, when it is called, adds its name to the set that is handed out."""
    called: set[str] = set()
    trees = {}
    for function in functions:
        trees[function] = ast.parse(textwrap.dedent(inspect.getsource(function)))
        definition = trees[function].body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.body[:0] = ast.parse(f"_called.add({name_of(function)!r})").body
        function.__globals__["_called"] = called
    try:
        with _recoded(trees):
            yield called
    finally:
        for function in trees:
            function.__globals__.pop("_called", None)


def name_of(function: FunctionType) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def diff(exhibit: Exhibit) -> str:
    """The lines that the exhibit takes out and puts in, under the file and function that they stand in."""
    lines = []
    for function, source in mutated(exhibit).items():
        file = Path(inspect.getfile(function)).relative_to(ROOT).as_posix()
        lines.append(f"@@ {file}, {function.__qualname__} @@")
        was, became = (textwrap.dedent(text).splitlines() for text in (inspect.getsource(function), source))
        changes = difflib.unified_diff(was, became, n=0, lineterm="")
        lines += [line for line in changes if not line.startswith(("---", "+++", "@@"))]
    return "\n".join(lines)


@contextmanager
def _recoded(trees: dict[FunctionType, ast.Module]) -> Iterator[None]:
    """Within this block each function does what the definition in its tree says."""
    codes = {function: _compiled(function, tree) for function, tree in trees.items()}
    before = {function: function.__code__ for function in trees}
    try:
        for function, code in codes.items():
            function.__code__ = code
        yield
    finally:
        for function, code in before.items():
            function.__code__ = code


def _compiled(function: FunctionType, tree: ast.Module) -> CodeType:
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)  # so that a traceback names the file's lines
    module = compile(tree, function.__code__.co_filename, "exec", dont_inherit=True)
    return next(code for code in module.co_consts if isinstance(code, CodeType) and code.co_name == function.__name__)
