"""What may be said about a user, as the bodies of requests say it, and what is wrong with that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from carto_like.server.errors import Problem
from carto_like.server.services.usernames import check_name
from carto_like.server.services.users import Changes
from carto_like.server.vizapi.people import UNLIMITED_BYTES

SHORTEST_PASSWORD = 6

_EMAIL = re.compile(r"[^@\s\0]{1,64}@[^@\s\0]{1,190}")
_TEXTS = (
    "name",
    "last_name",
    "avatar_url",
    "description",
    "website",
    "location",
    "twitter_username",
    "disqus_shortname",
)
# No service is counted here, so a limit that may be exceeded is told as it was set, and nothing more.
_SOFT_LIMITS = (
    "soft_geocoding_limit",
    "soft_here_isolines_limit",
    "soft_twitter_datasource_limit",
    "soft_mapzen_routing_limit",
)
_LONGEST_TEXT = 2000
_BY_ADMINS = frozenset(
    {"email", "password", "quota_in_bytes", "viewer", "org_admin", "force_password_change", *_SOFT_LIMITS}
)
_BY_THEMSELVES = frozenset({"email", "password", "available_for_hire", *_TEXTS})

Body = Mapping[str, Any]


class Refused(Exception):
    """A body that cannot be accepted; ``messages`` say why, one for each thing."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def new_member(body: Body) -> tuple[str, Changes]:
    """Name and facts of a user to be made.

    Raises:
        Refused: something is missing or wrong.
    """
    wrong = [f"{name} can't be blank" for name in ("username", "email", "password") if _blank(body.get(name))]
    name = body.get("username")
    if not _blank(name):
        try:
            check_name(name if isinstance(name, str) else "")
        except Problem as problem:
            wrong.append(f"username is invalid: {problem.message}")
    given = {name: value for name, value in body.items() if name in _BY_ADMINS and not _blank(value)}
    return str(name), _checked(given, wrong)


def changed_member(body: Body) -> Changes | None:
    """What an administrator wants to change about a user; None when that is nothing.

    Raises:
        Refused: something is wrong.
    """
    given = {name: value for name, value in body.items() if name in _BY_ADMINS and value is not None}
    return _checked(given, []) if given else None


def changed_self(body: Body) -> Changes | None:
    """What a user wants to change about himself; None when that is nothing.

    Raises:
        Refused: something is wrong.
    """
    given = {name: value for name, value in body.items() if name in _BY_THEMSELVES}
    return _checked(given, []) if given else None


def _checked(given: Body, wrong: list[str]) -> Changes:
    flags = {
        name: _flag(given[name], name, wrong)
        for name in ("viewer", "org_admin", "force_password_change", "available_for_hire", *_SOFT_LIMITS)
        if name in given
    }
    if flags.get("viewer"):
        wrong.append("viewer is not available on this platform: every user may write")
    email = _email(given, wrong)
    _check_password(given, wrong)
    changes = Changes(
        email=email,
        quota_bytes=_quota(given["quota_in_bytes"], wrong) if "quota_in_bytes" in given else None,
        org_admin=flags.get("org_admin"),
        details={
            **{name: _text(given[name], name, wrong) for name in _TEXTS if name in given},
            **{name: flags[name] for name in ("available_for_hire", *_SOFT_LIMITS) if name in flags},
        },
    )
    if wrong:
        raise Refused(wrong)
    return changes


def _email(given: Body, wrong: list[str]) -> str | None:
    email = given.get("email")
    if email is None:
        return None
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        wrong.append("email is invalid")
        return None
    return email


def _check_password(given: Body, wrong: list[str]) -> None:
    """Passwords are checked and not kept: keys are what lets anybody in here."""
    password = given.get("password")
    if password is not None and (not isinstance(password, str) or len(password) < SHORTEST_PASSWORD):
        wrong.append(f"password must be at least {SHORTEST_PASSWORD} characters long")


def _quota(value: Any, wrong: list[str]) -> int | None:
    """Bytes; what the platform tells of a user without a quota is no quota."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,30}", value):
        value = int(value)
    # JSON's large numbers arrive as floats.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        wrong.append("quota_in_bytes must be a whole number greater than 0")
        return None
    return 0 if value >= UNLIMITED_BYTES else value


def _flag(value: Any, name: str, wrong: list[str]) -> bool | None:
    # Forms know texts only.
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    wrong.append(f"{name} must be true or false")
    return None


def _text(value: Any, name: str, wrong: list[str]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value or len(value) > _LONGEST_TEXT:
        wrong.append(f"{name} must be a text of at most {_LONGEST_TEXT} characters")
        return None
    return value


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
