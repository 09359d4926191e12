"""A published convolutional denoiser of MNIST, also at noise that it never saw: three minutes on two cores.

It trains for 4 of its 20 epochs (--epochs 20 is the whole, a quarter of an hour), on one --corruption at one strength.
Beside it two dense networks: one has as many parameters, the other takes as many products an image. Then all mend
images that are spoilt less and more than in training. With --corruption downsample it is super-resolution, the task of
RAISR (Romano, Isidoro & Milanfar 2016): images of 7 × 7 pixels are enlarged, beside bicubic interpolation.

The published loss is a mean over pixels; `sn.mse` sums them. Adam's steps stay the same if a loss is multiplied by 784,
and ε too, so that is done. The images are shuffled, which the published training did not do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import scratchnet as sn
from lib.codec import psnr
from lib.common import (
    PIXEL,
    Line,
    Number,
    Run,
    epoch_line,
    in_parts,
    options,
    reached,
    run,
    squared_error,
    watched,
)
from lib.enlarging import bicubic
from lib.figures import beside_pytorch, named_lines
from scratchnet import plots
from scratchnet.corruption import Downsample, GaussianNoise, Masking, SaltAndPepper

QUICK_TRAIN = 500
PUBLISHED_EPOCHS = 20
PUBLISHED = 0.0261  # PIXEL, the mean over the 20th epoch's training images; printed as 0.5222, times the batch of 20
SPREAD = 0.0008  # PIXEL, how far one seed's result may lie from another's
PYTORCH = (0.0369, 0.0333, 0.0321, 0.0299)  # PIXEL, on test images after 1, 2, … epochs of the same network in PyTorch
CONV = "convolutional"  # 9,585 parameters, 1,842,880 products an image
DENSE = {"dense, 6 hidden": 6, "dense, 1175 hidden": 1175}  # about as many parameters; about as many products
SEEN = "seen"  # nothing done


@dataclass(frozen=True)
class Kind:
    """A corruption at any level; the level in training, and those to test at."""

    corrupt: Callable
    trained: float
    levels: tuple[float, ...]
    level: str


KINDS = {
    "gaussian": Kind(GaussianNoise, 0.5, (0, 0.25, 0.5, 0.75, 1), "standard deviation of the noise"),
    "masking": Kind(Masking, 0.5, (0, 0.25, 0.5, 0.75, 0.9), "share of pixels that are lost"),
    "salt-and-pepper": Kind(SaltAndPepper, 0.5, (0, 0.25, 0.5, 0.75, 0.9), "share of pixels that are salt or pepper"),
    "downsample": Kind(lambda side: Downsample(side, (28, 28)), 4, (1, 2, 4, 7, 14), "side of a block in pixels"),
}


def main() -> None:
    """Train the three networks, test them at every level, draw, and say what came of it."""
    parser = options("denoising_mnist", __doc__, epochs=4, batch_size=20, quick_train=QUICK_TRAIN)
    parser.add_argument("--corruption", choices=list(KINDS), default="gaussian", help="what spoils the images")
    arguments = parser.parse_args()
    demo, kind = Run("denoising_mnist", arguments, QUICK_TRAIN), KINDS[arguments.corruption]
    x, _ = demo.images("train")
    x_test, labels = demo.images("test")
    rng, rng_of_test = np.random.default_rng(arguments.seed).spawn(2)
    seen = {level: kind.corrupt(level)(x_test, rng_of_test) for level in kind.levels}
    names = ("data", "quick", "batch_size", "corruption")
    changed = [name for name in names if getattr(arguments, name) != parser.get_default(name)]
    pytorch = () if changed else PYTORCH
    print(f"{len(x):,} images to train on, {len(x_test):,} to test.\n")

    history, models = sn.History(unit="squared error/image"), {}
    for name in (CONV, *DENSE):
        models[name] = model = build(name, kind.corrupt(kind.trained), rng)
        print(f"{name}: {len(model.parameters):,} parameters")
        course = sn.fit(
            model,
            x,
            optimizer=sn.Adam(1e-3, epsilon=784e-8),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            rng=rng,
            validation=x_test,
            **watched(Line(partial(epoch_line, epochs=arguments.epochs, x=x, pytorch=pytorch if name == CONV else ()))),
            checkpoint=demo.checkpoint(name),
        )
        history.epochs += [{"network": name, **record} for record in course.epochs]
        if course.interrupted:
            history.interrupted = True
            print(f"Interrupted at the {name} network: what follows is what was reached.")
            break
    sn.save(demo.path("model.npz"), models[CONV])

    errors, mended = {SEEN: [squared_error(images, x_test) for images in seen.values()]}, {}
    for name, model in models.items():
        mended[name] = {level: in_parts(model.reconstruct, images) for level, images in seen.items()}
        errors[name] = [squared_error(images, x_test) for images in mended[name].values()]
    results = {
        f"{name} at {level:g}": Number(error, PIXEL, digits=5)
        for name in errors
        for level, error in zip(kind.levels, errors[name], strict=True)
    }
    losses = [record["loss"] / x.shape[1] for record in history.epochs if record["network"] == CONV]
    published = PUBLISHED if arguments.corruption == "gaussian" else None
    training = Number(losses[-1] if losses else float("inf"), PIXEL, digits=5, published=published)
    if losses:
        results["convolutional, training"] = training
    said = conclusion(kind, errors)
    print(f"\nSquared error/pixel of test images, by the {kind.level}. {said}\n{by_level(kind, errors)}\n")
    draw(demo, kind, x_test, labels, seen, mended, errors, history, pytorch)
    if arguments.corruption == "downsample":
        enlarged = {"bicubic": bicubic(seen[kind.trained], int(kind.trained)), "network": mended[CONV][kind.trained]}
        found = {name: psnr(squared_error(images, x_test)) for name, images in enlarged.items()}
        results |= {f"PSNR, {name}": Number(value, "dB") for name, value in found.items()}
        draw_enlarged(demo, x_test, labels, seen[kind.trained], enlarged, found)
        ahead = found["network"] - found["bicubic"]
        print(f"Enlarging 7 × 7 to 28 × 28 pixels, the network is {ahead:+.1f} dB from bicubic interpolation.")
    if losses and published:
        print(f"The convolutional network in training, last epoch: {losses[-1]:.5f} {PIXEL}; published {published}.")
    changed += ["interrupted"] * history.interrupted
    epochs = {"epochs": arguments.epochs, "published": PUBLISHED_EPOCHS, "option": f"--epochs {PUBLISHED_EPOCHS}"}
    print(reached(training, SPREAD, changed, **epochs))
    demo.finish(results, history)


def by_level(kind: Kind, errors: dict[str, list[float]]) -> str:
    """The errors in a table: a row for each level, a column for each method."""
    lines = ["".join(f"{name:>20}" for name in ("", *errors))]
    for i, level in enumerate(kind.levels):
        lines.append(f"{level:>20g}" + "".join(f"{error[i]:>20.5f}" for error in errors.values()))
    return "\n".join(lines)


def build(name: str, corrupt: Callable | None, rng: np.random.Generator) -> sn.Autoencoder:
    """The network of that name, not yet trained."""
    if H := DENSE.get(name):
        down, up = [sn.Dense(784, H, rng=rng), sn.ReLU()], [sn.Dense(H, 784, rng=rng), sn.Sigmoid()]
        return sn.Autoencoder(sn.Sequential(*down), sn.Sequential(*up), corrupt=corrupt)
    down: list[sn.Layer] = [sn.Reshape((1, 28, 28))]
    for a, b in ((1, 32), (32, 16), (16, 8)):  # 28 → 14 → 7 → 3 rows
        down += [sn.Conv2D(a, b, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2)]
    up: list[sn.Layer] = [sn.Reshape((8, 3, 3))]
    for a, b, kernel in ((8, 8, 3), (8, 16, 2), (16, 32, 2)):  # 3 → 7 → 14 → 28 rows
        up += [sn.ConvTranspose2D(a, b, kernel, stride=2, rng=rng), sn.ReLU()]
    up += [sn.Conv2D(32, 1, 3, padding=1, rng=rng), sn.Sigmoid(), sn.Flatten()]
    return sn.Autoencoder(sn.Sequential(*down, sn.Flatten()), sn.Sequential(*up), corrupt=corrupt)


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
    said = f"Trained at {kind.trained:g} alone, the convolutional network mends at {better[True] or 'no level'}"
    return said + (f" and does harm at {better[False]}." if better[False] else ", and harms nowhere.")


def draw(demo: Run, kind: Kind, x_test, labels, seen, mended, errors, history: sn.History, pytorch) -> None:
    """Every figure."""
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
    """RAISR's picture: small, enlarged by interpolation, enlarged by what was learnt, original."""
    shown = first_of_each(labels)
    rows = {"7 × 7 pixels": small[shown]}
    rows |= {f"{name}\n{found[name]:.1f} dB": images[shown] for name, images in enlarged.items()}
    ahead = found["network"] - found["bicubic"]
    title = f"RAISR's task: what was learnt from digits is worth {ahead:.1f} dB over bicubic interpolation"
    if ahead <= 0:
        title = "RAISR's task: the network has not yet learnt more than bicubic interpolation knows"
    demo.figure("super_resolution.png", plots.image_rows(rows | {"original": x_test[shown]}, title))


def first_of_each(labels: np.ndarray) -> np.ndarray:
    """The index of the first image of each digit."""
    return np.array([np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)])


if __name__ == "__main__":
    run(main)
