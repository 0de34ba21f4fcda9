"""Accounts as JSON: the account's own data, and the nested user object with and without its private part."""

from __future__ import annotations

from typing import Any

from carto_like.server.accounts import Account
from carto_like.server.services.profiles import Profile
from carto_like.server.vizapi.shapes import timestamp

Json = dict[str, Any]

UNLIMITED_BYTES = 2**53 - 1
"""A quota that is none: clients compute with it, and JavaScript knows no larger whole number."""

_SERVICE = {"quota": 0, "block_price": None, "monthly_use": 0, "hard_limit": True}
_DETAILS = (
    "last_name",
    "avatar_url",
    "description",
    "website",
    "location",
    "twitter_username",
    "disqus_shortname",
)
_PRIVATE_DETAILS = ("description", "website", "location", "twitter_username")


def quota_of(account: Account) -> int:
    """Bytes that the account may store."""
    return account.quota_bytes or UNLIMITED_BYTES


def public_user(account: Account, base_url: str) -> Json:
    """The nested user object that everybody may see."""
    membership = account.membership
    return {
        "id": str(account.id),
        "username": account.name,
        "name": account.details.get("name"),
        **{name: account.details.get(name) for name in _DETAILS if name not in _PRIVATE_DETAILS},
        "base_url": base_url,
        "google_maps_query_string": None,
        "viewer": False,
        "org_admin": membership is not None and membership.is_admin,
        "org_user": membership is not None,
        "remove_logo": True,
    }


def nested_user(account: Account, base_url: str, profile: Profile) -> Json:
    """The nested user object as its owner sees it."""
    return {
        **public_user(account, base_url),
        **{name: account.details.get(name) for name in _PRIVATE_DETAILS},
        "email": profile.email,
        "available_for_hire": account.details.get("available_for_hire", False),
        "quota_in_bytes": quota_of(account),
        "db_size_in_bytes": profile.used_bytes,
        "table_count": profile.datasets,
        "public_visualization_count": 0,
        "all_visualization_count": 0,
        "role_display": _role(account),
    }


def member(account: Account, base_url: str, profile: Profile, api_key: str) -> Json:
    """A user as those see him who manage his organization; without an id, as the API has it."""
    told = nested_user(account, base_url, profile)
    del told["id"]
    soft = account.details.get("soft_geocoding_limit", False)
    return {**told, "soft_geocoding_limit": soft, "api_key": api_key}


def _role(account: Account) -> str:
    membership = account.membership
    if membership is None or not membership.is_admin:
        return "user"
    return "owner" if membership.is_owner else "admin"


def organization_of(account: Account) -> Json | None:
    """The account's organization, None when it is in none."""
    membership = account.membership
    if membership is None:
        return None
    return {
        "id": str(membership.organization_id),
        "name": membership.organization,
        "owner": {"username": membership.owner},
    }


def user_data(account: Account, base_url: str, profile: Profile, api_key: str) -> Json:
    """All that the owner may know of the account; the keys that count maps are 0: there are none yet."""
    quota = quota_of(account)
    return {
        **nested_user(account, base_url, profile),
        "created_at": timestamp(profile.created_at),
        "state": "active",
        "account_type": "FREE",
        "api_key": api_key,
        "table_quota": None,
        "remaining_table_quota": None,
        "db_size_in_megabytes": round(profile.used_bytes / 2**20, 2),
        "remaining_byte_quota": float(quota - profile.used_bytes),
        "public_map_quota": None,
        "public_dataset_quota": None,
        "private_map_quota": None,
        "regular_api_key_quota": None,
        "visualization_count": 0,
        "owned_visualization_count": 0,
        "import_count": 0,
        "success_import_count": 0,
        "failed_import_count": 0,
        "geocoding": _SERVICE,
        "here_isolines": _SERVICE,
        "mapzen_routing": _SERVICE,
        "geocoder_provider": None,
        "isolines_provider": None,
        "routing_provider": None,
        "map_views": [],
        "map_views_quota": None,
        "actions": {
            "private_tables": True,
            "private_maps": True,
            "sync_tables": False,
            "engine_enabled": True,
            "builder_enabled": False,
            "remove_logo": True,
        },
        "limits": {
            "concurrent_syncs": None,
            "concurrent_imports": None,
            "import_file_size": None,
            "import_table_rows": None,
            "max_layers": None,
        },
        "feature_flags": [],
        "layers": [],
        "groups": [],
        "organization": organization_of(account),
        "do_enabled": False,
        "do_bq_project": None,
        "do_bq_dataset": None,
        "needs_password_confirmation": False,
    }
