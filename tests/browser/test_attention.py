"""Words light up the part of the picture where the model looked."""

from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Opener
from tests.browser.steps import caption

# Where the overlay is most transparent, as a share of the canvas's width.
CLEAREST = """(canvas) => {
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    let best = 0;
    for (let point = 0; point < width * height; point += 1) {
        if (pixels[4 * point + 3] < pixels[4 * best + 3]) best = point;
    }
    return (best % width) / width;
}"""


async def lit_at(card: Locator) -> float:
    canvas = card.locator("canvas")
    await expect(canvas).to_have_css("opacity", "1")
    return await canvas.evaluate(CLEAREST)


async def test_the_focused_word_lights_its_place(page: Page, picture: Path) -> None:
    """The fake attention goes from left to right with the words; without a focus there is no overlay."""
    card = await caption(page, picture)
    words = card.locator(".words").first.locator(".word")
    await expect(card.locator("canvas")).to_have_css("opacity", "0")

    await words.nth(0).focus()
    left = await lit_at(card)
    await words.nth(6).focus()
    right = await lit_at(card)
    await words.nth(6).press("Escape")

    assert left < 0.2
    assert right > 0.7
    await expect(card.locator("canvas")).to_have_css("opacity", "0")


async def test_arrow_keys_walk_through_the_words(page: Page, picture: Path) -> None:
    """A caption is one tab stop; the arrow keys, Home and End move inside it."""
    card = await caption(page, picture)
    first = card.locator(".words").first.locator(".word").first
    await first.focus()

    await page.keyboard.press("ArrowRight")
    await expect(page.locator(".lit")).to_have_text("red")
    await page.keyboard.press("End")
    await expect(page.locator(".lit")).to_have_text("ground")
    await page.keyboard.press("Home")
    await expect(first).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(card.get_by_role("button", name="Copy")).to_be_focused()


async def test_hovering_over_a_word_is_enough(page: Page, picture: Path) -> None:
    """The word under the mouse lights its place until the mouse leaves."""
    card = await caption(page, picture)
    await card.locator(".word", has_text="ground").hover()
    assert await lit_at(card) > 0.7

    await page.get_by_role("tab", name="Caption").hover()
    await expect(card.locator("canvas")).to_have_css("opacity", "0")


async def test_a_tap_lights_a_word(open_page: Opener, picture: Path) -> None:
    """On a touch screen a tapped word stays lit."""
    page = await open_page(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    card = await caption(page, picture)
    await card.locator(".word", has_text="ground").tap()

    await expect(page.locator(".lit")).to_have_text("ground")
    assert await lit_at(card) > 0.7
    await expect(card.get_by_text("Tap a word to see where the model looked.")).to_be_visible()


async def test_the_overlay_covers_the_picture_exactly(page: Page, picture: Path) -> None:
    """The canvas lies on the preview, and the preview keeps the picture's shape."""
    card = await caption(page, picture)
    preview, canvas = await card.locator("img").bounding_box(), await card.locator("canvas").bounding_box()

    assert preview == canvas
    assert preview is not None
    assert abs(preview["width"] / preview["height"] - 480 / 320) < 0.01
