"""Fetching a picture by its address: what may be fetched, from where, how much, how long."""

import asyncio
import gzip
import shutil
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from imagetext.wire.errors import DeadlineExceeded, ImageTextError, InvalidParameter, TooLarge, Unavailable
from imagetext.wire.guarded_transport import GuardedTransport
from services.gateway.fetch import Fetcher
from services.gateway.upstream import Deadline
from tests.patience import PATIENCE

HERE = "127.0.0.1"  # stands for a public address
INSIDE = "127.0.0.2"  # stands for an address inside our network


class Site:
    """A site on the internet."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.app = Starlette(routes=[Route("/{page:path}", self.serve)])

    async def serve(self, request: Request) -> Response:
        page = request.path_params["page"]
        self.visits[page] += 1
        self.requests.append(request)
        match page.split("/"):
            case ["picture.jpg"]:
                return Response(b"dog", media_type="image/jpeg", headers={"Set-Cookie": "a=b"})
            case ["status", status]:
                return PlainTextResponse("no", int(status))
            case ["bytes", size]:
                return Response(b"x" * int(size))
            case ["endless"]:
                return StreamingResponse(_endless())
            case ["slow"]:
                return StreamingResponse(_slow())
            case ["packed"]:
                return Response(gzip.compress(b"x" * 10_000), headers={"Content-Encoding": "gzip"})
            case ["hops", number]:
                hops = int(number)
                return RedirectResponse(f"/hops/{hops - 1}" if hops > 1 else "/picture.jpg")
            case _:
                return RedirectResponse(request.query_params["to"])


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1_000
        await asyncio.sleep(0)


async def _slow() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.05)


class Names:
    """Names and their addresses; each look-up takes the next list of addresses, the last one again and again."""

    def __init__(self, **names: list[list[str]]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}

    async def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            return [host] if host[0].isdigit() else _unknown()
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _unknown() -> list[str]:
    raise OSError


def fetcher_of(names: Names, *, timeout_s: float = PATIENCE) -> Fetcher:
    transport = GuardedTransport(resolve=names.resolve, is_allowed=lambda ip: ip == HERE)
    return Fetcher(max_bytes=5_000, timeout_s=timeout_s, transport=transport)


@pytest.fixture
def names() -> Names:
    return Names(site_example=[[HERE]], inside_example=[[INSIDE]], both_example=[[HERE, INSIDE]], none_example=[[]])


@pytest.fixture
async def fetcher(names) -> AsyncIterator[Fetcher]:
    fetcher = fetcher_of(names)
    yield fetcher
    await fetcher.close()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def port(serve, site) -> int:
    _, port = await serve(site.app)
    return port


async def fetched(fetcher: Fetcher, url: str) -> bytes:
    return await fetcher.fetch(url, Deadline.after(PATIENCE))


async def test_a_picture(fetcher, site, port):
    """What lies at a public address is fetched, with the name in the Host header and nothing of ours."""
    assert await fetched(fetcher, f"http://site.example:{port}/picture.jpg") == b"dog"
    assert await fetched(fetcher, f"http://site.example:{port}/picture.jpg#part") == b"dog"

    for request in site.requests:
        assert request.headers["Host"] == f"site.example:{port}"
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"cookie", "authorization", "x-request-id"} & set(request.headers)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "picture.jpg",
        "//site.example/picture.jpg",
        "file:///etc/passwd",
        "ftp://site.example/",
        "gopher://site.example/",
        "data:image/png;base64,ZG9n",
        "javascript:alert(1)",
        "http://",
        "http:///picture.jpg",
        "http://user:secret@site.example/",
        "http://user@site.example/",
        "http://site.example:99999/",
        "http://site.example:0/",
        "http://site.example:x/",
        "http://[::1/",
        "http://site.exa\x00mple/",
        "http://site.example/\r\nX-Header: 1",
        "http://unknown.example/",
        "http://none.example/",
        "http://\u2100.example/",
        "http://xn--/",
        "http://" + "a" * 1_900,
    ],
)
async def test_addresses_that_are_none(fetcher, url):
    """What is no http address, carries a password, or has a host that nobody knows is an invalid parameter."""
    with pytest.raises(InvalidParameter):
        await fetched(fetcher, url)


@pytest.mark.parametrize("host", ["127.0.0.2", "inside.example", "both.example", "10.0.0.1", "169.254.169.254"])
async def test_addresses_inside(fetcher, site, port, host):
    """A host with any address that is not public is refused before a connection is made."""
    with pytest.raises(InvalidParameter, match="public"):
        await fetched(fetcher, f"http://{host}:{port}/picture.jpg")
    assert not site.visits


async def test_the_default_is_the_public_internet(site, port):
    """By default a fetcher refuses this machine by all its names."""
    fetcher = Fetcher(max_bytes=5_000, timeout_s=PATIENCE)
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(InvalidParameter):
            await fetched(fetcher, f"http://{host}:{port}/picture.jpg")
    assert not site.visits
    await fetcher.close()


async def test_the_connection_goes_to_the_checked_address(site, port):
    """A name that changes its address after the check (DNS rebinding) gains nothing: it is looked up once."""
    names = Names(site_example=[[HERE], [INSIDE]])
    fetcher = fetcher_of(names)

    assert await fetched(fetcher, f"http://site.example:{port}/picture.jpg") == b"dog"
    with pytest.raises(InvalidParameter, match="public"):
        await fetched(fetcher, f"http://site.example:{port}/picture.jpg")
    await fetcher.close()


async def test_redirects(fetcher, port):
    """Three redirects are followed, a fourth is not."""
    assert await fetched(fetcher, f"http://site.example:{port}/hops/3") == b"dog"
    with pytest.raises(InvalidParameter, match="redirects more than 3 times"):
        await fetched(fetcher, f"http://site.example:{port}/hops/4")


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.2:{port}/picture.jpg",
        "http://inside.example:{port}/picture.jpg",
        "//inside.example:{port}/picture.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "http://user:secret@site.example:{port}/picture.jpg",
        "http://[::1",
        "http://site.example:{port}x/",
    ],
)
async def test_redirects_are_checked(fetcher, site, port, to):
    """A redirect to where the caller may not go is refused like the address itself."""
    with pytest.raises(InvalidParameter):
        await fetched(fetcher, f"http://site.example:{port}/jump?to=" + to.format(port=port).replace("&", "%26"))
    assert site.visits == {"jump": 1}


async def test_size(fetcher, port):
    """The largest allowed picture is fetched; one byte more, or a body without end, is too large."""
    assert len(await fetched(fetcher, f"http://site.example:{port}/bytes/5000")) == 5_000
    for page in ("bytes/5001", "endless"):
        with pytest.raises(TooLarge):
            await fetched(fetcher, f"http://site.example:{port}/{page}")


async def test_nothing_is_unpacked(fetcher, port):
    """Content that is sent packed all the same stays packed, and small."""
    assert len(await fetched(fetcher, f"http://site.example:{port}/packed")) < 1_000


@pytest.mark.parametrize(
    ("status", "error"), [(404, InvalidParameter), (403, InvalidParameter), (204, InvalidParameter), (500, Unavailable)]
)
async def test_other_answers(fetcher, port, status, error):
    """A site that has no picture there is the caller's mistake, one that fails is not."""
    with pytest.raises(error, match=str(status)):
        await fetched(fetcher, f"http://site.example:{port}/status/{status}")


async def test_time(names, port, silent_server):
    """A site that never answers, or sends a byte now and then, is left after the time that a fetch may take."""
    fetcher = fetcher_of(names, timeout_s=0.5)
    start = time.perf_counter()
    for url in (f"http://site.example:{silent_server}/", f"http://site.example:{port}/slow"):
        with pytest.raises(DeadlineExceeded):
            await fetched(fetcher, url)
    assert time.perf_counter() - start >= 1
    await fetcher.close()


async def test_deadline_of_the_request(fetcher, silent_server):
    """A fetch ends with the request's deadline, if that comes first."""
    with pytest.raises(DeadlineExceeded):
        await fetcher.fetch(f"http://site.example:{silent_server}/", Deadline.after(0.2))


async def test_nobody_listens(fetcher, unused_port):
    """An address where nobody listens cannot be reached."""
    with pytest.raises(Unavailable):
        await fetched(fetcher, f"http://site.example:{unused_port}/")


async def test_errors_say_nothing_of_us(fetcher, unused_port):
    """The sentences name `url` and neither addresses nor exceptions."""
    for host in ("inside.example", "unknown.example", "site.example"):
        with pytest.raises(ImageTextError) as caught:
            await fetched(fetcher, f"http://{host}:{unused_port}/")
        assert "`url`" in caught.value.detail
        assert not any(word in caught.value.detail for word in ("127.", "Errno", "Error", "refused"))


async def test_caption_by_address(door, names, port, ready_client):
    """A caption request may name its picture by address; the same picture in a form is the same picture."""
    door.fetcher = fetcher_of(names)
    async with ready_client(door) as client:
        first = await client.post("/v1/captions", json={"url": f"http://site.example:{port}/picture.jpg"})
        second = await client.post("/v1/captions", files={"image": ("a.jpg", b"dog")})
        refused = await client.post("/v1/captions", json={"url": f"http://inside.example:{port}/picture.jpg"})

    assert (first.status_code, second.headers["X-Cache"]) == (200, "hit")
    assert door.caption.pictures == [b"dog"]
    assert (refused.status_code, refused.json()["title"]) == (422, "Invalid parameter")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate for this test")
async def test_certificates_are_checked_by_name(names, tmp_path, monkeypatch):
    """Over https the certificate must be that of the name, though the connection goes to an address."""
    subject = ["-subj", "/CN=site.example", "-addext", "subjectAltName=DNS:site.example"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    certificate, key = tmp_path / "site.pem", tmp_path / "site.key"
    await asyncio.to_thread(
        subprocess.run, [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    names.names["other.example"] = [[HERE]]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    asked_names: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked_names.append(name)
    server = await asyncio.start_server(_answer_dog, HERE, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    fetcher = fetcher_of(names)

    assert await fetched(fetcher, f"https://site.example:{port}/") == b"dog"
    with pytest.raises(Unavailable):
        await fetched(fetcher, f"https://other.example:{port}/")
    assert asked_names == ["site.example", "other.example"]
    await fetcher.close()
    server.close()


async def _answer_dog(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ndog")
        await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        return
    finally:
        writer.close()
