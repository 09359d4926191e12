"""Run the demo of the page to touch; keep it, a picture of it and its numbers for chapter 10 (two minutes)."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from scratchnet.training.storage import write_whole

HERE = Path(__file__).parent
SEED = 0
WINDOW = (1280, 724)  # pixels: down to the numbers below the planes
VIEW = "#model=vae&beta=1&z=-0.9,-0.4&walk=-2.2,-0.6,2.4,-0.3"
COLOURS = 256


def main() -> None:
    """Write explorer.html, explorer.png and explore_latent.json."""
    out = Path("runs") / "explore_latent_for_the_docs"
    demo = HERE.parent.parent / "demos" / "explore_latent.py"
    subprocess.run([sys.executable, str(demo), "--seed", str(SEED), "--out", str(out)], check=True)
    keep(out)


def keep(out: Path) -> None:
    """Take what the chapter shows from the folder of a run."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        command += ["--hide-scrollbars", f"--window-size={WINDOW[0]},{WINDOW[1]}", "--virtual-time-budget=3000"]
        page = (out / "explorer.html").resolve().as_uri()
        subprocess.run([*command, f"--screenshot={picture}", page + VIEW], check=True)
        with Image.open(picture) as figure:
            figure.convert("RGB").quantize(COLOURS).save(HERE / "explorer.png", optimize=True)
    shutil.copyfile(out / "explorer.html", HERE / "explorer.html")
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    found = {"seed": SEED, "results": metrics["results"]}
    with write_whole(HERE / "explore_latent.json") as file:
        file.write(json.dumps(found, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main()
