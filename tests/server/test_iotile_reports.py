"""Reports of streamers and events with files: each recorded once, or refused whole."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack
import pytest
import requests

from carto_like.iotile.api.connection import Api
from carto_like.iotile.client import IOTileClient
from carto_like.iotile.events import EventManager
from carto_like.server.routes.iotile import data, events, reports
from tests.conftest import MakeServer
from tests.support.api import make_account
from tests.support.iotile import IOTileApi
from tests.support.reports import binary_report
from tests.support.sensors import Sensors, make_sensors
from tests.support.server import RunningServer

SENT = "2024-05-01T10:00:00"


@pytest.fixture
def sensors(platform_server: RunningServer) -> Sensors:
    return make_sensors(platform_server)


def send(
    sensors: Sensors, content: bytes, name: str = "r.bin", timestamp: str | None = SENT
) -> requests.Response:
    params = {} if timestamp is None else {"timestamp": timestamp}
    return sensors.api.post("streamer/report/", params=params, files={"file": (name, content)})


def points_of(sensors: Sensors) -> list[dict[str, Any]]:
    answer = sensors.api.get("data/", params={"filter": sensors.device["slug"]})
    points: list[dict[str, Any]] = answer.json()["results"]
    return points


READINGS = [(0x5001, number, 900 + number, number * 10) for number in range(1, 101)]


def test_a_binary_report_becomes_readings(sensors: Sensors) -> None:
    content = binary_report(sensors.number, READINGS, sent=1000)
    assert len(content) == 1644
    answer = send(sensors, content, timestamp="2024-05-01T10:00:00.123456")
    assert (answer.status_code, answer.json()) == (201, {"count": 100})
    points = points_of(sensors)
    assert len(points) == 100
    first = points[0]
    # Id 1 was taken 99 s before the device sent its report.
    assert first["timestamp"] == "2024-05-01T09:58:21Z"
    assert (first["int_value"], first["streamer_local_id"], first["device_timestamp"]) == (10, 1, 901)
    assert (first["stream"], first["value"]) == (sensors.stream, 1000.0)
    streamer = sensors.api.get("streamer/", params={"device": sensors.device["slug"]}).json()["results"][0]
    assert (streamer["last_id"], streamer["selector"], streamer["index"]) == (100, 0xABCD, 1)
    report = sensors.api.get("streamer/report/").json()["results"][0]
    assert (report["original_first_id"], report["original_last_id"], report["actual_last_id"]) == (
        1,
        100,
        100,
    )
    assert (report["streamer"], report["device_sent_timestamp"]) == (streamer["slug"], 1000)
    assert sensors.api.get(f"streamer/report/{report['id']}/").json() == report
    assert sensors.api.get(f"streamer/report/{report['id']}/file/").content == content


def test_a_report_that_is_sent_again_brings_only_what_is_new(sensors: Sensors) -> None:
    assert send(sensors, binary_report(sensors.number, READINGS[:60])).status_code == 201
    again = send(sensors, binary_report(sensors.number, READINGS[40:]), timestamp="2024-05-01T11:00:00Z")
    assert again.json() == {"count": 60}
    assert sorted(point["streamer_local_id"] for point in points_of(sensors)) == list(range(1, 101))
    # After a reset the device counts from 1 again; nothing of that is lost.
    reset = [(0x5001, number, 5 + number, 7) for number in range(1, 4)]
    assert send(sensors, binary_report(sensors.number, reset)).status_code == 201
    assert len(points_of(sensors)) == 103


def test_the_same_report_many_times_at_once_is_recorded_once(sensors: Sensors) -> None:
    content = binary_report(sensors.number, READINGS)
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: send(sensors, content).status_code, range(6)))
    assert statuses == [201] * 6
    assert len(points_of(sensors)) == 100


def test_the_same_readings_by_two_streamers_at_once_are_recorded_once(sensors: Sensors) -> None:
    contents = [binary_report(sensors.number, READINGS, index=index) for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda content: send(sensors, content).status_code, contents))
    assert statuses == [201] * 4
    assert len(points_of(sensors)) == 100


def test_what_differs_only_in_its_moment_is_new(sensors: Sensors) -> None:
    """A device that was reset and has no clock of its own."""
    for day in ("2024-04-29", "2024-04-30", "2024-04-30"):
        item = {"stream": "5001", "streamer_local_id": 1, "timestamp": f"{day}T00:00:00Z"}
        given = document(sensors, data=[{**item, "value": 5}], events=[item])
        assert send(sensors, json.dumps(given).encode(), "r.json").status_code == 201
    days = ["2024-04-29T00:00:00Z", "2024-04-30T00:00:00Z"]
    for path in ("data/", "event/"):
        found = sensors.api.get(path, params={"filter": sensors.stream}).json()["results"]
        assert [item["timestamp"] for item in found] == days


def document(sensors: Sensors, **changes: Any) -> dict[str, Any]:
    return {
        "format": "v100",
        "device": sensors.number,
        "streamer_index": 0,
        "streamer_selector": 0xFFFF,
        "device_sent_timestamp": 100,
        "incremental_id": 1,
        "lowest_id": 1,
        "highest_id": 3,
        "data": [
            {"stream": "5001", "streamer_local_id": 1, "timestamp": "2024-04-30T00:00:00Z", "value": 5},
            {"stream": 0x5001, "streamer_local_id": 2, "device_timestamp": 40, "value": -6},
        ],
        "events": [
            {
                "stream": "5003",
                "streamer_local_id": 3,
                "timestamp": "2024-04-30T00:00:00Z",
                "extra_data": {"a": 1},
            }
        ],
        **changes,
    }


@pytest.mark.parametrize("kind", [".json", ".mp", ".JSON"])
def test_reports_of_json_and_messagepack(sensors: Sensors, kind: str) -> None:
    given = document(sensors)
    content = msgpack.packb(given) if kind == ".mp" else json.dumps(given).encode()
    answer = send(sensors, content, f"r{kind}")
    assert (answer.status_code, answer.json()) == (201, {"count": 3})
    assert send(sensors, content, f"r{kind}").status_code == 201, "again, which changes nothing"
    points = points_of(sensors)
    assert [(point["timestamp"], point["int_value"]) for point in points] == [
        ("2024-04-30T00:00:00Z", 5),
        ("2024-05-01T09:59:00Z", -6),
    ]
    events = sensors.api.get("event/", params={"filter": sensors.device["slug"]}).json()["results"]
    assert [(event["extra_data"], event["has_raw_data"]) for event in events] == [({"a": 1}, False)]


def test_streams_of_a_report_by_their_slugs(sensors: Sensors) -> None:
    device = sensors.stream.split("--")[2]
    names = (sensors.stream, f"s--0000--{device}--5001", sensors.stream.replace(device, "0000"))
    items = [
        {"stream": name, "streamer_local_id": number, "device_timestamp": number, "value": number}
        for number, name in enumerate(names, 1)
    ]
    given = document(sensors, data=items, events=[])
    assert send(sensors, json.dumps(given).encode(), "r.json").json() == {"count": 3}
    assert [point["stream"] for point in points_of(sensors)] == [sensors.stream] * 3


def nested(levels: int) -> Any:
    """A value of so many objects, one in the other."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_events_are_recorded_once_and_make_their_streams(sensors: Sensors) -> None:
    items = [
        {
            "stream": "5001",
            "streamer_local_id": number,
            "device_timestamp": number,
            "extra_data": {"n": number},
        }
        for number in (*range(1, 301), *range(1, 11))
    ]
    for _ in range(2):
        content = json.dumps(document(sensors, data=[], events=items)).encode()
        assert send(sensors, content, "r.json").json() == {"count": 310}
    found = sensors.api.get(f"stream/{sensors.stream}/event/").json()["results"]
    assert [item["extra_data"]["n"] for item in found] == list(range(1, 301))
    reports = sensors.api.get("streamer/report/").json()["results"]
    assert [report["actual_last_id"] for report in reports] == [300, None]


def test_files_are_read_beside_the_event_loop(sensors: Sensors, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body full of readings takes seconds to parse."""
    beside = []

    def watched(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            beside.append(work.__name__)
            return work(*arguments)

        return run

    for module, name in (
        (reports, "read_report"),
        (reports, "_delivery"),
        (events, "_document"),
        (data, "_readings_of"),
    ):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    assert send(sensors, json.dumps(document(sensors)).encode(), "r.json").status_code == 201
    sensors.post([(SENT, 1)])
    form = {"stream": sensors.stream, "timestamp": SENT}
    assert sensors.api.post("event/upload/", data=form, files={"file": ("e.json", b"{}")}).status_code == 201
    assert beside == ["read_report", "_delivery", "_readings_of", "_document"]


def test_events_of_messagepack_become_json(sensors: Sensors) -> None:
    extra = {"nan": float("nan"), "largest": 2**64 - 1, "huge": 1e30, "deep": nested(200)}
    item = {"stream": "5003", "streamer_local_id": 3, "timestamp": "2024-04-30T00:00:00Z"}
    given = document(sensors, data=[], events=[{**item, "extra_data": extra}])
    assert send(sensors, msgpack.packb(given), "r.mp").json() == {"count": 1}
    (event,) = sensors.api.get("event/", params={"filter": sensors.device["slug"]}).json()["results"]
    assert event["extra_data"] == {**extra, "nan": None}
    for bad in ({"a": b"raw"}, {b"a": 1}, {"a": msgpack.Timestamp(1)}, nested(260)):
        given = document(sensors, events=[{**item, "extra_data": bad}])
        answer = send(sensors, msgpack.packb(given), "r.mp")
        assert (answer.status_code, "extra_data" in answer.json()["error"]) == (400, True)
    assert len(points_of(sensors)) == 0


def test_numbers_that_only_floats_hold_are_told_again(sensors: Sensors) -> None:
    fields = {"stream": sensors.stream, "timestamp": "2024-05-01T10:00:00Z"}
    text = '{"large": 123456789012345678901234567890, "small": 1e-300}'
    assert upload(sensors.api, b"[1]", encoded_extra_data=text, **fields).status_code == 201
    (event,) = sensors.api.get("event/", params={"filter": sensors.device["slug"]}).json()["results"]
    assert event["extra_data"] == {"large": pytest.approx(1.2345678901234568e29), "small": 1e-300}


def broken(sensors: Sensors) -> dict[str, tuple[bytes, str, str]]:
    """Files, their names, and a word of what is said of each."""
    good = binary_report(sensors.number, READINGS[:2])
    item = {"stream": "5001", "timestamp": "2024-04-30T00:00:00Z", "value": 5}
    project, device = sensors.stream.split("--")[1:3]
    elsewhere, other = f"s--{project}--0000-0000-ffff-ffff--5001", f"s--ffff--{device}--5001"
    texts: dict[str, tuple[Any, str]] = {
        "no object": ([], "v100"),
        "other format": (document(sensors, format="v9"), "v100"),
        "no device": (document(sensors, device=None), "device"),
        "device of text": (document(sensors, device="pump"), "device"),
        "index": (document(sensors, streamer_index=70000), "streamer_index"),
        "no list": (document(sensors, data={}), "data"),
        "value": (document(sensors, data=[{**item, "value": 1.5}]), "value"),
        "moment": (document(sensors, data=[{**item, "timestamp": "now"}]), "timestamp"),
        "no moment": (document(sensors, data=[{"stream": "5001", "value": 5}]), "timestamp"),
        "stream": (document(sensors, data=[{**item, "stream": "sensor"}]), "'stream'"),
        "stream of another device": (document(sensors, data=[{**item, "stream": elsewhere}]), "'stream'"),
        "event of another device": (document(sensors, events=[{**item, "stream": elsewhere}]), "'stream'"),
        "stream of another project": (document(sensors, data=[{**item, "stream": other}]), "p--0000-ffff"),
        "event of another project": (document(sensors, events=[{**item, "stream": other}]), "p--0000-ffff"),
        "far": (
            document(sensors, data=[{"stream": "5001", "device_timestamp": 2**62, "value": 1}]),
            "no moment",
        ),
        "null": (document(sensors, events=[{**item, "extra_data": {"a": "\0"}}]), "null character"),
    }
    return {
        "empty": (b"", "r.bin", "need 44"),
        "truncated": (good[:-8], "r.bin", "header says"),
        "cut in a reading": (binary_report(sensors.number, [])[:20] + good[20:-30], "r.bin", "header says"),
        "damaged": (good[:30] + bytes([good[30] ^ 1]) + good[31:], "r", "hash"),
        "other version": (b"\2" + good[1:], "r.bin", "format is 2"),
        "kind": (good, "r.txt", ".txt"),
        "no JSON": (b"{", "r.json", "cannot be read"),
        "no msgpack": (b"\xc1", "r.mp", "not what its extension '.mp' says"),
        "hollow": (msgpack.packb(document(sensors, data=[{}] * 20_000)), "r.mp", "more maps and lists"),
        "deep": (b"[" * 100_000, "r.json", "cannot be read"),
        **{name: (json.dumps(given).encode(), "r.json", word) for name, (given, word) in texts.items()},
    }


def test_broken_reports_are_refused_whole(sensors: Sensors) -> None:
    for name, (content, file, word) in broken(sensors).items():
        answer = send(sensors, content, file)
        assert answer.status_code == 400, (name, answer.text)
        assert word in answer.json()["error"], (name, answer.text)
    assert points_of(sensors) == []
    assert sensors.api.get("streamer/report/").json()["count"] == 0
    assert send(sensors, binary_report(sensors.number, READINGS)).status_code == 201, "the next one works"


@pytest.mark.parametrize(
    "timestamp",
    [
        *(None, "", "noon", "2024-05-01T10:00:00+02:00", "2024-05-01T10:00:00-0200"),
        *("2024-05-01T10:00:00+02", "2024-05-01 10:00:00+02:00", "2024-05-01T10:00 02:00"),
    ],
)
def test_the_moment_of_a_report_is_utc(sensors: Sensors, timestamp: str | None) -> None:
    answer = send(sensors, binary_report(sensors.number, READINGS), timestamp=timestamp)
    assert (answer.status_code, "timestamp" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("charset", ["undefined", "punycode", "utf-7", "unicode_escape"])
def test_forms_in_an_encoding_that_makes_no_text(sensors: Sensors, charset: str) -> None:
    part, text = "--b\r\nContent-Disposition: form-data; name=", "+2AE-\\ud800"
    body = f'{part}"stream"\r\n\r\n{text}\r\n{part}"file"; filename="{text}.txt"\r\n\r\n{{}}\r\n--b--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    for path in ("event/upload/", f"streamer/report/?timestamp={SENT}"):
        answer = sensors.api.post(path, data=body.encode(), headers=headers)
        assert (answer.status_code, "encoding" in answer.text) == (400, True), answer.text


def test_a_report_needs_a_file_and_a_device_of_ones_own(
    sensors: Sensors, platform_server: RunningServer
) -> None:
    path, query = "streamer/report/", {"timestamp": SENT}
    assert "file" in sensors.api.post(path, params=query).json()["error"]
    assert "file" in sensors.api.post(path, params=query, files={"other": b"x"}).json()["error"]
    assert send(sensors, binary_report(sensors.number + 10_000, READINGS)).status_code == 400
    stranger = make_sensors(platform_server)
    assert send(stranger, binary_report(sensors.number, READINGS)).status_code == 400
    assert points_of(sensors) == []
    send(sensors, binary_report(sensors.number, READINGS))
    report = sensors.api.get("streamer/report/").json()["results"][0]
    assert stranger.api.get("streamer/report/").json()["count"] == 0
    for tail in ("", "file/"):
        assert stranger.api.get(f"streamer/report/{report['id']}/{tail}").status_code == 404
    assert sensors.api.get("streamer/report/not-a-uuid/").status_code == 404


def test_the_client_uploads_a_report(sensors: Sensors, tmp_path: Any) -> None:
    file = tmp_path / "report.bin"
    file.write_bytes(binary_report(sensors.number, READINGS))
    api = Api(sensors.api.domain)
    assert sensors.api.authorization is not None
    api.set_token(sensors.api.authorization.split()[1])
    assert api.streamer.report.upload_file(str(file), timestamp=SENT) == {"count": 100}
    assert api.streamer(action="report").get()["count"] == 1


# Events


def upload(api: IOTileApi, content: bytes, name: str = "wave.json", **fields: str) -> requests.Response:
    return api.post("event/upload/", data=fields, files={"file": (name, content)})


def test_an_event_with_a_file_from_beginning_to_end(sensors: Sensors, tmp_path: Any) -> None:
    fields = {"stream": sensors.stream, "timestamp": "2024-05-01T10:00:00Z"}
    answer = upload(sensors.api, b"[1, 2]", encoded_extra_data='{"foo": "bar"}', **fields)
    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "id": body["id"],
        "stream": sensors.stream,
        "timestamp": "2024-05-01T10:00:00Z",
        "device_timestamp": None,
        "streamer_local_id": 0,
        "encoded_extra_data": {"foo": "bar"},
    }
    event = sensors.api.get(f"event/{body['id']}/").json()
    assert (event["extra_data"], event["has_raw_data"], event["ext"]) == ({"foo": "bar"}, True, "json")
    assert sensors.api.get(f"event/{body['id']}/data/").content == b"[1, 2]"
    url = sensors.api.get(f"event/{body['id']}/url/").json()["url"]
    assert sensors.api.get(url).json() == [1, 2]
    packed = upload(sensors.api, gzip.compress(b'{"x": 1}') + gzip.compress(b" "), "wave.json.gz", **fields)
    assert sensors.api.get(f"event/{packed.json()['id']}/data/").json() == {"x": 1}
    assert sensors.api.authorization is not None
    with IOTileClient(sensors.api.domain, token=sensors.api.authorization.split()[1]) as client:
        file = tmp_path / "trip.json"
        file.write_text("[3]")
        made = EventManager(client).upload(file, sensors.stream, "2024-05-01T11:00:00Z", {"n": 3})
        events = EventManager(client).filter(filter=sensors.stream)
        assert [event.id for event in events][-1] == made.id
        assert events[-1].data() == [3]
    listed = sensors.api.get(f"stream/{sensors.stream}/event/", params={"lastn": 1}).json()
    assert [event["id"] for event in listed["results"]] == [made.id]
    period = {"filter": sensors.stream, "start": "2024-05-01T10:30:00Z"}
    assert sensors.api.get("event/", params=period).json()["count"] == 1


@pytest.mark.parametrize(
    ("change", "content", "name", "field"),
    [
        ({"stream": ""}, b"1", "a.json", "stream"),
        ({"stream": "s--x"}, b"1", "a.json", "stream"),
        ({"stream": "s--0000-ffff--0000-0000-0000-0001--5001"}, b"1", "a.json", "stream"),
        ({"timestamp": "noon"}, b"1", "a.json", "timestamp"),
        ({"encoded_extra_data": "[1]"}, b"1", "a.json", "encoded_extra_data"),
        ({"encoded_extra_data": '{"a": "\\u0000"}'}, b"1", "a.json", "encoded_extra_data"),
        ({"encoded_extra_data": json.dumps(nested(300))}, b"1", "a.json", "encoded_extra_data"),
        (
            {"encoded_extra_data": json.dumps({"b": "\0", **nested(900)})},
            b"1",
            "a.json",
            "encoded_extra_data",
        ),
        ({}, b"1", "a.csv", "file"),
        ({}, b"{", "a.json", "file"),
        ({}, b"1", "a.json.gz", "file"),
        ({}, gzip.compress(b"[1, 2, 3]")[:-9], "a.json.gz", "file"),
        ({}, gzip.compress(b"{"), "a.json.gz", "file"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, (dict, str)) else "",
)
def test_bad_events_name_the_field_and_leave_nothing(
    sensors: Sensors, change: dict[str, str], content: bytes, name: str, field: str
) -> None:
    fields = {"stream": sensors.stream, "timestamp": "2024-05-01T10:00:00Z", **change}
    answer = upload(sensors.api, content, name, **fields)
    assert (answer.status_code, list(answer.json())) == (400, [field]), answer.text
    assert sensors.api.get("event/", params={"filter": sensors.device["slug"]}).json()["count"] == 0


def test_events_of_others_and_events_without_data(sensors: Sensors, platform_server: RunningServer) -> None:
    fields = {"stream": sensors.stream, "timestamp": "2024-05-01T10:00:00Z"}
    number = upload(sensors.api, b"[1]", **fields).json()["id"]
    stranger = IOTileApi(platform_server).login(make_account(platform_server))
    for tail in ("", "data/", "url/"):
        assert stranger.get(f"event/{number}/{tail}").status_code == 404
    for text in ("x", "99999999", str(2**70), "9" * 5000, "0" * 5000):
        for path in ("event", "data", "property"):
            assert sensors.api.get(f"{path}/{text}/").status_code == 404
    send(sensors, json.dumps(document(sensors)).encode(), "r.json")
    bare = sensors.api.get("event/", params={"filter": sensors.device["slug"]}).json()["results"][0]
    assert bare["has_raw_data"] is False
    assert sensors.api.get(f"event/{bare['id']}/data/").status_code == 404
    assert sensors.api.get(f"event/{bare['id']}/url/").status_code == 404


def test_what_unpacks_to_more_than_a_body_may_hold_is_refused(make_server: MakeServer) -> None:
    server = make_server(body_max_bytes=100_000)
    sensors = make_sensors(server)
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(b" " * 50_000_000) + packer.flush()
    assert len(bomb) < 100_000
    answer = upload(sensors.api, bomb, "a.json.gz", stream=sensors.stream, timestamp=SENT)
    assert (answer.status_code, "100000" in answer.text) == (400, True)
    large = upload(sensors.api, b" " * 200_000, "a.json", stream=sensors.stream, timestamp=SENT)
    assert large.status_code == 413
