"""Run demos/autoencoder_mnist.py and demos/compressing.py; keep the numbers that chapter 07 quotes (seven minutes)."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
DEMOS = {"autoencoder_mnist": ["--deep-epochs", "10"], "compressing": []}  # and what they are asked for
FIGURES, COLOURS = ("parts", "losses"), 64


def main() -> None:
    """Write autoencoders.json, and two figures."""
    for name, options in DEMOS.items():
        demo = HERE.parent.parent / "demos" / f"{name}.py"
        subprocess.run([sys.executable, str(demo), *options, "--out", str(Path("runs") / name)], check=True)
    keep(Path("runs"))


def keep(runs: Path) -> None:
    """The settings and results of the runs that lie in the folder `runs`."""
    found = {}
    for name in DEMOS:
        metrics = json.loads((runs / name / "metrics.json").read_text(encoding="utf-8"))
        arguments = {one: value for one, value in metrics["arguments"].items() if one not in ("out", "data")}
        found[name] = {"arguments": arguments, "results": metrics["results"]}
    for name in FIGURES:
        with Image.open(runs / "autoencoder_mnist" / f"{name}.png") as figure:
            figure.convert("RGB").quantize(COLOURS).save(HERE / f"autoencoder_{name}.png", optimize=True)
    with write_whole(HERE / "autoencoders.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
