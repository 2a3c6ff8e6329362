"""How the page looks on different devices, and what it must not do."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import Error as PlaywrightError

from tests.browser.conftest import WEB, Opener
from tests.browser.fake_api import FakeApi
from tests.browser.steps import caption, choose, tiles
from tests.patience import BROWSER_MS

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


async def fits(page: Page) -> bool:
    wide, window = await page.evaluate(WIDTHS)
    return bool(wide <= window == 360)


async def test_a_phone_never_scrolls_sideways(open_page: Opener, api: FakeApi, picture: Path, tmp_path: Path) -> None:
    """Every state of the page fits into 360 pixels."""
    api.captioners = ["caption-gru", "caption-vit-bert-with-a-name-that-goes-on-and-on"]
    page = await open_page(**PHONE)
    assert await fits(page)
    await caption(page, picture)
    assert await fits(page)
    long = tmp_path / f"{'unbroken' * 20}.txt"
    long.write_text("no picture")
    await expect(await choose(page, long)).to_have_attribute("data-state", "failed")
    assert await fits(page)
    await page.goto("/#find")
    assert await fits(page)
    await page.goto("/#find?q=red+circle")
    found = await tiles(page)
    assert await fits(page)
    await found.first.click()
    close = await page.get_by_role("button", name="Close").bounding_box()
    assert close is not None
    assert close["x"] + close["width"] <= 360


async def test_touch_targets_are_large_enough(open_page: Opener) -> None:
    """Every control on a phone is at least 36 pixels high."""
    page = await open_page("/#find?q=red+circle", **PHONE)
    await tiles(page)

    sizes = await page.evaluate(
        """[...document.querySelectorAll("button, .counts label, #words")]
            .filter((control) => control.checkVisibility())
            .map((control) => [control.id || control.className, control.getBoundingClientRect().height])"""
    )

    assert [control for control, height in sizes if height < 36] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours_follow_the_device(open_page: Opener, scheme: str) -> None:
    """Dark text on light or light text on dark, with a contrast of at least 4.5."""
    page = await open_page(color_scheme=scheme)
    paper, ink, soft = [await page.evaluate(LUMINANCE, name) for name in ("--paper", "--ink", "--soft")]

    assert (paper < ink) == (scheme == "dark")
    for text in (ink, soft):
        assert (max(paper, text) + 0.05) / (min(paper, text) + 0.05) >= 4.5


LUMINANCE = """(name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const channels = getComputedStyle(probe).color.match(/[0-9.]+/g).slice(0, 3).map((value) => value / 255);
    probe.remove();
    const [red, green, blue] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}"""


async def test_nothing_moves_with_reduced_motion(open_page: Opener) -> None:
    """With reduced motion no animation runs on the opening."""
    page = await open_page(reduced_motion="reduce")
    await page.wait_for_timeout(200)

    assert await page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length") == 0


async def test_nothing_jumps_while_pictures_arrive(open_page: Opener) -> None:
    """Space is reserved for thumbnails, so that the layout does not shift."""
    page = await open_page("/#find?q=red+circle")
    await tiles(page)
    before = await page.locator("#grid .tile").nth(11).bounding_box()
    await page.wait_for_load_state("networkidle")

    assert await page.locator("#grid .tile").nth(11).bounding_box() == before


async def test_everything_comes_from_the_same_origin(open_page: Opener, base_url: str, picture: Path) -> None:
    """The page sends no request to another host."""
    page = await open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto("/")
    await caption(page, picture)

    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((base_url, "blob:"))] == []


async def test_the_policy_of_nginx_conf_is_in_force(browser: Browser, api: FakeApi) -> None:
    """The page runs under the policy that is shipped: no markup from text, nothing from other origins."""
    page = await browser.new_page()
    page.set_default_timeout(BROWSER_MS)
    await page.goto(api.url)

    with pytest.raises(PlaywrightError, match="TrustedHTML"):
        await page.evaluate("document.body.innerHTML = '<b>bold</b>'")
    refused = await page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/other-origin.png" }));
        })"""
    )
    await page.close()
    assert refused == "img-src"


def test_no_script_turns_data_into_markup() -> None:
    """No script uses an API that turns text into markup or code."""
    unsafe = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", '"style"')
    for script in sorted((WEB / "static" / "js").glob("*.js")):
        text = script.read_text()
        assert [api for api in unsafe if api in text] == [], script.name


async def test_the_footer_tells_what_the_service_holds(page: Page) -> None:
    """Index size and version, the models, and a link to the API description."""
    footer = page.locator("#status")

    await expect(footer).to_contain_text("60 pictures in index 20260102T030405")
    await expect(footer).to_contain_text("Captions by caption-gru. Search by compact-clip")
    await expect(footer.get_by_role("link", name="API description")).to_have_attribute("href", "/openapi.json")


async def test_the_footer_without_an_index(page: Page, api: FakeApi) -> None:
    """Without an index the footer shows the service's own message."""
    api.has_index = False
    await page.reload()

    await expect(page.locator("#status")).to_contain_text("There is no index yet.")
