"""Read this tonight: everything that trains a variational autoencoder.

In this order: layer, dense, activations, sequential, losses, gaussian, likelihood, parameters, optim, model, vae; then
training/fit.py, the loop, and kernels/formulas.py, the arithmetic beneath it all.
"""
