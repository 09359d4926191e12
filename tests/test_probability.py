"""Discrete probability: examples worked by hand, and the laws that hold for every distribution."""

import inspect
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet import probability
from scratchnet.arrays import Array
from scratchnet.probability import (
    bayes,
    binomial,
    conditional,
    cross_entropy,
    entropy,
    expectation,
    kl,
    total_probability,
)

# ---- a bag of ten dice: nine are fair, one is loaded and shows a six half of the time

FACES = np.arange(1, 7)
DICE = np.array([0.9, 0.1])  # fair, loaded
FACE_GIVEN_DIE = np.array([[1 / 6] * 6, [0.1] * 5 + [0.5]]).T  # (6, 2)
FAIR = FACE_GIVEN_DIE[:, 0]

# ---- P = binomial(2, 0.4) and Q uniform: Kullback, Information Theory and Statistics, 1959, example 2.1

P, Q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]


def distributions(n: int, least: int = 0) -> st.SearchStrategy[Array]:
    """Distributions over n values, in parts of a whole, so that 0, 1 and ties are not rare; no part below `least`."""
    parts = st.lists(st.integers(least, 50), min_size=n, max_size=n).filter(any)
    return parts.map(lambda parts: np.array(parts) / sum(parts))


def tables(rows: int, columns: int) -> st.SearchStrategy[Array]:
    """p(x | y) (rows, columns), above 0 throughout."""
    return st.lists(distributions(rows, least=1), min_size=columns, max_size=columns).map(np.transpose)


def joints(rows: int, columns: int, least: int = 0) -> st.SearchStrategy[Array]:
    return distributions(rows * columns, least).map(lambda p: p.reshape(rows, columns))


pairs = st.integers(1, 6).flatmap(lambda n: st.tuples(distributions(n), distributions(n)))
positive_pairs = st.integers(1, 6).flatmap(lambda n: st.tuples(distributions(n), distributions(n, least=1)))

# ---- conditional


def test_a_three_among_the_odd_faces_has_probability_one_third():
    p_face_parity = np.zeros((6, 2))
    p_face_parity[FACES - 1, FACES % 2] = 1 / 6  # even, odd
    p_face_given_parity = conditional(p_face_parity)
    np.testing.assert_allclose(p_face_given_parity[:, 1], [1 / 3, 0, 1 / 3, 0, 1 / 3, 0], rtol=1e-15)


def test_a_conditional_worked_by_hand():
    # columns sum to 0.2, 0.4, 0.4
    given_y = conditional([[0.1, 0.3, 0.0], [0.1, 0.1, 0.4]])
    np.testing.assert_allclose(given_y, [[1 / 2, 3 / 4, 0], [1 / 2, 1 / 4, 1]], rtol=1e-15)


@given(joints(3, 2, least=1))
def test_a_conditional_times_the_probability_of_its_condition_is_the_joint(p_xy):
    np.testing.assert_allclose(conditional(p_xy) * p_xy.sum(axis=0), p_xy, rtol=1e-14)


@given(distributions(3), distributions(2, least=1))
def test_what_is_independent_is_not_changed_by_a_condition(p_x, p_y):
    np.testing.assert_allclose(conditional(np.outer(p_x, p_y)), np.tile(p_x[:, None], 2), rtol=1e-14)


# ---- total_probability


def test_a_six_from_the_bag_has_probability_one_fifth():
    # 0.9 · 1/6 + 0.1 · 1/2 = 0.15 + 0.05;  another face: 0.15 + 0.1 · 0.1
    p_face = total_probability(FACE_GIVEN_DIE, DICE)
    np.testing.assert_allclose(p_face, [0.16, 0.16, 0.16, 0.16, 0.16, 0.2], rtol=1e-15)


@given(joints(4, 3, least=1))
def test_the_parts_of_a_joint_add_up_to_the_marginal(p_xy):
    np.testing.assert_allclose(total_probability(conditional(p_xy), p_xy.sum(axis=0)), p_xy.sum(axis=1), rtol=1e-14)


@given(tables(4, 3), distributions(3))
def test_a_total_probability_lies_between_those_that_it_weighs(p_x_given_y, p_y):
    p_x = total_probability(p_x_given_y, p_y)
    assert (p_x >= p_x_given_y.min(axis=1) - 1e-15).all()
    assert (p_x <= p_x_given_y.max(axis=1) + 1e-15).all()


# ---- bayes


def test_a_six_makes_a_loaded_die_more_likely_and_any_other_face_less():
    # 0.1 · 1/2 / 0.2 = 1/4;  0.1 · 0.1 / 0.16 = 1/16
    p_die_given_face = bayes(FACE_GIVEN_DIE, DICE)
    np.testing.assert_allclose(p_die_given_face[1], [1 / 16] * 5 + [1 / 4], rtol=1e-14)


def test_a_rare_illness_and_a_good_test_worked_by_hand():
    # positive: 0.01 · 0.9 + 0.99 · 0.05 = 0.0585, of which 0.009 are ill
    p_ill_given_positive = bayes([[0.9, 0.05], [0.1, 0.95]], [0.01, 0.99])[0, 0]
    assert p_ill_given_positive == pytest.approx(0.009 / 0.0585, rel=1e-15)


@given(tables(4, 3), distributions(3))
def test_bayes_is_the_conditional_of_the_joint_read_the_other_way(p_y_given_x, p_x):
    np.testing.assert_allclose(bayes(p_y_given_x, p_x), conditional((p_y_given_x * p_x).T), rtol=1e-13)


@given(tables(4, 3), distributions(3, least=1))
def test_bayes_twice_is_where_it_began(p_y_given_x, p_x):
    p_y = total_probability(p_y_given_x, p_x)
    np.testing.assert_allclose(bayes(bayes(p_y_given_x, p_x), p_y), p_y_given_x, rtol=1e-13)


@given(tables(4, 3), distributions(3))
def test_posteriors_weighted_by_what_is_observed_are_the_prior(p_y_given_x, p_x):
    p_y = total_probability(p_y_given_x, p_x)
    np.testing.assert_allclose(total_probability(bayes(p_y_given_x, p_x), p_y), p_x, rtol=1e-13)


@given(distributions(4, least=1), distributions(3))
def test_an_observation_as_likely_under_every_hypothesis_leaves_the_prior(p_y, p_x):
    np.testing.assert_allclose(bayes(np.tile(p_y[:, None], 3), p_x), np.tile(p_x[:, None], 4), rtol=1e-13)


def test_two_sixes_after_each_other_are_one_observation_of_both():
    after_one = bayes(FACE_GIVEN_DIE, DICE)[:, 5]
    both = np.array([[1 / 36, 1 / 4], [35 / 36, 3 / 4]])  # two sixes, not two sixes
    np.testing.assert_allclose(bayes(FACE_GIVEN_DIE, after_one)[:, 5], bayes(both, DICE)[:, 0], rtol=1e-14)


# ---- expectation


def test_the_mean_of_a_fair_die_is_three_and_a_half():
    assert expectation(FAIR, FACES) == pytest.approx(3.5, rel=1e-15)


def test_the_mean_of_the_bag_is_the_mean_of_the_means_of_its_dice():
    # 0.9 · 3.5 + 0.1 · (0.1 · 15 + 0.5 · 6) = 3.15 + 0.45
    assert expectation(total_probability(FACE_GIVEN_DIE, DICE), FACES) == pytest.approx(3.6, rel=1e-15)
    assert expectation(DICE, [expectation(p, FACES) for p in FACE_GIVEN_DIE.T]) == pytest.approx(3.6, rel=1e-15)


@given(distributions(4), st.floats(-5, 5), st.floats(-5, 5))
def test_an_expectation_is_linear(p, a, b):
    f, g = np.array([1.0, -2.0, 0.5, 3.0]), np.array([0.0, 4.0, 1.0, -1.0])
    combined = a * expectation(p, f) + b * expectation(p, g)
    np.testing.assert_allclose(expectation(p, a * f + b * g), combined, atol=1e-13)


# ---- entropy


def test_a_fair_coin_has_an_entropy_of_log_2():
    assert entropy([0.5, 0.5]) == pytest.approx(math.log(2), rel=1e-15)


def test_the_loaded_die_has_less_entropy_than_a_fair_one():
    assert entropy(FAIR) == pytest.approx(math.log(6), rel=1e-14)
    # ½ log 2 + 5 · 0.1 log 10
    assert entropy(FACE_GIVEN_DIE[:, 1]) == pytest.approx(0.5 * math.log(20), rel=1e-14)


def test_certainty_has_an_entropy_of_zero_and_not_minus_zero():
    assert str(entropy([0, 1, 0])) == "0.0"


@given(distributions(5))
def test_an_entropy_lies_between_zero_and_log_n(p):
    assert 0 <= entropy(p) <= math.log(5) + 1e-15


@given(distributions(5))
def test_only_what_is_uniform_has_an_entropy_of_log_n(p):
    short_of_it = math.log(5) - entropy(p)
    assert short_of_it >= 0.5 * np.abs(p - 1 / 5).sum() ** 2 - 1e-15  # Pinsker, with q uniform


@given(distributions(4))
def test_a_value_that_never_occurs_adds_no_entropy(p):
    assert entropy([*p, 0.0]) == pytest.approx(entropy(p), rel=1e-15)


@given(distributions(3), distributions(4))
def test_entropies_of_independent_variables_add(p, q):
    np.testing.assert_allclose(entropy(np.outer(p, q)), entropy(p) + entropy(q), atol=1e-14)


@given(joints(3, 4, least=1))
def test_the_entropy_of_two_is_that_of_one_and_that_of_the_other_given_it(p_xy):
    p_y = p_xy.sum(axis=0)
    given_y = [entropy(column) for column in conditional(p_xy).T]
    np.testing.assert_allclose(entropy(p_xy), entropy(p_y) + expectation(p_y, given_y), rtol=1e-13)


# ---- cross_entropy


def test_a_cross_entropy_worked_by_hand():
    # ½ log 4 + ½ log 4/3
    assert cross_entropy([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * math.log(16 / 3), rel=1e-15)


@given(positive_pairs)
def test_a_cross_entropy_is_the_entropy_and_the_divergence(pair):
    p, q = pair
    np.testing.assert_allclose(cross_entropy(p, q), entropy(p) + kl(p, q), atol=1e-14)


def test_what_is_held_impossible_and_occurs_costs_infinitely_much():
    assert cross_entropy([0.5, 0.5], [1, 0]) == kl([0.5, 0.5], [1, 0]) == math.inf


def test_what_is_held_possible_and_never_occurs_costs_little():
    assert cross_entropy([1, 0], [0.5, 0.5]) == kl([1, 0], [0.5, 0.5]) == pytest.approx(math.log(2), rel=1e-15)


@pytest.mark.parametrize(("target", "p"), [(0.0, 0.25), (1.0, 0.25), (0.3, 0.8)])
def test_the_loss_of_one_pixel_is_the_cross_entropy_of_two_coins(target, p):
    loss, _ = sn.bce(np.array([[p]]), np.array([[target]]))
    assert cross_entropy([target, 1 - target], [p, 1 - p]) == pytest.approx(loss, rel=1e-15)


# ---- kl


def test_the_divergence_of_the_binomial_from_the_uniform_has_all_its_digits():
    # Σ p log 3p = (9 log 27/25 + 12 log 36/25 + 4 log 12/25) / 25, in one logarithm
    assert kl(P, Q) == pytest.approx(math.log(2**32 * 3**55 / 5**50) / 25, abs=2e-16)
    assert round(kl(P, Q), 10) == 0.0852996013


def test_the_divergence_of_the_uniform_from_the_binomial_has_all_its_digits():
    # −⅓ Σ log 3p = ⅓ (log 25/27 + log 25/36 + log 25/12), in one logarithm
    assert kl(Q, P) == pytest.approx(math.log(5**6 / (2**4 * 3**6)) / 3, abs=2e-16)
    assert round(kl(Q, P), 10) == 0.0974550068


@given(distributions(6))
def test_nothing_diverges_from_itself(p):
    assert kl(p, p) == 0


@given(pairs)
def test_a_divergence_is_at_least_half_the_square_of_the_distance(pair):
    p, q = pair
    assert kl(p, q) >= 0.5 * np.abs(p - q).sum() ** 2 - 1e-15  # Pinsker: so it is 0 only if p = q


@given(positive_pairs, positive_pairs)
def test_divergences_of_independent_variables_add(pair, other):
    (p, q), (r, s) = pair, other
    np.testing.assert_allclose(kl(np.outer(p, r), np.outer(q, s)), kl(p, q) + kl(r, s), atol=1e-14)


@given(joints(3, 4), joints(3, 4, least=1))
def test_who_sees_less_tells_two_distributions_apart_less(p_xy, q_xy):
    assert kl(p_xy.sum(axis=1), q_xy.sum(axis=1)) <= kl(p_xy, q_xy) + 1e-14


@given(distributions(4, least=1))
def test_close_by_a_divergence_is_half_a_square(p):
    step = 1e-4 * p.min() * np.array([1, -1, 2, -2])
    np.testing.assert_allclose(kl(p, p + step), 0.5 * (step**2 / p).sum(), rtol=1e-3)


def test_probabilities_too_small_to_divide_by_still_have_logarithms():
    # ½ / 1e-320 is beyond the largest float
    expected = math.log(0.5) - 0.5 * math.log(1e-320)
    assert kl([0.5, 0.5], [1e-320, 1.0]) == pytest.approx(expected, rel=1e-15)


def test_on_a_fine_grid_it_is_the_divergence_of_two_gaussians():
    z = np.linspace(-30, 30, 60_001)
    q, prior = (np.exp(-0.5 * ((z - mu) / sigma) ** 2) for mu, sigma in ((1, 2), (0, 1)))
    value, _, _ = sn.kl_standard_normal(np.ones((1, 1)), np.full((1, 1), math.log(4)))
    assert kl(q / q.sum(), np.maximum(prior / prior.sum(), 1e-300)) == pytest.approx(value, abs=1e-10)


# ---- binomial


def test_the_binomial_of_two_tosses_worked_by_hand():
    # 0.6²,  2 · 0.4 · 0.6,  0.4²
    np.testing.assert_allclose(binomial(2, 0.4), P, rtol=1e-15)


@given(st.integers(1, 60), st.integers(0, 32))
def test_the_binomial_is_its_formula_in_fractions(n, parts):
    p = Fraction(parts, 32)  # which a float holds exactly
    exact = [float(math.comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1)]
    np.testing.assert_allclose(binomial(n, float(p)), exact, rtol=1e-13)


@given(st.integers(1, 30), st.floats(0, 1))
def test_the_binomial_has_the_mean_np_and_the_variance_np_times_1_minus_p(n, p):
    k = np.arange(n + 1)
    assert expectation(binomial(n, p), k) == pytest.approx(n * p, abs=1e-12)
    assert expectation(binomial(n, p), (k - n * p) ** 2) == pytest.approx(n * p * (1 - p), abs=1e-12)


def test_successes_of_two_rows_of_tosses_add():
    np.testing.assert_allclose(np.convolve(binomial(3, 0.3), binomial(4, 0.3)), binomial(7, 0.3), rtol=1e-14)


def test_the_binomial_of_many_tosses_is_still_a_distribution():
    # near a Gaussian of variance n p (1 − p), whose entropy is ½ log 2πe n p (1 − p); what is left is of order 1/n
    assert entropy(binomial(3000, 0.4)) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 720), abs=1e-4)


# ---- what all of them take


def test_lists_and_arrays_are_taken_alike():
    assert kl(P, Q) == kl(np.array(P), np.array(Q))


def test_a_certainty_may_be_written_in_whole_numbers():
    assert expectation([0, 1, 0], [10, 20, 30]) == 20


def test_a_distribution_in_more_digits_than_float64_sums_to_one_in_float64():
    for n in range(1, 50):
        assert entropy(np.full(n, np.longdouble(1) / n)) == pytest.approx(math.log(n), rel=1e-13)


def test_float32_need_sum_to_one_only_within_its_own_rounding(rng):
    weights = rng.random(1000, np.float32)
    p = weights / weights.sum()
    np.testing.assert_allclose(entropy(p), entropy(p.astype(np.float64) / p.sum(dtype=np.float64)), rtol=1e-6)


def test_arguments_are_left_as_they_were():
    arrays = [FACE_GIVEN_DIE.copy(), DICE.copy()]
    bayes(*arrays)
    total_probability(*arrays)
    conditional(arrays[0] * arrays[1])
    kl(arrays[1], arrays[1])
    assert [array.tolist() for array in arrays] == [FACE_GIVEN_DIE.tolist(), DICE.tolist()]


@pytest.mark.parametrize("name", probability.__all__)
def test_every_function_shows_an_example_and_names_its_chapter(name):
    documentation = getattr(probability, name).__doc__
    assert ">>>" in documentation
    assert "docs/01-probability.md" in documentation or "docs/02-entropy-and-kl.md" in documentation


def test_every_function_is_public():
    own = [name for name, value in vars(probability).items() if inspect.getmodule(value) is probability]
    assert {name for name in own if not name.startswith("_")} == set(probability.__all__)
