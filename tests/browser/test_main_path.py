"""The main paths through the page. Run against the fake service or, with IMAGETEXT_URL, against a real one."""

from pathlib import Path

from playwright.async_api import Page, expect


async def test_a_chosen_picture_is_put_into_words(page: Page, picture: Path) -> None:
    """A picture from the file chooser gets a caption, its alternatives and a confidence."""
    async with page.expect_file_chooser() as choosing:
        await page.get_by_role("button", name="Choose pictures").click()
    await (await choosing.value).set_files(picture)

    card = page.get_by_role("listitem", name="circle.png")
    await expect(card.locator(".sentence")).to_have_count(3)
    said = await card.locator(".sentence .unseen").first.inner_text()
    await expect(card.locator(".words").first).to_have_text(said)
    await expect(card.locator(".confidence").first).to_contain_text("%")
    assert said


async def test_words_find_pictures_that_can_be_looked_at(page: Page) -> None:
    """Words lead to a grid of pictures, and a picture opens large."""
    await page.get_by_role("tab", name="Find").click()
    await page.get_by_role("searchbox").fill("a red circle on blue")
    await page.keyboard.press("Enter")

    tiles = page.locator("#grid .tile button")
    await expect(tiles.first).to_be_visible()
    await tiles.first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("Relevance")).to_be_visible()
    assert await dialog.locator("img").evaluate("async (picture) => (await picture.decode(), picture.naturalWidth)") > 0


async def test_a_found_picture_leads_to_more_like_it(page: Page) -> None:
    """More like this closes the large view and searches with that picture, at an address of its own."""
    await page.goto("/#find?q=red+circle")
    await page.locator("#grid .tile button").first.click()
    await page.get_by_role("button", name="More like this").click()

    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_role("heading", name="Pictures like this one")).to_be_visible()
    assert "#find?like=" in page.url
