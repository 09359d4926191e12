"""Samples of a VAE that was trained with the lesson's KL: chapter 17's figure and numbers (half a minute)."""

import json
import math
from pathlib import Path
from unittest.mock import patch

import numpy as np

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
IMAGES, HIDDEN, LATENT, EPOCHS, BATCH_SIZE = 20_000, 200, 20, 10, 100
SHOWN, SAMPLES = 14, 1000


def as_printed(mu: Array, logvar: Array) -> tuple[float, Array, Array]:
    """Σ σ² + μ² − log σ − 1, the mean over the batch, and its slopes, right ones, in μ and log σ²."""
    variance = np.exp(logvar)
    per_image = (variance + mu**2 - 0.5 * logvar - 1).sum(axis=1)
    return per_image.mean().item(), 2 * mu / len(mu), (variance - 0.5) / len(mu)


def train(x: Array) -> sn.VAE:
    """A VAE 784-200-20-200-784, from the same start each time."""
    rng = np.random.default_rng(SEED)
    D = x.shape[1]
    vae = sn.VAE(
        sn.Sequential(sn.Dense(D, HIDDEN, rng=rng), sn.ReLU(), sn.Dense(HIDDEN, 2 * LATENT, rng=rng)),
        sn.Sequential(sn.Dense(LATENT, HIDDEN, rng=rng), sn.ReLU(), sn.Dense(HIDDEN, D, rng=rng)),
    )
    sn.fit(vae, x, optimizer=sn.Adam(2e-3), epochs=EPOCHS, batch_size=BATCH_SIZE, rng=rng, progress=False)
    return vae


def spread_of_codes(vae: sn.VAE, x: Array, rng: np.random.Generator) -> float:
    """The root mean square, over images and dimensions, of z drawn from q(z|x)."""
    mu, logvar = vae.encode(x)
    z, _ = sn.sample_gaussian(mu, logvar, noise_like(mu, rng))
    return np.sqrt((z**2).mean(dtype=np.float64)).item()


def of_samples(images: Array, x: Array) -> dict:
    """Samples beside the training images x: how bright they are, and how far the nearest of x is on average."""
    squares = (images**2).sum(axis=1)[:, None] - 2 * images @ x.T + (x**2).sum(axis=1)
    return {
        "mean brightness": images.mean(dtype=np.float64).item(),
        "distance to the nearest training image": np.sqrt(squares.min(axis=1)).mean(dtype=np.float64).item(),
    }


def elbo(vae: sn.VAE, x: Array, deviation: float, rng: np.random.Generator) -> float:
    """The ELBO under the prior N(0, deviation² I), in nats per image."""
    mu, logvar = vae.encode(x)
    reconstruction = -sn.elbo(vae, x, rng)["reconstruction"]
    return reconstruction - sn.kl_standard_normal(mu / deviation, logvar - 2 * math.log(deviation))[0]


def main() -> None:
    """Write errata.png and errata.json, and print the numbers."""
    x, x_test = sn.data.mnist("train")[0][:IMAGES], sn.data.mnist("test")[0]
    right = train(x)
    with patch("scratchnet.core.vae.kl_standard_normal", as_printed):
        printed = train(x)
    rng = np.random.default_rng(SEED)
    narrow = math.sqrt(0.5)
    z = rng.standard_normal((SAMPLES, LATENT)).astype(np.float32)
    samples = {
        "right KL, z from N(0, I)": right.decode(z),
        "as printed, z from N(0, I)": printed.decode(z),
        "as printed, z from N(0, I/2)": printed.decode(np.float32(narrow) * z),
    }
    found = {
        "seed": SEED,
        "mean brightness of training images": x.mean(dtype=np.float64).item(),
        "samples": {name: of_samples(images, x) for name, images in samples.items()},
        "right": {
            "spread of codes": spread_of_codes(right, x_test, rng),
            "ELBO, prior N(0, I), nats/image": elbo(right, x_test, 1.0, rng),
        },
        "as printed": {
            "spread of codes": spread_of_codes(printed, x_test, rng),
            "ELBO, prior N(0, I), nats/image": elbo(printed, x_test, 1.0, rng),
            "ELBO, prior N(0, I/2), nats/image": elbo(printed, x_test, narrow, rng),
        },
    }
    spread = found["as printed"]["spread of codes"]
    wide, fitting = (
        found["samples"][f"as printed, z from {prior}"]["distance to the nearest training image"]
        for prior in ("N(0, I)", "N(0, I/2)")
    )
    title = f"Trained with the KL as printed, codes have a spread of {spread:.2f}:\n"
    title += f"z from N(0, I/2) decodes nearer to digits, {fitting:.2f}, than z from N(0, I), {wide:.2f}"
    rows = {name: images[:SHOWN] for name, images in samples.items()}
    plots.save_figure(HERE / "errata.png", plots.image_rows(rows, title))
    with write_whole(HERE / "errata.json") as file:
        file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
