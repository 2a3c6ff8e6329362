"""Which pictures of the open internet a data set takes, after a real decode."""

import io
from dataclasses import dataclass

from PIL import Image

from imagetext.errors import ImageTextError, InvalidParameter, NotAPicture, TooLarge
from imagetext.pictures import DEFAULT_LIMITS, Limits, open_picture
from training.data.content import Content, content_of, suffix_of
from training.data.download.reasons import Lost, Reason

_QUALITY = 92  # of JPEG, for pictures that are made smaller


@dataclass(frozen=True)
class Admission:
    """`min_side` in pixels, `max_aspect` longer to shorter side; `side`: a larger shorter side is scaled down to it.

    Raises:
        InvalidParameter: `side` is smaller than `min_side`.
    """

    min_side: int = 64
    max_aspect: float = 5.0
    side: int | None = None
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if self.side is not None and self.side < max(self.min_side, 1):
            raise InvalidParameter(f"Pictures made smaller would have {self.side} pixels; {self.min_side} are needed.")

    def admit(self, data: bytes) -> tuple[bytes, str, Content]:
        """The file to keep, its suffix and what it is told by. Raises Lost."""
        picture = self._decoded(data)
        if min(picture.size) < self.min_side:
            raise Lost(Reason.TOO_SMALL, f"{picture.width} x {picture.height}")
        if max(picture.size) > self.max_aspect * min(picture.size):
            raise Lost(Reason.ELONGATED, f"{picture.width} x {picture.height}")
        if len(picture.getcolors(1) or ()) == 1:
            raise Lost(Reason.BLANK)
        if self.side is not None and min(picture.size) > self.side:
            picture, data = _scaled(picture, self.side)
        return data, suffix_of(data), content_of(data, picture)

    def _decoded(self, data: bytes) -> Image.Image:
        try:
            return open_picture(data, self.limits)
        except TooLarge as error:
            raise Lost(Reason.TOO_LARGE, error.detail) from error
        except NotAPicture as error:
            raise Lost(Reason.NOT_A_PICTURE) from error
        except ImageTextError as error:
            raise Lost(Reason.DAMAGED) from error


def _scaled(picture: Image.Image, side: int) -> tuple[Image.Image, bytes]:
    scale = side / min(picture.size)
    smaller = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    smaller.save(file, "JPEG", quality=_QUALITY)
    return smaller, file.getvalue()
