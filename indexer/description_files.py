"""Files of captions and metadata, in any of these forms; all paths are below the folder of the pictures.

NAME.jpg#0<TAB>A sentence                                            Flickr8k's *.token.txt
{"NAME.jpg": ["A sentence", ...], ...}                               one JSON object
{"path": "NAME.jpg", "captions": [...], "tags": [...], "taken": "2024-05-31T18:30:00"}
                                                                     JSON lines, all fields but the path optional
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from imagetext.errors import InvalidParameter
from indexer.descriptions import Description

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
