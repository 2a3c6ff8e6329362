"""Servers on this machine that stand for those of the internet, and pictures that they serve."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.types import ASGIApp

from tests.patience import PATIENCE
from training.collect.client import PoliteClient
from training.collect.collection import CollectionFolder, FoundPicture, Search
from training.data.admission import measure


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The app behind a real socket; gives its address without a slash at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.fixture
def client() -> Iterator[PoliteClient]:
    """Polite and patient, but quick to ask again."""
    patience = {"timeout_s": PATIENCE, "whole_s": PATIENCE}
    client = PoliteClient("imagetext-collect/1 (tests)", pause_s=0, attempts=3, wait_s=0.01, **patience)
    yield client
    client.close()


def photo(seed: int, size: tuple[int, int] = (480, 320), kind: str = "JPEG") -> bytes:
    """A picture of soft coloured blots; another seed gives one that looks quite different."""
    blots = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


SENTENCES = ("A dog runs on the beach.", "Two boats lie in a harbour.", "A cat sleeps on a sofa.", "A train leaves.")


@pytest.fixture
def collection(tmp_path: Path) -> CollectionFolder:
    """Four pictures, found and not yet reviewed; the third is of nobody and its source is no web address."""
    folder = CollectionFolder(tmp_path / "set")
    for number, text in enumerate(SENTENCES):
        data = photo(number, (480, 320) if number else (320, 480))
        content = measure(data)
        known = number != 2
        picture = FoundPicture(
            folder.keep(f"{content.sha256[:16]}.jpg", data),
            text,
            "grammar",
            "Wikimedia Commons",
            f"https://upload.example.org/{number}.jpg",
            f"https://commons.example.org/{number}" if known else "javascript:alert(1)",
            f"Author {number}" if known else "",
            "CC BY-SA 4.0",
            "https://creativecommons.org/licenses/by-sa/4.0",
            **asdict(content),
        )
        folder.add(Search(text, (picture,), ()))
    return folder
