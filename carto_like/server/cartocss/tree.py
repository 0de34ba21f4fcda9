"""What a sheet consists of once it is read; every node knows its offset in the text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Number:
    """A number, with ``%`` or ``px`` as its unit or none."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Color:
    """Red, green and blue from 0 to 255, alpha from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0


@dataclass(frozen=True)
class Text:
    """A quoted string."""

    value: str


@dataclass(frozen=True)
class Word:
    """A keyword without quotes."""

    value: str


@dataclass(frozen=True)
class Variable:
    """The use of ``@name``."""

    name: str
    position: int


@dataclass(frozen=True)
class Expression:
    """What Mapnik evaluates per feature, in its own syntax."""

    text: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Operation:
    """Two values and an arithmetic sign."""

    sign: str
    left: Value
    right: Value
    position: int


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Value, ...]
    position: int


@dataclass(frozen=True)
class Several:
    """Values separated by commas."""

    items: tuple[Value, ...]


Value = Number | Color | Text | Word | Variable | Expression | Operation | Call | Several


@dataclass(frozen=True)
class Declaration:
    """``instance/property: value``, from ``position`` to ``end`` of the sheet."""

    name: str
    instance: str
    value: Value
    position: int
    end: int


@dataclass(frozen=True)
class Condition:
    """``[column sign value]``; the column ``zoom`` is the zoom level."""

    column: str
    sign: str
    value: Value
    position: int


@dataclass(frozen=True)
class Selector:
    """One selector: how many ids it has, its attachment and its conditions, and its text."""

    ids: int = 0
    classes: int = 0
    is_map: bool = False
    attachment: str = ""
    conditions: tuple[Condition, ...] = ()
    text: str = ""


@dataclass
class Block:
    """Selectors and what stands between their braces."""

    selectors: list[Selector]
    declarations: list[Declaration] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Sheet:
    """A whole style."""

    blocks: list[Block]
    variables: dict[str, Value]
