"""How things look in answers."""

from __future__ import annotations

from typing import Any

from carto_like.server.services.iotile import slugs
from carto_like.server.services.iotile.accounts import Person
from carto_like.server.services.iotile.kinds import Record

from .parameters import stamp

NO_AVATAR = {"tiny": None, "thumbnail": None}


def account(person: Person) -> dict[str, Any]:
    """An account, as it sees itself."""
    return {
        "id": person.id,
        "email": person.email,
        "username": person.username,
        "created_at": stamp(person.created_at),
        "updated_at": stamp(person.updated_at),
        "name": person.name,
        "tagline": person.tagline,
        "avatar": NO_AVATAR,
        "slug": person.username,
        "is_staff": person.is_staff,
    }


def org(record: Record) -> dict[str, Any]:
    """An organization."""
    return {
        "id": str(record["id"]),
        "name": record["name"],
        "slug": record["slug"],
        "ot": record["ot"],
        "about": record["about"],
        "created_on": stamp(record["created_on"]),
        "created_by": record["created_by"],
        "avatar": NO_AVATAR,
        "domain_names": record["domain_names"],
    }


def membership(record: Record) -> dict[str, Any]:
    """Somebody's place in an organization."""
    names = ("user", "email", "org", "is_active", "is_org_admin", "role")
    return {
        **{name: record[name] for name in names},
        "user_details": {
            "username": record["user"],
            "slug": record["user"],
            "name": record["user_name"],
            "email": record["email"],
            "avatar": NO_AVATAR,
        },
        "created_on": stamp(record["created_on"]),
    }


def project(record: Record) -> dict[str, Any]:
    """A project."""
    slug = slugs.project_slug(record["gid"])
    names = ("name", "org", "about", "project_template", "created_by")
    return {
        "id": str(record["id"]),
        **{name: record[name] for name in names},
        "slug": slug,
        "gid": slug.removeprefix("p--"),
        "created_on": stamp(record["created_on"]),
    }


def device(record: Record) -> dict[str, Any]:
    """A device."""
    slug = slugs.device_slug(record["id"])
    names = ("id", "label", "active", "external_id", "sg", "template", "org", "lat", "lon", "state")
    return {
        **{name: record[name] for name in names},
        "slug": slug,
        "gid": slug.removeprefix("d--"),
        "project": _text(record["project"]),
        # Nothing here works on a device for longer than a request takes.
        "busy": False,
        "created_on": stamp(record["created_on"]),
        "claimed_by": record["claimed_by"],
        "claimed_on": stamp(record["claimed_on"]),
    }


def datablock(record: Record) -> dict[str, Any]:
    """What was archived of a device."""
    names = ("title", "description", "org", "sg", "created_by")
    return {
        "id": slugs.unsigned(record["id"]),
        "slug": slugs.block_slug(record["id"]),
        "block": slugs.block_of(record["id"]),
        "device": slugs.device_slug(slugs.device_of(record["id"])),
        **{name: record[name] for name in names},
        "created_on": stamp(record["created_on"]),
        "completed_on": stamp(record["completed_on"]),
    }


def streamer(record: Record) -> dict[str, Any]:
    """What sends a device's reports."""
    names = ("id", "process_engine_ver", "index", "last_id", "is_system", "selector")
    return {
        **{name: record[name] for name in names},
        "slug": slugs.streamer_slug(record["device"], record["index"]),
        "device": slugs.device_slug(record["device"]),
        "last_reboot_ts": stamp(record["last_reboot_ts"]),
    }


def vartype(record: Record) -> dict[str, Any]:
    """What variables may measure, and the units for it."""
    return {**record, "created_on": stamp(record["created_on"])}


def variable(record: Record) -> dict[str, Any]:
    """A variable."""
    derived = record["derived_variable"]
    hidden = ("variable", "org_id")
    return {
        **{name: value for name, value in record.items() if name not in hidden},
        "id": str(record["id"]),
        "lid": slugs.local_of(record["variable"]),
        "slug": slugs.variable_slug(record["variable"]),
        "derived_variable": None if derived is None else slugs.variable_slug(derived),
        "project": str(record["project"]),
        "created_on": stamp(record["created_on"]),
    }


def stream(record: Record) -> dict[str, Any]:
    """A stream."""
    key = slugs.StreamKey(record["device"], record["variable"])
    block = slugs.block_of(key.device)
    return {
        **{name: value for name, value in record.items() if name != "org_id"},
        "id": str(record["id"]),
        "slug": slugs.stream_slug(key),
        "project_id": str(record["project_id"]),
        "project": slugs.project_slug(slugs.project_of(key.variable)),
        "device": slugs.device_slug(key.device) if key.device else None,
        "block": slugs.block_slug(key.device) if block else None,
        "variable": slugs.variable_slug(key.variable),
        "var_lid": slugs.local_of(key.variable),
        "created_on": stamp(record["created_on"]),
    }


def fleet(record: Record) -> dict[str, Any]:
    """A fleet."""
    names = ("id", "name", "description", "org", "is_network", "created_by")
    return {
        **{name: record[name] for name in names},
        "slug": slugs.fleet_slug(record["id"]),
        "created_on": stamp(record["created_on"]),
    }


def fleet_device(record: Record) -> dict[str, Any]:
    """A device's place in a fleet."""
    return {**record, "device": slugs.device_slug(record["device"])}


def fact(record: Record) -> dict[str, Any]:
    """A property."""
    value = record["value"]
    if record["type"] == "int":
        value = int(value)
    elif record["type"] == "bool":
        value = value == "true"
    return {**record, "value": value}


def catalogued(record: Record) -> dict[str, Any]:
    """A sensor graph or a device template."""
    known = {name: record[name] for name in ("id", "slug")}
    return {**record["data"], **known, "created_on": stamp(record["created_on"])}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
