"""The team of threads behind the kernels: when it computes, and when its leader computes alone."""

import time

import pytest

from scratchnet import kernels

if kernels.active() == "numpy":
    pytest.skip("there are no compiled kernels here", allow_module_level=True)

from scratchnet.kernels.threads import ALONE, ALONE_AT_MOST, REST, TRIAL, WINDOW, Choice, Team

KERNEL, WORK = 1, 1_000_000


def compute_alone(choice: Choice, *, took: int, undisturbed: bool = True) -> float:
    """Compute alone until the team's turn comes; the nanoseconds that this took."""
    total = 0
    while choice.alone:
        choice.took_alone(KERNEL, WORK, took, undisturbed)
        total += took
    return total


def compute_together(choice: Choice, *, took: int, nanoseconds: int = 2 * WINDOW) -> int:
    """Compute together until the leader's turn comes, or for so long; the nanoseconds that this took."""
    total = 0
    while not choice.alone and total < nanoseconds:
        choice.took_together(KERNEL, WORK, took)
        total += took
    return total


@pytest.fixture
def choice() -> Choice:
    """After the first trial, in which the kernel took a millisecond."""
    choice = Choice()
    compute_alone(choice, took=1_000_000)
    return choice


def test_the_leader_first_computes_alone_for_a_trial():
    assert compute_alone(Choice(), took=1_000_000) == TRIAL


def test_a_team_that_is_faster_goes_on(choice):
    compute_together(choice, took=600_000)
    assert not choice.alone


def test_a_team_that_is_no_faster_leaves_the_work_to_its_leader(choice):
    compute_together(choice, took=1_000_000)
    assert choice.alone


def test_a_team_is_judged_by_kernels_whose_time_alone_is_known(choice):
    choice.took_together(KERNEL + 1, WORK, 100 * WINDOW // 2)
    assert not choice.alone


def test_kernels_of_other_sizes_have_times_of_their_own(choice):
    choice.took_together(KERNEL, 4 * WORK, 100 * WINDOW // 2)
    assert not choice.alone


def test_what_the_leader_took_beside_a_helper_that_spins_is_not_learned():
    choice = Choice()
    compute_alone(choice, took=1_000_000, undisturbed=False)
    compute_together(choice, took=10_000_000)
    assert not choice.alone


def test_the_leader_s_time_is_learned_again_when_the_machine_has_become_slower(choice):
    for _ in range(10):
        compute_together(choice, took=1_500_000)
        compute_alone(choice, took=3_000_000)
    compute_together(choice, took=1_500_000)
    assert not choice.alone


def test_a_fast_team_gives_its_leader_a_trial_now_and_then(choice):
    before_a_trial = compute_together(choice, took=600_000, nanoseconds=10**10)
    assert REST * TRIAL <= before_a_trial < 1.1 * REST * TRIAL
    assert compute_alone(choice, took=1_000_000) == TRIAL


def test_a_trial_that_took_longer_is_followed_by_a_longer_rest():
    choice = Choice()
    compute_alone(choice, took=4 * TRIAL)
    assert compute_together(choice, took=TRIAL, nanoseconds=10**10) >= 4 * REST * TRIAL


def test_each_further_slow_window_doubles_the_time_alone_up_to_a_second(choice):
    times = []
    for _ in range(10):
        compute_together(choice, took=1_000_000)
        times.append(compute_alone(choice, took=1_000_000))
    assert times[:3] == [ALONE, 2 * ALONE, 4 * ALONE]
    assert times[-1] == ALONE_AT_MOST


def test_good_windows_make_the_next_time_alone_short_again(choice):
    for _ in range(10):
        compute_together(choice, took=1_000_000)
        compute_alone(choice, took=1_000_000)
    for _ in range(50):
        compute_together(choice, took=600_000)
        compute_alone(choice, took=1_000_000)
    compute_together(choice, took=1_000_000)
    assert compute_alone(choice, took=1_000_000) == ALONE


def test_a_team_at_work_refuses_more_work():
    team = Team(2)
    with team._leading:
        assert not team.run(1, 1e9, lambda *_: None, None, (0,))


def test_a_new_team_lets_its_leader_compute_the_whole_range():
    calls = []
    assert Team(2).run(9, 1e9, lambda *arguments: calls.append(arguments), None, (0, "x"))
    assert calls == [("x", 0, 9)]


def test_a_sleeping_team_is_not_woken_for_little_work():
    team = Team(2)
    compute_alone(team._choice, took=1_000_000)
    while len(team._asleep) < 1:
        time.sleep(0.001)
    assert not team.run(1, 6_000, lambda *_: None, None, (0,))
