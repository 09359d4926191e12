"""See why an autoencoder is no generator: what decodes codes that are drawn at random? Two minutes on two cores.

With codes of 20 numbers, an autoencoder and a VAE of one shape learn MNIST; then codes are drawn from N(0, I), and a
judge, a classifier that can also say "no digit", looks at the images. With codes of 2 numbers, which can be plotted,
four networks differ only in their loss: an autoencoder; a VAE trained on its reconstruction (β = 0); a VAE trained
practically on its KL alone (β = 10⁶); and a VAE trained on both (β = 1).
"""

import math

import numpy as np

import scratchnet as sn
from lib import gap_figures
from lib.codes import Space, percent
from lib.common import Run, changed_options, options, run, say_if_changed, watched, whole_number
from lib.judge import Judge
from lib.networks import perceptron
from lib.results import columns
from lib.walks import pairs_of_digits

NETWORKS = {  # numbers in a code, and β of the VAEs
    "autoencoder, 20": (20, None),
    "VAE, 20": (20, 1.0),
    "autoencoder": (2, None),
    "no KL": (2, 0.0),
    "KL alone": (2, 1e6),
    "both": (2, 1.0),
}
AE, VAE = "autoencoder, 20", "VAE, 20"
PLANE = [name for name, (L, _) in NETWORKS.items() if L == 2]
PEAK, JUDGE_EPOCHS = 2e-3, 4  # the learning rate at the first step; it falls to 0 along half a cosine
SETTINGS = ("data", "quick", "epochs", "batch_size", "hidden")
TWENTY = "Codes of 20 numbers. A length of √20 = 4.5 is what N(0, I) would give; compare it with the code's."
TWO = "Codes of 2 numbers. They fill the plane, so a draw has codes near it; but look at the kinds of digits."
JUDGE = "The judge: how often it names a test digit, and how often it passes images that are no digits."


def main() -> None:
    """Train a judge and the networks, measure their codes, and draw each figure as soon as it can be drawn."""
    parser = options("latent_gaps", __doc__, epochs=6, batch_size=128)
    parser.add_argument("--hidden", type=whole_number, default=256, help="units in each hidden layer")
    parser.add_argument("--twenty", action="store_true", help="only the networks with codes of 20 numbers")
    arguments = parser.parse_args()
    demo = Run("latent_gaps", arguments)
    x, labels = demo.images("train")
    x_test, labels_test = demo.images("test")
    rng = np.random.default_rng(arguments.seed)
    D, H = x.shape[1], arguments.hidden

    def train(name: str, model, data, epochs: int) -> sn.History:
        return sn.fit(
            model,
            data,
            optimizer=sn.Adam(sn.schedules.cosine(PEAK, epochs * math.ceil(len(x) / arguments.batch_size))),
            epochs=epochs,
            batch_size=arguments.batch_size,
            rng=rng,
            **watched(),  # what a network is worth, below, is enough
            checkpoint=demo.checkpoint(name),
        )

    judge = Judge(perceptron(D, H, H, 10, rng=rng))
    if train("judge", judge, (x, labels), min(arguments.epochs, JUDGE_EPOCHS)).interrupted:
        raise KeyboardInterrupt
    judge.calibrate(x_test)
    sn.save(demo.path("judge.npz"), judge)
    results = judge.record(x_test, labels_test, rng)
    pairs = pairs_of_digits(labels_test, np.random.default_rng(0))
    fade = (x_test[pairs[:, 0]] + x_test[pairs[:, 1]]) / 2
    results["fade: digit-like"] = percent(judge.passes(fade))

    history = sn.History(unit="nats/image")
    spaces: dict[str, Space] = {}
    for name, (L, beta) in NETWORKS.items():
        if arguments.twenty and name in PLANE:
            continue
        outputs = L if beta is None else 2 * L  # z, or [mu | logvar]
        encoder, decoder = perceptron(D, H, H, outputs, rng=rng), perceptron(L, H, H, D, rng=rng)
        if beta is None:
            model = sn.Autoencoder(encoder, decoder, loss=sn.bce_with_logits)
        else:
            model = sn.VAE(encoder, decoder, beta=beta)
        course = train(name, model, x, arguments.epochs)
        history.epochs += [{"network": name, **record} for record in course.epochs]
        sn.save(demo.path(f"{name.replace(', ', '_').replace(' ', '_')}.npz"), model)
        spaces[name] = Space(model, x, x_test, labels_test, rng)
        found = spaces[name].numbers(x_test, judge, rng)
        results |= {f"{name}: {quantity}": number for quantity, number in found.items()}
        print(f"{name}: trained")
        if name == VAE or (name == AE and course.interrupted):
            pair = {one.partition(",")[0]: spaces[one] for one in (AE, VAE) if one in spaces}
            gap_figures.draws(demo, pair, judge, "draws_20.png", np.random.default_rng(arguments.seed))
            gap_figures.walks(demo, pair, judge, x_test)
        if course.interrupted:
            history.interrupted = True
            print(f"Interrupted at {name}: what follows is what was reached.")
            break

    plane = {name: spaces[name] for name in PLANE if name in spaces}
    if plane:
        gap_figures.draws(demo, plane, judge, "draws.png", np.random.default_rng(arguments.seed))
        gap_figures.lengths(demo, spaces, np.random.default_rng(arguments.seed))
        gap_figures.circles(demo, {name: plane[name] for name in ("autoencoder", "no KL", "both") if name in plane})
        gap_figures.codes(demo, plane)
        gap_figures.planes(demo, plane)
    print(f"\n{columns(results, [name for name in (AE, VAE) if name in spaces], TWENTY)}")
    if plane:
        print(f"\n{columns(results, list(plane), TWO)}")
    print(f"\n{JUDGE}")
    print("\n".join(f"  {name}: {number.value:.1f} %" for name, number in results.items() if ":" not in name))
    if VAE in spaces:
        print(f"\n{conclusion({name: number.value for name, number in results.items()})}")
    say_if_changed(changed_options(parser, arguments, *SETTINGS))
    demo.finish(results, history)


def conclusion(found: dict[str, float]) -> str:
    """What the codes of 20 numbers show, in words that follow from the numbers."""
    drawn = {name: found[f"{name}: N(0, I): digit-like"] for name in (AE, VAE)}
    fitted, ahead = found[f"{AE}: fitted Gaussian: digit-like"], drawn[VAE] - drawn[AE]
    said = f"Of draws from N(0, I) the VAE's pass {abs(ahead):.0f} points {'more' if ahead > 0 else 'less'} often. "
    if fitted - drawn[AE] > 10:
        said += (
            f"Draws from a Gaussian fitted to the autoencoder's codes pass {fitted - drawn[AE]:.0f} points more often: "
        )
        said += "what it lacks above all is a known distribution of codes. "
    fade, halfway = found["fade: digit-like"], {name: found[f"{name}: halfway: digit-like"] for name in (AE, VAE)}
    better = "better" if min(halfway.values()) > fade else "no better"
    said += f"Walks through either's codes are {better} than a fade of pixels"
    return said + (", and through the autoencoder's no worse." if halfway[AE] >= halfway[VAE] else ".")


if __name__ == "__main__":
    run(main)
