"""What is probably wrong with a gradient: known mistakes, each tried out.

A cause is a claim of the kind "were it not for that, this would be the derivative". It is tried where the gradient is
wrong, and again at another point with another dy, and is only spoken of if it explains both. Why each mistake has the
effect by which it is known here: docs/14-checking-gradients.md.
"""

from collections.abc import Callable
from itertools import permutations, product

import numpy as np

from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like
from scratchnet.core.vae import VAE
from scratchnet.gradcheck.evidence import Evidence, Measurement
from scratchnet.gradcheck.subject import Point, d

Cause = Callable[[Evidence, str], str | None]
"""(what is known, the array's name) → a sentence, if this mistake explains it."""

SLOPES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y**2,
    "ReLU": lambda y: (y > 0).astype(float),
    "exponential": lambda y: y,
}
"""The derivatives of activations, from their outputs."""


def likeliest(here: Evidence, elsewhere: Evidence, name: str) -> str:
    """The first cause that explains the gradient of that array at both points; "" if none does."""
    causes = CAUSES
    if here.gradients[name].shape != here.point[name].shape:
        causes = (not_summed, transposed)
    elif _is(here, name, here.gradients[name]):  # wrong in its last digits alone
        causes = (single_precision,)
    with np.errstate(all="ignore"):  # a mistake that is not there may give any number
        for cause in causes:
            explanation = cause(here, name)
            if explanation is not None and cause(elsewhere, name) == explanation:
                return explanation
    return ""


# ---- one gradient, read against itself


def single_precision(e: Evidence, name: str) -> str | None:
    if _is(e, name, e.gradients[name]) and np.array_equal(e.gradients[name], np.float32(e.gradients[name])):
        return f"{d(name)} is right to the digits of float32: something on the way back is in single precision"
    return None


def nothing_flows(e: Evidence, name: str) -> str | None:
    if not e.gradients[name].any():
        return f"{d(name)} is zero everywhere: nothing on the way back reaches it"
    return None


def swapped(e: Evidence, name: str) -> str | None:
    for other, gradient in e.gradients.items():
        if other != name and _is(e, name, gradient) and _is(e, other, e.gradients[name]):
            return f"{d(name)} and {d(other)} are swapped"
    return None


def not_summed(e: Evidence, name: str) -> str | None:
    gradient = e.gradients[name]
    extra = tuple(range(gradient.ndim - e.point[name].ndim))
    if extra and _is(e, name, gradient.sum(axis=extra)):
        return f"{d(name)} is not summed over the batch: its sum over axis 0 is the derivative"
    return None


def one_example(e: Evidence, name: str) -> str | None:
    m = e.of[name]
    if name in e.subject.inputs or e.outcome.is_loss or m.parts.shape[1] < 2:
        return None
    for n, which in ((0, "first"), (-1, "last")):
        if _same(m, m.parts[:, n], m.claimed):
            return f"{d(name)} is not summed over the batch: it is the {which} example's share alone"
    return None


def transposed(e: Evidence, name: str) -> str | None:
    gradient = e.gradients[name]
    for axes in permutations(range(gradient.ndim)):
        if axes != tuple(range(gradient.ndim)) and _is(e, name, gradient.transpose(axes)):
            order = "" if gradient.ndim == 2 else f", its axes in the order {axes}"
            return f"{d(name)} is transposed: {d(name)}ᵀ is the derivative{order}"
    return None


def constant_factor(e: Evidence, name: str) -> str | None:
    m = e.of[name]
    wrong = _wrong(m)
    claimed, measured = m.claimed[wrong], m.measured[wrong]
    if not measured.any():
        return None
    factor = (claimed @ measured / (measured @ measured)).item()
    if factor == 0 or not np.allclose(claimed, factor * measured, rtol=0, atol=1e-6 * np.abs(claimed).max()):
        return None
    where = "" if _everywhere(m, wrong) else ", where it is wrong"
    size, N = abs(factor), _batch_size(e)
    doubt = "; but N is 2, and it may be any factor of 2: check a batch of another size" if N == 2 else ""
    known = {
        1: "the sign is flipped",
        2: "it is twice what it should be, so a factor of 2, as from a square, is wrong",
        0.5: "it is half what it should be, so a factor of 2, as from a square, is wrong",
    }
    if N > 1:
        known[N] = f"it is N = {N} times too large, so the 1/N of the mean over the batch is left out{doubt}"
        known[1 / N] = f"it is N = {N} times too small, so it is divided by the batch once too often{doubt}"
    told = next((text for one, text in known.items() if np.isclose(size, one, rtol=1e-5)), None)
    told = told or f"it is {size:.6g} times what it should be, so a constant factor is wrong"
    sign = ", and the sign is flipped" if factor < 0 and not np.isclose(size, 1, rtol=1e-5) else ""
    return f"{d(name)} differs by one factor{where}: {told}{sign}"


def residual(e: Evidence, name: str) -> str | None:
    if e.dy.shape != e.gradients[name].shape:
        return None
    if _is(e, name, e.gradients[name] + e.dy):
        return f"{d(name)} + dy is the derivative: the path on which {name} is passed on unchanged is missing"
    if _is(e, name, e.gradients[name] - e.dy):
        return f"{d(name)} − dy is the derivative: dy is added once too often"
    return None


def flipped(e: Evidence, name: str) -> str | None:
    gradient = e.gradients[name]
    for axis in range(gradient.ndim):
        if _is(e, name, np.flip(gradient, axis)):
            return f"{d(name)} is back to front along axis {axis}"
    if gradient.ndim > 1 and _is(e, name, np.flip(gradient, (-2, -1))):
        return f"{d(name)} is turned by 180°: forward and backward disagree on the direction of the kernel"
    return None


def off_by_one(e: Evidence, name: str) -> str | None:
    for axis, by in product(range(e.gradients[name].ndim), (1, -1)):
        if _is(e, name, np.roll(e.gradients[name], by, axis)):
            return f"{d(name)} is off by one along axis {axis}"
    return None


# ---- a gradient and dy


def activation(e: Evidence, name: str) -> str | None:
    """backward(dy ⊙ right / used) is the derivative, if `used` stands where the slope `right` should."""
    if e.outcome.is_loss:
        return None
    y = e.outcome.y
    used = {"": np.ones_like(y)} | {function: slope(y) for function, slope in SLOPES.items()}
    for right, wrong in product(SLOPES, used):
        slopes = SLOPES[right](y)
        if right == wrong:
            if np.all(slopes) and _fits(e, name, e.dy / slopes):
                return f"the derivative of the {right} is applied twice"
        elif np.all(used[wrong]) and _fits(e, name, e.dy * slopes / used[wrong]):
            instead = f": that of the {wrong} stands in its place" if wrong else ""
            return f"the derivative of the {right} is missing on the way back{instead}"
    return None


def slope_taken_at_x(e: Evidence, name: str) -> str | None:
    x, y = e.point[name], e.outcome.y
    if e.outcome.is_loss or x.shape != y.shape:
        return None
    for function, slope in SLOPES.items():
        if _gives(e, name, e.dy * slope(x)) and _is(e, name, e.dy * slope(y)):
            return f"the derivative of the {function} is written for its output y, but is taken at its input {name}"
    return None


def wrong_mask(e: Evidence, name: str) -> str | None:
    x = e.point[name]
    if e.outcome.is_loss or x.shape != e.dy.shape or not _is(e, name, e.dy * (x > 0)):
        return None
    if _gives(e, name, e.dy * (e.dy > 0)):
        return f"the mask is taken from dy: it should say where {name} > 0"
    if _gives(e, name, e.dy * (x <= 0)):
        return f"the mask is inverted: dy should pass where {name} > 0"
    return None


def not_linear_in_dy(e: Evidence, name: str) -> str | None:
    if not e.outcome.is_loss and not np.allclose(e.claims(name, -e.dy), -e.of[name].claimed, rtol=1e-6):
        return (
            "the way back is not linear in dy, as every derivative is: something in it, such as a mask, comes from dy"
        )
    return None


# ---- a matrix product


def weights_not_transposed(e: Evidence, name: str) -> str | None:
    for W_name, W in e.point.items():
        if e.outcome.is_loss or W.ndim != 2 or e.dy.ndim != 2 or e.dy.shape[1] != W.shape[1]:
            continue
        if not _is(e, name, e.dy @ W.T):
            continue
        if W.shape[0] == W.shape[1] and _gives(e, name, e.dy @ W):
            return f"{d(name)} is dy {W_name}, where dy {W_name}ᵀ is meant"
        if _gives(e, name, e.dy @ W.reshape(W.shape[::-1])):
            return f"{W_name} is reshaped in {d(name)} = dy {W_name}ᵀ, where it should be transposed"
    return None


def from_the_output(e: Evidence, name: str) -> str | None:
    y, dy = e.outcome.y, e.dy
    for x_name, x in e.point.items():
        if x.ndim == y.ndim == 2 and len(x) == len(y) and _is(e, name, x.T @ dy) and _gives(e, name, y.T @ dy):
            return f"{d(name)} is yᵀ dy, where {x_name}ᵀ dy is meant: taken from the output, not from the input"
    return None


# ---- a loss of several terms


def terms(e: Evidence, name: str) -> str | None:
    """The way back has the gradients of the same terms, in other amounts."""
    m, wrong = e.of[name], _wrong(e.of[name])
    of_terms = m.parts[wrong, 1:]  # (K, T)
    T = of_terms.shape[1]
    if not e.outcome.terms or np.linalg.matrix_rank(of_terms, tol=1e-6 * np.abs(of_terms).max(initial=1e-300)) < T:
        return None
    should, does = (np.linalg.lstsq(of_terms, slopes[wrong])[0] for slopes in (m.parts[:, 0], m.claimed))
    if not np.allclose(of_terms @ does, m.claimed[wrong], rtol=0, atol=1e-5 * np.abs(m.claimed[wrong]).max()):
        return None
    told = []
    for term, weight, found in zip(e.outcome.terms, should, does, strict=True):
        if abs(found) < 1e-4 * abs(weight):
            told.append(f"the gradient of the {term} is missing")
        elif np.isclose(found, -weight, rtol=1e-4):
            told.append(f"the gradient of the {term} has the wrong sign")
        elif not np.isclose(found, weight, rtol=1e-4):
            told.append(f"the gradient of the {term} enters {found / weight:.6g} times")
    where = "" if _everywhere(m, wrong) else ", where it is wrong"
    return f"{' and '.join(told)}{where}; the rest is right" if told else None


def path_through_the_noise(e: Evidence, name: str) -> str | None:
    """What is claimed is the derivative that the loss would have if the step σ ⊙ ε from μ to z did not move."""
    vae = e.subject.owner
    if not isinstance(vae, VAE) or not e.outcome.is_loss:
        return None
    (x,) = e.subject.inputs.values()
    e.subject.run(e.point)
    mu, logvar = vae.encode(x)
    step = np.exp(0.5 * logvar) * noise_like(mu, np.random.default_rng(e.subject.seed))

    def loss_with_that_step(point: Point) -> float:
        e.subject.run(point)
        return vae.loss(x, eps=step / np.exp(0.5 * vae.encode(x)[1])).value

    if np.isclose(loss_with_that_step(e.point), e.outcome.y[0], rtol=1e-12) and _same(
        e.of[name], e.slopes_of(loss_with_that_step, name), e.of[name].claimed
    ):
        return "the path through the noise is missing: log σ² moves z = μ + σ ⊙ ε too, and gets ½ dz ⊙ σ ⊙ ε from there"
    return None


CAUSES: tuple[Cause, ...] = (
    single_precision,
    nothing_flows,
    swapped,
    not_summed,
    one_example,
    transposed,
    weights_not_transposed,
    from_the_output,
    constant_factor,
    path_through_the_noise,
    terms,
    slope_taken_at_x,
    wrong_mask,
    activation,
    not_linear_in_dy,
    residual,
    flipped,
    off_by_one,
)


def _is(e: Evidence, name: str, candidate: Array) -> bool:
    """Whether the candidate is the derivative."""
    m = e.of[name]
    return candidate.shape == e.point[name].shape and m.agrees(m.probes.along(candidate))


def _fits(e: Evidence, name: str, dy: Array) -> bool:
    """Whether the way back gives the derivative if it starts from this dy."""
    return e.of[name].agrees(e.claims(name, dy))


def _gives(e: Evidence, name: str, candidate: Array) -> bool:
    """Whether the candidate is what the way back gives."""
    gradient = e.gradients[name]
    return candidate.shape == gradient.shape and np.allclose(candidate, gradient, rtol=1e-9, atol=1e-12)


def _same(m: Measurement, one: Array, other: Array) -> bool:
    """Whether two sets of slopes (K,), one of them measured by central differences, are the same."""
    noise = 1e-8 * m.floor
    return bool(np.all((np.abs(one - other) <= 1e-6 * np.abs(other).max(initial=0) + noise)[~m.lost]))


def _batch_size(e: Evidence) -> int:
    first = next(iter(e.subject.inputs.values()), None)
    return 1 if first is None or np.ndim(first) == 0 else len(first)


def _wrong(m: Measurement) -> Array:
    """Where what is claimed differs from what was measured, (K,) of bool."""
    difference = np.where(m.lost, 0, np.abs(m.claimed - m.measured))
    return difference > 1e-6 * np.abs(m.measured).max(initial=0)


def _everywhere(m: Measurement, wrong: Array) -> bool:
    """Whether all is wrong but zeros that should be zeros."""
    return bool(np.all(wrong | m.lost | (np.abs(m.claimed) <= 1e-6 * np.abs(m.claimed).max(initial=0))))
