"""Run the demo of probability; keep its figures and its numbers for chapters 01 and 02 (ten seconds)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0


def main() -> None:
    """Copy the demo's figures beside this file, and write its results to probability.json."""
    out = Path("runs") / "probability_for_the_docs"
    demo = HERE.parent.parent / "demos" / "probability.py"
    subprocess.run([sys.executable, str(demo), "--seed", str(SEED), "--out", str(out)], check=True)
    for figure in out.glob("*.png"):
        shutil.copyfile(figure, HERE / figure.name)
    found = {"seed": SEED, "results": json.loads((out / "metrics.json").read_text(encoding="utf-8"))["results"]}
    with write_whole(HERE / "probability.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
