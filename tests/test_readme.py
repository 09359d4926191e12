"""The README keeps its word: its code runs, its numbers are those of a run, its links lead somewhere."""

import inspect
import json
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from tests.museum.exhibits import EXHIBITS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
MEASURED = json.loads((ROOT / "docs" / "figures" / "vae_mnist.json").read_text(encoding="utf-8"))


def block(words: str) -> str:
    """The block of Python that has these words."""
    (found,) = [code for code in PYTHON if words in code]
    return found


def test_the_example_trains_a_vae(capfd):
    example = block("vae = sn.VAE(")
    assert "epochs=10" in example
    names: dict = {}
    exec(example.replace("epochs=10", "epochs=1"), names)
    assert names["digits"].shape == (64, 784)
    assert "'elbo': -1" in capfd.readouterr().out  # between −100 and −199.9…, after the first of ten epochs


def test_the_example_is_short():
    assert len([line for line in block("vae = sn.VAE(").splitlines() if line.strip()]) <= 15


def test_the_layer_of_ones_own_has_the_derivative_that_it_claims(rng):
    names: dict = {"sn": sn, "np": np}
    exec(block("class Square"), names)
    sn.check_gradients(names["Square"](), rng.standard_normal((2, 3)), rng=rng)


def test_the_dense_layer_is_quoted_word_for_word():
    assert textwrap.dedent(inspect.getsource(sn.Dense.forward)) in PYTHON


def test_the_mistake_in_the_dense_layer_is_reported_as_printed(monkeypatch, rng):
    right = block("def forward(self, x: Array) -> tuple[Array, Backward]:  # x (N, D)")
    wrong = right.replace("add_matmul_tn(self.dW, x, dy)", "add_matmul_tn(self.dW, x, dy / len(x))")
    assert wrong != right
    names = dict(vars(inspect.getmodule(sn.Dense)))
    exec(wrong, names)
    monkeypatch.setattr(sn.Dense, "forward", names["forward"])
    layer, x = sn.Dense(3, 2, rng=rng, dtype=np.float64), rng.standard_normal((5, 3))
    with pytest.raises(sn.GradientError) as raised:
        sn.check_gradients(layer, x, rng=rng)
    printed = re.findall(r"^```text\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)[0]
    assert f"GradientError: {raised.value}" == " ".join(printed.split())


def test_the_bugs_of_the_museum_are_counted():
    assert f"{len(EXHIBITS)} bugs" in README


def test_the_links_within_the_page_lead_to_headings():
    headings = re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def test_every_demo_is_in_the_table():
    listed = set(re.findall(r"^\| \[.*\]\(demos/(\w+\.py)\)", README, flags=re.MULTILINE))
    assert listed == {demo.name for demo in (ROOT / "demos").glob("*.py")}


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_table_holds_the_measured_numbers(seed):
    results = MEASURED[seed]["results"]
    elbo, reconstruction, kl = (results[f"test {name}"] for name in ("ELBO", "reconstruction", "KL"))
    row = (
        f"| {seed} | −{-elbo['value']:.2f} ± {elbo['error']:.2f} | {reconstruction['value']:.2f} | {kl['value']:.2f} |"
    )
    assert row in README


def test_the_scale_holds_the_measured_numbers():
    results = MEASURED["0"]["results"]
    for name in ("ELBO of the mean image", "limit of grey pixels"):
        assert f"−{-results[name]['value']:.2f}" in README


def test_the_measured_elbos_lie_where_the_published_one_does():
    assert all(-106.3 <= run["results"]["test ELBO"]["value"] <= -104.5 for run in MEASURED.values())


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_the_links_lead_to_files(target):
    assert (ROOT / target).exists()


def test_the_authors_and_the_licence_of_mnist_are_named():
    for text in (README, (ROOT / "scratchnet" / "data" / "mnist" / "README.md").read_text(encoding="utf-8")):
        assert all(name in text for name in ("Yann LeCun", "Corinna Cortes", "Burges", "CC BY-SA 3.0"))


def loop_of_fit() -> str:
    """The lines of fit's loop, from its first `for` on."""
    source = inspect.getsource(sn.fit)
    loop = source[source.rindex("\n", 0, source.index("for run.epoch in")) + 1 : source.index("    return run.history")]
    return textwrap.dedent(loop)


def test_the_loop_of_fit_is_quoted_word_for_word():
    assert loop_of_fit() in PYTHON


def test_chapter_five_quotes_it_too():
    chapter = (ROOT / "docs" / "05-optimizers.md").read_text(encoding="utf-8")
    quoted = [textwrap.dedent(code) for code in re.findall(r"^```python\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)]
    assert loop_of_fit() in quoted
