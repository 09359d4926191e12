"""The figures of `autoencoder_mnist.py`, and the sentences that they share with its text."""

from argparse import Namespace

import numpy as np

from lib.autoencoder_tables import haze
from lib.common import Run
from lib.figures import draw_signed, error_courses
from lib.results import PIXEL
from scratchnet import plots

SHOWN, LIKE = 14, 0.03  # images in a row; errors that differ by less are called alike


def conclusion(error: dict[str, float], L: int) -> str:
    """What each network of L numbers gains over PCA, in numbers."""
    pca = error[f"{L}, PCA"]
    shares = [f"{error[name] / pca:.0%} ({name[4:]})" for name in error if name[:2] == str(L) and "PCA" not in name]
    found = f"Through {L} numbers PCA leaves {pca:.4f} {PIXEL}"
    return f"{found}; others leave {', '.join(shares)} of that" if shares else found


def depth(error: dict[str, float], arguments: Namespace) -> str:
    """Whether three hidden layers gained anything over one, as a sentence."""
    if "30, deep" not in error:
        return "The deep network was not trained."
    deep, shallow = error["30, deep"], error["30, shallow"]
    epochs = f"in {arguments.deep_epochs} epoch{'s' * (arguments.deep_epochs > 1)}"
    if abs(deep / shallow - 1) < LIKE:
        left = f"{784 * deep:.2f} and {784 * shallow:.2f} squared error/image"
        return f"Depth gained nothing {epochs}: three hidden layers leave what one leaves, {left}."
    better = "less" if deep < shallow else "more"
    return f"Three hidden layers leave {abs(1 - deep / shallow):.0%} {better} error than one {epochs}."


def parts(demo: Run, found: dict[str, np.ndarray]) -> None:
    """What 32 numbers are multiplied with: by PCA, and by the factorisation."""
    title = "PCA adds and subtracts patterns as large as a digit; matrix factorisation only adds: its parts are strokes"
    demo.figure("parts.png", draw_signed({name[4:]: images for name, images in found.items()}, title, columns=8))


def losses(demo: Run, x_test: np.ndarray, mse: np.ndarray, bce: np.ndarray) -> None:
    """The same images from the two losses, and where they differ."""
    left = {"squared error": haze(mse, x_test), "cross-entropy": haze(bce, x_test)}
    less, more = sorted(left, key=lambda name: left[name])
    title = f"Hardly to be told apart; but {less} leaves {1 - left[less] / left[more]:.0%} less haze on black pixels"
    rows = {"test image": x_test, "squared error": mse, "cross-entropy": bce, "their difference": 0.5 + bce - mse}
    demo.figure("losses.png", plots.image_rows({name: images[:SHOWN] for name, images in rows.items()}, title))


def rebuilt_images(demo: Run, x_test, rebuilt: dict, error: dict[str, float], courses: dict) -> None:
    """The same test images through 32 numbers, and through 30, each row with its error."""
    for L in (32, 30):
        names = [name for name in error if name[:2] == str(L) and not (name in courses and "start" in name)]
        rows = {f"{name[4:]}\n{error[name]:.4f}": rebuilt[name][:SHOWN] for name in names}
        best = min(names, key=lambda name: error[name])
        share = error[best] / error[f"{L}, PCA"]
        title = f"Through {L} numbers the autoencoder leaves {share:.0%} of PCA's error: it bends where PCA is straight"
        if "PCA" in best or "factor" in best:
            title = f"Through {L} numbers no autoencoder is better than PCA yet"
        demo.figure(f"images_{L}.png", plots.image_rows({"test image": x_test[:SHOWN], **rows}, title))


def courses(demo: Run, error: dict[str, float], reached: dict[str, list[float]], dead: dict[str, int]) -> None:
    """How the test errors fell, beside what PCA leaves."""
    for L in (32, 30):
        lines = {name[4:]: values for name, values in reached.items() if name[:2] == str(L) and values}
        if not lines:
            continue
        if L == 32:
            died = dead.get("32, small start, dead", 0)
            title = f"From the small start {died} of 32 numbers die, and the error stays higher" if died else ""
            title = title or "Every number of the code lives, also from the small start"
        else:
            title = "Linear layers end where PCA is; with bends one hidden layer does it, and three are no better"
            if not {"shallow", "deep"} <= lines.keys() or error["30, deep"] < (1 - LIKE) * error["30, shallow"]:
                title = "Linear layers end where PCA is; with bends the error falls far below it"
        limits = {"PCA": error[f"{L}, PCA"]} | ({"Hinton & Salakhutdinov": 3.00 / 784} if L == 30 else {})
        demo.figure(f"curves_{L}.png", error_courses(lines, limits, title, y_label=f"{PIXEL}, test images"))
