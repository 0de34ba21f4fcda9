"""A real browser without a window: what it draws, what it asks for, what it complains about."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

ARTIFACTS = Path(__file__).resolve().parents[2] / ".artifacts"
WIDTH, HEIGHT = 1000, 700
PATIENCE = 30

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    f"--window-size={WIDTH},{HEIGHT}",
    "--force-device-scale-factor=1",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A machine without a network is what pages must work on; no name of another host means anything here.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for the length of the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, _PROGRAMS)), "")
    for option in _OPTIONS:
        options.add_argument(option)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """What tests do with a browser; every question waits for its answer."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Go to an address, with nothing remembered of pages before."""
        self._read_logs()
        self.driver.get(url)

    def forget(self) -> None:
        """Drop all cookies."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def prefer(self, *, color_scheme: str = "light", reduced_motion: str = "no-preference") -> None:
        """Set what the user likes."""
        wishes = {"prefers-color-scheme": color_scheme, "prefers-reduced-motion": reduced_motion}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def find(self, selector: str) -> WebElement:
        """The element that a CSS selector finds, once it is there."""
        found: list[WebElement] = self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))
        return found[0]

    def until(self, condition: Callable[[], Any]) -> Any:
        """What a condition gives as soon as it gives something."""
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: condition())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of the page's own gives."""
        return self.driver.execute_script(script, *arguments)

    def wait_for_map(self) -> None:
        """Until the map has drawn all that it is to show."""
        self.until(lambda: self.find("#map").get_attribute("aria-busy") == "false")

    def place(self, lng: float, lat: float) -> tuple[int, int]:
        """Where on the map's element a position is, in pixels."""
        script = "const p = document.getElementById('map').maplibre.project(arguments[0]); return [p.x, p.y]"
        x, y = self.run(script, [lng, lat])
        return round(x), round(y)

    def click_map(self, x: int, y: int) -> None:
        """Click at a place of the map's element, which starts at its upper left corner."""
        self._move(x, y).click().perform()

    def hover_map(self, x: int, y: int) -> None:
        """Move the mouse to a place of the map's element."""
        self._move(x, y).perform()

    def press(self, key: str) -> None:
        """Press a key, by its name in Selenium."""
        ActionChains(self.driver).send_keys(getattr(Keys, key)).perform()

    def picture(self, name: str) -> Image.Image:
        """What the map's element looks like; kept as an artifact under that name."""
        ARTIFACTS.mkdir(exist_ok=True)
        content = self.find("#map").screenshot_as_png
        (ARTIFACTS / f"{name}.png").write_bytes(content)
        return Image.open(io.BytesIO(content)).convert("RGB")

    def check_quiet(self, *, host: str, refused: tuple[int, ...] = ()) -> None:
        """See that nothing went wrong since the page was opened, and that nothing was asked of other hosts.

        Args:
            host: with port, of the server that may be asked.
            refused: statuses of the page itself that the console may report.
        """
        complaints, asked = self._read_logs()
        allowed = tuple(f"status of {status}" for status in refused)
        assert [text for text in complaints if not any(part in text for part in allowed)] == []
        assert asked
        assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {host}

    def _move(self, x: int, y: int) -> ActionChains:
        element = self.find("#map")
        from_middle = x - element.size["width"] // 2, y - element.size["height"] // 2
        return ActionChains(self.driver, duration=0).move_to_element_with_offset(element, *from_middle)

    def _read_logs(self) -> tuple[list[str], list[str]]:
        """Errors on the console, and addresses that were asked for, since the last time."""
        driver: Any = self.driver
        complaints = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        asked = []
        for entry in driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        return complaints, asked
