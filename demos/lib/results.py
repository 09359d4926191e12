"""Results with their units: tables of them, and whether they are as good as they should be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PIXEL = "squared error/pixel"  # of pixels in [0, 1]


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
        return f"No published number has these settings{what}, so there is no verdict."
    gap = number.value - number.published
    apart = f"{abs(gap):.{number.digits}f} {number.unit}"
    if abs(gap) <= spread:
        return f"Good: {apart} from the published {number.published}, within the spread of seeds."
    better = "Better than" if (gap < 0) == lower else "Not good: worse than"
    return f"{better} the published {number.published} by {apart}, beyond the spread of seeds."


def reached(number: Number, spread: float, changed: list[str], *, epochs: int, published: int) -> str:
    """As `verdict` for an error, where the published training had `published` epochs, and this one perhaps fewer."""
    if epochs >= published or changed or number.published is None:
        return verdict(number, spread, changed + ["epochs"] * (epochs > published), lower=True)
    apart = f"{number.value:.{number.digits}f} {number.unit} after {epochs} of {published} epochs"
    if number.value <= number.published + spread:
        return f"Good: {apart}, and the published {number.published} is reached, within the spread of seeds."
    return f"Not there yet: {apart}; the published {number.published} took all of them (--epochs {published})."


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
