"""The diagram of chapter 05: three optimizers in one valley, computed by the library's own."""

import math

import numpy as np
from sketch import BLUE, FAINT, GOLD, INK, LINE, PALE, Axes, Point, Sketch, spread

import scratchnet as sn

CURVATURE = np.array([100.0, 1.0])  # L = ½ (100 θ₁² + θ₂²), the valley of the chapter's experiment
START, NEAR, SHOWN = (1.0, 1.0), 1e-3, 60
OPTIMIZERS = (
    ("plain descent", "$η = 0.019$", lambda: sn.SGD(0.019)),
    ("momentum", "$η = 0.019$, $μ = 0.9$", lambda: sn.SGD(0.019, momentum=0.9)),
    ("Adam", "$η = 0.1$", lambda: sn.Adam(0.1)),
)


def path(optimizer: sn.Optimizer, limit: int = 1000) -> list[Point]:
    """The points (θ₁, θ₂) of a descent from START until both are nearer to 0 than NEAR."""
    theta = np.array(START)
    points = [START]
    with sn.kernels.use("numpy"):
        while max(map(abs, points[-1])) >= NEAR and len(points) <= limit:
            optimizer.step(theta, CURVATURE * theta)
            points.append((theta[0].item(), theta[1].item()))
    return points


def level(axes: Axes, radius: float) -> None:
    """The line on which ½ (100 θ₁² + θ₂²) = ½ radius², as far as it lies within the axes."""
    end = min(radius, axes.up[1])
    start = max(-radius, axes.up[0])
    for side in (-1, 1):
        ups = spread(start, end, 41)
        acrosses = [side * math.sqrt(max(radius**2 - v**2, 0)) / 10 for v in ups]
        inside = [axes.at(u, v) for u, v in zip(acrosses, ups, strict=True) if abs(u) <= axes.across[1]]
        axes.sketch.line(*inside, color=LINE, stroke=1)


def valley() -> Sketch:
    """Chapter 05: plain descent, momentum and Adam from one start."""
    s = Sketch(
        "Three optimizers in one valley",
        "A long narrow valley, seen from above three times. Plain descent jumps from side to side and creeps along the "
        "floor. Momentum swings past the minimum and comes back. Adam goes straight along the diagonal.",
        350,
    )
    for place, (name, rates, make) in enumerate(OPTIMIZERS):
        axes = Axes(s, 38 + 216 * place, 60, 172, 210, (-1.1, 1.1), (-0.85, 1.1))
        points = path(make())
        for radius in (0.3, 0.6, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0):
            level(axes, radius)
        s.line(*(axes.at(*point) for point in points[: SHOWN + 1]), color=BLUE, stroke=1)
        for point in points[: SHOWN + 1]:
            s.dot(*axes.at(*point), BLUE, 2.8)
        s.dot(*axes.at(*START), INK, 4.5)
        s.text(*axes.at(0, 0), "+", GOLD, bold=True)
        middle = axes.left + 86
        s.text(middle, 24, name, bold=True)
        s.small(middle, 46, rates)
        s.text(middle, 292, f"{len(points) - 1} steps to the bottom")
    s.small(
        340,
        324,
        f"dots: the start and the first {SHOWN} steps; grey: lines of equal loss; across $θ_1$, up $θ_2$",
        FAINT,
    )
    return s


def running_mean() -> Sketch:
    """Chapter 05: the weights of Adam's running mean, before and after the correction."""
    beta, panels = 0.9, (3, 20)
    s = Sketch(
        "The weights of a running mean",
        "Two panels of bars, the weights that the last gradients have in a running mean with β = 0.9. After 3 steps "
        f"they add up to {1 - beta**3:.3f}, after 20 steps to {1 - beta**20:.3f}. Divided by that sum, outlined, "
        "they add up to 1.",
        270,
    )
    for place, t in enumerate(panels):
        axes = Axes(s, 60 + 330 * place, 56, 250, 150, (0, 20), (0, 0.4))
        s.text(axes.left + 125, 26, f"after {t} steps", bold=True)
        axes.frame(zero=(0, 0))
        axes.ticks(up={0.1: "0.1", 0.3: "0.3"})
        for step in range(1, t + 1):
            weight = (1 - beta) * beta ** (t - step)
            for value, fill, color in ((weight / (1 - beta**t), "none", BLUE), (weight, PALE, INK)):
                corners = ((step - 0.85, 0), (step - 0.15, 0), (step - 0.15, value), (step - 0.85, value))
                s.area(*(axes.at(*corner) for corner in corners), fill=fill, color=color)
        s.small(axes.at(0.5, 0)[0], 220, "1", INK)
        s.small(axes.at(t - 0.5, 0)[0], 220, str(t), INK)
        middle = axes.at(12, 0)[0]
        s.text(middle, 92 if t == 3 else 110, f"sum $1 − β^{{{t}}} = {1 - beta**t:.3f}$")
        s.text(middle, 118 if t == 3 else 136, "corrected: sum 1", BLUE)
    s.small(340, 250, "the weight of each step's gradient, for $β = 0.9$; blue: divided by the sum")
    return s


ALL = (valley, running_mean)
