"""The review page in a real headless Chromium: mouse, keyboard, phone, dark."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from starlette.types import ASGIApp

from tests.patience import BROWSER_MS
from tests.training.collect.conftest import SENTENCES
from training.collect.collection import CollectionFolder
from training.collect.review import Review, create_app

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need: pip install playwright")
pytestmark = pytest.mark.browser

expect = playwright.expect
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
Opener = Callable[..., "playwright.Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("the browser tests need Chromium: apt-get install chromium")
    expect.set_options(timeout=BROWSER_MS)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS, timeout=BROWSER_MS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(
    browser: "playwright.Browser", collection: CollectionFolder, serve: Callable[[ASGIApp], str]
) -> Iterator[Opener]:
    """Opens the review with a device's options. At the end no page may have complained on its console."""
    url = serve(create_app(collection))
    contexts: list[playwright.BrowserContext] = []
    complaints: list[str] = []

    def open(**device: object) -> "playwright.Page":
        contexts.append(browser.new_context(base_url=url, **device))
        page = contexts[-1].new_page()
        page.set_default_timeout(BROWSER_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.extend(_complaint(message)))
        page.goto("/")
        expect(page.locator("#text")).to_have_value(SENTENCES[0])
        return page

    yield open
    for context in contexts:
        context.close()
    assert complaints == []


def _complaint(message: "playwright.ConsoleMessage") -> list[str]:
    """What the console says, but not that a decision was refused, which tests cause."""
    is_answer = message.location["url"].endswith("/decisions")
    return [message.text] if message.type in ("error", "warning") and not is_answer else []


def test_with_the_mouse(open_page: Opener, collection: CollectionFolder) -> None:
    """Accept, reject, undo; progress counts along, and whose the picture is stands under it."""
    page = open_page()
    assert page.evaluate("document.querySelector('#picture').decode().then(() => true)")
    expect(page.locator("figcaption")).to_have_text("Author 0 · CC BY-SA 4.0 · Wikimedia Commons")
    expect(page.locator("#source")).to_have_attribute("href", "https://commons.example.org/0")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#text")).to_have_value(SENTENCES[1])
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#counts")).to_have_text("2 of 4 · 1 accepted · 1 rejected")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#text")).to_have_value(SENTENCES[1])

    assert [decision.verdict for decision in Review(collection).decisions.values()] == ["accepted"]


def test_with_the_keyboard_alone(open_page: Opener, collection: CollectionFolder) -> None:
    """A, R, E and U; in the sentence letters are letters, Enter accepts what is written, Escape takes it back."""
    page = open_page()
    page.keyboard.press("e")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type(" Ear.")
    page.keyboard.press("Escape")
    expect(page.locator("#text")).to_have_value(SENTENCES[0])
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("A brown dog runs on the beach.")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value(SENTENCES[1])
    page.keyboard.press("r")
    expect(page.locator("#text")).to_have_value(SENTENCES[2])
    page.keyboard.press("u")
    expect(page.locator("#text")).to_have_value(SENTENCES[1])
    for sentence in SENTENCES[2:]:
        page.keyboard.press("a")
        expect(page.locator("#text")).to_have_value(sentence)

    texts = [text for _, text in Review(collection).accepted()]
    assert texts == ["A brown dog runs on the beach.", *SENTENCES[1:3]]


def test_addresses_of_strangers_are_no_links(open_page: Opener) -> None:
    """A source that is not a web address is shown without a way to it."""
    page = open_page()
    page.keyboard.press("r")
    expect(page.locator("#text")).to_have_value(SENTENCES[1])
    page.keyboard.press("r")
    expect(page.locator("#text")).to_have_value(SENTENCES[2])

    expect(page.locator("#author")).to_have_text("Unknown author")
    assert page.locator("#source").get_attribute("href") is None


def test_an_empty_sentence_is_not_accepted(open_page: Opener, collection: CollectionFolder) -> None:
    """The page says why and stays; rejecting is possible all the same."""
    page = open_page()
    page.locator("#text").fill("  ")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#problem")).to_have_text("A sentence must have between 3 and 300 characters.")
    assert Review(collection).decisions == {}
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#text")).to_have_value(SENTENCES[1])

    assert page.locator("#problem").text_content() == ""


def test_the_end_says_what_comes_next(open_page: Opener) -> None:
    """After the last picture, with the way back still open."""
    page = open_page()
    for done in range(1, 5):
        page.keyboard.press("a")
        expect(page.locator("#counts")).to_contain_text(f"{done} of 4")

    expect(page.get_by_role("heading", name="All pictures are reviewed.")).to_be_visible()
    expect(page.locator("#end-words")).to_contain_text("training.collect export")
    page.keyboard.press("u")
    expect(page.locator("#text")).to_have_value(SENTENCES[3])


def test_a_phone(open_page: Opener) -> None:
    """Nothing scrolls sideways, the buttons are large enough and in sight, and a thumb can decide."""
    page = open_page(**PHONE)
    accept = page.get_by_role("button", name="Accept")
    box = accept.bounding_box()

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert box
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= 740
    accept.tap()
    expect(page.locator("#text")).to_have_value(SENTENCES[1])
    assert not page.locator("kbd").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_device(open_page: Opener, scheme: str) -> None:
    """Light paper with dark ink, or the other way round."""
    page = open_page(color_scheme=scheme)
    paper, ink = page.evaluate(
        "['backgroundColor', 'color'].map((name) => getComputedStyle(document.documentElement)[name])"
        ".map((colour) => colour.match(/[0-9.]+/g).slice(0, 3).reduce((sum, value) => sum + Number(value), 0))"
    )

    assert (paper < ink) == (scheme == "dark")
    assert abs(paper - ink) > 500
