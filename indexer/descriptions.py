"""What is known about pictures beside their pixels: from their files, the previous version, and files of descriptions.

Files of captions and metadata have one of these forms; paths are relative to the folder of the pictures.

NAME.jpg#0<TAB>A sentence                                            Flickr8k's *.token.txt
{"NAME.jpg": ["A sentence", ...], ...}                               one JSON object
{"path": "NAME.jpg", "captions": [...], "tags": [...], "taken": "2024-05-31T18:30:00"}
                                                                     JSON lines, all fields but the path optional
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetext.index import PictureRow
from imagetext.index.rows import clean_captions, clean_tags
from imagetext.wire.errors import InvalidParameter
from indexer.known import PreviousVersion
from indexer.label_tags import Labeller
from indexer.reports import printable

if TYPE_CHECKING:
    from imagetext.models.captioner.engine import Captioner

_FIELDS = frozenset({"path", "captions", "tags", "taken"})


@dataclass(frozen=True, slots=True)
class Description:
    """Time, tags and captions of one picture; None: not given."""

    taken: datetime | None = None
    tags: tuple[str, ...] | None = None
    captions: tuple[str, ...] | None = None

    def over(self, row: PictureRow) -> PictureRow:
        """The row with these values in place of its own."""
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
    """`given` by the path of the picture as in PictureRow; `captioner` captions pictures without captions, and
    `labeller` adds labels to the tags."""

    given: Mapping[str, Description] = field(default_factory=dict)
    captioner: "Captioner | None" = None
    labeller: Labeller | None = None


NOTHING = Descriptions()


def describe(
    rows: Sequence[PictureRow],
    previous: PreviousVersion | None,
    given: Mapping[str, Description],
    sourced: Mapping[str, Description],
) -> tuple[list[PictureRow], int]:
    """The rows with all that is known, and the number of given paths without a row.

    What the previous version knows about the same content is kept, even if the file was moved; what their source has
    (`sourced`) replaces it, and what is given replaces both.

    Raises:
        InvalidParameter: none of the given paths has a row.
    """
    rows = [_as_before(row, previous) for row in rows]
    for described in (sourced, given):
        rows = [described[row.path].over(row) if row.path in described else row for row in rows]
    unmatched = len(given) - sum(row.path in given for row in rows)
    if given and unmatched == len(given):
        first = printable(next(iter(given)))
        raise InvalidParameter(
            f"No picture has any of the paths in the captions or metadata, such as {first}. Paths must be relative to "
            f"the folder of the pictures, such as {printable(rows[0].path)}."
        )
    return rows, unmatched


def with_added(
    rows: Sequence[PictureRow], added: Mapping[str, Description], given: Mapping[str, Description]
) -> list[PictureRow]:
    """The rows with what came with added pictures, by path; what is `given` for them wins."""
    described = {path: came.with_later(given.get(path, Description())) for path, came in added.items()}
    return [described[row.path].over(row) if row.path in described else row for row in rows]


def _as_before(row: PictureRow, previous: PreviousVersion | None) -> PictureRow:
    known = None if previous is None else previous.same(row.path, row.sha256)
    return row if known is None else replace(row, taken=known.taken, tags=known.tags, captions=known.captions)


def read_descriptions(file: Path) -> dict[str, Description]:
    """Path of a picture -> what the file says about it; if several lines are about one picture, the last one wins.

    Raises:
        InvalidParameter: the file has none of the forms, or cannot be read; the message names the line.
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
    for path, value in lines:
        description = value if isinstance(value, Description) else Description(captions=_texts(value, path, file.name))
        found[path] = found.get(path, Description()).with_later(description)
    return found


def _whole(text: str) -> dict[str, Any] | None:
    """The object of picture -> captions; None for JSON lines, even a single one."""
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
            raise InvalidParameter(f"{name}, {where}: not JSON.") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("path"), str):
            raise InvalidParameter(f'{name}, {where}: not an object with a "path".')
        if not fields.keys() <= _FIELDS:
            unknown = sorted(fields.keys() - _FIELDS)[0]
            raise InvalidParameter(
                f"{name}, {where}: unknown field {unknown!r}; allowed are {', '.join(sorted(_FIELDS))}."
            )
        texts = {
            field: None if fields.get(field) is None else _texts(fields[field], where, name)
            for field in ("tags", "captions")
        }
        yield fields["path"], Description(taken=_parse_time(fields.get("taken"), where, name), **texts)


def _texts(value: object, where: str, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidParameter(f"{name}, {where}: captions and tags must be lists of strings.")
    return tuple(value)


def _parse_time(value: object, where: str, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        # the time on the camera's clock, as in EXIF, which has no zone
        return datetime.fromisoformat(str(value)).replace(tzinfo=None, microsecond=0)
    except ValueError as error:
        raise InvalidParameter(f"{name}, {where}: `taken` must be a time such as 2024-05-31T18:30:00.") from error


def _read_tokens(text: str, name: str) -> dict[str, Description]:
    captions: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, tab, caption = line.partition("\t")
        path, mark, order = key.rpartition("#")
        if not (tab and mark and order.isdecimal()):
            raise InvalidParameter(f"{name}, line {number}: neither NAME#NUMBER<TAB>CAPTION nor JSON.")
        captions.setdefault(path, []).append((int(order), caption))
    return {path: Description(captions=tuple(text for _, text in sorted(each))) for path, each in captions.items()}
