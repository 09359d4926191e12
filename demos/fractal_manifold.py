"""Find the two numbers that pictures of Julia sets are made of: about three minutes on two cores.

Each picture is 784 pixels made from one complex number c. Autoencoders with bottlenecks of 1, 2, 3, 4 and 8 numbers are
trained on the pictures alone. Two numbers should be enough, and c should be readable from them.
"""

import itertools
import math

import numpy as np

import scratchnet as sn
from lib.common import (
    QUICK_TEST,
    QUICK_TRAIN,
    Run,
    changed_options,
    options,
    run,
    say_if_changed,
    watched,
    whole_number,
)
from lib.figures import error_curves, latent_maps
from lib.fractals import julia
from lib.measures import principal_components, projected, squared_distances, squared_error
from lib.networks import perceptron
from lib.results import Number, table
from scratchnet import plots

PICTURES, TEST_PICTURES = 20_000, 2_000
BOTTLENECKS = (2, 1, 3, 4, 8)  # what the figures show comes first, so that Ctrl-C keeps it
PEAK = 3e-3  # the learning rate at the first step; it falls to 0 along half a cosine
NEIGHBOURS = 5
UNIT = "squared error/pixel"
SETTINGS = ("quick", "epochs", "batch_size", "hidden")


def main() -> None:
    """Train a network for each bottleneck, beside PCA, read c from the codes, draw."""
    parser = options("fractal_manifold", __doc__, epochs=40, batch_size=100, digits=False)
    parser.add_argument("--hidden", type=whole_number, default=256, help="units in each hidden layer")
    arguments = parser.parse_args()
    demo = Run("fractal_manifold", arguments)
    rng = np.random.default_rng(arguments.seed)
    x, c = julia(QUICK_TRAIN if arguments.quick else PICTURES, rng)
    x_test, c_test = julia(QUICK_TEST if arguments.quick else TEST_PICTURES, rng)
    print(f"{len(x):,} pictures to train on, {len(x_test):,} to test.\n")

    mean, components = principal_components(x)
    history = sn.History(unit="squared error/image")
    models, rebuilt, by_pca, errors = {}, {}, {}, {"autoencoder": {}, "PCA": {}}
    for L in BOTTLENECKS[:2] if arguments.quick else BOTTLENECKS:
        models[L] = autoencoder(x.shape[1], arguments.hidden, L, rng)
        steps = arguments.epochs * math.ceil(len(x) / arguments.batch_size)
        course = sn.fit(
            models[L],
            x,
            optimizer=sn.Adam(sn.schedules.cosine(PEAK, steps)),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            rng=rng,
            **watched(),  # a line for each bottleneck, below, is enough
            checkpoint=demo.checkpoint(L),
        )
        history.epochs += [{"bottleneck": L, **record} for record in course.epochs]
        rebuilt[L] = models[L].reconstruct(x_test)
        by_pca[L] = projected(x_test, mean, components[:, :L])
        errors["autoencoder"][L], errors["PCA"][L] = (squared_error(one[L], x_test) for one in (rebuilt, by_pca))
        print(f"bottleneck {L}: {errors['autoencoder'][L]:.6f} {UNIT}, by PCA {errors['PCA'][L]:.6f}")
        if course.interrupted:
            history.interrupted = True
            print(f"Interrupted at bottleneck {L}: what follows is what was reached.")
            break

    sn.save(demo.path("model.npz"), models[2])
    results = {f"{method}, {L}": Number(errors[method][L], UNIT, digits=6) for L in sorted(models) for method in errors}
    z, z_test = models[2].encode(x), models[2].encode(x_test)
    V = components[:, :2]
    for source, a, b in (("2 codes", z, z_test), ("PCA, 2", (x - mean) @ V, (x_test - mean) @ V)):
        for part, share in zip(("Re c", "Im c"), explained(a, b, c, c_test), strict=True):
            results[f"{part} from {source}"] = Number(share.item(), "R²", digits=4)
    shares = [results[f"{part} from 2 codes"].value for part in ("Re c", "Im c")]
    draw(demo, models[2], z, z_test, x_test, c_test, rebuilt, by_pca, errors, shares)
    print(f"\n{table(results)}\n\n{conclusion(errors)}")
    say_if_changed(changed_options(parser, arguments, *SETTINGS), so=": the plane may not have unfolded yet")
    demo.finish(results, history)


def autoencoder(D: int, H: int, L: int, rng: np.random.Generator) -> sn.Autoencoder:
    """D-H-H-L-H-H-D with ReLU, a linear code and pixels from a sigmoid."""
    encoder, decoder = perceptron(D, H, H, L, rng=rng), perceptron(L, H, H, D, rng=rng)
    return sn.Autoencoder(encoder, sn.Sequential(*decoder.layers, sn.Sigmoid()))


def explained(z: np.ndarray, z_test: np.ndarray, c: np.ndarray, c_test: np.ndarray) -> np.ndarray:
    """R² (2,) of both parts of c, read from a test picture's code as the mean c of the nearest training codes."""
    distances = squared_distances(z_test.astype(np.float64), z.astype(np.float64))  # (N_test, N)
    nearest = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return 1 - np.mean((c[nearest].mean(axis=1) - c_test) ** 2, axis=0) / c_test.var(axis=0)


def conclusion(errors: dict[str, dict[int, float]]) -> str:
    """Where the error falls most, in numbers."""
    ours = errors["autoencoder"]
    falls = {(a, b): ours[a] / ours[b] for a, b in itertools.pairwise(sorted(ours))}
    by_pca = f"At 2, PCA's error is {errors['PCA'][2] / ours[2]:.1f} times as large as the autoencoder's."
    if not falls:
        return by_pca
    _, knee = max(falls, key=falls.__getitem__)
    listed = ", ".join(f"{fall:.1f}-fold from {a} to {b} numbers" for (a, b), fall in falls.items())
    return f"The knee is at {knee}: the error falls {listed}. {by_pca}"


def draw(demo: Run, model: sn.Autoencoder, z, z_test, x_test, c_test, rebuilt, by_pca, errors, shares) -> None:
    """Every figure."""
    sizes = sorted(rebuilt)
    courses = {method: [found[L] for L in sizes] for method, found in errors.items()}
    title = f"Two numbers do: {errors['PCA'][2] / errors['autoencoder'][2]:.0f} times less error than PCA's two leave"
    demo.figure("errors.png", error_curves(sizes, courses, title, unit=UNIT))

    title = "The code knows c, which the network never saw. Read from the nearest codes of training pictures, "
    title += f"R² = {shares[0]:.4f} (Re c) and {shares[1]:.4f} (Im c) on test pictures"
    demo.figure("codes.png", latent_maps(z_test, {"Re c": c_test[:, 0], "Im c": c_test[:, 1]}, title))

    shown = {"picture": x_test, **{f"{L} code{'s' * (L > 1)}": rebuilt[L] for L in sizes[:3]}, "PCA, 2": by_pca[2]}
    title = "Two numbers of the autoencoder rebuild a picture; two principal components do not"
    demo.figure("reconstructions.png", plots.image_rows({name: images[:12] for name, images in shown.items()}, title))

    side = 14
    low, high = z.min(axis=0), z.max(axis=0)
    places = np.stack(np.meshgrid(*np.linspace(low, high, side, dtype=z.dtype).T), axis=-1)[::-1].reshape(-1, 2)
    step = (high - low) / (side - 1)
    near = squared_distances(places / step, z / step).min(axis=1) < 1  # a code within one step of the grid
    images = model.decode(places) * near[:, None]
    title = "Shapes pass into one another from place to place of the code plane.\n"
    title += "Blank where no code of a training picture is near"
    demo.figure("plane.png", plots.image_grid(images, title, columns=side))


if __name__ == "__main__":
    run(main)
