"""The figures of `vae_mnist.py`."""

from statistics import NormalDist

import numpy as np

import scratchnet as sn
from lib.common import Run
from lib.figures import images_and_histograms, latent_bars, latent_scatter, loss_courses, one_posterior
from lib.measures import chunks, first_of_each, in_parts, nearest, squared_distances
from scratchnet import plots
from scratchnet.core.gaussian import noise_like, sample_gaussian
from scratchnet.evaluation import active_units, kl_per_latent

FEW, MANY = 14, 1000  # samples that are shown, and that are measured
DRAWS, SIDE = 400, 20


def reconstructions(demo: Run, vae: sn.VAE, mu, x_test, labels) -> None:
    """The first test image of each digit, and what its code decodes to."""
    shown = first_of_each(labels)
    pairs = zip(chunks(mu), chunks(x_test), strict=True)
    error = sum(((vae.decode(codes) - images) ** 2).sum() for codes, images in pairs) / x_test.size
    constant = np.einsum("nd,nd->", x_test, x_test) / x_test.size - np.mean(x_test.mean(axis=0) ** 2)  # the variance
    title = f"{mu.shape[1]} numbers keep the digit and its slant: {1 - error / constant:.0%} of the pixels' variance"
    demo.figure(
        "reconstructions.png", plots.image_rows({"test image": x_test[shown], "rebuilt": vae.decode(mu[shown])}, title)
    )


def samples(demo: Run, vae: sn.VAE, x, x_test, rng) -> None:
    """Samples beside their nearest training images; the distance of test images to theirs is the scale."""
    drawn = vae.sample(MANY, rng)
    distance, index = nearest(drawn, x)
    of_test, _ = nearest(x_test[:MANY], x)
    rows = {"sample": drawn[:FEW], "nearest\ntraining image": x[index[:FEW]]}
    title = (
        f"New digits, not copies: a sample lies {np.median(distance):.1f} from the nearest training image (median), "
    )
    title += f"a real test image {np.median(of_test):.1f}"
    values = {"samples": distance, "test images": of_test}
    demo.figure(
        "samples.png", images_and_histograms(rows, values, title, x_label="distance to the nearest training image")
    )


def posterior(demo: Run, vae: sn.VAE, mu, logvar, x_test, labels, rng) -> None:
    """One image's q(z|x) in the plane of its two most telling dimensions, eight draws of it, and what varies."""
    firsts = first_of_each(labels)
    chosen = firsts[len(firsts) // 2]
    many = np.repeat([chosen], DRAWS)
    z = sample_gaussian(mu[many], logvar[many], noise_like(mu[many], rng))[0]
    images = in_parts(vae.decode, z)
    deviation = images.std(axis=0)
    axes = np.argsort(kl_per_latent(mu, logvar))[::-1][:2]
    title = f"One image, many codes: draws of q(z|x) decode to one digit; pixels deviate by up to {deviation.max():.2f}"
    sigma = np.exp(0.5 * logvar[chosen])
    shown = np.concatenate([x_test[[chosen]], images[:8], [deviation / deviation.max()]])
    figure = one_posterior(mu[:, axes], mu[chosen, axes], sigma[axes], z[:8, axes], shown, title)
    demo.figure("posterior.png", figure)


def use_of_latents(demo: Run, mu, logvar) -> None:
    """The KL of each latent dimension."""
    kl, active = kl_per_latent(mu, logvar), active_units(mu)
    title = f"{active.sum()} of {len(kl)} latent dimensions are active; together they carry {kl.sum():.1f} nats/image"
    demo.figure("latent_kl.png", latent_bars(kl, active, title))


def curves(demo: Run, history: sn.History) -> None:
    """The two terms of the loss over the epochs."""
    falls = history["val_reconstruction"][0] - history["val_reconstruction"][-1]
    rises = history["val_kl"][-1] - history["val_kl"][0]
    title = f"The codes tell {abs(rises):.1f} nats {'more' if rises >= 0 else 'less'} than after one epoch, "
    title += f"and the reconstruction gains {falls:.1f} by it"
    demo.figure("curves.png", loss_courses(history, title))


def plane(demo: Run, vae: sn.VAE, mu, labels) -> None:
    """What the plane of two numbers decodes to at equal shares of the prior, and where the test images lie in it."""
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / SIDE) for i in range(SIDE)], vae.dtype)
    z = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1).reshape(-1, 2)  # z₁ to the right, z₂ upwards
    images = vae.decode(z).reshape(SIDE, SIDE, -1)
    step = np.sqrt(((images[:, 1:] - images[:, :-1]) ** 2).sum(axis=2)).mean()
    flat = images.reshape(SIDE * SIDE, -1)
    apart = np.sqrt(np.maximum(squared_distances(flat, flat), 0)).mean()
    title = f"Digits pass into one another: from place to place an image changes by {step:.1f}, "
    title += f"between any two places by {apart:.1f}"
    demo.figure("plane.png", plots.image_grid(flat, title, columns=SIDE))
    digits = np.unique(labels)
    centers = np.stack([mu[labels == digit].mean(axis=0) for digit in digits])
    hits = np.mean(digits[squared_distances(mu, centers).argmin(axis=1)] == labels)
    title = f"No labels in training, yet {hits:.0%} of test means lie nearest their digit's centre"
    demo.figure("means.png", latent_scatter(mu, labels, title))
