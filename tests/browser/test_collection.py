"""The page of the collection: versions, skipped files, switching with a key, and a running build."""

from playwright.async_api import Locator, Page, expect

from imagetext.wire.index import BuildStatus, IndexInfo
from tests.browser.conftest import Opener
from tests.browser.fake_api import FakeApi
from tests.browser.fake_versions import KEY, MIDDLE, NEW, OLD
from tests.browser.test_appearance import PHONE, fits

ADDRESS = "/collection.html"


def row(page: Page, version: str) -> Locator:
    return page.locator(".version").filter(has_text=version)


async def confirm(page: Page, verb: str, key: str | None = None) -> None:
    dialog = page.get_by_role("dialog")
    if key is not None:
        await dialog.get_by_label("Operator key").fill(key)
    await dialog.get_by_role("button", name=verb).click()


async def test_the_footer_leads_to_the_versions(page: Page) -> None:
    """A table, newest first, marks the current version and shows measurements, and ages in words."""
    await page.get_by_role("link", name="Collection").click()
    await expect(page.locator("#summary")).to_have_text(
        "100,000 pictures can be searched, in the version built 3 hours ago."
    )

    await expect(page.locator(".version .name")).to_have_text([NEW, MIDDLE, OLD])
    newest = row(page, NEW)
    for text in ("3 hours ago", "Current", "100,000", "ivfpq", "98.7%", "826", "8.8 MB", "130 files"):
        await expect(newest).to_contain_text(text)
    await expect(newest.get_by_role("button", name="Publish")).to_be_hidden()
    await expect(row(page, OLD)).to_contain_text("14 days ago")
    await expect(row(page, OLD)).to_contain_text("none")


async def test_skipped_files_unfold_with_their_reasons(open_page: Opener) -> None:
    """A hundred are loaded at a time."""
    page = await open_page(ADDRESS)
    button = row(page, NEW).get_by_role("button", name="130 files")
    await button.click()
    files = row(page, NEW).locator(".skipped li")

    await expect(files).to_have_count(100)
    await expect(button).to_have_attribute("aria-expanded", "true")
    await expect(files.first).to_contain_text("IMG_0000.jpg")
    await expect(files.first).to_contain_text("The file is empty.")
    await row(page, NEW).get_by_role("button", name="Show more").click()
    await expect(files).to_have_count(130)
    await expect(row(page, NEW).get_by_role("button", name="Show more")).to_be_hidden()
    await button.click()
    await expect(files.first).to_be_hidden()


async def test_publishing_asks_for_the_key_once(open_page: Opener, api: FakeApi) -> None:
    """A wrong key is reported and asked for again; the right one is remembered by this tab alone."""
    page = await open_page(ADDRESS)
    await row(page, OLD).get_by_role("button", name="Publish").click()
    await confirm(page, "Publish", "wrong")
    await expect(page.locator("#switch-problem")).to_have_text("Wrong key.")
    await confirm(page, "Publish", KEY)

    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(row(page, OLD).locator(".badge")).to_have_text("Current")
    await expect(page.locator("#announcer")).to_contain_text(f"Version {OLD} is published.")
    await expect(page.get_by_role("button", name="Roll back")).to_be_hidden()  # there is no earlier version
    assert api.versions.current == OLD

    await row(page, NEW).get_by_role("button", name="Publish").click()
    await expect(page.get_by_label("Operator key")).to_be_hidden()
    await confirm(page, "Publish")
    await page.get_by_role("button", name="Roll back").click()
    await confirm(page, "Roll back")
    await expect(row(page, MIDDLE).locator(".badge")).to_have_text("Current")
    assert api.versions.current == MIDDLE
    assert await page.evaluate("JSON.stringify(localStorage)") == "{}"


async def test_a_refusal_shows_the_message_of_the_service(open_page: Opener, api: FakeApi) -> None:
    """Nothing changes, and Escape closes the dialog."""
    api.versions.damaged = {MIDDLE}
    page = await open_page(ADDRESS)
    await page.get_by_role("button", name="Roll back").click()
    await confirm(page, "Roll back", KEY)

    await expect(page.locator("#switch-problem")).to_contain_text(f"vectors.npy of index version {MIDDLE} is damaged.")
    await page.keyboard.press("Escape")
    await expect(row(page, NEW).locator(".badge")).to_have_text("Current")
    await expect(page.get_by_role("button", name="Roll back")).to_be_focused()


async def test_a_damaged_version_says_why(open_page: Opener, api: FakeApi) -> None:
    """The reason is shown below it, and it cannot be published."""
    api.versions.listed[1] = api.versions.listed[1].model_copy(
        update={"size": None, "created": None, "recall": None, "skipped": None, "error": "rows.sqlite is missing."}
    )
    page = await open_page(ADDRESS)

    await expect(row(page, MIDDLE)).to_contain_text("rows.sqlite is missing.")
    await expect(row(page, MIDDLE).get_by_role("button", name="Publish")).to_be_hidden()


async def test_a_build_is_followed(open_page: Opener, api: FakeApi) -> None:
    """Progress, rate and time left are updated, but only stages are announced; then the new version appears."""
    [newest, *others] = api.versions.listed
    api.versions.listed, api.versions.current = others, MIDDLE
    api.versions.encoding(1_204, 8_000)
    page = await open_page(ADDRESS)
    build = page.get_by_role("region", name="A build is running")

    await expect(build).to_contain_text("1,204 of 8,000 · 215 per second · about 32 seconds left")
    await expect(page.locator("#announcer")).to_have_text("A build is running: Encoding pictures.")
    api.versions.encoding(4_000, 8_000)
    await expect(build.get_by_role("progressbar")).to_have_js_property("value", 4_000)
    await expect(page.locator("#announcer")).to_have_text("A build is running: Encoding pictures.")
    api.versions.build = BuildStatus()
    api.versions.listed, api.versions.current = [newest, *others], NEW
    await expect(page.locator("#build")).to_be_hidden()
    await expect(row(page, NEW).locator(".badge")).to_have_text("Current")


async def test_changes_since_the_build_count(open_page: Opener, api: FakeApi) -> None:
    """The summary includes pictures added and removed since; the table marks the same version as before."""
    api.versions.changed = IndexInfo(version=f"{NEW}+1214", size=101_000, added=1_107, removed=107)
    page = await open_page(ADDRESS)

    await expect(page.locator("#summary")).to_have_text(
        "101,000 pictures can be searched, in the version built 3 hours ago, with 1,107 added and 107 removed since."
    )
    await expect(row(page, NEW).locator(".badge")).to_have_text("Current")
    await expect(row(page, NEW)).to_contain_text("100,000")


async def test_a_build_that_stopped_is_not_forgotten(open_page: Opener, api: FakeApi) -> None:
    """The panel says how far it got and how to resume it."""
    api.versions.encoding(1_204, 8_000)
    assert api.versions.build.running is not None
    stopped = api.versions.build.running.model_copy(update={"rate": None, "eta_s": None})
    api.versions.build = BuildStatus(stopped=stopped)
    page = await open_page(ADDRESS)

    await expect(page.locator("#build")).to_contain_text("The last build stopped")
    await expect(page.locator("#build")).to_contain_text("Run the same command again to resume.")
    await expect(page.locator("#build")).to_contain_text("Encoding pictures · 1,204 of 8,000 · just now")


async def test_an_index_without_versions_says_how_to_build_one(open_page: Opener, api: FakeApi) -> None:
    """The page shows the command."""
    api.versions.listed, api.versions.current = [], None
    page = await open_page(ADDRESS)

    await expect(page.locator("#empty")).to_contain_text("python -m indexer build --images FOLDER")
    await expect(page.locator("#versions")).to_be_hidden()


async def test_it_fits_on_a_phone(open_page: Opener, api: FakeApi) -> None:
    """Cards replace columns; nothing scrolls sideways, and every button is large enough."""
    api.versions.encoding(1_204, 8_000)
    page = await open_page(ADDRESS, **PHONE)
    await row(page, NEW).get_by_role("button", name="130 files").click()
    await expect(row(page, NEW).locator(".skipped li").first).to_be_visible()
    heights = await page.evaluate(
        """[...document.querySelectorAll("button, nav a")].filter((each) => each.checkVisibility())
            .map((each) => each.getBoundingClientRect().height)"""
    )

    assert await fits(page)
    assert len(heights) > 5 and min(heights) >= 36
