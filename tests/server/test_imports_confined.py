"""The process that opens files: what it may not do, and that it is not believed."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carto_like.server.imports import children, codes
from carto_like.server.imports.children import Child
from carto_like.server.imports.codes import EXPLANATIONS, ImportFailure, error_text
from carto_like.server.imports.confine import without_secrets
from carto_like.server.imports.formats import DRIVERS
from carto_like.server.imports.reader import Readers, Request, _table_of
from carto_like.server.processes import is_alive
from carto_like.server.settings import Limits

ROOT = str(Path(__file__).resolve().parents[2])
FILES = Path(ROOT) / "tests" / "data" / "imports"
_TRY = """
import json, pathlib, socket, sys
from carto_like.server.imports.confine import confine
confine(400 * 2**20, 60)
tried = {}
for name, attempt in {
    "write": lambda: pathlib.Path(sys.argv[1]).write_text("x"),
    "memory": lambda: bytearray(600 * 2**20) and None,
    "network": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 5).close(),
}.items():
    try:
        attempt()
        tried[name] = None
    except (OSError, MemoryError) as error:
        tried[name] = type(error).__name__
print(json.dumps(tried))
"""


def run(code: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=without_secrets(ROOT),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_can_neither_write_nor_grow_nor_call(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tried = run(_TRY, str(tmp_path / "file"), str(listener.getsockname()[1]))
    assert tried["write"] == "OSError"
    if sys.platform != "linux":
        return
    assert tried["memory"] == "MemoryError"
    assert tried["network"] in ("OSError", "ConnectionRefusedError")


def test_it_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARTO_LIKE_SECRET", "hidden")
    monkeypatch.setenv("PGPASSWORD", "hidden")
    seen = run("import json, os; print(json.dumps(dict(os.environ)))")
    assert "hidden" not in seen.values()
    assert not {name for name in seen if name.startswith(("CARTO", "PG"))}


def test_one_driver_is_left() -> None:
    """Also after all of them were loaded, as they are in a child that waits."""
    script = (
        "import json, sys; from carto_like.server.imports import libraries, ogr; "
        "libraries.leave_out_unused(); libraries.load(); before = ogr.drivers(); "
        "ogr.leave_only('gpkg'); print(json.dumps([before, ogr.drivers(), list(sys.modules)]))"
    )
    before, after, modules = run(script)
    assert set(DRIVERS.values()) < set(before)
    assert "OGR_VRT" in before
    assert after == ["GPKG"]
    # They take longer to load than all that is needed, and nothing here is done with them.
    assert not {name for name in modules if name.startswith(("pandas.", "geopandas.", "shapely."))}


def test_children_wait_for_the_next_files_and_end_with_their_parent(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,x\n")
    request = Request(str(file), "a.csv", "csv")

    async def read_twice() -> tuple[list[bytes], set[int]]:
        readers = Readers(Limits())
        seen, children = [], set()
        try:
            for _ in range(2):
                async with readers.for_import() as files, files.reading(request) as reading:
                    children.add(reading.pid)
                    seen.append(b"".join([block async for block in reading.blocks()]))
            readers.children.warm_up()
            await readers.children.ready()
            children |= set(readers.children.waiting)
            async with readers.for_import() as files, files.reading(request) as reading:
                assert reading.pid in children
        finally:
            await readers.children.close()
        return seen, children

    seen, children = asyncio.run(read_twice())
    assert seen == [b"1\t1\tx\n"] * 2
    assert len(children) == 4
    assert not any(map(is_alive, children))


def test_one_process_reads_a_file_of_one_layer(tmp_path: Path) -> None:
    file = tmp_path / "tracks.gpx"
    file.write_bytes((FILES / "tracks.gpx").read_bytes())
    request = Request(str(file), "tracks.gpx", "gpx")

    async def read() -> tuple[list[int], bytes]:
        readers = Readers(Limits())
        started: list[int] = []
        start = readers.children.start

        async def counted(*, equipped: bool) -> Child:
            child = await start(equipped=equipped)
            started.append(child.pid)
            return child

        readers.children.start = counted  # type: ignore[method-assign]
        try:
            async with readers.for_import() as files:
                (name,) = await files.layers(request)
                async with files.reading(request.of_layer(name)) as reading:
                    rows = b"".join([block async for block in reading.blocks()])
                assert started == [reading.pid]
                # Nobody wants to read these.
                assert await files.layers(request) == [name]
        finally:
            await readers.children.close()
        return started, rows

    started, rows = asyncio.run(read())
    assert rows.startswith(b"1\t")
    assert rows.count(b"\n") == 1
    assert len(started) > 1
    assert not any(map(is_alive, started))


def test_one_that_could_not_be_asked_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def cancelled(child: Child, message: object) -> None:
        asked.append(child.pid)
        raise asyncio.CancelledError

    async def read() -> None:
        async with Readers(Limits()).for_import() as files:
            with pytest.raises(asyncio.CancelledError):
                await files.layers(Request("", "a.csv", "csv"))

    monkeypatch.setattr(Child, "tell", cancelled)
    asyncio.run(asyncio.wait_for(read(), 60))
    assert [is_alive(pid) for pid in asked] == [False]


def test_one_that_waits_equipped_is_confined_already() -> None:
    async def waiting() -> list[str]:
        readers = Readers(Limits(import_memory_bytes=1 << 30, import_timeout=77))
        try:
            # Before there is a worker nobody reads files here.
            readers.expect("a.gpkg")
            readers.children.warm_up()
            await readers.children.ready()
            readers.expect("a.csv")
            await readers.children.ready()
            assert len(readers.children.waiting) == 2
            readers.expect("a.zip")
            await readers.children.ready()
            assert len(readers.children.waiting) == 3
            pid = readers.children.waiting[-1]
            maps = Path(f"/proc/{pid}/maps")
            while "libgdal" not in await asyncio.to_thread(maps.read_text):
                await asyncio.sleep(0.01)
            return Path(f"/proc/{pid}/limits").read_text().splitlines()
        finally:
            await readers.children.close()

    if sys.platform != "linux":
        return
    limits = {
        line[:25].strip(): line[25:].split()[:2] for line in asyncio.run(asyncio.wait_for(waiting(), 30))
    }
    assert limits["Max address space"] == [str(1 << 30)] * 2
    assert limits["Max cpu time"] == ["77", "77"]
    assert limits["Max file size"] == ["0", "0"]


_TALKER = """
import sys
sys.stdin.readline()
complaint = "Warning: this file is strange, here and there and everywhere\\n" * 16
print(sys.argv[1], flush=True)
for number in range(4096):
    sys.stderr.write(complaint)
    print(number, "x", sep="\\t")
sys.stderr.write('\\n{"rows": 4096}\\n')
"""


def test_one_that_complains_of_every_row_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({**GOOD, "columns": [["a", "text"]]})
    monkeypatch.setattr(children, "COMMAND", (sys.executable, "-c", _TALKER, told))

    async def read() -> tuple[bytes, int]:
        readers = Readers(Limits())
        try:
            async with readers.for_import() as files, files.reading(Request("", "a.csv", "csv")) as reading:
                rows = b"".join([block async for block in reading.blocks()])
                return rows, len(reading._child._last_words)
        finally:
            await readers.children.close()

    rows, kept = asyncio.run(asyncio.wait_for(read(), 30))
    assert rows.count(b"\n") == 4096
    assert rows.endswith(b"4095\tx\n")
    # It said four megabytes.
    assert kept == 64 * 1024


GOOD: dict[str, Any] = {
    "columns": [["a", "text"], ["lat", "double precision"]],
    "numbered": True,
    "point": None,
    "geometry": None,
    "srid": 4326,
}


@pytest.mark.parametrize(
    "change",
    [
        {"columns": [["a; DROP TABLE x", "text"]]},
        {"columns": [["a", "text; DROP TABLE x"]]},
        {"columns": [["a", "text"], ["a", "text"]]},
        {"columns": [["A", "text"]]},
        {"columns": [["the_geom_webmercator", "text"]]},
        {"columns": "nonsense"},
        {"numbered": False},
        {"point": ["lat", "b"]},
        {"geometry": ["a", "magic"]},
        {"srid": "0); DROP TABLE x"},
    ],
)
def test_it_is_not_believed(change: dict[str, Any]) -> None:
    assert _table_of(json.dumps(GOOD).encode()).columns[0] == ("a", "text")
    with pytest.raises(ImportFailure) as failure:
        _table_of(json.dumps({**GOOD, **change}).encode())
    assert failure.value.code == codes.LOAD_FAILED


def test_every_code_explains_itself() -> None:
    assert all(told.title and told.advice for told in EXPLANATIONS.values())
    assert error_text(1002, "It is XML")["what_about"].startswith("It is XML. ")
    assert error_text(424242, None)["title"] == "Unknown error"
