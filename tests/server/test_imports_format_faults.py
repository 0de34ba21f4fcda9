"""Files that are none, archives that attack: a code for each, nothing is left, and the next one works."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from carto_like.server.postgres import PrivatePostgres
from carto_like.server.settings import Limits
from tests.support.api import Api, make_account
from tests.support.databases import another_database
from tests.support.imports import imported, upload
from tests.support.raw import eventually
from tests.support.rows import rows_of
from tests.support.server import RunningServer

FILES = Path(__file__).resolve().parents[1] / "data" / "imports"
CSV = b"n,v\n1,x\n"


@pytest.fixture(scope="module")
def api(platform_server: RunningServer) -> Api:
    account = make_account(platform_server)
    return Api(account.base_url, account.api_key)


@pytest.fixture(autouse=True)
def nothing_is_left(api: Api, platform_server: RunningServer) -> object:
    """After each test there is no staging table, and no file."""
    yield None
    names = [
        row["n"] for row in rows_of(api, "SELECT relname AS n FROM pg_class WHERE relname LIKE '%import%'")
    ]
    assert [name for name in names if name.startswith("_import")] == []
    uploads = platform_server.app.platform.uploads_dir
    # They go when whoever waits for the import's end has been told of it.
    eventually(lambda: not [path for path in uploads.glob("*/*") if path.is_file()], "the files to go")


def failed(api: Api, name: str, content: bytes) -> int:
    end = upload(api, name, content)
    assert (end["state"], end["success"]) == ("failure", False), end
    assert end["get_error_text"]["what_about"]
    code: int = end["error_code"]
    return code


def zipped(**files: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def archive_of(name: str, content: bytes = CSV) -> bytes:
    return zipped(**{name: content})


DAMAGED = {
    "g.gpkg": 1002,
    "g.fgb": 1002,
    "g.kml": 1002,
    "g.gpx": 1002,
    "g.parquet": 1002,
    "g.xlsx": 2008,
    "g.ods": 1002,
    "g.osm": 1002,
    "g.zip": 1003,
    "g.tar.gz": 1003,
    "g.csv.gz": 1003,
    "g.kmz": 1003,
    "g.shp": 1006,
    "g.tif": 1002,
    "g.carto": 1002,
    "g.rar": 1002,
    "g.exe": 1002,
}


@pytest.mark.parametrize("name", list(DAMAGED))
def test_a_file_that_is_none_of_its_format(api: Api, name: str) -> None:
    assert failed(api, name, b"this is nothing of the kind\n" * 20) == DAMAGED[name]


@pytest.mark.parametrize(
    ("file", "name", "kept"),
    [
        ("places.gpkg", "t.gpkg", 0.3),
        ("cities.fgb", "t.fgb", 0.5),
        ("places.kml", "t.kml", 0.7),
        ("cities.parquet", "t.parquet", 0.6),
        ("cities_sheet.xlsx", "t.xlsx", 0.6),
        ("cities_shp.zip", "t.zip", 0.6),
    ],
)
def test_a_file_that_was_cut(api: Api, file: str, name: str, kept: float) -> None:
    content = (FILES / file).read_bytes()
    assert failed(api, name, content[: int(len(content) * kept)]) in (1002, 1003, 2001, 2008)
    assert imported(api, "next.csv", CSV)


def test_empty_files_of_all_kinds(api: Api) -> None:
    for name in ("e.gpkg", "e.zip", "e.xlsx"):
        assert failed(api, name, b"") == 1005
    assert failed(api, "e.json", b"[]") == 1005
    assert failed(api, "only.zip", archive_of("nothing.pdf")) == 1002
    assert failed(api, "hollow.zip", zipped()) == 1002


def slipping(name: str) -> Callable[[], bytes]:
    def tar() -> bytes:
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as archive:
            info = tarfile.TarInfo(name)
            info.size = len(CSV)
            archive.addfile(info, io.BytesIO(CSV))
        return sink.getvalue()

    return tar


def linked_tar(kind: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        info = tarfile.TarInfo("secret.csv")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return sink.getvalue()


def linked_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        info = zipfile.ZipInfo("secret.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return sink.getvalue()


def locked_zip() -> bytes:
    """An archive that says of its file that it is encrypted."""
    content = bytearray(archive_of("locked.csv"))
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def test_archives_that_want_out_of_their_folder(api: Api) -> None:
    for name in ("../out.csv", "/etc/out.csv", "a/../../out.csv", "..\\out.csv", "C:\\out.csv"):
        assert failed(api, "z.zip", archive_of(name)) == 1003, name
        assert failed(api, "t.tar", slipping(name)()) == 1003, name
    assert failed(api, "l.zip", linked_zip()) == 1003
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        assert failed(api, "l.tar", linked_tar(kind)) == 1003
    assert failed(api, "locked.zip", locked_zip()) == 1018
    twice = zipped(**{"a/x.csv": CSV, "a/X.csv": CSV})
    assert failed(api, "twice.zip", twice) == 1003


def ten_gigabytes() -> bytes:
    """Ten gigabytes of nothing as gzip, made without ever having them."""
    packer = zlib.compressobj(9, wbits=31)
    block = b"0" * (1 << 20)
    head = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    repeated = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + repeated * 10_240


@pytest.fixture(scope="module")
def strict(cluster: PrivatePostgres) -> Iterator[Api]:
    """An account on a server with low limits, whose database's jobs no other worker takes."""
    limits = Limits(import_max_rows=1, import_unpacked_max_bytes=2_000_000)
    server = RunningServer(replace(another_database(cluster), limits=limits))
    account = make_account(server)
    yield Api(account.base_url, account.api_key)
    server.stop()


def test_what_unpacks_to_gigabytes_is_stopped_early(api: Api, strict: Api) -> None:
    bomb = ten_gigabytes()
    assert len(bomb) < 20 << 20
    assert failed(strict, "bomb.csv.gz", bomb) == 6666
    # Far below that limit, but a thousand times as large as it was.
    nested = zipped(**{"inner.csv": b"0" * (300 << 20)})
    assert len(nested) < 1 << 20
    assert failed(api, "bomb.zip", nested) == 6666


def test_archives_with_too_many_files(api: Api) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}.pdf", b"")
    assert failed(api, "crowd.zip", sink.getvalue()) == 1003


def test_the_list_of_a_zip_has_a_size(api: Api) -> None:
    # Entries of which no file is there cost 47 bytes each, and whoever reads them ten times as much.
    listed = (b"PK\x01\x02" + bytes(24) + b"\x01" + bytes(17) + b"a") * 100_000
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, len(listed), 0, 0)
    ended = upload(api, "list.zip", listed + end)
    assert (ended["state"], ended["error_code"]) == ("failure", 1003)
    assert "more than 10000 files" in ended["get_error_text"]["what_about"]


VRT = b"""<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>
</OGRVRTDataSource>"""


@pytest.mark.parametrize(
    "name", ["v.csv", "v.kml", "v.gpkg", "v.geojson", "v.fgb", "v.osm", "v.gpx", "v.json"]
)
@pytest.mark.parametrize(
    "content", [VRT, b"/vsicurl/http://127.0.0.1/x", b"PG:dbname=postgres"], ids=["vrt", "curl", "pg"]
)
def test_files_that_point_elsewhere_are_not_followed(api: Api, name: str, content: bytes) -> None:
    end = upload(api, name, content)
    if end["state"] == "complete":
        # One line of text is a table, too, if it says that it is one; what it names was not opened.
        rows = rows_of(api, f"SELECT * FROM {end['table_name']}")
        assert name == "v.csv"
        assert rows == []
    else:
        assert end["error_code"] in (1002, 3007)


def test_too_many_columns(api: Api) -> None:
    header = ",".join(f"c{number}" for number in range(5000))
    assert failed(api, "wide.csv", f"{header}\n".encode()) == 2004
    cells = ",".join(f'"c{number}":1' for number in range(5000))
    assert failed(api, "wide.json", f"[{{{cells}}}]".encode()) == 2004
    feature = f'{{"type":"Feature","geometry":null,"properties":{{{cells}}}}}'
    assert failed(api, "wide.geojson", feature.encode()) == 2004


def test_column_names_of_every_sort(api: Api) -> None:
    content = '[{"select": 1, "Select": 2, "🎈": 3, "a b": 4, "a-b": 5, "": 6, "xmin": 7, "the_geom": 8}]'
    table = imported(api, "names.json", content)
    row = rows_of(api, f"SELECT * FROM {table}")[0]
    values = sorted(str(value) for name, value in row.items() if name not in ("cartodb_id", "the_geom"))
    assert {"1", "2", "3", "4", "5", "6", "7"} <= set(values)
    assert {"_select", "a_b", "_xmin"} <= set(row)


def test_coordinates_out_of_range_make_no_failure(api: Api) -> None:
    content = (
        b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"n":1},'
        b'"geometry":{"type":"Point","coordinates":[500,100]}},'
        b'{"type":"Feature","properties":{"n":2},"geometry":{"type":"Point","coordinates":[1,2]}}]}'
    )
    table = imported(api, "far.geojson", content)
    rows = rows_of(api, f"SELECT n, the_geom_webmercator IS NULL AS beyond FROM {table} ORDER BY n")
    assert rows == [{"n": 1, "beyond": True}, {"n": 2, "beyond": False}]


def test_limits_hold_for_what_was_in_an_archive(strict: Api) -> None:
    rows = b"n\n" + b"1\n" * 5
    assert failed(strict, "r.csv.gz", gzip.compress(rows)) == 6668
    assert failed(strict, "r.gpkg", (FILES / "places.gpkg").read_bytes()) == 6668
    assert failed(strict, "big.zip", archive_of("big.csv", bytes(3_000_000))) == 6666


def test_headers_of_archives_are_bounded_too(api: Api) -> None:
    """A name of any length would be read into memory; what is left out is unpacked all the same."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("a" * 3_000_000 + ".csv")
        archive.addfile(info)
    assert failed(api, "names.tar.gz", sink.getvalue()) == 1003
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        info = tarfile.TarInfo("left_out.pdf")
        info.size = 300 << 20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    assert failed(api, "padding.tar.gz", sink.getvalue()) == 6666


def test_files_of_one_name_are_two_tables_whatever_the_strategy(api: Api) -> None:
    twins = zipped(**{"a/twin.csv": b"n\n1\n", "b/twin.csv": b"n\n2\n"})
    for strategy in ("overwrite", "skip"):
        rows_of(api, "DROP TABLE IF EXISTS twin")
        rows_of(api, "DROP TABLE IF EXISTS twin_1")
        end = upload(api, "twins.zip", twins, collision_strategy=strategy)
        assert (end["state"], end["tables_created_count"]) == ("complete", 2)
        assert rows_of(api, "SELECT n FROM twin UNION ALL SELECT n FROM twin_1 ORDER BY n") == [
            {"n": 1},
            {"n": 2},
        ]


def test_a_table_with_row_security_is_not_overwritten(api: Api) -> None:
    assert imported(api, "guarded.csv", b"n\n1\n") == "guarded"
    rows_of(api, "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY")
    end = upload(api, "guarded.csv", b"n\n2\n", collision_strategy="overwrite")
    assert (end["state"], end["error_code"]) == ("failure", 2013)
    assert rows_of(api, "SELECT n FROM guarded") == [{"n": 1}]


def test_parameters_of_odd_types_are_as_if_they_were_not_there(api: Api) -> None:
    odds: list[object] = [[], {}, 1.5, None]
    for odd in odds:
        response = api.post("api/v1/imports", json={"type_guessing": odd, "sql": "SELECT 1 AS n"})
        assert response.status_code == 200, response.text
    deep = api.post("api/v1/imports", data={"user_defined_limits": "[" * 20_000, "sql": "SELECT 1"})
    assert deep.status_code == 400
