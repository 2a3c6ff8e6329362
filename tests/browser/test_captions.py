"""The card of a captioned picture."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.fake_api import FakeApi
from tests.browser.steps import caption, choose, names, tiles


async def test_the_best_caption_comes_first_and_others_below(page: Page, picture: Path) -> None:
    """Three captions, each with how sure the model was in words and percent."""
    card = await caption(page, picture)

    assert await card.locator(".words").all_inner_texts() == [
        "A red circle on a blue ground",
        "A red ball in front of a wall",
        "A circle",
    ]
    assert await card.locator(".confidence").all_inner_texts() == ["Sure, 73%", "Fairly sure, 45%", "A guess, 20%"]
    await expect(card.locator("[data-part=facts]")).to_have_text(re.compile(r"480 × 320, [1-9] kB"))


async def test_a_card_says_what_it_waits_for(page: Page, api: FakeApi, pictures: list[Path]) -> None:
    """Two pictures are captioned at a time while the others are queued; all are done in the end."""
    api.held = ""
    await choose(page, *pictures)

    await expect(page.locator(".card[data-state=thinking]")).to_have_count(2)
    await expect(page.locator(".card[data-state=queued]")).to_have_count(2)
    await expect(page.get_by_text("Looking at the picture").first).to_be_visible()
    await expect(page.get_by_text("Queued").first).to_be_visible()
    api.held = None
    await expect(page.locator(".card[data-state=done]")).to_have_count(4)


async def test_a_caption_is_copied(page: Page, picture: Path) -> None:
    """The copy button copies the sentence and says so."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card = await caption(page, picture)
    await card.get_by_role("button", name="Copy").click()

    await expect(page.locator("#announcer")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "A red circle on a blue ground"


async def test_a_caption_is_announced(page: Page, picture: Path) -> None:
    """Screen readers announce the caption."""
    await caption(page, picture)

    await expect(page.locator("#announcer")).to_have_text("circle.png: a red circle on a blue ground")


async def test_words_of_a_caption_are_never_markup(page: Page, api: FakeApi, picture: Path) -> None:
    """Tags in a caption are shown as text."""
    api.sentences = (("<img src=x> & <b>more</b>", -0.5),)
    card = await caption(page, picture)

    await expect(card.locator(".words")).to_have_text("<img src=x> & <b>more</b>")
    await expect(card.locator("b, .words img")).to_have_count(0)


async def test_a_captioned_picture_finds_others_like_it(page: Page, picture: Path) -> None:
    """The link leads to the Find tab with a search by this picture."""
    card = await caption(page, picture)
    await card.get_by_role("link", name="Find pictures like this").click()

    found = await tiles(page)
    await expect(page.get_by_role("heading", name="Pictures like this one")).to_be_visible()
    await expect(page.locator("#token-picture")).to_be_visible()
    assert (await names(found))[0] == "red circle.jpg"


async def test_a_removed_card_leaves_the_focus_beside_it(page: Page, pictures: list[Path]) -> None:
    """The focus moves to the next card, and after the last one to the opening."""
    await choose(page, *pictures[:2])
    await expect(page.locator(".card[data-state=done]")).to_have_count(2)

    await page.get_by_role("button", name="Remove shape-1.png").press("Enter")
    await expect(page.get_by_role("button", name="Remove shape-0.png")).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()
    await expect(page.get_by_role("heading", name="Put any picture into words")).to_be_visible()


async def test_labels_can_be_searched_for(page: Page, api: FakeApi, picture: Path) -> None:
    """Likely labels follow the caption, unlikely ones are left out, and a click searches for one."""
    api.labels = (("red circle", 0.81), ("ball", 0.12), ("plate", 0.01))
    card = await caption(page, picture)
    chips = card.get_by_role("list", name="What it may show").get_by_role("link")

    await expect(chips).to_have_text(["red circle", "ball"])
    await chips.first.click()
    await tiles(page)
    assert api.asked[-1]["text"] == "red circle"


async def test_a_caption_stands_without_labels(page: Page, picture: Path) -> None:
    """If there are none, the card does not mention them."""
    card = await caption(page, picture)

    await expect(card.locator("[data-part=labels]")).to_be_hidden()
    await expect(card.locator(".words").first).to_have_text("A red circle on a blue ground")


async def test_confidence_is_put_into_words(page: Page, api: FakeApi, picture: Path) -> None:
    """A model's own confidence takes precedence over its score."""
    api.confidence = 0.65
    card = await caption(page, picture)

    await expect(card.locator(".confidence").first).to_have_text("Fairly sure, 65%")
    await expect(card.locator("[data-part=instead]")).to_be_hidden()


async def test_an_unsure_caption_comes_after_what_the_picture_may_show(page: Page, api: FakeApi, picture: Path) -> None:
    """The card says that the model is not sure and leads with the labels."""
    api.confidence = 0.2
    api.labels = (("cup", 0.5), ("espresso", 0.3))
    card = await caption(page, picture)
    instead, labels, best = (card.locator(f"[data-part={name}]") for name in ("instead", "labels", "best"))

    await expect(instead).to_have_text("Not sure. It may show:")
    places = [(await part.bounding_box() or {})["y"] for part in (instead, labels, best)]
    assert places == sorted(places)
    await expect(card.locator(".confidence").first).to_have_text("Not sure, 20%")
