"""What is known of the pictures beside their pixels: from their files, the version before, and what is given.

Files of captions and metadata, in any of these forms; all paths are below the folder of the pictures.

NAME.jpg#0<TAB>A sentence                                            Flickr8k's *.token.txt
{"NAME.jpg": ["A sentence", ...], ...}                               one JSON object
{"path": "NAME.jpg", "captions": [...], "tags": [...], "taken": "2024-05-31T18:30:00"}
                                                                     JSON lines, all fields but the path optional
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from imagetext.index import PictureRow
from imagetext.index.rows import clean_captions, clean_tags
from imagetext.wire.errors import InvalidParameter
from indexer.previous import PreviousVersion
from indexer.wording import printable

if TYPE_CHECKING:
    from imagetext.models.captioner.engine import Captioner
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Description:
    """What a file of captions or metadata says of one picture; None: nothing of that kind."""

    taken: datetime | None = None
    tags: tuple[str, ...] | None = None
    captions: tuple[str, ...] | None = None

    def over(self, row: PictureRow) -> PictureRow:
        """The row with what is said here in place of what it had."""
        return replace(
            row,
            taken=row.taken if self.taken is None else self.taken,
            tags=row.tags if self.tags is None else clean_tags(self.tags),
            captions=row.captions if self.captions is None else clean_captions(self.captions),
        )

    def with_later(self, other: "Description") -> "Description":
        return Description(
            self.taken if other.taken is None else other.taken,
            self.tags if other.tags is None else other.tags,
            self.captions if other.captions is None else other.captions,
        )


@dataclass(frozen=True)
class Descriptions:
    """`given` by the path of the picture as in PictureRow; `captioner` writes captions where none are known."""

    given: Mapping[str, Description] = field(default_factory=dict)
    captioner: "Captioner | None" = None


NOTHING = Descriptions()


def describe(
    rows: Sequence[PictureRow],
    previous: PreviousVersion | None,
    given: Mapping[str, Description],
    said: Mapping[str, Description],
) -> tuple[list[PictureRow], int]:
    """The rows with all that is known, and how many of the given paths are of none of them.

    What the version before knows of the same content stays, also where the file was moved; what is `said` by the place
    where the pictures lie replaces it, and what is given replaces both.

    Raises:
        InvalidParameter: something is given, and nothing of it is for these pictures.
    """
    rows = [_as_before(row, previous) for row in rows]
    for source in (said, given):
        rows = [source[row.path].over(row) if row.path in source else row for row in rows]
    unmatched = len(given) - sum(row.path in given for row in rows)
    if given and unmatched == len(given):
        first = printable(next(iter(given)))
        raise InvalidParameter(
            f"The captions or metadata name none of the pictures, first {first}. Paths must be those below the folder "
            f"of the pictures, such as {printable(rows[0].path)}."
        )
    return rows, unmatched


def with_added(
    rows: Sequence[PictureRow], added: Mapping[str, Description], given: Mapping[str, Description]
) -> list[PictureRow]:
    """The rows with what came with added pictures, by path, where nothing is `given` for them."""
    described = {path: said.with_later(given.get(path, Description())) for path, said in added.items()}
    return [described[row.path].over(row) if row.path in described else row for row in rows]


def _as_before(row: PictureRow, previous: PreviousVersion | None) -> PictureRow:
    known = previous.same(row.path, row.sha256) if previous is not None else None
    return row if known is None else replace(row, taken=known.taken, tags=known.tags, captions=known.captions)


_FIELDS = frozenset({"path", "captions", "tags", "taken"})


def read_descriptions(file: Path) -> dict[str, Description]:
    """Path of a picture -> what the file says of it; of several lines for one picture the later one counts.

    Raises:
        InvalidParameter: the file is in none of the forms, or cannot be read; the line is named.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"{file} cannot be read as text.") from error
    if not text.lstrip().startswith("{"):
        return _read_tokens(text, file.name)
    whole = _whole(text)
    lines = whole.items() if whole is not None else _read_lines(text, file.name)
    found: dict[str, Description] = {}
    for path, said in lines:
        description = said if isinstance(said, Description) else Description(captions=_texts(said, path, file.name))
        found[path] = found.get(path, Description()).with_later(description)
    return found


def _whole(text: str) -> dict[str, Any] | None:
    """The one object of picture -> captions; None for JSON lines, of which there may be one alone."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return whole if isinstance(whole, dict) and "path" not in whole else None


def _read_lines(text: str, name: str) -> Iterator[tuple[str, Description]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidParameter(f"{name}, {where}: this is not JSON.") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
            raise InvalidParameter(f'{name}, {where}: this is no object with a "path".')
        if not fields.keys() <= _FIELDS:
            unknown = sorted(fields.keys() - _FIELDS)[0]
            raise InvalidParameter(f"{name}, {where}: there is no field {unknown!r}; there are {sorted(_FIELDS)}.")
        texts = {
            field: None if fields.get(field) is None else _texts(fields[field], where, name)
            for field in ("tags", "captions")
        }
        yield fields["path"], Description(taken=_taken(fields.get("taken"), where, name), **texts)


def _texts(value: object, where: str, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidParameter(f"{name}, {where}: captions and tags must be lists of texts.")
    return tuple(value)


def _taken(value: object, where: str, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        # the time on the camera's clock, as EXIF has it: a zone says nothing of that
        return datetime.fromisoformat(str(value)).replace(tzinfo=None, microsecond=0)
    except ValueError as error:
        raise InvalidParameter(f"{name}, {where}: `taken` must be a time such as 2024-05-31T18:30:00.") from error


def _read_tokens(text: str, name: str) -> dict[str, Description]:
    captions: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, tab, caption = line.partition("\t")
        path, mark, order = key.rpartition("#")
        if not (tab and mark and order.isdecimal()):
            raise InvalidParameter(f"{name}, line {number}: this is neither NAME#NUMBER<TAB>CAPTION nor JSON.")
        captions.setdefault(path, []).append((int(order), caption))
    return {path: Description(captions=tuple(text for _, text in sorted(each))) for path, each in captions.items()}
