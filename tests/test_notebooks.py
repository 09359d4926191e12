"""In a notebook a figure shows itself, and fit's bar and lines appear, without pyplot."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.demo_runs import ENVIRONMENT, PATIENCE, ROOT

missing = [name for name in ("nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")]

CELLS = [
    """
import sys
import numpy as np
import scratchnet as sn
from scratchnet import plots
plots.image_grid(np.ones((2, 16)), "two squares", columns=2)
""",
    """
rng = np.random.default_rng(0)
autoencoder = sn.Autoencoder(sn.Dense(4, 2, rng=rng), sn.Dense(2, 4, rng=rng))
x = rng.random((256, 4), np.float32)
history = sn.fit(autoencoder, x, optimizer=sn.SGD(0.01), epochs=2, rng=rng)
""",
    "plots.history_curves(history, 'two epochs')",
    "print('matplotlib.pyplot' in sys.modules)",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What each cell shows."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell} for cell in CELLS
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    (folder / "tiny.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    folders = {"IPYTHONDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder), "SCRATCHNET_KERNELS": "numpy"}
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb"]
    done = subprocess.run(
        [*command, str(folder / "tiny.ipynb")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT | folders,
        timeout=PATIENCE,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return [cell["outputs"] for cell in json.loads(Path(folder / "done.ipynb").read_text(encoding="utf-8"))["cells"]]


def text(outputs: list[dict[str, Any]], stream: str) -> str:
    return "".join("".join(output["text"]) for output in outputs if output.get("name") == stream)


@pytest.mark.parametrize("cell", [0, 2])
def test_a_figure_at_the_end_of_a_cell_is_shown_as_one_picture(outputs, cell):
    assert ["image/png" in output["data"] for output in outputs[cell]] == [True]


def test_fit_shows_its_bar_and_a_line_for_each_epoch(outputs):
    assert "epoch 1/2" in text(outputs[1], "stderr")
    assert [line[:9] for line in text(outputs[1], "stdout").splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_the_bar_warns_of_nothing(outputs):
    assert "Warning" not in text(outputs[1], "stderr")


def test_pyplot_was_not_imported(outputs):
    assert text(outputs[3], "stdout") == "False\n"
