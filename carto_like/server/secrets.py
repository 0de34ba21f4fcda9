"""The instance secret and what follows from it: passwords, keys at rest, signatures.

Nothing here is worth stealing without the secret, and the secret is in no database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets as _random
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import StartError

_SHORTEST = 32
_NONCE = 12
# Stretching protects guessable passwords. Ours are 256 bits of HMAC, and each login would pay for it.
_SCRAM_ITERATIONS = 1


class Secrets:
    """Everything that is derived from one instance secret.

    Raises:
        StartError: the secret is shorter than 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _SHORTEST:
            raise StartError(f"The instance secret has {len(secret)} bytes; it needs {_SHORTEST} or more.")
        self._secret = secret
        self._index_key = self.derive("token index")
        self._cipher = AESGCM(self.derive("token encryption"))

    def __repr__(self) -> str:
        return "Secrets(...)"

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, independent of the keys for others."""
        return HKDF(SHA256(), 32, salt=None, info=f"carto-like {purpose}".encode()).derive(self._secret)

    def fingerprint(self) -> str:
        """What tells this secret from another without saying anything about it."""
        return self.derive("fingerprint").hex()

    def role_password(self, role: str) -> str:
        """The password with which the platform logs in as a role."""
        return base64.urlsafe_b64encode(self.derive(f"role {role}")).decode().rstrip("=")

    def scram_verifier(self, role: str) -> str:
        """The role's password as ``ALTER ROLE ... PASSWORD`` takes it: it checks logins, and makes none."""
        salt = _random.token_bytes(16)
        salted = hashlib.pbkdf2_hmac("sha256", self.role_password(role).encode(), salt, _SCRAM_ITERATIONS)
        stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
        parts = [base64.b64encode(part).decode() for part in (salt, stored, _hmac(salted, b"Server Key"))]
        return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"

    def token_index(self, token: str) -> bytes:
        """The value under which a token is found in the database; it does not lead back to the token."""
        return _hmac(self._index_key, token.encode())

    def encrypt_token(self, token: str, owner: UUID) -> bytes:
        """A token as it is stored; only its owner's row can be read back with it."""
        nonce = _random.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, token.encode(), owner.bytes)

    def decrypt_token(self, stored: bytes, owner: UUID) -> str:
        """The token that :meth:`encrypt_token` stored.

        Raises:
            ValueError: it was stored with another secret, for another owner, or tampered with.
        """
        try:
            return self._cipher.decrypt(stored[:_NONCE], stored[_NONCE:], owner.bytes).decode()
        except InvalidTag:
            raise ValueError("an API key cannot be decrypted with this instance secret") from None


def new_token() -> str:
    """A random API key: 160 bits, safe in URLs."""
    return _random.token_hex(20)


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def new_secret() -> bytes:
    """A random instance secret, printable so that it survives editors and environment variables."""
    return _random.token_urlsafe(48).encode()


def read_secret(path: Path) -> bytes:
    """The instance secret kept in a file.

    Raises:
        StartError: the file is absent, or others than its owner may read it.
    """
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as error:
        raise StartError(f"The instance secret cannot be read: {error.strerror}: {path}") from None
    if mode & 0o077:
        raise StartError(f"Others may read the instance secret. Run: chmod 600 {path}")
    return secret


def keep_secret(path: Path) -> bytes:
    """The instance secret kept in a file, which is made on first use, readable by its owner only."""
    if not path.exists():
        write_private(path, new_secret() + b"\n")
    return read_secret(path)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read at any moment, and that is never there in part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(content)
    partial.replace(path)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
