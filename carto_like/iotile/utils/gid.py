"""Slugs: the names of projects, devices, fleets, blocks, variables, streams and streamers.

Whatever form one is given in, its text is the full one: groups of four lower-case hex digits.
"""

from __future__ import annotations

from typing import Any

from carto_like.pure.gids import (
    fix_gid,
    gid2int,
    gid_join,
    gid_split,
    groups_of,
    int2bid,
    int2did,
    int2fid,
    int2pid,
    int2vid,
    int16gid,
    int32gid,
    int48gid,
    int64gid,
    joined_number,
    padded_number,
    whole,
)

__all__ = [
    "IOTileBlockSlug",
    "IOTileCloudSlug",
    "IOTileDeviceSlug",
    "IOTileFleetSlug",
    "IOTileProjectSlug",
    "IOTileStreamSlug",
    "IOTileStreamerSlug",
    "IOTileVariableSlug",
    "fix_gid",
    "gid2int",
    "gid_join",
    "gid_split",
    "int2bid",
    "int2did",
    "int2fid",
    "int2pid",
    "int2vid",
    "int16gid",
    "int32gid",
    "int48gid",
    "int64gid",
]

_DEVICE_BITS = 48
_BLOCK_BITS = 16


class IOTileCloudSlug:
    """What all slugs have in common; one equals another, or text, of the same characters."""

    _slug: str = ""

    def __str__(self) -> str:
        return self._slug

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._slug!r})"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, (IOTileCloudSlug, str)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._slug)

    def formatted_id(self) -> str:
        """All after the letter."""
        return self._slug.partition("--")[2]

    def get_id(self) -> int:
        """The number; raises ``ValueError`` for a slug of several terms."""
        terms = gid_split(self._slug)
        if len(terms) != 2:
            raise ValueError(f"{self._slug!r} is not one number")
        return gid2int(terms[1])

    def set_from_single_id_slug(self, type: str, terms: int, id: Any) -> None:
        """Become the slug of this letter with one term of so many groups.

        Raises:
            ValueError: the id is no number, or text that is no such slug.
        """
        self._slug = f"{type}--{groups_of(_single(type, terms, id), terms)}"


class IOTileProjectSlug(IOTileCloudSlug):
    """``p--0000-0001``: from a number of 32 bits, its hex digits, or a slug."""

    def __init__(self, id: Any) -> None:
        self.set_from_single_id_slug("p", 2, id)


class IOTileFleetSlug(IOTileCloudSlug):
    """``g--0000-0000-0001``: from a number of 48 bits, its hex digits, or a slug."""

    def __init__(self, id: Any) -> None:
        self.set_from_single_id_slug("g", 3, id)


class IOTileDeviceSlug(IOTileCloudSlug):
    """``d--0000-0000-0000-0001``: from a number, its hex digits, or a slug.

    Args:
        id: the device; the first group of a slug may name a block.
        allow_64bits: whether the first group may be other than zero.
    """

    def __init__(self, id: Any, allow_64bits: bool = True) -> None:
        number = _device(id)
        whole(number, 64 if allow_64bits else _DEVICE_BITS, "a device")
        self._slug = f"d--{groups_of(number, 4)}"


class IOTileBlockSlug(IOTileCloudSlug):
    """``b--0001-0000-0000-0005``: a block of a device's data.

    Args:
        id: a number, a block's slug, or a device by its slug or digits.
        block: number of the block, where the id names none.
    """

    def __init__(self, id: Any, block: int = 0) -> None:
        number = _block(id)
        filled = whole(block, _BLOCK_BITS, "a block")
        if number >> _DEVICE_BITS == 0 and not _text(id).startswith("b--"):
            number |= filled << _DEVICE_BITS
        self._block = number >> _DEVICE_BITS
        self._slug = f"b--{groups_of(number, 4)}"

    def get_id(self) -> int:
        """The number of the device."""
        return gid2int(self.formatted_id()) & ((1 << _DEVICE_BITS) - 1)

    def get_block(self) -> int:
        """The number of the block."""
        return self._block


class IOTileVariableSlug(IOTileCloudSlug):
    """``v--0000-0001--5001``: from a number of 16 bits, its hex digits, or a slug.

    Args:
        id: the variable, other than zero.
        project: the project it belongs to, where the id names none; 0 or None for any.
    """

    def __init__(self, id: Any, project: Any = 0) -> None:
        terms = gid_split(_text(id))
        if len(terms) == 3 and terms[0] == "v":
            owner = padded_number(terms[1], 2, "a project")
            number = _variable(terms[2])
        else:
            owner = _project(project)
            number = _variable(id)
        self._slug = f"v--{groups_of(owner, 2)}--{groups_of(number, 1)}"

    def formatted_local_id(self) -> str:
        """The last term: the variable without its project."""
        return gid_split(self._slug)[-1]


class IOTileStreamSlug(IOTileCloudSlug):
    """``s--0000-0001--0000-0000-0000-0002--5001``: what one device of a project records of a variable.

    Args:
        id: a slug; a project or device left empty is zero, which stands for any. None makes an empty slug,
            to be filled by :meth:`from_parts`.

    Example:
        >>> slug = IOTileStreamSlug()
        >>> str(slug.from_parts(project=5, device=10, variable="5001"))
        's--0000-0005--0000-0000-0000-000a--5001'
    """

    def __init__(self, id: Any = None) -> None:
        if id is None:
            return
        terms = gid_split(_text(id))
        if len(terms) != 4 or terms[0] != "s":
            raise ValueError(f"a stream is s--<project>--<device>--<variable>, unlike {id!r}")
        owner = padded_number(terms[1] or "0", 2, "a project")
        device = padded_number(terms[2] or "0", 4, "a device")
        self._set(owner, device, _variable(terms[3]))

    def from_parts(self, project: Any, device: Any, variable: Any) -> IOTileStreamSlug:
        """Become the stream of these, and return itself.

        Args:
            project: number, digits or slug; None, '' and 0 stand for any.
            device: number, digits, or slug of a device or of a block; None, '' and 0 stand for none.
            variable: number, hex digits or slug; the project of a slug is ignored.
        """
        text = _text(device)
        if device is None or device == "":
            number = 0
        else:
            number = _block(device) if text.startswith("b--") else _device(device)
        terms = gid_split(_text(variable))
        self._set(_project(project), number, _variable(terms[2] if _is_variable(terms) else variable))
        return self

    def get_parts(self) -> dict[str, str]:
        """The slugs of ``project``, ``device`` and ``variable``."""
        _, project, device, variable = gid_split(self._slug)
        return {
            "project": f"p--{project}",
            "device": f"d--{device}",
            "variable": f"v--{project}--{variable}",
        }

    def _set(self, project: int, device: int, variable: int) -> None:
        self._slug = f"s--{groups_of(project, 2)}--{groups_of(device, 4)}--{groups_of(variable, 1)}"


class IOTileStreamerSlug(IOTileCloudSlug):
    """``t--0000-0000-0000-0001--0002``: what sends a device's reports.

    Args:
        device: number of 48 bits, digits or slug.
        index: number of 16 bits, or its hex digits.
    """

    def __init__(self, device: Any, index: Any) -> None:
        number = whole(device, _DEVICE_BITS, "a device") if isinstance(device, int) else _device(device)
        place = padded_number(index, 1, "an index") if isinstance(index, str) else index
        self._slug = f"t--{groups_of(number, 4)}--{groups_of(whole(place, 16, 'an index'), 1)}"

    def get_device(self) -> str:
        """The slug of the device."""
        return f"d--{gid_split(self._slug)[1]}"

    def get_index(self) -> str:
        """The index, as four hex digits."""
        return gid_split(self._slug)[2]


def _text(value: Any) -> str:
    """The text of a slug or of text; empty for anything else."""
    return str(value) if isinstance(value, (IOTileCloudSlug, str)) else ""


def _single(letter: str, terms: int, id: Any) -> int:
    if not isinstance(id, (IOTileCloudSlug, str)):
        return whole(id, 16 * terms, "an id")
    text = str(id)
    return joined_number(text.removeprefix(f"{letter}--"), 16 * terms, f"a slug of type {letter!r}")


def _project(value: Any) -> int:
    return 0 if value is None or value == "" else _single("p", 2, value)


def _device(value: Any) -> int:
    if not isinstance(value, (IOTileCloudSlug, str)):
        return whole(value, 64, "a device")
    return padded_number(str(value).removeprefix("d--"), 4, "a device")


def _block(value: Any) -> int:
    text = _text(value)
    if text.startswith("b--"):
        if text.count("-") != 5:
            raise ValueError(f"a block is b-- and four groups, unlike {text!r}")
        number = padded_number(text.removeprefix("b--"), 4, "a block")
    else:
        number = _device(value)
    if number == 0:
        raise ValueError(f"a block belongs to a device, and {value!r} is none")
    return number


def _is_variable(terms: list[str]) -> bool:
    if len(terms) != 3 or terms[0] != "v":
        return False
    padded_number(terms[1], 2, "a project")
    return True


def _variable(value: Any) -> int:
    number = padded_number(str(value), 1, "a variable") if _text(value) else whole(value, 16, "a variable")
    if number == 0:
        raise ValueError("a variable is a number other than zero")
    return number
