"""Two published convolutional autoencoders on MNIST, and what their codes are good for: a minute and a half.

--network udacity keeps 196 numbers of an image with 1,077 parameters, --network dl4g keeps 10 with 396,171. Each trains
as it was published, but not as long: udacity for 12 of its 30 epochs, which is enough (--epochs 30 trains for all), and
dl4g for 4 of its 50 (--epochs 50, half an hour). Figures show reconstructions beside those of PCA, walks between
digits, and digits drawn from a normal fitted to the codes.

Published losses are means over pixels, and `sn.mse` is a sum, larger by a constant factor. ε and the weight decay are
multiplied by the same factor, which leaves Adam's steps as they were. Both networks are trained on shuffled images; in
Udacity's training they were not.
"""

import numpy as np

import scratchnet as sn
from lib.common import Line, Run, changed_options, options, run, say_if_interrupted, watched
from lib.conv_figures import draw, draw_new
from lib.conv_networks import NETWORKS
from lib.measures import in_parts, principal_components, projected, squared_error
from lib.results import PIXEL, Number, epoch_line, reached, tables, ungrouped

QUICK_TRAIN = 1_000


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
    changed = changed_options(parser, arguments, "data", "quick", "batch_size")
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
    say_if_interrupted(history, arguments.epochs)
    sn.save(demo.path("model.npz"), model)

    z = in_parts(model.encode, x)  # (N, L)
    mean, components = principal_components(x)
    V = components[:, : z.shape[1]]
    images = {
        "original": x_test,
        "rebuilt": in_parts(model.reconstruct, x_test),
        "by PCA": projected(x_test, mean, V),
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
        "How far decoded images are from the originals; PCA has a code of as many numbers.": left,
        "What it takes to decode a code.": size,
        "How many draws from a normal fitted to the codes are as near to digits as rebuilt ones.": {
            "draws near digits": Number(100 * near, "%", digits=1)
        },
    }
    print(f"\n{tables(groups)}\n")
    changed += ["interrupted"] * history.interrupted
    judged = left.get(f"{published.on} error", left["test error"])
    print(reached(judged, published.spread, changed, epochs=arguments.epochs, published=published.epochs))
    if pytorch and history.epochs:
        epoch = min(len(history.epochs), len(pytorch))
        here = history["val_loss"][epoch - 1] / x.shape[1]
        print(f"After {epoch} epochs PyTorch had left {pytorch[epoch - 1]:g} on test images; here it was {here:.5f}.")
    print(f"The initial weights: {published.start}")
    demo.finish(ungrouped(groups), history)


if __name__ == "__main__":
    run(main)
