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
