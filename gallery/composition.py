"""The whole picture of a scene as SVG text."""

from random import Random

from gallery.drawing.figures import figure
from gallery.drawing.places import SCENERY
from gallery.drawing.sky import LIGHTS, fog_behind, weather_in_front
from gallery.drawing.svg import document, ellipse, glow, put
from gallery.drawing.view import View
from gallery.kinds import PEOPLE
from gallery.layout import Spot, arrange, span
from gallery.scene import Group, Scene


def compose(scene: Scene) -> str:
    """The picture of the scene as SVG text; the same scene gives the same text."""
    rng = Random(f"{scene.key}/drawing")
    width, height = scene.size
    light = LIGHTS[scene.weather or "sunny"]
    pieces = [SCENERY[scene.place](View(width, height, light, scene.weather or "", rng))]
    if scene.weather == "foggy":
        pieces.append(fog_behind(width, height))
    mirrored = rng.random() < 0.5
    main, other = arrange(scene, rng)
    drawn = [(spot, scene.main) for spot in main] + [(spot, scene.other) for spot in other if scene.other]
    behind = scene.relation in ("front", "under", "on", "above")
    drawn.sort(key=lambda pair: (pair[1] is scene.main if behind else False, pair[0].y))
    for spot, group in drawn:
        pieces.append(_footing(scene, group, spot))
        seated = group is scene.main and scene.relation == "on" and group.kind in PEOPLE
        pieces.append(
            put(figure(group, rng, light, scene.place, seated=seated), spot.x, spot.y, spot.scale, mirrored=mirrored)
        )
        pieces.append(_water_line(scene, group, spot))
    pieces.append(weather_in_front(light, scene.weather or "", width, height, rng))
    return document("".join(pieces), width, height)


def _footing(scene: Scene, group: Group, spot: Spot) -> str:
    """A soft shadow under what stands on the ground."""
    on_water = scene.place in ("ocean", "lake") or (scene.place == "beach" and group.kind in ("boat", "sailboat"))
    if on_water or group.action == "flying" or scene.place == "underwater" or group.kind in ("balloon", "plane"):
        return ""
    half = span(group) * spot.scale * (0.36 if group.kind in ("tree", "palm", "pine", "parasol") else 0.52)
    return ellipse(spot.x, spot.y, half, half * 0.16 + 2, glow("#1c2040", 0.42))


def _water_line(scene: Scene, group: Group, spot: Spot) -> str:
    """Foam where a hull or a duck meets the water."""
    afloat = group.kind in ("boat", "sailboat") or group.action == "swimming"
    if not afloat or scene.place == "underwater":
        return ""
    half = span(group) * spot.scale * 0.5
    return ellipse(spot.x, spot.y + 3 * spot.scale, half, 3.2 * spot.scale, "#ffffff", opacity=0.55) + ellipse(
        spot.x, spot.y + 8 * spot.scale, half * 1.15, 4 * spot.scale, glow("#ffffff", 0.4)
    )
