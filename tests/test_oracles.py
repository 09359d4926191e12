"""Models whose best parameters can be written down: trained by this library on real digits, they must arrive there.

A slip in a formula that leaves forward and backward consistent passes every gradient check, and the model still learns
something. Here what it learns is known to four digits and more, from an eigenvalue decomposition of the data.

All models are linear, so their losses are quadratic in any noise ε, and an expectation over ε is the mean over a few
chosen values with the right mean 0 and covariance I. Only the last test of L_k depends on chance.
"""

from collections.abc import Callable

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.arrays import Array

# ---- the data: 200 digits; the box of 20×20 pixels that they were fitted into, in blocks of 4×4

N, D = 200, 25
X = sn.data.mnist("test")[0][:N].reshape(N, 28, 28)[:, 4:24, 4:24].astype(np.float64)
X = X.reshape(N, 5, 4, 5, 4).mean(axis=(2, 4)).reshape(N, D)


def principal_components(x: Array) -> tuple[Array, Array, Array]:
    """The mean (D,), and of the covariance the eigenvalues (D,) and eigenvectors, columns of (D, D), largest first."""
    mean = x.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    return mean, eigenvalues[::-1], vectors[:, ::-1]


MEAN, LAMBDA, V = principal_components(X)


def dense(n_in: int, n_out: int, rng: np.random.Generator) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=rng, dtype=np.float64)


def train(model: sn.Autoencoder | sn.VAE, loss: Callable[[], sn.Loss], optimizer: sn.SGD | sn.Adam, steps: int) -> None:
    for _ in range(steps):
        model.parameters.zero_grad()
        loss().backward()
        optimizer.step(model.parameters.theta, model.parameters.dtheta)


def annealed_adam(peak: float, steps: int, **options: float) -> sn.Adam:
    """Adam with a learning rate that falls from `peak` to 0 along half a cosine."""
    return sn.Adam(lambda step: 0.5 * peak * (1 + np.cos(np.pi * step / steps)), **options)


# ---- the linear autoencoder is principal component analysis (Baldi & Hornik, 1989)
#
# No map of rank K comes closer to the centred data than the projector onto the K leading eigenvectors, V_K V_Kᵀ. What
# is lost is the variance along the others, Σ_{i>K} λᵢ. The biases carry the mean.

K = 4
PROJECTOR = V[:, :K] @ V[:, :K].T  # (D, D)


def linear_autoencoder() -> sn.Autoencoder:
    rng = np.random.default_rng(0)
    return sn.Autoencoder(dense(D, K, rng), dense(K, D, rng))


@pytest.fixture(scope="module")
def pca() -> sn.Autoencoder:
    model, steps = linear_autoencoder(), 1500
    train(model, lambda: model.loss(X), annealed_adam(0.05, steps), steps)
    return model


def test_the_loss_of_a_linear_autoencoder_is_the_variance_that_pca_discards(pca):
    assert pca.loss(X).value == pytest.approx(LAMBDA[K:].sum(), rel=1e-9)


def test_encoder_times_decoder_of_a_linear_autoencoder_is_the_projector_of_pca(pca):
    W = pca.encoder.W @ pca.decoder.W
    np.testing.assert_allclose(W, PROJECTOR, atol=1e-6)


def test_the_biases_of_a_linear_autoencoder_carry_the_mean(pca):
    mean_image, _ = pca.decoder.forward(pca.encode(MEAN[None]))
    np.testing.assert_allclose(mean_image[0], MEAN, atol=1e-7)


# With a penalty λ(‖W₁‖² + ‖W₂‖²) on ‖X − X̂‖² (Kunin et al., Loss Landscapes of Regularized Linear Autoencoders, 2019):
# let g = w₁w₂ be what the two layers do along an eigenvector with the singular value s. The smallest w₁² + w₂² with
# that product is 2g, at w₁ = w₂, so that direction costs s²(1 − g)² + 2λg. The slope is zero at g = 1 − λ/s², where the
# cost is λ²/s² + 2λ − 2λ²/s² = 2λ − λ²/s²: less than s², so the K largest s² > λ are kept.
#
# `mse` divides by N, so its s² is the eigenvalue of the covariance. Adam adds weight_decay·θ to the gradient, which is
# that of ½ weight_decay ‖θ‖², so λ = weight_decay/2. On centred data the biases start at 0 and stay there, unpenalised.

WEIGHT_DECAY = 0.04
SHRINK = 0.5 * WEIGHT_DECAY  # the λ of the penalty


@pytest.fixture(scope="module")
def shrunk_pca() -> sn.Autoencoder:
    model, steps = linear_autoencoder(), 700
    train(model, lambda: model.loss(X - MEAN), annealed_adam(0.03, steps, weight_decay=WEIGHT_DECAY), steps)
    return model


def test_weight_decay_reaches_the_loss_that_was_worked_out(shrunk_pca):
    penalised = shrunk_pca.loss(X - MEAN).value + SHRINK * (shrunk_pca.parameters.theta**2).sum()
    best = (2 * SHRINK - SHRINK**2 / LAMBDA[:K]).sum() + LAMBDA[K:].sum()
    assert penalised == pytest.approx(best, rel=1e-9)


def test_weight_decay_shrinks_each_component_by_its_share_of_lambda_over_the_eigenvalue(shrunk_pca):
    W = shrunk_pca.encoder.W @ shrunk_pca.decoder.W
    np.testing.assert_allclose(W, V[:, :K] * (1 - SHRINK / LAMBDA[:K]) @ V[:, :K].T, atol=1e-7)


def test_weight_decay_makes_the_encoder_the_transpose_of_the_decoder(shrunk_pca):
    np.testing.assert_allclose(shrunk_pca.encoder.W, shrunk_pca.decoder.W.T, atol=1e-7)


# ---- the linear denoiser is a Wiener filter
#
# With x̃ = x + noise of covariance τ²I, the cost of W on centred data, with Σ their covariance, is
#   E‖x − x̃W‖² = tr (I − W)ᵀ Σ (I − W) + τ² tr WᵀW,    zero slope at −Σ(I − W) + τ²W = 0, so W = (Σ + τ²I)⁻¹ Σ.
# Along an eigenvector that is λ/(λ + τ²), and λτ²/(λ + τ²) is left. Here image n gets the noise ±τ√D along pixel
# n mod D, both signs: every pixel is hit equally often, which makes the mean 0, the covariance τ²I, and the covariance
# with the images 0, exactly.

TAU = 0.3
SPIKES = TAU * np.sqrt(D) * np.eye(D)[np.arange(N) % D]  # (N, D)
TWICE = np.concatenate([X, X])


def spike(x: Array, rng: np.random.Generator) -> Array:
    return x + np.concatenate([SPIKES, -SPIKES])


@pytest.fixture(scope="module")
def denoiser() -> sn.Autoencoder:
    rng = np.random.default_rng(0)
    model = sn.Autoencoder(dense(D, D, rng), sn.Flatten(), corrupt=spike)  # one linear map: rows are flat already
    train(model, lambda: model.loss(TWICE, rng), sn.SGD(0.1, momentum=0.9), steps=500)
    return model


def test_the_noise_of_the_denoiser_is_exact():
    noise = spike(TWICE, np.random.default_rng(0)) - TWICE
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(noise.T @ noise / len(noise), TAU**2 * np.eye(D), atol=1e-15)
    np.testing.assert_allclose(TWICE.T @ noise, 0, atol=1e-12)


def test_a_linear_denoiser_leaves_what_the_wiener_filter_leaves(denoiser):
    loss = denoiser.loss(TWICE, np.random.default_rng(0)).value
    assert loss == pytest.approx((LAMBDA * TAU**2 / (LAMBDA + TAU**2)).sum(), rel=1e-9)


def test_a_linear_denoiser_is_the_wiener_filter(denoiser):
    np.testing.assert_allclose(denoiser.encoder.W, V * (LAMBDA / (LAMBDA + TAU**2)) @ V.T, atol=1e-7)


def test_a_linear_denoiser_leaves_the_mean_image_as_it_is(denoiser):
    np.testing.assert_allclose(denoiser.encode(MEAN[None])[0], MEAN, atol=1e-7)


# ---- the linear VAE is probabilistic PCA (Tipping & Bishop, 1999; Lucas et al., Don't Blame the ELBO!, 2019)
#
# z ~ N(0, I), x|z ~ N(Wz + mean, σ²I), so x ~ N(mean, WWᵀ + σ²I), most likely at W = V_L (Λ_L − σ²I)^½ R with any
# rotation R, where σ² is the mean discarded eigenvalue. Bayes gives z|x ~ N(M⁻¹Wᵀ(x − mean), σ²M⁻¹), M = WᵀW + σ²I.
# At R = I, M is diagonal, q(z|x) can be that posterior, and the ELBO is log p(x). Else the best diagonal q has
# the variances σ²/M_ii, and loses KL(q ‖ posterior) = ½ (tr(M diag(1/M_ii)) − L + Σ log M_ii − log|M|), where the
# trace is L.

L = 3
EPS = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # a tetrahedron: mean 0, covariance I


def ppca(x: Array, rotation: Array | None = None) -> tuple[Array, float]:
    """The most likely W (D, L), and σ."""
    _, eigenvalues, vectors = principal_components(x)
    variance = eigenvalues[L:].mean()
    W = vectors[:, :L] * np.sqrt(eigenvalues[:L] - variance)
    return W if rotation is None else W @ rotation, np.sqrt(variance)


def log_normal(x: Array, mean: Array, covariance: Array) -> float:
    """The mean over x of log N(x; mean, covariance)."""
    distances = ((x - mean) * np.linalg.solve(covariance, (x - mean).T).T).sum(axis=1)  # (N,)
    return -0.5 * (D * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + distances.mean())


def log_evidence(x: Array, W: Array, sigma: float) -> float:
    return log_normal(x, x.mean(axis=0), W @ W.T + sigma**2 * np.eye(D))


def linear_vae(sigma: float) -> sn.VAE:
    rng = np.random.default_rng(0)
    return sn.VAE(dense(D, 2 * L, rng), dense(L, D, rng), likelihood="gaussian", sigma=sigma)


def vae_of(x: Array, W: Array, sigma: float) -> sn.VAE:
    """W in the decoder, and the best diagonal posterior in the encoder."""
    mean, M = x.mean(axis=0), W.T @ W + sigma**2 * np.eye(L)
    to_mu = W @ np.linalg.inv(M)  # (D, L)
    vae = linear_vae(sigma)
    parameters = vae.parameters.named()
    parameters["encoder.W"][...] = np.concatenate([to_mu, np.zeros((D, L))], axis=1)
    parameters["encoder.b"][...] = np.concatenate([-mean @ to_mu, np.log(sigma**2 / np.diag(M))])
    parameters["decoder.W"][...], parameters["decoder.b"][...] = W.T, mean
    return vae


def expected_loss(vae: sn.VAE, x: Array) -> sn.Loss:
    """The loss with its expectation over ε taken exactly: every image at each of the four ε."""
    return vae.loss(np.repeat(x, len(EPS), axis=0), eps=np.tile(EPS, (len(x), 1)))


def log_likelihood(vae: sn.VAE, x: Array, k: int) -> float:
    return sn.log_likelihood(vae, x, k, np.random.default_rng(1))["log_likelihood"]


ROTATION = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])  # mixes all three components
LOG_EVIDENCE = log_evidence(X, *ppca(X))


@pytest.fixture
def exact() -> sn.VAE:
    return vae_of(X, *ppca(X))


@pytest.fixture
def rotated() -> sn.VAE:
    return vae_of(X, *ppca(X, ROTATION))


def test_the_noise_of_the_linear_vae_is_exact():
    assert EPS.sum(axis=0).tolist() == [0, 0, 0]
    assert (EPS.T @ EPS / len(EPS)).tolist() == np.eye(L).tolist()


def test_the_log_likelihood_of_probabilistic_pca_is_that_of_its_eigenvalues():
    W, sigma = ppca(X)
    log_determinant = np.log(LAMBDA[:L]).sum() + (D - L) * np.log(sigma**2)
    assert log_evidence(X, W, sigma) == pytest.approx(-0.5 * (D * np.log(2 * np.pi) + log_determinant + D), rel=1e-12)


def test_the_elbo_of_a_linear_vae_at_its_best_is_the_log_likelihood(exact):
    assert -expected_loss(exact, X).value == pytest.approx(LOG_EVIDENCE, rel=1e-9)


def test_a_linear_vae_at_its_best_has_no_slope(exact):
    expected_loss(exact, X).backward()
    np.testing.assert_allclose(exact.parameters.dtheta, 0, atol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 20])
def test_every_k_gives_the_log_likelihood_of_a_linear_vae_at_its_best(exact, k):
    assert log_likelihood(exact, X, k) == pytest.approx(LOG_EVIDENCE, rel=1e-9)


def test_a_rotation_of_the_latent_space_changes_no_likelihood():
    assert log_evidence(X, *ppca(X, ROTATION)) == pytest.approx(LOG_EVIDENCE, rel=1e-12)


def rotation_gap() -> float:
    W, sigma = ppca(X, ROTATION)
    M = W.T @ W + sigma**2 * np.eye(L)
    return 0.5 * (np.log(np.diag(M)).sum() - np.linalg.slogdet(M)[1])


def test_a_rotated_linear_vae_loses_what_its_diagonal_posterior_cannot_follow(rotated):
    assert -expected_loss(rotated, X).value == pytest.approx(LOG_EVIDENCE - rotation_gap(), rel=1e-9)


def test_the_posterior_of_the_rotated_linear_vae_is_the_best_diagonal_one(rotated):
    expected_loss(rotated, X).backward()
    np.testing.assert_allclose(rotated.encoder.dW, 0, atol=1e-9)
    np.testing.assert_allclose(rotated.encoder.db, 0, atol=1e-9)


def test_more_samples_win_back_what_the_rotated_linear_vae_loses(rotated):
    # The gap is 0.037 nats. From 6000 images L_1 has a standard error of 0.004, and L_20, which lies 0.002 below
    # log p(x), of 0.001: another seed fails once in a million.
    one, many = (log_likelihood(rotated, np.tile(X, (30, 1)), k) for k in (1, 20))
    gap = rotation_gap()
    assert one == pytest.approx(LOG_EVIDENCE - gap, abs=0.5 * gap)
    assert many == pytest.approx(LOG_EVIDENCE, abs=0.2 * gap)


# Training: centred and in quarters of the brightness, where W, the encoder and σ are of one size and gradient descent
# is quick.

QUARTERS = 4 * (X - MEAN)


@pytest.fixture(scope="module")
def trained() -> sn.VAE:
    _, sigma = ppca(QUARTERS)
    vae = linear_vae(sigma)
    sgd = sn.SGD(lambda step: 0.05 * min(1, step / 300), momentum=0.97)  # slowly at first, where the ELBO is steep
    train(vae, lambda: expected_loss(vae, QUARTERS), sgd, steps=1000)
    return vae


def test_a_linear_vae_learns_the_log_likelihood_of_probabilistic_pca(trained):
    best = log_evidence(QUARTERS, *ppca(QUARTERS))
    assert -expected_loss(trained, QUARTERS).value == pytest.approx(best, rel=1e-7)


def test_a_linear_vae_learns_the_covariance_of_probabilistic_pca(trained):
    W, _ = ppca(QUARTERS)
    np.testing.assert_allclose(trained.decoder.W.T @ trained.decoder.W, W @ W.T, atol=1e-4)


def test_a_linear_vae_learns_the_principal_components_themselves_not_a_rotation_of_them(trained):
    W, _ = ppca(QUARTERS)
    latents = trained.decoder.W @ trained.decoder.W.T  # (L, L)
    order = np.argsort(-np.diag(latents))
    np.testing.assert_allclose(latents[order][:, order], W.T @ W, atol=1e-3)


def test_a_linear_vae_learns_the_true_posterior(trained):
    W, sigma = trained.decoder.W.T, ppca(QUARTERS)[1]
    M = W.T @ W + sigma**2 * np.eye(L)
    mu, logvar = trained.encode(QUARTERS)
    np.testing.assert_allclose(mu, QUARTERS @ W @ np.linalg.inv(M), atol=1e-3)
    np.testing.assert_allclose(np.exp(logvar), np.tile(sigma**2 / np.diag(M), (N, 1)), rtol=1e-3)
