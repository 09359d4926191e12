"""Walks from one image to another: straight in pixels, and straight or curved through codes."""

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from lib.common import Run
from lib.figures import images_and_courses
from lib.measures import first_of_each, nearest

STEPS, PAIRS, FEW = 11, 1000, 50  # images of a walk; walks that are judged, and whose nearest training images are found


def straight(x: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """From row to row of x (N, D) in STEPS steps, for each of the pairs (M, 2): (M, STEPS, D)."""
    t = np.linspace(0, 1, STEPS, dtype=x.dtype)[:, None]
    first, last = x[pairs[:, 0], None], x[pairs[:, 1], None]
    return (1 - t) * first + t * last


def on_a_sphere(z: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """As `straight`, but the length of the code does not sink in the middle: sin((1−t)ω) a + sin(tω) b over sin ω."""
    a, b = z[pairs[:, 0], None], z[pairs[:, 1], None]
    t = np.linspace(0, 1, STEPS, dtype=z.dtype)[:, None]
    cosine = np.sum(a * b, axis=2) / np.linalg.norm(a, axis=2) / np.linalg.norm(b, axis=2)
    omega = np.arccos(np.clip(cosine, -0.999, 0.999))[:, :, None]  # the angle between the two
    return (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)


def pairs_of_digits(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """PAIRS pairs (M, 2) of images of two different digits, drawn at random."""
    pairs = rng.integers(len(labels), size=(4 * PAIRS, 2))
    return pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]][:PAIRS]


def hard_pairs(x: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Of the first image of each digit the pairs (count, 2) that are farthest apart in pixels, no digit twice."""
    pairs = itertools.combinations(first_of_each(labels), 2)
    pairs = sorted(pairs, key=lambda pair: -np.sum((x[pair[0]] - x[pair[1]]) ** 2))
    chosen: list[tuple[int, int]] = []
    for pair in pairs:
        if not set(pair) & set(itertools.chain(*chosen)):
            chosen.append(pair)
    return np.array(chosen[:count])


def walked(ways: Mapping[str, Callable], pairs: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Each of the pairs (M, 2) in each of the ways, under its two digits and the name of the way."""
    return {
        f"{labels[a]} to {labels[b]}, {name}": way(pairs[i : i + 1])[0]
        for i, (a, b) in enumerate(pairs)
        for name, way in ways.items()
    }


def beside_fade(demo: Run, z: np.ndarray, decode: Callable, x, x_test, labels, rng: np.random.Generator) -> None:
    """walk.png: two walks through codes z of test images beside fades in pixels, and how near to digits they stay."""

    def decoded(pairs: np.ndarray) -> np.ndarray:
        places = straight(z, pairs)
        return decode(places.reshape(-1, places.shape[2])).reshape(len(pairs), STEPS, -1)

    ways = {"pixels": lambda pairs: straight(x_test, pairs), "codes": decoded}
    rows = walked(ways, hard_pairs(x_test, labels, 2), labels)
    pairs, t, curves, rise = pairs_of_digits(labels, rng)[:FEW], np.linspace(0, 1, STEPS), {}, {}
    for name, way in ways.items():
        away = nearest(way(pairs).reshape(-1, x.shape[1]), x)[0].reshape(-1, STEPS).mean(axis=0)
        curves[name], rise[name] = (t, away), away[STEPS // 2] - (away[0] + away[-1]) / 2
    limits = {"test images": nearest(x_test[:PAIRS], x)[0].mean()}
    title = f"Halfway between two digits a fade of pixels is {rise['pixels']:.1f} farther from any training image "
    title += f"than at its ends; a walk through codes {rise['codes']:.1f}"
    y_label = "distance to the nearest training image"
    figure = images_and_courses(rows, curves, title, x_label="share of the way", y_label=y_label, limits=limits)
    demo.figure("walk.png", figure)
