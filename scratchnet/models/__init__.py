"""Models besides the VAE: the autoencoder, the classifier and the importance-weighted autoencoder."""
