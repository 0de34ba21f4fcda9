"""The pages in a real browser, on a machine without a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import airportsdata
import pytest
from PIL import ImageChops

from tests.support.api import Api, TestAccount, make_account
from tests.support.browser import Browser, browser
from tests.support.rows import rows_of
from tests.support.server import RunningServer

NASTY = '<img src=x onerror="document.title=1">'
AIRPORTS = airportsdata.load()
# Both have no other airport near them.
FARO, ALMERIA = ((AIRPORTS[icao]["lon"], AIRPORTS[icao]["lat"]) for icao in ("LPFR", "LEAM"))


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as opened:
        yield opened


def template(name: str, *, where: str = "true", tokens: tuple[str, ...] = ()) -> dict[str, Any]:
    """A named map of the airports, in plain red."""
    options = {
        "sql": f"SELECT * FROM airports WHERE {where}",
        "cartocss": "#airports { marker-width: 10; marker-fill: #ff0000; marker-line-width: 0;"
        " marker-allow-overlap: true; }",
        "cartocss_version": "2.3.0",
    }
    return {
        "version": "0.0.1",
        "name": name,
        "auth": {"method": "token", "valid_tokens": list(tokens)} if tokens else {"method": "open"},
        "layergroup": {"version": "1.8.0", "layers": [{"type": "cartodb", "options": options}]},
    }


@pytest.fixture(scope="module")
def owner(platform_server: RunningServer) -> TestAccount:
    """A user with a dataset: the airports of Portugal and Spain."""
    account = make_account(platform_server)
    api = Api(account.base_url, account.api_key)
    rows_of(api, "CREATE TABLE airports (icao text, name text, opened date, the_geom geometry(Point, 4326))")
    rows_of(api, "SELECT CDB_CartodbfyTable('airports'::regclass)")
    found = [one for one in AIRPORTS.values() if one["icao"][:2] in ("LP", "LE") and one["lon"] > -12]
    values = ", ".join(
        f"('{one['icao']}', $name${one['name']}$name$, '1942-10-15', CDB_LatLng({one['lat']}, {one['lon']}))"
        for one in found
    )
    assert 50 < len(found) < 1000
    rows_of(api, f"INSERT INTO airports (icao, name, opened, the_geom) VALUES {values}")
    rows_of(api, f"UPDATE airports SET name = '{NASTY}' WHERE icao = 'LEAM'")
    for made in (
        template("iberia"),
        template("nowhere", where="icao NOT IN ('LPFR', 'LEAM', 'LPPR', 'LEBL')"),
        template("secret", tokens=("the first", "the second")),
    ):
        answer = api.post("api/v1/map/named", json=made)
        assert answer.status_code == 200, answer.text
    api.session.close()
    return account


@pytest.fixture
def api(owner: TestAccount) -> Iterator[Api]:
    """Requests as the owner."""
    client = Api(owner.base_url, owner.api_key)
    yield client
    client.session.close()


@pytest.fixture
def logged_in(window: Browser, api: Api) -> Iterator[Browser]:
    """The browser with a session of the owner's, on his home page."""
    window.open(api.post("api/v1/page_links").json()["url"])
    yield window
    window.forget()


def host(account: TestAccount) -> str:
    return urlsplit(account.base_url).netloc


def attributes(window: Browser) -> dict[str, str]:
    """The attributes that are shown of one row."""
    names = window.run(
        "return [...document.querySelectorAll('#attributes dt')].map((each) => each.textContent)"
    )
    values = window.run(
        "return [...document.querySelectorAll('#attributes dd')].map((each) => each.textContent)"
    )
    assert len(names) == len(set(names)), names
    return dict(zip(names, values, strict=True))


def test_home(logged_in: Browser, owner: TestAccount) -> None:
    assert logged_in.driver.current_url == owner.base_url
    assert logged_in.find("main a").text == "airports"
    assert logged_in.run("return document.querySelectorAll('main h2').length") == 3
    logged_in.check_quiet(host=host(owner))


def test_home_in_the_dark(logged_in: Browser) -> None:
    color = "return getComputedStyle(document.body).backgroundColor"
    light = logged_in.run(color)
    logged_in.prefer(color_scheme="dark")
    dark = logged_in.run(color)
    logged_in.prefer()
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 24, 29)")


def test_home_by_keyboard(logged_in: Browser, owner: TestAccount) -> None:
    seen = []
    for _ in range(3):
        logged_in.press("TAB")
        seen.append(logged_in.run("return document.activeElement.textContent"))
    assert seen == ["Skip to the datasets", "Log out", "airports"]
    logged_in.press("ENTER")
    logged_in.wait_for_map()
    assert logged_in.driver.current_url == f"{owner.base_url}dataset/airports"


def test_a_dataset_is_drawn(logged_in: Browser, owner: TestAccount) -> None:
    logged_in.open(f"{owner.base_url}dataset/airports")
    logged_in.wait_for_map()
    place = logged_in.place(*FARO)
    drawn = logged_in.picture("dataset")
    assert drawn.getpixel(place) != (255, 255, 255)
    # In the Atlantic, west of it.
    empty = logged_in.place(-11.5, 36.5)
    assert drawn.getpixel(empty) == (255, 255, 255)
    logged_in.hover_map(*place)
    logged_in.until(lambda: "Faro" in str(logged_in.find("#under").get_attribute("textContent")))
    logged_in.click_map(*place)
    logged_in.until(lambda: attributes(logged_in))
    shown = attributes(logged_in)
    assert (shown["icao"], shown["opened"]) == ("LPFR", "1942-10-15")
    assert "Faro" in shown["name"]
    assert not {"the_geom", "the_geom_webmercator"} & shown.keys()
    logged_in.check_quiet(host=host(owner))


def test_data_is_no_markup(logged_in: Browser, owner: TestAccount) -> None:
    logged_in.open(f"{owner.base_url}dataset/airports")
    logged_in.wait_for_map()
    logged_in.click_map(*logged_in.place(*ALMERIA))
    logged_in.until(lambda: attributes(logged_in))
    assert attributes(logged_in)["name"] == NASTY
    assert logged_in.driver.title == "airports"
    logged_in.check_quiet(host=host(owner))


def test_the_button_zooms_to_the_data(logged_in: Browser, owner: TestAccount) -> None:
    logged_in.prefer(reduced_motion="reduce")
    logged_in.open(f"{owner.base_url}dataset/airports")
    logged_in.wait_for_map()
    zoom = "return document.getElementById('map').maplibre.getZoom()"
    before = logged_in.run(zoom)
    logged_in.run("document.getElementById('map').maplibre.jumpTo({center: [100, 0], zoom: 9})")
    logged_in.find("#fit").click()
    logged_in.prefer()
    # At once, and not on the way there.
    assert logged_in.run(zoom) == pytest.approx(before, abs=0.01)


def test_the_middle_can_be_read_without_a_mouse(logged_in: Browser, owner: TestAccount) -> None:
    logged_in.open(f"{owner.base_url}dataset/airports")
    logged_in.wait_for_map()
    logged_in.run(
        "document.getElementById('map').maplibre.jumpTo({center: arguments[0], zoom: 12})", list(FARO)
    )
    logged_in.run("document.querySelector('.maplibregl-canvas').focus()")
    logged_in.wait_for_map()
    logged_in.press("ENTER")
    logged_in.until(lambda: attributes(logged_in))
    assert attributes(logged_in)["icao"] == "LPFR"


def test_a_reload_shows_what_is_new(logged_in: Browser, owner: TestAccount, api: Api) -> None:
    logged_in.open(f"{owner.base_url}dataset/airports")
    logged_in.wait_for_map()
    rows_of(api, "UPDATE airports SET name = 'Gago Coutinho' WHERE icao = 'LPFR'")
    logged_in.driver.refresh()
    logged_in.wait_for_map()
    logged_in.click_map(*logged_in.place(*FARO))
    logged_in.until(lambda: attributes(logged_in))
    rows_of(api, "UPDATE airports SET name = 'Faro Airport' WHERE icao = 'LPFR'")
    assert attributes(logged_in)["name"] == "Gago Coutinho"


def test_a_private_dataset_is_nobody_else_s(window: Browser, owner: TestAccount) -> None:
    window.forget()
    window.open(f"{owner.base_url}dataset/airports")
    assert "private" in window.find("main p").text
    assert window.driver.find_elements("css selector", "#map") == []
    window.check_quiet(host=host(owner), refused=(401,))


RED = (255, 0, 0)
WHITE = (255, 255, 255)


def test_home_lists_the_maps(logged_in: Browser, owner: TestAccount) -> None:
    names = (
        "return [...document.querySelectorAll('[aria-labelledby=maps] tbody tr')].map((row) => row.innerText)"
    )
    assert [row.split("\t") for row in logged_in.run(names)] == [
        ["iberia", "everybody"],
        ["nowhere", "everybody"],
        ["secret", "those who have a token"],
    ]
    logged_in.find('a[href$="/map/secret"]').click()
    logged_in.wait_for_map()
    assert logged_in.picture("secret").getpixel(logged_in.place(*FARO)) == RED
    logged_in.check_quiet(host=host(owner))


def test_a_map_is_drawn(window: Browser, owner: TestAccount) -> None:
    window.forget()
    window.open(f"{owner.base_url}map/nowhere")
    window.wait_for_map()
    center = window.run("return document.getElementById('map').maplibre.getCenter().toArray()")
    zoom = window.run("return document.getElementById('map').maplibre.getZoom()")
    without = window.picture("map_without_four")
    window.open(f"{owner.base_url}map/iberia")
    window.wait_for_map()
    jump = "document.getElementById('map').maplibre.jumpTo({center: arguments[0], zoom: arguments[1]})"
    window.run(jump, center, zoom)
    window.wait_for_map()
    drawn = window.picture("map")
    for place in (FARO, ALMERIA):
        pixel = window.place(*place)
        assert (drawn.getpixel(pixel), without.getpixel(pixel)) == (RED, WHITE)
    assert drawn.getpixel(window.place(-11.5, 36.5)) == WHITE
    # The two pictures differ by four markers of ten pixels, and by nothing else that could be seen.
    difference = ImageChops.difference(drawn, without).convert("L").histogram()
    assert 250 < sum(difference[20:]) < 450
    window.hover_map(*window.place(*FARO))
    window.until(lambda: "Faro" in str(window.find("#under").get_attribute("textContent")))
    window.click_map(*window.place(*FARO))
    window.until(lambda: attributes(window))
    assert attributes(window)["icao"] == "LPFR"
    window.check_quiet(host=host(owner))


def test_a_map_with_tokens_refuses_without_one(window: Browser, owner: TestAccount) -> None:
    window.forget()
    for query in ("", "?auth_token=wrong"):
        window.open(f"{owner.base_url}map/secret{query}")
        assert "Unauthorized" in window.find("main p").text
        assert window.driver.find_elements("css selector", "#map") == []
        window.check_quiet(host=host(owner), refused=(403,))
    window.open(f"{owner.base_url}map/secret?auth_token=the%20second")
    window.wait_for_map()
    assert window.picture("map_with_token").getpixel(window.place(*FARO)) == RED
    window.check_quiet(host=host(owner))
