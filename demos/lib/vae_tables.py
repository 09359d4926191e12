"""The tables of `vae_mnist.py`, and the published numbers that stand in them."""

import numpy as np

import scratchnet as sn
from lib.measures import chunks
from lib.results import Number
from scratchnet.core.likelihood import Bernoulli
from scratchnet.evaluation import bce_scale

PUBLISHED = -105.6  # nats/image, the test ELBO of pytorch/examples/vae after 10 epochs at the demo's defaults
TRAINING = {1: -188.84, 5: -157.42, 10: -153.87, 100: -144.93}  # nats/image, of dl4g by its log, an epoch's mean
AT_MU = {100: -152.4}  # nats/image, of dl4g on test images, with z = μ in place of a sample
FOUND = "The test ELBO is minus the sum of the reconstruction's cost and the KL; higher is better."
BETWEEN = "For scale: the ELBO of always predicting the mean training image, and the limit that no model exceeds."
AT_A_POINT = "Beside published numbers of the same network, which were measured in training and at z = μ."


def measured(vae: sn.VAE, network: str, x, x_test, found: dict[str, float]) -> dict[str, dict[str, Number]]:
    """The test ELBO and what it is made of; and what it lies between."""
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
    if not grey:
        return {FOUND: results}
    scale = bce_scale(x, x_test)
    mean_image = Number(-scale["mean_image"], "nats/image")
    return {
        FOUND: results,
        BETWEEN: {"ELBO of the mean image": mean_image, "limit of grey pixels": Number(-scale["floor"], "nats/image")},
    }


def at_a_point(vae: sn.VAE, x_test: np.ndarray, history: sn.History, comparable: bool) -> dict[str, Number]:
    """What was published of the convolutional network: the test images at z = μ, and the last epoch's training."""
    epoch = len(history.epochs) if comparable else 0
    training = -(history["reconstruction"][-1] + history["kl"][-1])
    return {
        "test at z = μ": Number(-at_mu(vae, x_test), "nats/image", published=AT_MU.get(epoch)),
        "training, last epoch": Number(training, "nats/image", published=TRAINING.get(epoch)),
    }


def at_mu(vae: sn.VAE, x: np.ndarray) -> float:
    """Reconstruction and KL with z = μ, in nats/image."""
    no_noise = np.zeros((len(x), vae.decoder.n_in or 0), x.dtype)
    pairs = zip(chunks(x), chunks(no_noise), strict=True)
    return sum(len(rows) * sum(vae.loss(rows, eps=eps).terms.values()) for rows, eps in pairs) / len(x)
