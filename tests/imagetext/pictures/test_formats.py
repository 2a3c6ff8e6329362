"""Formats are told by content, and everything else is refused as no picture."""

import struct

import pytest
from PIL import Image

from imagetext.pictures import READABLE_SUFFIXES, open_picture
from imagetext.wire.errors import InvalidPicture, NotAPicture

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


@pytest.mark.parametrize("format", FORMATS)
def test_reads_every_format_of_the_whitelist(format, encoded):
    """Each format gives the same RGB picture, within its losses."""
    picture = open_picture(encoded(Image.new("RGB", (50, 30), (200, 40, 40)), format))

    assert (picture.mode, picture.size) == ("RGB", (50, 30))
    assert all(abs(a - b) < 12 for a, b in zip(picture.getpixel((25, 15)), (200, 40, 40), strict=True))


@pytest.mark.parametrize("big_endian", [False, True])
def test_reads_big_tiff(encoded, big_endian):
    """BigTIFF is a TIFF of either byte order."""
    data = encoded(Image.new("RGB", (8, 8), "red"), "TIFF", big_tiff=True)
    assert data[2:4] == b"+\0"

    assert open_picture(data).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n" + b"\0" * 100,
        b"BM is how this letter begins, and it is not a bitmap.",
        b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 100,
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100,
        b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + b"\0" * 100,
        b"P6 2 2 255\n" + b"\0" * 12,
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
    ids=["empty", "null", "text", "svg", "pdf", "BM text", "wave", "heic", "mp4", "ppm", "eps"],
)
def test_refuses_what_is_in_no_format_of_the_whitelist(data):
    """Other files, pictures of other formats among them, are not pictures here."""
    with pytest.raises(NotAPicture):
        open_picture(data)


@pytest.mark.parametrize("format", ["PPM", "ICO", "PCX", "TGA", "SGI", "JPEG2000", "PDF"])
def test_refuses_formats_that_pillow_could_read(format, encoded):
    """The whitelist is ours, not all that Pillow knows."""
    with pytest.raises(NotAPicture):
        open_picture(encoded(Image.new("RGB", (32, 32), "red"), format))


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "WEBP"])
def test_a_signature_alone_is_a_damaged_picture(format, encoded):
    """What begins as a picture and ends there is damaged, not foreign."""
    data = encoded(Image.new("RGB", (32, 32), "red"), format)

    with pytest.raises(InvalidPicture):
        open_picture(data[:20])


def test_a_heif_that_lists_avif_among_its_brands_is_an_avif(encoded):
    """The major brand mif1 is a container; what is in it is said by the compatible brands."""
    data = bytearray(encoded(Image.new("RGB", (32, 32), "red"), "AVIF"))
    data[8:12] = b"mif1"
    (end,) = struct.unpack_from(">I", data)
    assert b"avif" in data[16:end]

    assert open_picture(bytes(data)).size == (32, 32)


def test_suffixes_are_lower_case_and_dotted():
    """The scan compares lower-case suffixes with these."""
    assert ".jpg" in READABLE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in READABLE_SUFFIXES)
