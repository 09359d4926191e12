"""Train a variational autoencoder on MNIST and see what it learnt: about a minute on two cores.

It writes pictures of reconstructions, samples, a walk through the latent space, one digit's posterior, training curves
and the use of each latent dimension (with --latent 2 the whole latent plane too), the model, and its numbers. With
--network conv the layers are convolutions and a code is 2 numbers: about four minutes.
"""

import numpy as np

import scratchnet as sn
from lib.common import (
    Line,
    Number,
    Run,
    chunks,
    conv_decoder,
    conv_encoder,
    options,
    perceptron,
    run,
    squared_distances,
    table,
    verdict,
    watched,
    whole_number,
)
from lib.figures import latent_bars
from scratchnet import plots
from scratchnet.core.gaussian import noise_like, sample_gaussian
from scratchnet.core.likelihood import Bernoulli
from scratchnet.evaluation import active_units, bce_scale, kl_per_latent

PUBLISHED = -105.6  # nats/image, the test ELBO of pytorch/examples/vae after 10 epochs at these defaults:
CONV = {"epochs": 5, "latent": 2, "hidden": 64}  # the defaults of --network conv; dl4g, with 100 epochs, published:
TRAINING = {1: -188.84, 5: -157.42, 10: -153.87, 100: -144.93}  # nats/image, by its log, an epoch's mean
AT_MU = {100: -152.4}  # nats/image on test images, with z = μ in place of a sample
FLATTERING = """At z = μ the noise is left out that the KL pays for: that number flatters, and is no ELBO. For scale,
Keras's VAE, with other convolutions, reports a loss of 146.95 = 140.15 + 6.80 nats/image on train and test together."""
COMPARABLE = ("data", "quick", "epochs", "batch_size", "latent", "hidden", "beta", "likelihood")
SPREAD = 0.8  # nats/image, how far one seed's result may lie from another's


def main() -> None:
    """Train, test, draw, and say whether the result is good."""
    parser = options("vae_mnist", __doc__, epochs=10, batch_size=128)
    conv = ", ".join(f"--{name} {value}" for name, value in CONV.items())
    parser.add_argument(
        "--network", choices=["dense", "conv"], default="dense", help=f"kind of layers; conv means {conv} unless given"
    )
    parser.add_argument("--latent", type=whole_number, default=20, help="numbers in a code")
    parser.add_argument("--hidden", type=whole_number, default=400, help="units in each hidden layer, or channels")
    parser.add_argument("--beta", type=float, default=1.0, help="weight of the KL")
    parser.add_argument("--likelihood", choices=["bernoulli", "gaussian"], default="bernoulli", help="of a pixel")
    parser.add_argument("--sigma", type=float, default=0.1, help="of a gaussian pixel")
    conv = parser.parse_known_args()[0].network == "conv"
    parser.set_defaults(**CONV if conv else {})
    arguments = parser.parse_args()
    demo = Run("vae_mnist", arguments)
    x, _ = demo.images("train")
    x_test, labels = demo.images("test")
    rng = np.random.default_rng(arguments.seed)

    D, H, L = x.shape[1], arguments.hidden, arguments.latent
    encoder, decoder = (conv_encoder, conv_decoder) if conv else (perceptron, perceptron)
    encoder, decoder = encoder(D, H, 2 * L, rng=rng), decoder(L, H, D, rng=rng)
    vae = sn.VAE(encoder, decoder, likelihood=arguments.likelihood, sigma=arguments.sigma, beta=arguments.beta)
    print(f"{len(x):,} images to train on, {len(x_test):,} to test; {len(vae.parameters):,} parameters.\n")
    history = sn.fit(
        vae,
        x,
        optimizer=sn.Adam(1e-3, weight_decay=1e-5 if conv else 0),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        rng=rng,
        validation=x_test,
        **watched(Line(lambda record: epoch_line(record, arguments.epochs, len(x)))),
        checkpoint=demo.checkpoint(),
    )
    if history.interrupted:
        reached = min(len(history.epochs) + 1, arguments.epochs)
        print(f"Interrupted in epoch {reached}: what follows is what was reached.")
    sn.save(demo.path("model.npz"), vae)
    found = sn.elbo(vae, x_test, rng)
    draw(demo, vae, x, x_test, labels, found["elbo"], history, rng)

    changed = [name for name in COMPARABLE if getattr(arguments, name) != parser.get_default(name)]
    if conv and arguments.epochs in TRAINING:  # published too
        changed = [name for name in changed if name != "epochs"]
    changed += ["interrupted"] * history.interrupted
    results = measured(vae, arguments.network, x, x_test, found)
    judged = results["test ELBO"]
    if conv and arguments.likelihood == "bernoulli" and history.epochs:
        epoch = 0 if changed else len(history.epochs)
        results["test at z = μ"] = Number(-at_mu(vae, x_test), "nats/image", published=AT_MU.get(epoch))
        last = -(history["reconstruction"][-1] + history["kl"][-1])
        results["training, last epoch"] = judged = Number(last, "nats/image", published=TRAINING.get(epoch))
    print(f"\n{table(results)}\n")
    if "test at z = μ" in results:
        print(f"{FLATTERING}\n")
    print(verdict(judged, SPREAD, changed))
    demo.finish(results, history)


def measured(vae: sn.VAE, network: str, x, x_test, found: dict[str, float]) -> dict[str, Number]:
    """The test ELBO, what it is made of, and what it lies between."""
    D, grey = x.shape[1], isinstance(vae.likelihood, Bernoulli)
    # the published number is no likelihood, so it stands beside none
    published, per_pixel = (PUBLISHED, round(PUBLISHED / 784, 4)) if grey and network == "dense" else (None, None)
    results = {
        "test ELBO": Number(found["elbo"], "nats/image", found["stderr"], published),
        "test reconstruction": Number(found["reconstruction"], "nats/image"),
        "test KL": Number(found["kl"], "nats/image"),
        "test ELBO per pixel": Number(found["elbo"] / D, "nats/pixel", published=per_pixel, digits=4),
        "effective β": Number(vae.beta, "", published=1.0),
    }
    if grey:
        scale = bce_scale(x, x_test)
        results["ELBO of the mean image"] = Number(-scale["mean_image"], "nats/image")
        results["limit of grey pixels"] = Number(-scale["floor"], "nats/image")
    return results


def at_mu(vae: sn.VAE, x: np.ndarray) -> float:
    """Reconstruction and KL with z = μ, in nats/image."""
    no_noise = np.zeros((len(x), vae.decoder.n_in or 0), x.dtype)
    pairs = zip(chunks(x), chunks(no_noise), strict=True)
    return sum(len(rows) * sum(vae.loss(rows, eps=eps).terms.values()) for rows, eps in pairs) / len(x)


def epoch_line(record: dict[str, float], epochs: int, images: int) -> str:
    """One epoch's test ELBO, whatever β the training had."""
    reconstruction, kl = record["val_reconstruction"], record["val_kl"]
    return (
        f"epoch {record['epoch']:>2}/{epochs}  test ELBO {-(reconstruction + kl):8.2f} nats/image "
        f"= −({reconstruction:.2f} reconstruction + {kl:.2f} KL)   {images / record['seconds']:,.0f} images/s"
    )


def draw(demo: Run, vae: sn.VAE, x, x_test, labels, elbo: float, history: sn.History, rng) -> None:
    """Every figure."""
    L = vae.latent
    mu, logvar = (np.concatenate(parts) for parts in zip(*map(vae.encode, chunks(x_test)), strict=True))  # (N, L)

    shown = np.array([np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)])  # the first of each digit
    pairs = zip(chunks(mu), chunks(x_test), strict=True)
    error = sum(((vae.decode(codes) - images) ** 2).sum() for codes, images in pairs) / x_test.size
    title = f"Through {L} numbers and back: squared error {error:.4f}/pixel on test images"
    rows = {"original": x_test[shown], "rebuilt": vae.decode(mu[shown])}
    demo.figure("reconstructions.png", plots.image_rows(rows, title))

    samples = vae.sample(64, rng)
    nearest = np.sqrt(squared_distances(samples, x).min(axis=1))
    title = f"64 samples from the prior, at a test ELBO of {elbo:.1f} nats/image.\n"
    title += f"No copies: each is {nearest.min():.1f} or more from every training image (Euclidean)"
    demo.figure("samples.png", plots.image_grid(samples, title))

    first, last = (7, 1) if {7, 1} <= set(labels) else labels[[0, -1]]
    ends = [x_test[labels == digit][0] for digit in (first, last)]
    walk = vae.interpolate(ends[0], ends[1], 12)
    jumps = np.sqrt(np.sum(np.diff(walk, axis=0) ** 2, axis=1))
    jump = f"{jumps.max() / jumps.mean():.1f} × the mean"
    title = f"A straight walk from a {first} to a {last}: the largest jump is {jump}"
    names, walk = ["image", *map(str, range(1, 13)), "image"], np.concatenate([ends[:1], walk, ends[1:]])
    demo.figure("walk.png", plots.image_grid(walk, title, columns=14, names=names))

    chosen = shown[len(shown) // 2]
    eight = np.repeat([chosen], 8)
    draws = vae.decode(sample_gaussian(mu[eight], logvar[eight], noise_like(mu[eight], rng))[0])
    title = f"Eight draws of one image's posterior: pixels vary by {draws.std(axis=0).mean():.3f} (mean std)"
    draws, names = np.concatenate([x_test[[chosen]], draws]), ["image", *map(str, range(1, 9))]
    demo.figure("posterior.png", plots.image_grid(draws, title, columns=9, names=names))

    kl, active = kl_per_latent(mu, logvar), active_units(mu)
    title = f"{active.sum()} of {L} latent dimensions are active; together they carry {kl.sum():.1f} nats/image"
    demo.figure("latent_kl.png", latent_bars(kl, active, title))

    if history.epochs:
        courses = {"reconstruction": history["val_reconstruction"], "KL": history["val_kl"]}
        courses = ", ".join(f"{name} {values[0]:.1f} → {values[-1]:.1f}" for name, values in courses.items())
        title = f"{len(history.epochs)} epochs, on test images: {courses} nats/image"
        demo.figure("curves.png", plots.history_curves(history, title))
    if L == 2:
        title = "What each place of the latent plane decodes to, at 20 × 20 quantiles of the prior"
        demo.figure("plane.png", plots.latent_plane(vae.decode, title, side=20, dtype=vae.dtype))
        digits = np.unique(labels)
        centers = np.stack([mu[labels == digit].mean(axis=0) for digit in digits])
        hits = np.mean(digits[squared_distances(mu, centers).argmin(axis=1)] == labels)
        title = f"No labels in training, yet {hits:.0%} of test means lie nearest their digit's centre"
        demo.figure("means.png", plots.latent_scatter(mu, labels, title))


if __name__ == "__main__":
    run(main)
