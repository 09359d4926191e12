"""The figures of `latent_gaps.py`."""

import numpy as np

from lib.codes import Space
from lib.common import Run
from lib.figures import code_circles, image_grids, images_and_courses, latent_scatters, length_histograms
from lib.judge import Judge
from lib.walks import STEPS, hard_pairs, pairs_of_digits, straight, walked

SIDE, SHOWN, ACROSS = 12, 48, 8  # images along a grid's side; draws that are shown, and so many in a row
CIRCLES = 400


def draws(demo: Run, spaces: dict[str, Space], judge: Judge, name: str, rng: np.random.Generator) -> None:
    """The same draws from N(0, I), decoded by each network; what the judge refuses has a frame."""
    L = next(iter(spaces.values())).z.shape[1]
    eps = rng.standard_normal((SHOWN, L))
    share = {one: space.found["N(0, I): digit-like"].value for one, space in spaces.items()}
    kinds = {one: space.found["N(0, I): kinds"].value for one, space in spaces.items()}
    grids, refused = {}, {}
    for one, space in spaces.items():
        named = f"{one}: {share[one]:.0f} % pass as digits" + f", {kinds[one]:.1f} kinds" * (L == 2)
        grids[named] = space.decode(eps)
        refused[named] = ~judge.passes(grids[named])
    title = f"{L} numbers in a code: what draws from N(0, I) decode to. Framed: no digit, says the judge"
    if "VAE" in spaces:
        ahead = share["VAE"] - share["autoencoder"]
        title = f"Of draws from N(0, I) the VAE makes digits {abs(ahead):.0f} points {'more' if ahead > 0 else 'less'} "
        title += f"often than the autoencoder, with {L} numbers in a code. Framed: no digit, says the judge"
    elif "both" in spaces:
        fewer = "fewer" if kinds["autoencoder"] < kinds["both"] else "no fewer"
        title = "With two numbers in a code draws from N(0, I) fall among the codes, and can pass as digits from an "
        title += f"autoencoder too, but they are of {fewer} kinds than from a VAE (both)"
    demo.figure(name, image_grids(grids, title, columns=ACROSS, refused=refused))


def walks(demo: Run, spaces: dict[str, Space], judge: Judge, x_test: np.ndarray) -> None:
    """Two walks between images that share little, in pixels and through codes, and how 1000 others fare."""
    labels = next(iter(spaces.values())).labels
    ways = {"fade of pixels": lambda pairs: straight(x_test, pairs)}
    ways |= {name: space.walks for name, space in spaces.items()}
    hard, many = hard_pairs(x_test, labels, 2), pairs_of_digits(labels, np.random.default_rng(0))
    rows = walked(ways, hard, labels)
    refused = ~judge.passes(np.concatenate(list(rows.values())))
    if "VAE" in spaces:
        ways["VAE, on a sphere"] = lambda pairs: spaces["VAE"].walks(pairs, curved=True)
    courses, t = {}, np.linspace(0, 1, STEPS)
    for name, walk in ways.items():
        passed = judge.passes(walk(many).reshape(-1, x_test.shape[1])).reshape(len(many), STEPS)
        courses[name] = t, 100 * passed.mean(axis=0)
    fade, *coded = (share[STEPS // 2] for _, share in courses.values())
    better = "do better than" if min(coded) > fade else "do no better than"
    title = f"Walks through codes {better} a fade of pixels: halfway {min(coded):.0f} to {max(coded):.0f} % pass as "
    title += f"digits, of the fades {fade:.0f} %. Framed: no digit"
    y_label = f"% that pass, of {len(many)} pairs"
    figure = images_and_courses(rows, courses, title, x_label="share of the way", y_label=y_label, refused=refused)
    demo.figure("walks.png", figure)


def lengths(demo: Run, spaces: dict[str, Space], rng: np.random.Generator) -> None:
    """Why two numbers are too few: how far codes, and draws, lie from the origin."""
    panels, usual = {}, {}
    for name in ("autoencoder", "both", "autoencoder, 20", "VAE, 20"):
        if name in spaces:
            z = spaces[name].z
            values = {"codes": z, "draws from N(0, I)": rng.standard_normal(z.shape)}
            length = {one: np.linalg.norm(value, axis=1) for one, value in values.items()}
            usual[name] = [np.median(one) for one in length.values()]
            panels[f"{'VAE' if name == 'both' else name.partition(',')[0]}, {z.shape[1]} numbers"] = length
    title = "Why two numbers are too few to see it: there the draws fall among the autoencoder's codes. "
    if "autoencoder, 20" in usual:
        codes, drawn = usual["autoencoder, 20"]
        title += f"With 20 its codes lie {codes:.0f} from the origin, the draws {drawn:.0f}"
    demo.figure("lengths.png", length_histograms(panels, title, x_label="distance from the origin"))


def circles(demo: Run, spaces: dict[str, Space]) -> None:
    """μ and σ of some test images, as circles of radius 2σ."""
    names = {
        "autoencoder": "autoencoder: a code is a point",
        "no KL": "VAE without the KL: σ shrinks",
        "both": "VAE: circles that overlap",
    }
    shown, sigmas = {}, {}
    for name, space in spaces.items():
        mu, logvar = space.posterior or (space.z, None)
        sigma = None if logvar is None else np.exp(0.5 * logvar)
        sigmas |= {} if sigma is None else {name: np.median(sigma).item()}
        shown[names[name]] = mu[:CIRCLES], None if sigma is None else sigma[:CIRCLES]
    labels = next(iter(spaces.values())).labels[:CIRCLES]
    title = "A VAE's code is a circle, μ ± 2σ, and neighbours overlap. "
    if "no KL" in sigmas and "both" in sigmas:
        title += f"Only the KL keeps σ up: median {sigmas['both']:.3f} with it, {sigmas['no KL']:.4f} without"
    demo.figure("circles.png", code_circles(shown, labels, title))


def codes(demo: Run, spaces: dict[str, Space]) -> None:
    """The plane of codes under each loss."""
    width = {name: np.quantile(np.abs(space.z), 0.99) for name, space in spaces.items()}
    title = f"The reconstruction alone spreads the codes, up to {width['autoencoder']:.0f} from the origin; "
    title += "the KL alone mixes all digits; both keep digits apart, packed around the origin"
    labels = next(iter(spaces.values())).labels
    demo.figure("codes.png", latent_scatters({name: one.z for name, one in spaces.items()}, labels, title, paths={}))


def planes(demo: Run, spaces: dict[str, Space]) -> None:
    """What the plane decodes to under each loss."""
    grids, empty = {}, {}
    for name, space in spaces.items():
        low, high = np.quantile(space.z, (0.01, 0.99), axis=0)
        places = np.stack(np.meshgrid(*np.linspace(low, high, SIDE).T), axis=-1)[::-1].reshape(-1, 2)
        empty[name] = np.mean(space.distance(places) > space.far)
        grids[f"{name}: {empty[name]:.0%} without a code"] = space.veiled(places)
    title = "Where no code is near, on grey, the decoder makes up what it was never asked for"
    if "both" in empty:
        title += f"; with both terms such places are {'fewer' if empty['both'] < empty['autoencoder'] else 'no fewer'}"
    demo.figure("planes.png", image_grids(grids, title, columns=SIDE))
