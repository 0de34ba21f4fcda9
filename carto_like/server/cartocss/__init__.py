"""CartoCSS to Mapnik XML, without reading anything but the sheet.

``compile_style(sheet, layer)`` gives a ``MapnikStyle``; a sheet that cannot be compiled raises
``CartoCssError`` with ``message``, ``line`` and ``column``.
"""

from .compiler import MapnikStyle, compile_style
from .problem import CartoCssError

__all__ = ["CartoCssError", "MapnikStyle", "compile_style"]
