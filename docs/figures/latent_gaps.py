"""Run the demo of the gaps between codes; keep its figures and its numbers for chapter 10 (three minutes)."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from scratchnet.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
FIGURES = {"codes": "gaps_codes", "planes": "gaps_planes", "walks": "gaps_walks"}  # the demo's name, and the one here


def main() -> None:
    """Copy the demo's figures beside this file, and write its results to latent_gaps.json."""
    out = Path("runs") / "latent_gaps_for_the_docs"
    demo = HERE.parent.parent / "demos" / "latent_gaps.py"
    subprocess.run([sys.executable, str(demo), "--seed", str(SEED), "--out", str(out)], check=True)
    keep(out)


def keep(out: Path) -> None:
    """Take what the chapter shows from the folder of a run."""
    for there, here in FIGURES.items():
        with Image.open(out / f"{there}.png") as figure:
            figure.convert("RGB").quantize(256).save(HERE / f"{here}.png", optimize=True)  # a third of the bytes
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    found = {"seed": SEED, "results": metrics["results"]}
    with write_whole(HERE / "latent_gaps.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
