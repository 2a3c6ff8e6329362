"""The large view of a found picture."""

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.fake_api import FakeApi
from tests.browser.steps import tiles


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Opener) -> Page:
    return await open_page("/#find?q=red+circle")


async def test_arrow_keys_step_and_escape_returns(page: Page) -> None:
    """The keyboard does everything; the focus returns to the thumbnail of the picture last seen."""
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


async def test_the_ends_are_the_ends(page: Page) -> None:
    """At the first and the last picture there is no further step."""
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


async def test_it_tells_what_the_picture_is(page: Page) -> None:
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
    """Where there is one; it also says what the picture is to who cannot see it."""
    for place in range(12):
        await (await tiles(page)).nth(place).click()
        dialog = page.get_by_role("dialog")
        name = await dialog.get_by_role("heading").inner_text()
        if "circle" in name:
            caption = "a " + name.rpartition("/")[2].strip().removesuffix(".jpg")
            await expect(dialog.get_by_text(caption, exact=True)).to_be_visible()
            await expect(dialog.get_by_role("img", name=caption)).to_be_visible()
        else:
            await expect(dialog.locator("[data-part=said]")).to_be_hidden()
        await page.keyboard.press("Escape")


async def test_a_found_picture_can_be_captioned(page: Page, api: FakeApi) -> None:
    """Caption it takes the picture over to the Caption tab."""
    await (await tiles(page)).first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Caption it").click()

    await expect(page.get_by_role("listitem", name="red circle.jpg")).to_have_attribute("data-state", "done")
    await expect(page.get_by_role("tab", name="Caption")).to_have_attribute("aria-selected", "true")
    assert api.asked[-1]["image"] == "red circle.jpg"


async def test_the_mouse_closes_it_too(page: Page) -> None:
    """The close button works, and the page behind keeps its place."""
    found = await tiles(page)
    await found.nth(11).click()
    await page.get_by_role("button", name="Close").click()

    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(found.nth(11)).to_be_focused()
    await expect(found.nth(11)).to_be_in_viewport()
