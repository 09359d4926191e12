"""Each concept of the lesson has a command, a chapter that treats it, and a figure that the command writes."""

import re
import shlex
from pathlib import Path

import pytest

from tests.demo_runs import refused

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## The lesson's concepts")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| ([^|]+) \| `python demos/([^`]+)` \| \[\d\d\]\(([^)]+)\) \| `([\w]+\.png)` \|$", SECTION, re.M)

# by concept, a word that its chapter must contain
LESSON = {
    "z² + c": "Julia",
    "Autoencoder": "encoder",
    "PCA and matrix factorisation": "matrix factorisation",
    "Squared error or cross-entropy": "cross-entropy",
    "Deep autoencoder": "784-1000-500-250-30",
    "Decompression": "bits per pixel",
    "Convolutional autoencoder": "max-pooling",
    "Denoising autoencoder": "denoiser",
    "RAISR": "RAISR",
    "Gaps": "N(0, I)",
    "Clusters": "colour of its digit",
    "μ and σ": "circle",
    "Reconstruction alone, KL alone, both": "KL alone",
    "Interpolation": "Interpolation",
    "Same input, many codes": "sample",
    "ELBO": "evidence lower bound",
    "New samples": "sample",
    "plane of codes, decoded": "sample",
    "Probability, conditional and total": "Total probability",
    "Bayes' rule": "Bayes",
    "Expectation": "Expectation",
    "KL divergence of P and Q": "Kullback",
    "as printed": "misprint",
}


def test_every_row_of_the_table_is_read():
    assert len(ROWS) == SECTION.count("`python demos/") >= len(LESSON)


@pytest.mark.parametrize("concept", LESSON)
def test_a_concept_of_the_lesson_has_its_row_and_its_chapter(concept):
    rows = [row for row in ROWS if concept in row[0]]
    assert rows
    for _, _, chapter, _ in rows:
        text = (ROOT / "docs" / chapter).read_text(encoding="utf-8")
        assert LESSON[concept].lower() in re.sub(r"\s+", " ", text).lower()


@pytest.mark.parametrize(("concept", "command", "chapter", "figure"), ROWS)
def test_the_command_of_a_concept_knows_its_options_and_writes_its_figure(concept, command, chapter, figure, tmp_path):
    name, *options = shlex.split(command)
    said = refused(name.removesuffix(".py"), *options, "--seed", "none", "--out", str(tmp_path))
    assert "argument --seed: invalid int value: 'none'" in said  # the options before it are known
    sources = [ROOT / "demos" / name, *(ROOT / "demos" / "lib").glob("*.py")]
    written = " ".join(path.read_text(encoding="utf-8") for path in sources)
    stem = re.sub(r"_(30|32)$", "_{L}", figure.removesuffix(".png"))
    assert f'"{figure}"' in written or f'"{stem}.png"' in written


@pytest.mark.parametrize("chapter", sorted({row[2] for row in ROWS}))
def test_the_table_of_chapters_has_the_chapter_too(chapter):
    assert f"]({chapter})" in PAGE.split("## The lesson's concepts")[0]
