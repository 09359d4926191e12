"""The exercises of docs/exercises: solutions pass, blanks say what to do, and the message for a mistake names it."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import scratchnet as sn
from docs.exercises import conftest as exercises
from docs.exercises.conftest import SOLUTIONS, Blank
from tests.test_docs import _LINK, ROOT, _anchors, _text

HERE = ROOT / "docs" / "exercises"
BLANKS = exercises.blanks()
FILES = sorted({blank.file for blank in BLANKS})

# Planted mistakes: the blank, code of its reference solution, what replaces it, and words of the message.
PLANTED: dict[str, list[tuple[str, str, str, str]]] = {
    "ex01_probability": [
        (
            "conditional",
            "p_xy.sum(axis=0)",
            "p_xy.sum(axis=1, keepdims=True)",
            "It is divided by p(x), the sums of the rows",
        ),
        ("conditional", " / p_xy.sum(axis=0)", "", "It is not divided by p(y)"),
        ("total_probability", "p_x_given_y @ p_y", "p_x_given_y.mean(axis=1)", "Every y counts alike"),
        ("total_probability", "p_x_given_y @ p_y", "p_y @ p_x_given_y", "The weights p(y) are on the rows"),
        ("bayes", " * p_x[:, None]", "", "The prior p(x) is left out"),
        ("bayes", " / p_xy.sum(axis=0)", "", "It is not divided by p(y)"),
        ("bayes", " / p_xy.sum(axis=0)", " / p_x[:, None]", "It is divided by p(x)"),
        ("simulation", "np.sqrt(variance / n)", "np.sqrt(variance)", "It is the standard deviation of one draw"),
        ("simulation", "np.sqrt(variance / n)", "np.sqrt(variance) / n", "It is divided by n"),
        ("simulation", "(n - 1)", "n", "The squares are divided by n"),
        ("conditional", "return p_xy / p_xy", "p_xy /= p_xy", "it changes p_xy"),
        ("total_probability", "p_x_given_y @ p_y", "p_x_given_y * p_y", "The sum over axis 1 is missing"),
        (
            "simulation",
            "return m, np",
            "return np",
            "return two things, the mean and the standard error, and not a number",
        ),
    ],
    "ex02_entropy": [
        ("entropy", "np.log(p)", "np.log2(p)", "It is in bits"),
        ("entropy", "p = p[p > 0]", "p = p.copy()", "Here 0 log 0 is 0"),
        ("entropy", "-(p *", "(p *", "The minus is missing"),
        ("kl", "return (p[happens]", "return (q[happens]", "The mean is over q"),
        ("kl", "p > 0", "p >= 0", "A term with p(x) = 0 is 0"),
        ("kl", "np.log(p[happens]) - np.log(q[happens])", "-np.log(q[happens])", "It is the cross-entropy H(p, q)"),
        ("kl_of_normals", " - 0.5", "", "The constant −½, from E[(z − μ)²] / 2σ², is left out"),
        ("kl_of_normals", "np.log(s / sigma)", "2 * np.log(s / sigma)", "log σ² stands in the place of log σ"),
        ("entropy", "np.log(p)", "np.log(p + 1e-12)", "has the entropy -1e-12, below 0"),
        ("entropy", "np.log(p)", "np.log10(p)", "The logarithm is to base 10"),
    ],
    "ex03_dense": [
        ("initial_weights", "np.sqrt(n_in)", "np.sqrt(n_out)", "beyond 1/√n_in = 0.05"),
        ("initial_weights", "rng.uniform(-bound, bound,", "rng.uniform(0, bound,", "where numbers in ±1/√n_in have 0"),
        ("Dense", "dy.sum(axis=0)", "dy.mean(axis=0)", "it is N = 5 times too small"),
        ("Dense", "x.T @ dy", "dy.T @ x", "dW is transposed"),
        ("Dense", "dy @ self.W.T", "dy @ self.W", "dx is dy W"),
        ("Dense", "self.dW += x.T @ dy", "self.dW[...] = x.T @ dy", "write dW += … in place of dW = …"),
        ("Dense", "self.dW += x.T @ dy", "self.dW += x.T @ dy / len(x)", "it is N = 5 times too small"),
        ("Sequential", "reversed(backwards)", "backwards", "the backward passes ran in the order [1, 2, 3]"),
        ("Sequential", "x, backward = layer.forward(x)", "_, backward = layer.forward(x)", "It is x itself"),
        (
            "Sequential",
            "for layer in self.layers:\n            x, backward = layer.forward(x)",
            "given = x\n        for layer in self.layers:\n            x, backward = layer.forward(given)",
            "Each layer gets x",
        ),
        ("Dense", "x.T @ dy", "x @ dy.T", "dW has shape (5, 5), W has (3, 3): which axis is summed?"),
        ("Dense", "dy.sum(axis=0)", "dy.sum(axis=1)", "db has shape (5,), b has (3,): which axis is summed?"),
        ("Dense", "dy.sum(axis=0)", "dy.sum()", "db has shape (), b has (3,): which axis is summed?"),
        ("Dense", "self.dW += x.T @ dy", "self.dW = x @ dy.T", "dW has shape (5, 5), W has (3, 3)"),
        (
            "initial_weights",
            "rng.uniform",
            "np.random.default_rng(0).uniform",
            "different generators lead to the same numbers",
        ),
        ("initial_weights", "rng.uniform", "np.random.uniform", "equal generators lead to different numbers"),
        ("Dense", "return dy @ self.W.T", "return dy @ self.W.T, self.dW, self.db", "backward returns dx alone"),
    ],
    "ex04_activations": [
        ("ReLU", "(y > 0)", "(dy > 0)", "the mask is taken from dy"),
        ("ReLU", "return dy * (y > 0)", "return dy * (x <= 0)", "the mask is inverted"),
        (
            "ReLU",
            "y = np.maximum(x, 0)",
            "y = np.maximum(x, 0, out=x)",
            "it changes x: compute a new array",
        ),
        ("Sigmoid", "dy * y * (1 - y)", "dy * (1 - y)", "The factor y is missing"),
        ("Sigmoid", "y = np.where(x > 0, 1, e) / (1 + e)", "y = np.exp(x) / (1 + np.exp(x))", "e^1000 overflows"),
        ("Tanh", "1 - y**2", "1 - x**2", "the derivative of the tanh is written for its output y"),
        ("Tanh", " * (1 - y**2)", "", "the derivative of the tanh is missing in the backward pass"),
        ("ReLU", "y > 0", "x >= 0", "The mask is x > 0, and not x ≥ 0"),
        ("ReLU", "dy * (y > 0)", "y > 0", "dx does not depend on dy"),
        ("Tanh", "np.tanh(x)", "(np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))", "use np.tanh"),
    ],
    "ex04_losses": [
        ("mse", "2 * (y - target) / N", "2 * (y - target)", "it is N = 5 times too large"),
        ("mse", "2 * (y - target) / N", "(y - target) / N", "it is half what it should be"),
        ("mse", ".sum() / N", ".mean()", "It is the mean over all numbers"),
        ("bce_with_logits", "(p - target) / N", "(target - p) / N", "the sign is flipped"),
        (
            "bce_with_logits",
            "(np.maximum(logits, 0) - logits * target + np.log1p(e))",
            "(np.log(1 + np.exp(logits)) - logits * target)",
            "It overflows",
        ),
        ("bce_with_logits", "(p - target) / N", "(p - target)", "it is N = 5 times too large"),
        (
            "bce_with_logits",
            "(p - target) / N",
            "(p - target) * p * (1 - p) / N",
            "The slope of the sigmoid, p (1 − p), is in it once too often",
        ),
        (
            "bce_with_logits",
            "return (np.maximum(logits, 0) - logits * target + np.log1p(e))",
            "q = np.clip(p, 1e-7, 1 - 1e-7)\n    return (-target * np.log(q) - (1 - target) * np.log(1 - q))",
            "p is clipped",
        ),
        (
            "softmax_cross_entropy",
            "dlogits[rows, labels] -= 1",
            "dlogits[rows, labels] += 0",
            "The 1 at the label is not subtracted",
        ),
        ("softmax_cross_entropy", "logits.max(axis=1, keepdims=True)", "0", "It overflows"),
        ("softmax_cross_entropy", "dlogits / N", "dlogits", "it is N = 5 times too large"),
        (
            "softmax_cross_entropy",
            "return (np.log(total[:, 0]) - below[rows, labels]).sum() / N",
            "p = np.exp(logits) / np.exp(logits).sum(axis=0)\n    return -np.log(p[rows, labels]).mean()",
            "The softmax is over axis 0",
        ),
    ],
    "ex05_optimizers": [
        ("largest_rate", "2 * (1 + momentum)", "2", "It is the limit without momentum, 2 / a"),
        ("largest_rate", "curvatures.max()", "curvatures.min()", "The largest curvature decides"),
        ("momentum_step", "theta -=", "theta +=", "The sign is flipped"),
        (
            "momentum_step",
            "velocity *= momentum",
            "velocity *= 1 - momentum",
            "The velocity has the factor 1 − μ in the place of μ",
        ),
        (
            "momentum_step",
            "theta -= learning_rate * velocity",
            "theta = theta - learning_rate * velocity",
            "change the array itself, with theta -= … or theta[...] = …",
        ),
        (
            "momentum_step",
            "velocity *= momentum\n    velocity += dtheta",
            "velocity[...] = dtheta",
            "The velocity so far is forgotten",
        ),
        (
            "adam_step",
            "m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + epsilon)",
            "m / (np.sqrt(v) + epsilon)",
            "The bias is not corrected",
        ),
        (
            "adam_step",
            "(np.sqrt(v / (1 - beta2**t)) + epsilon)",
            "np.sqrt(v / (1 - beta2**t) + epsilon)",
            "ε is inside the root",
        ),
        ("adam_step", "dtheta**2 - v", "dtheta - v", "v is negative, because dθ is not squared"),
        ("cosine", "min(t, steps)", "t", "It rises again"),
        ("cosine", "0.5 * peak * (1 +", "peak * (0 +", "The 1 + is missing"),
        ("largest_rate", "curvatures.max()", "curvatures[0]", "and not the first one"),
        (
            "momentum_step",
            "velocity += dtheta\n    theta -= learning_rate * velocity",
            "velocity += learning_rate * dtheta\n    theta -= velocity",
            "The learning rate is in u",
        ),
        (
            "momentum_step",
            "velocity *= momentum\n    velocity += dtheta\n    theta -= learning_rate * velocity",
            "theta -= learning_rate * velocity\n    velocity *= momentum\n    velocity += dtheta",
            "θ moves before the velocity has changed",
        ),
    ],
    "ex06_convolution": [
        ("conv2d", "W[:, :, i, j]", "W[:, :, -1 - i, -1 - j]", "The kernel is flipped"),
        ("conv2d", " + b[:, None, None]", "", "The bias is left out"),
        ("conv2d", "(height - kh) // stride + 1", "(height - kh) // stride", "P = ⌊(H − kh) / s⌋ + 1"),
        ("conv2d_weights", "return dW", "return dW / len(x)", "It is N = 4 times too small"),
        (
            "conv2d_weights",
            '("nmpq,ncpq->mc", dy, pixels)',
            '("mpq,cpq->mc", dy[0], pixels[0])',
            "It is the share of the first image",
        ),
        ("conv2d_adjoint", "+= np.einsum", "= np.einsum", "Where copies of the kernel overlap the last one is left"),
        ("conv2d_adjoint", ", W)", ", W[..., ::-1, ::-1])", "The kernel is flipped"),
        ("MaxPool", "windows.argmax(axis=-1)", "windows.argmin(axis=-1)", "It is the smallest of each window"),
        (
            "MaxPool",
            "np.put_along_axis(dwindows, first, dy[..., None], axis=-1)",
            "dwindows[...] = (windows == y[..., None]) * dy[..., None]",
            "where pixels are equal, dy goes to the first of them alone, row by row",
        ),
        (
            "MaxPool",
            "np.put_along_axis(dwindows, first, dy[..., None], axis=-1)",
            "dwindows[...] = dy[..., None] / 4",
            "dy is spread over the window",
        ),
    ],
    "ex07_autoencoder": [
        ("Autoencoder", "encoder_backward(dz)", "pass", "encoder.0.dW is zero everywhere"),
        ("Autoencoder", "encoder_backward(dz)", "encoder_backward(-dz)", "the sign is flipped"),
        ("Autoencoder", "decoder_backward(dy)", "decoder_backward(dy / len(x))", "it is N = 5 times too small"),
        ("Denoiser", "sn.mse(y, x)", "sn.mse(y, seen)", "The target is the corrupted image"),
        ("Denoiser", "self.encoder.forward(seen)", "self.encoder.forward(x)", "The encoder sees the clean image"),
        ("two_layers", "x.T @ dy @ V.T", "x.T @ dy @ V.T / len(x)", "It is N = 5 times too small"),
        ("two_layers", "z.T @ dy", "x[:, :3].T @ dy", "It is xᵀ dy without U"),
        ("two_layers", "x.T @ dy @ V.T", "-x.T @ dy @ V.T", "The sign is flipped"),
        ("shrinkage", "tau**2", "tau", "The noise has the variance τ²"),
        ("Autoencoder", '{"reconstruction": value}', "{}", 'the terms are {"reconstruction": R}, and not {}'),
    ],
    "ex08_pca": [
        ("pca", "x - mean, full", "x, full", "x is not centred"),
        ("pca", "Vt[:L].T", "Vt[:, :L]", "They are the first columns of Vᵀ"),
        ("pca", "Vt[:L].T", "Vt[:L]", "np.linalg.svd returns Vᵀ"),
        ("pca", "S[:L] ** 2", "S[:L]", "The singular values are not squared"),
        ("project", "mean + (x - mean) @", "mean + x @", "The mean is not subtracted before the product with V"),
        ("project", " @ V.T", "", "ValueError in line"),
        ("least_error", "[L:]", "[:L]", "It is the sum of the first L"),
        ("least_error", " / len(x)", "", "It is the sum over all images"),
        ("project", "mean + (x - mean)", "x.mean(axis=0) + (x - x.mean(axis=0))", "It is the mean of these x"),
    ],
    "ex09_denoising": [
        ("mask", "< share", "> share", "q = 0.3 is the share that is lost"),
        ("mask", "0, x)", "0, x / (1 - share))", "those that are kept stay as they are"),
        ("mask", "rng.random(x.shape)", "rng.random(x.shape[1])", "draw for each pixel of each image by itself"),
        ("best_answer", " / weights.sum()", "", "The weights do not have the sum 1"),
        ("best_answer", "(2 * tau**2)", "(2 * tau)", "τ is not squared"),
        (
            "best_answer",
            "return weights @ points / weights.sum()",
            "return points[weights.argmax()]",
            "It is the nearest point",
        ),
        ("score", "(answer - seen)", "(seen - answer)", "The sign is flipped"),
        ("score", "tau**2", "tau", "τ is not squared"),
        ("linear_denoiser", "tau**2", "tau", "τ is not squared"),
        ("linear_denoiser", " / len(x)", "", "Σ is not divided by N"),
        (
            "mask",
            "rng.random(x.shape)",
            "np.random.default_rng(0).random(x.shape)",
            "different generators lead to the same numbers",
        ),
        ("best_answer", "/ (2 * tau**2)", "/ 2 * tau**2", "in Python a / 2 * b is (a / 2) b"),
    ],
    "ex10_latent_gaps": [
        ("stretched", "np.linalg.inv(A) @ decoder_W", "A @ decoder_W", "It is A W"),
        ("stretched", "encoder_b @ A", "encoder_b", "The bias is part of z"),
        ("balanced_sigma", "np.sqrt(beta / (beta + curvature))", "beta / (beta + curvature)", "It is σ²"),
        ("cost_of_a_hole", "-np.log(1 - m)", "-np.log(m)", "It is the surprise of the hole"),
        ("cost_of_a_hole", "-np.log(1 - m)", "np.log(1 - m)", "The sign is flipped"),
        (
            "information",
            ".mean(axis=1))\n    return",
            ".sum(axis=1))\n    return",
            "The sum over the images is not divided by N",
        ),
        ("information", "top = log_q.max(axis=1)", "top = 0 * log_q.max(axis=1)", "A density underflows"),
        ("information", "+ logvar).sum", ").sum", "The densities lack −½ log σ²"),
    ],
    "ex11_vae": [
        ("gaussian_nll", " + 0.5 * D * np.log(2 * np.pi * s**2)", "", "The constant ½ D log 2πs² is left out"),
        ("gaussian_nll", "(y - x) / s**2 / N", "(y - x) / s**2", "it is N = 5 times too large"),
        ("gaussian_nll", "(y - x) / s**2 / N", "(x - y) / s**2 / N", "the sign is flipped"),
        ("gaussian_nll", "N, D = x.shape", "N, D, s = *x.shape, np.sqrt(s)", "s is taken for s²"),
        ("gaussian_nll", "0.5 * D * np.log", "0.5 * np.log", "The constant is that of one pixel: multiply it by D"),
        ("gaussian_nll", "0.5 * D * np.log", "0.5 * D / N * np.log", "The constant is divided by N = 5"),
        ("elbo", "- kl", "+ kl", "The KL has the wrong sign"),
        ("elbo", "(decoder(z), x)", "(decoder(mu), x)", "The decoder gets z = μ"),
        ("effective_beta", "written_beta * D if", "written_beta / D if", "Multiply the loss by D"),
    ],
    "ex12_vae_gradients": [
        ("kl_standard_normal", "variance - logvar", "variance - 0.5 * logvar", "log σ stands in the place of log σ²"),
        (
            "kl_standard_normal",
            "0.5 * (variance - 1) / N",
            "0.5 * variance / N",
            "a constant term, such as a 1, is left out",
        ),
        ("kl_standard_normal", "mu / N", "mu", "it is N = 5 times too large"),
        ("kl_standard_normal", "np.exp(logvar)", "logvar", "logvar is taken for σ²: σ² = e^logvar"),
        (
            "kl_standard_normal",
            "np.exp(logvar)\n    return 0.5 * (mu**2 + variance - logvar",
            "logvar\n    return 0.5 * (mu**2 + variance - np.log(variance)",
            "A negative number has no logarithm: logvar is taken for σ²",
        ),
        (
            "kl_standard_normal",
            "np.exp(logvar)\n    return 0.5 * (mu**2 + variance - logvar",
            "logvar\n    return 0.5 * (mu**2 + variance - np.log(np.abs(variance))",
            "logvar is taken for σ², and its logarithm for log σ²",
        ),
        ("sample_gaussian", "np.exp(0.5 * logvar)", "np.exp(logvar)", "σ² stands in the place of σ"),
        ("sample_gaussian", "0.5 * dz * sigma * eps", "dz * sigma * eps", "it is twice what it should be"),
        ("sample_gaussian", "0.5 * dz * sigma * eps", "dz * eps", "It is ∂L/∂σ: multiply it by ∂σ/∂log σ² = ½ σ"),
        ("VAE", "[dmu, dlogvar]", "[dlogvar, dmu]", "dμ and dlogvar are exchanged"),
        ("VAE", "dlogvar += self.beta * dlogvar_of_kl", "pass", "the gradient of the kl is missing"),
        (
            "VAE",
            "dmu += self.beta * dmu_of_kl\n            dlogvar += self.beta * dlogvar_of_kl",
            "dmu += dmu_of_kl\n            dlogvar += dlogvar_of_kl",
            "the gradient of the kl enters 0.4 times",
        ),
        (
            "VAE",
            "dmu += self",
            "dlogvar = 0 * dlogvar\n            dmu += self",
            "the path through the noise is missing",
        ),
    ],
    "ex13_is_my_number_good": [
        ("bits_per_pixel", " * np.log(2)", "", "It is nats per pixel"),
        ("active_units", "mu.var(axis=0)", "mu.std(axis=0)", "The standard deviation is compared with 0.01"),
        ("active_units", "mu.var(axis=0)", "(mu**2).mean(axis=0)", "The mean square is compared"),
        ("log_mean_exp", "top = log_w.max(axis=1)", "top = 0 * log_w.max(axis=1)", "It underflows"),
        ("log_mean_exp", ".mean(axis=1)", ".sum(axis=1)", "It is the logarithm of the sum"),
        (
            "difference",
            "d.std(ddof=1) / np.sqrt(len(d))",
            "np.sqrt((bounds.var(ddof=1) + other_bounds.var(ddof=1)) / len(d))",
            "It is that of two means on different images",
        ),
        ("difference", " / np.sqrt(len(d))", "", "It is the standard deviation of the differences"),
    ],
    "ex14_checking_gradients": [
        ("central_difference", "(2 * h)", "h", "It is divided by h"),
        ("complex_step", ".imag", ".real", "It is the real part over h"),
        ("numerical_dx", "(2 * h)", "h", "It is divided by h"),
        ("numerical_dx", "dy * (f", "1 * (f", "dy is left out"),
        (
            "numerical_dx",
            "e[place] = h\n        dx[place] = (dy * (f(x + e) - f(x - e))).sum() / (2 * h)",
            "y = f(x)\n        x[place] += h\n        dx[place] = (dy * (f(x) - y)).sum() / h",
            "it changes x, the caller's own array",
        ),
        ("gradient_error", "rng.standard_normal(y.shape)", "np.ones(y.shape)", "as a dy of ones has"),
        (
            "gradient_error",
            "np.abs(backward(dy) - slopes).max() / np",
            "np.abs(backward(dy) - slopes)[0, 0] / np",
            "take the largest error of all numbers",
        ),
        ("gradient_error", " / np.abs(slopes).max()", "", "It is not divided by the largest slope"),
        ("central_difference", "/ (2 * h)", "/ 2 * h", "2h needs brackets"),
        (
            "complex_step",
            "f(x + 1j * h).imag / h",
            "(f(x + 1e-5) - f(x - 1e-5)) / 2e-5",
            "with h = 1e-20, gives all digits",
        ),
        (
            "gradient_error",
            "np.abs(backward(dy) - slopes).max() / np.abs(slopes).max()",
            "np.abs((backward(dy) - slopes) / slopes).max()",
            "Each error is divided by its own slope",
        ),
    ],
    "ex15_importance_weighting": [
        (
            "normalized_weights",
            "w.sum(axis=1, keepdims=True)",
            "w.sum(axis=0)",
            "divide by the sum over the draws of each image",
        ),
        ("normalized_weights", " - log_w.max(axis=1, keepdims=True)", "", "It underflows"),
        (
            "importance_bound",
            "top[:, 0] + np.log(w.mean(axis=1))",
            "log_w.mean(axis=1)",
            "The mean of the logarithms is the ELBO",
        ),
        ("importance_bound", "keepdims=True) / N", "keepdims=True)", "it is N = 5 times too large"),
        (
            "importance_bound",
            "w / w.sum(axis=1, keepdims=True) / N",
            "w / w.sum(axis=1, keepdims=True) / N / _",
            "it is 0.25 times what it should be",
        ),
        (
            "gaussian_rate",
            "np.minimum(eigenvalues, level)",
            "np.full(len(eigenvalues), level)",
            "Directions below the level keep an error of λᵢ",
        ),
        ("gaussian_rate", "0.5 * np.log", "np.log", "The ½ is missing"),
        ("normalized_weights", "log_w.max(axis=1, keepdims=True)", "log_w.max()", "It underflows"),
    ],
    "ex16_fast_matmul": [
        ("roofline", "return min(", "return max(", "It is the larger of the two limits"),
        ("blocked_product", "+= A", "= A", "Blocks overwrite one another"),
        ("blocked_product", "range(0, len(B), depth)", "range(0, len(B) - depth + 1, depth)", "The last columns of A"),
        (
            "blocked_product",
            "for k in range(0, len(B), depth):",
            "for k, depth in ((0, len(B)),):",
            "a product takes a block of A of shape (3, 10)",
        ),
        ("tallest_tile", "registers - 1 - V", "registers - V", "One register is needed for a number of A"),
        ("tallest_tile", "(registers - 1 - V)", "(registers - 1)", "The vectors of B need V registers too"),
        ("tallest_tile", "(registers - 1 - V)", "registers", "The tile alone is counted"),
        ("loads_per_fma", "(R + V) / (R * V)", "(R * V) / (R + V)", "It is FMAs for each load, upside down"),
        ("roofline", "return min(peak, ", "return max(0, ", "The peak is left out"),
    ],
    "ex18_your_own": [
        (
            "Softplus",
            "dy * np.where(x > 0, 1, e) / (1 + e)",
            "dy * np.where(x > 0, e, 1) / (1 + e)",
            "It is the slope at −x",
        ),
        ("Softplus", "y = np.maximum(x, 0) + np.log1p(e)", "y = np.log(1 + np.exp(x))", "e^1000 overflows"),
        ("Softplus", "return dy * np.where(x > 0, 1, e) / (1 + e)", "return dy", "It is dy itself"),
        ("huber", "np.abs(d) - 0.5", "np.abs(d)", "Beyond 1 it is |d|"),
        ("huber", "np.clip(d, -1, 1) / len(y)", "np.clip(d, -1, 1)", "it is N = 5 times too large"),
        ("huber", "np.clip(d, -1, 1) / len(y)", "d / len(y)", "Beyond 1 the slope is ±1"),
        ("AdaGrad", "self.G += dtheta**2", "self.G[...] = dtheta**2", "The squares of the first step are forgotten"),
        ("AdaGrad", "np.sqrt(self.G)", "self.G", "The root is missing"),
        ("AdaGrad", "(np.sqrt(self.G) + self.epsilon)", "np.sqrt(self.G + self.epsilon)", "ε is inside the root"),
        ("AdaGrad", "(np.sqrt(self.G) + self.epsilon)", "np.sqrt(self.G)", "ε is left out"),
        (
            "Smoothed",
            "new if self.smoothed is None else 0.9 * self.smoothed + 0.1 * new",
            "0.9 * (self.smoothed or 0) + 0.1 * new",
            "It begins at 0",
        ),
        ("Smoothed", '{"smoothed": self.smoothed}', "{}", "KeyError in line"),
        ("Smoothed", 'self.smoothed = state["smoothed"]', "pass", "It begins anew"),
        ("AdaGrad", "learning_rate * dtheta", "self.learning_rate * dtheta", "TypeError in line"),
        (
            "Smoothed",
            "new if self.smoothed is None else 0.9 * self.smoothed + 0.1 * new",
            "0.9 * self.smoothed + 0.1 * new if self.smoothed else new",
            "ask whether self.smoothed is None",
        ),
    ],
}


# Other right solutions: the blank, code of its reference solution, and what else may stand there.
OTHER_FORMS: list[tuple[str, str, str, str]] = [
    ("ex01_probability", "simulation", "return m, np.sqrt(variance / n)", "return [m, np.sqrt(variance / n)]"),
    ("ex02_entropy", "entropy", "-(p * np.log(p)).sum()", "sum(one * np.log(1 / one) for one in p)"),
    ("ex03_dense", "initial_weights", "rng.uniform(-bound, bound, (n_in", "bound - 2 * bound * rng.random((n_in"),
    ("ex03_dense", "Dense", "self.dW += x.T @ dy", 'self.dW += np.einsum("ni,nj->ij", x, dy)'),
    ("ex04_activations", "Sigmoid", "y = np.where(x > 0, 1, e) / (1 + e)", "y = 0.5 * (1 + np.tanh(0.5 * x))"),
    (
        "ex04_losses",
        "mse",
        "return ((y - target) ** 2).sum() / N, 2 * (y - target) / N",
        "return [np.linalg.norm(y - target) ** 2 / N, 2 / N * (y - target)]",
    ),
    (
        "ex05_optimizers",
        "momentum_step",
        "theta -= learning_rate * velocity",
        "for i, u in enumerate(velocity):\n        theta[i] -= learning_rate * u",
    ),
    ("ex08_pca", "pca", "Vt[:L].T", "-Vt[:L].T"),
    (
        "ex12_vae_gradients",
        "sample_gaussian",
        "return dz.copy(), 0.5 * dz * sigma * eps",
        "return [dz, 0.5 * dz * sigma * eps]",
    ),
    (
        "ex14_checking_gradients",
        "numerical_dx",
        "e[place] = h\n        dx[place] = (dy * (f(x + e) - f(x - e))).sum() / (2 * h)",
        "x[place] += h\n        up = (dy * f(x)).sum()\n        x[place] -= 2 * h\n"
        "        dx[place] = (up - (dy * f(x)).sum()) / (2 * h)\n        x[place] += h",
    ),
]


def _blank(file: str, name: str) -> Blank:
    (found,) = [blank for blank in BLANKS if (blank.file, blank.name) == (file, name)]
    return found


@cache
def _tests_of(file: str) -> ModuleType:
    return exercises.module(f"test_{file}", HERE)


def _source(folder: Path, file: str) -> str:
    """A file of exercises; whoever asks for a solution in a copy of the project that has none is skipped."""
    if not folder.is_dir():
        pytest.skip(f"the folder {folder.name} is left out of this copy")
    return (folder / f"{file}.py").read_text(encoding="utf-8")


def _body(source: str, name: str) -> str:
    """The code of a blank, below its docstring."""
    (node,) = [one for one in ast.parse(source).body if getattr(one, "name", None) == name]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    return "\n".join(source.splitlines()[node.body[1].lineno - 1 : node.end_lineno])


def _told(blank: Blank, source: str, seed: int = 0) -> str:
    """What the test of a blank says of a source, without the formula and the chapter; "" if it passes."""
    ex = ModuleType(blank.file)
    exec(compile(source, str(SOLUTIONS / f"{blank.file}.py"), "exec"), vars(ex))
    exercises.guarded(ex, blank.file)
    test = getattr(_tests_of(blank.file), blank.test)
    rng = exercises.generator(seed, blank.test)
    given = {"ex": ex, "check": exercises.Check(rng), "rng": rng}
    try:
        with np.errstate(all="ignore"):
            test(**{name: given[name] for name in inspect.signature(test).parameters})
    except Exception as error:
        return exercises.explain(error, blank, SOLUTIONS).partition("\n  formula: ")[0]
    return ""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A student's command, in a copy of the folder."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(HERE, tmp_path / "exercises", ignore=shutil.ignore_patterns("__pycache__", "solutions"))
    return tmp_path / "exercises"


@pytest.fixture(autouse=True)
def nothing_is_compiled():
    with sn.kernels.use("numpy"):
        yield


every_file = pytest.mark.parametrize("file", FILES)


# ---- the files
def test_there_are_enough_blanks():
    print(f"\n{len(BLANKS)} blanks, {sum(map(len, PLANTED.values()))} planted mistakes")
    assert len(BLANKS) >= 35


def test_every_chapter_from_01_to_16_and_18_has_a_file_of_two_blanks_or_more():
    of_chapter = {
        chapter: [one for one in BLANKS if one.file[2:4] == chapter] for chapter in (f"{n:02}" for n in range(1, 19))
    }
    assert not of_chapter.pop("17")  # its exercise is the museum
    assert min(map(len, of_chapter.values())) >= 2


@every_file
def test_the_reference_solution_is_the_exercise_with_its_blanks_filled(file):
    lines = [r"(?:.*\n)+" if "TODO" in line else re.escape(line) for line in _source(HERE, file).splitlines(True)]
    assert re.fullmatch("".join(lines), _source(SOLUTIONS, file))


@every_file
def test_each_blank_has_one_test_and_each_test_a_blank(file):
    tests = [name for name in vars(_tests_of(file)) if name.startswith("test_")]
    assert tests == [blank.test for blank in BLANKS if blank.file == file]


@pytest.mark.parametrize("blank", BLANKS, ids=lambda blank: blank.name)
def test_a_blank_names_the_section_of_a_chapter(blank):
    page, _, anchor = blank.chapter.partition("#")
    assert anchor in _anchors(ROOT / page)
    assert Path(page).name[:2] == blank.file[2:4]


# ---- solutions, blanks, and mistakes
@pytest.mark.parametrize("seed", [0, 1234])
@every_file
def test_the_reference_solutions_pass(file, seed):
    told = [_told(blank, _source(SOLUTIONS, file), seed) for blank in BLANKS if blank.file == file]
    assert "".join(told) == ""


@pytest.mark.parametrize("blank", BLANKS, ids=lambda blank: blank.name)
def test_a_blank_says_what_to_do(blank):
    assert _told(blank, _source(HERE, blank.file)).startswith(f"{blank.name}: TODO: ")


def _rows() -> list:
    rows = [(_blank(file, name), *row) for file, rows in PLANTED.items() for name, *row in rows]
    return [pytest.param(*row, id=f"{row[0].name}-{row[-1]}") for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize(("blank", "right", "wrong", "words"), _rows())
def test_the_message_for_a_planted_mistake_names_it(blank, right, wrong, words):
    source = _source(SOLUTIONS, blank.file)
    body = _body(source, blank.name)
    assert body.count(right) == 1
    assert words in _told(blank, source.replace(body, body.replace(right, wrong)))


@pytest.mark.parametrize(("file", "name", "right", "other"), OTHER_FORMS, ids=[name for _, name, *_ in OTHER_FORMS])
def test_a_right_solution_of_another_form_passes(file, name, right, other):
    source = _source(SOLUTIONS, file)
    body = _body(source, name)
    assert body.count(right) == 1
    assert _told(_blank(file, name), source.replace(body, body.replace(right, other))) == ""


def test_every_blank_has_a_planted_mistake():
    assert {(blank.file, blank.name) for blank in BLANKS} == {
        (f, name) for f, rows in PLANTED.items() for name, *_ in rows
    }


def test_an_exception_comes_with_its_line():
    blank = _blank("ex01_probability", "conditional")
    source = _source(SOLUTIONS, blank.file)
    told = _told(blank, source.replace("p_xy.sum(axis=0)", "p_xy[0, 0, 0]"))
    (line,) = [n for n, one in enumerate(source.splitlines(), 1) if "return p_xy / p_xy.sum" in one and n < 20]
    assert told.startswith(f"conditional: IndexError in line {line} of ex01_probability.py: ")


def test_an_exception_that_the_test_itself_raises_has_no_line():
    with pytest.raises(TypeError) as caught:
        exercises.Check(np.random.default_rng(0)).drawn_from(None)  # type: ignore[arg-type]
    told = exercises.explain(caught.value, _blank("ex01_probability", "conditional"), HERE)
    assert told.startswith("conditional: TypeError: ")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda right: right.T, "It is transposed."),
        (lambda right: right[..., None], "The numbers are right, and their shape is not."),
        (lambda right: right[..., None] * [0.5, 0.5], "The sum over axis 2 is missing."),
        (lambda right: right.astype(np.float32), "It has the digits of float32: compute in float64."),
        (lambda right: right.astype(int), "The digits behind the point are cut off: its type is one of whole numbers."),
        (lambda right: -right, "The sign is flipped."),
        (lambda right: right**2, "It is the square of what it should be."),
        (lambda right: right / 3, "All of it is 0.333333 times what it should be."),
        (lambda right: right - 2, "All of it is 2 too small."),
        (lambda right: right * 1j, "the result is complex, where real numbers are meant."),
    ],
)
def test_a_mistake_that_any_formula_may_have_is_named(wrong, words):
    right = np.random.default_rng(0).uniform(1, 9, (2, 3))
    with pytest.raises(AssertionError) as caught:
        exercises.Check(np.random.default_rng(0)).same(wrong(right), right)
    assert str(caught.value).endswith(words)


def test_results_in_the_wrong_order_are_named():
    check = exercises.Check(np.random.default_rng(0))
    with pytest.raises(AssertionError, match="It is error: return mean and error in this order"):
        check.same_each((0.5, 3.0), mean=(3.0, {}), error=(0.5, {}))


def test_a_missing_return_is_named():
    blank = _blank("ex01_probability", "conditional")
    told = _told(
        blank, _source(SOLUTIONS, blank.file).replace("return p_xy / p_xy.sum(axis=0)", "p_xy / p_xy.sum(axis=0)", 1)
    )
    assert told == "conditional: the result is None: return it."


# ---- the command
def test_a_blank_fails_with_todo_its_formula_and_its_chapter(folder):
    run = _run(folder, "test_ex01_probability.py")
    assert run.returncode == 1
    assert "bayes: TODO: the posterior" in run.stdout
    assert "formula: p(x | y) = p(y | x) p(x) / p(y), with p(y) = Σₓ p(y | x) p(x)." in run.stdout
    assert "chapter: docs/01-probability.md#bayes-rule" in run.stdout
    assert "4 failed" in run.stdout


def test_stars_are_counted_for_what_was_handed_in(folder, tmp_path):
    handed_in = tmp_path / "handed_in"
    handed_in.mkdir()
    source = _source(SOLUTIONS, "ex01_probability").replace(" * p_x[:, None]", "")
    (handed_in / "ex01_probability.py").write_text(source, encoding="utf-8")
    tests = ("test_ex01_probability.py", "test_ex02_entropy.py")
    run = _run(folder, *tests, f"--from={handed_in}", "--seed", "7")
    assert re.search(r"^ex01_probability +4 of 6$", run.stdout, re.M)
    assert re.search(r"^ex02_entropy +0 of 6$", run.stdout, re.M)
    assert "entropy: " + str(handed_in) + " has no ex02_entropy.py." in run.stdout
    assert "The prior p(x) is left out." in run.stdout


def test_grading_with_other_settings_than_a_students_is_refused(folder):
    (folder.parent / "handed_in").mkdir()
    (folder.parent / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    run = _run(folder.parent, "exercises/test_ex02_entropy.py", "--from", "handed_in")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert run.stderr.count("Write --from=handed_in, with = and no space") == 1


def test_without_the_folder_of_solutions_one_sentence_says_so(folder):
    run = _run(folder, "--solutions")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert run.stderr.count("does not exist: it should hold the reference solutions") == 1


def test_without_the_folder_of_solutions_a_test_that_needs_it_is_skipped(folder):
    with pytest.raises(pytest.skip.Exception, match="solutions is left out"):
        _source(folder / "solutions", FILES[0])


def test_one_command_counts_the_blanks(folder):
    counted = _run(folder, "--blanks").stdout.splitlines()
    assert re.match(rf"{len(BLANKS)} blanks, {sum(one.stars for one in BLANKS)} stars, [\d.]+ hours$", counted[-1])


def test_the_projects_own_tests_do_not_collect_the_exercises(pytestconfig):
    assert not [path for path in pytestconfig.getini("testpaths") if HERE.is_relative_to(ROOT / path)]


# ---- the pages
@every_file
def test_a_chapter_points_to_its_exercises(file):
    (chapter,) = (ROOT / "docs").glob(f"{file[2:4]}-*.md")
    assert f"exercises/{file}.py" in _LINK.findall(_text(chapter))


def test_the_readme_lists_the_files_with_their_blanks():
    rows = re.findall(r"^\| \[(ex\w+)\]\(\1\.py\) \| (\d+) \| (\d+) \| (\d+) \|", _text(HERE / "README.md"), re.M)
    counted = []
    for file in FILES:
        found = [blank for blank in BLANKS if blank.file == file]
        numbers = len(found), sum(one.stars for one in found), sum(one.minutes for one in found)
        counted.append((file, *map(str, numbers)))
    assert rows == counted


def test_the_readme_quotes_a_message():
    def without_numbers(text: str) -> str:
        return re.sub(r"-?\d+\.\d+", "…", " ".join(text.split()))

    blank = _blank("ex03_dense", "Dense")
    told = _told(blank, _source(SOLUTIONS, blank.file).replace("dy.sum(axis=0)", "dy.mean(axis=0)"))
    message = f"{told}\n  formula: {blank.formula}\n  chapter: {blank.chapter}"
    assert without_numbers(message) in without_numbers(_text(HERE / "README.md"))


def test_links_of_the_readme_lead_somewhere():
    for link in _LINK.findall(_text(HERE / "README.md")):
        path, _, anchor = link.partition("#")
        target = (HERE / path).resolve() if path else HERE / "README.md"
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link
