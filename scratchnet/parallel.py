"""One model trained by many processes, each with a share of every batch; needs the extra `mpi`.

Provisional: names and behaviour may still change. See docs/20-many-machines.md.
"""

import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.core.model import Loss
from scratchnet.errors import ShapeError
from scratchnet.kernels.memory import empty
from scratchnet.training.run import OneProcess, Run, arrays_of

__all__ = ["DataParallel", "Together"]

SIZE_AT = {"random": 0, "standard_normal": 0, "standard_exponential": 0, "exponential": 1, "poisson": 1}
SIZE_AT |= dict.fromkeys(("binomial", "integers", "laplace", "normal", "uniform"), 2)
"""The draws that a model may make, and the position of `size` among their arguments."""


class DataParallel:
    """A model whose batches are shared among the processes of a communicator; it is used like the model itself.

    With N_r of a batch's N rows on process r, L = Σ_r (N_r/N) L_r and dθ = Σ_r (N_r/N) dθ_r: the second sum is one
    allreduce a step. Each process draws the noise of the whole batch and keeps that of its rows, so that θ is, to
    rounding, the same for any number of processes, and the same bits for the same number. `model` must be made from the
    same seed on every process, and its loss may draw only numbers whose first axis is the batch; `comm` is one of
    mpi4py's communicators.

    Examples
    --------
    >>> model = DataParallel(sn.VAE(encoder, decoder), MPI.COMM_WORLD)  # doctest: +SKIP
    >>> sn.fit(model, x, optimizer=sn.Adam(1e-3), epochs=10, rng=rng)  # doctest: +SKIP
    """

    __slots__ = ("_comm", "_model", "processes")

    def __init__(self, model: Any, comm: Any):
        for name, value in (("_model", model), ("_comm", comm), ("processes", Together(comm))):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in self.__slots__:
            raise AttributeError(name)
        return getattr(self._model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._model, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> "DataParallel":  # of the model alone, as check_gradients needs it
        return DataParallel(copy.deepcopy(self._model, memo), self._comm)

    def __repr__(self) -> str:
        return repr(self._model)

    def loss(self, batch: Any, rng: np.random.Generator | None = None) -> Loss:
        """The loss on the whole batch; each process computes its rows, and an empty share one row that weighs 0."""
        arrays = arrays_of(batch)
        N, rank, size = len(arrays[0]), self._comm.rank, self._comm.size
        first, last = N * rank // size, N * (rank + 1) // size
        weight, rows = (last - first) / N, slice(first, max(last, first + 1))
        mine = tuple(array[rows] for array in arrays)
        draws = None if rng is None else ShareOfDraws(rng, N, rows)
        loss = self._model.loss(mine if isinstance(batch, tuple) else mine[0], draws)
        value, *others = self._sum(weight, np.array([loss.value, *loss.terms.values(), *loss.metrics.values()]))
        terms = dict(zip(loss.terms, others, strict=False))
        metrics = dict(zip(loss.metrics, others[len(terms) :], strict=True))

        def backward() -> None:
            dtheta = self._model.parameters.dtheta
            before = empty(dtheta.shape, dtheta.dtype)
            before[...] = dtheta
            dtheta.fill(0)
            loss.backward()
            np.add(before, self._sum(weight, dtheta), out=dtheta)

        return Loss(value, terms, backward, metrics)

    def _sum(self, weight: float, x: Array) -> Array:
        """Σ weight · x over the processes; where the weight is 0, x may be anything, NaN too."""
        mine = x * x.dtype.type(weight) if weight else np.zeros_like(x)
        total = empty(x.shape, x.dtype)
        self._comm.Allreduce(mine, total)
        return total


class ShareOfDraws(np.random.Generator):
    """A generator that draws for all N examples of a batch, and returns the rows of a share."""

    def __init__(self, rng: np.random.Generator, N: int, rows: slice):
        super().__init__(rng.bit_generator)
        self._N, self._rows = N, rows

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name == "bit_generator":
            return found
        if name not in SIZE_AT:
            raise TypeError(f"DataParallel expects a model's loss to draw by {', '.join(SIZE_AT)}, got rng.{name}.")
        return partial(self._share, name, found)

    def _share(self, name: str, draw: Callable[..., Array], *arguments: Any, **named: Any) -> Array:
        given, at, count = list(arguments), SIZE_AT[name], self._rows.stop - self._rows.start
        size: Any = given[at] if len(given) > at else named.get("size")
        shape = (size,) if isinstance(size, int) else tuple(size or ())
        if shape[:1] != (count,):
            expected = f"DataParallel expects a model's loss to draw for a batch on the first axis, {count} rows here"
            raise ShapeError(f"{expected}, got rng.{name} with the shape {shape}.")
        if len(given) > at:
            given[at] = (self._N, *shape[1:])
        else:
            named["size"] = (self._N, *shape[1:])
        return draw(*given, **named)[self._rows]


class Together(OneProcess):
    """All processes of a communicator go on or end together.

    As a context, `with Together(comm):`, it ends all of them, with one sentence, if one raises.
    """

    patience = 2.0
    """Seconds that a process which failed waits for the others to fail too, as they all do over a wrong argument."""

    def __init__(self, comm: Any):
        super().__init__()
        self.comm, self.leads = comm.Dup(), comm.rank == 0  # a copy, so that its messages mix with no others

    def wait(self) -> None:
        """Until every process has come here."""
        self.comm.Barrier()

    def ending(self, run: Run) -> bool:
        """Whether the run ends: on all processes after the same step, if it is to end on one."""
        mine = (run.history.stopped, run.history.interrupted)
        stopped, interrupted = zip(*self.comm.allgather(mine), strict=True)
        run.history.stopped = next(filter(None, stopped), "")
        run.history.interrupted |= any(interrupted)  # what came meanwhile counts the next time
        return any(stopped) or any(interrupted)

    def __exit__(self, *raised: Any) -> None:
        error = raised[1]
        if error is None or self.comm.size == 1:
            return
        all_failed, until = self.comm.Ibarrier(), time.monotonic() + self.patience
        while not all_failed.Test() and time.monotonic() < until:
            time.sleep(0.01)
        if all_failed.Test():
            return
        if not isinstance(error, SystemExit) or isinstance(error.code, str):
            who, what = f"rank {self.comm.rank} of {self.comm.size}", type(error).__name__
            why = f": {error}".removesuffix(".") if str(error) else ""
            print(f"{who} raised {what}{why}. All processes end.", file=sys.stderr, flush=True)
        self.comm.Abort(0 if isinstance(error, SystemExit) and not error.code else 1)
