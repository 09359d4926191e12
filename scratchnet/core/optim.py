"""Optimizers: each is a line of arithmetic on the flat θ and dθ.

An optimizer's state (velocity, moments, the number of steps) belongs to one θ, so one optimizer trains one model.
Derivations: docs/05-optimizers.md.
"""

from abc import ABC, abstractmethod

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array
from scratchnet.checks import check_floats, check_in_place, check_number, check_same, named
from scratchnet.errors import ShapeError
from scratchnet.kernels.memory import empty
from scratchnet.schedules import Schedule


class Optimizer(ABC):
    """What the optimizers share: the learning rate at each step, and a memory shaped like θ.

    The learning rate is a number, or a function of the number of steps taken so far. An optimizer of your own names its
    memory in `memory_names`, and defines `move`. `fit` saves the memory with a run; numbers among the attributes are
    settings of the run, saved too and compared when it is resumed. docs/18-your-own.md.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> class SignDescent(sn.Optimizer):
    ...     def move(self, theta, dtheta, learning_rate):
    ...         theta -= learning_rate * np.sign(dtheta)
    >>> theta = np.array([1.0, 1.0])
    >>> SignDescent(0.25).step(theta, np.array([-7.0, 3.0]))
    >>> theta
    array([1.25, 0.75])
    """

    memory_names: tuple[str, ...] = ()  # arrays kept from step to step: like θ, and zero before the first step
    steps: int = 0  # taken so far

    def __init__(self, learning_rate: float | Schedule):
        if not callable(learning_rate):
            learning_rate = check_number(type(self).__name__, "learning_rate", learning_rate, 0)
        self.learning_rate = learning_rate

    def step(self, theta: Array, dtheta: Array) -> None:
        """Move θ one step against dθ: θ changes in place, dθ stays as it is."""
        self._check(theta, dtheta)
        if self.steps == 0:
            for name in self.memory_names:
                setattr(self, name, empty(theta.shape, theta.dtype))  # np.empty, but it reuses memory
                getattr(self, name)[...] = 0
        returned = self.move(theta, dtheta, self._learning_rate_now())
        if returned is not None:
            expected = f"{type(self).__name__}.move expects to change theta in place and to return None"
            raise TypeError(f"{expected}, got {named(returned)}: write theta -= …, without a return.")
        self.steps += 1

    @abstractmethod
    def move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        """The optimizer's formula: changes θ in place, and leaves dθ as it is."""

    def _learning_rate_now(self) -> float:
        rate = self.learning_rate(self.steps) if callable(self.learning_rate) else self.learning_rate
        return check_number(f"{type(self).__name__} at step {self.steps}", "the learning rate", rate, 0)

    def _check(self, theta: Array, dtheta: Array) -> None:
        where = type(self).__name__
        check_floats(where, "theta", theta)
        check_same(where, "dtheta", dtheta, "theta", theta)
        if theta.ndim == 0:
            raise ShapeError(f"{where} expects theta of shape (P,), got a single number.")
        if theta.dtype.kind == "c":
            raise TypeError(f"{where} expects theta to hold real numbers, got {theta.dtype}.")
        check_in_place(where, "theta", theta, dtheta=dtheta)
        for name in self.memory_names if self.steps else ():
            kept = getattr(self, name, None)  # a move of your own may have made it a number
            if isinstance(kept, np.ndarray) and kept.ndim and (kept.shape, kept.dtype) != (theta.shape, theta.dtype):
                expected = f"theta of shape {kept.shape} and {kept.dtype} again, as its {name} is"
                came = f"{theta.shape} and {theta.dtype}: give each model an optimizer of its own"
                raise ShapeError(f"{where} expects {expected}, got {came}.")


class SGD(Optimizer):
    """Gradient descent with momentum: v ← momentum·v + dθ,  θ ← θ − learning_rate·v.

    momentum, in [0, 1), is the share of the last step's velocity that is kept; zero is plain gradient descent.
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
    velocity: Array  # v, (P,)

    def __init__(self, learning_rate: float | Schedule, momentum: float = 0.0):
        super().__init__(learning_rate)
        self.momentum = check_number("SGD", "momentum", momentum, 0, 1)

    def move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        kernels.sgd_step(theta, dtheta, self.velocity, learning_rate, self.momentum)


class Adam(Optimizer):
    """Steps of about one size for all parameters: the mean of the gradient over the root of its mean square.

    g = dθ + weight_decay·θ,  m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,
    θ ← θ − learning_rate · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)   at step t = 1, 2, ….

    Derivation: docs/05-optimizers.md. Kingma & Ba, Adam: A Method for Stochastic Optimization, 2014.

    Parameters
    ----------
    learning_rate : float, or a function of the number of steps so far
    beta1, beta2 : float
        In [0, 1): how much of the two running means is kept.
    epsilon : float
        Above zero, outside the root.
    weight_decay : float
        λ of a penalty ½ λ‖θ‖², whose gradient is added to dθ, as in PyTorch's Adam; not the decoupled decay of AdamW.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> theta = np.array([1.0, 1.0])
    >>> sn.Adam(0.1).step(theta, np.array([1000.0, -0.001]))    # the first step is learning_rate·sign(dθ)
    >>> theta.round(4)
    array([0.9, 1.1])
    """

    memory_names = ("m", "v")
    m: Array  # the running mean of g, (P,)
    v: Array  # the running mean of g², (P,)

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(learning_rate)
        self.beta1 = check_number("Adam", "beta1", beta1, 0, 1)
        self.beta2 = check_number("Adam", "beta2", beta2, 0, 1)
        self.epsilon = check_number("Adam", "epsilon", epsilon, 0, open_low=True)
        self.weight_decay = check_number("Adam", "weight_decay", weight_decay, 0)

    def move(self, theta: Array, dtheta: Array, learning_rate: float) -> None:
        if theta.dtype.itemsize < 4:  # in float16 the squares of gradients below 2⁻¹² become 0, and so does ε
            came = f"{theta.dtype}, which has no room for the squares of small gradients"
            hint = "make the layers with dtype=np.float32, or train with SGD"
            raise TypeError(f"Adam expects theta in float32 or float64, got {came}: {hint}.")
        t = self.steps + 1
        kernels.adam_step(
            theta, dtheta, self.m, self.v, t, learning_rate, self.beta1, self.beta2, self.epsilon, self.weight_decay
        )
