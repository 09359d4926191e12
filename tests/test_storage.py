"""Models on disk: what is written comes back to the last bit, and what does not fit changes nothing."""

import base64
import gc
import io
import os
import socket
import stat
import subprocess
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn
from scratchnet import plots
from scratchnet.training.storage import clear_aside, opened, read_array, write_arrays, write_whole


def make(hidden: int = 3, dtype: type = np.float32, seed: int = 0) -> sn.Autoencoder:
    rng = np.random.default_rng(seed)
    encoder = sn.Sequential(sn.Dense(4, hidden, rng=rng, dtype=dtype), sn.Tanh())
    return sn.Autoencoder(encoder, sn.Dense(hidden, 4, rng=rng, dtype=dtype))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.npz"


def stray_files(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir() if other != path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_saved_comes_back_to_the_last_bit(path, dtype):
    model, other = make(dtype=dtype), make(dtype=dtype, seed=1)
    model.parameters.theta[:4] = [np.pi, 1e-40, -0.0, np.finfo(dtype).max]
    sn.save(path, model)
    sn.load(path, other)
    assert other.parameters.theta.tobytes() == model.parameters.theta.tobytes()


def test_a_loaded_model_computes_the_same(path):
    model, other, x = make(), make(seed=1), np.full((2, 4), 0.5, np.float32)
    sn.save(path, model)
    sn.load(path, other)
    assert np.array_equal(other.reconstruct(x), model.reconstruct(x))


def test_a_loaded_model_is_still_views_into_its_theta(path):
    model = make()
    theta = model.parameters.theta
    sn.save(path, model)
    sn.load(path, model)
    assert model.parameters.theta is theta
    model.parameters.zero_grad()
    assert np.shares_memory(model.decoder.W, theta)  # type: ignore[attr-defined]


def test_the_file_is_a_plain_npz_with_the_parameters_names(path):
    model = make()
    sn.save(path, model)
    with np.load(path, allow_pickle=False) as file:
        assert file.files == ["encoder.0.W", "encoder.0.b", "decoder.W", "decoder.b"]
        assert np.array_equal(file["encoder.0.W"], model.parameters.named()["encoder.0.W"])


def test_the_same_model_gives_the_same_bytes(path):
    sn.save(path, make())
    first = path.read_bytes()
    sn.save(path, make())
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "name", ["file", "args", "self", "allow_pickle", "a/b", "ünï", pytest.param("x" * 2000, id="a long one")]
)
def test_a_parameter_of_any_name_is_saved(path, name):
    class Scaled(sn.Layer):
        parameter_names = (name,)

        def __init__(self):
            setattr(self, name, np.full(4, 2.0, np.float32))
            setattr(self, f"d{name}", np.zeros(4, np.float32))

        def forward(self, x):
            return x * getattr(self, name), lambda dy: dy * getattr(self, name)

    model = sn.Autoencoder(Scaled(), Scaled())
    sn.save(path, model)
    model.parameters.theta[...] = 0
    sn.load(path, model)
    assert (model.parameters.theta == 2).all()


def test_the_name_is_taken_as_it_is(tmp_path):
    sn.save(tmp_path / "model.of.mine", make())
    assert [file.name for file in tmp_path.iterdir()] == ["model.of.mine"]


OF_VERSION_1_0 = """
UEsDBC0AAAAAAAAAIQDmc1v+//////////8HABQAMC5XLm5weQEAEACIAAAAAAAAAIgAAAAAAAAAk05VTVBZAQB2AHsnZGVzY3InOiAnPGY0Jy
wgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDEpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
ICAgICAgICAgICAgICAgICAgIAoAAMA/AAAAwFBLAwQtAAAAAAAAACEAxwZQBP//////////BwAUADAuYi5ucHkBABAAhAAAAAAAAACEAAAAAA
AAAJNOVU1QWQEAdgB7J2Rlc2NyJzogJzxmNCcsICdmb3J0cmFuX29yZGVyJzogRmFsc2UsICdzaGFwZSc6ICgxLCksIH0gICAgICAgICAgICAg
ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAKAACAPlBLAQItAy0AAAAAAAAAIQDmc1v+iAAAAIgAAAAHAA
AAAAAAAAAAAACAAQAAAAAwLlcubnB5UEsBAi0DLQAAAAAAAAAhAMcGUASEAAAAhAAAAAcAAAAAAAAAAAAAAIABwQAAADAuYi5ucHlQSwUGAAAA
AAIAAgBqAAAAfgEAAAAA
"""


def test_a_file_of_version_1_0_is_loaded(path):
    path.write_bytes(base64.b64decode(OF_VERSION_1_0))
    dense = sn.Dense(2, 1, rng=np.random.default_rng(0))
    sn.load(path, sn.Sequential(dense))
    assert dense.W.tolist() == [[1.5], [-2.0]]
    assert dense.b.tolist() == [0.25]


def test_a_path_may_be_a_string(path):
    sn.save(str(path), make())
    sn.load(str(path), make(seed=1))
    assert path.exists()


def test_saving_leaves_no_file_beside_it(path):
    sn.save(path, make())
    assert stray_files(path) == []


def test_saving_takes_the_place_of_what_was_there(path):
    path.write_bytes(b"older")
    sn.save(path, make())
    sn.load(path, make(seed=1))
    assert path.read_bytes() != b"older"


def test_arrays_saved_column_by_column_come_back_in_their_places(path):
    model, other = make(), make(seed=1)
    np.savez(path, **{name: np.asfortranarray(W) for name, W in model.parameters.named().items()})  # type: ignore[arg-type]
    sn.load(path, other)
    assert other.parameters.theta.tobytes() == model.parameters.theta.tobytes()


def test_an_array_of_more_bytes_than_a_plain_zip_holds_is_saved(path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)  # in place of two gigabytes
    model, other = make(hidden=300), make(hidden=300, seed=1)
    sn.save(path, model)
    sn.load(path, other)
    assert other.parameters.theta.tobytes() == model.parameters.theta.tobytes()


# ---- files that do not fit


def saved_by(model: sn.Autoencoder, path: Path) -> bytes:
    sn.save(path, model)
    return path.read_bytes()


def npz(path: Path, **changes: object) -> bytes:
    arrays: dict[str, object] = {**make(seed=1).parameters.named(), **changes}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path.read_bytes()


def compressed(path: Path) -> bytes:
    np.savez_compressed(path, **make(seed=1).parameters.named())  # type: ignore[arg-type]
    return path.read_bytes()


def npy(path: Path) -> bytes:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    return path.read_bytes()


def zipped(path: Path, content: bytes) -> bytes:
    """An archive with the right names, whose members are no arrays."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in make().parameters.named():
            archive.writestr(name, content)
    return path.read_bytes()


def promising(path: Path, shape: tuple[int, ...], body: bytes = b"", version: int = 1) -> bytes:
    """An archive whose last array has this shape in its header, and this after it."""
    header = io.BytesIO()
    write_header = {1: np.lib.format.write_array_header_1_0, 2: np.lib.format.write_array_header_2_0}[version]
    write_header(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    sn.save(path, make(seed=1))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["decoder.b.npy"] = header.getvalue() + body
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


def twice(path: Path) -> bytes:
    """An archive that holds its last array once more."""
    sn.save(path, make(seed=1))
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("decoder.b.npy", archive.read("decoder.b.npy"))
    return path.read_bytes()


UNFIT = {
    "an array twice": twice,
    "compressed": compressed,
    "garbage": lambda path: b"garbage",
    "nothing": lambda path: b"",
    "cut off": lambda path: saved_by(make(seed=1), path)[:-100],
    "cut off early": lambda path: saved_by(make(seed=1), path)[:100],
    "other names": lambda path: npz(path, **{"decoder.0.W": np.zeros(3)}),
    "no names": lambda path: zipped(path, b"")[-22:],
    "other shapes": lambda path: saved_by(make(hidden=2), path),
    "the last shape is another": lambda path: npz(path, **{"decoder.b": np.zeros(5, np.float32)}),
    "a shape that would be broadcast": lambda path: npz(path, **{"decoder.b": np.zeros(1, np.float32)}),
    "another dtype": lambda path: saved_by(make(dtype=np.float64), path),
    "the last dtype is another": lambda path: npz(path, **{"decoder.b": np.zeros(4)}),
    "pickled objects": lambda path: npz(path, **{"decoder.b": np.array([{}] * 4, object)}),
    "one array and no archive": lambda path: npy(path),
    "members that are no arrays": lambda path: zipped(path, b"words"),
    "a header and no numbers": lambda path: promising(path, (4,)),
    "a number too few": lambda path: promising(path, (4,), bytes(12)),
    "a number too many": lambda path: promising(path, (4,), bytes(20)),
    "a newer version of the format": lambda path: promising(path, (4,), bytes(16), version=2),
    "a header that promises more than there is memory": lambda path: promising(path, (2**50,)),
}


@pytest.fixture(params=list(UNFIT.values()), ids=list(UNFIT))
def unfit(request, path) -> Path:
    path.write_bytes(request.param(path))
    return path


def test_a_file_that_does_not_fit_is_refused_by_its_name(unfit):
    with pytest.raises(sn.DataError, match=r"model\.npz"):
        sn.load(unfit, make())


def test_a_file_that_does_not_fit_changes_nothing(unfit):
    model = make()
    model.parameters.dtheta[...] = 7.0
    before = model.parameters.theta.tobytes()
    with pytest.raises(sn.DataError):
        sn.load(unfit, model)
    assert model.parameters.theta.tobytes() == before
    assert np.all(model.parameters.dtheta == 7.0)


def test_a_file_that_does_not_fit_is_closed(unfit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(sn.DataError) as refusal:
            sn.load(unfit, make())
        del refusal
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("numbers", [3, 5])
def test_an_array_that_is_not_as_long_as_it_says_is_named(path, numbers):
    path.write_bytes(promising(path, (4,), bytes(4 * numbers)))
    with pytest.raises(sn.DataError, match=r"decoder\.b is cut off or goes on after its end"):
        sn.load(path, make())


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("members that are no arrays", "its list of arrays is longer than the arrays"),
        ("a newer version of the format", r"decoder\.b is in another version of NumPy's format"),
    ],
)
def test_a_file_that_is_laid_out_otherwise_is_refused_by_what_is_different(path, what, why):
    path.write_bytes(UNFIT[what](path))
    with pytest.raises(sn.DataError, match=why):
        sn.load(path, make())


def test_an_array_may_have_a_bound_on_its_bytes(path):
    np.savez(path, a=np.zeros(100))
    with opened(path, "model") as archive:
        assert read_array(archive, "a", most=1000).shape == (100,)
    with pytest.raises(sn.DataError, match=r"a is longer than the 900 bytes that it may have"), opened(path, "") as one:
        read_array(one, "a", most=900)


def test_what_has_nothing_to_save_is_refused(path):
    with pytest.raises(ValueError, match=r"^save expects a model or a layer that has parameters or states, got ReLU"):
        sn.save(path, sn.ReLU())


def test_a_missing_file_is_refused(path):
    with pytest.raises(sn.DataError, match=r"model\.npz does not exist"):
        sn.load(path, make())


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(sn.DataError, match="is not a model file"):
        sn.load(tmp_path, make())


def test_nothing_pickled_is_ever_run(path):
    ran = path.with_name("ran")

    class Bomb:
        def __reduce__(self):
            return Path.touch, (ran,)

    np.savez(path, **{name: np.array([Bomb()], object) for name in make().parameters.named()})  # type: ignore[arg-type]
    with pytest.raises(sn.DataError):
        sn.load(path, make())
    assert not ran.exists()


def test_no_object_is_ever_pickled(path):
    with path.open("wb") as file, pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(file, {"objects": np.array([None])})


# ---- writes that fail


def test_a_write_that_fails_leaves_the_old_file_and_no_part_of_the_new(path):
    resource = pytest.importorskip("resource", reason="limits the size of a file, to run out of disk for real")
    old = saved_by(make(), path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"[Ff]ile too large"):
            sn.save(path, make(hidden=10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
    assert stray_files(path) == []


def test_a_save_that_is_refused_leaves_the_old_file(path):
    model = make()
    old = saved_by(model, path)
    model.decoder.W = model.decoder.W.copy()  # type: ignore[attr-defined]  (no longer part of θ)
    with pytest.raises(ValueError, match=r"decoder\.W is no longer part"):
        sn.save(path, model)
    assert path.read_bytes() == old
    assert stray_files(path) == []


@pytest.mark.parametrize("fields", [[f"f{i}" for i in range(120)], ["β"]], ids=["many fields", "a Greek letter"])
@pytest.mark.parametrize("write", [sn.save, lambda path, model: fit_saved(path, model)], ids=["save", "fit"])
def test_a_state_that_could_not_be_read_again_is_refused_by_its_name(path, write, fields):
    class Counts(sn.ReLU):
        state_names = ("counts",)
        counts = np.zeros(2, [(field, "f4") for field in fields])

    model = sn.Autoencoder(sn.Sequential(make().encoder, Counts()), make().decoder)
    path.write_bytes(b"older") if write is sn.save else None
    before = path.exists()
    with pytest.raises(
        TypeError, match=r"^A file takes a dtype of at most 1,000 letters of Latin-1 for .*encoder\.1\.counts, got"
    ):
        write(path, model)
    assert path.exists() == before
    assert stray_files(path) == []


def fit_saved(path: Path, model: sn.Autoencoder, epochs: int = 1) -> sn.History:
    x, rng = np.full((4, 4), 0.5, np.float32), np.random.default_rng(0)
    return sn.fit(model, x, optimizer=sn.Adam(), epochs=epochs, rng=rng, progress=False, checkpoint=path)


@pytest.mark.parametrize("where", ["missing/../model.npz", "./missing/../model.npz", "model.npz"])
def test_what_is_written_to_a_path_is_read_from_it(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    sn.save(where, make())
    sn.load(where, make())
    Path("model.npz").unlink()
    fit_saved(where, make())
    history = fit_saved(where, make(), epochs=2)
    assert len(history.epochs) == 2
    assert [other.name for other in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_ends_badly_leaves_the_old_file(path, error):
    path.write_bytes(b"old")
    with pytest.raises(error), write_whole(path) as file:  # noqa: PT012
        file.write(b"half of the new")
        raise error
    assert path.read_bytes() == b"old"
    assert stray_files(path) == []


def test_the_new_file_takes_its_place_only_when_the_block_ends(path):
    path.write_bytes(b"old")
    with write_whole(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_saving_into_a_missing_directory_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        sn.save(tmp_path / "nowhere" / "model.npz", make())


def test_an_error_about_another_file_keeps_that_files_name(path):
    with pytest.raises(FileNotFoundError) as caught, write_whole(path):
        path.with_name("other").read_bytes()
    assert str(caught.value.filename) == str(path.with_name("other"))


# ---- writes that end well


@pytest.fixture
def synced(path, monkeypatch) -> list[tuple[str, bool]]:
    """What is sent to disk, and whether there is a file at the path by then."""
    fsync, seen = os.fsync, []

    def noting(descriptor: int) -> None:
        status = os.fstat(descriptor)
        what = "a folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes"
        seen.append((what, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return seen


def test_all_of_a_file_is_on_disk_before_it_gets_its_name(path, synced):
    with write_whole(path) as file:
        file.write(b"whole")
    assert synced[0] == ("5 bytes", False)


@pytest.mark.skipif(os.name != "posix", reason="where a folder cannot be opened")
def test_the_folders_list_of_names_goes_to_disk_after_the_file_got_its_name(path, synced):
    with write_whole(path) as file:
        file.write(b"whole")
    assert synced[1:] == [("a folder", True)]


def free_descriptor() -> int:
    """The number that the system gives to the next file that is opened."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def test_a_save_leaves_no_file_open(path):
    before = free_descriptor()
    sn.save(path, make())
    assert free_descriptor() <= before


# ---- what is no file


def a_pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(path)


def a_device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # a /dev/null of our own
    except (AttributeError, OSError):
        pytest.skip("this user may make no device")


def a_socket(path: Path) -> None:
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no sockets with a name here")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)  # in the folder we are in: a socket's path may have a hundred bytes, and a test's has more


def a_directory(path: Path) -> None:
    path.mkdir()


def link(path: Path, target: str | Path) -> None:
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this user may make no link")


def a_link_to(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def make_both(path: Path) -> None:
        make(path.with_name("other"))
        link(path, path.with_name("other"))

    return make_both


NO_FILES = {
    "a pipe": a_pipe,
    "a device": a_device,
    "a socket": a_socket,
    "a directory": a_directory,
    "a link to a pipe": a_link_to(a_pipe),
    "a link to a device": a_link_to(a_device),
    "a link to a directory": a_link_to(a_directory),
}


@pytest.fixture(params=list(NO_FILES.values()), ids=list(NO_FILES))
def no_file(request, path, monkeypatch) -> Path:
    monkeypatch.chdir(path.parent)
    request.param(path)
    return path


WRITERS: dict[str, Callable[[Path], None]] = {
    "save": lambda path: sn.save(path, make()),
    "save_figure": lambda path: plots.save_figure(path, plots.image_grid(np.zeros((1, 4)), "a title")),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_what_is_no_file_is_not_written_to_nor_replaced(no_file, write):
    before, mode = sorted(no_file.parent.iterdir()), no_file.lstat().st_mode
    with pytest.raises(OSError, match=r"model\.npz"):
        write(no_file)
    assert sorted(no_file.parent.iterdir()) == before
    assert no_file.lstat().st_mode == mode


def test_a_run_is_not_saved_in_what_is_no_file(no_file):
    before, mode, model = sorted(no_file.parent.iterdir()), no_file.lstat().st_mode, make()
    rng, x = np.random.default_rng(0), np.zeros((4, 4), np.float32)
    with pytest.raises(sn.DataError, match=r"model\.npz is not a checkpoint file, but a"):
        sn.fit(model, x, optimizer=sn.SGD(0.1), epochs=1, rng=rng, progress=False, checkpoint=no_file)
    assert sorted(no_file.parent.iterdir()) == before
    assert no_file.lstat().st_mode == mode


def test_what_is_no_file_is_not_read_from(no_file):
    with pytest.raises(sn.DataError, match=r"model\.npz is not a model file, but a (pipe|device|socket|directory)\."):
        sn.load(no_file, make())


# ---- links


@pytest.mark.parametrize("exists", [True, False])
def test_through_a_link_its_target_is_written(tmp_path, exists):
    real, to_it = tmp_path / "elsewhere" / "real.npz", tmp_path / "link.npz"
    real.parent.mkdir()
    if exists:
        real.write_bytes(b"older")
    link(to_it, Path("elsewhere") / "real.npz")
    model, other = make(), make(seed=1)
    sn.save(to_it, model)
    sn.load(real, other)
    assert to_it.is_symlink()
    assert other.parameters.theta.tobytes() == model.parameters.theta.tobytes()
    assert [path.name for path in real.parent.iterdir()] == ["real.npz"]


def test_a_run_goes_on_through_a_link(tmp_path):
    to_it, x = tmp_path / "link.npz", np.full((4, 4), 0.5, np.float32)
    link(to_it, "real.npz")
    for epochs in (1, 2):
        model, rng = make(), np.random.default_rng(0)
        history = sn.fit(model, x, optimizer=sn.Adam(), epochs=epochs, rng=rng, progress=False, checkpoint=to_it)
    assert to_it.is_symlink()
    assert len(history.epochs) == 2


def test_a_link_that_leads_to_itself_is_an_error_of_the_system_that_names_it(path):
    link(path, path)
    with pytest.raises(OSError, match=r"model\.npz"):
        sn.save(path, make())
    assert path.is_symlink()


# ---- two who write


WRITER = """
import sys, numpy as np, scratchnet as sn
rng = np.random.default_rng(0)
model = sn.Autoencoder(sn.Dense(4, int(sys.argv[2]), rng=rng), sn.Dense(int(sys.argv[2]), 4, rng=rng))
for _ in range(40):
    sn.save(sys.argv[1], model)
"""


def look_at(path: Path, while_true: Callable[[], bool]) -> tuple[int, list[str]]:
    """How often the file was looked at, and what was wrong with it."""
    looked, wrong = 0, []
    while while_true():
        try:
            with path.open("rb") as file:
                bad = zipfile.ZipFile(file).testzip()
            wrong += [bad] if bad else []
            looked += 1
        except FileNotFoundError:
            pass
        except zipfile.BadZipFile as error:
            wrong.append(str(error))
    return looked, wrong


def test_two_threads_that_write_one_path_never_show_a_torn_file(path):
    failed: list[BaseException] = []

    def save(hidden: int) -> None:
        try:
            for _ in range(40):
                sn.save(path, make(hidden))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(hidden,)) for hidden in (1000, 20_000)]
    for thread in threads:
        thread.start()
    looked, wrong = look_at(path, lambda: any(thread.is_alive() for thread in threads))
    assert (failed, wrong, stray_files(path)) == ([], [], [])
    assert looked > 0


def test_two_processes_that_write_one_path_never_show_a_torn_file(path):
    arguments = [[sys.executable, "-c", WRITER, str(path), hidden] for hidden in ("1000", "20000")]
    processes = [subprocess.Popen(one, env=os.environ | {"SCRATCHNET_KERNELS": "numpy"}) for one in arguments]
    looked, wrong = look_at(path, lambda: any(process.poll() is None for process in processes))
    assert ([process.wait() for process in processes], wrong, stray_files(path)) == ([0, 0], [], [])
    assert looked > 0


def test_a_save_within_a_save_of_the_same_path_leaves_both_whole(path):
    with write_whole(path) as outer:
        outer.write(b"outer, ")
        with write_whole(path) as inner:
            inner.write(b"inner")
        assert path.read_bytes() == b"inner"
        outer.write(b"whole")
    assert path.read_bytes() == b"outer, whole"
    assert stray_files(path) == []


# ---- names


NAMES = ["[run].npz", "run*.npz", "run?.npz", "a b.npz", "ünï.npz", "-run", ".npz", "no ending", "a.b.part"]
NAMES += ["x" * 255, "𝄞" * 60]  # as long as names may be, in letters of one byte and of four


@pytest.fixture(params=NAMES)
def named(request, tmp_path) -> Path:
    """A path of an unusual name, where the system has such names."""
    path = tmp_path / request.param
    try:
        path.write_bytes(b"")
        path.unlink()
    except (OSError, UnicodeError):
        pytest.skip("no such names here")
    return path


def test_a_model_is_saved_under_any_name(named):
    model, other = make(), make(seed=1)
    sn.save(named, model)
    sn.load(named, other)
    assert other.parameters.theta.tobytes() == model.parameters.theta.tobytes()
    assert stray_files(named) == []


def test_a_run_is_saved_under_any_name(named):
    x = np.full((4, 4), 0.5, np.float32)
    for epochs in (1, 2):
        model, rng = make(), np.random.default_rng(0)
        history = sn.fit(model, x, optimizer=sn.Adam(), epochs=epochs, rng=rng, progress=False, checkpoint=named)
    assert len(history.epochs) == 2
    assert stray_files(named) == []


@pytest.mark.skipif(os.name != "posix", reason="where it cannot be told whether a process lives, all is left")
def test_what_a_killed_process_left_is_cleared_away_under_any_name(named):
    code = "import os, sys, scratchnet.training.storage as s\nwith s.write_whole(sys.argv[1]): os._exit(0)"
    subprocess.run(
        [sys.executable, "-c", code, str(named)], env=os.environ | {"SCRATCHNET_KERNELS": "numpy"}, check=True
    )
    assert len(stray_files(named)) == 1
    clear_aside(named)
    assert stray_files(named) == []


def test_what_belongs_to_another_name_is_not_cleared_away(tmp_path):
    others = [tmp_path / name for name in (".runX.npz.999999999.1.part", ".run.npz.kept", "run.npz.999999999.1.part")]
    for other in others:
        other.write_bytes(b"")
    clear_aside(tmp_path / "run?.npz")
    clear_aside(tmp_path / "run*")
    clear_aside(tmp_path / "run.npz")
    assert all(other.exists() for other in others)


@pytest.mark.skipif(os.name != "posix", reason="where it cannot be told whether a process lives, all is left")
def test_a_leftover_that_another_process_clears_away_first_is_no_error(path, monkeypatch):
    leftover = path.with_name(f".{path.name}.999999999.1.part")
    leftover.write_bytes(b"half")

    def kill(process: int, signal: int) -> None:
        leftover.unlink()
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)
    clear_aside(path)
    assert stray_files(path) == []


def test_a_path_as_long_as_the_system_takes_is_written_to(tmp_path):
    folder = tmp_path
    while len(os.fsencode(folder)) < 3500:
        folder /= "x" * 200
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("no paths of this length here")
    sn.save(folder / "model.npz", make())
    sn.load(folder / "model.npz", make(seed=1))


FAILS = {
    "a missing folder": lambda folder: folder / "nowhere" / "model.npz",
    "a folder that is a file": lambda folder: folder / "file" / "model.npz",
    "a name that is too long": lambda folder: folder / ("x" * 300),
    "a path that is too long": lambda folder: folder / "/".join(["x" * 100] * 60),
}


@pytest.mark.parametrize("where", FAILS.values(), ids=FAILS)
def test_an_error_of_the_system_names_the_path_that_was_asked_for_and_no_other(tmp_path, where):
    (tmp_path / "file").write_bytes(b"")
    path = where(tmp_path)
    with pytest.raises(OSError) as caught:  # noqa: PT011  (of which kind, the system says)
        sn.save(path, make())
    assert str(caught.value).endswith(f": {str(path)!r}")
    assert ".part" not in str(caught.value)


@pytest.mark.parametrize("where", FAILS.values(), ids=FAILS)
def test_what_cannot_be_read_is_refused_by_its_name(tmp_path, where):
    (tmp_path / "file").write_bytes(b"")
    path = where(tmp_path)
    with pytest.raises(sn.DataError, match=r"does not exist|could not be read: "):
        sn.load(path, make())


def test_why_a_file_cannot_be_read_is_said_in_the_systems_words(tmp_path):
    path = tmp_path / ("x" * 300)
    with pytest.raises(OSError) as why:  # noqa: PT011  (of which kind, the system says)
        path.stat()
    if isinstance(why.value, FileNotFoundError):
        pytest.skip("no name is too long here")
    with pytest.raises(sn.DataError) as refusal:
        sn.load(path, make())
    assert str(refusal.value) == f"{path} could not be read: {why.value.strerror}."


@pytest.mark.parametrize("path", ["a\0b.npz", "\ud800.npz"])
def test_a_path_that_no_system_takes_is_refused(path):
    with pytest.raises(ValueError, match="save expects path to be a name that a file can have here"):
        sn.save(path, make())
