"""The page of explore_latent.py: a template of HTML, style and script, with the networks as text in it."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

import scratchnet as sn
from lib.measures import nearest, squared_distances
from scratchnet.core.gaussian import sample_gaussian

HERE = Path(__file__).parent
EDGE = 0.002  # of the codes lie beyond each side of the picture
EMPTY = 0.99  # a place is a gap if it is farther from the codes shown than this share of other codes is
NEAR = 0.03  # of the picture's side; a digit has a name if so near to some place
FEW, OWN = 0.05, 0.5  # lies more than this share of its codes, and of the codes there at least this share is its own


def page(data: dict[str, Any]) -> str:
    """The template with its style, its script and the data in it: one file that loads no other."""
    html, style, script = (
        (HERE / f"explorer.{kind}").read_text(encoding="utf-8").strip() for kind in ("html", "css", "js")
    )
    text = json.dumps(data, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")  # it cannot end its element
    parts = {
        '<link rel="stylesheet" href="explorer.css">': f"<style>\n{style}\n</style>",
        '<script src="explorer.js"></script>': f"<script>\n{script}\n</script>",
        "</script><!-- data -->": f"{text}</script>",
    }
    for place, part in parts.items():
        before, after = html.split(place)
        html = before + part + after
    return html + "\n"


def halves(values: np.ndarray) -> str:
    """The numbers as text: base64 of two bytes each (IEEE 754 half precision, little-endian)."""
    rounded = values.astype("<f2")
    if not np.isfinite(rounded).all():
        raise sn.DataError(f"The page keeps numbers as float16, up to 65,504; got {np.abs(values).max():g}.")
    text = base64.b64encode(rounded.tobytes()).decode()
    return text.replace("http", "ht tp")  # a browser skips the space, and whoever looks for links finds none by chance


def round_to_half(layer: sn.Layer) -> None:
    """Round the parameters of a layer, and of those that it is made of, to float16."""
    for name in layer.parameter_names:
        values = getattr(layer, name)
        values[...] = values.astype(np.float16)
    for child in layer.children().values():
        round_to_half(child)


def decoder_as_text(decoder: sn.Layer) -> list[dict[str, str]]:
    """W and b of each dense layer; between them is a ReLU, after the last a sigmoid."""
    layers = [layer for layer in decoder.children().values() if isinstance(layer, sn.Dense)]
    return [{"W": halves(layer.W), "b": halves(layer.b)} for layer in layers]


class Codes:
    """The plane of one network's codes z = μ + σ ⊙ ε of images x (N, D), with the noise ε (N, 2) given.

    An autoencoder's z is its μ.
    """

    def __init__(self, model: sn.Autoencoder | sn.VAE, x: np.ndarray, eps: np.ndarray):
        self.mu, self.logvar = (model.encode(x), None) if isinstance(model, sn.Autoencoder) else model.encode(x)
        self.z = self.mu if self.logvar is None else sample_gaussian(self.mu, self.logvar, eps)[0]  # (N, 2)

    def distance(self, places: np.ndarray) -> np.ndarray:
        """How far it is from each place (M, 2) to the nearest code, (M,)."""
        return nearest(places.astype(np.float64), self.z.astype(np.float64))[0]

    def far(self, others: "Codes") -> float:
        """The distance from which a place is a gap, measured on the codes of other images."""
        return np.quantile(self.distance(others.z), EMPTY).item()

    def view(self) -> list[float]:
        """The square to draw: the middle, and half the side. It holds nearly all codes and the prior's 3 σ."""
        low, high = np.quantile(self.z, (EDGE, 1 - EDGE), axis=0)
        low, high = np.minimum(low, -3.2), np.maximum(high, 3.2)
        return [*((low + high) / 2).tolist(), 1.03 * (high - low).max().item() / 2]

    def names(self, labels: np.ndarray) -> list[list[float] | None]:
        """Where the name of each digit may stand: its code with most own codes near it; None where they are mixed."""
        places: list[list[float] | None] = []
        reach = (NEAR * 2 * self.view()[2]) ** 2
        for digit in range(10):
            own = self.z[labels == digit]
            near = squared_distances(own, self.z) < reach  # (codes of the digit, all codes)
            most = np.argmax(near @ np.where(labels == digit, 1, -1)) if len(own) else 0
            there = near[most][labels == digit].sum() if len(own) else 0
            pure = there > FEW * len(own) and there >= OWN * near[most].sum()
            places.append(own[most].tolist() if pure else None)
        return places

    def as_text(self, labels: np.ndarray, others: "Codes") -> dict[str, Any]:
        """What the page draws of them."""
        text = {"mu": halves(self.mu), "logvar": None if self.logvar is None else halves(self.logvar)}
        return text | {"view": self.view(), "far": self.far(others), "names": self.names(labels)}
