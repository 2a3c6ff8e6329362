"""Filters of a search: conditions on pictures beside what they show."""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_TAGS = 20
MAX_TAG = 200  # characters
MAX_WORDS = 500  # characters

_MOMENT = r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?)?)?"


def moment_start(text: str) -> datetime:
    """The first second of a year, month, day, minute or second. Raises ValueError for anything else."""
    parts = re.fullmatch(_MOMENT, text, re.ASCII)
    if parts is None:
        raise ValueError("must be a date or time such as 2024, 2024-05, 2024-05-31 or 2024-05-31T18:30")
    numbers = zip(parts.groups(), (0, 1, 1, 0, 0, 0), strict=True)
    year, month, day, hour, minute, second = (int(part or least) for part, least in numbers)
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        raise ValueError("there is no such date or time") from None


def moment_end(text: str) -> datetime:
    """The first second after a year, month, day, minute or second; the largest datetime if there is none."""
    start = moment_start(text)
    try:
        match len(text):
            case 4:
                return start.replace(year=start.year + 1)
            case 7:
                return (start + timedelta(days=31)).replace(day=1)
            case length:
                return start + {10: timedelta(days=1), 16: timedelta(minutes=1)}.get(length, timedelta(seconds=1))
    except (ValueError, OverflowError):
        return datetime.max


def _moment(text: str) -> str:
    moment_start(text)
    return text


def _words(text: str) -> str:
    if not any(letter.isalnum() for letter in text):
        raise ValueError("there are no words in it")
    return text


Moment = Annotated[str, Field(max_length=19, examples=["2024-05-31"]), AfterValidator(_moment)]
Number = Annotated[int, Field(ge=0, le=2**53)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG)]


class _Part(BaseModel):
    # the alias is the name on the wire, also from the gateway to the retrieval service
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, validate_by_name=True)


class Period(_Part):
    """From the beginning of `from` to the end of `to`: both 2024 means the whole year."""

    first: Moment | None = Field(None, alias="from")
    last: Moment | None = Field(None, alias="to")


class NumberRange(_Part):
    """Both ends are included."""

    min: Number | None = None
    max: Number | None = None


class SearchFilter(_Part):
    """Conditions that a picture must all meet. `taken` is the time on the camera's clock, `modified` the file's time in
    UTC; `folder` includes everything below it; `tags` must all be present, in any case of letters; `caption` holds
    words that must all be in the stored captions."""

    taken: Period | None = None
    modified: Period | None = None
    width: NumberRange | None = None
    height: NumberRange | None = None
    bytes: NumberRange | None = None
    orientation: Literal["landscape", "portrait", "square"] | None = None
    folder: str | None = Field(None, max_length=2_000)
    tags: list[Tag] | None = Field(None, max_length=MAX_TAGS)
    caption: Annotated[str, AfterValidator(_words)] | None = Field(None, max_length=MAX_WORDS)

    @property
    def is_empty(self) -> bool:
        """Whether every picture passes."""
        return not any(self.model_dump(exclude_none=True).values())

    @model_validator(mode="after")
    def _same_tags(self) -> Self:
        """Sorts tags, so that equal filters share a cached answer."""
        if self.tags is not None:
            object.__setattr__(self, "tags", sorted({tag_key(tag) for tag in self.tags}))
        return self


def tag_key(tag: str) -> str:
    """The key that all spellings of a tag share."""
    return unicodedata.normalize("NFC", " ".join(tag.split())).casefold()
