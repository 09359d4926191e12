"""An evening's read: everything that trains a variational autoencoder.

Read layer, dense, activations, sequential, losses, gaussian, likelihood, parameters, optim, model and vae, in this
order; then training/fit.py, the loop, and kernels/formulas.py, the arithmetic under all of it.
"""
