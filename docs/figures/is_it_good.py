"""How good is a small VAE, by every number that is in use? Chapter 13's figure and numbers (half a minute)."""

import json
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.core.gaussian import noise_like
from scratchnet.evaluation import active_units, bce_scale, kl_per_latent
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
HIDDEN, LATENT, EPOCHS, BATCH_SIZE = 200, 20, 5, 128
K = (1, 2, 5, 10, 20, 50, 100)
WEIGHED = 500  # test images that get 100 samples each
DRAWS = 10  # of ε, to tell what of the spread is the noise of the evaluation


def vae(D: int, rng: np.random.Generator, beta: float = 1.0) -> sn.VAE:
    """The VAE D-200-20-200-D."""
    encoder = sn.Sequential(sn.Dense(D, HIDDEN, rng=rng), sn.ReLU(), sn.Dense(HIDDEN, 2 * LATENT, rng=rng))
    decoder = sn.Sequential(sn.Dense(LATENT, HIDDEN, rng=rng), sn.ReLU(), sn.Dense(HIDDEN, D, rng=rng))
    return sn.VAE(encoder, decoder, beta=beta)


def trained(x: Array, epochs: int, beta: float = 1.0) -> sn.VAE:
    """The same start and the same batches each time."""
    rng = np.random.default_rng(SEED)
    model = vae(x.shape[1], rng, beta)
    sn.fit(model, x, optimizer=sn.Adam(1e-3), epochs=epochs, batch_size=BATCH_SIZE, rng=rng, progress=False)
    return model


def binary(x: Array) -> Array:
    """Black or white, at a threshold of ½."""
    return (x > 0.5).astype(x.dtype)


def at_mu(model: sn.VAE, x: Array) -> float:
    """−log p(x|μ) + KL in nats per image: no bound, though often printed as one."""
    return model.loss(x, eps=np.zeros((len(x), LATENT), x.dtype)).value


def figures_of(model: sn.VAE, x: Array, rng: np.random.Generator) -> dict:
    """What one trained model can be said to reach on images x."""
    bound = sn.elbo(model, x, rng)
    mu, logvar = model.encode(x)
    again = [sn.elbo(model, x, rng)["elbo"] for _ in range(DRAWS)]
    return {
        "ELBO, nats/image": bound["elbo"],
        "reconstruction, nats/image": bound["reconstruction"],
        "KL, nats/image": bound["kl"],
        "standard error, nats/image": bound["stderr"],
        "std over draws of ε, nats/image": float(np.std(again, ddof=1)),
        "loss at z = μ, nats/image": at_mu(model, x),
        "half the sum of 1 − σ²": 0.5 * (1 - np.exp(logvar)).sum(axis=1).mean().item(),
        "active units": int(active_units(mu).sum()),
        "least and largest KL of a unit, nats/image": [f(kl_per_latent(mu, logvar)).item() for f in (np.min, np.max)],
    }


def collapsed(model: sn.VAE, x: Array, rng: np.random.Generator) -> dict:
    """Signs that the decoder does not hear: the loss with codes of other images, and the spread of what is decoded."""
    mu, logvar = model.encode(x)
    z, _ = sn.sample_gaussian(mu, logvar, noise_like(mu, rng))
    right, wrong = (
        model.likelihood.nll_per_image(model.decoder.forward(codes)[0], x).mean().item()
        for codes in (z, rng.permutation(z))
    )
    return {
        "reconstruction, nats/image": right,
        "reconstruction from another image's code, nats/image": wrong,
        "spread of decoded samples, brightness": model.sample(500, rng).std(axis=0).mean().item(),
    }


def main() -> None:
    """Write is_it_good.png and is_it_good.json, and print the numbers."""
    grey, grey_test = (sn.data.mnist(split)[0] for split in ("train", "test"))
    black, black_test = binary(grey), binary(grey_test)
    rng = np.random.default_rng(SEED)
    on_grey = trained(grey, EPOCHS)
    on_black = trained(black, EPOCHS)
    too_dear = trained(grey, 1, beta=784.0)
    some = black_test[:WEIGHED]
    bounds = {k: sn.log_likelihood(on_black, some, k, rng)["log_likelihood"] for k in K}
    found = {
        "seed": SEED,
        "epochs": EPOCHS,
        "scale, nats/image": {
            "grey": {"p = 1/2": 784 * np.log(2).item(), **bce_scale(grey, grey_test)},
            "binary": {"p = 1/2": 784 * np.log(2).item(), **bce_scale(black, black_test)},
        },
        "grey": figures_of(on_grey, grey_test, rng),
        "binary": figures_of(on_black, black_test, rng),
        f"L_k on {WEIGHED} binary test images, nats/image": {str(k): value for k, value in bounds.items()},
        "signs of collapse": {
            "β = 1": collapsed(on_grey, grey_test, rng) | {"KL, nats/image": sn.elbo(on_grey, grey_test, rng)["kl"]},
            "β = 784": collapsed(too_dear, grey_test, rng)
            | {
                "KL, nats/image": sn.elbo(too_dear, grey_test, rng)["kl"],
                "active units": int(active_units(too_dear.encode(grey_test)[0]).sum()),
            },
        },
    }

    gain = bounds[K[-1]] - bounds[K[0]]
    curves = {
        f"L_k, {WEIGHED} images": (np.array(K), np.array(list(bounds.values()))),
        "minus the loss at z = μ": (np.array(K), np.full(len(K), -at_mu(on_black, some))),
    }
    title = f"{K[-1]} samples raise the bound on log p(x) by {gain:.1f} nats; the number at z = μ is no bound"
    figure = plots.lines(curves, title, x_label="samples per image, k", y_label="nats/image")
    (axes,) = figure.axes
    axes.set_xscale("log")
    axes.set_xticks(K, map(str, K), minor=False)
    axes.minorticks_off()
    axes.get_lines()[0].set_marker("o")
    axes.legend(frameon=False, fontsize=9)
    plots.save_figure(HERE / "is_it_good.png", figure)
    with write_whole(HERE / "is_it_good.json") as file:
        file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
