"""Why an import fails: CARTO's codes, each with a title and what its user can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["user", "cartodb", "external"]


@dataclass(frozen=True)
class Explanation:
    """What a code means to the person who started the import.

    Attributes:
        title: what happened.
        advice: what to do about it.
        source: who is to act: the user, this server, or the place the data comes from.
    """

    title: str
    advice: str
    source: Source = "user"


MISSING_TOOL = 1
UPLOAD_FAILED = 1000
DOWNLOAD_FAILED = 1001
UNKNOWN_TYPE = 1002
BAD_ARCHIVE = 1003
EMPTY_FILE = 1005
INCOMPLETE_SHAPE = 1006
NOT_A_FILE = 1010
SOURCE_CLOSED = 1011
NO_SOURCE = 1012
PASSWORD_NEEDED = 1018
TOO_MANY_LAYERS = 1019
SOURCE_GONE = 1017
TIMED_OUT = 1020
ALL_SKIPPED = 1022
NOT_FOUND = 1100
NOT_ALLOWED = 1101
UNKNOWN_HOST = 1102
WRONG_LENGTH = 1103
CONNECTOR_FAILED = 1500
CONNECTOR_DISABLED = 1501
CONNECTOR_WRONG = 1502
LOAD_FAILED = 2001
UNKNOWN_ENCODING = 2002
BAD_HEADER = 2003
TOO_MANY_COLUMNS = 2004
DUPLICATE_COLUMN = 2005
BAD_NAME = 2006
BAD_SHEET = 2008
NOT_A_DATASET = 2010
BAD_KEY = 2011
OTHER_COLUMNS = 2012
IN_USE = 2013
BAD_GEOMETRY = 2014
BAD_JSON = 3007
UNKNOWN_PROJECTION = 3008
UNKNOWN_SHAPE = 3009
COLLECTIONS = 3201
ONLY_A_LINK = 3202
FILE_TOO_LARGE = 6666
LOAD_TIMED_OUT = 6667
TOO_MANY_ROWS = 6668
STUCK = 6671
OVER_QUOTA = 8001
BAD_QUERY = 8003
BAD_QUERY_TYPES = 8004
NO_CODE = 9999
UNKNOWN = 99999

EXPLANATIONS: dict[int, Explanation] = {
    MISSING_TOOL: Explanation(
        "The server cannot read this format",
        "A library is missing there: install the extra 'server'.",
        "cartodb",
    ),
    UPLOAD_FAILED: Explanation(
        "The upload could not be stored", "Try again; the server's disk may be full.", "cartodb"
    ),
    DOWNLOAD_FAILED: Explanation(
        "The file could not be downloaded", "Check the address and try again.", "external"
    ),
    UNKNOWN_TYPE: Explanation(
        "The file is of no known type",
        "Send CSV, a sheet, GeoJSON, a shapefile, KML, GPX, GeoPackage, FlatGeobuf, GeoParquet or OSM, with"
        " the extension that belongs to it.",
    ),
    BAD_ARCHIVE: Explanation(
        "The archive cannot be unpacked", "Make it anew, as .zip or .tar.gz, without folders above its own."
    ),
    EMPTY_FILE: Explanation("The file is empty", "Send a file with a header and rows."),
    INCOMPLETE_SHAPE: Explanation(
        "The shapefile is not complete", "Put .shp, .shx, .dbf and .prj into one archive."
    ),
    NOT_A_FILE: Explanation("There is no file", "Send a file, a url, or a query."),
    NO_SOURCE: Explanation("There is nothing to import", "Name a source: a file, url, sql or table_copy."),
    PASSWORD_NEEDED: Explanation("The archive wants a password", "Make it anew without one."),
    TOO_MANY_LAYERS: Explanation("The file has too many layers", "Split it: at most 50 are read."),
    SOURCE_CLOSED: Explanation(
        "The source cannot be read any more", "Make it readable without a login.", "external"
    ),
    SOURCE_GONE: Explanation("The source is gone", "Check the address of the synchronization.", "external"),
    TIMED_OUT: Explanation("The download took too long", "Try again, or upload the file.", "external"),
    ALL_SKIPPED: Explanation(
        "Nothing was imported", "A table of this name exists, and collision_strategy is 'skip'."
    ),
    NOT_FOUND: Explanation("The address does not exist (404)", "Check the address.", "external"),
    NOT_ALLOWED: Explanation(
        "The address wants a login (401)", "Use an address that needs none.", "external"
    ),
    UNKNOWN_HOST: Explanation("The host does not exist", "Check the host's name in the address.", "external"),
    WRONG_LENGTH: Explanation(
        "The download has another length than announced", "Try again, or upload the file.", "external"
    ),
    CONNECTOR_FAILED: Explanation(
        "The other database could not be read", "Look at the reason; try again.", "external"
    ),
    CONNECTOR_DISABLED: Explanation(
        "This kind of database cannot be read here", "Only 'postgres' can; export the table to a file."
    ),
    CONNECTOR_WRONG: Explanation(
        "The connector does not fit the database", "Check its server, database, schema, table and query."
    ),
    LOAD_FAILED: Explanation("The file could not be loaded", "Look at the reason and correct the file."),
    UNKNOWN_ENCODING: Explanation("The text encoding is unknown", "Save the file as UTF-8."),
    BAD_HEADER: Explanation("The header cannot be read", "The first line must name the columns."),
    TOO_MANY_COLUMNS: Explanation(
        "There are too many columns", "A table has at most 1597 columns of its own."
    ),
    DUPLICATE_COLUMN: Explanation("Two columns have the same name", "Rename one of them."),
    BAD_NAME: Explanation("A file name in the archive cannot be read", "Make it anew, with names in UTF-8."),
    BAD_SHEET: Explanation(
        "The spreadsheet cannot be read", "It may be damaged, or of an old kind: save it as .xlsx."
    ),
    NOT_A_DATASET: Explanation("The table cannot be made a dataset", "Look at the reason.", "cartodb"),
    BAD_KEY: Explanation(
        "The column cartodb_id is no key", "It must hold whole numbers, each once; or rename the column."
    ),
    OTHER_COLUMNS: Explanation(
        "The new data does not fit the table",
        "To overwrite it, each of its columns must be there, of the same kind.",
    ),
    IN_USE: Explanation(
        "The table is in use",
        "Drop views and other objects that depend on it first, and let other sessions end.",
    ),
    BAD_GEOMETRY: Explanation("A geometry is not valid", "Correct it and import again."),
    BAD_JSON: Explanation("The JSON cannot be read", "It must be a complete GeoJSON object."),
    UNKNOWN_PROJECTION: Explanation("The projection is unknown", "Use longitude and latitude (EPSG:4326)."),
    UNKNOWN_SHAPE: Explanation(
        "The shapefile's projection cannot be found out", "Use longitude and latitude (EPSG:4326)."
    ),
    COLLECTIONS: Explanation(
        "Geometry collections are not supported", "Use one kind of geometry per feature."
    ),
    ONLY_A_LINK: Explanation("The KML only links to another one", "Import the other one by its address."),
    FILE_TOO_LARGE: Explanation("The file is too large", "Split it, or load it with COPY."),
    LOAD_TIMED_OUT: Explanation("Loading took too long", "Split the file, or load it with COPY.", "cartodb"),
    TOO_MANY_ROWS: Explanation("The file has too many rows", "Split it, or load it with COPY."),
    STUCK: Explanation("The import was interrupted", "Start it again.", "cartodb"),
    OVER_QUOTA: Explanation("The storage quota is exceeded", "Delete datasets, or ask for more storage."),
    BAD_QUERY: Explanation("The query could not make a table", "Correct the query."),
    BAD_QUERY_TYPES: Explanation("The query joins columns of different types", "Cast one of them."),
    NO_CODE: Explanation("Unknown error", "Try again; the server's log says more.", "cartodb"),
    UNKNOWN: Explanation("Unknown error", "Try again; the server's log says more.", "cartodb"),
}


class ImportFailure(Exception):
    """An import that ends in one of CARTO's codes.

    Attributes:
        code: see :data:`EXPLANATIONS`.
        reason: what is wrong with this file in particular; may be empty.
        answer: status and reason of a server that refused the download.
    """

    def __init__(self, code: int, reason: str = "", *, answer: tuple[int, str] | None = None) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason
        self.answer = answer


def error_text(code: int, reason: str | None) -> dict[str, str]:
    """A code as the API tells it: title, what it is about, who is to act."""
    told = EXPLANATIONS.get(code, EXPLANATIONS[UNKNOWN])
    about = f"{reason}. {told.advice}" if reason else told.advice
    return {"title": told.title, "what_about": about, "source": told.source}
