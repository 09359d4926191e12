"""Two published convolutional autoencoders on MNIST, and what their codes are good for: a minute and a half.

--network udacity keeps 196 numbers of an image with 1,077 parameters, --network dl4g keeps 10 with 396,171. Each trains
as it was published, but not as long: udacity for 12 of its 30 epochs, which is enough (--epochs 30 is the whole), and
dl4g for 4 of its 50 (--epochs 50, half an hour). Figures show reconstructions beside those of PCA, walks between
digits, and digits drawn from a normal fitted to the codes.

Published losses are means over pixels; `sn.mse` sums them. Adam's steps stay the same if a loss is multiplied by c, and
ε and the weight decay too, so that is done. The networks are trained on shuffled images, also Udacity's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import scratchnet as sn
from lib.common import (
    PIXEL,
    Line,
    Number,
    Run,
    epoch_line,
    in_parts,
    nearest,
    options,
    principal_components,
    reached,
    run,
    squared_error,
    started_for_relu,
    tables,
    watched,
)
from lib.figures import beside_pytorch, images_and_histograms
from lib.walks import beside_fade
from scratchnet import plots

QUICK_TRAIN = 1_000
CODE, LIT = 4, 0.1307  # where Udacity's codes start; the mean of MNIST's training pixels
DRAWS, SHOWN = 600, 12
MOST = 0.95  # a draw is near if it is as near to a training image as this share of rebuilt test images


class Affine(sn.Layer):
    """y = a x + b with fixed numbers a and b: from one range of pixels to another."""

    def __init__(self, a: float, b: float):
        self.a, self.b = a, b

    def forward(self, x):
        """Compute y from x, and return it with the way back."""
        y = self.a * x + self.b  # y = a x + b

        def backward(dy):
            return self.a * dy  # dx = a dy

        return y, backward


def udacity(rng: np.random.Generator) -> sn.Autoencoder:
    """Convolutions 1-16-4, each with a max-pooling, to 4 × 7 × 7 numbers, and transposed ones 4-16-1 back.

    The publication does not fix the start, and it decides how many of the code's four channels live (chapter 07).
    """
    down = [sn.Conv2D(1, 16, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2)]
    down += [code := sn.Conv2D(16, 4, 3, padding=1, rng=rng), sn.ReLU(), sn.MaxPool2D(2)]
    up = [sn.ConvTranspose2D(4, 16, 2, stride=2, rng=rng), sn.ReLU()]
    up += [last := sn.ConvTranspose2D(16, 1, 2, stride=2, rng=rng), sn.Sigmoid()]
    encoder = started_for_relu(sn.Reshape((1, 28, 28)), *down, sn.Flatten())
    decoder = started_for_relu(sn.Reshape((4, 7, 7)), *up, sn.Flatten())
    code.b[...] = CODE  # far from the bend: at first all codes are linear in what they see
    last.W[...] = -np.abs(last.W)  # what is drawn darkens: the background, most of an image, wants it to live
    logits, _ = sn.Sequential(*up[:-1]).forward(np.full((1, 4, 7, 7), CODE, np.float32))
    last.b[...] = np.log(LIT / (1 - LIT)) - logits.mean()  # and what is drawn is dark from the start
    return sn.Autoencoder(encoder, decoder)


def dl4g(rng: np.random.Generator) -> sn.Autoencoder:
    """Convolutions 1-64-128 at stride 2, dense to 10 numbers, and all mirrored; inside, pixels lie in [−1, 1]."""
    how = {"stride": 2, "padding": 1, "rng": rng}
    down = [sn.Conv2D(1, 64, 4, **how), sn.ReLU(), sn.Conv2D(64, 128, 4, **how), sn.ReLU()]
    up = [sn.ConvTranspose2D(128, 64, 4, **how), sn.ReLU(), sn.ConvTranspose2D(64, 1, 4, **how), sn.Tanh()]
    rows = 128 * 7 * 7
    return sn.Autoencoder(
        sn.Sequential(Affine(2, -1), sn.Reshape((1, 28, 28)), *down, sn.Flatten(), sn.Dense(rows, 10, rng=rng)),
        sn.Sequential(sn.Dense(10, rows, rng=rng), sn.Reshape((128, 7, 7)), *up, sn.Flatten(), Affine(0.5, 0.5)),
    )


@dataclass(frozen=True)
class Published:
    """A network, how it was trained, and what came of it."""

    build: Callable[[np.random.Generator], sn.Autoencoder]
    parameters: int
    epochs: int
    default_epochs: int
    batch_size: int
    scale: float  # our loss over the published one
    error: float  # after all epochs
    on: str  # these images
    spread: float  # how far one seed's result may lie from another's
    pytorch: tuple[float, ...]  # the error on test images after 1, 2, … epochs of the same network in PyTorch
    weight_decay: float = 0.0
    start: str = "As its layers start here."


NETWORKS = {
    # printed as 0.1652, which is times the batch of 20: the mean over the 30th epoch
    "udacity": Published(
        udacity,
        1_077,
        30,
        12,
        20,
        784,
        0.0083,
        "training",
        0.0006,
        (0.0138, 0.0121, 0.0107, 0.01, 0.0097, 0.00945),
        start="Ours, as none is published: from PyTorch's and our layers' own, some seeds lose part of the code.",
    ),
    # printed as 0.0481 for pixels in [−1, 1], whose differences are twice as large, so their squares four times
    "dl4g": Published(
        dl4g, 396_171, 50, 4, 128, 784 / 4, 0.012, "test", 0.0003, (0.0192, 0.0166, 0.0153, 0.0147), weight_decay=1e-5
    ),
}


def main() -> None:
    """Train, test, draw, and say whether the result is good."""
    parser = options("conv_autoencoder_mnist", __doc__, epochs=12, batch_size=20, quick_train=QUICK_TRAIN)
    about = "which; dl4g has a folder of its own, and defaults of 4 epochs and batches of 128"
    parser.add_argument("--network", choices=list(NETWORKS), default="udacity", help=about)
    name = parser.parse_known_args()[0].network
    published = NETWORKS[name]
    parser.set_defaults(epochs=published.default_epochs, batch_size=published.batch_size)
    if name != parser.get_default("network"):
        parser.set_defaults(out=parser.get_default("out") / name)
    arguments = parser.parse_args()
    demo = Run("conv_autoencoder_mnist", arguments, QUICK_TRAIN)
    x, _ = demo.images("train")
    x_test, labels = demo.images("test")
    rng, rng_of_draws = np.random.default_rng(arguments.seed).spawn(2)
    changed = [name for name in ("data", "quick", "batch_size") if getattr(arguments, name) != parser.get_default(name)]
    pytorch = () if changed else published.pytorch

    model, c = published.build(rng), published.scale
    print(f"{len(x):,} images to train on, {len(x_test):,} to test; {len(model.parameters):,} parameters.\n")
    history = sn.fit(
        model,
        x,
        optimizer=sn.Adam(1e-3, epsilon=c * 1e-8, weight_decay=c * published.weight_decay),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        rng=rng,
        validation=x_test,
        **watched(Line(lambda record: epoch_line(record, arguments.epochs, x, pytorch))),
        checkpoint=demo.checkpoint(),
    )
    if history.interrupted:
        epoch = min(len(history.epochs) + 1, arguments.epochs)
        print(f"Interrupted in epoch {epoch}: what follows is what was reached.")
    sn.save(demo.path("model.npz"), model)

    z = in_parts(model.encode, x)  # (N, L)
    mean, components = principal_components(x)
    V = components[:, : z.shape[1]]
    images = {
        "original": x_test,
        "rebuilt": in_parts(model.reconstruct, x_test),
        "by PCA": (x_test - mean) @ V @ V.T + mean,
    }
    errors = {name: squared_error(images[name], x_test) for name in ("rebuilt", "by PCA")}
    draw(demo, model, x, labels, images, errors, history, pytorch)
    near = draw_new(demo, model, x, z, images["rebuilt"], rng_of_draws)

    found = {"test": errors["rebuilt"]}
    if history.epochs:
        found["training"] = history["loss"][-1] / x.shape[1]  # the mean over the last epoch
    left = {
        f"{kind} error": Number(value, PIXEL, published=published.error if kind == published.on else None, digits=5)
        for kind, value in found.items()
    }
    left["test error by PCA"] = Number(errors["by PCA"], PIXEL, digits=5)
    size = {
        "numbers in a code": Number(z.shape[1], "", digits=0),
        "of these not always 0": Number(int(z.any(axis=0).sum()), "", digits=0),
        "parameters": Number(len(model.parameters), "", published=published.parameters, digits=0),
        "numbers in PCA's parts": Number(V.size + mean.size, "", digits=0),
    }
    groups = {
        "What is left of an image; PCA has a code of as many numbers.": left,
        "What it takes to decode a code.": size,
        "Of draws from a normal fitted to the codes, how many are as near to digits as rebuilt ones.": {
            "draws near digits": Number(100 * near, "%", digits=1)
        },
    }
    print(f"\n{tables(groups)}\n")
    changed += ["interrupted"] * history.interrupted
    epochs = {"epochs": arguments.epochs, "published": published.epochs, "option": f"--epochs {published.epochs}"}
    print(reached(left.get(f"{published.on} error", left["test error"]), published.spread, changed, **epochs))
    if pytorch and history.epochs:
        epoch = min(len(history.epochs), len(pytorch))
        here = history["val_loss"][epoch - 1] / x.shape[1]
        print(f"After {epoch} epochs PyTorch had left {pytorch[epoch - 1]:g} on test images; here it was {here:.5f}.")
    print(f"The start: {published.start}")
    demo.finish({name: one for group in groups.values() for name, one in group.items()}, history)


def draw(demo: Run, model: sn.Autoencoder, x, labels, images, errors, history: sn.History, pytorch) -> None:
    """Figures of what the network makes of images that it is given."""
    x_test = images["original"]
    shown = np.array([np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)])  # the first of each digit
    ours, pca = errors["rebuilt"], errors["by PCA"]
    L = model.encode(x_test[:1]).size
    title = f"A code of {L} numbers, from {len(model.parameters):,} parameters, leaves {ours / pca:.1f} times what PCA "
    title += f"leaves, whose {L} components are {(L + 1) * x.shape[1]:,} numbers"
    rows = {f"{name}\n{errors[name]:.4f}" if name in errors else name: one[shown] for name, one in images.items()}
    demo.figure("reconstructions.png", plots.image_rows(rows, title))
    beside_fade(
        demo,
        in_parts(model.encode, x_test),
        lambda z: in_parts(model.decode, z),
        x,
        x_test,
        labels,
        np.random.default_rng(demo.arguments.seed),
    )
    if history.epochs:
        demo.figure("curves.png", beside_pytorch(history.epochs, x.shape[1], pytorch, y_label=PIXEL))


def draw_new(demo: Run, model: sn.Autoencoder, x, z, rebuilt, rng: np.random.Generator) -> float:
    """Draw digits from a normal fitted to the codes z of training images x, each number by itself; the share near x.

    Good and bad are told by the distance to the nearest training image. A draw is near if it is as near as most rebuilt
    test images are, which are blurred like it.
    """
    draws = z.mean(axis=0) + z.std(axis=0) * rng.standard_normal((DRAWS, z.shape[1]), np.float32)
    draws = in_parts(model.decode, draws)
    distance, of_rebuilt = nearest(draws, x)[0], nearest(rebuilt[:DRAWS], x)[0]
    near = np.mean(distance <= np.quantile(of_rebuilt, MOST)).item()
    order = np.argsort(distance)
    rows = {
        f"{part} third": draws[rng.choice(third, SHOWN, replace=False)]
        for part, third in zip(("nearest", "middle", "farthest"), np.split(order, 3), strict=True)
    }
    title = f"{near:.0%} of the draws from a normal fitted to the codes lie as near to training images as rebuilt test "
    title += "images do"
    values = {"draws": distance, "rebuilt test images": of_rebuilt}
    x_label = "distance to the nearest training image"
    demo.figure("draws.png", images_and_histograms(rows, values, title, x_label=x_label))
    return near


if __name__ == "__main__":
    run(main)
