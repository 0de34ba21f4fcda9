"""What all of CARTO's resources do: warn, run as jobs, and page by number."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from carto_like.auth import APIKeyAuthClient
from carto_like.core.fields import CharField
from carto_like.datasets import Dataset
from carto_like.exceptions import BadRequestException, CartoException, CartoRateLimitException
from carto_like.paginators import CartoPaginator
from carto_like.resources import (
    AsyncResource,
    Manager,
    NonPublicApiWarning,
    Resource,
    WarnAsyncResource,
    WarnResource,
)
from tests.unit.sent import sent_json, sent_paths

ROOT = "https://ana.carto.com/"


class Job(AsyncResource):
    id = CharField()
    state = CharField()

    class Meta:
        collection_endpoint = "api/v1/jobs/"


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


# Warnings


def recorded(*makers: Any) -> list[warnings.WarningMessage]:
    """The warnings that come out, each one shown, when these are called."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for make in makers:
            make()
    return caught


def test_each_class_warns_once_where_it_was_used(client: APIKeyAuthClient) -> None:
    class Hidden(WarnResource):
        pass

    class HiddenJob(WarnAsyncResource):
        pass

    caught = recorded(
        *[lambda: Hidden(client)] * 3,
        lambda: Hidden(client),
        lambda: HiddenJob(client),
        lambda: HiddenJob(client),
    )
    assert [str(each.message).split(":")[0] for each in caught] == ["Hidden", "HiddenJob"]
    assert {each.category for each in caught} == {NonPublicApiWarning}
    assert {Path(each.filename).name for each in caught} == {Path(__file__).name}
    assert issubclass(NonPublicApiWarning, FutureWarning)


def test_nested_resources_warn_at_the_callers_line_too(client: APIKeyAuthClient) -> None:
    body = {
        "id": "d",
        "table": {"id": "t"},
        "user": {"username": "ana"},
        "dependent_visualizations": [{"id": "v"}],
    }
    caught = recorded(lambda: Dataset(client).load(body), lambda: Dataset(client).load(body))
    assert sorted(str(each.message).split(":")[0] for each in caught) == [
        "Dataset", "Table", "User", "Visualization",
    ]  # fmt: skip
    assert {Path(each.filename).name for each in caught} == {Path(__file__).name}


def test_a_warning_that_is_an_error_stops_every_time(client: APIKeyAuthClient) -> None:
    class Hidden(WarnResource):
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(FutureWarning):
                Hidden(client)


def test_an_ignored_warning_comes_once_it_is_not_ignored(client: APIKeyAuthClient) -> None:
    class Hidden(WarnResource):
        pass

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        Hidden(client)
    assert len(recorded(lambda: Hidden(client))) == 1


def test_with_pythons_own_filters_a_script_sees_it_once() -> None:
    script = """
from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import Dataset
client = APIKeyAuthClient("https://ana.carto.com/", "k")
for _ in range(3):
    Dataset(client)
Dataset(client)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.count("NonPublicApiWarning") == 1
    assert "<string>:6" in done.stderr


# Jobs


@responses.activate
def test_a_job_runs_with_the_arguments_of_a_request(client: APIKeyAuthClient) -> None:
    responses.post(ROOT + "api/v1/jobs/", json={"id": "j", "state": "pending"})
    responses.get(ROOT + "api/v1/jobs/j", json={"id": "j", "state": "done"})
    job = Job(client)
    assert job.run(json={"url": "x"}) is None  # type: ignore[func-returns-value]
    assert (job.id, job.state, sent_json()["url"]) == ("j", "pending", "x")
    assert job.refresh() is None  # type: ignore[func-returns-value]
    assert job.state == "done"
    assert sent_paths() == ["POST /api/v1/jobs/", "GET /api/v1/jobs/j"]


def test_a_job_that_was_not_run_cannot_be_refreshed(client: APIKeyAuthClient) -> None:
    with pytest.raises(CartoException, match="run it first"):
        Job(client).refresh()


@responses.activate
def test_a_job_that_is_refused(client: APIKeyAuthClient) -> None:
    responses.post(ROOT + "api/v1/jobs/", status=400, json={"error": ["no source"]})
    with pytest.raises(BadRequestException, match="no source"):
        Job(client).run()
    responses.replace(responses.POST, ROOT + "api/v1/jobs/", status=429, headers={"Retry-After": "3"})
    with pytest.raises(CartoRateLimitException):
        Job(client).run()


# Managers


class Stone(Resource):
    id = CharField()
    weight = CharField()


class StoneManager(Manager[Stone]):
    resource_class = Stone


def test_managers_make_cartos_paginators(client: APIKeyAuthClient) -> None:
    paginator = StoneManager(client).paginator
    assert isinstance(paginator, CartoPaginator)
    assert (paginator.json_collection_attribute, paginator.base_url) == ("data", ROOT)


@responses.activate
def test_an_update_sends_changes_by_put(client: APIKeyAuthClient) -> None:
    responses.get(ROOT + "stones/s", json={"id": "s", "weight": "1"})
    responses.put(ROOT + "stones/s", json={})
    stone = StoneManager(client).get("s")
    stone.weight = "2"
    stone.save()
    assert sent_json() == {"weight": "2"}


# The paginator by itself


def by_hand(paginator: CartoPaginator, *bodies: Any) -> list[Any]:
    """The requests of a run whose pages are fetched by hand."""
    asked = []
    answers = iter(bodies)
    for url, params in paginator.get_urls("api/v1/viz/"):
        asked.append((url, params))
        with responses.RequestsMock() as server:
            server.get(ROOT, json=next(answers))
            response = requests.get(ROOT, timeout=5)
        assert paginator.process_response(response) is response
    return asked


@pytest.mark.parametrize("total", ["total_entries", "total_user_entries", "total"])
def test_pages_fetched_by_hand(total: str) -> None:
    asked = by_hand(CartoPaginator("rows", ROOT), {"rows": [1, 2], total: 3}, {"rows": [3], total: 3})
    assert asked == [("api/v1/viz/", {"page": 1}), ("api/v1/viz/", {"page": 2})]


def test_the_first_total_counts() -> None:
    page = {"rows": [1], "total": 9, "total_user_entries": 9, "total_entries": 1}
    assert len(by_hand(CartoPaginator("rows", ROOT), page)) == 1


def test_a_list_without_a_key() -> None:
    assert len(by_hand(CartoPaginator(None, ROOT), [1], [])) == 2
