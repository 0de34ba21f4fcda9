"""Settings of the documentation; built with every warning an error."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "doc" / "_ext")]

import carto_like  # noqa: E402

project = "carto_like"
author = "the carto_like contributors"
project_copyright = f"2026, {author}"
release = carto_like.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "limits_table",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "carto_like"

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True, "exclude-members": "Meta"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Two floors have a Resource each; which one is meant is clear to readers from where it is said.
suppress_warnings = ["ref.python"]

nitpick_ignore_regex = [
    # What other projects document is not looked up: the documentation builds without a network.
    (r"py:.*", r"(requests|urllib3|pyrestcli|collections|typing|datetime|io|os|pathlib|types|abc|zlib)\..*"),
    (r"py:class", r"argparse\..*"),
    (r"py:.*", r"(Any|Callable|Iterable|Iterator|Mapping|Sequence|ClassVar|Self|Literal|optional).*"),
    # Prose that napoleon takes for the type of an attribute: no class is called like this.
    (r"py:class", r".* .*|[a-z]+"),
    # Type variables, aliases and private bases, which have no entry of their own.
    (
        r"py:(class|obj)",
        r"(carto_like\.)?(\w+\.)*_?[A-Z][A-Za-z]{0,2}(_co)?|carto_like\.(\w+\.)*_[\w.]+|Timeout|Archive",
    ),
    # Inherited from a class that says more about it.
    (r"py:meth", r"save"),
]
