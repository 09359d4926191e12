"""Files from strangers: thousands of damaged ones, and some made to take all memory, are read, or refused by name."""

import functools
import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scratchnet as sn
from scratchnet.training.checkpoint import digest
from tests.damage import NONSENSE, damaged, damages, members, paths, replaced, zipped

X = np.random.default_rng(7).random((22, 6), np.float32)
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def a_model(seed: int = 0) -> sn.Autoencoder:
    rng = np.random.default_rng(seed)
    return sn.Autoencoder(sn.Sequential(sn.Dense(4, 3, rng=rng), sn.Tanh()), sn.Dense(3, 4, rng=rng))


class Run:
    """A training of two epochs, made anew as a new process would make it."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.model = sn.Autoencoder(sn.Dense(6, 2, rng=self.rng), sn.Dense(2, 6, rng=self.rng))
        self.optimizer = sn.Adam(0.01)

    def fit(self, path: Path | None, epochs: int = 2) -> sn.History:
        return sn.fit(
            self.model,
            X,
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=5,
            rng=self.rng,
            validation=X[:7],
            progress=False,
            checkpoint=path,
            checkpoint_seconds=0,
        )

    def is_as_new(self) -> bool:
        new = Run()
        return (
            self.model.parameters.theta.tobytes() == new.model.parameters.theta.tobytes()
            and self.optimizer.steps == 0
            and self.rng.bit_generator.state == new.rng.bit_generator.state
        )


class StopsHereError(Exception):
    """Stands for whatever ends a process."""


def interrupted_at(path: Path, calls: int) -> bytes:
    """The checkpoint of a run that stopped after so many calls of the loss: five steps and two batches an epoch."""
    run = Run()
    loss, left = run.model.loss, iter(range(calls))

    def stopping(*arguments: Any) -> Any:
        if next(left, None) is None:
            raise StopsHereError
        return loss(*arguments)

    run.model.loss = stopping  # type: ignore[method-assign]
    path.unlink(missing_ok=True)
    with pytest.raises(StopsHereError):
        run.fit(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: each run that goes on is written to disk and waited for."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() and os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def outcome(read: Callable[[], object], path: Path) -> str:
    """Whether a small file is good, or refused by its name; nothing else, and in no more than some megabytes."""
    tracemalloc.start()
    try:
        read()
        came = "good"
    except sn.DataError as error:
        message = str(error)
        assert str(path) in message
        assert message.endswith(".")
        assert message.isprintable()
        assert len(message) < len(str(path)) + 1500
        came = "refused"
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8_000_000  # at first it imports, which takes two
    return came


def search(config: pytest.Config, strategy: st.SearchStrategy[Any], read: Callable[[Any], str], whole: Any) -> None:
    """Read so many damaged files as --damaged says; some are refused, and the whole one is good."""
    seen: Counter[str] = Counter()

    @settings(max_examples=int(config.getoption("damaged")))  # type: ignore[arg-type]
    @given(strategy)
    def read_each(damage: Any) -> None:
        seen[read(damage)] += 1

    read_each()
    print(dict(seen))
    assert seen["refused"] > 0.1 * seen.total()
    assert read(whole) == "good"


# ---- thousands of damaged files


DEPTHS = ["the file", "what it holds"]


def inside(parts: dict[str, bytes]) -> st.SearchStrategy[bytes]:
    """The archive with one of its files damaged, and the sums that fit."""

    def one(name: str) -> st.SearchStrategy[bytes]:
        return damages(parts[name]).map(lambda steps: zipped(parts | {name: damaged(parts[name], steps)}))

    return st.one_of([one(name) for name in parts])


def outside(whole: bytes) -> st.SearchStrategy[bytes]:
    return damages(whole).map(lambda steps: damaged(whole, steps))


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_damaged_model_is_read_or_refused(folder, pytestconfig, depth):
    path = folder / "model.npz"
    sn.save(path, a_model())
    whole, theta = path.read_bytes(), a_model().parameters.theta
    model = a_model(seed=1)
    before = model.parameters.theta.copy()

    def read(content: bytes) -> str:
        path.write_bytes(content)
        model.parameters.theta[...] = before
        came = outcome(lambda: sn.load(path, model), path)
        if came == "refused":
            assert np.array_equal(model.parameters.theta, before)
        elif depth == "the file":
            assert np.array_equal(model.parameters.theta, theta)
        return came

    search(pytestconfig, outside(whole) if depth == "the file" else inside(members(whole)), read, whole)


@pytest.mark.parametrize("calls", [3, 7], ids=["within an epoch", "between two"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_damaged_checkpoint_goes_on_or_is_refused(folder, pytestconfig, depth, calls):
    whole = interrupted_at(folder / "run.npz", calls)
    parts = members(whole)
    state = json.loads(as_array(parts["state.npy"]).tobytes())
    path, expected = folder / "damaged.npz", Run()
    expected.fit(None)

    def read(content: bytes) -> str:
        path.write_bytes(content)
        run = Run()

        def go_on() -> None:
            try:
                run.fit(path)
            except sn.DivergenceError:
                assert depth != "the file"  # but of numbers that fit their sums, and nothing else

        came = outcome(go_on, path)
        if came == "refused":
            assert run.is_as_new()
        elif depth == "the file":
            assert np.array_equal(run.model.parameters.theta, expected.model.parameters.theta)
        return came

    # The settings are numbers that one's own code may set to anything, and so may a stranger.
    everywhere = [place for place in paths(state) if place[:1] != ("settings",)]
    of_the_run = [place for place in everywhere if place and place[0] not in ("began", "arrays")]
    lies = st.builds(
        lambda place, lie: zipped(parts | forged(replaced(state, place, lie))),
        st.sampled_from(of_the_run) | st.sampled_from(everywhere),
        st.sampled_from(NONSENSE),
    )
    search(pytestconfig, outside(whole) if depth == "the file" else lies | inside(parts), read, whole)


def as_array(npy: bytes) -> np.ndarray:
    return np.load(io.BytesIO(npy))


def as_npy(content: bytes) -> bytes:
    file = io.BytesIO()
    np.save(file, np.frombuffer(content, np.uint8))
    return file.getvalue()


def forged(state: Any) -> dict[str, bytes]:
    """All of a checkpoint but its arrays, as the files that it is kept in; the seal fits."""
    text = json.dumps(state).encode()
    seal = digest(np.frombuffer(text, np.uint8))
    return {"state.npy": as_npy(text), "seal.npy": as_npy(seal.encode())}


def idx(*shape: int, magic: int | None = None, body: bytes | None = None) -> bytes:
    header = struct.pack(f">{1 + len(shape)}I", magic or 0x0800 | len(shape), *shape)
    return header + (bytes(range(int(np.prod(shape)))) if body is None else body)


@pytest.mark.parametrize("name", [IMAGES, LABELS])
@pytest.mark.parametrize("kind", ["plain", "gzipped", "gzipped again"])
def test_damaged_images_and_labels_are_read_or_refused(folder, pytestconfig, kind, name):
    for old in folder.glob("train-*"):
        old.unlink()
    contents = {IMAGES: idx(5, 3, 4), LABELS: idx(5)}
    for each, content in contents.items():
        (folder / each).write_bytes(content)
    path = folder / (name if kind == "plain" else f"{name}.gz")
    whole = gzip.compress(contents[name]) if kind == "gzipped" else contents[name]

    def read(steps: Any) -> str:
        content = damaged(whole, steps, "little" if kind == "gzipped" else "big")
        path.write_bytes(gzip.compress(content, 1) if kind == "gzipped again" else content)
        found: list[Any] = []
        came = outcome(lambda: found.append(sn.data.load_idx(folder)), path)
        if came == "good":
            images, labels = found[0]
            assert images.shape == (len(labels), 12)
            assert images.dtype == np.float32
            assert labels.dtype == np.uint8
            assert ((images >= 0) & (images <= 1)).all()
        return came

    search(pytestconfig, damages(whole), read, [])


# ---- files made to take all memory, to hang, or to crash


LIMIT, BOMB = 40_000_000, 50_000_000
"""Bytes of memory that a process may take beyond what it has, when it comes to read them; and of what explodes."""

READ = """
import json, resource, sys
import scratchnet as sn
from tests.test_strangers import LIMIT, Run, a_model

def read(kind, path):
    if kind == "model":
        sn.load(path, a_model())
    elif kind == "checkpoint":
        Run().fit(path)
    else:
        sn.data.load_idx(path)

for kind, path in json.loads(sys.argv[1]):
    read(kind, path)
with open("/proc/self/statm") as statm:
    in_use = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + LIMIT, -1))
bytearray(LIMIT // 2)
try:
    bytearray(2 * LIMIT)
except MemoryError:
    print("limited")
for kind, path in json.loads(sys.argv[2]):
    try:
        read(kind, path)
        print("read")
    except sn.DataError as error:
        for_want_of_memory = isinstance(error.__cause__ or error.__context__, MemoryError)
        print("not in time:" if for_want_of_memory else "", error, sep="")
"""


def sized(content: bytes, name: bytes, size: int) -> bytes:
    """The archive, whose list of members says that this one has another size."""
    entry = next(
        at.start() for at in re.finditer(rb"PK\x01\x02", content) if content[at.start() + 46 :].startswith(name)
    )
    return content[: entry + 20] + struct.pack("<2I", size, size) + content[entry + 28 :]


def bombed(parts: dict[str, bytes], name: str, method: int) -> bytes:
    """The archive with one of its files compressed, and a bomb of zeros behind what it has."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for each, content in parts.items():
            bomb = {"compress_type": method, "compresslevel": 1} if each == name else {}
            archive.writestr(each, content + bytes(BOMB) if bomb else content, **bomb)
    return file.getvalue()


def promising(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """An .npy of nothing but a header."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def with_members(content: bytes, name: bytes, count: int) -> bytes:
    """The archive with this member listed so many times more."""
    end = content.rindex(b"PK\x05\x06")
    (start,) = struct.unpack("<L", content[end + 16 : end + 20])
    one = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, *[0] * 8, len(name), *[0] * 6) + name
    members = content[start:end] + count * one
    return content[:start] + members + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, len(members), start, 0)


def header_of(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


def hostile_archives(whole: bytes, first: str) -> dict[str, bytes]:
    parts = members(whole)
    return {
        "deflated": bombed(parts, first, zipfile.ZIP_DEFLATED),
        "a header that promises a terabyte": zipped(parts | {first: promising((2**38,))}),
        "a member that promises four gigabytes": sized(whole, first.encode(), 2**32 - 2),
        "all members promise four gigabytes": functools.reduce(
            lambda content, name: sized(content, name.encode(), 2**32 - 2), parts, whole
        ),
        "a list of 100,000 members": with_members(whole, b"a", 100_000),
        "the same member 100,000 times": with_members(whole, first.encode(), 100_000),
        "names of 60,000 letters": with_members(whole, b"a" * 60_000, 100),
        "a member twice": with_members(whole, first.encode(), 1),
        "a path outside": zipped(parts | {"../../outside.npy": parts[first]}),
        "a header of brackets": zipped(parts | {first: header_of("(" * 9000)}),
        "a header of signs": zipped(parts | {first: header_of("-" * 9000 + "1")}),
        "objects": zipped(parts | {first: promising((12,), "|O") + b"\x80\x04."}),
        "a shape below zero": zipped(parts | {first: promising((-(2**40), 1))}),
    }


def with_state(whole: bytes, text: bytes, length: int | None = None) -> bytes:
    shape = (len(text) if length is None else length,)
    return zipped(members(whole) | {"state.npy": promising(shape, "|u1") + text})


def hostile_checkpoints(whole: bytes) -> dict[str, bytes]:
    return hostile_archives(whole, "theta.npy") | {
        "a deflated state": bombed(members(whole), "state.npy", zipfile.ZIP_DEFLATED),
        "a state that promises a terabyte": with_state(whole, b"{}", 2**40),
        "a state of a million lists": with_state(whole, b"[" + b"[]," * 1_000_000 + b"[]]"),
        "a state of fewer lists": with_state(whole, b"[" + b"[]," * 300_000 + b"[]]"),
        "a state of lists in lists": with_state(whole, b"[" * 1_000_000),
        "a number of a million digits": with_state(whole, b'{"format": ' + b"1" * 1_000_000 + b"}"),
        "a state that is no text": with_state(whole, bytes(range(256))),
    }


def hostile_images() -> dict[str, bytes]:
    """Of 5 images of 3 × 4 pixels, as gzipped files."""
    honest = idx(5, 3, 4)
    noise = np.random.default_rng(0).bytes(2_000_000)
    return {
        "a header that promises two gigabytes": gzip.compress(idx(2_000_000, 25, 40, body=noise), 1),
        "a header that promises more than any file": gzip.compress(idx(2**32 - 1, 2**32 - 1, 2**32 - 1, body=b"")),
        "a bomb behind the images": gzip.compress(honest + bytes(BOMB), 1),
        "a bomb behind them in a second member": gzip.compress(honest) + gzip.compress(bytes(BOMB), 1),
        "images that are not there": gzip.compress(idx(64_000, 25, 40, body=b"")) + bytes(100_000),
        "a name of two megabytes": b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 2_000_000,
        "50,000 members of nothing": gzip.compress(b"") * 50_000,
        "a checksum that is wrong": gzip.compress(honest)[:-8] + bytes(8),
        "what is no gzip behind it": gzip.compress(honest) + b"more",
        "not as many images as labels": gzip.compress(idx(4, 3, 4)),
    }


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, Path]]]:
    """Every such file, by its kind."""
    folder = tmp_path_factory.mktemp("hostile")
    model, run = folder / "model.npz", folder / "run.npz"
    sn.save(model, a_model())
    with sn.kernels.use("numpy"):
        interrupted_at(run, 7)
    archives = {
        "model": hostile_archives(model.read_bytes(), "decoder.b.npy")
        | {
            "compressed by bzip2": bombed(members(model.read_bytes()), "decoder.b.npy", zipfile.ZIP_BZIP2),
            "compressed by LZMA": bombed(members(model.read_bytes()), "decoder.b.npy", zipfile.ZIP_LZMA),
        },
        "checkpoint": hostile_checkpoints(run.read_bytes()),
    }
    files: dict[str, list[tuple[str, Path]]] = {"honest": [("model", model), ("checkpoint", run)]}
    for kind, contents in archives.items():
        files[kind] = []
        for name, content in contents.items():
            files[kind].append((name, folder / f"{kind}, {name}"))
            files[kind][-1][1].write_bytes(content)
        os.mkfifo(folder / f"{kind}, a pipe")
        files[kind].append(("a pipe", folder / f"{kind}, a pipe"))
    files["images"] = []
    for name, content in {"honest": gzip.compress(idx(5, 3, 4)), **hostile_images()}.items():
        place = folder / name
        place.mkdir()
        (place / f"{IMAGES}.gz").write_bytes(content)
        (place / LABELS).write_bytes(idx(5))
        files["images"].append((name, place))
    os.mkfifo(folder / IMAGES)
    files["images"].append(("a pipe", folder))
    files["honest"].append(("images", files["images"].pop(0)[1]))
    return files


def test_files_made_to_take_all_memory_or_to_hang_are_refused_within_bounds(hostile):
    pytest.importorskip("resource", reason="limits the memory of a process")
    if not Path("/proc/self/statm").exists():
        pytest.skip("there is no telling how much memory a process has")
    wanted = [(kind, str(path)) for kind in ("model", "checkpoint", "images") for _, path in hostile[kind]]
    honest = [(kind, str(path)) for kind, path in hostile["honest"]]
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(honest), json.dumps(wanted)],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"SCRATCHNET_KERNELS": "numpy", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    limited, *said = done.stdout.splitlines()
    assert limited == "limited"
    for (_, path), message in zip(wanted, said, strict=True):
        assert message.startswith(path), message
        assert message.endswith(".")
        assert len(message) < len(path) + 300
