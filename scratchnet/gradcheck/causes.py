"""What is probably wrong with a gradient: the usual mistakes, tried one by one.

A mistake is named only if undoing it gives the measured slopes, where the gradient is wrong and again at another point
with another dy. Why each mistake shows as it does: docs/14-checking-gradients.md.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import numpy as np

from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like
from scratchnet.core.vae import VAE
from scratchnet.gradcheck.numerical import UNDERFLOW, Evidence
from scratchnet.gradcheck.subject import Point

_is = partial(np.allclose, rtol=1e-9, atol=0)  # whether y is what it would be by some formula

Trials = Iterator[tuple[str, str, Array | None, Array | None]]
"""Mistakes: the name in chapter 14, the sentence that tells of it, the slopes (K,) that are claimed once it is undone,
to be compared with those measured, and those that it leads to, to be compared with those claimed. None needs no
comparison."""


def likeliest(here: Evidence, elsewhere: Evidence) -> str:
    """The first mistake that explains the gradient at both points; "" if none does."""
    if here.gradient.shape == here.x.shape and not np.isfinite(here.gradient).all():
        return ""
    for trials in TRIALS if here.wrong.any() else (of_precision,):
        for sentence in _explanations(here, trials):
            if sentence in _explanations(elsewhere, trials):
                return sentence
    return ""


def _explanations(e: Evidence, trials: Callable[[Evidence], Trials]) -> list[str]:
    found, is_flat = [], not np.any((np.abs(e.measured) > e.slopes["doubt"] + UNDERFLOW) & ~e.lost)
    near = 1e-7 * np.abs(e.claimed) + 1e-9 * np.abs(e.claimed).max(initial=0) + (e.exact is None) * e.slopes["doubt"]
    with np.errstate(all="ignore"), contextlib.suppress(ValueError, ArithmeticError):  # f is not defined everywhere
        for _, sentence, undone, mistaken in trials(e):
            is_claimed = mistaken is None or np.all(np.abs(mistaken - e.claimed) <= near)
            if is_claimed and (undone is None or (e.agrees(undone) and not is_flat)):  # too much fits slopes of 0
                found.append(sentence)
    return found


def _times(a: Array, b: Array) -> float:
    """How many times a is b."""
    return (np.vdot(a, b) / np.vdot(b, b)).item()


def of_precision(e: Evidence) -> Trials:
    """A detour through a shorter type."""
    for dtype in (np.float16, np.float32):
        if np.allclose(e.gradient, e.gradient.astype(dtype), rtol=1e-12, atol=0):
            told = f"{e.dx} is right only to the digits of {dtype.__name__}: part of the backward pass is in this type"
            rounding = 8 * np.finfo(dtype).eps * np.abs(e.measured) + e.slopes["doubt"]
            is_rounded = np.abs(e.claimed - e.measured) <= rounding
            yield "short_type", told, np.where(is_rounded, e.measured, np.nan), None


def of_the_gradient(e: Evidence) -> Trials:
    """Mistakes that show in the gradient alone."""
    dx, g = e.dx, e.gradient
    yield "nothing_flows", f"{dx} is zero everywhere, but the slopes are not", None, 0 * e.along(g)
    for other in e.scene.evidence.values():
        if other is not e and other.agrees(other.along(g)):
            yield "swapped", f"{dx} and {other.dx} are swapped", e.along(other.gradient), None
            told = f"{dx} is what {other.dx} should be: it is the gradient of the other input"
            yield "swapped", told, None, e.along(g)
    extra = g.ndim - e.x.ndim
    axes = tuple(i for i in range(g.ndim) if i < extra or e.x.shape[i - extra] == 1 < g.shape[i])
    over, total = "the batch" if axes == (0,) else f"axes {axes}, along which {e.name} is broadcast", g.sum(axis=axes)
    if axes and total.size == e.x.size:
        told = f"{dx} is not summed over {over}: its sum over axis {', '.join(map(str, axes))} is the derivative"
        yield "not_summed", told, e.along(total.reshape(e.x.shape)), None
    if not e.scene.outcome.is_loss and e.name not in e.scene.subject.inputs and e.y.ndim and len(e.y) > 1:
        shares = e.slopes_of(lambda point: (e.dy * e.scene.y(point)).reshape(len(e.y), -1).sum(axis=1))  # (K, N)
        for n, which in ((0, "first"), (-1, "last")):
            told = f"{dx} is not summed over the batch: it is the {which} example's share alone"
            yield "one_example", told, e.claimed + e.measured - shares[:, n], None
    for axes in permutations(range(g.ndim)):
        order = "" if g.ndim == 2 else f", its axes in the order {axes}"
        yield "transposed", f"{dx} is transposed: {dx}ᵀ is the derivative{order}", e.along(g.transpose(axes)), None


def of_a_product(e: Evidence) -> Trials:
    """Mistakes in the gradients of y = x W, and of other products with a Jacobian."""
    dx, dy, y = e.dx, e.dy, e.y
    for name, W in e.scene.point.items():
        if W.ndim == dy.ndim == 2 and W.shape[1] == dy.shape[1] and e.x.shape == (len(dy), len(W)):
            right, wrong = e.along(dy @ W.T), e.along(dy @ W.reshape(W.shape[::-1]))
            told = f"{name} is reshaped in {dx} = dy {name}ᵀ, where it should be transposed"
            if W.shape[0] == W.shape[1]:  # a reshape does not change W
                told = f"{dx} is dy {name}, where dy {name}ᵀ is meant"
            unit = _times(e.measured, right)
            yield "weights_not_transposed", told, unit * right, unit * wrong
        if W.ndim == y.ndim == 2 and len(W) == len(y):
            told = f"{dx} is yᵀ dy, where {name}ᵀ dy is meant: taken from the output, not from the input"
            right = e.along(W.T @ dy)
            yield "from_the_output", told, _times(e.measured, right) * right, e.along(y.T @ dy)
    if e.random or e.scene.outcome.is_loss or len(e.claimed) * y.size > 1e5:
        return
    J, dy = e.slopes_of(e.scene.y).reshape(len(e.claimed), -1), np.ravel(dy)  # (K, K'): ∂y / ∂x
    copies = np.abs(J) > 0.5 * np.abs(J).max()
    is_copy = np.all(copies.sum(axis=0) == 1) and np.allclose(np.ravel(y), J.T @ np.ravel(e.x))
    if is_copy and np.allclose(J[copies], J.max()) and np.any(copies.sum(axis=1) > 1):
        last = J.shape[1] - 1 - np.argmax(copies[:, ::-1], axis=1)
        told = f"an index that is repeated counts once: write np.add.at({dx}, i, dy) in place of {dx}[i] += dy"
        yield "repeated_index", told, J @ dy, np.where(copies.any(axis=1), dy[last] * J.max(), 0)
    if e.x.shape == y.shape:
        told = f"{dx} is dy J, where dy Jᵀ is meant, with the Jacobian J of y, as if W stands in the place of Wᵀ"
        yield "weights_not_transposed", told, J @ dy, J.T @ dy
        told = f"{dx} has the diagonal of the Jacobian alone: as in a softmax, each input changes other outputs too"
        yield "diagonal_alone", told, J @ dy, np.diag(J) * dy


def of_scale(e: Evidence) -> Trials:
    """A constant factor, everywhere or wherever the gradient is wrong."""
    factor, N, outputs = _factor(e), e.scene.subject.batch_size, max(1, e.y.size // e.x.size)
    flipped, square = "the sign is flipped", "so a factor of 2, as from a square, is wrong"
    sizes = {  # of the factor, with N examples and with N + 1
        (1, 1): flipped,
        (2, 2): f"it is twice what it should be, {square}",
        (1 / 2, 1 / 2): f"it is half what it should be, {square}",
        (1 / outputs, N / (N + 1) / outputs): f"it is the average over {outputs} outputs, where their sum is meant",
        (N, N + 1): f"it is N = {N} times too large, so the 1/N of the mean over the batch is left out",
        (1 / N, 1 / (N + 1)): f"it is N = {N} times too small, so it is divided by the batch once too often",
    }
    told = f"it is {abs(factor):.6g} times what it should be, so a constant factor is wrong"
    for (size, with_one_more), sentence in sizes.items():
        if np.isclose(abs(factor), size, rtol=1e-5) and (N > 1 or size == with_one_more):
            with contextlib.suppress(Exception):  # f may take no other batch
                grown = size if size == with_one_more else abs(_factor(e.with_another_row()))
                told = sentence if np.isclose(grown, with_one_more, rtol=1e-4) else told
    sign = f", and {flipped}" if factor < 0 and told != flipped else ""
    told = f"{e.dx} differs by one factor{e.where}: {told}{sign}"
    yield "constant_factor", told, np.where(e.wrong, e.claimed / factor, e.claimed), None


def _factor(e: Evidence) -> float:
    return _times(e.claimed[e.wrong], e.measured[e.wrong])


def of_a_loss(e: Evidence) -> Trials:
    """A missing path through the noise of a VAE; terms that enter the gradient in other amounts than the loss."""
    scene, subject, vae, names = e.scene, e.scene.subject, e.scene.subject.owner, e.scene.outcome.terms
    if not names:
        if scene.outcome.is_loss and len(e.claimed) > 1 and not e.random:
            c = np.mean(e.claimed - e.measured)
            told = f"{e.dx} is {abs(c):.5g} too {'large' if c > 0 else 'small'} everywhere: a constant term, such as a"
            yield "constant_term", f"{told} 1, is left out or added", e.claimed - c, None
        return
    if isinstance(vae, VAE):
        subject.run(scene.point)
        x = scene.point[next(iter(subject.inputs))]
        mu, logvar = vae.encode(x)
        step = np.exp(0.5 * logvar) * noise_like(mu, np.random.default_rng(subject.seed))

        def loss_with_that_step(point: Point) -> Array:
            subject.run(point)
            return np.asarray(vae.loss(x, eps=step / np.exp(0.5 * vae.encode(x)[1])).value)

        if np.isclose(loss_with_that_step(scene.point), e.y[0], rtol=1e-12):
            told = "the path through the noise is missing: log σ² also acts through z = μ + σ ⊙ ε, by ½ dz ⊙ σ ⊙ ε"
            undone = e.claimed + e.measured - e.slopes_of(loss_with_that_step)
            yield "path_through_the_noise", told, undone, None
    of_terms = e.slopes_of(lambda point: scene.y(point)[1:])  # (K, T)
    (weights, *_), (amounts, _, rank, _) = (
        np.linalg.lstsq(of_terms[e.wrong], slopes[e.wrong], 1e-6) for slopes in (e.measured, e.claimed)
    )
    ratios = {name: round(ratio, 4) for name, ratio in zip(names, amounts / weights, strict=True)}
    known = {0: "is missing", -1: "has the wrong sign"}
    found = {name: known.get(ratio, f"enters {ratio:.4g} times") for name, ratio in ratios.items() if ratio != 1}
    told = " and ".join(f"the gradient of the {name} {how}" for name, how in found.items())
    if rank == len(names):
        undone = e.claimed + np.where(e.wrong, of_terms @ (weights - amounts), 0)
        yield "terms", f"{told}{e.where}; the rest is right", undone, None


Function = Callable[[Array], Array]
ACTIVATIONS: dict[str, tuple[Function, Function, Function]] = {  # y = f(x), x from y, and the derivative from y
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda y: np.log(y / (1 - y)), lambda y: y * (1 - y)),
    "tanh": (np.tanh, np.arctanh, lambda y: 1 - y**2),
    "ReLU": (lambda x: np.maximum(x, 0), lambda y: np.where(np.any(y == 0), y, np.nan), lambda y: 1.0 * (y > 0)),
    "exponential": (np.exp, np.log, lambda y: y),
}


def of_an_activation(e: Evidence) -> Trials:
    """Mistakes in the derivative of an activation, y = f(x) or y = f(x W + b)."""
    name, x, y, dy, units = e.name, e.x, e.y, e.dy, {}
    for function, (f, _, slope) in ACTIVATIONS.items() if x.shape == y.shape else ():
        unit = _times(y, f(x))
        if not _is(y, unit * f(x)):
            continue
        units[function], right = unit, e.along(unit * dy * slope(f(x)))
        told = f"the derivative of the {function} is written for its output y, but is taken at its input {name}"
        yield "slope_taken_elsewhere", told, right, e.along(unit * dy * slope(x))
        told = f"the derivative of the {function} is taken at its output y, but is meant at its input {name}"
        yield "slope_taken_elsewhere", told, right, e.along(unit * dy * slope(f(y / unit)))
        if function == "ReLU":
            told = f"the mask is taken from dy: it should say where {name} > 0"
            yield "wrong_mask", told, right, e.along(unit * dy * (dy > 0))
            told = f"the mask is inverted: dy should pass where {name} > 0"
            yield "wrong_mask", told, right, e.along(unit * dy * (x <= 0))
    way = np.random.default_rng(0).standard_normal(x.shape)
    ys = [e.line(e.scene.y, way)(t) for t in (0, 1e-3, -1e-3)]
    for right, (_, inverse, slope) in ACTIVATIONS.items():
        before, after_one, after_other = map(inverse, ys)
        if right not in units and not np.allclose(after_one + after_other, 2 * before, rtol=1e-9):
            continue  # neither y = unit f(x) nor y = f(x W + b)
        u = y / units.get(right, 1)
        missing = f"the derivative of the {right} is missing in the backward pass"
        yield "activation", missing, e.claims(dy * slope(u)), None
        yield "activation", f"the derivative of the {right} is applied twice", e.claims(dy / slope(u)), None
        for used, (_, _, other) in ACTIVATIONS.items():
            told = f"{missing}: that of the {used} is used instead"
            if used != right:
                yield "activation", told, e.claims(dy * slope(u) / other(u)), None


def of_each_element(e: Evidence) -> Trials:
    """Mistakes in other functions of each element, and a backward pass that is not dy times a derivative."""
    dx, name, x, y, dy = e.dx, e.name, e.x, e.y, e.dy
    if x.shape == y.shape:
        above, below = (_times(y[side], x[side]) for side in (x > 0, x < 0))
        if _is(y, x * np.where(x > 0, above, below)):
            told = f"the slope {below / above:.6g} where {name} < 0 is left out"
            yield "leak", told, e.along(dy * np.where(x > 0, above, below)), e.along(dy * above * (x > 0))
    if e.scene.outcome.is_loss:
        return
    if x.shape == y.shape:
        held = np.any([(y == bound) & ((y == bound).sum() > 1) for bound in (y.min(), y.max())], axis=0)
        unit = _times(y[~held], x[~held])
        if _is(y, np.clip(unit * x, y.min(), y.max())):
            told = f"the mask of the clip is missing: {dx} is 0 where y is held at a bound"
            yield "clip", told, e.along(e.gradient * ~held), e.along(unit * dy)
        passed = e.along(dy)
        c = _times(e.measured - e.claimed, passed)
        times, but = ("", "") if np.isclose(abs(c), 1, 1e-5) else (f"{abs(c):.5g} ", ", except for that factor,")
        told = f"{dx} + {times}dy is the derivative: the path on which {name} is passed on unchanged{but} is missing"
        if c < 0:
            told = f"{dx} − {times}dy is the derivative: {times}dy is added once too often"
        yield "residual", told, e.claimed + c * passed, None
    if not np.isfinite(e.claimed).all():  # it has another shape than x
        return
    if e.claimed.any() and np.array_equal(e.claims(0.5 * np.flip(dy)), e.claimed):
        told = f"{dx} does not depend on dy: every gradient is dy times a derivative"
        yield "dy_is_missing", told, None, None
    told = "backward is not linear in dy, as every derivative is: −dy does not give the opposite"
    if not np.allclose(e.claims(-dy), -e.claimed, rtol=1e-6, atol=1e-9 * np.abs(e.claimed).max()):
        yield "not_linear_in_dy", told, None, None


def of_statistics(e: Evidence) -> Trials:
    """Mistakes in a normalization y = c (x − x̄), with c and x̄ from x itself."""
    x, y, dy, every = e.x, e.y, e.dy, range(e.x.ndim)
    if e.random or x.shape != y.shape or x.ndim < 2:
        return
    groups = {", ".join(map(str, axes)): axes for axes in [*((i,) for i in every), (0, *every[2:]), tuple(every[1:])]}
    means = {over: partial(np.mean, axis=axes, keepdims=True) for over, axes in groups.items()}
    for over, mean in means.items():
        std = np.sqrt(mean((x - mean(x)) ** 2))
        z, c = (x - mean(x)) / std, np.sqrt(mean((y - mean(y)) ** 2)) / std
        if not np.allclose(y - mean(y), c * (x - mean(x)), rtol=0, atol=1e-9 * np.abs(y).max()):
            continue
        through_mean, through_std = c * (dy - mean(dy)), c * z * mean(dy * z)
        missing = through_mean - e.measured.reshape(x.shape)
        shrunk = mean(missing * through_std) / mean(through_std**2)  # var / (var + eps)
        right, z = e.along(through_mean - shrunk * through_std), np.sqrt(np.abs(shrunk)) * z
        told = f"the backward pass treats the {{}} of {e.name} over axis {over} as constant"
        both = "mean and the variance" if np.abs(shrunk).max() > 1e-6 else "mean"
        yield "statistics", told.format(both), right, e.along(c * dy)
        yield "statistics", told.format("variance"), right, e.along(through_mean)
        for other, mean_over in means.items():
            told = f"the backward pass averages over axis {other}, the forward pass over {over}"
            if other != over:
                yield "statistics", told, right, e.along(c * (dy - mean_over(dy) - z * mean_over(dy * z)))


def of_place(e: Evidence) -> Trials:
    """Right numbers in the wrong places."""
    dx, g = e.dx, e.gradient
    if g.ndim > 1 and min(g.shape[-2:]) > 1:
        told = f"{dx} is turned by 180°: forward and backward disagree on the direction of the kernel"
        yield "flipped", told, e.along(np.flip(g, (-2, -1))), None
    for axis in (axis for axis, length in enumerate(g.shape) if length > 2):  # two numbers swap by chance
        yield "flipped", f"{dx} is back to front along axis {axis}", e.along(np.flip(g, axis)), None
        for by in (1, -1):
            yield "off_by_one", f"{dx} is off by one along axis {axis}", e.along(np.roll(g, by, axis)), None


TRIALS: list[Callable[[Evidence], Trials]] = [of_precision, of_the_gradient, of_a_product, of_scale, of_a_loss]
TRIALS += [of_an_activation, of_each_element, of_statistics, of_place]
