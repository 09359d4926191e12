"""All parameters in one vector: who owns the numbers, who sees them, and under which names."""

import copy
import pickle

import numpy as np
import pytest

import scratchnet as sn


def dense(n_in: int, n_out: int, seed: int = 0, dtype: type = np.float64) -> sn.Dense:
    return sn.Dense(n_in, n_out, rng=np.random.default_rng(seed), dtype=dtype)


def make_vae() -> sn.VAE:
    encoder = sn.Sequential(dense(4, 3, 1), sn.Tanh(), dense(3, 4, 2))
    return sn.VAE(encoder, dense(2, 4, 3))


def loss_and_gradient(model: sn.VAE) -> tuple[float, np.ndarray]:
    x, eps = np.random.default_rng(5).random((3, 4)), np.ones((3, 2))
    loss = model.loss(x, eps=eps)
    model.parameters.zero_grad()
    loss.backward()
    return loss.value, model.parameters.dtheta.copy()


def test_theta_holds_each_layers_values_in_the_order_of_forward():
    first, second = dense(3, 2, 1), dense(2, 1, 2)
    expected = np.concatenate([first.W.ravel(), first.b, second.W.ravel(), second.b])
    parameters = sn.Parameters(net=sn.Sequential(first, sn.ReLU(), second))
    assert np.array_equal(parameters.theta, expected)


def test_a_model_may_have_one_parameter_alone():
    class Gain(sn.Layer):
        parameter_names = ("g",)

        def __init__(self):
            self.g, self.dg = np.full(3, 2.0), np.zeros(3)

        def forward(self, x):
            return self.g * x, lambda dy: self.g * dy

    assert sn.Parameters(gain=Gain()).theta.tolist() == [2.0, 2.0, 2.0]


def test_the_gradients_that_were_there_are_kept():
    layer = dense(2, 1)
    layer.dW[...] = [[3.0], [4.0]]
    assert sn.Parameters(net=layer).dtheta.tolist() == [3.0, 4.0, 0.0]


def test_a_change_of_theta_is_seen_by_the_layers():
    layer = dense(2, 1)
    parameters = sn.Parameters(net=layer)
    parameters.theta[...] = [1.0, 2.0, 3.0]
    assert layer.W.tolist() == [[1.0], [2.0]]
    assert layer.b.tolist() == [3.0]


def test_a_change_of_a_layer_is_seen_in_theta():
    layer = dense(2, 1)
    parameters = sn.Parameters(net=layer)
    layer.W[...] = [[1.0], [2.0]]
    layer.b[...] = 3.0
    assert parameters.theta.tolist() == [1.0, 2.0, 3.0]


def test_a_layers_gradient_is_part_of_dtheta():
    layer = dense(2, 1)
    parameters = sn.Parameters(net=layer)
    _, backward = layer.forward(np.array([[10.0, 20.0]]))
    backward(np.array([[1.0]]))
    assert parameters.dtheta.tolist() == [10.0, 20.0, 1.0]


def test_no_two_parameters_share_memory():
    views = list(make_vae().parameters.named().values())
    for i, W in enumerate(views):
        assert not any(np.shares_memory(W, other) for other in views[i + 1 :])


def test_zero_grad_starts_over():
    model = make_vae()
    _, first = loss_and_gradient(model)
    model.parameters.zero_grad()
    assert not model.parameters.dtheta.any()
    assert first.any()


def test_names_are_dotted_and_in_the_order_of_forward():
    assert list(make_vae().parameters.named()) == [
        "encoder.0.W",
        "encoder.0.b",
        "encoder.2.W",
        "encoder.2.b",
        "decoder.W",
        "decoder.b",
    ]


def test_a_sequential_inside_a_sequential_adds_a_dot():
    net = sn.Sequential(sn.Sequential(sn.ReLU(), dense(2, 1)))
    assert list(sn.Parameters(net=net).named()) == ["net.0.1.W", "net.0.1.b"]


def test_named_gives_views_into_theta():
    parameters = make_vae().parameters
    parameters.named()["decoder.b"][...] = 7.0
    assert parameters.theta[-4:].tolist() == [7.0, 7.0, 7.0, 7.0]


def test_the_length_is_the_number_of_parameters():
    assert len(make_vae().parameters) == (4 * 3 + 3) + (3 * 4 + 4) + (2 * 4 + 4)


def test_the_dtype_is_that_of_the_layers():
    parameters = sn.Parameters(net=dense(2, 1, dtype=np.float32))
    assert parameters.theta.dtype == np.float32
    assert parameters.dtheta.dtype == np.float32


# ---- one layer in two places


def test_a_layer_in_two_places_counts_once_under_its_first_name():
    shared = dense(3, 3)
    parameters = sn.Parameters(encoder=sn.Sequential(shared, sn.Tanh(), shared), decoder=shared)
    assert list(parameters.named()) == ["encoder.0.W", "encoder.0.b"]
    assert len(parameters) == 12


def test_the_gradients_of_a_layer_in_two_places_add_up():
    shared = dense(1, 1)
    shared.W[...] = 3.0
    parameters = sn.Parameters(net=sn.Sequential(shared, shared))
    _, backward = sn.Sequential(shared, shared).forward(np.array([[5.0]]))
    backward(np.array([[1.0]]))
    # y = w (w x + b) + b at w = 3, x = 5, b = 0:  ∂y/∂w = 2 w x = 30,  ∂y/∂b = w + 1 = 4
    assert parameters.dtheta.tolist() == [30.0, 4.0]


def test_a_layer_in_two_places_is_one_after_a_copy_too():
    shared = dense(3, 3)
    model = copy.deepcopy(sn.Autoencoder(shared, shared))
    assert model.encoder is model.decoder
    assert len(model.parameters) == 12


# ---- arrays that left θ


@pytest.mark.parametrize("attribute", ["W", "b", "dW", "db"])
@pytest.mark.parametrize("ask", ["zero_grad", "named"])
def test_an_array_that_was_replaced_is_named(attribute, ask):
    model = make_vae()
    setattr(model.decoder, attribute, getattr(model.decoder, attribute).copy())
    with pytest.raises(ValueError, match=rf"^decoder\.{attribute} is no longer part of this model's θ"):
        getattr(model.parameters, ask)()


@pytest.mark.parametrize("ask", ["zero_grad", "named"])
def test_a_layer_that_was_given_to_a_second_model_is_refused_by_the_first(ask):
    first = make_vae()
    sn.Autoencoder(dense(4, 2), first.decoder)
    with pytest.raises(ValueError, match=r"^decoder\.W is no longer part of this model's θ"):
        getattr(first.parameters, ask)()


def test_the_second_model_has_the_layer():
    first = make_vae()
    second = sn.Autoencoder(dense(4, 2), first.decoder)
    second.parameters.theta[...] = 0
    assert not second.parameters.named()["decoder.W"].any()
    assert not first.decoder.W.any()  # type: ignore[attr-defined]


def test_weights_that_are_tied_by_assignment_are_refused():
    model = sn.Autoencoder(dense(4, 2), dense(2, 4))
    model.decoder.W = model.encoder.W.T  # type: ignore[attr-defined]  (a view into θ, but of another slot)
    with pytest.raises(ValueError, match=r"^decoder\.W is no longer part of this model's θ"):
        model.parameters.zero_grad()


# ---- copies


@pytest.fixture(params=["deepcopy", "pickle"])
def copied(request) -> tuple[sn.VAE, sn.VAE]:
    model = make_vae()
    other = copy.deepcopy(model) if request.param == "deepcopy" else pickle.loads(pickle.dumps(model))
    return model, other


def test_a_copy_has_the_same_values_under_the_same_names(copied):
    model, other = copied
    assert list(other.parameters.named()) == list(model.parameters.named())
    assert other.parameters.theta.tobytes() == model.parameters.theta.tobytes()


def test_a_copy_computes_the_same(copied):
    model, other = copied
    value, gradient = loss_and_gradient(model)
    other_value, other_gradient = loss_and_gradient(other)
    assert other_value == value
    assert np.array_equal(other_gradient, gradient)


def test_a_copys_layers_see_its_own_theta(copied):
    _, other = copied
    other.parameters.theta[...] = 7.0
    assert np.all(other.decoder.W == 7.0)
    assert np.all(other.encoder.layers[0].b == 7.0)


def test_a_change_of_the_copy_leaves_the_model_alone(copied):
    model, other = copied
    before = model.parameters.theta.copy()
    other.parameters.theta[...] = 7.0
    loss_and_gradient(other)
    assert np.array_equal(model.parameters.theta, before)
    assert not model.parameters.dtheta.any()
    assert not np.shares_memory(model.parameters.theta, other.parameters.theta)


def test_a_model_still_works_after_it_was_copied(copied):
    model, _ = copied
    loss_and_gradient(model)
    assert model.parameters.named()["decoder.W"] is model.decoder.W


def test_a_copy_learns(copied):
    _, other = copied
    value, gradient = loss_and_gradient(other)
    sn.SGD(0.1).step(other.parameters.theta, gradient)
    assert loss_and_gradient(other)[0] < value
