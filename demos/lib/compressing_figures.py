"""The figures of `compressing.py`, and the sentence that they share with its text."""

import math

import numpy as np

from lib.codec import Codec, Curve, psnr, quality_at
from lib.common import Run
from lib.measures import squared_error
from scratchnet import plots

SHOWN_RATE, SHOWN = 0.1, 14  # bits/pixel of the images that are shown, and how many they are
LEAST, NEAR = 0.02, 0.2  # bits/pixel below which nothing is said; dB that do not count


def at_rate(codecs: list[Codec], found: list[np.ndarray], x_test: np.ndarray) -> tuple[str, float, np.ndarray]:
    """The test images at SHOWN_RATE, by the code that is best there on validation images: its name, the PSNR, they."""
    falling = [rows[::-1].T for rows in found]  # steps from coarse to fine: rates rise
    best = int(np.argmin([np.interp(SHOWN_RATE, rates, errors) for _, rates, errors, _, _ in falling]))
    steps, rates, *_ = falling[best]
    send = codecs[best].at(math.exp(np.interp(SHOWN_RATE, rates, np.log(steps))))
    rate, images = send(codecs[best].encode(x_test))
    quality = psnr(squared_error(images, x_test))
    return f"{len(codecs[best].gains)} numbers,\n{rate:.3f} bits/pixel, {quality:.1f} dB", quality, images[:SHOWN]


def conclusion(curves: dict[str, Curve]) -> str:
    """Which family is best at which rate; one that is passed by no more than NEAR still counts as best."""
    rates = np.geomspace(LEAST, max(curve[0].max() for curve in curves.values()), 400)
    quality = {family: quality_at(rates, curve) for family, curve in curves.items()}
    best, parts = "", []
    for i, rate in enumerate(rates):
        first = max(quality, key=lambda family: quality[family][i])
        if not best or quality[first][i] > quality[best][i] + NEAR:
            parts += [f"{best} codes up to {rate:.2f} bits/pixel"] if best else []
            best = first
    parts.append(f"{best} codes {'above' if parts else 'at every rate'}")
    return f"The best digits at equal bits, to {NEAR} dB: {', '.join(parts)}"


def draw(demo: Run, x_test: np.ndarray, curves: dict[str, Curve], shown: dict, said: str, lossless: float) -> None:
    """The curves, and images at one rate."""
    rates = np.linspace(LEAST, max(curve[0].max() for curve in curves.values()), 300)
    lines = {family: (rates, quality_at(rates, curve)) for family, curve in curves.items()}
    x_label = f"bits/pixel (without loss, zlib takes {lossless:.2f})"
    demo.figure("rates.png", plots.lines(lines, said, x_label=x_label, y_label="PSNR (dB), test images"))

    rows = {f"{family}, {label}": images for family, (label, _, images) in shown.items()}
    best = max(shown, key=lambda family: shown[family][1])
    title = f"At {SHOWN_RATE} bits/pixel the {best} code leaves the best digits: {shown[best][1]:.1f} dB"
    demo.figure("images.png", plots.image_rows({"test image": x_test[:SHOWN], **rows}, title))
