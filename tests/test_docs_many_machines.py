"""Chapter 20 keeps its word: its numbers are those of its script."""

import json
import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = re.sub(r"\s+", " ", (DOCS / "20-many-machines.md").read_text(encoding="utf-8"))
MEASURED = json.loads((DOCS / "figures" / "many_machines.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(DOCS / "figures" / "many_machines.py"))
RUNS, PAPER = MEASURED["runs"], MEASURED["speedup on paper"]


def row(name: str, kind: str, size: str, scale: float) -> str:
    return f"| {name} | {' | '.join(f'{RUNS[p][kind][size] * scale:.1f}' for p in '124')} |"


@pytest.mark.parametrize(
    ("name", "kind", "size", "scale"),
    [
        ("allreduce of 64 bytes, µs", "allreduce, s", "64", 1e6),
        ("allreduce of 4 MiB, ms", "allreduce, s", "4194304", 1e3),
        ("a step on 128 images, ms", "step, s", "128", 1e3),
        ("a step on 1,024 images, ms", "step, s", "1024", 1e3),
    ],
)
def test_the_table_holds_the_measured_times(name, kind, size, scale):
    assert row(name, kind, size, scale) in PAGE


def test_two_processes_are_said_to_gain_what_they_gain():
    small, large = (RUNS["2"]["step, s"][size] / RUNS["1"]["step, s"][size] for size in ("128", "1024"))
    assert f"{small:.2f} × the time of one for a small batch, and {large:.2f} × for a large one" in PAGE


def test_the_links_numbers_are_those_fitted():
    here = SCRIPT["fitted"](RUNS["2"]["allreduce, s"], 2)
    assert here == pytest.approx(MEASURED["here"])
    assert f"α = {here['latency, s'] * 1e6:.1f} µs and β = {here['bandwidth, bytes/s'] / 1e9:.1f} GB/s" in PAGE
    assert SCRIPT["SIZES"][-1] == 16 * 2**20  # the allreduce that gives β


def test_the_model_is_said_to_be_as_rough_as_it_is():
    here, size = MEASURED["here"], 4 * 2**20
    modelled = 2 * here["latency, s"] + size / here["bandwidth, bytes/s"]
    assert f"for 4 MiB it says {modelled * 1e3:.1f} ms, half of what was measured" in PAGE
    assert modelled == pytest.approx(RUNS["2"]["allreduce, s"][str(size)] / 2, rel=0.1)


def test_the_speedups_on_paper_are_the_models():
    step, size = RUNS["1"]["step, s"]["128"], MEASURED["bytes of θ"]
    link = MEASURED["network"]
    again = [step / SCRIPT["scaled"](step, size, 128, nodes, link) for nodes in SCRIPT["NODES"]]
    assert again == pytest.approx(PAPER["128"])
    assert f"A batch of 128 is at most {max(PAPER['128']):.0f} × as fast" in PAGE
    assert f"1,024 images on 1,024 nodes are {PAPER['1024'][-1]:.0f} × as fast" in PAGE
    assert f"65,536 images on 1,024 nodes, {PAPER['65536'][-1]:.0f} ×" in PAGE


def test_dtheta_has_the_size_of_the_models_parameters():
    assert f"{MEASURED['bytes of θ'] // 4:,} parameters, so dθ has {MEASURED['bytes of θ'] / 1e6:.1f} MB" in PAGE
