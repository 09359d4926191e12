"""The boundary between a formula and the engine that computes it.

Layers, losses and optimizers call `kernels.affine`, `kernels.relu`, … and do not know what computes them. Engines are
the rungs of a ladder, "numpy", "numba" and "vector"; the default is the highest that works here. Before its first use,
for float32 and for float64, a compiled kernel is compared with its formula on small inputs; if it can't be compiled,
raises or disagrees, the rung below replaces it, with a warning.

Call kernels through this module (`kernels.relu(x)`), never by a name imported from it: `use` replaces them.
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

Kernel = Callable[..., Any]


class Checked:
    """A kernel on the highest rung that has it and works, chosen once for each float type; the formula for other types.

    `rungs` are the engines' modules from the top, the formulas last. If a rung does not work, the one below replaces it
    where `falls` is True, and `fallen_to` names the lowest that had to; otherwise that is an error.
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
        kernel, fallen = self._formula, False
        for engine, module in self._rungs.items() if dtype in samples.TOLERANCE else ():
            kernel = getattr(module, self._name)
            self.fallen_to = engine if fallen else self.fallen_to
            wrong = None if kernel is self._formula else samples.what_is_wrong(self._name, kernel, dtype)
            if wrong is None:
                break
            what = f'the kernel {self._name} of the engine "{engine}" does not work here in {dtype} ({wrong})'
            if not self._falls:
                raise RuntimeError(f'{what}: choose another engine, such as kernels.use("numpy").')
            _say_slower(what)
            fallen = True
        self._chosen[dtype] = kernel
        return kernel


class use:  # noqa: N801  (called like a function, or entered like a context)
    """Choose the engine behind the kernels, for good or for the length of a `with` block.

    Parameters
    ----------
    engine : {"vector", "numba", "numpy", "blas"}
        "numpy" is the formulas: each kernel a line or two of NumPy. "numba" is the same as plain loops, compiled at
        their first call on a machine. "vector" is faster still: the inner loops of products and convolutions are
        written for the CPU's vector registers. "blas" is the best of these with NumPy's matrix products, and all else
        on one thread, since two pools of threads would compete for the cores; `python demos/benchmark.py` compares
        them. ImportError if the engine can't be loaded here.

    Notes
    -----
    The choice holds for the whole process, in all threads; the environment variable SCRATCHNET_KERNELS sets it at
    import. The default replaces a kernel that does not work here; an engine chosen by name raises RuntimeError instead.

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
    """The name of the engine in use; where kernels were replaced, that of the lowest rung that replaces one."""
    kernels = [getattr(_ENGINES[_active], name) for name in formulas.__all__]
    fallen = [kernel.fallen_to for kernel in kernels if isinstance(kernel, Checked) and kernel.fallen_to]
    return max(fallen, key=list(_RUNGS).index, default=_active or _highest)


_DEFAULT = ""
"""The name of the default: the highest rung that can be loaded, whose kernels fall where they have to."""

_ENGINES: dict[str, Any] = {"numpy": formulas}
"""The engines that have been loaded: each has a kernel under each name."""

_active = _highest = "numpy"


def _ladder(engine: str) -> SimpleNamespace:
    """The kernels of this rung and of those below; of the default, from the highest rung that can be loaded."""
    global _highest
    rungs, why, falls = {}, "", engine == _DEFAULT
    for rung in list(_RUNGS)[0 if falls else list(_RUNGS).index(engine) :]:
        try:
            rungs[rung] = importlib.import_module(f"{__name__}.{_RUNGS[rung]}")
        except Exception as error:  # numba is missing or fails in some way of its own, or this rung's folder is missing
            if not falls:
                raise
            if getattr(error, "name", None) != f"{__name__}.{_RUNGS[rung]}":
                why = f'the engine "{rung}" can\'t be loaded here ({type(error).__name__}: {error})'
    if falls:
        _highest = next(iter(rungs))
    if why:
        _say_slower(why)
    return SimpleNamespace(**{name: Checked(name, rungs, falls) for name in formulas.__all__})


def _blas() -> SimpleNamespace:
    """NumPy's matrix products, with threads of BLAS's own, and the other kernels of the default on one thread."""
    from scratchnet.kernels.threads import on_one_thread  # here, so that NumPy alone needs no numba

    kernels = {name: on_one_thread(kernel) for name, kernel in vars(_ladder(_DEFAULT)).items()}
    products = {name: getattr(formulas, name) for name in ("affine", "matmul_nt", "add_matmul_tn")}
    return SimpleNamespace(**kernels | products)


def _install(engine: str) -> None:
    global _active
    if engine not in _ENGINES:
        _ENGINES[engine] = _blas() if engine == "blas" else _ladder(engine)
    for name in formulas.__all__:
        globals()[name] = getattr(_ENGINES[engine], name)
    _active = engine


@functools.cache
def _say_slower(why: str) -> None:
    warnings.warn(f"scratchnet computes more slowly than it could: {why}.", RuntimeWarning, stacklevel=2)


_choice = os.environ.get("SCRATCHNET_KERNELS")
if _choice is not None:
    check_choice("the environment variable SCRATCHNET_KERNELS", "its value", _choice, _CHOICES)
_install(_DEFAULT if _choice is None else _choice)
