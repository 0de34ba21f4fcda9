"""The scripts' half of the exchanges in ``tests/contract/iotile``."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from carto_like.iotile.api import exceptions
from carto_like.iotile.api.connection import Api
from tests.support.exchanges import Exchange, exchanges

DOMAIN = "https://iotile.example"
# The server alone is held against the others: scripts do not make such requests.
EXCHANGES = [exchange for exchange in exchanges("iotile") if "call" in exchange]


def call(exchange: Exchange) -> Any:
    how, request = exchange["call"], exchange["request"]
    api = Api(DOMAIN)
    api.set_token("my-token")
    target = api.path(*how["path"])
    arguments = list(how["args"])
    if "file" in request:
        file = io.BytesIO(request["file"]["content"].encode())
        file.name = request["file"]["name"]
        arguments = [file, request["form"]]
    return getattr(target, how["verb"])(*arguments, **how["kwargs"])


def check_request(wanted: dict[str, Any], body: bytes) -> None:
    request = responses.calls[0].request
    assert request.headers["Authorization"] == "jwt my-token"
    assert dict(parse_qsl(urlsplit(str(request.url)).query)) == wanted.get("query", {})
    if "json" in wanted:
        assert request.headers["Content-Type"] == "application/json"
        assert json.loads(body) == wanted["json"]
    if "file" in wanted:
        for name, value in wanted["form"].items():
            assert f'name="{name}"'.encode() in body
            assert str(value).encode() in body
        assert f'name="file"; filename="{wanted["file"]["name"]}"'.encode() in body
        assert wanted["file"]["content"].encode() in body


def read(body: Any) -> bytes:
    if body is None or isinstance(body, (bytes, str)):
        return (body or b"") if not isinstance(body, str) else body.encode()
    return b"".join(body)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
@responses.activate
def test_exchange(exchange: Exchange) -> None:
    request, answer = exchange["request"], exchange["response"]
    told = json.dumps(answer["json"]) if "json" in answer else answer["text"]
    bodies: list[bytes] = []

    def respond(sent: Any) -> tuple[int, dict[str, str], str]:
        bodies.append(read(sent.body))
        return answer["status"], {}, told

    content_type = answer["headers"].get("Content-Type", "text/csv")
    url = f"{DOMAIN}/api/v1/{request['path']}"
    responses.add_callback(request["method"], url, respond, content_type=content_type)
    if "raises" in exchange:
        with pytest.raises(getattr(exceptions, exchange["raises"])) as caught:
            call(exchange)
        assert caught.value.status_code == answer["status"]
    else:
        wanted = exchange.get("result", answer["json"] if "json" in answer else answer["text"].encode())
        assert call(exchange) == wanted
    check_request(request, bodies[0])
