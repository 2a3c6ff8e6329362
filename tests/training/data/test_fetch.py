"""Fetching from a site that misbehaves in every way: what comes back, what is lost and why, and how polite it is."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from imagetext.wire.guarded_transport import GuardedTransport, is_public
from tests.patience import PATIENCE, until
from training.data.admission import Admission, Lost, Reason, measure
from training.data.fetch import MAX_FAILURES, Fetcher, FetchLimits, Hosts, Politeness, check_answer

LIMITS = FetchLimits(max_bytes=300_000, max_seconds=PATIENCE, attempts=2, wait_s=0.01)
HURRY = replace(LIMITS, max_seconds=2.0)  # where nothing comes in any time
POLITE = Politeness(at_once=4, pause_s=0.0, max_wait_s=3.0)
AGENT = "imagetext/0 (test)"


class Names:
    """A resolver that knows some names."""

    def __init__(self, **ips: list[str]) -> None:
        self.ips = {name.replace("_", "."): found for name, found in ips.items()}

    async def resolve(self, host: str, port: int) -> list[str]:
        if host[0].isdigit():
            return [host]
        if host not in self.ips:
            raise OSError
        return self.ips[host]


async def accept(data: bytes) -> bytes:
    """What a run does: decode for real, keep the file."""
    return Admission().admit(data)[0]


def fetch_all(
    addresses: list[str],
    *,
    limits: FetchLimits = LIMITS,
    polite: Politeness = POLITE,
    allowed: Callable[[str], bool] = lambda ip: ip == "127.0.0.1",
    names: Names | None = None,
) -> list[bytes | Lost]:
    """The pictures, or why there are none, of addresses asked all at once."""

    async def run() -> list[bytes | Lost]:
        resolve = (names or Names()).resolve
        transport = GuardedTransport(max_connections=limits.at_once, resolve=resolve, is_allowed=allowed)
        async with Fetcher(Hosts(polite), limits, AGENT, transport) as fetcher:
            results = await asyncio.gather(
                *(fetcher.fetch(address, accept) for address in addresses), return_exceptions=True
            )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Lost):
                raise result
        return [result for result in results if isinstance(result, bytes | Lost)]

    return asyncio.run(run())


def test_a_picture_comes_whole(site, address: str, draw: Callable[..., bytes]) -> None:
    """The bytes are those that lie there, and the host is told who asks."""
    assert fetch_all([f"{address}/picture/1", f"{address}/wrong-type"]) == [draw(1), draw(8)]
    assert site.agents == {AGENT}


@pytest.mark.parametrize(
    ("path", "reason", "asked"),
    [
        ("nothing-here", Reason.GONE, 1),
        ("status/410", Reason.GONE, 1),
        ("status/403", Reason.REFUSED, 1),
        ("status/204", Reason.REFUSED, 1),
        ("status/500", Reason.SERVER_ERROR, 2),
        ("text", Reason.NOT_A_PICTURE, 1),
        ("empty", Reason.NOT_A_PICTURE, 1),
        ("truncated", Reason.DAMAGED, 1),
        ("broken-off", Reason.BROKEN_OFF, 2),
        ("reset", Reason.BROKEN_OFF, 2),
        ("bomb", Reason.TOO_LARGE, 1),
        ("huge", Reason.TOO_LARGE, 1),
        ("endless", Reason.TOO_LARGE, 1),
        ("slow", Reason.TIMEOUT, 2),
        ("silent", Reason.TIMEOUT, 2),
        ("loop", Reason.REDIRECTS, 6),
        ("hops/6", Reason.REDIRECTS, 1),
        ("to/ftp:/127.0.0.1/a.jpg", Reason.BAD_ADDRESS, 1),
        ("to/http:/127.0.0.2/a.jpg", Reason.PRIVATE, 1),
        ("to/http:/nobody.example/a.jpg", Reason.UNKNOWN_HOST, 2),
        ("opted-out", Reason.OPTED_OUT, 1),
        ("tiny", Reason.TOO_SMALL, 1),
        ("long", Reason.ELONGATED, 1),
        ("blank", Reason.BLANK, 1),
    ],
)
def test_misbehaviour_has_its_reason(site, address: str, path: str, reason: Reason, asked: int) -> None:
    """Every way to fail is told apart, ends in time, and is tried again only where that may help."""
    path = path.replace(":/", "://")

    [lost] = fetch_all([f"{address}/{path}"], limits=HURRY if reason is Reason.TIMEOUT else LIMITS)

    assert isinstance(lost, Lost) and lost.reason is reason
    assert site.visits[path] == asked


@pytest.mark.parametrize("path", ["recovers", "opted-out-other", "hops/5"])
def test_what_can_be_had_is_had(address: str, path: str) -> None:
    """One failure that passes, an objection that means others, and five redirects do not cost the picture."""
    [data] = fetch_all([f"{address}/{path}"])

    assert isinstance(data, bytes) and measure(data).width == 120


@pytest.mark.parametrize(
    "url",
    [
        "",
        "picture.jpg",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "http://",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1:99999/",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """Only http and https, with a host and without a password."""
    [lost] = fetch_all([url])

    assert isinstance(lost, Lost) and lost.reason is Reason.BAD_ADDRESS


def test_private_networks_are_closed(site, address: str) -> None:
    """By default neither an address in a private network nor a name that leads there, even partly, is asked."""
    port = address.rpartition(":")[2]
    names = Names(inside_example=["127.0.0.1"], half_example=["93.184.216.34", "127.0.0.1"])
    inside = [address, f"http://inside.example:{port}", f"http://half.example:{port}"]

    found = fetch_all([f"{host}/picture/1" for host in inside], names=names, allowed=is_public)

    assert [lost.reason for lost in found if isinstance(lost, Lost)] == [Reason.PRIVATE] * 3
    assert not site.visits


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "::ffff:10.0.0.1",
           "fd00::1", "fe80::1", "2002:7f00:1::1", "64:ff9b::7f00:1"]
)  # fmt: skip
def test_addresses_that_are_not_public(ip: str) -> None:
    """Loopback, private, link-local, multicast, and every way to write an IPv4 address in IPv6."""
    assert not is_public(ip)


@pytest.mark.parametrize("ip", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(ip: str) -> None:
    """The others are."""
    assert is_public(ip)


def test_a_dead_address_of_a_name_is_passed_over(address: str, draw: Callable[..., bytes]) -> None:
    """A name with two addresses of which one does not answer still gives the picture; with none, it is unreachable."""
    port = address.rpartition(":")[2]
    names = Names(two_example=["127.0.0.9", "127.0.0.1"], dead_example=["127.0.0.9"])
    hosts = [f"http://two.example:{port}/picture/1", f"http://dead.example:{port}/picture/1"]

    data, lost = fetch_all(hosts, names=names, allowed=lambda ip: True)

    assert data == draw(1)
    assert isinstance(lost, Lost) and lost.reason is Reason.UNREACHABLE


def test_retry_after_is_obeyed_for_the_whole_host(site, address: str, draw: Callable[..., bytes]) -> None:
    """After "429, Retry-After: 1" the host is left alone for a second, then gives the picture."""
    first = [f"{address}/busy/1/1"]
    others = [f"{address}/picture/{number}" for number in range(5)]

    found = fetch_all(first + others, polite=replace(POLITE, at_once=1))

    assert found == [draw(6), *(draw(number) for number in range(5))]
    assert site.visits["busy/1/1"] == 2
    assert site.times[1][1] - site.times[0][1] >= 1.0


def test_a_wait_too_long_gives_the_host_up(site, address: str) -> None:
    """A host that asks for an hour is asked no more in this run."""
    addresses = [f"{address}/busy/3600/9", *(f"{address}/picture/{number}" for number in range(5))]

    found = fetch_all(addresses, polite=replace(POLITE, at_once=1))

    assert [lost.reason for lost in found if isinstance(lost, Lost)] == [Reason.BUSY] * 6
    assert site.visits.total() == 1


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (formatdate(time.time() + 86_400, usegmt=True), 80_000, 86_400),
        ("soon", 5, 5),
        (None, 5, 5),
        ("-3", 0, 5),
    ],
    ids=["seconds", "date", "nonsense", "nothing", "negative"],  # workers must agree on a name that holds the time
)
def test_retry_after_in_both_forms(header: str | None, least: float, most: float) -> None:
    """Seconds and dates are understood; nonsense is a few seconds."""
    headers = {"Retry-After": header} if header else {}

    with pytest.raises(Lost) as caught:
        check_answer(httpx.Response(429, headers=headers), AGENT)

    assert caught.value.wait_s is not None and least <= caught.value.wait_s <= most


@pytest.mark.parametrize(
    ("tag", "refused"),
    [("noai", True), ("all, NoImageAI", True), ("imagetext: noindex", True), ("*: noai", True), ("nofollow", False)],
)
def test_objections(tag: str, refused: bool) -> None:
    """Directives for everybody and for us count, whatever their case."""
    response = httpx.Response(200, headers=[("X-Robots-Tag", "otherbot: noai"), ("X-Robots-Tag", tag)])

    if refused:
        with pytest.raises(Lost, match="opted out"):
            check_answer(response, AGENT)
    else:
        check_answer(response, AGENT)


def test_a_host_gets_few_requests_at_once(site, address: str) -> None:
    """No more than allowed are under way at one host, and they begin with a pause between them."""
    site.meeting = threading.Barrier(2, timeout=PATIENCE)
    addresses = [f"{address}/picture/{number}" for number in range(12)]
    began = time.monotonic()

    found = fetch_all(addresses, polite=Politeness(at_once=2, pause_s=0.03))

    assert not any(isinstance(result, Lost) for result in found)
    assert site.most_at_once == 2
    assert max(at for _, at in site.times) - began >= 11 * 0.03


def test_no_more_than_allowed_at_once_over_all_hosts(site, address: str) -> None:
    """Many names of one machine are many hosts; together they keep to the whole limit."""
    site.meeting = threading.Barrier(3, timeout=PATIENCE)
    port = address.rpartition(":")[2]
    names = Names(**{f"host{number}_example": ["127.0.0.1"] for number in range(12)})
    addresses = [f"http://host{number}.example:{port}/picture/1" for number in range(12)]

    fetch_all(addresses, limits=replace(LIMITS, at_once=3), names=names)

    assert site.visits["picture/1"] == 12 and site.most_at_once == 3


def test_a_dead_host_is_given_up(site, address: str) -> None:
    """After enough failures in a row the rest of its addresses cost no more time, and say why."""
    addresses = [f"{address}/slow?{number}" for number in range(30)]
    limits = replace(HURRY, max_seconds=0.5, attempts=1)

    found = fetch_all(addresses, limits=limits, polite=replace(POLITE, at_once=4))

    reasons = [lost.reason for lost in found if isinstance(lost, Lost)]
    assert reasons.count(Reason.HOST_GIVEN_UP) >= 30 - MAX_FAILURES - 4
    assert set(reasons) <= {Reason.HOST_GIVEN_UP, Reason.TIMEOUT, Reason.UNREACHABLE}
    assert site.visits["slow"] <= MAX_FAILURES + 4


def test_a_paused_host_keeps_nobody_else_waiting(site, address: str) -> None:
    """While one host wants silence, pictures of another come, although all of its addresses stand first in the list."""
    port = address.rpartition(":")[2]
    names = Names(other_example=["127.0.0.1"], busy_example=["127.0.0.1"])
    first = [f"http://busy.example:{port}/busy/3600/1", *(f"http://busy.example:{port}/picture/{n}" for n in range(6))]
    second = [f"http://other.example:{port}/picture/{n}" for n in range(20, 26)]
    limits, polite = replace(LIMITS, at_once=2), replace(POLITE, at_once=1, max_wait_s=3_600)

    async def run() -> None:
        transport = GuardedTransport(resolve=names.resolve, is_allowed=lambda ip: True)
        async with Fetcher(Hosts(polite), limits, AGENT, transport) as fetcher:
            asked = asyncio.gather(*(fetcher.fetch(address, accept) for address in first + second))
            await until(lambda: site.visits.total() == 7)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    asyncio.run(run())

    assert set(site.visits) == {"busy/3600/1", *(f"picture/{n}" for n in range(20, 26))}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate for this test")
def test_certificates_are_checked_by_name(tmp_path: Path, monkeypatch, draw: Callable[..., bytes]) -> None:
    """Over https the certificate must be that of the name, though the connection goes to an IP address."""
    certificate, key = tmp_path / "site.pem", tmp_path / "site.key"
    subject = ["-subj", "/CN=site.example", "-addext", "subjectAltName=DNS:site.example"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    names = Names(site_example=["127.0.0.1"], other_example=["127.0.0.1"])

    def serve(server: ssl.SSLSocket) -> None:
        body = draw(1)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        while True:
            try:
                connection, _ = server.accept()
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(head + body)

    with context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        [data] = fetch_all([f"https://site.example:{port}/"], names=names)
        [lost] = fetch_all([f"https://other.example:{port}/"], names=names)

    assert data == draw(1)
    assert isinstance(lost, Lost) and lost.reason is Reason.UNREACHABLE


def test_a_server_that_never_speaks_http(address: str) -> None:
    """Whatever else answers at a port is a broken answer, not an error of ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            for _ in range(3):
                connection, _ = server.accept()
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\xff\xff\r\n\r\n")
                connection.close()

        threading.Thread(target=babble, daemon=True).start()
        [lost] = fetch_all([f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg"])

    assert isinstance(lost, Lost) and lost.reason is Reason.BROKEN_OFF
