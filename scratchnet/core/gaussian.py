"""What a variational autoencoder needs of Gaussians: a divergence and a sample.

Both take logvar = log σ²: it can be any number, while σ must be positive. If one of them took it for log σ, no gradient
check would notice; so they are on one page.
"""

import numpy as np

from scratchnet import kernels
from scratchnet.arrays import Array, Backward
from scratchnet.checks import check_alike, check_same
from scratchnet.core.losses import batch_mean


def kl_standard_normal(mu: Array, logvar: Array) -> tuple[float, Array, Array]:
    """(1/N) Σₙ KL(N(μ, σ²) ‖ N(0, 1)) = (1/N) Σₙ Σᵢ ½ (μ² + σ² − log σ² − 1), in nats per example.

    mu and logvar are (N, L). Returns the value, dmu = μ / N and dlogvar = ½ (σ² − 1) / N. Derivation:
    docs/12-vae-gradients.md. Kingma & Welling, Auto-Encoding Variational Bayes, 2013, appendix B.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> value, dmu, dlogvar = sn.kl_standard_normal(np.array([[1.0]]), np.log(np.array([[4.0]])))
    >>> round(value, 7), dmu, dlogvar                               # ½ (1 + 4 − log 4 − 1)
    (1.3068528, array([[1.]]), array([[1.5]]))
    """
    check_alike("kl_standard_normal", mu=mu, logvar=logvar)
    return batch_mean(*kernels.kl_standard_normal(mu, logvar))


def sample_gaussian(mu: Array, logvar: Array, eps: Array) -> tuple[Array, Backward]:
    """z = μ + σ ⊙ ε, which is a sample from N(μ, σ²) if ε is one from N(0, 1).

    mu, logvar and eps are (N, L); the caller draws eps. The backward pass returns dμ = dz and dlogσ² = ½ dz ⊙ σ ⊙ ε.
    Derivation: docs/12-vae-gradients.md. Kingma & Welling, Auto-Encoding Variational Bayes, 2013, section 2.4.

    Examples
    --------
    >>> import numpy as np, scratchnet as sn
    >>> mu, logvar, eps = np.array([[5.0]]), np.log(np.array([[4.0]])), np.array([[3.0]])
    >>> z, backward = sn.sample_gaussian(mu, logvar, eps)
    >>> z, backward(np.array([[1.0]]))                              # 5 + 2·3;  1 and ½·2·3
    (array([[11.]]), (array([[1.]]), array([[3.]])))
    """
    check_alike("sample_gaussian", mu=mu, logvar=logvar, eps=eps)
    z, sigma = kernels.sample_gaussian(mu, logvar, eps)  # z = μ + σ ⊙ ε        (N, L)

    def backward(dz: Array) -> tuple[Array, Array]:  # dz (N, L)
        check_same("the backward pass of sample_gaussian", "dz", dz, "z", z)
        return kernels.sample_gaussian_backward(dz, sigma, eps)  # dμ = dz,  dlogσ² = ½ dz ⊙ σ ⊙ ε

    return z, backward


def log_p_over_q(z: Array, logvar: Array, eps: Array) -> Array:
    """log p(z) − log q(z|x) = ½ Σᵢ (ε² + log σ² − z²) of each sample, as ε = (z − μ)/σ: (N,) in float64.

    For evaluation and importance weighting; the training of a VAE does not need it.
    """
    return 0.5 * (eps**2 + logvar - z**2).sum(axis=1, dtype=np.float64)


def noise_like(mu: Array, rng: np.random.Generator) -> Array:
    """ε from N(0, 1) in the shape and dtype of `mu`; drawn in double precision, so that it is the same in any dtype."""
    return rng.standard_normal(mu.shape).astype(mu.dtype)
