"""The Find tab: searches and their results."""

import re
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.fake_api import FakeApi
from tests.browser.steps import drag_over, drop, names, paste, search, tiles


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Opener) -> Page:
    return await open_page("/#find")


async def test_words_find_pictures_best_first(page: Page) -> None:
    """Each thumbnail shows its relevance and has the picture's shape before it is loaded."""
    found = await search(page, "a red circle on blue")

    await expect(found).to_have_count(12)
    await expect(found.first).to_have_accessible_name("red circle.jpg, relevance 98%")
    await expect(page.get_by_role("heading", name="“a red circle on blue”")).to_be_visible()
    await expect(page.locator("#results-note")).to_have_text("Best of 60 pictures, in 4 ms")
    first = found.first.locator("img")
    assert [await first.get_attribute(side) for side in ("width", "height")] == ["480", "320"]
    assert await first.get_attribute("loading") == "lazy"


async def test_an_example_is_one_click_away(page: Page, api: FakeApi) -> None:
    """An example fills the field and searches."""
    await page.get_by_role("button", name="two dogs running through the snow").click()

    await tiles(page)
    await expect(page.get_by_role("searchbox")).to_have_value("two dogs running through the snow")
    assert api.asked[0]["text"] == "two dogs running through the snow"


async def test_more_can_be_asked_for(page: Page, api: FakeApi) -> None:
    """Show more adds the next page, and disappears at the end of the index."""
    await page.get_by_role("radio", name="24").check()
    found = await search(page, "circle")
    await expect(found).to_have_count(24)

    await page.get_by_role("button", name="Show 24 more").press("Enter")
    await expect(found).to_have_count(48)
    await expect(page.get_by_role("button", name="Show 24 more")).to_be_focused()
    await page.get_by_role("button", name="Show 24 more").click()
    await expect(found).to_have_count(60)

    await expect(page.get_by_role("button", name="Show 24 more")).to_be_hidden()
    await expect(found.nth(48)).to_be_focused()
    assert [request["offset"] for request in api.asked] == [0, 24, 48]
    assert len(set(await page.locator("#grid img").evaluate_all("(all) => all.map((one) => one.src)"))) == 60


async def test_a_dropped_picture_searches(page: Page, api: FakeApi, picture: Path) -> None:
    """On this tab a dropped picture is the query, and further pages are the tail of a longer reply."""
    await drag_over(page, picture)
    await expect(page.locator("#drop-overlay")).to_have_text("Drop to find similar pictures")
    await drop(page, picture)

    found = await tiles(page)
    await page.get_by_role("button", name="Show 12 more").click()
    await expect(found).to_have_count(24)
    assert (await names(found))[0] == "red circle.jpg"
    assert [request["k"] for request in api.asked] == [12, 24]


async def test_a_pasted_picture_searches_until_words_replace_it(page: Page, api: FakeApi, picture: Path) -> None:
    """The picture is shown in the field; removing it leaves an empty query."""
    await paste(page, picture)
    await tiles(page)
    await page.get_by_role("button", name="Search with words instead").click()

    await expect(page.locator("#grid .tile")).to_have_count(0)
    await expect(page.get_by_role("searchbox")).to_be_focused()


async def test_the_field_says_what_a_minus_does(page: Page, api: FakeApi) -> None:
    """The hint describes the field for screen readers too; the text reaches the service unchanged."""
    await expect(page.get_by_role("searchbox")).to_have_accessible_description(
        re.compile("Use a minus to exclude: beach -people")
    )
    await search(page, 'circle -"red square"')

    assert api.asked[0]["text"] == 'circle -"red square"'


async def test_no_good_match(page: Page) -> None:
    """If no picture is a likely match, the page says so and shows the closest."""
    found = await search(page, "an astronaut riding a horse")

    await expect(page.get_by_role("heading", name="No good match")).to_be_visible()
    await expect(found).to_have_count(12)


async def test_no_index_yet(page: Page, api: FakeApi) -> None:
    """A 503 shows the service's own message; once there is an index, retrying works."""
    api.has_index = False
    await page.get_by_role("searchbox").fill("circle")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Search is not available yet")).to_be_visible()
    await expect(page.locator("#find-message")).to_contain_text("There is no index yet. Build one from a folder")

    api.has_index = True
    await page.get_by_role("button", name="Try again").click()

    await expect(await tiles(page)).to_have_count(12)
    await expect(page.locator("#find-message")).to_be_hidden()


async def test_an_empty_index(page: Page, api: FakeApi) -> None:
    """The page says that there are no pictures."""
    api.library = []
    await page.get_by_role("searchbox").fill("circle")
    await page.keyboard.press("Enter")

    await expect(page.locator("#results-note")).to_have_text("There are no pictures in the index.")


async def test_a_busy_service_is_asked_again(page: Page, api: FakeApi) -> None:
    """A 429 is retried automatically after Retry-After."""
    api.busy_times, api.retry_after = 2, 1
    found = await search(page, "circle")

    await expect(found).to_have_count(12)
    assert len(api.asked) == 3
    await expect(page.locator("#find-message")).to_be_hidden()


async def test_waiting_for_a_busy_service_is_shown(page: Page, api: FakeApi) -> None:
    """The page counts down, and a new search does not wait for the old one."""
    api.busy_times, api.retry_after = 1, 600
    await page.get_by_role("searchbox").fill("circle")
    await page.keyboard.press("Enter")
    await expect(page.locator("#find-message")).to_contain_text("The service is busy")

    await search(page, "square")

    await expect(page.locator("#find-message")).to_be_hidden()


async def test_skeletons_are_shown_while_results_load(page: Page, api: FakeApi) -> None:
    """They appear at once, and the region is busy until the reply arrives."""
    api.held = ""
    await page.get_by_role("searchbox").fill("circle")
    await page.keyboard.press("Enter")

    await expect(page.locator("#grid .skeleton")).to_have_count(12)
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    api.held = None
    await tiles(page)
    await expect(page.locator("#grid .skeleton")).to_have_count(0)
    await expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


async def test_the_latest_search_wins(page: Page, api: FakeApi) -> None:
    """A slow reply to an earlier search never replaces the results of a later one."""
    api.held = "white triangle"
    await page.get_by_role("searchbox").fill("white triangle")
    await page.keyboard.press("Enter")
    await expect(page.locator("#grid .skeleton").first).to_be_visible()
    found = await search(page, "red circle")
    api.held = None
    await page.wait_for_timeout(500)

    assert (await names(found))[0] == "red circle.jpg"
    await expect(page.get_by_role("heading", name="“red circle”")).to_be_visible()
