"""scratchnet: neural networks from nothing, with every gradient derived by hand and checked by a test.

    import numpy as np, scratchnet as sn

README.md says in which order to read the source in an evening. The chapters of docs/ derive every gradient.
"""

import importlib
from typing import TYPE_CHECKING

from scratchnet import callbacks, corruption, data, kernels, probability, schedules
from scratchnet.core.activations import ReLU, Sigmoid, Tanh
from scratchnet.core.dense import Dense
from scratchnet.core.gaussian import kl_standard_normal, sample_gaussian
from scratchnet.core.layer import Layer
from scratchnet.core.likelihood import Bernoulli, Gaussian
from scratchnet.core.losses import bce, bce_with_logits, mse, softmax_cross_entropy
from scratchnet.core.model import Loss
from scratchnet.core.optim import SGD, Adam, Optimizer
from scratchnet.core.parameters import Parameters
from scratchnet.core.sequential import Sequential
from scratchnet.core.vae import VAE
from scratchnet.errors import DataError, DivergenceError, GradientError, LawError, ShapeError
from scratchnet.evaluation import elbo, log_likelihood
from scratchnet.gradcheck import GradientReport, check_gradients
from scratchnet.images.conv import Conv2D, ConvTranspose2D
from scratchnet.images.pooling import MaxPool2D
from scratchnet.images.shape import Flatten, Reshape
from scratchnet.models.autoencoder import Autoencoder
from scratchnet.models.classifier import Classifier
from scratchnet.models.iwae import IWAE
from scratchnet.training.fit import fit
from scratchnet.training.run import Callback, History
from scratchnet.training.storage import load, save

if TYPE_CHECKING:
    from scratchnet import testing

__version__ = "1.0.0"

__all__ = ["Dense", "Layer", "Parameters", "ReLU", "Sequential", "Sigmoid", "Tanh"]
__all__ += ["Conv2D", "ConvTranspose2D", "Flatten", "MaxPool2D", "Reshape"]
__all__ += ["bce", "bce_with_logits", "kl_standard_normal", "mse", "sample_gaussian", "softmax_cross_entropy"]
__all__ += ["IWAE", "VAE", "Autoencoder", "Bernoulli", "Classifier", "Gaussian", "Loss"]
__all__ += ["SGD", "Adam", "Callback", "History", "Optimizer", "fit", "load", "save"]
__all__ += ["GradientReport", "check_gradients", "elbo", "log_likelihood"]
__all__ += ["DataError", "DivergenceError", "GradientError", "LawError", "ShapeError"]
__all__ += ["callbacks", "corruption", "data", "kernels", "probability", "schedules", "testing"]


def __getattr__(name: str) -> object:
    if name == "testing":  # imported when asked for
        return importlib.import_module("scratchnet.testing")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
