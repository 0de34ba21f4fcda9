"""Slugs: every form they are given in, and those that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from carto_like.iotile.utils import gid
from carto_like.iotile.utils.gid import (
    IOTileBlockSlug,
    IOTileCloudSlug,
    IOTileDeviceSlug,
    IOTileFleetSlug,
    IOTileProjectSlug,
    IOTileStreamerSlug,
    IOTileStreamSlug,
    IOTileVariableSlug,
)

P, D, G, B = IOTileProjectSlug, IOTileDeviceSlug, IOTileFleetSlug, IOTileBlockSlug
V, S, T = IOTileVariableSlug, IOTileStreamSlug, IOTileStreamerSlug
S2 = "s--0000-0001--0000-0000-0000-0002--0003"

_STREAMERS: list[tuple[Any, Any]] = [
    ([], 1),
    (1, []),
    (1, "zz"),
    (1, -1),
    (1, 70000),
    (-1, 1),
    (2**48, 1),
    (None, 1),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        (P, (5,), "p--0000-0005"),
        (P, (0,), "p--0000-0000"),
        (P, (0xFFFFFFFF,), "p--ffff-ffff"),
        *(
            (P, (form,), "p--0000-0005")
            for form in ("5", "0005", "p--5", "p--0000-0005", "p--0000-00005", "0x5")
        ),
        (P, ("12345",), "p--0001-2345"),
        (P, ("1234-5678",), "p--1234-5678"),
        (P, ("p--00AB",), "p--0000-00ab"),
        (P, (P(1),), "p--0000-0001"),
        (D, (0,), "d--0000-0000-0000-0000"),
        (D, (5,), "d--0000-0000-0000-0005"),
        (D, (0xA,), "d--0000-0000-0000-000a"),
        (D, (2**48 - 1,), "d--0000-ffff-ffff-ffff"),
        *(
            (D, (form,), "d--0000-0000-0000-0005")
            for form in ("0005", "d--0005", "0000-0000-0005", "d--0000-0000-0000-0005", D(5), "5")
        ),
        (D, ("0x1234567",), "d--0000-0000-0123-4567"),
        (D, ("d--0xabc",), "d--0000-0000-0000-0abc"),
        (D, ("d--1234-0000-0000-0001",), "d--1234-0000-0000-0001"),
        (D, (2**48 + 5,), "d--0001-0000-0000-0005"),
        (D, ("12345",), "d--0000-0000-0001-2345"),
        (D, ("1234567",), "d--0000-0000-0123-4567"),
        (D, ("d--12",), "d--0000-0000-0000-0012"),
        (D, ("d--00D2",), "d--0000-0000-0000-00d2"),
        (D, ("d--1-2",), "d--0000-0000-0001-0002"),
        (G, (1,), "g--0000-0000-0001"),
        (G, (0,), "g--0000-0000-0000"),
        (G, ("g--1234",), "g--0000-0000-1234"),
        (G, ("0005",), "g--0000-0000-0005"),
        (G, ("g--00AB",), "g--0000-0000-00ab"),
        (G, ("1-2-3-4",), "g--0000-0000-1234"),
        (G, (G(1),), "g--0000-0000-0001"),
        (B, (5,), "b--0000-0000-0000-0005"),
        (B, (0xA,), "b--0000-0000-0000-000a"),
        (B, ("b--0001-0000-0000-1234", 7), "b--0001-0000-0000-1234"),
        (B, ("d--1234", 3), "b--0003-0000-0000-1234"),
        (B, ("0005", 3), "b--0003-0000-0000-0005"),
        (B, ("d--0005-0000-0000-0001", 3), "b--0005-0000-0000-0001"),
        (B, ("0001-0000-0000-0005",), "b--0001-0000-0000-0005"),
        (B, (2**48 + 5,), "b--0001-0000-0000-0005"),
        (B, (D(5), 2), "b--0002-0000-0000-0005"),
        (V, (5,), "v--0000-0000--0005"),
        (V, (5, "1234"), "v--0000-1234--0005"),
        (V, (5, 5), "v--0000-0005--0005"),
        (V, (5, "p--0001"), "v--0000-0001--0005"),
        (V, (5, P(1)), "v--0000-0001--0005"),
        (V, ("0005",), "v--0000-0000--0005"),
        (V, ("5001",), "v--0000-0000--5001"),
        (V, ("v--0000-1234--0005", 7), "v--0000-1234--0005"),
        (V, ("5",), "v--0000-0000--0005"),
        (V, ("v--1--5",), "v--0000-0001--0005"),
        (V, ("500A",), "v--0000-0000--500a"),
        (V, (5, 0), "v--0000-0000--0005"),
        (V, (5, None), "v--0000-0000--0005"),
        (S, (S2,), S2),
        (S, ("s----0000-0000-0000-0002--0003",), "s--0000-0000--0000-0000-0000-0002--0003"),
        (S, ("s--1--2--3",), S2),
        (S, ("s--0000-0001----5001",), "s--0000-0001--0000-0000-0000-0000--5001"),
        (S, (S(S2),), S2),
        (S, (), ""),
        (T, (1, 2), "t--0000-0000-0000-0001--0002"),
        (T, (1, "2"), "t--0000-0000-0000-0001--0002"),
        (T, ("d--0000-0000-0000-1234", 1), "t--0000-0000-0000-1234--0001"),
        (T, ("0005", 1), "t--0000-0000-0000-0005--0001"),
        (T, (D(15), 0), "t--0000-0000-0000-000f--0000"),
    ],
)
def test_text_of_a_slug(kind: Any, arguments: tuple[Any, ...], text: str) -> None:
    assert str(kind(*arguments)) == text


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        *((P, (x,)) for x in (-1, 2**32, "string", "", "p--", "x--0000-0001", "P--0001", "1--2", True, "1-")),
        *((P, (x,)) for x in ("p--1234-0000-0000-0001", "p--0001--0002", None, 1.5, D(1), "0x", "1_0", " 5")),
        *((D, (x,)) for x in (-1, 2**64, "string", "x--0001", "b--0001-0000-0000-0001", "", None, 1.5)),
        *((D, (x,)) for x in ("d--1-2-3-4-5", "d--1--2", "d--12345-1", "d--0x1-2")),
        (D, ("d--1234-0000-0000-0001", False)),
        (D, (2**48, False)),
        *((G, (x,)) for x in (-5, 2**48, "string", "x--0001", "d--1", None)),
        *(
            (B, (x,))
            for x in (0, -5, 2**64, "0000-0000-0000-0000", "b--0000-0000-1234", "b--0001", "x--0001")
        ),
        *((B, (x,)) for x in ("string", "b--zzzz-0000-0000-0001", "d--zz", "d--0000-0000-0000-0000", None)),
        (B, (5, -1)),
        (B, (5, 0x12345)),
        *(
            (V, (x,))
            for x in (0, -5, 2**16, "string", "v--0123", "", None, "12345", "v--x--y", "q--1--2", "0")
        ),
        *((S, (x,)) for x in (5, "s--0001", "x--1--2--3", "s--zz--yy--xx", "s--1--2--3--4", "")),
        *((T, two) for two in _STREAMERS),
    ],
)
def test_what_is_no_slug(kind: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind(*arguments)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((5, 10, "5001"), "s--0000-0005--0000-0000-0000-000a--5001"),
        (("p--0006", "d--0100", "v--0000-0006--5002"), "s--0000-0006--0000-0000-0000-0100--5002"),
        ((7, 1, "5002"), "s--0000-0007--0000-0000-0000-0001--5002"),
        ((7, 1, "v--0000-0006--5002"), "s--0000-0007--0000-0000-0000-0001--5002"),
        *(((any_, 1, "5002"), "s--0000-0000--0000-0000-0000-0001--5002") for any_ in (None, "", 0)),
        *(((5, none, "5001"), "s--0000-0005--0000-0000-0000-0000--5001") for none in (None, "", 0)),
        ((5, 1, 5002), "s--0000-0005--0000-0000-0000-0001--138a"),
        ((5, "d--0001-0000-0000-0002", "5001"), "s--0000-0005--0001-0000-0000-0002--5001"),
        ((5, "b--0001-0000-0000-0002", "5001"), "s--0000-0005--0001-0000-0000-0002--5001"),
        ((5, B(2, 1), "5001"), "s--0000-0005--0001-0000-0000-0002--5001"),
        ((P(5), B("0002", 1), V(0x5001)), "s--0000-0005--0001-0000-0000-0002--5001"),
    ],
)
def test_streams_from_parts(parts: tuple[Any, Any, Any], text: str) -> None:
    slug = S()
    slug.from_parts(*parts)
    assert str(slug) == text


@pytest.mark.parametrize("parts", [(-1, 1, 1), (1, -1, 1), (1, 1, -1), (1, 1, 0), (1, 1, None)])
def test_parts_that_make_no_stream(parts: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        S().from_parts(*parts)


def test_parts_of_a_stream() -> None:
    assert S(S2).get_parts() == {
        "project": "p--0000-0001",
        "device": "d--0000-0000-0000-0002",
        "variable": "v--0000-0001--0003",
    }


def test_parts_of_a_streamer() -> None:
    slug = T(1, 2)
    assert (slug.get_device(), slug.get_index()) == ("d--0000-0000-0000-0001", "0002")


def test_numbers_of_slugs() -> None:
    assert (P(5).get_id(), D(10).get_id(), G(7).get_id()) == (5, 10, 7)
    for several in (S(S2), V(5), T(1, 2), S()):
        with pytest.raises(ValueError, match="not one number"):
            several.get_id()


def test_parts_of_a_block() -> None:
    block = B("0005", 3)
    assert (block.get_id(), block.get_block(), block._block) == (5, 3, 3)
    assert block.formatted_id() == "0003-0000-0000-0005"


def test_ids_without_their_letter() -> None:
    assert P(5).formatted_id() == "0000-0005"
    assert V(5).formatted_id() == "0000-0000--0005"
    assert V(5).formatted_local_id() == "0005"


def test_slugs_are_equal_by_their_text() -> None:
    assert P(5) == P("5") == "p--0000-0005"
    assert P(5) != P(6)
    assert P(5) != 5
    assert len({P(5), P("5"), P(6)}) == 2
    assert {str(P(5)): 1}[P(5)] == 1  # type: ignore[index]
    assert repr(P(5)) == "IOTileProjectSlug('p--0000-0005')"


def test_a_slug_of_a_letter_of_ones_own() -> None:
    slug = IOTileCloudSlug()
    slug.set_from_single_id_slug("z", 2, "z--5")
    assert str(slug) == "z--0000-0005"


def test_helpers() -> None:
    assert [gid.int16gid(5), gid.int32gid(5)] == ["0005", "0000-0005"]
    assert [gid.int48gid(5), gid.int64gid(5)] == ["0000-0000-0005", "0000-0000-0000-0005"]
    assert [gid.int2pid(1), gid.int2did(1), gid.int2fid(1)] == [
        "0000-0001",
        "0000-0000-0001",
        "0000-0000-0001",
    ]
    assert [gid.int2vid(0x5001), gid.int2bid(1)] == ["5001", "0001"]
    assert gid.gid_join(gid.gid_split("v--0000-0001--5001")) == "v--0000-0001--5001"
    assert gid.gid_split("p--0001") == ["p", "0001"]
    assert [gid.fix_gid("0005", 2), gid.fix_gid("0001-0002-0003", 2)] == ["0000-0005", "0002-0003"]
    assert gid.gid2int("0001-0000") == 65536
    for wrong in ("zz", "", "1--2"):
        with pytest.raises(ValueError, match="hex"):
            gid.gid2int(wrong)
    with pytest.raises(ValueError, match="16 bits"):
        gid.int16gid(65536)
