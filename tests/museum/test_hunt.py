"""A hunt plants one mistake that a test notices, says when it is mended, and tells at the end what it was."""

import re
import shutil
from pathlib import Path

import pytest

from tests.museum import hunt
from tests.museum.hunt import HuntError, Mistake

pytestmark = pytest.mark.slow  # each hunt copies the project and runs tests in the copy


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> tuple[Path, str]:
    """The folder of a hunt that has begun, and what the student is told."""
    folder = tmp_path_factory.mktemp("runs") / "hunt-3"
    return folder, hunt.begin(3, folder)


@pytest.fixture
def folder(begun, tmp_path) -> Path:
    """A hunt of one's own, to mend."""
    return shutil.copytree(begun[0], tmp_path / "hunt")


def files_that_differ(folder: Path) -> list[str]:
    files = [path.relative_to(folder).as_posix() for path in (folder / "scratchnet").rglob("*.py")]
    return [file for file in files if (hunt.ROOT / file).read_bytes() != (folder / file).read_bytes()]


# ---- what is planted


def test_one_file_of_the_heart_differs_from_the_project(begun):
    folder, _ = begun
    assert files_that_differ(folder) == [hunt.mistake_in(folder).module]
    assert hunt.mistake_in(folder).module.removeprefix("scratchnet/") in hunt.HEART


def test_a_test_notices_it(begun):
    assert hunt.mistake_in(begun[0]).caught_by.startswith("tests/test_")


def test_the_student_is_told_where_to_look_and_how_to_go_on(begun):
    folder, told = begun
    for words in (str(folder), "check_gradients", "laws", "--hunt 3 --check", "--hunt 3 --reveal"):
        assert words in told


def test_the_student_is_not_told_what_it_is(begun):
    folder, told = begun
    said = told + "".join(path.name for path in folder.rglob("*"))
    assert hunt.mistake_in(folder).caught_by not in said
    assert hunt.mistake_in(folder).diff().splitlines()[-1].lstrip("+ ") not in said


def test_a_seed_draws_the_same_mistakes_each_time():
    assert hunt.candidates(3) == hunt.candidates(3)


def test_other_seeds_draw_others():
    assert len({hunt.candidates(seed)[0] for seed in range(20)}) > 15


def test_no_question_before_an_error_is_drawn():
    for module, mutant in hunt.candidates(0):
        source = (hunt.ROOT / module).read_text(encoding="utf-8")
        line = source.splitlines()[mutant.lines[-1] - 1]
        assert not re.match(r"\s*raise ", line)


def test_a_hunt_that_is_there_is_left_alone(begun):
    folder, _ = begun
    with pytest.raises(HuntError, match="is there already: go on in it, or delete it"):
        hunt.begin(3, folder)


# ---- what is said of a copy


def test_as_it_was_planted_it_is_not_mended(folder):
    mended, said = hunt.check(folder)
    assert not mended
    assert said.startswith("Not mended yet: tests/test_")


def test_with_the_code_that_was_there_it_is_mended(folder):
    mistake = hunt.mistake_in(folder)
    (folder / mistake.module).write_text(f"# mended\n{mistake.was}", encoding="utf-8")
    assert hunt.check(folder) == (True, "Mended: the code is what it was before.")


def test_in_words_of_ones_own_it_is_mended_if_the_tests_pass(folder):
    mistake = hunt.mistake_in(folder)
    (folder / mistake.module).write_text(f"{mistake.was}\n\nUNUSED = 1\n", encoding="utf-8")
    assert hunt.check(folder) == (True, "Mended, in words of your own: the tests pass.")


def test_code_that_python_cannot_read_is_not_mended(folder):
    (folder / hunt.mistake_in(folder).module).write_text("def (:\n", encoding="utf-8")
    mended, said = hunt.check(folder)
    assert (mended, said) == (False, "Not mended yet: the tests do not run.")


def test_at_the_end_the_line_is_shown_as_it_was_and_as_it_became(folder):
    was = "def f(x):\n    return 2 * x\n"
    mistake = Mistake("scratchnet/f.py", was, was.replace("2 * x", "(2 / x)"), "tests/test_f.py::test_f")
    assert mistake.diff() == "scratchnet/f.py, line 2\n-    return 2 * x\n+    return (2 / x)"
    assert hunt.mistake_in(folder).diff() in hunt.reveal(folder)


def test_a_folder_without_a_hunt_is_told_to_begin_one(tmp_path):
    for ask in (hunt.check, hunt.reveal):
        with pytest.raises(HuntError, match="holds no hunt: begin one"):
            ask(tmp_path)


# ---- the copy


def test_without_a_mistake_models_train_and_the_tests_pass(tmp_path):
    hunt.copy_to(tmp_path / "copy")
    assert hunt.failing(tmp_path / "copy", hunt.TRAINS) == ""
