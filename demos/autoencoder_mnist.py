"""How much better is an autoencoder than PCA, on MNIST with 32 and 30 numbers an image? Two minutes on two cores.

A simple one, 784-32-784, is trained by squared error, from two starts, and by cross-entropy, and compared with 32
principal components and 32 parts of a matrix factorisation. Then networks of growing depth learn codes of 30 numbers:
linear, shallow with one hidden layer on each side, and 784-1000-500-250-30 of Hinton & Salakhutdinov (2006). The first
train for 10 epochs, the others for 6. Udacity's simple one was published after 20 (--epochs 20), PyTorch's number for
the deep one after 40 (--deep-epochs 40).
"""

import numpy as np

import scratchnet as sn
from lib import autoencoder_figures as figures
from lib.autoencoder_networks import BCE, MSE, PARTS, PCA, SMALL, Task, tasks
from lib.autoencoder_tables import IMAGE, grouped
from lib.common import Line, Run, changed_options, options, run, watched, whole_number
from lib.factors import factorise, shares
from lib.measures import principal_components, projected, squared_error
from lib.results import PIXEL, Number, reached, tables, ungrouped

UDACITY, UDACITY_EPOCHS = round(0.2356 / 20, 4), 20  # PIXEL, the last epoch's mean; printed times the batch of 20
SPREAD = 0.0004  # squared error/pixel, how far one seed's result may lie from another's
PUBLISHED = """\
Udacity's 0.0118, and PyTorch's 4.88 per image for the deep network after 40 epochs, are from PyTorch's initial weights,
as small as "small start". 3.00 is Hinton & Salakhutdinov's, of a network trained layer by layer first, then as one."""
WHICH = """\
Squared error suits values of any range, and is what PCA minimises. Cross-entropy suits pixels in [0, 1] after a
sigmoid: its gradient p − x does not vanish where the sigmoid is flat."""


def main() -> None:
    """Train every network, measure all in one unit, draw, and print what was found."""
    parser = options("autoencoder_mnist", __doc__, epochs=10, batch_size=20)
    parser.add_argument("--deep-epochs", type=whole_number, default=6, help="epochs of the networks with 30 numbers")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.deep_epochs = 1
    demo = Run("autoencoder_mnist", arguments)
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
        changed = changed_options(parser, arguments, "data", "quick", "batch_size")
        changed += ["interrupted"] * (len(courses[MSE]) < arguments.epochs)
        said = reached(training, SPREAD, changed, epochs=arguments.epochs, published=UDACITY_EPOCHS)
        print(f"{MSE}, training images: {said}")
    print(PUBLISHED)
    records = [
        {"epoch": epoch, **{name: course[epoch - 1] for name, course in courses.items() if epoch <= len(course)}}
        for epoch in range(1, max(map(len, courses.values())) + 1)
    ]
    found = {name: Number(value, PIXEL, digits=6) for name, value in error.items()}
    demo.finish(found | ungrouped(results), sn.History(records, PIXEL, interrupted))


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
    rebuilt = {f"{L}, PCA": projected(x_test, mean, components[:, :L]) for L in (32, 30)}
    rebuilt[PARTS] = shares(x_test, H) @ H
    return rebuilt, {PCA: components[:, :32].T, PARTS: H}


def error_of(model: sn.Autoencoder, x: np.ndarray) -> float:
    """Squared error per pixel, whatever loss trained the model; a linear output is not clipped, and PCA's is not."""
    if model.unit == IMAGE:
        return model.loss(x).value / x.shape[1]
    return squared_error(model.reconstruct(x), x)


if __name__ == "__main__":
    run(main)
