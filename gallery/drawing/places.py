"""The places by name: each draws sky and scenery over the whole picture, back to front."""

from collections.abc import Callable

from gallery.drawing import country, shores, ways
from gallery.drawing.room import room
from gallery.drawing.view import View

SCENERY: dict[str, Callable[[View], str]] = {
    "beach": shores.beach,
    "field": country.field,
    "park": country.park,
    "forest": country.forest,
    "road": ways.road,
    "street": ways.street,
    "snow": country.snow,
    "ocean": shores.ocean,
    "lake": shores.lake,
    "mountains": country.mountains,
    "room": room,
    "underwater": shores.underwater,
    "tracks": ways.tracks,
}
