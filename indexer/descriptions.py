"""What is known of the pictures beside their pixels: from their files, the version before, and what is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from imagetext.errors import InvalidParameter
from imagetext.index import PictureRow
from imagetext.index.texts import clean_captions, clean_tags
from indexer.previous import PreviousVersion
from indexer.wording import printable

if TYPE_CHECKING:
    from imagetext.captioner.engine import Captioner


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
    known = previous.same(row.path, row.sha256) if previous is not None and previous.described else None
    return row if known is None else replace(row, taken=known.taken, tags=known.tags, captions=known.captions)
