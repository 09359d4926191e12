"""How the tests run a demo: as a user does, a script in a process of its own, on the shipped data."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT),
    "PYTHONIOENCODING": "utf-8",
    "NUMBA_NUM_THREADS": "1",  # test processes share the cores, and a thread that waits for another waits long
    "OMP_NUM_THREADS": "1",
}


def command(demo: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-W", "error", str(ROOT / "demos" / f"{demo}.py"), *arguments]


def run(demo: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(demo, *arguments), capture_output=True, text=True, encoding="utf-8", env=ENVIRONMENT, timeout=100
    )
    assert done.returncode == expect, done.stderr
    return done


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
    rest, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return (seen + rest).decode()
