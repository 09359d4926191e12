"""Twelve troubles, each planted and cured: chapter 19's figures and numbers (ten seconds)."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import scratchnet as sn
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.evaluation import active_units, bce_scale
from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
TRAIN, TEST, BATCH_SIZE, EPOCHS = 2000, 1000, 50, 5
WIDTH, DEPTH, DEEP_WIDTH, LATENT = 64, 10, 32, 20
CLASSES, PIXELS = 10, 784
ONE_BATCH, ONE_BATCH_STEPS = 32, 300
RATES = [10 ** (exponent / 2) for exponent in range(-8, 4)]  # 0.0001 … 31.6
ADAM_RATES = (1e-5, 1e-3, 1e-1)
VAE_EPOCHS, SAMPLES, SHOWN = 15, 500, 14
Found = dict[str, dict[str, Any]]


class Losses(sn.Callback):
    """The loss of each step."""

    def __init__(self):
        self.values: list[float] = []

    def after_loss(self, run: Any) -> None:
        """Note it."""
        self.values.append(float(run.loss.value))


def fresh() -> np.random.Generator:
    """The same random numbers for every trouble and every cure."""
    return np.random.default_rng(SEED)


def digits() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """A few digits to train on, and a few to test, as (images, labels)."""
    (x, labels), (x_test, labels_test) = sn.data.mnist("train"), sn.data.mnist("test")
    return (x[:TRAIN], labels[:TRAIN]), (x_test[:TEST], labels_test[:TEST])


def network(*widths: int, activation: Callable[[], sn.Layer] = sn.ReLU, scale: float = 1.0) -> sn.Sequential:
    """Dense layers with activations between them; the weights start `scale` times as large as usual."""
    rng, layers = fresh(), []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [sn.Dense(n_in, n_out, rng=rng), activation()]
        layers[-2].W *= np.float32(scale)
    return sn.Sequential(*layers[:-1])


def train(model: Any, data: Any, optimizer: sn.Optimizer, *callbacks: sn.Callback, **options: Any) -> sn.History:
    """A training with the same order of the examples each time."""
    how = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "rng": fresh(), "progress": False} | options
    return sn.fit(model, data, optimizer=optimizer, callbacks=callbacks, **how)


def classify(
    net: sn.Sequential, data: Any, test: Any, optimizer: sn.Optimizer, *callbacks: Any, **options: Any
) -> dict:
    """Train a classifier: its first and last loss, in nats per example, and how many test images it gets right."""
    model, losses = sn.Classifier(net), Losses()
    history = train(model, data, optimizer, losses, *callbacks, **options)
    return {
        "first loss": losses.values[0],
        "loss": history["loss"][-1],
        "test accuracy": model.accuracy(test),
        "losses": losses.values,
    }


# ---- the troubles: each returns what was found with it and with its cure


def first_loss(data: Any, test: Any) -> Found:
    """The loss before the first step, which theory knows; weights that start too large spoil it."""
    x, labels = data
    decoder = sn.Autoencoder(network(PIXELS, WIDTH), network(WIDTH, PIXELS), sn.bce_with_logits)
    found = {"theory": {"softmax": math.log(CLASSES), "pixels": PIXELS * math.log(2)}}
    found["cured"] = {
        "softmax": sn.Classifier(network(PIXELS, WIDTH, CLASSES)).loss((x, labels)).value,
        "pixels": decoder.loss(x).value,
    }
    large = network(PIXELS, WIDTH, CLASSES, scale=math.sqrt(3 * PIXELS))  # a deviation of 1 in the first layer
    return found | {"planted": {"softmax": sn.Classifier(large).loss((x, labels)).value}}


def one_batch(data: Any, test: Any) -> Found:
    """A ReLU after the last layer: the logits cannot be negative, and not even one batch is learnt."""
    batch = tuple(one[:ONE_BATCH] for one in data)
    right, wrong = network(PIXELS, WIDTH, CLASSES), network(PIXELS, WIDTH, CLASSES)
    wrong = sn.Sequential(*wrong.layers, sn.ReLU())
    return {
        name: classify(net, batch, batch, sn.SGD(0.1), epochs=ONE_BATCH_STEPS)
        for name, net in (("planted", wrong), ("cured", right))
    }


def rates(data: Any, test: Any) -> dict[str, float]:
    """The loss of the last epoch, by the learning rate of plain descent."""
    nets = {rate: network(PIXELS, WIDTH, CLASSES) for rate in RATES}
    return {f"{rate:.2g}": classify(net, data, test, sn.SGD(rate))["loss"] for rate, net in nets.items()}


def watched(net: sn.Sequential, data: Any, test: Any, optimizer: sn.Optimizer, **options: Any) -> tuple[dict, Any]:
    """A training and what Watch recorded of it."""
    watch = sn.callbacks.Watch(every=4)
    return classify(net, data, test, optimizer, watch, **options), watch


def idle(watch: sn.callbacks.Watch) -> dict[str, list[float]]:
    """The share of idle units by layer, before the first step and before the last one that was recorded."""
    first, last = watch.records[0], watch.records[-1]
    return {"idle at first": list(first["idle"].values()), "idle at last": list(last["idle"].values())}


def dead(data: Any, test: Any) -> tuple[Found, dict[str, Any]]:
    """A rate that is too high kills ReLUs: one large step makes a unit negative for all inputs."""
    net = (PIXELS, WIDTH, WIDTH, CLASSES)
    found, watches = {}, {}
    for name, rate in (("planted", 0.5), ("cured", 0.05)):
        optimizer = sn.SGD(rate, momentum=0.9)
        found[name], watches[name] = watched(network(*net), data, test, optimizer)
        found[name] |= idle(watches[name])
    return found, watches


def saturated(data: Any, test: Any) -> Found:
    """Weights that start too large drive tanh to its ends, where it has no slope."""
    found = {}
    for name, scale in (("planted", math.sqrt(3 * PIXELS)), ("cured", 1.0)):
        net = network(PIXELS, WIDTH, WIDTH, CLASSES, activation=sn.Tanh, scale=scale)
        found[name], watch = watched(net, data, test, sn.SGD(0.1))
        found[name] |= idle(watch)
    return found


DEEP = {
    "sigmoids": (sn.Sigmoid, 1.0),
    "ReLUs, weights in ±1/√D": (sn.ReLU, 1.0),
    "ReLUs, weights in ±√(6/D)": (sn.ReLU, math.sqrt(6)),
}


def depth(data: Any, test: Any) -> Found:
    """The norm of each layer's gradient at the first step, through ten hidden layers."""
    found = {}
    widths = (PIXELS, *[DEEP_WIDTH] * DEPTH, CLASSES)
    for name, (activation, scale) in DEEP.items():
        net = network(*widths, activation=activation, scale=scale)
        found[name], watch = watched(net, data, test, sn.SGD(0.05), epochs=2 * EPOCHS)
        weights = [norm for one, norm in watch.records[0]["gradient"].items() if one.endswith(".W")]
        found[name] |= {"gradient by layer": weights, "last ÷ first": weights[-1] / weights[0]}
    return found


def update_size(data: Any, test: Any) -> Found:
    """‖ΔW‖/‖W‖ of the first layer, at the first step and in the median, by Adam's learning rate."""
    found = {}
    for rate in ADAM_RATES:
        one, watch = watched(network(PIXELS, WIDTH, CLASSES), data, test, sn.Adam(rate))
        updates = [record["update"]["network.0.W"] for record in watch.records]
        found[f"{rate:g}"] = one | {"first update": updates[0], "median update": float(np.median(updates))}
    return found


def unscaled(data: Any, test: Any) -> Found:
    """Pixels from 0 to 255."""
    found = {}
    for name, factor in (("planted", 255), ("cured", 1)):
        to_train, to_test = ((np.float32(factor) * x, labels) for x, labels in (data, test))
        found[name] = classify(network(PIXELS, WIDTH, CLASSES), to_train, to_test, sn.SGD(0.1))
    return found


def shuffled(data: Any, test: Any) -> Found:
    """Images in a new order, labels in the old one."""
    x, labels = data
    pairs = {"planted": (fresh().permutation(x), labels), "cured": data}
    return {name: classify(network(PIXELS, WIDTH, CLASSES), pair, test, sn.SGD(0.1)) for name, pair in pairs.items()}


def no_zero_grad(data: Any, test: Any) -> Found:
    """A loop of one's own that forgets to set dθ to zero."""
    x, labels = data
    found = {}
    for name in ("planted", "cured"):
        model, optimizer, rng, losses, norms = (
            sn.Classifier(network(PIXELS, WIDTH, CLASSES)),
            sn.SGD(0.1),
            fresh(),
            [],
            [],
        )
        for _ in range(EPOCHS):
            for rows in rng.permutation(TRAIN).reshape(-1, BATCH_SIZE):
                if name == "cured":
                    model.parameters.zero_grad()
                loss = model.loss((x[rows], labels[rows]))
                loss.backward()
                optimizer.step(model.parameters.theta, model.parameters.dtheta)
                losses.append(loss.value)
                norms.append(float(np.linalg.norm(model.parameters.dtheta)))
        found[name] = {
            "loss": float(np.mean(losses[-len(losses) // EPOCHS :])),
            "largest norm of dθ": max(norms),
            "test accuracy": model.accuracy(test),
            "losses": losses,
        }
    return found


BETAS = {"sums": 1.0, "mean over pixels": float(PIXELS), "mean over codes": 1 / LATENT}


def vaes(data: Any, test: Any, epochs: int = VAE_EPOCHS) -> tuple[Found, dict[str, Array]]:
    """A sum in one term and a mean in the other is a β; what it does to codes and samples."""
    found: Found = {"mean image": bce_scale(data[0], test[0])}
    samples = {}
    for name, beta in BETAS.items():
        rng = fresh()
        vae = sn.VAE(network(PIXELS, 200, 2 * LATENT), network(LATENT, 200, PIXELS), beta=beta)
        train(vae, data[0], sn.Adam(2e-3), epochs=epochs)
        terms = sn.elbo(vae, test[0], rng)
        mu, logvar = vae.encode(test[0])
        drawn = vae.sample(SAMPLES, rng)
        samples[name] = drawn[:SHOWN]
        squares = (drawn**2).sum(axis=1)[:, None] - 2 * drawn @ data[0].T + (data[0] ** 2).sum(axis=1)
        found[name] = {
            "reconstruction": terms["reconstruction"],
            "KL": terms["kl"],
            "ELBO": terms["elbo"],
            "active units": int(active_units(mu).sum()),
            "spread of codes": float(np.sqrt((mu**2 + np.exp(logvar)).mean())),
            "spread of samples": float(drawn.std(axis=0).mean()),
            "distance to the nearest training image": float(np.sqrt(squares.min(axis=1)).mean()),
        }
    return found, samples


# ---- the figures


def draw_losses(found: dict[str, Found]) -> Any:
    """The loss of each step, with a mistake and without, for four mistakes."""
    mistakes = {
        "pixels from 0 to 255": "unscaled",
        "labels shuffled apart": "shuffled",
        "no zero_grad": "no_zero_grad",
        "a ReLU after the last layer, one batch": "one_batch",
    }
    title = "With a mistake the loss stays high or swings; once it is cured, the loss falls"
    figure, each = plots.panels(title, list(mistakes), width=8.4, height=2.5, columns=2)
    for axes, trouble in zip(each, mistakes.values(), strict=True):
        for color, name in zip(plots.COLORS[1::-1], ("planted", "cured"), strict=True):
            axes.plot(found[trouble][name]["losses"], linewidth=1.2, color=color, label=name)
        axes.axhline(math.log(CLASSES), color=plots.SOFT, linewidth=1, linestyle=":")
        axes.text(
            1,
            math.log(CLASSES) + 0.1,
            "log 10",
            fontsize=7,
            color=plots.SOFT,
            ha="right",
            transform=axes.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
        axes.set(xlabel="step", ylabel="nats/example", ylim=(0, 5))
        axes.legend(frameon=False, fontsize=8)
    return figure


def draw_rates(losses: dict[str, float]) -> Any:
    """The loss of the last epoch against the learning rate."""
    best = min(losses, key=lambda rate: losses[rate])
    title = f"The best rate, {best}, is within a factor of ten of rates at which nothing is learnt"
    chance = math.log(CLASSES)
    curves = {
        "training loss of the last epoch": (RATES, list(losses.values())),
        "log 10": (RATES, [chance] * len(RATES)),
    }
    figure = plots.lines(curves, title, x_label="learning rate of plain descent", y_label="nats/example", log=True)
    figure.axes[0].set(yscale="linear", ylim=0)
    figure.axes[0].lines[1].set(linestyle=":", color=plots.SOFT)
    figure.axes[0].lines[0].set(marker="o", markersize=4)
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure


def draw_depth(found: Found) -> Any:
    """The norm of each layer's gradient at the first step."""
    ratio = found["sigmoids"]["last ÷ first"]
    title = (
        f"Through ten sigmoids the gradient shrinks by a factor of {ratio / 1e6:.0f} million, through ReLUs it need not"
    )
    layers = range(1, DEPTH + 2)
    curves = {name: (layers, one["gradient by layer"]) for name, one in found.items()}
    figure = plots.lines(curves, title, x_label="layer", y_label="‖dW‖ at the first step", log=True)
    figure.axes[0].set(xscale="linear", xticks=layers)
    for line in figure.axes[0].lines:
        line.set(marker="o", markersize=4)
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure


def measure() -> tuple[dict[str, Any], dict[str, Any], dict[str, Array]]:
    """All troubles; beside them the watches of the dead units, and samples of the VAEs."""
    data, test = digits()
    found: dict[str, Any] = {"seed": SEED}
    for trouble in (first_loss, one_batch, rates, saturated, depth, update_size, unscaled, shuffled, no_zero_grad):
        found[trouble.__name__] = trouble(data, test)
    found["dead"], watches = dead(data, test)
    found["vaes"], samples = vaes(data, test)
    return found, watches, {"training images": data[0][:SHOWN], **samples}


def main() -> None:
    """Write the figures and not_learning.json, and print the numbers."""
    found, watches, samples = measure()
    titles = {
        "planted": "With a rate of 0.5 all units of the second layer die, and no gradient gets past them",
        "cured": "With a rate of 0.05 few units are idle, and each step changes the weights by less than a tenth",
    }
    vaes = "If pixels are averaged, all samples are one blur; if codes are, samples are torn"
    figures = {
        "losses": draw_losses(found),
        "rates": draw_rates(found["rates"]),
        "depth": draw_depth(found["depth"]),
        "vaes": plots.image_rows(samples, vaes),
        "dead": plots.watched(watches["planted"], titles["planted"]),
        "alive": plots.watched(watches["cured"], titles["cured"]),
    }
    for name, figure in figures.items():
        plots.save_figure(HERE / f"not_learning_{name}.png", figure)
    for trouble in found.values():
        for one in trouble.values() if isinstance(trouble, dict) else ():
            if isinstance(one, dict):
                one.pop("losses", None)  # only drawn
    with write_whole(HERE / "not_learning.json") as file:
        file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
