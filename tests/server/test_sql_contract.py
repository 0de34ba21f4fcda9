"""The exchanges that CARTO's documents describe, run against the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api

FILES = Path(__file__).parents[1] / "contract" / "carto"
EXCHANGES = [
    exchange
    for name in ("sql", "copy", "batch")
    for exchange in json.loads((FILES / f"{name}.json").read_text("utf-8"))
]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[exchange["name"] for exchange in EXCHANGES])
def test_the_server_answers_as_documented(api: Api, exchange: dict[str, Any]) -> None:
    for statement in exchange["setup"]:
        assert api.sql(statement).status_code == 200
    request, expected = exchange["request"], exchange["response"]
    body = request.get("body")
    headers = dict(request.get("headers", {}))
    chunked = headers.pop("Transfer-Encoding", None) == "chunked"
    data = request.get("form")
    if body is not None:
        data = iter([body.encode()]) if chunked else body.encode()
    response = api.request(
        request["method"],
        request["path"],
        params=request.get("query"),
        data=data,
        json=request.get("json"),
        headers=headers,
    )
    assert response.status_code == expected["status"]
    for name, value in expected.get("headers", {}).items():
        assert response.headers[name] == value
    if "text" in expected:
        assert response.content.decode() == expected["text"]
    else:
        varying = set(expected.get("varying", ()))
        found = response.json()
        assert found.keys() == expected["json"].keys()
        assert {k: v for k, v in found.items() if k not in varying} == {
            k: v for k, v in expected["json"].items() if k not in varying
        }
