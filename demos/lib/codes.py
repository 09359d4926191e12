"""The codes of a trained network: where they lie, what is drawn between them, and how much they tell."""

import itertools

import numpy as np

import scratchnet as sn
from lib.judge import Judge
from lib.measures import chunks, nearest
from lib.results import Number
from lib.walks import STEPS, on_a_sphere, pairs_of_digits, straight
from scratchnet.core.gaussian import noise_like, sample_gaussian

KNOWN = 10_000  # codes of training images that distances are measured to
EMPTY = 0.99  # a place is empty if it is farther from them than this share of the test images' codes


class Space:
    """The codes of one network: `known` ones of training images, and `z` of the test images.

    A code of a VAE is one draw of its z. A place is empty if it is `far` from the known codes, as few new codes are.
    """

    def __init__(self, model: sn.Autoencoder | sn.VAE, x, x_test, labels, rng: np.random.Generator):
        self.model, self.labels = model, labels
        self.known = self.codes(x[:KNOWN], rng)[0].astype(np.float64)
        self.z, self.posterior = self.codes(x_test, rng)
        self.far = np.quantile(self.distance(self.z), EMPTY)
        self.found: dict[str, Number] = {}

    def codes(self, x, rng: np.random.Generator):
        """z (N, L) of images x, and their μ and log σ², which an autoencoder has not."""
        if isinstance(self.model, sn.Autoencoder):
            return self.model.encode(x), None
        mu, logvar = self.model.encode(x)
        return sample_gaussian(mu, logvar, noise_like(mu, rng))[0], (mu, logvar)

    def centres_of_images(self) -> np.ndarray:
        """Of each test image the code without noise, (N, L)."""
        return self.posterior[0] if self.posterior else self.z

    def distance(self, places: np.ndarray) -> np.ndarray:
        """How far it is from each place (M, L) to the nearest known code, (M,)."""
        return nearest(places.astype(np.float64), self.known)[0]

    def decode(self, places: np.ndarray) -> np.ndarray:
        """What places decode to."""
        return self.model.decode(places.astype(self.model.dtype))

    def veiled(self, places: np.ndarray) -> np.ndarray:
        """What places decode to, on grey where they are empty."""
        return np.maximum(self.decode(places), 0.2 * (self.distance(places) > self.far)[:, None])

    def digits(self) -> dict[int, np.ndarray]:
        """The mean code of each digit."""
        return {digit.item(): self.z[self.labels == digit].mean(axis=0) for digit in np.unique(self.labels)}

    def draws(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As many codes as there are of test images: from the prior, and from the Gaussian nearest to the codes."""
        eps = rng.standard_normal(self.z.shape)
        deviation = np.linalg.cholesky(np.cov(self.z.T))
        return {"N(0, I)": eps, "fitted Gaussian": self.z.mean(axis=0) + eps @ deviation.T}

    def walks(self, pairs: np.ndarray, *, curved: bool = False) -> np.ndarray:
        """Images (M, STEPS, D) on straight or curved lines between the codes of pairs (M, 2) of test images."""
        z = (on_a_sphere if curved else straight)(self.centres_of_images(), pairs)
        return self.decode(z.reshape(-1, z.shape[2])).reshape(len(pairs), STEPS, -1)

    def numbers(self, x_test: np.ndarray, judge: Judge, rng: np.random.Generator) -> dict[str, Number]:
        """What can be said of these codes in numbers."""
        found = {"test reconstruction": Number(self.model.loss(x_test, rng).terms["reconstruction"], "nats/image")}
        if self.posterior:
            found["test KL"] = Number(sn.kl_standard_normal(*self.posterior)[0], "nats/image")
        found["length of a code"] = Number(np.median(np.linalg.norm(self.z, axis=1)).item(), "median")
        if self.z.shape[1] == 2:
            found |= self._numbers_of_the_plane()
        found["digit-like if rebuilt"] = percent(judge.passes(self.decode(self.z)))
        for source, z in self.draws(rng).items():
            images = self.decode(z)
            found[f"{source}: empty"] = percent(self.distance(z) > self.far)
            found[f"{source}: digit-like"] = percent(judge.passes(images))
            found[f"{source}: kinds"] = Number(judge.kinds(images), "of 10 digits", digits=1)
        halfway = self.walks(pairs_of_digits(self.labels, np.random.default_rng(0)))[:, STEPS // 2]
        found["halfway: digit-like"] = percent(judge.passes(halfway))
        self.found = found
        return found

    def _numbers_of_the_plane(self) -> dict[str, Number]:
        centres = self.digits()
        apart = np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(centres.values(), 2)])
        own = np.stack([centres[digit] for digit in self.labels.tolist()])
        spread = np.sqrt(np.mean(np.sum((self.z - own) ** 2, axis=1)))
        found = {
            "between digits' centres": Number(apart.item(), "in the plane"),
            "over the spread of a digit": Number((apart / spread).item(), "× root mean square"),
        }
        if self.posterior:
            mu, logvar = self.posterior
            kl, told = sn.kl_standard_normal(mu, logvar)[0], information(self.z, mu, logvar)
            found["median σ"] = Number(np.median(np.exp(0.5 * logvar)).item(), "in the plane", digits=5)
            found["information in z"] = Number(told, "nats/image")
            found["KL of all codes from N(0, I)"] = Number(kl - told, "nats")
        return found


def percent(passed: np.ndarray) -> Number:
    """The share that is true."""
    return Number(100 * np.mean(passed).item(), "%", digits=1)


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
