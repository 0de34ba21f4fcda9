"""Certificates: refused for what they are, unless the script says otherwise."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carto_like.core.errors import TlsError
from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import HttpCouldNotVerifyServerError
from tests.support.certificates import self_signed


class Yes(http.server.BaseHTTPRequestHandler):
    """Answers everything with a login."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = 204 if self.path.endswith("/logout/") else 200
        body = b"" if status == 204 else b'{"jwt": "big-token", "token": "new-token"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(certificate: Path) -> Iterator[str]:
    """An HTTPS server whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Yes) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def calls(api: Api) -> dict[str, Any]:
    return {
        "login": lambda: api.login("pw", "x"),
        "refresh": api.refresh_token,
        "get": api.org.get,
        "put": lambda: api.org.put({}),
        "post": lambda: api.org.post({}),
        "patch": lambda: api.org.patch({}),
        "delete": api.org.delete,
        "logout": api.logout,
    }


NAMES = list(calls(Api()))


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_certificate_is_refused(server: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    api = Api(server)
    api.set_token("old-token")
    with pytest.raises(HttpCouldNotVerifyServerError) as caught:
        calls(api)[name]()
    text, original = caught.value.args
    assert isinstance(text, str)
    assert isinstance(original, Exception)
    assert isinstance(caught.value, TlsError)
    assert "old-token" not in text


@pytest.mark.parametrize("bundle", [None, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("late", [False, True])
def test_verify_false_wins(
    server: str, bundle: str | None, late: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if bundle is not None:
        monkeypatch.setenv(bundle, str(self_signed(tmp_path)))
    api = Api(server) if late else Api(server, verify=False)
    api.session.verify = False
    for name in NAMES:
        calls(api)[name]()


def test_a_bundle_of_ones_own_wins(
    server: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self_signed(tmp_path)))
    assert Api(server, verify=str(certificate)).login("pw", "x") is True
    with pytest.raises(HttpCouldNotVerifyServerError):
        Api(server).login("pw", "x")
