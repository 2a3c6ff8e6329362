"""Pictures from open-licence APIs: what is kept, what is lost and why, and how a run goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from tests.training.collect.conftest import photo
from tests.training.collect.open_licence_site import OpenLicenceSite
from training.collect.__main__ import main
from training.collect.collection import CollectionFolder, Search, searches

Command = Callable[..., int]


@pytest.fixture
def site(serve: Callable[[ASGIApp], str]) -> OpenLicenceSite:
    site = OpenLicenceSite()
    site.url = serve(site.app)
    return site


@pytest.fixture
def collect(site: OpenLicenceSite, tmp_path: Path) -> Command:
    """Runs the command for some sentences against the site."""

    def collect(*texts: str, provider: str = "commons", options: tuple[str, ...] = ()) -> int:
        sentences = tmp_path / "s.jsonl"
        sentences.write_text("".join(json.dumps({"text": text, "source": "grammar"}) + "\n" for text in texts))
        address = site.url + ("/w/api.php" if provider == "commons" else "/v1/images/")
        command = ["pictures", "--sentences", str(sentences), "--folder", str(tmp_path / "set"), "--pause", "0"]
        command += ["--provider", provider, "--address", address, "--contact", "me@example.org", *options]
        return main(command)

    return collect


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], list[Search]]:
    return lambda: CollectionFolder(tmp_path / "set").read()


def test_a_picture_comes_with_whose_it_is(
    site: OpenLicenceSite, collect: Command, found: Callable[[], list[Search]], tmp_path: Path
) -> None:
    """The best result's file as it came, under its real type, with licence, addresses and author in plain words."""
    site.shelves = {"red boat lake": ["tall-1.jpg", "photo-2.jpg"]}

    assert collect("A red boat on the lake.") == 0
    [search] = found()
    [picture] = search.pictures
    assert (picture.author, picture.licence) == ("Ann & Bob", "CC BY-SA 4.0")
    assert picture.licence_url == "https://creativecommons.org/licenses/by-sa/4.0"
    assert picture.source_url == "https://commons.wikimedia.org/wiki/File:tall-1.jpg"
    assert (picture.text, picture.text_source, picture.provider) == (search.text, "grammar", "Wikimedia Commons")
    assert (picture.width, picture.height) == (300, 400)
    assert picture.path.endswith(".png")
    assert (tmp_path / "set" / picture.path).read_bytes() == photo(1, (300, 400), "PNG")
    assert "me@example.org" in site.headers[0]["user-agent"]
    assert not site.visits["photo-2.jpg"]


def test_openverse_in_its_own_words(
    site: OpenLicenceSite, collect: Command, found: Callable[[], list[Search]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only licences that allow changes and any use are asked for; a token goes along where there is one."""
    monkeypatch.setenv("OPENVERSE_TOKEN", "token-7")
    site.shelves = {"red boat": ["photo-1.jpg", "anonymous.jpg"], "cat": ["anonymous.jpg", "photo-3.jpg"]}

    assert collect("A red boat.", "A cat.", provider="openverse") == 0
    boat, cat = (search.pictures[0] for search in found())
    assert (boat.author, boat.licence, boat.provider) == ("Ann", "CC BY-SA 2.0", "Openverse")
    assert boat.source_url == "https://example.org/photos/photo-1.jpg"
    assert cat.address.endswith("photo-3.jpg")
    assert site.queries[0]["license"] == "cc0,pdm,by,by-sa"
    assert site.headers[0]["authorization"] == "Bearer token-7"


def test_each_loss_has_its_reason(
    site: OpenLicenceSite, collect: Command, found: Callable[[], list[Search]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Candidates are tried in order until one is good, and the report counts what was wrong with the others."""
    bad = ["unlicensed", "empty", "small", "page", "cut", "huge", "status-404", "status-503"]
    site.shelves = {"red boat": [f"{name}.jpg" for name in [*bad, "moved-4", "photo-5"]], "cat": []}

    assert collect("A red boat.", "A cat.", options=("--candidates", "10")) == 0
    boat, cat = found()
    assert [loss.kind for loss in boat.losses] == [
        "No licence",
        "No address",
        "Too small",
        "Not a picture",
        "Damaged picture",
        "Too large",
        "Status 404",
        "Status 503",
    ]
    assert all(loss.address for loss in boat.losses)
    assert boat.pictures[0].address.endswith("moved-4.jpg")
    assert [loss.kind for loss in cat.losses] == ["Nothing found"]
    told = capsys.readouterr().out
    assert "2 sentences, 1 pictures, 1 without any" in told
    assert "lost: Too large 1" in told
    assert "licences: CC BY-SA 4.0 1" in told


def test_no_picture_comes_twice(site: OpenLicenceSite, collect: Command, found: Callable[[], list[Search]]) -> None:
    """Neither from the same address, nor scaled from another, not even in a later run."""
    site.shelves = {
        "red boat": ["photo-1.jpg"],
        "blue boat": ["photo-1.jpg"],
        "old boat": ["half-1.jpg", "photo-2.jpg"],
    }
    options = ("--min-side", "100")
    assert collect("A red boat.", options=options) == 0
    assert collect("A red boat.", "A blue boat.", "An old boat.", options=options) == 0
    red, blue, old = found()

    assert [len(search.pictures) for search in (red, blue, old)] == [1, 0, 1]
    assert (blue.losses[0].kind, old.losses[0].kind) == ("Duplicate", "Duplicate")
    assert site.visits["photo-1.jpg"] == 1


def test_a_provider_in_trouble_stops_the_run_and_the_next_goes_on(
    site: OpenLicenceSite, collect: Command, found: Callable[[], list[Search]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was found is kept, no sentence is written off, none is asked twice."""
    site.shelves = {"red boat": ["photo-1.jpg"], "cat": ["photo-2.jpg"]}
    assert collect("A red boat.") == 0
    for mood, words in [
        (Response("", 429, {"Retry-After": "86400"}), "enough questions"),
        (JSONResponse({"error": {"code": "maxlag", "info": "Waiting for a server"}}), "just now"),
        (Response("<html>"), "not its format"),
        (Response("", 403), "refuses the question"),
    ]:
        site.moods = [mood]
        assert collect("A red boat.", "A cat.") == 1
        assert words in capsys.readouterr().err
        assert [search.text for search in found()] == ["A red boat."]
    asked = len(site.queries)

    assert collect("A red boat.", "A cat.") == 0
    assert [len(search.pictures) for search in found()] == [1, 1]
    assert len(site.queries) == asked + 1


def test_sentences_without_a_picture_can_be_tried_again(
    site: OpenLicenceSite, collect: Command, found: Callable[[], list[Search]]
) -> None:
    """Only when asked for, and the later search counts."""
    assert collect("A cat.") == 0
    site.shelves = {"cat": ["photo-2.jpg"]}
    assert collect("A cat.") == 0
    assert [len(search.pictures) for search in found()] == [0]
    assert collect("A cat.", options=("--again",)) == 0

    assert [len(search.pictures) for search in found()] == [1]


def test_fewer_words_are_tried_where_all_find_nothing(site: OpenLicenceSite, collect: Command) -> None:
    """From all that matter down to two, and no further than needed."""
    site.shelves = {"small brown dog": ["photo-1.jpg"]}

    assert collect("A small brown dog runs after the ball on a beach.") == 0
    asked = [query["gsrsearch"].removeprefix("filetype:bitmap ") for query in site.queries]
    assert asked == ["small brown dog runs after ball beach", "small brown dog runs", "small brown dog"]
    assert searches("Two in the a.") == []


def test_what_is_missing_is_told(site: OpenLicenceSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No sentences, no contact, or a page file that is none: one sentence each, and nothing is asked."""
    command = ["pictures", "--sentences", str(tmp_path / "s.jsonl"), "--folder", str(tmp_path / "set")]
    assert main(command) == 1
    assert "no sentences" in capsys.readouterr().err
    (tmp_path / "s.jsonl").write_text('{"text": "A cat."}\n')
    assert main(command) == 1
    assert "--contact" in capsys.readouterr().err
    assert main([*command, "--provider", str(tmp_path / "page.toml")]) == 1
    assert "readable TOML" in capsys.readouterr().err
    (tmp_path / "s.jsonl").write_text('{"caption": "A cat."}\n')
    assert main([*command, "--contact", "me@example.org", "--address", site.url]) == 1
    assert "without a `text`" in capsys.readouterr().err
    assert site.queries == []
