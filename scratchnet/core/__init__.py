"""What a variational autoencoder needs: layers, losses, optimizers, models. README.md has the order of reading."""
