"""Datasets: what is asked, what is sent, and when deleting is refused."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import responses

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.core import _pyrestcli
from carto_like.datasets import Dataset, DatasetInUse, DatasetManager
from carto_like.exceptions import CartoException, CartoRateLimitException, NotFoundException
from carto_like.tables import Table
from carto_like.visualizations import Visualization
from tests.unit.sent import sent_json, sent_paths, sent_query

ROOT = "https://ana.carto.com/"
VIZ = ROOT + "api/v1/viz/"
UUID = "9e0a2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
TREES: dict[str, Any] = {
    "id": UUID,
    "name": "trees",
    "type": "table",
    "privacy": "PRIVATE",
    "tags": ["green"],
    "description": None,
    "created_at": "2024-05-01T10:00:00.000Z",
    "updated_at": "2024-05-01T10:00:00.000Z",
    "url": "https://ana.carto.com/tables/trees",
    "synchronization": None,
    "stats": {"2024-05-01": 3},
    "table": {"id": "t", "name": "trees", "geometry_types": ["ST_Point"], "row_count": 12},
    "permission": {"id": "p", "owner": {"username": "ana"}, "acl": []},
    "dependent_visualizations": [{"id": "m", "name": "a map"}],
    "dependent_visualizations_count": 1,
}


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


@pytest.fixture
def manager(client: APIKeyAuthClient) -> DatasetManager:
    return DatasetManager(client)


@pytest.fixture
def trees(client: APIKeyAuthClient) -> Dataset:
    dataset = Dataset(client)
    dataset.load({**TREES, "dependent_visualizations_count": 0, "dependent_visualizations": []})
    return dataset


def own_query(index: int = -1) -> dict[str, str]:
    """The query of a request without what the client adds to every one."""
    return {name: value for name, value in sent_query(index).items() if name not in ("api_key", "client")}


@responses.activate
def test_get_by_name(manager: DatasetManager) -> None:
    responses.get(VIZ + "trees", json=TREES)
    dataset = manager.get("trees")
    assert (dataset.id, dataset.name, str(dataset)) == (UUID, "trees", "trees")
    assert own_query() == {
        "type": "table", "exclude_shared": "true", "with_dependent_visualizations": "100000",
    }  # fmt: skip


@responses.activate
def test_names_are_quoted(manager: DatasetManager) -> None:
    responses.get(VIZ + "ana.my%20trees%2F..%3Fx", json=TREES)
    manager.get("ana.my trees/..?x")
    assert sent_paths() == ["GET /api/v1/viz/ana.my%20trees%2F..%3Fx"]


@pytest.mark.parametrize("identity", [None, "", ".."])
@responses.activate
def test_no_id_is_no_request(manager: DatasetManager, identity: Any) -> None:
    with pytest.raises(CartoException):
        manager.get(identity)
    assert len(responses.calls) == 0


@responses.activate
def test_what_an_answer_says(manager: DatasetManager) -> None:
    responses.get(VIZ + "trees", json=TREES)
    dataset = manager.get("trees")
    assert dataset.created_at is not None
    assert dataset.created_at.isoformat() == "2024-05-01T10:00:00+00:00"
    assert isinstance(dataset.table, Table)
    assert (dataset.table.geometry_types, dataset.table.row_count) == (["ST_Point"], 12)
    assert dataset.permission is not None
    assert dataset.permission.owner is not None
    assert dataset.permission.owner.username == "ana"
    assert dataset.stats == {"2024-05-01": 3}
    assert dataset.dependent_visualizations is not None
    assert [type(each) for each in dataset.dependent_visualizations] == [Visualization]


@responses.activate
def test_nulls(manager: DatasetManager) -> None:
    responses.get(
        VIZ + "trees",
        json={**TREES, "stats": None, "dependent_visualizations": None, "tags": None, "table": {}},
    )
    dataset = manager.get("trees")
    assert [dataset.stats, dataset.dependent_visualizations, dataset.tags] == [[], [], []]
    assert not dataset.synchronization
    assert dataset.synchronization is not None
    assert dataset.synchronization.get_id() is None
    assert not dataset.table


@responses.activate
def test_all_pages(manager: DatasetManager) -> None:
    for number, names in ((1, ["a", "b"]), (2, ["c"])):
        responses.get(
            VIZ,
            json={"visualizations": [{"id": name, "name": name} for name in names], "total_entries": 3},
            match=[responses.matchers.query_param_matcher({"page": number}, strict_match=False)],
        )
    assert [dataset.name for dataset in manager.all()] == ["a", "b", "c"]
    assert own_query(1)["page"] == "2"
    assert isinstance(manager.filter(order="name"), list)
    assert own_query()["order"] == "name"


@responses.activate
def test_a_total_that_is_too_high_ends_with_an_empty_page(manager: DatasetManager) -> None:
    for number, names in ((1, ["a"]), (2, [])):
        responses.get(
            VIZ,
            json={"visualizations": [{"id": name} for name in names], "total_entries": 9},
            match=[responses.matchers.query_param_matcher({"page": number}, strict_match=False)],
        )
    assert [dataset.id for dataset in manager.all()] == ["a"]
    assert len(responses.calls) == 2


@responses.activate
def test_arguments_of_a_search(manager: DatasetManager) -> None:
    responses.get(VIZ, json={"visualizations": [{"id": "a"}], "total_entries": 100})
    found = manager.filter(page=3, per_page=1, show_table=False, load_totals="false", exclude_shared="false")
    assert len(found) == 1
    assert own_query() == {
        "page": "3",
        "per_page": "1",
        "show_table": "false",
        "load_totals": "false",
        "type": "table",
        "exclude_shared": "false",
        "with_dependent_visualizations": "100000",
    }
    assert len(responses.calls) == 1


@responses.activate
def test_a_rename_sends_the_id_and_the_name(manager: DatasetManager) -> None:
    responses.get(VIZ + "trees", json=TREES)
    responses.put(VIZ + UUID, json={**TREES, "name": "my_trees"})
    dataset = manager.get("trees")
    dataset.name = "My Trees"
    answer = dataset.save()
    assert sent_json() == {"id": UUID, "name": "My Trees"}
    assert (answer.status_code, dataset.name) == (200, "my_trees")


@responses.activate
def test_clearing_and_tagging(trees: Dataset) -> None:
    responses.put(VIZ + UUID, json=TREES)
    trees.description = None
    assert trees.tags is not None
    trees.tags.append("tall")
    trees.url = "https://elsewhere.example/"
    trees.save()
    assert sent_json() == {"id": UUID, "description": None, "tags": ["green", "tall"]}


@responses.activate
def test_refresh_asks_for_the_dependent_maps(trees: Dataset) -> None:
    responses.get(VIZ + UUID, json=TREES)
    answer = trees.refresh()
    assert answer is not None
    assert own_query() == {"with_dependent_visualizations": "100000"}
    assert trees.dependent_visualizations_count == 1


@responses.activate
def test_delete_without_dependents(trees: Dataset) -> None:
    responses.get(VIZ + UUID, json={**TREES, "dependent_visualizations_count": 0})
    responses.delete(VIZ + UUID, status=204)
    assert trees.delete() is None  # type: ignore[func-returns-value]
    assert sent_paths() == [f"GET /api/v1/viz/{UUID}", f"DELETE /api/v1/viz/{UUID}"]


@responses.activate
def test_delete_is_refused_for_what_is_known(trees: Dataset) -> None:
    trees.dependent_visualizations_count = 1
    with pytest.raises(DatasetInUse, match="one map depends"):
        trees.delete()
    assert len(responses.calls) == 0


@pytest.mark.parametrize("known", [0, None])
@responses.activate
def test_delete_is_refused_for_what_the_server_says(trees: Dataset, known: int | None) -> None:
    responses.get(VIZ + UUID, json={**TREES, "dependent_visualizations_count": 2})
    trees.dependent_visualizations_count = known
    with pytest.raises(DatasetInUse, match="2 maps depend") as caught:
        trees.delete()
    assert isinstance(caught.value, CartoException)
    assert caught.value.count == 2
    assert sent_paths() == [f"GET /api/v1/viz/{UUID}"]


@responses.activate
def test_delete_is_refused_when_nobody_knows(trees: Dataset) -> None:
    responses.get(VIZ + UUID, json={"id": UUID})
    with pytest.raises(DatasetInUse, match="does not tell"):
        trees.delete()
    assert len(responses.calls) == 1


@responses.activate
def test_a_refused_delete_keeps_unsaved_changes(trees: Dataset) -> None:
    responses.get(VIZ + UUID, json={**TREES, "dependent_visualizations_count": 2})
    trees.title = "unsaved"
    with pytest.raises(DatasetInUse):
        trees.delete()
    assert trees.title == "unsaved"


@responses.activate
def test_force_delete(trees: Dataset) -> None:
    responses.delete(VIZ + UUID, status=204)
    trees.dependent_visualizations_count = 5
    assert trees.force_delete() is None  # type: ignore[func-returns-value]
    assert sent_paths() == [f"DELETE /api/v1/viz/{UUID}"]


@responses.activate
def test_deleting_what_has_no_id_does_nothing(client: APIKeyAuthClient) -> None:
    Dataset(client).delete()
    Dataset(client).force_delete()
    assert len(responses.calls) == 0


@responses.activate
def test_a_missing_dataset(manager: DatasetManager) -> None:
    responses.get(VIZ + "trees", status=404, json={"errors": ["Visualization does not exist"]})
    with pytest.raises(NotFoundException, match="does not exist") as caught:
        manager.get("trees")
    assert isinstance(caught.value, CartoException)
    assert isinstance(caught.value, _pyrestcli.NotFoundException)
    assert caught.value.status_code == 404
    assert manager.get_or_none("trees") is None


@responses.activate
def test_rate_limits_keep_their_class(manager: DatasetManager) -> None:
    responses.get(VIZ, status=429, headers={"Retry-After": "7"}, json={"errors": ["slow down"]})
    with pytest.raises(CartoRateLimitException) as caught:
        manager.all()
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("own", [True, False])
@responses.activate
def test_no_answer_is_a_carto_exception(own: bool) -> None:
    client: Any = NoAuthClient(ROOT, retry=False) if own else _pyrestcli.NoAuthClient(ROOT)
    responses.get(VIZ + "trees", body=requests.ConnectionError("gone"))
    with pytest.raises(CartoException) as caught:
        DatasetManager(client).get("trees")
    assert isinstance(caught.value.args[0], requests.ConnectionError)


@responses.activate
def test_an_unreadable_date_is_a_carto_exception(manager: DatasetManager) -> None:
    responses.get(VIZ + "trees", json={**TREES, "created_at": "yesterday-ish"})
    with pytest.raises(CartoException, match=r"Dataset\.created_at"):
        manager.get("trees")


@pytest.mark.parametrize(
    ("archive", "interval", "extra", "follows"),
    [
        ("https://x.example/a.csv", 3600, {}, True),
        ("HTTP://x.example/a.csv", 3600, {}, True),
        ("https://x.example/a.csv", None, {}, False),
        ("http_log.csv", 3600, {}, False),
        (None, 3600, {"connection": {}}, True),
        (None, None, {"connection": {}}, False),
        (None, 3600, {}, False),
    ],
)
def test_which_imports_would_be_followed(
    manager: DatasetManager, archive: str | None, interval: int | None, extra: dict[str, Any], follows: bool
) -> None:
    assert manager.is_sync_table(archive, interval, **extra) is follows
