"""The home page: who gets in, what it lists, and that data never becomes markup."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests

from carto_like.server.pages.sessions import COOKIE, Sessions
from carto_like.server.services.mapstore import MapStore
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.maps import NAMED, template
from tests.support.rows import rows_of
from tests.support.server import RunningServer


@pytest.fixture
def visitor(api: Api) -> Api:
    """A browser without a session."""
    return Api(api.base_url, None)


def link(api: Api, page: str = "") -> str:
    """A link to one of the account's pages."""
    answer = api.post("api/v1/page_links", json={"page": page})
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_in"] == 60
    return str(answer.json()["url"])


def enter(visitor: Api, url: str) -> requests.Response:
    """Follow a link as a browser does."""
    return visitor.session.get(url, timeout=30)


def test_a_link_works_once(api: Api, visitor: Api) -> None:
    url = link(api)
    assert url.startswith(api.base_url)
    assert str(api.api_key) not in url
    first = enter(visitor, url)
    assert (first.status_code, first.url) == (200, api.base_url)
    assert "Maps and data of" in first.text
    assert visitor.get("").status_code == 200
    again = requests.get(url, timeout=30)
    assert again.status_code == 401
    assert "carto-like open" in again.text
    assert "Set-Cookie" not in again.headers


def test_looking_at_a_link_does_not_use_it(api: Api, visitor: Api) -> None:
    url = link(api)
    looked = requests.head(url, timeout=30)
    assert (looked.status_code, "Set-Cookie" in looked.headers) == (200, False)
    assert enter(visitor, url).status_code == 200


def test_a_link_works_for_a_minute(api: Api, visitor: Api, platform_server: RunningServer) -> None:
    url = link(api)

    async def grow_old() -> None:
        async with platform_server.app.platform.database.metadata() as connection:
            await connection.execute(
                "UPDATE carto_like.page_links SET expires_at = now() - interval '1 second'"
            )

    platform_server.on_server(grow_old())
    assert enter(visitor, url).status_code == 401
    assert visitor.get("").status_code == 401


def test_a_link_is_its_account_s(api: Api, platform_server: RunningServer) -> None:
    other = make_account(platform_server)
    code = urlsplit(link(api)).query
    assert requests.get(f"{other.base_url}enter?{code}", timeout=30).status_code == 401
    assert requests.get(f"{api.base_url}enter?{code}", timeout=30).status_code == 200


@pytest.mark.parametrize("key", [None, "default_public", "nonsense"])
def test_links_are_for_the_master_key(api: Api, key: str | None) -> None:
    assert api.with_key(key).post("api/v1/page_links").status_code == 401


@pytest.mark.parametrize("page", ["//evil.example", "https://evil.example", "map/", "sql", "api/v2/sql", 7])
def test_links_lead_nowhere_else(api: Api, page: Any) -> None:
    assert api.post("api/v1/page_links", json={"page": page}).status_code == 400


def test_a_link_to_a_page_with_any_name(api: Api, visitor: Api) -> None:
    url = link(api, 'dataset/"><b>ü/../?x')
    answer = visitor.session.get(url, timeout=30, allow_redirects=False)
    assert answer.headers["Location"] == f"{api.base_url}dataset/%22%3E%3Cb%3E%C3%BC%2F..%2F%3Fx"


def test_the_cookie_is_for_the_account_s_pages_and_no_script(api: Api, visitor: Api) -> None:
    answer = visitor.session.get(link(api), timeout=30, allow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"].lower()
    path = urlsplit(api.base_url).path
    assert f"path={path};" in cookie + ";"
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert str(api.api_key) not in cookie


def test_behind_https_the_cookie_is_secure(make_server: MakeServer) -> None:
    server = make_server(settings={"public_url": "https://maps.example"})
    account = make_account(server)
    url = link(Api(account.base_url, account.api_key))
    assert url.startswith(f"https://maps.example/user/{account.name}/enter?code=")
    here = account.base_url + "enter?" + urlsplit(url).query
    answer = requests.get(here, timeout=30, allow_redirects=False)
    assert "secure" in answer.headers["Set-Cookie"].lower()


def forge(server: RunningServer, cookie: str, **claims: Any) -> str:
    """The cookie with other claims, signed with another key unless none are given."""
    held = jwt.decode(cookie, options={"verify_signature": False})
    if not claims:
        return jwt.encode(held, "k" * 32, "HS256")
    key = server.app.platform.secrets.derive("page session")
    return jwt.encode({**held, **claims}, key, "HS256")


@pytest.mark.parametrize(
    "claims",
    [{}, {"exp": 1_000_000_000}, {"sub": "00000000-0000-0000-0000-000000000000"}, {"key": "another"}],
)
def test_a_cookie_that_is_not_right(
    api: Api, visitor: Api, platform_server: RunningServer, claims: dict[str, Any]
) -> None:
    enter(visitor, link(api))
    cookie = visitor.session.cookies[COOKIE]
    forged = {COOKIE: forge(platform_server, cookie, **claims)}
    assert requests.get(api.base_url, cookies={COOKIE: cookie}, timeout=30).status_code == 200
    assert requests.get(api.base_url, cookies=forged, timeout=30).status_code == 401


def test_a_cookie_is_its_account_s(api: Api, visitor: Api, platform_server: RunningServer) -> None:
    enter(visitor, link(api))
    other = make_account(platform_server)
    cookies = {COOKIE: visitor.session.cookies[COOKIE]}
    assert requests.get(other.base_url, cookies=cookies, timeout=30).status_code == 401


def test_the_cookie_opens_pages_and_no_api(api: Api, visitor: Api) -> None:
    enter(visitor, link(api))
    rows_of(api, "CREATE TABLE secrets (a int)")
    assert visitor.get("api/v2/sql", params={"q": "SELECT * FROM secrets"}).status_code == 403
    assert visitor.post("api/v1/page_links").status_code == 401


def test_leaving(api: Api, visitor: Api) -> None:
    enter(visitor, link(api))
    assert visitor.post("leave").status_code == 401
    assert visitor.session.cookies.get(COOKIE) is None


def test_the_page_has_an_address(api: Api, visitor: Api) -> None:
    answer = visitor.session.get(api.base_url.rstrip("/"), timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, api.base_url)


def test_what_there_is(api: Api, visitor: Api, account: TestAccount) -> None:
    name = 'a "><script>alert(1)</script>'
    rows_of(api, f'CREATE TABLE "{name.replace(chr(34), chr(34) * 2)}" (the_geom geometry(Point, 4326))')
    rows_of(api, "CREATE TABLE trees (the_geom geometry(Point, 4326))")
    for table in (name, "trees"):
        quoted = '"' + table.replace('"', '""') + '"'
        rows_of(api, f"SELECT CDB_CartodbfyTable('{quoted}'::regclass)")
    rows_of(api, "INSERT INTO trees (the_geom) VALUES (CDB_LatLng(1, 2)), (CDB_LatLng(3, 4))")
    query = "SELECT '<img src=x onerror=alert(1)>', pg_sleep(60)"
    job = api.post("api/v2/sql/job", json={"query": query}).json()["job_id"]
    page = enter(visitor, link(api))
    api.request("DELETE", f"api/v2/sql/job/{job}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert job in page.text
    assert f'<a href="{account.base_url}dataset/trees">trees</a>' in page.text
    assert re.search(r"trees</a></th><td>private</td><td class=\"number\">2</td>", page.text)
    assert "a &#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


def test_maps_are_listed_at_once(api: Api, visitor: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one after the other: there may be thousands, and one may be deleted meanwhile."""
    closed = {"method": "token", "valid_tokens": ["secret"]}
    for given in (template("b"), template("a", auth=closed)):
        assert api.post(NAMED, json=given).status_code == 200
    monkeypatch.delattr(MapStore, "template")
    page = enter(visitor, link(api))
    assert page.status_code == 200
    assert re.findall(r"/map/(\w)\">\w</a></th><td>([^<]*)</td>", page.text) == [
        ("a", "those who have a token"),
        ("b", "everybody"),
    ]
    assert "secret" not in page.text


def test_nothing_that_a_page_does_not_need_is_allowed(api: Api, visitor: Api) -> None:
    for answer in (visitor.get(""), enter(visitor, link(api)), visitor.get("enter")):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "<script" not in answer.text
        assert "style=" not in answer.text


@pytest.mark.parametrize("name", ["page.css", "map.css", "map.js", "maplibre-gl.js", "maplibre-gl.css"])
def test_files_of_the_pages(platform_server: RunningServer, name: str) -> None:
    url = f"{platform_server.base_url}assets/{name}"
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200
    assert len(answer.content) > 200
    assert answer.headers["Content-Type"].startswith(
        "text/css" if name.endswith("css") else "text/javascript"
    )
    again = requests.get(url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=30)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nope.js", "..%2Fsessions.py", "__init__.py", "pywidget.js"])
def test_no_other_files(platform_server: RunningServer, name: str) -> None:
    assert requests.get(f"{platform_server.base_url}assets/{name}", timeout=30).status_code == 404


def test_sessions_say_nothing_of_secrets(platform_server: RunningServer) -> None:
    platform = platform_server.app.platform
    assert platform.secrets.derive("page session").hex() not in repr(Sessions(platform))
