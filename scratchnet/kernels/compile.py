"""Compiling for the CPU at hand, with numba. Everything that uses numba's private parts is here.

If another version of numba lacks one, or a file of machine code is damaged, that costs only time: a loop is compiled
again, or runs on one thread.
"""

import functools
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit
from numba import types as numba_types

if config.DISABLE_JIT:  # type: ignore[attr-defined]  (numba sets its names while it runs)
    raise ImportError("NUMBA_DISABLE_JIT is set")

Numba = Any
"""A type of numba's, of which type checkers know little."""

FLOATS: dict[np.dtype, Numba] = {np.dtype(t): getattr(numba_types, t) for t in ("float32", "float64")}
"""The types that kernels are compiled for, and numba's names for them."""

THREADS: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
"""How many threads may compute: as many as there are cores, or what the environment variable of that name says."""


# ---- the CPU


def _features() -> set[str]:
    """What the CPU that numba compiles for can do, by LLVM's names; nothing, where numba can't tell."""
    try:
        from numba.core.registry import cpu_target

        context: Numba = cpu_target.target_context
        triple, _, listed = context.codegen().magic_tuple()
    except Exception:
        return set()
    arm = {"neon"} if triple.startswith(("aarch64", "arm64")) else set()  # macOS doesn't list what every one has
    return arm | {feature[1:] for feature in listed.split(",") if feature.startswith("+")}


CPU = _features()

VECTOR = 64 if "avx512f" in CPU else 32 if {"avx2", "fma"} <= CPU else 16
"""Bytes in a vector register."""

FUSES = bool(CPU & {"fma", "neon"})
"""Whether a product and a sum are one instruction, which rounds once."""

REGISTERS = 32 if CPU & {"avx512f", "neon"} else 16
"""How many vector registers there are."""


# ---- machine code, in memory and on disk

_SOURCES = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.rglob("*.py")))
_STAMP = f"{zlib.crc32(_SOURCES):08x}_{8 * VECTOR}"
"""What machine code depends on besides what numba looks at. Files of machine code are named after it, so that machines
whose vectors differ in width can share a folder."""


def dispatcher(function: Callable[..., Any], name: str, **options: Any) -> Numba:
    """numba's dispatcher of this function: once `load_or_compile` has done so for some types, it refuses all others."""
    function.__qualname__ = f"{name}_{_STAMP}"  # after which numba names the file
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written to
        return njit(**options)(function)


def load_or_compile(compiled: Numba, signature: tuple[Numba, ...]) -> None:
    """Load the machine code for these types from disk, or compile it."""
    if signature in compiled.signatures:
        return
    compiled.disable_compile(False)
    try:
        compiled.compile(signature)
    except Exception:
        if signature not in compiled.signatures:  # if it is there, only its file could not be written
            _forget_files(compiled)
            compiled.compile(signature)
    finally:
        if compiled.signatures:
            compiled.disable_compile()
    if compiled.stats.cache_misses:
        _say_that_it_compiles()


def _forget_files(compiled: Numba) -> None:
    """Have numba overwrite its files of this function, or do without them."""
    try:
        compiled._cache.flush()
    except Exception:
        from numba.core.caching import NullCache

        compiled._cache = NullCache()


@functools.cache
def _say_that_it_compiles() -> None:
    if sys.stderr is not None:
        print("scratchnet compiles its kernels, once on this machine …", file=sys.stderr, flush=True)


# ---- compiled functions by their address


def address_of(compiled: Numba, signature: tuple[Numba, ...]) -> int:
    """Where the machine code for these types begins."""
    overload = compiled.overloads[signature]
    return overload.library.get_pointer_to_function(overload.fndesc.llvm_func_name)


def emit_call(context: Numba, builder: Numba, address: Numba, kinds: tuple[Numba, ...], values: list[Numba]) -> None:
    """Emits a call of the compiled function at an address as numba calls it: it returns nothing, and can't fail."""
    kind = context.call_conv.get_function_type(numba_types.void, kinds).as_pointer()
    context.call_conv.call_function(builder, builder.inttoptr(address, kind), numba_types.void, kinds, values)
