"""The core asks questions; only the floors above it know the platforms by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "carto_like" / "core"
FILES = sorted([*CORE.rglob("*.py"), *CORE.rglob("*.pyi")])
# Our own name may appear; the prefix of pyrestcli's sibling must not be mistaken for one of these either.
OWN = re.compile(r"carto[_-]like", re.IGNORECASE)
PLATFORM = re.compile(r"amigo|iotile|kloudless|carto(?:db)?", re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_core_names_no_platform(path: Path) -> None:
    text = OWN.sub("", path.read_text("utf-8"))
    assert PLATFORM.findall(text) == []
