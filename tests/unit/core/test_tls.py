"""Certificates and early answers on encrypted connections."""

from __future__ import annotations

import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from carto_like.auth import APIKeyAuthClient, NonVerifiedAPIKeyAuthClient
from carto_like.core.client import Client
from carto_like.core.errors import BadRequestError, TlsError, TransportError
from carto_like.exceptions import CartoException, CartoTlsException
from tests.support.certificates import self_signed
from tests.support.sockets import Exchange, RawServer, raw_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def server(context: ssl.SSLContext) -> Iterator[RawServer]:
    def answer(exchange: Exchange) -> None:
        exchange.answer("200 OK", str(len(exchange.read_body())).encode())

    with raw_server(answer, context) as running:
        yield running


def test_an_unknown_certificate_is_refused_at_once(server: RawServer) -> None:
    with Client(server.url) as client, pytest.raises(TlsError):
        client.send("x", "get")
    assert server.exchanges == []
    client = APIKeyAuthClient(server.url + "user/me/", "0123456789abcdef")
    with client, pytest.raises(CartoException) as caught:
        client.send("api/v2/sql", "get")
    assert isinstance(caught.value, CartoTlsException)


def test_a_known_authority_is_enough(server: RawServer, certificate: Path) -> None:
    with Client(server.url, verify=str(certificate)) as client:
        assert client.send("x", "get").status_code == 200


def test_without_verification_there_is_one_warning(server: RawServer) -> None:
    with pytest.warns(Warning, match="not verified") as caught:
        client = NonVerifiedAPIKeyAuthClient(server.url + "user/me/", "0123456789abcdef")
    assert len(caught) == 1
    with warnings.catch_warnings(), client:
        warnings.simplefilter("error")
        for _ in range(2):
            assert client.send("api/v2/sql", "get").status_code == 200


def test_session_tickets_do_not_pass_for_an_answer(server: RawServer, certificate: Path) -> None:
    block = b"x" * 100_000
    with Client(server.url, verify=str(certificate)) as client:
        for _ in range(3):
            assert client.send("x", "post", data=iter([block] * 100)).json() == 10_000_000


def test_a_refusal_in_the_middle_of_an_upload(context: ssl.SSLContext, certificate: Path) -> None:
    stop = threading.Event()

    def refuse(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.answer("400 Bad Request", b'{"error":["no"]}', "Connection: close")
        # A proxy reads on for a while, so that the answer is not lost with the connection.
        while exchange.read_chunk():
            if len(exchange.chunks) > 50:
                stop.set()

    def rows() -> Iterator[bytes]:
        while not stop.is_set():
            yield b"x" * 100_000

    with raw_server(refuse, context) as server, Client(server.url, verify=str(certificate)) as client:
        response = client.send("x", "post", data=rows())
        with pytest.raises(BadRequestError, match="no"):
            client.get_response_data(response)


def test_a_connection_that_breaks_in_the_middle_of_an_upload(
    context: ssl.SSLContext, certificate: Path
) -> None:
    def hang_up(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.hang_up()

    def rows() -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    lost = pytest.raises(TransportError)
    with raw_server(hang_up, context) as server, Client(server.url, verify=str(certificate)) as client, lost:
        client.send("x", "post", data=rows())
