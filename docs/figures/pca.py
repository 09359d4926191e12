"""What a linear bottleneck finds in MNIST: chapter 08's two figures, and the numbers that it quotes (half a minute)."""

import json
import math
from pathlib import Path

import numpy as np

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
SIZES = (2, 10, 20, 30, 32)
L = 10  # of the linear autoencoder and of the linear VAE
EPOCHS, VAE_EPOCHS, BATCH_SIZE = 5, 30, 128
TRAIN, TEST = sn.data.mnist("train")[0], sn.data.mnist("test")[0]


def covariance(x: Array, mean: Array) -> Array:
    """The mean of (x − mean)ᵀ(x − mean), (D, D)."""
    x = x.astype(np.float32) - mean.astype(np.float32)
    return (x.T @ x / len(x)).astype(np.float64)


def principal_components() -> tuple[Array, Array, Array]:
    """Of the training images: the mean (D,), the eigenvalues (D,), the directions, columns of (D, D)."""
    mean = TRAIN.mean(axis=0, dtype=np.float64)
    eigenvalues, V = np.linalg.eigh(covariance(TRAIN, mean))
    return mean, eigenvalues[::-1], V[:, ::-1]


def left_by_components(S: Array, V: Array) -> Array:
    """Squared error per pixel after 0, 1, …, D components V of images with the covariance S: (D + 1,)."""
    kept = ((S @ V) * V).sum(axis=0)  # vᵀ S v, the variance along each direction
    return (np.trace(S) - np.concatenate([[0], np.cumsum(kept)])) / len(S)


def train(model: sn.Autoencoder | sn.VAE, epochs: int, peak: float, rng: np.random.Generator):
    """Adam with a learning rate that falls along half a cosine."""
    steps = epochs * math.ceil(len(TRAIN) / BATCH_SIZE)
    adam = sn.Adam(lambda step: peak / 2 * (1 + math.cos(math.pi * step / steps)))
    sn.fit(model, TRAIN, optimizer=adam, epochs=epochs, batch_size=BATCH_SIZE, rng=rng, progress=False)
    return model


def shared(A: Array, B: Array) -> float:
    """How much of the subspace of the rows of A (L, D) lies in that of B: 1 for the same, 0 for a right angle."""
    a, b = (np.linalg.qr(rows.T)[0] for rows in (A, B))
    return ((a.T @ b) ** 2).sum().item() / len(A)


def alignment(A: Array, V: Array) -> float:
    """The mean over the rows of A (L, D) of the largest |cosine| to a column of V."""
    unit = A / np.sqrt((A**2).sum(axis=1, keepdims=True))
    return np.abs(unit @ V).max(axis=1).mean().item()


def gap(W: Array, sigma: float) -> float:
    """What a diagonal posterior loses under the decoder W (L, D): ½ (Σ log M_kk − log|M|), M = WWᵀ + σ²I."""
    M = W @ W.T + sigma**2 * np.eye(len(W))
    return 0.5 * (np.log(np.diag(M)).sum() - np.linalg.slogdet(M)[1]).item()


def turned_at_random(W: Array, sigma: float, rng: np.random.Generator) -> float:
    """The mean gap of 1000 rotations of the rows of W (L, D)."""
    turns = (np.linalg.qr(rng.standard_normal((len(W), len(W))))[0] for _ in range(1000))
    return np.mean([gap(turn @ W, sigma) for turn in turns]).item()


def pictures(rows: Array) -> Array:
    """Directions (L, D) as images: 0 is grey, and the sign is chosen so that most of the ink is dark."""
    rows = rows * np.sign((rows**3).sum(axis=1, keepdims=True))
    return 0.5 + 0.5 * rows / np.abs(rows).max(axis=1, keepdims=True)


def main() -> None:
    """Write pca_error.png, pca_components.png and pca.json, and print the numbers."""
    rng = np.random.default_rng(SEED)
    mean, eigenvalues, V = principal_components()
    train_error = left_by_components(covariance(TRAIN, mean), V)
    test_error = left_by_components(covariance(TEST, mean), V)

    linear = train(sn.Autoencoder(sn.Dense(784, L, rng=rng), sn.Dense(L, 784, rng=rng)), EPOCHS, 5e-3, rng)
    sigma = math.sqrt(eigenvalues[L:].mean())
    vae = sn.VAE(sn.Dense(784, 2 * L, rng=rng), sn.Dense(L, 784, rng=rng), likelihood="gaussian", sigma=sigma)
    train(vae, VAE_EPOCHS, 1e-2, rng)

    W2 = linear.decoder.W.astype(np.float64)  # (L, D)
    turned = V[:, :L].T @ np.linalg.pinv(W2) @ W2  # vᵢ, as nearly as the rows of W₂ can make it
    of_vae = vae.decoder.W.astype(np.float64)
    of_vae = of_vae[np.argsort(-(of_vae**2).sum(axis=1))]
    top = V[:, :L].T
    W = top * np.sqrt(eigenvalues[:L, None] - sigma**2)  # of probabilistic PCA
    z = linear.encode(TEST)
    correlation = np.abs(np.corrcoef(z.T) - np.eye(L)).sum() / (L * (L - 1))
    y, _ = linear.decoder.forward(z)
    found = {
        "seed": SEED,
        "epochs": {"linear autoencoder": EPOCHS, "linear VAE": VAE_EPOCHS},
        "PCA, squared error/pixel": {
            str(size): {"train": train_error[size], "test": test_error[size]} for size in (0, *SIZES)
        },
        "components that leave less than half of the variance": int(np.argmax(test_error < test_error[0] / 2)),
        "linear autoencoder of 10": {
            "test squared error/pixel": np.mean((y - TEST) ** 2).item(),
            "share of the subspace": shared(W2, top),
            "mean largest cosine to a component": alignment(W2, top.T),
            "mean correlation of two codes": correlation.item(),
        },
        "linear VAE of 10": {
            "sigma, brightness": sigma,
            "ELBO lost by its axes, nats/image": gap(of_vae, sigma),
            "ELBO lost by axes turned at random, nats/image": turned_at_random(W, sigma, rng),
            "share of the subspace": shared(of_vae, top),
            "mean largest cosine to a component": alignment(of_vae, top.T),
        },
    }

    sizes = np.arange(1, 785)
    title = f"Test error/pixel by PCA: {test_error[2]:.4f} with 2 numbers, {test_error[32]:.4f} with 32\n"
    title += (
        f"Half of the variance is in {found['components that leave less than half of the variance']} of 784 directions"
    )
    curves = {
        "training images: the sum of the eigenvalues left out": (sizes[:400], train_error[1:401]),
        "test images": (sizes[:400], test_error[1:401]),
        "the five of the table": (np.array(SIZES), test_error[list(SIZES)]),
    }
    figure = plots.lines(
        curves, title, x_label="components", y_label="squared error/pixel", dots=["the five of the table"], log=True
    )
    plots.save_figure(HERE / "pca_error.png", figure)

    rows = {
        "components": pictures(top),
        "linear autoencoder": pictures(W2),
        "its rows, mixed": pictures(turned),
        "linear VAE": pictures(of_vae),
    }
    ae = found["linear autoencoder of 10"]
    title = f"{ae['share of the subspace']:.2%} of a linear autoencoder's space is that of the components.\n"
    title += f"Its axes differ: cosine {ae['mean largest cosine to a component']:.2f} to the nearest component"
    plots.save_figure(HERE / "pca_components.png", plots.image_rows(rows, title))

    with write_whole(HERE / "pca.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
