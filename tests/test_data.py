"""The data: MNIST as it ships with the package, and directories in the same format, whole or broken."""

import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

MNIST = Path(sn.data.__file__).parent / "mnist"

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


@pytest.fixture(scope="session")
def train():
    return sn.data.mnist("train")


@pytest.fixture(scope="session")
def test():
    return sn.data.mnist("test")


def cross_entropy(x: np.ndarray, p: np.ndarray) -> float:
    """The mean over images of Σᵢ −xᵢ log pᵢ − (1 − xᵢ) log(1 − pᵢ), where 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        black = np.where(x < 1, (1 - x) * np.log1p(-p), 0)
        white = np.where(x > 0, x * np.log(p), 0)
    return -(black + white).sum(axis=1).mean()


def idx(array: np.ndarray, magic: int | None = None, shape: tuple[int, ...] | None = None) -> bytes:
    """An idx file of bytes, whose header may lie."""
    shape = array.shape if shape is None else shape
    return struct.pack(f">{1 + len(shape)}I", magic or 0x0800 | array.ndim, *shape) + array.tobytes()


def write(folder: Path, images: bytes, labels: bytes, suffix: str = "") -> None:
    for name, content in ((IMAGES, images), (LABELS, labels)):
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 4), np.uint8)
DIGITS = np.array([3, 1, 4, 1, 5], np.uint8)


# ---- MNIST


def test_there_are_60000_images_to_train_on(train):
    images, labels = train
    assert images.shape == (60_000, 784)
    assert labels.shape == (60_000,)


def test_there_are_10000_images_to_test_on(test):
    images, labels = test
    assert images.shape == (10_000, 784)
    assert labels.shape == (10_000,)


def test_the_images_are_float32_from_0_to_1(train, test):
    for images, _ in (train, test):
        assert images.dtype == np.float32
        assert images.min() == 0
        assert images.max() == 1


def test_a_pixel_is_one_of_256_greys(test):
    images, _ = test
    assert np.array_equal(np.unique(images), np.arange(256, dtype=np.float32) / 255)


def test_the_labels_are_digits(train, test):
    for _, labels in (train, test):
        assert labels.dtype == np.uint8
        assert np.array_equal(np.unique(labels), np.arange(10))


def test_the_first_labels_are_those_of_the_published_files(train, test):
    assert train[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test[1][:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_each_digit_comes_as_often_as_published(train, test):
    assert np.bincount(train[1]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test[1]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_train_images_are_the_default(train):
    assert np.array_equal(sn.data.mnist()[1], train[1])


def test_the_rows_read_left_to_right_and_top_to_bottom(test):
    first = (test[0][0] * 255).reshape(28, 28)
    assert first[7, 6:12].round().tolist() == [84, 185, 159, 151, 60, 36]  # where the bar of a seven begins


def test_the_files_have_their_published_checksums():
    lines = [line.split() for line in (MNIST / "SHA256SUMS").read_text("utf-8").splitlines()]
    assert len(lines) == 4
    for checksum, name in lines:
        assert hashlib.sha256((MNIST / name).read_bytes()).hexdigest() == checksum


def test_a_coin_for_each_pixel_costs_543_nats_an_image(test):
    half = np.full((1, 784), 0.5)
    assert cross_entropy(test[0], half) == pytest.approx(784 * np.log(2))
    assert cross_entropy(test[0], half) == pytest.approx(543.43, abs=0.005)


def test_the_mean_training_image_costs_206_nats_an_image(train, test):
    p = train[0].mean(axis=0, dtype=np.float64).clip(1e-6, 1 - 1e-6)  # two test pixels are grey that never were before
    assert cross_entropy(test[0], p) == pytest.approx(205.80, abs=0.01)


def test_grey_pixels_leave_a_floor_of_46_nats_an_image(test):
    x = test[0].astype(np.float64)
    assert cross_entropy(x, x) == pytest.approx(45.53, abs=0.005)  # Σ H(x)


# ---- directories in the same format


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_pixels_are_read_byte_for_byte(tmp_path, suffix):
    write(tmp_path, idx(PIXELS), idx(DIGITS), suffix)
    images, labels = sn.data.load_idx(tmp_path)
    assert images.dtype == np.float32
    assert np.array_equal(images, PIXELS.reshape(5, 12).astype(np.float32) / 255)
    assert np.array_equal(labels, DIGITS)
    assert labels.dtype == np.uint8


def test_the_test_images_are_the_files_that_begin_with_t10k(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(PIXELS))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(DIGITS))
    assert np.array_equal(sn.data.load_idx(tmp_path, "test")[1], DIGITS)


def test_one_file_may_be_gzipped_and_the_other_not(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS))
    (tmp_path / LABELS).unlink()
    (tmp_path / f"{LABELS}.gz").write_bytes(gzip.compress(idx(DIGITS)))
    assert np.array_equal(sn.data.load_idx(tmp_path)[1], DIGITS)


@pytest.mark.parametrize("name", ["{}", "{}.gz", "{}/{}"])
@pytest.mark.parametrize("dot", ["-idx", ".idx"])
def test_files_are_found_under_the_names_that_programs_give_them(tmp_path, dot, name):
    for published, array in ((IMAGES, PIXELS), (LABELS, DIGITS)):
        one = published.replace("-idx", dot)
        path = tmp_path / name.format(one, one)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(idx(array)) if name.endswith(".gz") else idx(array))
    images, labels = sn.data.load_idx(tmp_path)
    assert np.array_equal(images, PIXELS.reshape(5, -1).astype(np.float32) / 255)
    assert np.array_equal(labels, DIGITS)


@pytest.mark.parametrize("dot", ["-idx", ".idx"])
def test_a_gzipped_file_whose_name_lost_its_gz_is_read(tmp_path, dot):
    for published, array in ((IMAGES, PIXELS), (LABELS, DIGITS)):
        (tmp_path / published.replace("-idx", dot)).write_bytes(gzip.compress(idx(array)))
    assert np.array_equal(sn.data.load_idx(tmp_path)[1], DIGITS)


def test_a_gzipped_file_without_gz_may_hold_far_more_than_its_own_size(tmp_path):
    write(tmp_path, gzip.compress(idx(np.zeros((1000, 28, 28), np.uint8))), idx(np.zeros(1000, np.uint8)))
    assert sn.data.load_idx(tmp_path)[0].shape == (1000, 784)


def test_a_gzipped_file_without_gz_that_is_cut_off_is_refused(tmp_path):
    write(tmp_path, gzip.compress(idx(PIXELS))[:-9], idx(DIGITS))
    refused(tmp_path, f"{IMAGES} could not be read: Compressed file ended")


def test_the_published_name_comes_before_the_one_with_a_dot(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS))
    (tmp_path / LABELS.replace("-idx", ".idx")).write_bytes(idx(DIGITS[::-1]))
    assert np.array_equal(sn.data.load_idx(tmp_path)[1], DIGITS)


def test_names_that_are_not_known_are_named(tmp_path):
    (tmp_path / "emnist-letters-train-images-idx3-ubyte").write_bytes(idx(PIXELS))
    refused(tmp_path, f"holds no {IMAGES}, with or without .gz: there is emnist-letters-train-images-idx3-ubyte")


def test_a_path_may_be_a_string(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS))
    assert len(sn.data.load_idx(str(tmp_path))[0]) == 5


def test_what_was_read_may_be_written_to(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS))
    images, labels = sn.data.load_idx(tmp_path)
    images[0, 0], labels[0] = 0.5, 9
    assert (images[0, 0], labels[0]) == (0.5, 9)


def refused(folder: Path, says: str) -> None:
    with pytest.raises(sn.DataError, match=says):
        sn.data.load_idx(folder)


def test_a_missing_directory_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "nowhere")


def test_missing_labels_are_refused(tmp_path):
    (tmp_path / IMAGES).write_bytes(idx(PIXELS))
    refused(tmp_path, f"no {LABELS}")


@pytest.mark.parametrize("left", [0, 3, 15, 16, 75])
def test_a_file_that_is_cut_off_is_refused(tmp_path, left):
    write(tmp_path, idx(PIXELS)[:left], idx(DIGITS))
    refused(tmp_path, f"{IMAGES} is cut off")


@pytest.mark.parametrize("left", [0, 3, 20, -1])
def test_a_gzipped_file_that_is_cut_off_is_refused(tmp_path, left):
    write(tmp_path, idx(PIXELS), idx(DIGITS), ".gz")
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:left])
    refused(tmp_path, f"{IMAGES}.gz (is cut off|could not be read)")


def test_a_gzipped_file_with_a_wrong_checksum_is_refused(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS), ".gz")
    path = tmp_path / f"{IMAGES}.gz"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # the first byte of the CRC
    path.write_bytes(content)
    refused(tmp_path, f"{IMAGES}.gz could not be read: CRC")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bytes_left_over_are_refused(tmp_path, suffix):
    write(tmp_path, idx(PIXELS) + b"\0", idx(DIGITS), suffix)
    refused(tmp_path, f"{IMAGES}{suffix} goes on after the 60 bytes")


@pytest.mark.parametrize(
    "magic",
    [
        pytest.param(0x00000801, id="labels"),
        pytest.param(0x00000B03, id="shorts"),
        pytest.param(0x00000D03, id="floats"),
        pytest.param(0x03080000, id="the wrong byte order"),
    ],
)
def test_a_wrong_magic_number_is_refused(tmp_path, magic):
    write(tmp_path, idx(PIXELS, magic=magic), idx(DIGITS))
    refused(tmp_path, f"expected the magic number 2051, got {magic}")


def test_counts_that_disagree_are_refused(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS[:4]))
    refused(tmp_path, f"{IMAGES} holds 5 images, but .*{LABELS} 4 labels")


@pytest.mark.parametrize("shape", [(0, 28, 28), (5, 0, 4)])
def test_images_of_no_pixels_are_refused(tmp_path, shape):
    write(tmp_path, idx(PIXELS[:0], shape=shape), idx(DIGITS))
    refused(tmp_path, f"{IMAGES} is empty")


def test_what_is_no_gzip_at_all_is_refused(tmp_path):
    write(tmp_path, idx(PIXELS), idx(DIGITS), ".gz")
    (tmp_path / f"{IMAGES}.gz").write_bytes(idx(PIXELS))
    refused(tmp_path, f"{IMAGES}.gz could not be read: Not a gzipped file")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (60_000, 28, 28)])
def test_a_header_that_promises_too_much_costs_no_memory(tmp_path, suffix, shape):
    write(tmp_path, idx(PIXELS, shape=shape), idx(DIGITS), suffix)
    tracemalloc.start()
    try:
        refused(tmp_path, f"{IMAGES}{suffix} is cut off after 60 of the [0-9,]+ bytes that its header promises")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
