"""From nested blocks to rules: which declarations hold under which conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from . import tree
from .conditions import MAX_ZOOM, Conditions, Scalar
from .matching import trouble_with
from .problem import CartoCssError, fail
from .values import Evaluator

MAX_RULES = 1000
# Comparing rules with each other takes microseconds each.
MAX_COMPARISONS = 50_000

_GEOMETRY = "mapnik::geometry_type"
Specificity = tuple[int, int, int, int]
Key = tuple[str, str]  # instance, property


@dataclass
class Rule:
    """Declarations that hold under conditions."""

    attachment: str
    conditions: Conditions
    specificity: Specificity
    declarations: dict[Key, tree.Declaration] = field(default_factory=dict)

    def inherit(self, other: Rule) -> None:
        """Take what the less specific rule says of properties this one leaves open."""
        for key, declaration in other.declarations.items():
            self.declarations.setdefault(key, declaration)


class Cascade:
    """The rules of one sheet."""

    def __init__(self, text: str, sheet: tree.Sheet, evaluator: Evaluator) -> None:
        self._text = text
        self._evaluator = evaluator
        self._order = 0
        self.map: list[tree.Declaration] = []
        self.written: dict[str, list[Rule]] = {}
        root = Rule("", Conditions(), (0, 0, 0, 0))
        for block in sheet.blocks:
            self._enter(block, root)

    def rules(self) -> Iterator[tuple[str, list[Rule]]]:
        """Each attachment in order of appearance, the base first, with its rules, most specific first."""
        for attachment in sorted(self.written, key=lambda name: name != ""):
            yield attachment, _resolved(self.written[attachment])

    def _enter(self, block: tree.Block, parent: Rule) -> None:
        for selector in block.selectors:
            if selector.is_map:
                self.map += block.declarations
                continue
            rule = self._selected(selector, parent)
            if selector.classes or not rule:
                continue
            for declaration in block.declarations:
                rule.declarations[declaration.instance, declaration.name] = declaration
            if rule.declarations:
                self.written.setdefault(rule.attachment, []).append(rule)
            for inner in block.blocks:
                self._enter(inner, replace(rule, declarations={}))

    def _selected(self, selector: tree.Selector, parent: Rule) -> Rule | None:
        own = Conditions()
        for condition in selector.conditions:
            joined = own.joined(self._condition(condition))
            if joined is None:
                fail(self._text, condition.position, f"[{condition.column}] produces an invalid filter")
            own = joined
        conditions = parent.conditions.joined(own)
        if conditions is None:
            return None
        self._order += 1
        if self._order > MAX_RULES:
            raise CartoCssError(f"the selectors make more than {MAX_RULES} rules")
        ids, classes, filters, _ = parent.specificity
        specificity = (
            ids + selector.ids,
            classes + selector.classes,
            filters + len(selector.conditions),
            self._order,
        )
        return Rule(selector.attachment or parent.attachment, conditions, specificity)

    def _condition(self, condition: tree.Condition) -> Conditions:
        value = self._evaluator.value(condition.value)
        if condition.column == "zoom":
            return self._zoom(condition, value)
        scalar = self._scalar(condition, value)
        if condition.sign == "=~" and not isinstance(scalar, str):
            fail(self._text, condition.position, "=~ takes a regular expression in quotes")
        trouble = trouble_with(scalar) if condition.sign == "=~" and isinstance(scalar, str) else None
        if trouble:
            text = f"the regular expression of [{condition.column}] may take too long: {trouble}"
            fail(self._text, condition.position, text)
        if condition.column == _GEOMETRY and scalar not in (1.0, 2.0, 3.0):
            fail(self._text, condition.position, f"{_GEOMETRY} is 1 (point), 2 (line) or 3 (polygon)")
        return Conditions(frozenset({(condition.column, condition.sign, scalar)}))

    def _scalar(self, condition: tree.Condition, value: tree.Value) -> Scalar:
        if isinstance(value, tree.Number):
            return value.value
        if isinstance(value, tree.Text):
            return value.value
        words: dict[str, Scalar] = {"null": None, "true": True, "false": False}
        if isinstance(value, tree.Word) and value.value in words:
            return words[value.value]
        name = value.value if isinstance(value, tree.Word) else "this value"
        return fail(self._text, condition.position, f"{name} is not a valid keyword in a filter expression")

    def _zoom(self, condition: tree.Condition, value: tree.Value) -> Conditions:
        level = value.value if isinstance(value, tree.Number) else -1
        if level != int(level) or not 0 <= level <= MAX_ZOOM:
            fail(self._text, condition.position, "Only zoom levels between 0 and 25 supported.")
        n = int(level)
        ranges = {"=": (n, n), ">": (n + 1, MAX_ZOOM), ">=": (n, MAX_ZOOM), "<": (0, n - 1), "<=": (0, n)}
        first, last = ranges.get(condition.sign, (1, 0))
        if first > last:
            fail(self._text, condition.position, "[zoom] produces an invalid filter")
        return Conditions(first=first, last=last)


def _resolved(written: list[Rule]) -> list[Rule]:
    ordered = sorted(written, key=lambda rule: rule.specificity, reverse=True)
    found: dict[Conditions, Rule] = {}
    compared = 0
    for index, rule in enumerate(ordered):
        combined, comparisons = _with_less_specific(rule, ordered[index + 1 :])
        compared += comparisons
        if compared > MAX_COMPARISONS:
            raise CartoCssError("the filters combine in too many ways")
        for made in combined:
            # Combined earlier means combined from more specific rules, and so with all of this one.
            found.setdefault(made.conditions, made)
        if len(found) > MAX_RULES:
            raise CartoCssError(f"the filters combine to more than {MAX_RULES} rules")
    return list(found.values())


def _with_less_specific(rule: Rule, others: list[Rule]) -> tuple[list[Rule], int]:
    current = [replace(rule, declarations=dict(rule.declarations))]
    compared = 0
    for other in others:
        compared += len(current)
        following: list[Rule] = []
        for made in current:
            joined = made.conditions.joined(other.conditions)
            if joined is not None and joined != made.conditions:
                both = replace(made, conditions=joined, declarations=dict(made.declarations))
                both.inherit(other)
                following.append(both)
            elif joined is not None:
                made.inherit(other)
            following.append(made)
        current = following
        if len(current) > MAX_RULES:
            raise CartoCssError(f"the filters combine to more than {MAX_RULES} rules")
        if compared > MAX_COMPARISONS:
            break
    return current, compared
