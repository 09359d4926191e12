"""How exact a slope can be measured: chapter 14's figure, and the numbers that it quotes (five seconds)."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.gradcheck.numerical import COMPLEX_STEP, Line, central_difference, complex_slope, random_direction
from scratchnet.kernels import formulas
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
N, D, M, L = 8, 6, 5, 2
STEPS = 10.0 ** -np.arange(1, 13.25, 0.25)
DIRECTIONS = 100


def one_sided_difference(line: Line, h: float) -> Array:
    """(f(x + h d) − f(x)) / h."""
    return (line(h) - line(0)) / h


METHODS = {
    "one-sided": (np.float64, one_sided_difference, STEPS),
    "central": (np.float64, central_difference, STEPS),
    "central, float32": (np.float32, central_difference, STEPS),
    "complex step": (np.complex128, complex_slope, np.array([COMPLEX_STEP])),
}


class Net:
    """A loss of P parameters, bce_with_logits(tanh(x W₁ + b₁) W₂ + b₂), and its gradient as the layers take it."""

    def __init__(self, rng: np.random.Generator):
        self.x, self.target = rng.standard_normal((N, D)), rng.random((N, D))
        first, second = (sn.Dense(*shape, rng=rng, dtype=np.float64) for shape in ((D, M), (M, D)))
        self.shapes = [first.W.shape, first.b.shape, second.W.shape, second.b.shape]
        layers = sn.Sequential(first, sn.Tanh(), second)
        parameters = sn.Parameters(layers=layers)
        logits, backward = layers.forward(self.x)
        backward(sn.bce_with_logits(logits, self.target)[1])
        self.theta, self.gradient = parameters.theta, parameters.dtheta

    def loss(self, theta: Array) -> Array:
        """The same by the kernels, in the type of theta (P,): single, double or complex."""
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self.shapes])[:-1]
        W1, b1, W2, b2 = (part.reshape(shape) for part, shape in zip(np.split(theta, ends), self.shapes, strict=True))
        h = formulas.tanh(formulas.affine(self.x.astype(theta.dtype), W1, b1))
        return formulas.bce_with_logits(formulas.affine(h, W2, b2), self.target.astype(theta.dtype))[0].mean()


def errors(net: Net, dtype: type, slope: Callable[[Line, float], Array], steps: Array, directions: Array) -> Array:
    """The largest error of a measured slope by its step, (S,), as a part of the largest slope."""
    worst = np.zeros(len(steps))
    for direction in directions:
        true = net.gradient @ direction

        def line(t: complex, direction: Array = direction) -> Array:
            return net.loss((net.theta + t * direction).astype(dtype))

        worst = np.maximum(worst, [abs(slope(line, h).item() - true) for h in steps])
    return worst / np.abs(directions @ net.gradient).max()


def dense_report(seed: int = SEED) -> sn.GradientReport:
    """A dense layer, checked."""
    rng = np.random.default_rng(seed)
    return sn.check_gradients(sn.Dense(D, M, rng=rng), rng.standard_normal((N, D)), rng=rng)


def vae_report(seed: int = SEED) -> sn.GradientReport:
    """The loss of a small VAE, checked."""
    rng = np.random.default_rng(seed)
    encoder = sn.Sequential(sn.Dense(D, M, rng=rng), sn.Tanh(), sn.Dense(M, 2 * L, rng=rng))
    vae = sn.VAE(encoder, sn.Dense(L, D, rng=rng))
    return sn.check_gradients(vae.loss, rng.random((N, D)), rng=rng)


def derived(net: Net, directions: Array) -> dict[str, tuple[float, float]]:
    """The best step and the error that chapter 14's formulas give, from the size of the loss and of its derivatives."""
    first = np.abs(directions @ net.gradient).max()
    second, third = 0.0, 0.0
    for direction in directions:
        a, b, c, d, e = (net.loss(net.theta + t * direction) for t in (-0.02, -0.01, 0, 0.01, 0.02))
        second = max(second, abs(b - 2 * c + d) / 0.01**2)
        third = max(third, abs(e - 2 * d + 2 * b - a) / (2 * 0.01**3))
    found = {}
    loss = net.loss(net.theta)
    for name, eps in (("central", 2.0**-53), ("central, float32", 2.0**-24)):
        step = (3 * eps * loss / third) ** (1 / 3)
        found[name] = (step, step**2 * third / 2 / first)
    found["one-sided"] = (2 * np.sqrt(2.0**-53 * loss / second), 2 * np.sqrt(2.0**-53 * loss * second) / first)
    return found


def measure(seed: int = SEED) -> dict:
    """The best step of each method and the error that it leaves; what `sn.check_gradients` reports."""
    rng = np.random.default_rng(seed)
    net = Net(rng)
    directions = np.array([random_direction(net.theta.shape, rng) for _ in range(DIRECTIONS)])  # (K, P)
    slopes = {}
    for name, (dtype, slope, steps) in METHODS.items():
        curve = errors(net, dtype, slope, steps, directions)
        best = np.argmin(curve)
        slopes[name] = {"measured": {"step": steps[best], "error": curve[best]}}
    for name, (step, error) in derived(net, directions).items():
        slopes[name]["derived"] = {"step": step, "error": error}
    return {
        "seed": seed,
        "loss in nats": net.loss(net.theta),
        "largest slope in nats": np.abs(directions @ net.gradient).max(),
        "unit of the errors": "a part of the largest slope",
        "slopes": slopes,
        "reports": {report.name: repr(report).splitlines() for report in (dense_report(seed), vae_report(seed))},
    }


def main() -> None:
    """Write v_curve.png and gradient_check.json, and print the numbers."""
    plots.save_figure(HERE / "v_curve.png", vae_report().plot())
    found = json.dumps(measure(), indent=2)
    with write_whole(HERE / "gradient_check.json") as file:
        file.write(found.encode() + b"\n")
    print(found)


if __name__ == "__main__":
    main()
