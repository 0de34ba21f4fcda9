"""Which encoding a text file is in."""

from __future__ import annotations

import codecs
import re

SAMPLE_BYTES = 500_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FORCED = re.compile(r"_encoding_([A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*?)_encoding_")
_WESTERN = "cp1252"


def forced_encoding(file_name: str) -> str | None:
    """The encoding that a name such as ``trees_encoding_ISO-8859-2_encoding_.csv`` asks for.

    Raises:
        LookupError: it asks for one that does not exist.
    """
    match = _FORCED.search(file_name)
    if match is None:
        return None
    found = codecs.lookup(match.group(1))
    # rot13 and its like are none.
    if not getattr(found, "_is_text_encoding", True):
        raise LookupError(f"unknown encoding: {match.group(1)}")
    return found.name


def find_encoding(sample: bytes, *, is_whole: bool) -> str:
    """The encoding of a text of which this is the beginning.

    Args:
        sample: up to :data:`SAMPLE_BYTES` of it.
        is_whole: there is no more; otherwise its last character may be cut.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    wide = _without_mark(sample)
    if wide is not None:
        return wide
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, is_whole)
    except UnicodeDecodeError:
        return _statistically(sample)
    return "utf-8"


def _without_mark(sample: bytes) -> str | None:
    """UTF-16 shows itself by the zero bytes of its ASCII characters, delimiters at least."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > half // 4 and even <= odd // 8:
        return "utf-16-le"
    if even > half // 4 and odd <= even // 8:
        return "utf-16-be"
    return None


def _statistically(sample: bytes) -> str:
    # Only what is not UTF-8 comes here, and the library takes its time to load.
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample, threshold=0.3))
    if not matches:
        return "latin-1"
    best = matches[0]
    for match in matches:
        # Many encodings explain a few accents equally well; then the one that most files are in is meant.
        same = match.chaos <= best.chaos + 0.02 and match.coherence >= best.coherence - 0.1
        if match.encoding == _WESTERN and same:
            return _WESTERN
    return best.encoding
