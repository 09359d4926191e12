"""Write a page on which to explore the plane of codes: about two minutes on two cores.

An autoencoder and six VAEs learn MNIST with codes of two numbers. Their decoders go into one HTML file, which needs no
network: point at a place of the plane, and two decoders draw its image, the autoencoder's and that of a VAE. A slider
chooses which VAE, from the reconstruction alone (β = 0) to practically the KL alone (β = 10⁶).
"""

import math
from collections.abc import Mapping

import numpy as np

import scratchnet as sn
from lib import explorer
from lib.common import Run, changed_options, options, run, say_if_changed, watched, whole_number
from lib.measures import in_parts
from lib.networks import perceptron
from lib.results import Number, table
from scratchnet.training.storage import write_whole

BETAS = (0.0, 0.1, 1.0, 4.0, 16.0, 1e6)
PEAK = 2e-3  # the learning rate at the first step; it falls to 0 along half a cosine
SHOWN = 5_000  # test images whose codes are on the page
SETTINGS = ("data", "quick", "epochs", "batch_size", "hidden")


def main() -> None:
    """Train the networks, write the page, and say what it shows."""
    parser = options("explore_latent", __doc__, epochs=16, batch_size=128)
    parser.add_argument("--hidden", type=whole_number, default=128, help="units in each hidden layer of a decoder")
    arguments = parser.parse_args()
    demo = Run("explore_latent", arguments)
    x, _ = demo.images("train")
    x_test, labels = demo.images("test")
    rng = np.random.default_rng(arguments.seed)
    D, H = x.shape[1], arguments.hidden

    def train(name: str, model: sn.Autoencoder | sn.VAE, epochs: int) -> None:
        found = sn.fit(
            model,
            x,
            optimizer=sn.Adam(sn.schedules.cosine(PEAK, epochs * math.ceil(len(x) / arguments.batch_size))),
            epochs=epochs,
            batch_size=arguments.batch_size,
            rng=rng,
            **watched(),
            checkpoint=demo.checkpoint(name),
        )
        history.epochs += [{"network": name, **record} for record in found.epochs]
        history.interrupted = found.interrupted
        if not found.interrupted:
            print(f"{name}: a training reconstruction of {found['reconstruction'][-1]:.1f} nats/image")

    history = sn.History(unit="nats/image")
    encoder, decoder = perceptron(D, 2 * H, H, 2, rng=rng), perceptron(2, H, H, D, rng=rng)
    autoencoder = sn.Autoencoder(encoder, decoder, loss=sn.bce_with_logits)
    train("autoencoder", autoencoder, arguments.epochs)
    vaes: dict[float, sn.VAE] = {}
    epochs = arguments.epochs
    for before, beta in zip((None, *BETAS), BETAS, strict=False):
        if history.interrupted:
            break
        encoder, decoder = perceptron(D, 2 * H, H, 4, rng=rng), perceptron(2, H, H, D, rng=rng)
        vaes[beta] = sn.VAE(encoder, decoder, beta=beta)
        if before is not None:  # go on from the last one, so that each digit stays where it can, as β grows
            vaes[beta].parameters.theta[...] = vaes[before].parameters.theta
            epochs = math.ceil(arguments.epochs / 2)
        train(f"beta {beta:.7g}", vaes[beta], epochs)
    if history.interrupted:
        print("Interrupted: the page needs all networks, so there is none yet.")
        demo.finish({}, history)
        return

    models = {"autoencoder": autoencoder} | {f"beta {beta:.7g}": vaes[beta] for beta in BETAS}
    for name, model in models.items():
        sn.save(demo.path(f"{name.replace(' ', '_')}.npz"), model)
    text, results = page(models, x_test, labels, rng)
    with write_whole(demo.path("explorer.html")) as file:
        file.write(text)
    print(f"\n{table(results)}\n")
    print("Published pictures of such planes come without numbers, so there is none to compare with.")
    say_if_changed(changed_options(parser, arguments, *SETTINGS))
    demo.finish(results, history)


def page(
    models: Mapping[str, sn.Autoencoder | sn.VAE], x: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[bytes, dict[str, Number]]:
    """The page of these models, whose decoders are rounded to float16, and what can be said of them in numbers.

    Half of the images x (N, D), or the first SHOWN, are on the page; the other half is new to it.
    """
    eps = rng.standard_normal((len(x), 2)).astype(np.float16).astype(x.dtype)  # as the page has it
    draws = rng.standard_normal((len(x), 2)).astype(x.dtype)
    shown, others = slice(0, min(SHOWN, len(x) // 2)), slice(len(x) // 2, None)
    results: dict[str, Number] = {}
    networks = []
    for name, model in models.items():
        codes, new = (explorer.Codes(model, x[part], eps[part]) for part in (shown, others))
        terms = model.loss(x, rng).terms
        before = in_parts(model.decode, draws)
        explorer.round_to_half(model.decoder)
        change = np.abs(in_parts(model.decode, draws) - before).max()
        found = {"test reconstruction": Number(terms["reconstruction"], "nats/image")}
        if codes.logvar is not None:
            found["test KL"] = Number(terms["kl"], "nats/image")
            found["median σ"] = Number(np.median(np.exp(0.5 * codes.logvar)).item(), "in the plane", digits=4)
        gaps = codes.distance(draws) > codes.far(new)
        found["draws from N(0, I) in a gap"] = Number(100 * gaps.mean().item(), "%", digits=1)
        facts = [f"{quantity} {number.value:.{number.digits}f} {number.unit}" for quantity, number in found.items()]
        networks.append({"beta": getattr(model, "beta", None), "facts": "; ".join(facts)})
        networks[-1] |= {"layers": explorer.decoder_as_text(model.decoder)} | codes.as_text(labels[shown], new)
        found["pixel, changed by float16"] = Number(change.item(), "at most, of 1", digits=5)
        results |= {f"{name}: {quantity}": number for quantity, number in found.items()}
    data = {"labels": "".join(map(str, labels[shown])), "eps": explorer.halves(eps[shown]), "models": networks}
    text = explorer.page(data).encode()
    return text, results | {"size of the page": Number(len(text) / 1e6, "MB", digits=1)}


if __name__ == "__main__":
    run(main)
