"""Exports as the SDK asks for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import responses

from carto_like.auth import APIKeyAuthClient
from carto_like.exceptions import (
    CartoConfigurationException,
    CartoException,
    CartoJobFailed,
    CartoJobTimeout,
    PartialResultException,
    UnprocessableEntityError,
)
from carto_like.export import EXTENSIONS, Exporter, ExportJob, query_of
from carto_like.visualizations import Visualization
from tests.support.clock import FakeClock
from tests.unit.sent import sent_paths, sent_query

ROOT = "https://ana.carto.com/"
EXPORTS = ROOT + "api/v3/visualization_exports/"
SQL = ROOT + "api/v2/sql"
ID = "0d1c2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
MAP = "99bb2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
FILE = "https://files.example.org/map.carto"


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


@pytest.fixture
def shown(client: APIKeyAuthClient) -> Visualization:
    found = Visualization(client)
    found.load({"id": MAP, "name": "shown"})
    return found


def states(*names: str) -> None:
    responses.post(EXPORTS, json={"id": ID, "state": "pending"}, status=201)
    for name in names:
        url = FILE if name == "complete" else None
        responses.get(EXPORTS + ID, json={"id": ID, "state": name, "url": url})


@responses.activate
def test_a_job_names_the_map_and_its_tables(client: APIKeyAuthClient) -> None:
    states("exporting")
    job = ExportJob(client, MAP)
    job.run(user_tables_ids="a,b")
    assert sent_query(0)["visualization_id"] == MAP
    assert sent_query(0)["user_tables_ids"] == "a,b"
    job.refresh()
    assert (job.id, job.state) == (ID, "exporting")


@responses.activate
def test_uploading_is_no_failure(shown: Visualization) -> None:
    states("exporting", "uploading", "complete")
    clock = FakeClock()
    assert shown.export(clock=clock) == FILE
    assert sent_paths() == ["POST /api/v3/visualization_exports/"] + 3 * [
        f"GET /api/v3/visualization_exports/{ID}"
    ]


@pytest.mark.parametrize("state", ["failure", "odd"])
@responses.activate
def test_other_states_are_failures(shown: Visualization, state: str) -> None:
    states(state)
    with pytest.raises(CartoJobFailed, match=state):
        shown.export(clock=FakeClock())


@responses.activate
def test_waiting_ends(shown: Visualization) -> None:
    states("exporting")
    with pytest.raises(CartoJobTimeout):
        shown.export(timeout=20, interval=5, clock=FakeClock())
    assert len(responses.calls) <= 6


@responses.activate
def test_a_refusal_is_told(shown: Visualization) -> None:
    responses.post(EXPORTS, json={"errors": "Only maps can be exported"}, status=422)
    with pytest.raises(CartoException, match="Only maps") as caught:
        shown.export(clock=FakeClock())
    assert UnprocessableEntityError.__name__ in {type(each).__name__ for each in caught.value.args} | {
        type(caught.value).__name__
    }


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ("cities", "SELECT * FROM cities"),
        ("ana.cities", "SELECT * FROM ana.cities"),
        ("My cities", 'SELECT * FROM "My cities"'),
        ('a"; DROP TABLE b', 'SELECT * FROM "a""; DROP TABLE b"'),
        ("select 1;", "select 1;"),
        ("values", "SELECT * FROM values"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
    ],
)
def test_tables_are_told_from_queries(source: str, query: str) -> None:
    assert query_of(source) == query


def asked(call: int = 0) -> dict[str, str]:
    body: Any = responses.calls[call].request.body
    return {name: values[-1] for name, values in parse_qs(body).items()}


@pytest.mark.parametrize(("ending", "format"), [(".csv", "csv"), (".JSON", "geojson"), (".zip", "shp")])
@responses.activate
def test_the_ending_names_the_format(
    client: APIKeyAuthClient, tmp_path: Path, ending: str, format: str
) -> None:
    responses.post(SQL, body=b"data")
    target = Exporter(client).to_path("cities", tmp_path / f"out{ending}", skipfields="a")
    assert target.read_bytes() == b"data"
    told = asked()
    assert (told["format"], told["filename"], told["skipfields"]) == (format, "out", "a")


def test_every_format_has_an_ending_of_its_own() -> None:
    assert len(set(EXTENSIONS.values())) == len(EXTENSIONS)


@responses.activate
def test_nothing_is_asked_for_without_a_format(client: APIKeyAuthClient, tmp_path: Path) -> None:
    with pytest.raises(CartoConfigurationException, match=r"out\.doc"):
        Exporter(client).to_path("cities", tmp_path / "out.doc")
    with pytest.raises(CartoConfigurationException, match="'doc'"):
        Exporter(client).open("cities", "doc")
    with pytest.raises(CartoConfigurationException, match="a file is needed"):
        Exporter(client).to_file("cities", "out.csv", "csv")
    assert len(responses.calls) == 0


@responses.activate
def test_a_document_that_tells_of_an_error_is_no_file(client: APIKeyAuthClient, tmp_path: Path) -> None:
    body = '{"type": "FeatureCollection", "features": [{"type":"Feature"}],"error":["division by zero"]}'
    responses.post(SQL, body=body)
    target = tmp_path / "out.geojson"
    target.write_text("before")
    with pytest.raises(PartialResultException, match="division by zero"):
        Exporter(client).to_path("cities", target)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


@responses.activate
def test_a_value_that_looks_like_an_error_is_none(client: APIKeyAuthClient, tmp_path: Path) -> None:
    body = '{"features": [{"properties":{"t":[1],"error":["x"]}}]}'
    responses.post(SQL, body=body)
    assert Exporter(client).to_path("cities", tmp_path / "out.geojson").read_text() == body


@responses.activate
def test_a_refused_export_leaves_the_file(client: APIKeyAuthClient, tmp_path: Path) -> None:
    responses.post(SQL, json={"error": ["no such table"]}, status=400)
    target = tmp_path / "out.csv"
    target.write_text("before")
    with pytest.raises(CartoException, match="no such table"):
        Exporter(client).to_path("cities", target)
    assert target.read_text() == "before"


@pytest.mark.parametrize(
    ("method", "library", "extra"),
    [
        ("to_arrow", "pyarrow", "frames"),
        ("to_pandas", "pandas", "frames"),
        ("to_geopandas", "geopandas", "geo"),
    ],
)
@responses.activate
def test_a_missing_library_is_named_before_anything_is_asked(
    client: APIKeyAuthClient, monkeypatch: pytest.MonkeyPatch, method: str, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CartoConfigurationException, match=rf"{library} is needed.*carto-like\[{extra}\]"):
        getattr(Exporter(client), method)("cities")
    assert len(responses.calls) == 0
