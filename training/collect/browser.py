"""A headless Chromium, and the few ways in which a search page is read with it: always waiting for, never sleeping."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from selenium.common.exceptions import (
    InvalidSelectorException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from imagetext.wire.errors import InvalidParameter, NotFound, Unavailable

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVERS = ("chromedriver", "chromium.chromedriver")
_LOAD_S = 30
_POLL_S = 0.1
_PLACEHOLDER = 8  # pixels wide at most

Found = TypeVar("Found")


@contextmanager
def open_browser(browser: Path | None = None, driver: Path | None = None) -> Iterator[Chrome]:
    """A headless Chromium that ends with the block; both programs are looked for on the PATH unless named.

    Raises:
        NotFound: one of them is not there.
        Unavailable: they do not start.
    """
    options = ChromeOptions()
    options.binary_location = _program(browser, _BROWSERS)
    options.page_load_strategy = "eager"  # pictures that never arrive must not hold up the page
    for flag in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1600"):
        options.add_argument(flag)
    options.add_argument("--disable-background-networking")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses to run as root
    try:
        chrome = Chrome(options, Service(_program(driver, _DRIVERS)))
    except WebDriverException as error:
        raise Unavailable("Chromium does not start; do the versions of chromium and chromedriver agree?") from error
    try:
        chrome.set_page_load_timeout(_LOAD_S)
        yield chrome
    finally:
        chrome.quit()


def _program(named: Path | None, names: tuple[str, ...]) -> str:
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise NotFound(f"{named or names[0]} is not there; on Debian: apt-get install chromium chromium-driver")
    return found


class Reader:
    """Looks at the page of a browser; a selector is CSS or XPath, `@name` at its end an attribute."""

    def __init__(self, chrome: Chrome, patience_s: float) -> None:
        self.chrome = chrome
        self._patience_s = patience_s

    def go(self, address: str) -> None:
        """Raises Unavailable when there is no page at the address."""
        with speaking_plainly():
            try:
                self.chrome.get(address)
            except TimeoutException as error:
                raise Unavailable(f"The page did not load within {_LOAD_S} seconds.") from error

    def until(self, condition: Callable[[], Found | None]) -> Found | None:
        """What `condition` gives as soon as it is something; None when patience ends. Elements may come and go."""
        wait = WebDriverWait(self.chrome, self._patience_s, _POLL_S, [StaleElementReferenceException])
        try:
            return wait.until(lambda _: condition())
        except TimeoutException:
            return None

    def shown(self, selector: str) -> WebElement | None:
        """The first element that a person would see."""
        return next((element for element in self.all(selector) if element.is_displayed()), None)

    def all(self, selector: str, within: WebElement | None = None) -> list[WebElement]:
        xpath = selector.startswith(("/", "("))
        if xpath and within:
            selector = f".{selector}" if selector.startswith("/") else selector
        return (within or self.chrome).find_elements(By.XPATH if xpath else By.CSS_SELECTOR, selector)

    def value(self, selector: str, within: WebElement | None = None) -> str:
        """An attribute or the text, hidden text too; "" where there is none."""
        if not selector:
            return ""
        path, name = split_selector(selector)
        element = next(iter(self.all(path, within)), None)
        if element is None:
            return ""
        return " ".join((element.get_attribute(name or "textContent") or "").split())

    def has_drawn(self, picture: WebElement) -> bool:
        """Whether an <img> has loaded and is larger than what stands in for late ones."""
        script = f"return arguments[0].complete && arguments[0].naturalWidth > {_PLACEHOLDER}"
        return bool(self.chrome.execute_script(script, picture))

    def press(self, element: WebElement) -> None:
        """A click as the page's own script sees it, wherever the element is and whatever lies over it."""
        self.chrome.execute_script("arguments[0].click()", element)

    def bring_up(self, element: WebElement) -> None:
        self.chrome.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)

    @contextmanager
    def second_tab(self) -> Iterator[None]:
        first = self.chrome.current_window_handle
        self.chrome.switch_to.new_window("tab")
        try:
            yield
        finally:
            self.chrome.close()
            self.chrome.switch_to.window(first)


def split_selector(selector: str) -> tuple[str, str]:
    """ "img.large@src" -> ("img.large", "src"); an "@" inside XPath's brackets belongs to the path."""
    path, mark, name = selector.rpartition("@")
    return (path, name) if mark and name.replace("-", "").isalnum() else (selector, "")


@contextmanager
def speaking_plainly() -> Iterator[None]:
    """Turns what the driver raises into sentences."""
    try:
        yield
    except InvalidSelectorException as error:
        raise InvalidParameter("The page file has a selector that is neither CSS nor XPath.") from error
    except WebDriverException as error:
        raise Unavailable("The page cannot be read: no connection, or the browser has ended.") from error
