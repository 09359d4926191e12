"""Parallel loops on a team of threads.

A kernel is a loop over a range, `def kernel(…arrays, first, last)`. Short work runs on the calling thread. Long work is
split into parts. The calling thread, the leader, opens a gate; helpers that spin on the gate enter, and every thread
claims the next part until none is left. A helper that the system has given no core claims nothing, so no thread waits
for it. The result has the same bits for any number of threads, because no element depends on how the range is split.
Where the team is slower than its leader alone, the leader computes alone for a while.

A helper spins in machine code, without Python's lock, for about half a millisecond after the last part, and then
sleeps. A second Python thread or a signal handler that calls a kernel while the team is busy computes it alone; a
forked child makes a team of its own.
"""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from llvmlite import ir
from numba import extending, njit, types

from scratchnet.kernels.compile import FLOATS, THREADS, Numba, address_of, dispatcher, emit_call, load_or_compile

LEAST_WORK, WORTH_WAKING = 5_000, 15_000
"""Nanoseconds of work from which helpers that are awake take part, and from which sleeping helpers are woken."""

LARGE_PART = 200_000
"""Nanoseconds from which a part is split further, so that a thread that starts late or runs slowly gets fewer."""

LOOKS, SLEEP = 1_500_000, 20e-6
"""How often a thread looks before it sleeps, and seconds that a waiting leader then sleeps between two looks."""

TRIAL, REST = 5_000_000, 50
"""Nanoseconds for which the leader computes alone, to learn how long that takes; the team then computes for so many
times as long, before the next trial."""

WINDOW, GAIN = 5_000_000, 0.95
"""The team's time is compared whenever it has computed for so many nanoseconds: it should be at most this share of what
the leader needs alone."""

ALONE, ALONE_AT_MOST = 10_000_000, 1_000_000_000
"""Nanoseconds for which the leader then computes alone: doubled after each window that was too slow, an eighth less
after each good one."""

_GATE, _NEXT, _PARTS, _SIZE, _TRAMPOLINE, _CALL = 0, 8, 16, 17, 18, 24
"""Offsets in a team's memory, in words of 8 bytes. The two words that several threads change have a cache line each."""

_OPEN = 2**32
"""This bit of the gate's word says that the gate is open; the bits below count the helpers at the gate or inside."""

threads = THREADS
"""Number of threads that compute. All results have the same bits for any number."""


# ---- in machine code

intrinsic: Any = extending.intrinsic  # it passes a function its first argument, which type checkers miss
_I64, _NUMBER = ir.IntType(64), types.int64
_TRAMPOLINE_TYPE = ir.FunctionType(ir.VoidType(), [_I64] * 3)


def _word(builder, memory, word, kind=_I64):
    """A pointer to a word of a team's memory."""
    return builder.inttoptr(builder.add(memory, builder.mul(word, ir.Constant(_I64, 8))), kind.as_pointer())


@intrinsic
def _get(typingctx, memory, word):
    def codegen(context, builder, signature, values):
        return builder.load_atomic(_word(builder, *values), "seq_cst", 8)

    return _NUMBER(_NUMBER, _NUMBER), codegen


@intrinsic
def _add(typingctx, memory, word, value):
    """Adds to a word, and returns what was there before."""

    def codegen(context, builder, signature, values):
        return builder.atomic_rmw("add", _word(builder, *values[:2]), values[2], "seq_cst")

    return _NUMBER(_NUMBER, _NUMBER, _NUMBER), codegen


@intrinsic
def _trampoline(typingctx, memory, call):
    """Stores a kernel's address and arguments, a tuple, in the memory; returns the address of a function that calls it.

    That function, the trampoline, takes the memory and a range, so helpers call every kernel the same way.
    """
    kinds = (*call.types[1:], _NUMBER, _NUMBER)

    def codegen(context, builder, signature, values):
        memory, call = values
        word = ir.Constant(_I64, _CALL)
        builder.store(call, _word(builder, memory, word, call.type))
        function = ir.Function(builder.module, _TRAMPOLINE_TYPE, builder.module.get_unique_name("trampoline"))
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block())
        memory, *range_ = function.args
        stored = inside.load(_word(inside, memory, word, call.type))
        kernel, *arguments = [inside.extract_value(stored, i) for i in range(len(kinds) - 1)]
        emit_call(context, inside, kernel, kinds, [*arguments, *range_])
        inside.ret_void()
        return builder.ptrtoint(function, _I64)

    return _NUMBER(_NUMBER, call), codegen


@intrinsic
def _jump(typingctx, trampoline, memory, first, last):
    """Calls a trampoline."""

    def codegen(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], _TRAMPOLINE_TYPE.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[_NUMBER] * 4), codegen


@njit
def _set(memory, word, value):
    """Set a word that no other thread changes now."""
    _add(memory, word, value - _get(memory, word))


@njit
def _take_parts(memory):
    """Compute parts until none is left."""
    parts, size, trampoline = _get(memory, _PARTS), _get(memory, _SIZE), _get(memory, _TRAMPOLINE)
    part = _add(memory, _NEXT, 1)
    while part < parts:
        _jump(trampoline, memory, size * part // parts, size * (part + 1) // parts)
        part = _add(memory, _NEXT, 1)


@functools.cache
def _leader(kinds: str) -> Numba:
    """The leader's part for kernels of these kinds: a dispatcher of their own, so that it refuses other arguments."""

    def lead(memory, parts, size, call, looks):  # pragma: no cover  (runs as machine code)
        """Open the gate, take parts, close the gate, and spin until all helpers have left, at most this many times."""
        _set(memory, _TRAMPOLINE, _trampoline(memory, call))
        _set(memory, _PARTS, parts)
        _set(memory, _SIZE, size)
        _set(memory, _NEXT, 0)
        _add(memory, _GATE, _OPEN)
        _take_parts(memory)
        _add(memory, _GATE, -_OPEN)
        while looks > 0 and _get(memory, _GATE) != 0:
            looks -= 1

    return dispatcher(lead, f"_lead_{kinds}")


def _help(memory, looks):  # pragma: no cover  (runs as machine code)
    """Take parts whenever the gate is open; return after this many looks in a row that found nothing to do."""
    look = 0
    while look < looks:
        look += 1
        if _get(memory, _GATE) >= _OPEN and _get(memory, _NEXT) < _get(memory, _PARTS):
            if _add(memory, _GATE, 1) >= _OPEN:  # it may have been closed since
                _take_parts(memory)
                look = 0
            _add(memory, _GATE, -1)


_compiled_help = dispatcher(_help, "_help")


# ---- in Python


class Choice:
    """Whether a team or its leader alone was faster lately.

    Two threads are slower than one where another program, or another guest of the same host, needs a core. No clock of
    this system shows the second case, so both ways are measured. All times are of kernels, in nanoseconds.
    """

    def __init__(self):
        self._rates: dict[Any, float] = {}
        self._alone_for, self._penalty, self._rest = float(TRIAL), ALONE, REST * TRIAL
        self._together = self._expected = 0.0

    @property
    def alone(self) -> bool:
        """Whether the leader computes the next kernel alone."""
        return self._alone_for > 0

    def took_alone(self, kernel: int, work: float, took: int, undisturbed: bool) -> None:
        """Note a kernel's time on the leader, and learn from it if no helper was spinning meanwhile."""
        if undisturbed:
            key, rate = (kernel, int(work).bit_length()), took / max(work, 1)
            known = self._rates.get(key, rate)
            self._rates[key] = known + (rate - known) / 4
        self._alone_for -= took
        self._rest = REST * (TRIAL - self._alone_for)

    def took_together(self, kernel: int, work: float, took: int) -> None:
        """Note a kernel's time on the team; at the end of a window, decide who computes next."""
        self._rest -= took
        if rate := self._rates.get((kernel, int(work).bit_length())):
            self._together += took
            self._expected += rate * work
        if self._together > WINDOW:
            if self._together > GAIN * self._expected:
                self._alone_for = self._penalty
                self._penalty = min(2 * self._penalty, ALONE_AT_MOST)
            else:
                self._penalty = max(self._penalty * 7 // 8, ALONE)
            self._together = self._expected = 0
        if self._rest < 0 and not self.alone:
            self._alone_for = TRIAL


class Team:
    """The calling thread and its helpers, together so many threads, which compute one kernel at a time."""

    def __init__(self, threads: int):
        load_or_compile(_compiled_help, (_NUMBER, _NUMBER))
        self._threads = threads
        self._words = np.zeros(_CALL + 512, np.int64)
        self._memory = self._words.ctypes.data
        self._leading = threading.Lock()
        self._choice = Choice()
        self._asleep: list[Any] = []
        self._helpers = 0
        with contextlib.suppress(RuntimeError):  # no more threads are available, or Python is shutting down
            while self._helpers < threads - 1:
                threading.Thread(target=self._assist, name="scratchnet helper", daemon=True).start()
                self._helpers += 1

    def _assist(self) -> None:
        alarm = threading.Lock()
        alarm.acquire()
        while True:
            _compiled_help(self._memory, LOOKS)
            self._asleep.append(alarm)
            alarm.acquire()

    def run(self, size: int, work: float, compiled: Callable[..., None], lead: Numba, call: tuple[Any, ...]) -> bool:
        """Run a kernel on 0 … size: its machine code alone, or with the helpers by its leader's part and address.

        False: it has not run, since the team is busy or asleep.
        """
        if not self._leading.acquire(blocking=False):
            return False
        try:
            alone = self._choice.alone
            if self._asleep and work < WORTH_WAKING and not alone:
                return False
            start = time.perf_counter_ns()
            if alone:
                compiled(*call[1:], 0, size)
                undisturbed = len(self._asleep) == self._helpers
                self._choice.took_alone(call[0], work, time.perf_counter_ns() - start, undisturbed)
            else:
                self._compute_together(size, work, lead, call)
                self._choice.took_together(call[0], work, time.perf_counter_ns() - start)
            return True
        finally:
            self._leading.release()

    def _compute_together(self, size: int, work: float, lead: Numba, call: tuple[Any, ...]) -> None:
        while self._asleep:
            self._asleep.pop().release()
        parts = min(size, max(self._threads, min(4 * self._threads, int(work / LARGE_PART))))
        try:
            lead(self._memory, parts, size, call, LOOKS)
        finally:
            self._wait()

    def _wait(self) -> None:
        """Wait for a helper that another process pushed off its core in the middle of a part."""
        try:
            while self._words[_GATE]:
                time.sleep(SLEEP)
        finally:
            if self._words[_GATE]:  # Ctrl-C must not free memory that a helper writes to
                self._wait()


@functools.cache
def _team(threads: int, process: int) -> Team:
    """The team of this process: a forked child does not inherit its parent's threads."""
    return Team(threads)


def on_one_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes the function run all its kernels on the calling thread."""

    def alone(*arguments):
        global threads
        before, threads = threads, 1
        try:
            return function(*arguments)
        finally:
            threads = before

    return alone


class Kernel:
    """A loop over a range, `function(*arguments, first, last)`, compiled for float32 and for float64.

    Parameters
    ----------
    function : function
        Fills arrays in place and returns nothing. Different parts of the range write different elements.
    kinds : str
        A letter for each argument: v or m, a vector or a matrix in C order; a, a matrix of any strides; d and i, a
        vector of float64 and of int64; s, a float; n, an int. A capital letter is an array that is written to. The
        arrays v, m and a are all of one type, and the first argument is one of them.
    """

    every: ClassVar[list["Kernel"]] = []

    def __init__(self, function: Callable[..., None], kinds: str, **options: Any):
        self._dispatcher, self._kinds = dispatcher(function, function.__name__, **options), kinds
        self._compiled: Any = None
        self._leads: dict[np.dtype, tuple[Numba, int]] = {}
        Kernel.every.append(self)

    def __call__(self, size: int, work: float, *arguments: Any) -> None:
        """Run the kernel on 0 … size; `work` estimates the nanoseconds that this takes on one thread."""
        try:
            if work >= LEAST_WORK and threads > 1:
                dtype = arguments[0].dtype
                lead, address = self._leads.get(dtype) or self._make_lead(dtype)
                if address and _team(threads, os.getpid()).run(size, work, self._compiled, lead, (address, *arguments)):
                    return
            self._compiled(*arguments, 0, size)
        except TypeError:  # this type is not loaded, or none is, or some array is read-only
            self.load(arguments[0].dtype)
            self._compiled(*map(_writeable, self._kinds, arguments), 0, size)

    def load(self, dtype: Any) -> None:
        """Load the machine code for this float type from the cache, or compile it."""
        load_or_compile(self._dispatcher, (*self._types(dtype), _NUMBER, _NUMBER))
        self._compiled = self._dispatcher

    def _make_lead(self, dtype: np.dtype) -> tuple[Numba, int]:
        """The leader's part for this type, and the kernel's address; 0 if this kernel must run on one thread."""
        self.load(dtype)
        kinds, lead, address = self._types(dtype), _leader(self._kinds.lower()), 0
        with contextlib.suppress(Exception):  # numba's internals have changed
            load_or_compile(lead, (*[_NUMBER] * 3, types.Tuple((_NUMBER, *kinds)), _NUMBER))
            address = address_of(self._dispatcher, (*kinds, _NUMBER, _NUMBER))
        self._leads[dtype] = lead, address
        return lead, address

    def _types(self, dtype: Any) -> tuple[Numba, ...]:
        """numba's types of the arguments."""
        number = FLOATS[np.dtype(dtype)]
        kinds = {
            "v": types.Array(number, 1, "C"),
            "m": types.Array(number, 2, "C"),
            "a": types.Array(number, 2, "A"),
            "d": types.Array(types.float64, 1, "C"),
            "i": types.Array(types.int64, 1, "C"),
            "s": types.float64,
            "n": types.int64,
        }
        return tuple(kinds[kind] for kind in self._kinds.lower())


def _writeable(kind: str, argument: Any) -> Any:
    """The argument, or a copy of an array that is only read."""
    if not isinstance(argument, np.ndarray) or argument.flags.writeable:
        return argument
    if kind.isupper():
        raise ValueError("output array is read-only")  # as NumPy says it
    return argument.copy()


def kernel(kinds: str, **options: Any) -> Callable[[Callable[..., None]], Kernel]:
    """`Kernel`, as a decorator."""
    return lambda function: Kernel(function, kinds, **options)
