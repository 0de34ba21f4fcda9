from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import requests
import responses

from carto_like.core.client import Client
from carto_like.core.credentials import with_parameters
from carto_like.core.errors import BadRequestError, ConfigurationError, SdkError, TransportError
from carto_like.core.network import Adapter
from tests.support.sockets import Exchange, raw_server

BASE = "https://api.example.org/"
SECRET = "s3cr3t-and-long"


class OwnConfigurationError(ConfigurationError):
    """A platform's own."""


class KeyClient(Client):
    twins: ClassVar[dict[type[SdkError], type[SdkError]]] = {ConfigurationError: OwnConfigurationError}

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "params": with_parameters(arguments.get("params"), {"api_key": SECRET})}

    def secrets(self) -> tuple[str, ...]:
        return (SECRET,)


def test_a_missing_bundle_of_certificates_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/missing.pem")
    with pytest.raises(OwnConfigurationError, match=r"/missing\.pem"):
        KeyClient(BASE).send("x", "get")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(OwnConfigurationError, match="/no-certificate"):
        KeyClient(BASE).send("x", "get", cert="/no-certificate")


@pytest.mark.parametrize("timeout", ["soon", 0, -1])
def test_what_is_no_timeout(timeout: Any) -> None:
    with pytest.raises(OwnConfigurationError, match=r"(?i)timeout"):
        KeyClient(BASE).send("x", "get", timeout=timeout)


def test_an_error_of_the_data_stays_what_it_is() -> None:
    """Also one of the library's own, from the client that the data come from."""
    cause = KeyError("reason")

    def read(exchange: Exchange) -> None:
        exchange.read_body()

    def data() -> Iterator[bytes]:
        yield b"x"
        raise ConfigurationError("the source's") from cause

    with raw_server(read) as server, pytest.raises(ConfigurationError) as caught:
        KeyClient(server.url).send("x", "post", data=data())
    assert type(caught.value) is ConfigurationError
    assert caught.value.__cause__ is cause


@responses.activate
def test_no_secret_in_what_a_server_quotes() -> None:
    words = f"no such thing: /x?api_key={SECRET}"
    responses.get(BASE + "x", status=400, json={"error": [words], "detail": words, "hint": {"a": words}})
    client = KeyClient(BASE)
    with pytest.raises(BadRequestError) as caught:
        client.get_response_data(client.send("x", "get"))
    error = caught.value
    assert error.message == ["no such thing: /x?api_key=***"]
    assert SECRET not in f"{error!r} {error} {vars(error)}"
    assert "***" in error.body


@responses.activate
def test_no_secret_in_the_address_of_an_answer() -> None:
    responses.get(BASE + "old", status=302, headers={"Location": f"{BASE}x?api_key={SECRET}"})
    responses.get(BASE + "x", status=404)
    response = KeyClient(BASE).send("old", "get")
    assert [answer.url for answer in (*response.history, response)] == [
        BASE + "old?api_key=***",
        BASE + "x?api_key=***",
    ]
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    assert SECRET not in str(caught.value)


def test_an_error_names_what_people_know() -> None:
    with pytest.raises(TransportError, match="HTTPConnectionPool"):
        Client("http://127.0.0.1:1/", retry=False).send("x", "get")


def test_a_forked_process_makes_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.answer("200 OK", b"{}")

    class MyAdapter(requests.adapters.HTTPAdapter):
        pass

    mine = MyAdapter()
    with raw_server(answer) as server, Client(server.url) as client:
        client.session.mount("https://", mine)
        adapter = client.session.get_adapter(server.url)
        client.send("x", "get")
        client.send("x", "get")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        client.send("x", "get")
        client.send("x", "get")
        first, second, third, fourth = (exchange.connection_number for exchange in server.exchanges)
        assert (first == second, second == third, third == fourth) == (True, False, True)
        assert isinstance(client.session.get_adapter(server.url), Adapter)
        assert client.session.get_adapter("https://x") is mine
        assert isinstance(adapter, Adapter)
        adapter.close()
