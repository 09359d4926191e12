"""Progress on any console, also on one that lacks some letters, or where there is none, as under pythonw."""

import codecs
import contextlib
import sys
import unicodedata
from typing import Any

from tqdm import tqdm

SPELT = "scratchnet.spelt"
"""The error handler of encoders that spells the letters which an encoding lacks: β becomes beta."""

_PLAIN = {"−": "-", "–": "-", "×": "x", "·": "*", "±": "+-", "²": "^2", "³": "^3", "→": "->", "…": "...", "½": "1/2"}
"""Letters that carry meaning: without its minus, a number is another one."""


class _Console:
    """A stream that spells the letters it lacks, and is silent where it was closed or is gone."""

    def __init__(self, stream: Any):
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __eq__(self, other: object) -> bool:  # before a line, tqdm clears the bars of the same stream: on a screen, all
        return isinstance(other, _Console)

    def write(self, text: str) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            self.stream.write(text.encode(encoding, SPELT).decode(encoding))

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stream.flush()


class _Bar(tqdm):
    """A bar without tqdm's monitoring thread, which would outlive it."""

    monitor_interval = 0


def bar(name: str, total: int, done: int = 0, *, unit: str, **options: Any) -> tqdm:
    """A bar on stderr; without a console, it does nothing. The other options are tqdm's."""
    usual = {"unit": f" {unit}", "unit_scale": True, "dynamic_ncols": True, "leave": False}
    usual["bar_format"] = "{desc} {percentage:3.0f}% |{bar}| {rate_fmt}{postfix}"  # the bar fills the rest of the line
    usual |= {"miniters": 1, "file": _Console(sys.stderr), "disable": sys.stderr is None}  # 1: no thread sees the clock
    return _Bar(total=total, initial=done, desc=name, **usual | options)


def write(text: str) -> None:
    """A line on stdout, past any bar; where there is no stdout, nothing."""
    if sys.stdout is not None:
        _Bar.write(text, file=_Console(sys.stdout))


def _letter(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK"):
        word = name.split()[-1].lower()
        return word.capitalize() if "CAPITAL" in name else word
    return _PLAIN.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def _spelt(error: Any) -> tuple[str, int]:
    """The letters that cannot be encoded, in ASCII, and where to go on after them."""
    return "".join(map(_letter, error.object[error.start : error.end])), error.end


codecs.register_error(SPELT, _spelt)
