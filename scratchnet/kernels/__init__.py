"""The boundary between the formula and its engine.

Layers, losses and optimizers call `kernels.affine`, `kernels.relu`, … and know nothing of what runs behind the
name. `use` chooses it; the environment variable SCRATCHNET_KERNELS sets the choice at import. Call kernels through
this module (`kernels.relu(x)`), never by a name imported from it, so that the choice takes effect.
"""

import os
import warnings
from types import ModuleType

from scratchnet.checks import check_choice
from scratchnet.kernels import reference
from scratchnet.kernels.reference import *  # noqa: F403  (states the names; `use` rebinds them)

_CHOICES = ("numba", "numpy", "blas")
_ENGINES: dict[str, ModuleType] = {"numpy": reference}
_active = "numpy"


class use:  # noqa: N801  (called like a function, or entered like a context)
    """Choose the engine behind the kernels, for good or for the length of a `with` block.

    Parameters
    ----------
    engine : {"numba", "numpy", "blas"}
        "numpy" is the reference: each kernel one line of NumPy. "numba" is its compiled twin: the same numbers to
        rounding, many times as fast; it compiles itself when it is first called on a machine. "blas" is the twin with
        NumPy's matrix products in place of this library's own; `python demos/benchmark.py` says which is faster.

    Raises
    ------
    ImportError
        If numba does not work here.
    ValueError
        If there is no engine of that name.

    Notes
    -----
    The choice holds for the whole process, in every thread.

    Examples
    --------
    >>> import scratchnet as sn
    >>> with sn.kernels.use("numpy"):
    ...     print(sn.kernels.active())
    numpy
    """

    def __init__(self, engine: str):
        check_choice("kernels.use", "engine", engine, tuple(dict.fromkeys((*_CHOICES, *_ENGINES))))
        self._before = _active
        _install(engine)

    def __enter__(self) -> "use":
        return self

    def __exit__(self, *exception: object) -> None:
        _install(self._before)


def active() -> str:
    """The name of the engine in use."""
    return _active


def _install(engine: str) -> None:
    global _active
    if engine not in _ENGINES:
        from scratchnet.kernels import blas, compiled  # here, so that NumPy alone needs no numba

        _ENGINES["numba"], _ENGINES["blas"] = compiled, blas
    for name in reference.__all__:
        globals()[name] = getattr(_ENGINES[engine], name)
    _active = engine


def _install_default() -> None:
    choice = os.environ.get("SCRATCHNET_KERNELS")
    if choice is not None:
        check_choice("the environment variable SCRATCHNET_KERNELS", "its value", choice, _CHOICES)
        _install(choice)
        return
    try:
        _install("numba")
    except (ImportError, RuntimeError) as error:  # none installed, one that does not fit, no place to keep its code
        _install("numpy")
        warnings.warn(
            f"scratchnet runs on NumPy, several times slower: numba does not work here ({error}).",
            RuntimeWarning,
            stacklevel=2,
        )


_install_default()
