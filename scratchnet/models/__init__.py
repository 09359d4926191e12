"""The models: layers with a purpose."""

from scratchnet.models.autoencoder import Autoencoder
from scratchnet.models.classifier import Classifier
from scratchnet.models.likelihood import Bernoulli, Gaussian
from scratchnet.models.model import Loss, Model
from scratchnet.models.vae import VAE

__all__ = ["VAE", "Autoencoder", "Bernoulli", "Classifier", "Gaussian", "Loss", "Model"]
