"""Requests that nobody should send: hostile and random ones, for hypothesis to make and to simplify."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

# What goes wrong in other people's servers.
_CORPUS: dict[str, list[str]] = json.loads(Path(__file__).with_name("hostile.json").read_text("utf-8"))
TEXTS, SQL, NAMES = _CORPUS["texts"], _CORPUS["sql"], _CORPUS["names"]

T = TypeVar("T")

nasty = st.one_of(st.sampled_from(TEXTS), st.text(max_size=40))
sql_texts = st.one_of(st.sampled_from(SQL), nasty)
names = st.one_of(st.sampled_from(NAMES), st.sampled_from(["q", "api_key", ""]), nasty)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    nasty,
    st.sampled_from(SQL),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)


@dataclass(frozen=True)
class Message:
    """A request, as its bytes go over the wire."""

    method: str
    target: bytes
    headers: list[tuple[str, bytes]]
    body: bytes


def percent(text: str, *, safe: str = "") -> bytes:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe=safe).encode()


def mostly(
    usual: st.SearchStrategy[T], odd: st.SearchStrategy[T], *, once_in: int = 6
) -> st.SearchStrategy[T]:
    """The usual, so that requests get somewhere, and now and then something else."""
    return st.integers(1, once_in).flatmap(lambda number: odd if number == once_in else usual)


SEGMENTS = st.one_of(
    nasty.map(percent),
    st.sampled_from([b"%", b"%zz", b"%00", b"%ff", b"%c0%af", b"..", b"%2e%2e", b"%2F", b"x" * 3000]),
    st.binary(max_size=6).map(lambda raw: quote_from_bytes(raw, safe="").encode()),
)
SUFFIXES = st.sampled_from([b"/", b"//", b"/x", b";a=b", b"%00"])
QUERY_ENDS = st.sampled_from([b"&", b"&&=", b"=%", b"%ff=%fe", b"&q", b"?", b"&api_key=a&api_key=b"])


@st.composite
def targets(draw: st.DrawFn, path: str, known: Mapping[str, Sequence[str]]) -> bytes:
    """The path with something in place of its parameters, and a query string."""
    made = b""
    for part in re.split(r"(\{[^}]*\})", path):
        if part.startswith("{"):
            names_of_things = [name.encode() for name in known.get(part[1:-1].partition(":")[0], ["trees"])]
            made += draw(mostly(st.sampled_from(names_of_things), SEGMENTS, once_in=3))
        else:
            made += part.encode()
    made += draw(mostly(st.just(b""), SUFFIXES))
    pairs = draw(st.lists(st.tuples(names, st.one_of(nasty, sql_texts)), max_size=4))
    if "/sql" in path:
        pairs = draw(mostly(sql_texts.map(lambda text: [("q", text)]), st.just([]), once_in=3)) + pairs
    query = b"&".join(percent(name) + b"=" + percent(value) for name, value in pairs)
    query += draw(mostly(st.just(b""), QUERY_ENDS))
    return made + (b"?" + query if query else b"")


def as_form(pairs: list[tuple[str, Any]]) -> bytes:
    return b"&".join(percent(name) + b"=" + percent(str(value)) for name, value in pairs)


def as_multipart(pairs: list[tuple[str, Any]]) -> bytes:
    parts = [
        b'--X\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        % (percent(name, safe=" '"), b'; filename="a.csv"' if name == "file" else b"", to_bytes(str(value)))
        for name, value in pairs
    ]
    return b"".join(parts) + b"--X--\r\n"


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"
MULTIPART = b"multipart/form-data"
pairs_of_values = st.lists(st.tuples(names, scalars), max_size=4)
bodies = st.one_of(
    st.tuples(st.just(b""), st.sampled_from([b"", JSON, FORM])),
    st.tuples(values.map(lambda value: json.dumps(value).encode()), st.just(JSON)),
    st.tuples(
        st.dictionaries(names, values, max_size=4).map(lambda value: json.dumps(value).encode()),
        st.sampled_from([JSON, JSON, JSON + b"; charset=latin-1", b""]),
    ),
    st.tuples(pairs_of_values.map(as_form), st.just(FORM)),
    st.tuples(pairs_of_values.map(as_multipart), st.just(MULTIPART + b"; boundary=X")),
    st.tuples(
        st.one_of(st.binary(max_size=200), nasty.map(to_bytes)),
        st.sampled_from([JSON, FORM, MULTIPART, MULTIPART + b"; boundary=", b"text/csv", b"\xff", b"a/b"]),
    ),
    st.tuples(st.just(b"\x1f\x8b\x08\0\0\0\0\0\0\x03not gzip"), st.just(b"application/gzip")),
)
bad_credentials = st.one_of(
    st.sampled_from([b"Basic", b"Basic ", b"Basic !!!", b"Bearer x", b"Basic /zr/", b"\xff"]),
    nasty.map(lambda text: b"Basic " + base64.b64encode(to_bytes(text))),
)
HEADERS = [
    *("Content-Encoding", "Accept", "Accept-Encoding", "Origin", "X-Request-Id", "X-Forwarded-For", "Host"),
    *("Range", "Cookie", "If-Modified-Since", "X-HTTP-Method-Override", "Expect", "carto-event-source"),
]
header_values = st.one_of(
    nasty.map(lambda text: re.sub(rb"[\r\n\0]", b"", to_bytes(text))),
    st.sampled_from([b"gzip", b"", b"\xff"]),
)
odd_headers = st.lists(st.tuples(st.sampled_from(HEADERS), header_values), max_size=2)
METHODS = ("HEAD", "PATCH", "TRACE", "PUT", "POST", "DELETE", "OPTIONS", "GET", "BREW")


@st.composite
def messages(
    draw: st.DrawFn, path: str, methods: Collection[str], known: Mapping[str, Sequence[str]]
) -> Message:
    """A request to a path of the application, mostly by a method that it has there.

    Args:
        draw: given by hypothesis.
        path: with its parameters in braces.
        methods: that the path has; none for all.
        known: values that exist, by the parameters' names.
    """
    usual = sorted(set(methods) - {"OPTIONS", "HEAD"}) or ["GET", "POST"]
    method = draw(mostly(st.sampled_from(usual), st.sampled_from(METHODS)))
    body, kind = draw(bodies) if method != "GET" else (b"", b"")
    headers = [("Content-Type", kind)] if kind else []
    if authorization := draw(mostly(st.just(b""), bad_credentials)):
        headers.append(("Authorization", authorization))
    odd = draw(mostly(st.just([]), odd_headers, once_in=3))
    return Message(method, draw(targets(path, known)), headers + odd, body)
