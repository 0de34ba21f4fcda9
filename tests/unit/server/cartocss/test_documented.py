"""The page on CartoCSS names what the compiler knows, and its example is a style."""

import re
import textwrap
from pathlib import Path

from carto_like.server.cartocss import Found, compile_style, expand, wanted_breaks
from carto_like.server.cartocss.reference import FILES, MAP, PROPERTIES, STYLE

PAGE = (Path(__file__).parents[4] / "doc" / "cartocss.rst").read_text("utf-8")


def test_the_page_lists_every_property() -> None:
    listed = re.findall(r"^   \* - ``([\w-]+)``$", PAGE, re.MULTILINE)
    assert listed == [*PROPERTIES, *STYLE, *MAP]
    assert {name for name in FILES if f"``{name}``" not in PAGE} == set()


def test_its_example_compiles() -> None:
    found = re.search(r"code-block:: text\n\n((?:   .*\n|\n)+)", PAGE)
    assert found
    sheet = textwrap.dedent(found[1])
    data = {wanted: Found((1.0, 2.0, 3.0, 4.0, 5.0)) for wanted in wanted_breaks(sheet)}
    style = compile_style(expand(sheet, data)[0])
    assert style.columns == {"population", "kind", "name"}
