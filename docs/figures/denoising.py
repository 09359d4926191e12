"""What a denoiser learns: chapter 09's two figures, and the numbers that it quotes (about two minutes)."""

import json
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.corruption import Downsample, GaussianNoise, Masking, SaltAndPepper
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
TAUS = (0.6, 0.3, 0.15)
CIRCLE, CIRCLE_EPOCHS, CIRCLE_HIDDEN = 20_000, 40, 64
CORRUPTIONS = {
    "noise": GaussianNoise(0.5),
    "masking": Masking(0.5),
    "salt and pepper": SaltAndPepper(0.5),
    "downsampling": Downsample(4, (28, 28)),
}
HIDDEN, EPOCHS, BATCH_SIZE = 512, 5, 128
SHOWN = 12


def circle(n: int, rng: np.random.Generator) -> Array:
    """Points (n, 2) of the unit circle."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def posterior_length(distance: Array, tau: float) -> Array:
    """‖E[x | x̃]‖ for the circle, by ‖x̃‖: A(κ) = ∫ cos θ e^(κ cos θ) dθ / ∫ e^(κ cos θ) dθ with κ = ‖x̃‖/τ²."""
    cosines = np.cos(np.linspace(0, 2 * np.pi, 2000, endpoint=False))
    weights = np.exp(np.multiply.outer(distance / tau**2, cosines - 1))
    return weights @ cosines / weights.sum(axis=-1)


def cosine(peak: float, steps: int):
    """A learning rate that falls from `peak` to 0 along half a cosine."""
    return lambda step: peak / 2 * (1 + math.cos(math.pi * step / steps))


def train(encoder: sn.Layer, decoder: sn.Layer, corrupt, x: Array, epochs: int, peak: float, rng) -> sn.Autoencoder:
    """A denoiser of x, trained with a cosine schedule."""
    model = sn.Autoencoder(encoder, decoder, corrupt=corrupt)
    optimizer = sn.Adam(cosine(peak, epochs * math.ceil(len(x) / BATCH_SIZE)))
    sn.fit(model, x, optimizer=optimizer, epochs=epochs, batch_size=BATCH_SIZE, rng=rng, progress=False)
    return model


def circle_denoiser(tau: float, rng: np.random.Generator) -> sn.Autoencoder:
    """A denoiser of points on the circle; the noise is not clipped."""
    H = CIRCLE_HIDDEN

    def dense(n_in: int, n_out: int) -> sn.Dense:
        return sn.Dense(n_in, n_out, rng=rng, dtype=np.float64)

    encoder = sn.Sequential(dense(2, H), sn.Tanh(), dense(H, H), sn.Tanh())
    return train(
        encoder,
        dense(H, 2),
        lambda x, rng: x + tau * rng.standard_normal(x.shape),
        circle(CIRCLE, rng),
        CIRCLE_EPOCHS,
        1e-2,
        rng,
    )


def answer(model: sn.Autoencoder, seen: Array) -> Array:
    """The decoder's output for what is seen, unclipped."""
    return model.decoder.forward(model.encoder.forward(seen)[0])[0]


def measure_circle(models: dict[float, sn.Autoencoder], rng: np.random.Generator) -> dict:
    """For each τ what is left by the network and by the exact answer, and how far apart the two are."""
    found = {}
    for tau, model in models.items():
        x = circle(CIRCLE, rng)
        seen = x + tau * rng.standard_normal(x.shape)
        distance = np.sqrt((seen**2).sum(axis=1))
        exact = seen / distance[:, None] * posterior_length(distance, tau)[:, None]
        got = answer(model, seen)

        def square(a: Array) -> float:
            return (a**2).sum(axis=1).mean().item()

        found[str(tau)] = {
            "noise": square(seen - x),
            "left by the exact answer": square(exact - x),
            "left by the network": square(got - x),
            "between network and exact answer": square(got - exact),
        }
    return found


def draw_circle(models: dict[float, sn.Autoencoder]) -> Figure:
    """Left the network's steps in the plane, right their length against the exact one."""
    title = "A denoiser finds the exact answer where noise takes it, and guesses where noise never does"
    figure, (plane, course) = plots.panels(title, ("", ""), width=9, height=4.2)
    tau = TAUS[1]
    axis = np.linspace(-1.6, 1.6, 10)
    seen = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    step = answer(models[tau], seen) - seen
    plane.quiver(*seen.T, *step.T, color=plots.COLORS[0], angles="xy", scale_units="xy", scale=1, width=0.003)
    plane.plot(*seen.T, ".", color=plots.SOFT, markersize=4)
    angle = np.linspace(0, 2 * np.pi, 200)
    plane.plot(np.cos(angle), np.sin(angle), color=plots.COLORS[1], linewidth=1.6)
    plane.set_title(f"from x̃ (grey) to the answer r(x̃), noise τ = {tau}", fontsize=10)
    plane.set_aspect("equal")

    distance = np.linspace(0.01, 1.8, 60)
    turns = np.stack([np.cos(angle[::20]), np.sin(angle[::20])], axis=1)  # ten directions
    for color, tau in zip(plots.COLORS, TAUS, strict=False):
        for direction in turns:
            along = answer(models[tau], np.outer(distance, direction)) @ direction
            course.plot(distance, along, color=color, linewidth=0.8, alpha=0.6)
        course.plot([], color=color, label=f"network, τ = {tau}, ten directions")
        course.plot(distance, posterior_length(distance, tau), "--", color=plots.INK, linewidth=1.2)
    course.plot([], "--", color=plots.INK, label="exact: I₁(κ)/I₀(κ), κ = ‖x̃‖/τ²")
    course.set_xlabel("distance of x̃ from the middle")
    course.set_ylabel("distance of the answer, along x̃")
    course.legend(frameon=False, fontsize=8)
    return figure


def linear_answer(corrupt, x: Array, x_test_seen: Array, rng: np.random.Generator) -> Array:
    """What the best linear map with a bias, fitted to the training images and one draw of noise each, answers."""
    seen = corrupt(x, rng)
    mean_seen, mean = seen.mean(axis=0), x.mean(axis=0)
    seen = seen - mean_seen
    ridge = 1e-5 * len(x) * np.eye(784)  # pixels that are always the same would leave the equations singular
    W = np.linalg.solve(seen.T @ seen + ridge, seen.T @ (x - mean))
    return (x_test_seen - mean_seen) @ W + mean


def measure_digits(rng: np.random.Generator) -> tuple[dict, Figure]:
    """Squared error per pixel of each corruption, of the best linear map's answer and of a network's; the images."""
    x, _ = sn.data.mnist("train")
    x_test, _ = sn.data.mnist("test")
    found, rows = {}, {"clean": x_test[:SHOWN]}
    for name, corrupt in CORRUPTIONS.items():
        encoder = sn.Sequential(sn.Dense(784, HIDDEN, rng=rng), sn.ReLU())
        decoder = sn.Sequential(sn.Dense(HIDDEN, 784, rng=rng), sn.Sigmoid())
        model = train(encoder, decoder, corrupt, x, EPOCHS, 2e-3, rng)
        seen = corrupt(x_test, np.random.default_rng(SEED))  # one draw of test noise for every method
        mended = model.reconstruct(seen)
        errors = {"seen": seen, "best linear": linear_answer(corrupt, x, seen, rng), "network": mended}
        found[name] = {which: np.mean((images - x_test) ** 2).item() for which, images in errors.items()}
        rows |= {name: seen[:SHOWN], f"mended {len(found)}": mended[:SHOWN]}
    better = min(error["seen"] / error["network"] for error in found.values())
    title = f"Spoilt in four ways and mended: at least {better:.1f} times less squared error"
    return found, plots.image_rows(rows, title)


def measure_gaussian(tau: float = 0.5) -> dict:
    """On MNIST with unclipped noise: what the formula leaves, and what the matrix leaves on training images."""
    x, _ = sn.data.mnist("train")
    x = x - x.mean(axis=0)
    covariance = (x.T @ x / len(x)).astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(covariance)
    W = np.linalg.solve(covariance + tau**2 * np.eye(784), covariance)
    seen = x + tau * np.random.default_rng(SEED).standard_normal(x.shape, np.float32)
    return {
        "tau": tau,
        "formula": (eigenvalues * tau**2 / (eigenvalues + tau**2)).sum() / 784,
        "measured": np.mean((x - seen @ W) ** 2).item(),
    }


def main() -> None:
    """Write circle.png, mended.png and denoising.json, and print the numbers."""
    rng = np.random.default_rng(SEED)
    models = {tau: circle_denoiser(tau, rng) for tau in TAUS}
    digits, figure = measure_digits(rng)
    plots.save_figure(HERE / "circle.png", draw_circle(models))
    plots.save_figure(HERE / "mended.png", figure)
    found = {
        "seed": SEED,
        "circle, squared distance": measure_circle(models, rng),
        "digits, squared error/pixel": digits,
        "linear denoiser of unclipped noise, squared error/pixel": measure_gaussian(),
    }
    with write_whole(HERE / "denoising.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
