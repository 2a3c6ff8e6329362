"""Small files that would take huge memory or endless time are refused for what they are, before they are decoded."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import imagetext
from imagetext.pictures import open_picture
from imagetext.pictures.formats import MAX_EXIF_SEGMENTS, MAX_SCANS, MAX_STRIPS
from imagetext.wire.errors import InvalidPicture, TooLarge
from tests.patience import PATIENCE

HUGE = 50_000


def lie_about_size(data, format):
    """The file with a header that says 50,000 x 50,000, or the most that the format can say."""
    lie = bytearray(data)
    if format == "PNG":
        lie[16:24] = struct.pack(">II", HUGE, HUGE)
        lie[29:33] = struct.pack(">I", zlib.crc32(lie[12:29]))
    elif format == "JPEG":
        at = lie.index(b"\xff\xc0")
        lie[at + 5 : at + 9] = struct.pack(">HH", HUGE, HUGE)
    elif format == "GIF":
        lie[6:10] = struct.pack("<HH", HUGE, HUGE)
    elif format == "GIF frame":
        at = lie.index(b",\0\0\0\0")
        lie[at + 5 : at + 9] = struct.pack("<HH", HUGE, HUGE)
    elif format == "BMP":
        lie[18:26] = struct.pack("<ii", HUGE, HUGE)
    elif format == "TIFF":
        lie = set_tiff_size(lie)
    elif format == "WEBP":
        lie[26:30] = struct.pack("<HH", 16383, 16383)
    elif format == "WEBP lossless":
        lie[21:25] = struct.pack("<I", 0x0FFFFFFF)
    elif format == "WEBP extended":
        lie[24:30] = b"\xff" * 6
    elif format == "AVIF":
        at = lie.index(b"ispe")
        lie[at + 8 : at + 16] = struct.pack(">II", HUGE, HUGE)
    return bytes(lie)


def set_tiff_size(data):
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, HUGE)
    return data


def honest_file(format):
    picture, file = Image.new("RGB", (64, 64), "red"), io.BytesIO()
    name, _, variant = format.partition(" ")
    options = {"lossless": True} if variant == "lossless" else {}
    if variant == "extended":
        options = {"exif": Image.Exif().tobytes() or b"Exif\0\0", "icc_profile": b"x"}
    picture.save(file, name, **options)
    return file.getvalue()


LIES = [
    "PNG",
    "JPEG",
    "GIF",
    "GIF frame",
    "BMP",
    "TIFF",
    "WEBP",
    "WEBP lossless",
    "WEBP extended",
    "AVIF",
]


@pytest.mark.parametrize("format", LIES)
def test_a_header_that_promises_billions_of_pixels_is_refused(format):
    """The pixels are counted in the header, before anything is decoded."""
    with pytest.raises(TooLarge):
        open_picture(lie_about_size(honest_file(format), format))


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def grey_png(width, height):
    """A whole PNG of one grey, of which a megapixel takes a kilobyte: every pixel that it promises is in it."""
    row, packed = b"\0" + b"\x80" * width, zlib.compressobj()
    pixels = b"".join([*(packed.compress(row * 100) for _ in range(height // 100)), packed.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.fixture(scope="module")
def true_bomb():
    """400 megapixels in 400 kB, which take more than a gigabyte as RGB."""
    return grey_png(20_000, 20_000)


def test_a_bomb_that_tells_the_truth_is_refused_and_the_largest_picture_is_read(true_bomb):
    """A file that holds all the pixels that it promises is refused for their number; as many as allowed are decoded."""
    assert len(true_bomb) < 500_000
    with pytest.raises(TooLarge, match="20000 x 20000"):
        open_picture(true_bomb)

    picture = open_picture(grey_png(10_000, 5_000))

    assert picture.size == (10_000, 5_000)
    assert picture.getpixel((9_999, 4_999)) == (128, 128, 128)


def test_pixel_bombs_take_no_memory(true_bomb, tmp_path):
    """In a process that may take 100 MB more than it has, all of them end in TooLarge, also one that does not lie.

    It is the limit that saves it: with a larger one the true bomb is decoded, and has not enough memory."""
    for format in LIES:
        (tmp_path / format).write_bytes(lie_about_size(honest_file(format), format))
    (tmp_path / "true").write_bytes(true_bomb)
    script = """
import resource, sys
from pathlib import Path
from imagetext.wire.errors import TooLarge
from imagetext.pictures import Limits, open_picture
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 100_000_000,) * 2)
def refused(path, *limits):
    try:
        open_picture(path, *limits)
    except TooLarge as error:
        return error.detail
    raise SystemExit(f"{path.name} was opened")
for path in Path(sys.argv[1]).iterdir():
    said = refused(path)
    assert "pixels" in said or path.name == "GIF frame", (path.name, said)
said = refused(Path(sys.argv[1], "true"), Limits(max_pixels=10**9))
assert "memory" in said, said
"""
    root = Path(imagetext.__file__).parents[1]

    subprocess.run([sys.executable, "-c", script, tmp_path], cwd=root, check=True, timeout=PATIENCE)


def test_a_text_bomb_in_a_png_is_refused(encoded):
    """Compressed text that unpacks to more than Pillow allows makes the picture invalid."""
    text = PngInfo()
    text.add_text("bomb", "a" * 20_000_000, zip=True)
    data = encoded(Image.new("RGB", (8, 8)), "PNG", pnginfo=text)
    assert len(data) < 50_000

    with pytest.raises(InvalidPicture):
        open_picture(data)


def test_a_jpeg_with_endless_scans_is_refused(encoded):
    """Each scan costs a pass over all pixels, so their number is limited."""
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    scans = data.count(b"\xff\xda")

    assert open_picture(data[:-2] + scan * (MAX_SCANS - scans) + data[-2:]).size == (64, 64)
    with pytest.raises(InvalidPicture, match="scans"):
        open_picture(data[:-2] + scan * (MAX_SCANS - scans + 1) + data[-2:])


def test_a_jpeg_with_endless_exif_is_refused(encoded):
    """Joining a million EXIF segments would take time that grows with the square of their number."""
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG")
    segment = b"\xff\xe1\0\x09Exif\0\0X"
    assert open_picture(data[:2] + segment * MAX_EXIF_SEGMENTS + data[2:]).size == (64, 64)
    with pytest.raises(InvalidPicture, match="EXIF"):
        open_picture(data[:2] + segment * 1_700_000 + data[2:])


def strips_of_tiff(count, *, rows=60_000, big=False):
    """A grey TIFF that is one pixel wide and lists `count` strips."""
    tags = [(256, 1), (257, rows), (258, 8), (259, 1), (262, 1), (273, None), (277, 1), (278, 1)]
    head, entry, number = ("<2sHHHQQ", "<HHQQ", "<Q") if big else ("<2sHI", "<HHII", "<I")
    start = struct.calcsize(head) + (0 if big else 2)
    end = start + len(tags) * struct.calcsize(entry) + struct.calcsize(number)
    head = struct.pack(head, b"II", 43, 8, 0, 16, len(tags)) if big else struct.pack(head, b"II", 42, 8)
    head += b"" if big else struct.pack("<H", len(tags))
    body = b"".join(
        struct.pack(entry, tag, 4, count if value is None else 1, end if value is None else value)
        for tag, value in tags
    )
    return head + body + struct.pack(number, 0) + struct.pack("<II", 8, 9) * (count // 2)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
def test_a_tiff_with_endless_strips_is_refused(big):
    """A list of millions of strips is refused before it is built; one strip per row is fine."""
    assert open_picture(strips_of_tiff(60_000, big=big)).size == (1, 60_000)
    with pytest.raises(InvalidPicture, match="strips"):
        open_picture(strips_of_tiff(4_000_000, big=big))
    with pytest.raises(InvalidPicture, match="strips"):
        open_picture(strips_of_tiff(MAX_STRIPS + 2, big=big))


@pytest.mark.parametrize("pieces", ["private chunks", "text chunks", "segments", "padding", "junk", "comments"])
def test_a_file_of_a_million_pieces_is_refused(pieces, encoded):
    """A reader that walks through endless pieces in Python is stopped."""
    png, jpeg, gif = (encoded(Image.new("RGB", (64, 64), "red"), format) for format in ("PNG", "JPEG", "GIF"))
    after_palette = 13 + (3 << (gif[10] & 7) + 1)
    data = {
        "private chunks": png[:33] + png_chunk(b"prVt", b"") * 1_000_000 + png[33:],
        "text chunks": png[:33] + png_chunk(b"tEXt", b"a\0b") * 1_000_000 + png[33:],
        "segments": jpeg[:2] + b"\xff\xe5\0\2" * 4_000_000 + jpeg[2:],
        "padding": jpeg[:2] + b"\xff\xfe\0\2" + b"\xff" * 15_000_000 + jpeg[2:],
        "junk": jpeg[:2] + b"\xff\xfe\0\2" + b"\0" * 15_000_000 + jpeg[2:],
        "comments": gif[:after_palette] + b"!\xfe\x01a\0" * 3_000_000 + gif[after_palette:],
    }[pieces]
    with pytest.raises(InvalidPicture, match="pieces"):
        open_picture(data)
