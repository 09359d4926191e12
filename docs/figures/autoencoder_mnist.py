"""Run demos/autoencoder_mnist.py and keep the numbers that chapter 07 quotes (three minutes)."""

import json
import subprocess
import sys
from pathlib import Path

from scratchnet.storage import write_whole

HERE = Path(__file__).parent


def main() -> None:
    """Write autoencoder_mnist.json."""
    out = Path("runs") / "autoencoder_mnist"
    demo = HERE.parent.parent / "demos" / "autoencoder_mnist.py"
    subprocess.run([sys.executable, str(demo), "--out", str(out)], check=True)
    keep(out)


def keep(out: Path) -> None:
    """The settings and results of the run that lies in `out`."""
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    arguments = {name: metrics["arguments"][name] for name in ("epochs", "batch_size", "deep_epochs", "seed")}
    with write_whole(HERE / "autoencoder_mnist.json") as file:
        file.write(json.dumps({"arguments": arguments, "results": metrics["results"]}, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
