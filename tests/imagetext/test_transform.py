"""Preprocessing as data."""

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from imagetext.models.transform import PictureTransform
from imagetext.pictures import open_picture
from imagetext.wire.errors import ModelError


def halves(width: int, height: int) -> Image.Image:
    """Left half red, right half blue."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


def test_squash_keeps_the_whole_picture() -> None:
    """However wide the picture, both its ends are in the input."""
    pixels = PictureTransform(size=32, fit="squash").resize(halves(300, 50))

    assert pixels.shape == (3, 32, 32)
    assert pixels[0, 16, 0] > 250 > 5 > pixels[0, 16, 31]


def test_crop_keeps_the_aspect_and_the_centre() -> None:
    """Of a wide picture the ends are cut off, not squeezed in."""
    picture = Image.new("RGB", (300, 100), "white")
    picture.paste("black", (100, 0, 200, 100))

    assert PictureTransform(size=32, fit="crop").resize(picture).max() < 5


def test_scale_is_the_networks_own() -> None:
    """EfficientNet-Lite0 wants (x - 127) / 128."""
    pixels = np.array([0, 127, 255], dtype=np.uint8).reshape(1, 1, 1, 3).repeat(3, axis=1)

    scaled = PictureTransform().scale(pixels)

    assert scaled[0, 0, 0] == pytest.approx([-127 / 128, 0, 1])


def test_config_round_trip_and_refusal() -> None:
    """A transform survives its config; a config without a key is refused."""
    transform = PictureTransform(size=64, fit="crop")

    assert PictureTransform.from_config(transform.to_config()) == transform
    with pytest.raises(ModelError, match="size, fit, mean and std"):
        PictureTransform.from_config({"size": 64})


@pytest.mark.parametrize("size", [(250, 200), (224, 224), (640, 480), (3000, 230), (2000, 1500)])
def test_resizing_is_bicubic(size: tuple[int, int]) -> None:
    """As Pillow's is, which the networks were trained on: up, down, not at all, and far down by way of a mean."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))

    resized = PictureTransform(size=224).resize(picture)

    expected = picture.resize((224, 224), Image.Resampling.BICUBIC, reducing_gap=3.0)
    difference = np.abs(resized.transpose(1, 2, 0).astype(int) - np.asarray(expected))
    assert difference.mean() < 0.1


SIZES = [(1, 1), (2, 3), (1, 500), (500, 1), (3, 2000), (4000, 3), (224, 224), (225, 223), (671, 672), (673, 1345)]


@pytest.mark.parametrize("side", [224, 96])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", SIZES)
def test_resizing_is_off_by_rounding_alone(size: tuple[int, int], mode: str, side: int) -> None:
    """By one of 255 at most: tiny and thin pictures, grey ones, and sizes around those that are reduced first."""
    channels = (3,) if mode == "RGB" else ()
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], *channels), dtype=np.uint8)
    picture = Image.fromarray(pixels).convert("RGB")

    resized = PictureTransform(size=side).resize(picture)

    factors = [max(1, length // (3 * side)) for length in size]
    expected = exactly_bicubic(picture.reduce((factors[0], factors[1])), side)
    assert (resized.shape, resized.dtype, resized.flags.c_contiguous) == ((3, side, side), np.uint8, True)
    assert np.abs(resized - expected).max() <= 1


def exactly_bicubic(picture: Image.Image, side: int) -> np.ndarray:
    """Pillow's bicubic resampling in floating point, of a picture that goes on beyond its edges as it ends there."""
    beyond = 3 * max(1, *(length // side + 1 for length in picture.size))
    pixels = np.pad(np.asarray(picture, dtype=np.float32), ((beyond, beyond), (beyond, beyond), (0, 0)), "edge")
    box = (beyond, beyond, beyond + picture.width, beyond + picture.height)
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in pixels.transpose(2, 0, 1)]
    resized = [channel.resize((side, side), Image.Resampling.BICUBIC, box) for channel in channels]
    return np.rint(np.stack([np.asarray(channel) for channel in resized]).clip(0, 255))


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("size", [(1280, 960), (500, 1100), (700, 300), (250, 200)])
def test_what_is_decoded_is_enough(size: tuple[int, int], fit: Literal["squash", "crop"]) -> None:
    """A JPEG decoded to a part of its size gives nearly the input that the whole of it gives, and is never blown up."""
    across, down = np.meshgrid(np.linspace(0, 6, size[0]), np.linspace(0, 9, size[1]))
    pixels = np.stack([np.sin(across * down), np.sin(across), np.cos(down)], 2) * 120 + 128
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=95)
    transform = PictureTransform(size=224, fit=fit)

    part = open_picture(file.getvalue(), target=transform.decoded_side)
    whole = open_picture(file.getvalue())

    assert min(part.size) >= min(224, *whole.size)
    difference = transform.resize(part).astype(float) - transform.resize(whole)
    assert np.abs(difference).mean() < 1.5
