"""Managers: finding, listing and creating."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from carto_like.core import _pyrestcli
from carto_like.core.client import Client
from carto_like.core.errors import ApiError, ConfigurationError, NotFoundError, ResponseFormatError
from carto_like.core.fields import CharField, IntegerField
from carto_like.core.manager import Absent, Manager
from carto_like.core.paging import NextUrlPaginator, PageNumberPaginator
from carto_like.core.resource import Resource
from tests.unit.sent import sent_json, sent_paths, sent_query

ROOT = "https://api.example/v1/"
THINGS = ROOT + "things/"


class Thing(Resource):
    id = CharField()
    size = IntegerField()


class ThingManager(Manager[Thing]):
    resource_class = Thing
    paginator_class = PageNumberPaginator


@pytest.fixture
def things() -> ThingManager:
    return ThingManager(Client(ROOT))


def serve_pages(*pages: list[str], total: int) -> None:
    """Numbered pages of ids."""
    for number, ids in enumerate(pages, 1):
        responses.get(
            THINGS,
            json={"data": [{"id": identity} for identity in ids], "total": total},
            match=[responses.matchers.query_param_matcher({"page": number}, strict_match=False)],
        )


@responses.activate
def test_get(things: ThingManager) -> None:
    responses.get(THINGS + "..%2Fa%20b", json={"id": "../a b", "size": 2})
    thing = things.get("../a b")
    assert isinstance(thing, Thing)
    assert (thing.id, thing.size, thing.client) == ("../a b", 2, things.client)
    assert responses.calls[0].request.url == THINGS + "..%2Fa%20b"


@pytest.mark.parametrize("identity", [None, "", ".", ".."])
@responses.activate
def test_get_refuses_what_is_no_id(things: ThingManager, identity: Any) -> None:
    with pytest.raises(ConfigurationError):
        things.get(identity)
    assert len(responses.calls) == 0


@responses.activate
def test_get_or_none(things: ThingManager) -> None:
    responses.get(THINGS + "a", status=404, json={"error": "none"})
    responses.get(THINGS + "b", json={"id": "b"})
    responses.get(THINGS + "c", status=403, json={"error": "no"})
    found = things.get_or_none("b")
    assert things.get_or_none("a") is None
    assert found is not None
    assert found.id == "b"
    with pytest.raises(NotFoundError):
        things.get("a")
    with pytest.raises(ApiError):
        things.get_or_none("c")


@pytest.mark.parametrize("body", ["", "[]", '"a"', "not json"])
@responses.activate
def test_get_needs_an_object(things: ThingManager, body: str) -> None:
    responses.get(THINGS + "a", body=body)
    with pytest.raises(ResponseFormatError):
        things.get("a")


@responses.activate
def test_iterate_asks_for_a_page_when_it_is_needed(things: ThingManager) -> None:
    serve_pages(["a", "b"], ["c"], total=3)
    found = things.iterate(q="x")
    assert len(responses.calls) == 0
    assert [next(found).id, next(found).id] == ["a", "b"]
    assert len(responses.calls) == 1
    assert next(found).id == "c"
    assert list(found) == []
    assert [sent_query(index) for index in range(2)] == [{"q": "x", "page": "1"}, {"q": "x", "page": "2"}]


@responses.activate
def test_filter_and_all_are_lists(things: ThingManager) -> None:
    serve_pages(["a", "b"], ["c"], total=3)
    filtered = things.filter(q="x")
    everything = things.all()
    assert isinstance(filtered, list)
    assert [thing.id for thing in filtered] == [thing.id for thing in everything] == ["a", "b", "c"]


@responses.activate
def test_one_page_by_number_and_size(things: ThingManager) -> None:
    serve_pages(["a", "b"], ["c", "d"], ["e"], total=5)
    assert [thing.id for thing in things.filter(page=2, per_page=2)] == ["c", "d"]
    assert sent_query() == {"page": "2", "per_page": "2"}
    assert len(responses.calls) == 1


@responses.activate
def test_two_runs_do_not_end_each_other(things: ThingManager) -> None:
    serve_pages(["a", "b"], ["c", "d"], total=4)
    first, second = things.iterate(), things.iterate()
    pairs = [(one.id, other.id) for one, other in zip(first, second, strict=True)]
    assert pairs == [(identity, identity) for identity in "abcd"]
    assert things.paginator is not things.paginator


@responses.activate
def test_a_refusal_shows_its_status_before_its_body(things: ThingManager) -> None:
    responses.get(THINGS, status=404, body="<html>")
    with pytest.raises(NotFoundError):
        things.all()


@pytest.mark.parametrize("body", [{"rows": []}, {"data": {"a": 1}}, [], "text"])
@responses.activate
def test_an_answer_without_the_list(things: ThingManager, body: Any) -> None:
    responses.get(THINGS, json=body)
    with pytest.raises(ResponseFormatError, match="no list under 'data'"):
        things.all()


@responses.activate
def test_an_answer_that_is_the_list() -> None:
    class Bare(Manager[Thing]):
        resource_class = Thing
        json_collection_attribute = None

    responses.get(THINGS, json=[{"id": "a"}, "b", 3])
    assert [thing.id for thing in Bare(Client(ROOT)).all()] == ["a", "b", 3]
    responses.replace(responses.GET, THINGS, json={"id": "a"})
    with pytest.raises(ResponseFormatError, match="no list as the answer"):
        Bare(Client(ROOT)).all()


@pytest.mark.parametrize("status", [200, 204])
@responses.activate
def test_nothing_at_all_is_an_empty_list(things: ThingManager, status: int) -> None:
    responses.get(THINGS, status=status, body="")
    assert things.all() == []


@responses.activate
def test_an_entry_that_is_no_resource(things: ThingManager) -> None:
    responses.get(THINGS, json={"data": [["a"]], "total": 1})
    with pytest.raises(ResponseFormatError, match="Thing"):
        things.all()


@responses.activate
def test_create(things: ThingManager) -> None:
    responses.post(THINGS, json={"id": "new", "size": 1}, status=201)
    thing = things.create(size=1)
    assert thing.id == "new"
    assert sent_json() == {"size": 1}
    assert sent_paths() == ["POST /v1/things/"]
    with pytest.raises(TypeError, match="by name"):
        things.create("new")


def test_endpoints_are_known_to_the_class() -> None:
    assert ThingManager.get_collection_endpoint() == "things/"
    assert ThingManager.get_resource_endpoint("a/b") == "things/a%2Fb"
    assert ThingManager.get_resource_endpoint(None) is None


def test_managers_are_pyrestclis(things: ThingManager) -> None:
    assert isinstance(things, _pyrestcli.Manager)


@responses.activate
def test_hooks_open_envelopes_and_build_resources() -> None:
    class Sized(Thing):
        def __init__(self, auth_client: Any, size: int) -> None:
            super().__init__(auth_client)
            self.size = size

    class Enveloped(Manager[Sized]):
        resource_class = Sized

        def unwrap(self, body: Any) -> Any:
            return body["thing"]

        def new_resource(self) -> Sized:
            return Sized(self.client, 7)

    responses.get(ROOT + "sizeds/a", json={"thing": {"id": "a"}})
    responses.get(ROOT + "sizeds/", json={"data": [{"id": "b"}]})
    manager = Enveloped(Client(ROOT))
    assert (manager.get("a").id, manager.get("a").size) == ("a", 7)
    assert [(sized.id, sized.size) for sized in manager.all()] == [("b", 7)]


@responses.activate
def test_a_verb_that_an_api_lacks_is_not_there(things: ThingManager) -> None:
    class ReadOnly(ThingManager):
        create = Absent("they grow on their own")

    assert not hasattr(ReadOnly, "create")
    with pytest.raises(AttributeError, match="ReadOnly has no 'create': they grow on their own"):
        _ = ReadOnly(things.client).create


@responses.activate
def test_a_paginator_written_for_pyrestcli_still_works() -> None:
    class Old(Manager[Thing]):
        resource_class = Thing
        paginator_class = _pyrestcli.NextWithUrlPaginator

    responses.get(THINGS, json={"data": [{"id": "a"}], "next": ROOT + "more/"})
    responses.get(ROOT + "more/", json={"data": [{"id": "b"}], "next": None})
    assert [thing.id for thing in Old(Client(ROOT)).all()] == ["a", "b"]


@responses.activate
def test_the_query_is_not_repeated_on_an_address() -> None:
    class Linked(Manager[Thing]):
        resource_class = Thing
        paginator_class = NextUrlPaginator

    responses.get(
        THINGS,
        json={"data": [{"id": "a"}], "next": THINGS + "?q=x&offset=1"},
        match=[responses.matchers.query_param_matcher({"q": "x"})],
    )
    responses.get(
        THINGS,
        json={"data": [{"id": "b"}], "next": None},
        match=[responses.matchers.query_param_matcher({"q": "x", "offset": "1"})],
    )
    assert [thing.id for thing in Linked(Client(ROOT)).filter(q="x")] == ["a", "b"]
    assert sent_query() == {"q": "x", "offset": "1"}
