"""Labels: the softmax's cross-entropy, and the classifier that is trained on it."""

import math
from fractions import Fraction

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import kernels
from tests.numerics import complex_step_derivative

INTEGERS = [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64]


def x_and_labels(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Points of the plane, and in which of three sectors each lies."""
    x = np.random.default_rng(3).standard_normal((n, 2))
    return x, (np.arctan2(x[:, 1], x[:, 0]) // (2 * math.pi / 3) + 2).astype(int) % 3


def classifier(dtype: type = np.float64) -> sn.Classifier:
    rng = np.random.default_rng(0)
    dense = [sn.Dense(a, b, rng=rng, dtype=dtype) for a, b in ((2, 8), (8, 3))]
    return sn.Classifier(sn.Sequential(dense[0], sn.Tanh(), dense[1]))


def fit(model: sn.Classifier, data: tuple, **changes) -> sn.History:
    how = {"optimizer": sn.Adam(0.05), "epochs": 5, "batch_size": 7, "rng": np.random.default_rng(1), "progress": False}
    return sn.fit(model, data, **(how | changes))


# ---- the loss


def test_a_row_by_hand():
    value, dlogits = sn.softmax_cross_entropy(np.log([[1.0, 2.0, 5.0]]), np.array([1]))
    assert value == pytest.approx(math.log(4))  # p = ⅛, ¼, ⅝
    assert np.allclose(dlogits, [[1 / 8, 1 / 4 - 1, 5 / 8]])


def test_it_is_a_mean_over_the_batch():
    logits, labels = np.random.default_rng(0).standard_normal((4, 3)), np.array([0, 2, 1, 2])
    value, dlogits = sn.softmax_cross_entropy(logits, labels)
    each = [sn.softmax_cross_entropy(logits[n : n + 1], labels[n : n + 1]) for n in range(4)]
    assert value == pytest.approx(np.mean([one for one, _ in each]))
    assert np.allclose(dlogits, np.concatenate([d for _, d in each]) / 4)


def test_its_derivative_is_that_of_its_value(rng):
    logits, labels = rng.standard_normal((4, 5)), np.array([0, 4, 2, 2])
    sn.check_gradients(lambda logits: sn.softmax_cross_entropy(logits, labels), logits, rng=rng)


def test_the_formula_takes_complex_numbers(rng):
    logits, labels = rng.standard_normal((3, 4)), np.array([1, 0, 3])

    def total(logits):
        return kernels.formulas.softmax_cross_entropy(logits, labels)[0].sum()

    slope = complex_step_derivative(total, logits, np.ones_like(logits))
    assert slope == pytest.approx(0, abs=1e-12)  # softmax does not heed a shift of all logits
    step = np.zeros_like(logits)
    step[1, 0] = 1
    assert complex_step_derivative(total, logits, step) == pytest.approx(
        kernels.formulas.softmax_cross_entropy(logits, labels)[1][1, 0], rel=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_ten_thousand_are_exact(dtype):
    logits = np.array([[1e4, -1e4], [1e4, -1e4], [1e4, 1e4]], dtype)
    value, dlogits = sn.softmax_cross_entropy(logits, np.array([0, 1, 0]))
    assert value == pytest.approx((0 + 2e4 + math.log(2)) / 3, rel=1e-15)
    assert np.array_equal(3 * dlogits, np.array([[0, 0], [1, -1], [-0.5, 0.5]], dtype))


def test_what_is_nearly_certain_keeps_its_digits():
    value, dlogits = sn.softmax_cross_entropy(np.array([[0.0, -50.0]]), np.array([0]))
    assert value == pytest.approx(math.exp(-50), rel=1e-12)  # log(1 + e⁻⁵⁰)
    assert dlogits[0] == pytest.approx([-math.exp(-50), math.exp(-50)], rel=1e-12)


def test_a_logit_of_minus_infinity_has_probability_and_derivative_zero():
    with_it, without = np.array([[1.0, -np.inf, 2.0]]), np.array([[1.0, 2.0]])
    value, dlogits = sn.softmax_cross_entropy(with_it, np.array([2]))
    expected, of_others = sn.softmax_cross_entropy(without, np.array([1]))
    assert value == pytest.approx(expected)
    assert dlogits[0, 1] == 0
    assert np.allclose(dlogits[:, [0, 2]], of_others)


def test_one_class_costs_nothing():
    value, dlogits = sn.softmax_cross_entropy(np.array([[3.0]]), np.array([0]))
    assert (value, dlogits.tolist()) == (0.0, [[0.0]])


@pytest.mark.parametrize("integer", INTEGERS)
def test_labels_may_have_any_type_of_integer(integer):
    logits = np.random.default_rng(0).standard_normal((3, 200))
    labels = np.array([0, 100, 127])
    assert sn.softmax_cross_entropy(logits, labels.astype(integer))[0] == sn.softmax_cross_entropy(logits, labels)[0]


@pytest.mark.parametrize("labels", [[-1, 0], [0, 3], [1, 3]])
def test_a_label_that_is_no_class_is_refused(labels):
    with pytest.raises(sn.DataError, match=r"expects labels from 0 to 2, got numbers from "):
        sn.softmax_cross_entropy(np.zeros((2, 3)), np.array(labels))


# ---- the model


def test_it_learns_and_its_accuracy_is_recorded():
    x, labels = x_and_labels()
    model = classifier()
    history = fit(model, (x, labels), epochs=40, validation=(x[:20], labels[:20]))
    names = ["loss", "cross_entropy", "accuracy", "val_loss", "val_cross_entropy", "val_accuracy"]
    assert list(history.epochs[0]) == ["epoch", "seconds", *names]
    assert history["accuracy"][-1] > 0.95
    assert history["val_accuracy"][-1] == pytest.approx(model.accuracy((x[:20], labels[:20])))
    assert history.unit == "nats/example"


def test_an_epochs_accuracy_is_the_mean_over_its_examples():
    x, labels = x_and_labels(10)
    model = classifier()
    history = fit(model, (x, labels), optimizer=sn.SGD(0.0), epochs=1)  # batches of 7 and 3
    assert history["accuracy"] == pytest.approx([model.accuracy((x, labels))])


def test_predictions_are_the_likeliest_classes():
    x, _ = x_and_labels(5)
    model = classifier()
    p = model.probabilities(x)
    assert p.shape == (5, 3)
    assert np.allclose(p.sum(axis=1), 1)
    assert model.predict(x).dtype == np.intp
    assert np.array_equal(model.predict(x), p.argmax(axis=1))


def test_more_examples_than_fit_at_once_are_the_same():
    x, labels = x_and_labels(2345)
    model = classifier()
    assert np.array_equal(model.predict(x), np.concatenate([model.predict(x[:7]), model.predict(x[7:])]))
    assert model.accuracy((x, labels)) == np.mean(model.predict(x) == labels)


def test_certain_logits_have_certain_probabilities():
    model = classifier()
    model.parameters.theta[...] = 0
    model.network.layers[2].b[...] = [1e4, -1e4, 0]  # type: ignore[attr-defined]
    assert model.probabilities(np.zeros((1, 2))).tolist() == [[1, 0, 0]]


def test_its_loss_has_the_right_gradient(rng):
    model = classifier()
    batch = rng.standard_normal((4, 2)), np.array([0, 2, 1, 1])
    loss = model.loss(batch)
    loss.backward()
    h = 1e-6
    for i in range(len(model.parameters)):
        theta = model.parameters.theta
        theta[i] += h
        above = model.loss(batch).value
        theta[i] -= 2 * h
        below = model.loss(batch).value
        theta[i] += h
        assert model.parameters.dtheta[i] == pytest.approx((above - below) / (2 * h), abs=1e-7)


def test_nan_in_its_weights_is_told():
    model = classifier()
    model.parameters.theta[0] = np.nan
    x, labels = x_and_labels(5)
    for ask in (lambda: model.predict(x), lambda: model.probabilities(x), lambda: model.accuracy((x, labels))):
        with pytest.raises(sn.DataError, match="expects logits that are numbers or −∞"):
            ask()


def test_a_divergence_says_the_step_the_term_and_the_layer():
    class Spoils(sn.Layer):
        seen = 0

        def forward(self, x):
            self.seen += self.training
            return x * (np.nan if self.seen > 2 else 1), lambda dy: dy.copy()

    model = sn.Classifier(sn.Sequential(classifier().network, Spoils()))
    said = (
        r"^After 2 steps the loss has no value \(cross_entropy has no value\), "
        r"as softmax_cross_entropy expects logits .*that of network\.1, Spoils\(\), the "
    )
    with pytest.raises(sn.DivergenceError, match=said):
        fit(model, x_and_labels())


def test_wrong_labels_that_before_step_makes_are_no_divergence():
    class Shifts(sn.Callback):
        def before_step(self, run):
            run.batch = (run.batch[0], run.batch[1] + 1)

    with pytest.raises(sn.DataError, match=r"expects labels from 0 to 2, got numbers from 1 to 3"):
        fit(classifier(), x_and_labels(), callbacks=[Shifts()])


def test_early_stopping_takes_its_accuracy():
    stop = sn.callbacks.EarlyStopping(2, "val_accuracy", mode="max")
    x, labels = x_and_labels()
    model = classifier()
    history = fit(model, (x, labels), epochs=60, validation=(x, labels), callbacks=[stop])
    assert history.stopped.startswith("val_accuracy was best in epoch ")
    assert model.accuracy((x, labels)) == pytest.approx(max(history["val_accuracy"]))


# ---- numbers that a caller hands in


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.float16(0.5), Fraction(1, 2)])
def test_a_number_becomes_a_float_at_the_door(number):
    rng = np.random.default_rng(0)
    vae = sn.VAE(sn.Dense(2, 2, rng=rng), sn.Dense(1, 2, rng=rng), beta=number)
    optimizers = [sn.SGD(number, momentum=number), sn.Adam(number, beta1=number, beta2=number, epsilon=number)]
    found = [vae.beta, sn.Gaussian(number).sigma, sn.callbacks.ClipGradients(number).max_norm]
    found += [value for one in optimizers for value in vars(one).values()]
    assert all(type(value) is float for value in found)
    assert set(found) <= {0.5, 0.0}


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int64])
def test_a_count_of_a_small_type_does_not_overflow(integer):
    x, labels = x_and_labels(300)
    history = fit(classifier(), (x, labels), batch_size=integer(100), epochs=integer(2))
    assert len(history.epochs) == 2
    assert all(type(record["epoch"]) is int for record in history.epochs)
