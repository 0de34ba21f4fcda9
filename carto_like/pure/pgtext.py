"""SQL text as PostgreSQL reads it: quoting, splitting into statements, first words, paging.

Nothing here checks SQL: what a statement may do is decided by PostgreSQL and its roles. The functions only
need to agree with PostgreSQL's scanner on where strings, comments and statements begin and end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "Token",
    "leading_keyword",
    "may_write",
    "name_of",
    "quote_identifier",
    "quote_literal",
    "split_statements",
    "tokens",
    "window",
    "without_semicolon",
]

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n\r\f\v]+)
    | (?P<comment>--[^\n\r]*|/\*)
    | (?P<string>[eE]'(?:[^'\\]+|\\.|'')*'?|(?:[bBxXnN]|[uU]&)?'(?:[^']+|'')*'?)
    | (?P<name>(?:[uU]&)?"(?:[^"]+|"")*"?)
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<number>\$?\d[A-Za-z0-9_.]*)
    | (?P<mark>.)
    """,
    re.S | re.X,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_WRITES = re.compile(r"\b(alter|insert|update|delete|create|drop|reindex|truncate|refresh)\b", re.I)
_BLANK = frozenset({"space", "comment"})
# PostgreSQL folds unquoted names in ASCII only when the database is UTF-8.
_FOLD = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class Token(NamedTuple):
    """A piece of SQL: its kind, its text as written, and where it starts."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the piece ends."""
        return self.start + len(self.text)

    @property
    def folded(self) -> str:
        """The lower-cased word, or the text of any other piece."""
        return self.text.lower() if self.kind == "word" else self.text


def quote_identifier(name: str) -> str:
    """``name`` in double quotes, safe to paste into SQL; raises ValueError for a NUL character."""
    if "\0" in name:
        raise ValueError("a name in PostgreSQL cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """``text`` as a string constant, whatever ``standard_conforming_strings`` says.

    Raises ValueError for a NUL character.
    """
    if "\0" in text:
        raise ValueError("a text in PostgreSQL cannot hold a NUL character")
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def name_of(token: Token) -> str:
    """The name a word or quoted piece stands for: unquoted names are folded to lower case."""
    if token.kind == "name":
        return token.text[1:-1].replace('""', '"')
    return token.text.translate(_FOLD)


def tokens(sql: str) -> Iterator[Token]:
    """The pieces of ``sql`` in order, blanks and comments included; joined they give ``sql`` again."""
    position = 0
    while match := _TOKEN.match(sql, position):
        kind = match.lastgroup or "mark"
        end = match.end()
        if kind == "comment" and match.group() == "/*":
            end = _end_of_comment(sql, end)
        elif kind == "dollar":
            kind = "string"
            close = sql.find(match.group(), end)
            end = len(sql) if close < 0 else close + len(match.group())
        yield Token(kind, sql[position:end], position)
        position = end


def _end_of_comment(sql: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            return len(sql)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


def _speaking(sql: str) -> Iterator[Token]:
    return (token for token in tokens(sql) if token.kind not in _BLANK)


class _Nesting:
    """How deep in parentheses, or in the BEGIN ATOMIC ... END of a routine, the scanner is."""

    def __init__(self) -> None:
        self.parentheses = 0
        self.blocks = 0
        self.words: list[str] = []

    def feed(self, token: Token) -> None:
        if token.text == "(":
            self.parentheses += 1
        elif token.text == ")":
            self.parentheses = max(0, self.parentheses - 1)
        elif token.kind == "word":
            self._feed_word(token.folded)

    def _feed_word(self, word: str) -> None:
        if len(self.words) < 4:
            self.words.append(word)
        if self.words[0] != "create" or not {"function", "procedure"}.intersection(self.words):
            return
        if word == "begin" or (word == "case" and self.blocks):
            self.blocks += 1
        elif word == "end":
            self.blocks = max(0, self.blocks - 1)

    @property
    def outside(self) -> bool:
        return not self.parentheses and not self.blocks


def split_statements(sql: str) -> list[str]:
    """The statements of ``sql`` without their semicolons, trimmed; those of comments alone are left out."""
    statements = []
    start, first, last = 0, -1, 0
    nesting = _Nesting()
    for token in _speaking(sql):
        if token.text == ";" and nesting.outside:
            if first >= 0:
                statements.append(sql[start : token.start].strip())
            start, first, nesting = token.end, -1, _Nesting()
            continue
        nesting.feed(token)
        first = token.start if first < 0 else first
        last = token.end
    if first >= 0:
        statements.append(sql[start : max(last, start)].strip())
    return statements


def leading_keyword(sql: str) -> str:
    """The first word of a statement in lower case, past blanks, comments and ``(``; else ``""``."""
    for token in _speaking(sql):
        if token.text != "(":
            return token.folded if token.kind == "word" else ""
    return ""


def may_write(sql: str) -> bool:
    """Whether a word of writing statements occurs anywhere in ``sql``, even in a string."""
    return _WRITES.search(sql) is not None


def without_semicolon(sql: str) -> str:
    """``sql`` up to its last semicolon when nothing but blanks, comments and semicolons follows it."""
    end = None
    for token in _speaking(sql):
        if token.text != ";":
            end = None
        elif end is None:
            end = token.start
    return sql[:end]


def window(sql: str, *, order_by: str | None, descending: bool | None, limit: int | None, offset: int) -> str:
    """``sql`` ordered by a column and cut to a page, or unchanged when it is not a lone SELECT.

    A leading WITH list stays in front, where a statement that changes data has to be. ``SELECT ... INTO``
    keeps its meaning only at the top, so it is left alone.

    Args:
        sql: one statement or several.
        order_by: name of a column of the result, or None.
        descending: direction of the order, None for PostgreSQL's own.
        limit: rows of the page, None for no paging.
        offset: rows before the page.
    """
    if order_by is None and limit is None:
        return sql
    sql = without_semicolon(sql)
    start = _start_of_select(sql)
    if start is None:
        return sql
    tail = ""
    if order_by is not None:
        tail += f" ORDER BY {quote_identifier(order_by)}"
        tail += {True: " DESC", False: " ASC", None: ""}[descending]
    if limit is not None:
        tail += f" LIMIT {limit} OFFSET {offset}"
    # The line break ends a comment that has none of its own.
    return f'{sql[:start]}SELECT * FROM (\n{sql[start:]}\n) AS "page"{tail}'


def _start_of_select(sql: str) -> int | None:
    """Where the SELECT of a lone, windowable statement starts, past its WITH list; else None."""
    depth, start, previous = 0, None, ""
    for token in _speaking(sql):
        word = token.folded
        if depth == 0 and start is None:
            start = _main_verb(token, previous)
            if start is None and previous == "" and word != "with":
                return None
            if start is not None and word != "select":
                return None
        elif depth == 0 and word in (";", "into"):
            return None
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        previous = word
    return start


def _main_verb(token: Token, previous: str) -> int | None:
    word = token.folded
    if word == "select" or (
        previous in ("", ")") and word in ("insert", "update", "delete", "merge", "values", "table")
    ):
        return token.start
    return None
