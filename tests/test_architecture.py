"""docs/architecture.md names the files that a caption and a search really pass, from the socket to the model."""

import io
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from imagetext.engines import Engines
from imagetext.index import EncoderRef, PictureRow, picture_id, publish, write_version
from imagetext.models.encoder.engine import load_encoder
from services.caption import app as caption
from services.caption.settings import Settings as CaptionSettings
from services.gateway import app as gateway
from services.gateway.settings import Settings as GatewaySettings
from services.retrieval import app as retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.patience import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
JOURNEYS = ("A caption", "A search")
RARELY = 3600.0  # seconds between the polls that a setting governs: none falls into a request


def files_under(heading: str) -> list[str]:
    """The files that the list under a heading names."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^(?:\d+\.|-) `([^`]+\.py)`:", section, re.MULTILINE)


class Trace:
    """Files of ours in which a function was called while `recording`, in threads started inside `everywhere`."""

    def __init__(self) -> None:
        self.recording = False
        self.files: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if self.recording and event == "call":
            self.files.add(frame.f_code.co_filename)

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        threading.setprofile(self)
        try:
            yield
        finally:
            threading.setprofile(None)

    def ours(self) -> set[str]:
        folders = (f"{ROOT}/imagetext/", f"{ROOT}/services/")
        return {file.removeprefix(f"{ROOT}/") for file in self.files if file.startswith(folders)}


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory, models: Path) -> dict[str, set[str]]:
    """For each journey the files of ours that a warm request passes; all services run in this process."""
    folder = tmp_path_factory.mktemp("architecture")
    encoder = load_encoder(str(models / "retrieval"), Engines(ROOT / "data/engines"))
    names = [f"{number}.jpg" for number in range(3)]
    rows = [PictureRow(n, picture_id(name), name, str(n), 1, 1, 4, 4) for n, name in enumerate(names)]
    vectors = np.eye(3, encoder.dimensions, dtype=np.float32)
    made_by = EncoderRef(encoder.name, encoder.fingerprint, encoder.dimensions)
    publish(folder, write_version(folder, rows, vectors, encoder=made_by, images_root=folder))

    trace, found = Trace(), {}
    with trace.everywhere(), ExitStack() as services:
        captioner = str(models / "caption-vit-bert")
        caption_settings = CaptionSettings(models=(captioner,), engines=ROOT / "data/engines")
        captions = services.enter_context(served(caption.create_app(caption_settings)))
        retrieval_settings = RetrievalSettings(index=folder, poll_s=RARELY, engines=ROOT / "data/engines")
        searches = services.enter_context(served(retrieval.create_app(retrieval_settings, load=lambda _: encoder)))
        gateway_settings = GatewaySettings(caption_url=captions, retrieval_url=searches, poll_s=RARELY)
        door = services.enter_context(served(gateway.create_app(gateway_settings)))
        client = services.enter_context(httpx.Client(base_url=door, timeout=PATIENCE))
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        for journey in JOURNEYS:
            for turn in (1, 2):  # the second finds everything warm
                time.sleep(0.2)  # what goes on behind the last reply has ended
                trace.files.clear()
                trace.recording = turn == 2
                reply = send(client, journey, turn)
                trace.recording = False
                assert (reply.status_code, reply.headers["X-Cache"]) == (200, "miss"), reply.text
            found[journey] = trace.ours()
    return found


def send(client: httpx.Client, journey: str, turn: int) -> httpx.Response:
    if journey == "A search":
        return client.post("/v1/search", json={"text": f"a dog and {turn} birds"})
    file = io.BytesIO()
    Image.new("RGB", (80, 60), (turn, 90, 90)).save(file, "PNG")
    return client.post("/v1/captions", files={"image": file.getvalue()})


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_journey_passes_the_files_that_are_listed(passed: dict[str, set[str]], journey: str) -> None:
    """All of its own list, which has at most 12, and no file that the page does not name."""
    listed = files_under(journey)
    named = {file for heading in (*JOURNEYS, "Also used", "In the background") for file in files_under(heading)}

    assert 1 <= len(listed) <= 12
    assert set(listed) - passed[journey] == set(), "listed, but not used"
    assert passed[journey] - named == set(), "used, but not listed"


def test_what_is_also_used_is_used(passed: dict[str, set[str]]) -> None:
    """By one of the journeys, and is in the list of neither."""
    also = files_under("Also used")

    assert set(also) - set.union(*passed.values()) == set()
    assert not set(also) & {file for journey in JOURNEYS for file in files_under(journey)}


def test_the_drawing_names_listed_files() -> None:
    """A renamed file is renamed in the drawing, too."""
    drawn = re.findall(r">(\w+\.py)<", (ROOT / "docs/architecture.svg").read_text(encoding="utf-8"))
    listed = {Path(file).name for journey in JOURNEYS for file in files_under(journey)}

    assert drawn
    assert set(drawn) <= listed
