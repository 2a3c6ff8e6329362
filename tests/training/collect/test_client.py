"""Asking other people's servers politely."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from imagetext.wire.errors import DeadlineExceeded, InvalidParameter, TooLarge, Unavailable
from tests.patience import PATIENCE
from training.collect.client import PoliteClient, _seconds


class Site:
    """Fails as its addresses say."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.app = Starlette(routes=[Route("/{page:path}", self.serve)])

    async def serve(self, request: Request) -> Response:
        page = request.path_params["page"]
        self.visits[page] += 1
        self.agents.add(request.headers["User-Agent"])
        match page.split("/"):
            case ["fails", times, status]:
                return PlainTextResponse("well", 200 if self.visits[page] > int(times) else int(status))
            case ["busy", seconds]:
                calm = self.visits[page] > 1
                return PlainTextResponse("well", 200 if calm else 429, headers={"Retry-After": seconds})
            case ["endless"]:
                return StreamingResponse(_drops(0))
            case ["slow"]:
                return StreamingResponse(_drops(0.2))
            case ["circle"]:
                return RedirectResponse("/circle")
            case _:
                return PlainTextResponse("well")


async def _drops(pause_s: float) -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 100
        await asyncio.sleep(pause_s)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def url(site: Site, serve: Callable[[ASGIApp], str]) -> str:
    return serve(site.app)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_trouble_is_waited_for(client: PoliteClient, site: Site, url: str, status: int) -> None:
    """The third attempt is the last, and here the good one; the host is told who asks."""
    answer = client.ask("GET", f"{url}/fails/2/{status}")

    assert (answer.status, answer.body) == (200, b"well")
    assert site.visits[f"fails/2/{status}"] == 3
    assert site.agents == {"imagetext-collect/1 (tests)"}


def test_lasting_trouble_is_returned(client: PoliteClient, site: Site, url: str) -> None:
    """After the last attempt the caller gets the answer as it is; a refusal is not asked again."""
    assert client.ask("GET", f"{url}/fails/9/503").status == 503
    assert client.ask("GET", f"{url}/fails/9/403").status == 403
    assert (site.visits["fails/9/503"], site.visits["fails/9/403"]) == (3, 1)


def test_a_host_that_names_a_time_is_obeyed(client: PoliteClient, url: str) -> None:
    """Retry-After is waited for where that is bearable, else the answer comes at once."""
    began = time.monotonic()

    assert client.ask("GET", f"{url}/busy/1").status == 200
    assert time.monotonic() - began >= 1
    assert client.ask("GET", f"{url}/busy/86400").status == 429


def test_retry_after_may_be_a_date() -> None:
    """Both forms of the header are read, and neither's nonsense harms."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=3_600), usegmt=True)

    assert 3_600 - PATIENCE < (_seconds(soon) or 0) <= 3_600
    assert (_seconds("7"), _seconds("soon"), _seconds(None)) == (7, None, None)


def test_too_much_and_too_slow(client: PoliteClient, site: Site, url: str) -> None:
    """Endless answers end at the cap of bytes, dripping ones at the cap of time; neither is asked again."""
    with pytest.raises(TooLarge):
        client.ask("GET", f"{url}/endless", max_bytes=10_000)
    hurried = PoliteClient("tests", pause_s=0, whole_s=1)
    with pytest.raises(DeadlineExceeded):
        hurried.ask("GET", f"{url}/slow")
    hurried.close()
    assert (site.visits["endless"], site.visits["slow"]) == (1, 1)


def test_no_host_no_address_no_end(client: PoliteClient, url: str) -> None:
    """A dead host, words that are no address, and a redirect in a circle are told apart."""
    with pytest.raises(Unavailable, match="cannot be reached"):
        client.ask("GET", "http://127.0.0.1:9/")
    with pytest.raises(Unavailable, match="circle"):
        client.ask("GET", f"{url}/circle")
    for nonsense in ("ftp://example.org/", "data:image/png;base64,AA", "http://", "", "just words"):
        with pytest.raises(InvalidParameter):
            client.ask("GET", nonsense)


def test_a_host_is_left_in_peace_between_requests(url: str) -> None:
    """Three requests to one host take two pauses."""
    client = PoliteClient("tests", pause_s=0.3)
    began = time.monotonic()
    for _ in range(3):
        client.ask("GET", f"{url}/page")
    client.close()

    assert time.monotonic() - began >= 0.6


def test_another_host_does_not_wait(url: str) -> None:
    """However long the first one is left in peace."""
    client = PoliteClient("tests", pause_s=3_600)
    answers = [client.ask("GET", f"{host}/page") for host in (url, url.replace("127.0.0.1", "localhost"))]
    client.close()

    assert [answer.status for answer in answers] == [200, 200]
