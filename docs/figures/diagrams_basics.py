"""Diagrams of chapters 00 to 02: units, difference quotients, Bayes as areas, entropy, the tangent and the chord."""

import math

from sketch import BLUE, FAINT, GOLD, GRADIENT, INK, PALE, PALE_BLUE, PALE_GOLD, PALE_PLUM, PLUM, Axes, Sketch


def units() -> Sketch:
    """Chapter 00: where sums and means are taken, and where 1/N comes from."""
    s = Sketch(
        "From the cost of a pixel to the loss of a batch, and back",
        "A grid of N rows and D columns holds the cost of each pixel of each image. Its rows are summed to N costs "
        "per image, and their mean is the loss. Backwards, the mean gives each image the factor 1/N, and each pixel "
        "keeps it.",
        250,
    )
    words = [[f"$c_{{{n}{i}}}$" for i in "123"] + ["…", f"$c_{{{n}D}}$"] for n in "12N"]
    s.grid(40, 58, 38, [[PALE] * 5] * 3, words=words)
    s.text(135, 30, "per pixel")
    s.small(135, 188, "$(N, D)$")
    s.arrow((240, 115), (336, 115))
    s.small(288, 100, "sum over $i$", INK)
    s.grid(346, 58, 38, [[PALE]] * 3, words=[["$c_1$"], ["$c_2$"], ["$c_N$"]])
    s.text(365, 30, "per image")
    s.small(365, 188, "$(N,)$")
    s.arrow((394, 115), (512, 115))
    s.small(453, 100, "mean over $n$", INK)
    s.box(560, 115, 80, 46, "$L$", fill=PALE)
    s.text(560, 30, "one number")
    s.small(560, 188, "per image, on average")
    s.arrow((515, 222), (410, 222), color=GRADIENT)
    s.text(560, 222, "$1$", GRADIENT)
    s.text(365, 222, "$1 / N$", GRADIENT)
    s.arrow((320, 222), (240, 222), color=GRADIENT)
    s.text(135, 222, "$dy_{ni} = c'_{ni} / N$", GRADIENT)
    return s


def differences() -> Sketch:
    """Chapter 00: the forward, backward and central difference of one curve."""
    s = Sketch(
        "Three difference quotients",
        "The same curve three times, with its tangent at x dashed. The line through the points at x and x + h is "
        "too steep, the line through x − h and x is too flat, the line through x − h and x + h is nearly parallel "
        "to the tangent.",
        300,
    )
    panels = [("forward", 0.0, 1.0), ("backward", -1.0, 0.0), ("central", -1.0, 1.0)]
    formulas = [
        "$(f(x + h) − f(x)) / h$",
        "$(f(x) − f(x − h)) / h$",
        "$(f(x + h) − f(x − h)) / 2h$",
    ]
    for place, ((name, start, end), formula) in enumerate(zip(panels, formulas, strict=True)):
        axes = Axes(s, 35 + 215 * place, 60, 170, 165, (-1.6, 1.6), (0, 3.6))
        s.text(axes.left + 85, 28, name, bold=True)
        axes.frame(zero=(-1.6, 0))
        axes.ticks({-1: "$x − h$", 0: "$x$", 1: "$x + h$"}, zero=(-1.6, 0))
        axes.curve(_bent, within=(-1.6, 1.6))
        axes.curve(lambda u: _bent(0) + _SLOPE * u, GRADIENT, 1.5, dashed=True, within=(-1.2, 1.6))
        slope = (_bent(end) - _bent(start)) / (end - start)
        axes.curve(lambda u, a=slope, b=start: _bent(b) + a * (u - b), BLUE, 2, within=(-1.6, 1.6))
        for u in (start, end):
            s.dot(*axes.at(u, _bent(u)), BLUE, 5)
        s.text(axes.left + 85, 272, formula, BLUE)
    return s


_SLOPE = 0.72


def _bent(u: float) -> float:
    """A curve whose slope at 0 is _SLOPE, and whose curvature grows a little."""
    return 1.05 + _SLOPE * u + 0.42 * u**2 + 0.05 * u**3


def bayes_areas() -> Sketch:
    """Chapter 01: the bag of dice as a square, the sixes as two of its rectangles."""
    s = Sketch(
        "Bayes' rule as areas",
        "A square of area 1. Nine tenths of its width are fair dice, of which one sixth of the height is a six; one "
        "tenth is the loaded die, of which one half is a six. The two areas of sixes are 0.15 and 0.05. Of all "
        "sixes, a quarter comes from the loaded die.",
        320,
    )
    left, bottom, side = 62, 272, 220
    split = left + 0.9 * side
    s.box(left + side / 2, bottom - side / 2, side, side, fill=PALE, round_by=0)
    s.area(
        (left, bottom),
        (split, bottom),
        (split, bottom - side / 6),
        (left, bottom - side / 6),
        fill=PALE_BLUE,
        color=BLUE,
    )
    s.area(
        (split, bottom),
        (left + side, bottom),
        (left + side, bottom - side / 2),
        (split, bottom - side / 2),
        fill=PALE_GOLD,
        color=GOLD,
    )
    s.line((split, bottom), (split, bottom - side))
    s.text((left + split) / 2, bottom - side / 12, "six: 0.15", BLUE)
    s.text(left + side + 10, bottom - side / 4, "six: 0.05", GOLD, anchor="start")
    s.small((left + split) / 2, bottom + 18, "9 fair dice of 10", INK)
    s.small(left + side - 11, bottom + 18, "loaded", INK, anchor="start")
    s.small(left - 8, bottom - side / 6, "1/6", INK, anchor="end")
    s.small(left + side + 8, bottom - side / 2, "1/2", INK, anchor="start")
    s.small((left + split) / 2, bottom - 0.6 * side, "other numbers")
    s.text(left + side / 2, 28, "before the roll: all that may happen")
    s.arrow((392, 190), (440, 190))
    s.small(416, 172, "a six", INK)
    x, y, width = 458, 190, 180
    s.area((x, y - 26), (x + 0.75 * width, y - 26), (x + 0.75 * width, y + 26), (x, y + 26), fill=PALE_BLUE, color=BLUE)
    s.area(
        (x + 0.75 * width, y - 26),
        (x + width, y - 26),
        (x + width, y + 26),
        (x + 0.75 * width, y + 26),
        fill=PALE_GOLD,
        color=GOLD,
    )
    s.text(x + 0.375 * width, y, "fair: 3/4", BLUE)
    s.text(x + 0.875 * width, y, "1/4", GOLD)
    s.text(x + width / 2, 28, "after a six: the sixes alone")
    s.text(x + width / 2, 236, "$0.15 + 0.05 = 0.2$, a fifth")
    s.text(x + width / 2, 264, "loaded: $0.05 / 0.2 = 1/4$", GOLD)
    return s


def surprise() -> Sketch:
    """Chapter 02: the loaded die described as a fair one."""
    loaded, fair = [0.1] * 5 + [0.5], [1 / 6] * 6
    entropy = -sum(p * math.log(p) for p in loaded)
    cross = -sum(p * math.log(q) for p, q in zip(loaded, fair, strict=True))
    s = Sketch(
        "Entropy, KL and cross-entropy of a loaded die that is taken for a fair one",
        "At the left the six probabilities p of the loaded die and q of the fair one. At the right a bar: the mean "
        f"surprise {cross:.3f} nats consists of the entropy {entropy:.3f} and the divergence {cross - entropy:.3f}.",
        250,
    )
    axes = Axes(s, 60, 50, 220, 150, (0, 6), (0, 0.55))
    axes.frame(up="probability")
    axes.ticks(up={0.1: "0.1", 0.5: "0.5"})
    for face, (p, q) in enumerate(zip(loaded, fair, strict=True)):
        for value, shift, fill, color in ((p, 0.14, PALE_GOLD, GOLD), (q, 0.5, PALE_BLUE, BLUE)):
            corners = [(face + shift, 0), (face + shift + 0.34, 0), (face + shift + 0.34, value), (face + shift, value)]
            s.area(*(axes.at(*corner) for corner in corners), fill=fill, color=color)
        s.small(axes.at(face + 0.5, 0)[0], 214, str(face + 1), INK)
    s.text(125, 80, "$p$ loaded", GOLD)
    s.text(125, 106, "$q$ fair", BLUE)
    left, scale = 340, 300 / cross
    end, middle = left + 300, left + scale * entropy
    s.area((left, 90), (middle, 90), (middle, 134), (left, 134), fill=PALE, color=INK)
    s.area((middle, 90), (end, 90), (end, 134), (middle, 134), fill=PALE_PLUM, color=PLUM)
    s.text((left + middle) / 2, 112, f"$H(p) = {entropy:.3f}$")
    s.small((middle + end) / 2, 112, f"{cross - entropy:.3f}", PLUM)
    s.text((middle + end) / 2, 72, "$D(p ‖ q)$", PLUM)
    s.small((left + middle) / 2, 72, "unavoidable", FAINT)
    s.brace((left, 142), (end, 142), 9)
    s.text((left + end) / 2, 174, f"$H(p, q) = {cross:.3f}$ nats")
    s.small((left + end) / 2, 200, "the mean surprise of one who believes $q$")
    return s


def tangent() -> Sketch:
    """Chapter 02: the logarithm below its tangent at 1."""
    s = Sketch(
        "The logarithm lies below its tangent",
        "The curve log t and the line t − 1 touch at t = 1; everywhere else the line is above the curve.",
        240,
    )
    axes = Axes(s, 190, 40, 260, 165, (0, 3), (-1.7, 2))
    axes.frame("$t$")
    axes.ticks({1: ""}, {1: "1", -1: "−1"})
    axes.curve(math.log, within=(0.19, 3))
    axes.curve(lambda t: t - 1, BLUE, within=(0, 3))
    s.dot(*axes.at(1, 0), INK, 5)
    s.small(axes.at(1, 0)[0] + 6, axes.at(1, 0)[1] + 16, "1", anchor="start")
    s.text(axes.at(3, 2)[0] + 12, axes.at(3, 2)[1] + 4, "$t − 1$", BLUE, anchor="start")
    s.text(axes.at(3, 1.1)[0] + 12, axes.at(3, 1.1)[1], "$log t$", anchor="start")
    for t in (0.4, 1.8, 2.4):
        s.line(axes.at(t, math.log(t)), axes.at(t, t - 1), color=PLUM, dashed=True)
    s.small(*axes.at(2.02, -0.62), "$t − 1 − log t ≥ 0$", PLUM)
    return s


def jensen() -> Sketch:
    """Chapter 02: the chord below the logarithm."""
    low, high = 0.25, 2.4
    mean = (low + high) / 2
    of_mean, mean_of = math.log(mean), (math.log(low) + math.log(high)) / 2
    s = Sketch(
        "Jensen's inequality: the chord below the curve",
        "Two points of the curve log w are joined by a chord. Above the mean of the two w the curve is higher than the "
        "middle of the chord: the logarithm of the mean exceeds the mean of the logarithms.",
        270,
    )
    axes = Axes(s, 130, 40, 330, 195, (0, 2.8), (-1.5, 1.2))
    axes.frame("$w$", zero=(0, -1.5))
    axes.curve(math.log, within=(0.225, 2.8))
    s.line(axes.at(low, math.log(low)), axes.at(high, math.log(high)), color=BLUE, stroke=2)
    s.line(axes.at(mean, -1.5), axes.at(mean, of_mean), color=FAINT, stroke=1, dashed=True)
    axes.ticks({low: "$w_1$", mean: "$E[w]$", high: "$w_2$"}, zero=(0, -1.5))
    for w, v, color in (
        (low, math.log(low), INK),
        (high, math.log(high), INK),
        (mean, of_mean, INK),
        (mean, mean_of, BLUE),
    ):
        s.dot(*axes.at(w, v), color, 5)
    right = axes.at(2.8, 0)[0] + 14
    for v, words, color in ((of_mean, "$log E[w]$", INK), (mean_of, "$E[log w]$", BLUE)):
        s.line(axes.at(mean, v), (right + 8, axes.at(0, v)[1]), color=color, stroke=1, dashed=True)
        s.text(right + 14, axes.at(0, v)[1], words, color, anchor="start")
    return s


ALL = (units, differences, bayes_areas, surprise, tangent, jensen)
