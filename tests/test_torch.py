"""An independent judge: PyTorch, given the same weights, inputs and ε, finds the same values and every gradient.

The torch side uses torch's own layers, losses, distributions and optimizers, and autograd takes every derivative. So a
mistake that forward and backward share, which no difference quotient sees, has to be torch's mistake too to pass here.
Where torch is not installed these tests are skipped.
"""

from collections.abc import Callable
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import scratchnet as sn
from scratchnet.arrays import Array
from scratchnet.core.optim import Optimizer
from scratchnet.testing.strategies import LARGE
from tests.laws import LAYERS, LOSSES, MODELS, every
from tests.strategies import Case, cases, geometries

torch = pytest.importorskip("torch")
F, distributions, optim = torch.nn.functional, torch.distributions, torch.optim
Tensor = Any

judged = settings(max_examples=10)


def tensor(x: Array) -> Tensor:
    """The same numbers, to be differentiated by torch."""
    return torch.tensor(np.array(x, order="C"), requires_grad=True)


def assert_agree(ours: Array | float, theirs: Tensor, tolerance: float = 1e-10, name: str = "") -> None:
    """No two numbers differ by more than the tolerance times the largest number of the array.

    Where all numbers are tiny, 10⁻¹⁴ is allowed, as torch finds some of them by subtracting numbers near 1.
    """
    expected = theirs.detach().numpy()
    assert np.shape(ours) == expected.shape, name
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max() + 1e-14, err_msg=name)


# ---- the counterparts: a new layer, loss or model is a line


Twins = dict[tuple[sn.Layer, str], Tensor]


def twins_of(*layers: sn.Layer) -> Twins:
    """A tensor for each parameter, under its layer and name; a layer that stands in two places has one set."""
    parts = [part for layer in layers for _, part in layer.walk("")]
    return {(part, name): tensor(getattr(part, name)) for part in parts for name in part.parameter_names}


def assert_gradients_agree(twins: Twins) -> None:
    for (part, name), twin in twins.items():
        assert_agree(getattr(part, f"d{name}"), twin.grad, name=f"d{name} of {part!r}")


LAYERS_IN_TORCH: dict[type[sn.Layer], Callable[[Any, Tensor, Twins], Tensor]] = {
    sn.Dense: lambda layer, x, twins: F.linear(x, twins[layer, "W"].T, twins[layer, "b"]),
    sn.Conv2D: lambda layer, x, twins: F.conv2d(
        x, twins[layer, "W"], twins[layer, "b"], stride=layer.stride, padding=layer.padding
    ),
    sn.ConvTranspose2D: lambda layer, x, twins: F.conv_transpose2d(
        x, twins[layer, "W"], twins[layer, "b"], stride=layer.stride, padding=layer.padding
    ),
    sn.MaxPool2D: lambda layer, x, twins: F.max_pool2d(x, layer.kernel_size, layer.stride),
    sn.ReLU: lambda layer, x, twins: F.relu(x),
    sn.Sigmoid: lambda layer, x, twins: F.sigmoid(x),
    sn.Tanh: lambda layer, x, twins: F.tanh(x),
    sn.Flatten: lambda layer, x, twins: torch.flatten(x, 1),
    sn.Reshape: lambda layer, x, twins: torch.unflatten(torch.flatten(x, 1), 1, layer.shape),
    sn.Sequential: lambda layer, x, twins: reduce(lambda x, part: run(part, x, twins), layer.layers, x),
}


def run(layer: sn.Layer, x: Tensor, twins: Twins) -> Tensor:
    return LAYERS_IN_TORCH[type(layer)](layer, x, twins)


def per_example(cost: Tensor) -> Tensor:
    """Summed over the features, averaged over the batch."""
    return cost.flatten(1).sum(1).mean()


LOSSES_IN_TORCH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda y, target: per_example(F.mse_loss(y, target, reduction="none")),
    "bce": lambda p, target: per_example(F.binary_cross_entropy(p, target, reduction="none")),
    "bce_with_logits": lambda y, target: per_example(F.binary_cross_entropy_with_logits(y, target, reduction="none")),
}


def normal(mu: Tensor, logvar: Tensor) -> Any:
    """N(μ, σ²): the variance is e^logvar, the deviation its root."""
    return distributions.Normal(mu, logvar.exp().sqrt())


def divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each number."""
    return distributions.kl_divergence(normal(mu, logvar), distributions.Normal(0.0, 1.0))


def sample(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """A draw from N(μ, σ²), given one from N(0, 1)."""
    q = normal(mu, logvar)
    return distributions.AffineTransform(q.mean, q.stddev)(eps)


def pixels(y: Tensor, likelihood: str = "bernoulli", sigma: float = 1.0) -> Any:
    """p(x|z), where the decoder says y. Grey pixels are no outcomes of a coin toss, so x goes unchecked."""
    if likelihood == "gaussian":
        return distributions.Normal(y, sigma)
    return distributions.Bernoulli(logits=y, validate_args=False)


def autoencoder_terms(
    model: Any, twins: Twins, seen: Tensor, x: Tensor, eps: Tensor, loss: str = "mse"
) -> dict[str, Tensor]:
    y = run(model.decoder, run(model.encoder, seen, twins), twins)
    reconstruction = LOSSES_IN_TORCH[loss](y, x)
    return {"value": reconstruction, "reconstruction": reconstruction}


def vae_terms(
    model: Any, twins: Twins, seen: Tensor, x: Tensor, eps: Tensor, beta: float = 1.0, **likelihood
) -> dict[str, Tensor]:
    mu, logvar = run(model.encoder, seen, twins).chunk(2, dim=1)
    y = run(model.decoder, sample(mu, logvar, eps), twins)
    reconstruction = per_example(-pixels(y, **likelihood).log_prob(x))
    kl = per_example(divergence(mu, logvar))
    return {"value": reconstruction + beta * kl, "reconstruction": reconstruction, "kl": kl}


MODELS_IN_TORCH: dict[str, Callable[..., dict[str, Tensor]]] = {
    "Autoencoder": autoencoder_terms,
    "Autoencoder-in-nats": partial(autoencoder_terms, loss="bce_with_logits"),
    "VAE-bernoulli": partial(vae_terms, beta=4.0),
    "VAE-gaussian": partial(vae_terms, likelihood="gaussian", sigma=0.5, beta=0.25),
}


def test_every_layer_has_a_counterpart():
    exported = {kind for kind in vars(sn).values() if isinstance(kind, type) and issubclass(kind, sn.Layer)}
    lawful = {
        type(part) for make in LAYERS.values() for _, part in make(2, 2, rng=np.random.default_rng(0))[0].walk("")
    }
    assert (exported | lawful) - {sn.Layer} == set(LAYERS_IN_TORCH)


def test_every_loss_has_a_counterpart():
    assert set(LOSSES) == set(LOSSES_IN_TORCH)


def test_every_model_has_a_counterpart():
    assert set(MODELS) == set(MODELS_IN_TORCH)


# ---- layers


@every(LAYERS)
@judged
@given(case=cases)
def test_a_layer_and_all_its_gradients(name, case):
    layer, shape = LAYERS[name](case.D, case.M, rng=case.rng, dtype=np.float64)
    for part, attribute in twins_of(layer):
        getattr(part, attribute)[...] = case.array(getattr(part, attribute).shape, -1, 1)
    twins = twins_of(layer)
    x = case.array((case.N, *shape), large=not layer.children())  # a large x times a vanishing slope is rounding noise
    y, backward = layer.forward(x)
    dy = case.array(y.shape)
    dx = backward(dy)

    x_twin = tensor(x)
    y_twin = run(layer, x_twin, twins)
    assert_agree(y, y_twin)
    y_twin.backward(tensor(dy))
    assert_agree(dx, x_twin.grad)
    assert_gradients_agree(twins)


ANY_GEOMETRY = {
    "Conv2D": lambda g, **how: (sn.Conv2D(3, 5, g.kernel, stride=g.stride, padding=g.padding, **how), (3, *g.size)),
    "ConvTranspose2D": lambda g, **how: (
        sn.ConvTranspose2D(5, 3, g.kernel, stride=g.stride, padding=g.padding, **how),
        (5, *(length + 2 * p for length, p in zip(g.output, g.padding, strict=True))),
    ),
    "MaxPool2D": lambda g, **how: (
        sn.MaxPool2D(g.kernel, stride=g.stride),
        (2, *(length + 2 * p for length, p in zip(g.size, g.padding, strict=True))),
    ),
}


@every(ANY_GEOMETRY)
@settings(max_examples=50)
@given(geometry=geometries, case=cases)
def test_a_layer_of_images_of_any_size_kernel_stride_and_padding(name, geometry, case):
    layer, shape = ANY_GEOMETRY[name](geometry, rng=case.rng, dtype=np.float64)
    twins = twins_of(layer)
    x = case.array((case.N, *shape))
    y, backward = layer.forward(x)
    dy = case.array(y.shape)
    dx = backward(dy)

    x_twin = tensor(x)
    y_twin = run(layer, x_twin, twins)
    assert_agree(y, y_twin)
    y_twin.backward(tensor(dy))
    assert_agree(dx, x_twin.grad)
    assert_gradients_agree(twins)


# ---- losses and Gaussians


@every(LOSSES)
@judged
@given(case=cases)
def test_a_loss_and_its_derivative(name, case):
    loss, y_range, target_range = LOSSES[name]
    y, target = case.array((case.N, case.D, case.M), *y_range), case.array((case.N, case.D, case.M), *target_range)
    value, dy = loss(y, target)
    y_twin = tensor(y)
    value_twin = LOSSES_IN_TORCH[name](y_twin, torch.tensor(target.copy()))
    value_twin.backward()
    assert_agree(value, value_twin)
    assert_agree(dy, y_twin.grad)


def test_bce_with_logits_where_e_to_the_logit_overflows():
    logits, target = np.repeat([LARGE], 3, axis=0), np.array([[0.0, 0.0], [1.0, 1.0], [0.25, 0.25]])
    value, dlogits = sn.bce_with_logits(logits, target)
    twin = tensor(logits)
    value_twin = LOSSES_IN_TORCH["bce_with_logits"](twin, torch.tensor(target))
    value_twin.backward()
    assert_agree(value, value_twin)
    assert_agree(dlogits, twin.grad)


@judged
@given(case=cases)
def test_the_kl_and_its_derivatives(case):
    mu, logvar = case.rows(), case.rows(-8, 8)
    value, dmu, dlogvar = sn.kl_standard_normal(mu, logvar)
    mu_twin, logvar_twin = tensor(mu), tensor(logvar)
    value_twin = per_example(divergence(mu_twin, logvar_twin))
    value_twin.backward()
    assert_agree(value, value_twin)
    assert_agree(dmu, mu_twin.grad)
    assert_agree(dlogvar, logvar_twin.grad)


@judged
@given(case=cases)
def test_a_sample_and_its_way_back(case):
    mu, logvar, eps, dz = (case.rows() for _ in range(4))
    z, backward = sn.sample_gaussian(mu, logvar, eps)
    dmu, dlogvar = backward(dz)
    mu_twin, logvar_twin = tensor(mu), tensor(logvar)
    z_twin = sample(mu_twin, logvar_twin, tensor(eps))
    z_twin.backward(tensor(dz))
    assert_agree(z, z_twin)
    assert_agree(dmu, mu_twin.grad)
    assert_agree(dlogvar, logvar_twin.grad)


# ---- models


def net(case: Case, *widths: int, bend: Callable[[], sn.Layer]) -> sn.Sequential:
    """Dense layers of these widths, with a bend between any two."""
    dense = [sn.Dense(D, M, rng=case.rng, dtype=np.float64) for D, M in pairwise(widths)]
    return sn.Sequential(*[part for layer in dense for part in (layer, bend())][:-1])


def deep(case: Case, bend: Callable[[], sn.Layer], codes: int = 1) -> tuple[sn.Sequential, sn.Sequential]:
    """An encoder of three layers to `codes` times M numbers, and a decoder of three from M."""
    return net(case, case.D, 6, 5, codes * case.M, bend=bend), net(case, case.M, 5, 6, case.D, bend=bend)


def half_of(x: Array, rng: np.random.Generator) -> Array:
    """What a denoiser sees: about half of the pixels."""
    return x * (rng.random(x.shape) < 0.5)


def assert_model_agrees(case: Case, model: Any, terms_in_torch: Callable[..., dict[str, Tensor]]) -> None:
    """The loss, each of its terms, and the gradient of every parameter, at random weights."""
    model.parameters.theta[...] = case.array(model.parameters.theta.shape, -1, 1)
    x, eps = case.rows(0, 1), case.array((case.N, case.M))
    noise = np.random.default_rng(case.seed)
    loss = model.loss(x, eps=eps) if isinstance(model, sn.VAE) else model.loss(x, noise)
    loss.backward()

    corrupt = getattr(model, "corrupt", None)
    seen = corrupt(x, np.random.default_rng(case.seed)) if corrupt else x
    twins = twins_of(model.encoder, model.decoder)
    assert sum(twin.numel() for twin in twins.values()) == len(model.parameters)
    terms = terms_in_torch(model, twins, *map(tensor, (seen, x, eps)))
    terms["value"].backward()
    assert_agree(loss.value, terms.pop("value"))
    assert loss.terms.keys() == terms.keys()
    for name, term in terms.items():
        assert_agree(loss.terms[name], term, name=name)
    assert_gradients_agree(twins)


@every(MODELS)
@judged
@given(case=cases)
def test_a_model_and_all_its_gradients(name, case):
    model = MODELS[name](case.D, case.M, rng=case.rng, dtype=np.float64)
    assert_model_agrees(case, model, MODELS_IN_TORCH[name])


bends = pytest.mark.parametrize("bend", [sn.ReLU, sn.Tanh, sn.Sigmoid])


@bends
@pytest.mark.parametrize("options", [{"beta": 0.0}, {}, {"likelihood": "gaussian", "sigma": 0.3, "beta": 2.5}], ids=str)
@judged
@given(case=cases)
def test_a_deep_vae(bend, options, case):
    model = sn.VAE(*deep(case, bend, codes=2), **options)
    assert_model_agrees(case, model, partial(vae_terms, **options))


@bends
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("corrupt", [None, half_of])
@judged
@given(case=cases)
def test_a_deep_autoencoder(bend, loss, corrupt, case):
    encoder, decoder = deep(case, bend)
    if loss == "bce":
        decoder = sn.Sequential(decoder, sn.Tanh(), sn.Sigmoid())  # p in (0.26, 0.74), as torch cuts log p off at −100
    model = sn.Autoencoder(encoder, decoder, LOSSES[loss][0], corrupt)
    assert_model_agrees(case, model, partial(autoencoder_terms, loss=loss))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@judged
@given(case=cases)
def test_the_images_that_a_vae_draws_from_its_prior(likelihood, case):
    vae = sn.VAE(*deep(case, sn.Tanh, codes=2), likelihood=likelihood)
    z = np.random.default_rng(case.seed).standard_normal((case.N, case.M))
    y = run(vae.decoder, tensor(z), twins_of(vae.decoder))
    expected = pixels(y, likelihood).mean.clamp(0, 1)
    assert_agree(vae.sample(case.N, np.random.default_rng(case.seed)), expected)


@judged
@given(case=cases)
def test_the_reconstruction_of_an_autoencoder_in_nats(case):
    ae = sn.Autoencoder(*deep(case, sn.ReLU), loss=sn.bce_with_logits)
    x = case.rows(0, 1)
    twins = twins_of(ae.encoder, ae.decoder)
    assert_agree(ae.reconstruct(x), pixels(run(ae.decoder, run(ae.encoder, tensor(x), twins), twins)).mean)


# ---- evaluation


def vae_and_images(likelihood: dict[str, Any]) -> tuple[sn.VAE, Array, Any, Tensor, Tensor]:
    """A VAE whose q is not the prior, forty images, and in torch: its encoder's μ and log σ², and its decoder."""
    case = Case(N=40, D=6, M=3, seed=0)
    vae = sn.VAE(*deep(case, sn.Tanh, codes=2), **likelihood, beta=7.0)
    vae.parameters.theta[...] = case.array(vae.parameters.theta.shape, -1, 1)
    x = case.rows(0, 1)
    twins = twins_of(vae.encoder, vae.decoder)
    mu, logvar = run(vae.encoder, tensor(x), twins).chunk(2, dim=1)
    return vae, x, lambda z: run(vae.decoder, z, twins), mu, logvar


LIKELIHOODS = pytest.mark.parametrize(
    "likelihood", [{"likelihood": "bernoulli"}, {"likelihood": "gaussian", "sigma": 0.3}], ids=str
)


@LIKELIHOODS
def test_the_elbo_and_its_standard_error(likelihood):
    vae, x, decode, mu, logvar = vae_and_images(likelihood)
    eps = np.random.default_rng(9).standard_normal(mu.shape)
    z = sample(mu, logvar, tensor(eps))
    log_p = pixels(decode(z), **likelihood).log_prob(tensor(x)).sum(1)
    kl = divergence(mu, logvar).sum(1)
    found = sn.elbo(vae, x, np.random.default_rng(9))
    assert_agree(found["reconstruction"], -log_p.mean())
    assert_agree(found["kl"], kl.mean())
    assert_agree(found["elbo"], (log_p - kl).mean())
    assert_agree(found["stderr"], (log_p - kl).std() / 40**0.5)


@LIKELIHOODS
def test_the_importance_weighted_bound(likelihood):
    vae, x, decode, mu, logvar = vae_and_images(likelihood)
    k = 60  # samples of each image: 2400 in all
    eps = np.random.default_rng(9).standard_normal((40, k, 3))
    mu, logvar = mu[:, None, :], logvar[:, None, :]  # (N, 1, L)
    z = sample(mu, logvar, tensor(eps))  # (N, k, L)
    log_p_x = pixels(decode(z), **likelihood).log_prob(tensor(x)[:, None, :]).sum(2)
    log_p_z = distributions.Normal(0.0, 1.0).log_prob(z).sum(2)
    log_q_z = normal(mu, logvar).log_prob(z).sum(2)
    bound = (torch.logsumexp(log_p_x + log_p_z - log_q_z, dim=1) - np.log(k)).mean()
    assert_agree(sn.log_likelihood(vae, x, k, np.random.default_rng(9))["log_likelihood"], bound)


# ---- optimizers, and a whole training

ADAM = {"beta1": 0.7, "beta2": 0.95, "epsilon": 0.01}
BETAS = {"betas": (0.7, 0.95), "eps": 0.01}

OPTIMIZERS: dict[str, tuple[Callable[..., sn.SGD | sn.Adam], Callable[..., Any]]] = {
    "SGD": (sn.SGD, optim.SGD),
    "SGD with momentum": (partial(sn.SGD, momentum=0.9), partial(optim.SGD, momentum=0.9)),
    "Adam": (sn.Adam, optim.Adam),
    "Adam with weight decay": (partial(sn.Adam, weight_decay=0.1), partial(optim.Adam, weight_decay=0.1)),
    "Adam with other constants": (partial(sn.Adam, **ADAM), partial(optim.Adam, **BETAS)),
}
RATE = 0.05


def optimizer_pair(name: str, weights: list[Tensor], falling: bool) -> tuple[sn.SGD | sn.Adam, Callable[[], None]]:
    """Our optimizer and torch's step on its weights, at one learning rate or one that falls by a tenth each step."""
    ours, theirs = OPTIMIZERS[name]
    optimizer = theirs(weights, lr=RATE)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step if falling else 1.0)

    def step() -> None:
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()

    return ours((lambda step: RATE * 0.9**step) if falling else RATE), step


@every(OPTIMIZERS)
@pytest.mark.parametrize("falling", [False, True], ids=["one rate", "a falling rate"])
@judged
@given(case=cases)
def test_twenty_steps_of_an_optimizer(name, falling, case):
    theta = np.array(case.array((case.D,)))
    twin = tensor(theta)
    optimizer, step_in_torch = optimizer_pair(name, [twin], falling)
    for _ in range(20):
        dtheta = case.array((case.D,)) * case.rng.choice([1e-3, 1.0, 1e3])
        optimizer.step(theta, dtheta)
        twin.grad = torch.tensor(dtheta.copy())
        step_in_torch()
        assert_agree(theta, twin)


def test_every_optimizer_has_a_counterpart():
    exported = {kind for kind in vars(sn).values() if isinstance(kind, type) and issubclass(kind, Optimizer)}
    exported.remove(Optimizer)  # their base
    assert {type(ours(0.1)) for ours, _ in OPTIMIZERS.values()} == exported


@every(["SGD with momentum", "Adam with weight decay"])
@pytest.mark.parametrize("kind", ["VAE-bernoulli", "VAE-gaussian", "denoiser"])
def test_a_whole_training_ends_at_the_same_weights(kind, name):
    """Every step of four epochs: the same order of images, the last short batch, the same noise, a falling rate."""
    case = Case(N=70, D=6, M=2, seed=0)
    x = case.rows(0, 1)
    if kind == "denoiser":
        model, terms_in_torch = sn.Autoencoder(*deep(case, sn.Tanh), corrupt=half_of), autoencoder_terms
    else:
        options = {"likelihood": kind.removeprefix("VAE-"), "beta": 0.5}
        model, terms_in_torch = sn.VAE(*deep(case, sn.ReLU, codes=2), **options), partial(vae_terms, **options)
    twins = twins_of(model.encoder, model.decoder)
    optimizer, step_in_torch = optimizer_pair(name, list(twins.values()), falling=True)
    history = sn.fit(
        model, x, optimizer=optimizer, epochs=4, batch_size=16, rng=np.random.default_rng(9), progress=False
    )

    rng = np.random.default_rng(9)
    for record in history.epochs:
        order, total = rng.permutation(len(x)), 0.0
        for start in range(0, len(x), 16):
            batch = x[order[start : start + 16]]
            seen = half_of(batch, rng) if kind == "denoiser" else batch
            eps = np.zeros(0) if kind == "denoiser" else rng.standard_normal((len(batch), case.M))
            value = terms_in_torch(model, twins, *map(tensor, (seen, batch, eps)))["value"]
            value.backward()
            step_in_torch()
            total = total + len(batch) * value
        assert_agree(record["loss"], total / len(x), 1e-9)
    for (part, attribute), twin in twins.items():
        assert_agree(getattr(part, attribute), twin, 1e-9, f"{attribute} of {part!r}")
