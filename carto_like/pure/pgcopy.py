"""What a COPY statement asks for: direction, table, columns, format, and what follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from carto_like.pure.pgtext import Token, name_of, split_statements, tokens

__all__ = ["Copy", "parse_copy"]


@dataclass(frozen=True)
class Copy:
    """A COPY statement taken apart.

    Attributes:
        direction: ``"from"`` a stream into a table, or ``"to"`` a stream.
        table: the parts of the table's name as PostgreSQL would look them up (``("t",)`` or
            ``("s", "t")``); None for ``COPY (query) TO``.
        target: the table or the query in parentheses, as written.
        columns: the listed columns, or None for all of them.
        endpoint: ``"client"`` for STDIN and STDOUT, ``"server"`` for a file or program.
        rest: what follows STDIN or STDOUT in this statement, as written: options and WHERE.
        format: ``"text"``, ``"csv"`` or ``"binary"``.
        following: the statements after this one.
    """

    direction: Literal["from", "to"]
    table: tuple[str, ...] | None
    target: str
    columns: tuple[str, ...] | None
    endpoint: Literal["client", "server"]
    rest: str
    format: Literal["text", "csv", "binary"]
    following: tuple[str, ...]


def parse_copy(sql: str) -> Copy | None:
    """The COPY that ``sql`` begins with, or None when it begins with none or PostgreSQL would refuse it."""
    statements = split_statements(sql)
    if not statements:
        return None
    statement = statements[0]
    pieces = [token for token in tokens(statement) if token.kind not in ("space", "comment")]
    if not pieces or pieces[0].folded != "copy":
        return None
    at = 1
    binary = (
        len(pieces) > 2 and pieces[1].folded == "binary" and pieces[2].folded not in ("from", "to", ".", "(")
    )
    at += binary
    start = at
    if at < len(pieces) and pieces[at].text == "(":
        table, columns, at = None, None, _close(pieces, at)
        end_of_target = at
    else:
        table, at = _table(pieces, at)
        end_of_target = at
        columns, at = _columns(pieces, at)
    if at + 1 >= len(pieces) or end_of_target == start or pieces[at].folded not in ("from", "to"):
        return None
    endpoint = pieces[at + 1]
    options = [token.folded for token in pieces[at + 2 :]]
    return Copy(
        direction="from" if pieces[at].folded == "from" else "to",
        table=table,
        target=statement[pieces[start].start : pieces[end_of_target - 1].end],
        columns=columns,
        endpoint="client" if endpoint.folded in ("stdin", "stdout") else "server",
        rest=statement[endpoint.end :].strip(),
        format="binary" if binary else _format(options),
        following=tuple(statements[1:]),
    )


def _close(pieces: list[Token], at: int) -> int:
    """The place after the parenthesis that closes the one at ``at``."""
    depth = 0
    for index in range(at, len(pieces)):
        depth += {"(": 1, ")": -1}.get(pieces[index].text, 0)
        if depth == 0:
            return index + 1
    return len(pieces)


def _table(pieces: list[Token], at: int) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    while at < len(pieces) and pieces[at].kind in ("word", "name"):
        parts.append(name_of(pieces[at]))
        at += 1
        if at >= len(pieces) or pieces[at].text != ".":
            break
        at += 1
    return tuple(parts), at


def _columns(pieces: list[Token], at: int) -> tuple[tuple[str, ...] | None, int]:
    if at >= len(pieces) or pieces[at].text != "(":
        return None, at
    end = _close(pieces, at)
    return tuple(name_of(token) for token in pieces[at:end] if token.kind in ("word", "name")), end


def _format(options: list[str]) -> Literal["text", "csv", "binary"]:
    """The format among the words of the options, in the new spelling (FORMAT csv) or the old (CSV)."""
    value = ""
    if "format" in options[:-1]:
        value = options[options.index("format") + 1].strip("'\"").lower()
    elif "(" not in options[:2]:
        value = next((word for word in options[:2] if word in ("csv", "binary")), "")
    if value == "csv":
        return "csv"
    return "binary" if value == "binary" else "text"
