"""Pictures under open licences, by the interfaces that their keepers offer to programs.

Wikimedia Commons is the default: its terms allow programs that name themselves with a way to be reached and ask one
question at a time (Wikimedia APIs, Access policy). Openverse allows anonymous callers 100 questions a day.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from imagetext.wire.errors import Busy, InvalidParameter, Unavailable
from training.collect.client import Answer, PoliteClient
from training.collect.collection import Candidate, Loss, searches

COMMONS = "https://commons.wikimedia.org/w/api.php"
OPENVERSE = "https://api.openverse.org/v1/images/"
TOKEN_VARIABLE = "OPENVERSE_TOKEN"  # an OAuth access token, for more than the anonymous questions
_RESULTS = 10
_WIDTH = 960  # pixels; one of the sizes that Commons keeps ready
_NO_LICENCE = Loss("No licence", "The source states no licence for this picture.")


class Commons:
    """Wikimedia Commons: the MediaWiki API's search with `imageinfo` and `extmetadata`."""

    name = "Wikimedia Commons"

    def __init__(self, client: PoliteClient, address: str = COMMONS) -> None:
        self._client = client
        self._address = address

    def search(self, sentence: str) -> Iterator[Candidate | Loss]:
        for words in searches(sentence):
            pages = self._pages(words)
            for page in sorted(pages, key=lambda page: page.get("index", 0)):
                yield self._candidate(page)
            if pages:
                return

    def _pages(self, words: str) -> list[dict[str, Any]]:
        query = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": f"filetype:bitmap {words}",
            "gsrnamespace": "6",  # files
            "gsrlimit": str(_RESULTS),
            "prop": "imageinfo",
            "iiprop": "url|size|extmetadata",
            "iiurlwidth": str(_WIDTH),
            "iiextmetadatafilter": "LicenseShortName|LicenseUrl|Artist",
            "maxlag": "5",
        }
        reply = _object(self._client.ask("GET", self._address, params=query), self.name)
        if "error" in reply:
            raise Unavailable(f"{self.name} refuses to search just now; the same command goes on later.")
        found = reply.get("query") or {}
        return [page for page in found.get("pages") or [] if isinstance(page, dict)]

    def _candidate(self, page: Mapping[str, Any]) -> Candidate | Loss:
        info = (page.get("imageinfo") or [{}])[0]
        facts = info.get("extmetadata") or {}
        address = info.get("thumburl") or info.get("url")
        if not address:
            return Loss("No address", "The source gives no address for this picture.", str(page.get("title", "")))
        licence = _plain(facts, "LicenseShortName")
        if not licence:
            return Loss(_NO_LICENCE.kind, _NO_LICENCE.reason, address)
        author, licence_url = _plain(facts, "Artist"), _plain(facts, "LicenseUrl")
        return Candidate(address, str(info.get("descriptionurl", "")), author, licence, licence_url)


class Openverse:
    """The Openverse API's image search, for licences that allow changes and any use."""

    name = "Openverse"

    def __init__(self, client: PoliteClient, environment: Mapping[str, str], address: str = OPENVERSE) -> None:
        self._client = client
        self._address = address
        token = environment.get(TOKEN_VARIABLE, "").strip()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def search(self, sentence: str) -> Iterator[Candidate | Loss]:
        for words in searches(sentence):
            query = {"q": words, "license": "cc0,pdm,by,by-sa", "page_size": str(_RESULTS), "mature": "false"}
            answer = self._client.ask("GET", self._address, params=query, headers=self._headers)
            results = [found for found in _object(answer, self.name).get("results") or [] if isinstance(found, dict)]
            yield from map(_openverse_candidate, results)
            if results:
                return


def _openverse_candidate(found: Mapping[str, Any]) -> Candidate | Loss:
    address = str(found.get("url") or "")
    if not address:
        return Loss("No address", "The source gives no address for this picture.", str(found.get("id", "")))
    code, version = str(found.get("license") or ""), str(found.get("license_version") or "")
    if not code:
        return Loss(_NO_LICENCE.kind, _NO_LICENCE.reason, address)
    name = {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code, f"CC {code.upper()}")
    return Candidate(
        address,
        str(found.get("foreign_landing_url") or ""),
        str(found.get("creator") or ""),
        f"{name} {version}".strip(),
        str(found.get("license_url") or ""),
    )


def _object(answer: Answer, name: str) -> dict[str, Any]:
    if answer.status == 429:
        raise Busy(f"{name} has had enough questions for now; the same command goes on later.")
    if answer.status >= 500:
        raise Unavailable(f"{name} is out of order (status {answer.status}); the same command goes on later.")
    if answer.status != 200:
        raise InvalidParameter(f"{name} refuses the question (status {answer.status}); is the token or contact right?")
    try:
        reply = json.loads(answer.body)
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        raise Unavailable(f"{name} answers with something that is not its format.")
    return reply


def _plain(facts: Mapping[str, Any], name: str) -> str:
    """A field of `extmetadata` without its markup."""
    value = (facts.get(name) or {}).get("value") or ""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", str(value))).split())
