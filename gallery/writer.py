"""Draws scenes as SVG, renders them to JPEG and writes a gallery in the layout of Flickr8k:

<out>/Images/scene-000001.jpg
<out>/captions.token.txt       scene-000001.jpg#0<TAB>A sentence .
<out>/trainImages.txt          with a split: names of the training pictures
<out>/devImages.txt            with a split: names of the dev pictures
<out>/gallery.json             what was drawn, so that the next run knows what is left to do
"""

import io
import json
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from PIL import Image
from resvg_py import svg_to_bytes

from gallery.choice import choose_scenes
from gallery.drawing.figures import figure
from gallery.drawing.scenery import SCENERY
from gallery.drawing.svg import document, ellipse, glow, put
from gallery.drawing.view import LIGHTS, View, fog_behind, weather_in_front
from gallery.layout import Spot, arrange, span
from gallery.scene import PEOPLE, Group, Scene
from gallery.sentences import describe
from imagetext.files import replacing
from imagetext.wire.errors import Unavailable

VERSION = 3  # of the generator; a new number redraws every picture
QUALITY = 88  # of the JPEGs
_RECORD = "gallery.json"


@dataclass(frozen=True)
class Order:
    """The gallery to draw: `number` scenes, of which the last `dev` are held back if there is a `split`."""

    number: int
    seed: int
    split: bool = False
    dev: int = 0


def render_jpeg(svg: str) -> bytes:
    png = svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as picture:
        jpeg = io.BytesIO()
        picture.convert("RGB").save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


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


def picture_name(index: int) -> str:
    return f"scene-{index:06d}.jpg"


def is_complete(out: Path, order: Order) -> bool:
    """Whether the folder holds exactly this gallery."""
    return _read_record(out) == {**_record(order), "complete": True} and not _missing(out, order)


def write_gallery(out: Path, order: Order, processes: int) -> Iterator[int]:
    """Draw the missing pictures; yields the number of finished pictures after each one.

    An unfinished folder is completed if its seed and generator version match, and redrawn otherwise.

    Raises:
        OSError: the folder cannot be written.
        InvalidParameter: the number of scenes is out of range.
        Unavailable: a drawing process was killed.
    """
    scenes = choose_scenes(order.seed, order.number)
    (out / "Images").mkdir(parents=True, exist_ok=True)
    before = _read_record(out)
    if before is None or any(before.get(name) != value for name, value in (("seed", order.seed), ("version", VERSION))):
        _remove_pictures(out)
    _remove_surplus(out, order)
    _write(out / _RECORD, json.dumps({**_record(order), "complete": False}))
    missing = _missing(out, order)
    for drawn, _ in enumerate(_draw(out, scenes, missing, processes), 1):
        yield order.number - len(missing) + drawn
    _write_texts(out, scenes, order)
    _write(out / _RECORD, json.dumps({**_record(order), "complete": True}))


def _draw(out: Path, scenes: list[Scene], missing: list[int], processes: int) -> Iterator[None]:
    jobs = [(out / "Images" / picture_name(index), scenes[index - 1]) for index in missing]
    if processes == 1 or len(jobs) < 2:
        yield from map(_draw_one, jobs)
        return
    with ProcessPoolExecutor(processes, initializer=_leave_interrupts_to_the_parent) as pool:
        try:
            yield from pool.map(_draw_one, jobs, chunksize=4)
        except BrokenProcessPool as error:
            message = "A drawing process was killed; run the same command again to continue."
            raise Unavailable(message) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _draw_one(job: tuple[Path, Scene]) -> None:
    path, scene = job
    _write(path, render_jpeg(compose(scene)))


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_texts(out: Path, scenes: list[Scene], order: Order) -> None:
    captions = [
        f"{picture_name(index)}#{place}\t{sentence}"
        for index, scene in enumerate(scenes, 1)
        for place, sentence in enumerate(describe(scene))
    ]
    _write(out / "captions.token.txt", _lines(captions))
    if not order.split:
        return
    names = [picture_name(index) for index in range(1, order.number + 1)]
    held_back = order.number - order.dev
    _write(out / "trainImages.txt", _lines(names[:held_back]))
    if order.dev:
        _write(out / "devImages.txt", _lines(names[held_back:]))


def _record(order: Order) -> dict[str, object]:
    return {**asdict(order), "version": VERSION}


def _read_record(out: Path) -> dict[str, object] | None:
    try:
        record = json.loads((out / _RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _missing(out: Path, order: Order) -> list[int]:
    return [index for index in range(1, order.number + 1) if not (out / "Images" / picture_name(index)).is_file()]


def _remove_pictures(out: Path) -> None:
    for path in (out / "Images").glob("scene-*.jpg"):
        path.unlink()


def _remove_surplus(out: Path, order: Order) -> None:
    """Removes pictures beyond the number, and the texts: captions are written only once all pictures exist."""
    ordered = {picture_name(index) for index in range(1, order.number + 1)}
    for path in (out / "Images").glob("scene-*.jpg"):
        if path.name not in ordered:
            path.unlink()
    for path in (out / "Images").glob(".scene-*"):
        path.unlink()
    for name in ("captions.token.txt", "trainImages.txt", "devImages.txt"):
        (out / name).unlink(missing_ok=True)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, content: str | bytes) -> None:
    """Atomic: a temporary file is renamed once it is complete."""
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)
