"""The museum is open: every bug is caught, and the page says by what."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import kernels
from scratchnet.kernels import reference
from tests.museum import page
from tests.museum.exhibits import EXHIBITS, PLACEBO, ROOMS
from tests.museum.mutants import ROOT, Edit, Exhibit, diff, mutated, noting_calls, switched_on
from tests.museum.runner import ABSENT, APART, KINDS, SLOW

each = pytest.mark.parametrize("exhibit", EXHIBITS.values(), ids=EXHIBITS)
page_text = page.PATH.read_text(encoding="utf-8")


def python(*arguments: str) -> str:
    """The output of a Python of its own, on one thread and without the measuring of coverage."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    env |= {"SCRATCHNET_KERNELS": "numpy", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def visit() -> dict[str, Any]:
    """One visit to all exhibits. The page was written by a visit that was not quick."""
    return json.loads(python("-m", "tests.museum", "--quick", "--json"))


# ---- what the visit shows


@pytest.mark.slow
def test_with_nothing_switched_on_every_test_passes(visit):
    assert visit["failing"] == []


@pytest.mark.slow
def test_the_placebo_passes_every_test(visit):
    assert not any(visit["caught"][PLACEBO.name].values())


@pytest.mark.slow
@each
def test_the_bug_is_caught(visit, exhibit):
    assert any(visit["caught"][exhibit.name].values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_column_of_the_matrix_on_the_page_is_that_of_the_visit(visit, kind):
    column = {name: row[kind] is not None for name, row in visit["caught"].items() if kind in row}
    if kind == "PyTorch" and not column:
        pytest.skip("PyTorch is not installed")
    assert column == {name: row[kind] for name, row in page.matrix_of(page_text).items()}


@pytest.mark.slow
@each
def test_a_bug_that_the_gradient_check_passes_says_why(visit, exhibit):
    assert bool(exhibit.unseen) == (visit["caught"][exhibit.name]["gradient check"] is None)


@pytest.mark.slow
def test_every_test_that_is_sorted_by_its_name_exists(visit):
    assert visit["sorted_by_name"] == sorted({*APART, *SLOW, *ABSENT})


def test_a_mutant_that_is_never_switched_off_is_noticed_before_the_first_exhibit():
    script = """
from tests.museum.exhibits import EXHIBITS
from tests.museum.mutants import switched_on
from tests.museum.runner import show
with switched_on(EXHIBITS["one-path-lost"]):
    museum = show([EXHIBITS["relu-masked-by-dy"]], ["oracles"])
print(museum.failing, museum.caught)
"""
    failing, _, caught = python("-c", script).rpartition(" ")
    assert "test_a_linear_vae_at_its_best_has_no_slope" in failing
    assert caught.strip() == "{}"


# ---- the page


def test_the_page_is_what_the_exhibits_and_its_matrix_say():
    assert page.filled(page_text, page.matrix_of(page_text)) == page_text


@each
def test_the_bug_is_told_on_the_page(exhibit):
    for part in (f"### {exhibit.title}\n", exhibit.story, exhibit.source, f"```diff\n{diff(exhibit)}\n```"):
        assert part in page_text


def test_the_museum_has_at_least_twenty_four_bugs():
    assert len(EXHIBITS) >= 24


def test_no_two_bugs_share_a_name_or_a_title():
    exhibits = [*(exhibit for room in ROOMS.values() for exhibit in room), PLACEBO]
    assert len({exhibit.name for exhibit in exhibits}) == len(exhibits)
    assert len({exhibit.title for exhibit in exhibits}) == len(exhibits)


# ---- on and off


@pytest.fixture(autouse=True)
def the_engine_that_the_mutants_live_in():
    with kernels.use("numpy"):
        yield


def an_exhibit(*edits: Edit) -> Exhibit:
    return Exhibit("mine", "Mine", "", "", edits)


EXPONENT = Edit(reference.sample_gaussian, "0.5 * logvar", "logvar")
LOG4 = np.log(np.array([[4.0]]))


def sampled_deviation() -> float:
    return sn.sample_gaussian(np.zeros((1, 1)), LOG4, np.ones((1, 1)))[0].item()


def test_a_mutant_is_run_by_every_name_that_the_function_has():
    with switched_on(an_exhibit(EXPONENT)):
        assert kernels.sample_gaussian(0.0, LOG4, 1.0)[0] == pytest.approx(4)
        assert reference.sample_gaussian(0.0, LOG4, 1.0)[0] == pytest.approx(4)
        assert sampled_deviation() == pytest.approx(4)


def test_after_the_block_the_function_is_what_it_was():
    code = reference.sample_gaussian.__code__
    with switched_on(an_exhibit(EXPONENT)):
        assert reference.sample_gaussian.__code__ is not code
    assert reference.sample_gaussian.__code__ is code
    assert sampled_deviation() == pytest.approx(2)


def test_an_error_within_the_block_switches_off_too():
    with pytest.raises(ZeroDivisionError), switched_on(an_exhibit(EXPONENT)):
        raise ZeroDivisionError
    assert sampled_deviation() == pytest.approx(2)


def test_calls_are_noted_and_change_nothing():
    code = reference.sample_gaussian.__code__
    with noting_calls([reference.sample_gaussian, reference.relu]) as called:
        assert sampled_deviation() == pytest.approx(2)
    assert called == {"scratchnet.kernels.reference.sample_gaussian"}
    assert reference.sample_gaussian.__code__ is code


def test_two_edits_of_one_function_are_both_made():
    mine = an_exhibit(EXPONENT, Edit(reference.sample_gaussian, "mu + sigma", "mu - sigma"))
    with switched_on(mine):
        assert sampled_deviation() == pytest.approx(-4)


def test_the_functions_own_defaults_stay():
    mine = an_exhibit(Edit(sn.Dense.__init__, "1 / np.sqrt(n_in)", "0.0"))
    with switched_on(mine):
        dense = sn.Dense(3, 2, rng=np.random.default_rng(0))
    assert dense.W.dtype == np.float32
    assert not dense.W.any()


def test_the_traceback_of_a_mutant_names_the_line_of_the_file():
    mine = an_exhibit(Edit(reference.sample_gaussian, "np.exp(0.5 * logvar)", "1 / 0"))
    with switched_on(mine), pytest.raises(ZeroDivisionError) as caught:
        reference.sample_gaussian(0.0, 0.0, 0.0)
    place = caught.traceback[-1]
    source = Path(reference.__file__).read_text(encoding="utf-8")
    assert str(place.path) == reference.__file__
    assert "np.exp(0.5 * logvar)" in source.splitlines()[place.lineno]


@pytest.mark.parametrize(
    ("was", "times"), [pytest.param("np.tanh", 0, id="not there"), pytest.param("sigma", 3, id="three times")]
)
def test_words_that_do_not_stand_there_once_are_refused(was, times):
    with pytest.raises(
        LookupError, match=f"^The exhibit mine expects '{was}' once in sample_gaussian, found it {times} "
    ):
        mutated(an_exhibit(Edit(reference.sample_gaussian, was, "0")))


def test_a_diff_shows_the_lines_that_change_and_no_others():
    assert diff(an_exhibit(EXPONENT)) == (
        "@@ scratchnet/kernels/reference.py, sample_gaussian @@\n"
        "-    sigma = np.exp(0.5 * logvar)\n"
        "+    sigma = np.exp(logvar)"
    )
