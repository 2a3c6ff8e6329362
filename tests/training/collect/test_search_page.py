"""Selenium and a real headless Chromium on a page shaped like a search result, broken in every way."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from starlette.types import ASGIApp

from imagetext.wire.errors import InvalidParameter, NotFound, Unavailable
from tests.training.collect.conftest import photo
from tests.training.collect.search_site import PAGE_FILE, SearchSite
from training.collect.__main__ import main
from training.collect.browser import Reader, open_browser, split_selector
from training.collect.client import PoliteClient
from training.collect.collection import Candidate, CollectionFolder, Loss
from training.collect.search_page import SearchPage, read_page_file

pytestmark = pytest.mark.browser
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    if not any(map(shutil.which, BROWSERS)) or not shutil.which("chromedriver"):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    with open_browser() as chrome:
        yield chrome


@pytest.fixture
def site() -> SearchSite:
    return SearchSite()


@pytest.fixture
def page_file(site: SearchSite, serve: Callable[[ASGIApp], str], tmp_path: Path) -> Path:
    (tmp_path / "page.toml").write_text(PAGE_FILE.format(url=serve(site.app)))
    return tmp_path / "page.toml"


@pytest.fixture
def page(page_file: Path, chrome: Chrome, client: PoliteClient) -> SearchPage:
    return SearchPage(read_page_file(page_file), chrome, client)


def hurry(page_file: Path, patience_s: int) -> None:
    """Where something never comes; what comes late takes a third of a second."""
    page_file.write_text(page_file.read_text().replace("patience_s = 300", f"patience_s = {patience_s}"))


def test_each_result_is_a_picture_or_a_reason(
    page_file: Path, site: SearchSite, chrome: Chrome, client: PoliteClient
) -> None:
    """Late thumbnails and previews are waited for; of what is broken each has its kind; whose it is comes along."""
    hurry(page_file, 10)
    page = SearchPage(read_page_file(page_file), chrome, client)
    offers = list(page.search("The dogs in a park"))

    url = offers[0].address.removesuffix("/large/0.jpg")
    assert site.visits["search?q=dogs+park"] == 1
    assert offers[0] == Candidate(
        f"{url}/large/0.jpg",
        f"{url}/about/0",
        "Photographer 0",
        "CC BY-SA 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0",
    )
    assert offers[1] == offers[0]
    kinds = [offer.kind for offer in offers[2:6] if isinstance(offer, Loss)]
    assert kinds == ["No thumbnail", "No preview", "No preview", "No licence"]
    assert isinstance(offers[6], Candidate)
    assert offers[6].address == f"{url}/large/6.jpg"
    assert len(offers) == 7


def test_candidates_are_taken_one_by_one(page: SearchPage, site: SearchSite) -> None:
    """What nobody asks for is not opened."""
    next(page.search("dogs"))

    assert site.visits["large/0.jpg"] == 1
    assert not site.visits["large/6.jpg"]


def test_nothing_found_is_no_fault(page: SearchPage) -> None:
    """The page's own words for it are recognised."""
    assert list(page.search("nothing")) == []


def test_a_changed_page_stops_the_run(page_file: Path, chrome: Chrome, client: PoliteClient) -> None:
    """Where neither results nor their absence is shown, nothing is made up."""
    hurry(page_file, 1)
    page_file.write_text(page_file.read_text().replace("/search?", "/changed?"))
    page = SearchPage(read_page_file(page_file), chrome, client)

    with pytest.raises(Unavailable, match="markup changed"):
        list(page.search("dogs"))


def test_a_wrong_selector_is_told(page_file: Path, chrome: Chrome, client: PoliteClient) -> None:
    """As a fault of the page file, not of the page."""
    page_file.write_text(page_file.read_text().replace('each = ".result"', 'each = "..result[["'))
    page = SearchPage(read_page_file(page_file), chrome, client)

    with pytest.raises(InvalidParameter, match="selector"):
        list(page.search("dogs"))


def test_robots_txt_is_obeyed(
    page_file: Path, page: SearchPage, site: SearchSite, chrome: Chrome, client: PoliteClient
) -> None:
    """A host that keeps programs out is not searched, unless the page file says that it is one's own."""
    site.robots = "User-agent: *\nDisallow: /search"
    with pytest.raises(InvalidParameter, match=r"robots\.txt"):
        list(page.search("dogs"))
    assert not any(visit.startswith("search") for visit in site.visits)
    page_file.write_text("robots = false\n" + page_file.read_text())
    site.results = ("good 1",)

    assert len(list(SearchPage(read_page_file(page_file), chrome, client).search("dogs"))) == 1


def test_nobody_there(page_file: Path, chrome: Chrome, client: PoliteClient) -> None:
    """A host that does not answer stops the run with a sentence."""
    with socket.socket() as listener:  # of the port that is free again when it closes
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    text = page_file.read_text().splitlines()
    text[2] = f'address = "http://127.0.0.1:{port}/?q={{words}}"'
    page_file.write_text("robots = false\n" + "\n".join(text))

    with pytest.raises(Unavailable):
        list(SearchPage(read_page_file(page_file), chrome, client).search("dogs"))
    assert Reader(chrome, 1).chrome.window_handles


def test_a_missing_browser_is_told(tmp_path: Path) -> None:
    """With what to install."""
    with pytest.raises(NotFound, match="apt-get install chromium"), open_browser(tmp_path / "no-such-browser"):
        pass


@pytest.mark.parametrize(
    ("selector", "parts"),
    [
        ("img.large@src", ("img.large", "src")),
        ("img@data-src", ("img", "data-src")),
        (".who", (".who", "")),
        ("//a[@class='where']@href", ("//a[@class='where']", "href")),
        ("//a[@class='where']", ("//a[@class='where']", "")),
    ],
)
def test_a_selector_may_name_an_attribute(selector: str, parts: tuple[str, str]) -> None:
    """In CSS and in XPath, whose own attributes stay in the path."""
    assert split_selector(selector) == parts


def test_the_command_from_sentences_to_files(
    page_file: Path, site: SearchSite, chrome: Chrome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way with a browser of its own: files, whose they are, losses with reasons; twice costs nothing."""
    chrome.get("about:blank")
    site.results = ("good 1", "twin of 1", "good 2")
    sentences = tmp_path / "s.jsonl"
    sentences.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("Two dogs run.", "There is nothing.")))
    command = ["pictures", "--sentences", str(sentences), "--folder", str(tmp_path / "set"), "--json"]
    command += ["--provider", str(page_file), "--each", "3", "--candidates", "3", "--pause", "0"]

    assert main(command) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts == {
        "sentences": 2,
        "without_picture": 1,
        "pictures": 2,
        "lost": {"Duplicate": 1, "Nothing found": 1},
        "licences": {"CC BY-SA 4.0": 2},
    }
    dogs, nothing = CollectionFolder(tmp_path / "set").read()
    assert [(tmp_path / "set" / picture.path).read_bytes() for picture in dogs.pictures] == [photo(0), photo(2)]
    assert (dogs.pictures[1].author, dogs.pictures[1].provider) == ("Photographer 2", "Test search")
    assert nothing.losses[0].kind == "Nothing found"
    assert main(command) == 0
