"""Every colour mode becomes RGB as an eye would see it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from imagetext.pictures import open_picture
from imagetext.pictures.decoding import MAX_PROFILE_BYTES


def middle(data):
    picture = open_picture(data)
    assert picture.mode == "RGB"
    return picture.getpixel((picture.width // 2, picture.height // 2))


def close(found, wanted, tolerance=3):
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("mode", "colour", "format", "wanted"),
    [
        ("1", 1, "PNG", (255, 255, 255)),
        ("1", 0, "TIFF", (0, 0, 0)),
        ("L", 90, "PNG", (90, 90, 90)),
        ("L", 90, "JPEG", (90, 90, 90)),
        ("RGB", (10, 20, 30), "BMP", (10, 20, 30)),
        ("YCbCr", (76, 85, 255), "JPEG", (254, 0, 0)),
        ("YCbCr", (76, 85, 255), "TIFF", (254, 0, 0)),
        ("LAB", (137, 208, 195), "TIFF", (250, 5, 11)),
        ("CMYK", (0, 255, 255, 0), "JPEG", (255, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
        ("RGBX", (10, 20, 30, 0), "TIFF", (10, 20, 30)),
    ],
)
def test_opaque_modes(mode, colour, format, wanted, encoded):
    """Modes without transparency keep their colour."""
    assert close(middle(encoded(Image.new(mode, (16, 16), colour), format)), wanted)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(("alpha", "wanted"), [(0, (255, 255, 255)), (255, (200, 0, 0)), (128, (227, 127, 127))])
def test_transparency_lies_over_white(format, alpha, wanted, encoded):
    """A transparent pixel is white whatever colour hides in it, a half transparent one is mixed with white."""
    picture = Image.new("RGBA", (16, 16), (200, 0, 0, alpha))
    lossless = {"lossless": True, "exact": True} if format == "WEBP" else {"quality": 100} if format == "AVIF" else {}

    assert close(middle(encoded(picture, format, **lossless)), wanted, tolerance=4)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_with_alpha_lies_over_white(format, encoded):
    """LA is mixed like RGBA."""
    assert close(middle(encoded(Image.new("LA", (16, 16), (0, 128)), format)), (127, 127, 127))


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])], ids=["one index", "an alpha per index"])
def test_palette_transparency_lies_over_white(transparency, encoded):
    """Both ways of a palette to say what is transparent are honoured."""
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([200, 0, 0, 0, 0, 200])
    picture.paste(1, (0, 0, 16, 4))
    read = open_picture(encoded(picture, "PNG", transparency=transparency))

    assert read.getpixel((8, 12)) == (255, 255, 255)
    assert read.getpixel((8, 1)) == (0, 0, 200)


def test_palette_without_transparency(encoded):
    """A palette is looked up."""
    picture = Image.new("P", (16, 16), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])

    assert middle(encoded(picture, "GIF")) == (10, 200, 30)


@pytest.mark.parametrize(("mode", "colour"), [("L", 90), ("RGB", (90, 90, 90)), ("1", 0)])
def test_a_transparent_colour_of_png_lies_over_white(mode, colour, encoded):
    """PNG may name one colour as transparent in modes that have no alpha."""
    picture = Image.new(mode, (16, 16), colour)

    assert middle(encoded(picture, "PNG", transparency=colour)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (32768, 128), (65535, 255), (257 * 40, 40)])
def test_16_bit_grey_is_scaled(format, value, wanted, encoded):
    """The whole range of 16 bits becomes the whole range of 8, never cut off at 255."""
    picture = Image.fromarray(np.full((16, 16), value, dtype=np.uint16))
    assert picture.mode == "I;16"

    assert middle(encoded(picture, format)) == (wanted,) * 3


def test_big_endian_16_bit_grey_is_scaled(encoded):
    """The byte order of a TIFF is that of its samples."""
    picture = Image.frombytes("I;16B", (16, 16), np.full((16, 16), 32768, dtype=">u2").tobytes())

    assert middle(encoded(picture, "TIFF")) == (128, 128, 128)


def test_12_bit_grey_is_scaled():
    """A TIFF of 12 bits per sample has its white at 4095."""
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 110), (277, 1), (278, 1)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + struct.pack("<I", 0)
    picture = open_picture(data + bytes([0x80, 0x0F, 0xFF]))  # 0x800 and 0xFFF

    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(128, 128, 128), (255, 255, 255)]


def test_a_transparent_16_bit_grey_lies_over_white(encoded):
    """The transparent grey of a 16-bit PNG is compared before it is scaled."""
    samples = np.full((16, 16), 1000, dtype=np.uint16)
    samples[:4] = 1001
    read = open_picture(encoded(Image.fromarray(samples), "PNG", transparency=1000))

    assert read.getpixel((8, 12)) == (255, 255, 255)
    assert read.getpixel((8, 1)) == (3, 3, 3)


@pytest.mark.parametrize(
    ("value", "wanted"), [(0, 0), (100, 100), (-5, 0), (32768, 127), (65535, 255), (2**31 - 1, 255)]
)
def test_32_bit_integers_are_scaled_by_the_range_they_use(value, wanted, encoded):
    """Mode I names no white: 255 if nothing is brighter, else 65535, else the brightest sample."""
    assert middle(encoded(Image.new("I", (16, 16), value), "TIFF")) == (wanted,) * 3


@pytest.mark.parametrize(("value", "wanted"), [(0.0, 0), (0.5, 127), (1.0, 255), (100.0, 100), (-1.0, 0)])
def test_floats_are_scaled_by_the_range_they_use(value, wanted, encoded):
    """Mode F has white at 1 if nothing is brighter, then as mode I."""
    assert middle(encoded(Image.new("F", (16, 16), value), "TIFF")) == (wanted,) * 3


def test_floats_that_are_no_numbers_are_black(encoded):
    """NaN and infinity neither stop the decoding nor set the scale."""
    samples = np.full((16, 16), 0.5, dtype=np.float32)
    samples[0, 0], samples[0, 1] = np.nan, np.inf
    read = open_picture(encoded(Image.fromarray(samples), "TIFF"))

    assert read.getpixel((0, 0)) == read.getpixel((1, 0)) == (0, 0, 0)
    assert read.getpixel((8, 8)) == (127, 127, 127)


def test_a_cmyk_jpeg_that_is_not_adobes_has_its_ink_upright(encoded):
    """Without Adobe's marker the samples are ink, as browsers read them."""
    inverted = encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 255)), "JPEG")
    at = inverted.index(b"\xff\xee\x00\x0eAdobe")
    plain = inverted[:at] + inverted[at + 16 :]

    assert close(middle(plain), (255, 0, 0))


def swapped_profile():
    """A profile in which red and green have changed places; its name is not that of sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"tmp_").replace(b"gXYZ", b"rXYZ").replace(b"tmp_", b"gXYZ")
    return profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_colour_profile_is_applied(format, encoded):
    """The numbers mean what the profile says they mean."""
    picture = Image.new("RGB", (16, 16), (255, 0, 0))
    options = {"lossless": True} if format == "WEBP" else {"quality": 100} if format in ("JPEG", "AVIF") else {}

    assert close(middle(encoded(picture, format, icc_profile=swapped_profile(), **options)), (0, 255, 0), 8)


def test_a_colour_profile_is_applied_under_transparency(encoded):
    """White stays white, the rest is converted."""
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    picture.paste((255, 0, 0, 0), (0, 0, 16, 4))
    read = open_picture(encoded(picture, "PNG", icc_profile=swapped_profile()))

    assert close(read.getpixel((8, 12)), (0, 255, 0))
    assert close(read.getpixel((8, 1)), (255, 255, 255))


@pytest.mark.parametrize(
    "profile",
    [b"broken", swapped_profile()[:200], b"\0" * 300, swapped_profile() + b"\0" * MAX_PROFILE_BYTES],
    ids=["short", "cut off", "zeros", "huge"],
)
def test_a_broken_or_huge_profile_is_ignored(profile, encoded):
    """The pixels are read as if there were none."""
    data = encoded(Image.new("RGB", (16, 16), (200, 8, 7)), "JPEG", icc_profile=profile)

    assert close(middle(data), (200, 8, 7))


def test_a_profile_for_other_colours_is_ignored(encoded):
    """A profile of RGB says nothing about grey."""
    assert middle(encoded(Image.new("L", (16, 16), 77), "PNG", icc_profile=swapped_profile())) == (77, 77, 77)


def test_an_srgb_profile_changes_nothing(encoded):
    """The usual profile is the one we want."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))

    assert open_picture(encoded(picture, "PNG", icc_profile=profile)).tobytes() == picture.tobytes()


def test_nothing_of_the_file_stays_with_the_picture(encoded):
    """Neither comments nor profiles nor EXIF are carried along."""
    file = io.BytesIO(encoded(Image.new("RGB", (16, 16)), "JPEG", comment=b"secret", icc_profile=swapped_profile()))

    assert open_picture(file.getvalue()).info == {"full_size": (16, 16)}
