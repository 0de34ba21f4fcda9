"""Variables and streams, with the units that their values are in."""

from __future__ import annotations

from .kinds import MINE, Kind
from .orgs import CREATOR

VARIABLE_TABLE, STREAM_TABLE = "iotile_variable", "iotile_stream"
VARTYPE_TABLE, UNIT_TABLE = "iotile_vartype", "iotile_vartype_unit"

_UNIT = (
    "(SELECT jsonb_build_object('slug', u.slug, 'unit_full', u.unit_full, 'unit_short', u.unit_short, "
    "'m', u.m, 'd', u.d, 'o', u.o) FROM carto_like.iotile_vartype_unit u WHERE u.slug = {})"
)
_OUTPUT_UNIT = _UNIT.replace(
    "'o', u.o)", "'o', u.o, 'decimal_places', u.decimal_places, 'derived_units', u.derived_units)"
)

VARTYPE = Kind(
    columns={
        "slug": "t.slug",
        "name": "t.name",
        "storage_units_full": "t.storage_units_full",
        "stream_data_type": "t.stream_data_type",
        "decoder": "t.decoder",
        "created_on": "t.created_on",
        "input_units": (
            "(SELECT coalesce(jsonb_agg(jsonb_build_object('slug', u.slug, 'unit_full', u.unit_full, "
            "'unit_short', u.unit_short, 'm', u.m, 'd', u.d, 'o', u.o) ORDER BY u.slug), '[]') "
            "FROM carto_like.iotile_vartype_unit u WHERE u.vartype = t.slug AND u.kind = 'input')"
        ),
        "output_units": (
            "(SELECT coalesce(jsonb_agg(jsonb_build_object('slug', u.slug, 'unit_full', u.unit_full, "
            "'unit_short', u.unit_short, 'm', u.m, 'd', u.d, 'o', u.o, 'decimal_places', u.decimal_places, "
            "'derived_units', u.derived_units) ORDER BY u.slug), '[]') "
            "FROM carto_like.iotile_vartype_unit u WHERE u.vartype = t.slug AND u.kind = 'output')"
        ),
    },
    source="carto_like.iotile_vartype t",
    keys=("t.slug",),
    visible="true",
)
VARIABLE = Kind(
    columns={
        "id": "v.id",
        "name": "v.name",
        "variable": "v.variable",
        "var_type": "v.var_type",
        "input_unit": _UNIT.format("v.input_unit"),
        "output_unit": _OUTPUT_UNIT.format("v.output_unit"),
        "derived_variable": (
            "(SELECT w.variable FROM carto_like.iotile_variable w WHERE w.id = v.derived_variable)"
        ),
        "project": "v.project",
        "org": "o.slug",
        "about": "v.about",
        "created_on": "v.created_on",
        "raw_value_format": "v.raw_value_format",
        "units": "v.units",
        "multiplication_factor": "v.multiplication_factor",
        "division_factor": "v.division_factor",
        "offset": 'v."offset"',
        "decimal_places": "v.decimal_places",
        "mdo_label": "v.mdo_label",
        "web_only": "v.web_only",
        "app_only": "v.app_only",
        "org_id": "p.org",
    },
    source=(
        "carto_like.iotile_variable v JOIN carto_like.iotile_project p ON p.id = v.project "
        "JOIN carto_like.iotile_org o ON o.id = p.org"
    ),
    keys=("v.variable",),
    visible=f"p.org IN {MINE}",
)
STREAM = Kind(
    columns={
        "id": "s.id",
        "project_id": "s.project",
        "device": "s.device",
        "variable": "s.variable",
        "data_label": "s.data_label",
        "var_type": "coalesce(s.var_type, v.var_type)",
        "data_type": "s.data_type",
        "var_name": "v.name",
        "input_unit": _UNIT.format("coalesce(s.input_unit, v.input_unit)"),
        "output_unit": _OUTPUT_UNIT.format("coalesce(s.output_unit, v.output_unit)"),
        "derived_stream": "s.derived_stream",
        "raw_value_format": "coalesce(s.raw_value_format, v.raw_value_format, '<L')",
        "mdo_type": "s.mdo_type",
        "mdo_label": "s.mdo_label",
        "multiplication_factor": "coalesce(s.multiplication_factor, v.multiplication_factor, 1)",
        "division_factor": "coalesce(s.division_factor, v.division_factor, 1)",
        "offset": 'coalesce(s."offset", v."offset", 0)',
        "org": "o.slug",
        "created_on": "s.created_on",
        "created_by": CREATOR.format("s.created_by"),
        "enabled": "s.enabled",
        "org_id": "p.org",
    },
    source=(
        "carto_like.iotile_stream s JOIN carto_like.iotile_project p ON p.id = s.project "
        "JOIN carto_like.iotile_org o ON o.id = p.org "
        "LEFT JOIN carto_like.iotile_variable v ON v.variable = s.variable"
    ),
    keys=("s.device", "s.variable"),
    visible=f"p.org IN {MINE}",
)
