"""A small library of drawn pictures: each is one shape on one ground, in several aspect ratios."""

import io
from dataclasses import dataclass
from itertools import product

from PIL import Image, ImageDraw

COLOURS = {"red": "#c8402b", "yellow": "#e8b33a", "green": "#4c8a5b", "white": "#f4f1e8", "black": "#1d1f22"}
GROUNDS = {"blue": "#4f7f9c", "grey": "#8d9298", "brown": "#7a5a40", "pink": "#d99aa5"}
SHAPES = ("circle", "square", "triangle")
SIZES = ((480, 320), (320, 480), (400, 400), (540, 300))


@dataclass(frozen=True)
class ShapePicture:
    colour: str
    shape: str
    ground: str
    width: int
    height: int

    @property
    def id(self) -> str:
        return f"{self.colour}-{self.shape}-{self.ground}"

    @property
    def path(self) -> str:
        return f"{self.ground}/{self.colour} {self.shape}.jpg"

    @property
    def words(self) -> frozenset[str]:
        return frozenset((self.colour, self.shape, self.ground))

    def encoded(self, kind: str = "JPEG") -> bytes:
        picture = Image.new("RGB", (self.width, self.height), GROUNDS[self.ground])
        draw = ImageDraw.Draw(picture)
        x, y, r = self.width // 2, self.height // 2, min(self.width, self.height) // 3
        colour = COLOURS[self.colour]
        if self.shape == "circle":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        elif self.shape == "square":
            draw.rectangle((x - r, y - r, x + r, y + r), fill=colour)
        else:
            draw.polygon(((x, y - r), (x + r, y + r), (x - r, y + r)), fill=colour)
        out = io.BytesIO()
        picture.save(out, kind)
        return out.getvalue()


def shape_library() -> list[ShapePicture]:
    """60 pictures, always the same."""
    kinds = product(COLOURS, SHAPES, GROUNDS)
    return [ShapePicture(*kind, *SIZES[place % len(SIZES)]) for place, kind in enumerate(kinds)]
