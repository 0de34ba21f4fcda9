"""What users and their keys may be called."""

from __future__ import annotations

import re

from carto_like.server.errors import Problem

DEFAULT_TOKEN = "default_public"
LONGEST_NAME = 40

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_RESERVED = frozenset(
    {
        *("public", "none", "cartodb", "carto_like", "information_schema", "topology", "tiger", "tiger_data"),
        *("procrastinate", "publicuser", "postgres", "user", "current_user", "session_user", "current_role"),
        *("amigocloud", "iotile", "kloudless", "api", "health", "metrics"),
    }
)


def is_name(text: str) -> bool:
    """Whether a text has the form of a user's name."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Refuse what cannot be a user's name.

    Raises:
        Problem: 422, saying why.
    """
    if not is_name(name):
        raise Problem(
            422,
            f"'{name[:LONGEST_NAME]}' cannot be a user's name: it must start with a lower-case letter, go on "
            f"with lower-case letters, digits, '-' and '_', and have at most {LONGEST_NAME} characters.",
        )
    # '_pub' and '_k_' tell the roles of a user's keys from users.
    if name in _RESERVED or name.startswith("pg_") or name.endswith("_pub") or "_k_" in name:
        raise Problem(422, f"'{name}' cannot be a user's name: it is reserved.")


def check_token(token: str) -> None:
    """Refuse what cannot be a master key.

    Raises:
        Problem: 422, saying why.
    """
    if token == DEFAULT_TOKEN or not re.fullmatch(r"[!-~]{8,200}", token):
        raise Problem(
            422, "An API key must have 8 to 200 visible ASCII characters, and not be the default key."
        )
