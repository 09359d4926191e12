"""Train a variational autoencoder on MNIST and see what it learnt: about a minute on two cores.

It writes pictures of reconstructions, of samples beside training images, of walks through the latent space and of one
digit's posterior, training curves, the use of each latent dimension (with --latent 2 the whole latent plane too), the
model, and its numbers. With --network conv the layers are convolutions and a code is 2 numbers: about four minutes.
"""

import math

import numpy as np

import scratchnet as sn
from lib import vae_figures as figures
from lib.common import Line, Run, changed_options, options, run, say_if_interrupted, watched, whole_number
from lib.measures import chunks, in_parts
from lib.networks import conv_decoder, conv_encoder, perceptron
from lib.results import tables, ungrouped, verdict
from lib.vae_tables import AT_A_POINT, FOUND, TRAINING, at_a_point, measured
from lib.walks import beside_fade
from scratchnet.kernels import memory

CONV = {"epochs": 5, "latent": 2, "hidden": 64}  # the defaults of --network conv; dl4g published 100 epochs
FLATTERING = """At z = μ the noise that the KL charges for is left out: that number flatters, and is no ELBO. For scale,
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
    say_if_interrupted(history, arguments.epochs)
    memory.release()  # what training kept for its next batch
    sn.save(demo.path("model.npz"), vae)
    found = sn.elbo(vae, x_test, rng)
    mu, logvar = (np.concatenate(parts) for parts in zip(*map(vae.encode, chunks(x_test)), strict=True))  # (N, L)
    figures.reconstructions(demo, vae, mu, x_test, labels)
    figures.samples(demo, vae, x, x_test, rng)
    figures.posterior(demo, vae, mu, logvar, x_test, labels, rng)
    beside_fade(demo, mu, lambda z: in_parts(vae.decode, z), x, x_test, labels, rng)
    figures.use_of_latents(demo, mu, logvar)
    if history.epochs:
        figures.curves(demo, history)
    if L == 2:
        figures.plane(demo, vae, mu, labels)

    changed = changed_options(parser, arguments, *COMPARABLE)
    if conv and arguments.epochs in TRAINING:  # published too
        changed = [name for name in changed if name != "epochs"]
    changed += ["interrupted"] * history.interrupted
    groups = measured(vae, arguments.network, x, x_test, found)
    judged = groups[FOUND]["test ELBO"]
    if conv and arguments.likelihood == "bernoulli" and history.epochs:
        groups[AT_A_POINT] = at_a_point(vae, x_test, history, comparable=not changed)
        judged = groups[AT_A_POINT]["training, last epoch"]
    print(f"\n{tables(groups)}\n")
    if AT_A_POINT in groups:
        print(f"{FLATTERING}\n")
    if arguments.likelihood == "gaussian":
        peak = 1 / (arguments.sigma * math.sqrt(2 * math.pi))
        print("An ELBO above 0 is no mistake here: it is the log of a density, and a density may be above 1.")
        print(f"That of N(x, {arguments.sigma:g}²) is {peak:.2f} at its mean; only its integral must be 1.\n")
    print(verdict(judged, SPREAD, changed))
    demo.finish(ungrouped(groups), history)


def epoch_line(record: dict[str, float], epochs: int, images: int) -> str:
    """One epoch's test ELBO, whatever β the training had."""
    reconstruction, kl = record["val_reconstruction"], record["val_kl"]
    return (
        f"epoch {record['epoch']:>2}/{epochs}  test ELBO {-(reconstruction + kl):8.2f} nats/image "
        f"= −({reconstruction:.2f} reconstruction + {kl:.2f} KL)   {images / record['seconds']:,.0f} images/s"
    )


if __name__ == "__main__":
    run(main)
