"""How to go downhill: each optimizer is a line of arithmetic on the flat θ and dθ.

An optimizer keeps what it must remember (velocity, moments, the number of steps) and makes it at the first step, so
one optimizer trains one model. Derivations: docs/05-optimizers.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from scratchnet import kernels
from scratchnet.checks import check_floats, check_in_place, check_number, check_same
from scratchnet.errors import ShapeError
from scratchnet.kernels.memory import empty
from scratchnet.types import Array

Schedule = Callable[[int], float]


class Optimizer(ABC):
    """What the optimizers share: the learning rate at each step, and a memory shaped like θ.

    Attributes
    ----------
    steps : int
        Steps taken so far.
    """

    memory_names: tuple[str, ...]
    """The vectors that the optimizer keeps from step to step."""

    def __init__(self, learning_rate: float | Schedule):
        if not callable(learning_rate):
            check_number(type(self).__name__, "learning_rate", learning_rate, 0)
        self.learning_rate = learning_rate
        self.steps = 0

    def step(self, theta: Array, dtheta: Array) -> None:
        """Move θ one step against dθ: θ changes in place, dθ stays as it is.

        Raises
        ------
        ShapeError
            If θ and dθ differ in shape, or θ differs from the one that this optimizer began with.
        TypeError
            If they do not hold real floats, or differ in dtype.
        ValueError
            If θ is read-only, or overlaps dθ in memory.
        """
        name = type(self).__name__
        check_floats(name, "theta", theta)
        check_same(name, "dtheta", dtheta, "theta", theta)
        if theta.ndim == 0:
            raise ShapeError(f"{name} expects theta of shape (P,), got a single number.")
        if theta.dtype.kind == "c":
            raise TypeError(f"{name} expects theta to hold real numbers, got {theta.dtype}.")
        check_in_place(name, "theta", theta, dtheta=dtheta)
        for memory in self.memory_names:
            if self.steps == 0:
                setattr(self, memory, empty(theta.shape, theta.dtype))
                getattr(self, memory)[...] = 0
            kept = getattr(self, memory)
            if (kept.shape, kept.dtype) != (theta.shape, theta.dtype):
                raise ShapeError(
                    f"{name} expects theta of shape {kept.shape} and {kept.dtype} again, got {theta.shape} and "
                    f"{theta.dtype}: give each model an optimizer of its own."
                )
        self._move(theta, dtheta, self._learning_rate_now())
        self.steps += 1

    @abstractmethod
    def _move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        """The optimizer's formula."""

    def _learning_rate_now(self) -> float:
        if not callable(self.learning_rate):
            return self.learning_rate
        rate = self.learning_rate(self.steps)
        check_number(f"{type(self).__name__} at step {self.steps}", "the schedule's learning rate", rate, 0)
        return rate


class SGD(Optimizer):
    """Gradient descent with momentum: v ← momentum·v + dθ,  θ ← θ − learning_rate·v.

    Parameters
    ----------
    learning_rate : float, or a function of the step
        Called with the number of steps taken so far, 0 at the first.
    momentum : float
        In [0, 1): the share of the last step's velocity that is kept. Zero is plain gradient descent.

    Attributes
    ----------
    velocity : (P,)
        v, made at the first step.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Derivation: docs/05-optimizers.md. Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> theta, sgd = np.array([1.0]), sn.SGD(0.1, momentum=0.5)
    >>> sgd.step(theta, np.array([2.0]))            # v = 2,      θ = 1 − 0.1·2
    >>> sgd.step(theta, np.array([2.0]))            # v = 1 + 2,  θ = 0.8 − 0.1·3
    >>> theta
    array([0.5])
    """

    memory_names = ("velocity",)
    velocity: Array

    def __init__(self, learning_rate: float | Schedule, momentum: float = 0.0):
        super().__init__(learning_rate)
        check_number("SGD", "momentum", momentum, 0, 1)
        self.momentum = momentum

    def _move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        kernels.sgd_step(theta, dtheta, self.velocity, learning_rate, self.momentum)


class Adam(Optimizer):
    """Steps of one size for all parameters: the mean of the gradient over the root of its mean square.

    g = dθ + weight_decay·θ,  m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,
    θ ← θ − learning_rate · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)   at step t = 1, 2, ….

    Parameters
    ----------
    learning_rate : float, or a function of the step
        Called with the number of steps taken so far, 0 at the first.
    beta1, beta2 : float
        In [0, 1): how much of the two running means is kept.
    epsilon : float
        Above zero, outside the root.
    weight_decay : float
        λ of a penalty ½ λ‖θ‖², whose gradient is added to dθ, as in PyTorch's Adam; not the decoupled decay of AdamW.

    Attributes
    ----------
    m, v : (P,)
        The two running means, made at the first step.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Derivation: docs/05-optimizers.md. Kingma & Ba, Adam: A Method for Stochastic Optimization, 2014.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> theta = np.array([1.0, 1.0])
    >>> sn.Adam(0.1).step(theta, np.array([1000.0, -0.001]))    # the first step is learning_rate·sign(dθ)
    >>> theta.round(4)
    array([0.9, 1.1])
    """

    memory_names = ("m", "v")
    m: Array
    v: Array

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(learning_rate)
        check_number("Adam", "beta1", beta1, 0, 1)
        check_number("Adam", "beta2", beta2, 0, 1)
        check_number("Adam", "epsilon", epsilon, 0, open_low=True)
        check_number("Adam", "weight_decay", weight_decay, 0)
        self.beta1, self.beta2, self.epsilon, self.weight_decay = beta1, beta2, epsilon, weight_decay

    def _move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        t = self.steps + 1
        kernels.adam_step(
            theta, dtheta, self.m, self.v, t, learning_rate, self.beta1, self.beta2, self.epsilon, self.weight_decay
        )
