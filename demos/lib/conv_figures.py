"""The figures of `conv_autoencoder_mnist.py`."""

import numpy as np

import scratchnet as sn
from lib.common import Run
from lib.figures import beside_pytorch, images_and_histograms
from lib.measures import first_of_each, in_parts, nearest
from lib.results import PIXEL
from lib.walks import beside_fade
from scratchnet import plots

DRAWS, SHOWN = 600, 12
MOST = 0.95  # a draw is near if it is as near to a training image as this share of rebuilt test images


def draw(demo: Run, model: sn.Autoencoder, x, labels, images, errors, history: sn.History, pytorch) -> None:
    """Figures of what the network makes of images that it is given."""
    x_test = images["original"]
    shown = first_of_each(labels)
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
