"""The SDK's half of the exchanges in ``tests/contract/carto``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import responses

from carto_like import exceptions
from carto_like.auth import APIKeyAuthClient
from carto_like.sql import BatchSQLClient, CopySQLClient, SQLClient
from carto_like.utils import ResponseStream
from tests.unit.sent import sent_query

BASE = "https://user1.carto.com/"
FOLDER = Path(__file__).parents[2] / "contract/carto"
EXCHANGES = [
    exchange for file in sorted(FOLDER.glob("*.json")) for exchange in json.loads(file.read_text("utf-8"))
]


def call(exchange: dict[str, Any]) -> Any:
    auth_client = APIKeyAuthClient(BASE, "0123456789abcdef")
    clients = {
        "sql": SQLClient(auth_client),
        "copy": CopySQLClient(auth_client),
        "batch": BatchSQLClient(auth_client),
    }
    how = exchange["call"]
    result = getattr(clients[how["client"]], how["method"])(*how["args"], **how["kwargs"])
    return result.read().decode() if isinstance(result, ResponseStream) else result


def check_request(wanted: dict[str, Any]) -> None:
    request = responses.calls[0].request
    query = {name: value for name, value in sent_query().items() if name != "client"}
    assert query == wanted.get("query", {})
    assert request.headers["Authorization"].startswith("Basic ")
    for name, value in wanted.get("headers", {}).items():
        assert request.headers[name] == value
    if "form" in wanted:
        assert dict(parse_qsl(str(request.body))) == wanted["form"]
    if "json" in wanted:
        assert json.loads(request.body or "").items() >= wanted["json"].items()
    if "body" in wanted:
        assert b"".join(request.body or ()) == wanted["body"].encode()  # type: ignore[arg-type]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
@responses.activate
def test_exchange(exchange: dict[str, Any]) -> None:
    request, answer = exchange["request"], exchange["response"]
    body = json.dumps(answer["json"]) if "json" in answer else answer["text"]
    headers = {name: value for name, value in answer["headers"].items() if name != "Content-Type"}
    responses.add(
        request["method"],
        BASE + request["path"],
        status=answer["status"],
        body=body,
        headers=headers,
        content_type=answer["headers"]["Content-Type"],
    )
    if "raises" in exchange:
        kind = getattr(exceptions, exchange["raises"]["type"])
        with pytest.raises(kind) as caught:
            call(exchange)
        assert exchange["raises"]["text"] in str(caught.value)
    else:
        assert call(exchange) == exchange["result"]
    check_request(request)
