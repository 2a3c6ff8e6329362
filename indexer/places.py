"""Folders and addresses of an index, as options of the command line."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from imagetext.errors import InvalidParameter
from imagetext.index.places import Place, place_of

T = TypeVar("T")


def parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` with its error as argparse shows it."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except InvalidParameter as error:
            raise ArgumentTypeError(error.detail) from None

    return read


def folder(text: str) -> Path:
    """A folder of this machine. Raises ArgumentTypeError for an address."""
    place: Place = parsed(place_of)(text)
    if not isinstance(place, Path):
        raise ArgumentTypeError(f"this command works in a folder; bring the version here first: pull --from {text}")
    return place
