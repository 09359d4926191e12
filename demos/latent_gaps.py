"""See why an autoencoder is no generator, in the plane of its codes: about three minutes on two cores.

Four networks of one shape learn MNIST with codes of two numbers, and only the loss differs: an autoencoder; a VAE on
its reconstruction alone, with noise that nothing holds up (β = 0); a VAE on its KL alone (β = 10⁶: the encoder heeds
nothing else, and the decoder makes what it can of such codes); a VAE on both (β = 1). Then codes are drawn at random.
"""

import itertools
import math

import numpy as np

import scratchnet as sn
from lib.common import Number, Run, chunks, options, perceptron, run, squared_distances, watched, whole_number
from lib.figures import image_grids, latent_scatters
from lib.judge import Judge
from scratchnet import plots
from scratchnet.core.gaussian import noise_like, sample_gaussian

BETAS = {"autoencoder": None, "no KL": 0.0, "KL alone": 1e6, "both": 1.0}
PEAK, JUDGE_EPOCHS = 1e-3, 6  # the learning rate at the first step; it falls to 0 along half a cosine
KNOWN = 10_000  # codes of training images that distances are measured to
EMPTY = 0.99  # a place is empty if it is farther from them than this share of the test images' codes
STEPS, SIDE = 16, 12  # images of a walk; images along a grid's side
SETTINGS = ("data", "quick", "epochs", "batch_size", "hidden")


def main() -> None:
    """Train a judge and four networks, measure their codes, draw."""
    parser = options("latent_gaps", __doc__, epochs=20, batch_size=128)
    parser.add_argument("--hidden", type=whole_number, default=256, help="units in each hidden layer")
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
    print("\n".join(f"{name}: {number.value:.1f} %" for name, number in results.items()))

    history = sn.History(unit="nats/image")
    spaces: dict[str, Space] = {}
    for name, beta in BETAS.items():
        outputs = 2 if beta is None else 4  # z, or [mu | logvar]
        encoder, decoder = perceptron(D, H, H, outputs, rng=rng), perceptron(2, H, H, D, rng=rng)
        if beta is None:
            model = sn.Autoencoder(encoder, decoder, loss=sn.bce_with_logits)
        else:
            model = sn.VAE(encoder, decoder, beta=beta)
        course = train(name, model, x, arguments.epochs)
        history.epochs += [{"network": name, **record} for record in course.epochs]
        sn.save(demo.path(f"{name.replace(' ', '_')}.npz"), model)
        spaces[name] = space = Space(model, x, x_test, labels_test, rng)
        numbers = space.numbers(x_test, judge, rng)
        results |= {f"{name}: {quantity}": number for quantity, number in numbers.items()}
        print(
            f"{name}:",
            *(
                f"  {quantity:28}{round(n.value, n.digits) + 0:10.{n.digits}f} {n.unit}"
                for quantity, n in numbers.items()
            ),
            sep="\n",
        )
        if course.interrupted:
            history.interrupted = True
            print(f"Interrupted at {name}: what follows is what was reached.")
            break

    draw(demo, spaces, results, rng)
    print(f"\nOf draws from N(0, I), digit-like in %: {each(results, spaces, 'N(0, I): digit-like')}.")
    print(f"Kinds of digits among these: {each(results, spaces, 'N(0, I): kinds')}.")
    print("The lesson shows such codes in pictures, without a number, so nothing is compared with a published one.")
    if changed := [name for name in SETTINGS if getattr(arguments, name) != parser.get_default(name)]:
        print(f"These are not the demo's settings (changed: {', '.join(changed)}).")
    demo.finish(results, history)


class Space:
    """The plane of one network's codes: `known` ones of training images, and `z` of the test images.

    A code of a VAE is one draw of its z. A place is empty if it is `far` from the known codes, as few new codes are.
    """

    def __init__(self, model: sn.Autoencoder | sn.VAE, x, x_test, labels, rng: np.random.Generator):
        self.model, self.labels = model, labels
        self.known = self.codes(x[:KNOWN], rng)[0].astype(np.float64)
        self.z, self.posterior = self.codes(x_test, rng)
        self.usual, self.far = np.quantile(self.distance(self.z), (0.5, EMPTY))

    def codes(self, x, rng: np.random.Generator):
        """z (N, 2) of images x, and their μ and log σ², which an autoencoder has not."""
        if isinstance(self.model, sn.Autoencoder):
            return self.model.encode(x), None
        mu, logvar = self.model.encode(x)
        return sample_gaussian(mu, logvar, noise_like(mu, rng))[0], (mu, logvar)

    def distance(self, places: np.ndarray) -> np.ndarray:
        """How far it is from each place (M, 2) to the nearest known code, (M,)."""
        squared = [squared_distances(rows, self.known).min(axis=1) for rows in chunks(places.astype(np.float64))]
        return np.sqrt(np.maximum(np.concatenate(squared), 0))  # rounding can bring a zero below zero

    def decode(self, places: np.ndarray) -> np.ndarray:
        """What places decode to."""
        return self.model.decode(places.astype(self.model.dtype))

    def veiled(self, places: np.ndarray) -> np.ndarray:
        """What places decode to, on grey where they are empty."""
        return np.maximum(self.decode(places), 0.2 * (self.distance(places) > self.far)[:, None])

    def walk(self) -> tuple[str, np.ndarray]:
        """The straight line between two digits' centres that leads farthest from any known code: name, (STEPS, 2)."""
        t = np.linspace(0, 1, STEPS)[:, None]
        pairs = itertools.combinations(self.centres().items(), 2)
        lines = {f"{a} to {b}": (1 - t) * p + t * q for (a, p), (b, q) in pairs}
        farthest = self.distance(np.concatenate(list(lines.values()))).reshape(-1, STEPS).max(axis=1)
        return list(lines.items())[farthest.argmax()]

    def centres(self) -> dict[int, np.ndarray]:
        """The mean code of each digit."""
        return {digit.item(): self.z[self.labels == digit].mean(axis=0) for digit in np.unique(self.labels)}

    def draws(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As many codes as there are of test images: from the prior, and from the Gaussian nearest to the codes."""
        eps = rng.standard_normal(self.z.shape)
        deviation = np.linalg.cholesky(np.cov(self.z.T))
        return {"N(0, I)": eps, "fitted Gaussian": self.z.mean(axis=0) + eps @ deviation.T}

    def numbers(self, x_test: np.ndarray, judge: Judge, rng: np.random.Generator) -> dict[str, Number]:
        """What can be said of these codes in numbers."""
        centres = self.centres()
        apart = np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(centres.values(), 2)])
        own = np.stack([centres[digit] for digit in self.labels.tolist()])
        spread = np.sqrt(np.mean(np.sum((self.z - own) ** 2, axis=1)))
        reconstruction = self.model.loss(x_test, rng).terms["reconstruction"]
        found = {
            "test reconstruction": Number(reconstruction, "nats/image"),
            "between digits' centres": Number(apart.item(), "in the plane"),
            "over the spread of a digit": Number((apart / spread).item(), "× root mean square"),
        }
        if self.posterior:
            mu, logvar = self.posterior
            kl, told = sn.kl_standard_normal(mu, logvar)[0], information(self.z, mu, logvar)
            found["median σ"] = Number(np.median(np.exp(0.5 * logvar)).item(), "in the plane", digits=5)
            found["test KL"] = Number(kl, "nats/image")
            found["information in z"] = Number(told, "nats/image")
            found["KL of all codes from N(0, I)"] = Number(kl - told, "nats")
        farthest = self.distance(self.walk()[1]).max() / self.usual
        found["farthest from codes, walking"] = Number(farthest.item(), "× a new code's", digits=1)
        found["digit-like if rebuilt"] = Number(100 * judge.passes(self.decode(self.z)).mean().item(), "%", digits=1)
        for source, z in self.draws(rng).items():
            images = self.decode(z)
            found[f"{source}: empty"] = Number(100 * np.mean(self.distance(z) > self.far).item(), "%", digits=1)
            found[f"{source}: digit-like"] = Number(100 * judge.passes(images).mean().item(), "%", digits=1)
            found[f"{source}: kinds"] = Number(judge.kinds(images), "of 10 digits", digits=1)
        return found


def information(z: np.ndarray, mu: np.ndarray, logvar: np.ndarray) -> float:
    """I(x; z) in nats: the mean of log q(z|x) − log q(z), with each of the N images equally likely; at most log N."""
    z, mu, logvar = (a.astype(np.float64) for a in (z, mu, logvar))
    told = []
    for rows in chunks(np.arange(len(z)), 250):
        log_q = -0.5 * ((z[rows, None] - mu) ** 2 * np.exp(-logvar) + logvar).sum(axis=2)  # (250, N), less a constant
        log_own = log_q[np.arange(len(rows)), rows]
        top = log_q.max(axis=1)
        told.append(log_own - top - np.log(np.exp(log_q - top[:, None]).mean(axis=1)))
    return np.concatenate(told).mean().item()


def each(results: dict[str, Number], spaces: dict[str, Space], quantity: str) -> str:
    """One quantity of all networks, in a row."""
    numbers = {name: results[f"{name}: {quantity}"] for name in spaces}
    return ", ".join(f"{number.value:.{number.digits}f} ({name})" for name, number in numbers.items())


def draw(demo: Run, spaces: dict[str, Space], results: dict[str, Number], rng: np.random.Generator) -> None:
    """Every figure."""
    walks = {name: space.walk() for name, space in spaces.items()}
    title = "A code of each test image, and the walk of walks.png. Mean distance between digits' centres: "
    title += each(results, spaces, "between digits' centres")
    codes, paths = {name: space.z for name, space in spaces.items()}, {name: path for name, (_, path) in walks.items()}
    labels = next(iter(spaces.values())).labels
    demo.figure("codes.png", latent_scatters(codes, labels, title, paths=paths))

    rows = {f"{name}, {pair}": spaces[name].veiled(path) for name, (pair, path) in walks.items()}
    title = "The straight walk between two digits' centres that leads farthest from known codes. How far, in distances "
    title += f"of a usual new code: {each(results, spaces, 'farthest from codes, walking')}. Grey: empty"
    demo.figure("walks.png", plots.image_rows(rows, title))

    grids, empty = {}, []
    for name, space in spaces.items():
        low, high = np.quantile(space.z, (0.01, 0.99), axis=0)
        places = np.stack(np.meshgrid(*np.linspace(low, high, SIDE).T), axis=-1)[::-1].reshape(-1, 2)
        grids[name] = space.veiled(places)
        empty.append(f"{np.mean(space.distance(places) > space.far):.0%} ({name})")
    title = "What the plane decodes to, between the 1st and the 99th percentile of the codes.\n"
    title += f"Grey where it is empty: {', '.join(empty)}"
    demo.figure("planes.png", image_grids(grids, title, columns=SIDE))

    places = rng.standard_normal((STEPS, 2))
    title = "The same draws from N(0, I), decoded. Kinds of digits among all that are digit-like: "
    title += each(results, spaces, "N(0, I): kinds")
    shares = {name: f"{name}: {results[f'{name}: N(0, I): digit-like'].value:.0f}% digit-like" for name in spaces}
    rows = {shares[name]: space.decode(places) for name, space in spaces.items()}
    demo.figure("draws.png", plots.image_rows(rows, title))


if __name__ == "__main__":
    run(main)
