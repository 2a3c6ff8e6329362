"""SVG text to JPEG bytes."""

import io

from PIL import Image
from resvg_py import svg_to_bytes

QUALITY = 88


def render_jpeg(svg: str) -> bytes:
    png = svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as picture:
        jpeg = io.BytesIO()
        picture.convert("RGB").save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()
