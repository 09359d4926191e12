"""Run demos/autoencoder_mnist.py and demos/compressing.py; keep the numbers that chapter 07 quotes (seven minutes)."""

import json
import subprocess
import sys
from pathlib import Path

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
DEMOS = ("autoencoder_mnist", "compressing")


def main() -> None:
    """Write autoencoders.json."""
    for name in DEMOS:
        demo = HERE.parent.parent / "demos" / f"{name}.py"
        subprocess.run([sys.executable, str(demo), "--out", str(Path("runs") / name)], check=True)
    keep(Path("runs"))


def keep(runs: Path) -> None:
    """The settings and results of the runs that lie in the folder `runs`."""
    found = {}
    for name in DEMOS:
        metrics = json.loads((runs / name / "metrics.json").read_text(encoding="utf-8"))
        arguments = {one: value for one, value in metrics["arguments"].items() if one not in ("out", "data")}
        found[name] = {"arguments": arguments, "results": metrics["results"]}
    with write_whole(HERE / "autoencoders.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
