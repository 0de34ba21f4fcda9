"""Who may ask for maps, and how often."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from carto_like.server.settings import RateLimit
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.maps import MAP, NAMED, V, config, make, message, template, tile, token_of, vector_layer
from tests.support.server import RunningServer

TOO_MANY = "You are over platform's limits: too many requests. Please contact us to know more details"
POINT = "select 1 as cartodb_id, ST_SetSRID(ST_MakePoint(1, 1), 3857) as the_geom_webmercator"


def test_every_kind_of_request_counts_for_itself(make_server: MakeServer) -> None:
    groups = ("map_create", "map_template", "map_tile", "map_attributes", "map_static")
    hourly = (RateLimit(burst=1, count=1, period=3600.0),)
    account = make_account(make_server(rate_limits=dict.fromkeys(groups, hourly)))
    api = Api(account.base_url, account.api_key)
    attributes = {"attributes": {"id": "cartodb_id", "columns": ["cartodb_id"]}}
    given = config(vector_layer(POINT, **attributes))
    # What is refused for another reason counts, too.
    assert message(make(api, {}))[0] == 400
    token = token_of(make(api, given))
    requests = {
        MAP: {"config": "{}"},
        NAMED: {},
        f"{MAP}/{token}/0/0/0.mvt": {},
        f"{MAP}/{token}/0/attributes/1": {},
        f"{MAP}/static/center/{token}/0/0/0/10/10.png": {},
    }
    for path, params in requests.items():
        answers = [api.get(path, params=params) for _ in range(3)]
        allowed = [answer for answer in answers if answer.status_code != 429]
        remaining = [answer.headers["Carto-Rate-Limit-Remaining"] for answer in answers]
        assert remaining == (["0"] * 3 if path == MAP else ["1", "0", "0"])
        assert len(allowed) == (0 if path == MAP else 2)
        # Refused before the key is looked at, so a wrong one is not told that it is wrong.
        last = api.get(path, params={**params, "api_key": "wrong"})
        assert message(last) == (429, TOO_MANY)
        (context,) = last.json()["errors_with_context"]
        assert (context["type"], context["subtype"]) == ("limit", "rate-limit")
        assert last.headers["Carto-Rate-Limit-Limit"] == "2"
        assert int(last.headers["Retry-After"]) > 3000
        assert last.headers["Access-Control-Allow-Origin"] == "*"
    padded = api.get(MAP, params={"callback": "f"})
    assert (padded.status_code, TOO_MANY in padded.text) == (200, True)


@pytest.fixture
def sql_key(platform_server: RunningServer, account: TestAccount, admin: psycopg.Connection[Any]) -> str:
    """A key that may read everything, by SQL only."""
    users, database = platform_server.app.platform.users, platform_server.app.platform.database
    role = f"{account.role}_k_sql"

    async def make_key() -> None:
        async with database.metadata() as connection:
            await users.make_role(connection, role, [account.role])
            await users._add_key(connection, account.account, "sql", "regular", role, "a-key-for-sql")

    platform_server.on_server(make_key())
    admin.execute("UPDATE carto_like.api_keys SET apis = '{sql}' WHERE role = %s", (role,))
    admin.commit()
    users.forget()
    return "a-key-for-sql"


def test_case_43_a_key_that_is_not_for_maps_is_refused_everywhere(api: Api, sql_key: str) -> None:
    client = api.with_key(sql_key)
    assert client.sql("SELECT 1 AS one").json()["rows"] == [{"one": 1}]
    open_map = {**template("open"), "layergroup": config(vector_layer(POINT))}
    assert api.post(NAMED, json=open_map).status_code == 200
    token = token_of(make(api, config(vector_layer(POINT))))
    signed = token_of(api.anonymous.post(f"{NAMED}/open"))
    refusals = [
        make(client, V),
        client.get(MAP, params={"config": "{}"}),
        tile(client, token, "0/0/0.mvt"),
        tile(client, signed, "0/0/0.mvt"),
        tile(client, token, "0/attributes/1"),
        client.post(f"{NAMED}/open", json={}),
        client.get(f"{NAMED}/open/all/0/0/0.mvt"),
        client.get(f"{MAP}/static/named/open/10/10.png"),
        client.get(NAMED),
        client.post(NAMED, json=open_map),
        api.anonymous.post(MAP, json={**V, "api_key": sql_key}),
    ]
    for response in refusals:
        assert message(response) == (403, "Forbidden")
        (context,) = response.json()["errors_with_context"]
        assert (context["type"], context["subtype"]) == ("auth", "api-key-does-not-grant-access")
    assert tile(api.anonymous, signed, "0/0/0.mvt").status_code == 200
