"""The SDK's half of the exchanges in ``tests/contract/carto``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest
import responses

from carto_like import exceptions
from carto_like.auth import APIKeyAuthClient
from carto_like.core.resource import Resource
from carto_like.datasets import DatasetManager
from carto_like.maps import AnonymousMap, NamedMapManager
from carto_like.sql import BatchSQLClient, CopySQLClient, SQLClient
from carto_like.sync_tables import SyncTableJobManager
from carto_like.tables import TableManager
from carto_like.users import UserManager
from carto_like.utils import ResponseStream
from tests.support.exchanges import Exchange, exchanges
from tests.unit.sent import sent_query

BASE = "https://user1.carto.com/"
KEY = "0123456789abcdef"
# The server alone is held against the others: the SDK does not make such requests.
EXCHANGES = [exchange for exchange in exchanges("carto") if "call" in exchange]
CLIENTS: Mapping[str, Any] = {
    "sql": SQLClient,
    "copy": CopySQLClient,
    "batch": BatchSQLClient,
    "datasets": DatasetManager,
    "synchronizations": SyncTableJobManager,
    "named_maps": NamedMapManager,
    "anonymous_map": AnonymousMap,
    "tables": TableManager,
    "users": UserManager,
}


def call(exchange: Exchange) -> Any:
    how = exchange["call"]
    auth_client = APIKeyAuthClient(BASE, KEY)
    target = CLIENTS[how["client"]](auth_client)
    if "loaded" in how:
        target = resource = getattr(target, "resource_class", type(target))(auth_client)
        resource.load(how["loaded"])
        for name, value in how.get("set", {}).items():
            setattr(resource, name, value)
    result = getattr(target, how["method"])(*how["args"], **how["kwargs"])
    return told(target if "loaded" in how else result, exchange.get("result"))


def told(result: Any, wanted: Any) -> Any:
    """What a call returned, as far as JSON can say it; of resources the members that are wanted."""
    if isinstance(result, ResponseStream):
        return result.read().decode()
    if isinstance(result, Resource):
        return {name: getattr(result, name) for name in wanted} if wanted else None
    if isinstance(result, list) and wanted:
        return [told(one, wanted[0]) for one in result]
    return result


def check_request(wanted: dict[str, Any]) -> None:
    request = responses.calls[0].request
    query, in_header = sent_query(), any(part in str(request.url) for part in ("/sql", "/map/"))
    # These two have the key in the header, so that no log of addresses has it; the others take it here.
    assert query.pop("api_key", None) == (None if in_header else KEY)
    assert request.headers.get("Authorization", "").startswith("Basic ") == in_header
    query.pop("client", None)
    assert query == wanted.get("query", {})
    for name, value in wanted.get("headers", {}).items():
        assert request.headers[name] == value
    if "form" in wanted:
        assert dict(parse_qsl(str(request.body), keep_blank_values=True)) == wanted["form"]
    if "json" in wanted:
        assert json.loads(request.body or b"") == wanted["json"]
    if "body" in wanted:
        assert b"".join(request.body or ()) == wanted["body"].encode()  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::carto_like.resources.NonPublicApiWarning")
@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
@responses.activate
def test_exchange(exchange: Exchange) -> None:
    request, answer = exchange["request"], exchange["response"]
    body = json.dumps(answer["json"]) if "json" in answer else answer["text"]
    headers = {name: value for name, value in answer["headers"].items() if value is not None}
    content_type = headers.pop("Content-Type", None)
    responses.add(
        request["method"],
        BASE + request["path"],
        status=answer["status"],
        body=body,
        headers=headers,
        content_type=content_type,
    )
    if "raises" in exchange:
        kind = getattr(exceptions, exchange["raises"]["type"])
        with pytest.raises(kind) as caught:
            call(exchange)
        assert exchange["raises"]["text"] in str(caught.value)
    else:
        assert call(exchange) == exchange["result"]
    check_request(request)
