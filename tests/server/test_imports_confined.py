"""The process that opens files: what it may not do, and that it is not believed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carto_like.server.imports import codes
from carto_like.server.imports.codes import EXPLANATIONS, ImportFailure, error_text
from carto_like.server.imports.confine import without_secrets
from carto_like.server.imports.formats import DRIVERS
from carto_like.server.imports.reader import Readers, Request, _table_of
from carto_like.server.settings import Limits

ROOT = str(Path(__file__).resolve().parents[2])
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
    async def skipped() -> list[str]:
        readers = Readers(Limits())
        try:
            return await readers._drivers_to_skip()
        finally:
            await readers.close()

    everything = asyncio.run(skipped())
    assert set(DRIVERS.values()) < set(everything)
    script = (
        "import json, sys; from carto_like.server.imports import ogr; "
        "ogr.leave_only(sys.argv[1], sys.argv[2].split(',')); print(json.dumps(ogr.drivers()))"
    )
    assert run(script, "gpkg", ",".join(everything)) == ["GPKG"]


def test_children_wait_for_the_next_files_and_end_with_their_parent(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,x\n")

    async def read_twice() -> tuple[list[bytes], set[int]]:
        readers = Readers(Limits())
        seen, children = [], set()
        try:
            for _ in range(2):
                async with readers.reading(Request(str(file), "a.csv", "csv")) as reading:
                    children.add(reading._process.pid)
                    seen.append(b"".join([block async for block in reading.blocks()]))
            readers.warm_up()
            assert readers._starting is not None
            await readers._starting
            children |= {spare.pid for spare in readers._spares}
            async with readers.reading(Request(str(file), "a.csv", "csv")) as reading:
                assert reading._process.pid in children
        finally:
            await readers.close()
        return seen, children

    seen, children = asyncio.run(read_twice())
    assert seen == [b"1\t1\tx\n"] * 2
    assert len(children) == 4
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


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
