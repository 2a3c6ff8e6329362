"""Thumbnails are small clean JPEGs."""

import io

import pytest
from PIL import Image

from imagetext.pictures import open_picture, thumbnail
from imagetext.wire.errors import InvalidParameter


def read(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize(("size", "wanted"), [((800, 400), (100, 50)), ((400, 800), (50, 100)), ((5000, 1), (100, 1))])
def test_a_thumbnail_fits_into_its_square(size, wanted):
    """The longer side becomes the size, the aspect stays, no side vanishes."""
    small = read(thumbnail(Image.new("RGB", size, "red"), 100))

    assert (small.format, small.mode, small.size) == ("JPEG", "RGB", wanted)


def test_a_small_picture_is_not_enlarged():
    """There is nothing to be seen in invented pixels."""
    assert read(thumbnail(Image.new("RGB", (30, 20)), 100)).size == (30, 20)


def test_the_picture_itself_is_left_alone():
    """The caller may go on with the picture."""
    picture = Image.new("RGB", (300, 200))
    thumbnail(picture, 100)

    assert picture.size == (300, 200)


def test_a_thumbnail_carries_no_metadata(encoded):
    """Where a picture was taken is not told by its thumbnail."""
    exif = Image.Exif()
    exif[0x010E] = "secret"
    picture = open_picture(encoded(Image.new("RGB", (300, 200)), "JPEG", exif=exif, comment=b"secret"))
    picture.info["comment"] = b"secret"

    assert b"secret" not in thumbnail(picture, 100)


@pytest.mark.parametrize("size", [0, -1])
def test_an_impossible_size_is_refused(size):
    """A thumbnail without pixels is a wrong parameter."""
    with pytest.raises(InvalidParameter):
        thumbnail(Image.new("RGB", (30, 20)), size)
