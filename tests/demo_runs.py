"""How the tests run a demo: as a user does, a script in a process of its own, on the shipped data."""

import contextlib
import io
import os
import runpy
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

ROOT = Path(__file__).parent.parent
PATIENCE = 600  # seconds, after which a process hangs and is not just slow

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT),
    "PYTHONIOENCODING": "utf-8",
    "NUMBA_NUM_THREADS": "1",  # test processes share the cores, and a thread that waits for another waits long
    "OMP_NUM_THREADS": "1",
}


def command(demo: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-W", "error", str(ROOT / "demos" / f"{demo}.py"), *arguments]


def few_digits(folder: Path) -> str:
    """The folder, for --data, with so few digits that an epoch is over at once: 600 to train on, 300 to test."""
    x, labels = sn.data.mnist("test")
    pixels = np.rint(255 * x).astype(np.uint8)
    for prefix, part in (("train", slice(0, 600)), ("t10k", slice(600, 900))):
        count = len(labels[part])
        images = struct.pack(">4I", 0x803, count, 28, 28) + pixels[part].tobytes()
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels[part].tobytes())
    return str(folder)


def run(demo: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(demo, *arguments), capture_output=True, text=True, encoding="utf-8", env=ENVIRONMENT, timeout=PATIENCE
    )
    assert done.returncode == expect, done.stderr
    return done


def refused(demo: str, *arguments: str) -> str:
    """What a demo says that ends before it begins; in this process, since a new one takes a second to start."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.syspath_prepend(ROOT / "demos")
        patch.setattr(sys, "argv", [f"{demo}.py", *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "demos" / f"{demo}.py"), run_name="__main__")
    if end.value.code == 2:  # argparse has printed it
        return said.getvalue()
    assert isinstance(end.value.code, str)  # Python prints it, and ends with 1
    return end.value.code


def interrupted(demo: str, *arguments: str, once: str) -> str:
    """What a run printed, its bars too, that Ctrl-C ended once it had printed this."""
    process = subprocess.Popen(
        command(demo, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT
    )
    assert process.stdout is not None
    seen = b""
    while once.encode() not in seen and process.poll() is None:
        seen += os.read(process.stdout.fileno(), 1000)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return (seen + rest).decode()
