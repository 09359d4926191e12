"""Diagrams of chapters 11, 12, 13, 15 and 17: the VAE, its bound, its sampler, its numbers, and a misprint."""

import json
import math
from pathlib import Path

from diagrams_autoencoders import BLURRED, digit, trapezium
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
    Sketch,
)

MEASURED = json.loads((Path(__file__).parent / "is_it_good.json").read_text(encoding="utf-8"))


def vae() -> Sketch:
    """Chapter 11: the hourglass with μ, σ and ε, and the two terms of the loss."""
    s = Sketch(
        "A variational autoencoder",
        "The encoder turns an image x into μ and log σ², L numbers each. With noise ε from N(0, I) they make the "
        "code z = μ + σ ε, which the decoder turns into y. The loss is the reconstruction, which compares y with x, "
        "plus the KL of N(μ, σ²) from N(0, I).",
        345,
    )
    y = 150
    digit(s, 52, y, 9)
    trapezium(s, 106, 216, y, (140, 84), "encoder")
    s.box(266, y - 24, 58, 44, "$μ$", fill=PALE)
    s.box(266, y + 24, 58, 44, "$log σ^2$", fill=PALE)
    s.circle(366, y, 26, "$z$", fill=PALE)
    s.circle(366, 52, 22, "$ε$", fill=PALE_GOLD, color=GOLD)
    s.small(396, 52, "drawn from $N(0, I)$", GOLD, anchor="start")
    trapezium(s, 430, 540, y, (60, 140), "decoder")
    digit(s, 618, y, 9, BLURRED)
    s.arrow((86, y), (103, y))
    s.arrow((219, y), (235, y))
    s.arrow((297, y - 24), (341, y - 9))
    s.arrow((297, y + 24), (341, y + 9))
    s.arrow((366, 76), (366, y - 28))
    s.arrow((394, y), (427, y))
    s.arrow((543, y), (584, y))
    s.text(52, 92, "$x$")
    s.text(618, 92, "$y$")
    s.small(266, y - 62, "$(N, L)$ each")
    s.text(366, y + 44, "$z = μ + σ ε$", size=14)
    s.box(266, 276, 130, 46, "KL", fill=PAPER)
    s.box(500, 276, 176, 46, "reconstruction", fill=PAPER)
    s.arrow((266, y + 48), (266, 250))
    s.arrow((618, y + 38), (618, 276), (591, 276))
    s.arrow((52, y + 38), (52, 322), (500, 322), (500, 302))
    s.text(372, 276, "+")
    s.text(150, 276, "loss  $=$")
    return s


def elbo() -> Sketch:
    """Chapter 11: log p(x) as the ELBO and the KL of the guess from the posterior."""
    s = Sketch(
        "The evidence is the ELBO plus a KL",
        "Three bars of one height, log p(x). Each consists of the ELBO below and the KL of q from the true "
        "posterior above. For a poor guess q the KL is large; for a better one it is smaller; if q is the posterior "
        "it is 0.",
        300,
    )
    top, bottom = 72, 232
    for x, gap, words in ((190, 78, "a poor guess $q$"), (350, 34, "a better guess"), (510, 0, "$q$ is the posterior")):
        s.area((x - 46, bottom), (x + 46, bottom), (x + 46, top + gap), (x - 46, top + gap), fill=PALE, color=INK)
        s.text(x, (top + gap + bottom) / 2, "ELBO")
        if gap:
            s.area((x - 46, top), (x + 46, top), (x + 46, top + gap), (x - 46, top + gap), fill=PALE_PLUM, color=PLUM)
            s.text(x, top + gap / 2, "KL", PLUM)
        s.small(x, bottom + 20, words, INK)
    s.line((110, top), (590, top), color=BLUE, dashed=True)
    s.text(100, top, "$log p(x)$", BLUE, anchor="end")
    s.line((110, bottom), (590, bottom), color=FAINT, stroke=1)
    s.text(340, 34, "$log p(x) = ELBO + KL(q(z | x) ‖ p(z | x))$")
    s.small(340, 278, "with the decoder fixed, raising the ELBO is lowering this KL")
    return s


def reparameterisation() -> Sketch:
    """Chapter 12: a draw from q stops the gradient; μ + σ ε lets it pass; the KL adds a second path."""
    s = Sketch(
        "The gradient through a random draw",
        "At the left z is drawn from N(μ, σ²), and the gradient that comes back to z stops there. At the right the "
        "noise ε is drawn beside, z is computed from μ, σ and ε, and the gradient passes on to μ and log σ². A "
        "second path leads from the KL to both, and the two are added.",
        350,
    )
    s.text(130, 28, "drawn from $q$: blocked")
    s.text(478, 28, "computed from $ε$: passes")
    s.line((272, 20), (272, 330), color=LINE)
    for left, drawn in ((50, True), (440, False)):
        for y, name in ((110, "$μ$"), (190, "$ℓ$")):
            s.box(left, y, 50, 46, name, fill=PALE)
            s.arrow((left + 28, y - 6), (left + 92, 138 if y < 150 else 152))
        z = left + 120
        s.circle(z, 148, 26, "$z$", fill=PALE_GOLD if drawn else PALE, color=GOLD if drawn else INK)
        s.arrow((z + 28, 140), (z + 68, 140))
        s.arrow((z + 68, 156), (z + 31, 156), color=GRADIENT)
        s.text(z + 80, 140, "$f$")
        s.text(z + 50, 176, "$dz$", GRADIENT)
    s.small(170, 96, "$z ∼ N(μ, σ^2)$", GOLD)
    for sign in (-1, 1):
        s.line((120, 170 + 9 * sign), (138, 170 - 9 * sign), color=GRADIENT, stroke=3)
    s.small(136, 250, "a draw has no slope in $μ$ and $ℓ$", GRADIENT)
    s.circle(560, 76, 20, "$ε$", fill=PALE_GOLD, color=GOLD)
    s.arrow((560, 98), (560, 119))
    s.small(588, 76, "$ε ∼ N(0, 1)$", GOLD, anchor="start")
    s.text(560, 206, "$z = μ + σ ε$", size=14)
    s.box(330, 150, 56, 46, "KL", fill=PALE)
    for y in (110, 190):
        to_z, to_kl = (148, 142) if y < 150 else (162, 158)
        s.arrow((534, to_z), (470, y + 8), color=GRADIENT)
        s.arrow((412, y - 6), (361, to_kl - 4))
        s.arrow((361, to_kl + 6), (410, y + 6), color=GRADIENT)
    s.text(478, 258, "$dμ = dz + β μ / N$", GRADIENT)
    s.text(478, 286, "$dℓ = ½ dz σ ε + ½ β (σ^2 − 1) / N$", GRADIENT)
    s.small(478, 322, "the paths through $z$ and through the KL add up")
    return s


def landmarks() -> Sketch:
    """Chapter 13: between which numbers a loss on MNIST lies."""
    grey, scale = MEASURED["grey"], MEASURED["scale, nats/image"]["grey"]
    bound, flattering = -grey["ELBO, nats/image"], grey["loss at z = μ, nats/image"]
    s = Sketch(
        "Landmarks for a loss in nats per image",
        f"A scale from 0 to 560 nats per image. The floor of grey pixels is {scale['floor']:.1f}, a small VAE "
        f"reaches {bound:.1f}, the mean training image {scale['mean_image']:.1f}, coin tosses "
        f"{scale['p = 1/2']:.1f}. The loss at z = μ, {flattering:.1f}, is no bound.",
        240,
    )
    axes = Axes(s, 40, 80, 590, 60, (0, 560), (0, 1))
    floor, mean, coins = scale["floor"], scale["mean_image"], scale["p = 1/2"]
    for start, end, fill in ((0, floor, PALE_PLUM), (floor, mean, "#e3f1e4"), (mean, 560, PALE)):
        s.area(axes.at(start, 0), axes.at(end, 0), axes.at(end, 1), axes.at(start, 1), fill=fill)
    for value, words, y, color in (
        (floor, "floor of grey pixels", 42, PLUM),
        (bound, "a small VAE", 172, INK),
        (mean, "the mean image", 42, INK),
        (coins, "coin tosses", 42, INK),
    ):
        x = axes.at(value, 0)[0]
        s.line((x, 80 if y < 80 else 140), (x, 66 if y < 80 else 152), color=color)
        s.line((x, 80), (x, 140), color=color, stroke=2)
        left, anchor = (x, "middle") if y < 80 else (x - 4, "start")
        s.text(left, y, f"{value:.1f}", color, anchor=anchor, bold=True)
        s.small(left, y - 20 if y < 80 else y + 20, words, color, anchor)
    x = axes.at(flattering, 0)[0]
    s.line((x, 84), (x, 136), color=GOLD, dashed=True)
    s.text(x - 4, 172, f"{flattering:.1f}", GOLD, anchor="end", bold=True)
    s.line((x, 136), (x, 152), color=GOLD)
    s.small(x - 4, 192, "at $z = μ$", GOLD, anchor="end")
    s.small(axes.at(floor / 2, 0)[0], 110, "never", PLUM)
    s.small(axes.at(380, 0)[0], 110, "knows nothing about single images")
    s.small(340, 222, "loss on MNIST's grey test images, nats per image: smaller is better")
    return s


SPECTRUM = (8.0, 5.0, 3.0, 2.0, 1.2, 0.8, 0.5, 0.3)  # eigenvalues of an invented covariance


def of_level(tau: float) -> tuple[float, float]:
    """Rate and distortion of the best linear VAE with pixels of variance 1, at β = τ."""
    return sum(0.5 * math.log(one / tau) for one in SPECTRUM if one > tau), 0.5 * sum(min(one, tau) for one in SPECTRUM)


def price() -> Sketch:
    """Chapter 15: β as the slope of a curve, and the bounds with k draws."""
    s = Sketch(
        "Two ways to change the ELBO",
        "At the left the curve of least distortion for each rate, with tangents of slope −β for β = 4, 1 and 0.4. "
        "At the right the bound with k draws rises with k from 1 to 100 towards the unknown log p(x).",
        310,
    )
    axes = Axes(s, 48, 80, 240, 170, (0, 6.5), (0, 11))
    s.text(168, 26, "weigh the KL: $D + β R$")
    axes.frame("rate", "distortion")
    levels = [8.0 * 0.955**k for k in range(90)]
    s.line(*(axes.at(*of_level(tau)) for tau in levels if of_level(tau)[0] <= 6.5), stroke=2)
    for beta, color, lift in ((4.0, GOLD, 0), (1.0, BLUE, 0), (0.4, PLUM, 0)):
        rate, distortion = of_level(beta)
        reach = 1.25 / math.hypot(1, beta / 1.5)
        s.line(
            axes.at(rate - reach, distortion + beta * reach),
            axes.at(rate + reach, distortion - beta * reach),
            color=color,
        )
        s.dot(*axes.at(rate, distortion), color, 5)
        x, y = axes.at(rate, distortion)
        s.text(x + 12, y - 16 + lift, f"$β = {beta:g}$", color, anchor="start")
    bounds = {int(k): value for k, value in MEASURED["L_k on 500 binary test images, nats/image"].items()}
    right = Axes(s, 420, 60, 210, 190, (0, 2.15), (-97.2, -89.4))
    s.text(525, 26, "average $k$ weights: $L_k$")
    right.frame("$k$", zero=(0, -97.2))
    right.ticks({math.log10(k): str(k) for k in (1, 10, 100)}, {-96: "−96", -94: "−94", -92: "−92"}, zero=(0, -97.2))
    s.line(*(right.at(math.log10(k), value) for k, value in bounds.items()), color=BLUE)
    for k, value in bounds.items():
        s.dot(*right.at(math.log10(k), value), BLUE, 4.5)
    s.line(right.at(0, -89.8), right.at(2.15, -89.8), color=FAINT, dashed=True)
    s.small(right.at(0.1, 0)[0], right.at(0, -90.3)[1], "$log p(x)$ is higher still: unknown", anchor="start")
    s.small(168, 290, "the tangent's slope is $−β$")
    s.small(525, 290, "nats per image, on 500 test images")
    return s


def water() -> Sketch:
    """Chapter 15: the best linear VAE describes what stands above the water."""
    level, end = 1.0, len(SPECTRUM)
    s = Sketch(
        "Eigenvalues under water",
        "A bar for each eigenvalue of the covariance, from the largest to the smallest, and a level τ. What is "
        "under water is the error that is left; what stands above it costs half its log of the eigenvalue over τ, "
        "in nats. Bars that are wholly under water are not described.",
        280,
    )
    axes = Axes(s, 70, 50, 360, 180, (0, end), (0, 8.5))
    for place, one in enumerate(SPECTRUM):
        under = min(one, level)
        for base, top, fill, color in ((0, under, PALE_BLUE, BLUE), (under, one, PALE, INK)):
            if top > base:
                corners = ((0.15, base), (0.85, base), (0.85, top), (0.15, top))
                s.area(*(axes.at(place + u, v) for u, v in corners), fill=fill, color=color)
        s.small(axes.at(place + 0.5, 0)[0], 244, f"$λ_{place + 1}$", INK)
    axes.frame()
    s.line(axes.at(0, level), axes.at(end, level), color=BLUE, stroke=2)
    s.text(axes.at(0, level)[0] - 10, axes.at(0, level)[1], "$τ$", BLUE, anchor="end")
    s.text(
        axes.at(0.98, 5)[0],
        axes.at(0, 6.4)[1],
        "above: described, with $½ log (λ_i / τ)$ nats",
        anchor="start",
        size=14,
    )
    s.text(456, axes.at(0, 0.5)[1], "below: the error that is left", BLUE, anchor="start", size=14)
    s.small(axes.at(6.5, 0)[0], axes.at(0, 2)[1], "not described", FAINT)
    return s


def of_length(r: float, variance: float, dimensions: int = 20) -> float:
    """The density of the length of a draw from N(0, variance · I)."""
    log = (dimensions - 1) * math.log(r) - r**2 / (2 * variance) - math.lgamma(dimensions / 2)
    return 2 * math.exp(log - dimensions / 2 * math.log(2 * variance))


def misprinted() -> Sketch:
    """Chapter 17: the printed KL beside the right one, and what it does to samples."""
    least = 1 / math.sqrt(2)
    s = Sketch(
        "The misprinted KL",
        "At the left two curves over σ at μ = 0: the right KL is 0 at σ = 1 and positive elsewhere; the printed one is "
        "negative around its minimum at σ = 0.707. At the right the lengths of 20 numbers from N(0, ½), where the "
        "printed one puts the codes, around 3.2, and from N(0, I), around 4.5: most of these are longer.",
        310,
    )
    axes = Axes(s, 50, 60, 250, 180, (0, 2), (-0.4, 1.6))
    s.text(175, 26, "which minimum")
    axes.frame("$σ$")
    axes.ticks({1: "1"}, {1: "1"})
    right, printed = (lambda x: 0.5 * (x**2 - math.log(x**2) - 1)), (lambda x: x**2 - math.log(x) - 1)
    axes.curve(right, BLUE, within=(0.09, 2))
    axes.curve(printed, PLUM, within=(0.07, 2))
    s.dot(*axes.at(1, 0), BLUE, 5)
    s.dot(*axes.at(least, printed(least)), PLUM, 5)
    s.small(
        axes.at(least, 0)[0],
        axes.at(0, printed(least))[1] + 18,
        f"{printed(least):.3f} at {least:.3f}".replace("-", "−"),
        PLUM,
    )
    s.text(axes.at(1.5, 0)[0] + 14, axes.at(0, 1.45)[1], "printed", PLUM, anchor="end")
    s.text(*axes.at(1.78, 0.18), "right", BLUE)
    lengths = Axes(s, 400, 60, 215, 180, (1.5, 6.5), (0, 0.9))
    s.text(515, 26, "where draws fall, 20 numbers")
    lengths.frame("$‖z‖$", zero=(1.5, 0))
    for variance, color, fill, words, at in (
        (0.5, PLUM, PALE_PLUM, "codes", 3.1),
        (1.0, INK, PALE, "samples", 5.65),
    ):
        lengths.shade(lambda r, v=variance: of_length(r, v), 1.5, 6.5, fill)
        lengths.curve(lambda r, v=variance: of_length(r, v), color)
        s.text(lengths.at(at, 0)[0], lengths.at(0, 0.82 if at < 4 else 0.5)[1] - 12, words, color)
    lengths.ticks({math.sqrt(10): "$√10$", math.sqrt(20): "$√20$"}, zero=(1.5, 0))
    s.small(175, 286, "a divergence is never negative")
    s.small(515, 286, "the decoder was trained on the codes alone")
    return s


ALL = (vae, elbo, reparameterisation, landmarks, price, water, misprinted)
