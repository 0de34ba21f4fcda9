"""The exchanges of ``tests/contract/iotile``, run against the server."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from carto_like.server.iotile.bed import IOTileCloud
from tests.support.exchanges import FOLDER, Exchange, differences, exchanges

EXCHANGES = exchanges("iotile")


@pytest.fixture(scope="module")
def authorization(iotile_cloud: IOTileCloud) -> str:
    iotile_cloud.quick_add_user("ana@example.org", "correct horse")
    iotile_cloud.add_data(FOLDER / "iotile_farm.json")
    given = {"email": "ana@example.org", "password": "correct horse"}
    answer = requests.post(f"{iotile_cloud.url}/api/v1/auth/login/", json=given, timeout=30)
    return f"jwt {answer.json()['jwt']}"


def send(root: str, authorization: str, request: dict[str, Any]) -> requests.Response:
    file = request.get("file")
    return requests.request(
        request["method"],
        f"{root}/api/v1/{request['path']}",
        params=request.get("query"),
        json=request.get("json"),
        data=request.get("form"),
        files={"file": (file["name"], file["content"])} if file else None,
        headers={} if request.get("key", "") is None else {"Authorization": authorization},
        timeout=30,
    )


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
def test_the_server_answers_as_documented(
    iotile_cloud: IOTileCloud, authorization: str, exchange: Exchange
) -> None:
    expected = exchange["response"]
    answer = send(iotile_cloud.url, authorization, exchange["request"])
    assert answer.status_code == expected["status"], answer.text
    for name, value in expected["headers"].items():
        assert answer.headers.get(name) == value
    if "text" in expected:
        assert answer.content.decode() == expected["text"]
    else:
        varying, more = expected.get("varying", []), expected.get("more", False)
        assert not differences(expected["json"], answer.json(), varying, more=more)
