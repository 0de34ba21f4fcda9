"""Styles that would take for ever to read or to draw are refused."""

from __future__ import annotations

import time

import pytest

from carto_like.server.cartocss import CartoCssError, compile_style


def test_the_values_of_a_sheet_share_one_budget() -> None:
    long = "+".join(["1"] * 90)
    doubled = "+".join(["@a"] * 90)
    rules = "".join(f"#l::a{number}{{marker-width:@b*0+1}}" for number in range(40))
    started = time.process_time()
    with pytest.raises(CartoCssError, match="too long"):
        compile_style(f"@a:{long};@b:{doubled};{rules}")
    assert time.process_time() - started < 20


def test_filters_and_markers_have_a_largest_size() -> None:
    with pytest.raises(CartoCssError, match="at most 8 filters"):
        compile_style("#l{marker-width:3;image-filters:" + ",".join(["blur"] * 9) + "}")
    with pytest.raises(CartoCssError, match="marker-width is at most 1000"):
        compile_style("#l{marker-width:100000}")
    assert compile_style("#l{marker-width:3;image-filters:blur,blur}").xml


@pytest.mark.parametrize(
    ("pattern", "trouble"),
    [
        ("(a+)+$", "a repeated group holds another repeat or a choice"),
        ("(?:(a|aa))*$", "a repeated group holds another repeat or a choice"),
        ("(a?){30}", "a repeated group holds another repeat or a choice"),
        ("([(]a*)+", "a repeated group holds another repeat or a choice"),
        ("a?" * 11, "more than 10 choices"),
        ("(a|b)" * 11, "more than 10 choices"),
        (".*a.*b.*c.*", "more than 3 repeats"),
        ("a{1,9999}" * 4, "more than 3 repeats"),
        (r"(a)\\1", "it refers to a group"),
        ("a" * 201, "longer than 200 characters"),
    ],
)
def test_expressions_that_may_take_for_ever_are_refused(pattern: str, trouble: str) -> None:
    with pytest.raises(CartoCssError, match=r"regular expression of \[a\] may take too long") as caught:
        compile_style(f'#l {{\n  [a =~ "{pattern}"] {{ marker-width: 3 }} }}')
    assert trouble in caught.value.message
    assert (caught.value.line, caught.value.column) == (2, 3)


@pytest.mark.parametrize(
    "pattern",
    [
        "^x", ".*foo.*", "(?:ab)+", r"(\\d{2})+", "(school|college|university).*", r"\\d{4}-\\d{2}",
        r"\\(a+\\)+", "[(a+)]+", "[]a]+(b)", "(a*)?", ".*?x", "(?i)abc",
    ],
)  # fmt: skip
def test_ordinary_expressions_are_not(pattern: str) -> None:
    assert ".match(" in compile_style(f'#l[a =~ "{pattern}"] {{ marker-width: 3 }}').xml


@pytest.mark.parametrize(
    ("sheet", "repeats"),
    [
        ("line-clip: false; line-dasharray: 4, 2", True),
        ("line-dasharray: 4, 2", False),
        ("line-clip: false", False),
        ("marker-placement: line", True),
        ("marker-clip: false", False),
    ],
)
def test_what_goes_along_lines_without_an_end_is_known(sheet: str, repeats: bool) -> None:
    assert compile_style(f"#l {{ line-width: 1; {sheet} }}").repeats is repeats
