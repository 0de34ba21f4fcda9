"""Imports from addresses: what is followed, what is refused, what files are called."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from carto_like.server.imports.addresses import may_ask
from carto_like.server.settings import Settings
from tests.conftest import MakeServer
from tests.support.api import Api, make_account
from tests.support.databases import another_database
from tests.support.imports import ended, start

CSV = b"a,b\n1,x\n"
GPX = b'<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="1" lon="2"/></gpx>'
SECONDS = 1.0


class Site(ThreadingHTTPServer):
    """A site on this machine: each path is answered by a function of that name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        kind = self.path.partition("?")[0].rpartition("/")[0].removeprefix("/")
        getattr(self, f"answer_{kind or 'good'}")()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer_good(self) -> None:
        self._head(Content_Type="text/csv", Content_Length=str(len(CSV)))
        self.wfile.write(CSV)

    def answer_named(self) -> None:
        self._head(Content_Disposition='attachment; filename="My Trees.csv"')
        self.wfile.write(CSV)

    def answer_gzipped(self) -> None:
        self._head(Content_Type="text/csv", Content_Encoding="gzip")
        self.wfile.write(gzip.compress(CSV))

    def answer_brotli(self) -> None:
        self._head(Content_Type="text/csv", Content_Encoding="br")
        self.wfile.write(b"?")

    def answer_gpx(self) -> None:
        self._head(Content_Type="text/plain; charset=utf-8")
        self.wfile.write(GPX)

    def answer_geojson(self) -> None:
        self._head(Content_Type="application/geo+json; charset=utf-8")
        self.wfile.write(b'{"type":"FeatureCollection","features":[]}')

    def answer_status(self) -> None:
        self._head(int(self.path.rpartition("/")[2]), Content_Length="0")

    def answer_redirect(self) -> None:
        self._head(302, Location="/good/after.csv")

    def answer_secret(self) -> None:
        # "you:p@ss" in Base64.
        if self.headers.get("Authorization") == "Basic eW91OnBAc3M=":
            self.answer_good()
        else:
            self._head(401, Content_Length="0")

    def answer_on(self) -> None:
        self._head(302, Location=f"{self.server.base}/secret/trees.csv")

    def answer_loop(self) -> None:
        self._head(302, Location=self.path)

    def answer_metadata(self) -> None:
        self._head(302, Location="http://169.254.169.254/latest/a.csv")

    def answer_file(self) -> None:
        self._head(302, Location="file:///etc/passwd")

    def answer_short(self) -> None:
        self._head(Content_Length=str(len(CSV) + 1000))
        self.wfile.write(CSV)

    def answer_long(self) -> None:
        self._head(Content_Length=str(len(CSV) - 4))
        self.wfile.write(CSV)

    def answer_later(self) -> None:
        self._head(Content_Length=str(len(CSV)))
        self.wfile.write(CSV)
        self.wfile.flush()
        self.server.closing.wait(0.02)
        self.wfile.write(CSV)

    def answer_open(self) -> None:
        self._head(Content_Length=str(len(CSV)))
        self.wfile.write(CSV)
        self.wfile.flush()
        self.server.closing.wait()

    def answer_large(self) -> None:
        self._head(Content_Length="1000000000")

    def answer_endless(self) -> None:
        self._head()
        self._forever(b"1,2\n" * 20_000, 0)

    def answer_dripping(self) -> None:
        self._head()
        self._forever(b"1,2\n", 0.02)

    def _forever(self, block: bytes, pause: float) -> None:
        try:
            while not self.server.closing.wait(pause):
                self.wfile.write(block)
        except OSError:
            return


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.closing.set()
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture(scope="module")
def own(cluster: Any) -> Settings:
    return another_database(cluster)


@pytest.fixture
def make_api(make_server: MakeServer, own: Settings) -> Iterator[Any]:
    opened: list[Api] = []

    def make(reach: str) -> Api:
        server = make_server(
            settings={"dsn": own.dsn, "import_addresses": reach},
            import_max_bytes=1_000_000,
            import_url_timeout=SECONDS,
        )
        account = make_account(server)
        opened.append(Api(account.base_url, account.api_key))
        return opened[-1]

    yield make
    for api in opened:
        api.session.close()


def fetched(api: Api, url: str, **params: str) -> dict[str, Any]:
    return ended(api, start(api, params={"url": url, **params}))


def test_good_addresses_become_datasets(make_api: Any, site: Site) -> None:
    api = make_api("loopback")
    end = fetched(api, f"{site.base}/good/Trees.csv?Key=Aa", privacy="public")
    assert (end["state"], end["data_type"], end["table_name"]) == ("complete", "url", "trees"), end
    assert (end["display_name"], end["original_url"]) == ("Trees.csv", f"{site.base}/good/Trees.csv?Key=Aa")
    assert site.asked == ["/good/Trees.csv?Key=Aa"]
    assert api.get("api/v1/viz/trees").json()["privacy"] == "PUBLIC"
    for path, table in (
        ("/redirect/x.csv", "after"),
        ("/named/download", "my_trees"),
        ("/good/export?file=roads.csv", "roads"),
        ("/good/no_extension", "no_extension"),
        ("/good/wrong.xls", "wrong"),
        ("/geojson/places", "places"),
        ("/open/kept.csv", "kept"),
        ("/gzipped/stored", "stored"),
        ("/gzipped/packed.csv.gz", "packed"),
        ("/gpx/walk.gpx", "walk"),
    ):
        assert fetched(api, site.base + path)["table_name"] == table


def test_an_address_may_hold_credentials_which_go_no_further(make_api: Any, site: Site) -> None:
    api = make_api("loopback")
    base = site.base.replace("//", "//you:p%40ss@")
    assert fetched(api, f"{base}/secret/oaks.csv")["table_name"] == "oaks"
    for wrong in (f"{site.base}/secret/oaks.csv", f"{base}/on/oaks.csv"):
        assert fetched(api, wrong)["error_code"] == 1101


def test_bad_addresses_have_their_codes(make_api: Any, site: Site) -> None:
    api = make_api("loopback")
    for path, code in (
        ("/status/404", 1100),
        ("/status/401", 1101),
        ("/status/403", 1001),
        ("/status/500", 1001),
        ("/loop/a.csv", 1001),
        ("/metadata/a.csv", 1001),
        ("/file/a.csv", 1001),
        ("/short/a.csv", 1103),
        ("/long/a.csv", 1103),
        ("/later/a.csv", 1103),
        ("/large/a.csv", 6666),
        ("/endless/a.csv", 6666),
        ("/dripping/a.csv", 1020),
        ("/brotli/a.csv", 1001),
    ):
        end = fetched(api, site.base + path)
        assert (end["state"], end["error_code"]) == ("failure", code), (path, end)
        if path == "/status/403":
            assert (end["http_response_code"], end["http_response_code_message"]) == ("403", "Forbidden")
        if path == "/brotli/a.csv":
            assert "packed as 'br'" in end["get_error_text"]["what_about"]
    assert fetched(api, "http://nobody.invalid/a.csv")["error_code"] == 1102
    assert fetched(api, "http://127.0.0.1:1/a.csv")["error_code"] == 1001


def test_private_addresses_are_not_asked(make_api: Any, site: Site) -> None:
    api = make_api("public")
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"):
        end = fetched(api, f"http://{host}:{site.server_port}/good/a.csv")
        assert (end["state"], end["error_code"]) == ("failure", 1001), host
        assert "private" in end["get_error_text"]["what_about"]
    assert site.asked == []


@pytest.mark.parametrize(
    ("address", "public", "loopback"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("10.0.0.1", False, False),
        ("172.16.5.4", False, False),
        ("192.168.1.1", False, False),
        ("169.254.169.254", False, False),
        ("100.64.0.1", False, False),
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
        ("fe80::1%eth0", False, False),
        ("fd00::1", False, False),
        ("::ffff:10.0.0.1", False, False),
        ("64:ff9b::a00:1", False, False),
        ("2002:a00:1::1", False, False),
        ("::", False, False),
    ],
)
def test_which_addresses_may_be_asked(address: str, public: bool, loopback: bool) -> None:
    assert may_ask(address, "public") is public
    assert may_ask(address, "loopback") is loopback
    assert may_ask(address, "any") is True
