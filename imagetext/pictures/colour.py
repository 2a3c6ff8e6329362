"""Every colour mode that Pillow may decode to, turned into RGB in sRGB."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms
from PIL.ImageFile import ImageFile

# Printers' profiles take about two megabytes; a larger one is not worth its parsing.
MAX_PROFILE_BYTES = 4_000_000

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
_BITS_PER_SAMPLE_TAG = 258  # of TIFF


def to_rgb(picture: ImageFile) -> Image.Image:
    """The picture in RGB, itself where nothing is to be done: transparent parts over white, deep samples scaled to 8
    bits, colour profile applied."""
    colour = _flatten(picture)
    if picture.mode != "LAB":  # its numbers are absolute, and no longer those that a profile would speak of
        colour = _apply_profile(colour, picture.info.get("icc_profile"))
    return colour if colour.mode == "RGB" else colour.convert("RGB")


def _flatten(picture: ImageFile) -> Image.Image:
    """The picture without transparency and in 8 bits, as L, RGB or CMYK: what a profile can apply to."""
    if picture.mode.startswith("I;16"):
        return _scale_16_bit(picture)
    if picture.mode in ("I", "F"):
        return _scale_unbounded(np.asarray(picture))
    if picture.mode == "CMYK":
        return _upright_ink(picture)
    if picture.mode == "LA":
        return _over_white(picture.getchannel("L"), picture.getchannel("A"))
    if picture.has_transparency_data:
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        return _over_white(rgba, rgba)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _over_white(picture: Image.Image, mask: Image.Image) -> Image.Image:
    white = Image.new("L" if picture.mode == "L" else "RGB", picture.size, "white")
    white.paste(picture, mask=mask)
    return white


def _scale_16_bit(picture: ImageFile) -> Image.Image:
    samples = np.asarray(picture)
    bits = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE_TAG, (16,))[0]  # TIFF may hold 12 in 16
    values = (samples >> (bits - 8)).astype(np.uint8)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        values[samples == transparent] = 255
    return Image.fromarray(values)


def _scale_unbounded(samples: NDArray[np.int32] | NDArray[np.float32]) -> Image.Image:
    """Modes I and F name no white: it is the first of the usual ones that no sample exceeds, or else the brightest."""
    values = np.nan_to_num(samples.astype(np.float32), copy=False, posinf=0, neginf=0)
    brightest = float(values.max())
    usual = (1.0, 255.0, 65535.0) if samples.dtype.kind == "f" else (255.0, 65535.0)
    white = next((white for white in usual if brightest <= white), brightest)
    return Image.fromarray((values.clip(0, white) * (255 / white)).astype(np.uint8))


def _upright_ink(picture: ImageFile) -> Image.Image:
    """Pillow reads each CMYK JPEG as one of Adobe's, whose ink is stored inverted; the others must be turned back."""
    if picture.format == "JPEG" and "adobe" not in picture.info:
        return ImageChops.invert(picture)
    return picture


def _apply_profile(colour: Image.Image, profile: bytes | None) -> Image.Image:
    """`colour` in sRGB if its profile can be used, else `colour` itself."""
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return colour
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _PROFILE_SPACES[colour.mode]:
            return colour
        if "sRGB" in (source.profile.profile_description or ""):
            return colour
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), colour.mode, "RGB")
        return transform.apply(colour)
    except Exception:  # a broken profile says nothing against the pixels, and raises nearly anything
        return colour
