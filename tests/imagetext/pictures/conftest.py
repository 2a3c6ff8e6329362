"""Pictures drawn and encoded on the spot."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

Encoded = Callable[..., bytes]


@pytest.fixture(scope="session")
def encoded() -> Encoded:
    """encoded(picture, format, **options) -> the bytes of a file."""

    def encode(picture: Image.Image, format: str, **options: Any) -> bytes:
        file = io.BytesIO()
        picture.save(file, format, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def corners() -> Image.Image:
    """60 x 40: red, green over blue, white; so that every turn and flip shows."""
    picture = Image.new("RGB", (60, 40))
    for colour, place in [("red", (0, 0)), ("lime", (30, 0)), ("blue", (0, 20)), ("white", (30, 20))]:
        picture.paste(colour, (*place, place[0] + 30, place[1] + 20))
    return picture
