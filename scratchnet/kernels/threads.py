"""Parallel loops on a team of threads.

A kernel is a loop over a range, `def kernel(…arrays, first, last)`. Short work runs on the calling thread. Long work is
split into parts. The calling thread, the leader, opens a gate; helpers that spin on the gate enter, and every thread
claims the next part until none is left. A helper that the system has given no core claims nothing, so nobody waits
for it. The result has the same bits for any number of threads, because no element depends on how the range is split.

A helper spins in machine code, without Python's lock, for half a millisecond after the last part, and then sleeps. A
second Python thread or a signal handler that calls a kernel while the team is busy computes it alone; a forked child
makes a team of its own.
"""

# An intrinsic is called without its first argument, which numba hands in:
# pyright: reportCallIssue=false

import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from llvmlite import ir
from numba import njit, typeof, types
from numba.extending import intrinsic

from scratchnet.kernels.compile import FLOATS, THREADS, Numba, address_of, dispatcher, emit_call
from scratchnet.kernels.compile import load_or_compile as load

LEAST_WORK = 5_000
"""Nanoseconds of work from which helpers that are awake take part."""

WORTH_WAKING = 15_000
"""Nanoseconds of work from which sleeping helpers are woken."""

LARGE_PART = 200_000
"""Nanoseconds from which a part is split further, so that a thread that starts late or runs slowly gets fewer."""

LOOKING, SLEEP = 500_000, 20_000
"""Nanoseconds that a thread spins before it sleeps, and that a waiting leader then sleeps between two looks."""

WINDOW, LOST, PAUSE = 5_000_000, 0.15, 200_000
"""If the leader, which never idles, had no core for this share of a window (nanoseconds), its helpers took it. A window
holds parallel loops that follow each other without a longer pause (nanoseconds)."""

ALONE, ALONE_AT_MOST = 10_000_000, 1_000_000_000
"""Nanoseconds for which the leader then computes alone: doubled after each such window, an eighth less after each good
one."""

_GATE, _NEXT, _PARTS, _SIZE, _TRAMPOLINE, _KERNEL, _ARGUMENTS = 0, 8, 16, 17, 18, 19, 24
"""Offsets in a team's memory, in words of 8 bytes. The two words that several threads change have a cache line each."""

_OPEN = 2**32
"""This bit of the gate's word says that the gate is open; the bits below count the helpers inside."""

_I64 = ir.IntType(64)


# ---- in machine code


def _atomic(result: Numba, *operands: Numba) -> Callable[[Callable[..., Any]], Any]:
    """Makes an atomic, sequentially consistent operation on one word of memory out of the function that emits it."""

    def decorate(emit):
        def codegen(context, builder, signature, arguments):
            address, index, *values = arguments
            place = builder.add(address, builder.mul(index, ir.Constant(_I64, 8)))
            found = emit(builder, builder.inttoptr(place, _I64.as_pointer()), *values)
            return context.get_dummy_value() if result is types.void else found

        signature = result(types.int64, types.int64, *operands)
        arity = {
            0: lambda typingctx, memory, word: (signature, codegen),
            1: lambda typingctx, memory, word, value: (signature, codegen),
            2: lambda typingctx, memory, word, old, new: (signature, codegen),
        }
        return intrinsic(arity[len(operands)])

    return decorate


@_atomic(types.int64)
def _get(builder, word):
    return builder.load_atomic(word, "seq_cst", 8)


@_atomic(types.void, types.int64)
def _set(builder, word, value):
    return builder.store_atomic(value, word, "seq_cst", 8)


@_atomic(types.int64, types.int64)
def _add(builder, word, value):
    return builder.atomic_rmw("add", word, value, "seq_cst")


@_atomic(types.boolean, types.int64, types.int64)
def _exchanged(builder, word, old, new):
    return builder.extract_value(builder.cmpxchg(word, old, new, "seq_cst", "seq_cst"), 1)


_TRAMPOLINE_TYPE = ir.FunctionType(ir.VoidType(), [_I64] * 3)


@intrinsic
def _trampoline(typingctx, memory, arguments):
    """Stores a kernel's arguments, a tuple, in the memory; returns the address of a function that calls the kernel.

    That function, the trampoline, takes the memory and a range, so helpers call every kernel the same way.
    """
    kinds = (*arguments.types, types.int64, types.int64)

    def at(builder, memory, word):
        return builder.add(memory, ir.Constant(_I64, 8 * word))

    def codegen(context, builder, signature, values):
        memory, arguments = values
        builder.store(arguments, builder.inttoptr(at(builder, memory, _ARGUMENTS), arguments.type.as_pointer()))
        function = ir.Function(builder.module, _TRAMPOLINE_TYPE, builder.module.get_unique_name("trampoline"))
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block())
        memory, first, last = function.args
        whole = inside.load(inside.inttoptr(at(inside, memory, _ARGUMENTS), arguments.type.as_pointer()))
        kernel = inside.load(inside.inttoptr(at(inside, memory, _KERNEL), _I64.as_pointer()))
        each = [inside.extract_value(whole, i) for i in range(len(kinds) - 2)]
        emit_call(context, inside, kernel, kinds, [*each, first, last])
        inside.ret_void()
        return builder.ptrtoint(function, _I64)

    return types.int64(types.int64, arguments), codegen


@intrinsic
def _jump(typingctx, trampoline, memory, first, last):
    """Calls a trampoline."""

    def codegen(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], _TRAMPOLINE_TYPE.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@njit
def _take_parts(memory):
    """Compute parts until none is left."""
    parts, size, trampoline = _get(memory, _PARTS), _get(memory, _SIZE), _get(memory, _TRAMPOLINE)
    part = _add(memory, _NEXT, 1)
    while part < parts:
        _jump(trampoline, memory, size * part // parts, size * (part + 1) // parts)
        part = _add(memory, _NEXT, 1)


def _lead(memory, parts, size, kernel, arguments, looks):  # pragma: no cover  (runs as machine code)
    """Open the gate, take parts, close the gate, and spin until all helpers have left, at most this many times."""
    _set(memory, _KERNEL, kernel)
    _set(memory, _TRAMPOLINE, _trampoline(memory, arguments))
    _set(memory, _PARTS, parts)
    _set(memory, _SIZE, size)
    _set(memory, _NEXT, 0)
    _set(memory, _GATE, _OPEN)
    _take_parts(memory)
    _add(memory, _GATE, -_OPEN)
    look = 0
    while look < looks and _get(memory, _GATE) != 0:
        look += 1


def _help(memory, looks):  # pragma: no cover  (runs as machine code)
    """Take parts whenever the gate is open; return after this many looks in a row that found nothing to do."""
    look = 0
    while look < looks:
        gate = _get(memory, _GATE)
        look += 1
        if gate >= _OPEN and _get(memory, _NEXT) < _get(memory, _PARTS) and _exchanged(memory, _GATE, gate, gate + 1):
            _take_parts(memory)
            _add(memory, _GATE, -1)
            look = 0


@functools.cache
def _can_lead(kinds: Numba) -> bool:
    """Compile the leader's part for arguments of these types; False if that fails."""
    try:
        load(_compiled_lead, (*[_NUMBER] * 4, kinds, _NUMBER))
    except Exception:  # numba's internals have changed: kernels run on one thread
        return False
    return True


_compiled_lead, _compiled_help = dispatcher(_lead, "_lead"), dispatcher(_help, "_help")
_NUMBER = types.int64


# ---- in Python


class Team:
    """A calling thread and its helpers, which compute one kernel at a time.

    Parameters
    ----------
    threads : int
        With the calling thread.
    """

    def __init__(self, threads: int):
        load(_compiled_help, (_NUMBER, _NUMBER))
        self._leads = _can_lead(types.Tuple((_NUMBER,)))  # once compiled, the dispatcher refuses other types
        self.threads, self.process = threads, os.getpid()
        self._words = np.zeros(_ARGUMENTS + 512, np.int64)
        self._memory = self._words.ctypes.data
        self._leading = threading.Lock()
        self._asleep: list[Any] = []
        self._alone_until, self._alone = 0, ALONE
        self._ended = self._window = self._window_cpu = 0
        times = []
        for _ in range(5):
            start = time.perf_counter_ns()
            _compiled_help(self._memory, 20_000)
            times.append(time.perf_counter_ns() - start)
        self._looks = 20_000 * LOOKING // max(1, min(times))
        try:
            for _ in range(threads - 1):
                threading.Thread(target=self._assist, name="scratchnet helper", daemon=True).start()
        except RuntimeError:  # no more threads are available, or Python is shutting down
            self._leads = False

    def _assist(self) -> None:
        alarm = threading.Lock()
        alarm.acquire()
        while True:
            _compiled_help(self._memory, self._looks)
            self._asleep.append(alarm)
            alarm.acquire()

    def run(self, size: int, work: float, kernel: int, arguments: tuple[Any, ...]) -> bool:
        """Run the kernel on the range 0 … size with all threads; return False without running it if one is faster."""
        if not (self._leads and self._leading.acquire(blocking=False)):
            return False
        try:
            now = time.perf_counter_ns()
            if now < self._alone_until or (self._asleep and work < WORTH_WAKING):
                return False
            if now - self._ended > PAUSE:
                self._window, self._window_cpu = now, time.thread_time_ns()
            while self._asleep:
                self._asleep.pop().release()
            parts = min(size, max(self.threads, min(4 * self.threads, int(work / LARGE_PART))))
            call = self._memory, parts, size, kernel, arguments, self._looks
            try:
                _compiled_lead(*call)
            except TypeError:  # the first arguments of these types: a matrix may be in C order, or have any strides
                if not _can_lead(typeof(arguments)):
                    return False
                _compiled_lead(*call)
            finally:
                if self._words[_GATE]:
                    self._wait()
            self._ended = time.perf_counter_ns()
            if self._ended - self._window > WINDOW:
                self._judge()
            return True
        finally:
            self._leading.release()

    def _wait(self) -> None:
        """Wait for a helper that another process pushed off its core in the middle of a part."""
        raised: BaseException | None = None
        while self._words[_GATE]:
            try:
                time.sleep(SLEEP / 1e9)
            except BaseException as error:  # Ctrl-C must not free memory that a helper writes to
                raised = error
        if raised is not None:
            raise raised

    def _judge(self) -> None:
        """End the window, and compute alone for a while if the leader had no core for too much of it."""
        now, cpu = self._ended, time.thread_time_ns()
        window = now - self._window
        if window - (cpu - self._window_cpu) > LOST * window:
            self._alone_until = now + self._alone
            self._alone = min(2 * self._alone, ALONE_AT_MOST)
        else:
            self._alone = max(self._alone * 7 // 8, ALONE)
        self._window, self._window_cpu = now, cpu


threads = THREADS
"""Number of threads that compute. All results have the same bits for any number."""

_teams: dict[int, Team] = {}


def _team() -> Team:
    """The team of this process: a forked child does not inherit its parent's threads."""
    team = _teams.get(threads)
    if team is None or team.process != os.getpid():
        team = _teams[threads] = Team(threads)
    return team


def on_one_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes the function run all its kernels on the calling thread."""

    @functools.wraps(function)
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
        A letter for each argument: v or m, a vector or a matrix in C order; a, a matrix of any strides; d, a vector of
        float64, i, one of int64, and w, one of int32; s, a float; n, an int. A capital letter is an array that is
        written to. The arrays v, m and a are all of one type.
    """

    every: ClassVar[list["Kernel"]] = []

    def __init__(self, function: Callable[..., None], kinds: str, **options: Any):
        self._dispatcher = dispatcher(function, function.__name__, **options)
        self._compiled: Callable[..., None] = _not_compiled_yet
        self._kinds = kinds
        self._numbers = [(i, float if kind == "s" else int) for i, kind in enumerate(kinds) if kind in "sn"]
        self._addresses: dict[Any, int] = {}
        self.__name__ = function.__name__
        Kernel.every.append(self)

    def __call__(self, size: int, work: float, *arguments: Any) -> None:
        """Run the kernel on 0 … size; `work` estimates the nanoseconds that this takes on one thread."""
        try:
            if work >= LEAST_WORK and threads > 1:
                # A call through an address checks no types. So convert the numbers here, and let the dispatcher check
                # the arrays by a call on an empty range.
                if self._numbers:
                    made = list(arguments)
                    for i, number in self._numbers:
                        made[i] = number(made[i])
                    arguments = tuple(made)
                self._compiled(*arguments, 0, 0)
                address = self._addresses.get(arguments[0].dtype)
                if address is not None and _team().run(size, work, address, arguments):
                    return
            self._compiled(*arguments, 0, size)
        except TypeError:
            arguments = self._made_ready(arguments)
            self._compiled(*arguments, 0, size)

    def _made_ready(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Compile for these arguments if need be, and copy the read-only ones."""
        self.load(arguments[0].dtype)
        ready = []
        for kind, argument in zip(self._kinds, arguments, strict=True):
            if isinstance(argument, np.ndarray) and not argument.flags.writeable:
                if kind.isupper():
                    raise ValueError("output array is read-only")  # as NumPy says it
                argument = argument.copy()
            ready.append(argument)
        return tuple(ready)

    def load(self, dtype: Any) -> None:
        """Load the machine code for this float type from the cache, or compile it."""
        number = FLOATS[np.dtype(dtype)]
        kinds = {
            "v": types.Array(number, 1, "C"),
            "m": types.Array(number, 2, "C"),
            "a": types.Array(number, 2, "A"),
            "d": types.Array(types.float64, 1, "C"),
            "i": types.Array(types.int64, 1, "C"),
            "s": types.float64,
            "w": types.Array(types.int32, 1, "C"),
            "n": types.int64,
        }
        arguments = tuple(kinds[kind.lower()] for kind in self._kinds)
        signature = (*arguments, types.int64, types.int64)
        load(self._dispatcher, signature)
        self._compiled = self._dispatcher
        try:
            self._addresses[np.dtype(dtype)] = address_of(self._dispatcher, signature)
        except Exception:  # numba's internals have changed: this kernel runs on one thread
            self._addresses.pop(np.dtype(dtype), None)


def _not_compiled_yet(*arguments: Any) -> None:
    raise TypeError("compiled for no types yet")


def kernel(kinds: str, **options: Any) -> Callable[[Callable[..., None]], Kernel]:
    """`Kernel`, as a decorator."""
    return lambda function: Kernel(function, kinds, **options)
