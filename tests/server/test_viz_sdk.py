"""The SDK's datasets, tables and users against the real server."""

from __future__ import annotations

import pytest

from carto_like.auth import APIKeyAuthClient, AuthAPIClient, NoAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoException
from carto_like.tables import TableManager
from carto_like.users import UserManager
from tests.support.api import TestAccount
from tests.support.datasets import Owner


@pytest.fixture
def client(account: TestAccount) -> APIKeyAuthClient:
    return APIKeyAuthClient(account.base_url, account.api_key)


def test_datasets_are_listed_changed_renamed_and_deleted(client: APIKeyAuthClient, owner: Owner) -> None:
    for number in range(23):
        owner.dataset(f"t{number}", rows=1)
    manager = DatasetManager(client)
    assert {dataset.name for dataset in manager.all()} == {f"t{number}" for number in range(23)}
    assert [dataset.name for dataset in manager.filter(q="t22")] == ["t22"]
    dataset = manager.get("t7")
    assert dataset.privacy == "PRIVATE"
    assert dataset.table is not None
    assert dataset.table.row_count == 1
    dataset.privacy = "LINK"
    dataset.tags = ["a", "b"]
    dataset.description = "Said by the SDK"
    dataset.name = "Seven Trees"
    dataset.save()
    assert dataset.name == "seven_trees"
    again = manager.get("seven_trees")
    assert (again.id, again.privacy, again.tags) == (dataset.id, "LINK", ["a", "b"])
    assert again.description == "Said by the SDK"
    again.delete()
    assert manager.get_or_none("seven_trees") is None
    assert owner.execute("SELECT to_regclass('seven_trees')") == [(None,)]
    assert len(manager.all()) == 22


def test_errors_say_what_the_server_said(client: APIKeyAuthClient, owner: Owner) -> None:
    owner.dataset("trees")
    owner.execute("CREATE VIEW seen AS SELECT * FROM trees")
    dataset = DatasetManager(client).get("trees")
    with pytest.raises(CartoException, match="view seen depends on table trees"):
        dataset.delete()
    dataset.privacy = "SECRET"
    with pytest.raises(CartoException, match="must be one of PUBLIC, LINK, PRIVATE"):
        dataset.save()


def test_tables_and_the_user_are_read(client: APIKeyAuthClient, owner: Owner, account: TestAccount) -> None:
    owner.dataset("trees", rows=2)
    table = TableManager(client).get("trees")
    assert (table.name, table.rows_counted) == ("trees", 2)
    assert table.table_visualization is not None
    assert table.table_visualization.name == "trees"
    with pytest.raises(CartoException, match="no list of tables: DatasetManager"):
        TableManager(client).all()
    user = UserManager(client).get(account.name)
    assert (user.username, user.table_count) == (account.name, 1)


def test_strangers_list_public_datasets(client: APIKeyAuthClient, owner: Owner, account: TestAccount) -> None:
    for number in range(21):
        owner.dataset(f"t{number}")
        owner.execute(f"GRANT SELECT ON t{number} TO publicuser")
    owner.dataset("closed")
    assert len(DatasetManager(NoAuthClient(account.base_url)).all()) == 21


def test_a_key_knows_whether_it_is_valid(account: TestAccount) -> None:
    assert AuthAPIClient(account.base_url, account.api_key).is_valid_api_key()
    assert AuthAPIClient(account.base_url, "default_public").is_valid_api_key()
    assert not AuthAPIClient(account.base_url, "wrong").is_valid_api_key()
