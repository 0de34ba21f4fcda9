"""The account that a key belongs to, and the users of an organization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from carto_like.core.errors import ConfigurationError
from carto_like.core.fields import BooleanField, CharField, IntegerField
from carto_like.core.paths import error_type, item_path
from carto_like.resources import Manager, WarnResource

__all__ = ["API_ENDPOINT", "API_NONORG_ENDPOINT", "API_VERSION", "User", "UserManager"]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/organization/{organization}/users/"
API_NONORG_ENDPOINT = "api/{api_version}/users/"

_LIST_API_VERSION = "v2"


class User(WarnResource):
    """A user; where it is found depends on whether the client names an organization."""

    username = CharField()
    all_visualization_count = IntegerField()
    available_for_hire = BooleanField()
    avatar_url = CharField()
    base_url = CharField()
    db_size_in_bytes = IntegerField()
    description = CharField()
    disqus_shortname = CharField()
    email = CharField()
    google_maps_query_string = CharField()
    last_name = CharField()
    location = CharField()
    name = CharField()
    org_admin = BooleanField()
    org_user = BooleanField()
    password = CharField()
    public_visualization_count = IntegerField()
    quota_in_bytes = IntegerField()
    remove_logo = BooleanField()
    soft_geocoding_limit = IntegerField()
    table_count = IntegerField()
    twitter_username = CharField()
    viewer = BooleanField()
    website = CharField()

    class Meta:
        id_field = "username"
        name_field = "username"
        read_only = (
            "all_visualization_count",
            "base_url",
            "db_size_in_bytes",
            "google_maps_query_string",
            "org_user",
            "public_visualization_count",
            "table_count",
        )

    # The client decides where users are, so a class cannot know it.
    def get_collection_endpoint(self) -> str:  # type: ignore[override]
        """Path of the organization's users, or of the account's own."""
        return _collection_of(self.client)


class UserManager(Manager[User]):
    """Reads a user by name; with an organization also lists, creates and changes its users.

    Without an organization CARTO answers with the key's own account, whatever name is asked for.
    """

    resource_class = User
    json_collection_attribute = None

    def get_collection_endpoint(self) -> str:  # type: ignore[override]
        """Path of the organization's users, or of the account's own."""
        return _collection_of(self.client)

    def get_resource_endpoint(self, resource_id: Any) -> str | None:  # type: ignore[override]
        """Path of one user."""
        return None if resource_id is None else item_path(self.get_collection_endpoint(), resource_id)

    def iterate(self, **search_args: Any) -> Iterator[User]:
        """Yield the users of the client's organization.

        Raises:
            CartoException: the client names no organization; an account alone has no list of users.
        """
        organization = _organization_of(self.client)
        if organization is None:
            text = "only an organization has a list of users: give the client its name"
            raise error_type(self.client, ConfigurationError)(text)
        # CARTO lists users in another version of its API than the one that changes them.
        url = _endpoint(API_ENDPOINT, _LIST_API_VERSION, organization)
        response = self.send(url, "get", params=search_args)
        body = self.client.get_response_data(response, self.Meta.parse_json)
        yield from map(self.build, self.items_of(body))


def _organization_of(client: Any) -> str | None:
    return getattr(client, "organization", None) or None


def _collection_of(client: Any) -> str:
    organization = _organization_of(client)
    template = API_NONORG_ENDPOINT if organization is None else API_ENDPOINT
    return _endpoint(template, API_VERSION, organization)


def _endpoint(template: str, api_version: str, organization: str | None) -> str:
    quoted = "" if organization is None else item_path("", organization).strip("/")
    return template.format(api_version=api_version, organization=quoted)
