"""Corruptions at several levels: a denoiser is trained at one of them, and tested at all."""

from collections.abc import Callable
from dataclasses import dataclass

from scratchnet.corruption import Downsample, GaussianNoise, Masking, SaltAndPepper


@dataclass(frozen=True)
class Kind:
    """A corruption at any level; the level in training, and those to test at."""

    corrupt: Callable
    trained: float
    levels: tuple[float, ...]
    level: str


KINDS = {
    "gaussian": Kind(GaussianNoise, 0.5, (0, 0.25, 0.5, 0.75, 1), "standard deviation of the noise"),
    "masking": Kind(Masking, 0.5, (0, 0.25, 0.5, 0.75, 0.9), "share of pixels that are lost"),
    "salt-and-pepper": Kind(SaltAndPepper, 0.5, (0, 0.25, 0.5, 0.75, 0.9), "share of pixels that are salt or pepper"),
    "downsample": Kind(lambda side: Downsample(side, (28, 28)), 4, (1, 2, 4, 7, 14), "side of a block in pixels"),
}
