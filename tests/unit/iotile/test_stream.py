"""The drop-in readings and reports."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import responses
from responses import matchers

from carto_like.core.errors import ResponseFormatError
from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import HttpServerError
from carto_like.iotile.stream.data import BaseData, RawData, StreamData, StreamRawData
from carto_like.iotile.stream.report import AccumulationReportGenerator, BaseReportGenerator
from tests.unit.sent import sent_paths, sent_query

ROOT = "https://iotile.test/api/v1"
ONE = "s--0000-0001--0000-0000-0000-0002--5001"
TWO = "s--0000-0001--0000-0000-0000-0002--5002"
START, END = datetime(2017, 9, 1), datetime(2017, 9, 30, 1, 2, 3)


@pytest.fixture
def api() -> Api:
    return Api("https://iotile.test")


def page(path: str, results: Any, following: str | None = None, **query: str) -> None:
    """Answer a GET with one page; the query must hold these parameters."""
    body = {"count": 99, "next": following, "previous": None, "results": results}
    matching = [matchers.query_param_matcher(query, strict_match=False)]
    responses.get(f"{ROOT}/{path}", json=body, match=matching)


def values(*numbers: float | None) -> list[dict[str, Any]]:
    return [{"timestamp": "2017-09-10T00:00:00Z", "output_value": number} for number in numbers]


@responses.activate
def test_one_page(api: Api) -> None:
    stream = StreamData(ONE, api)
    assert stream.data == []
    page(f"stream/{ONE}/data/", values(1, 2))
    stream.initialize_from_server(lastn=2)
    assert [entry["output_value"] for entry in stream.data] == [1, 2]
    assert sent_query() == {"lastn": "2", "page": "1"}
    stream.initialize_from_server()
    assert len(stream.data) == 2


@responses.activate
def test_pages_by_number(api: Api) -> None:
    stream = StreamData(ONE, api)
    page(f"stream/{ONE}/data/", values(1, 2, 3), f"{ROOT}/stream/{ONE}/data/?page=2", page="1")
    page(f"stream/{ONE}/data/", values(4, 5, 6), page="2")
    stream.initialize_from_server(start="2017-09-01T00:00:00Z", end=END)
    assert len(stream.data) == 6
    assert sent_query() == {"start": "2017-09-01T00:00:00Z", "end": "2017-09-30T01:02:03Z", "page": "2"}


@responses.activate
def test_pages_by_cursor(api: Api) -> None:
    stream = StreamData(ONE, api)
    page(f"stream/{ONE}/data/", values(4), cursor="abc=")
    page(f"stream/{ONE}/data/", values(1), f"{ROOT}/stream/{ONE}/data/?cursor=abc%3D&lastn=9", page="1")
    stream.initialize_from_server(lastn=9)
    assert [entry["output_value"] for entry in stream.data] == [1, 4]
    assert sent_query() == {"lastn": "9", "cursor": "abc="}


@responses.activate
def test_a_page_by_number_after_one_by_cursor(api: Api) -> None:
    stream, address = StreamData(ONE, api), f"{ROOT}/stream/{ONE}/data/"
    page(f"stream/{ONE}/data/", values(3), page="3")
    page(f"stream/{ONE}/data/", values(2), f"{address}?page=3", cursor="abc")
    page(f"stream/{ONE}/data/", values(1), f"{address}?cursor=abc", page="1")
    stream.initialize_from_server()
    assert [entry["output_value"] for entry in stream.data] == [1, 2, 3]


@responses.activate
def test_a_page_to_begin_with(api: Api) -> None:
    page(f"stream/{ONE}/data/", values(4), page="2")
    stream = StreamData(ONE, api)
    stream.initialize_from_server(page=2)
    assert len(stream.data) == 1


@responses.activate
@pytest.mark.parametrize("body", [{"next": "x"}, {"results": None}, [], {"results": {}}])
def test_a_page_without_results_ends_the_loop(api: Api, body: Any) -> None:
    responses.get(f"{ROOT}/stream/{ONE}/data/", json=body)
    with pytest.raises(ResponseFormatError, match="results"):
        StreamData(ONE, api).initialize_from_server()
    assert len(responses.calls) == 1


@responses.activate
def test_a_page_without_next_is_the_last(api: Api) -> None:
    responses.get(f"{ROOT}/stream/{ONE}/data/", json={"results": values(1)})
    stream = StreamData(ONE, api)
    stream.initialize_from_server()
    assert len(stream.data) == 1


@responses.activate
def test_a_next_that_never_ends(api: Api) -> None:
    page(f"stream/{ONE}/data/", values(1), f"{ROOT}/stream/{ONE}/data/?cursor=same")
    StreamData(ONE, api).initialize_from_server()
    assert len(responses.calls) == 2
    page(f"stream/{TWO}/data/", [], f"{ROOT}/stream/{TWO}/data/?page=2")
    StreamData(TWO, api).initialize_from_server()
    assert len(responses.calls) == 3


@responses.activate
def test_an_error_keeps_the_pages_before_it(api: Api) -> None:
    stream = StreamData(ONE, api)
    page(f"stream/{ONE}/data/", values(1), f"{ROOT}/?page=2", page="1")
    responses.get(f"{ROOT}/stream/{ONE}/data/", status=500)
    with pytest.raises(HttpServerError):
        stream.initialize_from_server()
    assert len(stream.data) == 1


def test_a_query_goes_by_names(api: Api) -> None:
    with pytest.raises(ValueError, match="lastn="):
        StreamData(ONE, api).initialize_from_server(5)
    with pytest.raises(ValueError, match="page is a number"):
        StreamData(ONE, api).initialize_from_server(page="last")
    base = BaseData(api)
    base.initialize_from_server()
    assert base.data == []


def test_a_bad_timestamp_is_an_error(api: Api) -> None:
    assert BaseData(api)._date_format("2017-09-01T00:00:00Z") == START.replace(tzinfo=timezone.utc)
    with pytest.raises(ValueError, match="yesterday"):
        BaseData(api)._date_format("yesterday")


@responses.activate
def test_raw_data(api: Api) -> None:
    page("data/", [{"int_value": 1}])
    raw = RawData(api)
    raw.initialize_from_server(filter=ONE, lastn=1)
    assert (raw.data, sent_query()) == ([{"int_value": 1}], {"filter": ONE, "lastn": "1", "page": "1"})
    stream = StreamRawData(TWO, api)
    stream.initialize_from_server()
    assert (len(stream.data), sent_query()) == (1, {"filter": TWO, "page": "1"})


def stream_record(slug: str, unit: Any = "G") -> dict[str, Any]:
    return {"slug": slug, "output_unit": {"unit_short": unit} if unit else None}


@responses.activate
def test_a_report(api: Api) -> None:
    page("stream/", [stream_record(ONE)], project="p--0000-0001")
    page(f"stream/{ONE}/data/", values(1.5, 2))
    report = AccumulationReportGenerator(api).compute_sum(["p--0001"], START, END)
    assert report == {"streams": {ONE: {"sum": 3.5, "units": "G"}}, "total": 3.5}
    assert sent_query() == {"start": "2017-09-01T00:00:00Z", "end": "2017-09-30T01:02:03Z", "page": "1"}


@responses.activate
@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        ("p--0001", "project", "p--0000-0001"),
        ("d--0002", "device", "d--0000-0000-0000-0002"),
        ("b--0001-0000-0000-0002", "block", "b--0001-0000-0000-0002"),
    ],
)
def test_all_pages_of_streams_count(api: Api, source: str, name: str, value: str) -> None:
    page("stream/", [stream_record(TWO)], **{name: value, "page": "2"})
    page("stream/", [stream_record(ONE)], f"{ROOT}/stream/?{name}={value}&page=2", **{name: value})
    page(f"stream/{ONE}/data/", values(1))
    page(f"stream/{TWO}/data/", values(2))
    report = AccumulationReportGenerator(api).compute_sum([source], START, END)
    assert (set(report["streams"]), report["total"]) == ({ONE, TWO}, 3)


@responses.activate
def test_a_stream_counts_once(api: Api) -> None:
    page("stream/", [stream_record(ONE)])
    responses.get(f"{ROOT}/stream/{ONE}/", json=stream_record(ONE))
    page(f"stream/{ONE}/data/", values(3.5))
    sources = [ONE, "d--0002", "p--0001"]
    assert AccumulationReportGenerator(api).compute_sum(sources, START, END)["total"] == 3.5
    assert sent_paths().count(f"GET /api/v1/stream/{ONE}/data/") == 1


@responses.activate
def test_values_and_units_may_be_missing(api: Api) -> None:
    page("stream/", [stream_record(ONE, unit=None), stream_record(TWO)])
    page(f"stream/{ONE}/data/", values(1, None, -1))
    page(f"stream/{TWO}/data/", values(None))
    report = AccumulationReportGenerator(api).compute_sum(["d--2"], START, END)
    assert report == {"streams": {ONE: {"sum": 0, "units": None}}, "total": 0}


@responses.activate
def test_moments_of_reports(api: Api) -> None:
    page("stream/", [stream_record(ONE)])
    page(f"stream/{ONE}/data/", values(1))
    paris = timezone(timedelta(hours=2))
    AccumulationReportGenerator(api).compute_sum(["d--2"], datetime(2017, 9, 1, tzinfo=paris), "2017-09-02")
    assert sent_query()["start"] == "2017-08-31T22:00:00Z"
    assert sent_query()["end"] == "2017-09-02T00:00:00Z"
    AccumulationReportGenerator(api).compute_sum(["d--2"], START)
    assert sent_query()["end"].endswith("Z")
    with pytest.raises(ValueError, match="start"):
        AccumulationReportGenerator(api).compute_sum(["d--2"], "yesterday")


@responses.activate
@pytest.mark.parametrize("status", [403, 500])
def test_a_stream_that_fails_is_reported_apart(api: Api, status: int) -> None:
    page("stream/", [stream_record(ONE), stream_record(TWO)])
    responses.get(f"{ROOT}/stream/{ONE}/data/", status=status)
    page(f"stream/{TWO}/data/", values(2))
    report = AccumulationReportGenerator(api).compute_sum(["d--2"], START, END)
    assert (report["total"], list(report["failed"])) == (2, [ONE])
    assert str(status) in report["failed"][ONE]


@responses.activate
def test_a_stream_that_is_gone_has_no_data(api: Api) -> None:
    page("stream/", [stream_record(ONE)])
    responses.get(f"{ROOT}/stream/{ONE}/data/", status=404)
    report = AccumulationReportGenerator(api).compute_sum(["d--2"], START, END)
    assert report == {"streams": {}, "total": 0}


@responses.activate
def test_what_was_read_before_a_page_was_gone_counts(api: Api) -> None:
    page("stream/", [stream_record(ONE)])
    page(f"stream/{ONE}/data/", values(1, 2), f"{ROOT}/stream/{ONE}/data/?page=2", page="1")
    responses.get(f"{ROOT}/stream/{ONE}/data/", status=404)
    assert AccumulationReportGenerator(api).compute_sum(["d--2"], START, END)["total"] == 3


@responses.activate
def test_sources_that_are_none(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    responses.get(f"{ROOT}/stream/{ONE}/", status=403)
    with caplog.at_level(logging.ERROR):
        report = AccumulationReportGenerator(api).compute_sum([ONE, "x--1"], START, END)
    assert list(report) == ["error"]
    assert ONE in caplog.text
    assert "x--1" in caplog.text
    with pytest.raises(ValueError, match="hex"):
        AccumulationReportGenerator(api).compute_sum(["p--zz"], START)
    responses.get(f"{ROOT}/stream/", status=503)
    with pytest.raises(HttpServerError):
        AccumulationReportGenerator(api).compute_sum(["d--2"], START)


@responses.activate
def test_the_base_reports_nothing(api: Api) -> None:
    responses.get(f"{ROOT}/stream/{ONE}/", json=stream_record(ONE))
    generator = BaseReportGenerator(api)
    assert generator.compute_sum([ONE], START, END) == {}
    assert set(generator._streams) == {ONE}
