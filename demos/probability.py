"""Probability, entropy and KL on dice, tosses and Gaussians, by formula and by simulation: a few seconds.

Its figures: errors of simulations, Bayes' rule, terms of a KL, one Gaussian fitted to two humps, a misprinted KL.
"""

import math

import numpy as np

import scratchnet as sn
from lib.common import Run, plain_options, run
from lib.figures import bars, estimates, marked_minima, shaded_tails
from lib.humps import SEEN, Z, log_gaussian, reverse_kl, two_humps
from lib.results import Number, agreement, tables
from scratchnet import plots
from scratchnet.arrays import Array
from scratchnet.probability import bayes, binomial, conditional, entropy, expectation, kl, total_probability

FACES, ODD, ALL = np.arange(1, 7), np.arange(1, 7) % 2 == 1, np.ones(6)
FAIR, LOADED = np.full(6, 1 / 6), np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.5])
DICE, GIVEN_DIE = np.array([0.9, 0.1]), np.stack([FAIR, LOADED], axis=1)  # p(die) (2,), p(face | die) (6, 2)
BAG, SIX, IS_LOADED = GIVEN_DIE * DICE, np.outer(FACES == 6, [1, 1]), np.outer(ALL, [0, 1])  # p(face, die) (6, 2)
P, Q = binomial(2, 0.4), np.full(3, 1 / 3)  # Kullback, Information Theory and Statistics, 1959, example 2.1
QUESTIONS = {  # E[f | given] of draws from p: p, f, given, and the answer by formula
    "P(3)": (FAIR, FACES == 3, ALL, FAIR[2]),
    "P(3 | odd)": (FAIR, FACES == 3, ODD, conditional(np.stack([FAIR * ~ODD, FAIR * ODD], axis=1))[2, 1]),
    "E[face]": (FAIR, FACES, ALL, expectation(FAIR, FACES)),
    "P(6), die from the bag": (BAG, SIX, SIX**0, total_probability(GIVEN_DIE, DICE)[5]),
    "P(loaded | 6)": (BAG, IS_LOADED, SIX, bayes(GIVEN_DIE, DICE)[1, 5]),
    "E[log P/Q], nats": (P, np.log(P / Q), Q**0, kl(P, Q)),
}


def simulate(demo: Run, rng: np.random.Generator) -> dict[str, Number]:
    """Answer every question by draws, and see how the error shrinks."""
    sizes, results, curves = 10 ** np.arange(2, 4.1 if demo.arguments.quick else 6.1, 0.5), {}, {}
    estimated: dict[str, tuple[Array, float, float]] = {}  # 20 answers at each n, the formula's, and a draw's deviation
    for name, (p, f, given, exact) in QUESTIONS.items():
        deviation = math.sqrt((p * given * (f - exact) ** 2).sum()) / (p * given).sum()  # n draws err by deviation/√n
        counts = [rng.multinomial(int(n), p.ravel(), size=400) for n in sizes]  # (400, X): how often each x came
        errors = np.array([c @ (f * given).ravel() / (c @ given.ravel()) - exact for c in counts])  # (sizes, 400)
        curves[name] = sizes, np.sqrt((errors**2).mean(axis=1)) / deviation
        estimated[name] = exact + errors[:, :20], exact, deviation
        results[name] = Number(exact + errors[-1, 0], "", deviation / sizes[-1] ** 0.5, digits=5, exact=exact)
    slope = np.polyfit(np.log(sizes), np.mean([np.log(y) for _, y in curves.values()], axis=0), 1)[0]
    title = f"Every simulation closes in on its formula, as 1/√n (measured slope {slope:.3f}): "
    title += "one digit more costs 100 times the draws"
    demo.figure("simulation.png", estimates(sizes, estimated, title))
    return results | {"slope of the error": Number(slope, "", digits=3, exact=-0.5)}


def calculate(demo: Run) -> dict[str, Number]:
    """Bayes' rule, again and again; entropies; the KL of two distributions, both ways."""
    beliefs = [DICE]
    for _ in range(4):
        beliefs.append(bayes(GIVEN_DIE, beliefs[-1])[:, 5])  # the posterior is the next prior
    fair, loaded = np.transpose(beliefs)
    title = f"Each six triples the odds of the loaded die: from {loaded[0]:.2f} to {loaded[-1]:.2f} in four rolls"
    labels = {"ticks": list("01234"), "x_label": "sixes in a row", "y_label": "probability of the die"}
    demo.figure("bayes.png", bars({"loaded": loaded, "fair": fair}, title, **labels))
    there, back = kl(P, Q), kl(Q, P)
    terms = {"P log(P/Q)": P * np.log(P / Q), "Q log(Q/P)": Q * np.log(Q / P)}
    title = f"Terms may be negative, their sums are not: D(P‖Q) = {there:.4f}, D(Q‖P) = {back:.4f} nats"
    ticks = [f"{k}\nP = {P[k]:.2f}, Q = {Q[k]:.2f}" for k in range(3)]
    labels = {"ticks": ticks, "x_label": "successes in two tosses", "y_label": "nats", "digits": 3}
    demo.figure("kl_terms.png", bars(terms, title, **labels))
    return {  # the sums of D in one logarithm
        "H(fair die)": Number(entropy(FAIR), "nats", digits=5, exact=math.log(6)),
        "H(loaded die)": Number(entropy(LOADED), "nats", digits=5, exact=math.log(20) / 2),
        "D(P‖Q)": Number(there, "nats", digits=10, exact=math.log(2**32 * 3**55 / 5**50) / 25, published=0.0852996),
        "D(Q‖P)": Number(back, "nats", digits=10, exact=math.log(5**6 / (2**4 * 3**6)) / 3, published=0.097455),
    }


def fit(demo: Run) -> dict[str, Number]:
    """One Gaussian for two humps: at the least D(p‖q) it covers both, at the least D(q‖p) only one."""
    curves, results, step = {"target p": (SEEN[:, 0], np.exp(two_humps(SEEN)[0])[:, 0])}, {}, Z[1] - Z[0]
    p = np.exp(two_humps(Z)[0]) * step
    mean = expectation(p, Z)  # the least D(p‖q) has the mean and the variance of p
    fits = {"least D(p‖q)": (mean, expectation(p, (Z - mean) ** 2) ** 0.5)}
    for name, start in (("least D(q‖p) left", -3), ("least D(q‖p) right", 3)):
        theta, sgd = np.array([start, 0.0]), sn.SGD(0.3)  # μ and log σ²
        for _ in range(300):
            sgd.step(theta, np.ravel(reverse_kl(*theta.reshape(2, 1, 1))[1:]))
        fits[name] = theta[0].item(), math.exp(0.5 * theta[1])
    for name, (mu, sigma) in fits.items():
        q = np.exp(log_gaussian(Z, mu, sigma)) * step
        there, back = kl(p, q), kl(q, p)
        curves[name] = SEEN[:, 0], np.exp(log_gaussian(SEEN, mu, sigma))[:, 0]
        found = ("μ", mu, ""), ("σ", sigma, ""), ("D(p‖q)", there, "nats"), ("D(q‖p)", back, "nats")
        results |= {f"{name}: {one}": Number(value, unit, digits=4) for one, value, unit in found}
    title = "The Gaussian of least D(p‖q) covers both humps, that of least D(q‖p) sits on one"
    demo.figure("two_humps.png", plots.lines(curves, title, x_label="z", y_label="density"))
    return results


def misprint(demo: Run) -> dict[str, Number]:
    """σ² + μ² − log σ − 1, which some lessons print for the KL from N(0, 1), at μ = 0."""
    sigma, constant = np.linspace(0.3, 1.6, 13_001), (1 - math.log(2)) / 2
    printed = sigma**2 - np.log(sigma) - 1
    true, from_half = (0.5 * (ratio - np.log(ratio) - 1) for ratio in (sigma**2, 2 * sigma**2))  # from N(0, 1), N(0, ½)
    best, least = sigma[printed.argmin()], printed.min()
    assert np.allclose(printed, from_half - constant)  # as printed it is a KL from N(0, ½), less a constant
    curves = {"KL from N(0, 1)": (sigma, true), "as printed": (sigma, printed)}
    title = f"As printed the KL is least at σ = {best:.3f} and negative there: {least:.4f} nats"
    demo.figure("misprint.png", marked_minima(curves, title, x_label="σ", y_label="nats a dimension"))
    beyond = math.erfc(2**0.5), math.erfc(1)  # P(|z| > 2 · √½) of each
    title = f"Samples are √2 too wide: {beyond[1]:.1%} are beyond two deviations, not {beyond[0]:.1%}"
    widths = {"codes, N(0, ½)": math.sqrt(0.5), "samples, N(0, 1)": 1.0}
    z = SEEN[np.abs(SEEN[:, 0]) <= 4, 0]
    densities = {name: np.exp(log_gaussian(z, 0, width)) for name, width in widths.items()}
    demo.figure("too_wide.png", shaded_tails(z, densities, 2 * math.sqrt(0.5), title))
    return {
        "as printed: best σ": Number(best, "", digits=4, exact=math.sqrt(0.5)),
        "as printed: least": Number(least, "nats", digits=6, exact=-constant),
    }


def grouped(results: dict[str, Number]) -> dict[str, dict[str, Number]]:
    """The results in tables, by the sentence that says what to see in each."""
    sentences = {
        "Simulations agree with their formulas, within some standard errors.": (*QUESTIONS, "slope of the error"),
        "A loaded die surprises less than a fair one; the KL depends on the direction.": ("H(", "D(P", "D(Q"),
        "One Gaussian for two humps: at the least D(p‖q) it covers both, at the least D(q‖p) only one.": ("least",),
        "The misprinted KL is least at the wrong σ, and negative there, which no KL can be.": ("as printed",),
    }
    return {
        sentence: {name: number for name, number in results.items() if name.startswith(begin)}
        for sentence, begin in sentences.items()
    }


def main() -> None:
    """Ask, answer, draw."""
    demo = Run("probability", plain_options("probability", __doc__, quick="shorter simulations").parse_args())
    results = simulate(demo, np.random.default_rng(demo.arguments.seed)) | calculate(demo) | fit(demo) | misprint(demo)
    print(f"{tables(grouped(results))}\n\n{agreement(results)}")
    demo.finish(results)


if __name__ == "__main__":
    run(main)
