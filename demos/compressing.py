"""The autoencoder as a codec: which code gives the best digits at how many bits per pixel? Three minutes on two cores.

Codes of PCA, of dense and of convolutional networks are rounded to multiples of a step. A rounded number costs what an
arithmetic coder would take that knows how often it came in training: −log₂ of its share, each number of the code by
itself. Coarse steps and short codes take few bits, fine steps and long codes leave a better image. Which length goes
with which step is chosen on validation images; what is reported is of test images, decoded from the rounded code.
"""

import itertools
import math
import zlib

import numpy as np

import scratchnet as sn
from lib.codec import Codec, Curve, best_choices, measured, psnr
from lib.common import Number, Run, options, principal_components, run, squared_error, started_for_relu, table, watched
from scratchnet import plots
from scratchnet.training.storage import write_whole

SIZES, QUICK_SIZES = (8, 16, 32, 64), (8,)  # numbers in a network's code
COMPONENTS = 400  # numbers in PCA's; what a coarse step rounds to 0 takes almost no bits
STEPS = np.geomspace(0.25, 4, 17)  # how far one step of one number moves the image (Euclidean)
RATES, SHOWN_RATE, SHOWN = (0.05, 0.1, 0.2, 0.4), 0.1, 14  # bits/pixel, in the table and of the images that are shown
HIDDEN, CHANNELS = 256, (16, 32)
PEAK = 2e-3  # the learning rate at the first step; it falls to 0 along half a cosine
LEAST, NEAR = 0.02, 0.2  # bits/pixel below which nothing is said; dB that do not count
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

    codecs, history = {"PCA": [by_components(x)]}, sn.History(unit="squared error/image")
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
        f"{family}, {rate:g} bits/pixel": Number(psnr(np.interp(rate, *curve)), "dB")
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


def by_components(x: np.ndarray) -> Codec:
    """The first principal components; an orthogonal decoder moves the image as far as the code moves."""
    mean, components = principal_components(x)
    V = components[:, :COMPONENTS]

    def encode(x: np.ndarray) -> np.ndarray:
        return (x - mean) @ V

    def decode(z: np.ndarray) -> np.ndarray:
        return np.clip(z @ V.T + mean, 0, 1)

    return Codec(encode, decode, encode(x), np.ones(COMPONENTS), V.size + mean.size)


def by_network(model: sn.Autoencoder, x: np.ndarray) -> Codec:
    """A trained autoencoder. The gain of each number is measured: it is moved, and the images are compared."""

    def encode(x: np.ndarray) -> np.ndarray:
        return np.concatenate([model.encode(part) for part in np.array_split(x, math.ceil(len(x) / 1000))])

    def decode(z: np.ndarray) -> np.ndarray:
        return np.concatenate([model.decode(part) for part in np.array_split(z, math.ceil(len(z) / 1000))])

    codes = encode(x)
    z, moves = codes[:500], codes.std(axis=0)
    here = decode(z)
    moved = [np.sum((decode(z + move) - here) ** 2, axis=1).mean() for move in np.diag(moves)]
    weights = sum(W.size for name, W in model.parameters.named().items() if name.startswith("decoder"))
    return Codec(encode, decode, codes, np.sqrt(moved) / moves, weights)


def dense(D: int, L: int, rng: np.random.Generator) -> sn.Autoencoder:
    """D-256-L-256-D."""
    H = HIDDEN
    return sn.Autoencoder(
        started_for_relu(sn.Dense(D, H, rng=rng), sn.ReLU(), sn.Dense(H, L, rng=rng)),
        started_for_relu(sn.Dense(L, H, rng=rng), sn.ReLU(), sn.Dense(H, D, rng=rng), sn.Sigmoid()),
    )


def convolutional(D: int, L: int, rng: np.random.Generator) -> sn.Autoencoder:
    """Two convolutions that halve the image, a dense layer to L numbers, and the same way back."""
    side, (C, M) = math.isqrt(D), CHANNELS
    small = side // 4
    halve = {"stride": 2, "padding": 1, "rng": rng}
    return sn.Autoencoder(
        started_for_relu(
            sn.Reshape((1, side, side)),
            *(sn.Conv2D(1, C, 4, **halve), sn.ReLU(), sn.Conv2D(C, M, 4, **halve), sn.ReLU()),
            *(sn.Flatten(), sn.Dense(M * small**2, L, rng=rng)),
        ),
        started_for_relu(
            *(sn.Dense(L, M * small**2, rng=rng), sn.ReLU(), sn.Reshape((M, small, small))),
            *(sn.ConvTranspose2D(M, C, 4, **halve), sn.ReLU(), sn.ConvTranspose2D(C, 1, 4, **halve)),
            *(sn.Flatten(), sn.Sigmoid()),
        ),
    )


NETWORKS = {"dense": dense, "convolutional": convolutional}


def zlib_rate(x: np.ndarray) -> float:
    """Bits per pixel of images packed together by zlib, without loss."""
    pixels = (x * 255).round().astype(np.uint8)
    return 8 * len(zlib.compress(pixels.tobytes(), 9)) / pixels.size


def at_rate(codecs: list[Codec], found: list[np.ndarray], x_test: np.ndarray) -> tuple[str, float, np.ndarray]:
    """The test images at SHOWN_RATE, by the code that is best there on validation images: its name, the PSNR, they."""
    falling = [rows[::-1].T for rows in found]  # steps from coarse to fine: rates rise
    best = int(np.argmin([np.interp(SHOWN_RATE, rates, errors) for _, rates, errors, _, _ in falling]))
    steps, rates, *_ = falling[best]
    send = codecs[best].at(math.exp(np.interp(SHOWN_RATE, rates, np.log(steps))))
    rate, images = send(codecs[best].encode(x_test))
    quality = psnr(squared_error(images, x_test))
    return f"{len(codecs[best].gains)} numbers,\n{rate:.3f} bits/pixel, {quality:.1f} dB", quality, images[:SHOWN]


def conclusion(curves: dict[str, Curve]) -> str:
    """Which family is best at which rate; one that is passed by no more than NEAR still counts as best."""
    rates = np.geomspace(LEAST, max(curve[0].max() for curve in curves.values()), 400)
    quality = {family: -10 * np.log10(np.interp(rates, *curve)) for family, curve in curves.items()}
    best, parts = "", []
    for i, rate in enumerate(rates):
        first = max(quality, key=lambda family: quality[family][i])
        if not best or quality[first][i] > quality[best][i] + NEAR:
            parts += [f"{best} codes up to {rate:.2f} bits/pixel"] if best else []
            best = first
    parts.append(f"{best} codes {'above' if parts else 'at every rate'}")
    return f"The best digits at equal bits, to {NEAR} dB: {', '.join(parts)}"


def draw(demo: Run, x_test: np.ndarray, curves: dict[str, Curve], shown: dict, said: str, lossless: float) -> None:
    """The curves, and images at one rate."""
    rates = np.linspace(LEAST, max(curve[0].max() for curve in curves.values()), 300)
    lines = {family: (rates, -10 * np.log10(np.interp(rates, *curve))) for family, curve in curves.items()}
    x_label = f"bits/pixel (without loss, zlib takes {lossless:.2f})"
    demo.figure("rates.png", plots.lines(lines, said, x_label=x_label, y_label="PSNR (dB), test images"))

    rows = {f"{family}, {label}": images for family, (label, _, images) in shown.items()}
    best = max(shown, key=lambda family: shown[family][1])
    title = f"At {SHOWN_RATE} bits/pixel the {best} code leaves the best digits: {shown[best][1]:.1f} dB"
    demo.figure("images.png", plots.image_rows({"test image": x_test[:SHOWN], **rows}, title))


if __name__ == "__main__":
    run(main)
