"""Tested dbt marts as Feast feature views, declared in dbt YAML and nowhere else."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from martfeast.declaration.declared import (
        Column,
        Declaration,
        Exposure,
        FeatureMart,
        Label,
        LabelMart,
        Mart,
    )
    from martfeast.gate.assess import read_declaration
    from martfeast.openlineage.applications import expose
    from martfeast.openlineage.training import training_run
    from martfeast.problems import DeclarationError, Problem
    from martfeast.to_feast.objects import feast_objects

__all__ = [
    "Column",
    "Declaration",
    "DeclarationError",
    "Exposure",
    "FeatureMart",
    "Label",
    "LabelMart",
    "Mart",
    "Problem",
    "expose",
    "feast_objects",
    "read_declaration",
    "training_run",
]

_HOMES = {
    "DeclarationError": "martfeast.problems",
    "Problem": "martfeast.problems",
    "expose": "martfeast.openlineage.applications",
    "feast_objects": "martfeast.to_feast.objects",
    "read_declaration": "martfeast.gate.assess",
    "training_run": "martfeast.openlineage.training",
}


def __getattr__(name: str) -> object:
    """Import a name of this face when it is first used, so that a command pays for what it uses."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "martfeast.declaration.declared")), name)
