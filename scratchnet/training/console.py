"""Progress on whatever console there is: none at all, as under pythonw, or one that lacks letters of formulas."""

import codecs
import contextlib
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_PLAIN = {"−": "-", "–": "-", "×": "x", "·": "*", "±": "+-", "²": "^2", "³": "^3", "→": "->", "…": "...", "½": "1/2"}
"""Letters that carry meaning: without its minus, a number is another one."""

_MAY_BE_GONE = contextlib.suppress(OSError, ValueError)  # a closed console does not end a training; ValueError: closed


class _Bar(tqdm):
    """A bar without a thread of its own to watch it, which would outlive it."""

    monitor_interval = 0


@contextmanager
def bar(
    name: str, total: int, done: int = 0, *, unit: str, show: bool, **options: Any
) -> Iterator[Callable[..., None]]:
    """A bar on stderr for a `with` block, which gets a function (count, text): so many more are done, as the text says.

    Without `show`, or without a console, it does nothing. The other options are tqdm's.
    """
    usual = {"unit": f" {unit}", "unit_scale": True, "dynamic_ncols": True, "leave": False}
    usual["bar_format"] = "{desc} {percentage:3.0f}% |{bar}| {rate_fmt}{postfix}"  # the bar fills the rest of the line
    usual["miniters"] = 1  # look at the clock each time, since no thread does
    shown: Any = None
    with _MAY_BE_GONE:
        if show and sys.stderr is not None:
            shown = _Bar(total=total, initial=done, desc=_in_letters_of(sys.stderr, name), **usual | options)

    def advance(count: int, text: str = "") -> None:
        with _MAY_BE_GONE:
            if shown is not None:
                shown.set_postfix_str(_in_letters_of(shown.fp, text), refresh=False)
                shown.update(count)

    try:
        yield advance
    finally:
        with _MAY_BE_GONE:
            if shown is not None:
                shown.close()


def write(text: str) -> None:
    """A line on stdout, past any bar; where there is no stdout, nothing."""
    with _MAY_BE_GONE:
        if sys.stdout is not None:
            _Bar.write(_in_letters_of(sys.stdout, text))


def spell_out() -> None:
    """From now on, `print` spells letters that stdout lacks in place of raising: β becomes beta. For scripts."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not None, nor the streams of some notebooks and editors
            stream.reconfigure(errors="scratchnet.spelt")  # type: ignore[union-attr]


def _in_letters_of(stream: Any, text: str) -> str:
    """The text, spelt where the stream lacks a letter."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "scratchnet.spelt").decode(encoding)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """The letters that cannot be encoded, in ASCII, and where to go on after them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_letter, error.object[error.start : error.end])), error.end


codecs.register_error("scratchnet.spelt", _spelt)


def _letter(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK"):
        word = name.split()[-1].lower()
        return word.capitalize() if "CAPITAL" in name else word
    plain = _PLAIN.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"
