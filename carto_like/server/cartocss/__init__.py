"""CartoCSS to Mapnik XML, without reading anything but the sheet.

``compile_style(sheet, layer)`` gives a ``MapnikStyle``; a sheet that cannot be compiled raises
``CartoCssError`` with ``message``, ``line`` and ``column``. A sheet with ``ramp()`` goes through ``expand``
first (see ``ramps``; ``raster.without_ramps`` does it with the data of a layer).
"""

from .compiler import MapnikStyle, compile_style
from .problem import CartoCssError
from .ramps import Breaks, Found, RampError, expand, wanted_breaks

__all__ = [
    "Breaks",
    "CartoCssError",
    "Found",
    "MapnikStyle",
    "RampError",
    "compile_style",
    "expand",
    "wanted_breaks",
]
