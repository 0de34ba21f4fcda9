"""Signed tokens (JWT) of accounts: issued at a login, good for a week, renewable for half a year."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jwt

SECONDS = 7 * 86_400
"""How long a token is good."""
RENEWABLE_SECONDS = 180 * 86_400
"""How long after the login a token can be exchanged for another."""

_ALGORITHM = "HS256"
_NEEDED = ("exp", "orig_iat", "user_id", "generation")


class TokenError(Exception):
    """A token is not good; the message says why, in the API's words."""


@dataclass(frozen=True)
class Claims:
    """What a token says.

    Attributes:
        account: number of the account.
        generation: the account's when the token was issued.
        logged_in: moment of the login, in seconds since 1970.
    """

    account: int
    generation: int
    logged_in: int


class Tokens:
    """Issues and reads tokens.

    Args:
        key: signs them.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, claims: Claims, *, username: str, email: str) -> str:
        """A token for an account; its week begins now."""
        payload = {
            "user_id": claims.account,
            "username": username,
            "email": email,
            "generation": claims.generation,
            "orig_iat": claims.logged_in,
            "exp": int(time.time()) + SECONDS,
        }
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM)

    def read(self, token: str) -> Claims:
        """What a token says.

        Raises:
            TokenError: it has expired, or is not ours.
        """
        try:
            payload = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], options={"require": ["exp", "orig_iat"]}
            )
        except jwt.ExpiredSignatureError:
            raise TokenError("Signature has expired.") from None
        except (jwt.InvalidTokenError, ValueError):
            raise TokenError("Error decoding signature.") from None
        return _claims(payload)


def is_renewable(claims: Claims) -> bool:
    """Whether the login is recent enough for another token."""
    return claims.logged_in + RENEWABLE_SECONDS > time.time()


def _claims(payload: dict[str, Any]) -> Claims:
    numbers = [payload.get(name) for name in _NEEDED]
    if not all(isinstance(number, int) for number in numbers):
        raise TokenError("Invalid payload.")
    return Claims(payload["user_id"], payload["generation"], payload["orig_iat"])
