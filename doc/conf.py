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
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# What other projects document is not looked up: the documentation builds without a network.
nitpick_ignore_regex = [
    (r"py:.*", r"(requests|urllib3|pyrestcli|collections|typing|datetime|io|os|pathlib|types|abc|enum)\..*"),
    (r"py:.*", r"(Any|Callable|Iterable|Iterator|Mapping|Sequence|ClassVar|Self|Literal|optional).*"),
    (r"py:class", r"(carto_like\.)?(\w+\.)*_?[A-Z][A-Za-z]{0,2}(_co)?"),
]
