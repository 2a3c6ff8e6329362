"""The large view of a search hit."""

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.fake_api import FakeApi
from tests.browser.steps import tiles


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
