"""Exports what a person accepted as a data set in the merged format, with the credits that licences require.

Also sums up a collection: what it has, and what it lost and why.
"""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from imagetext.wire.errors import InvalidParameter
from training.collect.collection import CollectionFolder, FoundPicture, Search, all_pictures
from training.collect.review import Review
from training.data.records import (
    PICTURES,
    Record,
    Shares,
    bring_picture,
    is_merged,
    read_records,
    refuse_repository,
    write_records,
)


def summary(searches: Iterable[Search]) -> dict[str, int | dict[str, int]]:
    """Counts: sentences, those without a picture, pictures, and what was lost by kind."""
    searches = list(searches)
    losses = Counter(loss.kind for search in searches for loss in search.losses)
    return {
        "sentences": len(searches),
        "without_picture": sum(not search.pictures for search in searches),
        "pictures": len(all_pictures(searches)),
        "lost": dict(losses.most_common()),
        "licences": dict(Counter(picture.licence for picture in all_pictures(searches)).most_common()),
    }


def told(counts: dict[str, int | dict[str, int]]) -> str:
    """`summary` for people, one fact a line."""
    lines = [f"{counts['sentences']} sentences, {counts['pictures']} pictures, {counts['without_picture']} without any"]
    for name in ("lost", "licences"):
        inner = counts[name]
        assert isinstance(inner, dict)
        lines += [f"{name}: {kind or 'unnamed'} {count}" for kind, count in inner.items()]
    return "\n".join(lines)


SOURCE = "custom"
CREDITS = "credits.csv"


def export(collection: CollectionFolder, into: Path, shares: Shares) -> list[Record]:
    """Copy the accepted pictures to `into` and write their table; an earlier export there is replaced.

    Raises:
        InvalidParameter: nothing is accepted, a picture is gone or changed, `into` holds another data set, or git would
            take the pictures.
    """
    refuse_repository(into)
    accepted = Review(collection).accepted()
    if not accepted:
        raise InvalidParameter(f"Nothing in {collection.folder} is accepted yet: review it first.")
    before = read_records(into) if is_merged(into) else []
    if any(record.source != SOURCE for record in before):
        raise InvalidParameter(f"{into} holds another data set; name an empty folder.")
    records = [_record(picture, text, shares) for picture, text in accepted]
    for (picture, _), record in zip(accepted, records, strict=True):
        _check(collection.folder / picture.path, picture)
        bring_picture(collection.folder / picture.path, into / record.path, copy=True)
    write_records(into, records)
    for path in {record.path for record in before} - {record.path for record in records}:
        (into / path).unlink(missing_ok=True)
    _write_credits(into / CREDITS, [picture for picture, _ in accepted])
    return records


def _record(picture: FoundPicture, text: str, shares: Shares) -> Record:
    return Record(
        path=_path(picture),
        captions=(text,),
        split=shares.split_of(picture.sha256),
        source=SOURCE,
        width=picture.width,
        height=picture.height,
        sha256=picture.sha256,
        dhash=picture.dhash,
        phash=picture.phash,
        licence=picture.licence,
        author=picture.author,
        source_url=picture.source_url or picture.address,
    )


def _path(picture: FoundPicture) -> str:
    return f"{PICTURES}/custom-{Path(picture.path).name}"


def _check(file: Path, picture: FoundPicture) -> None:
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != picture.sha256:
        raise InvalidParameter(f"{file} is gone or not the picture that was reviewed.")


def _write_credits(file: Path, pictures: list[FoundPicture]) -> None:
    unfinished = file.with_name(f".{file.name}.part")
    with unfinished.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["path", "author", "licence", "licence_url", "source_url", "provider"])
        for one in pictures:
            table.writerow([_path(one), one.author, one.licence, one.licence_url, one.source_url, one.provider])
    os.replace(unfinished, file)
