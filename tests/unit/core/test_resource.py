"""Resources: their Meta, their fields, what they send and what they take over."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from carto_like.core import _pyrestcli
from carto_like.core.client import Client
from carto_like.core.errors import ApiError, ConfigurationError, NotFoundError, ResponseFormatError
from carto_like.core.fields import CharField, DateTimeField, DictField, IntegerField, ResourceField
from carto_like.core.resource import Resource
from tests.unit.sent import sent_json, sent_paths

ROOT = "https://api.example/v1/"


class Owner(Resource):
    id = IntegerField()
    name = CharField()

    class Meta:
        collection_endpoint = "owners/"
        name_field = "name"


class OwnerField(ResourceField["Owner | None"]):
    value_class = f"{__name__}.Owner"


class PlainOwnerField(_pyrestcli.ResourceField):  # type: ignore[type-arg]
    value_class = f"{__name__}.Owner"


class Thing(Resource):
    id = CharField()
    name = CharField()
    note = CharField()
    size = IntegerField()
    tags = CharField(many=True)
    extra = DictField()
    made = DateTimeField()
    owner = OwnerField()
    parts = ResourceField[Any](many=True)

    class Meta:
        collection_endpoint = "things/"
        name_field = "name"
        read_only = ("id", "made")


class PatchedThing(Thing):
    class Meta:
        update_method = "patch"


@pytest.fixture
def client() -> Client:
    return Client(ROOT)


def loaded(client: Client, kind: type[Thing] = PatchedThing, **values: Any) -> Thing:
    """A resource as the server told it."""
    thing = kind(client)
    thing.load({"id": "a", "name": "one", "size": 3, **values})
    return thing


# Classes


def test_fields_are_collected_over_all_parents() -> None:
    class Mixin:
        shade = CharField()

    class Sub(Mixin, Thing):
        weight = IntegerField()
        note = None

    assert set(Sub.fields) == (set(Thing.fields) - {"note"}) | {"shade", "weight"}
    assert "weight" not in Thing.fields


def test_a_subclass_takes_over_what_the_server_says_of_inherited_fields(client: Client) -> None:
    class Sub(Thing):
        pass

    sub = Sub(client)
    sub.load({"id": "x", "name": "n"})
    assert (sub.id, sub.name) == ("x", "n")


def test_every_class_has_a_meta_of_its_own() -> None:
    class First(Thing):
        pass

    class Second(Resource):
        class Meta:
            collection_endpoint = "second/"

    class Both(First, Second):  # type: ignore[misc]
        pass

    First.Meta.collection_endpoint = "changed/"
    assert (Thing.Meta.collection_endpoint, Second.Meta.collection_endpoint) == ("things/", "second/")
    assert Both.Meta.collection_endpoint == "changed/"
    second: Any = Second.Meta
    both: Any = Both.Meta
    assert (second.id_field, both.name_field, both.trailing_slash) == ("id", "name", False)


def test_a_collection_without_a_path_is_named_like_the_class() -> None:
    class Wheel(Resource):
        pass

    assert Wheel.get_collection_endpoint() == "wheels/"


def test_resources_are_pyrestclis(client: Client) -> None:
    assert isinstance(Thing(client), _pyrestcli.Resource)
    assert isinstance(vars(Thing)["name"], _pyrestcli.CharField)


# Addresses


@pytest.mark.parametrize(
    ("identity", "path"),
    [
        ("a", "things/a"),
        ("a/b", "things/a%2Fb"),
        ("../x", "things/..%2Fx"),
        ("a:b", "things/a%3Ab"),
        ("q?x#y", "things/q%3Fx%23y"),
        ("ü ", "things/%C3%BC%20"),
        (0, "things/0"),
        ("%2e%2e", "things/%252e%252e"),
    ],
)
def test_ids_are_quoted(client: Client, identity: Any, path: str) -> None:
    assert Thing(client, id=identity).get_resource_endpoint() == path


@pytest.mark.parametrize("identity", ["", ".", ".."])
@responses.activate
def test_ids_that_name_another_place_are_refused(client: Client, identity: str) -> None:
    thing = Thing(client, id=identity)
    for verb in (thing.delete, thing.refresh, thing.save, thing.get_action_endpoint):
        with pytest.raises(ConfigurationError):
            verb()
    assert len(responses.calls) == 0


@responses.activate
def test_without_an_id_nothing_is_asked(client: Client) -> None:
    thing = Thing(client)
    assert thing.get_resource_endpoint() is None
    assert thing.refresh() is None
    assert thing.delete() is None
    with pytest.raises(ConfigurationError, match="no id"):
        thing.get_action_endpoint("close")
    assert len(responses.calls) == 0


def test_slashes_follow_the_platform(client: Client) -> None:
    class Slashed(Thing):
        class Meta:
            trailing_slash = True
            collection_endpoint = "slashed"

    slashed = Slashed(client, id="a")
    assert slashed.get_collection_endpoint() == "slashed"
    assert slashed.get_resource_endpoint() == "slashed/a/"
    assert slashed.get_action_endpoint("token", "re/new") == "slashed/a/token/re%2Fnew/"


# Saving


@responses.activate
def test_a_patch_carries_what_changed(client: Client) -> None:
    responses.patch(ROOT + "things/a", json={"id": "a", "name": "two", "size": 4})
    thing = loaded(client)
    thing.name = "two"
    answer = thing.save()
    assert sent_json() == {"name": "two"}
    assert answer.status_code == 200
    assert thing.size == 4
    thing.save()
    assert sent_json() == {}


@responses.activate
def test_a_list_or_dict_changed_in_place_is_a_change(client: Client) -> None:
    responses.patch(ROOT + "things/a", status=204)
    thing = loaded(client, tags=["x"], extra={"deep": {"k": 1}})
    assert thing.tags is not None
    assert thing.extra is not None
    thing.tags.append("y")
    thing.extra["deep"]["k"] = 2
    thing.save()
    assert sent_json() == {"tags": ["x", "y"], "extra": {"deep": {"k": 2}}}
    thing.save()
    assert sent_json() == {}


@responses.activate
def test_none_goes_out_as_null_when_it_was_set(client: Client) -> None:
    responses.patch(ROOT + "things/a", json={})
    thing = loaded(client)
    thing.note = None
    thing.save()
    assert sent_json() == {"note": None}


@responses.activate
def test_a_put_carries_everything_that_is_not_read_only(client: Client) -> None:
    responses.put(ROOT + "things/a", json={})
    thing = loaded(
        client, kind=Thing, tags=[], made="2024-01-01", note=None, owner={"id": 7}, parts=[{"id": 1}]
    )
    thing.size = None
    thing.save()
    assert sent_json() == {"name": "one", "tags": [], "owner": 7, "size": None}


@responses.activate
def test_falsy_values_are_sent(client: Client) -> None:
    responses.post(ROOT + "things/", json={})
    Thing(client, size=0, name="", extra={}, tags=[]).save()
    assert sent_json() == {"size": 0, "name": "", "extra": {}, "tags": []}


@responses.activate
def test_a_new_item_leaves_nones_to_the_server_unless_named(client: Client) -> None:
    responses.post(ROOT + "things/", json={"id": "new"})
    thing = Thing(client, name="n", note=None)
    thing.save()
    assert sent_json() == {"name": "n"}
    assert thing.id == "new"
    Thing(client, name="n", note=None).save(fields=["note"])
    assert sent_json() == {"note": None}


@responses.activate
def test_force_create_copies(client: Client) -> None:
    responses.post(ROOT + "things/", json={"id": "b"})
    thing = loaded(client, note=None)
    thing.save(force_create=True)
    assert sent_json() == {"name": "one", "size": 3}
    assert thing.id == "b"


@responses.activate
def test_named_fields_only(client: Client) -> None:
    responses.put(ROOT + "things/a", json={})
    thing = loaded(client, kind=Thing)
    thing.save(fields=["size"])
    assert sent_json() == {"size": 3}
    thing.save(fields=[])
    assert sent_json() == {}
    with pytest.raises(ConfigurationError, match="sise"):
        thing.save(fields=["sise"])


@responses.activate
def test_fields_that_every_update_needs(client: Client) -> None:
    class Signed(PatchedThing):
        class Meta:
            always_sent = ("id",)

    responses.patch(ROOT + "things/a", json={})
    responses.post(ROOT + "things/", json={})
    signed = loaded(client, kind=Signed)
    signed.save()
    assert sent_json() == {"id": "a"}
    Signed(client, id="z", name="n").save(force_create=True)
    assert sent_json() == {"name": "n"}


@responses.activate
def test_a_form_instead_of_json(client: Client) -> None:
    class Form(Thing):
        class Meta:
            json_data = False

    responses.post(ROOT + "things/", match=[responses.matchers.urlencoded_params_matcher({"name": "n"})])
    assert Form(client, name="n").save().status_code == 200


@responses.activate
def test_changes_survive_a_refused_save(client: Client) -> None:
    responses.patch(ROOT + "things/a", status=422, json={"error": "no"})
    thing = loaded(client)
    thing.name = "two"
    with pytest.raises(ApiError):
        thing.save()
    responses.replace(responses.PATCH, ROOT + "things/a", json={})
    thing.save()
    assert sent_json() == {"name": "two"}


@responses.activate
def test_update_from_dict_counts_as_a_change(client: Client) -> None:
    responses.patch(ROOT + "things/a", json={})
    thing = loaded(client)
    thing.update_from_dict({"name": "two", "stranger": 1})
    thing.save()
    assert sent_json() == {"name": "two"}
    assert not hasattr(thing, "stranger")
    with pytest.raises(ValueError, match="soon"):
        thing.update_from_dict({"made": "soon"})


@responses.activate
def test_fields_of_pyrestclis_own_are_sent_whenever_they_are_set(client: Client) -> None:
    class Old(Resource):
        id = _pyrestcli.CharField()
        name = CharField()
        size = _pyrestcli.IntegerField()
        made = _pyrestcli.DateTimeField()
        owner = PlainOwnerField()
        note = _pyrestcli.CharField()

        class Meta:
            update_method = "patch"

    responses.patch(ROOT + "olds/a", json={"size": 5})
    old = Old(client)
    old.load({"id": "a", "name": "n", "size": 3, "made": "2024-05-01", "owner": {"id": 7}, "note": None})
    assert set(Old.fields) == {"id", "name", "size", "made", "owner", "note"}
    old.name = "m"
    old.save()
    assert sent_json() == {"id": "a", "name": "m", "size": 3, "made": "2024-05-01T00:00:00", "owner": 7}
    assert old.size == 5


# Reading


@responses.activate
def test_refresh_and_delete_return_the_response(client: Client) -> None:
    responses.get(ROOT + "things/a", json={"id": "a", "name": "new"})
    responses.delete(ROOT + "things/a", json="gone")
    thing = loaded(client)
    thing.name = "unsaved"
    refreshed = thing.refresh()
    assert refreshed is not None
    assert refreshed.json()["name"] == thing.name == "new"
    deleted = thing.delete()
    assert deleted is not None
    assert deleted.status_code == 200
    assert thing.id == "a"
    assert sent_paths() == ["GET /v1/things/a", "DELETE /v1/things/a"]


@responses.activate
def test_a_missing_item(client: Client) -> None:
    responses.get(ROOT + "things/a", status=404, json={"error": "nothing"})
    with pytest.raises(NotFoundError) as caught:
        loaded(client).refresh()
    assert isinstance(caught.value, _pyrestcli.NotFoundException)


def test_an_unreadable_value_leaves_the_object_as_it_was(client: Client) -> None:
    thing = loaded(client)
    thing.note = "mine"
    with pytest.raises(ResponseFormatError, match=r"PatchedThing\.made.*'not a date'"):
        thing.load({"name": "two", "tags": ["t"], "made": "not a date"})
    assert (thing.name, thing.tags, thing.made, thing.note) == ("one", None, None, "mine")
    assert thing._changes.assigned("note")


@pytest.mark.parametrize("answer", ["[1]", '"text"', "3"])
@responses.activate
def test_an_answer_that_describes_nothing(client: Client, answer: str) -> None:
    responses.get(ROOT + "things/a", body=answer)
    with pytest.raises(ResponseFormatError, match="not an object"):
        loaded(client).refresh()


@responses.activate
def test_an_empty_answer_changes_nothing(client: Client) -> None:
    responses.get(ROOT + "things/a", status=200, body="")
    thing = loaded(client)
    thing.refresh()
    assert thing.name == "one"


# Being an object


def test_text_and_representation(client: Client) -> None:
    assert str(loaded(client)) == "one"
    assert repr(loaded(client)) == str(loaded(client, name="")) == "<PatchedThing id='a'>"
    assert str(Thing(client)) == "<Thing id=None>"
    assert str(Resource(client, id=5)) == "5"


def test_equality_is_by_class_and_id(client: Client) -> None:
    one, other = loaded(client), loaded(client, name="else")
    assert one == other
    assert one == one
    assert len({one, other}) == 1
    assert one != loaded(client, kind=Thing)
    assert one != loaded(Client("https://elsewhere.example/"))
    assert Thing(client) != Thing(client)
    assert one != "a"


def test_constructor_keywords_may_hold_resources(client: Client) -> None:
    thing = Thing(client, owner={"id": 3, "name": "Ana"}, colour="red")
    assert thing.owner is not None
    assert (thing.owner.name, thing.owner.client) == ("Ana", client)
    assert thing.colour == "red"  # type: ignore[attr-defined]


def test_new_resources_are_true(client: Client) -> None:
    assert Thing(client)
