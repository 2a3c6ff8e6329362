"""Takes pictures from an image search page as a person would: search, open a result, read whose it is.

A page is described as data: its address, who allows programs on it, and where things are on it.
"""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit
from urllib.robotparser import RobotFileParser

from selenium.webdriver import Chrome
from selenium.webdriver.remote.webelement import WebElement

from imagetext.wire.errors import InvalidParameter, Unavailable
from training.collect.browser import Reader, speaking_plainly, split_selector
from training.collect.client import AGENT, Pace, PoliteClient
from training.collect.collection import Candidate, Loss, searches


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


_NOBODY = "User-agent: *\nDisallow: /"  # what a host in trouble is taken to say


class SearchPage:
    def __init__(self, page: PageFile, chrome: Chrome, client: PoliteClient) -> None:
        self.name = page.name
        self._page = page
        self._reader = Reader(chrome, page.patience_s)
        self._client = client
        self._pace = Pace(page.pause_s)
        self._robots: dict[str, RobotFileParser] = {}

    def search(self, sentence: str) -> Iterator[Candidate | Loss]:
        for words in searches(sentence)[:1]:  # a page ranks by itself; asking it again with less costs it a whole page
            address = self._page.address.replace("{words}", quote_plus(words))
            if not self._may_visit(address):
                raise InvalidParameter(
                    f"The robots.txt of {urlsplit(address).netloc} keeps programs out of {self.name}."
                )
            self._visit(address)
            for place in range(self._count()):
                with speaking_plainly():
                    offer = self._offer(place)
                yield offer

    def _visit(self, address: str) -> None:
        self._pace.wait(urlsplit(address).netloc)
        self._reader.go(address)

    def _count(self) -> int:
        """How many results there are to look at."""
        reader, page = self._reader, self._page
        with speaking_plainly():
            if reader.until(self._ready) is None:
                raise Unavailable(f"{self.name} shows neither results nor that there are none: has its markup changed?")
            return min(page.most, len(self._results()))

    def _ready(self) -> bool:
        """Whether the page says what it found; a consent dialog that is in the way is answered."""
        button = self._reader.shown(self._page.consent) if self._page.consent else None
        if button:
            self._reader.press(button)
        return bool(self._results()) or self._nothing()

    def _results(self) -> list[WebElement]:
        return self._reader.all(self._page.result_each)

    def _nothing(self) -> bool:
        return bool(self._page.result_nothing and self._reader.shown(self._page.result_nothing))

    def _offer(self, place: int) -> Candidate | Loss:
        reader, page = self._reader, self._page
        thumbnail = reader.until(lambda: self._thumbnail(place))
        if not thumbnail:
            return Loss("No thumbnail", f"The thumbnail of result {place + 1} is missing or broken.")
        if not page.preview_open:
            return self._read(lambda: next(iter(self._results()[place:]), None), thumbnail)
        opener = next(iter(reader.all(page.preview_open, self._results()[place])), None)
        if opener is None:
            return Loss("No preview", f"Result {place + 1} cannot be opened.")
        reader.press(opener)
        if reader.until(lambda: reader.shown(page.preview_shown)):
            offer = self._read(lambda: reader.shown(page.preview_shown), thumbnail)
        else:
            offer = Loss("No preview", f"Result {place + 1} shows no preview.")
        self._close()
        return offer

    def _thumbnail(self, place: int) -> str | None:
        """The address of a result's thumbnail once it is drawn; the result is brought into view, where it may load."""
        results = self._results()
        if place >= len(results):
            return None
        self._reader.bring_up(results[place])
        picture = next(iter(self._reader.all(self._page.result_thumbnail, results[place])), None)
        return picture.get_attribute("src") if picture and self._reader.has_drawn(picture) else None

    def _close(self) -> None:
        """Closes the preview, so that the next one cannot be mistaken for this one."""
        reader, page = self._reader, self._page
        button = reader.shown(page.preview_close)
        if button:
            reader.press(button)
        if not reader.until(lambda: not reader.shown(page.preview_shown)):
            raise Unavailable(f"A preview of {self.name} cannot be closed: has its markup changed?")

    def _read(self, box: Callable[[], WebElement | None], thumbnail: str) -> Candidate | Loss:
        reader, page = self._reader, self._page
        address = reader.until(lambda: self._picture(box(), thumbnail))
        if not address:
            return Loss("No preview", "The preview shows no picture of its own, or a broken one.", thumbnail)
        within = box()
        author, licence = reader.value(page.picture_author, within), reader.value(page.picture_licence, within)
        source, licence_url = reader.value(page.picture_source, within), reader.value(page.picture_licence_url, within)
        candidate = Candidate(address, source, author, licence, licence_url)
        if page.source_licence:
            try:
                candidate = self._with_source_page(candidate)
            except Unavailable as error:
                return Loss("No source page", error.detail, source)
        return candidate if candidate.licence else Loss("No licence", "The page states no licence.", address)

    def _picture(self, box: WebElement | None, thumbnail: str) -> str | None:
        """The address of the large picture, once it is one: previews begin with the thumbnail or an empty picture."""
        path, name = split_selector(self._page.picture_address)
        element = next(iter(self._reader.all(path, box)), None) if box else None
        address = element.get_attribute(name) if element else None
        if not element or not address or not address.startswith(("http://", "https://")):
            return None
        if self._page.preview_open and element.tag_name == "img":
            return address if address != thumbnail and self._reader.has_drawn(element) else None
        return address

    def _with_source_page(self, candidate: Candidate) -> Candidate:
        """What the picture's own page says of it, over what the preview says."""
        reader, page = self._reader, self._page
        if not candidate.source_url.startswith(("http://", "https://")) or not self._may_visit(candidate.source_url):
            raise Unavailable("There is no page of the picture's own, or its host keeps programs out.")
        with reader.second_tab():
            self._visit(candidate.source_url)
            licence = reader.until(lambda: reader.value(page.source_licence)) or ""
            author, licence_url = reader.value(page.source_author), reader.value(page.source_licence_url)
        return replace(
            candidate,
            licence=licence or candidate.licence,
            author=author or candidate.author,
            licence_url=licence_url or candidate.licence_url,
        )

    def _may_visit(self, address: str) -> bool:
        """What the host's robots.txt says (RFC 9309); the search's own host is not asked where the file says so."""
        parts = urlsplit(address)
        if not self._page.robots and parts.netloc == urlsplit(self._page.address).netloc:
            return True
        if parts.netloc not in self._robots:
            answer = self._client.ask("GET", f"{parts.scheme}://{parts.netloc}/robots.txt")
            rules = RobotFileParser()
            said = answer.body.decode("utf-8", "replace") if answer.status == 200 else ""
            rules.parse((_NOBODY if answer.status >= 500 else said).splitlines())
            self._robots[parts.netloc] = rules
        return self._robots[parts.netloc].can_fetch(AGENT, address)
