"""The directive ``limits-table``: the server's limits, read from the code, so that it cannot go stale."""

from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from carto_like.server.settings import Limits


def shown(default: Any) -> str:
    """How a default is written in the table."""
    return "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


class LimitsTable(SphinxDirective):
    """A table with name, default and meaning of each limit."""

    def run(self) -> list[nodes.Node]:
        """Write the table as reStructuredText and have it parsed."""
        lines = [".. list-table::", "   :header-rows: 1", ""]
        lines += ["   * - limit", "     - default", "     - meaning"]
        for name, default, text in Limits.table():
            lines += [f"   * - ``{name}``", f"     - {shown(default)}", f"     - {text}"]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source="limits-table"), self.content_offset, holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known to Sphinx."""
    app.add_directive("limits-table", LimitsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
