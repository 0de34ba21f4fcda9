"""Passwords as they are stored: salted, stretched, and of no use without the instance secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

_COST, _BLOCK, _SALT, _LENGTH = 2**14, 8, 16, 32
_NAME = "scrypt"


def hashed(password: str, pepper: bytes) -> str:
    """A password as it is stored; takes some 50 ms of a processor, and 16 MB."""
    salt = secrets.token_bytes(_SALT)
    return f"{_NAME}${_COST}${_text(salt)}${_text(_stretch(password, pepper, salt, _COST))}"


def matches(password: str, stored: str, pepper: bytes) -> bool:
    """Whether a password is the stored one; takes as long as :func:`hashed`."""
    _, cost, salt, expected = stored.split("$")
    found = _stretch(password, pepper, base64.b64decode(salt), int(cost))
    return hmac.compare_digest(found, base64.b64decode(expected))


def nobodys() -> str:
    """What is stored for nobody: no password matches it, and finding that out takes as long as for others."""
    return f"{_NAME}${_COST}${_text(secrets.token_bytes(_SALT))}${_text(secrets.token_bytes(_LENGTH))}"


def _stretch(password: str, pepper: bytes, salt: bytes, cost: int) -> bytes:
    peppered = hmac.new(pepper, password.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return hashlib.scrypt(peppered, salt=salt, n=cost, r=_BLOCK, p=1, dklen=_LENGTH)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
