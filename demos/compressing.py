"""The autoencoder as a codec: which code gives the best digits at how many bits per pixel? Three minutes on two cores.

Codes of PCA, of dense and of convolutional networks are rounded to multiples of a step. A rounded number costs the bits
of an arithmetic coder that knows its share in training: −log₂ of that share, for each number of the code by itself.
Coarse steps and short codes take few bits, fine steps and long codes leave a better image. Validation images choose
which length goes with which step; the results are for test images, decoded from the rounded code.
"""

import itertools
import math

import numpy as np

import scratchnet as sn
from lib.codec import best_choices, by_components, by_network, measured, psnr, quality_at, zlib_rate
from lib.common import Run, options, run, watched
from lib.compressing_figures import at_rate, conclusion, draw
from lib.measures import squared_error
from lib.networks import conv_decoder, conv_encoder, perceptron, started_for_relu
from lib.results import Number, table
from scratchnet.training.storage import write_whole

SIZES, QUICK_SIZES = (8, 16, 32, 64), (8,)  # numbers in a network's code
COMPONENTS = 400  # numbers in PCA's; what a coarse step rounds to 0 takes almost no bits
STEPS = np.geomspace(0.25, 4, 17)  # how far one step of one number moves the image (Euclidean)
RATES = (0.05, 0.1, 0.2, 0.4)  # bits/pixel, in the table
HIDDEN, CHANNELS = 256, 16
PEAK = 2e-3  # the learning rate at the first step; it falls to 0 along half a cosine
COUNTED = """\
The bits are those of the codes alone. Not counted: the decoder, as 32-bit numbers ("decoder" is its share if it were
sent with 10,000 images), and the tables of frequencies. Between two choices of code and step lies their mixture."""


def main() -> None:
    """Train the networks, measure every codec at every step, draw, and say which is best at which rate."""
    arguments = options("compressing", __doc__, epochs=6, batch_size=100).parse_args()
    demo = Run("compressing", arguments)
    x, _ = demo.images("train")
    x_test, _ = demo.images("test")
    x, x_val = x[: -len(x) // 12], x[-len(x) // 12 :]
    rng = np.random.default_rng(arguments.seed)

    codecs, history = {"PCA": [by_components(x, COMPONENTS)]}, sn.History(unit="squared error/image")
    for L, (family, build) in itertools.product(QUICK_SIZES if arguments.quick else SIZES, NETWORKS.items()):
        model = build(x.shape[1], L, rng)
        course = sn.fit(
            model,
            x,
            optimizer=sn.Adam(sn.schedules.cosine(PEAK, arguments.epochs * math.ceil(len(x) / arguments.batch_size))),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            rng=rng,
            **watched(),  # a line for each network, below, is enough
            checkpoint=demo.checkpoint(family, L),
        )
        history.epochs += [{f"{family}, numbers": L, **record} for record in course.epochs]
        sn.save(demo.path(f"{family}_{L}.npz"), model)
        codecs.setdefault(family, []).append(by_network(model, x))
        error = squared_error(model.reconstruct(x_val), x_val)
        print(f"{family}, {L} numbers: {psnr(error):.2f} dB on validation images, before any rounding")
        if course.interrupted:
            history.interrupted = True
            print(f"Interrupted at {family}, {L} numbers: what follows is what was reached.")
            break

    curves, shown, points = {}, {}, []
    for family, ones in codecs.items():
        found = [measured(codec, STEPS, x_val, x_test) for codec in ones]
        mean_image = [squared_error(x.mean(axis=0), images) for images in (x_val, x_test)]
        curves[family] = best_choices(found, *mean_image)
        shown[family] = at_rate(ones, found, x_test)
        points += [[family, len(one.gains), *row] for one, rows in zip(ones, found, strict=True) for row in rows]

    results = {
        f"{family}, {rate:g} bits/pixel": Number(quality_at(rate, curve).item(), "dB")
        for rate, (family, curve) in itertools.product(RATES, curves.items())
    }
    results["zlib, without loss"] = Number(zlib_rate(x_test), "bits/pixel")
    for family, ones in codecs.items():
        weights = Number(32 * ones[-1].weights / (10_000 * x.shape[1]), "bits/pixel, not counted")
        results[f"{family}, decoder"] = weights
    said = conclusion(curves)
    draw(demo, x_test, curves, shown, said, results["zlib, without loss"].value)
    columns = "code,numbers,step,validation bits/pixel,validation squared error/pixel,bits/pixel,squared error/pixel"
    with write_whole(demo.path("points.csv")) as file:
        file.write("\n".join([columns, *(",".join(map(str, point)) for point in points), ""]).encode())
    print(f"\n{table(results)}\n\n{said}.\n{COUNTED}")
    demo.finish(results, history)


def dense(D: int, L: int, rng: np.random.Generator) -> sn.Autoencoder:
    """D-256-L-256-D."""
    encoder, decoder = perceptron(D, HIDDEN, L, rng=rng), perceptron(L, HIDDEN, D, rng=rng)
    return sn.Autoencoder(started_for_relu(*encoder.layers), started_for_relu(*decoder.layers, sn.Sigmoid()))


def convolutional(D: int, L: int, rng: np.random.Generator) -> sn.Autoencoder:
    """Two convolutions that halve the image, a dense layer to L numbers, and the mirror of these as decoder."""
    encoder, decoder = conv_encoder(D, CHANNELS, L, rng=rng), conv_decoder(L, CHANNELS, D, rng=rng)
    first, *others = decoder.layers
    decoder = started_for_relu(first, sn.ReLU(), *others, sn.Sigmoid())
    return sn.Autoencoder(started_for_relu(*encoder.layers), decoder)


NETWORKS = {"dense": dense, "convolutional": convolutional}


if __name__ == "__main__":
    run(main)
