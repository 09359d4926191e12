"""Chapter 16 keeps its word: its tables are what its script measured, and its rungs compute the product."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "16-fast-matmul.md").read_text(encoding="utf-8")
TEXT = re.sub(r"\s+", " ", PAGE)
MEASURED = json.loads((DOCS / "figures" / "fast_matmul.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(DOCS / "figures" / "fast_matmul.py"))
ROWS = SCRIPT["tables"](MEASURED)
LIMIT = MEASURED["limit"]["1"]


@pytest.mark.parametrize("name", ROWS)
def test_each_table_holds_the_measured_numbers(name):
    table = re.search(rf"<!-- table: {name} -->\n.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE)
    assert table is not None
    assert table[1] == ROWS[name]


def test_every_table_of_the_page_that_names_itself_is_measured():
    assert set(re.findall(r"<!-- table: (\w+) -->", PAGE)) == set(ROWS)


def test_rewriting_the_page_with_the_same_numbers_changes_nothing():
    assert SCRIPT["rewritten"](PAGE, MEASURED) == PAGE


def test_rewriting_the_page_puts_new_numbers_in():
    changed = json.loads(json.dumps(MEASURED)) | {"limit": {"1": 1234.0, "2": 5678.0}}
    assert "| 1 | 1.23e+03 |" in SCRIPT["rewritten"](PAGE, changed)


@pytest.mark.parametrize("rung", ["triple_loop", "compiled_loop", "along_rows", "blocked", "packed", "unrolled"])
def test_every_rung_adds_the_product(rung, rng):
    A, B, C = rng.random((6, 64), np.float32), rng.random((64, 960), np.float32), rng.random((6, 960), np.float32)
    exact = C + A.astype(float) @ B
    SCRIPT[rung](A, B, C)
    np.testing.assert_allclose(C, exact, rtol=1e-5)


def test_the_tile_of_the_library_adds_the_product(rng):
    A, B, C = rng.random((33, 64), np.float32), rng.random((64, 70), np.float32), rng.random((33, 70), np.float32)
    exact = C + A.astype(float) @ B
    SCRIPT["register_tile"](A, B, C)
    np.testing.assert_allclose(C, exact, rtol=1e-5)


def test_the_chains_add_up_what_they_are_told():
    assert SCRIPT["fma_loop"](3)(10, np.float32(2), 1).tolist() == [3 * 10 * 2 * 2]


def test_adam_at_the_limit_would_need_what_the_page_says():
    assert "about 400 GB/s" in TEXT
    assert 350 < LIMIT * 28 / 15 < 450


def test_latency_times_throughput_is_what_one_chain_lacks():
    assert f"$\\ell u$ = {round(LIMIT / MEASURED['chains']['1'])}." in TEXT


def test_plain_python_is_thousands_of_times_below_the_limit():
    assert LIMIT / MEASURED["rungs"]["plain Python"] > 2000


def test_an_image_has_the_share_of_numbers_that_the_page_says():
    assert f"an image has {MEASURED['zeros']['share of MNIST that is not zero']:.2f}." in TEXT


def test_nothing_is_faster_than_the_limit():
    every = MEASURED["limit"][str(MEASURED["threads"])]
    one_core = [rate for name, rate in MEASURED["rungs"].items() if name != "threads"]
    one_core += [*MEASURED["chains"].values(), *MEASURED["tile, panel of 8 KiB"].values(), MEASURED["BLAS"]["1"]]
    assert max(one_core) < 1.02 * LIMIT  # both are timed, and a clock varies
    assert MEASURED["rungs"]["threads"] < 1.02 * every
