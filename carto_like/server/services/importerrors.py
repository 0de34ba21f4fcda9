"""What the database says while an import loads, in the import's own codes."""

from __future__ import annotations

import psycopg
from psycopg import errors

from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure


class told:
    """Turns what the database says into an import's code; lost connections stay what they are."""

    def __init__(self, otherwise: int) -> None:
        self._otherwise = otherwise

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, psycopg.Error):
            code = _code_of(error, self._otherwise)
            if code is not None:
                raise ImportFailure(code, _reason_of(error)) from error


def _reason_of(error: psycopg.Error) -> str:
    parts = (error.diag.message_primary, error.diag.message_detail)
    return ": ".join(part for part in parts if part)[:500]


def _code_of(error: psycopg.Error, otherwise: int) -> int | None:
    state = error.sqlstate or ""
    message = error.diag.message_primary or ""
    if not state or state.startswith(("08", "57P")):
        return None
    if isinstance(error, errors.QueryCanceled):
        return codes.LOAD_TIMED_OUT
    if isinstance(error, errors.DiskFull):
        return codes.UPLOAD_FAILED
    if "Quota exceeded" in message:
        return codes.OVER_QUOTA
    if otherwise == codes.BAD_QUERY:
        return codes.BAD_QUERY_TYPES if isinstance(error, errors.DatatypeMismatch) else codes.BAD_QUERY
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected):
        return codes.IN_USE
    if state.startswith("23") or "cartodb_id" in message:
        return codes.BAD_KEY
    if state.startswith("54"):
        return codes.TOO_MANY_COLUMNS
    if state.startswith("XX"):
        return codes.UNKNOWN_PROJECTION if "SRID" in message else codes.BAD_GEOMETRY
    return otherwise
