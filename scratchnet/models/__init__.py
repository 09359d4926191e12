"""The models: layers with a purpose."""

from scratchnet.models.autoencoder import Autoencoder
from scratchnet.models.model import Loss, Model
from scratchnet.models.vae import VAE

__all__ = ["VAE", "Autoencoder", "Loss", "Model"]
