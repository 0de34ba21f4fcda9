"""CARTO's own fields, and the small resources they hold."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from carto_like import fields
from carto_like.auth import APIKeyAuthClient
from carto_like.core.fields import CharField, ResourceField
from carto_like.permissions import LINK, PRIVATE, PUBLIC, Entity, Permission
from carto_like.resources import Resource
from carto_like.synchronizations import Synchronization
from carto_like.tables import Table, TableManager
from carto_like.users import User
from carto_like.visualizations import Visualization
from tests.unit.sent import sent_paths

ROOT = "https://ana.carto.com/"


class Page(Resource):
    id = CharField()
    data = fields.Base64EncodedField()
    password = fields.PasswordAndPrivacyFields()
    privacy = CharField()


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (fields.VisualizationField, Visualization),
        (fields.TableField, Table),
        (fields.UserField, User),
        (fields.EntityField, Entity),
        (fields.PermissionField, Permission),
        (fields.SynchronizationField, Synchronization),
    ],
)
def test_each_field_holds_its_resource(client: APIKeyAuthClient, kind: Any, target: type) -> None:
    class Holder(Resource):
        one = kind()
        several = kind(many=True)

    holder = Holder(client)
    holder.load({"one": {"id": "a"}, "several": [{"id": "b"}, None]})
    assert type(holder.one) is target
    assert [type(each) for each in holder.several] == [target, target]
    assert [bool(each) for each in holder.several if target is not User] in ([], [True, False])


@pytest.mark.parametrize("kind", [fields.GrantsField, fields.TableGrantField])
def test_fields_of_modules_to_come_can_be_declared(
    client: APIKeyAuthClient, kind: type[ResourceField[Any]]
) -> None:
    class Holder(Resource):
        one = kind()

    assert Holder(client).one is None


def test_grants_are_told_by_type(client: APIKeyAuthClient) -> None:
    class Grants(Resource):
        apis = CharField(many=True)
        services = CharField(many=True)
        tables = CharField(many=True)

    class Key(Resource):
        grants = fields.GrantsField()

    field: Any = Key.grants
    field.value_class = Grants
    key = Key(client)
    key.grants = [{"type": "apis", "apis": ["sql"]}, {"type": "database"}, {"type": "other"}]
    assert (key.grants.apis, key.grants.tables, key.grants.services) == (["sql"], [], None)


@pytest.mark.parametrize(
    ("given", "held"), [("é", "w6k="), (b"\xc3\xa9", "w6k="), ("", ""), (None, ""), (3, "")]
)
def test_content_is_encoded(client: APIKeyAuthClient, given: Any, held: str) -> None:
    page = Page(client)
    page.data = given
    assert page.data == held
    page.data = page.data
    assert page.data == held


def test_a_password_decides_the_privacy(client: APIKeyAuthClient) -> None:
    page = Page(client, password="open sesame")
    assert (page.password, page.privacy) == ("open sesame", fields.PRIVACY_PASSWORD)
    page.password = None
    assert (page.password, page.privacy) == (None, fields.PRIVACY_PUBLIC)


def test_what_the_server_says_of_a_password_decides_nothing(client: APIKeyAuthClient) -> None:
    page = Page(client)
    page.load({"privacy": "password", "password": None})
    assert (page.password, page.privacy) == (None, "password")


def test_permissions(client: APIKeyAuthClient) -> None:
    permission = Permission(client)
    permission.load(
        {
            "id": "p",
            "owner": {"username": "ana"},
            "entity": {"id": "v", "type": "vis"},
            "acl": [{"type": "org", "access": "r"}],
            "created_at": "2024-05-01",
        }
    )
    assert permission.owner is not None
    assert permission.entity is not None
    assert (permission.owner.username, permission.entity.type) == ("ana", "vis")
    assert permission.acl == [{"type": "org", "access": "r"}]
    assert (PUBLIC, PRIVATE, LINK) == ("PUBLIC", "PRIVATE", "LINK")


@responses.activate
def test_tables(client: APIKeyAuthClient) -> None:
    responses.get(
        ROOT + "api/v1/tables/trees",
        json={
            "id": "t",
            "name": "trees",
            "schema": [["cartodb_id", "number"]],
            "table_visualization": {"id": "v", "name": "trees"},
            "synchronization": None,
            "updated_at": "2024-05-01T10:00:00Z",
        },
    )
    table = TableManager(client).get("trees")
    assert table.table_visualization is not None
    assert (table.name, table.table_visualization.id, str(table)) == ("trees", "v", "trees")
    assert sent_paths() == ["GET /api/v1/tables/trees"]


@responses.activate
def test_a_list_of_tables_where_there_is_one(client: APIKeyAuthClient) -> None:
    responses.get(ROOT + "api/v1/tables/", json={"tables": [{"id": "t"}], "total_entries": 1})
    assert [table.id for table in TableManager(client).all()] == ["t"]
