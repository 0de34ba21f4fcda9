"""The exchanges that CARTO's documents describe, run against the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests

from tests.support.api import Api
from tests.support.exchanges import Exchange, differences, exchanges, filled

EXCHANGES = exchanges("carto")


def send(api: Api, request: Mapping[str, Any]) -> requests.Response:
    """The request as the exchange has it, with the key that it names: the master key unless it says so."""
    if "key" in request:
        api = api.with_key(request["key"])
    headers = dict(request.get("headers", {}))
    chunked = headers.pop("Transfer-Encoding", None) == "chunked"
    data = request.get("form")
    if "body" in request:
        body = request["body"].encode()
        data = iter([body]) if chunked else body
    return api.request(
        request["method"],
        request["path"],
        params=request.get("query"),
        data=data,
        json=request.get("json"),
        headers=headers,
    )


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
def test_the_server_answers_as_documented(api: Api, exchange: Exchange) -> None:
    for statement in exchange["setup"]:
        assert api.sql(statement).status_code == 200

    def value_of(wanted: Mapping[str, Any]) -> str:
        return str(api.get(wanted["path"]).json()[wanted["member"]])

    exchange = filled(exchange, value_of)
    for request in exchange.get("before", ()):
        assert send(api, request).status_code == 200
    expected = exchange["response"]
    answer = send(api, exchange["request"])
    assert answer.status_code == expected["status"], answer.text
    for name, value in expected["headers"].items():
        assert answer.headers.get(name) == value
    if "text" in expected:
        assert answer.content.decode() == expected["text"]
    else:
        found = answer.json()
        assert not differences(
            expected["json"], found, expected.get("varying", []), more=expected.get("more", False)
        )
