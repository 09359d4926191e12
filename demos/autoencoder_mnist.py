"""What does an autoencoder buy over PCA? On MNIST, with codes of 32 and 30 numbers: about three minutes on two cores.

A simple one, 784-32-784, is trained by squared error, from two starts, and by cross-entropy, beside 32 principal
components. Then 30 numbers stand between networks of growing depth: linear, shallow with one hidden layer on each side,
and 784-1000-500-250-30 of Hinton & Salakhutdinov (2006). These train for 10 epochs. PyTorch's number for the last one
took 40; so does --deep-epochs 40.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import scratchnet as sn
from lib.common import (
    PIXEL,
    Line,
    Number,
    Run,
    options,
    principal_components,
    run,
    squared_error,
    started_for_relu,
    table,
    verdict,
    watched,
    whole_number,
)
from scratchnet import plots
from scratchnet.core.optim import Schedule

SMALL, MSE, BCE = "32, small start", "32, by squared error", "32, by cross-entropy"
LINEAR, SHALLOW, DEEP = "30, linear", "30, shallow", "30, deep"
PEAK, DEEP_BATCH = 1e-3, 128  # Adam's learning rate; with 30 numbers it falls from there to 0, in steps of 128 images
IMAGE = "squared error/image"
UDACITY = round(0.2356 / 20, 4)  # squared error/pixel, the mean over the 20th epoch; printed times the batch of 20
HINTON = {"30, PCA": 13.87, DEEP: 3.00}  # squared error/image, on test images
SPREAD = 0.0004  # squared error/pixel, how far one seed's result may lie from another's
COMPARABLE = ("data", "quick", "epochs", "batch_size")
SHOWN = 14
PUBLISHED = """\
Udacity's 0.0118, and PyTorch's 4.88 per image for the deep network after 40 epochs, come from PyTorch's start, as small
as "small start". 3.00 is Hinton & Salakhutdinov's: trained layer by layer first, and then as a whole."""


@dataclass(frozen=True)
class Task:
    """A network, and how it is trained."""

    model: sn.Autoencoder
    epochs: int
    batch_size: int
    learning_rate: float | Schedule


def main() -> None:
    """Train every network, measure all in one unit, draw, and say what came of it."""
    parser = options("autoencoder_mnist", __doc__, epochs=20, batch_size=20)
    parser.add_argument("--deep-epochs", type=whole_number, default=10, help="epochs of the networks with 30 numbers")
    arguments = parser.parse_args()
    demo = Run("autoencoder_mnist", arguments)
    if arguments.quick:
        arguments.deep_epochs = 1
    x, _ = demo.images("train")
    x_test, _ = demo.images("test")
    rng = np.random.default_rng(arguments.seed)
    rebuilt = by_components(x, x_test)
    error = {name: squared_error(images, x_test) for name, images in rebuilt.items()}

    courses: dict[str, list[float]] = {}  # of each network, the test error after each epoch
    dead: dict[str, int] = {}  # numbers of the code that are 0 for every test image
    training_error, interrupted = None, False
    for name, task in tasks(arguments, x, rng).items():
        history = train(demo, name, task, x, x_test, rng)
        courses[name] = history["test"]
        rebuilt[name], error[name] = task.model.reconstruct(x_test), error_of(task.model, x_test)
        sn.save(demo.path(f"{name.replace(', ', '_').replace(' ', '_')}.npz"), task.model)
        if name in (SMALL, MSE, BCE):
            dead[name] = int((task.model.encode(x_test).max(axis=0) == 0).sum())
        if name == MSE and history.epochs:
            training_error = Number(history["loss"][-1] / x.shape[1], PIXEL, published=UDACITY, digits=4)
        if interrupted := history.interrupted:
            print(f"Interrupted at {name}: what follows is what was reached.")
            break

    results = {name: Number(value, PIXEL, digits=6) for name, value in error.items()}
    if training_error:
        results["32, training images"] = training_error
    for name in (name for name in error if name[:2] == "30"):
        results[f"{name}, per image"] = Number(error[name] * x.shape[1], IMAGE, published=HINTON.get(name))
    results |= {f"{name}, dead": Number(count, "of 32 numbers", digits=0) for name, count in dead.items()}
    draw(demo, x_test, rebuilt, error, courses)
    print(f"\n{table(results)}\n\n{conclusion(error, 32)}.\n{conclusion(error, 30)}.")
    if training_error:
        changed = [name for name in COMPARABLE if getattr(arguments, name) != parser.get_default(name)]
        changed += ["interrupted"] * (len(courses[MSE]) < arguments.epochs)
        print(f"{MSE}, training images: {verdict(training_error, SPREAD, changed, lower=True)}")
    print(PUBLISHED)
    records = [
        {"epoch": epoch, **{name: course[epoch - 1] for name, course in courses.items() if epoch <= len(course)}}
        for epoch in range(1, max(map(len, courses.values())) + 1)
    ]
    demo.finish(results, sn.History(records, PIXEL, interrupted))


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


def by_components(x: np.ndarray, x_test: np.ndarray) -> dict[str, np.ndarray]:
    """The test images through the first 32, and 30, principal components of the training images, and back."""
    mean, components = principal_components(x)
    return {f"{L}, PCA": (x_test - mean) @ components[:, :L] @ components[:, :L].T + mean for L in (32, 30)}


def error_of(model: sn.Autoencoder, x: np.ndarray) -> float:
    """Squared error per pixel, whatever loss trained the model; a linear output is not clipped, and PCA's is not."""
    if model.unit == IMAGE:
        return model.loss(x).value / x.shape[1]
    return squared_error(model.reconstruct(x), x)


def conclusion(error: dict[str, float], L: int) -> str:
    """What each network of L numbers buys over PCA, in numbers."""
    pca = error[f"{L}, PCA"]
    shares = [f"{error[name] / pca:.0%} ({name[4:]})" for name in error if name[:2] == str(L) and "PCA" not in name]
    found = f"Through {L} numbers PCA leaves {pca:.4f} {PIXEL}"
    return f"{found}; autoencoders leave {', '.join(shares)} of that" if shares else found


def draw(demo: Run, x_test: np.ndarray, rebuilt: dict, error: dict[str, float], courses: dict) -> None:
    """For 32 numbers and for 30: images, and the errors as they fell."""
    for L in (32, 30):
        reached = [name for name in courses if name[:2] == str(L)]
        rows = {f"{name[4:]}: {error[name]:.4f}": rebuilt[name][:SHOWN] for name in (f"{L}, PCA", *reached)}
        demo.figure(f"images_{L}.png", plots.image_rows({"test image": x_test[:SHOWN], **rows}, conclusion(error, L)))

        last = max((len(courses[name]) for name in reached), default=0)
        limits = {"PCA": error[f"{L}, PCA"]}
        if L == 30:
            limits["Hinton & Salakhutdinov"] = HINTON[DEEP] / x_test.shape[1]
        lines = {name[4:]: (np.arange(1, len(courses[name]) + 1), np.array(courses[name])) for name in reached}
        lines |= {name: (np.array([1, last]), np.full(2, limit)) for name, limit in limits.items()}
        y_label, dots = f"{PIXEL}, test images", lines if last == 1 else ()  # a line needs two epochs
        if last:
            figure = plots.lines(lines, conclusion(error, L), x_label="epoch", y_label=y_label, dots=dots)
            demo.figure(f"curves_{L}.png", figure)


if __name__ == "__main__":
    run(main)
