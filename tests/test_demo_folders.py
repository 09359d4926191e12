"""A demo's folder holds the files of one run, and --resume goes on with that run or says why not."""

import argparse
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scratchnet as sn
from tests.demo_runs import ROOT, few_digits, run

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "demos")
    COMMON = runpy.run_path(str(ROOT / "demos" / "lib" / "common.py"))
OPTIONS = {"seed": 0, "quick": False, "epochs": 3, "batch_size": 128, "data": None, "resume": False}
CHECKPOINT, METRICS = "checkpoint.npz", "metrics.json"


def begin(out: Path, name: str = "demo", **options: Any) -> Any:
    return COMMON["Run"](name, argparse.Namespace(**OPTIONS | options, out=out))


def write(run: Any, *names: str) -> None:
    for name in names:
        run.path(name).write_bytes(b"")


def finish(run: Any, interrupted: bool = False) -> None:
    run.finish({}, sn.History(interrupted=interrupted))


def finished(out: Path, *names: str, **options: Any) -> None:
    run = begin(out, **options)
    write(run, *names)
    finish(run)


def interrupted(out: Path, *names: str, **options: Any) -> None:
    run = begin(out, **options)
    run.checkpoint().write_bytes(b"")
    write(run, *names)
    finish(run, interrupted=True)


def killed(out: Path, *names: str, **options: Any) -> None:
    run = begin(out, **options)
    run.checkpoint().write_bytes(b"")
    write(run, *names)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- the files of one run


@pytest.mark.parametrize("former", [finished, interrupted, killed])
def test_a_new_run_removes_the_files_of_the_former_one(tmp_path, former):
    former(tmp_path, "old.png", "both.png")
    finished(tmp_path, "new.png", "both.png")
    assert names_in(tmp_path) == {"new.png", "both.png", METRICS}


@pytest.mark.parametrize("former", [finished, interrupted, killed])
def test_a_run_of_another_demo_removes_them_too(tmp_path, former):
    former(tmp_path, "old.png", name="another")
    finished(tmp_path, "new.png")
    assert names_in(tmp_path) == {"new.png", METRICS}


def test_a_new_run_removes_what_the_former_one_had_before_it_writes_its_own(tmp_path):
    finished(tmp_path, "old.png")
    begin(tmp_path).path("new.png")
    assert names_in(tmp_path) == {METRICS}


def test_a_file_that_no_run_wrote_stays(tmp_path):
    (tmp_path / "thesis.tex").write_bytes(b"")
    finished(tmp_path, "old.png")
    finished(tmp_path)
    assert names_in(tmp_path) == {"thesis.tex", METRICS}


def test_a_run_that_is_refused_before_its_first_file_leaves_those_of_the_former(tmp_path):
    finished(tmp_path, "old.png")
    before = content(tmp_path)
    with pytest.raises(sn.DataError):
        begin(tmp_path, data=tmp_path / "nowhere").images("train")
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["../outside", "folder/inside", "folder", ".", "..", "", 7, None])
def test_a_list_of_files_that_no_demo_wrote_removes_nothing_else(tmp_path, name):
    out = tmp_path / "out"
    (out / "folder").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"")
    (out / "folder" / "inside").write_bytes(b"")
    (out / METRICS).write_text(json.dumps({"demo": "demo", "arguments": {}, "files": [name]}), "utf-8")
    finished(out)
    assert (tmp_path / "outside").exists()
    assert (out / "folder" / "inside").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "null", "{}", '{"files": ["mine.png"]}', '{"demo": 7, "arguments": 7}']
)
def test_a_metrics_json_that_no_demo_wrote_lists_nothing(tmp_path, text):
    (tmp_path / METRICS).write_text(text, "utf-8")
    (tmp_path / "mine.png").write_bytes(b"")
    finished(tmp_path)
    assert names_in(tmp_path) == {"mine.png", METRICS}


def test_metrics_json_lists_the_files_of_the_run_and_itself(tmp_path):
    finished(tmp_path, "a.png", "b.npz")
    metrics = json.loads((tmp_path / METRICS).read_text("utf-8"))
    assert (metrics["files"], metrics["finished"]) == (["a.png", "b.npz", METRICS], True)


def test_a_finished_run_leaves_no_checkpoint(tmp_path):
    run = begin(tmp_path)
    run.checkpoint("a", 1).write_bytes(b"")
    finish(run)
    assert names_in(tmp_path) == {METRICS}


# ---- --resume


@pytest.mark.parametrize("former", [interrupted, killed])
def test_a_run_that_stopped_is_gone_on_with_and_its_files_are_those_of_the_end(tmp_path, former):
    former(tmp_path, "half.png", "both.png")
    run = begin(tmp_path, resume=True)
    assert run.checkpoint().exists()
    write(run, "both.png", "whole.png")
    finish(run)
    assert names_in(tmp_path) == {"both.png", "whole.png", METRICS}


def test_until_its_end_a_resumed_run_keeps_what_the_interrupted_one_found(tmp_path):
    interrupted(tmp_path, "half.png")
    begin(tmp_path, resume=True).path("whole.png")
    metrics = json.loads((tmp_path / METRICS).read_text("utf-8"))
    assert metrics["interrupted"] is True
    assert metrics["files"] == ["half.png", METRICS, CHECKPOINT, "whole.png"]


@pytest.mark.parametrize("former", [interrupted, killed, finished])
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1}, "seed 0 and not 1"),
        ({"quick": True}, "quick False and not True"),
        ({"batch_size": 64}, "batch_size 128 and not 64"),
        ({"data": Path("digits")}, "data None and not digits"),
        ({"beta": 2.0}, "beta None and not 2.0"),
        ({"seed": 1, "batch_size": 64}, "seed 0 and not 1, batch_size 128 and not 64"),
    ],
)
def test_resume_with_other_options_is_refused_and_changes_nothing(tmp_path, former, other, said):
    former(tmp_path, "old.png")
    before = content(tmp_path)
    with pytest.raises(sn.DataError) as refusal:
        begin(tmp_path, resume=True, **other)
    assert f"holds a run with {said}: give --resume the same options" in str(refusal.value)
    assert content(tmp_path) == before


@pytest.mark.parametrize("former", [interrupted, killed, finished])
def test_resume_in_the_folder_of_another_demo_is_refused_and_changes_nothing(tmp_path, former):
    former(tmp_path, "old.png", name="another")
    before = content(tmp_path)
    with pytest.raises(sn.DataError, match=r"holds a run of another\.py: give this one another --out\.$"):
        begin(tmp_path, resume=True)
    assert content(tmp_path) == before


@pytest.mark.parametrize("other", [{}, {"epochs": 9}])
def test_resume_of_a_finished_run_says_so_and_changes_nothing(tmp_path, capsys, other):
    finished(tmp_path, "old.png")
    capsys.readouterr()
    before = content(tmp_path)
    with pytest.raises(SystemExit) as end:
        begin(tmp_path, **{"resume": True} | other)
    assert not end.value.code
    assert f"The run in {tmp_path} is finished, and nothing was changed." in capsys.readouterr().out
    assert content(tmp_path) == before


def test_resume_where_there_is_no_run_begins_one(tmp_path):
    finished(tmp_path, "new.png", resume=True)
    assert names_in(tmp_path) == {"new.png", METRICS}


@pytest.mark.parametrize("demo", sorted((ROOT / "demos").glob("*.py")), ids=lambda file: file.stem)
def test_a_demo_changes_no_option_once_its_run_has_compared_them(demo):
    _, made, rest = demo.read_text(encoding="utf-8").partition(" = Run(")
    assert made or demo.stem in ("benchmark", "data_parallel")
    assert not re.findall(r"arguments\.\w+ =(?!=)", rest)


@pytest.mark.slow
def test_a_real_demo_that_is_finished_is_left_as_it_is(tmp_path):
    out = tmp_path / "out"
    options = ("--quick", "--epochs", "1", "--data", few_digits(tmp_path), "--out", str(out))
    run("vae_mnist", *options)
    before = content(out)
    assert "is finished, and nothing was changed" in run("vae_mnist", *options, "--resume").stdout
    assert content(out) == before


# ---- what is said of how to go on

SPLIT = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.mark.skipif(sys.platform == "win32", reason="asks a Unix shell")
@pytest.mark.parametrize(
    "name", ["plain", "two words", "d'or", 'a "quoted" one', "a$b", "a;b&c|d", "*", "ü", "a\\b", "`a`"]
)
def test_a_unix_shell_reads_the_command_as_it_was_given(name):
    if not name.isascii() and sys.getfilesystemencoding() != "utf-8":
        pytest.skip("no such letters here")
    text = COMMON["command"](["demo.py", "--out", name, "--resume"], windows=False)
    assert text.startswith("python ")
    again = text.replace("python demo.py", f"{shlex.quote(sys.executable)} -c {shlex.quote(SPLIT)}")
    found = subprocess.run(["sh", "-c", again], capture_output=True, encoding="utf-8", check=True).stdout
    assert json.loads(found) == ["--out", name, "--resume"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("runs/vae_mnist", "runs/vae_mnist"),
        ("C:\\runs\\vae", "C:\\runs\\vae"),
        ("my runs", '"my runs"'),
        ("C:\\my runs\\vae", '"C:\\my runs\\vae"'),
        ("d'or", '"d\'or"'),
        ("a&b", '"a&b"'),
        ("a,b", '"a,b"'),
        ("(a)", '"(a)"'),
        ("@a", '"@a"'),
        ("#a", '"#a"'),
        ("a;b", '"a;b"'),
        ("a^b", '"a^b"'),
        ("~", '"~"'),
    ],
)
def test_on_windows_the_command_is_quoted_as_both_cmd_and_powershell_read_it(name, written):
    text = COMMON["command"](["demo.py", "--out", name, "--resume"], windows=True)
    assert text == f"python demo.py --out {written} --resume"


@pytest.mark.parametrize("name", ["100%", "$HOME", "`a`", 'a"b', "a!b", "", "my runs\\", "“a”"])
def test_what_cmd_and_powershell_quote_in_two_ways_is_said_in_words(name):
    assert COMMON["command"](["demo.py", "--out", name, "--resume"], windows=True) == "the same command with --resume"


def test_the_name_of_a_checkpoint_may_come_from_any_networks_name(tmp_path):
    ask: Callable[..., Path] = begin(tmp_path).checkpoint
    assert ask("32, small start", 7).name == "checkpoint-32-small-start-7.npz"
