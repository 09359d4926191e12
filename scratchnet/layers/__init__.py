"""The layers, one idea a module."""

from scratchnet.layers.activations import ReLU, Sigmoid, Tanh
from scratchnet.layers.dense import Dense
from scratchnet.layers.sequential import Sequential
from scratchnet.layers.shape import Flatten, Reshape

__all__ = ["Dense", "Flatten", "ReLU", "Reshape", "Sequential", "Sigmoid", "Tanh"]
