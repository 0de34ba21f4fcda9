"""PostgreSQL's text of a value, as JSON: one encoder per column, chosen once per result.

Numbers pass as PostgreSQL prints them, so an int8 or a numeric keeps all its digits; only NaN and the
infinities, which JSON lacks, become strings. Dates come in the server's time zone without fractions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring as _quote
from typing import Final

from carto_like.pure.times import Zone, interval_parts, iso_date
from carto_like.server.sqlapi.arrays import Nested, parse_array

Texts = Sequence[str | None]
Encoder = Callable[[Texts], Sequence[str]]
Scalar = Callable[[str], str]

_SPECIAL: Final = {"NaN": '"NaN"', "Infinity": '"Infinity"', "-Infinity": '"-Infinity"'}
_SPECIAL_WORD = re.compile(r"NaN|-?Infinity")
_BRACES = str.maketrans("{}", "[]")
_POINT = re.compile(r"<?\(([^,]+),([^)]+)\)(?:,([^>]+)>)?")
_ESCAPED_BYTE = re.compile(rb"\\(\\|[0-7]{3})")

NUMBERS = {"int2", "int4", "int8", "oid", "float4", "float8", "numeric"}
_QUOTED_AS_IS = {"uuid", "macaddr", "macaddr8", "bit", "varbit"}


def number(text: str) -> str:
    """A number as JSON; NaN and the infinities as strings."""
    return _SPECIAL.get(text, text)


def number_or_null(text: str) -> str:
    """A number as JSON; NaN and the infinities as null."""
    return "null" if text in _SPECIAL else text


def quoted(text: str) -> str:
    """A text as a JSON string, non-ASCII characters kept."""
    return _quote(text)


def boolean(text: str) -> str:
    """``t`` or ``f`` as JSON."""
    return "true" if text == "t" else "false"


def as_is(text: str) -> str:
    """A text that is JSON already."""
    return text


def plain(text: str) -> str:
    """A text without anything to escape, as a JSON string."""
    return f'"{text}"'


def buffer(text: str) -> str:
    """A bytea as the object that a Node.js buffer serialises to."""
    if text.startswith("\\x"):
        data = bytes.fromhex(text[2:])
    else:
        data = _ESCAPED_BYTE.sub(_unescape_byte, text.encode())
    return '{"type":"Buffer","data":[' + ",".join(map(str, data)) + "]}"


def _unescape_byte(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    return code if code == b"\\" else bytes([int(code, 8)])


def interval(text: str) -> str:
    """An interval as an object of its parts that are not zero."""
    parts = interval_parts(text)
    if parts is None:
        return quoted(text)
    return "{" + ",".join(f'"{name}":{_shortest(value)}' for name, value in parts.items()) + "}"


def _shortest(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def point(text: str) -> str:
    """A point or circle as an object of its coordinates."""
    match = _POINT.fullmatch(text)
    if match is None:
        return quoted(text)
    x, y, radius = match.groups()
    tail = f',"radius":{number(radius)}' if radius is not None else ""
    return f'{{"x":{number(x)},"y":{number(y)}{tail}}}'


def _each(scalar: Scalar) -> Encoder:
    def encode(column: Texts) -> Sequence[str]:
        return ["null" if text is None else scalar(text) for text in column]

    return encode


def _whole(column: Texts) -> Sequence[str]:
    if None in column:
        return ["null" if text is None else text for text in column]
    return column  # type: ignore[return-value]


def _numbers(special: Scalar) -> Encoder:
    def encode(column: Texts) -> Sequence[str]:
        if _SPECIAL.keys().isdisjoint(column):
            return _whole(column)
        return ["null" if text is None else special(text) for text in column]

    return encode


def _strings(column: Texts) -> Sequence[str]:
    if None in column:
        return ["null" if text is None else _quote(text) for text in column]
    return [*map(_quote, column)]  # type: ignore[arg-type]


def _plain(column: Texts) -> Sequence[str]:
    if None in column:
        return ["null" if text is None else f'"{text}"' for text in column]
    return [f'"{text}"' for text in column]


def _moments(zone: Zone, fast: Callable[[Sequence[str], Scalar], list[str]]) -> Encoder:
    """An encoder of dates that has a short way for UTC; what does not look as expected takes the long one."""

    def encode_one(text: str) -> str:
        return quoted(iso_date(text, zone))

    each = _each(encode_one)

    def encode(column: Texts) -> Sequence[str]:
        return each(column) if None in column else fast(column, encode_one)  # type: ignore[arg-type]

    return encode if zone.is_utc else each


# A fifth character that is a dash means ISO style and a year of four digits; BC stands at the end.
def _utc_timestamptz(column: Sequence[str], other: Scalar) -> list[str]:
    return [
        f'"{text[:10]}T{text[11:19]}Z"' if text[4] == "-" and text[-3:] == "+00" else other(text)
        for text in column
    ]


def _utc_timestamp(column: Sequence[str], other: Scalar) -> list[str]:
    return [
        f'"{text[:10]}T{text[11:19]}Z"' if text[4] == "-" and text[-1] != "C" else other(text)
        for text in column
    ]


def _utc_date(column: Sequence[str], other: Scalar) -> list[str]:
    return [f'"{text}T00:00:00Z"' if text[4] == "-" and len(text) == 10 else other(text) for text in column]


def _arrays(scalar: Scalar) -> Encoder:
    def encode(nested: Nested) -> str:
        if nested is None:
            return "null"
        if isinstance(nested, str):
            return scalar(nested)
        return "[" + ",".join(map(encode, nested)) + "]"

    return _each(lambda text: encode(parse_array(text)))


def _number_array(special: Scalar) -> Scalar:
    def encode(text: str) -> str:
        if text[0] == "[":  # The bounds of an array that does not start at 1: [0:2]={1,2,3}.
            text = text[text.index("=") + 1 :]
        if "N" in text or "I" in text:
            text = _SPECIAL_WORD.sub(lambda match: special(match.group()), text).replace("NULL", "null")
        return text.translate(_BRACES)

    return encode


class Encoders:
    """The encoder of each type, by its oid.

    Args:
        names: names of PostgreSQL's own types by oid.
        geometries: oids of the types of PostGIS.
        zone: the zone in which dates are shown.
        nan_as_null: whether NaN and the infinities become null rather than strings.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        geometries: frozenset[int],
        zone: Zone,
        *,
        nan_as_null: bool = False,
    ) -> None:
        self._names = names
        self._geometries = geometries
        self._special = number_or_null if nan_as_null else number
        self._moments = {
            "timestamptz": _moments(zone, _utc_timestamptz),
            "timestamp": _moments(zone, _utc_timestamp),
            "date": _moments(zone, _utc_date),
        }
        self._date: Scalar = lambda text: quoted(iso_date(text, zone))

    def of(self, oid: int) -> Encoder:
        """The encoder for columns of a type; PostgreSQL's text as a string when it has none of its own."""
        if oid in self._geometries:
            return _plain
        name = self._names.get(oid, "")
        if name.startswith("_"):
            return self._of_array(name[1:])
        if name in self._moments:
            return self._moments[name]
        if name in NUMBERS:
            return _numbers(self._special)
        if name in _QUOTED_AS_IS:
            return _plain
        if name in ("json", "jsonb"):
            return _whole
        scalar = self._scalar(name)
        return _strings if scalar is quoted else _each(scalar)

    def _of_array(self, element: str) -> Encoder:
        if element == "box":  # Its elements are parted by semicolons, and clients get it as text.
            return _strings
        if element in NUMBERS:
            return _each(_number_array(self._special))
        return _arrays(self._scalar(element))

    def _scalar(self, name: str) -> Scalar:
        if name in self._moments:
            return self._date
        if name in NUMBERS:
            return self._special
        return _SCALARS.get(name, quoted)


_SCALARS: dict[str, Scalar] = {
    "bool": boolean,
    "json": as_is,
    "jsonb": as_is,
    "bytea": buffer,
    "interval": interval,
    "point": point,
    "circle": point,
}
