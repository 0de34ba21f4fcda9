"""Texts of a client's choice in the headers of an answer."""

from __future__ import annotations

from urllib.parse import quote


def header_text(text: str) -> str:
    """A text fit for a header: what is not printable ASCII is percent-encoded."""
    return quote(text, safe=" !#$%&'()*+,-./:;<=>?@[]^_`{|}~\"\\")
