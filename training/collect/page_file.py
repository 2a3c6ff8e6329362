"""An image search page as data: where it is, who allows a program on it, and where on it things stand."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from imagetext.errors import InvalidParameter


@dataclass(frozen=True)
class PageFile:
    """The keys of a page's TOML file, explained in docs/custom-set.md and in pages/searxng.toml.

    A selector is CSS, or XPath where it begins with "/" or "("; with "@name" at its end it reads that attribute, else
    the text. Selectors of `picture` are looked for in the preview, or in the result where there is no preview.
    """

    name: str
    address: str
    terms: str
    permission: str
    robots: bool = True
    patience_s: float = 10.0
    pause_s: float = 5.0
    most: int = 5
    consent: str = ""
    result_each: str = ""
    result_nothing: str = ""
    result_thumbnail: str = "img"
    preview_open: str = ""
    preview_shown: str = ""
    preview_close: str = ""
    picture_address: str = "img@src"
    picture_source: str = ""
    picture_author: str = ""
    picture_licence: str = ""
    picture_licence_url: str = ""
    source_author: str = ""
    source_licence: str = ""
    source_licence_url: str = ""


def read_page_file(file: Path) -> PageFile:
    """Tables become prefixes: `each` of [result] is `result_each`.

    Raises:
        InvalidParameter: unreadable, an unknown or missing key, a wrong type, or nobody's permission.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"{file} is not a readable TOML file.") from error
    values: dict[str, Any] = {}
    for name, value in tables.items():
        values |= {f"{name}_{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    kinds = {field.name: field.type for field in fields(PageFile)}
    problems = [f"unknown key {name}" for name in values if name not in kinds]
    problems += [f"{name} is missing" for name in ("name", "address", "terms", "result_each") if not values.get(name)]
    problems += [
        f"{name} must be a {_named(kinds[name])}" for name in values if not _fits(values[name], kinds.get(name))
    ]
    if problems:
        raise InvalidParameter(f"{file.name}: {'; '.join(problems)}.")
    page = PageFile(**{"permission": "", **values})
    _check(page, file.name)
    return page


def _check(page: PageFile, name: str) -> None:
    if "{words}" not in page.address or not page.address.startswith(("http://", "https://")):
        raise InvalidParameter(f"{name}: address must be an http address with {{words}} in it.")
    if not (page.picture_licence or page.source_licence):
        raise InvalidParameter(f"{name}: say where the licence stands, as licence of [picture] or of [source].")
    if page.source_licence and not page.picture_source:
        raise InvalidParameter(f"{name}: source of [picture] must lead to the page on which the licence is read.")
    if page.preview_open and not (page.preview_shown and page.preview_close):
        raise InvalidParameter(f"{name}: a preview that is opened needs shown and close.")
    if not page.permission.strip():
        raise InvalidParameter(
            f"{name} names no permission. Read {page.terms}: where they allow programs, write which sentence does into"
            " `permission`; where they do not, use another page or --provider commons."
        )


def _fits(value: object, kind: Any) -> bool:
    return kind is None or type(value) is kind or (kind is float and type(value) is int)


def _named(kind: Any) -> str:
    return {str: "text", bool: "true or false", int: "whole number"}.get(kind, "number")
