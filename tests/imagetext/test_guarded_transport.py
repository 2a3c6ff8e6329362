"""The guard against server-side request forgery, as a client uses it; the gateway's test_fetch.py has more."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from imagetext.wire.guarded_transport import GuardedTransport, PrivateHost, UnknownHost, parse_url

HERE = "127.0.0.1"  # stands for a public address


class Site:
    """A server that redirects every path but /picture to the address that follows it."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        path = head.split(b" ")[1]
        if path == b"/picture":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ndog")
        else:
            writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % path[1:])
        await writer.drain()
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, HERE, 0)
    site.port = server.sockets[0].getsockname()[1]
    yield site
    server.close()


async def resolve(host: str, port: int) -> list[str]:
    names = {"site.example": [HERE], "two.example": ["127.0.0.3", HERE], "inside.example": [HERE, "10.0.0.1"]}
    if host not in names:
        raise OSError
    return names[host]


def client() -> httpx.AsyncClient:
    transport = GuardedTransport(resolve=resolve, is_allowed=lambda ip: ip.startswith("127."))
    return httpx.AsyncClient(transport=transport, follow_redirects=True)


async def test_a_client_reaches_what_is_allowed(site):
    """The request goes to the checked address under the host's own name, and a second address is tried."""
    async with client() as http:
        for host in ("site.example", "two.example"):
            assert (await http.get(f"http://{host}:{site.port}/picture")).content == b"dog"
            assert f"host: {host}:{site.port}".encode() in site.heads[-1].lower()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://inside.example/", PrivateHost),
        ("http://unknown.example/", UnknownHost),
        ("ftp://site.example/", httpx.UnsupportedProtocol),
        ("http://site.example:0/", httpx.UnsupportedProtocol),
    ],
)
async def test_redirects_are_checked_like_the_first_request(site, url, error):
    """Neither a request nor a redirect gets to a host that may not be reached."""
    async with client() as http:
        with pytest.raises(error):
            await http.get(url)
        assert site.heads == []
        with pytest.raises(error):
            await http.get(f"http://site.example:{site.port}/{url}")
        assert len(site.heads) == 1


async def test_by_default_this_machine_is_not_reached(site):
    """Whoever passes no judge of addresses gets the public internet only."""
    async with httpx.AsyncClient(transport=GuardedTransport()) as http:
        for host in (HERE, "localhost", "[::1]", "[::ffff:127.0.0.1]"):
            with pytest.raises((PrivateHost, UnknownHost)):
                await http.get(f"http://{host}:{site.port}/picture")
    assert site.heads == []


def test_urls():
    """A redirect is relative to where it came from; the message of a bad URL says what is wrong."""
    base = parse_url("https://site.example/a/b")

    assert str(parse_url("../c", base)) == "https://site.example/c"
    with pytest.raises(httpx.InvalidURL, match="http or https"):
        parse_url("file:///etc/passwd", base)
    with pytest.raises(httpx.InvalidURL, match="user name"):
        parse_url("//user:secret@site.example/", base)
