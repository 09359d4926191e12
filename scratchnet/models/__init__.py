"""Models beside the VAE: the autoencoder and the classifier."""
