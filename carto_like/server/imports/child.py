"""The process that opens files: confined, without secrets, good for one file.

It reads a request (one line of JSON) from its standard input, and writes one line of JSON that describes the
table, then the rows as COPY's text, to its standard output. Asked for layers it answers with their names, and
then waits to be told which of them to read. How it ended is the last line of its standard error. Without a
request it ends.

Its arguments are what it may use: bytes of memory, and seconds; and ``equipped`` for one that loads what
reads files other than text while it waits.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import Any

from carto_like.server.imports import codes
from carto_like.server.imports.confine import confine
from carto_like.server.imports.csvfile import CsvTable, Options
from carto_like.server.imports.formats import DRIVERS
from carto_like.server.imports.jsontext import is_list
from carto_like.server.imports.libraries import leave_out_unused, load
from carto_like.server.imports.ogr import OgrTable, Source, layers_of, leave_only
from carto_like.server.imports.parquet import ParquetTable
from carto_like.server.imports.rows import Unreadable
from carto_like.server.imports.tabletext import text_of_list, text_of_sheet


def main() -> int:
    """Serve one request, and end the process; the status is 0 when it could be answered."""
    # At once, while nobody waits yet.
    confine(memory_bytes=int(sys.argv[1]), cpu_seconds=int(sys.argv[2]))
    leave_out_unused()
    if "equipped" in sys.argv[3:]:
        load()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    request = json.loads(line)
    try:
        count = _serve(request)
    except Unreadable as unreadable:
        told = {"error": unreadable.code, "reason": unreadable.reason, "encoding": unreadable.encoding}
    except (RecursionError, ValueError, TypeError, KeyError, LookupError) as error:
        # Of a library that the file confused; its text may quote the file.
        told = {"error": codes.LOAD_FAILED, "reason": f"The reader gave up ({type(error).__name__})"}
    except MemoryError:
        told = {"error": codes.LOAD_FAILED, "reason": "Reading it takes more memory than is allowed"}
    else:
        told = {"rows": count}
    sys.stdout.buffer.flush()
    # A line of its own, whatever a library has written before.
    sys.stderr.write("\n" + json.dumps(told) + "\n")
    sys.stderr.flush()
    # Taking the interpreter down in good order takes longer than reading a small file, and tidies nothing.
    os._exit(0)


def _serve(request: dict[str, Any]) -> int:
    format = request["format"]
    if format == "json" and not is_list(request["path"]):
        format = "geojson"
    if format in DRIVERS:
        leave_only(format, request["path"])
    source = Source(request["path"], format, request["layer"], request["broken"], request["max_rows"])
    if request["layers_only"]:
        _write_line({"layers": layers_of(source)})
        line = sys.stdin.buffer.readline()
        if not line:
            return 0
        source = replace(source, layer=json.loads(line)["layer"])
    table = _table(request, source)
    layout = table.layout()
    _write_line(layout.as_json())
    count = 0
    for rows, block in table.blocks(layout):
        count += rows
        sys.stdout.buffer.write(block)
    return count


def _table(request: dict[str, Any], source: Source) -> CsvTable | OgrTable | ParquetTable:
    if source.format == "parquet":
        return ParquetTable(source.path, max_rows=source.max_rows)
    options = {name: request[name] for name in Options.__dataclass_fields__}
    given = Options(**{**options, "as_text": tuple(options["as_text"])})
    if source.format == "csv":
        return CsvTable(given)
    if source.format == "json":
        return CsvTable(given, text_of_list(source.path))
    if source.format == "xlsx":
        return CsvTable(given, text_of_sheet(source))
    return OgrTable(source)


def _write_line(value: Any) -> None:
    sys.stdout.buffer.write(json.dumps(value).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
