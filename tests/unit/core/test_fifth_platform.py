"""A platform that nobody built in: what it needs is in this file, and the core is not touched for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import responses

from carto_like.core.client import Client
from carto_like.core.errors import ApiError, ErrorDetail, NotFoundError
from carto_like.core.fields import CharField, DateTimeField, IntegerField
from carto_like.core.manager import Manager
from carto_like.core.paging import NextUrlPaginator
from carto_like.core.resource import Resource
from tests.unit.sent import sent_json

ROOT = "https://harbour.example/rest/"


class Closed(ApiError):
    """423: the harbour is closed."""


class HarbourClient(Client):
    error_types = {404: NotFoundError, 423: Closed}  # noqa: RUF012

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "headers": {**arguments.get("headers", {}), "X-Harbour": "pilot"}}

    def read_error(self, response: Any) -> ErrorDetail:
        return ErrorDetail(response.json()["fault"], code=response.json()["number"])


class HarbourResource(Resource):
    class Meta:
        trailing_slash = True
        update_method = "patch"


class Berth(HarbourResource):
    code = CharField()
    depth = IntegerField()
    free_from = DateTimeField()

    class Meta:
        collection_endpoint = "berths/"
        id_field = "code"
        read_only = ("code",)


class BerthManager(Manager[Berth]):
    resource_class = Berth
    json_collection_attribute = "rows"
    paginator_class = NextUrlPaginator

    def unwrap(self, body: Any) -> Any:
        return body["berth"]

    def create(self, depth: int, *, tags: Sequence[str] = ()) -> Berth:
        return self._create(depth=depth)


@pytest.fixture
def berths() -> BerthManager:
    return BerthManager(HarbourClient(ROOT))


@responses.activate
def test_it_lists_over_pages(berths: BerthManager) -> None:
    responses.get(
        ROOT + "berths/", json={"rows": [{"code": "n/1"}], "next": ROOT + "berths/?after=n1&deep=1"},
        match=[responses.matchers.query_param_matcher({"deep": "1"})],
    )  # fmt: skip
    responses.get(
        ROOT + "berths/", json={"rows": [{"code": "n/2"}], "next": None},
        match=[responses.matchers.query_param_matcher({"after": "n1", "deep": "1"})],
    )  # fmt: skip
    assert [berth.code for berth in berths.filter(deep=1)] == ["n/1", "n/2"]
    assert {call.request.headers["X-Harbour"] for call in responses.calls} == {"pilot"}


@responses.activate
def test_it_reads_changes_and_deletes(berths: BerthManager) -> None:
    path = ROOT + "berths/n%2F1/"
    responses.get(path, json={"berth": {"code": "n/1", "depth": 9, "free_from": "2024-05-01T10:00:00Z"}})
    responses.patch(path, json={"code": "n/1", "depth": 12})
    responses.delete(path, status=204)
    berth = berths.get("n/1")
    berth.depth = 12
    berth.save()
    berth.delete()
    assert sent_json(1) == {"depth": 12}
    assert [call.request.url for call in responses.calls] == [path] * 3


@responses.activate
def test_it_creates(berths: BerthManager) -> None:
    responses.post(ROOT + "berths/", json={"code": "n/9", "depth": 4})
    assert berths.create(4).code == "n/9"
    assert sent_json(0) == {"depth": 4}


@responses.activate
def test_its_errors_are_its_own(berths: BerthManager) -> None:
    responses.get(ROOT + "berths/x/", json={"fault": "storm", "number": 7}, status=423)
    with pytest.raises(Closed) as caught:
        berths.get("x")
    assert (caught.value.message, caught.value.code, caught.value.status_code) == ("storm", 7, 423)


@responses.activate
def test_a_page_on_another_host_is_refused(berths: BerthManager) -> None:
    responses.get(
        ROOT + "berths/", json={"rows": [{"code": "a"}], "next": "https://elsewhere.example/berths/?page=2"}
    )
    found = berths.iterate()
    assert next(found).code == "a"
    with pytest.raises(Exception, match=r"elsewhere\.example"):
        next(found)
    assert len(responses.calls) == 1
