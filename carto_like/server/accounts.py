"""Who may do what: accounts, their keys, and the principal that a request acts as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

KeyType = Literal["master", "default", "regular"]


@dataclass(frozen=True)
class Membership:
    """An account's place in its organization.

    Attributes:
        owner: name of the user who owns the organization.
        is_admin: whether the account may manage the organization's users; its owner always may.
    """

    organization_id: UUID
    organization: str
    owner: str
    is_owner: bool
    is_admin: bool


@dataclass(frozen=True)
class Account:
    """A user of the platform: owner of one schema, named like the user.

    Attributes:
        role: login role of the master key; owns the schema and what is in it.
        public_role: login role of requests without a key; reads public and link tables.
        quota_bytes: storage allowed, 0 for unlimited.
        details: what the user says about himself, by the API's names for it.
        membership: his organization; None for a user who is in none.
    """

    id: UUID
    name: str
    role: str
    public_role: str
    quota_bytes: int = 0
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    membership: Membership | None = None

    @property
    def schema(self) -> str:
        """The schema that the account owns."""
        return self.name


@dataclass(frozen=True)
class Key:
    """An API key; its ``role`` is the PostgreSQL login role whose grants are the key's grants."""

    name: str
    type: KeyType
    role: str
    apis: frozenset[str] = frozenset({"sql", "maps"})
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Principal:
    """An account and the key with which a request addresses it."""

    account: Account
    key: Key

    @property
    def is_master(self) -> bool:
        """Whether the key may do all that the account may."""
        return self.key.type == "master"

    @property
    def role(self) -> str:
        """The login role that runs this request's SQL."""
        return self.key.role
