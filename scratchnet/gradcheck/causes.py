"""What is probably wrong with a gradient: the usual mistakes, tried one by one.

A mistake is named only if undoing it gives the measured slopes, where the gradient is wrong and again at another point
with another dy. Why each mistake shows as it does: docs/14-checking-gradients.md.
"""

import contextlib
from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like
from scratchnet.core.vae import VAE
from scratchnet.gradcheck.numerical import Evidence
from scratchnet.gradcheck.subject import Point


class Trial(NamedTuple):
    """One mistake: its name in chapter 14, and the sentence that tells of it.

    `undone` are the slopes (K,) that are claimed once it is undone, to be compared with those measured; `mistaken` are
    those that it leads to, to be compared with those claimed. None needs no comparison.
    """

    name: str
    sentence: str
    undone: Array | None
    mistaken: Array | None = None


def likeliest(here: Evidence, elsewhere: Evidence) -> str:
    """The first mistake that explains the gradient at both points; "" if none does."""
    only_digits_are_wrong = here.agrees(here.claimed)
    for trials in (of_precision,) if only_digits_are_wrong else TRIALS:
        for sentence in _explanations(here, trials):
            if sentence in _explanations(elsewhere, trials):
                return sentence
    return ""


def _explanations(e: Evidence, trials: Callable[[Evidence], Iterator[Trial]]) -> list[str]:
    found, near = [], 1e-12 * np.abs(e.claimed).max(initial=0)
    with np.errstate(all="ignore"), contextlib.suppress(ValueError, ArithmeticError):  # f is not defined everywhere
        for _, sentence, undone, mistaken in trials(e):
            is_claimed = mistaken is None or np.all(np.abs(mistaken - e.claimed) <= near)
            if is_claimed and (undone is None or e.agrees(undone)):
                found.append(sentence)
    return found


def of_precision(e: Evidence) -> Iterator[Trial]:
    """A detour through float32."""
    told = f"{e.dx} is right to the digits of float32: something in the backward pass is in single precision"
    yield Trial("single_precision", told, e.claimed, e.along(e.gradient.astype(np.float32)))


def of_the_gradient(e: Evidence) -> Iterator[Trial]:
    """Mistakes that show in the gradient alone."""
    dx, g, subject = e.dx, e.gradient, e.scene.subject
    told = f"{dx} is zero everywhere: nothing in the backward pass reaches it"
    yield Trial("nothing_flows", told, None, 0 * e.along(g))
    for other in e.scene.evidence.values():
        if other is not e and other.agrees(other.along(g)):
            yield Trial("swapped", f"{dx} and {other.dx} are swapped", e.along(other.gradient))
    told = f"{dx} is not summed over the batch: its sum over axis 0 is the derivative"
    yield Trial("not_summed", told, e.along(g.sum(axis=tuple(range(g.ndim - e.x.ndim)))))
    if not e.scene.outcome.is_loss and e.name not in subject.inputs and e.y.ndim and len(e.y) > 1:
        shares = e.slopes_of(lambda point: (e.dy * subject.y(point)).reshape(len(e.y), -1).sum(axis=1))  # (K, N)
        for n, which in ((0, "first"), (-1, "last")):
            told = f"{dx} is not summed over the batch: it is the {which} example's share alone"
            yield Trial("one_example", told, e.claimed + e.measured - shares[:, n])
    for axes in permutations(range(g.ndim)):
        order = "" if g.ndim == 2 else f", its axes in the order {axes}"
        told = f"{dx} is transposed: {dx}ᵀ is the derivative{order}"
        yield Trial("transposed", told, e.along(g.transpose(axes)))


def of_a_product(e: Evidence) -> Iterator[Trial]:
    """Mistakes in the gradients of y = x W."""
    dx, dy, y = e.dx, e.dy, e.y
    for name, W in e.scene.point.items():
        if W.ndim == dy.ndim == 2 and W.shape[1] == dy.shape[1]:
            right, wrong = e.along(dy @ W.T), e.along(dy @ W.reshape(W.shape[::-1]))
            told = f"{name} is reshaped in {dx} = dy {name}ᵀ, where it should be transposed"
            if W.shape[0] == W.shape[1]:  # a reshape does not change W
                told = f"{dx} is dy {name}, where dy {name}ᵀ is meant"
            yield Trial("weights_not_transposed", told, right, wrong)
    for name, x in e.scene.point.items():
        if x.ndim == y.ndim == 2 and len(x) == len(y):
            told = f"{dx} is yᵀ dy, where {name}ᵀ dy is meant: taken from the output, not from the input"
            yield Trial("from_the_output", told, e.along(x.T @ dy), e.along(y.T @ dy))


def of_scale(e: Evidence) -> Iterator[Trial]:
    """A constant factor, everywhere or wherever the gradient is wrong."""
    claimed, measured = e.claimed[e.wrong], e.measured[e.wrong]
    factor, N = (claimed @ measured / (measured @ measured)).item(), e.scene.subject.batch_size
    doubt = "; but N is 2, and it may be any factor of 2: check a batch of another size" if N == 2 else ""
    known = {
        1: "the sign is flipped",
        2: "it is twice what it should be, so a factor of 2, as from a square, is wrong",
        0.5: "it is half what it should be, so a factor of 2, as from a square, is wrong",
    }
    if N > 1:
        known[N] = f"it is N = {N} times too large, so the 1/N of the mean over the batch is left out{doubt}"
        known[1 / N] = f"it is N = {N} times too small, so it is divided by the batch once too often{doubt}"
    size = next((size for size in known if np.isclose(abs(factor), size, rtol=1e-5)), abs(factor))
    told = known.get(size, f"it is {size:.6g} times what it should be, so a constant factor is wrong")
    sign = ", and the sign is flipped" if factor < 0 and size != 1 else ""
    told = f"{e.dx} differs by one factor{e.where}: {told}{sign}"
    yield Trial("constant_factor", told, np.where(e.wrong, e.claimed / factor, e.claimed))


def of_a_loss(e: Evidence) -> Iterator[Trial]:
    """A missing path through the noise of a VAE; terms that enter the gradient in other amounts than the loss."""
    subject, vae, names = e.scene.subject, e.scene.subject.owner, e.scene.outcome.terms
    if isinstance(vae, VAE) and names:
        subject.run(e.scene.point)
        x, *_ = (e.scene.point[name] for name in subject.inputs)
        mu, logvar = vae.encode(x)
        step = np.exp(0.5 * logvar) * noise_like(mu, np.random.default_rng(subject.seed))

        def loss_with_that_step(point: Point) -> Array:
            subject.run(point)
            return np.asarray(vae.loss(x, eps=step / np.exp(0.5 * vae.encode(x)[1])).value)

        if np.isclose(loss_with_that_step(e.scene.point), e.y[0], rtol=1e-12):
            told = "the path through the noise is missing: "
            told += "log σ² moves z = μ + σ ⊙ ε too, and gets ½ dz ⊙ σ ⊙ ε from there"
            yield Trial("path_through_the_noise", told, e.claimed + e.measured - e.slopes_of(loss_with_that_step))
    if not names:
        return
    of_terms = e.slopes_of(lambda point: subject.y(point)[1:])  # (K, T)
    (weights, *_), (amounts, _, rank, _) = (
        np.linalg.lstsq(of_terms[e.wrong], slopes[e.wrong], 1e-6) for slopes in (e.measured, e.claimed)
    )
    ratios = {name: round(ratio, 4) for name, ratio in zip(names, amounts / weights, strict=True)}
    known = {0: "is missing", -1: "has the wrong sign"}
    found = {name: known.get(ratio, f"enters {ratio:.4g} times") for name, ratio in ratios.items() if ratio != 1}
    told = " and ".join(f"the gradient of the {name} {how}" for name, how in found.items())
    if rank == len(names):
        undone = e.claimed + np.where(e.wrong, of_terms @ (weights - amounts), 0)
        yield Trial("terms", f"{told}{e.where}; the rest is right", undone)


SLOPES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y**2,
    "ReLU": lambda y: (y > 0).astype(float),
    "exponential": lambda y: y,
}
"""The derivatives of activations, from their outputs."""


def of_each_element(e: Evidence) -> Iterator[Trial]:
    """Mistakes in an activation."""
    name, x, y, dy = e.name, e.x, e.y, e.dy
    if x.shape == y.shape:
        for function, slope in SLOPES.items():
            told = f"the derivative of the {function} is written for its output y, but is taken at its input {name}"
            yield Trial("slope_taken_at_x", told, e.along(dy * slope(y)), e.along(dy * slope(x)))
        right = e.along(dy * (x > 0))
        told = f"the mask is taken from dy: it should say where {name} > 0"
        yield Trial("wrong_mask", told, right, e.along(dy * (dy > 0)))
        told = f"the mask is inverted: dy should pass where {name} > 0"
        yield Trial("wrong_mask", told, right, e.along(dy * (x <= 0)))
    for right, slope in SLOPES.items():
        missing = f"the derivative of the {right} is missing in the backward pass"
        yield Trial("activation", missing, e.claims(dy * slope(y)))
        yield Trial("activation", f"the derivative of the {right} is applied twice", e.claims(dy / slope(y)))
        for used in SLOPES:
            if used != right:
                told = f"{missing}: that of the {used} stands in its place"
                yield Trial("activation", told, e.claims(dy * slope(y) / SLOPES[used](y)))
    if not e.scene.outcome.is_loss and not np.allclose(e.claims(-dy), -e.claimed, rtol=1e-6, equal_nan=True):
        told = "backward is not linear in dy, as every derivative is: something in it, such as a mask, comes from dy"
        yield Trial("not_linear_in_dy", told, None)
    if x.shape == y.shape:
        told = f"{e.dx} + dy is the derivative: the path on which {name} is passed on unchanged is missing"
        yield Trial("residual", told, e.along(e.gradient + dy))
        yield Trial("residual", f"{e.dx} − dy is the derivative: dy is added once too often", e.along(e.gradient - dy))


def of_place(e: Evidence) -> Iterator[Trial]:
    """Right numbers in the wrong places."""
    dx, g = e.dx, e.gradient
    for axis in range(g.ndim):
        yield Trial("flipped", f"{dx} is back to front along axis {axis}", e.along(np.flip(g, axis)))
    if g.ndim > 1:
        told = f"{dx} is turned by 180°: forward and backward disagree on the direction of the kernel"
        yield Trial("flipped", told, e.along(np.flip(g, (-2, -1))))
    for axis, by in product(range(g.ndim), (1, -1)):
        yield Trial("off_by_one", f"{dx} is off by one along axis {axis}", e.along(np.roll(g, by, axis)))


TRIALS = (of_precision, of_the_gradient, of_a_product, of_scale, of_a_loss, of_each_element, of_place)
