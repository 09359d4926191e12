"""What every demo shares: its options, the data, its folder of results, and how it ends."""

import argparse
import itertools
import json
import math
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import scratchnet as sn
from scratchnet import plots
from scratchnet.training import console
from scratchnet.training.storage import write_whole
from scratchnet.training.supervision import Bar

QUICK_EPOCHS, QUICK_TRAIN, QUICK_TEST = 3, 6_000, 1_000
PIXEL = "squared error/pixel"  # of pixels in [0, 1]


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
    quick = f"{QUICK_EPOCHS} epochs on {quick_train:,} images, in seconds, to see that all works"
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


@dataclass(frozen=True)
class Number:
    """A result with its unit; its standard error, what was published, what a formula gives, if there is such."""

    value: float
    unit: str
    error: float | None = None
    published: float | None = None
    digits: int = 2
    exact: float | None = None


def table(results: dict[str, Number]) -> str:
    """The results under each other, beside what they should be."""
    numbers = results.values()
    beside = [name for name in ("exact", "published") if any(getattr(number, name) is not None for number in numbers)]
    width = max(26, *map(len, results))
    lines = [f"{'':{width}}{'this run':>12}{'':12}" + "".join(f"{name:>14}" for name in beside)]
    for name, number in results.items():
        value = f"{number.value:.{number.digits}f}"
        error = "" if number.error is None else f" ± {number.error:.{number.digits}f}"
        exact = "" if number.exact is None else f"{number.exact:.{number.digits}f}"
        published = "" if number.published is None else f"{number.published:g}"
        others = [{"exact": exact, "published": published}[name] for name in beside]
        lines.append(f"{name:{width}}{value:>12}{error:12}{''.join(f'{other:>14}' for other in others)}  {number.unit}")
    return "\n".join(lines)


def tables(groups: dict[str, dict[str, Number]]) -> str:
    """Tables one after the other, each below the sentence that says what to see in it."""
    return "\n\n".join(f"{sentence}\n{table(numbers)}" for sentence, numbers in groups.items() if numbers)


def ungrouped(groups: dict[str, dict[str, Number]]) -> dict[str, Number]:
    """The numbers of all tables by name."""
    return {name: number for numbers in groups.values() for name, number in numbers.items()}


def columns(results: dict[str, Number], names: Sequence[str], sentence: str) -> str:
    """A sentence, and below it a column for each of the names: of the results those called "NAME: QUANTITY"."""
    found = {name: name.split(": ", 1) for name in results if ": " in name}
    quantities = dict.fromkeys(quantity for name, quantity in found.values() if name in names)
    wide, lines = max(map(len, quantities), default=0), [sentence]
    lines.append(" " * (wide + 2) + "".join(f"{name:>17}" for name in names))
    for quantity in quantities:
        numbers = [results.get(f"{name}: {quantity}") for name in names]
        cells = ["–" if n is None else f"{round(n.value, n.digits) + 0:.{n.digits}f}" for n in numbers]
        unit = next(number.unit for number in numbers if number)
        lines.append(f"  {quantity:{wide}}" + "".join(f"{cell:>17}" for cell in cells) + f"  {unit}")
    return "\n".join(lines)


def verdict(number: Number, spread: float, changed: list[str], *, lower: bool = False) -> str:
    """Whether a number that should be high, or `lower`, is as good as the published one, as a sentence.

    `spread` is how far one seed's result may lie from another's; `changed` names the settings that are not those of the
    published run.
    """
    if changed or number.published is None:
        what = f" (changed: {', '.join(changed)})" if changed else ""
        return f"No published number has these settings{what}, so good or bad is not said."
    gap = number.value - number.published
    apart = f"{abs(gap):.{number.digits}f} {number.unit}"
    if abs(gap) <= spread:
        return f"Good: {apart} from the published {number.published}, no more than seeds differ."
    better = "Better than" if (gap < 0) == lower else "Not good: worse than"
    return f"{better} the published {number.published} by {apart}, more than seeds differ."


def reached(number: Number, spread: float, changed: list[str], *, epochs: int, published: int) -> str:
    """As `verdict` for an error, where the published training had `published` epochs, and this one perhaps fewer."""
    if epochs >= published or changed or number.published is None:
        return verdict(number, spread, changed + ["epochs"] * (epochs > published), lower=True)
    apart = f"{number.value:.{number.digits}f} {number.unit} after {epochs} of {published} epochs"
    if number.value <= number.published + spread:
        return f"Good: {apart}, and the published {number.published} is reached, to what seeds differ by."
    return f"Not there yet: {apart}; the published {number.published} took all of them (--epochs {published})."


def say_if_changed(changed: list[str], so: str = "") -> None:
    """Print which of a demo's settings were changed, if any, and what follows."""
    if changed:
        print(f"These are not the demo's settings (changed: {', '.join(changed)}){so}.")


def say_if_interrupted(history: sn.History, epochs: int) -> None:
    """Print in which of the epochs the training was interrupted, if it was."""
    if history.interrupted:
        epoch = min(len(history.epochs) + 1, epochs)
        print(f"Interrupted in epoch {epoch}: what follows is what was reached.")


def squared_error(images: np.ndarray, x: np.ndarray) -> float:
    """Per pixel."""
    return np.mean((images - x) ** 2).item()


def epoch_line(record: dict[str, float], epochs: int, x: np.ndarray, pytorch: Sequence[float]) -> str:
    """One epoch's errors on test and training images, beside PyTorch's where it was measured."""
    epoch, test, training = int(record["epoch"]), record["val_loss"] / x.shape[1], record["loss"] / x.shape[1]
    beside = f" (PyTorch {pytorch[epoch - 1]:g})" if epoch <= len(pytorch) else ""
    speed = f"{len(x) / record['seconds']:,.0f} images/s"
    return f"epoch {epoch:>2}/{epochs}  test {test:.5f}{beside}, training {training:.5f} {PIXEL}   {speed}"


def agreement(results: dict[str, Number], most: float = 4.0) -> str:
    """Whether the numbers that have a standard error lie where formulas say, as a sentence."""
    off = {
        name: abs(number.value - number.exact) / number.error
        for name, number in results.items()
        if number.exact is not None and number.error is not None
    }
    worst = max(off, key=lambda name: off[name])
    if off[worst] <= most:
        return f"Good: {len(off)} simulations agree with their formulas, within {off[worst]:.1f} standard errors."
    return f"Not good: {worst} is {off[worst]:.1f} standard errors from its formula, more than chance explains."


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖aᵢ − bⱼ‖² of rows a (N, D) and b (M, D): (N, M)."""
    of_a, of_b = (np.einsum("nd,nd->n", x, x) for x in (a, b))  # no array of squares, which may be large
    distances = (-2 * a) @ b.T
    distances += of_a[:, None]
    distances += of_b
    return distances


def nearest(images: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each of the images (N, D) the Euclidean distance to the nearest row of x, and which one that is: (N,) each."""
    found, where = np.full(len(images), np.inf), np.zeros(len(images), int)
    for start in range(0, len(x), ROWS):
        squared = squared_distances(images, x[start : start + ROWS])
        closest = squared.argmin(axis=1)
        least = squared[np.arange(len(images)), closest]
        nearer = least < found
        found[nearer], where[nearer] = least[nearer], start + closest[nearer]
    return np.sqrt(np.maximum(found, 0)), where  # rounding can bring a zero below zero


def principal_components(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,), and the directions by falling variance, columns of (D, D)."""
    mean = x.mean(axis=0)
    _, components = np.linalg.eigh((x - mean).T @ (x - mean))
    return mean, components[:, ::-1]


def projected(x: np.ndarray, mean: np.ndarray, V: np.ndarray) -> np.ndarray:
    """What the orthonormal columns of V (D, L), about the mean, keep of x (N, D)."""
    return (x - mean) @ V @ V.T + mean


def first_of_each(labels: np.ndarray) -> np.ndarray:
    """The index of the first image of each digit."""
    return np.array([np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)])


def perceptron(*widths: int, rng: np.random.Generator) -> sn.Sequential:
    """Dense layers of these widths, from the first to the last, with ReLU between them."""
    layers: list[sn.Layer] = []
    for a, b in itertools.pairwise(widths):
        layers += [sn.Dense(a, b, rng=rng), sn.ReLU()]
    return sn.Sequential(*layers[:-1])


def conv_encoder(D: int, C: int, n_out: int, *, rng: np.random.Generator) -> sn.Sequential:
    """Rows of D pixels through two convolutions that halve the image, into C and 2C channels, to n_out numbers."""
    side = math.isqrt(D) // 4
    return sn.Sequential(
        sn.Reshape((1, 4 * side, 4 * side)),
        sn.Conv2D(1, C, 4, stride=2, padding=1, rng=rng),
        sn.ReLU(),
        sn.Conv2D(C, 2 * C, 4, stride=2, padding=1, rng=rng),
        sn.ReLU(),
        sn.Flatten(),
        sn.Dense(2 * C * side**2, n_out, rng=rng),
    )


def conv_decoder(n_in: int, C: int, D: int, *, rng: np.random.Generator) -> sn.Sequential:
    """The mirror of `conv_encoder`: n_in numbers through two transposed convolutions to rows of D pixels."""
    side = math.isqrt(D) // 4
    return sn.Sequential(
        sn.Dense(n_in, 2 * C * side**2, rng=rng),
        sn.Reshape((2 * C, side, side)),
        sn.ConvTranspose2D(2 * C, C, 4, stride=2, padding=1, rng=rng),
        sn.ReLU(),
        sn.ConvTranspose2D(C, 1, 4, stride=2, padding=1, rng=rng),
        sn.Flatten(),
    )


ROWS = 1000
"""How many images at a time go through a network whose layers on all of them would fill the memory."""


def chunks(x: np.ndarray, rows: int = ROWS) -> Iterator[np.ndarray]:
    """x in pieces."""
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


def in_parts(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """function(x) for a function of rows, a chunk at a time."""
    found = None
    for start in range(0, len(x), ROWS):
        part = function(x[start : start + ROWS])
        if found is None:
            found = np.empty((len(x), *part.shape[1:]), part.dtype)
        found[start : start + ROWS] = part
    return function(x) if found is None else found


class Line(sn.Callback):
    """Prints a line of the demo's own after each epoch."""

    def __init__(self, line: Callable[[dict[str, float]], str]):
        self.line = line

    def after_epoch(self, run: Any) -> None:  # noqa: D102
        print(self.line(run.record))


def watched(*callbacks: sn.Callback) -> dict[str, Any]:
    """For `sn.fit`: its bar, and in place of its line an epoch these callbacks."""
    return {"progress": False, "callbacks": [Bar(), *callbacks]}


def started_for_relu(*layers: sn.Layer) -> sn.Sequential:
    """The layers in a row; weights before a ReLU start √6 times as wide, of variance 2/n_in and not 1/(3 n_in).

    ReLU drops half of a signal's mean square. With this start it keeps its size (He et al. 2015).
    """
    for layer, bend in itertools.pairwise(layers):
        if isinstance(layer, sn.Dense | sn.Conv2D | sn.ConvTranspose2D) and isinstance(bend, sn.ReLU):
            layer.W *= math.sqrt(6)
    return sn.Sequential(*layers)


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
        if former.get("finished"):
            print(f"The run in {out} is finished, and nothing was changed. To begin anew, leave out --resume.")
            sys.exit()
        if former["demo"] != self.name:
            raise sn.DataError(f"{out} holds a run of {former['demo']}.py: give this one another --out.")
        there, here = former["arguments"], _as_json(self.arguments)
        names = [name for name in here if name not in ("out", "resume", "epochs") and there.get(name) != here[name]]
        if names:  # how many epochs there may be, fit decides
            differences = ", ".join(f"{name} {there.get(name)} and not {here[name]}" for name in names)
            raise sn.DataError(
                f"{out} holds a run with {differences}: give --resume the same options, or leave it out to begin anew."
            )

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
