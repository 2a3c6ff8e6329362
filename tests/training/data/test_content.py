"""What pictures are told by."""

import hashlib
import io
from collections.abc import Callable

import pytest
from PIL import Image

from imagetext.wire.errors import InvalidPicture, NotAPicture
from training.data.admission import NearDuplicates, measure, near_pairs, suffix_of


def saved(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_size_is_that_of_the_upright_picture(draw: Callable[..., bytes]) -> None:
    """A picture that lies on its side is measured as people see it; the hash is that of the file's bytes."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.open(io.BytesIO(draw(1, (120, 90)))), exif=exif)

    content = measure(data)

    assert (content.width, content.height) == (90, 120)
    assert content.sha256 == hashlib.sha256(data).hexdigest()


def test_copies_are_near_and_others_are_not(draw: Callable[..., bytes]) -> None:
    """Scaled, recompressed and brightened copies are found; eighty other pictures are not."""
    picture = Image.open(io.BytesIO(draw(0, (400, 300))))
    copies = [
        saved(picture.resize((200, 150))),
        saved(picture, quality=25),
        saved(picture, "PNG"),
        saved(picture.point(lambda value: min(255, int(value * 1.1)))),
    ]
    index = NearDuplicates()
    for seed in range(80):
        index.add(measure(draw(seed, (400, 300))))

    assert [index.find(measure(copy)) for copy in copies] == [0, 0, 0, 0]
    assert index.find(measure(draw(1000))) is None
    assert list(near_pairs(measure(draw(seed)) for seed in range(50))) == []


class Hashes:
    def __init__(self, dhash: int, phash: int) -> None:
        self.dhash, self.phash = f"{dhash:016x}", f"{phash:016x}"


@pytest.mark.parametrize(
    ("dhash_bits", "phash_bits", "near"), [(0, 0, True), (8, 6, True), (9, 6, False), (8, 7, False), (64, 0, False)]
)
def test_both_hashes_must_be_near(dhash_bits: int, phash_bits: int, near: bool) -> None:
    """Up to eight bits of one and six of the other may differ, wherever they lie."""
    for shift in range(0, 64, 5):
        index = NearDuplicates()
        index.add(Hashes(0, 0))
        spread = sum(1 << (shift + 9 * bit) % 64 for bit in range(phash_bits))

        assert (index.find(Hashes((1 << dhash_bits) - 1, spread)) == 0) is near


@pytest.mark.parametrize(
    ("kind", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("GIF", ".gif"), ("WEBP", ".webp"), ("BMP", ".bmp")]
)
def test_suffix_comes_from_the_bytes(kind: str, suffix: str, draw: Callable[..., bytes]) -> None:
    """The name's end says what the file is, not what somebody called it."""
    assert suffix_of(draw(1, (64, 64), kind)) == suffix


def test_other_formats_have_their_suffix(draw: Callable[..., bytes]) -> None:
    """TIFF and AVIF too; and text is none."""
    assert suffix_of(draw(1, (64, 64), "TIFF")) == ".tif"
    assert suffix_of(draw(1, (64, 64), "AVIF")) == ".avif"
    with pytest.raises(NotAPicture):
        suffix_of(b"<html>")


def test_half_a_picture_is_no_picture(draw: Callable[..., bytes]) -> None:
    """A header alone does not pass: every pixel is decoded."""
    with pytest.raises(InvalidPicture):
        measure(draw(1, (600, 400))[:-3000])
