"""Run the demo of the gaps between codes; keep its figures and its numbers for chapter 10 (five minutes).

The networks with codes of 20 numbers, on which the chapter's claim rests, are trained with three seeds.
"""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)  # of the first, everything is shown
COLOURS = {"draws_20": 64, "walks": 256, "lengths": 64, "circles": 256, "codes": 256, "planes": 32, "draws": 64}
RUNS = Path("runs") / "latent_gaps_for_the_docs"


def main() -> None:
    """Copy the demo's figures beside this file, and write its results to latent_gaps.json."""
    demo = HERE.parent.parent / "demos" / "latent_gaps.py"
    for seed in SEEDS:
        options = ["--seed", str(seed), "--out", str(RUNS / str(seed)), *["--twenty"] * (seed != SEEDS[0])]
        subprocess.run([sys.executable, str(demo), *options], check=True)
    keep(RUNS)


def keep(runs: Path) -> None:
    """Take what the chapter shows from the folders of the runs, one for each seed."""
    for name, colours in COLOURS.items():
        with Image.open(runs / str(SEEDS[0]) / f"{name}.png") as figure:
            figure.convert("RGB").quantize(colours).save(
                HERE / f"gaps_{name}.png", optimize=True
            )  # a third of the bytes
    results = {
        seed: json.loads((runs / str(seed) / "metrics.json").read_text(encoding="utf-8"))["results"] for seed in SEEDS
    }
    by_seed = {
        seed: {name: one["value"] for name, one in found.items() if ", 20: " in name or name.startswith("fade")}
        for seed, found in results.items()
    }
    found = {"seed": SEEDS[0], "results": results[SEEDS[0]], "20 numbers, by seed": by_seed}
    with write_whole(HERE / "latent_gaps.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
