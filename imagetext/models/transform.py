"""Turns an upright RGB picture into a network's input. Preprocessing is data, so that it travels with the weights."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from kornia_rs.imgproc import resize
from numpy.typing import NDArray
from PIL import Image

from imagetext.wire.errors import ModelError

DECODED_SIDE = 512  # of a JPEG that training crops; for whole pictures see `decoded_side`
REDUCING_GAP = 3  # larger pictures are first reduced by a box mean to at least this many times the size


@dataclass(frozen=True)
class PictureTransform:
    """A network's preprocessing.

    `fit` is "squash" (the whole picture, aspect lost) or "crop" (shorter side to `size`, then the centre).
    `mean` and `std` are per channel, in units of [0, 1].
    """

    size: int = 224
    fit: Literal["squash", "crop"] = "squash"
    mean: tuple[float, float, float] = (127 / 255, 127 / 255, 127 / 255)
    std: tuple[float, float, float] = (128 / 255, 128 / 255, 128 / 255)

    @property
    def decoded_side(self) -> int:
        """How many pixels of the shorter side a JPEG must be decoded to.

        The same for indexing and queries, so that a picture has one vector. Decoding to a half, a quarter or an eighth
        is a good mean of the pixels, and saves most of the resizing time.
        """
        return self.size

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PictureTransform":
        try:
            return cls(config["size"], config["fit"], tuple(config["mean"]), tuple(config["std"]))
        except (KeyError, TypeError) as error:
            raise ModelError("The model's picture transform needs size, fit, mean and std.") from error

    def to_config(self) -> dict[str, Any]:
        return asdict(self)

    def resize(self, picture: Image.Image) -> NDArray[np.uint8]:
        """An RGB picture of any size -> (3, size, size) bytes: small enough to queue, and ready for `scale`.

        kornia-rs resamples like Pillow's bicubic in a quarter of the time, except for rounding and for pixels near an
        edge, where it repeats the border.
        """
        picture = _centre(picture) if self.fit == "crop" else picture
        factors = [max(1, side // (self.size * REDUCING_GAP)) for side in picture.size]
        if factors != [1, 1]:
            picture = picture.reduce((factors[0], factors[1]))
        pixels: NDArray[np.uint8] = np.ascontiguousarray(picture)
        if picture.size != (self.size, self.size):
            pixels = np.asarray(resize(pixels, (self.size, self.size), "bicubic"))
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def scale(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 3, size, size) bytes -> float32 as the network was trained on."""
        mean = np.array(self.mean, dtype=np.float32).reshape(3, 1, 1) * 255
        std = np.array(self.std, dtype=np.float32).reshape(3, 1, 1) * 255
        scaled: NDArray[np.float32] = (inputs.astype(np.float32) - mean) / std
        return scaled


def _centre(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))
