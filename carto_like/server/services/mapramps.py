"""Styles with ``ramp()``, whose breaks are looked for once: when the map is made."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import psycopg

from carto_like.server.accounts import Account
from carto_like.server.cartocss import CartoCssError, RampError
from carto_like.server.maps.config import read_config
from carto_like.server.maps.problems import MapProblem, told
from carto_like.server.platform import Platform
from carto_like.server.raster import without_ramps
from carto_like.server.services.mapplans import check_layer
from carto_like.server.services.mapsession import reading
from carto_like.server.sqlapi.guard import Stopped

RULES = "cartocss_rules"
"""The option of a layer under which what its ramps became is kept."""


async def expanded(
    platform: Platform, account: Account, given: dict[str, Any], role: str, signed: Sequence[int] = ()
) -> dict[str, Any]:
    """The configuration with conditions in place of ramps.

    Args:
        platform: whose database.
        account: whose map it is.
        given: a configuration that was checked.
        role: with whose rights layers are read, but for those in ``signed``, which are read with the owner's.
        signed: indices of layers.

    Raises:
        Problem: a ramp cannot be made, or what the layer's SQL meets.
    """
    config = given
    for layer in read_config(given).mapnik:
        if not layer.is_styled or "ramp" not in layer.options["cartocss"]:
            continue
        own = account.role if layer.index in signed else role
        try:
            async with reading(platform, account, own) as conn:
                await check_layer(platform, account, conn, layer, own)
                sheet, rules = await without_ramps(conn, layer.sql, layer.options["cartocss"])
        except CartoCssError as error:
            ramp = isinstance(error, RampError)
            text = error.message if ramp else error.at_layer(layer.index)
            more = {**layer.context, **({"subtype": "turbo-carto"} if ramp else {})}
            raise MapProblem(400, text, kind="layer", more=more) from error
        except (psycopg.Error, Stopped) as error:
            raise told(error, styled=True, more=layer.context) from error
        config = copy.deepcopy(config) if config is given else config
        config["layers"][layer.index]["options"] |= {"cartocss": sheet, RULES: rules}
    return config
