"""How things look in answers."""

from __future__ import annotations

from typing import Any

from carto_like.server.services.iotile.accounts import Person

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
