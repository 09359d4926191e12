"""The layers, one idea a module."""

from scratchnet.layers.activations import ReLU, Sigmoid, Tanh
from scratchnet.layers.conv import Conv2D, ConvTranspose2D
from scratchnet.layers.dense import Dense
from scratchnet.layers.pooling import MaxPool2D
from scratchnet.layers.sequential import Sequential
from scratchnet.layers.shape import Flatten, Reshape

__all__ = [
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Flatten",
    "MaxPool2D",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "Tanh",
]
