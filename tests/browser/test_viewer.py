"""The large view of a search hit."""

import asyncio

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.conftest import Opener
from tests.browser.fake_api import FakeApi
from tests.browser.steps import tiles
from tests.browser.test_appearance import PHONE, fits

LABELS = (("ball", 0.5), ("plate", 0.2), ("red flag", 0.1), ("cup", 0.08), ("espresso", 0.06), ("pan", 0.05))


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Opener) -> Page:
    return await open_page("/#find?q=red+circle")


async def test_arrow_keys_step_and_escape_returns(page: Page) -> None:
    """The viewer works by keyboard; the focus returns to the thumbnail of the last picture shown."""
    found = await tiles(page)
    await found.first.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("1 of 12")

    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(dialog).to_contain_text("3 of 12")
    await page.keyboard.press("ArrowLeft")
    await expect(dialog).to_contain_text("2 of 12")
    await page.keyboard.press("Escape")

    await expect(dialog).to_be_hidden()
    await expect(found.nth(1)).to_be_focused()


async def test_stepping_ends_at_the_first_and_last_picture(page: Page) -> None:
    """The buttons are disabled there, and the keys do nothing."""
    found = await tiles(page)
    await found.first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Previous picture")).to_be_disabled()
    await page.keyboard.press("ArrowLeft")
    await expect(dialog).to_contain_text("1 of 12")

    await page.keyboard.press("End")
    await page.keyboard.press("ArrowRight")

    await expect(dialog).to_contain_text("12 of 12")
    await expect(dialog.get_by_role("button", name="Next picture")).to_be_disabled()


async def test_it_shows_facts_about_the_picture(page: Page) -> None:
    """Path, relevance, size and a link to the original."""
    found = await tiles(page)
    await found.first.click()
    dialog = page.get_by_role("dialog")

    await expect(dialog.get_by_role("heading")).to_have_text("blue/red circle.jpg")
    await expect(dialog).to_contain_text("Relevance 86%")
    await expect(dialog).to_contain_text("480 × 320 pixels")
    await expect(dialog.get_by_role("link", name="Open original")).to_have_attribute(
        "href", "/v1/images/red-circle-blue"
    )


async def test_a_stored_caption_is_shown(page: Page) -> None:
    """If there is one, it is also the text alternative of the picture."""
    for place in range(12):
        await (await tiles(page)).nth(place).click()
        dialog = page.get_by_role("dialog")
        name = await dialog.get_by_role("heading").inner_text()
        if "circle" in name:
            caption = "a " + name.rpartition("/")[2].strip().removesuffix(".jpg")
            await expect(dialog.get_by_text(caption, exact=True)).to_be_visible()
            await expect(dialog.get_by_role("img", name=caption)).to_be_visible()
        else:
            await expect(dialog.locator("[data-part=description]")).to_be_hidden()
        await page.keyboard.press("Escape")


async def test_a_found_picture_can_be_captioned(page: Page, api: FakeApi) -> None:
    """Caption it sends the picture to the Caption tab."""
    await (await tiles(page)).first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Caption it").click()

    await expect(page.get_by_role("listitem", name="red circle.jpg")).to_have_attribute("data-state", "done")
    await expect(page.get_by_role("tab", name="Caption")).to_have_attribute("aria-selected", "true")
    assert api.asked[-1]["image"] == "red circle.jpg"


async def test_the_mouse_closes_it_too(page: Page) -> None:
    """The close button works, and the page keeps its scroll position."""
    found = await tiles(page)
    await found.nth(11).click()
    await page.get_by_role("button", name="Close").click()

    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(found.nth(11)).to_be_focused()
    await expect(found.nth(11)).to_be_in_viewport()


def labels_in(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("list", name="What it may show").get_by_role("link")


async def test_a_label_leads_to_a_search(page: Page, api: FakeApi) -> None:
    """At most five likely labels; a click closes the view and searches for the name."""
    api.labels = LABELS
    await (await tiles(page)).first.click()
    await expect(labels_in(page)).to_have_text(["ball", "plate", "red flag", "cup", "espresso"])
    await labels_in(page).nth(2).click()

    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_role("heading", name="“red flag”")).to_be_visible()
    assert api.asked[-1]["text"] == "red flag"
    api.labels = (("plate", 0.9), ("pan", 0.04))
    await (await tiles(page)).last.click()
    await expect(labels_in(page)).to_have_text(["plate"])


async def test_labels_are_asked_for_once_per_picture(page: Page, api: FakeApi) -> None:
    """Coming back to a picture sends no further request."""
    api.labels = LABELS
    found = await tiles(page)
    await found.first.click()
    await expect(labels_in(page)).to_have_count(5)
    await page.keyboard.press("ArrowRight")
    await expect(labels_in(page)).to_have_count(5)
    await page.keyboard.press("ArrowLeft")
    await expect(labels_in(page)).to_have_count(5)
    await page.keyboard.press("Escape")
    await found.nth(1).click()
    await expect(labels_in(page)).to_have_count(5)

    assert len(api.labelled) == 2
    assert api.labelled[0] == "red circle.jpg"


async def test_missing_labels_are_not_mentioned(page: Page, api: FakeApi) -> None:
    """A failure is silent, and opening the picture again retries."""
    found = await tiles(page)
    async with page.expect_response("**/v1/labels") as failing:
        await found.first.click()
    assert (await failing.value).status == 503
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator("[data-part=labels]")).to_be_hidden()
    await expect(dialog).not_to_contain_text("cannot be reached")

    await page.keyboard.press("Escape")
    api.labels = LABELS
    await found.first.click()
    await expect(labels_in(page)).to_have_count(5)


async def test_labels_are_reached_by_keyboard(page: Page, api: FakeApi) -> None:
    """From the last action with Tab; the arrow keys still step, and Enter searches."""
    api.labels = LABELS
    await (await tiles(page)).first.click()
    await expect(labels_in(page)).to_have_count(5)
    await page.get_by_role("link", name="Open original").focus()
    await page.keyboard.press("Tab")
    await expect(labels_in(page).first).to_be_focused()

    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog")).to_contain_text("3 of 12")
    await labels_in(page).first.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_role("searchbox")).to_have_value("ball")


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
async def test_nothing_moves_when_labels_arrive(open_page: Opener, api: FakeApi, device: dict[str, object]) -> None:
    """Their row has its height from the start; on a phone it is large enough to touch and scrolls by itself."""
    api.labels = LABELS
    page = await open_page("/#find?q=red+circle", **device)
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route("**/v1/labels", hold)
    await (await tiles(page)).first.click()
    dialog = page.get_by_role("dialog")
    parts = [dialog.locator(".viewer-stage"), *await dialog.get_by_role("button").all()]
    before = [await part.bounding_box() for part in parts]
    released.set()
    await expect(labels_in(page)).to_have_count(5)

    assert [await part.bounding_box() for part in parts] == before
    if device:
        assert await fits(page)
        assert min([(await label.bounding_box() or {})["height"] for label in await labels_in(page).all()]) >= 36
