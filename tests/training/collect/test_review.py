"""Decisions: durable, undoable, and made by nobody but the person at this machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from imagetext.pictures import open_picture
from imagetext.wire.errors import InvalidParameter, NotFound
from tests.patience import PATIENCE
from tests.training.collect.conftest import SENTENCES
from training.collect.__main__ import main
from training.collect.collection import CollectionFolder
from training.collect.review import Review, create_app

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def caller(collection: CollectionFolder, serve: Callable[[ASGIApp], str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serve(create_app(collection)), timeout=PATIENCE) as caller:
        yield caller


def decide(caller: httpx.Client, verdict: str, text: str | None = None) -> httpx.Response:
    """Decides on what is shown."""
    current = caller.get("/state").json()["current"]
    body = {"id": current["id"], "verdict": verdict, "text": current["text"] if text is None else text}
    return caller.post("/decisions", json=body)


def test_a_decision_is_on_the_disk_when_it_is_answered(collection: CollectionFolder, caller: httpx.Client) -> None:
    """Another process reads it at once; the state moves on to the next picture."""
    state = decide(caller, "accepted", "  A dog  runs\n on the wide beach. ").json()

    [(picture, text)] = Review(collection).accepted()
    assert (picture.text, text) == (SENTENCES[0], "A dog runs on the wide beach.")
    assert (state["accepted"], state["rejected"], state["total"]) == (1, 0, 4)
    assert state["current"]["text"] == SENTENCES[1]


def test_undo_goes_back_step_by_step(collection: CollectionFolder, caller: httpx.Client) -> None:
    """To the picture decided last, then to the one before; with nothing left to undo it does nothing."""
    decide(caller, "accepted")
    decide(caller, "rejected")

    assert caller.post("/undo", json={}).json()["current"]["text"] == SENTENCES[1]
    assert caller.post("/undo", json={}).json()["current"]["text"] == SENTENCES[0]
    state = caller.post("/undo", json={}).json()
    assert (state["accepted"], state["rejected"], state["can_undo"]) == (0, 0, False)
    assert Review(collection).accepted() == []


def test_a_later_decision_replaces_an_earlier_one(collection: CollectionFolder) -> None:
    """Also across restarts; undoing it brings the earlier one back."""
    id = next(iter(Review(collection).pictures))
    Review(collection).decide(id, "accepted", "One way to say it.")
    Review(collection).decide(id, "rejected", "")
    assert Review(collection).accepted() == []
    assert Review(collection).undo() == id

    assert [text for _, text in Review(collection).accepted()] == ["One way to say it."]


def test_everything_decided(caller: httpx.Client) -> None:
    """There is no current picture then."""
    for _ in SENTENCES:
        state = decide(caller, "rejected").json()

    assert (state["current"], state["next"], state["rejected"]) == (None, None, 4)


def test_what_cannot_be_decided(collection: CollectionFolder, caller: httpx.Client) -> None:
    """An unknown picture, an empty or endless sentence, an unknown word: refused with a sentence, nothing written."""
    for text in ("", " \n", "x" * 301):
        reply = decide(caller, "accepted", text)
        assert (reply.status_code, "between 3 and 300 characters" in reply.json()["detail"]) == (422, True)
    assert decide(caller, "perhaps").status_code == 422
    unknown = caller.post("/decisions", json={"id": "0" * 16, "verdict": "accepted", "text": "A dog."})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "There is no such picture in this collection.")
    assert caller.get("/pictures/..%2fsearches.jsonl").status_code == 404
    assert not collection.decisions.file.exists()


def test_pictures_are_served_for_a_screen(caller: httpx.Client) -> None:
    """Decoded and written anew, so that nothing of a stranger's file reaches the browser."""
    id = caller.get("/state").json()["current"]["id"]
    reply = caller.get(f"/pictures/{id}")

    assert reply.headers["Content-Type"] == "image/jpeg"
    assert open_picture(reply.content).size == (320, 480)


def test_other_sites_cannot_decide(collection: CollectionFolder, caller: httpx.Client) -> None:
    """Neither under another host's name nor with a form, which a browser sends without asking."""
    id = next(iter(Review(collection).pictures))
    body = json.dumps({"id": id, "verdict": "accepted", "text": "A dog."})

    assert caller.get("/state", headers={"Host": "evil.example"}).status_code == 400
    assert caller.post("/decisions", content=body, headers={"Content-Type": "text/plain"}).status_code == 422
    assert caller.post("/undo", content="{}", headers={"Content-Type": "text/plain"}).status_code == 422
    assert caller.options("/decisions", headers={"Origin": "http://evil.example"}).status_code == 405
    assert not collection.decisions.file.exists()


def test_the_command_serves_on_this_machine_alone_and_survives_being_killed(collection: CollectionFolder) -> None:
    """It says where; a decision made right before the kill is there afterwards; two at once are refused."""
    command = [sys.executable, "-m", "training.collect", "review", "--folder", str(collection.folder), "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        line = process.stderr.readline()
        assert line.startswith("Review at http://127.0.0.1:")
        with httpx.Client(base_url=line.split()[2], timeout=PATIENCE) as caller:
            decide(caller, "accepted")
        assert main(["review", "--folder", str(collection.folder), "--port", "0"]) == 1
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()

    assert [text for _, text in Review(collection).accepted()] == [SENTENCES[0]]


def test_a_folder_without_a_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is told, and so is one whose journal is something else."""
    assert main(["review", "--folder", str(tmp_path)]) == 1
    assert "no collection" in capsys.readouterr().err
    (tmp_path / "searches.jsonl").write_text('{"text": "A dog."}\n')
    with pytest.raises(InvalidParameter, match="not a journal of searches"):
        Review(CollectionFolder(tmp_path))


def test_an_unknown_picture(collection: CollectionFolder) -> None:
    """Is no key error."""
    with pytest.raises(NotFound):
        Review(collection).picture("nothing")
