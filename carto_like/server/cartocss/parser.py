"""From the text of a sheet to its tree."""

from __future__ import annotations

import math
import re

from . import tree
from .lexer import Scanner
from .problem import CartoCssError

MAX_DEPTH = 40
MAX_OPERATIONS = 100
MAX_LENGTH = 256 * 1024

_NUMBER = re.compile(r"(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(%|px)?")
_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_HEX = re.compile(r"#([0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})(?![\w-])")
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_VARIABLE = re.compile(r"@([\w-]+)")
_COLUMN = re.compile(r"\[\s*([^\]\[\"'\\]+?)\s*\]")
_FILTER_COLUMN = re.compile(r"\"([^\"\]\[\\]+)\"|'([^'\]\[\\]+)'|([\w][\w.:-]*)")
_SIGN = re.compile(r"=~|!=|>=|<=|=|>|<")
_PROPERTY = re.compile(r"(?:([\w-]+)/)?([A-Za-z][\w-]*)\s*:")


def parse_value(text: str) -> tree.Value | None:
    """One value that is the whole text; None when it is none."""
    scanner = Scanner(text)
    try:
        value = _sum(scanner, 0)
    except CartoCssError:
        return None
    return None if scanner.peek() else value


def parse(text: str) -> tree.Sheet:
    """Read a sheet; raises ``CartoCssError`` with line and column."""
    if len(text) > MAX_LENGTH:
        raise CartoCssError(f"the style is longer than {MAX_LENGTH} characters")
    scanner = Scanner(text)
    sheet = tree.Sheet([], {})
    while scanner.peek():
        if scanner.peek() == "@":
            _assign(scanner, sheet)
        else:
            sheet.blocks.append(_block(scanner, sheet, 0))
    return sheet


def _assign(scanner: Scanner, sheet: tree.Sheet) -> None:
    found = scanner.take(_VARIABLE)
    if not found:
        scanner.fail("expected the name of a variable")
    scanner.expect(":")
    sheet.variables[found[1]] = _value(scanner)
    _end(scanner)


def _end(scanner: Scanner) -> None:
    if scanner.peek() not in ("}", "") and not scanner.accept(";"):
        scanner.fail("expected `;` or `}`")


def _block(scanner: Scanner, sheet: tree.Sheet, depth: int) -> tree.Block:
    if depth > MAX_DEPTH:
        scanner.fail(f"blocks are nested more than {MAX_DEPTH} deep")
    block = tree.Block([_selector(scanner)])
    while scanner.accept(","):
        if scanner.peek() == "{":
            break
        block.selectors.append(_selector(scanner))
    opening = scanner.skip()
    scanner.expect("{")
    while not scanner.accept("}"):
        following = scanner.peek()
        if not following:
            scanner.position = opening
            scanner.fail("missing closing `}`")
        if following == "@":
            _assign(scanner, sheet)
        elif following in "#.[:*":
            block.blocks.append(_block(scanner, sheet, depth + 1))
        elif following == ";":
            scanner.accept(";")
        else:
            block.declarations.append(_declaration(scanner))
    return block


def _selector(scanner: Scanner) -> tree.Selector:
    start = scanner.skip()
    ids = classes = 0
    is_map, attachment, conditions = False, "", []
    while True:
        if scanner.accept("::"):
            attachment = _name(scanner)
        elif scanner.accept("#"):
            _name(scanner)
            ids += 1
        elif scanner.accept("."):
            _name(scanner)
            classes += 1
        elif scanner.peek() == "[":
            conditions.append(_condition(scanner))
        elif scanner.accept("*"):
            continue
        elif scanner.take(re.compile(r"Map\b")):
            is_map = True
        else:
            break
    if scanner.position == start or scanner.peek() not in "{,":
        scanner.fail("expected a selector such as #layer")
    text = scanner.text[start : scanner.position].strip()
    return tree.Selector(ids, classes, is_map, attachment, tuple(conditions), text)


def _name(scanner: Scanner) -> str:
    found = scanner.take(re.compile(r"[\w-]+"))
    if not found:
        scanner.fail("expected a name")
    return found[0]


def _condition(scanner: Scanner) -> tree.Condition:
    start = scanner.skip()
    scanner.expect("[")
    column = scanner.take(_FILTER_COLUMN)
    if not column:
        scanner.fail("expected the name of a column")
    sign = scanner.take(_SIGN)
    if not sign:
        scanner.fail("expected one of = != > >= < <= =~")
    value = _sum(scanner, 0)
    scanner.expect("]")
    return tree.Condition(column[1] or column[2] or column[3], sign[0], value, start)


def _declaration(scanner: Scanner) -> tree.Declaration:
    start = scanner.skip()
    found = scanner.take(_PROPERTY)
    if not found:
        scanner.fail("expected `property: value`")
    value = _value(scanner)
    end = scanner.position
    _end(scanner)
    return tree.Declaration(found[2], found[1] or "", value, start, end)


def _value(scanner: Scanner, depth: int = 0) -> tree.Value:
    items = [_sum(scanner, depth)]
    while scanner.accept(","):
        items.append(_sum(scanner, depth))
    return items[0] if len(items) == 1 else tree.Several(tuple(items))


def _sum(scanner: Scanner, depth: int) -> tree.Value:
    left = _product(scanner, depth)
    count = 0
    while scanner.peek() in ("+", "-"):
        count += 1
        if count > MAX_OPERATIONS:
            scanner.fail("the value is too long")
        position, sign = scanner.position, scanner.peek()
        scanner.accept(sign)
        left = tree.Operation(sign, left, _product(scanner, depth), position)
    return left


def _product(scanner: Scanner, depth: int) -> tree.Value:
    left = _single(scanner, depth)
    count = 0
    while scanner.peek() in ("*", "/", "%"):
        count += 1
        if count > MAX_OPERATIONS:
            scanner.fail("the value is too long")
        position, sign = scanner.position, scanner.peek()
        scanner.accept(sign)
        left = tree.Operation(sign, left, _single(scanner, depth), position)
    return left


def _single(scanner: Scanner, depth: int) -> tree.Value:
    if depth > MAX_DEPTH:
        scanner.fail(f"values are nested more than {MAX_DEPTH} deep")
    position = scanner.skip()
    if found := scanner.take(_NUMBER):
        if not math.isfinite(float(found[1])):
            scanner.fail("the number is too large")
        return tree.Number(float(found[1]), found[2] or "")
    if found := scanner.take(_STRING):
        return tree.Text(re.sub(r"\\(.)", r"\1", found[1] if found[1] is not None else found[2]))
    if found := scanner.take(_HEX):
        return _color(found[1])
    if found := scanner.take(_VARIABLE):
        return tree.Variable(found[1], position)
    if found := scanner.take(_COLUMN):
        return tree.Expression(f"[{found[1]}]", frozenset({found[1]}))
    if scanner.accept("("):
        inner = _value(scanner, depth + 1)
        scanner.expect(")")
        return inner
    if scanner.accept("-"):
        return tree.Operation("*", tree.Number(-1), _single(scanner, depth + 1), position)
    return _word(scanner, depth)


def _word(scanner: Scanner, depth: int) -> tree.Value:
    position = scanner.skip()
    # The mappings of a ramp are signs that stand alone.
    found = scanner.take(_NAME) or scanner.take(_SIGN)
    if not found:
        scanner.fail("expected a value")
    if not scanner.text.startswith("(", scanner.position):
        return tree.Word(found[0])
    if found[0] == "url":
        scanner.position = position
        scanner.fail("url() is not allowed: a style may name no file and no address")
    scanner.accept("(")
    arguments: list[tree.Value] = []
    while not scanner.accept(")"):
        arguments.append(_sum(scanner, depth + 1))
        if not scanner.accept(",") and scanner.peek() != ")":
            scanner.fail("missing closing `)`")
    return tree.Call(found[0], tuple(arguments), position)


def _color(digits: str) -> tree.Color:
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[start : start + 2], 16) for start in range(0, len(digits), 2)]
    return tree.Color(parts[0], parts[1], parts[2], parts[3] / 255 if len(parts) == 4 else 1.0)
