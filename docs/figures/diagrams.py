"""Draw the diagrams of the docs, each as an SVG beside this file (two seconds), and print their number."""

from collections.abc import Callable
from pathlib import Path

import diagrams_autoencoders
import diagrams_basics
import diagrams_chapters
import diagrams_convolution
import diagrams_descent
import diagrams_machines
import diagrams_networks
import diagrams_vae
from sketch import Sketch

HERE = Path(__file__).parent
GROUPS = (
    diagrams_basics,
    diagrams_networks,
    diagrams_descent,
    diagrams_convolution,
    diagrams_autoencoders,
    diagrams_vae,
    diagrams_chapters,
    diagrams_machines,
)
DIAGRAMS: dict[str, Callable[[], Sketch]] = {draw.__name__: draw for group in GROUPS for draw in group.ALL}


def main() -> None:
    """Write each diagram under the name of its function."""
    for name, draw in DIAGRAMS.items():
        (HERE / f"{name}.svg").write_text(draw().svg(), encoding="utf-8", newline="\n")
    print(f"{len(DIAGRAMS)} diagrams")


if __name__ == "__main__":
    main()
