"""Variables: what a project measures, and in which units."""

from __future__ import annotations

from typing import Any

from carto_like.core.fields import CharField, DateTimeField, Field, FloatField, IntegerField
from carto_like.iotile.base import IOTileManager, IOTileResource

__all__ = ["Variable", "VariableManager"]


class Variable(IOTileResource):
    """A variable of a project."""

    id = CharField()
    name = CharField()
    lid = IntegerField()
    slug = CharField()
    var_type = CharField()
    input_unit: Field[Any] = Field()
    output_unit: Field[Any] = Field()
    derived_variable = CharField()
    project = CharField()
    org = CharField()
    about = CharField()
    created_on = DateTimeField()
    raw_value_format = CharField()
    units = CharField()
    multiplication_factor = IntegerField()
    division_factor = IntegerField()
    offset = FloatField()
    decimal_places = IntegerField()
    mdo_label = CharField()

    class Meta:
        collection_endpoint = "variable/"
        name_field = "name"
        read_only = ("id", "slug", "org", "created_on")

    @property
    def output_units(self) -> dict[str, Any]:
        """The unit readings come in; empty when there is none."""
        return self.output_unit if isinstance(self.output_unit, dict) else {}


class VariableManager(IOTileManager[Variable]):
    """Finds and creates variables; filters are ``project`` and ``org``."""

    resource_class = Variable

    def create(self, name: str, project: str, lid: int, **values: Any) -> Variable:
        """Create a variable with this local number in a project."""
        return self._create(name=name, project=project, lid=lid, **values)
