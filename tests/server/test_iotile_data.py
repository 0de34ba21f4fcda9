"""Readings on the server: recorded, filtered, paged by number and by cursor, and as tables."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from carto_like.iotile.client import IOTileClient
from carto_like.iotile.data import Readings
from carto_like.server.services.iotile import frames
from carto_like.server.services.iotile.readings import told_rows
from carto_like.server.services.iotile.scopes import scope_of
from tests.support.api import make_account
from tests.support.iotile import IOTileApi
from tests.support.sensors import Sensors, make_sensors
from tests.support.server import RunningServer

MINUTES = [(f"2024-05-01T10:{minute:02}:00Z", minute) for minute in range(25)]


@pytest.fixture(scope="module")
def sensors(platform_server: RunningServer) -> Sensors:
    """Sensors with 25 readings, a minute apart, in units, and 3 raw ones."""
    made = make_sensors(platform_server)
    made.post(MINUTES)
    made.post(MINUTES[:3], made.bare)
    return made


@pytest.fixture(scope="module")
def own(platform_server: RunningServer) -> Sensors:
    """Sensors without readings."""
    return make_sensors(platform_server)


def walked(api: IOTileApi, address: str, **query: Any) -> list[list[dict[str, Any]]]:
    """The pages of a list, by their ``next``."""
    pages = []
    url: str | None = address
    while url:
        answer = api.get(url, params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        pages.append(body["results"])
        url, query = body["next"], {}
    return pages


def data_of(sensors: Sensors, **query: Any) -> dict[str, Any]:
    answer = sensors.api.get(f"stream/{sensors.stream}/data/", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_readings_have_the_shape_and_units_of_the_stream(sensors: Sensors) -> None:
    body = data_of(sensors, lastn=1)
    assert body == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {
                "type": "ITR",
                "timestamp": "2024-05-01T10:24:00Z",
                "int_value": 24,
                "value": 2400.0,
                "display_value": "2400.00",
                "output_value": 2400.0,
                "streamer_local_id": 0,
            }
        ],
    }


@pytest.mark.parametrize(
    ("query", "first", "last", "count"),
    [
        ({}, 0, 24, 25),
        ({"lastn": 3}, 22, 24, 3),
        ({"lastn": 100000}, 0, 24, 25),
        ({"start": "2024-05-01T10:20:00Z"}, 20, 24, 5),
        ({"end": "2024-05-01T10:05:00Z"}, 0, 4, 5),
        ({"start": "2024-05-01T10:05:00", "end": "2024-05-01T10:06:00"}, 5, 5, 1),
        ({"start": "2024-05-01T12:05:00+02:00", "lastn": 2}, 23, 24, 2),
        ({"start": "2024-05-01T10:05:00Z", "end": "2024-05-01T10:10:00Z", "lastn": 2}, 8, 9, 2),
        ({"mask": 1, "end": "2024-05-01T10:01:00Z"}, 0, 0, 1),
    ],
)
def test_periods(sensors: Sensors, query: dict[str, Any], first: int, last: int, count: int) -> None:
    body = data_of(sensors, **query)
    values = [item["int_value"] for item in body["results"]]
    assert (values[0], values[-1], len(values), body["count"]) == (first, last, count, count)
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"lastn": 0}, "lastn"),
        ({"lastn": 100001}, "lastn"),
        ({"lastn": "few"}, "lastn"),
        ({"start": "yesterday"}, "start"),
        ({"end": "2024-13-01"}, "end"),
        ({"id_0": "x"}, "id_0"),
    ],
)
def test_bad_periods_name_the_parameter(sensors: Sensors, query: dict[str, Any], field: str) -> None:
    for path in (f"stream/{sensors.stream}/data/", "data/", "df/"):
        answer = sensors.api.get(path, params={"filter": sensors.stream, **query})
        assert (answer.status_code, list(answer.json())) == (400, [field])


@pytest.mark.parametrize("query", [{}, {"lastn": 12}, {"start": "2024-05-01T10:07:00Z"}], ids=str)
@pytest.mark.parametrize("size", [1, 5, 6, 12])
def test_pages_by_cursor_and_by_number_are_the_same(
    sensors: Sensors, query: dict[str, Any], size: int
) -> None:
    whole = data_of(sensors, **query)
    path = f"stream/{sensors.stream}/data/"
    by_cursor = walked(sensors.api, path, page_size=size, **query)
    assert [item for page in by_cursor for item in page] == whole["results"]
    assert all(by_cursor), "no page is empty"
    for number, page in enumerate(by_cursor, 1):
        by_number = data_of(sensors, page_size=size, page=number, **query)
        assert (by_number["results"], by_number["count"]) == (page, whole["count"])
        assert bool(by_number["next"]) is (number < len(by_cursor))
    past = sensors.api.get(path, params={**query, "page_size": size, "page": len(by_cursor) + 1})
    assert (past.status_code, past.json()) == (404, {"detail": "Invalid page."})


def test_next_carries_number_and_cursor(sensors: Sensors) -> None:
    body = data_of(sensors, page_size=10, page=2)
    following, previous = (parse_qs(urlsplit(body[name]).query) for name in ("next", "previous"))
    assert (following["page"], following["page_size"]) == (["3"], ["10"])
    assert "cursor" in following
    assert (previous["page"], "cursor" in previous) == (["1"], False)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "é", "OhK1i6vacBdObckgLlQqVls2LHsidCI6MTcxNDU1NzYwMF0"])
def test_a_cursor_that_we_did_not_make_is_no_page(sensors: Sensors, cursor: str) -> None:
    answer = sensors.api.get(f"stream/{sensors.stream}/data/", params={"cursor": cursor})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize(
    ("query", "values", "previous"),
    [
        ({"page_size": 10}, [20, 21, 22, 23, 24], "page=2"),
        ({"page_size": 5}, [20, 21, 22, 23, 24], "page=4"),
        ({"page_size": 2, "lastn": 3}, [24], "page=1"),
        ({}, list(range(25)), None),
    ],
)
def test_the_last_page(
    sensors: Sensors, query: dict[str, Any], values: list[int], previous: str | None
) -> None:
    body = data_of(sensors, page="last", **query)
    assert [item["int_value"] for item in body["results"]] == values
    assert (body["next"], (body["previous"] or "").endswith(previous or "")) == (None, True)
    empty = {"filter": sensors.stream, "end": "2000-01-01", "page": "last"}
    assert sensors.api.get("data/", params=empty).json()["results"] == []


def test_a_cursor_belongs_to_what_was_asked_for(sensors: Sensors) -> None:
    following = sensors.api.get("data/", params={"filter": sensors.stream, "page_size": 3}).json()["next"]
    larger = sensors.api.get(following.replace("page_size=3", "page_size=4"))
    assert [item["int_value"] for item in larger.json()["results"]] == [3, 4, 5, 6]
    for other in (following.replace(sensors.stream, sensors.bare), f"{following}&start=2024-05-01"):
        answer = sensors.api.get(other)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."})


def test_readings_that_arrive_during_a_walk_neither_shift_nor_end_it(
    own: Sensors, platform_server: RunningServer
) -> None:
    own.post(MINUTES[10:20])
    first = data_of(own, page_size=5)
    own.post(MINUTES[:5])
    second = own.api.get(first["next"]).json()
    assert [item["int_value"] for item in second["results"]] == list(range(15, 20))


def test_many_readings_of_one_moment_are_paged_whole(own: Sensors) -> None:
    stream = own.bare
    own.post([("2024-06-01T00:00:00Z", value) for value in range(7)], stream)
    pages = walked(own.api, "data/", filter=stream, page_size=2)
    assert sorted(item["int_value"] for page in pages for item in page) == list(range(7))


def test_raw_points_and_their_shape(sensors: Sensors) -> None:
    body = sensors.api.get("data/", params={"filter": sensors.stream, "lastn": 1}).json()
    point = body["results"][0]
    assert point == {
        "id": point["id"],
        "stream": sensors.stream,
        "project": sensors.project["slug"],
        "device": sensors.device["slug"],
        "variable": sensors.variable["slug"],
        "type": "ITR",
        "device_timestamp": None,
        "timestamp": "2024-05-01T10:24:00Z",
        "int_value": 24,
        "value": 2400.0,
        "streamer_local_id": 0,
        "dirty_ts": False,
        "status": "unk",
    }
    assert sensors.api.get(f"data/{point['id']}/").json() == point
    around = {"filter": sensors.stream, "id_0": point["id"], "id_1": point["id"]}
    assert sensors.api.get("data/", params=around).json()["results"] == [point]


def test_filters_of_raw_points(sensors: Sensors) -> None:
    variable = sensors.variable["slug"]
    counts = {
        text: sensors.api.get("data/", params={"filter": text}).json()["count"]
        for text in (
            *(sensors.stream, sensors.bare, sensors.device["slug"], variable),
            *("d--" + sensors.device["slug"][-4:], "b--0001" + sensors.device["slug"][7:], ""),
        )
    }
    assert list(counts.values()) == [25, 3, 28, 25, 28, 0, 0]
    bare = sensors.api.get("data/", params={"filter": sensors.bare}).json()["results"]
    assert [(item["int_value"], item["value"]) for item in bare] == [(0, None), (1, None), (2, None)]
    wrong = sensors.api.get("data/", params={"filter": "d--abc"})
    assert (wrong.status_code, list(wrong.json())) == (400, ["filter"])


def test_others_see_nothing(sensors: Sensors, platform_server: RunningServer) -> None:
    point = sensors.api.get("data/", params={"filter": sensors.stream, "lastn": 1}).json()["results"][0]
    stranger = IOTileApi(platform_server).login(make_account(platform_server))
    for text in (sensors.stream, sensors.device["slug"], sensors.variable["slug"]):
        assert stranger.get("data/", params={"filter": text}).json()["results"] == []
        assert stranger.get("df/", params={"filter": text}).text == "row,value,stream_slug\n"
    for path in (f"stream/{sensors.stream}/data/", f"stream/{sensors.stream}/csv/", f"data/{point['id']}/"):
        assert stranger.get(path).status_code == 404
    reading = {"stream": sensors.stream, "timestamp": "2024-05-01T10:00:00Z", "int_value": 1}
    for body in (reading, [reading]):
        assert stranger.post("data/", json=body).status_code == 400
    # A stream of one's own project, but of a device of others.
    other = make_sensors(platform_server)
    foreign = f"s--{other.project['gid']}--{sensors.device['gid']}--5001"
    refused = other.api.post("data/", json={**reading, "stream": foreign})
    assert (refused.status_code, refused.json()) == (400, {"stream": ["There is no such device."]})
    nobody = IOTileApi(platform_server).get("data/", params={"filter": sensors.stream})
    assert (nobody.status_code, "WWW-Authenticate" in nobody.headers) == (401, True)


# Recording


def test_one_reading_is_answered_as_it_was_recorded(own: Sensors) -> None:
    given = {"stream": own.stream, "timestamp": "2024-07-01T00:00:00+02:00", "value": 1.5, "type": "ITR"}
    answer = own.api.post("data/", json=given)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["timestamp"], body["value"], body["int_value"]) == ("2024-06-30T22:00:00Z", 1.5, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stream": None}, "stream"),
        ({"stream": "s--1"}, "stream"),
        ({"stream": "s--0000-ffff--0000-0000-0000-0001--5001"}, "stream"),
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"int_value": None}, "non_field_errors"),
        ({"value": 1.0}, "non_field_errors"),
        ({"int_value": 1.5}, "int_value"),
        ({"int_value": 2**63}, "int_value"),
        ({"int_value": True}, "int_value"),
        ({"int_value": None, "value": 1e101}, "value"),
        ({"int_value": None, "value": 1e-101}, "value"),
        ({"int_value": None, "value": 1, "type": "Num"}, "type"),
        ({"dirty_ts": "no"}, "dirty_ts"),
        ({"status": "perfect"}, "status"),
        ({"streamer_local_id": -1}, "streamer_local_id"),
    ],
    ids=str,
)
def test_bad_readings_name_the_field_and_leave_nothing(
    own: Sensors, change: dict[str, Any], field: str
) -> None:
    good = {"stream": own.stream, "timestamp": "2030-01-01T00:00:00Z", "int_value": 1}
    bad = {name: value for name, value in {**good, **change}.items() if value is not None}
    answer = own.api.post("data/", json=bad)
    assert (answer.status_code, list(answer.json())) == (400, [field])
    answer = own.api.post("data/", json=[good, bad])
    assert answer.status_code == 400
    assert [list(problems) for problems in answer.json()] == [[], [field]]
    kept = own.api.get("data/", params={"filter": own.stream, "start": "2030-01-01T00:00:00Z"})
    assert kept.json()["count"] == 0


def test_numbers_out_of_range_are_told_the_range(own: Sensors) -> None:
    good = {"stream": own.stream, "timestamp": "2030-01-01T00:00:00Z"}
    for field, value, limit in (("int_value", 2**63, str(2**63 - 1)), ("value", 1e101, "1e100")):
        answer = own.api.post("data/", json={**good, field: value})
        assert (answer.status_code, limit in answer.json()[field][0]) == (400, True), answer.text


def test_values_are_displayed_with_all_their_digits(own: Sensors) -> None:
    value, at = 123456789012345.67, "2028-01-01T00:00:00Z"
    reading = {"stream": own.stream, "timestamp": at, "value": value}
    assert own.api.post("data/", json=reading).status_code == 201
    (told,) = data_of(own, start=at, end="2028-01-02")["results"]
    assert (told["value"], told["display_value"]) == (value, "123456789012345.67")


def test_the_largest_and_smallest_numbers_can_be_told_and_summed_up(own: Sensors) -> None:
    since = {"start": "2031-01-01T00:00:00Z"}
    values = [1e100, -1e100, 1e-100, 0.0]
    new = [{"stream": own.stream, "timestamp": since["start"], "value": value} for value in values]
    assert own.api.post("data/", json=new).status_code == 201
    assert [item["value"] for item in data_of(own, **since)["results"]] == values
    for more in ({}, {"apply_mdo": 1}, {"pivot": 1}):
        rows = table(own, filter=own.stream, stats=1, **more, **since)
        assert [float(row[1]) for row in rows[5:]] == [-1e100, pytest.approx(5e-101), 1e100]
    largest = {"offset": 1e101}
    answer = own.api.patch(f"variable/{own.variable['slug']}/", json=largest)
    assert (answer.status_code, list(answer.json())) == (400, ["offset"])


# Tables


def table(sensors: Sensors, **query: Any) -> list[list[str]]:
    answer = sensors.api.get("df/", params=query)
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


def test_tables_are_csv_with_a_row_per_reading(sensors: Sensors) -> None:
    answer = sensors.api.get("df/", params={"filter": sensors.stream})
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = table(sensors, filter=sensors.stream)
    assert rows[:2] == [["row", "value", "stream_slug"], ["2024-05-01T10:00:00Z", "0.0", sensors.stream]]
    assert len(rows) == 26
    raw = table(sensors, filter=sensors.bare)
    assert raw[0] == ["row", "int_value", "stream_slug"]
    assert [row[1] for row in raw[1:]] == ["0", "1", "2"]
    extended = table(sensors, filter=sensors.stream, extended=1, end="2024-05-01T10:01:00Z")
    assert extended[0] == ["row", "value", "stream_slug", "device_timestamp", "streamer_local_id"]
    assert extended[1][3:] == ["", "0"]


def test_tables_in_other_formats(sensors: Sensors) -> None:
    query = {"filter": sensors.stream, "end": "2024-05-01T10:02:00Z"}
    answer = sensors.api.get("df/", params={**query, "format": "json"})
    assert answer.json() == [
        {"row": "2024-05-01T10:00:00Z", "value": 0.0, "stream_slug": sensors.stream},
        {"row": "2024-05-01T10:01:00Z", "value": 100.0, "stream_slug": sensors.stream},
    ]
    assert sensors.api.get("df/", params={"filter": "", "format": "json"}).json() == []
    text = sensors.api.get("df/", params={**query, "format": "txt"})
    assert text.headers["Content-Type"].startswith("text/plain")
    bad = sensors.api.get("df/", params={**query, "format": "xls"})
    assert (bad.status_code, list(bad.json())) == (400, ["format"])
    own = sensors.api.get(f"stream/{sensors.stream}/csv/", params={"lastn": 1, "start": query["end"]})
    assert own.text.splitlines() == ["row,value,stream_slug", f"2024-05-01T10:24:00Z,2400.0,{sensors.stream}"]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are read a few rows at a time, as long ones are."""
    monkeypatch.setattr(frames, "_CHUNK", 4)


@pytest.mark.usefixtures("small_blocks")
def test_a_column_per_stream(sensors: Sensors) -> None:
    rows = table(sensors, filter=sensors.device["slug"], pivot=1)
    assert rows[0] == ["row", sensors.stream, sensors.bare]
    assert len(rows) == 26
    assert rows[2] == ["2024-05-01T10:01:00Z", "100.0", ""]
    plain = table(sensors, filter=sensors.device["slug"])
    assert len(plain) == 29
    assert len({tuple(row) for row in plain}) == 29


def test_rows_of_many_columns_are_written_a_few_at_a_time(
    sensors: Sensors, platform_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_MOST_CELLS", 12)
    database = platform_server.app.platform.database
    account = sensors.api.get("account/").json()["results"][0]["id"]

    async def sizes() -> list[int]:
        async with database.metadata() as connection:
            scope = await scope_of(connection, account, sensors.device["slug"])
        assert scope is not None
        found = await frames.Frames(database, scope, "value").pivot()
        return [len(block) async for block in found.blocks]

    assert platform_server.on_server(sizes()) == [4, 4, 4, 4, 4, 4, 0, 1]


@pytest.mark.usefixtures("small_blocks")
def test_readings_of_one_moment_have_rows_of_their_own(own: Sensors) -> None:
    head, *_ = own.stream.rsplit("--", 1)
    own.post([("2024-08-01T00:00:00Z", value) for value in range(6)], f"{head}--5003")
    rows = table(own, filter=f"{head}--5003", pivot=1)
    assert sorted(row[1] for row in rows[1:]) == ["0", "1", "2", "3", "4", "5"]


def test_statistics(sensors: Sensors) -> None:
    rows = table(sensors, filter=sensors.stream, stats=1, end="2024-05-01T10:04:00Z")
    assert [row[0] for row in rows] == ["row", "count", "sum", "mean", "std", "min", "median", "max"]
    assert [float(row[1]) for row in rows[1:4]] == [4, 600, 150]
    assert float(rows[4][1]) == pytest.approx(129.0994448)
    assert [float(row[1]) for row in rows[5:]] == [0, 150, 300]
    pivoted = table(sensors, filter=sensors.device["slug"], stats=1, pivot=1)
    assert pivoted[:2] == [["row", sensors.stream, sensors.bare], ["count", "25", "0"]]


def test_statistics_of_raw_integers_are_numbers_in_every_format(own: Sensors) -> None:
    since = "2032-01-01T00:00:00Z"
    own.post([(since, 5), (since, 6)], own.bare)
    query = {"filter": own.bare, "stats": 1, "start": since}
    told = own.api.get("df/", params={**query, "format": "json"}).json()
    expected = [2, 11, 5.5, pytest.approx(0.5**0.5), 5, 5.5, 6]
    assert [row["int_value"] for row in told] == expected
    assert [float(row[1]) for row in table(own, **query)[1:]] == expected
    own.post([(since, 2**63 - 1)] * 2, own.bare)
    told = own.api.get("df/", params={**query, "format": "json"}).json()
    assert told[1]["int_value"] == pytest.approx(2**64 + 9), "more than 64 bits are told as a float"


def test_output_units(sensors: Sensors) -> None:
    plain = table(sensors, filter=sensors.stream, start="2024-05-01T10:24:00Z")
    told = table(sensors, filter=sensors.stream, start="2024-05-01T10:24:00Z", apply_mdo=1)
    assert float(plain[1][1]) == 2400.0
    assert float(told[1][1]) == data_of(sensors, lastn=1)["results"][0]["output_value"]


@pytest.mark.parametrize(("lastn", "count"), [(1, 1), (2, 2), (99, 5)])
def test_tables_of_the_last_readings(sensors: Sensors, lastn: int, count: int) -> None:
    query = {"filter": sensors.stream, "lastn": lastn, "end": "2024-05-01T10:05:00Z"}
    rows = table(sensors, **query)[1:]
    assert (len(rows), rows[-1][0]) == (count, "2024-05-01T10:04:00Z")
    assert table(sensors, stats=1, **query)[1] == ["count", str(count)]
    assert table(sensors, **{**query, "end": "2020-01-01"}) == [["row", "value", "stream_slug"]]


# What it costs


@pytest.mark.parametrize(
    "condition", ["r.device = 10 AND r.variable = 86017", "r.device = 10", "r.variable = 86017"]
)
def test_a_page_at_any_depth_is_a_range_of_an_index(condition: str, admin: psycopg.Connection[Any]) -> None:
    """Nothing before the page is read, and nothing but the page is sorted."""
    admin.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    query = told_rows(f"{condition} AND (r.timestamp, r.id) > (now(), 5)")
    plan = admin.execute(f"EXPLAIN {query}".encode(), {"size": 10, "offset": 0}).fetchall()
    text = "\n".join(row[0] for row in plan)
    beneath = text.split("Limit ")[1].split("Hash ")[0]
    assert "Index Scan using iotile_stream_data_" in beneath, text
    assert "ROW(" in beneath.split("Index Cond:")[1].split("\n")[0], text
    assert "Sort" not in beneath, text


def test_the_last_readings_are_read_from_the_end_of_an_index(admin: psycopg.Connection[Any]) -> None:
    admin.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    plan = admin.execute(
        "EXPLAIN SELECT r.timestamp, r.id FROM carto_like.iotile_stream_data r"
        " WHERE r.device = 10 AND r.variable = 86017 ORDER BY r.timestamp DESC, r.id DESC LIMIT 1 OFFSET 9"
    ).fetchall()
    text = "\n".join(row[0] for row in plan)
    assert "Index Only Scan Backward" in text or "Index Scan Backward" in text, text
    assert "Sort" not in text, text


# With the client


def test_the_client_reads_readings_that_are_all_alike(own: Sensors) -> None:
    own.post([("2034-01-01T00:00:00Z", 7)] * 5)
    assert own.api.authorization is not None
    with IOTileClient(own.api.domain, token=own.api.authorization.split()[1]) as client:
        for size in (1, 2, 5):
            readings = Readings(client, own.stream, start="2034-01-01", end="2035-01-01", page_size=size)
            assert [reading.int_value for reading in readings] == [7] * 5, size


def test_the_client_follows_cursors(sensors: Sensors) -> None:
    assert sensors.api.authorization is not None
    token = sensors.api.authorization.split()[1]
    with IOTileClient(sensors.api.domain, token=token) as client:
        readings = Readings(client, sensors.stream, page_size=4)
        assert [reading.int_value for reading in readings] == list(range(25))
        array = readings.to_numpy()
        assert array["value"].tolist() == [100.0 * number for number in range(25)]
        assert str(array["timestamp"][1]) == "2024-05-01T10:01:00.000000"
        frame = Readings(client, sensors.stream, lastn=3, page_size=2).to_pandas()
        assert frame["value"].tolist() == [2200.0, 2300.0, 2400.0]
        assert Readings(client, sensors.stream).to_arrow().num_rows == 25
