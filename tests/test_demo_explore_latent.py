"""demos/explore_latent.py: its page draws what the networks decode, needs no network, and does what it is told."""

import base64
import html
import itertools
import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import scratchnet as sn
from tests.demo_runs import PATIENCE, ROOT, few_digits, interrupted, run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LIB = ROOT / "demos" / "lib"
KEPT = ROOT / "docs" / "figures" / "explorer.html"
BETAS = {"beta_0": 0.0, "beta_0.1": 0.1, "beta_1": 1.0, "beta_4": 4.0, "beta_16": 16.0, "beta_1000000": 1e6}
PLACES = [
    (0.0, 0.0),
    (0.5, -1.2),
    (-2.0, 0.3),
    (1.0, 1.0),
    (3.0, -3.0),
    (0.01, 0.02),
    (-1.5, 2.5),
    (8, 9),
    (-0.7, 0),
    (2, 0),
]
PROBE = """
<script>
  const seen = (id) => Array.from($(id).getContext("2d").getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 3));
  const press = (key) => $("plane-vae").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const point = (kind, x, y) => {
    const box = $("plane-ae").getBoundingClientRect();
    const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true };
    $("plane-ae").dispatchEvent(new (kind === "click" ? MouseEvent : PointerEvent)(kind, at));
  };
  const kept = () => structuredClone({ model: state.model, beta: vaes[state.beta].beta, z: state.z, walk: state.walk });
  const found = { restored: kept(), facts: $("facts-vae").textContent, slider: $("name-beta").textContent };
  found.images = PLACES.map((z) => { go({ z }); return [seen("digit-ae"), seen("digit-vae")]; });
  found.decoded = DATA.models.map((model) => Array.from(decode(model, [0.5, -1.2])));
  found.codes = DATA.models.map((model) => Array.from(model.z));
  go({ z: [0, 0] });
  press("ArrowUp");
  found.up = kept();
  press("ArrowLeft");
  found.left = kept();
  point("pointermove", 0.25, 0.25);
  found.moved = kept();
  point("click", 0.25, 0.25);
  point("pointermove", 0.75, 0.5);
  point("click", 0.75, 0.5);
  found.walked = kept();
  found.view = DATA.models[0].view;
  found.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  setTimeout(() => {
    found.address = location.hash;
    const textContent = JSON.stringify(found);
    document.body.append(Object.assign(document.createElement("pre"), { id: "found", textContent }));
  }, 600);
</script>
"""
FRAGMENT = "#model=ae&beta=4&z=0.5,-1.2&walk=-1,0,2,1.5"


@pytest.fixture(scope="module")
def demo() -> SimpleNamespace:
    """What the demo defines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "demos")
        return SimpleNamespace(**runpy.run_path(str(ROOT / "demos" / "explore_latent.py")))


def stack(*widths: int) -> sn.Sequential:
    """Dense layers with ReLU between them, whose weights are wide enough for images with black and white in them."""
    rng = np.random.default_rng(sum(widths))
    layers: list[sn.Layer] = []
    for a, b in itertools.pairwise(widths):
        layers += [sn.Dense(a, b, rng=rng), sn.ReLU()]
        layers[-2].W *= 3  # type: ignore[attr-defined]
    return sn.Sequential(*layers[:-1])


def networks(hidden: int) -> dict[str, Any]:
    """Networks as the demo has them."""
    decoder = (2, hidden, hidden, 784)
    encoders = {name: stack(784, 2 * hidden, hidden, 4) for name in BETAS}
    models = {
        "autoencoder": sn.Autoencoder(stack(784, 2 * hidden, hidden, 2), stack(*decoder), loss=sn.bce_with_logits)
    }
    return models | {name: sn.VAE(encoders[name], stack(*decoder), beta=beta) for name, beta in BETAS.items()}


@pytest.fixture(scope="module")
def page(demo) -> SimpleNamespace:
    """The page of networks that have learnt nothing: its text, the networks, rounded, and the numbers about them."""
    x, labels = sn.data.mnist("test")
    models = networks(hidden=16)
    text, results = demo.page(models, x[:300], labels[:300], np.random.default_rng(0))
    return SimpleNamespace(text=text.decode(), models=models, results=results)


def in_browser(text: str, folder: Path) -> dict[str, Any]:
    """What the probe finds in this page."""
    file = folder / "page.html"
    probe = PROBE.replace("PLACES", json.dumps(PLACES))
    file.write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [str(BROWSER), *options, "--virtual-time-budget=10000", "--dump-dom", f"{file.as_uri()}{FRAGMENT}"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    if 'id="facts-vae"' not in done.stdout:
        pytest.skip("the browser does not open a page in this folder")
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL) or [done.stderr]
    return json.loads(html.unescape(found))


@pytest.fixture(scope="module")
def found(page, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if BROWSER is None:
        pytest.skip("needs Chromium")
    return in_browser(page.text, tmp_path_factory.mktemp("browser"))


# ---- the file


def test_the_page_names_no_network_and_loads_nothing(page):
    for word in ("http", "fetch(", "import(", "XMLHttpRequest", "WebSocket", "<link", "@import", "url(", ' src="'):
        assert word not in page.text


def test_no_number_can_look_like_a_link(demo):
    values = np.frombuffer(base64.b64decode("httphttphttphttp"), "<f2")
    text = demo.explorer.halves(values)
    assert "http" not in text
    assert base64.b64decode(text.replace(" ", "")) == values.tobytes()


def test_a_number_that_float16_does_not_hold_is_refused(demo):
    with pytest.raises(sn.DataError, match=r"up to 65,504; got 70000"), np.errstate(over="ignore"):
        demo.explorer.halves(np.array([1.0, 70000.0]))


def test_the_script_is_short_enough_to_be_read():
    lines = (LIB / "explorer.js").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 200
    assert max(map(len, lines)) <= 120


def test_the_template_is_a_page_of_its_own_beside_its_style_and_script():
    text = (LIB / "explorer.html").read_text(encoding="utf-8")
    assert 'href="explorer.css"' in text
    assert 'src="explorer.js"' in text


def _data(page: Path) -> str:
    """The networks and codes in a page, as JSON."""
    return page.read_text(encoding="utf-8").split('<script id="data" type="application/json">')[1].split("</script>")[0]


@pytest.mark.parametrize("kind", ["css", "js"])
def test_the_page_in_the_docs_has_the_style_and_the_script_of_the_demo(kind):
    part = (LIB / f"explorer.{kind}").read_text(encoding="utf-8").strip()
    assert f"\n{part}\n" in KEPT.read_text(encoding="utf-8")


def test_the_page_in_the_docs_differs_from_the_template_by_its_parts_alone(demo):
    assert demo.explorer.page(json.loads(_data(KEPT))) == KEPT.read_text(encoding="utf-8")


def test_the_page_in_the_docs_shows_the_numbers_kept_beside_it():
    results = json.loads((KEPT.parent / "explore_latent.json").read_text(encoding="utf-8"))["results"]
    for model in json.loads(_data(KEPT))["models"]:
        name = "autoencoder" if model["beta"] is None else f"beta {model['beta']:.7g}"
        error = results[f"{name}: test reconstruction"]["value"]
        assert model["facts"].startswith(f"test reconstruction {error:.2f} nats/image")


def test_the_page_in_the_docs_links_to_nothing_and_has_less_than_three_megabytes():
    text = KEPT.read_text(encoding="utf-8")
    assert "http" not in text
    assert len(text.encode()) < 3_000_000


@pytest.mark.slow
def test_the_page_has_less_than_four_megabytes(demo):
    x, labels = sn.data.mnist("test")
    text, _ = demo.page(networks(hidden=128), x, labels, np.random.default_rng(0))
    assert 2_000_000 < len(text) < 4_000_000


# ---- what is measured


def test_a_place_is_a_gap_if_it_is_farther_from_the_codes_than_99_percent_of_others_are(demo, rng):
    codes, new = (object.__new__(demo.explorer.Codes) for _ in range(2))
    codes.z, new.z = np.array([[0.0, 0.0], [3.0, 4.0]]), np.stack([np.zeros(101), np.arange(101) / 100], axis=1)
    assert codes.distance(np.array([[0.0, 1.0], [3.0, 3.0], [0.0, 0.0]])) == pytest.approx([1, 1, 0])
    assert codes.far(new) == pytest.approx(0.99)


def test_the_picture_holds_the_priors_circle_of_three_deviations(demo):
    codes = object.__new__(demo.explorer.Codes)
    codes.z = np.full((10, 2), 0.5)
    middle_x, middle_y, half = codes.view()
    assert (middle_x, middle_y) == pytest.approx((0, 0))
    assert half > 3


def test_a_digit_has_its_name_among_its_codes_and_none_where_digits_are_mixed(demo, rng):
    codes = object.__new__(demo.explorer.Codes)
    labels = np.repeat([3, 5, 7, 8, 9], 200)
    codes.z = 0.3 * rng.standard_normal((1000, 2)) + np.repeat([[2.0, 2.0], [-2.0, 0.0]], [200, 800], axis=0)
    names = codes.names(labels)
    assert names[3] == pytest.approx([2, 2], abs=0.5)
    assert [digit for digit, place in enumerate(names) if place is None] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


# ---- the page in a browser


def test_the_pixels_at_ten_places_are_those_that_the_rounded_decoders_draw(page, found):
    z = np.array(PLACES, np.float32)
    for i, name in enumerate(("autoencoder", "beta_4")):
        expected = page.models[name].decode(z)
        pixels = np.array([images[i] for images in found["images"]]) / 255
        assert expected.std() > 0.1  # they are no grey squares
        np.testing.assert_allclose(pixels, expected, rtol=0, atol=1 / 255)


def test_each_decoder_of_the_page_is_the_one_in_python(page, found):
    for pixels, model in zip(found["decoded"], page.models.values(), strict=True):
        expected = model.decode(np.array([[0.5, -1.2]], np.float32))[0]
        np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-5)


def test_each_code_of_the_page_is_mu_plus_sigma_times_the_noise(page, found):
    data = json.loads(re.findall(r'<script id="data" type="application/json">(.*?)</script>', page.text, re.DOTALL)[0])
    eps = np.frombuffer(base64.b64decode(data["eps"].replace(" ", "")), "<f2").astype(float)
    x = sn.data.mnist("test")[0][:150]
    for z, model in zip(found["codes"], page.models.values(), strict=True):
        mu, logvar = (model.encode(x), None) if isinstance(model, sn.Autoencoder) else model.encode(x)
        expected = mu.ravel() if logvar is None else mu.ravel() + np.exp(0.5 * logvar.ravel()) * eps
        np.testing.assert_allclose(z, expected, rtol=5e-3, atol=5e-3)


def test_the_fragment_restores_a_view(found):
    assert found["restored"] == {"model": "ae", "beta": 4, "z": [0.5, -1.2], "walk": [[-1, 0], [2, 1.5]]}
    assert found["slider"] == "β = 4"
    assert found["facts"].startswith("z = (0.50, −1.20)\nnearest code: a ")


def test_arrow_keys_move_the_point(found):
    assert (found["up"]["z"][0], found["left"]["z"][1]) == (0, found["up"]["z"][1])
    assert found["up"]["z"][1] == pytest.approx(-found["left"]["z"][0])
    assert found["up"]["z"][1] > 0
    assert found["left"]["model"] == "vae"


def test_the_pointer_moves_the_point_and_two_clicks_set_a_walk(found):
    x, y, half = found["view"]
    first, second = [x - half / 2, y + half / 2], [x + half / 2, y]
    assert found["moved"]["z"] == pytest.approx(first, abs=0.01 * half)
    assert found["moved"]["model"] == "ae"
    assert found["walked"]["walk"][0] == pytest.approx(first, abs=0.01 * half)
    assert found["walked"]["walk"][1] == pytest.approx(second, abs=0.01 * half)


def test_the_address_keeps_the_view(found):
    (a, b), (c, d) = found["walked"]["walk"]
    settings = dict(pair.split("=") for pair in found["address"].removeprefix("#").split("&"))
    assert (settings["model"], settings["beta"]) == ("ae", "4")
    assert [float(number) for number in settings["z"].split(",")] == pytest.approx(found["walked"]["z"], abs=1e-3)
    assert [float(number) for number in settings["walk"].split(",")] == pytest.approx([a, b, c, d], abs=1e-3)


def test_the_browser_loads_nothing_else(found):
    assert found["loaded"] == []


# ---- the chapter


def test_the_chapter_has_the_numbers_that_its_script_measured():
    chapter = (ROOT / "docs" / "10-latent-gaps.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "docs" / "figures" / "explore_latent.json").read_text(encoding="utf-8"))["results"]
    betas, sigmas, kls = re.findall(
        r"At β = (.*) the median σ is (.*), and the test KL is (.*)\snats/image\.", " ".join(chapter.split())
    )[0]
    rows = [re.split(r", | and ", numbers) for numbers in (betas, sigmas, kls)]
    assert len(rows[0]) == len(rows[1]) == len(rows[2]) == 5
    for beta, sigma, kl in zip(*rows, strict=True):
        assert sigma == f"{measured[f'beta {beta}: median σ']['value']:.{len(sigma) - 2}f}"
        assert kl == f"{measured[f'beta {beta}: test KL']['value']:.1f}"


# ---- the demo


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, str]:
    """The folder, the results and the printed text of one quick run."""
    out = tmp_path_factory.mktemp("explore_latent")
    text = run("explore_latent", "--quick", "--epochs", "1", "--hidden", "32", "--out", str(out)).stdout
    return out, json.loads((out / "metrics.json").read_text("utf-8"))["results"], text


@pytest.mark.slow
def test_the_demo_writes_the_page_every_network_and_its_numbers(quick_run):
    out, results, text = quick_run
    models = {"autoencoder", *BETAS}
    assert {path.name for path in out.iterdir()} == {f"{name}.npz" for name in models} | {
        "explorer.html",
        "metrics.json",
    }
    assert results["size of the page"]["value"] == pytest.approx((out / "explorer.html").stat().st_size / 1e6)
    assert "explorer.html" in text
    assert "(changed: quick, epochs, hidden)" in text


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_the_page_of_a_run_draws_what_its_saved_networks_decode(quick_run, tmp_path):
    out, _, _ = quick_run
    found = in_browser((out / "explorer.html").read_text(encoding="utf-8"), tmp_path)
    for pixels, (name, model) in zip(found["decoded"], networks(hidden=32).items(), strict=True):
        sn.load(out / f"{name}.npz", model)
        for layer in model.decoder.layers[::2]:
            layer.W[...], layer.b[...] = layer.W.astype(np.float16), layer.b.astype(np.float16)
        expected = model.decode(np.array([[0.5, -1.2]], np.float32))[0]
        np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_after_ctrl_c_there_is_no_page_and_the_run_can_be_resumed(tmp_path):
    out, data = tmp_path / "out", few_digits(tmp_path)
    arguments = ("--out", str(out), "--data", data, "--hidden", "16", "--epochs", "1000")
    text = interrupted("explore_latent", *arguments, once="epoch 2/1000")
    assert "Interrupted: the page needs all networks" in text
    assert "--resume" in text
    assert not (out / "explorer.html").exists()


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_page(tmp_path):
    data = few_digits(tmp_path)
    arguments = ("--data", data, "--hidden", "16", "--epochs", "60")
    interrupted("explore_latent", *arguments, "--out", str(tmp_path / "a"), once="epoch 2/60")
    run("explore_latent", *arguments, "--out", str(tmp_path / "a"), "--resume")
    run("explore_latent", *arguments, "--out", str(tmp_path / "b"))
    assert (tmp_path / "a" / "explorer.html").read_bytes() == (tmp_path / "b" / "explorer.html").read_bytes()
