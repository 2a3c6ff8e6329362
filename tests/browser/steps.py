"""Steps that several tests share."""

import base64
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Locator, Page, expect


async def caption(page: Page, picture: Path) -> Locator:
    """Chooses a picture and waits for its caption. Returns its card."""
    card = await choose(page, picture)
    await expect(card.locator(".words").first).to_be_visible()
    return card


async def choose(page: Page, *pictures: Path) -> Locator:
    """Chooses pictures. Returns the card of the last one, which is the newest."""
    await page.locator("#files").set_input_files(pictures)
    return page.locator(".card").first


async def search(page: Page, words: str) -> Locator:
    """Searches for words on the Find tab. Returns the tiles once there are any."""
    await page.get_by_role("searchbox").fill(words)
    await page.keyboard.press("Enter")
    return await tiles(page)


async def tiles(page: Page) -> Locator:
    found = page.locator("#grid .tile button")
    await expect(found.first).to_be_visible()
    return found


async def names(found: Locator) -> Sequence[str]:
    return await found.locator(".tile-name").all_inner_texts()


async def drag_over(page: Page, picture: Path) -> None:
    """Drags a file over the page, as from a file manager, without dropping it."""
    await _drag(page, picture, "dragEnter")
    await _drag(page, picture, "dragOver")


async def drop(page: Page, picture: Path) -> None:
    await drag_over(page, picture)
    await _drag(page, picture, "drop")


async def _drag(page: Page, picture: Path, kind: str) -> None:
    session = await page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(picture)], "dragOperationsMask": 1}
    await session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    await session.detach()


async def paste(page: Page, picture: Path) -> None:
    """Puts a PNG on the clipboard, as a screenshot tool does, and presses Ctrl+V."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate(
        """async (encoded) => {
            const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
            const blob = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        _encoded(picture),
    )
    await page.keyboard.press("Control+V")


def _encoded(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode()
