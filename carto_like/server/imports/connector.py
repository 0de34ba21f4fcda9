"""The ``connector`` of an import: which table or query of which other database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson

POSTGRES: Final = "postgres"
PROVIDERS: Final = {
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "sqlserver": "Microsoft SQL Server",
    "hive": "Hive",
    "bigquery": "Google BigQuery",
    "snowflake": "Snowflake",
    "redshift": "Amazon Redshift",
}
"""Kinds of databases that the API has names for; only the first is read here."""

SSL_MODES: Final = ("disable", "prefer", "require", "verify-full")
_PORT = 5432
# No path of a socket, and no list of hosts.
_HOST = re.compile(r"[^\s/\\,@\x00-\x1f]{1,255}")
_NEEDED = ("server", "database", "username")
_OF_CONNECTOR = frozenset({"provider", "connection", "schema", "table", "sql_query", "import_as"})


@dataclass(frozen=True)
class Access:
    """Where a database is, and who logs in to it.

    Attributes:
        sslmode: one of :data:`SSL_MODES`; ``verify-full`` checks the certificate as browsers do.
    """

    server: str
    database: str
    username: str
    password: str = field(default="", repr=False)
    port: int = _PORT
    sslmode: str = "prefer"


@dataclass(frozen=True)
class Connector:
    """What is to be read of a database.

    Attributes:
        access: None when the provider is one that is not read here.
        table: of a schema; empty when there is a query.
    """

    provider: str
    access: Access | None
    schema: str
    table: str
    sql_query: str
    import_as: str

    @property
    def wanted(self) -> str:
        """What the new table's name is made of."""
        return self.import_as or self.table

    def as_json(self, sealed_password: str) -> dict[str, Any]:
        """All of it for the time until it is read, with the password as nobody can read it."""
        access = self.access
        kept = None if access is None else {**vars(access), "password": sealed_password}
        return {**vars(self), "access": kept}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], password: str) -> Connector:
        """What :meth:`as_json` kept, with the password."""
        access = kept["access"]
        return cls(**{**kept, "access": access and Access(**{**access, "password": password})})


def connector_of(given: Any) -> Connector:
    """The connector that a request describes, as an object or as its JSON.

    Raises:
        ValueError: something is missing, too much, or not what it should be; the text names it.
    """
    asked = _keys(_mapping(given, "connector"), "connector", _OF_CONNECTOR)
    provider = _text(asked, "connector", "provider").lower()
    if provider not in PROVIDERS:
        raise ValueError(f"'connector.provider' must be one of {', '.join(PROVIDERS)}")
    schema = _text(asked, "connector", "schema") or "public"
    table, query, name = (_text(asked, "connector", key) for key in ("table", "sql_query", "import_as"))
    if provider != POSTGRES:
        return Connector(provider, None, schema, table, query, name)
    if bool(table) == bool(query):
        raise ValueError("'connector' needs a 'table', or a 'sql_query' with 'import_as'")
    if query and not name:
        raise ValueError("'connector.import_as' is missing: the name of the table to be made of 'sql_query'")
    return Connector(provider, access_of(asked.get("connection")), schema, table, query, name)


def access_of(given: Any) -> Access:
    """The ``connection`` of a connector; see :func:`connector_of`."""
    if given is None:
        raise ValueError(f"'connector.connection' is missing: an object with {', '.join(_NEEDED)}")
    names = frozenset(one.name for one in fields(Access))
    asked = _keys(_mapping(given, "connection"), "connection", names)
    texts = {key: _text(asked, "connection", key) for key in names - {"port"}}
    for key in _NEEDED:
        if not texts[key]:
            raise ValueError(f"'connection.{key}' is missing")
    if not _HOST.fullmatch(texts["server"]):
        raise ValueError("'connection.server' must be the name or address of one host")
    texts["sslmode"] = texts["sslmode"] or Access.sslmode
    if texts["sslmode"] not in SSL_MODES:
        raise ValueError(f"'connection.sslmode' must be one of {', '.join(SSL_MODES)}")
    return Access(port=_port(asked.get("port")), **texts)


def _mapping(given: Any, name: str) -> Mapping[str, Any]:
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except ValueError:
            raise ValueError(f"'{name}' must be a JSON object") from None
    if not isinstance(given, Mapping):
        raise ValueError(f"'{name}' must be a JSON object")
    return given


def _keys(given: Mapping[str, Any], name: str, known: frozenset[str]) -> dict[str, Any]:
    asked = {str(key).lower(): value for key, value in given.items()}
    unknown = sorted(asked.keys() - known)
    if unknown:
        raise ValueError(f"'{name}' has no '{unknown[0][:63]}', only {', '.join(sorted(known))}")
    return asked


def _text(asked: Mapping[str, Any], name: str, key: str) -> str:
    value = asked.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"'{name}.{key}' must be text")
    return value if key == "password" else value.strip()


def _port(given: Any) -> int:
    if given is None or given == "":
        return _PORT
    if not re.fullmatch(r"[0-9]{1,5}", str(given)) or not 0 < int(given) < 65536:
        raise ValueError("'connection.port' must be a number from 1 to 65535")
    return int(given)
