"""Every bug of the museum, switched on in turn, against every kind of test that the project has.

The tests are collected once, in one process, and run again for each exhibit until the first failure of each kind. What
makes that quick, and fair:

- A test cannot notice a change in a function that it never calls. The first round, with nothing switched on, notes
  which functions each test calls, and an exhibit is tried on the tests that call what it changes.
- Nothing that was computed before the switch outlives it: fixtures are torn down, whatever their scope, and caches of
  the test modules are emptied.
- Properties are tried at five points, the same ones each time. What is caught there is caught a fortiori by the suite,
  which tries a hundred.
"""

import contextlib
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.museum.mutants import ROOT, Exhibit, mutated, name_of, noting_calls, switched_on

KINDS = ("examples", "laws", "gradient check", "statistics", "oracles", "PyTorch", "hostile conditions")

FILES = {
    "test_layers.py": "examples",
    "test_conv.py": "examples",
    "test_losses.py": "examples",
    "test_gaussian.py": "examples",
    "test_optim.py": "examples",
    "test_parameters.py": "examples",
    "test_models.py": "examples",
    "test_training.py": "examples",
    "test_evaluation.py": "examples",
    "laws.py": "laws",
    "test_gradients.py": "gradient check",
    "test_statistics.py": "statistics",
    "test_oracles.py": "oracles",
    "test_torch.py": "PyTorch",
    "test_memory.py": "hostile conditions",
    "test_storage.py": "",
    "test_own_parts.py": "",
    "test_gradcheck.py": "",
    "test_ladder.py": "",
}
"""The files that detect, each with the kind of most of its tests; of those with none, only the tests in APART run."""

APART = {
    "test_backward_agrees_with_the_central_difference": "gradient check",
    "test_backward_agrees_with_the_complex_step_to_all_digits": "gradient check",
    "test_the_gradient_is_the_slope_of_the_loss": "gradient check",
    "test_a_layer_of_ones_own_works_as_the_encoder_of_a_vae": "gradient check",
    "test_many_samples_have_the_mean_and_variance_asked_for": "statistics",
    "test_dense_starts_uniform_over_all_that_range": "statistics",
    "test_weights_start_uniform_within_one_over_the_root_of_the_terms_of_a_sum": "statistics",
    "test_the_bound_of_a_linear_model_agrees_with_the_integral": "oracles",
    "test_at_the_true_posterior_the_bound_is_the_log_likelihood": "oracles",
    "test_the_kl_is_the_integral_of_q_times_log_q_over_p": "oracles",
    "test_a_block_that_ends_badly_leaves_the_old_file": "hostile conditions",
    "test_the_new_file_takes_its_place_only_when_the_block_ends": "hostile conditions",
    "test_a_save_within_a_save_of_the_same_path_leaves_both_whole": "hostile conditions",
    "test_validating_encoding_and_looking_names_up_teach_nothing": "hostile conditions",
    "test_training_is_true_for_the_loss_and_the_backward_of_a_step_and_nowhere_else": "hostile conditions",
    "test_a_mistake_in_a_matrix_product_is_named": "hostile conditions",
    "test_machine_code_is_named_after_the_width_of_a_vector": "hostile conditions",
}
"""The tests that are of another kind than the file that they stand in."""

SLOW = (
    "test_the_bound_rises_with_k_towards_log_p",
    "test_the_mean_weight_is_the_evidence_for_any_k",
    "test_one_sample_is_the_elbo_on_average",
    "test_the_elbo_is_below_log_p",
    "test_the_standard_error_of_the_elbo_is_the_spread_over_seeds_where_only_the_noise_differs",
    "test_the_standard_error_of_the_elbo_counts_that_images_differ",
    "test_every_gradient_of_a_models_loss_is_true",
    "test_every_gradient_of_a_deep_vae_on_digits_is_true",
)
"""The tests that cost most. A quick visit leaves them out where another test of their kind calls the same function."""

ABSENT = ("test_a_convolutional_autoencoder_learns_digits", "test_the_scale_of_mnist_is_the_published_one")
"""The tests that stay away: they take seconds, and other examples call all that they call."""

Caught = dict[str, dict[str, str | None]]
"""For each exhibit and each kind of test that ran: the first test that failed, or None."""


class Museum:
    """A pytest plugin: in place of the usual round of tests, a round for each exhibit.

    Attributes
    ----------
    failing : list of str
        The tests that fail with nothing switched on; if there are any, no exhibit is shown.
    sorted_by_name : set of str
        The names in APART, SLOW and ABSENT that were met.
    caught : Caught
    """

    def __init__(self, exhibits: Sequence[Exhibit], kinds: Sequence[str], quick: bool):
        self.exhibits, self.kinds, self.quick = exhibits, kinds, quick
        self.failing: list[str] = []
        self.sorted_by_name: set[str] = set()
        self.caught: Caught = {}

    def pytest_sessionstart(self) -> None:
        from hypothesis import HealthCheck, Phase, settings  # not above: pytest wants to be there first

        settings.register_profile(
            "museum",
            max_examples=5,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("museum")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        tests: dict[str, list[pytest.Function]] = {kind: [] for kind in self.kinds}
        for item in session.items:
            if isinstance(item, pytest.Function) and _of_the_reference(item):
                self.sorted_by_name |= {item.originalname} & {*APART, *SLOW, *ABSENT}
                if kind_of(item) in tests and item.originalname not in ABSENT:
                    tests[kind_of(item)].append(item)
        calls, seconds = self._control([item for of_kind in tests.values() for item in of_kind])
        for of_kind in tests.values():  # the cheapest first: the first failure ends a round
            files = [item.path for item in of_kind]
            of_kind.sort(key=lambda item, files=files: (files.index(item.path), seconds[item]))
        for exhibit in self.exhibits if not self.failing else ():
            changed = {name_of(function) for function in mutated(exhibit)}
            with switched_on(exhibit):
                self.caught[exhibit.name] = {
                    kind: _first_failure(self._fit([item for item in of_kind if calls[item] & changed]))
                    for kind, of_kind in tests.items()
                    if of_kind
                }
        return True

    def _control(
        self, items: list[pytest.Function]
    ) -> tuple[dict[pytest.Function, set[str]], dict[pytest.Function, float]]:
        """Runs each test with nothing on, and returns which of the museum's functions it calls, and its seconds."""
        calls, seconds = {}, {}
        with noting_calls({function for exhibit in self.exhibits for function in mutated(exhibit)}) as called:
            for item in items:
                called.clear()
                started = time.perf_counter()
                if failure := _first_failure([item]):
                    self.failing.append(failure)
                calls[item], seconds[item] = set(called), time.perf_counter() - started
        return calls, seconds

    def _fit(self, items: list[pytest.Function]) -> list[pytest.Function]:
        """The tests to run, of those that call what an exhibit changes."""
        return (self.quick and [item for item in items if item.originalname not in SLOW]) or items


def kind_of(item: pytest.Function) -> str:
    """Examples, laws, …. A property is a law, even where it stands among examples."""
    kind = FILES[item.path.name]
    if kind == "examples" and getattr(item.obj, "is_hypothesis_test", False):
        kind = "laws"
    return APART.get(item.originalname, kind)


def show(exhibits: Sequence[Exhibit], kinds: Sequence[str] = KINDS, *, quick: bool = False) -> Museum:
    """Shows the exhibits to the tests of these kinds; to be called once in a process."""
    museum = Museum(exhibits, kinds, quick)
    files = [str(ROOT / "tests" / file) for file, kind in FILES.items() if kind != "PyTorch" or kind in kinds]
    options = [
        "-q",
        "--assert=plain",
        "--tb=native",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:logging",
        "--hypothesis-seed=0",  # or it would read the source of each test, in each round, for the name of its examples
        "-W",  # with a seed, on Python 3.14, it takes its own random numbers for a stranger's
        "ignore::hypothesis.errors.HypothesisWarning",
        "-o",
        "addopts=",
        "--rootdir",
        str(ROOT),
    ]
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main([*options, *files], plugins=[museum])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(f"pytest ended with {code!r} before every exhibit was shown.")
    return museum


def _of_the_reference(item: pytest.Function) -> bool:
    """The mutants live in the NumPy kernels; to hold an engine without them against these would be too easy."""
    return not hasattr(item, "callspec") or item.callspec.params.get("engine", "numpy") == "numpy"


def _first_failure(items: list[pytest.Function]) -> str | None:
    """Runs the tests until one of them crashes, refuses or fails an assertion; a skipped one catches nothing."""
    if not items:
        return None
    for module in {item.module for item in items}:
        _empty_caches(module)
    try:
        for item, after in pairwise([*items, None]):
            assert item is not None
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=after)):
                return item.nodeid
    finally:
        items[0].session._setupstate.teardown_exact(None)
    return None


def _empty_caches(module: Any) -> None:
    for value in vars(module).values():
        if hasattr(value, "cache_clear") and value.__module__ == module.__name__:
            value.cache_clear()
