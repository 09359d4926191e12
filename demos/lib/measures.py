"""Distances between images, principal components, and functions of many rows in parts."""

from collections.abc import Callable, Iterator

import numpy as np

ROWS = 1000  # images at a time that go through a network; all at once its layers would fill the memory


def squared_error(images: np.ndarray, x: np.ndarray) -> float:
    """Per pixel."""
    return np.mean((images - x) ** 2).item()


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖aᵢ − bⱼ‖² of rows a (N, D) and b (M, D): (N, M)."""
    of_a, of_b = (np.einsum("nd,nd->n", x, x) for x in (a, b))  # no array of squares, which may be large
    distances = (-2 * a) @ b.T
    distances += of_a[:, None]
    distances += of_b
    return distances


def nearest(images: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each of the images (N, D) the Euclidean distance to the nearest row of x, and which one that is: (N,) each."""
    found, where = np.full(len(images), np.inf), np.zeros(len(images), int)
    for start in range(0, len(x), ROWS):
        squared = squared_distances(images, x[start : start + ROWS])
        closest = squared.argmin(axis=1)
        least = squared[np.arange(len(images)), closest]
        nearer = least < found
        found[nearer], where[nearer] = least[nearer], start + closest[nearer]
    return np.sqrt(np.maximum(found, 0)), where  # rounding can bring a zero below zero


def principal_components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,), and the directions by falling variance, columns of (D, D)."""
    mean = x.mean(axis=0)
    _, components = np.linalg.eigh((x - mean).T @ (x - mean))
    return mean, components[:, ::-1]


def projected(x: np.ndarray, mean: np.ndarray, V: np.ndarray) -> np.ndarray:
    """What the orthonormal columns of V (D, L), about the mean, keep of x (N, D)."""
    return (x - mean) @ V @ V.T + mean


def first_of_each(labels: np.ndarray) -> np.ndarray:
    """The index of the first image of each digit."""
    return np.array([np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)])


def chunks(x: np.ndarray, rows: int = ROWS) -> Iterator[np.ndarray]:
    """x in pieces."""
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


def in_parts(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """function(x) for a function of rows, a chunk at a time."""
    found = None
    for start in range(0, len(x), ROWS):
        part = function(x[start : start + ROWS])
        if found is None:
            found = np.empty((len(x), *part.shape[1:]), part.dtype)
        found[start : start + ROWS] = part
    return function(x) if found is None else found
