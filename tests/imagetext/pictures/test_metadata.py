"""When a picture was taken and its keywords come from its file; damage costs no more than what is damaged."""

import io
import struct
from datetime import datetime

import pytest
from PIL import Image

from imagetext.pictures import FileMetadata, read_metadata

TAKEN = datetime(2024, 5, 31, 18, 30, 5)
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>{}</rdf:Bag></dc:subject>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def xmp(*words: str) -> bytes:
    return _XMP.format("".join(f"<rdf:li>{word}</rdf:li>" for word in words)).encode()


def file_of(kind: str = "JPEG", taken: str | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    if taken is not None:
        exif = Image.Exif()
        exif[0x0112] = 1
        exif.get_ifd(0x8769)[0x9003] = taken
        options["exif"] = exif
    Image.new("RGB", (16, 12), "red").save(file, kind, **options)
    return file.getvalue()


def with_iptc(*keywords: bytes) -> bytes:
    """A JPEG with keywords as Photoshop stores them: an APP13 segment of resources, of which 0x0404 is IPTC."""
    records = b"".join(b"\x1c\x02\x19" + struct.pack(">H", len(word)) + word for word in keywords)
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)
    segment = b"Photoshop 3.0\0" + resource
    content = file_of()
    return content[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + content[2:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_time_is_that_of_exif(kind):
    """DateTimeOriginal, as the camera's clock showed it."""
    assert read_metadata(file_of(kind, "2024:05:31 18:30:05")) == FileMetadata(TAKEN)


@pytest.mark.parametrize("written", ["0000:00:00 00:00:00", "", "yesterday", "2024:13:31 18:30:05"])
def test_a_time_that_is_none_is_left_out(written):
    """Cameras whose clock was never set write zeros; the keywords beside it are read all the same."""
    assert read_metadata(file_of(taken=written, xmp=xmp("dog"))) == FileMetadata(None, ("dog",))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_keywords_of_xmp(kind):
    """One or several words of dc:subject."""
    assert read_metadata(file_of(kind, xmp=xmp("dog"))).tags == ("dog",)
    assert read_metadata(file_of(kind, xmp=xmp("dog", "Schnee &amp; Eis", "é"))).tags == ("dog", "Schnee & Eis", "é")


def test_keywords_of_iptc():
    """In UTF-8 or the Latin letters of old programs; one alone comes from Pillow without a list."""
    assert read_metadata(with_iptc(b"dog")).tags == ("dog",)
    assert read_metadata(with_iptc(b"dog", "Köln".encode(), "Köln".encode("latin-1"))).tags == ("dog", "Köln")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_most_files_say_nothing(kind):
    """Which is no error in any format."""
    assert read_metadata(file_of(kind)) == FileMetadata()


def test_damage_is_not_an_error():
    """A file cut at any place, or with any byte changed, gives what is left."""
    content = file_of(taken="2024:05:31 18:30:05", xmp=xmp("dog", "snow"))
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        for each in (content[:at], bytes(damaged)):
            assert isinstance(read_metadata(each), FileMetadata)


def test_entities_are_not_expanded():
    """A few lines of XML that would grow to gigabytes are refused by the parser."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "dog">{entities}]>'.encode() + xmp("&e11;")

    assert read_metadata(file_of(xmp=bomb)).tags == ()
