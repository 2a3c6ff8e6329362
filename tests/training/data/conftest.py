"""Pictures that a program draws, a web site that misbehaves, and data sets on disk."""

import io
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.admission import measure
from training.data.records import Record, write_records


def draw(seed: int, size: tuple[int, int] = (120, 90), kind: str = "JPEG") -> bytes:
    """A soft random pattern: another seed looks altogether different."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels and whose body has next to none."""
    whole = draw(1, (64, 64), "PNG")
    header = whole[12:16] + struct.pack(">II", width, height) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@pytest.fixture(name="draw", scope="session")
def draw_fixture() -> Callable[..., bytes]:
    return draw


class Site:
    """A web site that notes who comes, and answers by path; /a/b.jpg?x is the path "a/b.jpg"."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.times: list[tuple[str, float]] = []  # on the monotonic clock
        self.agents: set[str] = set()
        self.at_once = 0
        self.most_at_once = 0
        self.meeting: threading.Barrier | None = None  # where so many requests wait for one another
        self.free: int | None = None  # so many are answered before `go_on`
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def handle(self, request: "Request") -> None:
        path = request.path.partition("?")[0].strip("/")
        with self._lock:
            self.visits[path] += 1
            self.times.append((path, time.monotonic()))
            self.agents.add(request.headers["User-Agent"])
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            number = self.visits.total()
        if self.meeting is not None:
            self.meeting.wait()
        if self.free is not None and number > self.free:
            self.go_on.wait()
        with self._lock:
            self.at_once -= 1  # before the answer: who has it may come again before this thread is next
        with suppress(BrokenPipeError, ConnectionResetError):  # the visitor has had enough
            self.answer(request, path)

    def answer(self, request: "Request", path: str) -> None:
        match path.split("/"):
            case ["picture", seed]:
                request.send(draw(int(seed.partition(".")[0])))
            case ["small", seed]:  # the same picture with fewer pixels
                request.send(draw(int(seed), (96, 72)))
            case ["tiny"]:
                request.send(draw(3, (20, 20)))
            case ["long"]:
                request.send(draw(4, (900, 70)))
            case ["blank"]:
                file = io.BytesIO()
                Image.new("RGB", (100, 100), "white").save(file, "JPEG")
                request.send(file.getvalue())
            case ["placeholder", *_]:
                request.send(draw(5))
            case ["status", status]:
                request.send(b"no", status=int(status))
            case ["busy", seconds, times]:
                if self.visits[path] <= int(times):
                    request.send(b"", status=429, headers={"Retry-After": seconds})
                else:
                    request.send(draw(6))
            case ["recovers"]:
                request.send(draw(7), status=500 if self.visits[path] == 1 else 200)
            case ["text"]:
                request.send(b"<html>" + b"not found, but politely " * 1000, headers={"Content-Type": "image/jpeg"})
            case ["wrong-type"]:
                request.send(draw(8), headers={"Content-Type": "text/html"})
            case ["empty"]:
                request.send(b"")
            case ["truncated"]:
                request.send(draw(9, (600, 400))[:-2000])
            case ["broken-off"]:
                request.send(draw(10), headers={"Content-Length": "99999"})
            case ["reset"]:
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.connection.close()
            case ["bomb"]:
                request.send(png_of_size(60_000, 60_000))
            case ["huge"]:
                request.send(draw(1), headers={"Content-Length": "3000000000"})
            case ["endless"]:
                request.stream(b"\xff\xd8\xff" + b"x" * 50_000, 0)
            case ["slow"]:
                request.stream(b"\xff", 0.05)
            case ["silent"]:
                request.rfile.read(1)  # until the visitor leaves
            case ["opted-out"]:
                request.send(draw(11), headers={"X-Robots-Tag": "noindex, noai"})
            case ["opted-out-other"]:
                request.send(draw(12), headers={"X-Robots-Tag": "otherbot: noai"})
            case ["hops", number]:
                left = int(number)
                request.send(b"", 302, {"Location": f"/hops/{left - 1}" if left > 1 else "/picture/13"})
            case ["loop"]:
                request.send(b"", 301, {"Location": "/loop"})
            case ["to", *target]:
                request.send(b"", 302, {"Location": "/".join(target)})
            case _:
                request.send(b"", 404)


class Request(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        self.site.handle(self)

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, piece: bytes, pause_s: float) -> None:
        """Until the visitor leaves."""
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(piece)
            time.sleep(pause_s)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # visitors that leave are part of the tests


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """Where the site is, without a slash at the end; every name of this machine leads there."""
    handler = type("SiteRequest", (Request,), {"site": site})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


WriteSet = Callable[..., list[Record]]


@pytest.fixture
def write_set() -> WriteSet:
    """Writes a data set in the merged format: name -> (split, picture file), with a sentence or two each."""

    def write(folder: Path, pictures: dict[str, tuple[str, bytes]], source: str = "drawn") -> list[Record]:
        records = []
        for name, (split, data) in pictures.items():
            path = folder / "Images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            captions = (f"A pattern called {name} in {source} .", "A pattern .")
            about = {"split": split, "source": source, "licence": "free"}
            records.append(Record(path=f"Images/{name}", captions=captions, **about, **asdict(measure(data))))
        write_records(folder, records)
        return records

    return write
