"""A canvas under a light, with the pieces of scenery that many places share."""

from dataclasses import dataclass
from math import pi, sin
from random import Random

from gallery.drawing.colours import darker, lighter, mix
from gallery.drawing.sky import Light, sky
from gallery.drawing.svg import curve, fade, fall, polygon, put


@dataclass(frozen=True)
class View:
    """Levels and depths are shares of the height."""

    width: int
    height: int
    light: Light
    weather: str
    rng: Random

    def sky(self, horizon: float) -> str:
        return sky(self.light, self.weather, self.width, self.height, horizon, self.rng)

    def shade(self, colour: str, distance: float = 0) -> str:
        return self.light.shade(colour, distance)

    def ridge(self, level: float, swing: float, colour: str, distance: float = 0, waves: float = 1.5) -> str:
        """Rolling land from `level` some way down, `swing` high; something nearer covers its foot."""
        shift, high = self.rng.uniform(0, 2 * pi), self.height * swing
        points = []
        for step in range(33):
            turn = step / 32 * waves * 2 * pi + shift
            y = self.height * level + high * (sin(turn) * 0.7 + sin(turn * 2.3 + 1) * 0.3)
            points.append((self.width * step / 32, y))
        land = self.shade(colour, distance)
        foot = min(self.height * (level + 0.14), self.height + 1)
        return polygon([*points, (self.width, foot), (0, foot)], fall(lighter(land, 0.08), darker(land, 0.1)))

    def ground(self, level: float, colour: str) -> str:
        """Land from `level` down to the lower edge, a little rolling at the top."""
        land = self.shade(colour)
        top = self.height * (level + 0.03)
        flat = fade(0, top, self.width, self.height - top, lighter(land, 0.06), darker(land, 0.16))
        edge = self.ridge(level, 0.01, lighter(colour, 0.06), 0, 1)
        return edge + flat

    def water(self, level: float, colour: str, haze: float) -> str:
        """Water from `level` down; `haze` is how much of the sky lies on its far end."""
        far = mix(colour, self.light.bottom, haze)
        top = self.height * level
        return fade(0, top, self.width, self.height - top, far, darker(colour, 0.1))

    def scatter(self, number: int, top: float, bottom: float) -> list[tuple[float, float, float]]:
        """(x, y, scale) of small things on the ground, the far ones first and smaller."""
        levels = sorted(self.rng.uniform(top, bottom) for _ in range(number))
        return [
            (self.rng.uniform(0, self.width), self.height * level, 0.5 + 0.8 * (level - top) / (bottom - top))
            for level in levels
        ]

    def tufts(self, number: int, top: float, colour: str) -> str:
        blades = curve("M-4,-6 L0,0 L1,-9 M0,0 L5,-6", self.shade(colour), 1.5)
        return "".join(put(blades, x, y, scale) for x, y, scale in self.scatter(number, top, 0.99))

    def waves(self, number: int, top: float, bottom: float) -> str:
        wave = curve("M-14,0 q7,-5 14,0 q7,5 14,0", "#ffffff", 1.8, opacity=0.55)
        return "".join(put(wave, x, y, scale) for x, y, scale in self.scatter(number, top, bottom))

    def row(self, art: str, level: float, scale: float, gap: float) -> str:
        """The same thing again and again along a line, a little irregular."""
        pieces, x = [], self.rng.uniform(-gap, 0)
        while x < self.width + gap:
            y = self.height * level + self.rng.uniform(-3, 3)
            pieces.append(put(art, x, y, scale * self.rng.uniform(0.75, 1.15)))
            x += gap * self.rng.uniform(0.6, 1.3)
        return "".join(pieces)
