"""What β buys, and what samples cost the encoder: chapter 15's two figures and numbers (a minute)."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.evaluation import active_units
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
IMAGES, HIDDEN, LATENT, EPOCHS, BATCH_SIZE = 20_000, 200, 10, 8, 100
K = (1, 3, 10, 30, 100, 300, 1000)
REPEATS, AT_ONCE = 40_000, 2000
W, S, X, OFF = 1.5, 0.8, 4.0, 0.3  # x|z ~ N(Wz, S²), one x, and how far q(z|x) is from the posterior


def measure_beta(beta: float, x: Array, x_test: Array) -> dict:
    """Rate and distortion on the test images of a VAE 784-200-10-200-784 that was trained with β."""
    rng = np.random.default_rng(SEED)
    D = x.shape[1]
    vae = sn.VAE(
        sn.Sequential(sn.Dense(D, HIDDEN, rng=rng), sn.ReLU(), sn.Dense(HIDDEN, 2 * LATENT, rng=rng)),
        sn.Sequential(sn.Dense(LATENT, HIDDEN, rng=rng), sn.ReLU(), sn.Dense(HIDDEN, D, rng=rng)),
        beta=beta,
    )
    sn.fit(vae, x, optimizer=sn.Adam(2e-3), epochs=EPOCHS, batch_size=BATCH_SIZE, rng=rng, progress=False)
    found = sn.elbo(vae, x_test, rng)
    return {
        "rate": found["kl"],
        "distortion": found["reconstruction"],
        "ELBO": found["elbo"],
        "active units": int(active_units(vae.encode(x_test)[0]).sum()),
    }


def slopes(k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """AT_ONCE draws of the slope of L_k in W and in μ, each from k samples of z, in the model of one pixel."""
    variance = W**2 + S**2
    mu, sigma = W * X / variance + OFF, S / np.sqrt(variance)
    z = mu + sigma * rng.standard_normal((AT_ONCE, k))
    log_w = -0.5 * (X - W * z) ** 2 / S**2 - 0.5 * z**2 + 0.5 * ((z - mu) / sigma) ** 2
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    share = w / w.sum(axis=1, keepdims=True)  # w̃, (AT_ONCE, k)
    residual = (X - W * z) / S**2
    dW = residual * z  # ∂ log w/∂W
    dmu = W * residual - z  # ∂ log w/∂μ with ε held: the term of log q does not move
    return (share * dW).sum(axis=1), (share * dmu).sum(axis=1)


def signal_to_noise(k: int, rng: np.random.Generator) -> dict:
    """|mean|/deviation of one draw of each slope."""
    draws = np.concatenate([slopes(k, rng) for _ in range(REPEATS // AT_ONCE)], axis=1)  # (2, REPEATS)
    ratios = np.abs(draws.mean(axis=1)) / draws.std(axis=1, ddof=1)
    return dict(zip(("decoder", "encoder"), ratios.tolist(), strict=True))


def draw_rates(found: dict[str, dict]) -> Figure:
    """Distortion against rate, each point with its β, and the line of all pairs that have the best point's ELBO."""
    rate, distortion = (np.array([one[name] for one in found.values()]) for name in ("rate", "distortion"))
    best = max(found, key=lambda beta: found[beta]["ELBO"])
    level = -found[best]["ELBO"]
    title = f"β trades nats of rate for nats of distortion; their sum is least at β = {best}, {level:.1f} nats/image"
    line = np.array([0, level - distortion.min()])
    curves = {
        "a VAE trained with β": (rate, distortion),
        f"rate + distortion = {level:.1f}": (line, level - line),
    }
    figure = plots.lines(
        curves,
        title,
        x_label="rate: KL (nats/image)",
        y_label="distortion: −log p(x|z) (nats/image)",
        dots=["a VAE trained with β"],
    )
    (axes,) = figure.axes
    axes.margins(x=0.12)
    for beta, one in found.items():
        axes.annotate(
            f"β = {beta}",
            (one["rate"], one["distortion"]),
            (7, 5),
            textcoords="offset points",
            fontsize=8,
            color=plots.INK,
        )
    return figure


def draw_signal(found: dict[str, dict]) -> Figure:
    """Signal to noise of the two slopes against k."""
    k = np.array(K)
    few, many = K[2], K[-1]
    clearer = {name: found[str(many)][name] / found[str(few)][name] for name in ("decoder", "encoder")}
    title = f"From k = {few} to {many} the decoder's slope gets {clearer['decoder']:.1f} times clearer,\n"
    title += f"the encoder's {1 / clearer['encoder']:.1f} times less clear"
    curves = {f"slope of the {name}": (k, np.array([found[str(one)][name] for one in K])) for name in clearer}
    figure = plots.lines(
        curves, title, x_label="samples per image, k", y_label="|mean| / deviation of one draw", log=True
    )
    return figure


def main() -> None:
    """Write rate_distortion.png, starved.png and rate_distortion.json, and print the numbers."""
    x, x_test = sn.data.mnist("train")[0][:IMAGES], sn.data.mnist("test")[0]
    rates = {f"{beta:g}": measure_beta(beta, x, x_test) for beta in BETAS}
    rng = np.random.default_rng(SEED)
    signal = {str(k): signal_to_noise(k, rng) for k in K}
    plots.save_figure(HERE / "rate_distortion.png", draw_rates(rates))
    plots.save_figure(HERE / "starved.png", draw_signal(signal))
    found = {"seed": SEED, "β, nats/image": rates, "signal to noise of a slope, by k": signal}
    with write_whole(HERE / "rate_distortion.json") as file:
        file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
