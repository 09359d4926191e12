"""Each optimizer's first steps worked by hand, with numbers whose roots come out even."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn


def walk(optimizer: sn.SGD | sn.Adam, theta: float, *gradients: float) -> list[float]:
    """Where θ stands after each step."""
    at, course = np.array([theta], np.float64), []
    for gradient in gradients:
        optimizer.step(at, np.array([gradient], np.float64))
        course.append(at.item())
    return course


def assert_walks(optimizer: sn.SGD | sn.Adam, theta: float, gradients: list[float], course: list[float]) -> None:
    np.testing.assert_allclose(walk(optimizer, theta, *gradients), course, rtol=1e-12, atol=1e-12)


# ---- SGD


def test_gradient_descent_goes_against_the_gradient():
    # 5 − 0.5·4 = 3,  3 − 0.5·(−2) = 4
    assert_walks(sn.SGD(0.5), 5, [4, -2], [3, 4])


def test_momentum_keeps_a_share_of_the_last_velocity():
    # v = 4, then ½·4 + 4 = 6, then ½·6 + 0 = 3;  θ = 10 − ½·4 = 8, 8 − ½·6 = 5, 5 − ½·3 = 3.5
    assert_walks(sn.SGD(0.5, momentum=0.5), 10, [4, 4, 0], [8, 5, 3.5])


# ---- Adam
#
#     β₁ = 1/2, β₂ = 3/4, ε = 1, a learning rate of 1, and gradients 2 and 5:
#
#     t   g   m = ½ m + ½ g   v = ¾ v + ¼ g²   m/(1 − ½ᵗ)    v/(1 − ¾ᵗ)      its root   step
#     1   2   1               1                1/(1/2) = 2   1/(1/4) = 4     2          2/(2 + 1) = 2/3
#     2   5   ½ + 5/2 = 3     ¾ + 25/4 = 7     3/(3/4) = 4   7/(7/16) = 16   4          4/(4 + 1) = 4/5


def pencil_adam(learning_rate: float | Callable[[int], float] = 1.0, weight_decay: float = 0.0) -> sn.Adam:
    return sn.Adam(learning_rate, beta1=0.5, beta2=0.75, epsilon=1.0, weight_decay=weight_decay)


def test_the_first_two_steps_of_adam():
    assert_walks(pencil_adam(), 0, [2, 5], [-2 / 3, -2 / 3 - 4 / 5])


def test_adam_remembers_the_two_means_as_they_are_before_correction():
    adam = pencil_adam()
    walk(adam, 0, 2, 5)
    assert (adam.m.item(), adam.v.item()) == (3, 7)


def test_weight_decay_adds_its_share_of_theta_to_the_gradient():
    # g = 3 + ¼·4 = 4: a first step of 4/(4 + 1);  decoupled, as in AdamW, it would be 3/(3 + 1) + ¼·4
    assert_walks(pencil_adam(weight_decay=0.25), 4, [3], [4 - 4 / 5])


def test_weight_decay_alone_pulls_towards_zero():
    # g = 0 + ½·2 = 1: a step of 1/(1 + 1);  from −2 the same step up
    assert_walks(pencil_adam(weight_decay=0.5), 2, [0], [1.5])
    assert_walks(pencil_adam(weight_decay=0.5), -2, [0], [-1.5])


@given(st.floats(1e-3, 1e3), st.sampled_from([-1, 1]))
def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient(size, sign):
    # m/(1 − β₁) = g and v/(1 − β₂) = g², so the step is g/(|g| + ε)
    np.testing.assert_allclose(walk(sn.Adam(0.1), 1.0, sign * size), [1 - sign * 0.1], rtol=1e-5)


def test_in_float32_too_the_first_step_of_adam_is_the_learning_rate():
    # 1 − β₂, of a β₂ that was rounded to float32 before, would be 0.14% too large
    theta, adam = np.zeros(1, np.float32), sn.Adam(0.1, beta2=0.99999)
    adam.step(theta, np.ones(1, np.float32))
    np.testing.assert_allclose(theta, [-0.1], rtol=1e-5)


def test_the_defaults_of_adam_are_those_of_the_paper():
    adam = sn.Adam()
    found = (adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay)
    assert found == (0.001, 0.9, 0.999, 1e-8, 0)


def test_adam_finds_the_bottom_of_a_narrow_valley():
    theta, adam = np.array([1.0, 1.0]), sn.Adam(0.01)
    for _ in range(2000):
        adam.step(theta, theta * [100.0, 1.0])  # of 50 a² + ½ b²
    np.testing.assert_allclose(theta, 0, atol=1e-6)


# ---- all optimizers

BOTH = pytest.mark.parametrize("make", [sn.SGD, sn.Adam])


@pytest.mark.parametrize("make", [sn.SGD, pencil_adam])
def test_a_schedule_is_asked_with_the_number_of_steps_taken_so_far(make):
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.5**step

    walk(make(schedule), 0, 1, 1, 1)
    assert asked == [0, 1, 2]


def test_a_schedule_sets_the_rate_of_each_step():
    # rates 1, ½, ¼
    assert_walks(sn.SGD(lambda step: 0.5**step), 10, [4, 4, 4], [6, 4, 3])


def test_a_schedule_sets_the_rate_of_each_step_of_adam():
    # the steps of the table above, at rates 1 and ½
    assert_walks(pencil_adam(lambda step: 0.5**step), 0, [2, 5], [-2 / 3, -2 / 3 - 2 / 5])


def test_momentum_is_of_gradients_so_a_falling_rate_slows_all_of_it():
    # v = 4, 4 + ½·4 = 6;  θ = 10 − 1·4 = 6, 6 − ½·6 = 3
    assert_walks(sn.SGD(lambda step: 0.5**step, momentum=0.5), 10, [4, 4], [6, 3])


@BOTH
def test_theta_moves_in_place_so_that_views_into_it_move_too(make):
    theta = np.array([1.0, 2.0])
    view = theta[1:]
    make(0.5).step(theta, np.array([1.0, 1.0]))
    np.testing.assert_allclose(view, [1.5])


@pytest.mark.parametrize(
    "make", [lambda: sn.SGD(0.5, momentum=0.5), lambda: sn.Adam(0.5), lambda: sn.Adam(0.5, weight_decay=0.5)]
)
def test_dtheta_stays_as_it_is(make):
    optimizer, theta, dtheta = make(), np.array([1.0, 2.0]), np.array([3.0, -4.0])
    optimizer.step(theta, dtheta)
    optimizer.step(theta, dtheta)
    assert dtheta.tolist() == [3, -4]


@BOTH
def test_the_optimizer_does_not_hold_on_to_dtheta(make):
    """As `zero_grad` writes into it after the step."""
    theta, again = np.array([1.0]), np.array([1.0])
    one, other, dtheta = make(0.5), make(0.5), np.array([2.0])
    one.step(theta, dtheta)
    dtheta[...] = 0
    one.step(theta, dtheta)
    other.step(again, np.array([2.0]))
    other.step(again, np.array([0.0]))
    assert theta == again


@BOTH
def test_steps_are_counted(make):
    optimizer = make(0.5)
    walk(optimizer, 0, 1, 1, 1)
    assert optimizer.steps == 3


@BOTH
def test_the_memory_of_a_float32_theta_is_float32(make):
    optimizer = make(0.5)
    optimizer.step(np.ones(3, np.float32), np.ones(3, np.float32))
    assert {getattr(optimizer, name).dtype.name for name in optimizer.memory_names} == {"float32"}


@BOTH
def test_each_number_moves_by_itself(make, rng):
    theta, gradients = rng.standard_normal(4), rng.standard_normal((3, 4))
    alone = [walk(make(0.1), theta[i], *gradients[:, i])[-1] for i in range(4)]
    together, optimizer = theta.copy(), make(0.1)
    for gradient in gradients:
        optimizer.step(together, gradient)
    np.testing.assert_allclose(together, alone, rtol=1e-14)
