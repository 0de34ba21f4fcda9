"""The names that tables and columns get."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.names import clean_column_name, clean_table_name, column_name, table_name

VALID_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
VALID_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Field: 2", "field_2"),
        ("2 Items", "_2_items"),
        ("1.0", "_1_0"),
        ("SELECT", "_select"),
        ("à", "a"),
        ("Date Due", "date_due"),
        ("ZIP-Code", "zip_code"),
        ("--a--", "a"),
        ("a__b", "a_b"),
        ("Name <b>x</b>", "name_x"),
        ("A&amp;B", "a_b"),
        ("100%", "_100"),
        ("地址", "_"),
        ("straße", "stra_e"),
        ("public", "public"),
        ("xmin", "_xmin"),
        ("action", "_action"),
        ("> min", "min"),
        ("  spaced  out ", "spaced_out"),
        ("Ærøskøbing", "aeroskobing"),
        ("Щука", "shchuka"),
        ("e\u0301te\u0301", "ete"),
        ("", "_"),
        ("current_date", "_current_date"),
        ("a < b", "a_b"),
        ("😀 mood", "mood"),
        ("x" * 70, "x" * 63),
    ],
)
def test_a_column_name_is_cleaned(text: str, name: str) -> None:
    assert column_name(text) == name


def test_a_column_name_that_is_taken_gets_a_number() -> None:
    assert column_name("ABC", ["abc", "abc_1"]) == "abc_2"


def test_a_long_column_name_makes_room_for_its_number() -> None:
    assert column_name("x" * 63, ["x" * 63]) == "x" * 61 + "_1"


@given(st.text())
def test_cleaning_a_column_name_twice_changes_nothing(text: str) -> None:
    once = clean_column_name(text)
    assert VALID_COLUMN.fullmatch(once)
    assert clean_column_name(once) == once


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("123_data", "table_123_data"),
        ("población_2020", "poblaci_n_2020"),
        ("all", "all_t"),
        ("_manolo", "table_manolo"),
        ("my.data", "my_data"),
        ("spatial_ref_sys", "spatial_ref_sys_t"),
        ("a" * 70, "a" * 63),
        ("", "untitled_table"),
        (" \t ", "untitled_table"),
        ("My Trees", "my_trees"),
        ("SELECT", "select_t"),
        ("CDB_TableMetadata", "cdb_tablemetadata_t"),
        ('"; DROP TABLE x; --', "table_drop_table_x_"),
        ("a\x00b", "a_b"),
        ("😀", "table_"),
    ],
)
def test_a_table_name_is_cleaned(text: str, name: str) -> None:
    assert table_name(text) == name


@pytest.mark.parametrize(
    ("text", "taken", "name"),
    [
        ("x", ["x", "x_1"], "x_2"),
        ("a" * 63, ["a" * 63], "a" * 61 + "_1"),
        ("table_", ["table_"], "table_1"),
        ("a" * 62 + "b", ["a" * 62 + "c"], "a" * 61 + "_1"),
        ("", ["untitled_table"], "untitled_table_1"),
        ("y", ["x"], "y"),
    ],
)
def test_a_table_name_that_clashes_gets_a_number(text: str, taken: list[str], name: str) -> None:
    assert table_name(text, taken) == name


@given(st.text(), st.lists(st.sampled_from(["a", "a_1", "table_", "untitled_table"])))
def test_a_table_name_is_valid_and_free(text: str, taken: list[str]) -> None:
    name = table_name(text, taken)
    assert VALID_TABLE.fullmatch(name)
    assert name not in taken


@given(st.text())
def test_cleaning_a_table_name_twice_changes_nothing(text: str) -> None:
    once = clean_table_name(text)
    assert clean_table_name(once) == once
