"""Progress on whatever console there is: none at all, as under pythonw, or one that lacks the letters of formulas."""

import codecs
import contextlib
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_PLAIN = {"−": "-", "–": "-", "×": "x", "·": "*", "±": "+-", "²": "^2", "³": "^3", "→": "->", "…": "...", "½": "1/2"}
"""Letters whose meaning would be lost with them: a number without its minus is another one."""


class _Bar(tqdm):
    """A bar without a thread of its own that watches it, and that would stay after it."""

    monitor_interval = 0


@contextmanager
def bar(
    name: str, total: int, done: int = 0, *, unit: str, show: bool, **options: Any
) -> Iterator[Callable[..., None]]:
    """A bar on stderr for a `with` block, which gets a function (count, text): so many more are done, as the text says.

    Without `show`, or without a console, it does nothing. The other options are tqdm's.
    """
    if not show or sys.stderr is None:
        yield lambda count, text="": None
        return
    usual: Any = {
        "unit": f" {unit}",
        "unit_scale": True,
        "bar_format": "{desc} {percentage:3.0f}% |{bar}| {rate_fmt}{postfix}",  # what is left of the line is the bar
        "dynamic_ncols": True,
        "leave": False,
        "miniters": 1,  # look at the clock each time, since no thread does
    }
    shown = None
    with _console_may_go():
        shown = _Bar(total=total, initial=done, desc=_in_letters_of(sys.stderr, name), **usual | options)

    def advance(count: int, text: str = "") -> None:
        if shown is not None:
            with _console_may_go():
                shown.set_postfix_str(_in_letters_of(shown.fp, text), refresh=False)
                shown.update(count)

    try:
        yield advance
    finally:
        if shown is not None:
            with _console_may_go():
                shown.close()


def write(text: str) -> None:
    """A line on stdout, past any bar; where there is no stdout, nothing."""
    if sys.stdout is not None:
        with _console_may_go():
            _Bar.write(_in_letters_of(sys.stdout, text))


def spell_out() -> None:
    """From now on, `print` spells what stdout has no letters for, in place of raising: β becomes beta.

    For scripts, since it changes the stream for all who write to it.
    """
    codecs.register_error("scratchnet.training.console", lambda error: (_spelt(error), error.end))  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # None has it not, nor have the streams of some notebooks and editors
            stream.reconfigure(errors="scratchnet.training.console")  # type: ignore[union-attr]


def _in_letters_of(stream: Any, text: str) -> str:
    """The text, spelt where the stream lacks a letter."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    spelt, done = "", 0
    while True:
        try:
            text[done:].encode(encoding)
        except UnicodeEncodeError as error:
            spelt += text[done : done + error.start] + _spelt(error)
            done += error.end
        else:
            return spelt + text[done:]


def _spelt(error: UnicodeError) -> str:
    """The letters that cannot be encoded, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_letter, error.object[error.start : error.end]))


def _letter(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK"):
        word = name.split()[-1].lower()
        return word.capitalize() if "CAPITAL" in name else word
    plain = _PLAIN.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"


@contextmanager
def _console_may_go() -> Iterator[None]:
    """A console that was closed, or whose other end was, is no reason to end what it only watched."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: of a file that is closed
        yield
