"""What becomes of the cells of a delimited file: types, geometry, names, encodings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.imports import imported, upload
from tests.support.rows import rows_of

_TYPES = (
    "SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute "
    "WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped"
)


def types_of(api: Api, table: str) -> dict[str, str]:
    found = {row["attname"]: row["type"] for row in rows_of(api, _TYPES.format(table))}
    for name in ("cartodb_id", "the_geom", "the_geom_webmercator"):
        del found[name]
    return found


def column(api: Api, table: str, name: str) -> list[Any]:
    rows = rows_of(api, f"SELECT ({name})::text AS v FROM {table} ORDER BY cartodb_id")
    return [row["v"] for row in rows]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2"], "integer", ["1", "2"]),
        (["1", "99999999999"], "bigint", ["1", "99999999999"]),
        (["1", "2.5"], "double precision", ["1", "2.5"]),
        (["true", "FALSE"], "boolean", ["true", "false"]),
        (["yes", "f"], "boolean", ["true", "false"]),
        (["0", "1"], "integer", ["0", "1"]),
        (["001", "+1", " -2 "], "integer", ["1", "1", "-2"]),
        (["2020-01-02", "2021/03/04"], "date", ["2020-01-02", "2021-03-04"]),
        (["2020-01-02 10:00:00"], "timestamp with time zone", ["2020-01-02 10:00:00+00"]),
        (["2020-01-02T10:00:00.5+02:00", "2020-01-02"], "timestamp with time zone", None),
        (["10:00", "23:59:59"], "time without time zone", ["10:00:00", "23:59:59"]),
        (["01/02/2020"], "text", ["01/02/2020"]),
        (["1", "x"], "text", ["1", "x"]),
        (["2020-02-30", "2020-01-01"], "text", ["2020-02-30", "2020-01-01"]),
        (["25:00"], "text", ["25:00"]),
        (["NaN", "1"], "text", ["NaN", "1"]),
        (["1e999", "1"], "text", ["1e999", "1"]),
        (["99999999999999999999", "1"], "bigint", ["9223372036854775807", "1"]),
        ([".5", "1.", "1e5"], "double precision", ["0.5", "1", "100000"]),
        (["", "1"], "integer", [None, "1"]),
        (["   ", "1"], "integer", [None, "1"]),
        (["", "x"], "text", ["", "x"]),
        (["a\\b", "\\N", "\\."], "text", ["a\\b", "\\N", "\\."]),
    ],
)
def test_a_column_gets_the_type_that_all_its_cells_fit(
    api: Api, cells: list[str], kind: str, values: list[Any] | None
) -> None:
    table = imported(api, "t.csv", "k,v\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    assert types_of(api, table) == {"k": "integer", "v": kind}
    if values is not None:
        assert column(api, table, "v") == values


def test_guessing_can_be_switched_off(api: Api) -> None:
    content = "LAT,Long,n\n1.5,2,3\n"
    table = imported(api, "t.csv", content, type_guessing="false")
    assert set(types_of(api, table).values()) == {"text"}
    assert column(api, table, "the_geom") == [None]


def test_quoted_cells_can_be_kept_as_text(api: Api) -> None:
    content = 'a,b\n"1",2\n"3",4\n'
    assert types_of(api, imported(api, "t.csv", content)) == {"a": "integer", "b": "integer"}
    table = imported(api, "u.csv", content, quoted_fields_guessing="false")
    assert types_of(api, table) == {"a": "text", "b": "integer"}


def test_latitude_and_longitude_make_points(api: Api) -> None:
    content = 'LAT,Long,name\n1.5,2,a\n"91",4,b\nx,5,c\n-90,180,d\n'
    table = imported(api, "t.csv", content)
    assert types_of(api, table) == {"lat": "double precision", "long": "double precision", "name": "text"}
    places = rows_of(
        api,
        "SELECT ST_AsEWKT(the_geom) AS p, "
        "the_geom_webmercator = CDB_TransformToWebmercator(the_geom) AS same "
        f"FROM {table} ORDER BY cartodb_id",
    )
    assert [row["p"] for row in places] == ["SRID=4326;POINT(2 1.5)", None, None, "SRID=4326;POINT(180 -90)"]
    assert [row["same"] for row in places] == [True, None, None, None]
    assert column(api, table, "lat") == ["1.5", "91", None, "-90"]


@pytest.mark.parametrize(
    ("header", "cell", "wanted"),
    [
        ("the_geom", "POINT(1 2)", "POINT(1 2)"),
        ("The_Geom", '"{""type"":""Point"",""coordinates"":[1,2]}"', "POINT(1 2)"),
        ("wkb_geometry", "0101000020E6100000000000000000F03F0000000000000040", "POINT(1 2)"),
        ("geom", "0101000000000000000000F03F0000000000000040", "POINT(1 2)"),
        ("wkt", '"LINESTRING(0 0, 1 1)"', "MULTILINESTRING((0 0,1 1))"),
        ("wkt", '"POLYGON Z ((0 0 1, 0 1 1, 1 1 1, 0 0 1))"', "MULTIPOLYGON(((0 0,0 1,1 1,0 0)))"),
        ("geometry", '"SRID=3857;POINT(0 0)"', "POINT(0 0)"),
        ("geometry", '"<Point><coordinates>1,2</coordinates></Point>"', "POINT(1 2)"),
    ],
)
def test_geometry_written_in_text_is_read(api: Api, header: str, cell: str, wanted: str) -> None:
    table = imported(api, "t.csv", f"name,{header}\na,{cell}\nb,\n")
    assert column(api, table, "ST_AsText(the_geom)") == [wanted, None]
    assert types_of(api, table) == {"name": "text"}
    same = "the_geom_webmercator = CDB_TransformToWebmercator(the_geom)"
    assert column(api, table, same) == ["true", None]


@pytest.mark.parametrize("cells", [["foo", "bar"], ["POINT(1 2)", "POINT(1"]])
def test_text_that_is_no_geometry_stays_text(api: Api, cells: list[str]) -> None:
    table = imported(api, "t.csv", f"n,the_geom\n1,{cells[0]}\n2,{cells[1]}\n")
    assert types_of(api, table) == {"n": "integer", "invalid_the_geom": "text"}
    assert column(api, table, "invalid_the_geom") == cells
    assert column(api, table, "the_geom") == [None, None]


def test_a_geometry_beside_coordinates_is_text(api: Api) -> None:
    table = imported(api, "t.csv", "lat,lon,the_geom,the_geom_webmercator\n1,2,POINT(3 4),x\n")
    assert column(api, table, "ST_AsText(the_geom)") == ["POINT(2 1)"]
    assert column(api, table, "the_geom_str") == ["POINT(3 4)"]
    assert set(types_of(api, table)) == {"lat", "lon", "the_geom_str"}


def test_a_collection_is_refused(api: Api) -> None:
    end = upload(api, "t.csv", 'n,wkt\n1,"GEOMETRYCOLLECTION(POINT(1 2))"\n')
    assert (end["state"], end["error_code"]) == ("failure", 3201)


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_delimiters_are_found(api: Api, mark: str) -> None:
    table = imported(api, "t.txt", f"first name{mark}b\nx y{mark}1\n".replace("x y", '"x y"'))
    assert types_of(api, table) == {"first_name": "text", "b": "integer"}


@pytest.mark.parametrize(
    "encoding", ["iso-8859-1", "windows-1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"]
)
def test_accents_survive_any_usual_encoding(api: Api, encoding: str) -> None:
    content = "ciudad,país\nBogotá,Colombia\nMálaga,España\nSão Paulo,Brasil\n"
    table = imported(api, "t.csv", content.encode(encoding))
    assert column(api, table, "ciudad") == ["Bogotá", "Málaga", "São Paulo"]
    assert column(api, table, "pais")[1] == "España"


def test_a_byte_that_is_none_of_utf_8_behind_the_sample(api: Api) -> None:
    # So many bytes tell the encoding, and as many characters of two bytes reach further.
    content = "a\n" + "é\n" * 170_000
    table = imported(api, "t.csv", content.encode() + b"caf\xe9\n")
    assert rows_of(api, f"SELECT a FROM {table} ORDER BY cartodb_id DESC LIMIT 1") == [{"a": "café"}]


def test_an_encoding_can_be_named(api: Api) -> None:
    content = "jméno,x\nŽofie,1\n".encode("iso-8859-2")
    table = imported(api, "lidi_encoding_ISO-8859-2_encoding_.csv", content)
    assert column(api, table, "jmeno") == ["Žofie"]


def test_bytes_that_are_no_utf8_after_all_are_read_as_latin(api: Api) -> None:
    content = b"a,b\n" + b"x,1\n" * 150_000 + "é,2\n".encode("latin-1")
    table = imported(api, "t.csv", content)
    assert rows_of(api, f"SELECT a FROM {table} WHERE b = 2") == [{"a": "é"}]


def test_a_value_that_comes_late_widens_its_column(api: Api) -> None:
    filler = "x" * 200
    late = "".join(f"{n},{filler}\n" for n in range(110_000))
    table = imported(api, "t.csv", "n,f\n" + late + "2.5,y\n")
    assert types_of(api, table) == {"n": "double precision", "f": "text"}
    assert rows_of(api, f"SELECT count(*) AS c, max(cartodb_id) AS m FROM {table}") == [
        {"c": 110_001, "m": 110_001}
    ]


def test_names_of_columns_are_made_fit(api: Api) -> None:
    header = "Field: 2,SELECT,a,a,A,😀,xmin,,1.0,the_geom_webmercator,"
    table = imported(api, "t.csv", header + "\n1,2,3,4,5,6,7,8,9,10,\n")
    names = list(types_of(api, table))
    assert names == ["field_2", "_select", "a", "a2", "a3", "_", "_xmin", "field_8", "_1_0"]
    assert column(api, table, "a3") == ["5"]


def test_a_header_of_numbers_is_data(api: Api) -> None:
    table = imported(api, "t.csv", "1,2\n3,4\n")
    assert column(api, table, "field_1") == ["1", "3"]


def test_rows_may_be_ragged_or_blank_and_quotes_go_over_lines(api: Api) -> None:
    table = imported(api, "t.csv", 'a,b,c\n1,x\n2,y,z,too much\n\n3,"p\nq","r""s"\n')
    assert column(api, table, "a") == ["1", "2", "3"]
    assert column(api, table, "b") == ["x", "y", "p\nq"]
    assert column(api, table, "c") == [None, "z", 'r"s']


def test_a_file_of_one_column_is_fine(api: Api) -> None:
    assert column(api, imported(api, "t.csv", "name\na\n\nb\n"), "name") == ["a", "b"]


def test_a_header_alone_makes_an_empty_dataset(api: Api) -> None:
    table = imported(api, "t.csv", "a,b\n")
    assert types_of(api, table) == {"a": "text", "b": "text"}
    assert column(api, table, "a") == []


def test_a_key_is_kept_when_it_is_one(api: Api) -> None:
    table = imported(api, "t.csv", "cartodb_id,a\n7,x\n5,y\n")
    assert [row["a"] for row in rows_of(api, f"SELECT a FROM {table} WHERE cartodb_id = 7")] == ["x"]
    api.sql(f"INSERT INTO {table} (a) VALUES ('new')")
    assert rows_of(api, f"SELECT cartodb_id FROM {table} WHERE a = 'new'") == [{"cartodb_id": 8}]
    for cells in (["1", "1"], ["1", ""], ["1", "x"]):
        end = upload(api, "u.csv", f"cartodb_id,a\n{cells[0]},x\n{cells[1]},y\n")
        assert (end["state"], end["error_code"]) == ("failure", 2011)


def test_points_of_geojson_keep_their_properties(api: Api) -> None:
    content = (
        '{"type":"FeatureCollection","features":['
        '{"type":"Feature","properties":{"Name":"Zoë","n":1,"x":1.5,"ok":true,"list":[1],"day":"2020-01-02"},'
        '"geometry":{"type":"Polygon","coordinates":[[[0,0,5],[0,1,5],[1,1,5],[0,0,5]]]}},'
        '{"type":"Feature","properties":{"Name":"b"},"geometry":null}]}'
    )
    table = imported(api, "Places.geojson", content)
    assert table == "places"
    kinds = {"name": "text", "n": "integer", "x": "double precision", "ok": "boolean"}
    assert types_of(api, table) == {**kinds, "list": "text", "day": "date"}
    assert column(api, table, "ST_AsText(the_geom)") == ["MULTIPOLYGON(((0 0,0 1,1 1,0 0)))", None]
    assert column(api, table, "name") == ["Zoë", "b"]
    assert column(api, table, "list")[0] is not None


def test_projected_geojson_is_brought_to_longitude_and_latitude(api: Api) -> None:
    content = (
        '{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::3857"}},'
        '"features":[{"type":"Feature","properties":{},"geometry":{"type":"Point","coordinates":[111319.49,0]}}]}'
    )
    table = imported(api, "p.json", content)
    assert column(api, table, "ST_AsText(ST_SnapToGrid(the_geom, 0.001))") == ["POINT(1 0)"]
