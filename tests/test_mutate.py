"""The harness that plants mistakes in a module: which ones it plants, and what it reports of the tests."""

import shutil
from pathlib import Path

import pytest

from tests import mutate
from tests.mutate import Copies, Mutant, mutants, planted

SHAPES = '''
def area(width, height):
    """Of a rectangle."""
    if width < 0:
        raise ValueError("a width is at least 0")
    return width * height


def longest(sides):
    return max(sides) if sides else 0
'''

TEST = """
from shapes import area, longest

def test_an_area(): assert area(2, 3) == 6
def test_the_longest(): assert longest([1, 4, 2]) == 4
"""


def test_the_mutants_of_a_small_module():
    assert sorted(map(str, mutants(SHAPES))) == sorted(
        [
            "line 4: width < 0  →  not width < 0",
            "line 4: width < 0  →  width <= 0",
            "line 4: 0  →  1",
            "line 4: 0  →  -1",
            'line 5: raise ValueError("a width is at least 0")  →  pass',
            "line 6: return width * height  →  return None",
            "line 6: width * height  →  width / height",
            "line 10: return max(sides) if sides else 0  →  return None",
            "line 10: sides  →  not sides",
            "line 10: 0  →  1",
            "line 10: 0  →  -1",
        ]
    )


def test_a_planted_mutant_changes_its_place_and_nothing_else():
    assert planted(SHAPES, the("width * height  →  width / height")) == SHAPES.replace(
        "width * height", "width / height"
    )


def test_letters_of_several_bytes_move_no_place():
    (one, _) = mutants("σ = 'é', 7\n")
    assert planted("σ = 'é', 7\n", one) == "σ = 'é', 8\n"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(y - target) ** 2", "(y + target) ** 2"),
        ("x * 2", "x * 3"),
        ("a * b + c", "a / b + c"),
        ("f(a - b)", "f(a + b)"),
    ],
)
def test_a_mutant_has_no_parentheses_that_it_does_not_need(right, wrong):
    assert wrong in {planted(right, mutant) for mutant in mutants(right)}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("2 * x**n", "2 / x**n"),
        ("x**n + 1", "x * n + 1"),
        ('name != "np"', 'name == "np"'),
    ],
)
def test_a_mutant_keeps_the_layout_of_what_it_does_not_change(right, wrong):
    assert wrong in {planted(right, mutant) for mutant in mutants(right)}


@pytest.mark.parametrize(("right", "wrong"), [("a / b ** c", "a / (b * c)"), ("a ^ b & c", "a ^ (b | c)")])
def test_a_mutant_keeps_parentheses_without_which_it_means_something_else(right, wrong):
    assert wrong in {planted(right, mutant) for mutant in mutants(right)}


def test_types_are_no_code_and_stay():
    assert mutants("def f(x: int | None = None) -> 'float | None': ...\n") == []


def test_a_mistake_in_a_decorator_has_the_decorators_line():
    (one,) = mutants("@kept(always=True)\ndef f(): ...\n")
    assert str(one) == "line 1: True  →  False"


def the(words: str) -> Mutant:
    """The mutant of SHAPES whose report ends in these words."""
    (one,) = (mutant for mutant in mutants(SHAPES) if str(mutant).endswith(words))
    return one


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Copies:
    """A project of one module and its test, and a copy of it for the mutants."""
    project = tmp_path_factory.mktemp("project")
    (project / "tests").mkdir()
    (project / "shapes.py").write_text(SHAPES, encoding="utf-8")
    (project / "tests" / "test_shapes.py").write_text(TEST, encoding="utf-8")
    shutil.copy(Path(mutate.__file__), project / "tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mutate, "ROOT", project)
        return Copies("shapes.py", [], tmp_path_factory.mktemp("copies"), workers=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "survives"),
    [
        pytest.param("width / height", None, id="a test fails"),
        pytest.param("width <= 0", 1, id="the one test that runs the line passes"),
        pytest.param("pass", 0, id="no test runs the line"),
    ],
)
def test_a_mutant_meets_the_tests_that_run_its_line(copies, words, survives):
    assert copies.survives(the(words)) == survives


@pytest.mark.slow
def test_afterwards_the_copy_is_as_it_was(copies):
    copies.survives(the("width / height"))
    where = copies.free.get()
    copies.free.put(where)
    assert (where / "shapes.py").read_text(encoding="utf-8") == SHAPES
