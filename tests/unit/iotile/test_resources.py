"""The platform in this project's own shape."""

from __future__ import annotations

import importlib
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import responses
from responses import matchers

from carto_like.core.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ForeignOriginError,
    NotFoundError,
    ResponseFormatError,
)
from carto_like.iotile import _json
from carto_like.iotile.client import IOTileClient
from carto_like.iotile.data import Readings
from carto_like.iotile.devices import Device, DeviceManager
from carto_like.iotile.events import EventManager
from carto_like.iotile.orgs import OrgManager
from carto_like.iotile.projects import ProjectManager
from carto_like.iotile.rows import READING_COLUMNS, reading_rows
from carto_like.iotile.streams import StreamManager
from carto_like.iotile.variables import VariableManager
from tests.unit.sent import sent_json, sent_paths, sent_query

DOMAIN = "https://iotile.test/iotile"
ROOT = f"{DOMAIN}/api/v1"
ONE = "s--0000-0001--0000-0000-0000-0002--5001"
TWO = "s--0000-0001--0000-0000-0000-0002--5002"


@pytest.fixture
def client() -> IOTileClient:
    return IOTileClient(DOMAIN, token="big-token", retry=False)


def page(path: str, results: list[Any], following: str | None = None, **query: str) -> None:
    body = {"count": 99, "next": following, "previous": None, "results": results}
    matching = [matchers.query_param_matcher(query, strict_match=False)]
    responses.get(f"{ROOT}/{path}", json=body, match=matching)


def reading(second: int, value: float | None) -> dict[str, Any]:
    moment = f"2024-05-01T10:00:{second:02}Z"
    return {"timestamp": moment, "value": 1.5, "output_value": value, "int_value": second}


def readings_in_two_pages() -> None:
    page(f"stream/{ONE}/data/", [reading(2, None)], cursor="abc")
    page(f"stream/{ONE}/data/", [reading(0, 1.0), reading(1, 2.0)], f"{ROOT}/stream/{ONE}/data/?cursor=abc")


@responses.activate
def test_login_refresh_and_logout() -> None:
    with IOTileClient(DOMAIN) as client:
        responses.post(f"{ROOT}/auth/login/", json={"jwt": "first-token", "username": "ana"})
        client.login("ana@example.org", "pw")
        assert sent_json() == {"email": "ana@example.org", "password": "pw"}
        assert "Authorization" not in responses.calls[-1].request.headers
        responses.post(f"{ROOT}/auth/api-jwt-refresh/", json={"token": "second-token"})
        client.refresh()
        assert sent_json() == {"token": "first-token"}
        responses.post(f"{ROOT}/auth/logout/", status=204)
        client.logout()
        assert responses.calls[-1].request.headers["Authorization"] == "jwt second-token"
        assert (client.username, client.has_token) == (None, False)
        client.logout()
        assert len(responses.calls) == 3
        with pytest.raises(ConfigurationError, match="log in"):
            client.refresh()
        client.set_token("permanent", "token")
        with pytest.raises(ConfigurationError, match="jwt"):
            client.refresh()


@responses.activate
def test_a_login_that_fails(client: IOTileClient) -> None:
    responses.post(f"{ROOT}/auth/login/", json="Invalid credentials", status=401)
    with pytest.raises(AuthenticationError, match="Invalid credentials"):
        client.login("ana", "pw")
    assert client.has_token
    responses.replace("POST", f"{ROOT}/auth/login/", json={"refused": "correct horse"}, status=400)
    with pytest.raises(BadRequestError) as caught:
        client.login("ana", "correct horse")
    assert "correct horse" not in f"{caught.value} {caught.value.body} {caught.value.detail}"
    responses.replace("POST", f"{ROOT}/auth/login/", json={"token": "other"})
    with pytest.raises(ResponseFormatError, match="'jwt'"):
        client.login("ana", "pw")
    with pytest.raises(ConfigurationError, match="token_type"):
        IOTileClient(DOMAIN, token_type="key")
    assert "big-token" not in repr(client)


@responses.activate
def test_lists_are_lazy_and_follow_next(client: IOTileClient) -> None:
    page("org/", [{"slug": "a", "name": "A"}], f"{ROOT}/org/?cursor=x")
    found = OrgManager(client).iterate(name="A")
    assert len(responses.calls) == 0
    assert str(next(found)) == "A"
    assert sent_query() == {"name": "A"}
    responses.replace("GET", f"{ROOT}/org/", json={"next": None, "results": [{"slug": "b"}]})
    assert [org.slug for org in found] == ["b"]
    assert sent_query() == {"cursor": "x"}


@responses.activate
def test_a_next_on_another_server_gets_no_token(client: IOTileClient) -> None:
    page("org/", [{"slug": "a"}], "https://elsewhere.test/org/?page=2")
    with pytest.raises(ForeignOriginError):
        OrgManager(client).all()
    assert len(responses.calls) == 1


@responses.activate
def test_an_update_sends_the_changes(client: IOTileClient) -> None:
    record = {"slug": "d--0000-0000-0000-0002", "label": "Pump", "lat": 41.15, "lon": -8.61}
    responses.get(f"{ROOT}/device/{record['slug']}/", json=record)
    device = DeviceManager(client).get(record["slug"])
    assert device.position == (-8.61, 41.15)
    assert Device(client).position is None
    responses.patch(f"{ROOT}/device/{record['slug']}/", json={**record, "label": "Well"})
    device.label = "Well"
    device.save()
    assert sent_json() == {"label": "Well"}


@responses.activate
def test_creating(client: IOTileClient) -> None:
    responses.post(f"{ROOT}/org/", json={"slug": "farm", "name": "Farm"}, status=201)
    assert OrgManager(client).create("Farm").slug == "farm"
    assert sent_json() == {"name": "Farm"}
    responses.post(f"{ROOT}/project/", json={"id": "0b7a", "slug": "p--0000-0001"}, status=201)
    assert ProjectManager(client).create("Pumps", "farm").get_id() == "0b7a"
    responses.post(f"{ROOT}/variable/", json={"slug": "v--1", "output_unit": {"unit_short": "G"}})
    variable = VariableManager(client).create("Flow", "p--0000-0001", 0x5001)
    assert variable.output_units == {"unit_short": "G"}
    assert sent_json() == {"name": "Flow", "project": "p--0000-0001", "lid": 0x5001}
    with pytest.raises(AttributeError, match="first reading"):
        _ = StreamManager(client).create


@responses.activate
def test_readings_one_by_one(client: IOTileClient) -> None:
    readings_in_two_pages()
    responses.get(f"{ROOT}/stream/{ONE}/", json={"slug": ONE})
    readings = StreamManager(client).get(ONE).readings(start="2024-05-01", lastn=3, page_size=2)
    first, _, last = list(readings)
    assert first == (datetime(2024, 5, 1, 10, tzinfo=timezone.utc), 1.5, 1.0, 0)
    assert last.output_value is None
    assert sent_query(1) == {"start": "2024-05-01T00:00:00Z", "lastn": "3", "page_size": "2"}
    assert sent_query(2) == {"cursor": "abc"}


@responses.activate
def test_readings_as_numpy(client: IOTileClient) -> None:
    readings_in_two_pages()
    array = Readings(client, ONE).to_numpy()
    assert array.dtype.names == ("timestamp", "value", "output_value")
    assert str(array["timestamp"][2]) == "2024-05-01T10:00:02.000000"
    assert array["output_value"][:2].tolist() == [1.0, 2.0]
    assert math.isnan(array["output_value"][2])
    page(f"stream/{TWO}/data/", [])
    assert len(Readings(client, TWO).to_numpy()) == 0


@responses.activate
def test_readings_as_pandas(client: IOTileClient) -> None:
    readings_in_two_pages()
    frame = Readings(client, ONE).to_pandas()
    assert frame.index[0].isoformat() == "2024-05-01T10:00:00+00:00"
    assert list(frame.columns) == ["value", "output_value"]
    assert frame["output_value"].sum() == 3.0


@responses.activate
def test_readings_as_arrow(client: IOTileClient) -> None:
    readings_in_two_pages()
    table = Readings(client, ONE).to_arrow()
    assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"
    assert table["output_value"].to_pylist() == [1.0, 2.0, None]


def test_a_missing_library_names_the_extra(client: IOTileClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"numpy.*\[frames\]"):
        Readings(client, ONE).to_numpy()


@pytest.mark.parametrize("query", [{"lastn": 0}, {"page_size": -1}, {"start": "soon"}, {"end": 5}])
def test_readings_that_cannot_be_asked_for(client: IOTileClient, query: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        Readings(client, ONE, **query)


@responses.activate
def test_readings_without_results(client: IOTileClient) -> None:
    responses.get(f"{ROOT}/stream/{ONE}/data/", json={"next": "?page=2"})
    with pytest.raises(ResponseFormatError, match="results"):
        list(Readings(client, ONE))


@responses.activate
def test_events(client: IOTileClient, tmp_path: Path) -> None:
    page("event/", [{"id": 3, "stream": ONE, "extra_data": {"foo": "bar"}}], filter=ONE)
    [event] = EventManager(client).filter(filter=ONE)
    assert event.extra_data == {"foo": "bar"}
    responses.get(f"{ROOT}/event/3/data/", json=[1, 2])
    assert event.data() == [1, 2]
    responses.replace("GET", f"{ROOT}/event/3/data/", status=404)
    with pytest.raises(NotFoundError):
        event.data()
    file = tmp_path / "wave.json"
    file.write_text("[1]")
    responses.post(f"{ROOT}/event/upload/", json={"id": 4, "stream": ONE}, status=201)
    assert EventManager(client).upload(file, ONE, "2024-05-01T12:00:00+02:00", {"foo": 1}).id == 4
    sent: Any = responses.calls[-1].request.body
    content = bytes(sent)
    assert b"2024-05-01T10:00:00Z" in content
    assert b'{"foo": 1}' in content
    assert b'filename="wave.json"' in content


@responses.activate
def test_rows_for_copy(client: IOTileClient) -> None:
    record = {"slug": "d--0000-0000-0000-0002", "lat": 41.15, "lon": -8.61}
    responses.get(f"{ROOT}/device/{record['slug']}/", json=record)
    page(f"stream/{ONE}/data/", [reading(0, 1.0)])
    page(f"stream/{TWO}/data/", [reading(1, None)])
    rows = list(reading_rows(client, [ONE, TWO], start="2024-01-01"))
    assert [dict(zip(READING_COLUMNS, row, strict=True))["the_geom"] for row in rows] == [
        "SRID=4326;POINT(-8.61 41.15)"
    ] * 2
    assert [row[0] for row in rows] == [ONE, TWO]
    assert [row[3] for row in rows] == [1.0, None]
    assert sent_paths().count(f"GET /iotile/api/v1/device/{record['slug']}/") == 1


def test_json_is_read_with_and_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _json.loads(b'{"a": NaN}')["a"] != 0

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    _json._reader.cache_clear()
    assert _json.loads(b"[1]") == [1]
    with pytest.raises(ValueError, match="Expecting"):
        _json.loads(b"<html>")
    _json._reader.cache_clear()
