"""Pictures to add, each with its path in the index and its description, from the fields of an upload."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from imagetext.index import picture_id
from imagetext.index.rows import clean_captions, clean_tags
from imagetext.pictures import read_metadata
from imagetext.pictures.formats import find_reader
from imagetext.wire.errors import ImageTextError, InvalidParameter
from imagetext.wire.index import MAX_PATH_BYTES, AddOptions, PictureDescription
from services.chassis.bodies import Upload
from services.chassis.problems import checked

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}


@dataclass(frozen=True)
class NewPicture:
    content: bytes
    sha256: str
    path: str
    description: PictureDescription

    @property
    def id(self) -> str:
        return picture_id(self.path)

    def known(self) -> tuple[datetime | None, tuple[str, ...], tuple[str, ...]]:
        """Time taken, tags and captions: those of the description, else those in the file."""
        file, given = read_metadata(self.content), self.description
        taken = file.taken if given.taken is None else given.taken.replace(tzinfo=None)
        tags = file.tags if given.tags is None else given.tags
        return taken, clean_tags(tags), clean_captions(given.captions or ())


def new_pictures(upload: Upload) -> list[NewPicture | ImageTextError]:
    """Each of the pictures, or the error in its description.

    Raises:
        InvalidParameter: the fields do not hold one description for each picture.
    """
    options = checked(AddOptions, upload.options)
    descriptions = _descriptions(options, len(upload.pictures))
    return [_described(*each) for each in zip(upload.pictures, descriptions, strict=True)]


def _descriptions(options: AddOptions, number: int) -> list[object]:
    try:
        found = json.loads(options.metadata) if options.metadata is not None else None
    except (ValueError, RecursionError):
        raise InvalidParameter("Field `metadata` is not valid JSON.") from None
    if not isinstance(found, list):
        found = [found] if number == 1 or found is not None else [None] * number
    if len(found) != number:
        raise InvalidParameter(
            f"Field `metadata` must have one entry for each of the {number} pictures, not {len(found)} entries."
        )
    if options.path is None:
        return found
    if number > 1:
        raise InvalidParameter(
            f"Field `path` is for a single picture, not for {number}; put the paths into `metadata`."
        )
    return [{**(found[0] if isinstance(found[0], dict) else {}), "path": options.path}]


def _described(content: bytes, description: object) -> NewPicture | ImageTextError:
    try:
        given = checked(PictureDescription, {} if description is None else description)
        path = None if given.path is None else _checked_path(given.path)
    except InvalidParameter as error:
        return error
    sha256 = hashlib.sha256(content).hexdigest()
    return NewPicture(content, sha256, path or f"added/{sha256[:16]}{_suffix(content)}", given)


def _checked_path(path: str) -> str:
    """Raises InvalidParameter unless it could be the path of a file below the indexed folder."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidParameter("Field `path` is not Unicode.") from None
    if not 1 <= size <= MAX_PATH_BYTES:
        raise InvalidParameter(f"Field `path` must have 1 to {MAX_PATH_BYTES} bytes.")
    if "\\" in path or not path.isprintable() or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidParameter("Field `path` must be a relative path such as trip/dogs.jpg, without `.` and `..`.")
    return path


def _suffix(content: bytes) -> str:
    reader = find_reader(content[:512])
    return "" if reader is None else _SUFFIXES.get(str(reader.format), f".{str(reader.format).lower()}")
