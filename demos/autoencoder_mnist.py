"""What does an autoencoder buy over PCA? On MNIST, with codes of 32 and 30 numbers: about two minutes on two cores.

A simple one, 784-32-784, is trained by squared error, from two starts, and by cross-entropy, beside 32 principal
components and 32 parts of a matrix factorisation. Then 30 numbers stand between networks of growing depth: linear,
shallow with one hidden layer on each side, and 784-1000-500-250-30 of Hinton & Salakhutdinov (2006). The former train
for 10 epochs, the latter for 6. Udacity's simple one was published after 20 (--epochs 20), PyTorch's number for the
deep one after 40 (--deep-epochs 40).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import scratchnet as sn
from lib import autoencoder_figures as figures
from lib.common import (
    PIXEL,
    Line,
    Number,
    Run,
    options,
    principal_components,
    reached,
    run,
    squared_error,
    started_for_relu,
    tables,
    watched,
    whole_number,
)
from lib.factors import factorise, shares
from scratchnet.core.optim import Schedule

SMALL, MSE, BCE = "32, small start", "32, by squared error", "32, by cross-entropy"
PCA, PARTS = "32, PCA", "32, matrix factorisation"
LINEAR, SHALLOW, DEEP = "30, linear", "30, shallow", "30, deep"
PEAK, DEEP_BATCH = 1e-3, 128  # Adam's learning rate; with 30 numbers it falls from there to 0, in steps of 128 images
IMAGE, NATS = "squared error/image", "nats/image"
UDACITY, UDACITY_EPOCHS = (
    round(0.2356 / 20, 4),
    20,
)  # PIXEL, the mean over the 20th epoch; printed times its batch of 20
HINTON = {"30, PCA": 13.87, DEEP: 3.00}  # squared error/image, on test images
SPREAD = 0.0004  # squared error/pixel, how far one seed's result may lie from another's
COMPARABLE = ("data", "quick", "batch_size")
PUBLISHED = """\
Udacity's 0.0118, and PyTorch's 4.88 per image for the deep network after 40 epochs, come from PyTorch's start, as small
as "small start". 3.00 is Hinton & Salakhutdinov's: trained layer by layer first, and then as a whole."""
WHICH = """\
Squared error suits values of any range, and is what PCA minimises. Cross-entropy suits pixels in [0, 1] after a
sigmoid: its gradient p − x does not vanish where the sigmoid is flat."""


@dataclass(frozen=True)
class Task:
    """A network, and how it is trained."""

    model: sn.Autoencoder
    epochs: int
    batch_size: int
    learning_rate: float | Schedule


def main() -> None:
    """Train every network, measure all in one unit, draw, and say what came of it."""
    parser = options("autoencoder_mnist", __doc__, epochs=10, batch_size=20)
    parser.add_argument("--deep-epochs", type=whole_number, default=6, help="epochs of the networks with 30 numbers")
    arguments = parser.parse_args()
    demo = Run("autoencoder_mnist", arguments)
    if arguments.quick:
        arguments.deep_epochs = 1
    x, _ = demo.images("train")
    x_test, _ = demo.images("test")
    rng = np.random.default_rng(arguments.seed)
    rebuilt, parts = by_components(x, x_test, np.random.default_rng(arguments.seed))
    figures.parts(demo, parts)
    error = {name: squared_error(images, x_test) for name, images in rebuilt.items()}

    courses: dict[str, list[float]] = {}  # of each network, the test error after each epoch
    dead: dict[str, Number] = {}  # numbers of the code that are 0 for every test image
    training, interrupted = None, False
    for name, task in tasks(arguments, x, rng).items():
        history = train(demo, name, task, x, x_test, rng)
        courses[name] = history["test"]
        rebuilt[name], error[name] = task.model.reconstruct(x_test), error_of(task.model, x_test)
        sn.save(demo.path(f"{name.replace(', ', '_').replace(' ', '_')}.npz"), task.model)
        if name in (SMALL, MSE, BCE):
            count = int((task.model.encode(x_test).max(axis=0) == 0).sum())
            dead[f"{name}, dead"] = Number(count, "of 32 numbers", digits=0)
        if name == MSE and history.epochs:
            training = Number(history["loss"][-1] / x.shape[1], PIXEL, published=UDACITY, digits=4)
        if name == BCE:
            figures.losses(demo, x_test, rebuilt[MSE], rebuilt[BCE])
        if interrupted := history.interrupted:
            print(f"Interrupted at {name}: what follows is what was reached.")
            break
    figures.rebuilt_images(demo, x_test, rebuilt, error, courses)
    figures.courses(demo, error, courses, {name: int(number.value) for name, number in dead.items()})

    results = grouped(error, dead, training, rebuilt, x_test)
    print(f"\n{tables(results)}\n\n{WHICH}\n\n{figures.conclusion(error, 32)}.\n{figures.conclusion(error, 30)}.")
    print(figures.depth(error, arguments))
    if training:
        changed = [name for name in COMPARABLE if getattr(arguments, name) != parser.get_default(name)]
        changed += ["interrupted"] * (len(courses[MSE]) < arguments.epochs)
        how = {"epochs": arguments.epochs, "published": UDACITY_EPOCHS, "option": "--epochs 20"}
        print(f"{MSE}, training images: {reached(training, SPREAD, changed, **how)}")
    print(PUBLISHED)
    records = [
        {"epoch": epoch, **{name: course[epoch - 1] for name, course in courses.items() if epoch <= len(course)}}
        for epoch in range(1, max(map(len, courses.values())) + 1)
    ]
    found = {name: Number(value, PIXEL, digits=6) for name, value in error.items()}
    found |= {name: one for group in results.values() for name, one in group.items()}
    demo.finish(found, sn.History(records, PIXEL, interrupted))


def grouped(error: dict[str, float], dead, training: Number | None, rebuilt, x_test) -> dict[str, dict[str, Number]]:
    """The results in tables, by the sentence that says what to see in each."""
    small = {name: Number(value, PIXEL, digits=6) for name, value in error.items() if name[:2] == "32"}
    if training:
        small["32, training images"] = training
    deep = {
        f"{name}, per image": Number(value * x_test.shape[1], IMAGE, published=HINTON.get(name))
        for name, value in error.items()
        if name[:2] == "30"
    }
    crossed = {}
    for name in (one for one in (MSE, BCE) if one in rebuilt):
        crossed[f"{name}, cross-entropy"] = Number(nats(rebuilt[name], x_test), NATS)
        crossed[f"{name}, black pixels"] = Number(haze(rebuilt[name], x_test), "mean", digits=4)
    return {
        "What test images lose through 32 numbers: compare with PCA.": small,
        "Numbers of the code that are 0 for every test image: a wider start should keep them alive.": dead,
        "Two losses, by the measure of one of them; and black pixels, which should come back as 0.": crossed,
        "What test images lose through 30 numbers: linear layers can at best be PCA.": deep,
    }


def nats(images: np.ndarray, x: np.ndarray) -> float:
    """The cross-entropy of decoded images, in nats/image."""
    p = np.clip(images.astype(np.float64), 1e-7, 1 - 1e-7)
    return -np.sum(x * np.log(p) + (1 - x) * np.log1p(-p)).item() / len(x)


def haze(images: np.ndarray, x: np.ndarray) -> float:
    """What pixels that are black come back as, on average."""
    return images[x == 0].mean(dtype=np.float64).item()


def tasks(arguments, x: np.ndarray, rng: np.random.Generator) -> dict[str, Task]:
    """The networks by name, in the order of their training."""
    D = x.shape[1]
    relu, sigmoid = [sn.ReLU()], [sn.Sigmoid()]
    simple = {
        SMALL: autoencoder((D, 32), rng, code=relu, pixels=sigmoid, start=sn.Sequential),
        MSE: autoencoder((D, 32), rng, code=relu, pixels=sigmoid),
        BCE: autoencoder((D, 32), rng, code=relu, loss=sn.bce_with_logits),
    }
    deep = {
        LINEAR: autoencoder((D, 30), rng),
        SHALLOW: autoencoder((D, 1000, 30), rng, pixels=sigmoid),
        DEEP: autoencoder((D, 1000, 500, 250, 30), rng, pixels=sigmoid),
    }
    fall = sn.schedules.cosine(PEAK, arguments.deep_epochs * math.ceil(len(x) / DEEP_BATCH))
    return {name: Task(model, arguments.epochs, arguments.batch_size, PEAK) for name, model in simple.items()} | {
        name: Task(model, arguments.deep_epochs, DEEP_BATCH, fall) for name, model in deep.items()
    }


def autoencoder(
    widths: tuple[int, ...], rng: np.random.Generator, *, code=(), pixels=(), loss=sn.mse, start=started_for_relu
) -> sn.Autoencoder:
    """Dense layers of these widths down to the code and back up, a ReLU between any two."""

    def stack(widths: tuple[int, ...], last: Sequence[sn.Layer]) -> sn.Sequential:
        layers: list[sn.Layer] = []
        for a, b in itertools.pairwise(widths):
            layers += [sn.Dense(a, b, rng=rng), sn.ReLU()]
        return start(*layers[:-1], *last)

    return sn.Autoencoder(stack(widths, code), stack(widths[::-1], pixels), loss=loss)


def train(demo: Run, name: str, task: Task, x: np.ndarray, x_test: np.ndarray, rng) -> sn.History:
    """Train one network; after each epoch its test error is printed and added to its history."""

    def measure(record: dict[str, float]) -> str:
        record["test"] = error_of(task.model, x_test)
        return f"{name:20} epoch {record['epoch']:>2}/{task.epochs}  test {record['test']:.6f} {PIXEL}"

    return sn.fit(
        task.model,
        x,
        optimizer=sn.Adam(task.learning_rate),
        epochs=task.epochs,
        batch_size=task.batch_size,
        rng=rng,
        **watched(Line(measure)),
        checkpoint=demo.checkpoint(name),
    )


def by_components(x: np.ndarray, x_test: np.ndarray, rng) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The test images through principal components, and parts, of the training images; and those of 32, (32, D)."""
    mean, components = principal_components(x)
    H = factorise(x, 32, rng)
    rebuilt = {f"{L}, PCA": (x_test - mean) @ components[:, :L] @ components[:, :L].T + mean for L in (32, 30)}
    rebuilt[PARTS] = shares(x_test, H) @ H
    return rebuilt, {PCA: components[:, :32].T, PARTS: H}


def error_of(model: sn.Autoencoder, x: np.ndarray) -> float:
    """Squared error per pixel, whatever loss trained the model; a linear output is not clipped, and PCA's is not."""
    if model.unit == IMAGE:
        return model.loss(x).value / x.shape[1]
    return squared_error(model.reconstruct(x), x)


if __name__ == "__main__":
    run(main)
