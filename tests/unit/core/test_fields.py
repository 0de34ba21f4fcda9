"""Fields: what they hold for what they are given, and what goes over the wire."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from dateutil.tz import tzoffset, tzutc

from carto_like.core import _pyrestcli
from carto_like.core.client import Client
from carto_like.core.fields import (
    OMIT,
    BooleanField,
    CharField,
    DateTimeField,
    DictField,
    Field,
    FloatField,
    IntegerField,
    ResourceField,
)
from carto_like.core.resource import Resource


class Leaf(Resource):
    id = CharField()
    name = CharField()


class LeafField(ResourceField[Any]):
    value_class = f"{__name__}.Leaf"


class Tree(Resource):
    id = CharField()
    planted = DateTimeField()
    visits = DateTimeField(many=True)
    tags = CharField(many=True)
    leaf = LeafField()
    leaves = LeafField(many=True)
    far = LeafField(expand=True)


@pytest.fixture
def tree() -> Tree:
    return Tree(Client("https://api.example/"))


@pytest.mark.parametrize("kind", [BooleanField, CharField, DictField, FloatField, IntegerField])
def test_simple_kinds_keep_what_they_get(kind: type[Field[Any]]) -> None:
    class Holder(Resource):
        value = kind()

    holder = Holder(None)
    assert holder.value is None
    holder.value = "anything"
    assert holder.value == "anything"
    assert isinstance(Holder.value, getattr(_pyrestcli, kind.__name__))


def test_fields_are_reachable_on_the_class() -> None:
    assert isinstance(Tree.planted, DateTimeField)
    assert (Tree.visits.many, Tree.visits.name) == (True, "visits")


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("2024-05-01T10:00:00Z", datetime(2024, 5, 1, 10, tzinfo=tzutc())),
        ("2024-05-01T10:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=tzoffset(None, 7200))),
        ("2024-05-01", datetime(2024, 5, 1)),
        ("", None),
        ("  ", None),
        (None, None),
        (1714557600, 1714557600),
    ],
)
def test_moments_are_parsed(tree: Tree, given: Any, held: Any) -> None:
    tree.planted = given
    assert tree.planted == held


def test_a_moment_keeps_its_zone(tree: Tree) -> None:
    tree.planted = "2024-05-01T10:00:00+02:00"
    assert tree.planted is not None
    assert tree.planted.utcoffset() == timedelta(hours=2)
    assert Tree.planted.to_wire(tree.planted) == "2024-05-01T10:00:00+02:00"


def test_lists_of_moments(tree: Tree) -> None:
    moment = datetime(2024, 5, 1, tzinfo=timezone.utc)
    tree.visits = ["2024-05-01T00:00:00Z", moment, None]
    assert tree.visits == [moment, moment, None]
    assert Tree.visits.to_wire(tree.visits) == ["2024-05-01T00:00:00+00:00"] * 2 + [None]
    tree.visits = "2024-05-01T00:00:00Z"
    assert tree.visits == [moment]
    tree.visits = {"2024-05-01": 3}
    assert tree.visits == {"2024-05-01": 3}


def test_a_bad_date_of_the_callers_is_an_error_at_once(tree: Tree) -> None:
    with pytest.raises(ValueError, match="soon"):
        tree.planted = "soon"
    assert tree.planted is None


def test_nulls_from_the_server_are_empty_lists(tree: Tree) -> None:
    assert tree.tags is None
    tree.load({"tags": None, "visits": None, "leaves": None})
    assert [tree.tags, tree.visits, tree.leaves] == [[], [], []]


def test_a_nested_object(tree: Tree) -> None:
    tree.load({"leaf": {"id": "l", "name": "green"}, "leaves": [{"id": "a"}, "b"]})
    assert (tree.leaf.name, tree.leaf.client) == ("green", tree.client)
    assert [leaf.id for leaf in tree.leaves] == ["a", "b"]
    assert (Tree.leaf.to_wire(tree.leaf), Tree.leaves.to_wire(tree.leaves)) == ("l", OMIT)
    assert Tree.leaves.to_wire([]) == []


def test_an_id_is_enough(tree: Tree) -> None:
    tree.leaf = "l"
    assert tree.leaf.get_id() == "l"
    tree.far = "m"
    assert Tree.far.to_wire(tree.far) == {"id": "m"}


def test_a_resource_is_taken_as_it_is(tree: Tree) -> None:
    leaf = Leaf(tree.client, id="l")
    tree.leaf = leaf
    tree.leaves = [leaf]
    assert tree.leaf is leaf
    assert tree.leaves[0] is leaf


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_absent_resource_is_false_and_can_be_asked(tree: Tree, nothing: Any) -> None:
    tree.load({"leaf": nothing})
    assert not tree.leaf
    assert tree.leaf is not None
    assert tree.leaf.get_id() is None
    assert tree.leaf.name is None
    tree.leaf.name = "green"
    assert tree.leaf


def test_a_resource_never_told_of_is_none(tree: Tree) -> None:
    assert tree.leaf is None
    assert tree.leaves is None
