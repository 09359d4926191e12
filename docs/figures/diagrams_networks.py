"""Diagrams of chapters 03, 04, 14, 16, 18 and 19: layers and their backward passes, slopes, checks, and training."""

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
    PALE_RED,
    PAPER,
    Axes,
    Sketch,
    arrows_between,
)


def dense() -> Sketch:
    """Chapter 03: the dense layer as a graph, forwards and backwards."""
    s = Sketch(
        "A dense layer and its gradients",
        "x of shape (N, D) is multiplied by W of shape (D, M), then b of shape (M,) is added: y of shape (N, M). "
        "Against each arrow runs a gradient of the same shape: dy comes in, dx, dW and db go out.",
        330,
    )
    y = 190
    x_at, times, plus, y_at = 64, 250, 440, 616
    s.box(x_at, y, 60, 60, "$x$", fill=PALE)
    s.circle(times, y, 20, "$×$")
    s.circle(plus, y, 20, "$+$")
    s.box(y_at, y, 60, 60, "$y$", fill=PALE)
    for x, name, shape in ((times, "$W$", "$(D, M)$"), (plus, "$b$", "$(M,)$")):
        s.box(x, 55, 60, 46, name, fill=PALE_BLUE, color=BLUE)
        s.arrow((x - 8, 78), (x - 8, y - 19))
        s.arrow((x + 8, y - 19), (x + 8, 80), color=GRADIENT)
        s.small(x - 16, 120, shape, anchor="end")
    for start, end, shape in (
        (x_at + 30, times - 20, "$(N, D)$"),
        (times + 20, plus - 20, "$(N, M)$"),
        (plus + 20, y_at - 30, "$(N, M)$"),
    ):
        s.arrow((start, y - 8), (end, y - 8))
        s.arrow((end, y + 8), (start + 2, y + 8), color=GRADIENT)
        s.small((start + end) / 2, y - 24, shape)
    s.text(times + 20, 120, "$dW = x^T dy$", GRADIENT, anchor="start")
    s.text(plus + 20, 120, "$db = Σ_n dy_n$", GRADIENT, anchor="start")
    s.text((x_at + times) / 2 + 5, y + 30, "$dx = dy W^T$", GRADIENT)
    s.text((times + plus) / 2, y + 30, "$dy$", GRADIENT)
    s.text((plus + y_at) / 2 - 5, y + 30, "$dy$", GRADIENT)
    s.arrow((150, 290), (220, 290))
    s.text(230, 290, "forward: $y = x W + b$", anchor="start")
    s.arrow((500, 290), (430, 290), color=GRADIENT)
    s.text(510, 290, "backward", GRADIENT, anchor="start")
    return s


def stack() -> Sketch:
    """Chapter 03: the forward pass of a stack collects backward functions, which run in the opposite order."""
    s = Sketch(
        "A stack of layers and its backward functions",
        "Three layers in a row from the input to the output and the loss. The forward pass of each layer returns "
        "its output and a backward function, which remembers the layer's input. From the loss the gradient runs "
        "back through them.",
        270,
    )
    xs, top, bottom = (160, 320, 480), 70, 200
    s.text(40, top, "$x_0$")
    s.text(40, bottom, "$dx_0$", GRADIENT)
    s.arrow((58, top), (106, top))
    s.arrow((106, bottom), (66, bottom), color=GRADIENT)
    for k, x in enumerate(xs, start=1):
        s.box(x, top, 104, 46, "forward", fill=PALE)
        s.box(x, bottom, 104, 46, "backward", fill=PALE_RED, color=GRADIENT)
        s.text(x, 28, f"layer {k}", FAINT, 14)
        s.arrow((x, top + 25), (x, bottom - 25), color=FAINT, dashed=True)
        s.small(x + 8, (top + bottom) / 2, f"keeps $x_{k - 1}$", anchor="start", on_line=True)
        end = xs[k] - 54 if k < 3 else 586
        s.arrow((x + 54, top), (end, top))
        s.arrow((end, bottom), (x + 55, bottom), color=GRADIENT)
        s.text((x + 54 + end) / 2, top - 17, f"$x_{k}$")
        s.text((x + 54 + end) / 2, bottom + 19, f"$dx_{k}$", GRADIENT)
    s.box(618, (top + bottom) / 2, 60, 176, "loss", fill=PAPER)
    s.small(320, 246, "black: the forward pass; red: the backward pass, in the opposite order")
    return s


def sigmoid(x: float) -> float:
    """The sigmoid."""
    return 1 / (1 + math.exp(-x))


def activations() -> Sketch:
    """Chapter 04: three functions between layers, and their slopes."""
    s = Sketch(
        "ReLU, sigmoid and tanh with their slopes",
        "Three panels, each with a function in black and its slope in red. The slope of ReLU is 0 or 1, that of the "
        "sigmoid at most a quarter, that of tanh at most 1; both of these vanish far from 0.",
        265,
    )
    panels = (
        ("ReLU", lambda x: max(x, 0), lambda x: float(x > 0), "$[y > 0]$"),
        ("sigmoid", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)), "$y (1 − y)$"),
        ("tanh", math.tanh, lambda x: 1 - math.tanh(x) ** 2, "$1 − y^2$"),
    )
    for place, (name, function, slope, formula) in enumerate(panels):
        axes = Axes(s, 35 + 218 * place, 55, 160, 150, (-4, 4), (-1.25, 1.75))
        s.text(axes.left + 80, 26, name, bold=True)
        axes.frame("$x$")
        axes.ticks(up={1: "1"})
        axes.curve(function, within=(-4, 4))
        pieces = ((-4, -1e-6), (1e-6, 4)) if name == "ReLU" else ((-4, 4),)
        for piece in pieces:
            axes.curve(slope, GRADIENT, within=piece)
        s.text(axes.left + 80, 236, "slope " + formula, GRADIENT)
    return s


def losses() -> Sketch:
    """Chapter 04: two costs of a logit whose target is 1, and their slopes."""
    s = Sketch(
        "Squared error after a sigmoid, and cross-entropy of the logit",
        "Both costs for the target 1, as functions of the logit, with their slopes in red. At the logit −8, a "
        "confidently wrong answer, the slope of the squared error is nearly 0 and that of the cross-entropy nearly −1.",
        290,
    )
    panels = (
        (
            "squared error after a sigmoid",
            lambda x: (sigmoid(x) - 1) ** 2,
            lambda x: 2 * (sigmoid(x) - 1) * sigmoid(x) * (1 - sigmoid(x)),
            "slope $2 (p − 1) p (1 − p)$",
        ),
        ("cross-entropy of the logit", lambda x: math.log1p(math.exp(-x)), lambda x: sigmoid(x) - 1, "slope $p − 1$"),
    )
    for place, (name, cost, slope, formula) in enumerate(panels):
        axes = Axes(s, 40 + 330 * place, 60, 250, 150, (-10, 5), (-1.4, 3))
        s.text(axes.left + 125, 26, name, bold=True)
        axes.frame("$l$")
        axes.ticks({-8: ""}, {1: "1", -1: "−1"}, on_right=True)
        axes.curve(cost)
        axes.curve(slope, GRADIENT)
        at = axes.at(-8, slope(-8))
        s.dot(*at, GRADIENT, 5)
        s.small(at[0], axes.at(0, 0)[1] + (17 if place == 0 else -13), "$−8$")
        s.text(axes.left + 125, 240, formula, GRADIENT)
    s.small(340, 268, "the target is 1, and the sigmoid of the logit is $p$")
    return s


def two_slopes() -> Sketch:
    """Chapter 14: one number, from the forward pass alone and from backward."""
    s = Sketch(
        "A gradient check",
        "From an input x two ways lead to one number. Above, the forward pass is run at x + hd and at x − hd, and "
        "the difference is divided by 2h. Below, backward returns dx, which is multiplied by d and summed. The two "
        "are compared.",
        290,
    )
    s.box(56, 140, 68, 68, "$x$", fill=PALE)
    s.small(56, 190, "direction $d$")
    for y, sign, end in ((52, "+", "L(h)"), (106, "−", "L(−h)")):
        s.arrow((92, 128), (150, y))
        s.box(215, y, 128, 38, f"$x {sign} h d$", fill=PALE)
        s.arrow((281, y), (352, y))
        s.small(316, y - 14, "forward")
        s.text(384, y, f"${end}$")
    s.arrow((414, 52), (462, 72))
    s.arrow((414, 106), (462, 86))
    s.text(470, 79, "$(L(h) − L(−h)) / 2h$", anchor="start")
    s.arrow((92, 152), (150, 216), color=GRADIENT)
    s.box(215, 216, 128, 38, "`backward`", fill=PALE_RED, color=GRADIENT)
    s.arrow((281, 216), (352, 216), color=GRADIENT)
    s.text(384, 216, "$dx$", GRADIENT)
    s.arrow((414, 216), (462, 216), color=GRADIENT)
    s.text(470, 216, "$Σ dx ⊙ d$", GRADIENT, anchor="start")
    s.arrow((556, 102), (556, 128))
    s.arrow((556, 196), (556, 168), color=GRADIENT)
    s.text(556, 148, "the same number?", BLUE, bold=True)
    s.small(340, 264, "above: measured with the forward pass alone; below: what the backward pass claims")
    return s


def kink() -> Sketch:
    """Chapter 14: right and left differences at a kink, and where the function is smooth."""
    s = Sketch(
        "Left and right slopes at a kink",
        "At the left the absolute value at 0: the line to the right point has the slope 1, the line to the left "
        "point −1, for every step, and the line through both points is level. At the right a smooth curve: both "
        "lines approach the tangent as the step shrinks.",
        285,
    )
    panels = (("a kink", abs, (1.0, 0.45)), ("smooth", lambda x: 0.15 + 0.8 * x**2, (1.0, 0.3)))
    for place, (name, function, steps) in enumerate(panels):
        axes = Axes(s, 60 + 330 * place, 55, 230, 150, (-1.3, 1.3), (-0.25, 1.45))
        s.text(axes.left + 115, 26, name, bold=True)
        axes.frame()
        axes.curve(function)
        for h, dashed in zip(steps, (False, True), strict=True):
            s.line(axes.at(-h, function(-h)), axes.at(h, function(h)), color=GOLD, dashed=dashed)
            if place == 1:
                s.line(*(axes.at(x, function(x)) for x in (-h, 0, h)), color=BLUE, dashed=dashed)
            for x in (-h, 0, h):
                s.dot(*axes.at(x, function(x)), BLUE, 4)
    s.text(175, 236, "right − left: 2 for every $h$", BLUE)
    s.text(505, 236, "right − left: falls with $h$", BLUE)
    s.small(340, 264, "gold: the central difference, which is 0 in both and proves nothing at a kink", GOLD)
    return s


def tile() -> Sketch:
    """Chapter 16: which numbers of A, B and C a tile uses."""
    s = Sketch(
        "A tile of a matrix product",
        "The tile of C has R rows and V vectors of columns and stays in registers. In each step of k it takes R "
        "numbers of a column of A and V vectors of a row of B, and adds their products.",
        310,
    )
    a, b, c = (60, 150), (330, 40), (330, 150)
    for (x, y), width, height, name in ((a, 170, 120, "$A$"), (b, 240, 80, "$B$"), (c, 240, 120, "$C$")):
        s.box(x + width / 2, y + height / 2, width, height, fill=PALE, color=LINE, round_by=0)
        s.text(x + 16, y + 16, name)
    s.box(a[0] + 85, 215, 170, 42, fill=PALE_BLUE, color=BLUE, round_by=0)
    s.box(a[0] + 95, 215, 12, 42, fill=BLUE, color=BLUE, round_by=0)
    s.box(450, b[1] + 40, 96, 80, fill=PALE_GOLD, color=GOLD, round_by=0)
    for x in (426, 474):
        s.box(x, b[1] + 46, 48, 12, fill=GOLD, color=PAPER, round_by=0)
    s.box(450, 215, 96, 42, "tile", fill=PAPER, color=INK, round_by=0, stroke=2)
    s.arrow((234, 215), (398, 215), color=BLUE)
    s.arrow((450, 124), (450, 190), color=GOLD)
    s.text(49, 215, "$R$", BLUE, anchor="end")
    s.text(450, 26, "$V$ vectors", GOLD)
    s.small(a[0] + 95, 140, "step $k$")
    s.small(316, b[1] + 46, "step $k$", anchor="end")
    s.text(66, 58, "one step of $k$:", anchor="start")
    s.text(66, 82, "$R + V$ loads, $RV$ FMAs", anchor="start")
    s.small(316, 290, "the tile of $C$ stays in registers until all steps are added", INK)
    return s


def training_step() -> Sketch:
    """Chapter 18: the moments of a training at which callbacks are called."""
    s = Sketch(
        "What happens when in a training",
        "A circle of one step: before_step, the model's loss, after_loss, backward, after_backward, the optimizer, "
        "after_step, and on to the next batch. After the last batch of an epoch come validation, after_epoch, the "
        "printed line and the checkpoint.",
        330,
    )
    top, bottom = 105, 222
    s.text(40, 34, "one step", bold=True, anchor="start")
    s.small(640, 34, "blue: moments of callbacks", BLUE, anchor="end")
    boxes = (
        (110, "batch", PALE, INK),
        (275, "`model.loss`", PALE, INK),
        (440, "`backward`", PALE_RED, GRADIENT),
        (598, "optimizer", PALE, INK),
    )
    for x, words, fill, color in boxes:
        s.box(x, top, 116 if x != 110 else 84, 46, words, fill=fill, color=color)
    moments = ((186, "before_step"), (357, "after_loss"), (519, "after_backward"))
    for (start, end), (x, moment) in zip(((152, 216), (333, 381), (498, 539)), moments, strict=True):
        s.arrow((start, top), (end, top))
        s.small(x, 62, f"`{moment}`", BLUE)
        s.line((x, 71), (x, top - 4), color=BLUE, stroke=1, dashed=True)
    s.small(275, 142, "value, $dy$; finite?")
    s.small(440, 142, "$dθ$; finite?", GRADIENT)
    s.small(598, 142, "$θ ← θ − η …$")
    s.arrow((598, 154), (598, 178), (110, 178), (110, top + 25))
    s.small(354, 192, "`after_step`", BLUE)
    s.text(40, bottom, "the end of an epoch", bold=True, anchor="start")
    ends = ((110, "validation"), (275, "printed line"), (440, "checkpoint"))
    for x, words in ends:
        s.box(x, 268, 116, 40, words, fill=PALE)
    s.arrow((168, 268), (215, 268))
    s.arrow((333, 268), (380, 268))
    s.small(191, 308, "`after_epoch`", BLUE)
    s.line((191, 299), (191, 272), color=BLUE, stroke=1, dashed=True)
    return s


def where_to_look() -> Sketch:
    """Chapter 19: the order in which a training that does not learn is examined."""
    s = Sketch(
        "Where to look first",
        "Five tests from left to right, each with what a healthy training shows and where to look if yours does not: "
        "the first loss, one batch, the rate, the record of Watch, the data.",
        236,
    )
    tests = (
        ("first loss", "$log C$", "scale of", "inputs, start"),
        ("one batch", "near 0", "network,", "loss, loop"),
        ("rate", "falls", "sweep it by", "factors of 3"),
        ("`Watch`", "units alive", "start, depth,", "updates"),
        ("data", "labels fit", "twenty", "examples"),
    )
    places = [(80 + 130 * i, 60) for i in range(len(tests))]
    arrows_between(s, places, 55)
    for (x, y), (test, healthy, *look) in zip(places, tests, strict=True):
        s.box(x, y, 106, 44, test, fill=PALE_BLUE, color=BLUE)
        s.small(x, 20, healthy, BLUE)
        s.arrow((x, y + 24), (x, 138), color=FAINT, dashed=True)
        s.small(x + 8, 112, "if not", anchor="start")
        s.box(x, 168, 112, 56, fill=PALE)
        for line, words in enumerate(look):
            s.small(x, 158 + 20 * line, words, INK)
    s.small(340, 220, "above: what a healthy training shows; below: where to look if yours does not")
    return s


ALL = (dense, stack, activations, losses, two_slopes, kink, tile, training_step, where_to_look)
