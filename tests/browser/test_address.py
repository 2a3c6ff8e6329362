"""The address holds the page's state, so that it can be shared and reloaded, and the back button works."""

from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.fake_api import FakeApi
from tests.browser.steps import drop, names, search, tiles


async def test_a_shared_address_shows_the_same(open_page: Opener, api: FakeApi) -> None:
    """The words and the number of results come from the address, and a reload repeats the search."""
    page = await open_page("/#find?q=white+square&k=24")
    await expect(await tiles(page)).to_have_count(24)
    await page.reload()

    found = await tiles(page)
    await expect(found).to_have_count(24)
    await expect(page.get_by_role("searchbox")).to_have_value("white square")
    await expect(page.get_by_role("radio", name="24")).to_be_checked()
    assert (await names(found))[0] == "white square.jpg"
    assert [(request["text"], request["k"]) for request in api.asked] == [("white square", 24)] * 2


async def test_likeness_is_in_the_address_too(open_page: Opener) -> None:
    """A search for pictures like an indexed one can be shared, because the address holds its id."""
    page = await open_page("/#find?like=green-square-pink")

    assert (await names(await tiles(page)))[0] == "green square.jpg"
    await expect(page.locator("#token-picture")).to_have_attribute("src", "/v1/images/green-square-pink/thumbnail")


async def test_back_and_forward(page: Page) -> None:
    """Each search and each tab is a step in the browser's history."""
    await page.get_by_role("tab", name="Find").click()
    await search(page, "red circle")
    await search(page, "green square")
    await expect(page).to_have_title("green square · Find · Image and Text")

    await page.go_back()
    await expect(page.get_by_role("searchbox")).to_have_value("red circle")
    await expect(page.locator(".tile-name").first).to_have_text("red circle.jpg")
    await page.go_back()
    await expect(page.locator("#grid .tile")).to_have_count(0)
    await page.go_back()
    await expect(page.get_by_role("heading", name="Put any picture into words")).to_be_visible()
    await page.go_forward()
    await page.go_forward()

    await expect(page.locator(".tile-name").first).to_have_text("red circle.jpg")


async def test_a_tab_keeps_what_it_shows(page: Page, api: FakeApi) -> None:
    """Going to the other tab and back repeats no request."""
    await page.get_by_role("tab", name="Find").click()
    await search(page, "red circle")
    await page.get_by_role("tab", name="Caption").click()
    await page.get_by_role("tab", name="Find").click()

    await expect(await tiles(page)).to_have_count(12)
    assert "q=red+circle" in page.url
    assert len(api.asked) == 1


async def test_a_dropped_picture_is_not_in_the_address(open_page: Opener, picture: Path) -> None:
    """After a reload the page asks for the picture again."""
    page = await open_page("/#find")
    await drop(page, picture)
    await tiles(page)
    await page.reload()

    await expect(page.get_by_role("heading", name="The picture is gone")).to_be_visible()


async def test_an_unknown_address(open_page: Opener) -> None:
    """An unknown tab leads to the Caption tab, and an unsupported number to the smallest one."""
    page = await open_page("/#nonsense?q=1")
    await expect(page.get_by_role("tab", name="Caption")).to_have_attribute("aria-selected", "true")

    await page.goto("/#find?k=1000")
    await expect(page.get_by_role("radio", name="12")).to_be_checked()


async def test_tabs_follow_the_arrow_keys(page: Page) -> None:
    """The tabs are one tab stop; the arrow keys wrap around."""
    await page.get_by_role("tab", name="Caption").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Find")).to_be_focused()
    await expect(page.get_by_role("tabpanel", name="Find")).to_be_visible()
    await expect(page.get_by_role("tabpanel", name="Caption")).to_be_hidden()

    await page.keyboard.press("ArrowRight")

    await expect(page.get_by_role("tab", name="Caption")).to_be_focused()
    await expect(page.get_by_role("tab", name="Find")).to_have_attribute("tabindex", "-1")
