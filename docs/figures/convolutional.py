"""Run the demos of convolutional networks; write the numbers that chapters 06 and 09 quote (eight minutes)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
DEMOS = HERE.parent.parent / "demos"
RUNS = Path("runs")
# by name: the arguments of a run, and where its results lie
JOBS = {
    "udacity": (["conv_autoencoder_mnist", "--epochs", "30"], RUNS / "conv_autoencoder_mnist"),
    "dl4g": (["conv_autoencoder_mnist", "--network", "dl4g"], RUNS / "conv_autoencoder_mnist" / "dl4g"),
    "denoising": (["denoising_mnist"], RUNS / "denoising_mnist"),
    "super-resolution": (
        ["denoising_mnist", "--corruption", "downsample", "--epochs", "2", "--out", str(RUNS / "super_resolution")],
        RUNS / "super_resolution",
    ),
}


def collect() -> None:
    """Write three figures and convolutional.json from the results of all runs."""
    found = {}
    for name, (_, out) in JOBS.items():
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        epochs = [
            record for record in metrics["history"]["epochs"] if record.get("network", name) in (name, "convolutional")
        ]
        found[name] = {
            "seed": metrics["seed"],
            "results": {result: number["value"] for result, number in metrics["results"].items()},
            "test error by epoch, squared error/pixel": [record["val_loss"] / 784 for record in epochs],
        }
    shutil.copyfile(JOBS["dl4g"][1] / "draws.png", HERE / "conv_draws.png")
    shutil.copyfile(JOBS["denoising"][1] / "levels.png", HERE / "denoising_levels.png")
    shutil.copyfile(JOBS["super-resolution"][1] / "super_resolution.png", HERE / "super_resolution.png")
    with write_whole(HERE / "convolutional.json") as file:
        file.write(json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")


def main() -> None:
    """Run all, one after the other."""
    for (demo, *options), _ in JOBS.values():
        subprocess.run([sys.executable, str(DEMOS / f"{demo}.py"), *options], check=True)
    collect()


if __name__ == "__main__":
    main()
