"""Run the demo of the gaps between codes; keep its figures and its numbers for chapter 10 (three minutes)."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
FIGURES = {"codes": 256, "planes": 32, "walks": 32}  # and how many colours each needs


def main() -> None:
    """Copy the demo's figures beside this file, and write its results to latent_gaps.json."""
    out = Path("runs") / "latent_gaps_for_the_docs"
    demo = HERE.parent.parent / "demos" / "latent_gaps.py"
    subprocess.run([sys.executable, str(demo), "--seed", str(SEED), "--out", str(out)], check=True)
    keep(out)


def keep(out: Path) -> None:
    """Take what the chapter shows from the folder of a run."""
    for name, colours in FIGURES.items():
        with Image.open(out / f"{name}.png") as figure:
            figure.convert("RGB").quantize(colours).save(
                HERE / f"gaps_{name}.png", optimize=True
            )  # a third of the bytes
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    found = {"seed": SEED, "results": metrics["results"]}
    with write_whole(HERE / "latent_gaps.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
