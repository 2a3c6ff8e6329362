"""Small copies of pictures."""

import io

from PIL import Image

from imagetext.errors import InvalidParameter

_QUALITY = 85


def thumbnail(picture: Image.Image, size: int) -> bytes:
    """A JPEG, without any metadata, of an RGB picture fitted into a square of `size` pixels; never enlarged.

    Raises:
        InvalidParameter: `size` is not positive.
    """
    if size < 1:
        raise InvalidParameter("The size of a thumbnail must be at least 1 pixel.")
    small = picture.copy()
    small.info = {}  # Pillow would write a comment found there into the file
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
