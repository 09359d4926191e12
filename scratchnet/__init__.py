"""scratchnet: neural networks from scratch, every derivative taken by hand.

    import numpy as np, scratchnet as sn

Read the source in this order: layer, layers.dense, kernels.formulas, layers.activations, layers.sequential, losses,
gaussian, parameters, optim, models.vae, training, callbacks. Each derivation is a chapter of docs/.
"""

from scratchnet import callbacks, corruption, data, kernels, probability, schedules
from scratchnet.callbacks import Callback
from scratchnet.errors import DataError, DivergenceError, GradientError, ShapeError
from scratchnet.evaluation import elbo, log_likelihood
from scratchnet.gaussian import kl_standard_normal, sample_gaussian
from scratchnet.gradcheck import GradientReport, check_gradients
from scratchnet.layer import Layer
from scratchnet.layers import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    MaxPool2D,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Tanh,
)
from scratchnet.losses import bce, bce_with_logits, mse, softmax_cross_entropy
from scratchnet.models import VAE, Autoencoder, Bernoulli, Classifier, Gaussian, Loss
from scratchnet.optim import SGD, Adam, Optimizer
from scratchnet.parameters import Parameters
from scratchnet.run import History
from scratchnet.storage import load, save
from scratchnet.training import fit

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "VAE",
    "Adam",
    "Autoencoder",
    "Bernoulli",
    "Callback",
    "Classifier",
    "Conv2D",
    "ConvTranspose2D",
    "DataError",
    "Dense",
    "DivergenceError",
    "Flatten",
    "Gaussian",
    "GradientError",
    "GradientReport",
    "History",
    "Layer",
    "Loss",
    "MaxPool2D",
    "Optimizer",
    "Parameters",
    "ReLU",
    "Reshape",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "Tanh",
    "bce",
    "bce_with_logits",
    "callbacks",
    "check_gradients",
    "corruption",
    "data",
    "elbo",
    "fit",
    "kernels",
    "kl_standard_normal",
    "load",
    "log_likelihood",
    "mse",
    "probability",
    "sample_gaussian",
    "save",
    "schedules",
    "softmax_cross_entropy",
]
