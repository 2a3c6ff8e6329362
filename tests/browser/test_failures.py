"""Failures are explained, and the page recovers from them."""

from pathlib import Path

from playwright.async_api import Page, Route, expect

from tests.browser.fake_api import FakeApi
from tests.browser.steps import caption, choose


async def test_a_file_that_is_no_picture(page: Page, tmp_path: Path) -> None:
    """The card shows the detail of the problem document, and offers no retry of the same file."""
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, bread")
    card = await choose(page, notes)

    await expect(card).to_contain_text("This file is not a picture, or not of a kind that is read here.")
    await expect(card.get_by_role("button", name="Try again")).to_be_hidden()
    await expect(page.locator("#announcer")).to_contain_text("notes.txt: This file is not a picture")


async def test_a_failing_picture_affects_no_other(page: Page, picture: Path, tmp_path: Path) -> None:
    """Of two files the picture is captioned and the other one refused."""
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, bread")
    await choose(page, notes, picture)

    await expect(page.get_by_role("listitem", name="circle.png")).to_have_attribute("data-state", "done")
    await expect(page.get_by_role("listitem", name="notes.txt")).to_have_attribute("data-state", "failed")


async def test_a_busy_service_is_asked_again(page: Page, api: FakeApi, picture: Path) -> None:
    """A 429 is retried automatically after Retry-After."""
    api.busy_times, api.retry_after = 2, 1
    card = await choose(page, picture)

    await expect(card).to_have_attribute("data-state", "done")
    assert len(api.asked) == 3


async def test_nobody_has_to_wait_for_the_countdown(page: Page, api: FakeApi, picture: Path) -> None:
    """The card counts down, and a button retries at once."""
    api.busy_times, api.retry_after = 1, 600
    card = await choose(page, picture)
    await expect(card).to_contain_text("The service is busy. Trying again in")
    await card.get_by_role("button", name="Try now").click()

    await expect(card).to_have_attribute("data-state", "done")


async def test_a_picture_sent_offline_can_be_sent_again(page: Page, picture: Path) -> None:
    """The page and the card say so; the retry button works once the connection is back."""
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline. Nothing can be sent")).to_be_visible()
    await page.route("**/v1/captions", lambda route: route.abort("internetdisconnected"))
    card = await choose(page, picture)
    await expect(card).to_contain_text("You are offline. Try again when the connection is back.")

    await page.unroute("**/v1/captions")
    await page.context.set_offline(False)
    await card.get_by_role("button", name="Try again").click()

    await expect(card).to_have_attribute("data-state", "done")
    await expect(page.get_by_text("You are offline. Nothing can be sent")).to_be_hidden()


async def test_an_html_error_page_is_put_into_words(page: Page, picture: Path) -> None:
    """A reply without a problem document gives a message, never raw markup."""

    async def refuse(route: Route) -> None:
        await route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>")

    await page.route("**/v1/captions", refuse)
    card = await choose(page, picture)

    await expect(card).to_contain_text("The service behind this page is not responding.")
    await expect(card).not_to_contain_text("Bad Gateway")


async def test_a_removed_picture_is_no_longer_sent(page: Page, api: FakeApi, pictures: list[Path]) -> None:
    """Removing a queued card takes it out of the queue."""
    api.held = ""
    await choose(page, *pictures[:3])
    await page.get_by_role("button", name="Remove shape-2.png").click()
    api.held = None

    await expect(page.locator(".card[data-state=done]")).to_have_count(2)
    await caption(page, pictures[3])
    assert sorted(request["image"] for request in api.asked) == ["shape-0.png", "shape-1.png", "shape-3.png"]
