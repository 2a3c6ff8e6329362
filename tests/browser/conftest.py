"""A real headless Chromium opens the page, and a fake service (fake_api.py) is behind it.

With IMAGETEXT_URL set, the tests in test_main_path.py run against that service instead.
"""

import asyncio
import inspect
import os
import re
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn

from tests.browser.fake_api import FakeApi, create_app
from tests.browser.shapes import ShapePicture, shape_library
from tests.patience import BROWSER_MS

playwright = pytest.importorskip("playwright.async_api", reason="the browser tests need: pip install playwright")

playwright.expect.set_options(timeout=BROWSER_MS)

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "services" / "web"
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[playwright.Browser]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("the browser tests need Chromium: apt-get install chromium")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS, timeout=BROWSER_MS)
        yield browser
        await browser.close()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The service behind the page; its `url` is where it listens."""
    api = FakeApi()
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(api, WEB / "static", page_headers())
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    api.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield api
    server.should_exit = True
    thread.join()


def page_headers() -> dict[str, str]:
    """The headers that nginx.conf adds to every response."""
    conf = (WEB / "nginx.conf").read_text()
    return {name: value.strip('"') for name, value in re.findall(r'add_header (\S+) ("[^"]+"|[^$" ]+) always', conf)}


@pytest.fixture
def base_url(request: pytest.FixtureRequest) -> str:
    return os.environ.get("IMAGETEXT_URL") or request.getfixturevalue("api").url


Opener = Callable[..., "asyncio.Future[playwright.Page]"]


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: playwright.Browser, base_url: str) -> AsyncIterator[Opener]:
    """Opens the page at an address, with options for the device. Fails at the end if a page logged to its console."""
    contexts: list[playwright.BrowserContext] = []
    complaints: list[str] = []

    async def open(address: str = "/", **device: object) -> playwright.Page:
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "base_url": base_url}
        context = await browser.new_context(**{**options, **device})
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(BROWSER_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.extend(_complaint(message)))
        await page.goto(address)
        return page

    yield open
    for context in contexts:
        await context.close()
    assert complaints == []


def _complaint(message: playwright.ConsoleMessage) -> list[str]:
    """The console message, unless the test itself caused it: errors that the service returns, and reading pixels."""
    is_answer = message.text.startswith("Failed to load resource") and "/v1/" in message.location["url"]
    is_reading = message.text.startswith("Canvas2D: Multiple readback")
    return [message.text] if message.type in ("error", "warning") and not (is_answer or is_reading) else []


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Opener) -> playwright.Page:
    return await open_page()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture in a file: a red circle on blue, 480 x 320."""
    return write(tmp_path / "circle.png", shape_library()[0])


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"shape-{place}.png", shape) for place, shape in enumerate(shape_library()[:4])]


def write(path: Path, shape: ShapePicture) -> Path:
    path.write_bytes(shape.encoded("PNG"))
    return path
