"""What every demo shares: its options, the data, its folder of results, and how it ends."""

import argparse
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import scratchnet as sn
from lib.results import Number
from scratchnet import plots
from scratchnet.training import console
from scratchnet.training.storage import write_whole
from scratchnet.training.supervision import Bar

QUICK_EPOCHS, QUICK_TRAIN, QUICK_TEST = 3, 6_000, 1_000


def options(
    name: str,
    description: str | None,
    *,
    epochs: int,
    batch_size: int,
    digits: bool = True,
    resumes: bool = True,
    quick_train: int = QUICK_TRAIN,
) -> argparse.ArgumentParser:
    """A parser with the options that all demos have that train, on digits or on other data."""
    quick = f"{QUICK_EPOCHS} epochs on {quick_train:,} images, in seconds, to see that everything works"
    parser = plain_options(name, description, quick=quick)
    parser.add_argument("--epochs", type=whole_number, default=epochs, help="times through the training images")
    parser.add_argument("--batch-size", type=whole_number, default=batch_size, help="images in a step")
    if resumes:
        parser.add_argument(
            "--resume",
            action="store_true",
            help="go on with the interrupted run in --out",
        )
    if digits:
        parser.add_argument("--data", type=Path, help="folder of MNIST-like idx files, in place of the shipped MNIST")
    return parser


def plain_options(name: str, description: str | None, *, quick: str) -> argparse.ArgumentParser:
    """A parser with the options that all demos have; `quick` is what --quick does."""
    parser = argparse.ArgumentParser(
        prog=f"{name}.py", description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs") / name,
        help="folder for the results of one run",
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def whole_number(text: str) -> int:
    """An option's value that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def changed_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace, *names: str) -> list[str]:
    """Which of these options have another value than their default."""
    return [name for name in names if getattr(arguments, name) != parser.get_default(name)]


def say_if_changed(changed: list[str], so: str = "") -> None:
    """Print which of a demo's settings were changed, if any, and what follows."""
    if changed:
        print(f"These are not the demo's settings (changed: {', '.join(changed)}){so}.")


def say_if_interrupted(history: sn.History, epochs: int) -> None:
    """Print in which of the epochs the training was interrupted, if it was."""
    if history.interrupted:
        epoch = min(len(history.epochs) + 1, epochs)
        print(f"Interrupted in epoch {epoch}: what follows is what was reached.")


class Line(sn.Callback):
    """Prints a line of the demo's own after each epoch."""

    def __init__(self, line: Callable[[dict[str, float]], str]):
        self.line = line

    def after_epoch(self, run: Any) -> None:  # noqa: D102
        print(self.line(run.record))


def watched(*callbacks: sn.Callback) -> dict[str, Any]:
    """For `sn.fit`: its bar, and in place of its line an epoch these callbacks."""
    return {"progress": False, "callbacks": [Bar(), *callbacks]}


class Run:
    """One run of a demo: its arguments, the folder that it fills, and what it found."""

    def __init__(self, name: str, arguments: argparse.Namespace, quick_train: int = QUICK_TRAIN):
        self.name, self.arguments, self.quick_train = name, arguments, quick_train
        if arguments.quick and "epochs" in arguments:
            arguments.epochs = min(arguments.epochs, QUICK_EPOCHS)
        self.files: list[Path] = []
        self._checkpoints: list[Path] = []
        self._start = time.perf_counter()
        arguments.out.mkdir(parents=True, exist_ok=True)
        self._former, self._begun = _run_in(arguments.out), False
        if vars(arguments).get("resume") and self._former:
            self._check_former()

    def _check_former(self) -> None:
        """The run in the folder is one that --resume can go on with: this one, and not finished."""
        out, former = self.arguments.out, self._former
        if former["demo"] != self.name:
            raise sn.DataError(f"{out} holds a run of {former['demo']}.py: give this one another --out.")
        there, here = former["arguments"], _as_json(self.arguments)
        names = [name for name in here if name not in ("out", "resume", "epochs") and there.get(name) != here[name]]
        if names:  # how many epochs there may be, fit decides
            differences = ", ".join(f"{name} {there.get(name)} and not {here[name]}" for name in names)
            raise sn.DataError(
                f"{out} holds a run with {differences}: give --resume the same options, or leave it out to begin anew."
            )
        if former.get("finished"):
            print(f"The run in {out} is finished, and nothing was changed. To begin anew, leave out --resume.")
            sys.exit()

    def _begin(self, name: str) -> Path:
        """The path of a file that this run writes; the folder is this run's from its first file on."""
        if not self._begun:
            self._begun = True
            if not vars(self.arguments).get("resume"):
                _remove_files(self.arguments.out, self._former)
                self._former = {}
            self._former |= {"demo": self.name, "arguments": _as_json(self.arguments)}
        path = self.arguments.out / name
        names = self._former.setdefault("files", ["metrics.json"])
        if name not in names:  # on disk before the file itself is, so that whatever ends the run, the next one knows it
            names.append(name)
            _write_json(self.arguments.out / "metrics.json", self._former)
        return path

    def images(self, split: str):
        """The images and labels of "train" or "test", a small part of them with --quick."""
        images, labels = sn.data.load_idx(self.arguments.data, split) if self.arguments.data else sn.data.mnist(split)
        count = {"train": self.quick_train, "test": QUICK_TEST}[split] if self.arguments.quick else len(images)
        return images[:count], labels[:count]

    def path(self, name: str) -> Path:
        """Where the file `name` of this run goes; it is listed at the end."""
        self.files.append(self._begin(name))
        return self.files[-1]

    def checkpoint(self, *network: str | int) -> Path:
        """The file in which a network's training is saved until the run is finished, for --resume to go on from."""
        path = self._begin(f"{re.sub(r'[^A-Za-z0-9]+', '-', ' '.join(map(str, ('checkpoint', *network))))}.npz")
        if not self.arguments.resume:
            path.unlink(missing_ok=True)
        self._checkpoints.append(path)
        return path

    def figure(self, name: str, figure: Figure) -> None:
        """Write a figure."""
        plots.save_figure(self.path(name), figure)

    def finish(self, results: dict[str, Number], history: sn.History | None = None) -> None:
        """Write metrics.json, and say which files to open; `history` is that of the training, if there was one."""
        interrupted = history is not None and history.interrupted
        path = self.path("metrics.json")
        kept = self.files + (self._checkpoints if interrupted else [])
        gone = [name for name in self._former["files"] if self.arguments.out / name not in kept]
        metrics = {
            "demo": self.name,
            "version": sn.__version__,
            "finished": not interrupted,
            "files": [path.name for path in kept],
            "arguments": _as_json(self.arguments),
            "seed": self.arguments.seed,
            "seconds": round(time.perf_counter() - self._start, 2),
            "results": {name: asdict(number) for name, number in results.items()},
        }
        if history is not None:
            metrics["interrupted"] = history.interrupted
            metrics["history"] = {"unit": history.unit, "epochs": history.epochs}
        _write_json(path, metrics)
        _remove_files(self.arguments.out, {"files": gone})  # checkpoints, and what an interrupted run alone had drawn
        print(f"\n{metrics['seconds']:.0f} s. Open:")
        for path in self.files:
            print(f"  {path}")
        if self._checkpoints and interrupted:
            again = [argument for argument in sys.argv if argument != "--resume"]
            print(f"To go on where it stopped: {command([*again, '--resume'], windows=os.name == 'nt')}")


def command(arguments: list[str], *, windows: bool) -> str:
    """What runs Python with these arguments: for a Unix shell, or for both cmd.exe and PowerShell."""
    if not windows:
        return f"python {shlex.join(arguments)}"
    if any(not one or re.search(r'["“”„$%!`\n]|\\$', one) for one in arguments):
        return "the same command with --resume"  # these are quoted in another way in each of the two
    return " ".join(["python", *(one if re.fullmatch(r"[\w./\\:=+-]+", one) else f'"{one}"' for one in arguments)])


def _as_json(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: str(one) if isinstance(one, Path) else one for name, one in vars(arguments).items()}


def _run_in(folder: Path) -> dict[str, Any]:
    """What metrics.json says of the run whose files lie in the folder; nothing, if no demo wrote it."""
    try:
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return found if isinstance(found["demo"], str) and isinstance(found["arguments"], dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _remove_files(folder: Path, run: dict[str, Any]) -> None:
    """Remove what the run wrote into the folder; a name that leads out of it is none that a demo wrote."""
    for name in run.get("files", []):
        path = folder / str(name)
        if path.name == name and (path.is_file() or path.is_symlink()):
            path.unlink()


def _write_json(path: Path, metrics: dict[str, Any]) -> None:
    with write_whole(path) as file:
        file.write(json.dumps(metrics, indent=2, allow_nan=False).encode() + b"\n")


def run(main: Callable[[], None]) -> None:
    """Call `main`; what goes wrong ends in one sentence, Ctrl-C in none."""
    for stream in (sys.stdout, sys.stderr):  # from now on, `print` spells the letters that they lack: β becomes beta
        if hasattr(stream, "reconfigure"):  # not None, nor the streams of some notebooks and editors
            stream.reconfigure(errors=console.SPELT)  # type: ignore[union-attr]
    try:
        main()
    except (sn.DataError, sn.ShapeError, sn.DivergenceError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
