"""The models: what they compute, worked out by hand; what they show; and their gradients."""

import math

import numpy as np
import pytest

import scratchnet as sn
from scratchnet.arrays import Array


def dense(W: list[list[float]], b: list[float]) -> sn.Dense:
    """A dense layer with these weights, in float64."""
    layer = sn.Dense(len(W), len(b), rng=np.random.default_rng(0), dtype=np.float64)
    layer.W[...], layer.b[...] = W, b
    return layer


class Recorder(sn.Layer):
    """y = x, for rows of a given width, and a memory of what came by."""

    def __init__(self, n_in: int | None = None):
        self.n_in = n_in
        self.seen: list[Array] = []

    def forward(self, x):
        self.seen.append(x.copy())
        return x.copy(), lambda dy: dy.copy()


class DenseAskedForDx(sn.Dense):
    """A dense layer that remembers whether its way back was asked for the gradient of its input."""

    asked: bool | None = None

    def forward(self, x):
        y, backward = super().forward(x)

        def recording_backward(dy, need_dx=True):
            self.asked = need_dx
            return backward(dy, need_dx)

        return y, recording_backward


# ---- a variational autoencoder by hand: one pixel, one latent dimension
#
#   encoder: [μ | log σ²] = [2 x + 0 | 0 x + log 4]      decoder: y = 2 z − 1
#
#   at x = 0.5, ε = 0.25:  μ = 1,  σ = 2,  z = 1 + 2 · 0.25 = 1.5,  y = 2 · 1.5 − 1 = 2
#   KL = ½ (μ² + σ² − log σ² − 1) = ½ (1 + 4 − log 4 − 1) = 2 − log 2 = 1.30685…

PIXEL = np.array([[0.5]])
EPS = np.array([[0.25]])
KL = 2 - math.log(2)

#   bernoulli: −log p = log(1 + e²) − 0.5 · 2 = 1.12692…

BERNOULLI = math.log(1 + math.exp(2)) - 1

#   gaussian, σ_x = ½: −log N(0.5; 2, ¼) = ½ (0.5 − 2)² / ¼ + ½ log(2π · ¼) = 4.5 + ½ log(π/2) = 4.72579…

GAUSSIAN = 4.5 + 0.5 * math.log(math.pi / 2)


def tiny_vae(decoder: sn.Layer | None = None, **options) -> sn.VAE:
    return sn.VAE(dense([[2.0, 0.0]], [0.0, math.log(4)]), decoder or dense([[2.0]], [-1.0]), **options)


@pytest.mark.parametrize(
    ("options", "reconstruction"),
    [
        pytest.param({"likelihood": "bernoulli"}, BERNOULLI, id="bernoulli"),
        pytest.param({"likelihood": "gaussian", "sigma": 0.5}, GAUSSIAN, id="gaussian"),
    ],
)
@pytest.mark.parametrize("beta", [0, 1, 3.0])
def test_the_loss_of_a_vae_by_hand(options, reconstruction, beta):
    loss = tiny_vae(**options, beta=beta).loss(PIXEL, eps=EPS)
    assert loss.terms["reconstruction"] == pytest.approx(reconstruction, rel=1e-12)
    assert loss.terms["kl"] == pytest.approx(KL, rel=1e-12)
    assert loss.value == pytest.approx(reconstruction + beta * KL, rel=1e-12)


def test_the_way_back_of_a_bernoulli_vae_by_hand():
    vae = tiny_vae(beta=3.0)
    vae.loss(PIXEL, eps=EPS).backward()
    dy = 1 / (1 + math.exp(-2)) - 0.5  # sigmoid(2) − x
    dz = 2 * dy
    dmu = dz + 3 * 1  # β μ
    dlogvar = 0.5 * dz * 2 * 0.25 + 3 * 0.5 * (4 - 1)  # ½ dz σ ε + β ½ (σ² − 1)
    gradients = [0.5 * dmu, 0.5 * dlogvar, dmu, dlogvar, 1.5 * dy, dy]  # x dmu, x dlogvar, …;  z dy, dy
    assert vae.parameters.dtheta == pytest.approx(gradients, rel=1e-12)


def test_the_way_back_of_a_gaussian_vae_by_hand():
    vae = tiny_vae(likelihood="gaussian", sigma=0.5, beta=3.0)
    vae.loss(PIXEL, eps=EPS).backward()
    dy = (2 - 0.5) / 0.5**2  # (y − x) / σ_x²
    dz = 2 * dy
    dmu = dz + 3 * 1
    dlogvar = 0.5 * dz * 2 * 0.25 + 3 * 0.5 * (4 - 1)
    gradients = [0.5 * dmu, 0.5 * dlogvar, dmu, dlogvar, 1.5 * dy, dy]
    assert vae.parameters.dtheta == pytest.approx(gradients, rel=1e-12)


def test_the_decoder_of_a_vae_gets_the_sample():
    recorder = Recorder(1)
    tiny_vae(sn.Sequential(recorder, dense([[2.0]], [-1.0]))).loss(PIXEL, eps=EPS)
    assert len(recorder.seen) == 1
    assert recorder.seen[0] == pytest.approx(1.5)  # μ + σ ε, not μ = 1, nor [1, log 4]


def test_the_first_half_of_the_encoders_output_is_mu():
    mu, logvar = tiny_vae().encode(PIXEL)
    assert mu.tolist() == [[1.0]]
    assert logvar.tolist() == [[math.log(4)]]


def test_the_gaussian_reconstruction_is_minus_the_log_of_the_density():
    rng = np.random.default_rng(0)
    x, y, sigma = rng.random((3, 5)), rng.standard_normal((1, 5)), 0.3
    vae = sn.VAE(
        dense([[0.0] * 4] * 5, [0.0] * 4), dense([[0.0] * 5] * 2, y[0].tolist()), likelihood="gaussian", sigma=sigma
    )
    densities = [
        math.prod(
            math.exp(-((pixel - mean) ** 2) / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2)
            for pixel, mean in zip(image, y[0], strict=True)
        )
        for image in x
    ]
    expected = -sum(math.log(density) for density in densities) / 3
    assert vae.loss(x, rng).terms["reconstruction"] == pytest.approx(expected, rel=1e-12)


# ---- larger ones, with random weights


def make_vae(**options) -> sn.VAE:
    rng = np.random.default_rng(1)
    encoder = sn.Sequential(
        sn.Dense(5, 4, rng=rng, dtype=np.float64), sn.Tanh(), sn.Dense(4, 6, rng=rng, dtype=np.float64)
    )
    decoder = sn.Sequential(
        sn.Dense(3, 4, rng=rng, dtype=np.float64), sn.Tanh(), sn.Dense(4, 5, rng=rng, dtype=np.float64)
    )
    return randomised(sn.VAE(encoder, decoder, **options))


def make_autoencoder(loss=sn.mse, **options) -> sn.Autoencoder:
    rng = np.random.default_rng(1)
    encoder = sn.Sequential(sn.Dense(5, 3, rng=rng, dtype=np.float64), sn.Tanh())
    out = sn.Dense(3, 5, rng=rng, dtype=np.float64)
    decoder = sn.Sequential(out, sn.Sigmoid()) if loss is sn.bce else out
    return randomised(sn.Autoencoder(encoder, decoder, loss, **options))


def randomised(model):
    model.parameters.theta[...] = np.random.default_rng(2).standard_normal(len(model.parameters))
    return model


@pytest.fixture
def x() -> Array:
    return np.random.default_rng(3).random((4, 5))


MODELS = [
    pytest.param(lambda: make_vae(beta=2.5), id="VAE, bernoulli"),
    pytest.param(lambda: make_vae(likelihood="gaussian", sigma=0.4, beta=0.5), id="VAE, gaussian"),
    pytest.param(lambda: make_autoencoder(sn.mse), id="Autoencoder, mse"),
    pytest.param(lambda: make_autoencoder(sn.bce), id="Autoencoder, bce"),
    pytest.param(lambda: make_autoencoder(sn.bce_with_logits), id="Autoencoder, bce_with_logits"),
    pytest.param(lambda: make_autoencoder(corrupt=lambda x, rng: x * rng.random(x.shape)), id="Autoencoder, denoising"),
]
models = pytest.mark.parametrize("make", MODELS)


def loss_value(model, x: Array) -> float:
    return model.loss(x, np.random.default_rng(9)).value  # the same noise each time


@models
def test_the_gradient_is_the_slope_of_the_loss(make, x):
    model = make()
    model.loss(x, np.random.default_rng(9)).backward()
    gradient, theta, h = model.parameters.dtheta.copy(), model.parameters.theta, 1e-6
    start = 0
    for name, W in model.parameters.named().items():
        for i in {start, start + W.size // 2, start + W.size - 1}:
            here = theta[i]
            theta[i] = here + h
            above = loss_value(model, x)
            theta[i] = here - h
            below = loss_value(model, x)
            theta[i] = here
            assert gradient[i] == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-7), name
        start += W.size


@models
def test_the_loss_of_a_batch_is_the_mean_over_its_images(make, x):
    model = make()
    eps = np.random.default_rng(9).standard_normal((4, 3))
    if isinstance(model, sn.VAE):
        singles = [model.loss(x[i : i + 1], eps=eps[i : i + 1]) for i in range(4)]
        whole = model.loss(x, eps=eps)
    else:
        model.corrupt = None
        singles = [model.loss(x[i : i + 1]) for i in range(4)]
        whole = model.loss(x)
    assert whole.value == pytest.approx(np.mean([single.value for single in singles]), rel=1e-12)
    for name, term in whole.terms.items():
        assert term == pytest.approx(np.mean([single.terms[name] for single in singles]), rel=1e-12)


@models
def test_a_loss_leaves_x_alone(make, x):
    before = x.copy()
    make().loss(x, np.random.default_rng(9)).backward()
    assert np.array_equal(x, before)


@models
def test_a_way_back_adds_to_the_gradient(make, x):
    model = make()
    loss = model.loss(x, np.random.default_rng(9))
    loss.backward()
    once = model.parameters.dtheta.copy()
    loss.backward()
    assert np.allclose(model.parameters.dtheta, 2 * once, rtol=1e-12)


@models
def test_a_loss_alone_changes_nothing(make, x):
    model = make()
    before = model.parameters.theta.copy()
    model.loss(x, np.random.default_rng(9))
    assert np.array_equal(model.parameters.theta, before)
    assert not model.parameters.dtheta.any()


@models
def test_images_come_out_in_the_shape_of_x_and_in_0_to_1(make, x):
    model = make()
    for images in (model.reconstruct(x), model.decode(10 * np.ones((4, 3))), model.decode(-10 * np.ones((4, 3)))):
        assert images.shape == (4, 5)
        assert images.min() >= 0
        assert images.max() <= 1


@models
def test_a_reconstruction_is_the_same_each_time(make, x):
    model = make()
    assert np.array_equal(model.reconstruct(x), model.reconstruct(x))


@models
def test_an_interpolation_begins_and_ends_at_the_reconstructions(make, x):
    model = make()
    images = model.interpolate(x[0], x[1], 7)
    assert images.shape == (7, 5)
    assert np.allclose(images[0], model.reconstruct(x[:1]), rtol=1e-12)
    assert np.allclose(images[-1], model.reconstruct(x[1:2]), rtol=1e-12)


@models
def test_an_interpolation_is_a_straight_line_through_the_codes(make, x):
    model = make()
    a, b = model.codes(x[:1]), model.codes(x[1:2])
    middle = model.decode((a + b) / 2)
    assert np.allclose(model.interpolate(x[0], x[1], 3)[1], middle, rtol=1e-12)


@models
def test_an_interpolation_of_one_step_is_its_beginning(make, x):
    model = make()
    assert np.allclose(model.interpolate(x[0], x[1], 1), model.reconstruct(x[:1]), rtol=1e-12)


@models
def test_images_may_be_given_to_interpolate_as_rows(make, x):
    model = make()
    assert np.array_equal(model.interpolate(x[:1], x[1:2], 3), model.interpolate(x[0], x[1], 3))


@models
def test_a_model_names_its_parts_its_size_and_what_it_minimises(make):
    text = repr(make())
    assert "Dense(5, " in text
    assert f"{len(make().parameters)} numbers" in text
    assert "β 2.5" in text or "β 0.5" in text or " in nats/image" in text or "mse in squared" in text


def test_only_a_denoising_autoencoder_names_its_corruption():
    encoder, decoder = (sn.Dense(2, 2, rng=np.random.default_rng(0)) for _ in range(2))
    noise = sn.corruption.GaussianNoise(0.5)
    assert "corrupted" not in repr(sn.Autoencoder(encoder, decoder))
    encoder, decoder = (sn.Dense(2, 2, rng=np.random.default_rng(0)) for _ in range(2))
    assert repr(sn.Autoencoder(encoder, decoder, corrupt=noise)).endswith(f", corrupted by {noise!r})")


# ---- VAE


def test_the_loss_of_a_vae_is_its_reconstruction_plus_beta_times_its_kl(x):
    loss = make_vae(beta=2.5).loss(x, np.random.default_rng(9))
    assert loss.value == loss.terms["reconstruction"] + 2.5 * loss.terms["kl"]


def test_the_terms_are_not_weighted_by_beta(x):
    light, heavy = (make_vae(beta=beta).loss(x, np.random.default_rng(9)) for beta in (1.0, 4.0))
    assert heavy.terms == light.terms


def test_the_noise_from_rng_is_one_standard_normal_draw_for_each_code(x):
    vae = make_vae()
    eps = np.random.default_rng(9).standard_normal((4, 3))
    assert vae.loss(x, np.random.default_rng(9)).value == vae.loss(x, eps=eps).value


def test_a_loss_draws_its_noise_once(x):
    rng, other = np.random.default_rng(9), np.random.default_rng(9)
    make_vae().loss(x, rng).backward()
    other.standard_normal((4, 3))
    assert rng.random() == other.random()


def test_noise_that_is_given_leaves_rng_alone(x):
    rng = np.random.default_rng(9)
    make_vae().loss(x, rng, eps=np.zeros((4, 3)))
    assert rng.random() == np.random.default_rng(9).random()


def test_a_vae_reconstructs_from_mu(x):
    vae = make_vae()
    mu, _ = vae.encode(x)
    assert np.array_equal(vae.codes(x), mu)
    assert np.array_equal(vae.reconstruct(x), vae.decode(mu))


def test_a_sample_is_decoded_from_the_prior():
    vae = make_vae()
    z = np.random.default_rng(9).standard_normal((6, 3))
    images = vae.sample(6, np.random.default_rng(9))
    assert images.shape == (6, 5)
    assert np.array_equal(images, vae.decode(z))


def test_a_bernoulli_vae_shows_probabilities():
    y = np.array([[-2.0, 0.0, 3.0]])
    assert make_vae().images(y) == pytest.approx(1 / (1 + np.exp(-y)))


def test_a_gaussian_vae_shows_means_clipped_to_what_can_be_shown():
    y = np.array([[-2.0, 0.25, 3.0]])
    assert make_vae(likelihood="gaussian").images(y).tolist() == [[0.0, 0.25, 1.0]]


def test_the_latent_width_is_read_off_the_decoder():
    assert make_vae().latent == 3


def test_a_decoder_of_no_fixed_width_takes_half_of_what_the_encoder_returns(x):
    encoder = sn.Dense(5, 6, rng=np.random.default_rng(1), dtype=np.float64)
    vae = sn.VAE(encoder, sn.Sequential(Recorder(), sn.Dense(3, 5, rng=np.random.default_rng(2), dtype=np.float64)))
    assert vae.latent is None
    assert [part.shape for part in vae.encode(x)] == [(4, 3), (4, 3)]


def test_the_unit_of_a_vae_is_nats_per_image():
    assert make_vae().unit == "nats/image"


# ---- Autoencoder


def test_the_loss_of_an_autoencoder_by_hand():
    ae = sn.Autoencoder(dense([[2.0]], [1.0]), dense([[3.0]], [-1.0]))
    loss = ae.loss(np.array([[0.5]]))  # z = 2 · 0.5 + 1 = 2,  y = 3 · 2 − 1 = 5,  (5 − 0.5)² = 20.25
    assert loss.value == 20.25
    assert loss.terms == {"reconstruction": 20.25}
    loss.backward()  # dy = 2 · 4.5 = 9,  dz = 3 · 9 = 27;  x dz, dz, z dy, dy
    assert ae.parameters.dtheta.tolist() == [13.5, 27.0, 18.0, 9.0]


def test_a_denoiser_sees_the_noisy_image_and_is_asked_for_the_clean_one():
    asked: list[Array] = []

    def loss(y, target):
        asked.append(target.copy())
        return sn.mse(y, target)

    recorder = Recorder(2)
    encoder = sn.Sequential(recorder, dense([[1.0], [1.0]], [0.0]))
    ae = sn.Autoencoder(encoder, dense([[1.0, 1.0]], [0.0, 0.0]), loss, corrupt=lambda x, rng: x + 10)
    ae.loss(np.array([[1.0, 2.0]]), np.random.default_rng(0))
    assert recorder.seen[0].tolist() == [[11.0, 12.0]]
    assert asked[0].tolist() == [[1.0, 2.0]]


def test_corrupt_gets_the_generator_that_the_loss_was_given(x):
    rng, seen = np.random.default_rng(0), []
    make_autoencoder(corrupt=lambda x, rng: seen.append(rng) or x.copy()).loss(x, rng)
    assert seen[0] is rng


def test_encoding_and_reconstructing_corrupt_nothing(x):
    ae = make_autoencoder(corrupt=lambda x, rng: x * 0)
    clean = make_autoencoder()
    assert np.array_equal(ae.encode(x), clean.encode(x))
    assert np.array_equal(ae.reconstruct(x), clean.reconstruct(x))


def test_an_autoencoder_that_corrupts_nothing_needs_no_rng(x):
    assert math.isfinite(make_autoencoder().loss(x).value)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        pytest.param(sn.mse, [0.0, 0.25, 1.0], id="mse: clipped"),
        pytest.param(sn.bce, [0.0, 0.25, 1.0], id="bce: clipped"),
        pytest.param(sn.bce_with_logits, [0.2, 1 / (1 + math.exp(-0.25)), 0.75], id="bce_with_logits: sigmoid"),
        pytest.param(lambda y, target: sn.mse(y, target), [0.0, 0.25, 1.0], id="a loss of one's own: clipped"),
    ],
)
def test_what_an_autoencoder_shows_is_read_off_its_loss(loss, expected):
    y = np.array([[-math.log(4), 0.25, math.log(3)]])  # sigmoid(−log 4) = 1/5,  sigmoid(log 3) = 3/4
    assert make_autoencoder(loss).images(y)[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "unit"),
    [
        (sn.mse, "squared error/image"),
        (sn.bce, "nats/image"),
        (sn.bce_with_logits, "nats/image"),
        (lambda y, target: sn.mse(y, target), "loss/image"),
    ],
)
def test_the_unit_of_an_autoencoder_is_that_of_its_loss(loss, unit):
    assert make_autoencoder(loss).unit == unit


# ---- the gradient that nobody asks for


@pytest.mark.parametrize("make", [sn.VAE, sn.Autoencoder])
def test_the_gradient_of_the_data_is_not_computed(make, rng):
    first, second = DenseAskedForDx(5, 4, rng=rng), DenseAskedForDx(4, 6, rng=rng)
    decoder = DenseAskedForDx(3 if make is sn.VAE else 6, 5, rng=rng)
    make(sn.Sequential(first, sn.ReLU(), second), decoder).loss(np.ones((2, 5), np.float32), rng).backward()
    assert first.asked is False
    assert second.asked is True
    assert decoder.asked is True


@pytest.mark.parametrize("make", [sn.VAE, sn.Autoencoder])
def test_layers_without_parameters_before_the_first_dense_are_not_gone_back_through(make, rng):
    went_back = []

    class GoesBack(sn.Layer):
        def forward(self, x):
            return x.copy(), lambda dy: went_back.append(dy) or dy

    first = DenseAskedForDx(5, 6, rng=rng)
    decoder = sn.Dense(3 if make is sn.VAE else 6, 5, rng=rng)
    make(sn.Sequential(GoesBack(), first), decoder).loss(np.ones((2, 5), np.float32), rng).backward()
    assert first.asked is False
    assert went_back == []


# ---- layer by layer


@models
def test_a_trace_names_each_layer_and_its_output(make, x):
    model = make()
    steps = dict(model.trace(x, np.random.default_rng(9)))
    assert all(np.isfinite(y).all() for y in steps.values())
    assert list(steps)[-1].startswith("decoder")
    assert list(steps.values())[-1].shape == x.shape


@pytest.mark.parametrize(("likelihood", "has"), [("bernoulli", True), ("gaussian", False)])
def test_a_trace_says_that_a_decoders_output_is_logits(x, likelihood, has):
    names = [name for name, _ in make_vae(likelihood=likelihood).trace(x, np.random.default_rng(9))]
    assert names[-1].endswith(", the logits") is has


def test_a_trace_of_a_vae_passes_through_the_sample(x):
    vae = make_vae()
    steps = list(vae.trace(x, np.random.default_rng(9)))
    names = [name.split(",")[0] for name, _ in steps]
    assert names == [
        "encoder.0",
        "encoder.1",
        "encoder.2",
        "the log-variance",
        "the sample z = μ + σ ⊙ ε",
        "decoder.0",
        "decoder.1",
        "decoder.2",
    ]
    mu, logvar = vae.encode(x)
    z, _ = sn.sample_gaussian(mu, logvar, np.random.default_rng(9).standard_normal((4, 3)))
    assert np.array_equal(steps[3][1], logvar)
    assert np.array_equal(steps[4][1], z)
