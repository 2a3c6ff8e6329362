"""Ways to bring pictures to the Caption tab."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.fake_api import FakeApi
from tests.browser.steps import choose, drag_over, drop, paste


async def test_several_pictures_get_a_card_each(page: Page, pictures: list[Path]) -> None:
    """Every chosen picture gets its own card, newest first."""
    await choose(page, *pictures)

    await expect(page.locator(".card[data-state=done]")).to_have_count(4)
    shown = await page.locator(".card [data-part=name]").all_inner_texts()
    assert shown == ["shape-3.png", "shape-2.png", "shape-1.png", "shape-0.png"]


async def test_the_whole_page_takes_a_dropped_picture(page: Page, picture: Path) -> None:
    """While a file is dragged, an overlay says what dropping does; dropping captions the file."""
    overlay = page.locator("#drop-overlay")
    await drag_over(page, picture)
    await expect(overlay).to_have_text("Drop to caption")
    await expect(overlay).to_be_visible()

    await drop(page, picture)

    await expect(page.get_by_role("listitem", name="circle.png")).to_have_attribute("data-state", "done")
    await expect(overlay).to_be_hidden()


async def test_a_pasted_picture_is_captioned(page: Page, picture: Path) -> None:
    """Ctrl+V with a picture on the clipboard captions it."""
    await paste(page, picture)

    await expect(page.locator(".card[data-state=done]")).to_have_count(1)


async def test_a_picture_is_captioned_by_its_address(page: Page, api: FakeApi) -> None:
    """The page sends the address to the service and does not load the picture itself."""
    await page.get_by_label("web address of a picture").fill("https://pictures.example/boats/red.jpg")
    await page.keyboard.press("Enter")

    card = page.get_by_role("listitem", name="red.jpg")
    await expect(card).to_have_attribute("data-state", "done")
    await expect(card).to_contain_text("No preview: the service downloads this picture itself.")
    await expect(card.get_by_role("link", name="Find pictures matching this caption")).to_be_visible()
    assert api.asked[0]["url"] == "https://pictures.example/boats/red.jpg"


@pytest.mark.parametrize("address", ["boats", "ftp://pictures.example/red.jpg", ""])
async def test_an_invalid_address_is_not_sent(page: Page, api: FakeApi, address: str) -> None:
    """The field says what is wrong and keeps the focus."""
    field = page.get_by_label("web address of a picture")
    await field.fill(address)
    await page.get_by_role("button", name="Caption it").click()

    await expect(page.get_by_role("alert")).to_have_text("This is not a web address. It should start with https://")
    await expect(field).to_be_focused()
    assert api.asked == []


async def test_a_picture_that_is_too_large_is_not_sent(page: Page, api: FakeApi, tmp_path: Path) -> None:
    """The page refuses more than 20 MB and says how large the picture is."""
    large = tmp_path / "poster.png"
    large.write_bytes(bytes(20_400_000))
    card = await choose(page, large)

    await expect(card).to_contain_text("This picture is 20.4 MB; the limit is 20 MB.")
    assert api.asked == []


async def test_an_empty_file_is_not_sent(page: Page, api: FakeApi, tmp_path: Path) -> None:
    """The page says that the file is empty."""
    (tmp_path / "nothing.png").touch()
    card = await choose(page, tmp_path / "nothing.png")

    await expect(card).to_contain_text("This file is empty.")
    assert api.asked == []


async def test_a_single_model_offers_no_choice(page: Page) -> None:
    """With one captioner there is nothing to choose."""
    await expect(page.locator("#status")).to_contain_text("Captions by caption-gru")
    await expect(page.get_by_label("Model")).to_be_hidden()


async def test_the_chosen_model_is_asked(page: Page, api: FakeApi, picture: Path) -> None:
    """With two captioners the request names the chosen one."""
    api.captioners = ["caption-gru", "caption-vit-bert"]
    await page.reload()
    await page.get_by_label("Model").select_option("caption-vit-bert")
    card = await choose(page, picture)

    await expect(card).to_have_attribute("data-state", "done")
    assert api.asked[0]["model"] == "caption-vit-bert"
    assert api.asked[0]["num_captions"] == 3
    assert api.asked[0]["attention"] is True
