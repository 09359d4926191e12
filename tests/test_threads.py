"""The team of threads behind the kernels: when it computes, and when its leader computes alone."""

import time

import pytest

from scratchnet import kernels

if kernels.active() == "numpy":
    pytest.skip("there are no compiled kernels here", allow_module_level=True)

from scratchnet.kernels.threads import ALONE, ALONE_AT_MOST, WINDOW, Team


@pytest.fixture
def team() -> Team:
    return Team(2)


def end_a_window(team: Team, *, share_without_a_core: float) -> None:
    """As after loops that took one window, of which the leader was off its core for this share."""
    team._ended = time.perf_counter_ns()
    team._window = team._ended - WINDOW
    team._window_cpu = time.thread_time_ns() - int(WINDOW * (1 - share_without_a_core))
    team._judge()


def seconds_alone(team: Team) -> float:
    return (team._alone_until - team._ended) / 1e9


def test_a_leader_with_a_core_of_its_own_goes_on_with_its_team(team):
    end_a_window(team, share_without_a_core=0)
    assert seconds_alone(team) < 0


def test_a_leader_that_lost_its_core_computes_alone(team):
    end_a_window(team, share_without_a_core=0.5)
    assert seconds_alone(team) == ALONE / 1e9
    assert not team.run(1, 1e9, 0, ())


def test_each_further_loss_doubles_the_time_alone_up_to_a_second(team):
    times = []
    for _ in range(10):
        end_a_window(team, share_without_a_core=0.5)
        times.append(seconds_alone(team))
    assert times[:3] == [ALONE / 1e9, 2 * ALONE / 1e9, 4 * ALONE / 1e9]
    assert times[-1] == ALONE_AT_MOST / 1e9


def test_good_windows_make_the_next_time_alone_short_again(team):
    for _ in range(10):
        end_a_window(team, share_without_a_core=0.5)
    for _ in range(50):
        end_a_window(team, share_without_a_core=0)
    end_a_window(team, share_without_a_core=0.5)
    assert seconds_alone(team) == ALONE / 1e9
