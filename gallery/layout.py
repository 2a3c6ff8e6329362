"""Where every figure of a scene stands and how large it is."""

from dataclasses import dataclass
from random import Random

from gallery.places import PLACES, SIDES
from gallery.scene import KINDS, PEOPLE, Group, Scene

_FLIERS = ("bird", "balloon", "plane")
_CANOPY = {"tree": 64, "palm": 84, "parasol": 76}  # clear height under it, in units
_SEAT = {"couch": 36, "bench": 25}
_HIP = {"man": 22, "woman": 22, "boy": 14, "girl": 14}
_CLEARANCE = 0.94  # share of the width that subjects may fill


@dataclass(frozen=True)
class Spot:
    """Where one figure stands: base point in pixels, scale in pixels a unit."""

    x: float
    y: float
    scale: float


def arrange(scene: Scene, rng: Random) -> tuple[list[Spot], list[Spot]]:
    """Spots of the main group and of the other one."""
    if scene.place == "underwater":
        return _arrange_fish(scene, rng)
    if scene.main.action == "flying":
        return _arrange_above(scene, rng)
    if scene.other is None:
        zoom = _zoom(scene, scene.main, 0.46)
        return _row(scene, scene.main, zoom, 0.5, PLACES[scene.place].near, rng), []
    if scene.relation in SIDES:
        return _arrange_beside(scene, scene.other, rng)
    if scene.relation == "on":
        return _arrange_on(scene, scene.other, rng)
    if scene.relation == "under" and scene.other.kind not in _FLIERS:
        return _arrange_under(scene, scene.other, rng)
    if scene.relation == "under":
        zoom = _zoom(scene, scene.main, 0.36)
        low = _row(scene, scene.main, zoom, 0.5, PLACES[scene.place].near, rng)
        return low, _in_the_sky(scene, scene.other, 0.3, rng, 0.2)
    return _arrange_in_front(scene, scene.other, rng)


def span(group: Group) -> float:
    """Units one of the group takes from side to side, with what is held."""
    kind = KINDS[group.kind]
    wide = {
        "riding": 78,
        "surfing": 150,
        "skiing": 95,
        "playing": 92,
        "umbrella": 92,
        "kite": 100,
        "sitting": 70,
        "running": 66,
    }
    return wide.get(group.action, 44) if group.kind in PEOPLE else (kind.left + kind.right) * kind.size


def _tall(group: Group) -> float:
    kind = KINDS[group.kind]
    extra = (
        {"kite": 100, "balloon": 55, "umbrella": 30, "riding": 15}.get(group.action, 0) if group.kind in PEOPLE else 0
    )
    return kind.height * kind.size + extra


def row_units(group: Group) -> float:
    """Units the whole group takes; four and five stand in two rows."""
    return span(group) * (1 + (group.count - 1) * _pitch(group))


def _pitch(group: Group) -> float:
    """From one to the next, in spans."""
    return 1.05 if group.count < 4 else 0.64


def _zoom(scene: Scene, group: Group, share: float, width: float = _CLEARANCE) -> float:
    """Pixels a unit so that the group fills at most these shares of the picture."""
    high = min(share + {"kite": 0.3, "balloon": 0.1}.get(group.action, 0), 0.72) if group.kind in PEOPLE else share
    return min(scene.size[1] * high / _tall(group), scene.size[0] * width / row_units(group), 2.4)


def _row(scene: Scene, group: Group, zoom: float, centre: float, base: float, rng: Random) -> list[Spot]:
    """The group side by side around `centre` (a share of the width) on the line `base`."""
    width, height = scene.size
    pitch = span(group) * zoom * _pitch(group)
    spots = []
    for index in range(group.count):
        back = index % 2 if group.count >= 4 else 0
        x = width * centre + (index - (group.count - 1) / 2) * pitch + rng.uniform(-2, 2)
        y = height * base - back * height * 0.095 + rng.uniform(-0.008, 0.008) * height
        spots.append(Spot(x, y, zoom * (0.88 if back else 1)))
    return spots


def _arrange_beside(scene: Scene, other: Group, rng: Random) -> tuple[list[Spot], list[Spot]]:
    width, height = scene.size
    zoom = _zoom(scene, scene.main, 0.42)
    beside = min(zoom, height * 0.5 / _tall(other))
    room = (_CLEARANCE - 0.03) * width
    # the other one gives way first: a small subject must not vanish beside a wide neighbour
    spare = max(room - row_units(scene.main) * zoom, room * 0.45)
    beside = min(beside, spare / row_units(other))
    crowd = min(1, room / (row_units(scene.main) * zoom + row_units(other) * beside))
    zoom, beside = zoom * crowd, beside * crowd
    main_share, other_share = row_units(scene.main) * zoom / width, row_units(other) * beside / width
    gap = rng.uniform(0.02, max(0.02, min(0.1, _CLEARANCE - main_share - other_share)))
    start = (1 - main_share - other_share - gap) / 2
    first = scene.relation == "left" or (scene.relation == "next" and rng.random() < 0.5)
    centres = (
        (start + main_share / 2, start + main_share + gap + other_share / 2)
        if first
        else (start + other_share + gap + main_share / 2, start + other_share / 2)
    )
    place = PLACES[scene.place]
    level = place.near - (0.035 if _tall(other) > 60 else 0)
    return _row(scene, scene.main, zoom, centres[0], place.near, rng), _row(
        scene, other, beside, centres[1], level, rng
    )


def _arrange_in_front(scene: Scene, other: Group, rng: Random) -> tuple[list[Spot], list[Spot]]:
    width = scene.size[0]
    place = PLACES[scene.place]
    base = place.water if place.water and other.kind in ("boat", "sailboat", "lighthouse") else place.far
    zoom = _zoom(scene, scene.main, 0.38)
    share = min(0.52, base - 0.06)
    behind = min(_zoom(scene, other, share, 0.86), zoom * (0.95 if place.water != base else 0.8))
    near_half, far_half = row_units(scene.main) * zoom / 2 / width, row_units(other) * behind / 2 / width
    # beside the middle of what is broader, half past what is narrower and would be hidden
    apart = far_half * 0.55 if far_half > near_half * 1.2 else (near_half + far_half) * 0.8
    side = rng.choice((-1, 1))
    shift = min(apart / 2, max(0.0, 0.48 - near_half))
    back = min(apart - shift, max(0.0, 0.48 - far_half))
    return (
        _row(scene, scene.main, zoom, 0.5 + side * shift, place.near, rng),
        _row(scene, other, behind, 0.5 - side * back, base, rng),
    )


def _arrange_under(scene: Scene, other: Group, rng: Random) -> tuple[list[Spot], list[Spot]]:
    zoom = _zoom(scene, scene.main, 0.32, 0.6)
    size = KINDS[other.kind].size
    shelter = max(_tall(scene.main) * zoom / _CANOPY[other.kind], scene.size[1] * 0.5 / KINDS[other.kind].height) / size
    base = PLACES[scene.place].near
    centre = rng.uniform(0.42, 0.58)
    side = rng.choice((-1, 1)) * 0.5 * span(scene.main) * zoom / scene.size[0]
    trunk = _row(scene, other, shelter, centre - side * (0.7 if scene.main.count == 1 else 0), base - 0.03, rng)
    return _row(scene, scene.main, zoom, centre + (side * 0.5 if scene.main.count == 1 else 0), base, rng), trunk


def _arrange_on(scene: Scene, other: Group, rng: Random) -> tuple[list[Spot], list[Spot]]:
    height = scene.size[1]
    zoom = min(_zoom(scene, other, 0.42, 0.8), height * 0.5 / _tall(scene.main))
    base = PLACES[scene.place].near - 0.05
    centre = rng.uniform(0.44, 0.56)
    hip = _HIP.get(scene.main.kind, 0)
    seat = base - (_SEAT[other.kind] - hip) * zoom / height
    return _row(scene, scene.main, zoom, centre, seat, rng), _row(scene, other, zoom, centre, base, rng)


def _arrange_above(scene: Scene, rng: Random) -> tuple[list[Spot], list[Spot]]:
    if scene.other is None:
        return _in_the_sky(scene, scene.main, 0.42 if scene.main.count > 1 else 0.46, rng, 0.42), []
    place = PLACES[scene.place]
    base = place.water if place.water and scene.other.kind == "sailboat" else place.near - 0.04
    zoom = _zoom(scene, scene.other, 0.36)
    clear = base - _tall(scene.other) * zoom / scene.size[1] - 0.04
    return _in_the_sky(scene, scene.main, min(0.34, clear - 0.03), rng, clear / 2), _row(
        scene, scene.other, zoom, 0.5, base, rng
    )


def _in_the_sky(scene: Scene, group: Group, share: float, rng: Random, middle: float) -> list[Spot]:
    """Scattered around the line `middle`, each in a column of its own."""
    width, height = scene.size
    size = KINDS[group.kind].size
    column = width * _CLEARANCE / max(group.count, 1.35)
    scale = min(height * share / _tall(group), column / span(group), 1.9)
    spots = []
    for index in range(group.count):
        x = width / 2 + (index - (group.count - 1) / 2) * column
        swing = (0.06 if index % 2 else -0.06) if group.count > 1 else rng.uniform(-0.03, 0.03)
        half = KINDS[group.kind].height * size * scale / 2
        y = max(height * (middle + swing) + half, 2 * half + 8)
        spots.append(Spot(x, y, scale * rng.uniform(0.92, 1)))
    return spots


def _arrange_fish(scene: Scene, rng: Random) -> tuple[list[Spot], list[Spot]]:
    """All fish in the cells of a grid, so that none hides another; sides are halves of the picture."""
    width, height = scene.size
    groups = [scene.main] + ([scene.other] if scene.other else [])
    left_first = scene.relation == "left" or (scene.relation == "next" and rng.random() < 0.5)
    spots: list[list[Spot]] = []
    for index, group in enumerate(groups):
        share = 1 / len(groups)
        start = 0.0 if len(groups) == 1 or (index == 0) == left_first else 0.5
        rows = (1, 2, 3, 2, 3)[group.count - 1] if len(groups) == 2 else (1, 2, 2, 2, 3)[group.count - 1]
        columns = -(-group.count // rows)
        cell_x, cell_y = width * share * 0.94 / columns, height * 0.72 / rows
        scale = min(cell_x / 90, cell_y / 58, 2.4)
        spots.append(
            [
                Spot(
                    width * (start + share * 0.03) + cell_x * (cell // rows + 0.5) + 6 * scale,
                    height * 0.1 + cell_y * (cell % rows + 0.5) + 20 * scale + rng.uniform(-0.1, 0.1) * cell_y,
                    scale * rng.uniform(0.86, 0.98),
                )
                for cell in range(group.count)
            ]
        )
    return spots[0], spots[1] if len(spots) > 1 else []
