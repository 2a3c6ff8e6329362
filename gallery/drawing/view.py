"""Light, sky and weather, and a `View`: the canvas with the pieces of scenery that many places share."""

from dataclasses import dataclass
from math import pi, sin
from random import Random

from gallery.drawing.svg import circle, curve, darker, ellipse, fade, fall, lighter, line, mix, path, polygon, put, rect


@dataclass(frozen=True)
class Light:
    """`share` of `ambient` is mixed into the scenery, `veil` of it lies over the subjects."""

    top: str
    bottom: str
    ambient: str
    share: float
    veil: float
    cloud: str

    def shade(self, colour: str, distance: float = 0) -> str:
        """The colour under this light; `distance` (0..1) lets it fade into the horizon."""
        return mix(mix(colour, self.ambient, self.share), self.bottom, distance)

    def soften(self, colour: str) -> str:
        """Half of `shade`, for what stands near."""
        return mix(colour, self.ambient, self.share / 2)


LIGHTS = {
    "sunny": Light("#4aa7e8", "#d3eefb", "#fff3cf", 0.06, 0, "#ffffff"),
    "rainy": Light("#66788b", "#aebbc5", "#5f6f80", 0.4, 0.1, "#8896a3"),
    "snowy": Light("#a3b9cf", "#e6eef5", "#c5d4e3", 0.3, 0.05, "#dde6ee"),
    "night": Light("#0d1440", "#34407f", "#141c4a", 0.58, 0.1, "#2c3672"),
    "sunset": Light("#6a4aa0", "#ffb45e", "#c2492f", 0.28, 0.05, "#ff9c73"),
    "foggy": Light("#c3ccd1", "#e3e8e9", "#d5dcde", 0.5, 0.16, "#d8dfe2"),
}


def sky(light: Light, weather: str, width: int, height: int, horizon: float, rng: Random) -> str:
    level = height * horizon
    pieces = [fade(0, 0, width, level + 2, light.top, light.bottom)]
    side = rng.choice((0.2, 0.78))
    if weather == "sunny":
        x, y = width * side, height * rng.uniform(0.11, 0.17)
        pieces += [*_halo(x, y, 62, "#fff6c9"), circle(x, y, 23, fall("#ffe98a", "#ffd34d"))]
        pieces += _fair_clouds(width, height, light, rng, (side - 0.2, side + 0.2))
    elif weather == "sunset":
        x, y = width * rng.uniform(0.3, 0.7), level - 14
        pieces += [*_halo(x, y, 120, "#ffcf7a"), circle(x, y, 36, fall("#fff0a8", "#ff8a4c"))]
        pieces += _fair_clouds(width, height, light, rng, (0, 0))
    elif weather == "night":
        pieces += _night(width, height, side, level, rng)
    elif weather in ("rainy", "snowy"):
        pieces += [
            _cloud(width * (0.1 + 0.2 * i), height * rng.uniform(0.04, 0.13), rng.uniform(1.2, 1.7), light, rng)
            for i in range(5)
        ]
    return "".join(pieces)


def _fair_clouds(width: int, height: int, light: Light, rng: Random, sun: tuple[float, float]) -> list[str]:
    """Two to four small clouds, none of them over the sun, which takes that share of the width."""
    shares = [rng.uniform(0.05, 0.95) for _ in range(rng.randint(2, 4))]
    return [
        _cloud(width * share, height * rng.uniform(0.07, 0.26), rng.uniform(0.5, 0.95), light, rng)
        for share in shares
        if not sun[0] < share < sun[1]
    ]


def _night(width: int, height: int, side: float, level: float, rng: Random) -> list[str]:
    stars = [
        circle(
            rng.uniform(0, width),
            rng.uniform(0, level * 0.9),
            rng.choice((0.8, 1.1, 1.6)),
            "#fffbe0",
            opacity=rng.choice((0.6, 0.9)),
        )
        for _ in range(60)
    ]
    x, y = width * side, height * 0.14
    moon = [*_halo(x, y, 52, "#aebcf5"), path(_crescent(x, y), "#fdf6d8")]
    return stars + moon


def _cloud(x: float, y: float, scale: float, light: Light, rng: Random) -> str:
    puffs = ((-34, 4, 24, 13), (-12, -8, 26, 20), (16, -4, 24, 17), (36, 5, 20, 11), (0, 8, 46, 10))
    sized = [(dx * scale, dy * scale, rx * scale * rng.uniform(0.9, 1.1), ry * scale) for dx, dy, rx, ry in puffs]
    shade = mix(light.cloud, light.bottom, 0.45)
    under = "".join(ellipse(x + dx, y + dy + 3 * scale, rx, ry, shade) for dx, dy, rx, ry in sized)
    return under + "".join(ellipse(x + dx, y + dy, rx, ry, light.cloud) for dx, dy, rx, ry in sized)


def weather_in_front(light: Light, weather: str, width: int, height: int, rng: Random) -> str:
    """The veil of the light, and rain, snow or fog, over the whole picture."""
    pieces = [rect(0, 0, width, height, light.ambient, opacity=light.veil)] if light.veil else []
    if weather == "rainy":
        for _ in range(110):
            x, y, length = rng.uniform(0, width), rng.uniform(-10, height), rng.uniform(9, 17)
            pieces.append(line([(x, y), (x - length * 0.3, y + length)], "#e4eef6", 1.3, opacity=0.6))
    elif weather == "snowy":
        for _ in range(110):
            pieces.append(
                circle(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1.1, 3.4), "#ffffff", opacity=0.92)
            )
    return "".join(pieces)


def fog_behind(width: int, height: int) -> str:
    """Fog between the scenery and the subjects, thickest where land and sky meet."""
    low, high, bands = height * 0.28, height * 0.84, 40
    step = (high - low) / bands
    strength = (1 - abs(2 * (band + 0.5) / bands - 1) for band in range(bands))
    return "".join(
        rect(0, low + step * band, width, step, "#eef1f2", opacity=round(0.62 * share, 2))
        for band, share in enumerate(strength)
    )


def _halo(x: float, y: float, radius: float, colour: str) -> list[str]:
    return [circle(x, y, radius * share, colour, opacity=0.16) for share in (1, 0.82, 0.64, 0.48)]


def _crescent(x: float, y: float) -> str:
    return f"M{x + 6:.1f},{y - 20:.1f} A21,21 0 1 0 {x + 20:.1f},{y + 7:.1f} A17,17 0 0 1 {x + 6:.1f},{y - 20:.1f}Z"


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
