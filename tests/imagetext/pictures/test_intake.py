"""Limits, turns, frames, damage: what happens to a file on its way in."""

import hashlib
import os
import random
import struct
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from imagetext.pictures import Limits, open_picture, read_picture_file
from imagetext.wire.errors import ImageTextError, InvalidPicture, NotAPicture, NotFound, TooLarge

LOSSY = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


@pytest.fixture(scope="module")
def photo():
    """160 x 120, with enough detail that every byte of its files matters."""
    rng = np.random.default_rng(7)
    return Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (160, 120), Image.Resampling.BICUBIC
    )


# Limits


def test_refuses_too_many_bytes(encoded):
    """One byte over the limit is too many."""
    data = encoded(Image.new("RGB", (8, 8)), "PNG")

    assert open_picture(data, Limits(max_bytes=len(data))).size == (8, 8)
    with pytest.raises(TooLarge, match="bytes"):
        open_picture(data, Limits(max_bytes=len(data) - 1))


@pytest.mark.parametrize("format", FORMATS)
def test_refuses_too_many_pixels(format, encoded):
    """One pixel over the limit is too many."""
    data = encoded(Image.new("RGB", (20, 30)), format)

    assert open_picture(data, Limits(max_pixels=600)).size == (20, 30)
    with pytest.raises(TooLarge, match="20 x 30 pixels"):
        open_picture(data, Limits(max_pixels=599))


def test_pillows_own_limit_and_warning_play_no_part(encoded):
    """No warning for a picture between Pillow's two limits, no setting of Pillow changed."""
    before = Image.MAX_IMAGE_PIXELS
    data = encoded(Image.new("1", (12_000, 9_000)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        with pytest.raises(TooLarge, match="12000 x 9000"):
            open_picture(data)
        assert open_picture(data, Limits(max_pixels=108_000_000)).size == (12_000, 9_000)
    assert before == Image.MAX_IMAGE_PIXELS


# Files


def test_opens_a_path(tmp_path, encoded):
    """A path is read, whatever its name says."""
    path = tmp_path / "really a png.jpg"
    path.write_bytes(encoded(Image.new("RGB", (8, 8), "red"), "PNG"))

    assert open_picture(path).getpixel((0, 0)) == (255, 0, 0)


def test_a_large_file_is_refused_unread(tmp_path):
    """The size of a file is asked before its content; this one would not fit into memory."""
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(2**42)

    with pytest.raises(TooLarge):
        read_picture_file(path)


def test_a_missing_file_is_not_found(tmp_path):
    """A path that leads nowhere, or that cannot be one, is not found."""
    for path in [tmp_path / "no.jpg", tmp_path / "a\0b.jpg", tmp_path / ("x" * 5000)]:
        with pytest.raises(NotFound):
            open_picture(path)


def test_a_pipe_and_a_folder_are_not_pictures(tmp_path):
    """Nothing waits for a pipe's writer."""
    os.mkfifo(tmp_path / "pipe.jpg")

    for path in [tmp_path / "pipe.jpg", tmp_path]:
        with pytest.raises(NotAPicture):
            open_picture(path)


# Orientation

TURNED = {
    1: ["red", "lime", "blue", "white"],
    2: ["lime", "red", "white", "blue"],
    3: ["white", "blue", "lime", "red"],
    4: ["blue", "white", "red", "lime"],
    5: ["red", "blue", "lime", "white"],
    6: ["blue", "red", "white", "lime"],
    7: ["white", "lime", "blue", "red"],
    8: ["lime", "white", "red", "blue"],
}
RGB = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_pictures_are_turned_upright(format, orientation, corners, encoded):
    """Each of the eight EXIF orientations is undone, and the full size is that of the upright picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = open_picture(encoded(corners, format, exif=exif, **LOSSY.get(format, {})))
    size = (60, 40) if orientation < 5 else (40, 60)
    width, height = size
    found = [picture.getpixel(at) for at in [(3, 3), (width - 4, 3), (3, height - 4), (width - 4, height - 4)]]

    assert picture.size == picture.info["full_size"] == size
    for corner, wanted in zip(found, TURNED[orientation], strict=True):
        assert all(abs(a - b) < 16 for a, b in zip(corner, RGB[wanted], strict=True))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_turns_nothing(orientation, corners, encoded):
    """Numbers without a meaning are ignored."""
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert open_picture(encoded(corners, "PNG", exif=exif)).tobytes() == corners.tobytes()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_exif_is_ignored(format, exif, corners, encoded):
    """The pixels are good even when what is said about them is not."""
    assert open_picture(encoded(corners, format, exif=b"Exif\0\0" + exif)).size == (60, 40)


# Scaled decoding


def test_a_target_lets_large_jpegs_be_decoded_smaller(encoded):
    """The shorter side stays at or above the target, and the full size is remembered."""
    data = encoded(Image.new("RGB", (2000, 1600), (10, 120, 230)), "JPEG")
    picture = open_picture(data, target=200)

    assert picture.size == (250, 200)
    assert picture.info["full_size"] == (2000, 1600)
    assert open_picture(data, target=201).size == (500, 400)
    assert open_picture(data, target=5000).size == (2000, 1600)
    assert open_picture(data).size == (2000, 1600)


def test_a_target_and_a_turn_go_together(encoded):
    """The full size of a scaled and turned picture is upright and unscaled."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = open_picture(encoded(Image.new("RGB", (2000, 1600)), "JPEG", exif=exif), target=200)

    assert picture.size == (200, 250)
    assert picture.info["full_size"] == (1600, 2000)


def test_other_formats_ignore_the_target(encoded):
    """Only JPEG can be decoded at a fraction of its size."""
    assert open_picture(encoded(Image.new("RGB", (800, 600)), "PNG"), target=100).size == (800, 600)


# Animations


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_of_an_animation_is_taken(format, encoded):
    """Later frames and pages play no part."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    colour = open_picture(data).getpixel((16, 16))

    assert all(abs(a - b) < 12 for a, b in zip(colour, (255, 0, 0), strict=True))


# Damage


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_cut_in_half_is_invalid(format, photo, encoded):
    """Half a picture is not shown as a picture with a grey half."""
    data = encoded(photo, format)

    with pytest.raises(InvalidPicture) as caught:
        open_picture(data[: len(data) // 2])
    assert caught.value.detail == "The picture is damaged and cannot be decoded."


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_damage_ends_in_one_of_our_errors(format, photo, encoded):
    """Cut and spoilt at random, a file gives an RGB picture or one of our errors, and its text is never Pillow's."""
    data = encoded(photo, format)
    chance = random.Random(format)
    for _ in range(150):
        spoilt = bytearray(data[: chance.randrange(1, len(data) + 1)] if chance.random() < 0.3 else data)
        for _ in range(chance.choice([1, 4, 30])):
            spoilt[chance.randrange(min(len(spoilt), chance.choice([64, 400, len(data)])))] = chance.randrange(256)
        try:
            picture = open_picture(bytes(spoilt), target=64)
        except (InvalidPicture, NotAPicture, TooLarge) as error:
            assert error.detail.endswith(".")
            assert "PIL" not in error.detail and "image file" not in error.detail
        else:
            assert picture.mode == "RGB"


def test_a_tiff_without_dimensions_is_invalid():
    """A directory without entries is a TIFF that shows nothing."""
    with pytest.raises(InvalidPicture):
        open_picture(b"II*\0" + struct.pack("<IHI", 8, 0, 0))


# Threads


def test_many_threads_may_open_pictures_at_once(photo, encoded):
    """Eight threads get what one thread gets."""
    files = [encoded(photo, format) for format in FORMATS] + [encoded(photo.convert("LAB"), "TIFF")]
    alone = [digest(open_picture(data)) for data in files]
    start = threading.Barrier(8)

    def open_all(_):
        start.wait()
        return [digest(open_picture(data)) for data in files * 5]

    with ThreadPoolExecutor(8) as pool:
        for together in pool.map(open_all, range(8)):
            assert together == alone * 5


def digest(picture):
    return hashlib.sha256(picture.tobytes()).hexdigest()


def test_every_error_of_the_intake_is_of_our_tree():
    """Callers need to catch one base class only."""
    with pytest.raises(ImageTextError):
        open_picture(b"")
