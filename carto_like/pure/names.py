"""Names that a table or a column gets: any text becomes a name that needs no quotes and is free.

Tables and columns follow different rules, because they always did and scripts count on the result: table
names drop accents to ``_``, column names transliterate them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

__all__ = ["MAX_LENGTH", "clean_column_name", "clean_table_name", "column_name", "table_name"]

MAX_LENGTH = 63
"""Bytes of a PostgreSQL identifier; cleaned names are ASCII, so also characters."""

_CLASH_LENGTH = 62  # two table names that are equal this far would share the names of their indexes
_UNTITLED = "untitled_table"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SQL_WORDS = _words(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
    except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into
    is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on
    only or order outer overlaps placing primary references returning right select session_user similar some
    symmetric table tablesample then to trailing true union unique user using variadic verbose when where
    window with"""
)
_PLATFORM_WORDS = _words("between new off old format controller action")
_SYSTEM_COLUMNS = _words("tableoid xmin cmin xmax cmax ctid")
_SYSTEM_TABLES = _words(
    """layergroup all public spatial_ref_sys geometry_columns geography_columns raster_columns
    raster_overviews cdb_tablemetadata geometry raster"""
)
_RESERVED_TABLES = _SQL_WORDS | _PLATFORM_WORDS | _SYSTEM_TABLES
_RESERVED_COLUMNS = _SQL_WORDS | _PLATFORM_WORDS | _SYSTEM_COLUMNS

# Letters that Unicode does not decompose into a base letter and a mark.
_LATIN = {
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "\u0131": "i",  # dotless i
    "ĸ": "k",
    "ł": "l",
    "ŀ": "l",
    "ŉ": "n",
    "ŋ": "n",
    "\u017f": "s",  # long s
    "ŧ": "t",
    "þ": "th",
}
_TRANSLITERATED = "a b v g d e e zh z i i k l m n o p r s t u f kh ts ch sh shch - y - e yu ya g ye i yi u"
_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяґєіїў",
        _TRANSLITERATED.split(),
        strict=True,
    )
)
_LETTERS = str.maketrans({**_LATIN, **_CYRILLIC})

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_ENTITY = re.compile(r"&#?\w+;")


def clean_table_name(text: str) -> str:
    """A valid table name made from any text; the same text always gives the same name.

    >>> clean_table_name("2020 Población")
    'table_2020_poblaci_n'
    """
    name = text.strip().lower()
    if not name:
        return _UNTITLED
    if not "a" <= name[0] <= "z":
        name = f"table_{name}"
    name = re.sub(r"[^a-z0-9_]+", "_", name)
    name = re.sub(r"__+", "_", name)[:MAX_LENGTH]
    return f"{name}_t" if name in _RESERVED_TABLES else name


def table_name(text: str, taken: Iterable[str] = ()) -> str:
    """A valid table name made from ``text`` that does not clash with ``taken`` (names of all relations).

    Names clash when their first 62 characters are equal; a clash is resolved with ``_1``, ``_2``, ...
    """
    heads = {name[:_CLASH_LENGTH] for name in taken}
    return _first_free(clean_table_name(text), lambda name: name[:_CLASH_LENGTH] not in heads)


def clean_column_name(text: str) -> str:
    """A valid column name made from any text; cleaning a clean name changes nothing.

    >>> clean_column_name("Año (m²)")
    'ano_m'
    """
    name = _to_ascii(_TAG.sub("", text).lower())
    name = _ENTITY.sub("-", name)
    name = re.sub(r"[^a-z0-9 _-]", "-", name)
    name = re.sub(r"[ -]+", "_", name.strip(" -"))
    if name in _RESERVED_COLUMNS or not re.match("[a-z_]", name):
        name = f"_{name}"
    return re.sub(r"__+", "_", name)[:MAX_LENGTH]


def column_name(text: str, taken: Iterable[str] = ()) -> str:
    """A valid column name made from ``text`` that is none of ``taken``; ``_1``, ``_2``, ... when it was."""
    names = set(taken)
    return _first_free(clean_column_name(text), lambda name: name not in names)


def _to_ascii(lowered: str) -> str:
    plain = unicodedata.normalize("NFC", lowered).translate(_LETTERS)
    return "".join(c for c in unicodedata.normalize("NFD", plain) if not unicodedata.combining(c))


def _first_free(stem: str, is_free: Callable[[str], bool]) -> str:
    name, number = stem, 0
    while not is_free(name):
        number += 1
        suffix = f"_{number}"
        name = re.sub(r"__+", "_", stem[: MAX_LENGTH - len(suffix)] + suffix)
    return name
