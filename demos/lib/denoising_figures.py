"""The figures of `denoising_mnist.py`, its table, and the sentence above it."""

import numpy as np

import scratchnet as sn
from lib.common import Run
from lib.corruptions import Kind
from lib.denoising_networks import CONV
from lib.figures import beside_pytorch, named_lines
from lib.measures import first_of_each
from lib.results import PIXEL
from scratchnet import plots

SEEN = "seen"  # the images as they are before any network mends them


def by_level(kind: Kind, errors: dict[str, list[float]]) -> str:
    """The errors in a table: a row for each level, a column for each method."""
    lines = ["".join(f"{name:>20}" for name in ("", *errors))]
    for i, level in enumerate(kind.levels):
        lines.append(f"{level:>20g}" + "".join(f"{error[i]:>20.5f}" for error in errors.values()))
    return "\n".join(lines)


def conclusion(kind: Kind, errors: dict[str, list[float]]) -> str:
    """At which levels the convolutional network leaves less than was there, as a sentence."""
    better = {
        good: ", ".join(
            f"{level:g}"
            for level, left, there in zip(kind.levels, errors[CONV], errors[SEEN], strict=True)
            if (left < there) == good
        )
        for good in (True, False)
    }
    said = f"Trained at {kind.trained:g} alone, the convolutional network helps at {better[True] or 'no level'}"
    return said + (f" and does harm at {better[False]}." if better[False] else ".")


def draw(demo: Run, kind: Kind, x_test, labels, seen, mended, errors, history: sn.History, pytorch) -> None:
    """Every figure that any corruption has."""
    shown = first_of_each(labels)
    rows = {SEEN: seen[kind.trained], **{name: images[kind.trained] for name, images in mended.items()}}
    left = {name: error[kind.levels.index(kind.trained)] for name, error in errors.items()}
    rows = {f"{name}\n{left[name]:.4f}": images[shown] for name, images in rows.items()}
    share = left[CONV] / left[SEEN]
    title = f"The convolutional network removes {1 - share:.0%} of the squared error; what it can't know is blurred"
    demo.figure("mended.png", plots.image_rows(rows | {"clean": x_test[shown]}, title))

    curves = {name: (np.array(kind.levels), np.array(error)) for name, error in errors.items()}
    pairs = zip(kind.levels, errors[CONV], errors[SEEN], strict=True)
    helped = {level: one < other for level, one, other in pairs if level != kind.trained}
    harmed = ", ".join(f"{level:g}" for level, better in helped.items() if not better)
    some = "" if any(helped.values()) else "no "
    title = f"Trained at {kind.trained:g} alone, the network helps at {some}levels it never saw"
    title += f", and harms at {harmed}" * bool(harmed)
    demo.figure("levels.png", named_lines(curves, title, x_label=kind.level, y_label=f"{PIXEL}, test images"))

    course = [record for record in history.epochs if record["network"] == CONV]
    if course:
        demo.figure("curves.png", beside_pytorch(course, x_test.shape[1], pytorch, y_label=PIXEL))


def draw_enlarged(demo: Run, x_test, labels, small, enlarged: dict[str, np.ndarray], found: dict[str, float]) -> None:
    """RAISR's picture: small, enlarged by interpolation, enlarged by what was learnt, original; `found` is in dB."""
    shown = first_of_each(labels)
    rows = {"7 × 7 pixels": small[shown]}
    rows |= {f"{name}\n{found[name]:.1f} dB": images[shown] for name, images in enlarged.items()}
    ahead = found["network"] - found["bicubic"]
    title = f"RAISR's task: what was learnt from digits is worth {ahead:.1f} dB over bicubic interpolation"
    if ahead <= 0:
        title = "RAISR's task: the network has not yet learnt more than bicubic interpolation knows"
    demo.figure("super_resolution.png", plots.image_rows(rows | {"original": x_test[shown]}, title))
