"""Diagrams of chapters 07 to 10: the hourglass, a projection, the arrows of a denoiser, and planes of codes."""

import math

from sketch import (
    BLUE,
    FAINT,
    GOLD,
    GRADIENT,
    INK,
    LINE,
    PALE,
    PALE_BLUE,
    PALE_GOLD,
    PALE_PLUM,
    PAPER,
    PLUM,
    Axes,
    Point,
    Sketch,
    spread,
)

DIGIT = (".......", "..###..", ".#...#.", "....#..", "..##...", "....##.", ".#...#.", "..###..")
BLURRED = (".......", ".:###:.", ".#:.:#.", "...:#:.", "..:#:..", "...:#:.", ".#:.:#.", ".:###:.")
GREYS = {".": "#f3f2ee", ":": "#a9a8a4", "#": "#1c1c1e"}


def digit(s: Sketch, x: float, y: float, cell: float, rows: tuple[str, ...] = DIGIT) -> None:
    """A small picture of a three around (x, y)."""
    s.grid(x - 3.5 * cell, y - 4 * cell, cell, [[GREYS[sign] for sign in row] for row in rows], color="none")


def trapezium(s: Sketch, left: float, right: float, y: float, heights: Point, words: str) -> None:
    """A network whose width changes from one height to another."""
    (a, b), middle = (heights[0] / 2, heights[1] / 2), (left + right) / 2
    s.area((left, y - a), (right, y - b), (right, y + b), (left, y + a), fill=PALE_BLUE, color=BLUE)
    s.text(middle, y, words, BLUE)


def hourglass() -> Sketch:
    """Chapter 07: encoder, code and decoder, and the way of the gradient."""
    s = Sketch(
        "An autoencoder",
        "An image x of D numbers enters the encoder, which narrows to a code z of L numbers; the decoder widens to "
        "an image y. The loss compares y with x. Its gradient dy runs through the decoder, becomes dz, and runs "
        "through the encoder.",
        310,
    )
    y = 120
    digit(s, 60, y, 10)
    trapezium(s, 128, 256, y, (150, 60), "encoder")
    s.box(330, y, 46, 62, "$z$", fill=PALE)
    trapezium(s, 404, 532, y, (60, 150), "decoder")
    digit(s, 606, y, 10, BLURRED)
    for start, end in ((100, 124), (260, 303), (357, 400), (536, 566)):
        s.arrow((start, y - 8 if start in (260, 357) else y), (end, y - 8 if start in (260, 357) else y))
    s.text(60, 30, "$x$")
    s.text(606, 30, "$y$")
    s.small(60, 58, "$(N, D)$")
    s.small(606, 58, "$(N, D)$")
    s.small(330, 70, "$(N, L)$")
    s.text(330, 30, "code")
    s.box(606, 246, 110, 44, "loss", fill=PAPER)
    s.arrow((598, 168), (598, 222))
    s.arrow((614, 222), (614, 170), color=GRADIENT)
    s.text(624, 196, "$dy$", GRADIENT, anchor="start")
    s.arrow((60, 168), (60, 250), (549, 250))
    s.small(300, 266, "the target", INK)
    s.arrow((566, y + 12), (538, y + 12), color=GRADIENT)
    for start, end in ((400, 359), (303, 262)):
        s.arrow((start, y + 10), (end, y + 10), color=GRADIENT)
        s.text((start + end) / 2, y + 30, "$dz$", GRADIENT)
    s.small(192, y + 92, "gradients of its weights", GRADIENT)
    s.small(468, y + 92, "gradients of its weights", GRADIENT)
    return s


POINTS = (
    (-2.3, -1.5), (-1.9, -0.5), (-1.5, -1.2), (-1.0, -0.1), (-0.6, -0.9), (-0.2, 0.3),
    (0.3, -0.4), (0.7, 0.8), (1.0, 0.1), (1.5, 1.3), (1.9, 0.6), (2.1, 1.5),
)  # fmt: skip


def principal(points: tuple[Point, ...]) -> Point:
    """The direction of most variance of points whose mean is 0."""
    a = sum(x * x for x, _ in points)
    b = sum(x * y for x, y in points)
    c = sum(y * y for _, y in points)
    angle = math.atan2(2 * b, a - c) / 2
    return math.cos(angle), math.sin(angle)


def projection() -> Sketch:
    """Chapter 08: points, PCA's line, their nearest points on it, and Pythagoras for one of them."""
    s = Sketch(
        "Projection onto the first principal component",
        "Twelve points in the plane and the line along which they vary most. A short line joins each point to its "
        "nearest point on it. At the right one of them with its triangle: its squared length is what the code keeps "
        "plus the error.",
        290,
    )
    axes = Axes(s, 40, 40, 330, 220, (-3, 3), (-2, 2))
    axes.frame("", "")
    means = tuple(sum(point[k] for point in POINTS) / len(POINTS) for k in (0, 1))
    points = tuple((x - means[0], y - means[1]) for x, y in POINTS)
    v = principal(points)
    s.line(axes.at(-2.85 * v[0], -2.85 * v[1]), axes.at(2.85 * v[0], 2.85 * v[1]), color=BLUE, stroke=2)
    s.text(*axes.at(2.55, 1.85), "$v_1$", BLUE)
    for x, y in points:
        z = x * v[0] + y * v[1]
        s.line(axes.at(x, y), axes.at(z * v[0], z * v[1]), color=GOLD, stroke=1.5)
        s.dot(*axes.at(z * v[0], z * v[1]), BLUE, 3.5)
        s.dot(*axes.at(x, y), INK, 4.5)
    zero, foot, tip = (420, 215), (600, 140), (571, 70.4)
    s.line((402, 222.5), (645, 121.25), color=BLUE, stroke=2)
    s.arrow(zero, tip)
    s.line(tip, foot, color=GOLD, stroke=2)
    along, across = (-180 / 195, 75 / 195), (-29 / 75.4, -69.6 / 75.4)
    corner = [
        (foot[0] + 12 * (a * along[0] + b * across[0]), foot[1] + 12 * (a * along[1] + b * across[1]))
        for a, b in ((1, 0), (1, 1), (0, 1))
    ]
    s.line(*corner, color=FAINT, stroke=1)
    for place, color in ((zero, INK), (foot, BLUE), (tip, INK)):
        s.dot(*place, color, 4.5)
    s.small(zero[0] + 2, zero[1] + 18, "0", INK)
    s.text(560, 54, "$x_n$")
    s.text(606, 98, "error", GOLD, anchor="start")
    s.text(528, 196, "$z_n = x_n v_1$", BLUE)
    s.text(535, 252, "$‖x_n‖^2 = z_n^2 +$ error²")
    return s


def humps(x: float, tau: float) -> tuple[float, float]:
    """The density at x of ±1 with noise of deviation τ, and the mean of the clean numbers given x."""
    left, right = (math.exp(-((x - a) ** 2) / (2 * tau**2)) for a in (-1, 1))
    return (left + right) / math.sqrt(8 * math.pi * tau**2), (right - left) / (left + right)


def wave(t: float) -> Point:
    """A curve in the plane, on which the clean images lie."""
    return t, 0.75 * math.sin(1.7 * t)


def mended(x: float, y: float, tau: float) -> Point:
    """The mean of all points of the curve, each weighted by its probability given what is seen."""
    clean = [wave(t) for t in spread(-1.9, 1.9, 381)]
    weights = [math.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * tau**2)) for a, b in clean]
    across, up = (sum(w * point[k] for w, point in zip(weights, clean, strict=True)) / sum(weights) for k in (0, 1))
    return across, up


def score() -> Sketch:
    """Chapter 09: a denoiser's steps on a line and in the plane."""
    s = Sketch(
        "The best denoiser steps uphill",
        "At the left the density of the noisy numbers has a hump near −1 and one near 1; arrows from noisy numbers "
        "to the denoiser's answers point towards the nearer hump. At the right clean images lie on a curve in the "
        "plane; arrows from noisy points lead to it.",
        320,
    )
    axes = Axes(s, 40, 60, 265, 130, (-2.4, 2.4), (0, 0.45))
    tau = 0.5
    s.text(172, 28, "on a line")
    axes.frame()
    axes.ticks({-1: "−1", 0: "0", 1: "1"})
    axes.shade(lambda x: humps(x, tau)[0], -2.4, 2.4, PALE)
    axes.curve(lambda x: humps(x, tau)[0])
    s.text(*axes.at(0, 0.37), "$p_τ$")
    for k, x in enumerate((-2.2, -1.7, -0.6, -0.3, 0.3, 0.6, 1.7, 2.2)):
        y = 234 if k % 2 == 0 else 250
        s.dot(axes.at(x, 0)[0], y, INK, 3.5)
        s.arrow((axes.at(x, 0)[0], y), (axes.at(humps(x, tau)[1], 0)[0], y), color=GRADIENT, head=7)
    s.dot(axes.at(0, 0)[0], 242, INK, 3.5)
    plane = Axes(s, 370, 50, 270, 216, (-2, 2), (-1.6, 1.6))
    s.text(505, 28, "in the plane")
    s.line(*(plane.at(*wave(t)) for t in spread(-1.9, 1.9, 96)), stroke=2.5)
    for x in spread(-1.8, 1.8, 9):
        for y in (-1.35, -0.8, -0.25, 0.25, 0.8, 1.35):
            end = mended(x, y, 0.3)
            if math.dist(plane.at(x, y), plane.at(*end)) > 14:
                s.arrow(plane.at(x, y), plane.at(*end), color=GRADIENT, stroke=1.2, head=7)
                s.dot(*plane.at(x, y), INK, 2.8)
    s.text(340, 294, "each arrow, from $x̃$ to $E[x | x̃]$, is $τ^2 ∇ log p_τ$", GRADIENT)
    return s


def sunflower(count: int, radius: float) -> list[Point]:
    """Places that fill a disc evenly."""
    turn = math.pi * (3 - math.sqrt(5))
    return [
        (
            radius * math.sqrt((k + 0.5) / count) * math.cos(k * turn),
            radius * math.sqrt((k + 0.5) / count) * math.sin(k * turn),
        )
        for k in range(count)
    ]


def codes() -> Sketch:
    """Chapter 10: what reconstruction, the KL and both together do to the plane of codes."""
    s = Sketch(
        "What each part of the loss does to the plane of codes",
        "Three planes, sketched; a dashed circle shows where N(0, I) has most of its probability. Reconstruction "
        "alone: codes are points, in groups far from each other. KL alone: each image's distribution is the whole "
        "circle. Both: small discs fill the circle, each kind of digit with a place of its own.",
        290,
    )
    kinds = ((BLUE, PALE_BLUE), (GOLD, PALE_GOLD), (PLUM, PALE_PLUM), (FAINT, PALE))
    for place, name in enumerate(("reconstruction alone", "KL alone", "both")):
        x, y = 120 + 220 * place, 140
        s.box(x, y, 196, 176, fill=PAPER, color=LINE, round_by=4)
        s.text(x, 28, name, bold=True)
        if place == 0:
            centres = ((-62, -54), (66, -40), (-30, 60), (72, 54))
            for (color, _), (a, b) in zip(kinds, centres, strict=True):
                for dx, dy in sunflower(9, 24):
                    s.dot(x + a + dx, y + b + dy, color, 3.5)
            for a, b in ((-6, -30), (-32, 8), (26, 18)):
                s.text(x + a, y + b, "?", FAINT)
        if place == 1:
            for k, (color, _) in enumerate(kinds):
                s.circle(x + (-3, 3, -3, 3)[k], y + (-3, -3, 3, 3)[k], 62, fill="none", color=color)
                s.dot(x + (-3, 3, -3, 3)[k], y + (-3, -3, 3, 3)[k], color, 3.5)
        if place == 2:
            for a, b in sunflower(30, 58):
                color, fill = kinds[(a > 0) + 2 * (b > 0)]
                s.circle(x + a, y + b, 8.5, fill=fill, color=color, stroke=1)
                s.dot(x + a, y + b, color, 2.5)
        s.circle(x, y, 66, fill="none", color=INK, stroke=1.2, dashed=True)
    for x, words in ((120, "points; nothing says"), (340, "every cloud alike:"), (560, "clouds side by side:")):
        s.small(x, 248, words)
    for x, words in (
        (120, "what lies between them"),
        (340, "the code tells nothing"),
        (560, "few gaps, and kinds apart"),
    ):
        s.small(x, 268, words)
    return s


ALL = (hourglass, projection, score, codes)
