"""The boundary between a formula and the engine that computes it.

Layers, losses and optimizers call `kernels.affine`, `kernels.relu`, … and know nothing of what runs behind the name.
Engines are the rungs of a ladder: "numpy", the formulas; "numba", the same as plain loops, compiled; "vector", whose
inner loops are written for the CPU's vector registers. The default is the highest rung that works here. Before a
compiled kernel computes anything for the first time, for float32 or for float64, it is compared with its formula on
small inputs; one that can't be loaded, raises or disagrees is replaced by the rung below, with a warning.

`use` chooses an engine; the environment variable SCRATCHNET_KERNELS sets the choice at import. Call kernels through
this module (`kernels.relu(x)`), never by a name imported from it, so that the choice takes effect.
"""

import functools
import importlib
import os
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from scratchnet.checks import check_choice
from scratchnet.kernels import formulas, samples
from scratchnet.kernels.formulas import *  # noqa: F403  (states the names; `use` rebinds them)

_RUNGS = {"vector": "vector", "numba": "loops", "numpy": "formulas"}
"""The engines that are rungs of the ladder, from the top, and their modules."""

_CHOICES = (*_RUNGS, "blas")
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

Kernel = Callable[..., Any]


class Checked:
    """A kernel on the highest rung that has it and works, for each type of float; the formula for all other types.

    Parameters
    ----------
    name : str
    rungs : dict of str to module
        From the top; the formulas are the last.
    falls : bool
        Whether a rung that doesn't work gives way to the one below; otherwise that is an error.

    Attributes
    ----------
    fallen_to : str or None
        The lowest rung that has had to do.
    """

    def __init__(self, name: str, rungs: dict[str, ModuleType], falls: bool):
        self._name, self._falls, self._formula = name, falls, getattr(formulas, name)
        self._rungs = {engine: module for engine, module in rungs.items() if hasattr(module, name)}
        self._chosen: dict[np.dtype, Kernel] = {}
        self.fallen_to: str | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Compute; the type of the first argument decides."""
        dtype = arguments[0].dtype
        for argument in arguments:
            if isinstance(argument, np.ndarray) and argument.dtype != dtype and argument.dtype.kind in "fc":
                return self._formula(*arguments)
        return (self._chosen.get(dtype) or self._choose(dtype))(*arguments)

    def _choose(self, dtype: np.dtype) -> Kernel:
        """The kernel for this type; it is looked for once."""
        fallen = False
        for engine, module in self._rungs.items():
            kernel = getattr(module, self._name)
            if fallen:
                self.fallen_to = engine
            if module is formulas or dtype not in _FLOATS:
                break
            wrong = samples.what_is_wrong(self._name, kernel, dtype)
            if wrong is None:
                self._chosen[dtype] = kernel
                return kernel
            what = f'the kernel {self._name} of the engine "{engine}" does not work here in {dtype} ({wrong})'
            if not self._falls:
                raise RuntimeError(f'{what}: choose another engine, such as kernels.use("numpy").')
            _say_slower(what)
            fallen = True
        self._chosen[dtype] = self._formula
        return self._formula


class use:  # noqa: N801  (called like a function, or entered like a context)
    """Choose the engine behind the kernels, for good or for the length of a `with` block.

    Parameters
    ----------
    engine : {"vector", "numba", "numpy", "blas"}
        "numpy" is the formulas: each kernel a line or two of NumPy. "numba" is the same as plain loops, compiled when
        they are first called on a machine: the same numbers to rounding, several times as fast. "vector" is faster
        still: the inner loops of products and convolutions are written for the CPU's vector registers. "blas" is the
        best of these with NumPy's matrix products, and all else on one thread; `python demos/benchmark.py` compares
        them.

    Raises
    ------
    ImportError
        If the engine can't be loaded here.
    ValueError
        If there is no engine of that name.

    Notes
    -----
    The choice holds for the whole process, in every thread. Unlike the default, an engine that is chosen by its name
    does not give way to another: a kernel of it that does not work here raises RuntimeError.

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
    """The name of the engine in use; where a kernel has given way, that of the lowest rung that any has fallen to."""
    name = _active or _highest
    kernels = [getattr(_ENGINES[_active], kernel) for kernel in formulas.__all__]
    rungs = list(_RUNGS)
    fallen = [kernel.fallen_to for kernel in kernels if isinstance(kernel, Checked) and kernel.fallen_to]
    return max(fallen, key=rungs.index, default=name)


_DEFAULT = ""
"""The name of the default: the highest rung that can be loaded, whose kernels give way where they have to."""

_ENGINES: dict[str, Any] = {"numpy": formulas}
"""The engines that have been loaded: what has a kernel under each name."""

_active = "numpy"
_highest = "numpy"


def _ladder(engine: str, falls: bool) -> SimpleNamespace:
    """The kernels of this rung, and of those below where it has none."""
    names = list(_RUNGS)[list(_RUNGS).index(engine) :]
    rungs = {name: importlib.import_module(f"{__name__}.{_RUNGS[name]}") for name in names}
    return SimpleNamespace(**{name: Checked(name, rungs, falls) for name in formulas.__all__})


def _highest_ladder() -> SimpleNamespace:
    """The kernels of the highest rung that can be loaded, those below it where they have to give way."""
    global _highest
    why = ""
    for _highest in _RUNGS:
        try:
            ladder = _ladder(_highest, falls=True)
        except Exception as error:  # numba is not there, or fails in some way of its own
            if not (isinstance(error, ModuleNotFoundError) and error.name == f"{__name__}.{_RUNGS[_highest]}"):
                why = f'the engine "{_highest}" can\'t be loaded here ({type(error).__name__}: {error})'
        else:
            break
    else:
        raise AssertionError("the formulas can always be loaded")
    if why:
        _say_slower(why)
    return ladder


def _install(engine: str) -> None:
    global _active
    if engine not in _ENGINES:
        if engine == _DEFAULT:
            _ENGINES[engine] = _highest_ladder()
        elif engine == "blas":
            from scratchnet.kernels import blas  # here, so that NumPy alone needs no numba

            _ENGINES[engine] = blas.with_numpys_products(_highest_ladder())
        else:
            _ENGINES[engine] = _ladder(engine, falls=False)
    for name in formulas.__all__:
        globals()[name] = getattr(_ENGINES[engine], name)
    _active = engine


def _install_default() -> None:
    choice = os.environ.get("SCRATCHNET_KERNELS")
    if choice is not None:
        check_choice("the environment variable SCRATCHNET_KERNELS", "its value", choice, _CHOICES)
    _install(_DEFAULT if choice is None else choice)


@functools.cache
def _say_slower(why: str) -> None:
    warnings.warn(f"scratchnet computes more slowly than it could: {why}.", RuntimeWarning, stacklevel=2)


_install_default()
