"""The seven laws, for a layer or a loss of your own: docs/18-your-own.md has the test to copy.

`scratchnet.testing.strategies` holds strategies for hypothesis, which the extra `test` installs.
"""

import importlib
from typing import Any

from scratchnet.testing.check import check_layer, check_loss

__all__ = ["check_layer", "check_loss"]


def __getattr__(name: str) -> Any:
    if name == "strategies":  # imported when asked for, because it needs hypothesis
        return importlib.import_module("scratchnet.testing.strategies")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
